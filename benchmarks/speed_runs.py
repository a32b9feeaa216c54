"""Whole runs over a folder of JPEGs, by the clock, beside programs for the same job."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import imagehash
from PIL import Image as Pictures
from speed_pictures import large_jpegs
from speed_timing import Comparison, Work, compared, in_turns

import icas
from icas.clusterimg.methods import make_method
from icas.io.reading import read_image

RIVALS = {"imagededup": "imagededup, PHash.find_duplicates", "fastdup": "fastdup.run"}
METHODS = ("imagehash", "minhash", "orb", "ssim", "tm")


def whole_runs(
    folder: Path, count: int, rounds: int, rivals_python: Path | None
) -> Iterator[Comparison]:
    """Perceptual hashes by icas and by others.

    `rivals_python` is that of the environment in which the other programs are.
    """
    rivals: dict[str, Work] = {"decoding + ImageHash, two threads": bare_hashes(folder)}
    others = []
    if rivals_python is not None:
        for program, call in RIVALS.items():
            others.append(Rival(rivals_python, program, folder, count))
            rivals[call] = others[-1]
    ours = by_icas(folder, "imagehash", count)
    task = f"{count:,} JPEGs of 200x150, imagehash"
    try:
        yield from compared(task, "images/s", ours, rivals, rounds, by_clock=True)
    finally:
        for other in others:
            other.close()


def every_method(folder: Path, rounds: int) -> Iterator[tuple[str, ...]]:
    """Cold processes of each method with its default threshold and without cache: cells of a table.

    The least seconds by the clock with one worker and two, processor seconds with two, and seconds
    by the clock with the report page.
    """
    tables = ("--no-report", "--transfer", "none")
    for method in METHODS:
        given = ("--method", method, "--threshold", f"{make_method(method).default_threshold}")
        ways = {
            "one": (*given, *tables, "--jobs", "1"),
            "two": (*given, *tables, "--jobs", "2"),
            "page": (*given, "--transfer", "none", "--jobs", "2"),
        }
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for name, flags in ways.items():
                seconds = cold_run(folder, flags)
                if number:  # before the first one kernels may be compiled
                    taken[name].append(seconds)
        one, two, page = (min(clock for clock, _ in taken[name]) for name in ways)
        processor = min(seconds for _, seconds in taken["two"])
        yield (
            method,
            f"{one:.1f}",
            f"{two:.1f}",
            f"{one / two:.2f}",
            f"{processor:.1f}",
            f"{page:.1f}",
        )


def cold_run(folder: Path, flags: Sequence[str]) -> tuple[float, float]:
    """Seconds by the clock and of the processors that a new process of ``clusterimg`` takes."""
    with tempfile.TemporaryDirectory() as place:
        words = ("-m", "icas.clusterimg", folder, "--dst", Path(place, "result"))
        before, start = processor_seconds(), time.perf_counter()
        subprocess.run([sys.executable, *words, "--no-cache", "--quiet", *flags], check=True)
        return time.perf_counter() - start, processor_seconds() - before


def processor_seconds() -> float:
    """User and system time of the processes that this one started and that ended."""
    times = os.times()
    return times.children_user + times.children_system


def photographs(rounds: int) -> Iterator[tuple[str, float]]:
    """Milliseconds of processor time for a JPEG of 12 megapixels: decoded, read and hashed."""
    with tempfile.TemporaryDirectory() as place:
        files = large_jpegs(Path(place))
        jpegs = [file.read_bytes() for file in files]
        method = make_method("imagehash")
        size = method.decode_size()

        def decoded(reduced: bool) -> int:
            for jpeg in jpegs:
                with Pictures.open(io.BytesIO(jpeg)) as picture:
                    if reduced:
                        picture.draft(None, cast("tuple[int, int]", size))
                    picture.load()
            return len(jpegs)

        def read(at_least: tuple[int, int] | int | None) -> int:
            for file in files:
                read_image(file, at_least=at_least)
            return len(files)

        ways: dict[str, Work] = {
            "Pillow decodes, whole": lambda: decoded(False),
            "Pillow decodes, at an eighth": lambda: decoded(True),
            "icas reads, whole": lambda: read(None),
            "icas reads, for `imagehash`": lambda: read(size),
            "icas reads and hashes": lambda: len(
                method.extract(read_image(file, at_least=size) for file in files)
            ),
        }
        for name, rate in in_turns(ways, rounds).items():
            yield name, 1000 / rate.cpu


def by_icas(folder: Path, method: str, count: int) -> Work:
    """A run that writes tables alone."""
    threshold = float(make_method(method).default_threshold)

    def work() -> int:
        with tempfile.TemporaryDirectory() as place:
            icas.cluster(
                folder,
                dst=Path(place) / "result",
                method=method,
                threshold=threshold,
                transfer="none",
                report=False,
            )
        return count

    return work


def bare_hashes(folder: Path) -> Work:
    """The least that an ImageHash-identical run can do: decode and hash."""
    files = sorted(folder.iterdir())
    parts = [files[start : start + 100] for start in range(0, len(files), 100)]

    def hashed(part: list[Path]) -> None:
        for path in part:
            with Pictures.open(path) as picture:
                imagehash.phash(picture)

    def work() -> int:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(hashed, parts))
        return len(files)

    return work


class Rival:
    """Another program's run, in an environment of its own that is kept ready."""

    def __init__(self, python: Path, program: str, folder: Path, count: int) -> None:
        self._count = count
        self._process = subprocess.Popen(
            [python, Path(__file__).with_name("speed_rivals.py"), program, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self) -> int:
        told = self._process.communicate
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("no pipes")
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        if not self._process.stdout.readline():
            raise RuntimeError(f"{self._process.args} ended: {told()[0]}")
        return self._count

    def close(self) -> None:
        """Let it go."""
        self._process.kill()
        self._process.wait()
