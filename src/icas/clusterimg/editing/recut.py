"""Cluster a finished result at another threshold, from its maximum spanning forest."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from icas.cli.console import Console
from icas.clusterimg.editing.constrained_run import ConstrainedRun
from icas.clusterimg.editing.recluster import Reclustering, recluster
from icas.clusterimg.journal.journal import Journal
from icas.clusterimg.journal.records import Rearrangement
from icas.clusterimg.results.report import ClusterReport
from icas.clusterimg.results.saved import FinishedRun, check_recorded
from icas.clusterimg.transfer.destination import locked
from icas.clusterimg.transfer.relocation import finish
from icas.common.errors import ConflictError, UsageError


def recut(
    dst: str | Path, threshold: float, *, dry_run: bool = False, progress: bool = False
) -> ClusterReport:
    """Cluster a finished result at another threshold, without new comparisons.

    Only files in ``result/`` move, and ``clusters.csv``, ``certificate.csv``, ``report.html`` and
    ``run.json`` are replaced. An interrupted recut or split is finished first.

    Parameters
    ----------
    dst : str or Path
        The result folder.
    threshold : float
        At or above the one that the run compared images at, at most 1.
    dry_run : bool, default False
        Plan only; nothing is written.
    progress : bool, default False
        Show progress bars and warnings on stderr.

    Returns
    -------
    ClusterReport
        The result as it is now; its ``afterwards`` has the entry ``recut``.

    Raises
    ------
    UsageError
        There is no finished result, it cannot be cut by a threshold, or this one is too low.
    ConflictError
        A file was changed, removed or added since the run, or something stands in the way.
    IcasError
        The disk fails; another call goes on.

    See Also
    --------
    icas.split : cut one cluster only.
    icas.labels_at : the same for clusters in memory.

    Notes
    -----
    The run saved the maximum spanning forest of its links, which gives the clusters at every
    higher threshold: see `icas.Forest`.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> Image.fromarray(data.coffee()).save("photos/cup.jpg")
    >>> Image.fromarray(data.coffee()[20:, 30:]).save("photos/cup-cropped.jpg")
    >>> Image.fromarray(data.camera()).save("photos/camera.jpg")
    >>> icas.cluster("photos", threshold=0.6, dst="sorted").labels.tolist()
    [-1, 0, 0]
    >>> report = icas.recut("sorted", 0.99)
    >>> report.labels.tolist(), report.afterwards["recut"]
    ([-1, -1, -1], True)
    """
    root, console = Path(dst), Console(warnings=progress, bars=progress)
    is_number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool)
    if not is_number or not threshold <= 1:
        raise UsageError(f"--threshold {threshold}: a finished run is cut at a number up to 1")
    check_recorded(root)
    with nullcontext() if dry_run else locked(root):
        finish_interrupted(root, console, dry_run)
        return recut_result(FinishedRun.read(root), float(threshold), console, dry_run)


def finish_interrupted(root: Path, console: Console, dry_run: bool) -> Rearrangement | None:
    """Finish the interrupted recut or split in `root`, if there is one."""
    with Journal(root) as journal:
        unfinished = journal.rearrangement()
    if unfinished is None:
        return None
    what = unfinished.description()
    if dry_run:
        raise ConflictError(
            f"a {what} of {root} was interrupted: without --dry-run it is finished first"
        )
    console.line(f"finishing the {what} that was interrupted")
    return finish(root, console)


def recut_result(
    finished: FinishedRun, threshold: float, console: Console, dry_run: bool
) -> ClusterReport:
    """As `recut`, for a result that was read already."""
    _check_linked(finished)
    floor = finished.state.forest.floor
    constrained = ConstrainedRun.of(finished)
    labels = constrained.labels_at(threshold)
    reclustering = Reclustering(
        "recut",
        {"threshold": threshold},
        labels,
        threshold,
        f"cut anew, the images were compared at {floor:g}",
        {"recut": True, "compared_at": floor, **constrained.afterwards},
    )
    if constrained.applied:
        console.line(constrained.applied.summary())
    console.line(f"threshold {threshold:g}: {reclustering.reason}")
    return recluster(constrained.with_forest_of(labels), reclustering, console, dry_run=dry_run)


def _check_linked(finished: FinishedRun) -> None:
    """Raise UsageError where the clusters do not come from single linkage at a threshold."""
    settings = finished.run["settings"]
    linkage = settings.get("linkage") or "chain"
    if finished.run["threshold"] is None:
        why = "its clusters come from models"
    elif linkage != "chain":
        why = f"its clusters come from --linkage {linkage}"
    elif settings["stage"] == "merge":
        why = "its batches were put together by hand (--stage merge)"
    else:
        return
    raise UsageError(f"{finished.root} cannot be cut at another threshold: {why}; start a new run")
