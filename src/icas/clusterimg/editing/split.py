"""One cluster of a finished result is cut in parts, at its weakest link or at a similarity."""

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
from icas.clusterimg.editing.constrained_result import Redecided
from icas.clusterimg.editing.recluster import Change, regroup, report_of
from icas.clusterimg.editing.recut import finish_interrupted
from icas.clusterimg.graph.forest import Forest, Labels, number_clusters
from icas.clusterimg.results.load import FinishedRun, check_recorded
from icas.clusterimg.results.report import ClusterReport
from icas.clusterimg.transfer.destination import locked
from icas.common.errors import ConflictError, UsageError
from icas.common.union_find import unions
from icas.notebook.html import counted

WEAKEST = "weakest"
_NAMED = 6
"""Parts that are named; the rest is counted."""


def split(
    dst: str | Path,
    cluster: int | str,
    *,
    at: float | str = WEAKEST,
    dry_run: bool = False,
    progress: bool = False,
) -> ClusterReport:
    """Cut one cluster of a finished result; nothing is compared again.

    The parts become clusters, single images outliers. Clusters are numbered by size again, so
    that others may get another number, too.

    Parameters
    ----------
    dst : str or Path
        The result folder.
    cluster : int or str
        7, or ``"cluster_7"``.
    at : float or {"weakest"}, default "weakest"
        Links below this similarity, at most 1, are cut; ``weakest`` cuts the weakest link (all of
        them, if some are equal).
    dry_run : bool, default False
        Plan only; nothing is written.
    progress : bool, default False
        Show progress bars and warnings on stderr.

    Returns
    -------
    ClusterReport
        The result as it is now; its ``afterwards`` tells of all splits.

    Raises
    ------
    UsageError
        There is no finished result or no such cluster, or it holds together at `at`.
    ConflictError
        A file was changed, removed or added since the run, or something stands in the way.
    IcasError
        The disk fails; another call goes on.

    See Also
    --------
    icas.recut : cut all clusters at another threshold.

    Examples
    --------
    The cropped picture hangs on its original less firmly than the small one:

    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> picture = Image.fromarray(data.coffee())
    >>> picture.save("photos/cup.jpg")
    >>> picture.resize((90, 60)).save("photos/cup-small.jpg")
    >>> picture.crop((30, 20, 600, 400)).save("photos/cup-cropped.jpg")
    >>> icas.cluster("photos", threshold=0.6, dst="sorted").members(0)
    ('cup-cropped.jpg', 'cup-small.jpg', 'cup.jpg')
    >>> report = icas.split("sorted", 0)
    >>> report.members(0), report.members(-1)
    (('cup-small.jpg', 'cup.jpg'), ('cup-cropped.jpg',))
    """
    console = Console(warnings=progress, bars=progress)
    return split_result(Path(dst), cluster, at, console, dry_run=dry_run)


def split_result(
    root: Path, cluster: int | str, at: float | str, console: Console, *, dry_run: bool
) -> ClusterReport:
    """As `split`, with the words to `console`."""
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
                f"the {done.description()} that was interrupted is finished now, and clusters may have"
                " other numbers: look, then call split again"
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
            f"{finished.root} has no cluster_{number}: its {finished.clusters} clusters are"
            " numbered from 0"
        )
    decided = Redecided.of(finished)
    finished = decided.holding(finished.labels)
    labels, cut = cut_cluster(
        finished.state.forest, finished.labels, number, similarity, decided.marks
    )
    console.line(f"cluster_{number}: {_parts(finished.labels, labels, number, cut)}")
    told = finished.run
    change = Change(
        "split",
        about,
        labels,
        told["threshold"],
        told["threshold_reason"],
        {**_earlier(finished), **decided.afterwards, "splits": [*told.get("splits", []), about]},
    )
    return regroup(finished, change, console, dry_run=dry_run)


def _earlier(finished: FinishedRun) -> dict[str, object]:
    return {key: finished.run[key] for key in ("recut",) if key in finished.run}


