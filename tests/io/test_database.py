"""SQLite files of icas that are damaged, newer, or of another program, through the commands."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from icas.clusterimg.commands.main import main as clusterimg
from icas.common.errors import IcasError
from icas.io.database import DatabaseKind, UnusableDatabaseError, transaction
from icas.segmentimg.commands.main import main as segmentimg
from icas.segmentimg.session.log import PaintingLog

NOTES = DatabaseKind(
    "notebook", 0x6E6F7465, 2, "CREATE TABLE note (text TEXT); -- a; b\n", "move it"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a result, its constraints, a cache, a review, and a painting log."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "photos").mkdir()
    for number in range(4):
        pixels = np.full((32, 32, 3), 60 * (number // 2), np.uint8)
        pixels[4:20, number : number + 12] = 255
        Image.fromarray(pixels).save(folder / f"photos/{number}.png")
        os.utime(
            folder / f"photos/{number}.png", (10**9, 10**9)
        )  # features of new files are not kept
    cache = ["--cache", str(folder / "cache")]
    words = [str(folder / "photos"), "--dst", str(folder / "out"), "--threshold", "0.5", "-q"]
    assert clusterimg([*words, "--method", "imagehash", *cache]) == 0
    cluster = sorted((folder / "out/result").iterdir())[0].name
    assert clusterimg(["decide", str(folder / "out"), "reject", cluster]) == 0
    from icas.clusterimg.review.session import open_review

    with open_review(folder / "out"):
        pass
    PaintingLog(folder / "photos_segmented").close()
    return folder


def other(path):
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE mine (a)")


def other_with_log(path):
    """Another program has it open: its identity is in the write-ahead log."""
    path.unlink()
    for name in (path, f"{path}-wal"):
        with closing(sqlite3.connect(f"{path}.copy", isolation_level=None)) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("CREATE TABLE IF NOT EXISTS mine (a)")
            shutil.copy(f"{path}.copy{str(name).removeprefix(str(path))}", name)
    os.unlink(f"{path}.copy")  # noqa: PTH108


def text(path):
    path.write_bytes(b"notes of somebody\n" * 99)


def newer(path):
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")


def truncated(path):
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    os.truncate(path, 0)


SAID = {
    other: " of icas",
    other_with_log: " of icas",
    text: " of icas",
    newer: "written by a newer icas version",
    truncated: "malformed",
    empty: "the file is empty",
}
COMMANDS = {
    "out/.icas/journal.db": (clusterimg, "undo out"),
    "cache/decisions.db": (clusterimg, "decide out list --cache cache"),
    "cache/features.db": (clusterimg, "cache info --cache cache"),
    "out/.icas/review/commands.db": (clusterimg, "review out --no-browser"),
    "photos_segmented/.icas/painting/commands.db": (segmentimg, "serve photos --no-browser"),
}


@pytest.mark.parametrize("damage", SAID)
@pytest.mark.parametrize("name", COMMANDS)
def test_files_that_cannot_be_used(made, tmp_path, monkeypatch, capsys, name, damage):
    if "browser" in COMMANDS[name][1]:
        pytest.importorskip("uvicorn", reason="no uvicorn: pip install 'icas[web]'")
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ICAS_CACHE", str(tmp_path / "cache"))
    path = tmp_path / name
    damage(path)
    before = {one: one.read_bytes() for one in path.parent.iterdir() if one.is_file()}
    main, words = COMMANDS[name]
    assert main(words.split()) == 1
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert SAID[damage] in printed.err
    assert name in printed.err
    assert {path: path.read_bytes() for path in before} == before
    if damage is not newer:
        assert any(word in printed.err for word in ("move", "creates a new one"))


def test_a_result_in_a_read_only_folder_can_be_read(made, monkeypatch, capsys):
    pytest.importorskip("pyarrow", reason="no pyarrow: pip install 'icas[parquet]'")
    monkeypatch.setenv("ICAS_CACHE", str(made / "cache"))
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))
    before = {path: path.stat().st_mtime_ns for path in (made / "out").rglob("*")}
    assert clusterimg(["label", str(made / "out"), "list"]) == 0
    assert clusterimg(["parquet", str(made / "out"), str(made / "columns")]) == 0
    assert capsys.readouterr().out.startswith("0 of 4 images named, 0 classes\n")
    assert {path: path.stat().st_mtime_ns for path in (made / "out").rglob("*")} == before


def test_what_a_new_file_holds(tmp_path):
    path = tmp_path / "folder" / "notes.db"
    with closing(NOTES.open(path, write=True)) as database, transaction(database):
        database.execute("INSERT INTO note VALUES ('a')")
    with closing(NOTES.open(path, write=False)) as database:
        assert database.execute("SELECT * FROM note").fetchall() == [("a",)]
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            database.execute("DELETE FROM note")
    assert not [one for one in path.parent.iterdir() if one.name.startswith(".icas")]
    with pytest.raises(FileNotFoundError):
        NOTES.open(tmp_path / "none.db", write=False)


def add_half(database):
    with transaction(database):
        database.execute("INSERT INTO note VALUES ('a')")
        raise KeyboardInterrupt


def test_a_transaction_is_whole(tmp_path):
    with closing(NOTES.open(tmp_path / "notes.db", write=True)) as database:
        with pytest.raises(KeyboardInterrupt):
            add_half(database)
        assert database.execute("SELECT count(*) FROM note").fetchone() == (0,)


def test_a_second_connection_keeps_the_locks_of_the_first(tmp_path):
    """Of POSIX: to close any handle of a file drops all locks of the process on it."""
    path = tmp_path / "notes.db"
    script = (
        "import sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1], timeout=0.1)\n"
        "database.execute('BEGIN EXCLUSIVE')\n"
    )
    with closing(NOTES.open(path, write=True)) as first:
        first.execute("PRAGMA journal_mode = DELETE")
        first.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            NOTES.open(path, write=True, timeout=0.1)
        words = [sys.executable, "-c", script, str(path)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert "locked" in done.stderr


def test_errors_of_the_disk_are_not_damage(tmp_path):
    path = tmp_path / "notes.db"
    NOTES.open(path, write=True).close()
    for reason in ("database is locked", "disk I/O error", "database or disk is full"):
        refused = pytest.raises(IcasError, match=f"cannot use the notebook .*: {reason}")
        with refused, NOTES.errors(path):
            raise sqlite3.OperationalError(reason)
    damaged = pytest.raises(UnusableDatabaseError, match=r"damaged \(no such table: a\): move it")
    with damaged, NOTES.errors(path):
        raise sqlite3.OperationalError("no such table: a")


def test_a_read_only_folder(tmp_path):
    if sys.platform == "win32" or os.geteuid() == 0:
        pytest.skip("nothing is read-only for this user")
    path = tmp_path / "notes.db"
    NOTES.open(path, write=True).close()
    tmp_path.chmod(0o500)
    try:
        with closing(NOTES.open(path, write=False)) as database:
            assert database.execute("SELECT * FROM note").fetchall() == []
        with pytest.raises(UnusableDatabaseError):
            NOTES.open(tmp_path / "other.db", write=True)
    finally:
        tmp_path.chmod(0o700)
