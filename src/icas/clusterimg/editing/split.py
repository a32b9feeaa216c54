"""Split one cluster of a finished result, at its weakest link or at a similarity."""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console
from icas.clusterimg.clustering.constrained_linkage import join_apart
from icas.clusterimg.data.links import Links
from icas.clusterimg.decisions.constraints import ConstraintArrays
from icas.clusterimg.editing.constrained_run import ConstrainedRun
from icas.clusterimg.editing.recut import Reclustering, recluster, report_of
from icas.clusterimg.graph.forest import Forest, Labels, number_clusters
from icas.clusterimg.results.report import ClusterReport
from icas.clusterimg.results.saved import FinishedRun, check_recorded
from icas.clusterimg.transfer.destination import locked
from icas.clusterimg.transfer.relocation import finish_interrupted
from icas.common.errors import ConflictError, UsageError
from icas.common.union_find import unions
from icas.io.files import path_of
from icas.notebook.html import counted

WEAKEST = "weakest"
_NAMED = 6
"""Parts that a message names."""


def split(
    dst: str | Path,
    cluster: int | str,
    *,
    at: float | str = WEAKEST,
    dry_run: bool = False,
    progress: bool = False,
) -> ClusterReport:
    """Split one cluster of a finished result, without new comparisons.

    The parts become clusters, single images become outliers. Clusters are renumbered by size.

    Parameters
    ----------
    dst : str or Path
        Result folder.
    cluster : int or str
        Number or folder name: 7 or ``"cluster_7"``.
    at : float or {"weakest"}, default "weakest"
        Similarity, at most 1: links below it are removed. ``weakest`` removes the weakest link (all
        of them if several are equal).
    dry_run : bool, default False
        Plan only, change nothing.
    progress : bool, default False
        Show progress bars and warnings on stderr.

    Returns
    -------
    ClusterReport
        The new state of the result; ``afterwards`` lists all splits.

    Raises
    ------
    UsageError
        No finished result, no such cluster, or the cluster does not split at `at`.
    ConflictError
        Files were changed, removed or added since the run, or another process uses the folder.
    IcasError
        A disk error; another call continues.

    See Also
    --------
    icas.recut : Give all clusters another threshold.

    Examples
    --------
    The cropped image has a weaker link to the original than the small copy:

    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> picture = Image.fromarray(data.coffee())
    >>> picture.save("photos/cup.jpg")
    >>> picture.resize((90, 60)).save("photos/cup-small.jpg")
    >>> picture.crop((30, 20, 600, 400)).save("photos/cup-cropped.jpg")
    >>> icas.cluster("photos", method="imagehash", threshold=0.6, dst="sorted").members(0)
    ('cup-cropped.jpg', 'cup-small.jpg', 'cup.jpg')
    >>> report = icas.split("sorted", 0)
    >>> report.members(0), report.members(-1)
    (('cup-small.jpg', 'cup.jpg'), ('cup-cropped.jpg',))
    """
    console = Console(warnings=progress, bars=progress)
    return split_result(path_of(dst, "dst"), cluster, at, console, dry_run=dry_run)


def split_result(
    root: Path, cluster: int | str, at: float | str, console: Console, *, dry_run: bool
) -> ClusterReport:
    """As `split`, with messages to `console`."""
    number, similarity = cluster_number(cluster), _similarity(at)
    check_recorded(root)
    about = {"cluster": number, "at": WEAKEST if similarity is None else similarity}
    with nullcontext() if dry_run else locked(root):
        done = finish_interrupted(root, console, dry_run)
        finished = FinishedRun.read(root)
        if done is not None and (done.what, done.about) == ("split", about):
            return report_of(finished)
        if done is not None:
            raise ConflictError(
                f"the interrupted {done.description()} is now finished and cluster numbers may"
                " have changed: check the number, then run split again"
            )
        return _split(finished, number, similarity, about, console, dry_run)


