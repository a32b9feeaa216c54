"""What Segment Anything does where the memory of the GPU is too small for it."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icas.common.devices import choose_device
from icas.common.errors import UnreadableImageError, UsageError
from icas.common.registry import need
from icas.io.formats import os_reason, require_file
from icas.segmentimg.sam import tinyvit
from icas.segmentimg.sam.architecture import (
    MODELS,
    PIXEL_MEAN,
    PIXEL_STD,
    Shapes,
    build_vit,
    decoder_shape,
    encoder_shape,
)

LOG = logging.getLogger(__name__)


def placed(sam: Any, device: str) -> Any:
    """The model on `device`; on the CPU, with a warning, where its memory does not do."""
    import torch

    try:
        return sam.to(device)
    except torch.cuda.OutOfMemoryError:
        tell_fallback()
    return sam.to("cpu")


def tell_fallback() -> None:
    """Log that the CPU takes over."""
    LOG.warning("out of GPU memory: Segment Anything goes on on the CPU, which is slower")


FilePath = str | os.PathLike[str]
State = dict[str, Any]
"""Name -> tensor."""

WHERE = (
    "https://github.com/facebookresearch/segment-anything links sam_vit_b_01ec64.pth (375 MB),"
    " sam_vit_l_0b3195.pth and sam_vit_h_4b8939.pth; https://github.com/ChaoningZhang/MobileSAM"
    " has mobile_sam.pt (40 MB)"
)
_PARTS = ("image_encoder.", "prompt_encoder.", "mask_decoder.")
_NAMED = 3


def need_sam() -> None:
    """Fail before any work if the extra is not installed."""
    need("method 'sam'", "sam", "torch", "torchvision", "segment_anything")


def checkpoint_file(path: FilePath | None) -> Path:
    """The checkpoint that is to be read, which is there."""
    if path is None or not os.fspath(path):
        raise UsageError(f"method 'sam' needs --sam-checkpoint FILE: {WHERE}")
    try:
        require_file(path)
    except UnreadableImageError as error:
        raise UsageError(f"cannot read the checkpoint {path}: {error}") from error
    return Path(path)


def read_checkpoint(path: FilePath | None, model: str | None = None) -> tuple[str, State]:
    """Which model a checkpoint is of, and its tensors."""
    if model is not None and model not in MODELS:
        raise UsageError(f"--sam-model {model}: choose from {', '.join(MODELS)}")
    file = checkpoint_file(path)
    need_sam()
    state = _state(file)
    name = _model_of(shapes_of(state), file)
    if model is not None and name != model:
        held = name if name in MODELS else "a model of other sizes"
        raise UsageError(f"--sam-model {model}, but {file} holds {held}; leave --sam-model out")
    return name, state


def load_sam(path: FilePath | None, model: str | None = None, device: str = "auto") -> Any:
    """The model of a checkpoint with its weights, ready to predict."""
    name, state = read_checkpoint(path, model)
    return placed(assembled(name, state, path), choose_device(device))


def assembled(name: str, state: State, path: FilePath | None) -> Any:
    """The model called `name` with the tensors of `state`, as float32 on the CPU."""
    import torch

    decoder = decoder_shape(shapes_of(state))
    if name == "vit_t":
        sam, state = tinyvit.build_tiny_vit(decoder), tinyvit.renamed(state)
    else:
        with torch.device("meta"):  # shapes alone: no time is lost on weights that are replaced
            sam = build_vit(encoder_shape(shapes_of(state)), decoder)
    _require_fit(shapes_of(sam.state_dict()), shapes_of(state), name, path)
    sam.load_state_dict({key: _as_float(value) for key, value in state.items()}, assign=True)
    for buffer, values in (("pixel_mean", PIXEL_MEAN), ("pixel_std", PIXEL_STD)):
        sam.register_buffer(buffer, torch.tensor(values).view(-1, 1, 1), False)
    return sam.eval().requires_grad_(False)


def shapes_of(state: Mapping[str, Any]) -> Shapes:
    """Name -> shape."""
    return {name: tuple(value.shape) for name, value in state.items()}


def _as_float(value: Any) -> Any:
    return value.float() if value.is_floating_point() else value


def _state(file: Path) -> State:
    """The tensors by name, also from files that hold them one level down."""
    import torch

    try:
        held = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UsageError(f"cannot read the checkpoint {file}: {os_reason(error)}") from error
    except Exception as error:  # torch raises nearly anything on what is no file of its own
        raise UsageError(
            f"{file} is no checkpoint: torch cannot read weights from it (another kind of file, cut"
            f" short, or damaged); {WHERE}"
        ) from error
    for level in ("model", "state_dict"):
        if isinstance(held, Mapping) and isinstance(held.get(level), Mapping):
            held = held[level]
    if not isinstance(held, Mapping) or not held:
        raise UsageError(f"{file} holds no weights by name; {WHERE}")
    named = {str(name).removeprefix("module."): value for name, value in held.items()}
    return {name: value for name, value in named.items() if isinstance(value, torch.Tensor)}


def _model_of(shapes: Shapes, file: Path) -> str:
    parts = [part for part in _PARTS if any(name.startswith(part) for name in shapes)]
    if len(parts) < len(_PARTS):
        first = ", ".join(list(shapes)[:_NAMED]) or "none"
        raise UsageError(
            f"{file} is a checkpoint of something else: its tensors are called {first} …, Segment"
            f" Anything's {', '.join(part + '…' for part in _PARTS)}; {WHERE}"
        )
    try:
        decoder_shape(shapes)
        return "vit_t" if tinyvit.MARK in shapes else encoder_shape(shapes).name
    except ValueError as error:
        raise UsageError(
            f"{file} is no checkpoint of Segment Anything 1 or MobileSAM: it {error}; {WHERE}"
        ) from error


def _require_fit(wanted: Shapes, given: Shapes, name: str, path: FilePath | None) -> None:
    missing = [f"{key} is missing" for key in wanted if key not in given]
    extra = [f"{key} is not part of it" for key in given if key not in wanted]
    other = [
        f"{key} is {given[key]}, not {wanted[key]}"
        for key in wanted
        if key in given and given[key] != wanted[key]
    ]
    faults = [*missing[:_NAMED], *extra[:_NAMED], *other[:_NAMED]]
    if faults:
        count = len(missing) + len(extra) + len(other)
        raise UsageError(
            f"{path} does not fit {name} of Segment Anything in {count} of its tensors:"
            f" {'; '.join(faults)}"
        )
