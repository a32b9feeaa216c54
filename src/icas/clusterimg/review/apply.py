"""Apply a review: show the plan, then change the result with the operations of the commands.

Constraints and class names go to their stores, files move through plan and journal.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from icas.cli.console import Console
from icas.clusterimg.decisions.store import TOGETHER
from icas.clusterimg.editing.changed_clusters import changed_groups, constraints_of_change
from icas.clusterimg.editing.constrained_run import ConstrainedRun
from icas.clusterimg.editing.constraints import folder_of, store_constraints
from icas.clusterimg.editing.labels import open_result
from icas.clusterimg.editing.recut import Reclustering, recluster
from icas.clusterimg.editing.result_images import ResultImages
from icas.clusterimg.graph.forest import Labels, number_clusters
from icas.clusterimg.quality.best import keep_chosen
from icas.clusterimg.results.best_images import kept_files, read_best
from icas.clusterimg.results.saved import FinishedRun
from icas.clusterimg.review.analysis.background import Collected
from icas.clusterimg.review.document.document import ReviewDocument
from icas.clusterimg.review.result import digest
from icas.clusterimg.review.session import APPLY, ReviewSession
from icas.clusterimg.transfer.destination import locked
from icas.clusterimg.transfer.relocation import finish_interrupted
from icas.common.errors import ConflictError, IcasError
from icas.dataset.image_labels import CLUSTER, ImageLabel, read_image_labels
from icas.notebook.html import counted, visible

WHAT = "review"
_NAMED = 12
"""Classes that a plan names."""


@dataclass(frozen=True)
class _Difference:
    """What differs between a review and the result on disk."""

    labels: Labels
    start: Labels
    threshold: float | None
    regrouped: bool
    names: Mapping[str, ImageLabel | None]
    chosen: frozenset[str] | None = None

    def __bool__(self) -> bool:
        return self.regrouped or bool(self.names) or self.chosen is not None


@dataclass(frozen=True)
class ReviewPlan:
    """What an apply does.

    lines: for people; moves: files that move; conflicts: why it cannot be applied; key: identifies
    the plan and what it starts from.
    """

    lines: tuple[str, ...] = ()
    moves: int = 0
    conflicts: tuple[str, ...] = ()
    key: str = ""
    rev: int = 0

    def as_dict(self) -> dict[str, Any]:
        """What the page gets."""
        return {
            "lines": list(self.lines),
            "moves": self.moves,
            "conflicts": list(self.conflicts),
            "plan": self.key,
            "rev": self.rev,
        }


def plan_review(session: ReviewSession) -> ReviewPlan:
    """What `apply_review` would do; nothing is changed."""
    with session.lock:
        try:
            finished = FinishedRun.read(session.root)
            difference = _difference(session.document, finished)
            lines, moves = _lines(session, finished, difference)
        except IcasError as error:
            return ReviewPlan(conflicts=(str(visible(error.message)),), rev=session.rev)
        return ReviewPlan(tuple(lines), moves, (), _key(session, finished), session.rev)


def apply_review(session: ReviewSession, plan: object, rev: int, id: str) -> dict[str, Any]:
    """Change the result as the plan with this key says."""
    with session.lock:
        args = {"plan": plan}
        repeated = session.repeated(APPLY, args, id)
        if repeated is not None:
            return repeated
        session.check(rev)
        root, console = session.root, Collected()
        with locked(root):
            finish_interrupted(root, console, dry_run=False)
            finished = FinishedRun.read(root)
            if plan != _key(session, finished):
                raise ConflictError("the plan is out of date: look at the new one, then apply it")
            difference = _difference(session.document, finished)
            session.log.set_facts({"applying": "1"})
            if difference.regrouped:
                _store_constraints(finished, difference)
                _regroup(finished, difference, console)
        if difference.names:
            with open_result(root, None, console, locking=True) as result:
                result.replace(difference.names)
                result.write(console)
        if difference.chosen is not None:
            keep_chosen(root, difference.chosen, console)
        session.finished = FinishedRun.read(root)
        text = "apply: " + (_text(finished, difference) or "nothing to change")
        facts = {"digest": digest(session.finished), "applying": ""}
        return session.store(APPLY, args, id, text, None, facts)


def _key(session: ReviewSession, finished: FinishedRun) -> str:
    content = f"{session.rev} {digest(finished)}"
    return hashlib.blake2b(content.encode(), digest_size=12).hexdigest()


def _difference(document: ReviewDocument, finished: FinishedRun) -> _Difference:
    labels, threshold = document.partition(), document.threshold
    earlier = number_clusters(finished.labels)
    changed = threshold is not None and threshold != finished.run["threshold"]
    start = earlier
    if changed and threshold is not None:
        start = ConstrainedRun.of(finished).labels_at(threshold)
    files = finished.state.files
    known = read_image_labels(finished.root)
    wanted = {
        files[image]: ImageLabel(label.name, label.source, label.confidence)
        for image, label in document.all_labels().items()
    }
    names: dict[str, ImageLabel | None] = {
        file: label for file, label in wanted.items() if not _same(label, known.get(file))
    }
    names |= {file: None for file in known if file not in wanted and file in set(files)}
    best = {files[one.best] for one in document.clusters.values() if one.best is not None}
    regrouped = changed or not np.array_equal(labels, earlier)
    kept = kept_files(read_best(finished.root))
    chosen = frozenset(best) if best - kept or (best and regrouped) else None
    return _Difference(labels, start, threshold, regrouped, names, chosen)


def _same(label: ImageLabel, known: ImageLabel | None) -> bool:
    """Whether a label is the known one; that of a cluster has no confidence of its own."""
    if known is None or (label.label, label.source) != (known.label, known.source):
        return False
    return label.source == CLUSTER or abs(label.confidence - known.confidence) < 1e-3


def _lines(
    session: ReviewSession, finished: FinishedRun, difference: _Difference
) -> tuple[list[str], int]:
    """The plan for people, and how many files move."""
    lines, moves = [], 0
    if difference.regrouped:
        console = Collected()
        report = recluster(finished, _change(finished, difference), console, dry_run=True)
        moves = _count_moves(console.lines)
        lines += [str(visible(line.removeprefix("plan: "))) for line in console.lines]
        lines.append(
            f"{counted(report.clusters, 'cluster')} and {counted(report.outliers, 'outlier')},"
            f" before {counted(finished.clusters, 'cluster')}"
        )
        kinds = Counter(kind for kind, _ in changed_groups(difference.start, difference.labels))
        if kinds:
            together = kinds.pop(TOGETHER, 0)
            lines.append(
                f"store {together} must-link and {kinds.total()} cannot-link constraints in"
                f" {visible(str(folder_of(session.root, None)))}"
            )
    if difference.names:
        count = Counter(label.label for label in difference.names.values() if label is not None)
        named = [f"{name} ({number})" for name, number in count.most_common(_NAMED)]
        more = [f"{len(count) - _NAMED} more"] if len(count) > _NAMED else []
        removed = len(difference.names) - count.total()
        if count:
            lines.append(f"name {counted(count.total(), 'image')}: {', '.join([*named, *more])}")
        if removed:
            lines.append(f"remove the name of {counted(removed, 'image')}")
        lines.append("write labels.csv")
    if difference.chosen is not None:
        lines.append(f"write best.csv, {counted(len(difference.chosen), 'image')} chosen")
    return lines or ["nothing to change"], moves


def _count_moves(lines: list[str]) -> int:
    """How many images the plan of a `recluster` moves."""
    words = next((line.split() for line in lines if line.startswith("plan: move")), [])
    return int(words[2].replace(",", "")) if len(words) > 2 else 0


def _text(finished: FinishedRun, difference: _Difference) -> str:
    parts = []
    if difference.regrouped:
        clusters = int(difference.labels.max(initial=-1)) + 1
        parts.append(f"{counted(clusters, 'cluster')}, before {finished.clusters:,}")
    if difference.names:
        parts.append(f"{counted(len(difference.names), 'name')} changed")
    if difference.chosen is not None:
        parts.append(f"{counted(len(difference.chosen), 'best image')} chosen")
    return ", ".join(parts)


def _change(
    finished: FinishedRun, difference: _Difference, constrained: ConstrainedRun | None = None
) -> Reclustering:
    run, forest = finished.run, finished.state.forest
    if difference.threshold == run["threshold"]:
        reason = run["threshold_reason"]
        after = {key: run[key] for key in ("recut", "splits") if key in run}
    else:
        reason = f"chosen in a review; the run compared images down to {forest.floor:g}"
        after = {"recut": True, "compared_at": forest.floor}
    after |= constrained.afterwards if constrained is not None else {}
    after["reviews"] = int(run.get("reviews", 0)) + 1
    about = {"number": after["reviews"]}
    return Reclustering(WHAT, about, difference.labels, difference.threshold, reason, after)


def _store_constraints(finished: FinishedRun, difference: _Difference) -> None:
    images = ResultImages.read(finished.root)
    files = finished.state.files
    constraints = constraints_of_change(images, files, difference.start, difference.labels, WHAT)
    if constraints:
        store_constraints(folder_of(finished.root, None), WHAT, constraints)


def _regroup(finished: FinishedRun, difference: _Difference, console: Console) -> None:
    constrained = ConstrainedRun.of(finished)
    joined = constrained.with_forest_of(difference.labels)
    recluster(joined, _change(finished, difference, constrained), console)
