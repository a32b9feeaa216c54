"""Arrays that a user hands over -> pictures as icas holds them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.io.reading import Image


def as_image(array: NDArray[Any], name: str = "image") -> Image:
    """A picture as an array -> RGB uint8.

    Parameters
    ----------
    array : (h, w), (h, w, 1), (h, w, 3) or (h, w, 4) uint8 or uint16 ndarray
        Gray, RGB, or RGB with alpha, which is laid over white. Of 16 bits the upper eight count.
    name : str
        What the error calls it.

    Raises
    ------
    UsageError
        Another shape or dtype, or no pixels.
    """
    given = np.asarray(array)
    if given.dtype == np.uint16:
        given = (given >> 8).astype(np.uint8)
    channels = 1 if given.ndim == 2 else given.shape[-1]
    if given.dtype != np.uint8 or given.ndim not in (2, 3) or given.size == 0:
        raise UsageError(
            f"{name} is {given.dtype} of shape {given.shape}; needed: uint8, (h, w) gray or"
            " (h, w, 3) RGB"
        )
    if channels == 3:
        return np.ascontiguousarray(given)
    if channels == 1:
        return np.repeat(given.reshape(*given.shape[:2], 1), 3, axis=2)
    if channels == 4:
        return _over_white(given)
    raise UsageError(f"{name} has {channels} channels; gray, RGB or RGBA is needed")


def _over_white(rgba: NDArray[np.uint8]) -> Image:
    from PIL import Image as Pictures

    white = Pictures.new("RGBA", rgba.shape[1::-1], "white")
    return np.array(Pictures.alpha_composite(white, Pictures.fromarray(rgba)).convert("RGB"))
