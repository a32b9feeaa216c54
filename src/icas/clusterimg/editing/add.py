"""Add new images to a finished result: only pairs with a new image are compared."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from icas.cli.console import Console, counted
from icas.clusterimg.cache.cache import cache_of
from icas.clusterimg.clustering.constrained_linkage import join_apart
from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.data.images import ImageRef, Unreadable, scan
from icas.clusterimg.data.links import Links, each_once, join_links
from icas.clusterimg.decisions.names import names_of_run, stored_labels
from icas.clusterimg.editing.constrained_run import ConstrainedRun, current_paths
from icas.clusterimg.editing.recut import Added, Reclustering, check_linked, recluster, report_of
from icas.clusterimg.features.extraction import Reading, isolation_of
from icas.clusterimg.graph.forest import Labels, spanning_forest
from icas.clusterimg.journal.journal import ADDED
from icas.clusterimg.linking.tiles import all_links, count_across, tiles_across
from icas.clusterimg.methods.base import Method
from icas.clusterimg.results.report import ClusterReport
from icas.clusterimg.results.saved import (
    FeatureKeeper,
    FinishedRun,
    SavedFeatures,
    check_recorded,
    links_table,
    method_of_run,
    states_of,
)
from icas.clusterimg.transfer.destination import locked, planned_record, source_folders
from icas.clusterimg.transfer.plan import (
    Operation,
    Plan,
    check_plan,
    check_transfer,
)
from icas.clusterimg.transfer.relocation import finish_interrupted
from icas.common.errors import IcasError, UsageError
from icas.dataset.image_labels import LABELS, ImageLabel, labels_table, read_image_labels
from icas.io.files import distinct_names, path_of, table
from icas.io.reading import MAX_PIXELS
from icas.io.sandbox import DECODERS
from icas.notebook.html import counted as counted_text
from icas.parallel.executors import start_workers


def add(
    dst: str | Path,
    *new: str | Path,
    recursive: bool = False,
    dry_run: bool = False,
    jobs: int | None = None,
    progress: bool = False,
) -> ClusterReport:
    """Add new images to a finished result.

    New images are compared with each other and with the images of the result, by the method and at
    the threshold of the run; images of the result are not compared with each other again. Clusters
    that a new image links are joined. Files are transferred as in the run, and the tables and the
    report are replaced. Stored constraints apply.

    Parameters
    ----------
    dst : str or Path
        Result folder.
    *new : str or Path
        Folders and image files. Images that are in the result already are skipped, so this may be
        the source folder of the run with new files in it.
    recursive : bool, default False
        Include sub-folders.
    dry_run : bool, default False
        Compare and plan only, change nothing.
    jobs : int, default all cores
        Number of workers. The result does not depend on it.
    progress : bool, default False
        Show progress bars and warnings on stderr.

    Returns
    -------
    ClusterReport
        The new state of the result; ``afterwards["added"]`` is the number of images added so far,
        and new images come last.

    Raises
    ------
    UsageError
        No finished result; a result of models, of a linkage other than single, or of edited
        batches; or a path that is not there.
    ConflictError
        Files were changed, removed or added since the run, or another process uses the folder.
    IcasError
        An image of the result cannot be read, or a disk error; another call continues.

    See Also
    --------
    icas.cluster : Sort a folder.
    icas.undo : Undo the run, including the images added.

    Notes
    -----
    For a run in one batch, the clusters are those of a run over all images, unless they were edited
    since. Methods that are fitted to the images of a folder (deep, fusions) keep that fit. New
    images get the class name that is stored for them, or that of their cluster.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> Image.fromarray(data.coffee()).save("photos/cup.jpg")
    >>> Image.fromarray(data.camera()).save("photos/camera.jpg")
    >>> icas.cluster("photos", method="imagehash", threshold=0.8, dst="sorted").labels.tolist()
    [-1, -1]
    >>> Image.fromarray(data.coffee()).resize((200, 150)).save("photos/cup-small.jpg")
    >>> report = icas.add("sorted", "photos")
    >>> report.files, report.labels.tolist()
    (('camera.jpg', 'cup.jpg', 'cup-small.jpg'), [-1, 0, 0])
    """
    console = Console(warnings=progress, bars=progress)
    paths = [Path(path) for path in new]
    report, _ = add_images(
        path_of(dst, "dst"), paths, console, recursive=recursive, dry_run=dry_run, jobs=jobs
    )
    return report


def add_images(
    root: Path,
    new: Sequence[Path],
    console: Console,
    *,
    recursive: bool = False,
    dry_run: bool = False,
    jobs: int | None = None,
) -> tuple[ClusterReport, tuple[Unreadable, ...]]:
    """As `add`, with messages to `console`; also the new files that cannot be read."""
    check_recorded(root)
    if not new:
        raise UsageError("no new images given: give folders or image files")
    with nullcontext() if dry_run else locked(root):
        finish_interrupted(root, console, dry_run)
        finished = FinishedRun.read(root)
        check_linked(finished, "cannot take new images")
        images, unreadable = _new_images(finished, new, recursive, console)
        if not images:
            if unreadable:
                lost = unreadable[0]
                raise IcasError(f"no new images that can be read: {lost.file} ({lost.reason})")
            console.line(f"no new images: all are in {root} already")
            return report_of(finished), ()
        with _reading(finished, jobs, console) as reading:
            addition = _Addition.compared(finished, images, unreadable, reading, console)
        return addition.apply(console, dry_run), addition.unreadable


def _new_images(
    finished: FinishedRun, new: Sequence[Path], recursive: bool, console: Console
) -> tuple[tuple[ImageRef, ...], tuple[Unreadable, ...]]:
    """Images that are not in the result yet, with names that it has not, and other files."""
    source = Path(str(finished.run["source"]))
    known = {os.path.normpath(path) for path in finished.state.sources}
    known |= {os.path.normpath((finished.root / one.target).absolute()) for one in finished.records}
    found: dict[str, Path] = {}
    unreadable: list[Unreadable] = []
    skipped = 0
    for given in new:
        if given.is_dir():
            scanned = scan(given, recursive=recursive, exclude=finished.root)
            paths = [ref.path for ref in scanned.images]
            lost = {str(given / it.file): it.reason for it in scanned.unreadable}
            earlier = {it.file for it in finished.tables.unreadable}
            unreadable += [
                Unreadable(name, reason)
                for path, reason in lost.items()
                if (name := _name(Path(path), given, source)) not in earlier
            ]
        elif os.path.lexists(given):
            paths = [given]
        else:
            raise UsageError(f"{given} does not exist: give a folder of images or an image file")
        for path in paths:
            absolute = os.path.normpath(path.absolute())
            if absolute in known:
                skipped += 1
                continue
            known.add(absolute)
            found[_name(path, given, source)] = path
    if skipped:
        console.line(f"{counted_text(skipped, 'image')} skipped: in {finished.root} already")
    names = distinct_names([*finished.state.files, *found])[len(finished.state.files) :]
    images = [ImageRef.found(path, name) for path, name in zip(found.values(), names, strict=True)]
    return tuple(images), tuple(unreadable)


def _name(path: Path, given: Path, source: Path) -> str:
    """Name of a new image: relative to the source of the run, else with the folder given."""
    absolute = Path(os.path.normpath(path.absolute()))
    if absolute.is_relative_to(source):
        return absolute.relative_to(source).as_posix()
    above = Path(os.path.normpath(given.absolute())).parent
    return absolute.relative_to(above).as_posix()


@contextmanager
def _reading(finished: FinishedRun, jobs: int | None, console: Console) -> Iterator[Reading]:
    """Workers and cache, as the run had them."""
    settings = finished.run["settings"]
    with (
        console.show_logging(),
        cache_of(settings) as cache,
        start_workers("threads", jobs or settings.get("jobs")) as workers,
        DECODERS,
    ):
        yield Reading(
            method_of_run(finished.run),
            workers,
            int(settings.get("max_pixels", MAX_PIXELS)),
            settings.get("scale"),
            cache=cache,
            isolation=isolation_of({"max_pixels": MAX_PIXELS, **settings}),
        )


@dataclass(frozen=True)
class _Addition:
    """A finished run, extended by new images, and their links."""

    finished: FinishedRun  # with the new images last, still without a cluster
    images: tuple[ImageRef, ...]  # the new ones
    unreadable: tuple[Unreadable, ...]
    features: FeatureSet  # of all images
    links: Links  # those with a new image, down to the similarity of the run

    @classmethod
    def compared(
        cls,
        finished: FinishedRun,
        images: Sequence[ImageRef],
        unreadable: tuple[Unreadable, ...],
        reading: Reading,
        console: Console,
    ) -> _Addition:
        """Read and compare the new images."""
        old = _old_images(finished)
        with console.bar(len(old) + len(images), "features", "images") as bar:
            folder = replace(reading, bar=bar).scan_features(old)
            before, new = folder.features(old), folder.features(images)
        if before.unreadable:
            lost = before.unreadable[0]
            raise IcasError(
                f"cannot read {lost.file}, an image of {finished.root} ({lost.reason}): put it back"
            )
        if not len(new):
            lost = new.unreadable[0]
            raise IcasError(f"no new images that can be read: {lost.file} ({lost.reason})")
        read = set(new.files)
        images = tuple(ref for ref in images if ref.file in read)
        links = _links(reading, before, new, finished.state.forest.floor, console)
        compared = len(before) * len(new) + len(new) * (len(new) - 1) // 2
        failed = (*unreadable, *new.unreadable)
        return cls(
            _extended(finished, images, failed, links, compared),
            images,
            failed,
            concatenate([replace(before, unreadable=()), replace(new, unreadable=())]),
            links,
        )

    def apply(self, console: Console, dry_run: bool) -> ClusterReport:
        """Change the result."""
        finished, run = self.finished, self.finished.run
        constrained = ConstrainedRun.of(finished, self.links)
        if constrained.applied:
            console.line(constrained.applied.summary())
        labels = self._labels(constrained)
        afterwards = {key: run[key] for key in ("recut", "splits") if key in run}
        afterwards |= {
            **constrained.afterwards,
            "added": int(run.get("added", 0)) + len(self.images),
        }
        change = Reclustering(
            "add",
            {"images": len(self.images)},
            labels,
            run["threshold"],
            run["threshold_reason"],
            afterwards,
        )
        for lost in self.unreadable:
            console.warn(f"unreadable: {lost.file}: {lost.reason}")
        self._check_and_print(console)
        extended = constrained.with_forest_of(labels)
        return recluster(extended, change, console, dry_run=dry_run, added=self._added(labels))

    def _labels(self, constrained: ConstrainedRun) -> Labels:
        """The clusters at the threshold; those of a result that was split, joined by new links."""
        threshold = float(self.finished.run["threshold"])
        if "splits" not in self.finished.run:
            return constrained.labels_at(threshold)
        tree = each_once(self.links.at_least(threshold))
        starts = constrained.arrays.starts(self.finished.labels)
        return join_apart(starts, tree, constrained.arrays, lambda _: tree).labels

    @property
    def _how(self) -> str:
        return str(self.finished.run["settings"]["transfer"])

    def _plan(self) -> Plan:
        """The transfers to the folder in which new images wait for their final names."""
        operations = (
            Operation(ref.path, PurePosixPath(f"{ADDED}/{number}{ref.path.suffix}"), ref.state)
            for number, ref in enumerate(self.images)
        )
        return Plan(self.finished.root, tuple(operations) if self._how != "none" else ())

    def _check_and_print(self, console: Console) -> None:
        root, plan = self.finished.root, self._plan()
        check_transfer(self.images, root, self._how)
        check_plan(plan, self._how)
        images = counted_text(len(self.images), "new image")
        if self._how == "none":
            console.line(f"plan: add {images} to the tables of {root}")
            return
        console.line(f"plan: {self._how} {images} to {root}")
        for ref in self.images:
            console.detail(f"plan: {self._how} {ref.path}")

    def _added(self, labels: Labels) -> Added:
        """What the result gets beside other clusters."""
        finished, plan, how = self.finished, self._plan(), self._how
        number = sum(finished.has(f"similarities/added_{k}.csv") for k in range(1, 10_000)) + 1
        unreadable = ((lost.file, lost.reason) for lost in finished.tables.unreadable)
        contents = finished.state.contents() | FeatureKeeper([self.features]).contents(labels)
        files = finished.state.files
        contents[f"similarities/added_{number}.csv"] = b"".join(links_table(self.links, files))
        contents["unreadable.csv"] = table(("file", "reason"), unreadable)
        names = self._names(labels)
        if names:
            contents[LABELS] = labels_table(names)
        return Added(
            tuple(planned_record(operation, how) for operation in plan.operations),
            tuple(source_folders(plan, how)),
            contents,
            SavedFeatures(np.arange(len(files)), self.features),
            names,
        )

    def _names(self, labels: Labels) -> dict[str, ImageLabel]:
        """Class names: those of the result, stored ones of new images, and those of clusters."""
        finished, settings = self.finished, self.finished.run["settings"]
        earlier, stored = read_image_labels(finished.root), {}
        if settings.get("decisions", True):
            paths = {ref.file: ref.path for ref in self.images}
            stored = stored_labels(paths, settings.get("cache"), settings.get("jobs"))
        known = {**stored, **earlier}
        names = names_of_run(known, finished.state.files, labels).labels
        fresh = {ref.file for ref in self.images}
        return {file: one for file, one in names.items() if file in earlier or file in fresh}


def _old_images(finished: FinishedRun) -> list[ImageRef]:
    """The images of the result, in the source where they are unchanged: features are cached."""
    now = current_paths(finished)
    refs = []
    for file, source in zip(finished.state.files, finished.state.sources, strict=True):
        path, moved = Path(source), now[file]
        if path != moved and not _same(path, moved):
            path = moved
        refs.append(ImageRef.found(path, file))
    return refs


def _same(a: Path, b: Path) -> bool:
    """Whether two files have the same size and mtime."""
    try:
        first, second = a.stat(), b.stat()
    except OSError:
        return False
    return (first.st_size, first.st_mtime_ns) == (second.st_size, second.st_mtime_ns)


def _links(
    reading: Reading, before: FeatureSet, new: FeatureSet, threshold: float, console: Console
) -> Links:
    """Links of new images with images of the result and with each other."""
    method: Method = reading.method
    parts, workers = [before, new], reading.workers
    with console.bar(count_across(method, parts, workers.jobs), "links", "tiles") as bar:
        across = join_links(counted(tiles_across(method, parts, threshold, workers), bar))
    return join_links([across, all_links(method, new, threshold, workers).shifted(len(before))])


def _extended(
    finished: FinishedRun,
    images: Sequence[ImageRef],
    unreadable: Iterable[Unreadable],
    links: Links,
    compared: int,
) -> FinishedRun:
    """The run with the new images, as outliers of a batch of their own or of the only one."""
    state, tables = finished.state, finished.tables
    count, more = len(state.files) + len(images), len(images)
    batch = int(tables.batch.max(initial=0))
    files = (*state.files, *(ref.file for ref in images))
    sources = (*state.sources, *(str(ref.path.absolute()) for ref in images))
    states = None
    if state.states is not None:
        states = np.concatenate([state.states, states_of(images)])
    forest = spanning_forest(count, [state.forest.links(), links], state.forest.floor)
    comparisons = finished.run["comparisons"]
    possible, made = count * (count - 1) // 2, comparisons["made"] + compared
    extended = {"possible": possible, "made": made, "skipped": possible - made}
    return replace(
        finished,
        state=replace(state, forest=forest, files=files, sources=sources, states=states),
        run={**finished.run, "comparisons": extended},
        tables=replace(
            tables,
            files=files,
            labels=np.append(tables.labels, np.full(more, -1)),
            batch=np.append(tables.batch, np.full(more, batch + 1 if batch else 0)),
            representative=np.append(tables.representative, np.ones(more, bool)),
            unreadable=(*tables.unreadable, *unreadable),
        ),
    )
