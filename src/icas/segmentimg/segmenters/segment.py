"""Segments of an image: the method at a reduced size, borders refined at full size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.io.reading import Image, as_image, resize
from icas.segmentimg.labels.label_map import label_map
from icas.segmentimg.labels.labels import Labels, absorb_small, border_band, connected, mean_colors
from icas.segmentimg.segmenters import Segmenter, make_segmenter

WORK_SIZE = 1_500_000
"""Pixels to which larger images are reduced for segmentation."""


def segment(
    image: NDArray[Any], method: str = "superpixel", *, work_size: int = WORK_SIZE, **options: Any
) -> Labels:
    """Cut a picture into segments.

    Parameters
    ----------
    image : (h, w, 3) uint8 ndarray
        RGB; gray (h, w), RGBA (over white) and uint16 (the upper eight bits) do too.
    method : str, default "superpixel"
        ``superpixel``, ``edge``, ``kmeans``, ``slickmeans``, ``chanvese``, ``felzenszwalb``,
        ``quickshift`` or ``graph``; or, with boxes and points, ``grabcut`` and ``sam``. Case does
        not matter.
    work_size : int, default 1,500,000
        A picture of more pixels is cut at this size; its labels are brought back up and their
        borders refined at full size. Options in pixels count at the working size.
    **options
        The method's own options, listed in the Notes.

    Returns
    -------
    (h, w) int32 ndarray
        1…K, each one connected piece (by sides), numbered in the order of their first pixel; 0 on
        edges only.

    Raises
    ------
    UsageError
        No such method or option, a value outside its limits, or an array that is no picture.
    MissingExtraError
        ``sam`` needs the extra ``icas[sam]``.

    See Also
    --------
    icas.merge_tree : fewer segments, without cutting again.
    icas.grabcut : one object, by boxes and strokes.

    Notes
    -----
    Options of the methods, with their defaults; ``segmentimg --help`` says what each means:

    - superpixel: ``algorithm="seeds"`` (or ``slic``, ``slico``, ``lsc``), ``region_size=15``,
      ``ruler=10.0``, ``ratio=0.075``, ``iterations=10``, ``levels=3``, ``prior=1``,
      ``histogram_bins=8``
    - edge: ``smoother="bilateral"`` (or ``nlmeans``, ``none``), ``d=5``, ``sigma_color=30.0``,
      ``sigma_space=3.0``, ``h=5.0``, ``window=15``, ``strength=0.8``, ``closing=3``,
      ``min_size=20``, ``keep_edges=False``
    - kmeans: ``k=80``, ``color_importance=1.0``, ``position_weight=0.5``, ``sigma=1.0``,
      ``min_size=40``, ``seed=0``
    - slickmeans: ``region_size=8``, ``ruler=10.0``, ``k=200``, ``color_importance=1.0``,
      ``position_weight=1.0``, ``min_size=40``, ``seed=0``
    - chanvese: ``bins=12``, ``mu=0.1``, ``lambda1=1.0``, ``lambda2=1.0``, ``tol=0.001``,
      ``max_num_iter=50``, ``dt=0.5``, ``init_level_set="checkerboard"`` (or ``disk``,
      ``small disk``), ``min_size=60``
    - felzenszwalb: ``scale=60.0``, ``sigma=0.8``, ``min_size=60``
    - quickshift: ``ratio=0.5``, ``kernel_size=2.0``, ``max_dist=10.0``, ``sigma=0.0``,
      ``min_size=50``, ``seed=0``
    - graph: ``sigma=0.5``, ``k=30.0``, ``min_size=40``
    - grabcut: ``boxes=()``, ``points=()``, ``rounds=5``, ``seed=0``
    - sam: ``checkpoint=None``, ``model=None``, ``mode=None``, ``device="auto"``, ``boxes=()``,
      ``points=()``, ``points_per_side=None``, ``points_per_batch=None``,
      ``pred_iou_thresh=0.88``, ``stability_score_thresh=0.95``, ``stability_score_offset=1.0``,
      ``box_nms_thresh=0.7``, ``crop_n_layers=0``, ``crop_nms_thresh=0.7``,
      ``crop_overlap_ratio=0.341``, ``crop_n_points_downscale_factor=1``,
      ``min_mask_region_area=0``, ``min_size=60``, ``cache=None``

    Boxes are ``(x0, y0, x1, y1)``, points ``(x, y, label)`` with 1 on the object and 0 off it.

    Sources: superpixel, SEEDS (M. Van den Bergh et al., ECCV 2012), SLIC and SLICO (R. Achanta
    et al., TPAMI 2012), LSC (Z. Li and J. Chen, CVPR 2015) of OpenCV; edge, F. Meyer's
    watershed (1994) on the gradient of a smoothed picture; kmeans and slickmeans, D. Arthur and
    S. Vassilvitskii (SODA 2007) in CIE Lab; chanvese, T. Chan and L. Vese (2001) of
    scikit-image; felzenszwalb (scikit-image) and graph (OpenCV), P. Felzenszwalb and D.
    Huttenlocher (IJCV 2004); quickshift, A. Vedaldi and S. Soatto (ECCV 2008) of scikit-image;
    sam, A. Kirillov et al. (ICCV 2023).

    Examples
    --------
    >>> import icas
    >>> from skimage import data
    >>> image = data.coffee()[::4, ::4]
    >>> labels = icas.segment(image, "superpixel", region_size=20)
    >>> labels.shape, labels.dtype, int(labels.min())
    ((100, 150), dtype('int32'), 1)
    >>> cup = icas.segment(image, "grabcut", boxes=[(35, 15, 120, 95)])
    >>> bool(cup.max() > 1)
    True
    """
    return label_map(run_segmenter(make_segmenter(method, **options), as_image(image), work_size))


def run_segmenter(segmenter: Segmenter, image: Image, work_size: int = WORK_SIZE) -> Labels:
    """Segments of an RGB image; see `segment`."""
    if work_size < 1:
        raise UsageError(f"--work-size {work_size}: must be at least 1 pixel")
    height, width = image.shape[:2]
    scale = min(1.0, (work_size / (height * width)) ** 0.5)
    if scale == 1 or segmenter.full_size:
        return connected(segmenter.groups(image), edges=True)
    small = resize(image, (max(1, round(width * scale)), max(1, round(height * scale))))
    labels = connected(segmenter.groups(small), edges=True)
    colors = mean_colors(small, labels).astype(np.float32)
    reach = max(1, round(1 / scale))
    return refine_borders(image, enlarge(labels, (width, height)), colors, reach)


def enlarge(labels: Labels, size: tuple[int, int]) -> Labels:
    """Labels at `size` (width, height), by nearest neighbour."""
    import cv2

    return np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST), np.int32)


def refine_borders(image: Image, labels: Labels, colors: NDArray[np.float32], reach: int) -> Labels:
    """Move borders, by up to `reach` pixels, to where the colours of the full image change.

    Every pixel within `reach` of a border goes to that one of the segments around it (its own
    and those `reach` pixels up, down, left and right) whose mean colour is nearest to its own.
    `colors`: (K + 1, 3) mean colours.
    """
    rows, columns = np.nonzero(border_band(labels, reach))
    if len(rows) == 0:
        return labels
    pixels = image[rows, columns].astype(np.float32)
    best = labels[rows, columns]
    least = _squared_distance(colors[best], pixels)
    edge = best == 0
    for down, right in ((-reach, 0), (reach, 0), (0, -reach), (0, reach)):
        near_rows = np.clip(rows + down, 0, labels.shape[0] - 1)
        near_columns = np.clip(columns + right, 0, labels.shape[1] - 1)
        neighbor = labels[near_rows, near_columns]
        distance = _squared_distance(colors[neighbor], pixels)
        better = (distance < least) & (neighbor > 0) & ~edge
        best, least = np.where(better, neighbor, best), np.where(better, distance, least)
    moved = labels.copy()
    moved[rows, columns] = best
    return absorb_small(image, connected(moved, edges=True), 4 * reach * reach)


def _squared_distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of the colours in each row."""
    step = a - b
    return np.asarray(np.einsum("ij,ij->i", step, step), np.float32)
