"""Similarities that other programs find, in an environment of their own (``make rivals``).

``python rivals_links.py fastdup IMAGES OUT.csv`` writes ``a,b,similarity`` for the pairs of images
of a folder that the program compares, as many as it can be made to tell. Nothing of icas is loaded.
"""

from __future__ import annotations

import contextlib
import csv
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

Pairs = Iterator[tuple[str, str, float]]
NEIGHBOURS = 100
"""Of each image, those that fastdup is asked for."""


def by_hashes(kind: str) -> Callable[[str], Pairs]:
    """imagededup's hash `kind`: 1 - share of bits that differ, all pairs within 32 of 64 bits."""

    def pairs(folder: str) -> Pairs:
        from imagededup import methods

        found = getattr(methods, kind)(verbose=False).find_duplicates(
            image_dir=folder, max_distance_threshold=32, scores=True
        )
        for one, others in found.items():
            for other, bits in others:
                if one < other:
                    yield one, other, 1 - bits / 64

    return pairs


def by_fastdup(folder: str) -> Pairs:
    """fastdup's own network: cosine similarity of each image and its nearest neighbours."""
    import fastdup

    with tempfile.TemporaryDirectory() as place:
        work = fastdup.create(input_dir=folder, work_dir=place)
        work.run(
            overwrite=True,
            print_summary=False,
            threshold=0.01,
            nearest_neighbors_k=min(NEIGHBOURS, len(os.listdir(folder)) - 1),  # noqa: PTH208
        )
        for row in work.similarity().itertuples():
            yield Path(row.filename_from).name, Path(row.filename_to).name, float(row.distance)


PROGRAMS: dict[str, Callable[[str], Pairs]] = {
    "imagededup PHash": by_hashes("PHash"),
    "imagededup DHash": by_hashes("DHash"),
    "imagededup WHash": by_hashes("WHash"),
    "imagededup AHash": by_hashes("AHash"),
    "fastdup": by_fastdup,
}
DEFAULTS = {"fastdup": 0.96} | dict.fromkeys(
    (name for name in PROGRAMS if name != "fastdup"), 1 - 10 / 64
)
"""The similarity from which each takes two images for alike, unless told otherwise."""


def main() -> int:
    program, folder, out = sys.argv[1:]
    with Path(os.devnull).open("w") as nothing, contextlib.redirect_stdout(nothing):
        rows = list(PROGRAMS[program](folder))
    with Path(out).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("a", "b", "similarity"))
        writer.writerows(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
