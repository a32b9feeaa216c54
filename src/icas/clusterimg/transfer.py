"""Carries a plan out: the only place where images are copied, moved or linked.

Every step can be done again: what a killed run had already put at its place is recognised there.
"""

from __future__ import annotations

import contextlib
import errno
import filecmp
import hashlib
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from icas.clusterimg.journal import PARTS, Journal, Made
from icas.clusterimg.layout import Plan
from icas.clusterimg.scan import LONGEST_PATH
from icas.clusterimg.ways import check_folders, elsewhere, existing
from icas.common.errors import ConflictError, IcasError
from icas.common.executors import start_workers
from icas.common.progress import Bar

TRANSFERS = ("copy", "move", "hardlink", "symlink", "none")
_TOGETHER = 64
"""Files between two entries in the journal."""
_OF_THE_DISK = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
)
"""Errors that the next file would meet as well."""
_NOT_FOR_FOLDERS = frozenset((errno.EINVAL, errno.ENOTSUP, errno.ENOSYS))
"""What file systems answer that cannot bring a folder alone to disk."""
_FICLONE = 0x40049409
"""The request by which Linux lets two files share their blocks until one is changed."""


@dataclass(frozen=True)
class Carrying:
    """One image on its way.

    Attributes
    ----------
    source, target : Path
    part : Path
        Where a copy grows until it is whole, on the file system of the target.
    planned : (int, int) or None
        Size and time of the source as it was planned.
    """

    source: Path
    target: Path
    part: Path
    planned: tuple[int, int] | None = None

    @classmethod
    def of(cls, root: Path, made: Made) -> Carrying:
        """What the journal of the result `root` says of one image."""
        planned = None
        if made.from_size is not None and made.from_mtime_ns is not None:
            planned = made.from_size, made.from_mtime_ns
        return cls(
            Path(made.source or ""), root / made.target, root / PARTS / part_of(made), planned
        )

    def check_source(self) -> None:
        """Make sure that the source is what it was when it was planned.

        Raises
        ------
        LeftAloneError
            It is gone or another.
        """
        try:
            now = fingerprint(self.source)
        except FileNotFoundError:
            raise LeftAloneError("gone since the run read it") from None
        if self.planned is not None and now != self.planned:
            raise LeftAloneError("changed since the run read it")


def part_of(made: Made) -> str:
    """Name of a file that is going to be `made`, while it is not whole; the same every time."""
    return hashlib.blake2b(os.fsencode(made.target), digest_size=12).hexdigest()


class LeftAloneError(Exception):
    """The source stays where it is, for the reason that is the message; the others go on."""


