"""A run that was interrupted goes on from its record, and only as the run that it was."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

import icas
from icas.clusterimg.commands.main import main
from icas.clusterimg.journal.journal import Journal
from icas.clusterimg.transfer import (
    destination,
    execution as transfer,
    operations as carrying,
)


class Killed(BaseException):
    """Stands for the end of the process."""


def tree(folder: Path) -> dict[str, object]:
    """Everything below `folder` but the journal, and figures that no two runs share."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file() and path.suffix != ".db" and name != "report.html":
            found[name] = path.read_bytes()
    told = json.loads(found.pop("run.json"))
    for name in ("seconds", "peak_memory_mb", "dst", "settings", "features"):
        told.pop(name, None)
    return {**found, "run.json": told}


@pytest.fixture
def interrupted(own_photos, tmp_path, monkeypatch):
    """Makes a result whose run ended after so many images."""

    def make(after: int, **how) -> Path:
        left = after
        real = transfer._transfer

        def deadly(*args):
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return real(*args)

        dst = tmp_path / "out"
        with monkeypatch.context() as patch:
            patch.setattr(transfer, "_transfer", deadly)
            with pytest.raises(Killed):
                icas.cluster(own_photos, dst=dst, method="imagehash", threshold=0.8, jobs=1, **how)
        return dst

    return make


@pytest.mark.parametrize("transfer_by", ["copy", "move", "hardlink", "symlink"])
@pytest.mark.parametrize("after", [0, 5, 13])
def test_it_ends_as_if_nothing_had_happened(interrupted, own_photos, tmp_path, transfer_by, after):
    icas.cluster(
        own_photos, method="imagehash", dst=tmp_path / "whole", threshold=0.8, transfer="copy"
    )
    whole = tree(tmp_path / "whole")
    dst = interrupted(after, transfer=transfer_by)
    report = icas.cluster(own_photos, dst=dst, threshold=0.8, transfer=transfer_by, resume=True)
    assert report.written
    found = tree(dst)
    if transfer_by == "symlink":
        found = {
            name: Path(one).read_bytes() if isinstance(one, str) else one
            for name, one in found.items()
        }
    kept = {".icas/forest.npz"}  # it names the sources, which lie in the same place
    assert {name: one for name, one in found.items() if name not in kept} == {
        name: one for name, one in whole.items() if name not in kept
    }
    assert sorted(path.name for path in (dst / ".icas").iterdir()) == [
        "features.npz",
        "forest.npz",
        "journal.db",
    ]
    assert icas.recut(dst, 0.95).written


def test_nothing_is_read_or_compared_again(interrupted, own_photos, monkeypatch):
    dst = interrupted(5)
    for name in ("run", "read_source"):
        monkeypatch.setattr(f"icas.clusterimg.pipeline.pipeline.{name}", None)
    report = icas.cluster(own_photos, dst=dst, threshold=0.8, resume=True)
    assert (len(report.files), report.clusters) == (14, 3)
    again = icas.cluster(own_photos, dst=dst, threshold=0.8, resume=True)
    assert again.files == report.files


def test_a_stage_of_batches_goes_on_too(interrupted, own_photos, tmp_path):
    how = {"stage": "batch", "batch_size": 7}
    icas.cluster(own_photos, dst=tmp_path / "whole", method="imagehash", threshold=0.8, **how)
    dst = interrupted(5, **how)
    icas.cluster(own_photos, dst=dst, threshold=0.8, resume=True, **how)
    assert tree(dst) == tree(tmp_path / "whole")


def test_another_run_is_not_gone_on_with(interrupted, own_photos, photos, capsys):
    dst = interrupted(5)
    words = [str(own_photos), "--dst", str(dst), "--resume"]
    assert main([*words, "--method", "orb"]) == 2
    assert main([str(photos), *words[1:]]) == 2
    err = capsys.readouterr().err
    assert "--method orb: the run in" in err
    assert "is a result of" in err
    assert main(words[:-1]) == 1
    assert "was interrupted: repeat the command with --resume" in capsys.readouterr().err
    assert main([*words, "--dry-run"]) == 1
    assert main(words) == 0


def test_another_threshold_cuts_it_afterwards(interrupted, own_photos):
    dst = interrupted(5)
    report = icas.cluster(own_photos, dst=dst, threshold=0.95, resume=True)
    assert report.threshold == 0.95
    assert json.loads((dst / "run.json").read_text())["compared_at"] == 0.8


def test_where_nothing_was_planned_yet_it_begins_anew(own_photos, tmp_path, monkeypatch):
    dst = tmp_path / "out"

    def deadly(*_args, **_kwargs):
        raise Killed

    for where, name in ((transfer, "write_whole"), (destination, "Journal")):
        with monkeypatch.context() as patch:
            patch.setattr(where, name, deadly)
            with pytest.raises(Killed):
                icas.cluster(own_photos, dst=dst)
        assert not dst.exists()
    report = icas.cluster(own_photos, dst=dst, threshold=0.8, resume=True)
    assert report.clusters == 3


