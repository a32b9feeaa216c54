"""Export the labelled images of a finished run: plan, print, record, then write."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from icas.cli.console import Console
from icas.cli.options import flag_of
from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.export.labelled import LabelledImages
from icas.clusterimg.export.report import ExportReport, absent, counts_of, split_table
from icas.clusterimg.export.settings import ExportSettings, Names, Shares
from icas.clusterimg.journal.journal import FOLDER, Journal, being_undone, phase_of
from icas.clusterimg.transfer.cleanup import PREPARED
from icas.clusterimg.transfer.destination import Destination, claimed, locked, record
from icas.clusterimg.transfer.execution import complete, prepare
from icas.clusterimg.transfer.plan import Operation, Plan, check_plan, check_transfer
from icas.common.errors import ConflictError, IcasError, UsageError
from icas.dataset.classes import DatasetClass, dataset_classes
from icas.dataset.formats import make_format
from icas.dataset.formats.base import Dataset, DatasetImage
from icas.dataset.splits import assign_splits
from icas.io.files import distinct_names, path_of, table
from icas.notebook.html import counted

RECORD = f"{FOLDER}/dataset.json"
"""The data set as planned, from which its tables can be written again."""
LEFT_OUT, CLASSES = "left_out.csv", "classes.csv"
_KIND = "data set"
_NAMED = 8
"""Files, classes and contradictions that warnings name."""


def export(
    dst: str | Path,
    out: str | Path,
    *,
    format: Names = "imagefolder",
    split: Shares | None = None,
    seed: int = 0,
    transfer: str = "copy",
    min_confidence: float = 0.0,
    overwrite: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    jobs: int | None = None,
    progress: bool = False,
) -> ExportReport:
    """Write a data set of the labelled images of a finished run, like ``clusterimg export``.

    Images without a label are left out. A cluster is never in two splits, so that near-duplicates
    of training images are in no other split. The same holds for linked and must-linked images, and
    for equal files. `icas.undo` removes the data set.

    Parameters
    ----------
    dst : str or Path
        Result folder of the run, with ``labels.csv``.
    out : str or Path
        Folder of the data set, new or empty.
    format : str or sequence of str, default "imagefolder"
        ``csv``, ``imagefolder``, ``coco``, ``yolo``, ``hf``, ``fiftyone``. Several are written to
        ``out/NAME`` each.
    split : dict or str, optional
        Share of ``train``, ``val`` and ``test``: ``{"train": 0.8, "test": 0.2}``. Default: all
        images in ``train``.
    seed : int, default 0
        Random seed of the splits.
    transfer : {"copy", "hardlink", "symlink"}
        How images get there.
    min_confidence : float, default 0.0
        Labels with a lower confidence are left out.
    overwrite : bool, default False
        Replace an earlier data set in `out`.
    resume : bool, default False
        Continue an interrupted export.
    dry_run : bool, default False
        Plan only, write nothing.
    jobs : int, optional
        Number of workers. Default: all cores.
    progress : bool, default False
        Show progress bars and warnings on stderr.

    Returns
    -------
    ExportReport
        Images of each class and split, and what was left out.

    Raises
    ------
    UsageError
        No finished result, no labels, an unknown format or split, or shares that do not sum to 1.
    ConflictError
        The folder of the data set is in use or not empty.
    IcasError
        A disk error; a call with ``resume=True`` continues.

    See Also
    --------
    icas.undo : Remove a data set.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> for name in ("coffee", "rocket"):
    ...     picture = Image.fromarray(getattr(data, name)())
    ...     picture.save(f"photos/{name}.jpg")
    ...     picture.resize((90, 60)).save(f"photos/{name}-small.jpg")
    >>> report = icas.cluster("photos", threshold="auto", dst="sorted", jobs=1)
    >>> rows = "coffee.jpg,cup,image,1\\ncoffee-small.jpg,cup,image,1\\n"
    >>> size = Path("sorted/labels.csv").write_text("file,label,source,confidence\\n" + rows)
    >>> icas.export("sorted", "dataset").summary()
    '2 images, 1 class, 2 left out, 0 missing -> dataset'
    >>> sorted(path.name for path in Path("dataset/train/cup").iterdir())
    ['coffee-small.jpg', 'coffee.jpg']
    """
    settings = ExportSettings(
        format=format,
        split=split,
        min_confidence=min_confidence,
        seed=seed,
        transfer=transfer,
        overwrite=overwrite,
        resume=resume,
        dry_run=dry_run,
        jobs=jobs,
    )
    console = Console(warnings=progress, bars=progress)
    return export_result(path_of(dst, "dst"), path_of(out, "out"), settings, console)


def export_result(
    root: Path, out: Path, settings: ExportSettings, console: Console
) -> ExportReport:
    """As `export`, with messages to `console`."""
    if not root.is_dir():
        raise UsageError(f"no folder {str(root)!r}: give the result folder of a clusterimg run")
    if out.resolve().is_relative_to(root.resolve()):
        raise UsageError(f"{out} is in the result folder {root}: choose another folder")
    with _naming_out():
        resumed = _resume(root, out, settings, console) if settings.resume else None
        if resumed is not None:
            return resumed
        mode = {"overwrite": settings.overwrite, "resume": settings.resume}
        with (
            nullcontext(Destination.of(out, **mode))
            if settings.dry_run
            else claimed(out, **mode) as destination
        ):
            _check_replaced(destination)
            return _export(root, destination, settings, console)


@contextmanager
def _naming_out() -> Iterator[None]:
    """Messages about the folder of the data set name it as this command does."""
    try:
        yield
    except ConflictError as error:
        raise ConflictError(
            error.message.replace("another --dst", "another OUT").replace(
                "shorter --dst", "shorter OUT"
            )
        ) from error


def _check_replaced(destination: Destination) -> None:
    """Check that what is replaced is a data set, not the result of a run."""
    if not destination.earlier:
        return
    with Journal(destination.root) as journal:
        about = journal.about()
    if about.get("kind") != _KIND:
        raise ConflictError(
            f"{destination.root} is no data set of clusterimg export, so --overwrite does not"
            " replace it: choose another folder"
        )


@dataclass(frozen=True)
class _Written:
    """A planned data set: enough to write its tables, whatever images are missing."""

    dst: str
    dataset: Dataset
    groups: Mapping[str, int]
    paths: Mapping[str, tuple[str, ...]]  # by format: path of each image in it, "" where not copied
    left_out: Mapping[str, str]
    missing: Mapping[str, str]
    contradictions: tuple[str, ...]
    settings: Mapping[str, Any]

    def place(self, format: str) -> PurePosixPath:
        """The folder of a format in the data set."""
        return PurePosixPath(format if len(self.paths) > 1 else "")

    def plan(self, out: Path, images: Mapping[str, ImageRef]) -> Plan:
        """The plan of the transfer."""
        operations = []
        for format, paths in self.paths.items():
            for image, path in zip(self.dataset.images, paths, strict=True):
                if path:
                    ref = images[image.file]
                    target = self.place(format) / path
                    operations.append(Operation(ref.path, target, ref.state))
        return Plan(out, tuple(operations))

    def without(self, left: Mapping[str, str]) -> _Written:
        """Without the images whose targets `left` were not transferred, with the reasons."""
        lost: dict[str, str] = {}
        for format, paths in self.paths.items():
            for image, path in zip(self.dataset.images, paths, strict=True):
                reason = left.get(str(self.place(format) / path)) if path else None
                if reason is not None:
                    lost[image.file] = f"not transferred: {reason}"
        if not lost:
            return self
        rows = [n for n, one in enumerate(self.dataset.images) if one.file not in lost]
        images = tuple(self.dataset.images[row] for row in rows)
        kept = {name: tuple(of[row] for row in rows) for name, of in self.paths.items()}
        return replace(
            self,
            dataset=replace(self.dataset, images=images),
            paths=kept,
            missing={**self.missing, **lost},
        )

    def tables(self) -> Iterator[tuple[str, bytes]]:
        """Name and content of every table."""
        for format, paths in self.paths.items():
            for name, content in make_format(format).tables(self.dataset, paths):
                yield str(self.place(format) / name), content
        counts, splits = counts_of(self.dataset), self.dataset.splits
        rows = (
            (one.number, name, one.folder, sum(counts[name].values()), *counts[name].values(),
             self.groups[name])
            for name, one in self.dataset.classes.items()
        )  # fmt: skip
        yield CLASSES, table(("id", "class", "folder", "images", *splits, "groups"), rows)
        out = {**self.left_out, **self.missing}
        yield LEFT_OUT, table(("file", "reason"), sorted(out.items()))

    def report(self, root: Path, out: Path, written: bool) -> ExportReport:
        """The report of the export."""
        return ExportReport(
            root,
            out,
            counts_of(self.dataset),
            self.left_out,
            self.missing,
            self.contradictions,
            self.settings,
            written,
        )

    def to_json(self) -> bytes:
        """Content of the record."""
        return (json.dumps(asdict(self)) + "\n").encode()

    @classmethod
    def read(cls, out: Path) -> _Written:
        """The data set in `out` as planned."""
        for path in (out / PREPARED / RECORD, out / RECORD):
            if path.is_file():
                try:
                    return cls._of(json.loads(path.read_bytes()))
                except (OSError, ValueError, KeyError, TypeError) as error:
                    raise IcasError(f"cannot read {path}: {error}") from error
        raise UsageError(f"{out} is no data set of clusterimg export: choose another folder")

    @classmethod
    def _of(cls, stored: dict[str, Any]) -> _Written:
        dataset = stored["dataset"]
        images = tuple(
            DatasetImage(**{**one, "size": one["size"] and tuple(one["size"])})
            for one in dataset["images"]
        )
        classes = {name: DatasetClass(**one) for name, one in dataset["classes"].items()}
        return cls(
            **{
                **stored,
                "dataset": Dataset(images, classes, tuple(dataset["splits"])),
                "paths": {name: tuple(paths) for name, paths in stored["paths"].items()},
                "contradictions": tuple(stored["contradictions"]),
            }
        )


def _resume(
    root: Path, out: Path, settings: ExportSettings, console: Console
) -> ExportReport | None:
    """Continue an interrupted export; None where it has to start from the beginning."""
    phase = phase_of(out)
    if phase in (None, "clearing"):
        return None
    if phase == "undoing":
        raise being_undone(out)
    with nullcontext() if settings.dry_run else locked(out):
        written = _Written.read(out)
        _check_same(written, root, out, settings)
        if phase_of(out) == "done":
            console.line(f"the data set in {out} is already finished")
        elif settings.dry_run:
            raise ConflictError(
                f"the export to {out} was interrupted: run the command without --dry-run to"
                " finish it"
            )
        else:
            console.line(f"continuing the interrupted export to {out}")
            _complete(out, written, console, settings.jobs)
        return written.without(_left_alone(out)).report(root, out, True)


def _check_same(written: _Written, root: Path, out: Path, settings: ExportSettings) -> None:
    """Check that the data set in `out` was planned by the same command."""
    if str(root.resolve()) != written.dst:
        raise UsageError(f"{out} is a data set of {written.dst}, not of {root}")
    for name, value in settings.as_dict().items():
        if value != written.settings[name]:
            raise UsageError(
                f"{flag_of(name)} {value}: the export to {out} used {written.settings[name]}, and"
                " --resume cannot change it; use --overwrite, or choose another folder"
            )


def _export(
    root: Path, destination: Destination, settings: ExportSettings, console: Console
) -> ExportReport:
    out = destination.root
    formats = {name: make_format(name) for name in settings.formats}
    labelled = LabelledImages.read(root, settings, any(one.needs_sizes for one in formats.values()))
    if not labelled.images:
        raise IcasError(
            f"no labelled image of {root} can be exported: {len(labelled.left_out)} left out,"
            f" {len(labelled.missing)} missing"
        )
    written = _planned(labelled, settings)
    images = {ref.file: ref for ref in labelled.images}
    destination.check_spares(labelled.images)
    plan = written.plan(out, images)
    check_transfer([images[one.file] for one in written.dataset.images], out, settings.transfer)
    _print(written, plan, destination, console)
    if settings.dry_run:
        return written.report(root, out, False)
    check_plan(plan, settings.transfer, destination.removed)
    prepared = []
    for name, content in (*written.tables(), (RECORD, written.to_json())):
        destination.check_free(name)
        prepared.append(prepare(out, name, content))
    about = {"kind": _KIND, "source": written.dst, "transfer": settings.transfer}
    record(destination, plan, prepared, settings.transfer, about)
    _complete(out, written, console, settings.jobs)
    return written.without(_left_alone(out)).report(root, out, True)


def _planned(labelled: LabelledImages, settings: ExportSettings) -> _Written:
    names = [label.label for label in labelled.labels]
    splits = assign_splits(labelled.groups, names, settings.shares, settings.seed)
    sizes = labelled.sizes or [None] * len(names)
    rows = zip(labelled.images, labelled.labels, splits, labelled.clusters, sizes, strict=True)
    images = tuple(
        DatasetImage(ref.file, label.label, split, int(cluster), label.confidence, size)
        for ref, label, split, cluster, size in rows
    )
    dataset = Dataset(images, dataset_classes(names), tuple(settings.shares))
    pairs = set(zip(names, labelled.groups.tolist(), strict=True))
    groups = Counter(name for name, _ in pairs)
    return _Written(
        str(labelled.root.resolve()),
        dataset,
        dict(groups),
        {name: _paths(name, dataset) for name in settings.formats},
        labelled.left_out,
        labelled.missing,
        labelled.contradictions,
        settings.as_dict(),
    )


def _paths(format: str, dataset: Dataset) -> tuple[str, ...]:
    """Path of each image in a format; files keep their names where these are distinct."""
    made = make_format(format)
    paths = [""] * len(dataset.images)
    members: dict[str, list[int]] = {}
    for number, image in enumerate(dataset.images):
        folder = made.folder(image, dataset)
        if folder is not None:
            members.setdefault(folder, []).append(number)
    for folder, rows in members.items():
        names = distinct_names(PurePosixPath(dataset.images[row].file).name for row in rows)
        for row, name in zip(rows, names, strict=True):
            paths[row] = f"{folder}/{name}"
    return tuple(paths)


def _print(written: _Written, plan: Plan, destination: Destination, console: Console) -> None:
    """Print the plan, images by class and split, and what a user should look at."""
    if destination.earlier:
        console.line(f"plan: remove {len(destination.earlier)} files of the previous data set")
    transfer, formats = written.settings["transfer"], ", ".join(written.paths)
    size = f" ({plan.bytes() / 1e6:,.1f} MB)" if transfer == "copy" and plan.operations else ""
    what = f"{transfer} {counted(len(plan.operations), 'image')}{size}"
    console.line(f"plan: {what if plan.operations else 'write a table'} to {plan.root} ({formats})")
    counts = counts_of(written.dataset)
    for line in split_table(counts, written.groups):
        console.line(line)
    for move in plan.operations:
        console.detail(f"plan: {transfer} {move.source} -> {move.target}")
    lacking = list(absent(counts, written.groups))
    _warn(console, lacking, "classes", CLASSES)
    _warn(console, list(written.contradictions), "contradictions", "--json")
    lost = [f"{file}: {reason}" for file, reason in written.missing.items()]
    _warn(console, lost, "missing images", LEFT_OUT)
    for format in written.paths:
        made = make_format(format)
        suffixes = made.suffixes
        if lacking and made.absent_class:
            console.warn(made.absent_class)
        files = [PurePosixPath(one.file) for one in written.dataset.images]
        others = [one for one in files if suffixes and one.suffix.lower() not in suffixes]
        if others:
            kinds = ", ".join(sorted({one.suffix or "no suffix" for one in others}))
            console.warn(
                f"{counted(len(others), 'image')} ({kinds}) cannot be loaded by readers of {format}"
            )


def _warn(console: Console, lines: list[str], what: str, where: str) -> None:
    for line in lines[:_NAMED]:
        console.warn(line)
    if len(lines) > _NAMED:
        console.warn(f"{len(lines) - _NAMED} more {what}: see {where}")


def _complete(out: Path, written: _Written, console: Console, jobs: int | None) -> None:
    """Execute the journalled plan; tables are written again without images that are missing."""

    def revised(left: Mapping[str, str]) -> Mapping[str, bytes]:
        return dict(written.without(left).tables())

    complete(out, console, jobs, revised=revised, listed=LEFT_OUT)


def _left_alone(out: Path) -> dict[str, str]:
    """Targets that were not written, with the reason."""
    with Journal(out) as journal:
        return {one.target: one.left_alone for one in journal.files() if one.left_alone is not None}
