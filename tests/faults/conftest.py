"""The tests of faults kill programs, fill disks and hold locks; what they need for that."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for the scripts beside the tests


MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def ground(tmp_path_factory):
    """A folder in memory, where forcing to disk takes no time; else one as any test has it."""
    if sys.platform != "linux":
        pytest.skip("processes are forked, stopped and killed here as Linux does it")
    if not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < 200_000_000:
        yield tmp_path_factory.mktemp("faults").resolve()
        return
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="icas-faults-") as folder:
        yield Path(folder).resolve()


@pytest.fixture(scope="session")
def commands(ground):
    """A warm process that runs commands; steps count in its folder."""
    from steps import Commands

    with Commands(ground) as found:
        yield found


@pytest.fixture(scope="session")
def worlds(commands):
    """A function that gives a scenario with its source, made once."""
    from scenarios import SCENARIOS, World

    made = {}

    def world(name: str, images: int = 6, dst: Path | None = None, jobs: int = 1):
        key = name, images, dst, jobs
        if key not in made:
            folder = commands.world / f"{name}-{images}-{len(made)}"
            source, dst = folder / "work" / "src", dst or folder / "dst"
            made[key] = World(commands, SCENARIOS[name], source, dst, images, jobs)
        return made[key]

    return world


@pytest.fixture
def holds(capsys):
    """A function that prints what a tally counts, and fails where anything was wrong or lost."""

    def check(tally, name: str = "") -> None:
        with capsys.disabled():
            print(f"\n{name}: {tally.line()}", end=" ", flush=True)
        assert tally.wrong == []
        assert tally.lost == 0

    return check
