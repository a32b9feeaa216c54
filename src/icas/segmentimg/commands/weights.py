"""The command ``segmentimg weights``."""

from __future__ import annotations

from icas.onnx.command import weights_command

WEIGHTS = weights_command("segmentimg")
