"""A finished result at another threshold: the forest tells the clusters, nothing is compared."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from icas.cli.console import Console
from icas.clusterimg.editing.constrained_result import Redecided
from icas.clusterimg.editing.recluster import Change, regroup
from icas.clusterimg.journal.journal import Journal
from icas.clusterimg.journal.records import Rearrangement
from icas.clusterimg.results.load import FinishedRun, check_recorded
from icas.clusterimg.results.report import ClusterReport
from icas.clusterimg.transfer.destination import locked
from icas.clusterimg.transfer.relocation import finish
from icas.common.errors import ConflictError, UsageError


def recut(
    dst: str | Path, threshold: float, *, dry_run: bool = False, progress: bool = False
) -> ClusterReport:
    """Cut a finished result at another threshold, without comparing anything again.

    Only files in ``result/`` move, and ``clusters.csv``, ``certificate.csv``, ``report.html`` and
    ``run.json`` are written anew. A rearrangement that was interrupted before is finished first.

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
        The result as it is now; its ``afterwards`` tells of the cut.

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
    The run kept the maximum spanning forest of its links, which tells the clusters at every higher
    threshold: see `icas.Forest`.

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
    check_threshold(threshold)
    check_recorded(root)
    with nullcontext() if dry_run else locked(root):
        finish_interrupted(root, console, dry_run)
        return cut_at(FinishedRun.read(root), float(threshold), console, dry_run)


def check_threshold(threshold: object) -> None:
    """Make sure that `threshold` is a number up to 1.

    Raises
    ------
    UsageError
        It is not.
    """
    number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool)
    if not number or not threshold <= 1:  # type: ignore[operator]
        raise UsageError(f"--threshold {threshold}: a finished run is cut at a number up to 1")


def finish_interrupted(root: Path, console: Console, dry_run: bool) -> Rearrangement | None:
    """Finish the rearrangement that was begun in `root`, if one was.

    Raises
    ------
    ConflictError
        One was, and nothing may be written.
    """
    with Journal(root) as journal:
        one = journal.rearrangement()
    if one is None:
        return None
    if dry_run:
        raise ConflictError(
            f"a {one.description()} of {root} was interrupted: without --dry-run it is finished first"
        )
    console.line(f"finishing the {one.description()} that was interrupted")
    return finish(root, console)


def cut_at(
    finished: FinishedRun, threshold: float, console: Console, dry_run: bool
) -> ClusterReport:
    """`finished` cut at `threshold`, as `recut` does."""
    _check_cuttable(finished)
    floor = finished.state.forest.floor
    decided = Redecided.of(finished)
    labels = decided.labels_at(threshold)
    change = Change(
        "recut",
        {"threshold": threshold},
        labels,
        threshold,
        f"cut anew, the images were compared at {floor:g}",
        {"recut": True, "compared_at": floor, **decided.afterwards},
    )
    if decided.known:
        console.line(decided.known.summary())
    console.line(f"threshold {threshold:g}: {change.reason}")
    return regroup(decided.holding(labels), change, console, dry_run=dry_run)


def _check_cuttable(finished: FinishedRun) -> None:
    """Make sure that the clusters come from links alone, which a threshold decides.

    Raises
    ------
    UsageError
        They do not.
    """
    told, root = finished.run, finished.root
    linkage = told["settings"].get("linkage") or "chain"
    why = None
    if told["threshold"] is None:
        why = "its clusters come from models"
    elif linkage != "chain":
        why = f"its clusters come from --linkage {linkage}"
    elif told["settings"]["stage"] == "merge":
        why = "its batches were put together by hand (--stage merge)"
    if why is not None:
        raise UsageError(f"{root} cannot be cut at another threshold: {why}; start a new run")
