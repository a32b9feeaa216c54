"""A picture at several sizes, seen through a viewport."""

from __future__ import annotations

import numpy as np

from icas.common.images import Image
from icas.segmentimg.windows.viewport import Viewport


class Pyramid:
    """A picture at its own size, at half of it, a quarter …: zooming out stays smooth and fast."""

    def __init__(self, image: Image) -> None:
        self._levels = [image]

    def seen(self, viewport: Viewport) -> Image:
        """(h, w, 3): the picture through a viewport; enlarged pixels stay sharp squares."""
        import cv2

        height, width = viewport.size
        if viewport.scale >= 1:
            rows, columns = viewport.rows(0, height), viewport.columns(0, width)
            return np.ascontiguousarray(self._levels[0][rows][:, columns])
        level = self._level(int(np.floor(-np.log2(viewport.scale))))
        down = level.shape[0] / viewport.shape[0]
        right = level.shape[1] / viewport.shape[1]
        # the window's pixel -> the level's, from middle to middle
        to_level = np.array(
            [
                [right / viewport.scale, 0, right * (viewport.left + 0.5 / viewport.scale) - 0.5],
                [0, down / viewport.scale, down * (viewport.top + 0.5 / viewport.scale) - 0.5],
            ]
        )
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        shown = cv2.warpAffine(
            level, to_level, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(shown, np.uint8)

    def _level(self, number: int) -> Image:
        import cv2

        while len(self._levels) <= number:
            last = self._levels[-1]
            size = (max(1, last.shape[1] // 2), max(1, last.shape[0] // 2))
            half = cv2.resize(last, size, interpolation=cv2.INTER_AREA)
            self._levels.append(np.asarray(half, np.uint8))
        return self._levels[number]
