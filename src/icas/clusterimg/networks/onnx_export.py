"""ONNX files made of networks of torchvision, timm and ``clusterimg train``."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import torch

from icas.clusterimg.networks.embedders import TorchEmbedder, load_torch_embedder
from icas.clusterimg.networks.onnx_embedder import METADATA
from icas.clusterimg.networks.weights import write_bytes
from icas.common.errors import IcasError, UsageError
from icas.common.registry import need
from icas.onnx.model_file import is_onnx, with_metadata

OPSET = 17


def export_onnx(model: str | None, weights: Path | None, out: Path) -> Path:
    """Write a network of torchvision, timm or ``clusterimg train`` as an ONNX file.

    Its outputs are the parts of the features, (n, channels) float32 each; images are
    (n, 3, h, w) float32 RGB, normalised with the mean and deviation in its metadata.

    Parameters
    ----------
    model, weights
        As `load_torch_embedder` takes them.
    out : Path
        File to write, whole or not at all.

    Raises
    ------
    MissingExtraError
        torch or onnx is not installed.
    IcasError
        The network cannot be written as ONNX.
    """
    need("the export of a network", "deep", "torch", "torchvision", "onnx")
    if is_onnx(weights):
        raise UsageError(f"{weights} is an ONNX file already")
    embedder = load_torch_embedder(model, weights, "cpu")
    metadata = {"mean": embedder.mean, "std": embedder.deviation, "model": model or str(weights)}
    data = with_metadata(_exported(embedder), {METADATA: json.dumps(metadata)})
    write_bytes(out, data)
    return out


def _exported(embedder: TorchEmbedder) -> bytes:
    class Parts(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        def forward(self, images: Any) -> tuple[Any, ...]:
            return tuple(embedder.embed(images))

    side = embedder.side or 224
    images = torch.zeros(2, 3, side, side)
    names = [f"part_{number}" for number in range(len(embedder.embed(images)))]
    sides = {} if embedder.side else {2: "height", 3: "width"}
    buffer = io.BytesIO()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                Parts().eval(),
                (images,),
                buffer,
                dynamo=False,
                opset_version=OPSET,
                input_names=["images"],
                output_names=names,
                dynamic_axes={"images": {0: "n", **sides}, **{name: {0: "n"} for name in names}},
            )
    except Exception as error:  # exporters raise nearly anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise IcasError(f"this network cannot be written as ONNX ({reason})") from error
    return buffer.getvalue()
