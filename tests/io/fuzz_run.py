"""Damaged pictures through every way that a picture is read; what came of it, as JSON.

``python fuzz_run.py --count 20000 --data badinputs/files``: a process of its own reads the files
and tells which one it begins and what came of it. When it dies or is silent for too long, that
file is noted, and another process goes on behind it.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HANG = 60.0
"""Seconds of silence after which the process is ended."""
SLOW, LARGE = 10.0, 2048.0
"""Seconds of processor time (others may keep the machine busy) and MB of a step that are told."""
ADDRESSES = 12 << 30
"""Most of its addresses, so that a bomb cannot take the machine."""


def extractors() -> dict[str, Callable[[Any], object]]:
    """Every method that can be had here, as a function of one picture."""
    import importlib.util

    from icas.clusterimg.methods import METHODS, make_method

    options: dict[str, dict[str, Any]] = {
        "deep": {"model": "squeezenet1_0", "weights": "random", "size": (64, 64)}
    }
    deep = importlib.util.find_spec("torchvision") is not None
    names = [name for name in METHODS if name != "deep" or deep]
    made = {name: make_method(name, **options.get(name, {})) for name in names}
    return {name: lambda image, method=one: method.extract([image]) for name, one in made.items()}


@dataclass
class Meter:
    """Seconds and memory of each step."""

    seconds: dict[str, float]
    megabytes: dict[str, float]

    def call(self, step: str, function: Callable[[], Any]) -> Any:
        Path("/proc/self/clear_refs").write_text("5")
        start = time.process_time()
        try:
            return function()
        finally:
            self.seconds[step] = time.process_time() - start
            self.megabytes[step] = _peak()


def _peak() -> float:
    """The most memory since the mark was set back, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def read_one(path: Path, features: dict[str, Callable[[Any], object]]) -> dict[str, Any]:
    """What came of one file: ``read`` or a reason; seconds and megabytes by step; surprises."""
    from icas.common.errors import UnreadableImageError
    from icas.io.reading import image_size, read_image, thumbnail

    meter = Meter({}, {})
    steps: dict[str, Callable[[], Any]] = {
        "size": lambda: image_size(path),
        "read": lambda: read_image(path),
        "read_at_least": lambda: read_image(path, at_least=64),
        "thumbnail": lambda: thumbnail(path, 112),
    }
    found: dict[str, Any] = {}
    surprises = {}
    for name, step in steps.items():
        try:
            found[name] = meter.call(name, step)
        except UnreadableImageError as error:
            found[name] = str(error)
        except BaseException as error:
            surprises[name] = found[name] = f"{type(error).__name__}: {error}"[:200]
    image = found["read"]
    if isinstance(image, str):
        outcome = image
    else:
        outcome = "read"
        for name, extract in features.items():
            try:
                meter.call(name, lambda extract=extract: extract(image))
            except BaseException as error:
                surprises[name] = f"{type(error).__name__}: {error}"[:200]
    shape = None if isinstance(image, str) else image.shape
    return {"outcome": outcome, "shape": shape, "seconds": meter.seconds,
            "megabytes": meter.megabytes, "surprises": surprises}  # fmt: skip


def work(first: int, count: int, seed: int, data: Path | None) -> None:
    """Read files `first` to `count` in this process, a line before and after each."""
    from fuzz_pictures import mutated, seeds_of

    told = os.fdopen(os.dup(1), "w", buffering=1)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)  # libtiff talks
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    seeds, features = seeds_of(data), extractors()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "picture")
        for number in range(first, count):
            what, content = mutated(seeds, seed, number)
            path.write_bytes(content)
            told.write(json.dumps({"begins": number, "what": what}) + "\n")
            told.write(json.dumps({"number": number, **read_one(path, features)}) + "\n")


def lines_of(process: subprocess.Popen[str]) -> Iterator[dict[str, Any] | None]:
    """Lines of a process; None when it is silent for too long."""
    waiting: queue.Queue[str] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            waiting.put(line)
        waiting.put("")

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = waiting.get(timeout=HANG)
        except queue.Empty:
            yield None
            return
        if not line:
            return
        yield json.loads(line)


def run(
    count: int, seed: int, data: Path | None, first: int = 0, slowest: float = SLOW
) -> dict[str, Any]:
    """Counts by outcome, the worst seconds and megabytes of every step, and what must not be."""
    outcomes: Counter[str] = Counter()
    worst: dict[str, dict[str, list[Any]]] = {"seconds": {}, "megabytes": {}}
    bad: list[Any] = []
    while first < count:
        words = [sys.executable, __file__, "--work", "--first", str(first), "--count", str(count)]
        words += ["--seed", str(seed), *(["--data", str(data)] if data else [])]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        begun: dict[str, Any] = {"begins": first, "what": "start"}
        for line in lines_of(process):
            if line is None:
                bad.append(["hang", begun["begins"], begun["what"]])
                process.kill()
                break
            if "begins" in line:
                begun = line
                continue
            first = line["number"] + 1
            outcomes[_class_of(line["outcome"])] += 1
            for unit, steps in worst.items():
                for step, value in line[unit].items():
                    if value > steps.get(step, [0])[0]:
                        told = [line["number"], begun["what"], line["shape"]]
                        steps[step] = [round(value, 3), *told]
            slow = {step: value for step, value in line["seconds"].items() if value > slowest}
            large = {step: value for step, value in line["megabytes"].items() if value > LARGE}
            if slow or large or line["surprises"]:
                bad.append([line["number"], begun["what"], slow, large, line["surprises"]])
        code = process.wait()
        if first < count and first <= begun["begins"]:
            if not bad or bad[-1][:2] != ["hang", begun["begins"]]:
                bad.append(["crash", begun["begins"], begun["what"], code])
            first = begun["begins"] + 1
    return {"files": sum(outcomes.values()), "outcomes": dict(outcomes.most_common()),
            "worst": worst, "bad": bad}  # fmt: skip


def _class_of(outcome: str) -> str:
    """A reason without its numbers and particulars."""
    if outcome.startswith("header declares"):
        return "declares too many pixels"
    return outcome.split(":")[0].split("(")[0].strip()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--slow", type=float, default=SLOW)
    parser.add_argument("--work", action="store_true")
    given = parser.parse_args()
    if given.work:
        work(given.first, given.count, given.seed, given.data)
    else:
        print(
            json.dumps(run(given.count, given.seed, given.data, given.first, given.slow), indent=1)
        )


if __name__ == "__main__":
    main()