def _split(
    finished: FinishedRun,
    number: int,
    similarity: float | None,
    about: dict[str, float | str],
    console: Console,
    dry_run: bool,
) -> ClusterReport:
    if number >= finished.clusters:
        raise UsageError(
            f"{finished.root} has no cluster_{number}: it has {finished.clusters} clusters,"
            " numbered from 0"
        )
    constrained, earlier = ConstrainedRun.of(finished), finished.labels
    finished = constrained.with_forest_of(earlier)
    labels, removed = split_cluster(
        finished.state.forest, earlier, number, similarity, constrained.arrays
    )
    console.line(f"cluster_{number}: {_parts_text(labels[earlier == number], removed)}")
    run = finished.run
    afterwards = {key: run[key] for key in ("recut",) if key in run}
    afterwards |= {**constrained.afterwards, "splits": [*run.get("splits", []), about]}
    threshold, reason = run["threshold"], run["threshold_reason"]
    change = Reclustering("split", about, labels, threshold, reason, afterwards)
    return recluster(finished, change, console, dry_run=dry_run)


def split_cluster(
    forest: Forest,
    labels: Labels,
    number: int,
    similarity: float | None,
    constraints: ConstraintArrays | None = None,
) -> tuple[Labels, int]:
    """Clusters without the links of cluster `number` below `similarity`, and how many these are.

    None removes the weakest links; where links do not even join the cluster, none is removed.
    Images that must be linked stay together; parts with images that must be apart are split
    further.
    """
    constraints = constraints or ConstraintArrays(np.full(len(labels), -1, np.int64))
    links, needed = _joining_links(forest, labels == number, constraints)
    if similarity is not None:
        keep = links.similarity >= np.float32(similarity)
    elif len(links) < needed:
        keep = np.ones(len(links), bool)
    else:
        keep = links.similarity > links.similarity.min(initial=1.0)
    kept = Links(links.a[keep], links.b[keep], links.similarity[keep])
    groups = join_apart(constraints.starts(), kept, constraints, lambda _: kept).labels
    inside = groups[labels == number]
    if inside.min() >= 0 and inside.min() == inside.max():
        if len(links) == 0:
            raise UsageError(
                f"cluster_{number} is joined by a must-link constraint: clusterimg decide DST"
                " list shows it"
            )
        at = "" if similarity is None else f" at {similarity:g}"
        weakest = links.similarity.min()
        raise UsageError(f"cluster_{number} does not split{at}: its weakest link is {weakest}")
    parts = np.where(groups < 0, -1, groups + labels.max() + 1)
    return number_clusters(np.where(labels == number, parts, labels)), int((~keep).sum())


def _joining_links(
    forest: Forest, members: NDArray[np.bool_], constraints: ConstraintArrays
) -> tuple[Links, int]:
    """The links of the forest that join `members` beside constraints, the most similar first.

    Also the number of links that joining all of them takes.
    """
    a, b = constraints.pairs()
    inside = members[a] & members[b]
    groups = unions(len(members), a[inside], b[inside])
    needed = len(np.unique(groups[members])) - 1
    rows = np.flatnonzero(members[forest.a] & members[forest.b])
    if inside.any():
        rows = np.array([row for row in rows if _join(groups, forest.a[row], forest.b[row])], int)
    return Links(forest.a[rows], forest.b[rows], forest.similarity[rows]), needed


def _join(groups: NDArray[np.int64], a: int, b: int) -> bool:
    """Join the groups of two images; whether these were different."""
    if groups[a] == groups[b]:
        return False
    groups[groups == groups[b]] = groups[a]
    return True


def _parts_text(parts: Labels, removed: int) -> str:
    """The new clusters of a cluster's images, for a message."""
    numbers, sizes = np.unique(parts[parts >= 0], return_counts=True)
    named = [f"cluster_{part} ({size})" for part, size in zip(numbers, sizes, strict=True)]
    more = [f"{len(named) - _NAMED} more"] if len(named) > _NAMED else []
    outliers = [counted(int((parts < 0).sum()), "outlier")] if (parts < 0).any() else []
    return (
        f"{counted(removed, 'link')} removed, split into"
        f" {', '.join(named[:_NAMED] + more + outliers)}"
    )


def cluster_number(cluster: int | str) -> int:
    """7 of ``cluster_7``, ``"7"`` or 7; UsageError for anything else."""
    match = re.fullmatch(r"(?:cluster_)?(\d+)/?", str(cluster))
    if match is None:
        raise UsageError(f"cluster {cluster!r}: expected a name like cluster_7")
    return int(match.group(1))


def _similarity(at: float | str) -> float | None:
    """The similarity to split at; None for the weakest link."""
    if at == WEAKEST:
        return None
    try:
        similarity = float(at)
    except (TypeError, ValueError):
        similarity = np.nan
    if not similarity <= 1:
        raise UsageError(f"--at {at}: expected a number up to 1, or {WEAKEST}")
    return similarity
