"""Choose the image to keep of each cluster, and move the others out of the way."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np

from icas.cli.console import Console, counted
from icas.clusterimg.data.images import Unreadable
from icas.clusterimg.editing.recut import page_again, report_of, tree_of
from icas.clusterimg.journal.journal import Journal, Rearrangement, phase_of
from icas.clusterimg.quality.image_info import image_info
from icas.clusterimg.quality.measures import SIDE, colorfulness, laplacian_variance, reduced
from icas.clusterimg.results.best_images import (
    BEST,
    CRITERIA,
    DEFAULT_BY,
    LINK,
    BestImage,
    Value,
    best_table,
    kept_files,
    ranked,
    read_best,
)
from icas.clusterimg.results.saved import FOREST, FinishedRun, check_recorded
from icas.clusterimg.transfer.cleanup import check_untouched
from icas.clusterimg.transfer.destination import claimed, is_free, locked, record
from icas.clusterimg.transfer.execution import complete
from icas.clusterimg.transfer.operations import fingerprint
from icas.clusterimg.transfer.plan import Operation, Plan, check_plan
from icas.clusterimg.transfer.relocation import begin, finish, finish_interrupted
from icas.common.errors import ConflictError, UnreadableImageError, UsageError
from icas.io.files import path_of, run_json, within
from icas.io.reading import MAX_PIXELS, QUIET_PILLOW, read_image, resize
from icas.notebook.html import counted as counted_text
from icas.parallel.executors import start_workers

WHAT = "best"
CHOSEN = "chosen by a person"
_NAMED = 3
"""Files that an error names."""
State = tuple[int, int]


@dataclass(frozen=True)
class BestReport:
    """Result of `icas.best`.

    Attributes
    ----------
    dst : Path
        Result folder.
    by : tuple of str
        Criteria, the first one decides.
    images : tuple of BestImage
        All images with ``.file``, ``.cluster``, ``.keep``, ``.reason`` and ``.values``.
    moved : int
        Number of images moved, or planned to be moved.
    moved_to : Path or None
        Folder that they were moved to; None if nothing was moved.
    left : tuple of Unreadable
        Images that were not moved (``.file``), and why (``.reason``).
    written : bool
        False after a dry run.

    See Also
    --------
    icas.best : Choose the images to keep.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> report = icas.BestReport(Path("sorted"), ("largest",), ())
    >>> report.summary()
    '0 clusters, 0 images to keep, 0 others -> sorted/best.csv'
    >>> report.kept(), report.others(), report.as_dict()["by"]
    ((), (), ['largest'])
    """

    dst: Path
    by: tuple[str, ...]
    images: tuple[BestImage, ...]
    moved: int = 0
    moved_to: Path | None = None
    left: tuple[Unreadable, ...] = ()
    written: bool = True

    def kept(self) -> tuple[str, ...]:
        """Return the image to keep of each cluster, in the order of ``clusters.csv``.

        Returns
        -------
        tuple of str
        """
        return tuple(one.file for one in self.images if one.keep and one.cluster >= 0)

    def others(self) -> tuple[str, ...]:
        """Return the other images of the clusters.

        Returns
        -------
        tuple of str
        """
        return tuple(one.file for one in self.images if not one.keep)

    def summary(self) -> str:
        """Return the last line that the command prints.

        Returns
        -------
        str
        """
        kept, others = len(self.kept()), len(self.others())
        count = [
            counted_text(number, what) for number, what in ((kept, "cluster"), (kept, "image"))
        ]
        text = f"{count[0]}, {count[1]} to keep, {counted_text(others, 'other')}"
        if self.moved_to is not None:
            how = "moved to" if self.written else "to move to"
            text += f", {self.moved} {how} {self.moved_to}"
        dry = "" if self.written else " (dry run, nothing written)"
        return f"{text} -> {self.dst / BEST}{dry}"

    def as_dict(self) -> dict[str, Any]:
        """Return the result as for ``--json``.

        Returns
        -------
        dict
            With ``dst``, ``by``, ``best`` (cluster, file, reason), ``others``, ``moved``,
            ``moved_to``, ``left`` and ``dry_run``.
        """
        best = [
            {"cluster": one.cluster, "file": one.file, "reason": one.reason}
            for one in self.images
            if one.keep and one.cluster >= 0
        ]
        return {
            "dst": str(self.dst),
            "by": list(self.by),
            "best": sorted(best, key=lambda one: int(str(one["cluster"]))),
            "others": list(self.others()),
            "moved": self.moved,
            "moved_to": None if self.moved_to is None else str(self.moved_to),
            "left": [{"file": one.file, "reason": one.reason} for one in self.left],
            "dry_run": not self.written,
        }


def best(
    dst: str | Path,
    *,
    by: str | Sequence[str] = DEFAULT_BY,
    move_others: str | Path | None = None,
    resume: bool = False,
    dry_run: bool = False,
    jobs: int | None = None,
    progress: bool = False,
) -> BestReport:
    """Choose the image to keep of each cluster of a finished result.

    ``best.csv`` in the result lists all images with their numbers, and ``report.html`` marks the
    images to keep.

    Parameters
    ----------
    dst : str or Path
        Result folder.
    by : str or sequence of str, default ("largest", "least-compressed", "sharpest")
        Criteria in order; each decides ties of the one before, and the file name decides the last
        ones. A string may hold several with commas. Criteria: ``largest``, ``least-compressed``,
        ``sharpest``, ``most-colorful``, ``newest``, ``oldest``, ``longest-path``,
        ``shortest-path``, ``name``. A symbolic link is never kept where there is a file.
    move_others : str or Path, optional
        New or empty folder to which the other source images are moved, with their relative paths.
        With ``transfer="move"`` they are moved out of the result. ``icas.undo`` of this folder
        moves them back.
    resume : bool, default False
        Continue a move that was interrupted.
    dry_run : bool, default False
        Plan only, change nothing.
    jobs : int, optional
        Number of threads; by default all cores.
    progress : bool, default False
        Show progress bars and warnings on stderr.

    Returns
    -------
    BestReport
        The images to keep, and why.

    Raises
    ------
    UsageError
        No finished result, or an unknown criterion.
    ConflictError
        Images changed since the run, `move_others` is not empty, or the result holds symbolic
        links to the images.
    IcasError
        A disk error; another call with `resume` continues.

    Notes
    -----
    ``sharpest`` is the variance of the Laplacian [1]_ with a longer side of 512 pixels, to which
    smaller images are enlarged, so that copies of different size can be compared.
    ``most-colorful`` is the colorfulness of [2]_.

    References
    ----------
    .. [1] J. L. Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy: a comparative
       study", ICPR 2000.
    .. [2] D. Hasler and S. Süsstrunk, "Measuring colorfulness in natural images", Proc. SPIE 5007,
       2003.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> picture = Image.fromarray(data.coffee())
    >>> picture.save("photos/cup.jpg")
    >>> picture.resize((150, 100)).save("photos/small.jpg")
    >>> how = {"method": "imagehash", "threshold": 0.8, "transfer": "none"}
    >>> report = icas.cluster("photos", dst="sorted", **how)
    >>> report = icas.best("sorted", move_others="copies")
    >>> report.kept(), report.others()
    (('cup.jpg',), ('small.jpg',))
    >>> sorted(path.name for path in Path("photos").iterdir()), report.moved
    (['cup.jpg'], 1)
    >>> icas.undo("copies").moved_back
    1
    """
    return best_of_result(
        path_of(dst, "dst"),
        criteria(by),
        None if move_others is None else Path(move_others),
        Console(warnings=progress, bars=progress),
        resume=resume,
        dry_run=dry_run,
        jobs=jobs,
    )


def criteria(by: str | Iterable[str]) -> tuple[str, ...]:
    """The criteria in `by`; raises UsageError for an unknown one."""
    given = by.split(",") if isinstance(by, str) else list(by)
    names = tuple(dict.fromkeys(name.strip().casefold() for name in given))
    unknown = [name for name in names if name not in CRITERIA]
    if unknown or not names:
        raise UsageError(f"--by {','.join(unknown)}: choose from {', '.join(CRITERIA)}")
    return names


def best_of_result(
    root: Path,
    by: tuple[str, ...],
    others: Path | None,
    console: Console,
    *,
    resume: bool = False,
    dry_run: bool = False,
    jobs: int | None = None,
) -> BestReport:
    """As `best`, with messages to `console`."""
    check_recorded(root)
    if resume and others is None:
        raise UsageError("--resume continues a move: give --move-others DIR as well")
    with nullcontext() if dry_run else locked(root):
        if others is not None and _is_begun(root, others, resume):
            if dry_run:
                raise UsageError("--resume and --dry-run exclude each other: give one of them")
            return _resumed(root, others, console, jobs)
        finish_interrupted(root, console, dry_run)
        finished = _finished(root)
        paths = _paths(finished)
        images = _ranked(finished, paths, by, console, jobs)
        report = BestReport(root, by, images, written=not dry_run)
        plan: Plan | None = None
        if others is not None:
            plan, left = _plan(finished, others, images, console)
            report = replace(report, moved=len(plan.operations), moved_to=others, left=left)
        if dry_run:
            return report
        _write(finished, report, console)
        if others is not None and plan is not None:
            failed = _move(finished, others, plan, by, console, jobs)
            gone = tuple(Unreadable(file, reason) for file, reason in failed.items())
            report = replace(report, moved=report.moved - len(gone), left=(*report.left, *gone))
        return report


def best_of_images(
    paths: Mapping[str, Path], by: tuple[str, ...], max_pixels: int = MAX_PIXELS
) -> str:
    """The best one of some images, by name; those that cannot be read come last."""
    columns = {column for name in by for column in CRITERIA[name].columns}
    with start_workers("threads", None) as workers, QUIET_PILLOW:
        tasks = ((file, path, columns, max_pixels) for file, path in paths.items())
        measured = dict(zip(paths, workers.ordered(_measure, tasks), strict=True))
    values = {file: one for file, one in measured.items() if not isinstance(one, str)}
    images = ranked(tuple(paths), np.zeros(len(paths), np.int64), values, by)
    return next(one.file for one in images if one.keep)


def keep_chosen(
    root: Path, chosen: Collection[str], console: Console, jobs: int | None = None
) -> BestReport:
    """Write ``best.csv`` with the images that a person chose; of other clusters the best one."""
    with locked(root):
        finish_interrupted(root, console, False)
        finished = _finished(root)
        by = tuple(finished.run.get("best", {}).get("by", ())) or DEFAULT_BY
        images = _ranked(finished, _paths(finished), by, console, jobs)
        clusters = {one.cluster for one in images if one.file in chosen}
        report = BestReport(
            root,
            by,
            tuple(
                replace(one, keep=one.file in chosen, reason=CHOSEN)
                if one.cluster in clusters and one.cluster >= 0
                else one
                for one in images
            ),
            written=True,
        )
        _write(finished, report, console)
        return report


def _is_begun(root: Path, others: Path, resume: bool) -> bool:
    """Whether the move into `others` was begun from `root`, and is to be continued.

    Raises ConflictError if the folder cannot be used.
    """
    inside = (Path(os.path.realpath(others)), Path(os.path.realpath(root)))
    if inside[0] == inside[1] or inside[1] in inside[0].parents:
        raise ConflictError(f"{others} is in the result {root}: choose another --move-others")
    if os.path.lexists(others) and not others.is_dir():
        raise ConflictError(f"{others} is no folder: choose another --move-others")
    if is_free(others):
        return False
    phase = phase_of(others)
    if phase in ("carrying", "done"):
        with Journal(others) as journal:
            about = journal.about()
        same_move = about.get("method") == WHAT and about.get("source") == str(inside[1])
        if same_move and resume:
            return True
        if same_move and phase == "carrying":
            raise ConflictError(
                f"the move into {others} was interrupted: repeat the command with --resume to"
                f" continue it, or undo it with clusterimg undo {others}"
            )
    raise ConflictError(f"{others} is not empty: give a new or an empty folder to --move-others")


def _resumed(root: Path, others: Path, console: Console, jobs: int | None) -> BestReport:
    """Continue the move into `others`."""
    with locked(others):
        failed = complete(others, console, jobs)
        with Journal(others) as journal:
            by = tuple(journal.about()["by"].split(","))
            moved = sum(one.is_done for one in journal.files())
    left = tuple(Unreadable(file, reason) for file, reason in failed.items())
    return BestReport(root, by, read_best(root), moved, others, left)


def _finished(root: Path) -> FinishedRun:
    with Journal(root) as journal:
        records = {one.target for one in journal.files()}
        done = journal.phase == "done"
    if done and FOREST not in records:
        raise UsageError(
            f"{root} has no finished clusters: best needs the result of a finished run without"
            " --stage batch or --reference"
        )
    return FinishedRun.read(root)


def _paths(finished: FinishedRun) -> dict[str, Path]:
    """Where each image is: in the source, else in the result."""
    tree, root = tree_of(finished), finished.root
    moved = finished.run["settings"]["transfer"] == "move"
    pairs = zip(finished.state.files, finished.state.sources, strict=True)
    return {
        file: root / tree[source]
        if source in tree and (moved or not os.path.lexists(source))
        else Path(source)
        for file, source in pairs
    }


def _ranked(
    finished: FinishedRun,
    paths: Mapping[str, Path],
    by: tuple[str, ...],
    console: Console,
    jobs: int | None,
) -> tuple[BestImage, ...]:
    files = finished.state.files
    clustered = [
        file for file, label in zip(files, finished.labels, strict=True) if int(label) >= 0
    ]
    max_pixels = int(finished.run["settings"]["max_pixels"])
    columns = {column for name in by for column in CRITERIA[name].columns}
    values: dict[str, Mapping[str, Value]] = {}
    with (
        console.bar(len(clustered), "measure", "images") as bar,
        start_workers("threads", jobs) as workers,
        QUIET_PILLOW,
    ):
        tasks = ((file, paths[file], columns, max_pixels) for file in clustered)
        for file, result in zip(
            clustered, counted(workers.ordered(_measure, tasks), bar), strict=True
        ):
            if isinstance(result, str):
                raise ConflictError(
                    f"cannot read {paths[file]}: {result}: put the image back, or start a new run"
                )
            values[file] = result
    return ranked(files, finished.labels, values, by)


def _measure(file: str, path: Path, columns: set[str], max_pixels: int) -> dict[str, Value] | str:
    """The numbers of an image; the reason if it cannot be read."""
    try:
        info = image_info(path, max_pixels)
        values: dict[str, Value] = {
            "pixels": info.pixels,
            "lossless": int(info.lossless),
            "bytes_per_pixel": _rounded(info.bytes_per_pixel),
            "mtime_ns": info.mtime_ns,
            "path_length": len(file),
        }
        if {"sharpness", "colorfulness"} & columns:
            image = read_image(path, max_pixels=max_pixels, at_least=SIDE)
            height, width = image.shape[:2]
            share = SIDE / max(height, width)
            size = max(1, round(width * share)), max(1, round(height * share))
            gray = cv2.cvtColor(resize(image, size), cv2.COLOR_RGB2GRAY)
            values["sharpness"] = _rounded(laplacian_variance(gray.astype(np.float32)))
            values["colorfulness"] = _rounded(colorfulness(reduced(image)))
    except UnreadableImageError as error:
        return error.message
    return {name: values[name] for name in values if name in columns} | {
        LINK: int(path.is_symlink())
    }


def _rounded(value: float) -> float:
    """`value` as the table has it, so that the table gives the same order."""
    return float(f"{value:.6g}")


def _plan(
    finished: FinishedRun, others: Path, images: Sequence[BestImage], console: Console
) -> tuple[Plan, tuple[Unreadable, ...]]:
    """The plan of the move, and the images that stay because a kept link leads to them."""
    origins = dict(_origins(finished))
    clustered = [one for one in images if one.cluster >= 0]
    _check_unchanged(origins[one.file] for one in clustered)
    needed = {
        os.path.realpath(origins[one.file][0])
        for one in images
        if one.keep and origins[one.file][0].is_symlink()
    }
    left, operations = [], []
    for one in images:
        if one.keep:
            continue
        path, state = origins[one.file]
        if not path.is_symlink() and os.path.realpath(path) in needed:
            left.append(Unreadable(one.file, "not moved: a link that is kept leads to it"))
            continue
        within(others, one.file)
        operations.append(Operation(path, PurePosixPath(one.file), state))
    for folder in sorted({operation.source.parent for operation in operations}):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ConflictError(
                f"no permission to write to folder {folder}, so images cannot be moved out of it"
            )
    plan = Plan(others, tuple(operations))
    check_plan(plan, "move")
    console.line(
        f"plan: move {counted_text(len(operations), 'image')} ({plan.bytes() / 1e6:,.1f} MB) to"
        f" {others}, keep {len(kept_files(images))} of their clusters"
    )
    for operation in operations:
        console.detail(f"plan: move {operation.source} -> {others / operation.target}")
    for stays in left:
        console.warn(f"{stays.file}: {stays.reason}")
    return plan, tuple(left)


def _origins(finished: FinishedRun) -> Iterator[tuple[str, tuple[Path, State | None]]]:
    """File -> the image that is moved, with its size and mtime at the end of the run."""
    transfer, root, state = finished.run["settings"]["transfer"], finished.root, finished.state
    if transfer == "symlink":
        raise ConflictError(
            f"{root} holds symbolic links to the images, which moving would break: undo it, and"
            " run again with another --transfer"
        )
    tree = tree_of(finished)
    records = {one.target: one for one in finished.records}
    states = state.states if state.states is not None else [(-1, -1)] * len(state.files)
    for file, source, known in zip(state.files, state.sources, states, strict=True):
        path, one = Path(source), records.get(tree.get(source, ""))
        size, mtime_ns = int(known[0]), int(known[1])
        if one is not None and transfer == "move":
            path = root / one.target
        if one is not None and (transfer == "move" or size < 0):
            given = one.state if transfer == "move" else one.planned_state
            size, mtime_ns = (-1 if value is None else value for value in given)
        yield file, (path, (size, mtime_ns) if size >= 0 else None)


def _check_unchanged(origins: Iterable[tuple[Path, State | None]]) -> None:
    """Raise ConflictError where an image is not as the run left it."""
    unknown, changed = [], []
    for path, state in origins:
        if state is None:
            unknown.append(path)
            continue
        try:
            same = fingerprint(path) == state
        except OSError:
            same = False
        if not same:
            changed.append(path)
    for paths, what in (
        (changed, "changed or removed since the run"),
        (unknown, "of unknown size and time, as the run is of an older version"),
    ):
        if paths:
            named = ", ".join(map(str, paths[:_NAMED]))
            more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
            raise ConflictError(f"{named}{more} {what}: start a new run; nothing was moved")


def _write(finished: FinishedRun, report: BestReport, console: Console) -> None:
    """Write ``best.csv`` and the new report page to the result, journalled."""
    root, earlier = finished.root, report_of(finished)
    best = kept_files(report.images)
    targets = (
        {}
        if not (tree := tree_of(finished))
        else {
            image: PurePosixPath(tree[source])
            for image, source in enumerate(finished.state.sources)
            if source in tree
        }
    )
    contents = {BEST: best_table(report.images, report.by)}
    contents |= page_again(finished, earlier, console, targets, best)
    check_untouched(root, finished.records)  # rendering the page may take long
    after = {**earlier.afterwards, "best": {"by": list(report.by), "kept": len(best)}}
    contents["run.json"] = run_json(replace(earlier, afterwards=after).as_dict())
    about = {"by": ",".join(report.by)}
    begin(root, Rearrangement(WHAT, about, dict.fromkeys(contents), ()), contents)
    finish(root, console)


def _move(
    finished: FinishedRun,
    others: Path,
    plan: Plan,
    by: Sequence[str],
    console: Console,
    jobs: int | None,
) -> dict[str, str]:
    """Carry out the plan; the images that were not moved, with the reason."""
    with Journal(finished.root) as journal:
        folder = journal.about().get("folder", "")
    about = {
        "source": os.path.realpath(finished.root),
        "folder": folder,
        "method": WHAT,
        "by": ",".join(by),
        "transfer": "move",
    }
    with claimed(others) as destination:
        record(destination, plan, (), "move", about)
        return complete(others, console, jobs)
