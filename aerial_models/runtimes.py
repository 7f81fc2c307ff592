"""Runs an ONNX model on OpenVINO or onnxruntime: arrays in, arrays out."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from aerial_models.errors import ModelCorrupt, RuntimeMissing

RuntimeName = Literal["auto", "openvino", "onnxruntime", "onnxruntime-gpu"]
RUNTIMES: tuple[RuntimeName, ...] = ("auto", "openvino", "onnxruntime", "onnxruntime-gpu")


class Runtime(Protocol):
    """One model, loaded and ready."""

    name: str
    """``openvino``, ``onnxruntime`` or ``onnxruntime-gpu``."""
    input_shape: tuple[int, ...]
    """Shape of the model's one input; -1 where it is free."""

    def run(self, array: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """All outputs of the model for one input."""


class OpenVinoRuntime:
    """OpenVINO on the CPU.

    `precision` ``native`` lets it compute in bfloat16 where the processor can (scores move by about 0.01); ``f32`` is
    exact.
    """

    name = "openvino"

    def __init__(self, model: Path, threads: int = 0, precision: Literal["native", "f32"] = "native") -> None:
        openvino = _library("openvino", "cpu")
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        if precision == "f32":
            settings["INFERENCE_PRECISION_HINT"] = "f32"
        try:
            self._model = openvino.Core().compile_model(str(model), "CPU", settings)
        except RuntimeError as exc:
            raise ModelCorrupt(f"OpenVINO cannot load {model}: {exc}") from exc
        shape = self._model.input(0).partial_shape
        self.input_shape = tuple(d.get_length() if d.is_static else -1 for d in shape)
        self._request = self._model.create_infer_request()

    def run(self, array: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """All outputs of the model for one input."""
        self._request.infer({0: array}, share_inputs=True)
        return [np.array(self._request.get_output_tensor(i).data) for i in range(len(self._model.outputs))]


class OnnxRuntime:
    """onnxruntime on the CPU, or on a CUDA GPU; refuses to fall back from the one to the other."""

    def __init__(self, model: Path, threads: int = 0, gpu: bool = False) -> None:
        onnxruntime = _library("onnxruntime", "gpu" if gpu else "cpu")
        self.name = "onnxruntime-gpu" if gpu else "onnxruntime"
        wanted = "CUDAExecutionProvider" if gpu else "CPUExecutionProvider"
        if wanted not in onnxruntime.get_available_providers():
            raise RuntimeMissing(
                f"onnxruntime here offers {', '.join(onnxruntime.get_available_providers())}, not {wanted}: "
                "install the extra `gpu` (it conflicts with `cpu`)"
            )
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if threads:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(str(model), options, providers=[wanted])
        except Exception as exc:
            raise ModelCorrupt(f"onnxruntime cannot load {model}: {exc}") from exc
        if wanted not in self._session.get_providers():
            raise RuntimeMissing(
                f"{wanted} was asked for, but the session runs on {', '.join(self._session.get_providers())}: "
                "no usable GPU or driver"
            )
        self._input = self._session.get_inputs()[0].name
        shape = self._session.get_inputs()[0].shape
        self.input_shape = tuple(d if isinstance(d, int) else -1 for d in shape)

    def run(self, array: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """All outputs of the model for one input."""
        return [np.asarray(o) for o in self._session.run(None, {self._input: array})]


def load(
    model: Path, runtime: str = "auto", threads: int = 0, precision: Literal["native", "f32"] = "native"
) -> Runtime:
    """Load an ONNX file on a runtime.

    ``auto`` takes a GPU if onnxruntime has one, else OpenVINO if it is installed, else onnxruntime on the CPU.
    `threads` 0 leaves the number to the library. Raises RuntimeMissing or ModelCorrupt.
    """
    if runtime not in RUNTIMES:
        raise RuntimeMissing(f"no runtime {runtime!r}; there are {', '.join(RUNTIMES)}")
    if runtime == "auto":
        runtime = _best()
    if runtime == "openvino":
        return OpenVinoRuntime(model, threads, precision)
    return OnnxRuntime(model, threads, gpu=runtime == "onnxruntime-gpu")


def _best() -> RuntimeName:
    if importlib.util.find_spec("onnxruntime") is not None:
        onnxruntime = importlib.import_module("onnxruntime")
        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            return "onnxruntime-gpu"
    if importlib.util.find_spec("openvino") is not None:
        return "openvino"
    return "onnxruntime"


def _library(name: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as exc:
        raise RuntimeMissing(f"{name} is not installed: install the extra `{extra}`") from exc
