"""Where a model computes: CUDA where there is any, the CPU where its memory does not do."""

from __future__ import annotations

import logging
import re
from typing import Any

from icas.common.errors import UsageError

LOG = logging.getLogger(__name__)


def check_device(device: str) -> None:
    """Whether `device` is written as one; whether it is there is asked later.

    Raises
    ------
    UsageError
        It is neither ``auto`` nor ``cpu``, ``cuda`` or ``cuda:N``.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", str(device)):
        raise UsageError(f"--device {device}: choose from auto, cpu, cuda, cuda:N")


def choose_device(device: str) -> str:
    """The device as torch names it.

    Raises
    ------
    UsageError
        No such device.
    """
    import torch

    check_device(device)
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return "cuda" if there else "cpu"
    number = int(device.partition(":")[2] or 0)
    if device != "cpu" and number >= there:
        raise UsageError(
            f"--device {device}: torch finds {there or 'no'} CUDA devices here; choose auto or cpu"
        )
    return device


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
