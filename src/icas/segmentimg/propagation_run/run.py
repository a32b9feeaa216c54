"""A run: clusters, sources and images to carry; report."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from icas._version import __version__
from icas.cli.console import Console
from icas.common.errors import UsageError
from icas.notebook.html import counted
from icas.parallel.executors import Workers, core_count, start_workers
from icas.segmentimg.document.palette import Palette
from icas.segmentimg.formats.inputs import find_image_files
from icas.segmentimg.propagation.network import load_network
from icas.segmentimg.propagation.queue import review_order
from icas.segmentimg.propagation.sources import similarities, suggest
from icas.segmentimg.propagation_run.carrying import (
    CarrySettings,
    accept_by_level,
    carry_image,
    check_checkpoint,
    complete_save,
    features_file,
    features_of,
    identity_of,
    keep_features,
)
from icas.segmentimg.propagation_run.clusters import Cluster, Clusters, find_clusters
from icas.segmentimg.propagation_run.history import (
    CLASSES,
    begin_run,
    locked,
    run_folder,
    write_run,
)
from icas.segmentimg.propagation_run.images import (
    ACCEPTED,
    BLANK,
    CARRIED,
    UNREADABLE,
    UNSAVED,
    ImageState,
    joint_palette,
    read_states,
)
from icas.segmentimg.propagation_run.relations import forest_parents
from icas.segmentimg.propagation_run.settings import PropagateSettings
from icas.segmentimg.propagation_run.table import check_table, counts_of, write_tables
from icas.segmentimg.session.folders import painting_locked

TABLE_SECONDS = 5.0
"""Interval at which propagated.csv is written during a run."""
MAX_NAMES = 3
"""Files that a line names."""


@dataclass(frozen=True)
class Suggestion:
    """An image whose painting would help."""

    file: str
    cluster: str
    serves: int
    """Images that would be carried from it."""


@dataclass
class PropagateReport:
    """Result of a run.

    Attributes
    ----------
    out : tuple of Path
        Folders of the paintings.
    sources, carried : int
        Images that were carried from, and images carried by this run.
    states : dict of str to int
        Images of all runs by state: carried, accepted, fixed, rejected.
    queue : list of str
        Files to review, least sure first.
    without_source : list of str
        A line for each cluster without a painted image.
    outliers : int
        Images without a painting in no cluster.
    left_out : list of str
        A line for each image or painting that could not be read or saved.
    unsaved : list of str
        Files with unsaved painting, which are not changed.
    """

    out: tuple[Path, ...]
    clusters: str = ""
    sources: int = 0
    carried: int = 0
    states: dict[str, int] = field(default_factory=dict)
    queue: list[str] = field(default_factory=list)
    without_source: list[str] = field(default_factory=list)
    outliers: int = 0
    left_out: list[str] = field(default_factory=list)
    unsaved: list[str] = field(default_factory=list)
    seconds: float = 0.0
    planned: bool = False

    def lines(self) -> list[str]:
        """Describe the run in lines; the last one has the totals."""
        lines = [self.clusters] if self.clusters else []
        lines += self.without_source
        if self.outliers:
            lines.append(
                f"{counted(self.outliers, 'image')} in no cluster, not carried"
                " (--clusters one: all images are one cluster)"
            )
        lines += [f"unsaved painting, not changed: {file}" for file in self.unsaved]
        out = ", ".join(map(str, self.out))
        if self.planned:
            images = counted(self.carried, "image")
            lines.append(f"would carry to {images} from {self.sources} painted -> {out}")
            return lines
        accepted, waiting = self.states.get(ACCEPTED, 0), len(self.queue)
        lines.append(
            f"{counted(self.carried, 'image')} carried from {self.sources} painted;"
            f" {accepted} accepted, {waiting} to review, {len(self.left_out)} unreadable -> {out}"
        )
        return lines


class PropagationRun:
    """The images, clusters and settings of one call; read once, changed by the run."""

    def __init__(
        self, paths: Sequence[str | Path], settings: PropagateSettings, console: Console
    ) -> None:
        self._settings, self._console = settings, console
        self._network = load_network(settings.weights)
        check_checkpoint(settings.sam_checkpoint)
        pictures = find_image_files(paths, settings.out, settings.recursive)
        self.outs = tuple(sorted({picture.out for picture in pictures}))
        for out in self.outs:
            check_table(out)
        self.states = read_states(pictures, settings.max_pixels)
        self._grouping: Clusters | None = None

    @property
    def queue(self) -> list[ImageState]:
        """Images below the acceptance level that no person has decided on, least sure first."""
        waiting = {
            index: state.mark.confidence
            for index, state in enumerate(self.states)
            if state.state == CARRIED and state.mark is not None
        }
        return [self.states[index] for index in review_order(waiting)]

    @property
    def palette(self) -> Palette:
        """The classes of all sources."""
        return joint_palette(state for state in self.states if state.is_source)

    def carry(self, *, resume: bool = False, dry_run: bool = False) -> PropagateReport:
        """Carry to all images that need it."""
        start = time.perf_counter()
        report = PropagateReport(self.outs, planned=dry_run)
        with ExitStack() as stack:
            if not dry_run:
                stack.enter_context(locked(self.outs))
            groups = self._clusters(keep=not dry_run)
            report.clusters = f"clusters: {groups.note}"
            palette = self.palette
            if not palette:
                raise UsageError(self._nothing_painted())
            plan = self._plan(groups, report)
            report.sources = len({index for one in plan for index in one.sources})
            if dry_run:
                report.carried = sum(len(one.targets) for one in plan)
            else:
                self._execute(plan, palette, report, resume)
        self._describe(groups, report)
        report.seconds = round(time.perf_counter() - start, 3)
        return report

    def write_table(self) -> None:
        """Write propagated.csv, for decisions made since the run."""
        write_tables(self.states)

    def suggestions(self, count: int) -> list[Suggestion]:
        """The images whose painting would help most, best first."""
        groups = self._clusters(keep=True)
        members = [
            [i for i in cluster.members if self.states[i].state not in (UNREADABLE, UNSAVED)]
            for cluster in groups.clusters
        ]
        order = [index for own in members for index in own]
        with self._workers(len(order)) as workers:
            features = self._features(order, workers)
        matrix, places = _block_matrix(members, features)
        painted = [place for place, i in enumerate(places) if self.states[i].is_source]
        done = [
            place
            for place, i in enumerate(places)
            if not self.states[i].is_source and self.states[i].state not in (BLANK, CARRIED)
        ]
        best = suggest(matrix, painted, min(len(places), count + len(done)))
        names = {i: cluster.name for cluster in groups.clusters for i in cluster.members}
        chosen = [place for place in best if place not in set(done)][:count]
        lines, sources = [], list(painted)
        for place in chosen:
            served = [
                other
                for other in range(len(places))
                if other != place
                and other not in sources
                and matrix[other, place] > max((matrix[other, one] for one in sources), default=0.0)
            ]
            state = self.states[places[place]]
            cluster = names[places[place]]
            if served or cluster not in {names[places[one]] for one in sources}:
                lines.append(Suggestion(state.file, cluster, len(served)))
            sources.append(place)
        return lines

    def _clusters(self, *, keep: bool) -> Clusters:
        if self._grouping is None:
            settings = self._settings
            readable = [state for state in self.states if state.state != UNREADABLE]
            found = find_clusters(
                readable,
                settings.clusters,
                run_folder(self.outs[0]),
                settings.jobs,
                self._console,
                keep=keep,
            )
            places = [i for i, state in enumerate(self.states) if state.state != UNREADABLE]
            self._grouping = Clusters(
                tuple(
                    Cluster(one.name, tuple(places[member] for member in one.members))
                    for one in found.clusters
                ),
                tuple(places[member] for member in found.outliers),
                found.note,
            )
        return self._grouping

    def _plan(self, groups: Clusters, report: PropagateReport) -> list[_ClusterPlan]:
        plan = []
        for cluster in groups.clusters:
            sources = [i for i in cluster.members if self.states[i].is_source]
            if not sources:
                continue
            origin = self._origin(cluster, sources)
            targets = [i for i in cluster.members if self.states[i].is_target(origin)]
            plan.append(_ClusterPlan(cluster, sources, targets, origin))
        return plan

    def _origin(self, cluster: Cluster, sources: Sequence[int]) -> str:
        """Digest of what the masks of a cluster depend on."""
        parts: list[Any] = [__version__, self._decisive()]
        parts += [(self.states[i].file, self.states[i].digest) for i in sources]
        if self._settings.chain != "off":
            parts += [self.states[i].file for i in cluster.members]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def _decisive(self) -> dict[str, Any]:
        """Settings that masks depend on."""
        return {
            "weights": identity_of(self._network),
            "chain": self._settings.chain,
            "sam_checkpoint": self._settings.sam_checkpoint,
        }

    def _execute(
        self, plan: list[_ClusterPlan], palette: Palette, report: PropagateReport, resume: bool
    ) -> None:
        settings = self._settings
        recorded = {**self._decisive(), "accept": settings.accept}
        classes = [[entry.name, list(entry.color)] for entry in palette]
        options = {**settings.recorded(), CLASSES: classes}
        run = begin_run(self.outs, self.states, recorded, resume, options)
        work = CarrySettings(
            run.number,
            self._network,
            settings.sam_checkpoint,
            settings.accept,
            palette,
            tuple(settings.save),
            settings.portable_names,
            settings.max_pixels,
            recorded,
        )
        self.states = [
            accept_by_level(
                complete_save(state, work) if state.interrupted else state, settings.accept
            )
            for state in self.states
        ]
        total = sum(len(one.targets) for one in plan)
        if total:
            write_run(self.outs, run)
        written = time.monotonic()
        with (
            self._workers(total) as workers,
            self._console.bar(total, "propagate", "images") as bar,
        ):
            for index, state in self._carried([one for one in plan if one.targets], work, workers):
                self.states[index] = state
                bar.update(1)
                if state.reason:
                    report.left_out.append(_line(state))
                    continue
                report.carried += 1
                self._detail(state)
                if time.monotonic() - written > TABLE_SECONDS:
                    write_tables(self.states)
                    written = time.monotonic()
        write_tables(self.states)
        if total:
            write_run(self.outs, replace(run, finished=True))
        if not self.queue:
            for state in self.states:
                features_file(state.picture).unlink(missing_ok=True)

    def _carried(
        self, plan: Sequence[_ClusterPlan], work: CarrySettings, workers: Workers
    ) -> Iterator[tuple[int, ImageState]]:
        """The results of all clusters, in waves: an image comes after the one it is chained to."""
        sources = [i for one in plan for i in one.sources]
        common = (self._network, self._settings.max_pixels)
        for _ in workers.ordered(keep_features, ((self.states[i], *common) for i in sources)):
            pass  # so that each worker finds them
        own = {i: one for one in plan for i in one.targets}
        parents: dict[int, int] = {}
        if self._settings.chain != "off":
            for one in plan:
                parents.update(self._parents(one, workers))
        left = list(own)
        while left:
            waiting = set(left)
            wave = [i for i in left if parents.get(i) not in waiting]
            left = [i for i in left if parents.get(i) in waiting]
            tasks = (self._task(i, own[i], parents.get(i), work) for i in wave)
            yield from zip(wave, workers.ordered(carry_image, tasks), strict=True)

    def _task(
        self, index: int, plan: _ClusterPlan, parent: int | None, work: CarrySettings
    ) -> tuple[Any, ...]:
        sources = tuple(self.states[i] for i in plan.sources)
        before = self.states[parent] if parent is not None and self._has_mask(parent) else None
        return (self.states[index], plan.origin, sources, before, work)

    def _parents(self, plan: _ClusterPlan, workers: Workers) -> dict[int, int]:
        """The carried image before each target in the similarity forest."""
        members = sorted({*plan.sources, *self._carriers(plan)})
        features = self._features(members, workers)
        sources = [i for i in plan.sources if i in features]
        others = [i for i in members if i in features and i not in set(sources)]
        return forest_parents(features, sources, others)

    def _carriers(self, plan: _ClusterPlan) -> list[int]:
        """Images of the cluster with a mask, or that get one."""
        names = {*plan.targets}
        usable = (CARRIED, ACCEPTED)
        return [i for i in plan.cluster.members if i in names or self.states[i].state in usable]

    def _has_mask(self, index: int) -> bool:
        state = self.states[index]
        return bool(state.classes) and not state.reason

    def _features(self, indices: Sequence[int], workers: Workers) -> dict[int, Any]:
        common = (self._network, self._settings.max_pixels)
        tasks = ((self.states[i], *common) for i in indices)
        found = {}
        with self._console.bar(len(indices), "features", "images") as bar:
            results = workers.ordered(features_of, tasks)
            for i, features in zip(indices, results, strict=True):
                bar.update(1)
                if not isinstance(features, str):
                    found[i] = features
        return found

    def _workers(self, tasks: int) -> Any:
        """Workers for a number of images; a few do not pay for the start of processes."""
        jobs = min(self._settings.jobs or core_count(), max(1, tasks))
        return start_workers("threads" if jobs == 1 else "processes", jobs)

    def _describe(self, groups: Clusters, report: PropagateReport) -> None:
        """Counts and lines of the report, from the states after the run."""
        states = self.states
        report.states = counts_of(states)
        report.queue = [state.file for state in self.queue]
        for cluster in groups.clusters:
            own = [states[i] for i in cluster.members]
            blank = [state for state in own if state.state == BLANK]
            if blank and not any(state.is_source for state in own):
                names = [state.file for state in blank]
                more = ", …" if len(names) > MAX_NAMES else ""
                report.without_source.append(
                    f"cluster {cluster.name}, no painted image: {counted(len(names), 'image')},"
                    f" {', '.join(names[:MAX_NAMES])}{more}"
                )
        report.outliers = sum(states[i].state == BLANK for i in groups.outliers)
        report.unsaved = [state.file for state in states if state.state == UNSAVED]
        report.left_out = [
            *(_line(state) for state in states if state.state == UNREADABLE),
            *report.left_out,
        ]

    def _nothing_painted(self) -> str:
        folders = sorted({str(state.picture.path.parent) for state in self.states})
        return (
            f"no image of {', '.join(folders[:MAX_NAMES])} is painted: paint one of each cluster"
            f" with segmentimg, or see --suggest N"
        )

    def _detail(self, state: ImageState) -> None:
        mark = state.mark
        if mark is not None:
            source = mark.objects[0].source
            self._console.detail(
                f"{state.file}: from {source}, confidence {mark.confidence:.3f}, {state.state}"
            )


@dataclass(frozen=True)
class _ClusterPlan:
    """What is carried in a cluster."""

    cluster: Cluster
    sources: list[int]
    targets: list[int]
    origin: str


def _line(state: ImageState) -> str:
    path = str(state.picture.path)
    return state.reason if path in state.reason else f"{path}: {state.reason}"


def _block_matrix(
    members: Sequence[Sequence[int]], features: Mapping[int, Any]
) -> tuple[Any, list[int]]:
    """Similarities within clusters, 0 between them, and the image of each row."""
    import numpy as np

    places = [i for own in members for i in own if i in features]
    matrix = np.zeros((len(places), len(places)))
    start = 0
    for own in members:
        known = [i for i in own if i in features]
        end = start + len(known)
        if known:
            matrix[start:end, start:end] = similarities([features[i] for i in known])
        start = end
    return matrix, places


@contextmanager
def exclusive_run(
    paths: Sequence[str | Path],
    settings: PropagateSettings,
    console: Console,
    *,
    dry_run: bool = False,
) -> Iterator[PropagationRun]:
    """A run whose output folders no window and no server paints into while the block runs.

    ConflictError where there is one. A dry run locks nothing.
    """
    with ExitStack() as stack:
        if not dry_run:
            pictures = find_image_files(paths, settings.out, settings.recursive)
            stack.enter_context(painting_locked(picture.out for picture in pictures))
        yield PropagationRun(paths, settings, console)


def propagate_files(
    paths: Sequence[str | Path],
    settings: PropagateSettings | None = None,
    console: Console | None = None,
    *,
    resume: bool = False,
    dry_run: bool = False,
) -> PropagateReport:
    """Carry the saved paintings of some images to the others of their clusters."""
    settings, console = settings or PropagateSettings(), console or Console()
    with exclusive_run(paths, settings, console, dry_run=dry_run) as run:
        return run.carry(resume=resume, dry_run=dry_run)
