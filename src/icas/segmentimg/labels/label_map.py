"""Label maps that a notebook shows as pictures, and that are plain arrays to everything else."""

from __future__ import annotations

from typing import Any, SupportsIndex

import numpy as np

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
        from icas.notebook.images import as_png, fitted, mottled

        return as_png(mottled(fitted(plain(self), (SHOWN, SHOWN))))


def plain(value: Any) -> Any:
    """A label map as a plain array, which shares its memory; everything else as it is."""
    return value.view(np.ndarray) if isinstance(value, LabelMap) else value


def label_map(labels: Labels) -> Labels:
    """The same labels, which share their memory, as a `LabelMap`."""
    return labels.view(LabelMap)
