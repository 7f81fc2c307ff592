"""The shipped model, on both runtimes, and what is refused."""

import hashlib
import json
import os
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from aerial_models import catalogue, runtimes
from aerial_models.catalogue import ModelEntry
from aerial_models.datasets import CITY_CLASSES, read_yolo
from aerial_models.detecting import AnySizeDetector, detect
from aerial_models.detectors import OnnxDetector, overlaps, suppress
from aerial_models.errors import ModelCorrupt, ModelUnknown, RuntimeMissing
from aerial_models.evaluation import match

DATA = Path(os.environ.get("MC_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
HERE = Path(__file__).parent
CITY = "city-nano"


def frame() -> NDArray[np.uint8]:
    """A frame of a simulated world that the model was not trained on."""
    bgr = cv2.imread(str(HERE / "images" / "survey.jpg"))
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


@pytest.fixture(scope="module")
def city() -> OnnxDetector:
    return OnnxDetector(CITY, "openvino", threads=1)


def test_the_runtimes_agree() -> None:
    openvino = OnnxDetector(CITY, "openvino", confidence=0.25, threads=1, precision="f32")
    onnx = OnnxDetector(CITY, "onnxruntime", confidence=0.25, threads=1)
    a, b = openvino.detect(frame()), onnx.detect(frame())
    assert len(a) == len(b) > 5
    np.testing.assert_allclose(a.xyxy, b.xyxy, atol=0.5)
    np.testing.assert_allclose(a.confidence, b.confidence, atol=2e-3)
    assert a.class_id.tolist() == b.class_id.tolist()


def test_native_precision_stays_near_the_exact_one() -> None:
    exact = OnnxDetector(CITY, "openvino", confidence=0.4, threads=1, precision="f32").detect(frame())
    native = OnnxDetector(CITY, "openvino", confidence=0.3, threads=1).detect(frame())
    overlap = overlaps(exact.xyxy, native.xyxy) * (exact.class_id[:, None] == native.class_id[None])
    assert (overlap.max(axis=1) > 0.6).mean() > 0.9


def test_it_finds_what_is_in_the_frame(city: OnnxDetector) -> None:
    truth = read_yolo(HERE / "images" / "survey.jpg", HERE / "labels" / "survey.txt", dict(enumerate(CITY_CLASSES)))
    found = city.detect(frame())
    for name in ("dump", "vehicle"):
        k = CITY_CLASSES.index(name)
        there, mine = truth.xyxy[truth.class_id == k], found[found.class_id == k]
        right = match(mine.xyxy, mine.confidence, there, 0.4)
        assert len(there) > 0
        assert right.sum() >= 0.6 * len(there), name
        assert (~right).sum() <= 1, name
    assert (found.confidence >= city.thresholds[found.class_id]).all()
    assert (np.diff(found.confidence) <= 0).all()


def test_boxes_are_in_the_pixels_of_the_picture_given(city: OnnxDetector) -> None:
    whole = city.detect(frame())
    framed = np.full((736, 1400, 3), 114, np.uint8)
    framed[8:728, 60:1340] = frame()
    tiled = AnySizeDetector(city).detect(framed)  # shrunk a little, as 1400 px is wider than the input
    assert len(tiled) > 0
    shifted = whole.xyxy + np.asarray([60, 8, 60, 8], np.float32)
    best = whole.confidence > 0.6
    assert (overlaps(shifted[best], tiled.xyxy).max(axis=1) > 0.5).mean() > 0.8


def test_a_large_picture_is_looked_at_in_tiles(city: OnnxDetector) -> None:
    large = np.full((1440, 2560, 3), 114, np.uint8)
    large[720:, 1280:] = frame()
    found = AnySizeDetector(city).detect(large)
    whole = city.detect(frame())
    best = whole[whole.confidence > 0.6]
    shifted = best.xyxy + np.asarray([1280, 720, 1280, 720], np.float32)
    assert (overlaps(shifted, found.xyxy).max(axis=1) > 0.5).mean() > 0.8


def test_thresholds_are_of_the_catalogue_unless_given() -> None:
    entry = catalogue.entry(CITY)
    assert OnnxDetector(entry, "onnxruntime").thresholds.tolist() == pytest.approx(
        [entry.thresholds[c] for c in entry.classes]
    )
    raised = OnnxDetector(entry, "onnxruntime", confidence={"person": 0.99})
    assert raised.thresholds[entry.classes.index("person")] == pytest.approx(0.99)
    assert raised.thresholds[0] == pytest.approx(entry.thresholds["dump"])


def copied(tmp_path: Path, **changes: object) -> ModelEntry:
    entry = catalogue.entry(CITY)
    file = tmp_path / "copy.onnx"
    file.write_bytes(entry.path.read_bytes())
    return msgspec.structs.replace(entry, file=str(file), **changes)


def test_corrupt_weights_are_refused(tmp_path: Path) -> None:
    entry = copied(tmp_path)
    assert entry.verified() == tmp_path / "copy.onnx"
    broken = bytearray(entry.path.read_bytes())
    broken[len(broken) // 2] ^= 1
    entry.path.write_bytes(bytes(broken))
    with pytest.raises(ModelCorrupt, match=r"copy\.onnx has sha256"):
        OnnxDetector(entry, "onnxruntime")
    entry.path.unlink()
    with pytest.raises(ModelCorrupt, match="missing"):
        OnnxDetector(entry, "onnxruntime")


def test_an_entry_that_does_not_fit_its_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelCorrupt, match="the catalogue says"):
        OnnxDetector(copied(tmp_path, input_width_px=640), "onnxruntime")
    with pytest.raises(ModelCorrupt, match="scores 7 classes"):
        OnnxDetector(copied(tmp_path, classes=("a", "b")), "onnxruntime").detect(frame())


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_bytes_that_are_no_model_are_refused(tmp_path: Path, runtime: str) -> None:
    (tmp_path / "junk.onnx").write_bytes(b"no model at all")
    with pytest.raises(ModelCorrupt, match=r"junk\.onnx"):
        runtimes.load(tmp_path / "junk.onnx", runtime)


def test_a_gpu_that_is_not_there_fails_loudly() -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine has a GPU runtime")
    with pytest.raises(RuntimeMissing, match="CUDAExecutionProvider"):
        OnnxDetector(CITY, "onnxruntime-gpu")


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(ModelUnknown, match="city-nano"):
        OnnxDetector("city-huge")
    with pytest.raises(RuntimeMissing, match="onnxruntime-gpu"):
        OnnxDetector(CITY, "tensorflow")


def test_a_broken_catalogue_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "catalogue.json").write_text('[{"name": 3}]')
    with pytest.raises(ModelCorrupt, match=r"catalogue\.json.*name"):
        catalogue.read(tmp_path / "catalogue.json")


def test_every_model_states_where_it_comes_from_and_is_small() -> None:
    for model in catalogue.catalogue():
        assert model.licence
        assert model.training_data
        assert model.measured
        assert model.verified().stat().st_size < 12_000_000
        assert set(model.thresholds) == set(model.classes)
    assert catalogue.entry(CITY).classes == CITY_CLASSES
    assert (HERE.parents[1] / catalogue.entry(CITY).card).exists()


def test_suppression_keeps_the_best_of_each_class() -> None:
    boxes = np.asarray([[0, 0, 10, 10], [1, 0, 11, 10], [1, 0, 11, 10], [50, 50, 60, 60]], np.float32)
    kept = suppress(boxes, np.asarray([0.5, 0.9, 0.8, 0.1], np.float32), np.asarray([0, 0, 1, 0]), 0.5)
    assert kept.tolist() == [1, 2, 3]


def test_a_folder_is_detected_picture_by_picture(city: OnnxDetector, tmp_path: Path) -> None:
    for name in "ab":
        cv2.imwrite(str(tmp_path / f"{name}.png"), cv2.cvtColor(frame(), cv2.COLOR_RGB2BGR))
    looked = list(detect(tmp_path, city))
    assert [f.index for f, _ in looked] == [0, 1]
    assert all(len(found) > 5 for _, found in looked)
    np.testing.assert_allclose(looked[0][1].xyxy, looked[1][1].xyxy)
    tracked = list(detect(tmp_path, city, track=True))
    assert (tracked[0][1].track_id == -1).all()


def test_a_yolox_model_of_strangers_runs_too() -> None:
    weights = DATA / "models" / "yolox_nano_coco.onnx"
    picture = DATA / "pictures" / "vehicles_people_auair" / "images" / "frame_20190905091750_x_0000154.jpg"
    if not weights.exists() or not picture.exists():
        pytest.skip(f"no {weights} or {picture}")
    entry = ModelEntry(
        name="yolox-nano", file=str(weights), sha256=hashlib.sha256(weights.read_bytes()).hexdigest(), kind="yolox",
        classes=tuple("car" if i == 2 else f"coco-{i}" for i in range(80)), input_width_px=416, input_height_px=416,
        thresholds={}, licence="Apache-2.0", training_data=("COCO",), training={}, created="", card="",
    )  # fmt: skip
    image = np.asarray(cv2.cvtColor(cv2.imread(str(picture)), cv2.COLOR_BGR2RGB), np.uint8)
    found = OnnxDetector(entry, "onnxruntime", confidence=0.6).detect(image)
    assert found.names == ["car"]
    rows = json.loads((picture.parents[1] / "annotations.json").read_text())["annotations"]
    (row,) = [r for r in rows if r["image_name"] == picture.name]
    truth = [[b["left"], b["top"], b["left"] + b["width"], b["top"] + b["height"]] for b in row["bbox"]]
    assert overlaps(np.asarray(truth, np.float32), found.xyxy).max() > 0.5
