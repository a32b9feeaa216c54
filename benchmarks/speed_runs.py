"""Whole runs over a folder of JPEGs, by the clock, beside programs for the same job."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagehash
from PIL import Image as Pictures
from speed_timing import Comparison, Rate, Work, compared, in_turns

import icas
from icas.clusterimg.methods import make_method

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


def every_method(folder: Path, count: int, rounds: int) -> dict[str, Rate]:
    """Runs by each method, with the report page and with the threshold given."""
    ways = {name: by_icas(folder, name, count, report=True) for name in METHODS}
    return in_turns(ways, rounds)


def by_icas(folder: Path, method: str, count: int, *, report: bool = False) -> Work:
    """A run that writes tables alone (and the page)."""
    threshold = float(make_method(method).default_threshold)

    def work() -> int:
        with tempfile.TemporaryDirectory() as place:
            icas.cluster(
                folder,
                dst=Path(place) / "result",
                method=method,
                threshold=threshold,
                transfer="none",
                report=report,
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
