"""Felzenszwalb, OpenCV's graph segmentation, and quickshift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from icas.cli.options import option
from icas.io.reading import Image
from icas.segmentimg.labels.labels import Labels, absorb_small, connected
from icas.segmentimg.segmenters import Segmenter


@dataclass(frozen=True)
class Felzenszwalb(Segmenter):
    """``skimage.segmentation.felzenszwalb``.

    Source: P. Felzenszwalb, D. Huttenlocher, Efficient graph-based image segmentation, IJCV 2004.
    """

    scale: float = option(60.0, "higher = larger segments", minimum=0, maximum=1e6)
    sigma: float = option(0.8, "Gaussian smoothing", unit="pixels", minimum=0, maximum=100)
    min_size: int = option(60, "minimum segment size", unit="pixels", minimum=1, maximum=1_000_000)

    name: ClassVar[str] = "felzenszwalb"

    def groups(self, image: Image) -> Labels:
        """Segments, numbered from 1."""
        from skimage.segmentation import felzenszwalb

        groups: Any = felzenszwalb(
            image, scale=self.scale, sigma=self.sigma, min_size=self.min_size
        )
        return absorb_small(image, connected(np.asarray(groups, np.int32)), self.min_size)


@dataclass(frozen=True)
class Graph(Segmenter):
    """``cv2.ximgproc.segmentation.createGraphSegmentation``: as Felzenszwalb, faster.

    Source: P. Felzenszwalb, D. Huttenlocher, Efficient graph-based image segmentation, IJCV 2004.
    """

    sigma: float = option(0.5, "Gaussian smoothing", unit="pixels", minimum=0.01, maximum=100)
    k: float = option(30.0, "higher = larger segments", minimum=0, maximum=1e6)
    min_size: int = option(40, "minimum segment size", unit="pixels", minimum=1, maximum=1_000_000)

    name: ClassVar[str] = "graph"

    def groups(self, image: Image) -> Labels:
        """Segments, numbered from 1."""
        import cv2

        graph = cv2.ximgproc.segmentation.createGraphSegmentation(self.sigma, self.k, self.min_size)
        groups = np.asarray(graph.processImage(image), np.int32)
        return absorb_small(image, connected(groups), self.min_size)


@dataclass(frozen=True)
class Quickshift(Segmenter):
    """``skimage.segmentation.quickshift``.

    Source: A. Vedaldi, S. Soatto, Quick shift and kernel methods for mode seeking, ECCV 2008.
    """

    ratio: float = option(0.5, "weight of colour against position", minimum=0, maximum=1)
    kernel_size: float = option(
        2.0, "kernel width; higher = fewer segments", unit="pixels", minimum=0.5, maximum=20
    )
    max_dist: float = option(
        10.0, "maximum distance to a mode; higher = fewer segments", minimum=0.5, maximum=1000
    )
    sigma: float = option(0.0, "Gaussian smoothing", unit="pixels", minimum=0, maximum=100)
    min_size: int = option(50, "minimum segment size", unit="pixels", minimum=1, maximum=1_000_000)
    seed: int = option(0, "random seed", minimum=0)

    name: ClassVar[str] = "quickshift"

    def groups(self, image: Image) -> Labels:
        """Segments, numbered from 1."""
        from skimage.segmentation import quickshift

        groups: Any = quickshift(  # type: ignore[no-untyped-call]
            image,
            ratio=self.ratio,
            kernel_size=self.kernel_size,
            max_dist=self.max_dist,
            sigma=self.sigma,
            rng=self.seed,
        )
        return absorb_small(image, connected(np.asarray(groups, np.int32)), self.min_size)
