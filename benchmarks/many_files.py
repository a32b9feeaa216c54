"""A folder of 100,000 small files: does a run finish, in what time, with how much memory?

    python benchmarks/many_files.py [--images 100000] [--different 2000] [--transfer hardlink,none]

The files are small crops of scikit-image's sample photographs as JPEGs; each has a comment of its
own, so that no two are the same file. For every way of transfer the command itself is run, then
--resume of the finished run and undo, each in its own process; the source is checked afterwards.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data as samples

PHOTOGRAPHS = ("astronaut", "coffee", "rocket", "chelsea")
SIDE = 64
IN_A_FOLDER = 10_000
COMMAND = (sys.executable, "-m", "icas.clusterimg")


def crops(count: int) -> Iterator[bytes]:
    """`count` JPEGs of places that are drawn at random in the photographs."""
    rng = np.random.default_rng(0)
    photographs = [getattr(samples, name)() for name in PHOTOGRAPHS]
    for number in range(count):
        whole = photographs[number % len(photographs)]
        side = int(rng.integers(SIDE, min(whole.shape[:2])))
        top, left = (int(rng.integers(0, length - side + 1)) for length in whole.shape[:2])
        stream = io.BytesIO()
        piece = Image.fromarray(whole[top : top + side, left : left + side])
        piece.resize((SIDE, SIDE)).save(stream, "JPEG", quality=80)
        yield stream.getvalue()


def with_comment(jpeg: bytes, comment: bytes) -> bytes:
    """The same picture as another file: a comment stands behind the first two bytes."""
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]


def make_folder(folder: Path, images: int, different: int, *, flat: bool) -> None:
    """`images` files in sub-folders of 10,000, or all in `folder` itself."""
    pictures = list(crops(different))
    for start in range(0, images, IN_A_FOLDER):
        place = folder if flat else folder / f"part_{start // IN_A_FOLDER}"
        place.mkdir(parents=True, exist_ok=True)
        for number in range(start, min(start + IN_A_FOLDER, images)):
            content = with_comment(pictures[number % different], b"file %d" % number)
            (place / f"image_{number}.jpg").write_bytes(content)


@dataclass(frozen=True)
class Ran:
    """A command that came to its end.

    Attributes
    ----------
    code : int
    seconds, cpu : float
        By the clock, and of all cores.
    memory_mb : float
        Most memory of its processes: the highest marks of all of them, added up.
    told, warned : str
        The last lines on stdout and on stderr.
    """

    code: int
    seconds: float
    cpu: float
    memory_mb: float
    told: str
    warned: str


def run(words: Sequence[str | Path]) -> Ran:
    """``clusterimg`` with these words, watched while it runs."""
    begun, before = time.perf_counter(), cpu_of_children()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            [*COMMAND, *map(str, words)], stdout=out, stderr=err, start_new_session=True
        )
        marks: dict[int, float] = {}
        while process.poll() is None:
            marks.update(highest_marks(process.pid))
            time.sleep(0.05)
        seconds = time.perf_counter() - begun
        cpu = cpu_of_children() - before
        told, warned = (last_line(stream.seek(0) or stream.read()) for stream in (out, err))
    return Ran(process.returncode, seconds, cpu, sum(marks.values()), told, warned)


def cpu_of_children() -> float:
    """Seconds that all cores worked for processes which have ended."""
    times = os.times()
    return times.children_user + times.children_system


def last_line(output: bytes) -> str:
    """The last line that a command wrote."""
    return (output.decode(errors="replace").splitlines() or [""])[-1]


def highest_marks(session: int) -> dict[int, float]:
    """Most memory in MB of every process of a session so far, by its number."""
    marks = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.getsid(int(entry.name)) != session:
                continue
            lines = dict(line.split(":", 1) for line in (entry / "status").read_text().splitlines())
            marks[int(entry.name)] = int(lines["VmHWM"].split()[0]) / 1000
        except (OSError, KeyError):  # it has just ended
            continue
    return marks


def state_of(folder: Path) -> str:
    """A hash over names, bytes and times of all files below `folder`."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())

    def told(path: Path) -> bytes:
        status = path.stat()
        content = hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
        return os.fsencode(path) + content + str(status.st_mtime_ns).encode()

    whole = hashlib.blake2b(digest_size=16)
    with ThreadPoolExecutor(4) as pool:
        for one in pool.map(told, paths):
            whole.update(one)
    return whole.hexdigest()


def measured(folder: Path, place: Path, transfer: str, more: Sequence[str]) -> dict[str, object]:
    """One run, its --resume and its undo."""
    dst = place / f"by_{transfer}"
    words = ["--src", folder, "--dst", dst, "--recursive", "--transfer", transfer, *more]
    before = state_of(folder)
    first = run(words)
    found: dict[str, object] = {"transfer": transfer, "run": vars(first)}
    if first.code == 0:
        summary = json.loads((dst / "run.json").read_bytes())
        found["stages"] = summary["seconds"]
        found["report_mb"] = round((dst / "report.html").stat().st_size / 1e6, 1)
        tables = [*dst.glob("*.csv"), *dst.glob("similarities/*.csv")]
        found["tables_mb"] = round(sum(path.stat().st_size for path in tables) / 1e6, 1)
        journal = (dst / ".icas" / "journal.db").stat().st_size
        found["journal_mb"] = round(journal / 1e6, 1)
        found["resume"] = vars(run([*words, "--resume"]))
        found["undo"] = vars(run(["undo", dst]))
    found["source as before"] = state_of(folder) == before
    found["result gone"] = not dst.exists()
    return found


def with_cache(folder: Path, place: Path, more: Sequence[str]) -> dict[str, object]:
    """Two runs that keep features, the second of which decodes no image."""
    dst, cache = place / "kept", place / "cache"
    words = ["--src", folder, "--dst", dst, "--recursive", "--transfer", "none", *more]
    words = [*(word for word in words if word != "--no-cache"), "--cache", cache]
    found: dict[str, object] = {}
    for name in ("first", "second"):
        ran = run(words)
        summary = json.loads((dst / "run.json").read_bytes())
        stages = {"stages": summary["seconds"], "features": summary["features"]}
        found[f"{name} with a cache"] = {**vars(ran), **stages}
        run(["undo", dst])
    size = sum(path.stat().st_size for path in cache.iterdir())
    return {**found, "cache_mb": round(size / 1e6, 1)}


def main() -> None:
    """Make the folder, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--different", type=int, default=2_000, help="different pictures")
    parser.add_argument("--flat", action="store_true", help="all in one folder")
    parser.add_argument("--transfer", default="hardlink,none,symlink,copy,move")
    parser.add_argument("--place", type=Path, help="where folder and results lie (a new folder)")
    parser.add_argument("words", nargs="*", help="for clusterimg (default: imagehash at 0.9)")
    given = parser.parse_args()
    words = given.words or ["--method", "imagehash", "--threshold", "0.9", "--no-cache"]
    with tempfile.TemporaryDirectory(dir=given.place) as name:
        folder = Path(name, "source")
        make_folder(folder, given.images, given.different, flat=given.flat)
        for transfer in given.transfer.split(","):
            found = measured(folder, Path(name), transfer, words)
            print(json.dumps(found, indent=2), flush=True)
        print(json.dumps(with_cache(folder, Path(name), words), indent=2), flush=True)


if __name__ == "__main__":
    main()
