"""Two processes at the same place: one works, the other is told who; nobody is held up for ever."""

from __future__ import annotations

import random
import signal
import socket

import pytest

WHAT = ("run", "resume", "undo")


@pytest.fixture(scope="session")
def pair_of(worlds, commands):
    """A function that gives two warm processes over the world of a scenario."""
    from pairs import Pair
    from steps import Commands

    with Commands(commands.world) as other:
        yield lambda name, images=12: Pair(worlds(name, images), other)


def races(pair, what, times, seed):
    from killer import Tally
    from pairs import race

    tally, chance = Tally(), random.Random(seed)
    for _ in range(times):
        race(pair, what, chance, tally)
    return tally


def caches(pair, cache, times, seed):
    from killer import Tally
    from pairs import over_one_cache

    tally, chance = Tally(), random.Random(seed)
    for _ in range(times):
        over_one_cache(pair, cache, chance, tally)
    return tally


@pytest.mark.parametrize("what", WHAT)
def test_one_of_two_wins(pair_of, holds, what):
    holds(races(pair_of("move"), what, 3, seed=1), f"two at once, {what}")


def test_two_runs_over_one_cache(pair_of, holds, tmp_path):
    holds(caches(pair_of("copy"), tmp_path / "features", 3, seed=2), "two over one cache")


def test_a_stopped_one_still_holds_and_a_killed_one_does_not(worlds, commands):
    from pairs import stopped

    world = worlds("move", 12)
    with stopped(world, world.words, world.steps // 2) as holder:
        told = f"process {holder.pid} on {socket.gethostname()}, since 2"
        for words in (world.words, world.again, ["undo", world.dst]):
            done = commands.run(words)
            assert done.code == 1
            assert told in done.err
            assert len(done.err.strip().splitlines()) == 1
        assert world.lost() == 0
        dry = commands.run(["undo", world.dst, "--dry-run"])
        assert dry.code == 0, dry.err
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        done = commands.run(world.again)
        assert done.code == 3, done.err
    assert world.wrong_result() == []
    assert commands.run(["undo", world.dst]).code == 0
    assert world.wrong_source() == []


def test_a_holder_with_worker_processes_that_is_killed_holds_nobody_up(worlds, commands):
    """Its workers live on for a moment, and have no part in the lock."""
    import subprocess
    import sys
    import time

    world = worlds("copy", 12)
    words = [*world.words, "--executor", "processes"]
    run = subprocess.Popen(
        [sys.executable, "-m", "icas.clusterimg", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (world.dst / ".icas" / "lock").exists() and run.poll() is None:
        time.sleep(0.01)
    time.sleep(1)  # its workers are being started, or at work
    run.kill()
    run.wait()
    done = commands.run([*world.again])
    assert done.code == 3, done.err
    assert commands.run(["undo", world.dst]).code == 0


# -- the full counts --


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize("name", ["copy", "move"])
def test_one_of_two_wins_50_times(pair_of, holds, name, what):
    tally = races(pair_of(name, 60), what, 50, seed=3)
    holds(tally, f"two at once, {name}, {what}, {tally.refused} refused by name")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_runs_over_one_cache_50_times(pair_of, holds, tmp_path):
    tally = caches(pair_of("copy", 60), tmp_path / "features", 50, seed=4)
    holds(tally, "two over one cache")
