"""Superpixels by OpenCV: SEEDS, SLIC, SLICO and LSC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from icas.cli.options import alternatives, option
from icas.io.reading import Image
from icas.segmentimg.labels.labels import Labels, absorb_small, connected
from icas.segmentimg.segmenters import Segmenter

ALGORITHMS = ("seeds", "slic", "slico", "lsc")
MIN_SIDE = 8
"""Shorter side in pixels below which an image is one segment: OpenCV needs more."""


@dataclass(frozen=True)
class Superpixels(Segmenter):
    """Superpixels of about the same size.

    Sources: SEEDS, M. Van den Bergh et al., ECCV 2012; SLIC and SLICO, R. Achanta et al., TPAMI
    2012; LSC, Z. Li and J. Chen, CVPR 2015; all as in ``cv2.ximgproc``.
    """

    algorithm: str = option(
        "seeds",
        alternatives(ALGORITHMS),
        choices=ALGORITHMS,
        metavar="NAME",
    )
    region_size: int = option(
        15, "approximate side of a superpixel", unit="pixels", minimum=2, maximum=1000
    )
    ruler: float = option(10.0, "slic: weight of compactness", minimum=0, maximum=1000)
    ratio: float = option(0.075, "lsc: weight of compactness", minimum=0, maximum=1)
    iterations: int = option(10, "number of iterations", minimum=1, maximum=1000)
    levels: int = option(3, "seeds: number of block levels", minimum=1, maximum=12)
    prior: int = option(1, "seeds: weight of smooth borders", minimum=0, maximum=5)
    histogram_bins: int = option(8, "seeds: bins of the colour histogram", minimum=2, maximum=16)

    name: ClassVar[str] = "superpixel"

    def groups(self, image: Image) -> Labels:
        """Superpixels, numbered from 1."""
        height, width = image.shape[:2]
        if min(height, width) < MIN_SIDE:
            return np.ones((height, width), np.int32)
        seeds = self.algorithm == "seeds" and self._seeds_possible(width, height)
        superpixels = self._seeds(image) if seeds else self._by_centres(image)
        labels = connected(np.asarray(superpixels.getLabels(), np.int32))
        return absorb_small(image, labels, max(2, self.region_size**2 // 16))

    def _seeds_possible(self, width: int, height: int) -> bool:
        """Whether SEEDS' first grid has two cells along the shorter side.

        OpenCV crashes without a whole cell there; SLIC segments such narrow images.
        """
        cells = width * height / self.region_size**2
        return cells * min(width, height) / max(width, height) >= 4

    def _seeds(self, image: Image) -> Any:
        import cv2

        height, width = image.shape[:2]
        count = max(1, round(height * width / self.region_size**2))
        levels = min(self.levels, max(1, int(np.log2(max(2, min(width, height) // 2)))))
        seeds = cv2.ximgproc.createSuperpixelSEEDS(
            width, height, 3, count, levels, self.prior, self.histogram_bins, True
        )
        seeds.iterate(image, self.iterations)
        return seeds

    def _by_centres(self, image: Image) -> Any:
        import cv2

        lab = cv2.cvtColor(image, cv2.COLOR_RGB2Lab)
        # Steps longer than a side make OpenCV crash.
        step = max(2, min(self.region_size, min(image.shape[:2]) // 2))
        superpixels: Any
        if self.algorithm == "lsc":
            superpixels = cv2.ximgproc.createSuperpixelLSC(lab, step, self.ratio)
        else:
            kind = cv2.ximgproc.SLICO if self.algorithm == "slico" else cv2.ximgproc.SLIC
            superpixels = cv2.ximgproc.createSuperpixelSLIC(lab, kind, step, self.ruler)
        superpixels.iterate(self.iterations)
        superpixels.enforceLabelConnectivity(25)
        return superpixels
