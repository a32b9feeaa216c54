"""Files get to their place whole or not at all, and nothing is lost on the way."""

from __future__ import annotations

import errno
import os
from pathlib import Path, PurePosixPath

import pytest

import icas
from icas.cli.console import Console
from icas.clusterimg.journal.journal import FileRecord, Journal
from icas.clusterimg.transfer import (
    execution as transfer,
    operations as carriers,
    plan as plan_check,
)
from icas.clusterimg.transfer.plan import Operation, Plan


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(os.urandom(5000))
    os.utime(path, ns=(1_500_000_000_000_000_000, 1_600_000_000_123_456_789))
    return path


def carrying(source: Path, target: Path) -> carriers.Transfer:
    """`source` on its way to `target`."""
    return carriers.Transfer(source, target, target.with_name("part"))


@pytest.mark.parametrize("how", ["copy", "move", "hardlink", "symlink"])
def test_an_existing_target_is_never_overwritten(source, tmp_path, how):
    target = tmp_path / "out.jpg"
    target.write_text("mine")
    with pytest.raises(FileExistsError):
        carriers.OPERATIONS[how](carrying(source, target))
    assert target.read_text() == "mine"
    assert source.stat().st_size == 5000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "out.jpg"]


@pytest.mark.parametrize("how", ["copy", "move", "hardlink"])
def test_bytes_and_times_are_kept(source, tmp_path, how):
    content, target = source.read_bytes(), tmp_path / "out.jpg"
    carriers.OPERATIONS[how](carrying(source, target))
    assert target.read_bytes() == content
    assert target.stat().st_mtime_ns == 1_600_000_000_123_456_789
    assert source.exists() == (how != "move")


def without_hard_links(*_args, **_kwargs):
    raise OSError(errno.EPERM, "no hard links here")


@pytest.mark.parametrize("how", ["copy", "move"])
def test_file_systems_without_hard_links_do_too(source, tmp_path, how, monkeypatch):
    monkeypatch.setattr(os, "link", without_hard_links)
    content, target = source.read_bytes(), tmp_path / "out.jpg"
    carriers.OPERATIONS[how](carrying(source, target))
    assert target.read_bytes() == content
    assert source.exists() == (how == "copy")
    target.write_text("mine")
    source.write_text("again")
    with pytest.raises(FileExistsError):
        carriers.OPERATIONS[how](carrying(source, target))
    assert (source.read_text(), target.read_text()) == ("again", "mine")


def on_another_device(*_args, **_kwargs):
    raise OSError(errno.EXDEV, "another device")


