"""`icas.labels_at`: clusters of a forest, or segments of a merge tree, at a threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from numpy.typing import NDArray

from icas.common.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from icas.clusterimg.graph.forest import Forest
    from icas.segmentimg.labels.merge_tree import MergeTree


@overload
def labels_at(tree: Forest, threshold: float) -> NDArray[np.int64]: ...
@overload
def labels_at(tree: MergeTree, threshold: int) -> NDArray[np.int32]: ...
def labels_at(tree: Forest | MergeTree, threshold: float) -> NDArray[Any]:
    """Compute clusters or segments at another threshold, without new comparisons.

    Parameters
    ----------
    tree : Forest or MergeTree
        ``ImageClusterer.forest_``, or the result of `icas.merge_tree`.
    threshold : float or int
        For a Forest: minimum similarity of linked images. For a MergeTree: number of segments, at
        least 1 (fewer are returned if there are fewer).

    Returns
    -------
    (n,) int64 or (h, w) int32 ndarray
        Cluster of each image (0 = largest cluster, -1 = outlier), or segment of each pixel (from
        1, 0 = edge).

    Raises
    ------
    UsageError
        The threshold is below ``forest.floor``, the number of segments is below 1, or `tree` has
        another type.

    See Also
    --------
    icas.recut : Give a result on disk another threshold.

    Examples
    --------
    >>> import icas
    >>> from skimage import data
    >>> pictures = [data.coffee(), data.coffee()[::2, ::2], data.camera()]
    >>> model = icas.ImageClusterer("imagehash", threshold=0.4).fit(pictures)
    >>> icas.labels_at(model.forest_, 0.9)
    array([ 0,  0, -1])

    >>> image = data.coffee()[::4, ::4]
    >>> tree = icas.merge_tree(image, icas.segment(image))
    >>> labels = icas.labels_at(tree, 30)
    >>> labels.shape, labels.dtype, int(labels.max())
    ((100, 150), dtype('int32'), 30)
    """
    from icas.clusterimg.graph import forest as graph
    from icas.segmentimg.labels import merge_tree as merging
    from icas.segmentimg.labels.label_map import label_map

    if isinstance(tree, graph.Forest):
        return graph.labels_at(tree, threshold)
    if isinstance(tree, merging.MergeTree):
        return label_map(merging.labels_at(tree, int(threshold)))
    raise UsageError(f"expected a Forest or a MergeTree, got {type(tree).__name__}")
