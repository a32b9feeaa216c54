"""Transfer of one image: copy, move, hard link or symbolic link.

A file gets its name when it is complete. Each operation can be repeated: a target that an
interrupted run left is recognised.
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

from icas.clusterimg.journal.journal import PARTS, FileRecord
from icas.common.errors import ConflictError
from icas.io.files import sync, sync_folder

DISK_ERRORS = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
)
"""Errors that the next file would meet as well."""
_FICLONE = 0x40049409
"""The ioctl by which Linux lets two files share blocks."""


class LeftAloneError(Exception):
    """The source stays where it is, for the reason in the message; the run continues."""


@dataclass(frozen=True)
class Transfer:
    """One image and its target.

    A copy is written to `part`, on the file system of the target. `planned` is size and mtime of
    the source when it was planned.
    """

    source: Path
    target: Path
    part: Path
    planned: tuple[int | None, int | None] = (None, None)

    @classmethod
    def of(cls, root: Path, record: FileRecord) -> Transfer:
        """The transfer of a file in the journal of `root`."""
        part = root / PARTS / part_name(record)
        return cls(Path(record.source or ""), root / record.target, part, record.planned_state)

    def check_source(self) -> None:
        """Raise LeftAloneError where the source is gone or changed."""
        try:
            state = fingerprint(self.source)
        except FileNotFoundError:
            raise LeftAloneError("deleted since the run read it") from None
        if None not in self.planned and state != self.planned:
            raise LeftAloneError("changed since the run read it")

    def conflict(self) -> ConflictError:
        """The error where another file is at the target."""
        return ConflictError(
            f"{self.target} already exists and is not overwritten: move it elsewhere, then run"
            " the command again"
        )

    def is_equal(self) -> bool:
        """Whether source and target are the same file, or have the same content."""
        same = self.source.samefile(self.target)
        return same or filecmp.cmp(self.source, self.target, shallow=False)


def part_name(record: FileRecord) -> str:
    """Name of the incomplete file, the same in every run."""
    return hashlib.blake2b(os.fsencode(record.target), digest_size=12).hexdigest()


def fingerprint(path: Path) -> tuple[int, int]:
    """Size and mtime of the file that `path` leads to."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def transfer(how: str, task: Transfer) -> None:
    """Transfer one image; does nothing where an interrupted run did."""
    if os.path.lexists(task.target):
        _CHECKS[how](task)
    else:
        task.check_source()
        OPERATIONS[how](task)


def copy(task: Transfer) -> None:
    """A copy with the source's times and mode, where the disk allows them to be set."""
    with _copied(task) as temporary:
        _publish(temporary, task.target)


def move(task: Transfer) -> None:
    """Move the source to its target; at every moment the image is at one of them.

    Within a file system it is linked to the target before it is unlinked from the source, or
    renamed where there are no hard links.
    """
    if not _link(task.source, task.target):
        if _rename(task.source, task.target):
            return
        with _copied(task) as temporary:
            if not filecmp.cmp(task.source, temporary, shallow=False):
                raise LeftAloneError("its copy differs from the source")
            _publish(temporary, task.target)
    _remove_source(task)


def _remove_source(task: Transfer) -> None:
    """Remove the source, after its target is on disk."""
    sync_folder(task.target.parent)
    try:
        task.source.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        task.target.unlink()
        raise LeftAloneError(f"cannot be removed from its folder ({error.strerror})") from error


def hardlink(task: Transfer) -> None:
    """A hard link to the source (or to the file that it points to)."""
    try:
        os.link(task.source.resolve(), task.target)
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise LeftAloneError("its link points to another file system") from None
        if error.errno == errno.EMLINK:
            raise LeftAloneError("it already has the maximum number of hard links") from None
        raise


def symlink(task: Transfer) -> None:
    """A symbolic link to the absolute path of the source."""
    task.target.symlink_to(task.source.absolute())


def _check_copied(task: Transfer) -> None:
    task.check_source()
    if not task.is_equal():
        raise task.conflict()


def _check_moved(task: Transfer) -> None:
    """Remove the source, if the run was killed before it did."""
    if os.path.lexists(task.source):
        if not task.is_equal():
            raise task.conflict()
        _remove_source(task)
    elif fingerprint(task.target) != task.planned:
        raise task.conflict()


def _check_hardlink(task: Transfer) -> None:
    if not task.source.exists() or not task.source.samefile(task.target):
        raise task.conflict()


def _check_symlink(task: Transfer) -> None:
    if not task.target.is_symlink() or task.target.readlink() != task.source.absolute():
        raise task.conflict()


OPERATIONS: dict[str, Callable[[Transfer], None]] = {
    "copy": copy,
    "move": move,
    "hardlink": hardlink,
    "symlink": symlink,
}
_CHECKS: dict[str, Callable[[Transfer], None]] = {
    "copy": _check_copied,
    "move": _check_moved,
    "hardlink": _check_hardlink,
    "symlink": _check_symlink,
}
"""What is checked where the target exists already."""


def _link(source: Path, target: Path) -> bool:
    """Hard link `target` to `source`; False where the file system cannot."""
    if source.is_symlink():
        return False
    try:
        os.link(source, target)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError:
        return False
    return True


def _rename(source: Path, target: Path) -> bool:
    """Rename `source` on a file system without hard links; False where it is on another one."""
    if source.is_symlink() or source.stat().st_dev != target.parent.stat().st_dev:
        return False
    _require_free(target)
    source.rename(target)
    sync_folder(target.parent)
    sync_folder(source.parent)
    return True


def _require_free(target: Path) -> None:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "already exists", str(target))


@contextmanager
def _copied(task: Transfer) -> Iterator[Path]:
    """A complete copy of the source at `part`, on disk; removed afterwards."""
    temporary = task.part
    temporary.unlink(missing_ok=True)  # of a run that was killed
    try:
        if not _clone(task.source, temporary):
            shutil.copyfile(task.source, temporary)
        with contextlib.suppress(PermissionError):  # network shares, memory cards
            shutil.copystat(task.source, temporary)
        sync(temporary)
        task.check_source()  # it may have changed meanwhile
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _clone(source: Path, target: Path) -> bool:
    """Create `target` with the blocks of `source`, where the file system can (reflink)."""
    if sys.platform != "linux":
        return False
    import fcntl

    with source.open("rb") as old, target.open("xb") as new:
        try:
            fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
        except OSError:
            return False
    return True


def _publish(temporary: Path, target: Path) -> None:
    """Give `temporary` its final name; fails where that exists."""
    try:
        os.link(temporary, target)
        temporary.unlink()
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno in DISK_ERRORS:
            raise
        _require_free(target)
        temporary.rename(target)  # no hard links here
