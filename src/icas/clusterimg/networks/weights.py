"""Weight files of any make: bare state dicts, one level down, half precision, safetensors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icas.common.errors import IcasError, UnreadableImageError, UsageError
from icas.common.registry import need
from icas.io.files import write_whole
from icas.io.formats import os_reason, require_file

RANDOM = "random"
"""Value of --weights for random weights."""


FilePath = str | os.PathLike[str]
State = dict[str, Any]
"""Name -> tensor."""

_LEVELS = ("state_dict", "model", "model_state_dict")
_PREFIX = "module."


def holds_safetensors(path: FilePath) -> bool:
    """Whether the name says that the file is one of the package safetensors."""
    return Path(path).suffix.lower() == ".safetensors"


def read_state_dict(path: FilePath) -> State:
    """The tensors of a weight file by name, on the CPU, floats as float32.

    Parameters
    ----------
    path
        A state dict as ``torch.save`` writes it, also one level down under ``state_dict`` or
        ``model``, also with ``module.`` before the names; or .safetensors. Nothing in it is
        executed.
    """
    import torch

    held = read_held(path)
    for level in _LEVELS:
        if isinstance(held, Mapping) and isinstance(held.get(level), Mapping):
            held = held[level]
    named = held.items() if isinstance(held, Mapping) else ()
    state = {str(name): value for name, value in named if isinstance(value, torch.Tensor)}
    if not state:
        raise UsageError(f"{path} contains no named weights")
    if all(name.startswith(_PREFIX) for name in state):
        state = {name.removeprefix(_PREFIX): value for name, value in state.items()}
    return {
        name: value.float() if value.is_floating_point() else value for name, value in state.items()
    }


def load_weights(network: Any, path: FilePath, name: str) -> None:
    """Put the weights of a file into `network`, which messages call `name`."""
    state = read_state_dict(path)
    require_fit(network, state, path, name)
    network.load_state_dict(state)


def require_fit(network: Any, state: Mapping[str, Any], path: FilePath, name: str) -> None:
    """Whether `state` has the tensors of `network`, in their shapes."""
    wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    given = {key: tuple(getattr(value, "shape", ())) for key, value in state.items()}
    missing = [f"{key} is missing" for key in wanted if key not in given]
    extra = [f"{key} is not in the network" for key in given if key not in wanted]
    other = [
        f"{key} has shape {_shown(given[key])}, not {_shown(wanted[key])}"
        for key in wanted
        if key in given and given[key] != wanted[key]
    ]
    faults = [part[0] for part in (missing, extra, other) if part]
    if faults:
        count = len(missing) + len(extra) + len(other)
        raise UsageError(
            f"{path} does not match {name}: {count} tensors differ ({'; '.join(faults)})"
        )


def _shown(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def read_held(path: FilePath) -> Any:
    """What a weight file holds, read so that no code in it runs."""
    file = _there(path)
    try:
        return _read_safetensors(file) if holds_safetensors(file) else _read_torch(file)
    except OSError as error:
        raise UsageError(f"cannot read the weights {path}: {os_reason(error)}") from error
    except ImportError:
        raise
    except Exception as error:  # both packages raise almost any error on other files
        raise UsageError(
            f"cannot read weights from {path}: not a weight file, truncated, damaged, or with"
            " objects other than tensors and plain values"
        ) from error


def _there(path: FilePath) -> Path:
    try:
        require_file(path)
    except UnreadableImageError as error:
        raise UsageError(f"cannot read the weights {path}: {error.message}") from error
    return Path(path)


def _read_torch(file: Path) -> Any:
    import torch

    return torch.load(file, map_location="cpu", weights_only=True)


def _read_safetensors(file: Path) -> State:
    need("a .safetensors file", "deep", "safetensors")
    from safetensors.torch import load_file

    return dict(load_file(file))


def safetensors_settings(path: FilePath, key: str) -> str | None:
    """The text under `key` in the head of a .safetensors file; None where there is none."""
    file = _there(path)
    need("a .safetensors file", "deep", "safetensors")
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as opened:
            text = (opened.metadata() or {}).get(key)
    except (SafetensorError, OSError) as error:
        raise UsageError(f"cannot read weights from {path} ({error})") from error
    return None if text is None else str(text)


def write_bytes(path: Path, data: bytes) -> None:
    """`write_whole`, with an error in words."""
    try:
        write_whole(path, data)
    except OSError as error:
        raise IcasError(f"cannot write {path}: {error.strerror or error}") from error
