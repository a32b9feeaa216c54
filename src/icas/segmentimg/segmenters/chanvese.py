"""Level set between light and dark (Chan and Vese), cut into bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from icas.cli.options import check_options, option
from icas.io.reading import Image
from icas.segmentimg.labels.labels import Labels, absorb_small, connected

STARTS = ("checkerboard", "disk", "small disk")
MOST_PIXELS = 160_000
"""The level set is found on a picture of at most so many pixels: its time grows with them."""


@dataclass(frozen=True)
class ChanVese:
    """Connected pieces of the bands of ``skimage.segmentation.chan_vese``'s level set.

    The level set of the gray picture, whose zero line parts light from dark, is cut into `bins`
    bands of equal area.

    Source: T. Chan, L. Vese, Active contours without edges, IEEE Transactions on Image Processing
    10 (2001); P. Getreuer, Chan-Vese segmentation, IPOL 2012.

    Raises
    ------
    UsageError
        An option is outside its limits.
    """

    bins: int = option(12, "bands that the level set is cut into", minimum=2, maximum=256)
    mu: float = option(0.1, "how much a short border counts", minimum=0, maximum=10)
    lambda1: float = option(1.0, "how even the inside has to be", minimum=0, maximum=100)
    lambda2: float = option(1.0, "how even the outside has to be", minimum=0, maximum=100)
    tol: float = option(0.001, "change at which it rests", minimum=0, maximum=1)
    max_num_iter: int = option(50, "rounds", minimum=1, maximum=10_000)
    dt: float = option(0.5, "step", minimum=0.001, maximum=10)
    init_level_set: str = option("checkerboard", "start", choices=STARTS)
    min_size: int = option(60, "least piece", unit="pixels", minimum=1, maximum=1_000_000)

    name: ClassVar[str] = "chanvese"

    def __post_init__(self) -> None:
        check_options(self)

    def groups(self, image: Image) -> Labels:
        """Number of the connected piece of each pixel."""
        level = self._level_set(image)
        inner = np.linspace(0, 1, self.bins + 1)[1:-1]
        bands = np.digitize(level, np.quantile(level, inner)).astype(np.int32)
        return absorb_small(image, connected(bands), self.min_size)

    def _level_set(self, image: Image) -> NDArray[np.float32]:
        """(h, w) level set, found on a smaller picture where the picture is large."""
        from skimage.segmentation import chan_vese

        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        height, width = gray.shape
        if min(height, width) < 4:
            return gray.astype(np.float32)
        share = min(1.0, (MOST_PIXELS / gray.size) ** 0.5)
        small = (max(4, round(width * share)), max(4, round(height * share)))
        brought = gray if share == 1 else cv2.resize(gray, small, interpolation=cv2.INTER_AREA)
        found: Any = chan_vese(  # type: ignore[no-untyped-call]
            brought.astype(np.float64) / 255,
            mu=self.mu,
            lambda1=self.lambda1,
            lambda2=self.lambda2,
            tol=self.tol,
            max_num_iter=self.max_num_iter,
            dt=self.dt,
            init_level_set=self.init_level_set,
            extended_output=True,
        )
        level = np.asarray(found[1], np.float32)
        return np.asarray(cv2.resize(level, (width, height)), np.float32)
