"""A clustering -> the result folder: plan, print, record, then write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import PurePosixPath

from icas.cli.console import Console
from icas.clusterimg.clustering.batches import Clustering, Stopwatch
from icas.clusterimg.data.images import ImageRef, Unreadable
from icas.clusterimg.results import saved as tables
from icas.clusterimg.results.report import ClusterReport
from icas.clusterimg.results.saved import FeatureKeeper, SavedState
from icas.clusterimg.settings import ClusterSettings
from icas.clusterimg.transfer.destination import Destination, record
from icas.clusterimg.transfer.execution import RUN, complete, prepare
from icas.clusterimg.transfer.plan import Plan, check_links_fit, check_plan, join_plans, plan_tree
from icas.dataset.image_labels import LABELS, labels_table
from icas.io.files import peak_memory_mb, run_json, table
from icas.notebook.html import counted

ALSO_UNREADABLE = 8
"""Unreadable files named on stderr; the table has them all."""


@dataclass(frozen=True)
class ResultWriter:
    """Writes images, tables and report page of a run to its result folder."""

    destination: Destination
    images: Sequence[ImageRef]  # those that were clustered, in order
    clustering: Clustering
    report: ClusterReport
    settings: ClusterSettings
    watch: Stopwatch
    console: Console
    keeper: FeatureKeeper  # features for a later recut

    def write(self) -> ClusterReport:
        """Carry out the plan; the completed report.

        Tables and report are written beside the journal first, so that no image has moved when they
        do not fit on the disk; then the whole plan is recorded; then it is carried out.
        """
        destination, settings = self.destination, self.settings
        plan = self._plan()
        self._print_plan(plan)
        clustering = self.clustering
        links = len(clustering.merged_links) + sum(len(batch.links) for batch in clustering.batches)
        check_links_fit(destination.root, links, clustering.files, self.console)
        self._warn_of_files()
        if settings.dry_run:
            return self.report
        with self.watch.stage("transfer"):
            check_plan(plan, settings.transfer, destination.removed)
            prepared = []
            for name, content in self._contents():
                destination.check_free(name)
                prepared.append(prepare(destination.root, name, content))
        run = run_json(self._so_far().as_dict())
        prepared.append(prepare(destination.root, RUN, run))
        record(destination, plan, prepared, settings.transfer, self._about())
        left = complete(destination.root, self.console, settings.jobs)
        written = tables.earlier_run(destination.root)
        return replace(
            self.report,
            unreadable=(*self.report.unreadable, *(Unreadable(*lost) for lost in left.items())),
            seconds=written["seconds"],
            peak_memory_mb=written["peak_memory_mb"],
            written=True,
        )

    def _so_far(self) -> ClusterReport:
        """The report with the times and the memory up to now."""
        seconds, memory = self.watch.rounded(), peak_memory_mb()
        return replace(self.report, seconds=seconds, peak_memory_mb=memory)

    def _plan(self) -> Plan:
        """The plan of the transfer."""
        root, clustering, settings = self.destination.root, self.clustering, self.settings
        plans = [Plan(root, ())]
        if settings.transfer == "none":
            return plans[0]
        if settings.stage != "batch":
            result = PurePosixPath("result")
            plans.append(plan_tree(root, result, self.images, clustering.labels))
        if settings.stage == "batch" or settings.keep_batches:
            for number, batch in enumerate(clustering.batches):
                part = slice(clustering.starts[number], clustering.starts[number + 1])
                folder = PurePosixPath("batches") / f"batch_{number}"
                plans.append(plan_tree(root, folder, self.images[part], batch.labels))
        return join_plans(plans)

    def _print_plan(self, plan: Plan) -> None:
        destination, console, transfer = self.destination, self.console, self.settings.transfer
        if destination.earlier:
            console.line(
                f"plan: remove {len(destination.earlier)} files of the previous result in"
                f" {destination.root}"
            )
        if transfer == "none":
            console.line(f"plan: write tables to {destination.root}, no images")
            return
        size = f"{plan.bytes() / 1e6:,.1f} MB, " if transfer == "copy" else ""
        console.line(
            f"plan: {transfer} {counted(len(plan.operations), 'image')} ({size}"
            f"{counted(len(plan.folders()), 'folder')}) to {destination.root}"
        )
        for folder, count in plan.folders().items():
            console.detail(f"plan: {folder}: {count} images")
        for move in plan.operations:
            console.detail(f"plan: {transfer} {move.source} -> {move.target}")

    def _warn_of_files(self) -> None:
        """Name some of the files that are unreadable or were ignored."""
        unreadable, ignored = self.report.unreadable, self.report.ignored
        for lost in unreadable[:ALSO_UNREADABLE]:
            self.console.warn(f"unreadable: {lost.file}: {lost.reason}")
        if len(unreadable) > ALSO_UNREADABLE:
            rest = len(unreadable) - ALSO_UNREADABLE
            self.console.warn(f"unreadable: {rest} more files; unreadable.csv lists them all")
        if ignored:
            named = ", ".join(ignored[:3]) + (", …" if len(ignored) > 3 else "")
            self.console.warn(f"{counted(len(ignored), 'file')} ignored (not images): {named}")

    def _about(self) -> dict[str, str]:
        """What the journal records of the run."""
        report, settings = self.report, self.settings
        folder = report.source
        if self.images:  # the folder that the names of images are relative to
            first = self.images[0]
            parts = PurePosixPath(first.file).parts
            folder = str(first.path.absolute().parents[len(parts) - 1])
        return {
            "source": report.source,
            "folder": folder,
            "method": report.method,
            "threshold": repr(report.threshold),
            "transfer": settings.transfer,
            "stage": settings.stage,
        }

    def _contents(self) -> Iterator[tuple[str, bytes | Iterable[bytes]]]:
        """Name and content of every file but the images and ``run.json``."""
        saved: dict[str, bytes] = {}
        if self.settings.stage != "batch" and self.report.reference is None:
            saved = SavedState.of(self.clustering, self.images, self.report).contents()
            saved |= self.keeper.contents(self.clustering.labels)
        page = self._page()
        self.destination.check_free(RUN)
        return chain(self._tables(), saved.items(), page)

    def _page(self) -> list[tuple[str, bytes]]:
        """The report page, made before any image is moved from where it is read."""
        if not self.settings.report:
            return []
        from icas.clusterimg.html.page import report_page

        images, pixels = self.images, self.settings.max_pixels
        return [("report.html", report_page(self._so_far(), images, pixels, self.console))]

    def _tables(self) -> Iterator[tuple[str, bytes | Iterable[bytes]]]:
        """Name and content of every table."""
        report, clustering, stage = self.report, self.clustering, self.settings.stage
        if report.models:
            models = [(fitted.tried, fitted.chosen) for fitted in report.models]
            yield "models.csv", tables.models_table(models)
        if report.reference is not None:
            found = report.reference
            yield "reference.csv", tables.reference_table(found.links, report.files, found.files)
        for number, batch in enumerate(clustering.batches if stage != "merge" else ()):
            start = int(clustering.starts[number])
            content = tables.links_table(batch.links, report.files, start)
            yield f"similarities/batch_{number}.csv", content
        if stage != "batch":
            content = tables.links_table(clustering.merged_links, report.files)
            yield "similarities/merge.csv", content
        columns = (report.files, report.labels, report.batch, report.representative)
        yield "clusters.csv", tables.clusters_table(*columns)
        if report.names:
            yield LABELS, labels_table(report.names)
        yield "certificate.csv", tables.certificates_table(report.certificates)
        rows = ((lost.file, lost.reason) for lost in report.unreadable)
        yield "unreadable.csv", table(("file", "reason"), rows)
