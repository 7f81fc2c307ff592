"""The process that trains: ``python training_process.py JOB.json``, in an environment that holds ultralytics and torch.

It imports nothing of ours, and nothing of ours imports it: ultralytics is AGPL-3.0, and only weights come back.
`aerial_models.training` writes JOB.json and reads this process's output: lines of JSON on stdout, all else on stderr.

A torchvision built for CUDA cannot load its compiled operators beside a CPU build of torch, and its import then fails
for want of torchvision::nms. Detection training needs nothing else of it, so `lend_operators` declares that operator
and puts ultralytics' own in its place. Installing torchvision with --no-deps is then enough.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any


def say(event: str, **values: Any) -> None:
    """One line of JSON for the parent."""
    sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
    sys.stdout.flush()


def lend_operators() -> bool:
    """Stand in for torchvision's non-maximum suppression where its operators cannot load; True if it had to."""
    import torch

    try:
        import torchvision
    except RuntimeError:
        for name in [m for m in sys.modules if m.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
    else:
        return False
    from ultralytics.utils.nms import TorchNMS

    box = "Tensor dets, Tensor scores"
    torch.library.define("torchvision::nms", f"({box}, float iou_threshold) -> Tensor")
    torch.library.define("torchvision::qnms", f"({box}, float iou_threshold) -> Tensor")
    import torchvision

    torchvision.ops.nms = TorchNMS.nms
    return True


def settle(run: Path) -> None:
    """Keep ultralytics offline, silent and out of the home directory; must run before it is imported."""
    config = run / "config"
    config.mkdir(parents=True, exist_ok=True)
    os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_CONFIG_DIR=str(config), YOLO_VERBOSE="false")
    from ultralytics import settings

    settings.update({"sync": False, "datasets_dir": str(run), "weights_dir": str(run), "runs_dir": str(run)})


def partial_loss(model: Any, classes: list[str]) -> Any:
    """A detection loss that learns nothing about the classes a picture's file name says are not labelled in it.

    Computed in float32 whatever the network ran in.
    """
    import torch
    from ultralytics.utils.loss import v8DetectionLoss

    class PartialLoss(v8DetectionLoss):  # type: ignore[misc]
        def __call__(self, preds: Any, batch: dict[str, Any]) -> Any:
            preds = self.parse_output(preds)
            preds = {k: [t.float() for t in v] if isinstance(v, list | tuple) else v.float() for k, v in preds.items()}
            known = torch.ones(len(batch["im_file"]), 1, self.nc, device=self.device)
            for row, file in enumerate(batch["im_file"]):
                for name in Path(file).stem.split("~")[1:]:
                    known[row, 0, classes.index(name)] = 0.0
            self.class_weights = known if self.class_weights_all is None else known * self.class_weights_all
            with torch.autocast(self.device.type, enabled=False):
                return self.loss(preds, batch)

    loss = PartialLoss(model)
    loss.class_weights_all = loss.class_weights
    return loss


def architecture(job: dict[str, Any]) -> Path:
    """The architecture as ultralytics ships it, with the job's width and classes, as a file of the run."""
    from ultralytics.nn.tasks import yaml_model_load
    from ultralytics.utils import YAML

    shape = yaml_model_load(f"{job['architecture']}.yaml")
    depth, _, most = shape["scales"]["n"]
    shape.update(scales={"n": [depth, job["width"], most]}, nc=len(job["classes"]))
    path = Path(job["run"]) / f"{job['architecture']}.yaml"  # the letter of the scale is read from the file's name
    YAML.save(path, {k: v for k, v in shape.items() if k not in {"scale", "yaml_file", "ch"}})
    return path


def train(job: dict[str, Any]) -> Path:
    """Train as the job says; returns the best weights."""
    import torch
    import ultralytics.engine.trainer as engine
    from ultralytics.models.yolo.detect import DetectionTrainer
    from ultralytics.nn.tasks import DetectionModel

    bfloat16 = job["bfloat16"] and job["device"] == "cpu"

    def autocast(enabled: Any, device: str = "cuda") -> Any:
        return torch.autocast(device, dtype=torch.bfloat16, enabled=bfloat16 or bool(enabled))

    engine.autocast = autocast
    classes = list(job["classes"])
    DetectionModel.init_criterion = lambda self: partial_loss(self, classes)

    class Trainer(DetectionTrainer):  # type: ignore[misc]
        def _setup_train(self) -> None:
            torch.set_num_threads(job["threads"])  # choosing the device has set it to one less than there are cores
            super()._setup_train()
            self.model: Any = self.model.to(memory_format=torch.channels_last)

        def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
            batch = super().preprocess_batch(batch)
            batch["img"] = batch["img"].contiguous(memory_format=torch.channels_last)
            return batch

    def epoch_done(trainer: Any) -> None:
        metrics = {k: round(float(v), 5) for k, v in trainer.metrics.items()}
        losses = {k: round(float(v), 4) for k, v in (trainer.tloss or {}).items()}
        say("epoch", epoch=trainer.epoch + 1, epochs=trainer.epochs, seconds=round(trainer.epoch_time, 1),
            losses=losses, metrics=metrics)  # fmt: skip

    def batch_done(trainer: Any) -> None:
        if minutes := job["settings"]["time"] and 60 * job["settings"]["time"]:
            # ultralytics lets the learning rate fall once an epoch, which is coarse when time allows few epochs
            spent = min(1.0, (time.time() - trainer.train_time_start) / (60 * minutes))
            factor = 0.01 + 0.99 * (1 + math.cos(math.pi * spent)) / 2
            for group in trainer.optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
        trainer.batches_done = getattr(trainer, "batches_done", 0) + 1
        if trainer.batches_done % 10 == 0:
            say("batch", done=trainer.batches_done, total=len(trainer.train_loader) * trainer.epochs)

    run = Path(job["run"])
    last = run / "fit" / "weights" / "last.pt"
    overrides: dict[str, Any] = dict(job["settings"])
    overrides.update(
        model=str(architecture(job)), data=job["data"], project=str(run), name="fit", exist_ok=True,
        device=job["device"], amp=False, plots=False, seed=job["seed"], deterministic=True,
        pretrained=job["weights"] or False,
    )  # fmt: skip
    if job["resume"] and last.exists():
        overrides.update(model=str(last), resume=True)
    trainer = Trainer(overrides=overrides)
    trainer.add_callback("on_fit_epoch_end", epoch_done)
    trainer.add_callback("on_train_batch_end", batch_done)
    trainer.train()
    best = run / "fit" / "weights" / "best.pt"
    return best if best.exists() else last


def export(weights: Path, job: dict[str, Any]) -> Path:
    """The weights as ONNX of the job's fixed input size."""
    from ultralytics import YOLO

    path = YOLO(str(weights)).export(
        format="onnx", imgsz=(job["export_height_px"], job["export_width_px"]), opset=17, simplify=True, verbose=False
    )
    return Path(path)


def main() -> None:
    """Train, export, say where."""
    job = json.loads(Path(sys.argv[1]).read_text())
    real_stdout, sys.stdout = sys.stdout, sys.stderr
    settle(Path(job["run"]))
    import torch
    import ultralytics

    lent = lend_operators()
    sys.stdout = real_stdout
    say("ready", torch=torch.__version__, ultralytics=ultralytics.__version__, lent_nms=lent)
    weights = Path(job["weights"]) if job["export_only"] else train(job)
    say("done", weights=str(weights), onnx=str(export(weights, job)))


if __name__ == "__main__":
    main()
