"""The cache when things go wrong: damage, no room, no rights, others at work, a limit."""

from __future__ import annotations

import logging
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import icas
from icas.clusterimg.cache import database as cache_database
from icas.clusterimg.cache.database import NAME, Database, Entry, clear_cache, locked

METHOD = "minhash"  # three arrays a picture


@pytest.fixture(scope="module")
def pictures(crowd, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for path in sorted(crowd.iterdir())[:24]:
        copied = shutil.copy(path, folder)
        os.utime(copied, ns=(10**18, 10**18 + len(list(folder.iterdir()))))  # for long there
    return folder


def same(a: icas.FeatureSet, b: icas.FeatureSet) -> bool:
    return a.files == b.files and all(
        np.array_equal(array, b.arrays[name]) for name, array in a.arrays.items()
    )


@pytest.fixture(scope="module")
def truth(pictures) -> icas.FeatureSet:
    return icas.features(pictures, method=METHOD)


@pytest.fixture(scope="module")
def made(pictures, tmp_path_factory) -> Path:
    """A cache with the features of all pictures."""
    folder = tmp_path_factory.mktemp("made")
    icas.features(pictures, method=METHOD, cache=folder)
    return folder


@pytest.fixture
def kept(made, tmp_path) -> Path:
    """A copy of it that a test may damage."""
    shutil.copytree(made, tmp_path / "kept")
    return tmp_path / "kept"


def features(pictures: Path, kept: Path) -> icas.FeatureSet:
    return icas.features(pictures, method=METHOD, cache=kept)


def whole(kept: Path) -> bool:
    """Whether the database holds the features of every picture, undamaged."""
    with closing(sqlite3.connect(kept / NAME)) as database:
        count = database.execute("SELECT count(*) FROM features").fetchone()[0]
        return count == 24 and database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :]


@pytest.mark.parametrize("place", [0, 7, -1])
@pytest.mark.parametrize("column", ["entries.key", "features.sum", "features.data"])
def test_a_damaged_entry_is_made_anew(pictures, truth, kept, column, place, caplog):
    table, name = column.split(".")
    with closing(sqlite3.connect(kept / NAME)) as database:
        rows = database.execute(f"SELECT id, {name} FROM {table}").fetchall()
        for number, content in rows[::2]:
            change = f"UPDATE {table} SET {name} = ? WHERE id = ?"
            database.execute(change, (flipped(content, place % len(content)), number))
        database.commit()
    assert same(features(pictures, kept), truth)
    assert caplog.records == []
    assert rebuilt(pictures, kept)


def rebuilt(pictures: Path, kept: Path) -> bool:
    """Whether the next run finds everything."""
    report = icas.cluster(
        pictures, method=METHOD, threshold=0.5, transfer="none", cache=kept, dry_run=True
    )
    return report.features == {"cached": 24, "computed": 0}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE features SET layout = replace(layout, '<u8', '<i8')",
        "UPDATE features SET layout = replace(layout, ':', ';')",
        "UPDATE features SET layout = 'bitmaps:|O:210' WHERE id % 2",
        "UPDATE features SET layout = ''",
        "UPDATE features SET layout = x'ff00fe'",
        "UPDATE features SET layout = NULL WHERE 0",
        "UPDATE features SET data = 'text' WHERE id % 3 = 0",
        "UPDATE features SET data = 12",
        "UPDATE features SET data = substr(data, 2)",
        "UPDATE features SET sum = 0",
        "UPDATE features SET id = id + 1000",
        "UPDATE entries SET size = size + 1 WHERE id % 2",
        "UPDATE entries SET size = 'many'",
        "UPDATE entries SET mtime_ns = mtime_ns - 1",
        "UPDATE entries SET used = 'long ago'",
        "UPDATE entries SET recipe = 77",
        "UPDATE recipes SET digest = x'00'",
        "UPDATE about SET value = 'no number'",
        "DELETE FROM about",
        "DELETE FROM features",
        "DELETE FROM recipes",
    ],
)
def test_whatever_stands_in_a_column_the_features_are_right(pictures, truth, kept, change):
    with closing(sqlite3.connect(kept / NAME)) as database:
        database.execute(change)
        database.commit()
    assert same(features(pictures, kept), truth)
    assert same(features(pictures, kept), truth)
    assert rebuilt(pictures, kept)


