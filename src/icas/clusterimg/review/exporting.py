"""Export of the labelled images of a review as a data set beside the result."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from icas.clusterimg.export.export import export_result
from icas.clusterimg.export.settings import ExportSettings
from icas.clusterimg.review.analysis.background import Collected
from icas.clusterimg.review.session import ReviewSession
from icas.common.errors import ConflictError, UsageError
from icas.notebook.html import counted, visible

_MOST_PATHS = 2_000
"""Paths of the preview of the data set."""


def export_review(session: ReviewSession, given: Mapping[str, Any]) -> dict[str, Any]:
    """Write the data set, or with ``dry_run`` only say what would be written.

    `given` is the request: ``out`` (name of a folder beside the result), ``formats``, ``split``,
    ``seed``, ``transfer``, ``min_confidence``.
    """
    settings, out = _settings(given), _folder_name(given.get("out"))
    with session.lock:
        if session.read_only:
            raise ConflictError("this page is read only: another process edits the review")
        pending = session.history.pending
        if pending:
            raise ConflictError(
                f"{counted(pending, 'change')} of the review {'is' if pending == 1 else 'are'} not"
                " applied: apply first, the export is made of the result"
            )
        console = Collected()
        folder = session.root.absolute().parent / out
        report = export_result(session.root, folder, settings, console)
    lines = [*console.lines, *(f"note: {line}" for line in console.warned)]
    paths = sorted(line.rpartition(" -> ")[2] for line in console.details_kept)
    return {
        "lines": [str(visible(line)) for line in lines],
        "tree": [str(visible(path)) for path in paths[:_MOST_PATHS]],
        "files": len(paths),
        "counts": {str(visible(name)): dict(by) for name, by in report.counts.items()},
        "contradictions": [str(visible(line)) for line in report.contradictions],
        "text": str(visible(report.summary())),
    }


def _settings(given: Mapping[str, Any]) -> ExportSettings:
    formats = given.get("formats", ["imagefolder"])
    if not isinstance(formats, list) or not all(isinstance(one, str) for one in formats):
        raise UsageError("formats: expected a list of names")
    split = given.get("split")
    if split is not None and not (
        isinstance(split, dict) and all(isinstance(one, (int, float)) for one in split.values())
    ):
        raise UsageError("split: expected shares by name")
    seed, least = given.get("seed", 0), given.get("min_confidence", 0.0)
    transfer = given.get("transfer", "copy")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise UsageError("seed: expected a number")
    if not isinstance(least, (int, float)) or not isinstance(transfer, str):
        raise UsageError("transfer: expected a name; min_confidence: a number")
    return ExportSettings(
        format=formats,
        split=split,
        seed=seed,
        transfer=transfer,
        min_confidence=float(least),
        overwrite=given.get("overwrite") is True,
        dry_run=given.get("dry_run") is True,
    )


def _folder_name(name: object) -> str:
    """The name of a new folder; UsageError for a path."""
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise UsageError("out: give the name of a folder, such as dataset")
    parts = PurePath(name).parts
    if len(parts) != 1 or name in (".", "..") or any(one in name for one in "/\\:"):
        raise UsageError(f"out: {name!r} is a path: give the name of a folder beside the result")
    if name.startswith("."):
        raise UsageError(f"out: {name!r} is a hidden name: choose another")
    return name
