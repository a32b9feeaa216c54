"""Kills ``clusterimg`` with SIGKILL, over and over, and counts what is lost: nothing must be.

python killer.py --times 200 --transfer move            at random steps
python killer.py --times 200 --transfer move --clock    the program itself, at random moments
python killer.py --every --transfer move                at every step, one after the other
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

sys.path.insert(0, str(Path(__file__).resolve().parent))

from scenarios import FINE, SCENARIOS, World
from steps import Commands, Done, Strike

UNDO = "undo"
OTHER_RUN = 2
"""Exit code of ``--resume`` where another run than the one asked for is."""


@dataclass
class Tally:
    """What was done to how many runs, and what came of it."""

    trials: int = 0
    kills: int = 0
    resumes: int = 0
    undos: int = 0
    lost: int = 0
    full_undos: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)

    def line(self) -> str:
        """The counts in one line."""
        return (
            f"{self.trials} trials: {self.kills} kills, {self.resumes} resumes, {self.undos} undos,"
            f" {len(self.wrong)} wrong, {self.lost} images lost"
        )


class Hand(Protocol):
    """Runs a command and kills it, or not."""

    def run(self, words: Sequence[str], chance: random.Random | None) -> Done:
        """Run ``clusterimg WORDS``; with `chance` it is killed at some moment, if it lasts."""


@dataclass(frozen=True)
class ByStep:
    """Kills at a random step, sometimes in the middle of a copy."""

    world: World
    hard_links: bool = True

    def run(self, words: Sequence[str], chance: random.Random | None) -> Done:
        if chance is None:
            return self.world.commands.run(words, Strike(hard_links=self.hard_links))
        most = self.world.undo_steps if words[0] == UNDO else self.world.steps
        fault = chance.choice(("kill", "kill", "half"))
        return self.world.commands.run(
            words, Strike(fault, chance.randint(1, most), self.hard_links)
        )


@dataclass(frozen=True)
class ByClock:
    """Kills the program itself, most often after it began to write."""

    world: World

    def run(self, words: Sequence[str], chance: random.Random | None) -> Done:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            command = [sys.executable, "-m", "icas.clusterimg", *map(str, words)]
            process = subprocess.Popen(command, stdout=out, stderr=err)
            if chance is not None:
                self._kill(process, words, chance)
            code = process.wait()
            told = []
            for file in (out, err):
                file.seek(0)
                told.append(file.read().decode("utf-8", "replace"))
        return Done(code, 0, *told)

    def _kill(
        self, process: subprocess.Popen[bytes], words: Sequence[str], chance: random.Random
    ) -> None:
        early = chance.random() < 0.1
        sign = "lock" if words[0] == UNDO or "--resume" in words else "prepared"
        while process.poll() is None and not early and not self._seen(sign):
            time.sleep(0.0005)
        time.sleep(chance.uniform(0, 0.5 if early else 0.12))
        process.send_signal(signal.SIGKILL)

    def _seen(self, name: str) -> bool:
        return os.path.lexists(self.world.dst / ".icas" / name)


def trial(world: World, hand: Hand, chance: random.Random, tally: Tally) -> None:
    """Kill one command, go on with it or not, take it back, look at everything."""
    world.prelude()
    tally.trials += 1
    done = hand.run(world.words, chance)
    story = [_after(world, done, tally)]
    if chance.random() < 0.5 or not done.killed:
        story += _go_on(world, hand, chance, tally)
    story += _take_back(world, hand, chance, tally)
    check_source(world, tally, story)


def _after(world: World, done: Done, tally: Tally) -> str:
    """Count a kill and look for losses; a word about how the command ended."""
    tally.kills += done.killed
    lost = world.lost()
    tally.lost += lost
    if lost:
        tally.wrong.append(f"{lost} lost after {done}")
    return f"killed at {done.steps}" if done.killed else f"exit {done.code} {done.err.strip()}"


def _go_on(world: World, hand: Hand, chance: random.Random, tally: Tally) -> Iterator[str]:
    while True:
        done = hand.run(world.again, chance if chance.random() < 0.4 else None)
        yield f"resume: {_after(world, done, tally)}"
        if not done.killed:
            break
    yield from resumed(world, done, tally)


def resumed(world: World, done: Done, tally: Tally) -> list[str]:
    """Look at what a resumed command has made."""
    story = []
    if done.code == OTHER_RUN and world.scenario.name == "overwrite":
        # Killed before it removed the earlier run's files: that run is still whole.
        done = world.commands.run(world.words)
        story.append(f"again: {_after(world, done, tally)}")
    tally.resumes += 1
    check_result(world, done, tally)
    return story


EMPTY_FOLDER = ": None / 'folder'"


def check_result(world: World, done: Done, tally: Tally, *, strict: bool = True) -> None:
    """The result must be that of an undisturbed run; else than `strict`, more empty folders."""
    wrong = world.wrong_result() if done.code in FINE else [f"exit {done.code}: {done.err}"]
    wrong = [one for one in wrong if strict or not one.endswith(EMPTY_FOLDER)]
    if wrong:
        tally.wrong.append(f"result: {len(wrong)} differ: {wrong[:3]}")


def _take_back(world: World, hand: Hand, chance: random.Random, tally: Tally) -> Iterator[str]:
    while True:
        done = hand.run([UNDO, str(world.dst)], chance if chance.random() < 0.4 else None)
        yield f"undo: {_after(world, done, tally)}"
        if not done.killed:
            break
    tally.undos += 1


def check_source(world: World, tally: Tally, story: Sequence[str], *, strict: bool = True) -> None:
    """The source must be as it first was, and the result gone but for an empty folder.

    Else than `strict`, that may hold empty folders.
    """
    wrong = world.wrong_source()
    paths = world.dst.rglob("*") if world.dst.exists() else ()
    left = sorted(path.name for path in paths if strict or not path.is_dir())
    if wrong:
        tally.wrong.append(f"source: {len(wrong)} differ: {wrong[:3]}; {story}")
        world.make()
    if left:
        tally.wrong.append(f"left in the result: {left[:5]}; {story}")
    _clear(world.dst)


def _clear(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def at_random(world: World, hand: Hand, kills: int, seed: int) -> Tally:
    """Trials, until there were so many kills."""
    tally, chance = Tally(), random.Random(seed)
    while tally.kills < kills and tally.trials < 2 * kills:
        trial(world, hand, chance, tally)
    return tally


def at_every_step(world: World, *, stride: int = 1, hard_links: bool = True) -> Tally:
    """Kill the command before each step, and then go on, or take it back; and the taking back."""
    tally = Tally()
    for route in ("resume", "undo", "undo twice"):
        step = 1
        while _struck(world, route, step, hard_links, tally):
            step += stride
    return tally


def _struck(world: World, route: str, step: int, hard_links: bool, tally: Tally) -> bool:
    """One trial of a sweep; False where the command ended before that step."""
    run, whole = world.commands.run, Strike(hard_links=hard_links)
    strike = Strike("kill", step, hard_links)
    tally.trials += 1
    world.prelude()
    done = run(world.words, whole if route == "undo twice" else strike)
    story = [_after(world, done, tally)]
    struck = done.killed
    if route == "resume":
        done = run(world.again, whole)
        story.append(_after(world, done, tally))
        story += resumed(world, done, tally)
    if route == "undo twice":
        done = run([UNDO, world.dst], strike)
        story.append(_after(world, done, tally))
        struck = done.killed
    done = run([UNDO, world.dst], whole)
    story.append(_after(world, done, tally))
    tally.undos += 1
    check_source(world, tally, [f"{route} {step}", *story])
    return struck


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--transfer", default="move", choices=SCENARIOS, dest="scenario")
    parser.add_argument("--times", type=int, default=200, help="so many kills")
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clock", action="store_true", help="kill the program itself")
    parser.add_argument("--every", action="store_true", help="at every step")
    parser.add_argument("--stride", type=int, default=1, help="with --every: each so many steps")
    parser.add_argument("--no-hard-links", action="store_true", help="as where there are none")
    parser.add_argument("--dst", type=Path, help="a folder on another disk, for the results")
    given = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        tally = killed(Path(folder).resolve(), given)
    for wrong in tally.wrong[:20]:
        print(wrong)
    name = f"{given.scenario}{' by the clock' if given.clock else ''}"
    print(f"{name}: {tally.line()}, {time.perf_counter() - start:.0f} s")
    return 1 if tally.wrong or tally.lost else 0


def killed(folder: Path, given: argparse.Namespace) -> Tally:
    """What the command line asks for."""
    dst = folder / "dst" if given.dst is None else given.dst.resolve() / folder.name
    source = folder / "work" / "src"
    with Commands(Path(os.path.commonpath([folder, dst]))) as commands:
        world = World(commands, SCENARIOS[given.scenario], source, dst, given.images, given.jobs)
        links = not given.no_hard_links
        if given.every:
            return at_every_step(world, stride=given.stride, hard_links=links)
        hand = ByClock(world) if given.clock else ByStep(world, links)
        return at_random(world, hand, given.times, given.seed)


if __name__ == "__main__":
    sys.exit(main())
