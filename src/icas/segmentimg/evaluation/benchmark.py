"""Evaluation of a segmentation method on a folder of images with true label maps."""

from __future__ import annotations

import time
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console
from icas.common.errors import UnreadableImageError, UsageError
from icas.io.find import find_images
from icas.io.reading import read_image
from icas.parallel.executors import start_workers
from icas.segmentimg.evaluation.scores import Scores, evaluate
from icas.segmentimg.segmenters import Segmenter
from icas.segmentimg.segmenters.segment import run_segmenter


@dataclass(frozen=True)
class MethodScores:
    """Mean scores of a method over the images of a folder."""

    pictures: int
    scores: Scores
    most_segments: int
    milliseconds: float

    def as_dict(self) -> dict[str, float]:
        """Numbers by name."""
        return {
            "pictures": self.pictures,
            "segments": self.scores.segments,
            "most_segments": self.most_segments,
            "boundary_recall": self.scores.recall,
            "undersegmentation": self.scores.undersegmentation,
            "achievable_accuracy": self.scores.accuracy,
            "milliseconds": self.milliseconds,
        }


def evaluate_folder(
    images: Path,
    truth: Path,
    segmenter: Segmenter,
    jobs: int | None = None,
    console: Console | None = None,
) -> MethodScores:
    """Segment and compare every image that has a true label map in the folder `truth`.

    ``NAME.jpg`` belongs to ``NAME.npz`` (arrays of shape (annotators, h, w) or (h, w)) or
    ``NAME.png`` (labels as gray values).
    """
    pairs = [(path, file) for path in find_images(images) if (file := truth_of(path, truth))]
    if not pairs:
        raise UsageError(f"no picture of {images} has a label map in {truth}")
    with (
        start_workers("threads", jobs) as workers,
        (console or Console()).bar(len(pairs), segmenter.name, "pictures") as bar,
    ):
        results = []
        for result in workers.ordered(_evaluate_file, ((*pair, segmenter) for pair in pairs)):
            results.append(result)
            bar.update(1)
    scores = [astuple(one) for one, _ in results]
    milliseconds = 1000 * float(np.mean([seconds for _, seconds in results]))
    most = int(max(one.segments for one, _ in results))
    mean = Scores(*np.mean(scores, axis=0).tolist())
    return MethodScores(len(results), mean, most, milliseconds)


def truth_of(image: Path, folder: Path) -> Path | None:
    """The label map of an image, if there is one."""
    files = (folder / f"{image.stem}{suffix}" for suffix in (".npz", ".png"))
    return next((file for file in files if file.is_file()), None)


def read_truth(path: Path) -> list[NDArray[Any]]:
    """Label maps, one per annotator."""
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                stacked = arrays[arrays.files[0]]
            return list(stacked) if stacked.ndim == 3 else [stacked]
        from skimage.io import imread

        return [np.asarray(imread(path))]
    except (OSError, ValueError, IndexError) as error:
        raise UsageError(f"{path} is no label map: {error}") from None


def _evaluate_file(path: Path, truth: Path, segmenter: Segmenter) -> tuple[Scores, float]:
    try:
        image = read_image(path)
    except UnreadableImageError as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    start = time.perf_counter()
    labels = run_segmenter(segmenter, image)
    seconds = time.perf_counter() - start
    return evaluate(labels, read_truth(truth)), seconds
