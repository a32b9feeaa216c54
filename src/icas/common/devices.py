"""Where torch computes: the CPU, a CUDA device, or Apple's GPU."""

from __future__ import annotations

import re

from icas.common.errors import UsageError

CHOICES = "auto, cpu, cuda, cuda:N, mps"


def check_device(device: str) -> None:
    """Whether `device` is written as one; whether it is there is asked later."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?|mps", str(device)):
        raise UsageError(f"--device {device}: choose from {CHOICES}")


def choose_device(device: str) -> str:
    """The device as torch names it; ``auto`` is CUDA where there is any, else the CPU.

    Apple's GPU is taken only where it is asked for: it lacks some operations (64-bit floats among
    them), and a run that nobody sent there should not fail on it.
    """
    import torch

    check_device(device)
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return "cuda" if there else "cpu"
    if device == "mps" and not torch.backends.mps.is_available():
        raise UsageError("--device mps: torch finds no Apple GPU here; choose auto or cpu")
    number = int(device.partition(":")[2] or 0)
    if device.startswith("cuda") and number >= there:
        raise UsageError(
            f"--device {device}: torch finds {there or 'no'} CUDA devices here; choose auto or cpu"
        )
    return device
