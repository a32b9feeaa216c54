"""Which way of grouping is meant: by links, by links and a linkage, or by models."""

from __future__ import annotations

from icas.clusterimg.clustering.base import LINKAGES, Grouping, LinkGrouping
from icas.clusterimg.clustering.linkage import LinkageGrouping
from icas.clusterimg.clustering.models import ModelGrouping
from icas.clusterimg.linking.candidates import CandidateStage, check_candidates
from icas.clusterimg.methods.base import GroupedByModels, Method
from icas.common.errors import UsageError


def make_grouping(
    method: Method,
    threshold: float | str | None,
    linkage: str = "chain",
    *,
    candidates: int | None = None,
    seed: int = 0,
) -> Grouping:
    """By links where a number is given or the method has no models, else by models.

    Parameters
    ----------
    threshold : float or str or None
        A number, or something else for the method's own way.
    linkage : {"chain", "complete", "average"}
        What becomes of a connected component of the links.
    candidates : int, optional
        Others that each image is compared with; default all.
    seed : int
        Draws the images by which the candidates are checked.

    Raises
    ------
    UsageError
        No such linkage; a number or a linkage, and models are asked for; or the method has no
        candidates.
    """
    if linkage not in LINKAGES:
        raise UsageError(f"no linkage {linkage!r}; choose from {', '.join(LINKAGES)}")
    stage = None
    if candidates is not None:
        check_candidates(method, candidates)
        stage = CandidateStage(candidates, seed, whole=linkage != "chain")
    number = None if threshold is None or isinstance(threshold, str) else float(threshold)
    if isinstance(method, GroupedByModels):
        if number is not None:
            method = method.by_links()
        grid = method.grid()
        if grid is not None:
            if linkage != "chain":
                raise UsageError(
                    f"--linkage {linkage} cuts what links join, and method {method.name!r} groups"
                    " by models here: give --threshold F for links, or leave --linkage out"
                )
            return ModelGrouping(method, grid, method.seed)
    if number is None:
        number = method.default_threshold
    if linkage == "chain":
        return LinkGrouping(method, number, candidates=stage)
    return LinkageGrouping(method, number, candidates=stage, linkage=linkage)
