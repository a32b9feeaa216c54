"""SIGKILL at any moment: nothing is lost, --resume ends as if nothing was, undo takes all back."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TRANSFERS = ("copy", "move", "hardlink", "symlink")
OTHERS = ("none", "overwrite", "batch", "merge", "keep-batches", "recut", "export-copy")
OTHERS += ("export-hardlink", "export-overwrite", "best")
HERE = Path(__file__).resolve().parent


@pytest.fixture
def other_disk(commands, tmp_path):
    """A folder on another disk than the source's."""
    if commands.world.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second disk: /dev/shm")
    return tmp_path


@pytest.mark.parametrize("name", TRANSFERS)
def test_some_steps_of_each_transfer(worlds, holds, name):
    from killer import at_every_step

    world = worlds(name)
    holds(at_every_step(world, stride=world.steps // 3), name)


@pytest.mark.parametrize("name", OTHERS)
def test_some_steps_of_other_runs(worlds, holds, name):
    from killer import ByStep, at_random

    world = worlds(name)
    holds(at_random(world, ByStep(world), 2, seed=1), name)


def test_some_steps_where_there_are_no_hard_links(worlds, holds):
    from killer import ByStep, at_random

    world = worlds("move")
    holds(at_random(world, ByStep(world, hard_links=False), 2, seed=2), "move without hard links")


@pytest.mark.parametrize("name", ["move", pytest.param("copy", marks=pytest.mark.slow)])
def test_some_steps_to_another_disk(worlds, holds, other_disk, name):
    from killer import ByStep, at_random

    world = worlds(name, dst=other_disk / "dst")
    holds(at_random(world, ByStep(world), 3, seed=3), f"{name} to another disk")


def test_the_program_itself_by_the_clock(worlds, holds):
    from killer import ByClock, at_random

    world = worlds("move")
    holds(at_random(world, ByClock(world), 2, seed=4), "move by the clock")


def test_a_run_that_was_killed_before_its_plan_leaves_nothing(worlds, commands):
    from steps import Strike

    world = worlds("copy")
    step = 0
    while True:
        step += 3
        assert commands.run(world.words, Strike("kill", step)).killed
        if (world.dst / ".icas" / "journal.db").exists():
            break
        dry = commands.run(["undo", world.dst, "--dry-run"])
        assert commands.run(["undo", world.dst]).code == 0 or not world.dst.exists(), dry
        assert not world.dst.exists() or not list(world.dst.iterdir())
        shutil.rmtree(world.dst, ignore_errors=True)
    assert commands.run(["undo", world.dst]).code == 0


def test_undo_makes_no_folder_free_that_is_not_icas(tmp_path, commands):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("mine")
    done = commands.run(["undo", tmp_path / "mine"])
    assert done.code == 2
    assert "has no record of a clusterimg run" in done.err
    (tmp_path / "mine" / ".icas" / "prepared").mkdir(parents=True)
    assert commands.run(["undo", tmp_path / "mine"]).code == 2
    assert (tmp_path / "mine" / ".icas" / "prepared").exists()


def test_the_script_counts():
    words = ["--times", "2", "--images", "6", "--transfer", "copy"]
    done = subprocess.run(
        [sys.executable, HERE / "killer.py", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search("copy: [0-9] trials: [2-9] kills", done.stdout)
    assert "0 wrong, 0 images lost" in done.stdout


# -- the full counts --


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", TRANSFERS)
def test_200_kills_of_the_program_itself(worlds, holds, name):
    from killer import ByClock, at_random

    world = worlds(name, images=60, jobs=4)
    tally = at_random(world, ByClock(world), 200, seed=5)
    holds(tally, f"{name} by the clock")
    assert tally.kills >= 200


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", TRANSFERS + OTHERS)
def test_200_kills_at_random_steps(worlds, holds, name):
    from killer import ByStep, at_random

    world = worlds(name, images=60)
    tally = at_random(world, ByStep(world), 200, seed=6)
    holds(tally, name)
    assert tally.kills >= 200


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", TRANSFERS + OTHERS)
def test_a_kill_at_every_step(worlds, holds, name):
    from killer import at_every_step

    holds(at_every_step(worlds(name)), f"{name}, every step")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["copy", "move"])
def test_200_kills_to_another_disk(worlds, holds, other_disk, name):
    from killer import ByStep, at_random

    world = worlds(name, 30, other_disk / "dst")
    holds(at_random(world, ByStep(world), 200, seed=7), f"{name} to another disk")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["copy", "move"])
def test_200_kills_without_hard_links(worlds, holds, name):
    from killer import ByStep, at_random

    world = worlds(name, 30)
    tally = at_random(world, ByStep(world, hard_links=False), 200, seed=8)
    holds(tally, f"{name} without hard links")
