"""A clustering -> the result folder: refuse, plan, print, record, then write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from icas.clusterimg.clustering import Clustering, Stopwatch
from icas.clusterimg.deep.choice import models_table
from icas.clusterimg.journal import Journal, Made, check_removable, remove_made
from icas.clusterimg.kept import FeatureKeeper, Kept
from icas.clusterimg.layout import Plan, join_plans, plan_tree
from icas.clusterimg.outcome import ClusterReport, peak_memory_mb, seconds_of
from icas.clusterimg.scan import ImageRef
from icas.clusterimg.settings import ClusterSettings
from icas.clusterimg.tables import (
    certificates_table,
    clusters_table,
    links_table,
    run_json,
    table,
)
from icas.clusterimg.transfer import carry_out, check_plan
from icas.common.errors import ConflictError, IcasError
from icas.common.files import beside, write_whole
from icas.common.progress import Console

ALSO_UNREADABLE = 8
"""Unreadable files named on stderr; the table has them all."""


@dataclass(frozen=True)
class Destination:
    """The result folder, found free or clearable before any work starts.

    Attributes
    ----------
    root : Path
    earlier : tuple of Made
        Files that an earlier run made there and that this one is going to remove.
    """

    root: Path
    earlier: tuple[Made, ...] = ()

    @classmethod
    def of(cls, source: Path, settings: ClusterSettings) -> Destination:
        """The result folder that `settings` ask for.

        Raises
        ------
        ConflictError
            It is a file, or is not empty and may not be cleared.
        """
        root = settings.dst if settings.dst is not None else beside(source, "_clustered")
        if not root.exists():
            return cls(root)
        if not root.is_dir():
            raise ConflictError(f"result folder {root} is a file: choose another --dst")
        if not any(root.iterdir()):
            return cls(root)
        if not settings.overwrite:
            raise ConflictError(
                f"result folder {root} is not empty: choose another --dst, or --overwrite to remove"
                " what an earlier run made there"
            )
        return cls(root, tuple(check_removable(root)))

    def check_spares(self, images: Sequence[ImageRef]) -> None:
        """Make sure that no image to be clustered is among the files to be removed.

        Raises
        ------
        ConflictError
            One is: the result folder holds the source, or the source links into it.
        """
        going = {(self.root / made.target).resolve() for made in self.earlier}
        for ref in images if going else ():
            if ref.path.resolve() in going:
                raise ConflictError(
                    f"{ref.path} is to be clustered, and --overwrite would remove it from"
                    f" {self.root}: choose another --dst"
                )


def write_result(
    destination: Destination,
    images: Sequence[ImageRef],
    clustering: Clustering,
    report: ClusterReport,
    settings: ClusterSettings,
    watch: Stopwatch,
    console: Console,
    features: FeatureKeeper | None = None,
) -> ClusterReport:
    """Put images, tables and report into the result folder; the report comes back completed.

    What a later cut needs is kept in ``.icas/``: the forest, and `features` where there are some.

    Raises
    ------
    ConflictError
        Something stands in the way; nothing is written then.
    IcasError
        The disk fails.
    """
    plan = make_plan(destination.root, images, clustering, settings)
    _print_plan(plan, destination, settings, console)
    _tell_unreadable(report, console)
    if settings.dry_run:
        return report
    with watch.stage("transfer"):
        if destination.earlier:
            remove_made(destination.root, destination.earlier)
        check_plan(plan, settings.transfer)
        names = [*_table_names(clustering, report, settings), "run.json"]
        names += ["report.html"] if settings.report else []
        kept = {} if settings.stage == "batch" else _kept(clustering, images, report, features)
        names += kept
        _check_free(destination.root, names)
        pages = _pages(report, images, settings, watch, console)
        with Journal(destination.root) as journal:
            journal.plan(_made(plan, names, settings), _about(report, settings))
            with console.bar(len(plan.moves), settings.transfer, "images") as bar:
                carry_out(plan, settings.transfer, journal, settings.jobs, bar)
            for name, content in _tables(clustering, report, settings):
                _write(destination.root / name, content)
            for name, content in (*kept.items(), *pages):
                _write(destination.root / name, content)
    report = replace(
        report, seconds=seconds_of(watch), peak_memory_mb=peak_memory_mb(), written=True
    )
    with Journal(destination.root) as journal:
        _write(destination.root / "run.json", run_json(report.as_dict()))
        journal.done(names)
    return report


def make_plan(
    root: Path, images: Sequence[ImageRef], clustering: Clustering, settings: ClusterSettings
) -> Plan:
    """Where every image goes."""
    plans = [Plan(root, ())]
    if settings.transfer == "none":
        return plans[0]
    if settings.stage != "batch":
        plans.append(plan_tree(root, PurePosixPath("result"), images, clustering.labels))
    if settings.stage == "batch" or settings.keep_batches:
        for number, batch in enumerate(clustering.batches):
            part = slice(clustering.starts[number], clustering.starts[number + 1])
            folder = PurePosixPath("batches") / f"batch_{number}"
            plans.append(plan_tree(root, folder, images[part], batch.labels))
    return join_plans(plans)


def _print_plan(
    plan: Plan, destination: Destination, settings: ClusterSettings, console: Console
) -> None:
    """Say what is going to be done, before it is."""
    if destination.earlier:
        console.line(
            f"plan: remove {len(destination.earlier)} files that an earlier run made in"
            f" {destination.root}"
        )
    if settings.transfer == "none":
        console.line(f"plan: write tables into {destination.root}, no images")
        return
    size = f"{plan.bytes() / 1e6:,.1f} MB, " if settings.transfer == "copy" else ""
    console.line(
        f"plan: {settings.transfer} {len(plan.moves)} images ({size}{len(plan.folders())} folders)"
        f" into {destination.root}"
    )
    for folder, count in plan.folders().items():
        console.detail(f"plan: {folder}: {count} images")
    for move in plan.moves:
        console.detail(f"plan: {settings.transfer} {move.source} -> {move.target}")


def _tell_unreadable(report: ClusterReport, console: Console) -> None:
    for one in report.unreadable[:ALSO_UNREADABLE]:
        console.warn(f"unreadable: {one.file}: {one.reason}")
    if len(report.unreadable) > ALSO_UNREADABLE:
        rest = len(report.unreadable) - ALSO_UNREADABLE
        console.warn(f"unreadable: {rest} more, all listed in unreadable.csv")
    if report.ignored:
        named = ", ".join(report.ignored[:3]) + (", …" if len(report.ignored) > 3 else "")
        console.warn(f"no images, left alone: {len(report.ignored)} ({named})")


def _made(plan: Plan, names: Sequence[str], settings: ClusterSettings) -> Iterator[Made]:
    for move in plan.moves:
        yield Made(str(move.target), settings.transfer, str(move.source.absolute()))
    for name in names:
        yield Made(name, "write")


def _about(report: ClusterReport, settings: ClusterSettings) -> dict[str, str]:
    return {
        "source": report.source,
        "method": report.method,
        "threshold": repr(report.threshold),
        "transfer": settings.transfer,
        "stage": settings.stage,
    }


def _check_free(root: Path, names: Sequence[str]) -> None:
    for name in names:
        if (root / name).exists():
            raise ConflictError(f"{root / name} exists already and is not overwritten")


def _write(path: Path, content: bytes | Iterable[bytes]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise IcasError(f"cannot write {path}: {error.strerror or error}") from error


def _table_names(
    clustering: Clustering, report: ClusterReport, settings: ClusterSettings
) -> list[str]:
    links = [f"similarities/batch_{number}.csv" for number in range(len(clustering.batches))]
    if settings.stage == "merge":
        links = []
    if settings.stage != "batch":
        links.append("similarities/merge.csv")
    models = ["models.csv"] if report.models else []
    return [*links, *models, "clusters.csv", "certificate.csv", "unreadable.csv"]


def _tables(
    clustering: Clustering, report: ClusterReport, settings: ClusterSettings
) -> Iterator[tuple[str, bytes | Iterable[bytes]]]:
    """Name and content of every table."""
    names = _table_names(clustering, report, settings)
    if "models.csv" in names:
        yield "models.csv", models_table([(one.tried, one.chosen) for one in report.models])
    for number, name in enumerate(name for name in names if name.startswith("similarities/b")):
        start = int(clustering.starts[number])
        yield name, links_table(clustering.batches[number].links, report.files, start)
    if "similarities/merge.csv" in names:
        yield "similarities/merge.csv", links_table(clustering.merged_links, report.files)
    yield (
        "clusters.csv",
        clusters_table(report.files, report.labels, report.batch, report.representative),
    )
    yield "certificate.csv", certificates_table(report.certificates)
    yield (
        "unreadable.csv",
        table(("file", "reason"), ((one.file, one.reason) for one in report.unreadable)),
    )


def _kept(
    clustering: Clustering,
    images: Sequence[ImageRef],
    report: ClusterReport,
    features: FeatureKeeper | None,
) -> dict[str, bytes]:
    """Name and content of what is kept for later."""
    kept = Kept.of(clustering, images, report).contents()
    return kept | (features.contents(clustering.labels) if features is not None else {})


def _pages(
    report: ClusterReport,
    images: Sequence[ImageRef],
    settings: ClusterSettings,
    watch: Stopwatch,
    console: Console,
) -> list[tuple[str, bytes]]:
    """The report page, made before any image is moved from where it is read."""
    if not settings.report:
        return []
    from icas.clusterimg.report import report_page

    so_far = replace(report, seconds=seconds_of(watch), peak_memory_mb=peak_memory_mb())
    return [("report.html", report_page(so_far, images, settings.max_pixels, console))]
