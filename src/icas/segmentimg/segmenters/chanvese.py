"""Level set between light and dark (Chan and Vese), divided into bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from icas.cli.options import alternatives, option
from icas.io.reading import Image
from icas.segmentimg.labels.labels import Labels, absorb_small, connected
from icas.segmentimg.segmenters import Segmenter

STARTS = ("checkerboard", "disk", "small disk")
MOST_PIXELS = 160_000
"""Larger images are reduced for the level set: its time grows with the pixels."""


@dataclass(frozen=True)
class ChanVese(Segmenter):
    """Connected pieces of the bands of ``skimage.segmentation.chan_vese``'s level set.

    The level set of the gray image, whose zero line separates light from dark, is divided into
    `bins` bands of equal area.

    Source: T. Chan, L. Vese, Active contours without edges, IEEE Transactions on Image Processing
    10 (2001); P. Getreuer, Chan-Vese segmentation, IPOL 2012.
    """

    bins: int = option(12, "number of bands of the level set", minimum=2, maximum=256)
    mu: float = option(0.1, "weight of the boundary length", minimum=0, maximum=10)
    lambda1: float = option(1.0, "weight of the variance inside", minimum=0, maximum=100)
    lambda2: float = option(1.0, "weight of the variance outside", minimum=0, maximum=100)
    tol: float = option(0.001, "convergence tolerance", minimum=0, maximum=1)
    max_num_iter: int = option(50, "maximum number of iterations", minimum=1, maximum=10_000)
    dt: float = option(0.5, "time step", minimum=0.001, maximum=10)
    init_level_set: str = option(
        "checkerboard",
        f"initial level set: {alternatives(STARTS)}",
        choices=STARTS,
        metavar="NAME",
    )
    min_size: int = option(60, "minimum segment size", unit="pixels", minimum=1, maximum=1_000_000)

    name: ClassVar[str] = "chanvese"
    aliases: ClassVar[tuple[str, ...]] = ("chanvase",)

    def groups(self, image: Image) -> Labels:
        """Connected pieces, numbered from 1."""
        level = self._level_set(image)
        inner = np.linspace(0, 1, self.bins + 1)[1:-1]
        bands = np.digitize(level, np.quantile(level, inner)).astype(np.int32)
        return absorb_small(image, connected(bands), self.min_size)

    def _level_set(self, image: Image) -> NDArray[np.float32]:
        """(h, w) level set, computed on a reduced image where the image is large."""
        import cv2
        from skimage.segmentation import chan_vese

        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        height, width = gray.shape
        if min(height, width) < 4:
            return gray.astype(np.float32)
        scale = min(1.0, (MOST_PIXELS / gray.size) ** 0.5)
        small = (max(4, round(width * scale)), max(4, round(height * scale)))
        resized = gray if scale == 1 else cv2.resize(gray, small, interpolation=cv2.INTER_AREA)
        result: Any = chan_vese(  # type: ignore[no-untyped-call]
            resized.astype(np.float64) / 255,
            mu=self.mu,
            lambda1=self.lambda1,
            lambda2=self.lambda2,
            tol=self.tol,
            max_num_iter=self.max_num_iter,
            dt=self.dt,
            init_level_set=self.init_level_set,
            extended_output=True,
        )
        level = np.asarray(result[1], np.float32)
        return np.asarray(cv2.resize(level, (width, height)), np.float32)