def test_a_source_stays_where_its_copy_differs(source, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", on_another_device)
    monkeypatch.setattr(carriers, "_rename", lambda *_: False)

    def lossy_copy(a, b):
        Path(b).write_bytes(Path(a).read_bytes()[:-1])

    monkeypatch.setattr(carriers.shutil, "copyfile", lossy_copy)
    monkeypatch.setattr(carriers, "_clone", lambda *_: False)
    with pytest.raises(carriers.LeftAloneError, match="differs"):
        carriers.move(carrying(source, tmp_path / "out.jpg"))
    assert source.stat().st_size == 5000
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


def test_moving_a_link_moves_what_it_shows(source, tmp_path):
    content = source.read_bytes()
    link = tmp_path / "link.jpg"
    link.symlink_to(source)
    carriers.move(carrying(link, tmp_path / "out.jpg"))
    assert (tmp_path / "out.jpg").read_bytes() == content
    assert not (tmp_path / "out.jpg").is_symlink()
    assert source.exists()
    assert not link.is_symlink()


@pytest.fixture
def result(tmp_path: Path) -> Path:
    """An empty result folder."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def planned(journal: Journal, how: str, *sources: Path) -> list[FileRecord]:
    """`sources` on the journal's record, to be put into ``result/``."""
    made = [
        FileRecord(f"result/{path.name}", how, str(path), None, None, *carriers.fingerprint(path))
        for path in sources
    ]
    journal.plan(made, {})
    return list(journal.files())


def carried(root: Path, journal: Journal, pending) -> dict[str, str]:
    with Console().bar(len(pending), "", "") as bar:
        return transfer.transfer_all(root, pending, journal, 1, bar)


def another(source: Path, name: str) -> Path:
    path = source.with_name(name)
    path.write_bytes(os.urandom(3000))
    return path


@pytest.mark.parametrize("how", ["copy", "move", "hardlink", "symlink"])
def test_what_is_gone_or_changed_is_left_alone_and_the_rest_is_done(source, result, how):
    gone, changed = another(source, "gone.jpg"), another(source, "changed.jpg")
    with Journal(result) as journal:
        pending = planned(journal, how, source, gone, changed)
        gone.unlink()
        changed.write_text("grown")
        left = carried(result, journal, pending)
        made = {one.target: one for one in journal.files()}
    assert left == {
        "result/gone.jpg": "deleted since the run read it",
        "result/changed.jpg": "changed since the run read it",
    }
    assert changed.read_text() == "grown"
    assert [path.name for path in (result / "result").iterdir()] == ["a.jpg"]
    assert {name: one.left_alone for name, one in made.items() if one.left_alone} == left
    assert made["result/a.jpg"].is_done


@pytest.mark.parametrize("how", ["copy", "move", "hardlink", "symlink"])
def test_what_a_killed_run_put_there_is_taken_as_done(source, result, how):
    content = source.read_bytes()
    (result / "result").mkdir()
    with Journal(result) as journal:
        pending = planned(journal, how, source)
        one = carriers.Transfer.of(result, pending[0])
        one.part.parent.mkdir()
        carriers.OPERATIONS[how](one)  # and then it was killed
        assert carried(result, journal, pending) == {}
        assert [one.is_done for one in journal.files()] == [True]
    assert (result / "result/a.jpg").read_bytes() == content
    assert source.exists() == (how != "move")


@pytest.mark.parametrize("how", ["copy", "move", "hardlink", "symlink"])
def test_somebody_elses_file_at_a_place_stops_it(source, result, how):
    with Journal(result) as journal:
        pending = planned(journal, how, source)
        (result / "result").mkdir()
        (result / "result/a.jpg").write_text("mine")
        with pytest.raises(icas.ConflictError, match="not overwritten"):
            carried(result, journal, pending)
    assert (result / "result/a.jpg").read_text() == "mine"
    assert source.stat().st_size == 5000


def test_a_disk_that_fails_keeps_what_was_done_on_record(source, result, monkeypatch):
    other = another(source, "b.jpg")
    real = carriers.shutil.copyfile

    def full(one, to):
        if one == other:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(one, to)

    monkeypatch.setattr(carriers.shutil, "copyfile", full)
    with Journal(result) as journal:
        pending = planned(journal, "copy", source, other)
        with pytest.raises(icas.IcasError, match=r"b\.jpg.*No space left"):
            carried(result, journal, pending)
        done = {one.target: one.is_done for one in journal.files()}
    assert done == {"result/a.jpg": True, "result/b.jpg": False}
    assert [path.name for path in (result / "result").iterdir()] == ["a.jpg"]


def test_too_full_a_disk_is_found_out_before_the_first_file(source, tmp_path, monkeypatch):
    usage = plan_check.shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(plan_check.shutil, "disk_usage", lambda _: usage)
    plan = Plan(tmp_path / "out", (Operation(source, PurePosixPath("result/a.jpg")),))
    with pytest.raises(icas.ConflictError, match="free"):
        plan_check.check_plan(plan, "copy")
    plan_check.check_plan(plan, "hardlink")


def test_images_of_other_users_that_may_not_be_linked(own_photos, tmp_path, monkeypatch):
    real, user = os.link, os.geteuid()

    def link(source, target, **given):
        if Path(source).parent == own_photos:
            raise PermissionError(errno.EPERM, "Operation not permitted", str(source))
        real(source, target, **given)

    monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    with pytest.raises(icas.ConflictError, match=r"belongs to another user.*transfer copy"):
        icas.cluster(
            own_photos, method="imagehash", threshold=0.9, dst=tmp_path / "out", transfer="hardlink"
        )
    assert not (tmp_path / "out" / "result").exists()
