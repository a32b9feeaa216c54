"""Two ``clusterimg`` at the same moment: over one result, and over one cache.

python pairs.py --times 50 run       two runs into one folder (also: resume, undo)
python pairs.py --times 50 cache     two runs over one cache, one of them killed now and then
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from failing import one_clear_line
from killer import UNDO, Tally, check_result, check_source
from scenarios import FINE, SCENARIOS, World
from steps import Commands, Done, Strike
from world import differences, result

HELD = re.compile(r"another icas process uses .*\(process (\d+) on (\S+), since ")
LATE = (
    *("is not empty", "was interrupted", "has no record", "no folder", "is not finished"),
    *("has just undone", "has just removed", "has just changed"),
)
"""What one is told that came when the other was at its end."""


@dataclass
class Pair:
    """Two warm processes over one world."""

    world: World
    other: Commands

    def both(self, words: Sequence[object], delay: float) -> tuple[Done, Done]:
        """The same command twice, the second begun so many seconds after the first."""

        def late() -> Done:
            time.sleep(delay)
            return self.other.run(words)

        with ThreadPoolExecutor(2) as threads:
            second = threads.submit(late)
            return self.world.commands.run(words), second.result()


def told_who(done: Done) -> bool:
    """Whether the loser was told in one line who holds the folder, or that it is in use."""
    if not one_clear_line(done):
        return False
    held = HELD.search(done.err)
    if held is not None:
        return held.group(2) == socket.gethostname()
    return any(words in done.err for words in LATE)


def race(pair: Pair, what: str, chance: random.Random, tally: Tally) -> None:
    """Both run, resume or undo at once."""
    world = pair.world
    tally.trials += 1
    world.prelude()
    words = world.words
    if what != "run":
        step = chance.randint(world.steps // 3, world.steps)
        tally.kills += world.commands.run(words, Strike("kill", step)).killed
        words = world.again if what == "resume" else [UNDO, world.dst]
    ends = pair.both(words, chance.choice((0, 0, chance.uniform(0, 0.3))))
    story = [f"{done.code} {done.err.strip()}" for done in ends]
    won = [done for done in ends if done.code in FINE]
    if not won or (len(won) == 2 and what == "run"):  # the others find all done, and say so
        tally.wrong.append(f"{len(won)} won: {story}")
    tally.refused += sum(bool(HELD.search(done.err)) for done in ends)
    tally.wrong += [f"told badly: {one}" for one in ends if one not in won and not told_who(one)]
    tally.lost += world.lost()
    if what != "undo" and won:
        check_result(world, won[0], tally)
        tally.resumes += what == "resume"
        world.commands.run([UNDO, world.dst])
    tally.undos += 1
    check_source(world, tally, story)


@contextmanager
def stopped(world: World, words: Sequence[object], step: int) -> Iterator[subprocess.Popen[bytes]]:
    """The program, stopped (not killed) at a step; killed when the block is left."""
    script = Path(__file__).with_name("steps.py")
    command = [sys.executable, script, "--fault", "stop", "--at", step, "--in", world.dst.parent]
    process = subprocess.Popen(
        [*map(str, command), "--", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), f"it ended before step {step}"
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def over_one_cache(pair: Pair, cache: Path, chance: random.Random, tally: Tally) -> None:
    """Two runs with results of their own over one cache; what they find is as without one."""
    world = pair.world
    tally.trials += 1
    places = (world.dst, world.dst.with_name("dst2"))
    strikes = [Strike("kill", chance.randint(1, 200)) if chance.random() < 0.3 else None, None]

    def run(commands: Commands, dst: Path, strike: Strike | None) -> Done:
        words = [word for word in world.words if word != "--no-cache"]
        words = [str(dst) if word == str(world.dst) else word for word in words]
        done = commands.run([*words, "--cache", cache], strike)
        tally.kills += done.killed
        if not done.killed and done.code not in FINE:
            tally.wrong.append(f"exit {done.code}: {done.err}")
        return done

    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(run, (world.commands, pair.other), places, strikes))
    for dst, done in zip(places, both, strict=True):
        if done.killed:
            done = run(world.commands, dst, None) if not dst.exists() else _resumed(world, cache)
            tally.resumes += 1
        wrong = differences(_alike(world.wanted), _alike(result(dst, world.source)))
        if wrong:
            tally.wrong.append(f"{dst.name}: {wrong[:3]}")
        tally.undos += world.commands.run([UNDO, dst]).code == 0
    tally.lost += world.lost()
    check_source(world, tally, [])


def _resumed(world: World, cache: Path) -> Done:
    words = [word for word in world.again if word != "--no-cache"]
    return world.commands.run([*words, "--cache", cache])


def _alike(found: dict[str, object]) -> dict[str, object]:
    """Without what names the place of the result, and the cache."""
    names = ("run.json", "report.html")
    return {name: what for name, what in found.items() if name not in names}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("run", "resume", "undo", "cache"))
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--transfer", default="move", choices=SCENARIOS, dest="scenario")
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        tally = paired(Path(name).resolve(), given)
    for wrong in tally.wrong[:20]:
        print(wrong)
    told = f"{tally.line()}, {tally.refused} refused by name"
    print(f"two at once, {given.what}: {told}, {time.perf_counter() - start:.0f} s")
    return 1 if tally.wrong or tally.lost else 0


def paired(folder: Path, given: argparse.Namespace) -> Tally:
    """What the command line asks for."""
    tally, chance = Tally(), random.Random(given.seed)
    scenario = SCENARIOS["copy" if given.what == "cache" else given.scenario]
    with Commands(folder) as one, Commands(folder) as other:
        world = World(one, scenario, folder / "work" / "src", folder / "dst", given.images)
        pair = Pair(world, other)
        for _ in range(given.times):
            if given.what == "cache":
                over_one_cache(pair, folder / "features", chance, tally)
            else:
                race(pair, given.what, chance, tally)
    return tally


if __name__ == "__main__":
    sys.exit(main())
