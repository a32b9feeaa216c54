"""A run taken back leaves the world as it was, but for what somebody changed since."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import icas
from icas.clusterimg.commands.main import main
from icas.clusterimg.journal.journal import FileRecord, Journal
from icas.clusterimg.transfer.destination import locked

TRANSFERS = ("copy", "move", "hardlink", "symlink")
A_DAY = 86_400 * 10**9


def state(folder: Path) -> dict[str, object]:
    """Names, contents, modes and times of everything below `folder`, itself included."""
    found: dict[str, object] = {}
    for path in (folder, *sorted(folder.rglob("*"))):
        status = path.lstat()
        content = str(path.readlink()) if path.is_symlink() else None
        if content is None and path.is_file():
            content = path.read_bytes()
        found[path.relative_to(folder).as_posix()] = (content, status.st_mode, status.st_mtime_ns)
    return found


@pytest.fixture
def source(photos: Path, tmp_path: Path) -> Path:
    """Photos in two folders, one by a link, one write-protected, all with times of their own."""
    folder = tmp_path / "in"
    shutil.copytree(photos, folder / "first")
    (folder / "second").mkdir()
    for path in (folder / "first").glob("rocket*"):
        path.rename(folder / "second" / path.name)
    (folder / "link.png").symlink_to("first/astronaut-1.png")
    (folder / "first" / "coffee-1.png").chmod(0o444)
    for number, path in enumerate(sorted(folder.rglob("*"))):
        times = (1_500_000_000 * 10**9, 1_400_000_000 * 10**9 + number * 1_234_567_891)
        os.utime(path, ns=times, follow_symlinks=False)
    os.utime(folder, ns=(1_500_000_000 * 10**9, 1_300_000_000_123_456_789))
    return folder


def made(source: Path, dst: Path, **how) -> Path:
    icas.cluster(source, dst=dst, recursive=True, threshold=0.8, **how)
    return dst


@pytest.mark.parametrize("transfer", [*TRANSFERS, "none"])
def test_everything_is_as_it_was(source, tmp_path, transfer):
    before = state(source)
    dst = made(source, tmp_path / "above" / "out", transfer=transfer)
    assert (state(source) == before) == (transfer != "move")
    undone = icas.undo(dst)
    assert state(source) == before
    assert not (tmp_path / "above").exists()
    assert undone.left == ()
    assert undone.moved_back == (15 if transfer == "move" else 0)


def test_a_folder_that_was_there_before_stays(source, tmp_path):
    (tmp_path / "out").mkdir()
    icas.undo(made(source, tmp_path / "out"))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_result_inside_the_source_goes_without_a_trace(source):
    before = state(source)
    dst = made(source, source / "sorted", transfer="move")
    icas.undo(dst)
    assert state(source) == before


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_after_a_recut_and_a_split_all_goes_back_too(source, tmp_path, transfer):
    before = state(source)
    dst = made(source, tmp_path / "out", transfer=transfer)
    icas.recut(dst, 0.9)
    icas.split(dst, 0)
    assert icas.undo(dst).left == ()
    assert state(source) == before
    assert not dst.exists()


@pytest.mark.parametrize("stage", ["batch", "merge"])
def test_stages_go_back_one_by_one(source, tmp_path, stage):
    before = state(source)
    parts = made(source, tmp_path / "parts", stage="batch", transfer="move", batch_size=6)
    if stage == "merge":
        between = state(parts / "batches")
        out = icas.cluster(parts, stage="merge", dst=tmp_path / "out", transfer="move").dst
        icas.undo(out)
        assert state(parts / "batches") == between
    icas.undo(parts)
    assert state(source) == before


def test_a_changed_copy_is_left_and_named_and_the_rest_undone(source, tmp_path, capsys):
    before = state(source)
    dst = made(source, tmp_path / "out")
    changed = sorted((dst / "result").rglob("*.png"))[0]
    changed.write_bytes(b"painted over")
    (dst / "clusters.csv").write_text("my notes")
    (dst / "mine.txt").write_text("mine")
    assert main(["undo", str(dst)]) == 1
    out, err = capsys.readouterr()
    assert str(changed) in err
    assert "clusters.csv has changed" in err
    assert out.endswith(f"2 left in {dst}\n")
    left = [path.relative_to(dst).parts[0] for path in dst.rglob("*") if path.is_file()]
    assert {name for name in left if name != ".icas"} == {"result", "clusters.csv", "mine.txt"}
    assert state(source) == before
    changed.unlink()
    (dst / "clusters.csv").unlink()
    assert main(["undo", str(dst)]) == 0
    assert [path.name for path in dst.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("transfer", ["copy", "hardlink"])
def test_an_only_copy_is_left(source, tmp_path, transfer):
    dst = made(source, tmp_path / "out", transfer=transfer)
    content = (source / "second" / "rocket-2.jpg").read_bytes()
    (source / "second" / "rocket-2.jpg").unlink()
    ((target, why),) = icas.undo(dst).left
    assert "only copy" in why
    assert (dst / target).read_bytes() == content


def test_a_copy_whose_source_was_changed_is_left(source, tmp_path):
    dst = made(source, tmp_path / "out")
    (source / "second" / "rocket-2.jpg").write_bytes(b"another")
    ((target, why),) = icas.undo(dst).left
    assert target.endswith("rocket-2.jpg")
    assert "changed since the run" in why


@pytest.mark.parametrize("what", ["changed", "gone", "taken"])
def test_moved_files_that_cannot_go_back_are_named(source, tmp_path, what):
    before = state(source)
    dst = made(source, tmp_path / "out", transfer="move")
    (path,) = (dst / "result").rglob("rocket-2.jpg")
    old = source / "second" / "rocket-2.jpg"
    if what == "changed":
        path.write_bytes(b"another")
    elif what == "gone":
        path.rename(tmp_path / "elsewhere.jpg")
    else:
        old.write_bytes(b"somebody else's")
    undone = icas.undo(dst)
    assert [Path(target).name for target, _ in undone.left] == ["rocket-2.jpg"]
    assert undone.moved_back == 14
    after = state(source)
    own = {"second", "second/rocket-2.jpg"}
    assert {name: one for name, one in before.items() if name not in own} == {
        name: one for name, one in after.items() if name not in own
    }
    if what == "taken":
        assert old.read_bytes() == b"somebody else's"
        assert path.exists()


@pytest.mark.parametrize("transfer", ["copy", "move"])
def test_what_a_link_at_the_old_place_shows_is_not_removed(source, tmp_path, transfer):
    dst = made(source, tmp_path / "out", transfer=transfer)
    (path,) = (dst / "result").rglob("rocket-2.jpg")
    content, old = path.read_bytes(), source / "second" / "rocket-2.jpg"
    old.unlink(missing_ok=True)
    old.symlink_to(path)
    assert [Path(target).name for target, _ in icas.undo(dst).left] == ["rocket-2.jpg"]
    assert path.read_bytes() == content


def test_a_source_folder_that_was_used_since_keeps_its_time(source, tmp_path):
    dst = made(source, tmp_path / "out", transfer="move")
    (source / "second" / "new.txt").write_text("new")
    before = state(source)
    icas.undo(dst)
    after = state(source)
    assert after["second/new.txt"] == before["second/new.txt"]
    assert after["second"][2] > 1_600_000_000 * 10**9


def test_a_dry_run_says_it_and_does_nothing(source, tmp_path, capsys):
    dst = made(source, tmp_path / "out", transfer="move")
    before = state(tmp_path)
    assert main(["undo", str(dst), "--dry-run", "-v"]) == 0
    out = capsys.readouterr().out
    assert "plan: move 15 images back" in out
    assert f"-> {source / 'second' / 'rocket-2.jpg'}" in out
    assert "dry run, nothing changed" in out
    after = state(tmp_path)
    assert {name: one[0] for name, one in after.items()} == {
        name: one[0] for name, one in before.items()
    }


def test_json_is_the_only_thing_on_stdout(source, tmp_path, capsys):
    dst = made(source, tmp_path / "out", transfer="move")
    assert main(["undo", str(dst), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["moved_back"], told["left"], told["dry_run"]) == (15, [], False)


def test_what_is_no_result_is_refused(tmp_path, capsys):
    assert main(["undo", str(tmp_path / "nowhere")]) == 2
    assert main(["undo", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert "no folder" in err
    assert "no record of a clusterimg run" in err


def test_it_waits_for_nobody_who_is_at_work(source, tmp_path, capsys):
    dst = made(source, tmp_path / "out")
    with locked(dst):
        assert main(["undo", str(dst)]) == 1
    err = capsys.readouterr().err
    assert f"process {os.getpid()} on" in err
    assert err.count("\n") == 1


def test_an_overwritten_run_gives_its_folders_back(source, tmp_path):
    before = state(source)
    dst = made(source, tmp_path / "out")
    made(source, dst, method="orb", overwrite=True)
    icas.undo(dst)
    assert state(source) == before
    assert not dst.exists()


def test_across_file_systems_too(source, tmp_path):
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system at /dev/shm")
    dst = elsewhere / f"icas-{os.getpid()}-{tmp_path.name}"
    before = state(source)
    try:
        made(source, dst, transfer="move")
        assert not any(path.is_file() for path in source.rglob("*"))
        assert icas.undo(dst).left == ()
    finally:
        shutil.rmtree(dst, ignore_errors=True)
    assert state(source) == before


def test_a_journal_of_strangers_removes_nothing_outside(source, tmp_path):
    dst = made(source, tmp_path / "out")
    victim = tmp_path / "victim.jpg"
    victim.write_bytes(b"mine")
    status = victim.stat()
    with Journal(dst) as journal, journal.database:
        journal.database.execute(
            "INSERT INTO made (target, how, size, mtime_ns) VALUES (?, 'write', ?, ?)",
            (b"../victim.jpg", status.st_size, status.st_mtime_ns),
        )
    with pytest.raises(icas.ConflictError, match="outside"):
        icas.undo(dst)
    assert victim.read_bytes() == b"mine"


def test_a_folder_replaced_by_a_link_is_not_followed(source, tmp_path):
    dst = made(source, tmp_path / "out")
    (dst / "similarities").rename(tmp_path / "elsewhere")
    (dst / "similarities").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(icas.ConflictError, match="is a link out of"):
        icas.undo(dst)
    assert any((tmp_path / "elsewhere").iterdir())


def test_a_journal_of_an_older_version_is_read(source, tmp_path):
    dst = made(source, tmp_path / "out", transfer="move")
    with Journal(dst) as journal:
        rows = list(journal.files())
    for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
        (dst / ".icas" / name).unlink(missing_ok=True)
    import sqlite3

    with sqlite3.connect(dst / ".icas" / "journal.db") as database:
        database.execute(
            "CREATE TABLE made (target BLOB PRIMARY KEY, how TEXT NOT NULL, source BLOB,"
            " size INTEGER, mtime_ns INTEGER)"
        )
        database.executemany(
            "INSERT INTO made VALUES (?, ?, ?, ?, ?)",
            [
                (
                    os.fsencode(one.target),
                    one.how,
                    one.source and os.fsencode(one.source),
                    one.size,
                    one.mtime_ns,
                )
                for one in rows
            ],
        )
    database.close()
    with Journal(dst) as journal:
        assert journal.phase == "done"
        assert FileRecord(rows[0].target, rows[0].how) in [
            FileRecord(one.target, one.how) for one in journal.files()
        ]
    icas.undo(dst)
    assert (source / "second" / "rocket-2.jpg").is_file()
    assert [path for path in dst.rglob("*") if path.is_file()] == []


def test_the_other_of_two_was_quicker(tmp_path, monkeypatch):
    """A folder that goes away while it is looked into was taken back by somebody else."""
    root = tmp_path / "sorted"
    (root / ".icas").mkdir(parents=True)

    def gone_meanwhile(folder):
        shutil.rmtree(folder)
        return not list(folder.iterdir())

    monkeypatch.setattr("icas.clusterimg.transfer.undo.is_free", gone_meanwhile)
    with pytest.raises(icas.ConflictError, match="another clusterimg process has just undone"):
        icas.undo(root)
