"""A result folder that a stranger hands over: nothing outside of it is written or removed."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import icas
from icas.common.errors import ConflictError, IcasError
from icas.io.files import within

posix = pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")


def snapshot(*folders: Path) -> dict[str, tuple[bytes | str, int]]:
    """Every file below the folders: content, or where it links to, and time."""
    found = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_symlink():
                found[str(path)] = (str(path.readlink()), os.lstat(path).st_mtime_ns)
            elif path.is_file():
                found[str(path)] = (path.read_bytes(), path.stat().st_mtime_ns)
            else:
                found[str(path)] = ("folder", 0)
    return found


@pytest.fixture
def result(own_photos: Path, tmp_path: Path) -> Path:
    """A result of three clusters, in a folder with a neighbour."""
    dst = tmp_path / "given" / "sorted"
    icas.cluster(own_photos, dst=dst, method="imagehash", threshold=0.8, cache=False)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in sorted((dst / "result" / "cluster_0").iterdir()):
        shutil.copy2(path, elsewhere / path.name)
    for name in ("diary.txt", "report.html", "certificate.csv", "0.png"):
        (elsewhere / name).write_text("mine")
    return dst


def record(dst: Path, *statements: tuple[str, tuple[object, ...]]) -> None:
    """Change the journal of a result."""
    with sqlite3.connect(dst / ".icas" / "journal.db") as database:
        for words, values in statements:
            database.execute(words, values)
    database.close()


def first_image(dst: Path) -> Path:
    return sorted((dst / "result" / "cluster_0").iterdir())[0]


def retarget(dst: Path, target: str) -> None:
    """The first image of cluster_0 is on record at another place, where its like lies."""
    old = first_image(dst).relative_to(dst).as_posix()
    record(
        dst,
        (
            "UPDATE made SET target = ? WHERE target = ?",
            (os.fsencode(target), os.fsencode(old)),
        ),
    )


def climbing(dst: Path, elsewhere: Path) -> None:
    retarget(dst, f"../../elsewhere/{first_image(dst).name}")


def absolute(dst: Path, elsewhere: Path) -> None:
    retarget(dst, str(elsewhere / first_image(dst).name))


def climbing_in_the_middle(dst: Path, elsewhere: Path) -> None:
    retarget(dst, f"result/../../../elsewhere/{first_image(dst).name}")


def table_outside(dst: Path, elsewhere: Path) -> None:
    diary = elsewhere / "diary.txt"
    status = diary.stat()
    values = (b"../../elsewhere/diary.txt", "write", status.st_size, status.st_mtime_ns)
    record(dst, ("INSERT INTO made (target, how, size, mtime_ns) VALUES (?, ?, ?, ?)", values))


def linked_folder(dst: Path, elsewhere: Path) -> None:
    shutil.rmtree(dst / "result" / "cluster_0")
    (dst / "result" / "cluster_0").symlink_to(elsewhere, target_is_directory=True)


def linked_result(dst: Path, elsewhere: Path) -> None:
    shutil.move(dst / "result", elsewhere / "result")
    (dst / "result").symlink_to(elsewhere / "result", target_is_directory=True)


def linked_table(dst: Path, elsewhere: Path) -> None:
    (dst / "clusters.csv").rename(elsewhere / "clusters.csv")
    (dst / "clusters.csv").symlink_to(elsewhere / "clusters.csv")


def linked_own_folders(dst: Path, elsewhere: Path) -> None:
    for name in ("parts", "prepared", "moving"):
        place = dst / ".icas" / name
        if place.exists():
            shutil.rmtree(place)
        place.symlink_to(elsewhere, target_is_directory=True)


def linked_record(dst: Path, elsewhere: Path) -> None:
    (dst / ".icas").rename(elsewhere / "record")
    (dst / ".icas").symlink_to(elsewhere / "record", target_is_directory=True)


def linked_lock(dst: Path, elsewhere: Path) -> None:
    (dst / ".icas" / "lock").symlink_to(elsewhere / "diary.txt")


def folder_on_record(dst: Path, elsewhere: Path) -> None:
    """A folder outside that is empty and would go as one that the run made."""
    (elsewhere / "empty").mkdir()
    values = (os.fsencode(elsewhere / "empty"), 1)
    record(dst, ("INSERT INTO folder (path, made) VALUES (?, ?)", values))


def climbing_names(dst: Path, elsewhere: Path) -> None:
    """Names in the tables lead out."""
    for name in ("clusters.csv", "certificate.csv"):
        path = dst / name
        status = path.stat()
        text = path.read_text().replace("astronaut-1.png", "../../../../elsewhere/x.png")
        path.write_text(text)
        values = (path.stat().st_size, status.st_mtime_ns, name.encode())
        record(dst, ("UPDATE made SET size = ?, mtime_ns = ? WHERE target = ?", values))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


HOSTILE = [
    climbing,
    absolute,
    climbing_in_the_middle,
    table_outside,
    linked_folder,
    linked_result,
    linked_table,
    linked_own_folders,
    linked_record,
    linked_lock,
    folder_on_record,
    climbing_names,
]


def undone(dst: Path, src: Path) -> None:
    icas.undo(dst)


def overwritten(dst: Path, src: Path) -> None:
    icas.cluster(src, dst=dst, method="imagehash", threshold=0.9, overwrite=True, cache=False)


def cut_anew(dst: Path, src: Path) -> None:
    icas.recut(dst, threshold=0.99)


def split(dst: Path, src: Path) -> None:
    icas.split(dst, "cluster_0", at=0.999)


def merged(dst: Path, src: Path) -> None:
    icas.cluster(dst, dst=dst.parent / "merged", stage="merge", cache=False)


@posix
@pytest.mark.parametrize("command", [undone, overwritten, cut_anew, split, merged])
@pytest.mark.parametrize("make", HOSTILE)
def test_nothing_outside_is_touched(
    make: Callable[[Path, Path], None],
    command: Callable[[Path, Path], None],
    result: Path,
    own_photos: Path,
    tmp_path: Path,
) -> None:
    make(result, tmp_path / "elsewhere")
    before = snapshot(tmp_path / "elsewhere", own_photos)
    with suppress(IcasError):
        command(result, own_photos)
    assert snapshot(tmp_path / "elsewhere", own_photos) == before


@posix
@pytest.mark.parametrize("stop", ["carrying", "clearing", "undoing"])
@pytest.mark.parametrize("make", HOSTILE)
def test_nor_by_a_run_that_is_said_to_be_unfinished(
    make: Callable[[Path, Path], None],
    stop: str,
    result: Path,
    own_photos: Path,
    tmp_path: Path,
) -> None:
    """What was planned and not done would be put in its place now."""
    make(result, tmp_path / "elsewhere")
    record(result, ("UPDATE run SET value = ? WHERE key = 'phase'", (stop,)))
    if stop == "carrying":
        record(result, ("UPDATE made SET size = NULL, mtime_ns = NULL WHERE source NOTNULL", ()))
    before = snapshot(tmp_path / "elsewhere", own_photos)
    for words in (
        {"resume": True, "threshold": 0.8},
        {"overwrite": True, "threshold": 0.8},
    ):
        with suppress(IcasError):
            icas.cluster(own_photos, dst=result, method="imagehash", cache=False, **words)
    with suppress(IcasError):
        undone(result, own_photos)
    assert snapshot(tmp_path / "elsewhere", own_photos) == before


@posix
def test_undo_overwrites_no_file_that_a_record_names(result: Path, tmp_path: Path) -> None:
    """A record says that an image was moved from where another file lies now."""
    victim = tmp_path / "elsewhere" / "diary.txt"
    old = first_image(result).relative_to(result).as_posix()
    record(
        result,
        (
            "UPDATE made SET how = 'move', source = ? WHERE target = ?",
            (os.fsencode(victim), os.fsencode(old)),
        ),
    )
    before = snapshot(tmp_path / "elsewhere")
    undone(result, tmp_path)
    assert snapshot(tmp_path / "elsewhere") == before


@posix
@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"no archive", None], ids=["empty", "cut", "text", "pickled"]
)
def test_arrays_that_are_damaged_or_pickled_are_refused(
    content: bytes | None, result: Path, tmp_path: Path
) -> None:
    import numpy as np

    path = result / ".icas" / "forest.npz"
    status = path.stat()
    if content is None:

        class Evil:
            def __reduce__(self) -> tuple[object, ...]:
                return Path.touch, (tmp_path / "loaded",)

        np.savez(path, a=np.array([Evil()], dtype=object), allow_pickle=True)
    else:
        path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    values = (path.stat().st_size, b".icas/forest.npz")
    record(result, ("UPDATE made SET size = ? WHERE target = ?", values))
    with pytest.raises(IcasError) as found:
        icas.recut(result, threshold=0.99)
    assert "\n" not in str(found.value)
    assert not (tmp_path / "loaded").exists()


REARRANGED = {
    "new": ("{image}", None, "../../elsewhere/new.png", {}),
    "old": ("../../elsewhere/diary.txt", None, "result/cluster_0/stolen.txt", {}),
    "parked": ("{image}", "../../elsewhere/parked.png", "result/x.png", {}),
    "absolute": ("{image}", None, "{elsewhere}/new.png", {}),
    "link": ("{image}", None, "result/link/new.png", {}),
    "table": ("{image}", None, "result/x.png", {"../../elsewhere/diary.txt": None}),
}


@posix
@pytest.mark.parametrize("phase", ["clearing", "placing", "writing"])
@pytest.mark.parametrize("name", REARRANGED)
def test_a_rearrangement_on_record_leads_nowhere_else(
    name: str, phase: str, result: Path, own_photos: Path, tmp_path: Path
) -> None:
    """One that is said to have been interrupted would be finished by the next command."""
    elsewhere = tmp_path / "elsewhere"
    if name == "link":
        (result / "result" / "link").symlink_to(elsewhere, target_is_directory=True)
    image = first_image(result).relative_to(result).as_posix()
    old, parked, new, tables = REARRANGED[name]
    places = [
        None if place is None else place.format(image=image, elsewhere=elsewhere).encode()
        for place in (old, parked, new)
    ]
    begun = (0, "recut", '{"threshold": 0.9}', json.dumps(tables), phase)
    record(
        result,
        ("INSERT INTO rearrangement VALUES (?, ?, ?, ?, ?)", begun),
        ("INSERT INTO relocation VALUES (?, ?, ?)", tuple(places)),
    )
    before = snapshot(elsewhere, own_photos)
    for command in (cut_anew, split, undone, overwritten):
        with suppress(IcasError):
            command(result, own_photos)
    assert snapshot(elsewhere, own_photos) == before


@posix
@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/../../x", "/x", "link/x", "a/link/x"])
def test_places_outside_are_told(name: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "link").symlink_to(tmp_path)
    (root / "a" / "link").symlink_to(tmp_path)
    with pytest.raises(ConflictError, match="is outside"):
        within(root, name)
    assert within(root, "a/b/c.png") == root / "a" / "b" / "c.png"
