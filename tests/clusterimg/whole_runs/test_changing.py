"""Sources that vanish, grow or become something else while a run is at work on them."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager

import pytest
from PIL import Image

from icas.clusterimg.clustering.batches import Stopwatch
from icas.clusterimg.results import write as output
from icas.clusterimg.transfer import execution as completing, operations as carrying

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="files of Unix")
VICTIM = "moon.png"


def vanish(path):
    path.unlink()


def grow(path):
    with path.open("ab") as stream:
        stream.write(b"more")


def become_empty(path):
    path.write_bytes(b"")


def become_another(path):
    Image.new("RGB", (90, 60), "red").save(path)


def become_a_pipe(path):
    path.unlink()
    os.mkfifo(path)


def become_a_folder(path):
    path.unlink()
    path.mkdir()
    (path / "kept.txt").write_bytes(b"mine")


def become_a_link_to_nothing(path):
    path.unlink()
    path.symlink_to("nothing")


def become_a_loop(path):
    path.unlink()
    path.symlink_to(path.name)


HARMS = (
    vanish,
    grow,
    become_empty,
    become_another,
    become_a_pipe,
    become_a_folder,
    become_a_link_to_nothing,
    become_a_loop,
)


def after_stage(name):
    """Makes something happen after a stage of the run, once."""

    def install(monkeypatch, happen):
        stage, happened = Stopwatch.stage, []

        @contextmanager
        def watched(self, current):
            with stage(self, current):
                yield
            if current == name and not happened:
                happened.append(name)
                happen()

        monkeypatch.setattr(Stopwatch, "stage", watched)

    return install


def before_call(module, name):
    """Makes something happen before a function is called, once."""

    def install(monkeypatch, happen):
        function, happened = getattr(module, name), []

        def called(*given, **named):
            if not happened:
                happened.append(name)
                happen()
            return function(*given, **named)

        monkeypatch.setattr(module, name, called)

    return install


MOMENTS = {
    "before it is read": after_stage("scan"),
    "after it was read": after_stage("features"),
    "after its links were found": after_stage("links"),
    "before the plan is checked": before_call(output, "check_plan"),
    "before the plan is on record": before_call(output, "record"),
    "before it is carried": before_call(completing, "transfer_all"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("harm", HARMS)
def test_a_source_that_changes(world, tools, monkeypatch, moment, harm):
    ways = ("copy", "move", "hardlink", "symlink")
    how = ways[(len(moment) + len(harm.__name__)) % len(ways)]
    check(world, tools, monkeypatch, MOMENTS[moment], harm, how)


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("how", ["copy", "move", "hardlink", "symlink"])
def test_a_source_that_changes_by_every_way(world, tools, monkeypatch, moment, harm, how):
    check(world, tools, monkeypatch, MOMENTS[moment], harm, how)


def check(world, tools, monkeypatch, install, harm, how, *words):
    """The others go on; what was harmed is named, and stays as it became."""
    others = tools.state(world.source)
    del others[os.fsencode(VICTIM)]
    became = {}

    def happen():
        harm(world.source / VICTIM)
        became.update(
            (name, told)
            for name, told in tools.state(world.source).items()
            if name.startswith(os.fsencode(VICTIM))
        )

    with monkeypatch.context() as patched:
        install(patched, happen)
        ran = world.run("--transfer", how, *words)
    assert ran.code == 3
    assert list(world.unreadable()) == [VICTIM]
    assert any(VICTIM in line for line in ran.lines)
    assert len(world.placed()) == 4
    assert world.run("--transfer", how, "--resume").code == 3
    assert world.undo().code == 0
    assert tools.state(world.source) == {**others, **became}


@pytest.mark.parametrize("harm", [vanish, grow, become_another, become_a_pipe])
@pytest.mark.parametrize("how", ["copy", "move"])
def test_a_source_that_changes_while_it_is_copied(world, tools, monkeypatch, harm, how):
    copyfile = shutil.copyfile

    def slow_copyfile(source, target):
        copyfile(source, target)
        if source.name == VICTIM:
            install.happen()

    def install(patched, happen):
        install.happen = happen
        patched.setattr(carrying.shutil, "copyfile", slow_copyfile)
        patched.setattr(carrying, "_clone", lambda *_: False)
        patched.setattr(carrying, "_link", lambda *_: False)
        patched.setattr(carrying, "_rename", lambda *_: False)

    # With one worker no other image moves away while the harm looks at the folder.
    check(world, tools, monkeypatch, install, harm, how, "--jobs", "1")


@pytest.mark.parametrize("how", ["copy", "move", "hardlink", "symlink"])
def test_a_source_folder_that_is_gone_when_images_are_to_be_carried(world, monkeypatch, how):
    folder = world.source / "folder"
    folder.mkdir()
    for path in world.source.glob("coffee-*"):
        path.rename(folder / path.name)
    with monkeypatch.context() as patched:
        before_call(output, "check_plan")(patched, lambda: folder.rename(world.root / "away"))
        ran = world.run("--recursive", "--transfer", how)
    assert ran.code == 3
    assert sorted(world.unreadable()) == ["folder/coffee-1.png", "folder/coffee-2.jpg"]
    assert len(world.placed()) == 3
    assert world.undo().code == 0
    assert len(list((world.root / "away").iterdir())) == 2


def test_a_result_folder_that_is_taken_away_meanwhile(world, monkeypatch, unharmed):
    with monkeypatch.context() as patched:
        before_call(output, "check_plan")(patched, lambda: shutil.rmtree(world.result))
        ran = world.run()
    if ran.code == 0:  # it was made anew
        assert world.undo().code == 0
    else:
        assert len(ran.lines) == 1
    shutil.rmtree(world.result, ignore_errors=True)
    unharmed()


@pytest.mark.parametrize("transferred", ["copy", "move"])
def test_somebody_else_s_file_at_the_place_of_an_image(world, monkeypatch, transferred):
    theirs = world.result / "result" / "outliers" / VICTIM

    def happen():
        theirs.parent.mkdir(parents=True, exist_ok=True)
        theirs.write_bytes(b"theirs")

    with monkeypatch.context() as patched:
        before_call(completing, "transfer_all")(patched, happen)
        ran = world.run("--transfer", transferred)
    assert ran.code == 1
    assert "already exists and is not overwritten" in ran.err
    assert theirs.read_bytes() == b"theirs"
    theirs.rename(world.root / "theirs.png")
    assert world.run("--transfer", transferred, "--resume").code == 0
    assert len(world.placed()) == 5
    assert world.undo().code == 0
    assert len(list(world.source.iterdir())) == 5
