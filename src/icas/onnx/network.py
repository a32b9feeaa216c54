"""ONNX networks run by OpenCV, or by onnxruntime where OpenCV lacks an operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.onnx.model_file import ModelFile, Side, Tensor

Arrays = list[NDArray[np.float32]]
Inputs = Mapping[str, NDArray[np.float32]]
Run = Callable[[Inputs], Arrays]


class Network:
    """A network of an ONNX file, on the CPU.

    Parameters
    ----------
    model : ModelFile
    outputs : sequence of str, optional
        Names of the tensors to compute; default: the outputs of the file.

    Raises
    ------
    UsageError
        Neither OpenCV nor onnxruntime, if it is installed, can run the network.
    """

    def __init__(self, model: ModelFile, outputs: Sequence[str] | None = None) -> None:
        self.model = model
        self.outputs = [tensor.name for tensor in model.outputs] if outputs is None else outputs
        self._run = self._load()

    def __call__(self, **inputs: NDArray[np.float32]) -> Arrays:
        """The outputs for float32 `inputs`, by name.

        Raises
        ------
        UsageError
            The network rejects the shapes of the inputs.
        """
        for tensor in self.model.inputs:
            self._check(tensor, inputs[tensor.name].shape)
        try:
            return self._run(inputs)
        except _errors() as error:
            shapes = ", ".join(_shown(array.shape) for array in inputs.values())
            raise UsageError(
                f"{self.model.path}: the network fails on input of {shapes} ({_reason(error)})"
            ) from error

    def _check(self, tensor: Tensor, shape: tuple[int, ...]) -> None:
        wanted = tensor.shape
        fits = len(wanted) == len(shape) and all(map(_fits, wanted, shape))
        if wanted and not fits:
            raise UsageError(
                f"{self.model.path}: the network takes {tensor.name} of {_shown(wanted)}, not of"
                f" {_shown(shape)}"
            )

    def _load(self) -> Run:
        try:
            return self._by_opencv()
        except _errors() as error:
            if find_spec("onnxruntime") is not None:
                return self._by_onnxruntime()
            raise UsageError(
                f"{self.model.path}: OpenCV cannot run this network ({_reason(error)});"
                " onnxruntime may: pip install 'icas[onnx]'"
            ) from error

    def _by_opencv(self) -> Run:
        import cv2

        data = np.frombuffer(self.model.with_outputs(self.outputs), np.uint8)
        with _quiet():
            net = cv2.dnn.readNetFromONNX(data)
        names = list(net.getUnconnectedOutLayersNames())
        places = [names.index(name) for name in self.outputs]

        def run(inputs: Inputs) -> Arrays:
            for name, array in inputs.items():
                net.setInput(array, name)
            with _quiet():
                found = net.forward(names)
            return [np.asarray(found[place], np.float32) for place in places]

        return run

    def _by_onnxruntime(self) -> Run:
        import onnxruntime

        try:
            session = onnxruntime.InferenceSession(
                self.model.with_outputs(self.outputs), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors have no common base
            raise UsageError(
                f"{self.model.path}: neither OpenCV nor onnxruntime can run this network"
                f" ({_reason(error)})"
            ) from error

        def run(inputs: Inputs) -> Arrays:
            try:
                return list(session.run(list(self.outputs), dict(inputs)))
            except Exception as error:
                raise ValueError(str(error)) from error

        return run


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCV from printing errors that are raised as well."""
    from cv2.utils import logging

    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)


def _errors() -> tuple[type[Exception], ...]:
    import cv2

    return cv2.error, ValueError


def _fits(wanted: Side, given: int) -> bool:
    return wanted is None or wanted == given


def _shown(shape: tuple[Side, ...]) -> str:
    return "x".join("any" if side is None else str(side) for side in shape)


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(lines[0].split())[:200]
