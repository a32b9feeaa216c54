"""Sides of the images that an autoencoder takes, and the strides that bring them down."""

from __future__ import annotations

from icas.common.errors import UsageError

SMALLEST, LARGEST = 32, 4096
CORE = 4
"""Side of the last feature map."""

_BOUNDED = 64
"""Maps of more pixels a side come from strides of 4 in large images, so that memory is bounded."""


def check_size(size: int) -> None:
    """Whether an autoencoder for images of `size` x `size` pixels can be built."""
    if not (SMALLEST <= size <= LARGEST and size & (size - 1) == 0):
        raise UsageError(
            f"--size {size}: expected a power of two from {SMALLEST} to {LARGEST} pixels"
        )


def strides_of(size: int) -> tuple[int, ...]:
    """Strides of the stages, first to last, that bring `size` down to 4 pixels.

    Up to 128 pixels every stage halves. From 256 on the first ones quarter, until maps are no
    larger than 64 x 64.

    Examples
    --------
    >>> strides_of(64), strides_of(256), strides_of(512)
    ((2, 2, 2, 2), (4, 2, 2, 2, 2), (4, 2, 2, 2, 2, 2))
    """
    check_size(size)
    strides: list[int] = []
    side = size
    while side > CORE:
        strides.append(4 if size > 2 * _BOUNDED and side >= 4 * _BOUNDED else 2)
        side //= strides[-1]
    return tuple(strides)
