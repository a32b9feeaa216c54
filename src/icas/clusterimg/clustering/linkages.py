"""The registry of linkages, and the choice between a linkage and clustering models."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from icas.clusterimg.methods.base import Method
from icas.common.errors import UsageError
from icas.common.registry import Entry, Registry, lookup

if TYPE_CHECKING:
    from icas.clusterimg.clustering.base import Clusterer
    from icas.clusterimg.data.links import LinkStore
    from icas.clusterimg.thresholds.sample import Sample

_PACKAGE = "icas.clusterimg.clustering."
DEFAULT_LINKAGE = "single"
LINKAGES = Registry(
    "icas.linkages",
    {
        DEFAULT_LINKAGE: Entry(
            _PACKAGE + "base:SingleLinkage", "connected components of the links"
        ),
        "complete": Entry(
            _PACKAGE + "dense_linkage:CompleteLinkage", "every pair reaches the threshold"
        ),
        "average": Entry(
            _PACKAGE + "dense_linkage:AverageLinkage", "the mean of the pairs reaches the threshold"
        ),
    },
    member="partition",
    aliases={"chain": DEFAULT_LINKAGE},
)


def make_clusterer(
    method: Method,
    threshold: float | str | None,
    linkage: str = DEFAULT_LINKAGE,
    *,
    candidates: int | None = None,
    seed: int = 0,
    known: Sample | None = None,
    new_store: Callable[[], LinkStore] | None = None,
) -> Clusterer:
    """A linkage where a number is given or the method has no models, else models.

    Parameters
    ----------
    threshold : float or str or None
        A number, or something else for the method's default.
    linkage : str
        One of `LINKAGES`.
    candidates : int, optional
        Other images that each image is compared with; default all.
    seed : int
        Draws the images by which the candidates are checked.
    known : Sample, optional
        Images whose pairs are compared already.
    new_store : callable, optional
        Makes the store of the links of a batch.
    """
    from icas.clusterimg.clustering.models import ModelClusterer
    from icas.clusterimg.linking.candidates import CandidateStage, check_candidates

    name, entry = lookup(LINKAGES, linkage, "linkage")
    cls = entry.load()
    stage = None
    if candidates is not None:
        check_candidates(method, candidates)
        stage = CandidateStage(candidates, seed, whole=not cls.merges_exactly)
    number = None if threshold is None or isinstance(threshold, str) else float(threshold)
    if number is not None:
        method = method.by_links()
    grid = method.model_grid()
    if grid is not None:
        if name != DEFAULT_LINKAGE:
            raise UsageError(
                f"--linkage {name} needs links, but method {method.name!r} uses clustering"
                " models here: give --threshold F, or remove --linkage"
            )
        return ModelClusterer(method, grid, method.seed)
    if number is None:
        number = method.default_threshold
    more = {} if new_store is None else {"new_store": new_store}
    clusterer: Clusterer = cls(method, number, candidates=stage, known=known, **more)
    return clusterer
