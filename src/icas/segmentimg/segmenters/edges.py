"""Closed regions between strong gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from icas.cli.options import alternatives, option
from icas.common.errors import UsageError
from icas.io.reading import Image
from icas.segmentimg.labels.labels import Labels, absorb_small, connected
from icas.segmentimg.segmenters import Segmenter

SMOOTHERS = ("bilateral", "nlmeans", "none")


@dataclass(frozen=True)
class Edges(Segmenter):
    """Regions of weak gradient, closed by ridges of strong gradient.

    The image is smoothed along its edges (bilateral filter or non-local means), its gradient is
    the strongest of the three Lab channels' Scharr gradients; a pixel is an edge where the gradient
    is above `strength` times its mean over a window, and gaps are closed. The regions between
    edges are numbered and grow over the edge pixels (watershed on the gradient); with `keep_edges`
    the watershed lines remain 0.

    Sources: C. Tomasi, R. Manduchi, Bilateral filtering, ICCV 1998; A. Buades et al., Non-local
    means, IPOL 2011; F. Meyer, Topographic distance and watershed lines, Signal Processing 1994.
    """

    smoother: str = option(
        "bilateral",
        f"smoothing filter: {alternatives(SMOOTHERS)}",
        choices=SMOOTHERS,
        metavar="NAME",
    )
    d: int = option(5, "bilateral: filter diameter", unit="pixels", minimum=1, maximum=51)
    sigma_color: float = option(
        30.0, "bilateral: sigma of colours", unit="levels", minimum=0.1, maximum=500
    )
    sigma_space: float = option(
        3.0, "bilateral: sigma of positions", unit="pixels", minimum=0.1, maximum=100
    )
    h: float = option(5.0, "nlmeans: filter strength", minimum=0, maximum=100)
    window: int = option(
        15, "window of the mean gradient, odd", unit="pixels", minimum=3, maximum=999
    )
    strength: float = option(
        0.8, "edge threshold, as a multiple of the mean gradient", minimum=0.05, maximum=20
    )
    closing: int = option(
        3, "kernel size that closes gaps in edges, odd", unit="pixels", minimum=1, maximum=99
    )
    min_size: int = option(20, "minimum segment size", unit="pixels", minimum=1, maximum=1_000_000)
    keep_edges: bool = option(False, "keep ridges between segments as edges (label 0)")

    name: ClassVar[str] = "edge"

    def __post_init__(self) -> None:
        super().__post_init__()
        for flag, value in (("--window", self.window), ("--closing", self.closing)):
            if value % 2 == 0:
                raise UsageError(f"{flag} {value}: must be odd")

    def groups(self, image: Image) -> Labels:
        """Regions, numbered from 1; 0 = edge."""
        from skimage.segmentation import watershed

        slope = gradient(self._smoothed(image))
        edge = self._edges(slope)
        regions = connected((~edge).astype(np.int32), edges=True)
        regions = remove_small(regions, max(2, self.min_size // 2))
        if not regions.any():
            return np.ones(image.shape[:2], np.int32)
        regions = watershed(slope, regions, watershed_line=self.keep_edges)  # type: ignore[no-untyped-call]
        labels = connected(np.asarray(regions, np.int32), edges=True)
        return absorb_small(image, labels, self.min_size)

    def _smoothed(self, image: Image) -> Image:
        import cv2

        if self.smoother == "bilateral":
            smooth = cv2.bilateralFilter(image, self.d, self.sigma_color, self.sigma_space)
        elif self.smoother == "nlmeans":
            bgr = np.ascontiguousarray(image[..., ::-1])
            smooth = cv2.fastNlMeansDenoisingColored(bgr, None, self.h, self.h, 5, 11)[..., ::-1]
        else:
            return image
        return np.ascontiguousarray(smooth, np.uint8)

    def _edges(self, slope: NDArray[np.float32]) -> NDArray[np.bool_]:
        import cv2

        mean = cv2.boxFilter(slope, -1, (self.window, self.window))
        strong = (slope > mean * np.float32(self.strength)).astype(np.uint8)
        square = np.ones((self.closing, self.closing), np.uint8)
        return np.asarray(cv2.morphologyEx(strong, cv2.MORPH_CLOSE, square), bool)


def gradient(image: Image) -> NDArray[np.float32]:
    """(h, w) strongest Scharr gradient of the three Lab channels."""
    import cv2

    lab = cv2.cvtColor(image, cv2.COLOR_RGB2Lab).astype(np.float32)
    strongest = np.zeros(image.shape[:2], np.float32)
    for channel in cv2.split(lab):
        across = cv2.Scharr(channel, cv2.CV_32F, 1, 0)
        down = cv2.Scharr(channel, cv2.CV_32F, 0, 1)
        np.maximum(strongest, cv2.magnitude(across, down), out=strongest)
    return strongest


def remove_small(regions: Labels, least: int) -> Labels:
    """Turn regions of fewer than `least` pixels into edge (0)."""
    sizes = np.bincount(regions.ravel())
    kept = sizes >= least
    kept[0] = False
    return np.where(kept[regions], regions, 0).astype(np.int32)
