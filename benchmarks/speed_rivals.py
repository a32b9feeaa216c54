"""Other programs' whole runs, in an environment of their own.

They ask for older packages than icas takes (fastdup: numpy before 2; imagededup: Pillow before 11),
so they cannot live beside it. ``make rivals`` makes ``.venv-rivals``. This file loads nothing of
icas: started by that environment's Python with a program's name and a folder, it answers every
line on its input with the seconds that one run took.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path


def by_imagededup(folder: str) -> None:
    """Perceptual hashes and all pairs within 10 bits."""
    from imagededup.methods import PHash

    PHash(verbose=False).find_duplicates(image_dir=folder, max_distance_threshold=10)


def by_fastdup(folder: str) -> None:
    """fastdup's own features and its components."""
    import fastdup

    place = tempfile.mkdtemp()
    try:
        fastdup.create(input_dir=folder, work_dir=place).run(overwrite=True, print_summary=False)
    finally:
        shutil.rmtree(place, ignore_errors=True)


PROGRAMS: dict[str, Callable[[str], None]] = {"imagededup": by_imagededup, "fastdup": by_fastdup}


def main() -> int:
    program, folder = PROGRAMS[sys.argv[1]], sys.argv[2]
    answers = os.fdopen(os.dup(1), "w")
    with Path(os.devnull).open("w") as nothing:  # what they print, from C too, goes nowhere
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
        for _ in sys.stdin:
            start = time.perf_counter()
            with contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(nothing):
                program(folder)
            print(time.perf_counter() - start, file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
