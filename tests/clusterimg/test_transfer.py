"""Files get to their place whole or not at all, and nothing is lost on the way."""

from __future__ import annotations

import errno
import os
from pathlib import Path, PurePosixPath

import pytest

import icas
from icas.clusterimg import transfer
from icas.clusterimg.journal import Journal, Made
from icas.clusterimg.layout import Move, Plan
from icas.common.progress import Console


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(os.urandom(5000))
    os.utime(path, ns=(1_500_000_000_000_000_000, 1_600_000_000_123_456_789))
    return path


@pytest.mark.parametrize("how", ["copy", "move", "hardlink", "symlink"])
def test_an_existing_target_is_never_overwritten(source, tmp_path, how):
    target = tmp_path / "out.jpg"
    target.write_text("mine")
    with pytest.raises(icas.IcasError, match="cannot put"):
        transfer._CARRIERS[how](source, target)
    assert target.read_text() == "mine"
    assert source.stat().st_size == 5000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "out.jpg"]


@pytest.mark.parametrize("how", ["copy", "move", "hardlink"])
def test_bytes_and_times_are_kept(source, tmp_path, how):
    content, target = source.read_bytes(), tmp_path / "out.jpg"
    transfer._CARRIERS[how](source, target)
    assert target.read_bytes() == content
    assert target.stat().st_mtime_ns == 1_600_000_000_123_456_789
    assert source.exists() == (how != "move")


def without_hard_links(*_args, **_kwargs):
    raise OSError(errno.EPERM, "no hard links here")


@pytest.mark.parametrize("how", ["copy", "move"])
def test_file_systems_without_hard_links_do_too(source, tmp_path, how, monkeypatch):
    monkeypatch.setattr(os, "link", without_hard_links)
    content, target = source.read_bytes(), tmp_path / "out.jpg"
    transfer._CARRIERS[how](source, target)
    assert target.read_bytes() == content
    assert source.exists() == (how == "copy")
    target.write_text("mine")
    source.write_text("again")
    with pytest.raises(icas.IcasError, match="exists"):
        transfer._CARRIERS[how](source, target)
    assert (source.read_text(), target.read_text()) == ("again", "mine")


def test_a_source_stays_where_its_copy_differs(source, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", without_hard_links)

    def lossy_copy(a, b):
        Path(b).write_bytes(Path(a).read_bytes()[:-1])

    monkeypatch.setattr(transfer.shutil, "copy2", lossy_copy)
    with pytest.raises(icas.IcasError, match="differs"):
        transfer.move(source, tmp_path / "out.jpg")
    assert source.stat().st_size == 5000
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


def test_moving_a_link_moves_what_it_shows(source, tmp_path):
    content = source.read_bytes()
    link = tmp_path / "link.jpg"
    link.symlink_to(source)
    transfer.move(link, tmp_path / "out.jpg")
    assert (tmp_path / "out.jpg").read_bytes() == content
    assert not (tmp_path / "out.jpg").is_symlink()
    assert source.exists()
    assert not link.is_symlink()


def test_a_failure_in_the_middle_keeps_what_was_done_on_record(source, tmp_path):
    root = tmp_path / "out"
    missing = tmp_path / "gone.jpg"
    plan = Plan(
        root,
        (Move(source, PurePosixPath("result/a.jpg")), Move(missing, PurePosixPath("result/b.jpg"))),
    )
    with Journal(root) as journal:
        journal.plan([Made(str(move.target), "copy", str(move.source)) for move in plan.moves], {})
        with (
            pytest.raises(icas.IcasError, match=r"gone\.jpg"),
            Console().bar(2, "", "") as bar,
        ):
            transfer.carry_out(plan, "copy", journal, 1, bar)
        made = {one.target: one.size for one in journal.made()}
    assert made == {"result/a.jpg": 5000, "result/b.jpg": None}
    assert [path.name for path in (root / "result").iterdir()] == ["a.jpg"]


def test_too_full_a_disk_is_found_out_before_the_first_file(source, tmp_path, monkeypatch):
    usage = transfer.shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: usage)
    plan = Plan(tmp_path / "out", (Move(source, PurePosixPath("result/a.jpg")),))
    with pytest.raises(icas.ConflictError, match="free"):
        transfer.check_plan(plan, "copy")
    transfer.check_plan(plan, "hardlink")
