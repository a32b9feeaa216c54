"""Carries a plan out: the only place from which images are copied, moved or linked."""

from __future__ import annotations

import contextlib
import errno
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from icas.cli.console import Bar
from icas.clusterimg.journal.journal import PARTS, Journal
from icas.clusterimg.journal.records import Made
from icas.clusterimg.transfer.operations import OF_THE_DISK, Carrying, LeftAloneError, put
from icas.common.errors import IcasError
from icas.io.files import sync_folder
from icas.parallel.executors import start_workers

TRANSFERS = ("copy", "move", "hardlink", "symlink", "none")
_TOGETHER = 64
"""Files between two entries in the journal."""


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
            put(how, one)
        except LeftAloneError as reason:
            return str(reason)
        except OSError as error:
            if _is_of_the_name(one.target, error):
                return f"the disk of the result does not take its name ({error.strerror})"
            if error.errno in OF_THE_DISK or not _is_sources_fault(one.source, error):
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
