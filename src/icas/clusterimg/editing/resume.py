"""``--resume``: continue an interrupted run, or recut a finished one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from icas.cli.console import Console
from icas.cli.options import flag_of
from icas.clusterimg.editing.recut import recut_result, report_from
from icas.clusterimg.journal.journal import being_undone, phase_of
from icas.clusterimg.results.report import ClusterReport
from icas.clusterimg.results.saved import FinishedRun, Tables, current_names, earlier_run
from icas.clusterimg.settings import ClusterSettings
from icas.clusterimg.transfer.destination import locked
from icas.clusterimg.transfer.execution import complete, prepared_summary
from icas.clusterimg.transfer.relocation import finish_interrupted
from icas.common.errors import ConflictError, UsageError
from icas.io.files import as_typed

_RESOURCES = ("jobs", "executor", "scheduler", "device", "cache", "cache_size", "isolate")
_MAY_DIFFER = frozenset(
    ("dst", "threshold", "resume", "dry_run", "report", "decode_timeout", *_RESOURCES)
)
"""Settings that may differ from those of the run."""


def resume(source: Path, settings: ClusterSettings, console: Console) -> ClusterReport | None:
    """Continue the run in the result folder; None where it has to start from the beginning.

    An interrupted transfer is finished from the journal: nothing is compared again. A finished
    run is recut, if another threshold is given.
    """
    root = settings.result_folder(source)
    phase = phase_of(root)
    if phase in (None, "clearing"):
        return None
    if phase == "undoing":
        raise being_undone(root)
    with nullcontext() if settings.dry_run else locked(root):
        now = phase_of(root)  # another process may have changed it
        if now not in (phase, "done"):
            raise ConflictError(
                f"another clusterimg process has just changed {root}: run the command again"
            )
        if now == "carrying":
            if settings.dry_run:
                raise ConflictError(
                    f"the run into {root} was interrupted: run the command without --dry-run to"
                    " finish it"
                )
            _check_same_run(current_names(prepared_summary(root)), root, source, settings)
            console.line(f"continuing the interrupted run into {root}")
            complete(root, console, settings.jobs)
        else:
            finish_interrupted(root, console, settings.dry_run)
        summary = earlier_run(root)
        _check_same_run(summary, root, source, settings)
        threshold = settings.threshold
        if isinstance(threshold, (int, float)) and threshold != summary["threshold"]:
            finished = FinishedRun.read(root)
            return recut_result(finished, float(threshold), console, settings.dry_run)
        if now == "done":
            line = f"the run in {root} is already finished"
            if isinstance(threshold, str):
                line += (
                    f"; --threshold {threshold} has no effect, give a number for another threshold"
                )
            console.line(line)
        return report_from(root, summary, Tables.read(root))


def _check_same_run(
    summary: Mapping[str, Any], root: Path, source: Path, settings: ClusterSettings
) -> None:
    """Check that `settings` are those of the run with this ``run.json``."""
    if str(source.resolve()) != summary["source"]:
        earlier = as_typed(summary["source"], source)
        raise UsageError(f"{root} is a result of {earlier}, not of {source}")
    method = summary["method"] if settings.takes_earlier_method else settings.method
    given = _given(replace(settings, method=method))
    recorded = {**summary["settings"], **summary["options"], "method": summary["method"]}
    for name, value in given.items():
        if value != recorded.get(name):
            raise UsageError(
                f"{flag_of(name)} {value}: the run in {root} used {recorded.get(name)}, and"
                " --resume cannot change it; start a new run"
            )


def _given(settings: ClusterSettings) -> dict[str, Any]:
    """Settings and options that differ from their defaults, as in ``run.json``."""
    default = asdict(ClusterSettings())
    given = {
        name: value
        for name, value in asdict(settings).items()
        if name not in _MAY_DIFFER | {"method", "options"} and value != default[name]
    }
    method = settings.make_method()
    given |= {name: getattr(method, name) for name in settings.options}
    return {name: _plain(value) for name, value in given.items()} | {"method": method.name}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value
