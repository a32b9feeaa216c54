"""Segment an image at a reduced size and refine the borders at full size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.cli.options import check_keywords, keywords_of
from icas.common.errors import UsageError
from icas.io.reading import Image, as_image, resize
from icas.segmentimg.labels.label_map import label_map
from icas.segmentimg.labels.labels import Labels, absorb_small, border_band, connected, mean_colors
from icas.segmentimg.segmenters import Segmenter, make_segmenter, segmenter_class

WORK_SIZE = 1_500_000
"""Pixels to which larger images are reduced for segmentation."""


def segment(
    image: NDArray[Any], method: str = "superpixel", *, work_size: int = WORK_SIZE, **options: Any
) -> Labels:
    """Segment an image.

    Parameters
    ----------
    image : (h, w, 3) uint8 ndarray
        RGB. Also gray (h, w), RGBA (blended over white) and uint16 (upper eight bits).
    method : str, default "superpixel"
        ``superpixel``, ``edge``, ``kmeans``, ``slickmeans``, ``chanvese``, ``felzenszwalb``,
        ``quickshift`` or ``graph``; with boxes or points also ``grabcut`` and ``sam``. Case is
        ignored.
    work_size : int, default 1,500,000
        Larger images are segmented at this number of pixels, then the borders are refined at full
        size. Options in pixels refer to the reduced image.
    **options
        Options of the method, listed in the Notes.

    Returns
    -------
    (h, w) int32 ndarray
        Segments 1…K, each a connected region (4-connectivity), numbered by their first pixel;
        0 = edge.

    Raises
    ------
    UsageError
        The method or an option is unknown, a value is out of range, or the array is not an image.
    MissingExtraError
        ``sam`` without the extra ``icas[sam]``.

    See Also
    --------
    icas.merge_tree : merges segments, for a label map with fewer of them.
    icas.grabcut : one object from boxes and strokes.

    Notes
    -----
    Options of the methods with their defaults; ``segmentimg --help-all`` describes them:

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

    Boxes are ``(x0, y0, x1, y1)``; points are ``(x, y, label)`` with label
    1 on the object and 0 on the background.

    References
    ----------
    - superpixel: M. Van den Bergh et al., "SEEDS", ECCV 2012; R. Achanta et al., "SLIC
      superpixels compared to state-of-the-art superpixel methods", TPAMI 2012; Z. Li and
      J. Chen, "Superpixel segmentation using linear spectral clustering", CVPR 2015.
    - edge: F. Meyer, "Topographic distance and watershed lines", Signal Processing 1994.
    - kmeans, slickmeans: D. Arthur and S. Vassilvitskii, "k-means++", SODA 2007.
    - chanvese: T. Chan and L. Vese, "Active contours without edges", 2001.
    - felzenszwalb, graph: P. Felzenszwalb and D. Huttenlocher, "Efficient graph-based image
      segmentation", IJCV 2004.
    - quickshift: A. Vedaldi and S. Soatto, "Quick shift and kernel methods for mode
      seeking", ECCV 2008.
    - sam: A. Kirillov et al., "Segment Anything", ICCV 2023.

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
    check_keywords(options, keywords_of(segmenter_class(method)), f"method {method!r}")
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
    """Labels at `size` (width, height), by nearest neighbor."""
    import cv2

    return np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST), np.int32)


def refine_borders(image: Image, labels: Labels, colors: NDArray[np.float32], reach: int) -> Labels:
    """Move borders, by up to `reach` pixels, to where the colors of the full image change.

    Every pixel within `reach` of a border is assigned to the segment with the nearest mean color:
    its own, or one `reach` pixels up, down, left or right. `colors`: (K + 1, 3) mean colors.
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
    """Of the colors in each row."""
    step = a - b
    return np.asarray(np.einsum("ij,ij->i", step, step), np.float32)