def test_entries_of_one_file_are_not_believed_for_another(pictures, truth, kept):
    with closing(sqlite3.connect(kept / NAME)) as database:
        rows = database.execute("SELECT id, layout, sum, data FROM features").fetchall()
        numbers = [row[0] for row in rows]
        moved = [(*row[1:], number) for row, number in zip(rows, numbers[1:] + numbers[:1])]  # noqa: B905
        database.executemany("UPDATE features SET layout=?, sum=?, data=? WHERE id=?", moved)
        database.commit()
    assert same(features(pictures, kept), truth)


def garbage(path: Path) -> None:
    path.write_bytes(random.Random(0).randbytes(20_000))


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def torn(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 5000)


def middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for start in range(8192, len(content), 4096):
        content[start : start + 200] = bytes([0xA7]) * 200
    path.write_bytes(content)


def foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE entries (mine TEXT)")
        database.execute("INSERT INTO entries VALUES ('precious')")
        database.commit()


def older(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE features")
        database.execute("PRAGMA user_version = 0")


def lacking(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("ALTER TABLE features RENAME COLUMN data TO date")


@pytest.mark.parametrize("damage", [garbage, truncated, torn, middle, foreign, older, lacking])
def test_a_damaged_database_is_made_anew(pictures, truth, kept, damage, caplog):
    damage(kept / NAME)
    assert same(features(pictures, kept), truth)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    told = caplog.records[0].getMessage()
    assert "\n" not in told
    assert str(kept / NAME) in told
    assert same(features(pictures, kept), truth)
    assert len(caplog.records) == 1
    assert whole(kept)
    aside = sorted(path.name for path in kept.glob("*.aside*"))
    assert aside == ([f"{NAME}.aside"] if damage in (garbage, foreign) else [])


def test_nothing_that_is_not_ours_is_lost(pictures, kept):
    for damage in (foreign, garbage, foreign):
        damage(kept / NAME)
        features(pictures, kept)
    names = sorted(path.name for path in kept.glob("*.aside*"))
    assert names == [f"{NAME}.aside", f"{NAME}.aside-2", f"{NAME}.aside-3"]
    with closing(sqlite3.connect(kept / f"{NAME}.aside-3")) as database:
        assert database.execute("SELECT mine FROM entries").fetchall() == [("precious",)]


def test_an_empty_file_is_a_cache_that_holds_nothing(pictures, truth, kept, caplog):
    (kept / NAME).write_bytes(b"")
    assert same(features(pictures, kept), truth)
    assert whole(kept)
    assert caplog.records == []


@pytest.mark.parametrize("seed", range(40))
def test_bytes_that_change_anywhere(pictures, truth, kept, seed):
    chance = random.Random(seed)
    content = bytearray((kept / NAME).read_bytes())
    for _ in range(chance.choice((1, 3, 30, 300))):
        content[chance.randrange(len(content))] = chance.randrange(256)
    (kept / NAME).write_bytes(content)
    assert same(features(pictures, kept), truth)
    assert same(features(pictures, kept), truth)


def test_a_database_that_is_damaged_while_it_is_in_use(pictures, truth, kept, caplog):
    store = Database(kept, 10**9)
    store.get([b"any"])
    with closing(sqlite3.connect(kept / NAME)) as database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute("UPDATE sqlite_master SET rootpage = 9999 WHERE name = 'features'")
        database.commit()
    assert store.get([b"any"]) == {}
    store.put(b"digest", METHOD, [Entry(b"any", 1, 2, b"sum", "a:|u1:", b"x")])
    assert store.get([b"any"])[b"any"].data == b"x"
    store.close()
    assert len(caplog.records) <= 1


def test_a_cache_that_is_cleared_while_it_is_in_use(pictures, kept, caplog):
    store = Database(kept, 10**9)
    store.get([b"any"])
    clear_cache(kept)
    row = Entry(b"any", 1, 2, b"sum", "a:|u1:", b"x")
    store.put(b"digest", METHOD, [row])
    features(pictures, kept)
    store.put(b"digest", METHOD, [row])
    store.close()
    assert whole(kept)
    assert caplog.records == []


def blocked(folder: Path) -> None:
    folder.write_bytes(b"a file")


def no_file(folder: Path) -> None:
    (folder / NAME).mkdir(parents=True)


def no_lock(folder: Path) -> None:
    folder.mkdir()
    (folder / cache_database.LOCK).write_bytes(b"no lock of ours " * 1000)


@pytest.mark.parametrize("trouble", [blocked, no_file, no_lock])
def test_where_nothing_can_be_kept_one_line_says_so(pictures, truth, tmp_path, trouble, caplog):
    trouble(tmp_path / "kept")
    assert same(features(pictures, tmp_path / "kept"), truth)
    assert len(caplog.records) == 1
    assert "features are not cached in" in caplog.records[0].getMessage()


def test_a_folder_that_is_read_only(pictures, truth, kept, capsys):
    if sys.platform == "win32" or os.geteuid() == 0:
        pytest.skip("nothing is read-only for this user")
    kept.chmod(0o500)
    try:
        assert same(features(pictures, kept), truth)
    finally:
        kept.chmod(0o700)


def test_a_disk_that_is_full(pictures, truth, tmp_path):
    pytest.importorskip("resource", reason="limits of file sizes are of Unix")
    script = tmp_path / "limited.py"
    script.write_text(
        "import resource, signal, sys, icas\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))\n"
        f"found = icas.features(sys.argv[1], method={METHOD!r}, cache=sys.argv[2])\n"
        "sys.stdout.buffer.write(found.array.tobytes())\n"
    )
    for limit in (0, 4096, 30_000, 60_000):
        words = [sys.executable, script, pictures, tmp_path / str(limit), str(limit)]
        done = subprocess.run(words, capture_output=True, check=True)
        assert done.stdout == truth.array.tobytes()
        assert done.stderr.count(b"\n") <= 1
        assert b"features are not cached in" in done.stderr or limit == 60_000
        assert same(features(pictures, tmp_path / str(limit)), truth)


def test_a_cache_that_others_hold_for_too_long(pictures, truth, kept, monkeypatch, caplog):
    monkeypatch.setattr(cache_database, "BUSY_SECONDS", 0.2)
    with locked(kept):
        assert same(features(pictures, kept), truth)
    assert len(caplog.records) == 1
    assert "locked" in caplog.records[0].getMessage()
    (pictures_too := kept.parent / "more").mkdir()
    shutil.copy2(next(pictures.iterdir()), pictures_too)
    with closing(sqlite3.connect(kept / NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        icas.features(pictures_too, method=METHOD, cache=kept)
    assert len(caplog.records) == 2


def rows(numbers: range, length: int = 3000) -> list[Entry]:
    return [
        Entry(b"%016d" % number, 1, 2, b"s" * 16, "a:|u1:", bytes([number % 256]) * length)
        for number in numbers
    ]


def held(store: Database, numbers: range) -> int:
    return len(store.get([b"%016d" % number for number in numbers]))


def test_the_limit_holds_and_what_was_not_used_for_longest_goes_first(tmp_path):
    limit = 2_000_000
    for first in (0, 200, 400):  # three runs; the third does not fit beside the others
        store = Database(tmp_path, limit)
        if first == 400:
            used = store.get([b"%016d" % number for number in range(100)])
            store.mark_used(one.id for one in used.values())
        for start in range(first, first + 200, 20):
            store.put(b"d", METHOD, rows(range(start, start + 20)))
        store.close()
    assert (tmp_path / NAME).stat().st_size <= limit
    store = Database(tmp_path, limit)
    assert held(store, range(100)) == 100
    assert held(store, range(400, 600)) == 200
    assert 0 < held(store, range(100, 400)) < 300
    assert held(store, range(100, 200)) == 0  # older than those of the second run
    store.close()


def test_one_run_does_not_push_out_what_it_kept_itself(tmp_path):
    store = Database(tmp_path, 1_000_000)
    for start in range(0, 1000, 20):
        store.put(b"d", METHOD, rows(range(start, start + 20)))
    store.close()
    store = Database(tmp_path, 1_000_000)
    assert held(store, range(200)) == 200
    assert held(store, range(1000)) < 400
    store.close()
    assert (tmp_path / NAME).stat().st_size <= 1_000_000


def test_a_smaller_limit_makes_the_file_smaller(tmp_path):
    store = Database(tmp_path, 10**8)
    store.put(b"d", METHOD, rows(range(3000)))
    store.close()
    assert (tmp_path / NAME).stat().st_size > 9_000_000
    store = Database(tmp_path, 2_000_000)
    assert held(store, range(10)) == 10
    store.close()
    assert (tmp_path / NAME).stat().st_size <= 2_000_000 + cache_database.FREE_PAGES * 4096


def test_the_limit_from_the_command_line(pictures, truth, tmp_path):
    for number in range(2, 40, 4):
        found = icas.cluster(
            pictures,
            method="ssim",
            size=(100 + number, 100),
            threshold=0.5,
            dst=tmp_path / str(number),
            transfer="none",
            cache=tmp_path / "kept",
            cache_size="1MB",
            report=False,
        )
        assert found.features["computed"] == 24
        assert (tmp_path / "kept" / NAME).stat().st_size <= 1_000_000 + 64 * 4096


SCRIPT = """
import sys, icas
found = icas.features(sys.argv[1], method=sys.argv[3], cache=sys.argv[2], jobs=2)
sys.stdout.buffer.write(b"".join(array.tobytes() for array in found.arrays.values()))
"""


@pytest.mark.slow
def test_processes_that_share_a_cache_and_are_killed(pictures, tmp_path):
    """50 rounds of two processes, a third of them killed: no wrong feature, no lost run."""
    methods, chance = ("imagehash", "minhash"), random.Random(0)
    expected = {}
    for method in methods:
        found = icas.features(pictures, method=method)
        expected[method] = b"".join(array.tobytes() for array in found.arrays.values())
    finished = killed = 0
    for number in range(50):
        if number % 10 == 0:
            shutil.rmtree(tmp_path / "kept", ignore_errors=True)
        if number % 10 == 7:
            path = tmp_path / "kept" / NAME
            content = bytearray(path.read_bytes())
            for _ in range(50):
                content[chance.randrange(len(content))] = chance.randrange(256)
            path.write_bytes(content)
        some = [
            (
                method,
                subprocess.Popen(
                    [sys.executable, "-c", SCRIPT, pictures, tmp_path / "kept", method],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                ),
            )
            for method in (methods[number % 2], methods[number // 2 % 2])
        ]
        if number % 3 == 0:
            time.sleep(chance.uniform(0.2, 1.5))
            some[0][1].send_signal(signal.SIGKILL)
        for method, process in some:
            out, err = process.communicate(timeout=120)
            if process.returncode == -signal.SIGKILL:
                killed += 1
                continue
            assert process.returncode == 0, err
            assert out == expected[method]
            assert b"locked" not in err
            finished += 1
    print(f"{finished} runs with the right features, {killed} killed")
    assert finished >= 83


def test_what_a_killed_process_kept_is_found(pictures, truth, tmp_path):
    script = (
        "import os, signal, sys, icas\n"
        "from icas.clusterimg.features import extraction as decoding\n"
        "left, read = [20], decoding.read_image\n"
        "def counted(path, **options):\n"
        "    left[0] -= 1\n"
        "    if left[0] == 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return read(path, **options)\n"
        "decoding.read_image = counted\n"
        f"icas.features(sys.argv[1], method={METHOD!r}, cache=sys.argv[2], jobs=1)\n"
    )
    if sys.platform == "win32":
        pytest.skip("no such signal here")
    kept = tmp_path / "kept"
    done = subprocess.run([sys.executable, "-c", script, pictures, kept], check=False)
    assert done.returncode == -signal.SIGKILL
    report = icas.cluster(
        pictures, method=METHOD, threshold=0.5, cache=kept, dry_run=True, dst=tmp_path / "out"
    )
    assert report.features == {"cached": 18, "computed": 6}
    assert same(features(pictures, kept), truth)


def test_rows_of_any_numbers_come_back():
    from icas.clusterimg.cache.cache import Recipe, features_from, rows_of

    rng = np.random.default_rng(0)
    arrays = {
        "a": rng.integers(0, 255, (5, 3, 2), np.uint8),
        "b": rng.normal(size=5).astype(np.float32),
        "c": rng.integers(0, 2, (5, 4)).astype(bool),
        "d": rng.normal(size=(5, 0, 2)),
        "e": rng.integers(0, 9, (5, 2)).astype(">i8")[:, ::-1],
    }
    given = icas.FeatureSet("any", arrays, {"x": 1}, tuple("abcde"))
    found = features_from(Recipe("any", b"", {"x": 1}), rows_of(given), "abcde")
    assert same(found, given)
    objects = icas.FeatureSet("any", {"a": np.array([{}, {}], object)}, {}, ("a", "b"))
    assert rows_of(objects) == []
