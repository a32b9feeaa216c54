"""The ways in which one image gets to its place: copied, moved, linked.

A file appears under its name whole or not at all, and every way can be gone again: what a killed
run had already put at its place is recognised there.
"""

from __future__ import annotations

import contextlib
import errno
import filecmp
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from icas.clusterimg.journal.journal import PARTS
from icas.clusterimg.journal.records import Made
from icas.common.errors import ConflictError
from icas.io.files import sync, sync_folder

OF_THE_DISK = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
)
"""Errors that the next file would meet as well."""
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


def put(how: str, one: Carrying) -> None:
    """Put one image in its place, or see that it is there already.

    Parameters
    ----------
    how : str
        ``copy``, ``move``, ``hardlink`` or ``symlink``.

    Raises
    ------
    LeftAloneError
        Its source is gone or changed, or cannot go this way.
    ConflictError
        Something of somebody else's is at its place.
    OSError
        The system does not do it.
    """
    if os.path.lexists(one.target):
        _ARRIVED[how](one)
    else:
        one.check_source()
        CARRIERS[how](one)


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
        sync(temporary)
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
        if error.errno in OF_THE_DISK:
            raise
        _require_free(target)
        temporary.rename(target)  # no hard links here
