"""The command ``clusterimg weights``."""

from __future__ import annotations

from pathlib import Path

from icas.common.registry import need
from icas.onnx.command import weights_command


def _export(model: str | None, weights: Path | None, out: Path) -> Path:
    need("the export of a network", "deep", "torch", "torchvision", "onnx")
    from icas.clusterimg.networks.onnx_export import export_onnx

    return export_onnx(model, weights, out)


WEIGHTS = weights_command("clusterimg", _export)
