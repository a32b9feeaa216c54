"""What ``--resume`` does: go on with a run that was interrupted, or cut a finished one anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from icas.cli.console import Console
from icas.cli.options import flag_of
from icas.clusterimg.editing.recluster import report_from
from icas.clusterimg.editing.recut import cut_at, finish_interrupted
from icas.clusterimg.journal.journal import being_undone, phase_of
from icas.clusterimg.results.report import ClusterReport
from icas.clusterimg.results.saved import FinishedRun, Tables
from icas.clusterimg.results.tables import earlier_run
from icas.clusterimg.settings import ClusterSettings
from icas.clusterimg.transfer.commit import complete
from icas.clusterimg.transfer.destination import at_work
from icas.clusterimg.transfer.staging import PREPARED, RUN
from icas.common.errors import ConflictError, IcasError, UsageError

_WHO = ("jobs", "executor", "scheduler", "device")
_HOW = (*_WHO, "cache", "cache_size", "isolate", "decode_timeout")
_FREE = frozenset(("dst", "threshold", "resume", "dry_run", "report", *_HOW))
"""Settings that a re-cut may have otherwise than the run had them."""


def resume(source: Path, settings: ClusterSettings, console: Console) -> ClusterReport | None:
    """Go on with the run in the result folder; None where it has to begin from the start.

    A run that was interrupted while it put images in their places is finished from its record:
    nothing is compared again. A finished one is cut at another threshold, if one is given.

    Raises
    ------
    UsageError
        The run is one of another source or with other settings; or as `icas.recut`.
    ConflictError
        The run is being taken back, or somebody else's file stands at a place.
    IcasError
        The disk fails; another call goes on.
    """
    root = settings.result_folder(source)
    phase = phase_of(root)
    if phase in (None, "clearing"):
        return None
    if phase == "undoing":
        raise being_undone(root)
    with nullcontext() if settings.dry_run else at_work(root):
        now = phase_of(root)  # another process may just have been there
        if now not in (phase, "done"):
            raise ConflictError(f"another clusterimg has just worked in {root}: call again")
        phase = now
        if phase == "carrying":
            _complete(root, source, settings, console)
        else:
            finish_interrupted(root, console, settings.dry_run)
        told = earlier_run(root)
        check_same_run(told, root, source, settings)
        if isinstance(settings.threshold, (int, float)) and settings.threshold != told["threshold"]:
            return cut_at(
                FinishedRun.read(root), float(settings.threshold), console, settings.dry_run
            )
        if phase == "done":
            console.line(_finished(root, settings.threshold))
        return report_from(root, told, Tables.read(root))


def _finished(root: Path, threshold: float | str | None) -> str:
    if isinstance(threshold, str):
        return (
            f"the run in {root} is finished: --threshold {threshold} changes nothing there,"
            " a number cuts it anew"
        )
    return f"the run in {root} is finished"


def _complete(root: Path, source: Path, settings: ClusterSettings, console: Console) -> None:
    if settings.dry_run:
        raise ConflictError(f"a run into {root} was interrupted: without --dry-run it is finished")
    check_same_run(_prepared_run(root), root, source, settings)
    console.line(f"going on with the run into {root} that was interrupted")
    complete(root, console, settings.jobs)


def _prepared_run(root: Path) -> dict[str, Any]:
    """What ``run.json`` is going to say of a run that was interrupted."""
    for path in (root / PREPARED / RUN, root / RUN):
        if path.is_file():
            try:
                told = json.loads(path.read_bytes())
            except (OSError, ValueError) as error:
                raise IcasError(f"cannot read {path}: {error}") from error
            if isinstance(told, dict):
                return told
    raise IcasError(
        f"what the run in {root} had found is gone: clusterimg undo {root} takes it back"
    )


def check_same_run(
    told: Mapping[str, Any], root: Path, source: Path, settings: ClusterSettings
) -> None:
    """Make sure that what is asked for is not another run than the one that `told` is of.

    Raises
    ------
    UsageError
        The source or a setting is another one; the message names it.
    """
    if str(source.resolve()) != told["source"]:
        raise UsageError(f"{root} holds a result of {told['source']}, not of {source}")
    asked = _asked_for(replace(settings, method=settings.method or told["method"]))
    recorded = {**told["settings"], **told["options"], "method": told["method"]}
    for name, value in asked.items():
        if value != recorded.get(name):
            raise UsageError(
                f"{flag_of(name)} {value}: the run in {root} has {recorded.get(name)};"
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
