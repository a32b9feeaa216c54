"""Compute devices of torch: the CPU, a CUDA device, or Apple's GPU."""

from __future__ import annotations

import re

from icas.common.errors import UsageError

CHOICES = "auto, cpu, cuda, cuda:N, mps"


def check_device(device: str) -> None:
    """Check the spelling of a device; `choose_device` checks that it exists."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?|mps", str(device)):
        raise UsageError(f"--device {device}: choose from {CHOICES}")


def choose_device(device: str) -> str:
    """The device as torch names it; ``auto`` is CUDA if available, else the CPU.

    ``auto`` is never Apple's GPU, which lacks some operations, such as those of 64-bit floats.
    """
    import torch

    check_device(device)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return "cuda" if count else "cpu"
    if device == "mps" and not torch.backends.mps.is_available():
        raise UsageError("--device mps: torch finds no Apple GPU; choose auto or cpu")
    number = int(device.partition(":")[2] or 0)
    if device.startswith("cuda") and number >= count:
        raise UsageError(
            f"--device {device}: torch finds {count or 'no'} CUDA devices; choose auto or cpu"
        )
    return device
