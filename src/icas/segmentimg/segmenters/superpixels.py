"""Superpixels: small, even pieces that follow the edges. OpenCV's SEEDS, SLIC, SLICO and LSC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np

from icas.cli.options import check_options, option
from icas.io.reading import Image
from icas.segmentimg.labels.labels import Labels, absorb_small, connected

ALGORITHMS = ("seeds", "slic", "slico", "lsc")
LEAST_SIDE = 8
"""Pixels of the shorter side below which a picture is one piece: OpenCV's need some room."""


@dataclass(frozen=True)
class Superpixels:
    """Superpixels of about the same size.

    Sources: SEEDS, M. Van den Bergh et al., ECCV 2012; SLIC and SLICO, R. Achanta et al., TPAMI
    2012; LSC, Z. Li and J. Chen, CVPR 2015; all as in ``cv2.ximgproc``.

    Raises
    ------
    UsageError
        An option is outside its limits.
    """

    algorithm: str = option("seeds", "which superpixels", choices=ALGORITHMS)
    region_size: int = option(
        15, "side of a superpixel, about", unit="pixels", minimum=2, maximum=1000
    )
    ruler: float = option(
        10.0, "slic: how much an even shape counts beside colour", minimum=0, maximum=1000
    )
    ratio: float = option(
        0.075, "lsc: how much an even shape counts beside colour", minimum=0, maximum=1
    )
    iterations: int = option(10, "rounds", minimum=1, maximum=1000)
    levels: int = option(3, "seeds: levels of blocks", minimum=1, maximum=12)
    prior: int = option(1, "seeds: how much smooth borders count", minimum=0, maximum=5)
    histogram_bins: int = option(8, "seeds: bins of a colour histogram", minimum=2, maximum=16)

    name: ClassVar[str] = "superpixel"

    def __post_init__(self) -> None:
        check_options(self)

    def groups(self, image: Image) -> Labels:
        """Number of the superpixel of each pixel, from 1."""
        height, width = image.shape[:2]
        if min(height, width) < LEAST_SIDE:
            return np.ones((height, width), np.int32)
        seeds = self.algorithm == "seeds" and self._seeds_have_room(width, height)
        made = self._seeds(image) if seeds else self._by_centres(image)
        cut = connected(np.asarray(made.getLabels(), np.int32))
        return absorb_small(image, cut, max(2, self.region_size**2 // 16))

    def _seeds_have_room(self, width: int, height: int) -> bool:
        """Whether SEEDS' first grid has two cells along the shorter side.

        Without a whole cell there OpenCV crashes; such narrow pictures are cut by SLIC.
        """
        cells = width * height / self.region_size**2
        return cells * min(width, height) / max(width, height) >= 4

    def _seeds(self, image: Image) -> Any:
        height, width = image.shape[:2]
        wanted = max(1, round(height * width / self.region_size**2))
        made = cv2.ximgproc.createSuperpixelSEEDS(
            width, height, 3, wanted, self._levels(width, height), self.prior, self.histogram_bins,
            True,
        )  # fmt: skip
        made.iterate(image, self.iterations)
        return made

    def _levels(self, width: int, height: int) -> int:
        """Levels that a picture of this size has room for."""
        room = max(1, int(np.log2(max(2, min(width, height) // 2))))
        return min(self.levels, room)

    def _by_centres(self, image: Image) -> Any:
        lab = cv2.cvtColor(image, cv2.COLOR_RGB2Lab)
        # Steps longer than a side make OpenCV crash.
        step = max(2, min(self.region_size, min(image.shape[:2]) // 2))
        made: Any
        if self.algorithm == "lsc":
            made = cv2.ximgproc.createSuperpixelLSC(lab, step, self.ratio)
        else:
            kind = cv2.ximgproc.SLICO if self.algorithm == "slico" else cv2.ximgproc.SLIC
            made = cv2.ximgproc.createSuperpixelSLIC(lab, kind, step, self.ruler)
        made.iterate(self.iterations)
        made.enforceLabelConnectivity(25)
        return made
