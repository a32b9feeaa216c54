"""How fast icas is, beside what one would use instead and beside what the machine can do.

``python benchmarks/speed.py [--rounds 5] [--images 2000] [--parts kernels,threads,runs]``
writes benchmarks/results-KIND.md; KIND is the instruction set: avx512, avx2 or other. ``--avx2``
uses no AVX-512 where the processor has it. In each line the sides take turns in one process, so
that a busy machine slows both; medians and their ratios are told. Rates are per second of
processor time, those of whole runs by the clock. Others' programs are measured where they are
installed (``pip install 'icas[bench]'``).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

import cv2
from speed_kernels import kernels, second_thread
from speed_limits import (
    AVX2_ONLY,
    decoding,
    description,
    encoded,
    kind,
    multiplications,
    popcount_peak,
)
from speed_pictures import as_jpegs, photos
from speed_runs import every_method, photographs, whole_runs
from speed_scale import TASKS, measured
from speed_timing import in_turns, shown

from icas.parallel.child_processes import one_thread_each

HERE = Path(__file__).resolve().parent
RIVALS = HERE.parent / ".venv-rivals" / "bin" / "python"
PARTS = ("limits", "kernels", "threads", "runs", "photographs", "scale")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=2000, help="of whole runs")
    parser.add_argument("--parts", default=",".join(PARTS), help="names with commas")
    parser.add_argument(
        "--rivals",
        type=Path,
        default=RIVALS,
        help="Python of the environment with imagededup and fastdup (make rivals)",
    )
    parser.add_argument("--avx2", action="store_true", help="use no AVX-512")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results-KIND.md")
    given = parser.parse_args()
    if given.avx2 and kind() == "avx512":
        # Libraries read the environment when they are loaded.
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **AVX2_ONLY})
    out = given.out or HERE / f"results-{kind()}.md"
    wanted = given.parts.split(",")
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"no part {', '.join(unknown)}; choose from {', '.join(PARTS)}")
    lines = []
    # Threads of BLAS that wait spin, and would be counted as time of what comes next.
    with one_thread_each():
        for line in page(wanted, given.images, given.rounds, given.rivals):
            print(line, flush=True)
            lines.append(line)
    out.write_text("\n".join(lines) + "\n")
    print(f"-> {out}", file=sys.stderr)
    return 0


def page(parts: Iterable[str], images: int, rounds: int, rivals: Path) -> Iterator[str]:
    """The page, line by line as it is measured."""
    yield "# Measured speed"
    yield ""
    yield f"Made by `make bench` on {date.today().isoformat()}. Medians of {rounds} rounds in turn."
    yield ""
    for line in description():
        yield f"- {line}"
    pictures = photos(max(1000, images))
    sections = {
        "limits": lambda: _limits(rounds),
        "kernels": lambda: _kernels(pictures[:1000], rounds),
        "threads": lambda: _threads(pictures[:1000], rounds),
        "runs": lambda: _runs(pictures[:images], max(3, rounds // 2), rivals),
        "photographs": lambda: _photographs(rounds),
        "scale": _scale,
    }
    for part in parts:
        yield ""
        yield from sections[part]()


def _limits(rounds: int) -> Iterator[str]:
    yield from ("## The machine's limits, one thread's second", "", "| | a second |", "|---|---|")
    jpegs = encoded(photos(200))
    ways = {
        "float32 products (NumPy, 1024x1024)": multiplications(),
        "JPEGs of 200x150, decoded in gray (OpenCV)": decoding(jpegs, cv2.IMREAD_GRAYSCALE),
        "JPEGs of 200x150, decoded in colour (OpenCV)": decoding(jpegs, cv2.IMREAD_COLOR),
    }
    peak = popcount_peak()
    if peak is not None:
        ways = {"words of 64 bits combined, counted, added up (first cache)": peak} | ways
    for name, rate in in_turns(ways, rounds).items():
        yield f"| {name} | {shown(rate.cpu)} |"


def _kernels(pictures: list, rounds: int) -> Iterator[str]:
    yield from ("## Pairs, per second of processor time", "")
    yield "| task | icas | instead | theirs | ratio | unit |"
    yield "|---|---|---|---|---|---|"
    for comparison in kernels(pictures, rounds):
        yield comparison.row()


def _threads(pictures: list, rounds: int) -> Iterator[str]:
    yield from ("## The second thread, by the clock", "", "| task | times as fast |", "|---|---|")
    for name, ratio in second_thread(pictures, rounds):
        yield f"| {name} | {ratio:.2f} |"


def _runs(pictures: list, rounds: int, rivals: Path) -> Iterator[str]:
    python = rivals if rivals.exists() else None
    with tempfile.TemporaryDirectory() as place:
        folder = as_jpegs(pictures, Path(place) / "pictures")
        yield from ("## Whole runs, tables only, all cores, by the clock", "")
        yield "| task | icas | instead | theirs | ratio | unit |"
        yield "|---|---|---|---|---|---|"
        for comparison in whole_runs(folder, len(pictures), rounds, python):
            yield comparison.row()
        yield ""
        yield f"{len(pictures):,} JPEGs of 200x150, cold processes, `--no-cache`, threshold given:"
        yield "the least seconds of all rounds. Tables only; the last column is with the report."
        yield ""
        yield "| method | one worker | two | times as fast | processor seconds | with the page |"
        yield "|---|---|---|---|---|---|"
        for cells in every_method(folder, rounds):
            yield f"| {' | '.join(cells)} |"


def _photographs(rounds: int) -> Iterator[str]:
    yield from ("## A JPEG of 12 megapixels, processor time of one thread", "")
    yield from ("| | ms |", "|---|---|")
    for name, milliseconds in photographs(rounds):
        yield f"| {name} | {milliseconds:.0f} |"


def _scale() -> Iterator[str]:
    yield from ("## Much, in a process of its own", "")
    yield "| task | found | seconds | processor seconds | memory, MB |"
    yield "|---|---|---|---|---|"
    for name in TASKS:
        told = measured(name)
        yield (
            f"| {name} | {told['found']:,} | {told['wall']:.1f} | {told['cpu']:.1f}"
            f" | {told['memory_mb']:,.0f} |"
        )


if __name__ == "__main__":
    sys.exit(main())
