"""`icas.labels_at`: one name for the clusters of a forest and the segments of a merge tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from numpy.typing import NDArray

from icas.common.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from icas.clusterimg.graph import Forest
    from icas.segmentimg.tree import MergeTree


@overload
def labels_at(tree: Forest, threshold: float) -> NDArray[np.int64]: ...
@overload
def labels_at(tree: MergeTree, threshold: int) -> NDArray[np.int32]: ...
def labels_at(tree: Forest | MergeTree, threshold: float) -> NDArray[Any]:
    """Labels at another level, without comparing anything again.

    Parameters
    ----------
    tree : Forest or MergeTree
        ``ImageClusterer.forest_``, or what `icas.merge_tree` gives.
    threshold : float or int
        Of a forest, the similarity from which on images are linked; of a merge tree, how many
        segments are left.

    Returns
    -------
    (n,) int64 or (h, w) int32 ndarray
        Cluster of each image (-1 = outlier), or segment of each pixel (0 = edge).

    Raises
    ------
    UsageError
        The threshold lies below the forest's floor, fewer than one segment is asked for, or
        `tree` is neither.
    """
    from icas.clusterimg import graph
    from icas.segmentimg import tree as merging

    if isinstance(tree, graph.Forest):
        return graph.labels_at(tree, threshold)
    if isinstance(tree, merging.MergeTree):
        return merging.labels_at(tree, int(threshold))
    raise UsageError(f"a Forest or a MergeTree is needed, not {type(tree).__name__}")