def fingerprint(path: Path) -> tuple[int, int]:
    """Size and time of the file that `path` leads to."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def check_plan(plan: Plan, how: str, going: Collection[Path] = ()) -> None:
    """Find out what would stop the plan before anything is touched.

    Parameters
    ----------
    going : collection of Path
        Files that are going to be removed before.

    Raises
    ------
    ConflictError
        A target exists already or its path is too long, the disk is too full, hard links cannot
        reach it, or a folder may not be written.
    """
    for move in plan.moves:
        _check_target(plan.root / move.target, going)
    sources = {move.source.parent for move in plan.moves}
    check_folders(sources, plan.root, how)
    ground = existing(plan.root)
    copied = sources if how == "copy" else elsewhere(sources, ground) if how == "move" else set()
    if copied:
        _check_room(plan, ground, copied, going)


def _check_target(target: Path, going: Collection[Path]) -> None:
    if os.path.lexists(target) and target not in going:
        raise ConflictError(f"{target} exists already and is not overwritten")
    if len(os.fsencode(target.absolute())) >= LONGEST_PATH and sys.platform == "linux":
        raise ConflictError(
            f"the path of {target.name} in the result would be longer than {LONGEST_PATH - 1}"
            " bytes: choose a shorter --dst"
        )


def _check_room(plan: Plan, ground: Path, copied: set[Path], going: Iterable[Path]) -> None:
    moves = tuple(move for move in plan.moves if move.source.parent in copied)
    needed = Plan(plan.root, moves).bytes()
    freed = (path.lstat() for path in going)
    free = shutil.disk_usage(ground).free + sum(
        status.st_size for status in freed if status.st_nlink == 1
    )
    if needed > free:
        raise ConflictError(
            f"{plan.root} needs {needed / 1e6:,.1f} MB and its disk has {free / 1e6:,.1f} MB free:"
            " make room, use --transfer hardlink or symlink, or choose another --dst"
        )


def carry_out(
    root: Path, pending: Sequence[Made], journal: Journal, jobs: int | None, bar: Bar
) -> dict[str, str]:
    """Put every image on record that is `pending` in its place.

    A file appears under its name whole or not at all; a source is removed (``move``) only after
    its copy is on disk and equal. What lies at its place already is taken as done.

    Returns
    -------
    dict of str to str
        The targets whose source was left alone (gone, changed, not to be read), with the reason;
        it is in the journal too.

    Raises
    ------
    ConflictError
        Something of somebody else's is at the place of an image.
    IcasError
        The disk fails. What was done is done and recorded; another call goes on.
    """
    # What a link shows must not have moved away before it.
    links = [made for made in pending if made.link is not None]
    files = [made for made in pending if made.link is None]
    left = _carry_all(root, links, journal, jobs, bar) if links else {}
    return left | _carry_all(root, files, journal, jobs, bar)


def _carry_all(
    root: Path, pending: Sequence[Made], journal: Journal, jobs: int | None, bar: Bar
) -> dict[str, str]:
    folders = Counter((root / made.target).parent for made in pending)
    with _told_as(f"cannot make folders in {root}"):
        (root / PARTS).mkdir(parents=True, exist_ok=True)
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
    tasks = ((made.how, Carrying.of(root, made)) for made in pending)
    left: dict[str, str] = {}
    # Threads whatever computes: this work waits for the disk, and must run on this machine.
    with start_workers("threads", jobs) as workers, _recorded(journal) as done:
        for made, why in zip(pending, workers.ordered(_carry, tasks), strict=True):
            if why is None:
                done.append(made.target)
            else:
                left[made.target] = why
            bar.update(1)
            if len(done) == _TOGETHER:
                journal.done(done)
                done.clear()
    journal.leave_alone(left)
    for folder in folders:
        sync_folder(folder)
    return left


@contextmanager
def _recorded(journal: Journal) -> Iterator[list[str]]:
    """A list of targets that is written to the journal when the block is left, however it is."""
    done: list[str] = []
    try:
        yield done
    except BaseException:
        with contextlib.suppress(IcasError):  # nothing is lost without it, and that error counts
            journal.done(done)
        raise
    journal.done(done)


@contextmanager
def _told_as(what: str) -> Iterator[None]:
    """Turns what the system says into one line."""
    try:
        yield
    except OSError as error:
        if isinstance(error, IcasError):
            raise
        raise IcasError(f"{what}: {error.strerror or error}") from error


def _carry(how: str, one: Carrying) -> str | None:
    """Put one image in its place; why it was left alone, if it was."""
    with _told_as(f"cannot put {one.source} at {one.target}"):
        try:
            if os.path.lexists(one.target):
                _ARRIVED[how](one)
            else:
                one.check_source()
                CARRIERS[how](one)
        except LeftAloneError as reason:
            return str(reason)
        except OSError as error:
            if _is_of_the_name(one.target, error):
                return f"the disk of the result does not take its name ({error.strerror})"
            if error.errno in _OF_THE_DISK or not _is_sources_fault(one.source, error):
                raise
            return error.strerror or str(error)
    return None


def _is_sources_fault(source: Path, error: OSError) -> bool:
    """Whether `error` comes from this one source rather than from the place it goes to."""
    if error.errno == errno.EIO:
        return not _is_readable(source)
    if error.errno == errno.ENOENT:
        return not os.path.lexists(source)
    named = {os.fsencode(name) for name in (error.filename, error.filename2) if name is not None}
    return os.fsencode(source) in named and error.errno in (
        errno.EACCES,
        errno.EPERM,
        errno.ESTALE,
        errno.ELOOP,
    )


def _is_of_the_name(target: Path, error: OSError) -> bool:
    """Whether the name is what is wrong: letters or a length that other disks take."""
    named = {os.fsencode(name) for name in (error.filename, error.filename2) if name is not None}
    return os.fsencode(target) in named and error.errno in (
        errno.EINVAL,
        errno.EILSEQ,
        errno.ENAMETOOLONG,
    )


def _is_readable(source: Path) -> bool:
    try:
        with source.open("rb") as stream:
            while stream.read(1 << 20):
                pass
    except OSError:
        return False
    return True


def copy(one: Carrying) -> None:
    """A copy, under its name only when whole and on disk.

    It has the source's times and mode, where its disk lets this user set them.
    """
    with _copied(one) as temporary:
        place(temporary, one.target)


def move(one: Carrying) -> None:
    """The source at its target; at no moment is the image in neither place.

    Within one file system the file itself gets its second name before it loses the first; where
    there are no second names, it is renamed.
    """
    if not _second_name(one.source, one.target):
        if _renamed(one.source, one.target):
            return
        with _copied(one) as temporary:
            if not filecmp.cmp(one.source, temporary, shallow=False):
                raise LeftAloneError("its copy differs from it")
            place(temporary, one.target)
    _remove_source(one)


def _remove_source(one: Carrying) -> None:
    """The last step of moving: the image is at its target, on disk, and loses its old name."""
    sync_folder(one.target.parent)
    try:
        one.source.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        one.target.unlink()
        raise LeftAloneError(f"cannot be taken out of its folder ({error.strerror})") from error


def hardlink(one: Carrying) -> None:
    """A second name for the source (or for the file that it points to)."""
    try:
        os.link(one.source.resolve(), one.target)
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise LeftAloneError("it is a link to another file system") from None
        if error.errno == errno.EMLINK:
            raise LeftAloneError("it has as many hard links as its file system allows") from None
        raise


def symlink(one: Carrying) -> None:
    """A symbolic link at the target that points to the source by its whole path."""
    one.target.symlink_to(one.source.absolute())


CARRIERS: dict[str, Callable[[Carrying], None]] = {
    "copy": copy,
    "move": move,
    "hardlink": hardlink,
    "symlink": symlink,
}


def _copy_arrived(one: Carrying) -> None:
    one.check_source()
    if not _equal(one.source, one.target):
        raise _in_the_way(one)


def _move_arrived(one: Carrying) -> None:
    """The target is there: its source is gone already, or is removed now."""
    if os.path.lexists(one.source):
        if not _equal(one.source, one.target):
            raise _in_the_way(one)
        _remove_source(one)
    elif fingerprint(one.target) != one.planned:
        raise _in_the_way(one)


def _hardlink_arrived(one: Carrying) -> None:
    if not one.source.exists() or not one.source.samefile(one.target):
        raise _in_the_way(one)


def _symlink_arrived(one: Carrying) -> None:
    if not one.target.is_symlink() or one.target.readlink() != one.source.absolute():
        raise _in_the_way(one)


_ARRIVED: dict[str, Callable[[Carrying], None]] = {
    "copy": _copy_arrived,
    "move": _move_arrived,
    "hardlink": _hardlink_arrived,
    "symlink": _symlink_arrived,
}


def _equal(one: Path, other: Path) -> bool:
    return one.samefile(other) or filecmp.cmp(one, other, shallow=False)


def _in_the_way(one: Carrying) -> ConflictError:
    return ConflictError(
        f"{one.target} exists already and is not overwritten: move it elsewhere, then call again"
    )


def _second_name(source: Path, target: Path) -> bool:
    """Give the file `source` the name `target` too, where the file system can."""
    if source.is_symlink():
        return False
    try:
        os.link(source, target)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError:
        return False
    return True


def _renamed(source: Path, target: Path) -> bool:
    """Rename `source` on a disk that knows no second names; False where it lies on another."""
    if source.is_symlink() or source.stat().st_dev != target.parent.stat().st_dev:
        return False
    _require_free(target)
    source.rename(target)
    sync_folder(target.parent)
    sync_folder(source.parent)
    return True


def _require_free(target: Path) -> None:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "exists already", str(target))


@contextmanager
def _copied(one: Carrying) -> Iterator[Path]:
    """A copy of the source under another name, whole and on disk; gone afterwards."""
    temporary = one.part
    temporary.unlink(missing_ok=True)  # of a run that was killed
    try:
        if not _cloned(one.source, temporary):
            shutil.copyfile(one.source, temporary)
        with contextlib.suppress(PermissionError):  # network shares, memory cards
            shutil.copystat(one.source, temporary)
        _sync(temporary)
        one.check_source()  # it may have grown meanwhile
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _cloned(source: Path, target: Path) -> bool:
    """Make `target` share the blocks of `source` where the file system can: no byte is copied."""
    if sys.platform != "linux":
        return False
    import fcntl

    with source.open("rb") as old, target.open("xb") as new:
        try:
            fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
        except OSError:
            return False
    return True


def place(temporary: Path, target: Path) -> None:
    """Give `temporary` its final name; fails where that exists."""
    try:
        os.link(temporary, target)
        temporary.unlink()
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno in _OF_THE_DISK:
            raise
        _require_free(target)
        temporary.rename(target)  # no hard links here


def _sync(path: Path) -> None:
    with path.open("rb+" if sys.platform == "win32" else "rb") as stream:
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Bring a folder's list of names to disk, where the system can."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NOT_FOR_FOLDERS:
            raise
    finally:
        os.close(handle)