def test_what_a_kill_before_the_plan_left_is_no_result(own_photos, tmp_path):
    dst = tmp_path / "out"
    (dst / ".icas" / "prepared" / "similarities").mkdir(parents=True)
    (dst / ".icas" / "prepared" / "similarities" / "merge.csv").write_text("half")
    (dst / ".icas" / "lock").write_text("{}")
    icas.cluster(own_photos, method="imagehash", dst=dst, threshold=0.8)
    assert not (dst / ".icas" / "prepared").exists()
    assert (dst / "clusters.csv").exists()


def test_a_run_that_is_taken_back_is_not_gone_on_with(interrupted, own_photos, capsys):
    dst = interrupted(5, transfer="move")
    with Journal(dst) as journal:
        journal.enter("undoing")
    for words in (["--resume"], ["--overwrite"], []):
        how = [str(own_photos), "--dst", str(dst), "--transfer", "move", *words]
        assert main(how) == 1
        assert "clusterimg undo" in capsys.readouterr().err or not words
    assert main(["undo", str(dst)]) == 0
    assert not dst.exists()
    assert len(list(own_photos.iterdir())) == 14


def test_overwriting_that_was_interrupted_begins_anew(own_photos, tmp_path, monkeypatch):
    dst = tmp_path / "out"
    icas.cluster(own_photos, method="imagehash", dst=dst, threshold=0.8)
    whole = tree(dst)

    def half(root, recorded):
        for made in list(recorded)[::2]:
            (root / made.target).unlink()
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(destination, "remove_files", half)
        with pytest.raises(Killed):
            icas.cluster(own_photos, method="imagehash", dst=dst, threshold=0.8, overwrite=True)
    words = ["--method", "imagehash", "--threshold", "0.8"]
    assert main([str(own_photos), "--dst", str(dst), *words, "--resume"]) == 0
    assert tree(dst) == whole


def test_a_full_disk_is_one_line_and_it_goes_on(own_photos, tmp_path, monkeypatch, capsys):
    words = [str(own_photos), "--dst", str(tmp_path / "out"), "--jobs", "1"]
    left = 6
    real = carrying.shutil.copyfile

    def full(*args):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(carrying.shutil, "copyfile", full)
        patch.setattr(carrying, "_clone", lambda *_: False)
        assert main(words) == 1
    err = capsys.readouterr().err
    assert "No space left on device; no file is lost: repeat the command with --resume" in err
    assert err.count("\n") == 1
    assert main([*words, "--resume"]) == 0
    assert len([path for path in (tmp_path / "out/result").rglob("*.*") if path.is_file()]) == 14


def test_images_that_go_meanwhile_are_listed(own_photos, tmp_path, monkeypatch, capsys):
    real = transfer.transfer_all

    def later(*args):
        (own_photos / "moon.png").unlink()
        (own_photos / "page.png").write_bytes(b"grown")
        return real(*args)

    monkeypatch.setattr(transfer, "transfer_all", later)
    dst = tmp_path / "out"
    assert main([str(own_photos), "--dst", str(dst), "--transfer", "move"]) == 3
    out, err = capsys.readouterr()
    assert "2 unreadable" in out
    assert "moon.png: not transferred: deleted since the run read it" in err
    told = (dst / "unreadable.csv").read_text()
    assert "page.png,not transferred: changed since the run read it\n" in told
    assert (own_photos / "page.png").read_bytes() == b"grown"
    assert json.loads((dst / "run.json").read_text())["unreadable"] == 2
    assert icas.recut(dst, 0.95).written
    assert icas.undo(dst).left == ()


def test_a_second_run_is_told_who_is_at_work(own_photos, tmp_path, monkeypatch, capsys):
    dst = tmp_path / "out"
    real = transfer.transfer_all

    def meanwhile(*args):
        for words in ([str(own_photos), "--dst", str(dst)], ["undo", str(dst)]):
            assert main(words) == 1
        return real(*args)

    monkeypatch.setattr(transfer, "transfer_all", meanwhile)
    icas.cluster(own_photos, method="imagehash", dst=dst, threshold=0.8)
    err = capsys.readouterr().err
    assert "was interrupted" not in err
    assert err.count(f"another icas process uses {dst} (process {os.getpid()} on") == 2


def test_a_finished_run_says_that_auto_changes_nothing(own_photos, tmp_path, capsys):
    dst = tmp_path / "done"
    words = [str(own_photos), "--dst", str(dst), "--threshold", "auto"]
    assert main(words) == 0
    before = (dst / "clusters.csv").read_bytes()
    capsys.readouterr()
    assert main([*words, "--resume"]) == 0
    assert "is already finished; --threshold auto has no effect" in capsys.readouterr().out
    assert (dst / "clusters.csv").read_bytes() == before
