"""Lets the disk fail at every step of ``clusterimg``, and looks whether anything is lost by it.

python failing.py --fault ENOSPC+ --transfer move      every step from one on, then made good
python failing.py --fault EIO --transfer copy          each step once
python failing.py --full 100 --transfer copy           a real small disk, filled meanwhile
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from killer import OTHER_RUN, UNDO, Tally, check_result, check_source
from scenarios import FINE, SCENARIOS, World
from steps import Commands, Done, Strike

FAILED = 1
LEFT_ALONE = "not transferred"


def one_clear_line(done: Done) -> bool:
    """Whether a command that failed says so in one line."""
    lines = done.err.strip().splitlines()
    return len(lines) == 1 and lines[0].startswith("clusterimg: ") and "report it" not in lines[0]


def _look(world: World, done: Done, tally: Tally) -> str:
    """Count losses and what is told badly; a word about how the command ended."""
    lost = world.lost()
    tally.lost += lost
    if lost:
        tally.wrong.append(f"{lost} lost after {done}")
    if done.code not in FINE and not (done.code in (FAILED, OTHER_RUN) and one_clear_line(done)):
        tally.wrong.append(f"told badly: exit {done.code}: {done.err}")
    return f"exit {done.code} {done.err.strip()}"


def _left_alone(world: World) -> bool:
    """Whether a table tells of images that could not be taken out of their folder."""
    table = world.dst / "unreadable.csv"
    return table.exists() and LEFT_ALONE in table.read_text(encoding="utf-8", errors="replace")


def _looked_at(world: World, done: Done, tally: Tally) -> None:
    if not (done.code in FINE and _left_alone(world)):
        check_result(world, done, tally, strict=False)


def fails_at(world: World, strike: Strike, route: str, tally: Tally) -> bool:
    """One trial; False where the command came to its end before that step."""
    tally.trials += 1
    world.prelude()
    hit = strike if route != "undo fails" else Strike()
    done = world.commands.run(world.words, hit)
    story = [f"{route} {strike.at}", _look(world, done, tally)]
    reached = done.steps >= strike.at
    if done.code in FINE:
        _looked_at(world, done, tally)
    if route == "resume" and done.code not in FINE:
        done = world.commands.run(world.again)
        story.append(_look(world, done, tally))
        tally.resumes += 1
        _looked_at(world, done, tally)
    if route == "undo fails":
        done = world.commands.run([UNDO, world.dst], strike)
        story.append(_look(world, done, tally))
        reached = done.steps >= strike.at
    take_back(world, tally, story)
    return reached


def take_back(world: World, tally: Tally, story: list[str]) -> None:
    """Undo, on a disk that is well again."""
    if world.dst.exists():
        done = world.commands.run([UNDO, world.dst])
        story.append(_look(world, done, tally))
    tally.undos += 1
    check_source(world, tally, story, strict=False)


def at_every_step(world: World, fault: str, *, stride: int = 1) -> Tally:
    """Let each step of a run fail, and go on or take it back; and each step of the undo."""
    tally = Tally()
    for route in ("resume", "undo", "undo fails"):
        step = 1
        while fails_at(world, Strike(fault, step), route, tally):
            step += stride
    return tally


# -- a real disk that is full --


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A disk of `size` bytes at `folder`.

    Raises
    ------
    PermissionError
        This needs a user who may mount file systems.
    """
    folder.mkdir(exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={size}", "icas-test", str(folder)]
    try:
        subprocess.run(["mount", *options], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise PermissionError("no small disk here: only root may mount one") from error
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """A file that takes all the room that is left."""
    filler = folder / "filler"
    with contextlib.suppress(OSError), filler.open("wb") as file:
        for size in (1 << 16, 4096):
            with contextlib.suppress(OSError):
                while True:
                    os.write(file.fileno(), bytes(size))
    return filler


class Filler(threading.Thread):
    """Fills a disk some time after the run began to write on it."""

    def __init__(self, disk: Path, dst: Path, seconds: float) -> None:
        super().__init__()
        self.disk, self.dst, self.seconds = disk, dst, seconds
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set() and not (self.dst / ".icas" / "prepared").exists():
            time.sleep(0.0005)
        time.sleep(self.seconds)
        fill(self.disk)

    def stop(self) -> None:
        """Wait for the disk to be full, whether the run lasts or not."""
        self.over.set()
        self.join()


def full_disk(world: World, disk: Path, chance: random.Random, tally: Tally) -> None:
    """One run on a disk that becomes full meanwhile."""
    tally.trials += 1
    filler = Filler(disk, world.dst, chance.uniform(0, 0.06))
    filler.start()
    done = world.commands.run(world.words)
    filler.stop()
    story = [_look(world, done, tally)]
    tally.kills += done.code not in FINE  # stopped, here
    early = chance.random() < 0.3
    if early and world.dst.exists():  # undo although there is no room
        story.append(f"full undo: {_look(world, world.commands.run([UNDO, world.dst]), tally)}")
        tally.full_undos += not world.dst.exists()
    (disk / "filler").unlink()
    if not early and done.code not in FINE:
        done = world.commands.run(world.again)
        story.append(_look(world, done, tally))
        tally.resumes += 1
        _looked_at(world, done, tally)
    take_back(world, tally, story)


def on_a_full_disk(world: World, disk: Path, times: int, seed: int) -> Tally:
    """`times` such runs."""
    tally, chance = Tally(), random.Random(seed)
    for _ in range(times):
        full_disk(world, disk, chance, tally)
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--transfer", default="move", choices=SCENARIOS, dest="scenario")
    parser.add_argument("--fault", default="ENOSPC+", metavar="ERRNO[+]")
    parser.add_argument("--stride", type=int, default=1, help="each so many steps")
    parser.add_argument("--full", type=int, metavar="TIMES", help="a real disk, this many runs")
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name).resolve()
        disk = folder
        if given.full:
            disk = stack.enter_context(small_disk(folder / "disk", 4_000_000))
        commands = stack.enter_context(Commands(folder))
        scenario = SCENARIOS[given.scenario]
        world = World(commands, scenario, folder / "work" / "src", disk / "dst", given.images)
        if given.full:
            tally = on_a_full_disk(world, disk, given.full, given.seed)
        else:
            tally = at_every_step(world, given.fault, stride=given.stride)
        shutil.rmtree(folder / "work")
    for wrong in tally.wrong[:20]:
        print(wrong)
    what = f"full disk, {tally.full_undos} undone while full" if given.full else given.fault
    print(f"{given.scenario}, {what}: {tally.line()}, {time.perf_counter() - start:.0f} s")
    return 1 if tally.wrong or tally.lost else 0


if __name__ == "__main__":
    sys.exit(main())
