"""GrabCut: the mask of one object from boxes, strokes or both."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.io.reading import as_image, resize
from icas.segmentimg.grabcut import annotation as marks
from icas.segmentimg.grabcut.full_size import enlarge_mask, reduce_annotation, work_size
from icas.segmentimg.grabcut.mixtures import BoxRounds, exceeds_boxes
from icas.segmentimg.grabcut.strokes import StrokeRounds

Mask = NDArray[np.bool_]


def grabcut(
    image_rgb: NDArray[Any],
    box: Any = None,
    foreground: NDArray[Any] | None = None,
    background: NDArray[Any] | None = None,
    rounds: int = 5,
    *,
    probable_foreground: NDArray[Any] | None = None,
    probable_background: NDArray[Any] | None = None,
    seed: int = 0,
) -> Mask:
    """Segment one object in an image.

    Boxes are segmented by OpenCV's GrabCut. Strokes without a box are first propagated over
    superpixels by color and geodesic distance; GrabCut then refines a band along the border.

    Parameters
    ----------
    image_rgb : (h, w, 3) uint8 ndarray
        RGB; or any other image that `icas.segment` takes.
    box : (x0, y0, x1, y1) or sequence of those, optional
        Boxes around the object, in pixels; x1 and y1 are exclusive. Pixels outside all boxes are
        background, unless there are foreground strokes outside.
    foreground, background : (h, w) bool ndarray, optional
        Strokes on the object and on the background. Where strokes overlap, sure strokes take
        precedence over probable ones, and background over foreground.
    rounds : int, default 5
        Maximum number of rounds, at least 1; stops earlier when a round changes nothing.
    probable_foreground, probable_background : (h, w) bool ndarray, optional
        Strokes whose pixels may change sides.
    seed : int, default 0
        Random seed of the color mixtures.

    Returns
    -------
    (h, w) bool ndarray
        True on the object.

    Raises
    ------
    UsageError
        There is no box and no stroke; the box covers the whole image and there is no background
        stroke; a box is empty or outside the image; a stroke mask has another shape; or `rounds`
        is below 1.

    See Also
    --------
    icas.segment : ``method="grabcut"``, the same as a label map, from boxes and points.

    Notes
    -----
    An image of more than 320,000 pixels is segmented at that size, then the border is refined at
    full size.

    References
    ----------
    - C. Rother, V. Kolmogorov and A. Blake, "GrabCut", SIGGRAPH 2004.
    - X. Bai and G. Sapiro, "A geodesic framework for fast interactive image and video
      segmentation and matting", ICCV 2007.
    - V. Gulshan et al., "Geodesic star convexity for interactive image segmentation",
      CVPR 2010.

    Examples
    --------
    >>> import icas
    >>> import numpy as np
    >>> rows, columns = np.ogrid[:60, :80]
    >>> disc = (rows - 30) ** 2 + (columns - 40) ** 2 < 200
    >>> image = np.where(disc[..., None], (200, 120, 0), (40, 60, 90)).astype(np.uint8)
    >>> mask = icas.grabcut(image, box=(20, 10, 60, 50))
    >>> mask.shape, mask.dtype, bool((mask == disc).all())
    ((60, 80), dtype('bool'), True)
    """
    image = as_image(image_rgb)
    shape = (image.shape[0], image.shape[1])
    if rounds < 1:
        raise UsageError(f"rounds {rounds}: must be at least 1")
    strokes = marks.strokes_of(
        shape, foreground, background, probable_foreground, probable_background
    )
    return GrabCutSession(image, seed=seed).run(
        marks.Annotation(marks.boxes_of(box, shape), strokes), rounds
    )


class GrabCutSession:
    """Rounds on one image; each continues from the one before.

    Independent of windows, so that a round may run on another thread; one at a time.
    """

    def __init__(self, image: NDArray[Any], *, seed: int = 0) -> None:
        self.image = as_image(image)
        self.shape = (self.image.shape[0], self.image.shape[1])
        self._small = resize(self.image, work_size(self.shape)[::-1])
        self._seed = seed
        self._strokes = StrokeRounds(self._small, seed)
        self._boxes = BoxRounds(self._small, seed, self.shape[0] / self._small.shape[0])

    def reset(self) -> None:
        """Forget the rounds so far, but not the superpixels of the image."""
        self._boxes.reset()
        self._strokes.reset()

    def round(self, annotation: marks.Annotation) -> Mask:
        """One round; the annotation may differ from that of the round before."""
        return self.run(annotation, 1)

    def run(self, annotation: marks.Annotation, rounds: int) -> Mask:
        """Up to `rounds` rounds, until one changes nothing; then the border at full size."""
        _check(annotation, self.shape)
        work = reduce_annotation(annotation, (self._small.shape[0], self._small.shape[1]))
        mask = self._round(work)
        for _ in range(rounds - 1):
            last, mask = mask, self._round(work)
            if np.array_equal(last, mask):
                break
        result = enlarge_mask(self.image, self._small, mask)
        result[annotation.strokes == marks.FOREGROUND] = True
        result[annotation.strokes == marks.BACKGROUND] = False
        return result if exceeds_boxes(annotation) else result & annotation.inside()

    def _round(self, work: marks.Annotation) -> Mask:
        if work.boxes or not _any(work, marks.FOREGROUND, marks.PROBABLE_FOREGROUND):
            return self._boxes.round(work)
        return self._strokes.round(work.strokes)


def _check(annotation: marks.Annotation, shape: tuple[int, int]) -> None:
    """Raise a UsageError unless the annotation has a foreground and a background."""
    if annotation.strokes.shape != shape:
        raise UsageError(f"shape mismatch: strokes {annotation.strokes.shape}, image {shape}")
    if annotation.empty:
        raise UsageError(
            "no annotation: draw a box around the object, or strokes on the object and on the"
            " background"
        )
    if (
        annotation.boxes
        and annotation.inside().all()
        and not _any(annotation, marks.BACKGROUND, marks.PROBABLE_BACKGROUND)
    ):
        raise UsageError(
            "the box covers the whole image: leave some background outside it, or draw strokes on"
            " the background"
        )


def _any(annotation: marks.Annotation, *values: int) -> bool:
    return bool(np.isin(annotation.strokes, values).any())
