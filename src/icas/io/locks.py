"""One process at a time in a folder: a lock that the system holds, and that says who has it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from icas.common.errors import ConflictError, IcasError

NAME = "lock"
"""The file, in the folder that belongs to the holder."""
_TRIES = 100
_WAIT = 0.02
"""Seconds."""
_NOT_HERE = ("ENOLCK", "ENOSYS", "EOPNOTSUPP", "ENOTSUP", "EINVAL")
"""What file systems without locks answer."""


@contextmanager
def only_one(folder: Path, where: Path) -> Iterator[None]:
    """Keep other processes out of `folder` while the block runs.

    The lock is the system's and goes with the process, however that ends: a file that a killed
    process left behind holds nobody up. Where the file system knows no locks, the process that
    the file names is looked for.

    Parameters
    ----------
    folder : Path
        Where the lock file is to be; it exists.
    where : Path
        What the lock is about, for the message.

    Raises
    ------
    ConflictError
        Another process has it; the message says which, on which machine, since when.
    IcasError
        The lock file cannot be written.
    """
    handle = _taken(folder / NAME, where)
    try:
        yield
    finally:
        _given_back(folder / NAME, handle)


def just_taken_away(folder: Path) -> ConflictError:
    """The error of whoever comes while another process removes `folder` at its end."""
    return ConflictError(f"another clusterimg has just taken {folder} away: call again")


def _taken(path: Path, where: Path) -> int:
    """The lock file, open and locked."""
    for _ in range(_TRIES):
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        except FileNotFoundError:
            raise just_taken_away(path.parent) from None
        except OSError as error:
            raise IcasError(f"cannot write into {path.parent}: {error.strerror}") from error
        try:
            if not _locked(handle, path, where):
                os.close(handle)
                holder = _signature(path)
                if holder is not None:
                    raise _refusal(path, where, holder)
                time.sleep(_WAIT)  # its holder is about to sign, or to leave
                continue
            if _is_still(path, handle):
                _sign(handle)
                return handle
        except OSError as error:
            os.close(handle)
            raise IcasError(f"cannot lock {path}: {error.strerror or error}") from error
        os.close(handle)  # its holder has just removed it: another round makes a new one
    raise _refusal(path, where, _holder(path) or {})


def _locked(handle: int, path: Path, where: Path) -> bool:
    """Whether the lock is ours now."""
    import errno

    try:
        _lock(handle)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            return False
        if errno.errorcode.get(error.errno or 0) not in _NOT_HERE:
            raise
        holder = _holder(path)
        return holder is None or not _may_live(holder)
    return True


if sys.platform == "win32":

    def _lock(handle: int) -> None:
        import msvcrt

        os.lseek(handle, 1 << 30, os.SEEK_SET)  # behind the text, which others may read
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)

else:

    def _lock(handle: int) -> None:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_still(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


def _sign(handle: int) -> None:
    """Write down who has it."""
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    told = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
    os.ftruncate(handle, 0)
    os.write(handle, json.dumps(told).encode())


def _given_back(path: Path, handle: int) -> None:
    # Removed while it is still locked: whoever opened it meanwhile sees that it is gone.
    with contextlib.suppress(OSError):
        if _is_still(path, handle):
            path.unlink()
    os.close(handle)
    if sys.platform == "win32":  # where an open file cannot be removed
        with contextlib.suppress(OSError):
            path.unlink()


def _holder(path: Path) -> dict[str, object] | None:
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) and "pid" in told else None


def _signature(path: Path) -> dict[str, object] | None:
    """The holder whose name stands there, unless it is one's that is gone."""
    holder = _holder(path)
    return holder if holder is not None and _may_live(holder) else None


def _may_live(holder: dict[str, object]) -> bool:
    """Whether the process may still be there; on another machine nobody knows."""
    pid = holder.get("pid")
    if holder.get("host") != socket.gethostname() or not isinstance(pid, int):
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return pid != os.getpid()


def _refusal(path: Path, where: Path, holder: dict[str, object]) -> ConflictError:
    """The error that names the holder, as it stood there when the lock was found taken."""
    who = "another process"
    if holder:
        who = f"process {holder['pid']} on {holder.get('host')}, since {holder.get('since')}"
    return ConflictError(
        f"another clusterimg is at work in {where} ({who}): wait for it, or choose another folder;"
        f" if it is gone for certain, remove {path}"
    )
