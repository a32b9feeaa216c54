"""Files of trained networks: weights and settings in one; nothing in them is executed."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icas.clusterimg.networks.autoencoder import Autoencoder
from icas.clusterimg.networks.weights import (
    FilePath,
    State,
    holds_safetensors,
    load_weights,
    read_held,
    read_state_dict,
    require_fit,
    safetensors_settings,
    write_bytes,
)
from icas.common.errors import UsageError
from icas.common.registry import need

__all__ = ["load_autoencoder", "load_weights", "read_model", "read_state_dict", "write_model"]

MARK = "icas"
"""Where a file holds the JSON text of its settings."""


def write_model(path: FilePath, network: Autoencoder, settings: Mapping[str, Any]) -> None:
    """Write `network` into a file, whole or not at all; one that is there is replaced.

    Parameters
    ----------
    path
        Ends in .safetensors, or is written as ``torch.save`` does.
    network : Autoencoder
        Its weights are written from wherever they are.
    settings : mapping
        What else is to be known of it, as JSON takes it; size, dims and width are added.
    """
    shape = {"size": network.size, "dims": network.dims, "width": network.width}
    text = json.dumps({**settings, "network": {"kind": "autoencoder", **shape}})
    state = {
        name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()
    }
    packed = _safetensors if holds_safetensors(path) else _torch_file
    write_bytes(Path(path), packed(text, state))


def _torch_file(text: str, state: State) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save({MARK: text, "state_dict": state}, buffer)
    return buffer.getvalue()


def _safetensors(text: str, state: State) -> bytes:
    need("a .safetensors file", "deep", "safetensors")
    from safetensors.torch import save

    return bytes(save(state, metadata={MARK: text}))


def read_model(path: FilePath) -> tuple[dict[str, Any], State]:
    """Settings and weights of a file that `write_model` wrote.

    Returns
    -------
    settings : dict
        With ``network``: kind, size, dims, width.
    state : dict
        Name -> tensor, on the CPU.
    """
    if holds_safetensors(path):
        text, state = safetensors_settings(path, MARK), read_held(path)
    else:
        held = read_held(path)
        text = held.get(MARK) if isinstance(held, Mapping) else None
        state = held.get("state_dict") if isinstance(held, Mapping) else None
    settings = _parsed(text)
    if settings is None or not isinstance(state, Mapping):
        raise UsageError(
            f"{path} is not a network of clusterimg train: it contains no icas settings"
        )
    return settings, dict(state)


def _parsed(text: Any) -> dict[str, Any] | None:
    try:
        settings = json.loads(text)
        shape = settings["network"]
        whole = all(isinstance(shape[key], int) for key in ("size", "dims", "width"))
    except (TypeError, ValueError, KeyError):
        return None
    return settings if whole and shape.get("kind") == "autoencoder" else None


def load_autoencoder(path: FilePath, device: str = "cpu") -> tuple[Autoencoder, dict[str, Any]]:
    """The network of a file that `write_model` wrote, ready to embed, and its settings.

    Parameters
    ----------
    path
        As `read_model`.
    device : str
        As torch names it.
    """
    import torch

    settings, state = read_model(path)
    shape = settings["network"]
    with torch.device("meta"):  # shapes alone: the weights come from the file
        network = Autoencoder(shape["size"], shape["dims"], shape["width"])
    require_fit(network, state, path, f"an autoencoder for {shape['size']} pixels")
    network.load_state_dict(state, assign=True)
    return network.to(device).eval().requires_grad_(False), settings
