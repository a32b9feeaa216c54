"""Label maps that a notebook shows as pictures, and that are plain arrays to everything else."""

from __future__ import annotations

from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.segmentimg.labels.labels import Labels

SHOWN = 720
"""Longest side in pixels of the picture that a notebook shows."""


class LabelMap(np.ndarray[Any, np.dtype[Any]]):
    """Labels of pixels: an array like any other, which a notebook shows as a picture.

    Whatever is computed from it is a plain array; views and copies (``labels[10:90]``,
    ``labels.T``) are label maps, too. It is pickled and saved as a plain array.
    """

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **settings: Any) -> Any:
        out = settings.get("out")
        if out is not None:
            settings["out"] = tuple(map(plain, out))
        result = getattr(ufunc, method)(*map(plain, inputs), **settings)
        # `labels += 1` has to give what it changed, not another view of it
        return out[0] if out is not None and len(out) == 1 and out[0] is not None else result

    def __array_function__(self, func: Any, types: Any, args: Any, settings: Any) -> Any:
        result = super().__array_function__(func, types, args, settings)
        if type(result) in (tuple, list):
            return type(result)(map(plain, result))
        return plain(result)

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        return plain(self).__reduce_ex__(protocol)

    def __repr__(self) -> str:
        return repr(plain(self))

    def _repr_png_(self) -> bytes | None:
        """The picture, at most `SHOWN` pixels long; None of what is no picture."""
        if self.ndim != 2 or self.size == 0 or self.dtype.kind not in "iu":
            return None
        from icas.notebook.html import as_png

        return as_png(mottled(fitted(plain(self), (SHOWN, SHOWN))))


def plain(value: Any) -> Any:
    """A label map as a plain array, which shares its memory; everything else as it is."""
    return value.view(np.ndarray) if isinstance(value, LabelMap) else value


def label_map(labels: Labels) -> Labels:
    """The same labels, which share their memory, as a `LabelMap`."""
    return labels.view(LabelMap)


def mottled(labels: NDArray[np.integer[Any]]) -> Image:
    """(h, w, 3): each label in a colour of its own, the same every time; 0 and below black."""
    values, place = np.unique(labels, return_inverse=True)
    colors = _colors(values.astype(np.int64))
    return np.asarray(colors[place.reshape(labels.shape)], np.uint8)


def _colors(values: NDArray[np.int64]) -> NDArray[np.uint8]:
    """A row of RGB a label: hues a golden section apart, so that near numbers look different."""
    import cv2

    hue = np.mod(values * 0.61803398875, 1.0) * 180
    saturation = 110 + (values * 53) % 110
    value = 150 + (values * 89) % 106
    hsv = np.stack([hue, saturation, value], axis=1).astype(np.uint8)
    colors = np.asarray(cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0], np.uint8)
    colors[values <= 0] = 0
    return colors


def fitted(labels: NDArray[Any], most: tuple[int, int]) -> NDArray[Any]:
    """`labels` no larger than `most` (width, height); see `at_size`."""
    height, width = labels.shape[:2]
    share = min(1.0, most[0] / width, most[1] / height)
    return at_size(labels, (max(1, round(width * share)), max(1, round(height * share))))


def at_size(labels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """`labels` at `size` (width, height): every pixel is the nearest of theirs."""
    height, width = labels.shape[:2]
    if (width, height) == size:
        return labels
    return labels[_spread(height, size[1])][:, _spread(width, size[0])]


def _spread(length: int, count: int) -> NDArray[np.int64]:
    """Places of `count` pixels among `length`: the middle of each part."""
    return np.minimum(((np.arange(count) + 0.5) * length / count).astype(np.int64), length - 1)
