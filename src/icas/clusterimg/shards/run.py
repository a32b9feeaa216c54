"""A run in shards: features, forests of pairs, one forest, clusters, certificate, tables.

Every step writes whole files. A run that was killed goes on with those that are there.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from icas._version import __version__
from icas.cli.console import Console, counted
from icas.cli.options import flag_of
from icas.clusterimg.clustering.batches import Stopwatch
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import Unreadable, sampled
from icas.clusterimg.data.memory import bytes_per_image, default_memory
from icas.clusterimg.data.parquet import need_pyarrow, read_rows
from icas.clusterimg.graph.forest import number_clusters
from icas.clusterimg.journal.journal import FOLDER
from icas.clusterimg.linking.candidates import Checked
from icas.clusterimg.methods import make_method
from icas.clusterimg.methods.base import Method, linking, settings_of
from icas.clusterimg.pipeline.source import read_source
from icas.clusterimg.pipeline.steps import (
    RunContext,
    choose_method,
    survey_images,
    with_trained_network,
)
from icas.clusterimg.shards import cells as cell_search, forests
from icas.clusterimg.shards.certificate import certificates_of
from icas.clusterimg.shards.edges import is_whole
from icas.clusterimg.shards.report import RUN, ShardReport, finished_report
from icas.clusterimg.shards.settings import SHARED, ShardSettings
from icas.clusterimg.shards.source import (
    FILES,
    Rows,
    fingerprint,
    parquet_files,
    shard_of_rows,
    state_of,
)
from icas.clusterimg.shards.store import Shards, is_written, read_json, write_shard
from icas.clusterimg.shards.tables import unreadable_in, write_tables
from icas.clusterimg.thresholds.auto import choose_threshold
from icas.clusterimg.thresholds.sample import Sample
from icas.clusterimg.transfer.cleanup import remove_if_empty
from icas.common.errors import ConflictError, IcasError, UsageError
from icas.io.files import beside, one_line_errors, peak_memory_mb, run_json, write_whole
from icas.io.locks import folder_lock
from icas.notebook.html import counted as words
from icas.parallel.executors import Workers, start_workers
from icas.parallel.pool import Task

WORK = f"{FOLDER}/shards"
PLAN, TABLES = "plan.json", "tables"
STAGES = ("shards", "forests", "merge", "certificate", "tables")
COMPARED = ("method", "threshold", "sample", "size", "scale", "max_pixels", "seed", "options")
"""Settings on which the clusters depend."""
IN_MAIN = 70
"""Bytes that the main process takes for an image: for its number, cluster and edge."""


def cluster_in_shards(src: Path, settings: ShardSettings, console: Console) -> ShardReport:
    """Cluster features in Parquet files, or the images of a folder, shard by shard."""
    need_pyarrow("clusterimg shards")
    dst = settings.cluster.dst or beside(src, "_shards")
    if settings.cluster.resume and (dst / RUN).is_file():
        console.line(f"{dst} is complete: nothing to resume")
        report = finished_report(dst)
        shutil.rmtree(dst / WORK, ignore_errors=True)  # of a run that was killed at its end
        remove_if_empty(dst / FOLDER)
        return report
    _check_free(dst, settings.cluster.resume)
    files = parquet_files(src, settings.cluster.recursive)
    with one_line_errors(f"cannot write to {dst}"):
        (dst / WORK).mkdir(parents=True, exist_ok=True)
    try:
        return _locked(src, dst, settings, console, files)
    finally:
        for folder in (dst / FOLDER, dst):
            remove_if_empty(folder)


def _locked(
    src: Path, dst: Path, settings: ShardSettings, console: Console, files: Sequence[Path]
) -> ShardReport:
    with (
        folder_lock(dst / FOLDER, dst),
        one_line_errors("run in shards", "; --resume continues the run", subject=str(dst)),
    ):
        run = _Run(src, dst, settings, console)
        try:
            return run.of_rows(files) if files else run.of_images()
        finally:
            run.tidy()


def _check_free(dst: Path, resume: bool) -> None:
    if not os.path.lexists(dst):
        return
    if not dst.is_dir():
        raise ConflictError(f"result folder {dst} is a file: choose another --dst")
    if (dst / WORK / PLAN).is_file():
        if not resume:
            raise ConflictError(
                f"the run into {dst} was interrupted: repeat the command with --resume to continue"
                " it, or choose another --dst"
            )
    elif any(entry.name != FOLDER for entry in dst.iterdir()):
        raise ConflictError(f"result folder {dst} is not empty: choose another --dst")


@dataclass
class _Run:
    """A run under way."""

    src: Path
    dst: Path
    settings: ShardSettings
    console: Console
    watch: Stopwatch = field(default_factory=Stopwatch)
    worker_peak: float = 0.0

    @property
    def _work(self) -> Path:
        return (self.dst / WORK).absolute()

    def tidy(self) -> None:
        """Remove the folder of a run that failed before it wrote a shard."""
        if self._work.is_dir() and not is_written(self._work, 0):
            shutil.rmtree(self._work)

    def of_rows(self, files: Sequence[Path]) -> ShardReport:
        """The run on features in Parquet files."""
        settings, rows = self.settings.cluster, Rows.of(files)
        given = {"method": settings.method, "size": settings.size, **settings.options}
        for name in [name for name, value in given.items() if value is not None]:
            raise UsageError(f"{flag_of(name)} is for folders of images: {files[0]} holds features")
        with (
            self.console.show_logging(),
            start_workers(settings.executor, settings.jobs, settings.scheduler) as workers,
        ):
            first = FeatureSet(*read_rows(rows.first, 0, 1, self.settings.column, FILES))
            method = make_method(first.method, **first.settings)
            self._check(method)
            size = self._planned(
                map(state_of, files),
                self.settings.images_of_shard(bytes_per_image(first), workers.jobs),
            )
            pieces = rows.pieces(size)
            self.console.line(f"{len(rows):,} images in {words(len(pieces), 'shard')}")
            with self.watch.stage("shards"):
                tasks = [
                    (self._work, number, some, self.settings.column)
                    for number, some in enumerate(pieces)
                    if not is_written(self._work, number)
                ]
                self._done(workers, shard_of_rows, tasks, "shards")
            shards = self._shards(len(pieces))
            threshold, reason = self._threshold(method, shards, workers)
            return self._clustered(method, shards, threshold, reason, workers)

    def of_images(self) -> ShardReport:
        """The run on a folder of images."""
        cluster = replace(self.settings.cluster, report=False, decisions=False, resume=False)
        context = RunContext(self.src, cluster, self.console)
        source = read_source(self.src, self.dst, cluster)
        method = linking(with_trained_network(context, choose_method(context, source)))
        self._check(method)
        with context.reading(method, source.images) as reading:
            image_bytes = bytes_per_image(method.extract([np.zeros((64, 64, 3), np.uint8)]))
            size = self._planned(
                ((one.file, one.state) for one in source.images),
                self.settings.images_of_shard(image_bytes, reading.workers.jobs),
            )
            starts = range(0, len(source.images), size)
            with self.watch.stage("shards"):
                survey = survey_images(context, reading, source)
                for number, start in enumerate(starts):
                    if not is_written(self._work, number):
                        features = survey.images.features(source.images[start : start + size])
                        write_shard(self._work, number, features)
            assert survey.choice is not None
            choice = survey.choice
            self.console.line(f"threshold {choice.threshold:g} ({choice.reason})")
            shards = self._shards(len(starts))
            return self._clustered(
                method, shards, choice.threshold, choice.reason, reading.workers, source.unreadable
            )

    def _check(self, method: Method) -> None:
        if self.settings.cells is not None:
            cell_search.check_cells(method)

    def _planned(self, source: Iterable[object], size: int) -> int:
        """Images of a shard, as in the run that is resumed.

        Raises ConflictError: that was one of other images or with other settings.
        """
        values = {name: repr(getattr(self.settings.cluster, name)) for name in COMPARED}
        own = (repr(values), self.settings.cells, self.settings.column)
        state, path = fingerprint([*own, *source]), self._work / PLAN
        if not path.exists():
            begun = {"icas": __version__, "state": state, "shard_size": size}
            write_whole(path, json.dumps(begun).encode())
        plan = read_json(path)
        if plan.get("icas") != __version__:
            raise ConflictError(
                f"the run into {self.dst} is of icas {plan.get('icas')}: continue with that"
                " version, or choose another --dst"
            )
        given = self.settings.shard_size
        if plan["state"] != state or given not in (None, plan["shard_size"]):
            raise ConflictError(
                f"the run into {self.dst} has other images or settings: repeat its command, or"
                " choose another --dst"
            )
        return int(plan["shard_size"])

    def _shards(self, count: int) -> Shards:
        limit = self.settings.cluster.memory or default_memory()
        shards = Shards.read(self._work, count, limit)
        if len(shards) == 0:
            raise IcasError(f"no image in {self.src} could be read")
        wanted = len(shards) * IN_MAIN
        if wanted > limit:
            self.console.warn(
                f"{len(shards):,} images take about {wanted / 1e9:.1f} GB in this process, more"
                f" than --memory {limit / 1e9:g}GB"
            )
        return shards

    def _threshold(self, method: Method, shards: Shards, workers: Workers) -> tuple[float, str]:
        given, seed = self.settings.cluster.threshold, self.settings.cluster.seed
        if isinstance(given, (int, float)):
            choice = choose_threshold(method, float(given), None)
        else:
            size = self.settings.cluster.sample or method.sample_size
            rows = np.array(sampled(range(len(shards)), size, seed), np.int64)
            sample = Sample.of(method, shards.gathered(rows), len(shards), workers)
            choice = choose_threshold(method, None, sample)
        self.console.line(f"threshold {choice.threshold:g} ({choice.reason})")
        return choice.threshold, choice.reason

    def _clustered(
        self,
        method: Method,
        shards: Shards,
        threshold: float,
        reason: str,
        workers: Workers,
        lost: Sequence[Unreadable] = (),
    ) -> ShardReport:
        """Forests, clusters, certificate and tables."""
        seed, count = self.settings.cluster.seed, self.settings.cells
        possible = len(shards) * (len(shards) - 1) // 2
        made, files = possible, []
        with self.watch.stage("forests"):
            if count is None:
                targets = self._pairs(method, shards, threshold, workers)
            else:
                files = self._cells(method, shards, count, workers)
                targets = self._within_cells(method, shards, files, threshold, workers)
                made = min(possible, cell_search.compared_pairs(files))
        with self.watch.stage("merge"):
            merged, peak = forests.merged(targets, self._work, workers, self.console)
            self.worker_peak = max(self.worker_peak, peak)
            forest, first = forests.whole_forest(len(shards), merged, threshold, workers.jobs)
            labels = number_clusters(first)
        found = None
        if count is not None:
            checked = cell_search.check(method, shards, files, labels, threshold, seed, workers)
            found = _recall(count, checked)
            self.console.line(_words(count, checked))
        with self.watch.stage("certificate"):
            certificates = certificates_of(method, shards, forest, labels, workers, self.console)
        with self.watch.stage("tables"):
            unreadable = [*lost, *unreadable_in(shards)]
            tables = self._work / TABLES
            write_tables(tables, shards, forest, labels, certificates, unreadable, workers)
        report = ShardReport(
            dst=self.dst,
            method=method.name,
            threshold=threshold,
            threshold_reason=reason,
            images=len(shards),
            clusters=len(certificates.images),
            outliers=int((labels < 0).sum()),
            unreadable=len(unreadable),
            shards=len(shards.each),
            comparisons={"possible": possible, "made": made, "skipped": possible - made},
            cells=found,
            seconds={name: round(self.watch.seconds.get(name, 0.0), 3) for name in STAGES},
            peak_memory_mb=peak_memory_mb() or 0.0,
            worker_memory_mb=self.worker_peak,
            settings=self._settings(method),
        )
        self._finish(tables, report)
        return report

    def _settings(self, method: Method) -> dict[str, Any]:
        """The settings for ``run.json``."""
        shared = {name: getattr(self.settings.cluster, name) for name in SHARED}
        own = {name: getattr(self.settings, name) for name in ("shard_size", "cells", "column")}
        values = {**shared, **own, "options": settings_of(method)}
        return dict(json.loads(json.dumps(values, default=str)))

    def _pairs(
        self, method: Method, shards: Shards, threshold: float, workers: Workers
    ) -> list[Path]:
        """The files of the forests of all pairs of shards."""
        pairs = forests.pairs_of(shards)
        targets = [forests.pair_file(self._work, *pair) for pair in pairs]
        tasks = [
            (method, *pair, threshold, target)
            for pair, target in zip(pairs, targets, strict=True)
            if not is_whole(target)
        ]
        if len(tasks) < len(pairs):
            self.console.line(f"resumed: {len(pairs) - len(tasks)} of {len(pairs)} pairs of shards")
        self._done(workers, forests.forest_of_pair, tasks, "pairs of shards")
        return targets

    def _cells(self, method: Method, shards: Shards, count: int, workers: Workers) -> list[Path]:
        """The files of the cells of all images."""
        files = [cell_search.cells_file(self._work, shard) for shard in shards.each]
        pairs = zip(shards.each, files, strict=True)
        missing = [pair for pair in pairs if not cell_search.has_cells(pair[1])]
        if missing:
            found = cell_search.Cells.fitted(method, shards, count, self.settings.cluster.seed)
            tasks = [(found, shard, file) for shard, file in missing]
            self._done(workers, cell_search.write_cells, tasks, "cells")
        return files

    def _within_cells(
        self,
        method: Method,
        shards: Shards,
        files: Sequence[Path],
        threshold: float,
        workers: Workers,
    ) -> list[Path]:
        """The files of the forests of all cells."""
        parts = list(cell_search.cell_tasks(shards, files))
        targets = [self._work / f"cell-{first:06d}" for first, *_ in parts]
        tasks = (
            (method, shards, images, sizes, threshold, target)
            for (_, images, sizes), target in zip(parts, targets, strict=True)
            if not is_whole(target)
        )
        self._done(workers, cell_search.forest_of_cells, tasks, "cells", len(parts))
        return targets

    def _done(
        self,
        workers: Workers,
        function: Callable[..., float],
        tasks: Iterable[Task],
        what: str,
        count: int | None = None,
    ) -> None:
        """Carry out tasks, which return the peak memory of their process."""
        total = len(tasks) if isinstance(tasks, Sequence) else count or 0
        with self.console.bar(total, what, "tasks") as bar:
            for peak in counted(workers.ordered(function, tasks), bar):
                self.worker_peak = max(self.worker_peak, peak)

    def _finish(self, tables: Path, report: ShardReport) -> None:
        """Move the tables to their place, ``run.json`` last, and remove the shards."""
        write_whole(tables / RUN, run_json(report.as_dict()))
        for path in sorted(tables.iterdir(), key=lambda path: path.name == RUN):
            target = self.dst / path.name
            if target.is_dir():  # of a run that was killed here
                shutil.rmtree(target)
            path.replace(target)
        shutil.rmtree(self._work)


def _recall(count: int, checked: Checked) -> dict[str, Any]:
    links = checked.links
    return {
        "count": count,
        "recall": checked.recall,
        "joined": checked.joined / links if links else None,
        "images_checked": checked.images,
        "links_checked": links,
    }


def _words(count: int, checked: Checked) -> str:
    if checked.recall is None:
        return f"cells: {count}; recall unknown, {checked.images} sampled images have no links"
    return (
        f"cells: {count}; recall {checked.recall:.1%} ({checked.links} links of {checked.images}"
        f" sampled images checked), {checked.joined / checked.links:.1%} of these links are within"
        " one cluster"
    )
