"""Checkpoints of Segment Anything: read, checked, loaded, shared by threads."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

from icas.common.devices import choose_device
from icas.common.errors import IcasError, UnreadableImageError, UsageError
from icas.common.registry import need
from icas.io.formats import os_reason, require_file
from icas.segmentimg.sam import architecture

LOG = logging.getLogger(__name__)
T = TypeVar("T")
_CHUNK = 1 << 22
FilePath = str | os.PathLike[str]
State = dict[str, Any]
"""Name -> tensor."""

WHERE = "'segmentimg weights get mobile_sam' downloads one (41 MB)"
_PARTS = ("image_encoder.", "prompt_encoder.", "mask_decoder.")
_NAMED = 3


def need_sam() -> None:
    """Raise MissingExtraError if the extra is not installed."""
    need("method 'sam'", "sam", "torch", "torchvision", "segment_anything")


def checkpoint_file(path: FilePath | None) -> Path:
    """The checkpoint file; UsageError if none is given or it does not exist."""
    if path is None or not os.fspath(path):
        raise UsageError(f"method 'sam' needs --sam-checkpoint FILE: {WHERE}")
    try:
        require_file(path)
    except UnreadableImageError as error:
        raise UsageError(f"cannot read checkpoint {path}: {error.message}") from error
    return Path(path)


def read_checkpoint(path: FilePath | None, model: str | None = None) -> tuple[str, State]:
    """The name of a checkpoint's model, or ``vit`` for other sizes, and its tensors on the CPU.

    Nothing in the file is executed. UsageError for a file of something else, or of another model
    than `model`.
    """
    if model is not None and model not in architecture.MODELS:
        raise UsageError(f"--sam-model {model}: choose from {', '.join(architecture.MODELS)}")
    file = checkpoint_file(path)
    need_sam()
    state = _state(file)
    name = _model_of(shapes_of(state), file)
    if model is not None and name != model:
        actual = name if name in architecture.MODELS else "a model of other sizes"
        raise UsageError(f"--sam-model {model}: {file} is {actual}: leave out --sam-model")
    return name, state


def load_sam(path: FilePath | None, model: str | None = None, device: str = "auto") -> Any:
    """The ``Sam`` of a checkpoint, ready to predict, on `device` or where memory permits."""
    name, state = read_checkpoint(path, model)
    return move_to_device(build_model(name, state, path), choose_device(device))


def build_model(name: str, state: State, path: FilePath | None) -> Any:
    """The model `name` with the tensors of `state`, as float32 on the CPU; UsageError if unfit."""
    import torch

    decoder = architecture.decoder_shape(shapes_of(state))
    if name == "vit_t":
        sam, state = architecture.build_tiny_vit(decoder), architecture.timm_state(state)
    else:
        with torch.device("meta"):  # no memory for weights that are replaced
            sam = architecture.build_vit(architecture.encoder_shape(shapes_of(state)), decoder)
    _require_fit(shapes_of(sam.state_dict()), shapes_of(state), name, path)
    state = {
        key: value.float() if value.is_floating_point() else value for key, value in state.items()
    }
    sam.load_state_dict(state, assign=True)
    for buffer, values in (
        ("pixel_mean", architecture.PIXEL_MEAN),
        ("pixel_std", architecture.PIXEL_STD),
    ):
        sam.register_buffer(buffer, torch.tensor(values).view(-1, 1, 1), False)
    return sam.eval().requires_grad_(False)


def shapes_of(state: Mapping[str, Any]) -> architecture.Shapes:
    """Shapes of tensors by name."""
    return {name: tuple(value.shape) for name, value in state.items()}


def _state(file: Path) -> State:
    """The tensors by name, also where nested one level deeper."""
    import torch

    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UsageError(f"cannot read checkpoint {file}: {os_reason(error)}") from error
    except Exception as error:  # torch raises almost any exception for other files
        raise UsageError(
            f"{file} is not a checkpoint: torch cannot load weights from it (wrong file type,"
            f" truncated or damaged); {WHERE}"
        ) from error
    for level in ("model", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(level), Mapping):
            content = content[level]
    if not isinstance(content, Mapping) or not content:
        raise UsageError(f"{file} has no named tensors; {WHERE}")
    named = {str(name).removeprefix("module."): value for name, value in content.items()}
    return {name: value for name, value in named.items() if isinstance(value, torch.Tensor)}


def _model_of(shapes: architecture.Shapes, file: Path) -> str:
    parts = [part for part in _PARTS if any(name.startswith(part) for name in shapes)]
    if len(parts) < len(_PARTS):
        first = ", ".join(list(shapes)[:_NAMED]) or "none"
        raise UsageError(
            f"{file} is not a Segment Anything checkpoint: it has the tensors {first} …, expected"
            f" {', '.join(part + '…' for part in _PARTS)}; {WHERE}"
        )
    try:
        architecture.decoder_shape(shapes)
        return (
            "vit_t"
            if architecture.TINY_VIT_MARK in shapes
            else architecture.encoder_shape(shapes).name
        )
    except ValueError as error:
        raise UsageError(
            f"{file} is not a checkpoint of Segment Anything 1 or MobileSAM: it {error}; {WHERE}"
        ) from error


def _require_fit(
    expected: architecture.Shapes, given: architecture.Shapes, name: str, path: FilePath | None
) -> None:
    missing = [f"{key} is missing" for key in expected if key not in given]
    extra = [f"{key} is unexpected" for key in given if key not in expected]
    other = [
        f"{key} is {given[key]}, expected {expected[key]}"
        for key in expected
        if key in given and given[key] != expected[key]
    ]
    faults = [*missing[:_NAMED], *extra[:_NAMED], *other[:_NAMED]]
    if faults:
        count = len(missing) + len(extra) + len(other)
        raise UsageError(
            f"{path} differs from Segment Anything's {name} in {count}"
            f" tensor{'s' * (count > 1)}: {'; '.join(faults)}"
        )


def move_to_device(sam: Any, device: str) -> Any:
    """Move a model to a device; to the CPU, with a warning, where its memory is too small."""
    import torch

    try:
        return sam.to(device)
    except torch.cuda.OutOfMemoryError:
        warn_fallback()
    return sam.to("cpu")


def warn_fallback() -> None:
    """Log that the CPU is used instead of the GPU."""
    LOG.warning("out of GPU memory: Segment Anything continues on the CPU, which is slower")


class LoadedSam:
    """A model that several threads may use at once; `identity` depends on the weights.

    After an out-of-memory error of the GPU, `load_on_cpu` replaces it: a model that other threads
    use is not moved.
    """

    def __init__(self, sam: Any, identity: str, load_on_cpu: Callable[[], Any]) -> None:
        self._sam, self.identity, self._load_on_cpu = sam, identity, load_on_cpu
        self._falling_back = threading.Lock()
        self.alone = threading.RLock()

    def run(self, work: Callable[[Any], T], *, alone: bool = False) -> T:
        """Call `work` with the model, again on the CPU where the memory of the GPU is too small.

        `alone`: wait for other such work, for work that needs much memory.
        """
        import torch

        with self.alone if alone else nullcontext():
            sam = self._sam
            try:
                return work(sam)
            except torch.cuda.OutOfMemoryError:
                pass  # the tensors of `work` are released with its traceback
            except RuntimeError as error:
                if "not enough memory" not in str(error) and "allocate memory" not in str(error):
                    raise
                raise IcasError(
                    "out of memory in Segment Anything: lower --points-per-batch or --work-size"
                ) from error
            self._fall_back(sam)
            return work(self._sam)

    def _fall_back(self, used: Any) -> None:
        import torch

        with self._falling_back:
            if self._sam is used:
                warn_fallback()
                self._sam = self._load_on_cpu()
        torch.cuda.empty_cache()


def identity_of(file: Path) -> str:
    """A hash of a file, as hex digits."""
    digest = hashlib.blake2b(digest_size=16)
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
