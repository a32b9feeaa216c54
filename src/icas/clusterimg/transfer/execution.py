"""Execute the journalled plan: transfer the images, then put the prepared tables in place.

Tables are written to ``.icas/prepared`` before the first image is transferred. So nothing is
computed again when a run is killed in between, and a disk that is too full for them is detected
while every image is at its old path. `complete` is also what ``--resume`` calls.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from icas.cli.console import Bar, Console
from icas.clusterimg.journal.journal import PARTS, FileRecord, Journal
from icas.clusterimg.transfer.cleanup import PREPARED, file_state, remove_unfinished
from icas.clusterimg.transfer.operations import DISK_ERRORS, LeftAloneError, Transfer, transfer
from icas.common.errors import ConflictError, IcasError
from icas.io.files import one_line_errors, peak_memory_mb, run_json, sync_folder, table, write_whole
from icas.parallel.executors import start_workers

TRANSFERS = ("copy", "move", "hardlink", "symlink", "none")
UNREADABLE, RUN = "unreadable.csv", "run.json"
_FILES_PER_COMMIT = 64
_NAMED = 8
"""Files that warnings name; the table has them all."""


Revised = Callable[[Mapping[str, str]], Mapping[str, bytes]]
"""Targets that are not written, with the reason -> new content of prepared tables."""


def complete(
    root: Path,
    console: Console,
    jobs: int | None = None,
    *,
    revised: Revised | None = None,
    listed: str = UNREADABLE,
) -> dict[str, str]:
    """Execute what is pending in the journal of `root`; another call continues after an error.

    Images that are not transferred are added to the tables, by `revised` where that is given, else
    to ``unreadable.csv``. Returns them with the reason; `listed` is the table that has them all.
    """
    start = time.perf_counter()
    resumable = (
        "no file is lost: repeat the command with --resume to continue, or undo the run with"
        f" clusterimg undo {root}"
    )
    try:
        with Journal(root) as journal:
            images = [one for one in journal.files() if one.how in TRANSFERS and one.is_pending]
            if images:
                with console.bar(len(images), images[0].how, "images") as bar:
                    transfer_all(root, images, journal, jobs, bar)
            left = _left_alone(journal.files(), Path(journal.about().get("folder", "")))
            if revised is None:
                _update_tables(root, journal, left, time.perf_counter() - start)
            elif left:
                _revise_tables(root, journal, revised)
            record_times(journal)
            tables = [one for one in journal.files() if one.how == "write" and one.is_pending]
            _put_tables(root, journal, tables)
            remove_unfinished(root)  # nothing looks for these files after the last phase
            journal.enter("done")
    except ConflictError:
        raise
    except IcasError as error:
        raise IcasError(f"{error.message}; {resumable}") from error
    except KeyboardInterrupt:
        raise KeyboardInterrupt(resumable) from None
    for file, reason in list(left.items())[:_NAMED]:
        console.warn(f"{file}: {reason}")
    if len(left) > _NAMED:
        console.warn(
            f"{len(left) - _NAMED} more images were not transferred; {listed} lists them all"
        )
    return left


def _left_alone(files: Iterable[FileRecord], folder: Path) -> dict[str, str]:
    """Images that were not transferred, named as in ``clusters.csv``, with the reason."""
    left = {}
    for one in files:
        if one.left_alone is not None and one.source is not None:
            path = Path(one.source)
            name = path.relative_to(folder) if path.is_relative_to(folder) else path
            left[name.as_posix()] = f"not transferred: {one.left_alone}"
    return left


def record_times(journal: Journal) -> None:
    """Record the mtimes of the source folders at the end of the run, for undo."""
    times = {}
    for folder in journal.folders():
        if not folder.created and folder.after_ns is None:
            with contextlib.suppress(OSError):
                times[folder.path] = Path(folder.path).stat().st_mtime_ns
    journal.folders_after(times)


def transfer_all(
    root: Path, pending: Sequence[FileRecord], journal: Journal, jobs: int | None, bar: Bar
) -> dict[str, str]:
    """Transfer all `pending` images.

    A file gets its name when it is complete; a source is removed (``move``) only after its copy is
    on disk and equal. A target that exists already and is right counts as done. Returns the
    targets whose source was left alone, with the reason.
    """
    # The file that a symbolic link points to must not be moved before the link.
    links = [one for one in pending if one.link is not None]
    files = [one for one in pending if one.link is None]
    left = _transfer_group(root, links, journal, jobs, bar) if links else {}
    return left | _transfer_group(root, files, journal, jobs, bar)


def _transfer_group(
    root: Path, pending: Sequence[FileRecord], journal: Journal, jobs: int | None, bar: Bar
) -> dict[str, str]:
    folders = Counter((root / one.target).parent for one in pending)
    with one_line_errors(f"cannot create folders in {root}"):
        (root / PARTS).mkdir(parents=True, exist_ok=True)
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
    tasks = ((one.how, Transfer.of(root, one)) for one in pending)
    left: dict[str, str] = {}
    # Always threads: the work waits for the disk, and must run on this machine.
    with start_workers("threads", jobs) as workers, _recorded(journal) as done:
        for one, reason in zip(pending, workers.ordered(_transfer, tasks), strict=True):
            if reason is None:
                done.append(one.target)
            else:
                left[one.target] = reason
            bar.update(1)
            if len(done) == _FILES_PER_COMMIT:
                journal.done(done)
                done.clear()
    journal.leave_alone(left)
    for folder in folders:
        sync_folder(folder)
    return left


@contextmanager
def _recorded(journal: Journal) -> Iterator[list[str]]:
    """A list of targets that is written to the journal at the end of the block, or on an error."""
    done: list[str] = []
    try:
        yield done
    except BaseException:
        with contextlib.suppress(IcasError):  # the first error counts
            journal.done(done)
        raise
    journal.done(done)


def _transfer(how: str, task: Transfer) -> str | None:
    """Transfer one image; the reason where it is left alone."""
    with one_line_errors(f"cannot transfer {task.source} to {task.target}"):
        try:
            transfer(how, task)
        except LeftAloneError as reason:
            return str(reason)
        except OSError as error:
            names = (error.filename, error.filename2)
            named = {os.fsencode(name) for name in names if name is not None}
            invalid = (errno.EINVAL, errno.EILSEQ, errno.ENAMETOOLONG)
            if os.fsencode(task.target) in named and error.errno in invalid:
                return f"the file system of the result does not allow its name ({error.strerror})"
            if error.errno in DISK_ERRORS or not _is_source_error(task.source, error, named):
                raise
            return error.strerror or str(error)
    return None


def _is_source_error(source: Path, error: OSError, named: set[bytes]) -> bool:
    """Whether `error` concerns this source only, rather than the disk of the result."""
    if error.errno == errno.EIO:
        return not _is_readable(source)
    if error.errno == errno.ENOENT:
        return not os.path.lexists(source)
    denied = (errno.EACCES, errno.EPERM, errno.ESTALE, errno.ELOOP)
    return os.fsencode(source) in named and error.errno in denied


def _is_readable(source: Path) -> bool:
    try:
        with source.open("rb") as stream:
            while stream.read(1 << 20):
                pass
    except OSError:
        return False
    return True


def prepare(root: Path, name: str, content: bytes | Iterable[bytes]) -> FileRecord:
    """Write the prepared file of `name`; its record for the plan."""
    path = root / PREPARED / name
    with one_line_errors(f"cannot write {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
        size, mtime_ns = file_state(path)
        return FileRecord(name, "write", from_size=size, from_mtime_ns=mtime_ns)


def _update_tables(root: Path, journal: Journal, left: Mapping[str, str], seconds: float) -> None:
    """Add the images that were not transferred, and the duration, to the prepared tables."""
    run, unreadable = root / PREPARED / RUN, root / PREPARED / UNREADABLE
    if not run.exists() or not unreadable.exists():
        return  # they are up to date: the tables are being put in place
    summary = json.loads(run.read_bytes())
    text = unreadable.read_bytes().decode("utf-8", "surrogateescape")
    rows = [(row[0], row[1]) for row in list(csv.reader(io.StringIO(text, newline="")))[1:]]
    new = [(file, reason) for file, reason in left.items() if (file, reason) not in rows]
    if new:
        write_whole(unreadable, table(("file", "reason"), [*rows, *new]))
    summary["unreadable"] = len(rows) + len(new)
    summary["seconds"]["transfer"] = round(summary["seconds"].get("transfer", 0) + seconds, 3)
    peaks = [peak for peak in (summary["peak_memory_mb"], peak_memory_mb()) if peak]
    summary["peak_memory_mb"] = max(peaks, default=None)
    write_whole(run, run_json(summary))
    journal.prepared({name: file_state(root / PREPARED / name) for name in (RUN, UNREADABLE)})


def _revise_tables(root: Path, journal: Journal, revised: Revised) -> None:
    """Write prepared tables again, for the images that were not transferred."""
    files = list(journal.files())
    tables = [one for one in files if one.how == "write" and one.is_pending]
    if not all((root / PREPARED / one.target).exists() for one in tables):
        return  # they are up to date: the tables are being put in place
    left = {one.target: one.left_alone for one in files if one.left_alone is not None}
    contents = revised(left)
    for name in [one.target for one in tables if one.target in contents]:
        write_whole(root / PREPARED / name, contents[name])
        journal.prepared({name: file_state(root / PREPARED / name)})


def _put_tables(root: Path, journal: Journal, tables: Iterable[FileRecord]) -> None:
    """Move the prepared files to their targets, ``run.json`` last."""
    ordered = sorted(tables, key=lambda one: one.target == RUN)
    try:
        for one in ordered:
            _put(root, one)
        for folder in {(root / one.target).parent for one in ordered}:
            sync_folder(folder)
    except OSError as error:
        raise IcasError(
            f"cannot move {error.filename} to its final name: {error.strerror}"
        ) from error
    journal.done(one.target for one in ordered)


def _put(root: Path, one: FileRecord) -> None:
    prepared, target = root / PREPARED / one.target, root / one.target
    if os.path.lexists(target):
        if file_state(target) != one.planned_state:
            raise ConflictError(
                f"{target} already exists and is not overwritten: move it elsewhere, then run"
                " the command again"
            )
        return
    if not prepared.exists():
        raise IcasError(
            f"{prepared} is missing, so the interrupted run cannot be completed: undo it with"
            f" clusterimg undo {root}"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    prepared.rename(target)


def prepared_summary(root: Path) -> dict[str, object]:
    """The prepared ``run.json`` of an interrupted run."""
    for path in (root / PREPARED / RUN, root / RUN):
        if path.is_file():
            try:
                summary = json.loads(path.read_bytes())
            except (OSError, ValueError) as error:
                raise IcasError(f"cannot read {path}: {error}") from error
            if isinstance(summary, dict):
                return summary
    raise IcasError(
        f"the tables of the interrupted run in {root} are missing, so it cannot be completed:"
        f" undo it with clusterimg undo {root}"
    )
