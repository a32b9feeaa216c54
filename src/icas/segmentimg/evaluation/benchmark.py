"""A folder of pictures and a folder of true label maps -> how good a method is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console
from icas.common.errors import UnreadableImageError, UsageError
from icas.io.find import find_images
from icas.io.reading import read_image
from icas.parallel.executors import start_workers
from icas.segmentimg.evaluation.scores import Evaluation, evaluate, mean_of
from icas.segmentimg.segmenters import Segmenter
from icas.segmentimg.segmenters.segment import cut


@dataclass(frozen=True)
class Judged:
    """A method on a folder: the mean over its pictures."""

    pictures: int
    evaluation: Evaluation
    most_segments: int
    milliseconds: float

    def as_dict(self) -> dict[str, float]:
        """Plain numbers by name."""
        return {
            "pictures": self.pictures,
            "segments": self.evaluation.segments,
            "most_segments": self.most_segments,
            "boundary_recall": self.evaluation.recall,
            "undersegmentation": self.evaluation.undersegmentation,
            "achievable_accuracy": self.evaluation.accuracy,
            "milliseconds": self.milliseconds,
        }


def judge(
    images: Path,
    truth: Path,
    segmenter: Segmenter,
    jobs: int | None = None,
    console: Console | None = None,
) -> Judged:
    """Cut every picture that has a true label map, and compare.

    Parameters
    ----------
    images, truth : Path
        Folders; ``NAME.jpg`` goes with ``NAME.npz`` (arrays of shape (annotators, h, w) or (h, w))
        or ``NAME.png`` (labels as gray values).

    Raises
    ------
    UsageError
        A folder is missing, or no picture has a label map.
    """
    pairs = [(path, found) for path in find_images(images) if (found := truth_of(path, truth))]
    if not pairs:
        raise UsageError(f"no picture of {images} has a label map in {truth}")
    with (
        start_workers("threads", jobs) as workers,
        (console or Console()).bar(len(pairs), segmenter.name, "pictures") as bar,
    ):
        rows = []
        for row in workers.ordered(_judge_one, ((*pair, segmenter) for pair in pairs)):
            rows.append(row)
            bar.update(1)
    judged = [evaluation for evaluation, _ in rows]
    milliseconds = 1000 * float(np.mean([seconds for _, seconds in rows]))
    most = int(max(one.segments for one in judged))
    return Judged(len(rows), mean_of(judged), most, milliseconds)


def truth_of(picture: Path, folder: Path) -> Path | None:
    """The label map of a picture, if there is one."""
    for suffix in (".npz", ".png"):
        candidate = folder / f"{picture.stem}{suffix}"
        if candidate.is_file():
            return candidate
    return None


def read_truth(path: Path) -> list[NDArray[Any]]:
    """Label maps, one an annotator.

    Raises
    ------
    UsageError
        The file is no label map.
    """
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                stacked = arrays[arrays.files[0]]
            return list(stacked) if stacked.ndim == 3 else [stacked]
        from skimage.io import imread

        return [np.asarray(imread(path))]
    except (OSError, ValueError, IndexError) as error:
        raise UsageError(f"{path} is no label map: {error}") from None


def _judge_one(picture: Path, truth: Path, segmenter: Segmenter) -> tuple[Evaluation, float]:
    try:
        image = read_image(picture)
    except UnreadableImageError as error:
        raise UsageError(f"cannot read {picture}: {error}") from None
    start = time.perf_counter()
    labels = cut(image, segmenter)
    seconds = time.perf_counter() - start
    return evaluate(labels, read_truth(truth)), seconds
