"""Folder lock: one process at a time, with the holder's process, machine and start time."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from icas.common.errors import ConflictError, IcasError

NAME = "lock"
"""The lock file in the locked folder."""
_TRIES = 100
_WAIT = 0.02
"""Seconds between two tries, while the lock is held without a readable holder."""
_UNSUPPORTED = frozenset(
    getattr(errno, name, None) for name in ("ENOLCK", "ENOSYS", "EOPNOTSUPP", "ENOTSUP", "EINVAL")
)
"""Errors of file systems without locks."""


@contextmanager
def folder_lock(folder: Path, where: Path) -> Iterator[None]:
    """Keep other processes out of `folder` while the block runs.

    The system's lock ends with the process, however that ends: the file of a killed process blocks
    nobody. On a file system without locks, the process named in the file is looked up.

    Parameters
    ----------
    folder : Path
        Existing folder for the lock file.
    where : Path
        What the lock protects, for the message.
    """
    import filelock

    path = folder / NAME
    identity: list[os.stat_result] = []

    def sign(handle: int) -> None:
        _sign(handle)
        identity.append(os.fstat(handle))

    lock = filelock.FileLock(path, blocking=False, thread_local=False, on_acquired=sign)
    try:
        _acquire(lock, path, where)
    except FileNotFoundError:
        raise removed_meanwhile(folder) from None
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise IcasError(f"cannot write to {folder}: {error.strerror or error}") from error
        identity.append(_claim_without_lock(path, where))
    try:
        yield
    finally:
        # Removed while locked: a process that opened it meanwhile sees that it is unlinked.
        with contextlib.suppress(OSError):
            if os.path.samestat(identity[-1], path.stat()):
                path.unlink()
        lock.release()
        if os.name == "nt":  # an open file cannot be removed there
            with contextlib.suppress(OSError):
                path.unlink()


def removed_meanwhile(folder: Path) -> ConflictError:
    """The error when another process removes `folder` at its end."""
    return ConflictError(f"another icas process has just removed {folder}: run the command again")


def _acquire(lock: Any, path: Path, where: Path) -> None:
    from filelock import Timeout

    holder = None
    for _ in range(_TRIES):
        try:
            lock.acquire()
            return
        except Timeout:
            holder = _holder(path)
            if holder is not None and _may_live(holder):
                break
            time.sleep(_WAIT)  # the holder is writing its entry, or releasing the lock
    raise _refusal(path, where, holder)


def _claim_without_lock(path: Path, where: Path) -> os.stat_result:
    holder = _holder(path)
    if holder is not None and _may_live(holder):
        raise _refusal(path, where, holder)
    with path.open("wb") as file:
        _sign(file.fileno())
    return path.stat()


def _sign(handle: int) -> None:
    """Write the holder behind the first byte, which cannot be read on Windows while locked."""
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
    os.ftruncate(handle, 0)
    os.write(handle, b" " + json.dumps(holder).encode())


def _holder(path: Path) -> dict[str, object] | None:
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(1)
            holder = json.loads(file.read())
    except (OSError, ValueError):
        return None
    return holder if isinstance(holder, dict) and "pid" in holder else None


def _may_live(holder: dict[str, object]) -> bool:
    """Whether the process may still run; on another machine that is unknown."""
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


def _refusal(path: Path, where: Path, holder: dict[str, object] | None) -> ConflictError:
    who = "another process"
    if holder:
        who = f"process {holder['pid']} on {holder.get('host')}, since {holder.get('since')}"
    return ConflictError(
        f"another icas process uses {where} ({who}): wait for it, or choose another"
        f" folder; if it no longer runs, remove {path}"
    )
