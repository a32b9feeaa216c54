"""Merge tree of a segmentation: the order in which adjacent segments are merged."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.io.reading import as_image
from icas.segmentimg.labels.labels import (
    Borders,
    Labels,
    borders,
    label_map_of,
    mean_colors,
    numbered,
    sizes_of,
)


@dataclass(frozen=True)
class MergeTree:
    """Segments of an image and the order in which they merge, most similar first.

    Parameters
    ----------
    labels : (h, w) int32 ndarray
        Segments 1…K; 0 = edge.
    merges : (K - 1, 4) float64 ndarray
        One row per merge: the two merged nodes, the cost, and the size of the new node in pixels.
        Segment s is node s - 1; the node made in row r is K + r, as in
        `scipy.cluster.hierarchy.linkage`. Costs are non-decreasing.

    Attributes
    ----------
    labels, merges
        As given.

    See Also
    --------
    icas.merge_tree : computes a merge tree.
    icas.labels_at : label map with a given number of segments.

    Examples
    --------
    >>> import icas
    >>> from skimage import data
    >>> image = data.coffee()[::4, ::4]
    >>> tree = icas.merge_tree(image, icas.segment(image, "graph"))
    >>> tree.merges.shape == (tree.count - 1, 4)
    True
    >>> table = tree.table(10)
    >>> table.dtype, int(table[0]), int(table.max())
    (dtype('int32'), 0, 10)
    """

    labels: Labels
    merges: NDArray[np.float64]

    @property
    def count(self) -> int:
        """int: number of segments before any merge, K."""
        return len(self.merges) + 1 if self.labels.max(initial=0) else 0

    def table(self, n: int) -> NDArray[np.int32]:
        """Map each segment to its group when `n` groups are left.

        ``tree.table(n)[tree.labels]`` is the label map with `n` segments.

        Parameters
        ----------
        n : int
            Number of groups, at least 1; with `n` >= K each segment is a group.

        Returns
        -------
        (K + 1,) int32 ndarray
            Group of each segment, numbered from 1 by the lowest segment; 0 for label 0.

        Raises
        ------
        UsageError
            `n` is below 1.
        """
        if n < 1:
            raise UsageError(f"n {n}: must be at least 1 segment")
        count = self.count
        done = max(0, count - n)
        root = np.arange(count + done)
        for row in range(done - 1, -1, -1):
            first, second = self.merges[row, :2].astype(np.int64)
            root[first] = root[second] = root[count + row]
        return numbered(np.concatenate([[-1], root[:count]]))

    def _repr_html_(self) -> str:
        """The segments, and label maps with a 4th, a 16th and a 64th of them, for notebooks."""
        from icas.notebook.show import show

        some = [n for n in (self.count // 4, self.count // 16, self.count // 64) if n > 1]
        return show(self.labels, *(labels_at(self, n) for n in some))._repr_html_()


def merge_tree(image: NDArray[Any], labels: Labels) -> MergeTree:
    """Merge the adjacent segments of an image step by step, cheapest pair first.

    Parameters
    ----------
    image : (h, w, 3) uint8 ndarray
        RGB; or any other image that `icas.segment` takes.
    labels : (h, w) int32 ndarray
        Segments 1…K; 0 = edge.

    Returns
    -------
    MergeTree
        Input of `icas.labels_at`.

    Raises
    ------
    UsageError
        Image and labels differ in size.

    Notes
    -----
    The cost of a pair, in CIE Lab, is the squared distance of the mean colors plus three times
    the squared mean contrast along the common border plus 50, times Ward's weight of the sizes,
    divided by the square root of the border's length. Small segments and segments with a long
    common border merge early.

    References
    ----------
    - J. H. Ward, "Hierarchical grouping to optimize an objective function", Journal of the
      American Statistical Association 58 (1963).

    Examples
    --------
    >>> import icas
    >>> from skimage import data
    >>> image = data.coffee()[::4, ::4]
    >>> tree = icas.merge_tree(image, icas.segment(image, "graph"))
    >>> int(icas.labels_at(tree, 12).max())
    12
    """
    picture = as_image(image)
    whole = label_map_of(labels, picture)
    return tree_of(segment_graph(picture, whole), whole)


def labels_at(tree: MergeTree, n: int) -> Labels:
    """Label map with `n` segments, or K if that is fewer."""
    return tree.table(n)[tree.labels]


CONTRAST, FLOOR = 3.0, 50.0
"""Weight of the squared contrast, and the least squared difference of two segments."""


@dataclass(frozen=True, eq=False)
class SegmentGraph:
    """Sizes and CIE Lab colors of segments, and the pairs of adjacent ones."""

    sizes: NDArray[np.int64]
    """(K + 1,) pixels of each."""
    colors: NDArray[np.float64]
    """(K + 1, 3) mean color of each."""
    touching: Borders

    @property
    def count(self) -> int:
        """Number of segments."""
        return len(self.sizes) - 1


def segment_graph(image: NDArray[np.uint8], labels: Labels) -> SegmentGraph:
    """The graph of the segments 1…K of an image."""
    import cv2

    lab = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2Lab), np.uint8)
    lab[..., 0] = np.rint(np.arange(256) / 2.55).astype(np.uint8)[lab[..., 0]]  # 0 to 100
    return SegmentGraph(sizes_of(labels), mean_colors(lab, labels), borders(lab, labels))


def tree_of(graph: SegmentGraph, labels: Labels) -> MergeTree:
    """The merge tree of a graph of these segments."""
    return MergeTree(labels, _Merger(graph).run())


class _Merger:
    """Pairs of adjacent segments in a heap; a merge updates the costs of the merged segment."""

    def __init__(self, graph: SegmentGraph) -> None:
        self.count = graph.count
        self.sizes = graph.sizes[1:].astype(float).tolist()
        self.colors = list(graph.colors[1:])
        self.neighbors: list[dict[int, tuple[float, float]]] = [{} for _ in range(self.count)]
        touching = graph.touching
        for a, b, length, contrast in zip(
            (touching.a - 1).tolist(),
            (touching.b - 1).tolist(),
            touching.length.tolist(),
            touching.contrast.tolist(),
            strict=True,
        ):
            self.neighbors[a][b] = self.neighbors[b][a] = (length, length * contrast)

    def run(self) -> NDArray[np.float64]:
        heap = [
            (self._cost(a, b), a, b) for a in range(self.count) for b in self.neighbors[a] if a < b
        ]
        heapq.heapify(heap)
        merged: set[int] = set()
        merges: list[tuple[float, float, float, float]] = []
        floor = 0.0
        while heap:
            cost, a, b = heapq.heappop(heap)
            if a in merged or b in merged:
                continue
            floor = max(floor, cost)
            new = self._merge(a, b)
            merged.update((a, b))
            merges.append((a, b, floor, self.sizes[new]))
            for other in self.neighbors[new]:
                heapq.heappush(heap, (self._cost(other, new), other, new))
        return np.array(merges, np.float64).reshape(-1, 4)

    def _cost(self, a: int, b: int) -> float:
        length, steps = self.neighbors[a][b]
        weight = self.sizes[a] * self.sizes[b] / (self.sizes[a] + self.sizes[b])
        difference = self.colors[a] - self.colors[b]
        contrast = steps / length
        apart = difference @ difference + CONTRAST * contrast * contrast + FLOOR
        return float(weight * apart / length**0.5)

    def _merge(self, a: int, b: int) -> int:
        new, size = len(self.sizes), self.sizes[a] + self.sizes[b]
        mixed = self.sizes[a] * self.colors[a] + self.sizes[b] * self.colors[b]
        self.sizes.append(size)
        self.colors.append(mixed / size)
        self.neighbors.append({})
        for old in (a, b):
            for other, (length, steps) in self.neighbors[old].items():
                if other in (a, b):
                    continue
                del self.neighbors[other][old]
                before = self.neighbors[new].get(other, (0.0, 0.0))
                shared = (before[0] + length, before[1] + steps)
                self.neighbors[new][other] = self.neighbors[other][new] = shared
        return new
