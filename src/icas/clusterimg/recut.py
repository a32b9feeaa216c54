"""A finished result at another threshold: the forest tells the clusters, nothing is compared."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from icas.clusterimg.finished import Finished, check_recorded
from icas.clusterimg.graph import labels_at
from icas.clusterimg.journal import Journal
from icas.clusterimg.outcome import ClusterReport
from icas.clusterimg.rearrange import alone, finish
from icas.clusterimg.rearrangements import Rearrangement, unfinished
from icas.clusterimg.regroup import Change, regroup, report_of
from icas.clusterimg.settings import ClusterSettings
from icas.common.errors import ConflictError, UsageError
from icas.common.files import beside
from icas.common.options import flag_of
from icas.common.progress import Console

_HOW = ("jobs", "executor", "scheduler", "device")
_FREE = frozenset(("dst", "threshold", "resume", "dry_run", "report", *_HOW))
"""Settings that a re-cut may have otherwise than the run had them."""


def recut(
    dst: str | Path, threshold: float, *, dry_run: bool = False, progress: bool = False
) -> ClusterReport:
    """Cut a finished result at another threshold, without comparing anything again.

    Only files in ``result/`` move, and ``clusters.csv``, ``certificate.csv``, ``report.html`` and
    ``run.json`` are written anew. A rearrangement that was interrupted before is finished first.

    Parameters
    ----------
    dst : path
        The result folder.
    threshold : float
        At or above the one that the run compared images at.
    dry_run : bool
        Plan only; nothing is written.
    progress : bool
        Show progress bars and warnings on stderr.

    Returns
    -------
    ClusterReport

    Raises
    ------
    UsageError
        There is no finished result, it cannot be cut by a threshold, or this one is too low.
    ConflictError
        A file was changed, removed or added since the run, or something stands in the way.
    IcasError
        The disk fails; another call goes on.
    """
    root, console = Path(dst), Console(warnings=progress, bars=progress)
    check_threshold(threshold)
    check_recorded(root)
    with nullcontext() if dry_run else alone(root):
        finish_interrupted(root, console, dry_run)
        return _recut(Finished.read(root), float(threshold), console, dry_run)


def resume(source: Path, settings: ClusterSettings, console: Console) -> ClusterReport:
    """What ``--resume`` does with a finished run: finish a rearrangement, cut at a threshold.

    Raises
    ------
    UsageError
        There is no finished run, it is one of another source or with other settings, or there is
        nothing to do. Else as `recut`.
    """
    root = settings.dst if settings.dst is not None else beside(source, "_clustered")
    check_recorded(root)
    with nullcontext() if settings.dry_run else alone(root):
        done = finish_interrupted(root, console, settings.dry_run)
        finished = Finished.read(root)
        _check_same_run(finished, source, settings)
        if settings.threshold is None and done is not None:
            return report_of(finished)
        if settings.threshold is None:
            raise UsageError(
                f"the run in {root} is finished: --threshold F cuts it at another threshold"
            )
        check_threshold(settings.threshold)
        return _recut(finished, float(settings.threshold), console, settings.dry_run)


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
        one = unfinished(journal.database)
    if one is None:
        return None
    if dry_run:
        raise ConflictError(
            f"a {one.told()} of {root} was interrupted: without --dry-run it is finished first"
        )
    console.line(f"finishing the {one.told()} that was interrupted")
    return finish(root, console)


def _recut(finished: Finished, threshold: float, console: Console, dry_run: bool) -> ClusterReport:
    _check_cuttable(finished)
    floor = finished.kept.forest.floor
    labels = labels_at(finished.kept.forest, threshold)
    change = Change(
        "recut",
        {"threshold": threshold},
        labels,
        threshold,
        f"cut anew, the images were compared at {floor:g}",
        {"recut": True, "compared_at": floor},
    )
    console.line(f"threshold {threshold:g}: {change.reason}")
    return regroup(finished, change, console, dry_run=dry_run)


def _check_cuttable(finished: Finished) -> None:
    """Make sure that the clusters come from links alone, which a threshold decides.

    Raises
    ------
    UsageError
        They do not.
    """
    told, root = finished.told, finished.root
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


def _check_same_run(finished: Finished, source: Path, settings: ClusterSettings) -> None:
    """Make sure that what is asked for is not another run than the finished one.

    Raises
    ------
    UsageError
        The source or a setting is another one; the message names it.
    """
    told, root = finished.told, finished.root
    if str(source.resolve()) != told["source"]:
        raise UsageError(f"{root} holds a result of {told['source']}, not of {source}")
    asked = _asked_for(replace(settings, method=settings.method or told["method"]))
    recorded = {**told["settings"], **told["options"], "method": told["method"]}
    for name, value in asked.items():
        if value != recorded.get(name):
            raise UsageError(
                f"{flag_of(name)} {value}: the finished run in {root} has {recorded.get(name)};"
                " --resume compares nothing again, start a new run for that"
            )


def _asked_for(settings: ClusterSettings) -> dict[str, Any]:
    """Settings and options that differ from their defaults, as ``run.json`` would hold them."""
    default = asdict(ClusterSettings())
    asked = {
        name: value
        for name, value in asdict(settings).items()
        if name not in _FREE | {"method", "options"} and value != default[name]
    }
    method = settings.make_method()
    asked |= {name: getattr(method, name) for name in settings.options}
    plain = {name: _plain(value) for name, value in asked.items()}
    return {**plain, "method": method.name}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value
