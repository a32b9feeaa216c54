"""Regions that grow while their contrast allows: Felzenszwalb, OpenCV's graph, quickshift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np

from icas.cli.options import check_options, option
from icas.io.reading import Image
from icas.segmentimg.labels.labels import Labels, absorb_small, connected


@dataclass(frozen=True)
class Felzenszwalb:
    """``skimage.segmentation.felzenszwalb``.

    Source: P. Felzenszwalb, D. Huttenlocher, Efficient graph-based image segmentation, IJCV 2004.

    Raises
    ------
    UsageError
        An option is outside its limits.
    """

    scale: float = option(60.0, "higher = larger segments", minimum=0, maximum=1e6)
    sigma: float = option(0.8, "smoothing before", unit="pixels", minimum=0, maximum=100)
    min_size: int = option(60, "least segment", unit="pixels", minimum=1, maximum=1_000_000)

    name: ClassVar[str] = "felzenszwalb"

    def __post_init__(self) -> None:
        check_options(self)

    def groups(self, image: Image) -> Labels:
        """Number of the segment of each pixel."""
        from skimage.segmentation import felzenszwalb

        found: Any = felzenszwalb(image, scale=self.scale, sigma=self.sigma, min_size=self.min_size)
        return absorb_small(image, connected(np.asarray(found, np.int32)), self.min_size)


@dataclass(frozen=True)
class Graph:
    """``cv2.ximgproc.segmentation.createGraphSegmentation``: as Felzenszwalb, faster.

    Source: P. Felzenszwalb, D. Huttenlocher, Efficient graph-based image segmentation, IJCV 2004.

    Raises
    ------
    UsageError
        An option is outside its limits.
    """

    sigma: float = option(0.5, "smoothing before", unit="pixels", minimum=0.01, maximum=100)
    k: float = option(30.0, "higher = larger segments", minimum=0, maximum=1e6)
    min_size: int = option(40, "least segment", unit="pixels", minimum=1, maximum=1_000_000)

    name: ClassVar[str] = "graph"

    def __post_init__(self) -> None:
        check_options(self)

    def groups(self, image: Image) -> Labels:
        """Number of the segment of each pixel."""
        made = cv2.ximgproc.segmentation.createGraphSegmentation(self.sigma, self.k, self.min_size)
        found = np.asarray(made.processImage(image), np.int32)
        return absorb_small(image, connected(found), self.min_size)


@dataclass(frozen=True)
class Quickshift:
    """``skimage.segmentation.quickshift``.

    Source: A. Vedaldi, S. Soatto, Quick shift and kernel methods for mode seeking, ECCV 2008.

    Raises
    ------
    UsageError
        An option is outside its limits.
    """

    ratio: float = option(0.5, "how much colour counts beside place", minimum=0, maximum=1)
    kernel_size: float = option(
        2.0, "width of the kernel; higher = fewer segments", unit="pixels", minimum=0.5, maximum=20
    )
    max_dist: float = option(
        10.0, "farthest step to a mode; higher = fewer segments", minimum=0.5, maximum=1000
    )
    sigma: float = option(0.0, "smoothing before", unit="pixels", minimum=0, maximum=100)
    min_size: int = option(50, "least segment", unit="pixels", minimum=1, maximum=1_000_000)
    seed: int = option(0, "breaks ties", minimum=0)

    name: ClassVar[str] = "quickshift"

    def __post_init__(self) -> None:
        check_options(self)

    def groups(self, image: Image) -> Labels:
        """Number of the segment of each pixel."""
        from skimage.segmentation import quickshift

        found: Any = quickshift(  # type: ignore[no-untyped-call]
            image,
            ratio=self.ratio,
            kernel_size=self.kernel_size,
            max_dist=self.max_dist,
            sigma=self.sigma,
            rng=self.seed,
        )
        return absorb_small(image, connected(np.asarray(found, np.int32)), self.min_size)
