"""How firmly one cluster hangs together."""

from __future__ import annotations

from dataclasses import dataclass

from icas.clusterimg.graph.bridges import Bridge


@dataclass(frozen=True)
class Certificate:
    """How one cluster hangs together.

    Attributes
    ----------
    cluster : int
        Its number.
    images : int
        How many.
    weakest_link : float
        The threshold above which the cluster would break in two.
    least_similar_pair : float
        Similarity of the two images that are least alike, of those that were compared: all pairs
        of the cluster, or with merged representatives those within its batches and among its
        representatives.
    medoid : str
        The image most similar to the others.
    bridge : (int, int) or None
        Images of the two parts that the weakest link joins, where it is so weak that the cluster
        may be two.
    """

    cluster: int
    images: int
    weakest_link: float
    least_similar_pair: float
    medoid: str
    bridge: Bridge | None = None
