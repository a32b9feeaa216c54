"""Label maps that are shown as images in notebooks, and otherwise plain arrays."""

from __future__ import annotations

from typing import Any, SupportsIndex

import numpy as np

from icas.segmentimg.labels.labels import Labels

SHOWN = 720
"""Longest side in pixels of the image in a notebook."""


class LabelMap(np.ndarray[Any, np.dtype[Any]]):
    """Labels of pixels: an array that notebooks show as an image.

    Results of computations are plain arrays; views and copies (``labels[10:90]``,
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
        """PNG, at most `SHOWN` pixels long; None for an array that is no label map."""
        if self.ndim != 2 or self.size == 0 or self.dtype.kind not in "iu":
            return None
        from icas.notebook.html import as_png, fitted, mottled

        return as_png(mottled(fitted(plain(self), (SHOWN, SHOWN))))


def plain(value: Any) -> Any:
    """A label map as a plain array that shares its memory; any other value unchanged."""
    return value.view(np.ndarray) if isinstance(value, LabelMap) else value


def label_map(labels: Labels) -> Labels:
    """The labels as a `LabelMap` that shares their memory."""
    return labels.view(LabelMap)
