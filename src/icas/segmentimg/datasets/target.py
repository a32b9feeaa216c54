"""The folder of an exported data set: staged, recorded, put in place."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from icas._version import __version__
from icas.common.errors import ConflictError, IcasError
from icas.io.files import check_no_links, one_line_errors, sync, sync_folder, within, write_whole
from icas.io.find import RESULT_MARK
from icas.io.formats import os_reason
from icas.io.locks import folder_lock

RECORD = "export.json"
PARTS = "parts"
TRANSFERS = ("copy", "hardlink", "symlink", "none")
State = tuple[int, int]
"""Size and modification time (ns) of a file."""


def check_target(folder: Path, overwrite: bool) -> dict[str, list[State]]:
    """Files of an earlier export in `folder`, with the states they may have.

    ConflictError where the folder is not empty: it was not exported, `overwrite` is not given, or
    a file has changed since.
    """
    if folder.exists() and not folder.is_dir():
        raise ConflictError(f"{folder} is a file: choose another --to")
    mark = folder / RESULT_MARK
    with one_line_errors("cannot read", subject=str(folder)):
        check_no_links(mark)
        names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    earlier = _recorded(folder)
    if earlier is None:
        if names - {RESULT_MARK}:
            raise ConflictError(
                f"{folder} is not empty and was not made by segmentimg export: choose another --to"
            )
        return {}
    if not overwrite:
        raise ConflictError(
            f"{folder} holds an earlier export: choose another --to, or --overwrite to replace it"
        )
    for name, states in earlier.items():
        path = within(folder, name)
        if os.path.lexists(path) and _state(path) not in states:
            raise ConflictError(
                f"{path} was changed after the export: move it elsewhere, or choose another --to"
            )
    return earlier


class Stage:
    """Collects the files of an export in a hidden folder of the target."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._parts = folder, folder / RESULT_MARK / PARTS
        self.files: dict[str, State] = {}

    def write(self, name: str, data: bytes) -> None:
        """Add a file."""
        path = self._new(name)
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self.files[name] = _state(path)

    def transfer(self, name: str, source: Path, how: str) -> None:
        """Add a copy of a file, or a link to it."""
        path = self._new(name)
        try:
            if how == "hardlink":
                os.link(os.path.realpath(source), path)
            elif how == "symlink":
                path.symlink_to(os.path.realpath(source))
            else:
                shutil.copyfile(source, path)
                sync(path)
        except OSError as error:
            cure = "" if how == "copy" else ": use --transfer copy"
            raise IcasError(f"cannot {how} {source} to {name}: {os_reason(error)}{cure}") from None
        self.files[name] = _state(path)

    def publish(self, earlier: dict[str, list[State]]) -> None:
        """Remove the files of the earlier export, and give the new ones their names."""
        for name in self.files.keys() - earlier.keys():
            if os.path.lexists(self.folder / name):
                raise ConflictError(
                    f"{self.folder / name} is not of the earlier export and is not overwritten:"
                    " move it elsewhere, or choose another --to"
                )
        states = {name: [state] for name, state in self.files.items()}
        both = {name: [*earlier.get(name, []), *states.get(name, [])] for name in earlier | states}
        self._record("placing", both)
        for name in earlier.keys() - self.files.keys():
            within(self.folder, name).unlink(missing_ok=True)
        for name in self.files:
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            (self._parts / name).replace(path)
        _remove_empty(self.folder, earlier)
        for folder in {(self.folder / name).parent for name in self.files}:
            sync_folder(folder)
        self._record("done", states)

    def _new(self, name: str) -> Path:
        path = within(self._parts, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _record(self, phase: str, files: dict[str, list[State]]) -> None:
        content = {"icas": __version__, "phase": phase, "files": files}
        write_whole(self.folder / RESULT_MARK / RECORD, json.dumps(content).encode())


@contextmanager
def staged(folder: Path, overwrite: bool) -> Iterator[Stage]:
    """A stage for `folder`; published at the end of the block, removed after an error."""
    check_target(folder, overwrite)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    mark = folder / RESULT_MARK
    try:
        with one_line_errors("cannot write", subject=str(folder)):
            mark.mkdir(parents=True, exist_ok=True)
            with folder_lock(mark, folder):
                earlier = check_target(folder, overwrite)
                shutil.rmtree(mark / PARTS, ignore_errors=True)
                (mark / PARTS).mkdir()
                try:
                    stage = Stage(folder)
                    yield stage
                    stage.publish(earlier)
                finally:
                    shutil.rmtree(mark / PARTS, ignore_errors=True)
    except BaseException:
        for path in (mark, *made):
            with suppress(OSError):
                path.rmdir()
        raise


def _recorded(folder: Path) -> dict[str, list[State]] | None:
    path = folder / RESULT_MARK / RECORD
    try:
        content: Any = json.loads(path.read_bytes())
        return {
            str(name): [(int(size), int(time)) for size, time in states]
            for name, states in content["files"].items()
        }
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConflictError(f"{path} is damaged ({error}): choose another --to") from None


def _state(path: Path) -> State:
    stat = path.lstat()
    return stat.st_size, stat.st_mtime_ns


def _remove_empty(folder: Path, names: Iterable[str]) -> None:
    """Remove folders of files that were removed, if they are empty now."""
    parents = {parent for name in names for parent in (folder / name).parents if parent != folder}
    for parent in sorted(parents, key=lambda path: len(path.parts), reverse=True):
        if folder in parent.parents:
            with suppress(OSError):
                parent.rmdir()
