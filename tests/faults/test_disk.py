"""A disk that is full or fails: one clear line, nothing lost, and --resume once it is well."""

from __future__ import annotations

import pytest

ERRORS = ("ENOSPC+", "EIO", "EROFS+", "EDQUOT+", "ENOSPC", "EIO+")


@pytest.fixture
def disk(commands):
    from failing import small_disk

    try:
        with small_disk(commands.world / "disk", 4_000_000) as folder:
            yield folder
    except PermissionError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("name", "fault"), [("copy", "ENOSPC+"), ("move", "EIO"), ("move", "EROFS+")]
)
def test_some_steps_fail(worlds, holds, name, fault):
    from failing import at_every_step

    world = worlds(name)
    holds(at_every_step(world, fault, stride=world.steps // 3), f"{name}, {fault}")


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(worlds, disk, commands):
    from failing import fill

    world = worlds("copy", 30, disk / "dst")
    filler = fill(disk)
    with filler.open("r+b") as file:
        file.truncate(filler.stat().st_size - 50_000)
    done = commands.run(world.words)
    filler.unlink()
    assert done.code == 1
    assert "needs" in done.err
    assert "MB free: free some space" in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not world.dst.exists()
    assert world.wrong_source() == []


@pytest.mark.parametrize("name", ["copy", "move"])
def test_a_disk_that_becomes_full(worlds, holds, disk, name):
    from failing import on_a_full_disk

    holds(on_a_full_disk(worlds(name, 30, disk / "dst"), disk, 4, seed=1), f"{name}, full disk")


def test_a_killed_run_can_be_undone_while_the_disk_is_full(worlds, disk, commands):
    """Room comes back by what undo removes."""
    from failing import fill
    from steps import Strike

    world = worlds("copy", 30, disk / "dst")
    for step in (world.steps // 2, world.steps * 3 // 4):
        assert commands.run(world.words, Strike("kill", step)).killed
        filler = fill(disk)
        done = commands.run(["undo", world.dst])
        filler.unlink()
        assert done.code == 0, done.err
        assert not world.dst.exists()
        assert world.wrong_source() == []


def test_a_finished_run_on_a_full_disk_needs_a_little_room_to_be_undone(worlds, disk, commands):
    from failing import fill, one_clear_line

    world = worlds("move", 30, disk / "dst")
    commands.run(world.words)
    filler = fill(disk)
    done = commands.run(["undo", world.dst])
    assert done.code == 1
    assert one_clear_line(done)
    assert world.wrong_result() == []
    with filler.open("r+b") as file:
        file.truncate(filler.stat().st_size - 100_000)
    done = commands.run(["undo", world.dst])
    filler.unlink()
    assert done.code == 0, done.err
    assert world.wrong_source() == []


# -- the full counts --


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["copy", "move"])
def test_a_disk_that_becomes_full_100_times(worlds, holds, disk, name):
    from failing import on_a_full_disk

    tally = on_a_full_disk(worlds(name, 60, disk / "dst"), disk, 100, seed=2)
    holds(tally, f"{name}, full disk")


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("fault", ERRORS)
@pytest.mark.parametrize("name", ["copy", "move"])
def test_every_step_fails(worlds, holds, name, fault):
    from failing import at_every_step

    holds(at_every_step(worlds(name), fault, stride=2), f"{name}, {fault}")


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("fault", ["ENOSPC+", "EIO"])
@pytest.mark.parametrize("name", ["hardlink", "symlink", "overwrite", "batch", "merge", "recut"])
def test_every_step_of_other_runs_fails(worlds, holds, name, fault):
    from failing import at_every_step

    holds(at_every_step(worlds(name), fault, stride=2), f"{name}, {fault}")