def cut_cluster(
    forest: Forest,
    labels: Labels,
    number: int,
    similarity: float | None,
    marks: ConstraintArrays | None = None,
) -> tuple[Labels, int]:
    """Clusters after the links of cluster `number` below `similarity` are cut.

    Parameters
    ----------
    forest : Forest
        What holds the clusters together.
    labels : (n,) int64 ndarray
        The clusters.
    similarity : float or None
        None cuts the weakest links; where links do not even join the whole cluster, none is cut.
    marks : ConstraintArrays, optional
        What is decided about the images: what is together stays so, and the parts are parted
        further where they hold what is to be apart.

    Returns
    -------
    labels : (n,) int64 ndarray
        The clusters, numbered anew.
    cut : int
        How many links of the cluster's spanning tree were cut.

    Raises
    ------
    UsageError
        The cluster would stay whole.
    """
    marks = marks or ConstraintArrays(np.full(len(labels), -1, np.int64))
    links, joints = _what_joins(forest, labels == number, marks)
    if similarity is not None:
        keep = links.similarity >= np.float32(similarity)
    elif len(links) < joints:
        keep = np.ones(len(links), bool)
    else:
        keep = links.similarity > links.similarity.min(initial=1.0)
    kept = Links(links.a[keep], links.b[keep], links.similarity[keep])
    found = join_apart(marks.starts(), kept, marks, lambda _: kept).labels
    inside = found[labels == number]
    if inside.min() >= 0 and inside.min() == inside.max():
        raise UsageError(_holds(number, similarity, links))
    parts = np.where(labels == number, np.where(found < 0, -1, found + labels.max() + 1), labels)
    return number_clusters(parts), int((~keep).sum())


def _what_joins(
    forest: Forest, members: NDArray[np.bool_], marks: ConstraintArrays
) -> tuple[Links, int]:
    """The links of the forest that join `members` beside what is together by decision.

    Returns
    -------
    links : Links
        The most similar first.
    joints : int
        How many of them would join all.
    """
    a, b = marks.pairs()
    decided = members[a] & members[b]
    groups = unions(len(members), a[decided], b[decided])
    joints = len(np.unique(groups[members])) - 1
    rows = np.flatnonzero(members[forest.a] & members[forest.b])
    if decided.any():
        rows = np.array([row for row in rows if _join(groups, forest.a[row], forest.b[row])], int)
    return Links(forest.a[rows], forest.b[rows], forest.similarity[rows]), joints


def _join(groups: NDArray[np.int64], a: int, b: int) -> bool:
    """Join the groups of two images; whether they were two."""
    if groups[a] == groups[b]:
        return False
    groups[groups == groups[b]] = groups[a]
    return True


def _holds(number: int, similarity: float | None, links: Links) -> str:
    if len(links) == 0:
        return f"cluster_{number} is together by decision: clusterimg decide DST list shows it"
    weakest = links.similarity.min()
    at = "" if similarity is None else f" at {similarity:g}"
    return f"cluster_{number} holds together{at}: its weakest link is {weakest}"


def _parts(before: Labels, after: Labels, number: int, cut: int) -> str:
    """What became of a cluster, in words."""
    parts = after[before == number]
    numbers, sizes = np.unique(parts[parts >= 0], return_counts=True)
    named = [f"cluster_{part} ({size})" for part, size in zip(numbers, sizes, strict=True)]
    more = [f"{len(named) - _NAMED} more"] if len(named) > _NAMED else []
    outliers = [counted(int((parts < 0).sum()), "outlier")] if (parts < 0).any() else []
    return f"{counted(cut, 'link')} cut, becomes {', '.join(named[:_NAMED] + more + outliers)}"


def cluster_number(cluster: int | str) -> int:
    """7 of ``cluster_7``, ``"7"`` or 7.

    Raises
    ------
    UsageError
        Something else.
    """
    found = re.fullmatch(r"(?:cluster_)?(\d+)/?", str(cluster))
    if found is None:
        raise UsageError(f"cluster {cluster!r}: a name like cluster_7 is needed")
    return int(found.group(1))


def _similarity(at: float | str) -> float | None:
    """The similarity to cut at; None for the weakest link."""
    if at == WEAKEST:
        return None
    try:
        similarity = float(at)
    except (TypeError, ValueError):
        raise UsageError(f"--at {at}: a number up to 1 or {WEAKEST} is needed") from None
    if not similarity <= 1:
        raise UsageError(f"--at {at}: a number up to 1 or {WEAKEST} is needed")
    return similarity
