"""Scores of segments: boundary recall, undersegmentation error, achievable accuracy.

Source: D. Stutz, A. Hermans, B. Leibe, Superpixels: an evaluation of the state-of-the-art, Computer
Vision and Image Understanding 166 (2018), sections 5.1-5.2.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
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
from icas.segmentimg.labels.labels import Labels, filled
from icas.segmentimg.segmenters import Segmenter
from icas.segmentimg.segmenters.segment import run_segmenter


@dataclass(frozen=True)
class Scores:
    """Agreement of segments with true label maps, in [0, 1], mean over annotators.

    Attributes
    ----------
    segments : float
        Number of segments.
    recall : float
        Share of the true borders with a border of the segments within a pixel (r = 1, the eight
        neighbors).
    undersegmentation : float
        Share of the image by which segments leak over true borders, the smaller part of each leak
        counted (definition of Neubert and Protzel).
    accuracy : float
        Share of pixels that would be correct if every segment got the true label that covers most
        of it (ASA).
    """

    segments: float
    recall: float
    undersegmentation: float
    accuracy: float


def evaluate(labels: Labels, truths: Sequence[NDArray[Any]], tolerance: int = 1) -> Scores:
    """Compare segments with one or more true label maps; edges (0) count to the nearest segment."""
    if not truths:
        raise UsageError("no ground-truth label map given: at least one is needed")
    for truth in truths:
        if truth.shape != labels.shape:
            raise UsageError(f"shape mismatch: segments {labels.shape}, ground truth {truth.shape}")
    whole = filled(labels)
    scores = [_scores(whole, truth, tolerance) for truth in truths]
    return Scores(int(labels.max(initial=0)), *np.mean(scores, axis=0).tolist())


def _scores(labels: Labels, truth: NDArray[Any], tolerance: int) -> tuple[float, float, float]:
    _, true_labels = np.unique(truth, return_inverse=True)
    base = int(true_labels.max()) + 1
    pairs = labels.ravel().astype(np.int64) * base + true_labels.ravel()
    cells, counts = np.unique(pairs, return_counts=True)
    segments, total = cells // base, float(labels.size)
    sizes = np.bincount(labels.ravel())
    leaks = np.minimum(counts, sizes[segments] - counts)
    best = np.zeros(len(sizes))
    np.maximum.at(best, segments, counts)
    recall = boundary_recall(labels, truth, tolerance)
    return recall, float(leaks.sum()) / total, float(best.sum()) / total


def boundary_recall(labels: Labels, truth: NDArray[Any], tolerance: int) -> float:
    """Share of true border pixels with a border pixel of `labels` within `tolerance` pixels."""
    import cv2

    borders = border_pixels(truth)
    if not borders.any():
        return 1.0
    side = 2 * tolerance + 1
    near = cv2.dilate(border_pixels(labels).astype(np.uint8), np.ones((side, side), np.uint8))
    return float(near[borders].mean())


def border_pixels(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """(h, w) bool: pixels with a neighbor (by a side) of another label."""
    border = np.zeros(labels.shape, bool)
    for before, after, changed in (
        (border[:-1], border[1:], labels[:-1] != labels[1:]),
        (border[:, :-1], border[:, 1:], labels[:, :-1] != labels[:, 1:]),
    ):
        before |= changed
        after |= changed
    return border


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
        raise UsageError(f"no image in {images} has a label map (NAME.npz or NAME.png) in {truth}")
    with (
        start_workers("threads", jobs) as workers,
        (console or Console()).bar(len(pairs), segmenter.name, "images") as bar,
    ):
        results = []
        for result in workers.ordered(_evaluate_file, ((*pair, segmenter) for pair in pairs)):
            results.append(result)
            bar.update(1)
    scores = [astuple(scores) for scores, _ in results]
    milliseconds = 1000 * float(np.mean([seconds for _, seconds in results]))
    most = int(max(scores.segments for scores, _ in results))
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
        raise UsageError(f"cannot read label map {path}: {error}") from None


def _evaluate_file(path: Path, truth: Path, segmenter: Segmenter) -> tuple[Scores, float]:
    try:
        image = read_image(path)
    except UnreadableImageError as error:
        raise UsageError(f"cannot read {path}: {error.message}") from None
    start = time.perf_counter()
    labels = run_segmenter(segmenter, image)
    seconds = time.perf_counter() - start
    return evaluate(labels, read_truth(truth)), seconds
