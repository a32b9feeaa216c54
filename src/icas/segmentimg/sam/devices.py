"""What Segment Anything does where the memory of the GPU is too small for it."""

from __future__ import annotations

import logging
from typing import Any

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
