"""QualityReport: measures, scores and issues of the images of a folder, and their table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.images import Unreadable
from icas.clusterimg.quality.issues import DUPLICATE, FOUND, NAMES
from icas.io.files import table

MEASURES = (
    "width",
    "height",
    "aspect",
    "bytes",
    "bytes_per_pixel",
    "sharpness",
    "blur",
    "brightness_p5",
    "brightness_p50",
    "brightness_p98",
    "clipped_dark",
    "clipped_bright",
    "contrast",
    "entropy",
    "colorfulness",
)
"""Columns of measures, in the order of ``quality.csv``."""
WHOLE = frozenset(("width", "height", "bytes"))
_CAPTIONS: dict[str, Callable[[Mapping[str, float]], str]] = {
    "blurred": lambda of: f"{of['blur']:.2f}",
    "dark": lambda of: f"{of['brightness_p98']:.0f}",
    "bright": lambda of: f"{of['clipped_bright']:.0%}",
    "low_contrast": lambda of: f"{of['contrast']:.2f}",
    "low_information": lambda of: f"{of['entropy']:.1f}",
    "odd_size": lambda of: f"{of['width']:.0f}x{of['height']:.0f}",
    "odd_aspect": lambda of: f"{of['width']:.0f}x{of['height']:.0f}",
    "grayscale": lambda of: "gray",
    "duplicate": lambda of: "same",
}
"""The value behind an issue, for a mark on a thumbnail; what it is: `issues.NUMBERS`."""
COLUMNS = ("file", "issues", "score", *MEASURES, *NAMES, "duplicate_of")


@dataclass(frozen=True)
class QualityReport:
    """Result of `icas.quality`: the issues of n images, worst first.

    Attributes
    ----------
    source : Path
        Folder.
    files : tuple of str
        Images: paths relative to the source with ``/``, worst first.
    measures : dict of str to (n,) float64 ndarray
        ``width``, ``height``, ``aspect``, ``bytes``, ``bytes_per_pixel``, ``sharpness``, ``blur``,
        ``brightness_p5``, ``brightness_p50``, ``brightness_p98``, ``clipped_dark``,
        ``clipped_bright``, ``contrast``, ``entropy`` and ``colorfulness``.
    scores : dict of str to (n,) float64 ndarray
        Score of each issue, 0 to 1; from 0.5 on the image has the issue. The names are those in
        ``quality.csv``: ``blurred``, ``dark``, ``bright``, ``low_contrast``, ``low_information``,
        ``odd_size``, ``odd_aspect``, ``grayscale`` and ``duplicate``.
    duplicate_of : tuple of str
        For each image the first image with the same pixels; empty for none.
    thresholds : dict of str to float
        Learnt threshold of each issue that has one.
    unreadable : tuple of Unreadable
        Files that could not be read (``.file``), and why (``.reason``).
    out : Path or None, default None
        Table that was written; None if none was.

    See Also
    --------
    icas.quality : Check a folder.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> Image.fromarray(data.coffee()).save("photos/cup.jpg")
    >>> Image.fromarray(data.coffee() // 12).save("photos/dark.png")
    >>> report = icas.quality("photos")
    >>> report.summary()
    '2 images, 1 with issues (1 dark, 1 low contrast), 0 unreadable'
    >>> report.issues(0), report.issues(1)
    (('dark', 'low_contrast'), ())
    >>> report.as_dict()["issues"]["dark"]
    ['dark.png']
    """

    source: Path
    files: tuple[str, ...]
    measures: Mapping[str, NDArray[np.float64]]
    scores: Mapping[str, NDArray[np.float64]]
    duplicate_of: tuple[str, ...]
    thresholds: Mapping[str, float]
    unreadable: tuple[Unreadable, ...] = ()
    out: Path | None = field(default=None)

    def issues(self, image: int) -> tuple[str, ...]:
        """Return the issues of an image.

        Parameters
        ----------
        image : int
            Index in `files`.

        Returns
        -------
        tuple of str
        """
        return tuple(name for name in NAMES if self.scores[name][image] >= FOUND)

    def score(self, image: int) -> float:
        """Return the highest score of an image.

        Parameters
        ----------
        image : int
            Index in `files`.

        Returns
        -------
        float

        Examples
        --------
        >>> import icas
        >>> from PIL import Image
        >>> Image.new("RGB", (40, 30)).save("black.png")
        >>> icas.quality(".").score(0)
        1.0
        """
        return float(max(scores[image] for scores in self.scores.values()))

    def found(self, issue: str) -> list[int]:
        """Return the images with an issue, worst first.

        Parameters
        ----------
        issue : str
            Name of the issue.

        Returns
        -------
        list of int
            Indices in `files`.

        Examples
        --------
        >>> import icas
        >>> from PIL import Image
        >>> Image.new("RGB", (40, 30)).save("black.png")
        >>> icas.quality(".").found("dark")
        [0]
        """
        scores = self.scores[issue]
        rows = np.flatnonzero(scores >= FOUND)
        return [int(row) for row in rows[np.argsort(-scores[rows], kind="stable")]]

    def caption(self, image: int, issue: str) -> str:
        """Return the value behind an issue of an image, as text.

        Parameters
        ----------
        image : int
            Index in `files`.
        issue : str
            Name of the issue.

        Returns
        -------
        str

        Examples
        --------
        >>> import icas
        >>> from PIL import Image
        >>> Image.new("RGB", (40, 30)).save("black.png")
        >>> icas.quality(".").caption(0, "dark")
        '0'
        """
        return _CAPTIONS[issue]({name: column[image] for name, column in self.measures.items()})

    def counts(self) -> dict[str, int]:
        """Return the number of images with each issue that was found.

        Returns
        -------
        dict of str to int

        Examples
        --------
        >>> import icas
        >>> from PIL import Image
        >>> Image.new("RGB", (40, 30)).save("black.png")
        >>> icas.quality(".").counts()
        {'dark': 1, 'low_contrast': 1, 'low_information': 1}
        """
        counts = Counter(name for image in range(len(self.files)) for name in self.issues(image))
        return {name: counts[name] for name in NAMES if counts[name]}

    def summary(self) -> str:
        """Return the last line that the command prints.

        Returns
        -------
        str
        """
        flagged = sum(bool(self.issues(image)) for image in range(len(self.files)))
        named = ", ".join(
            f"{count} {name.replace('_', ' ')}" for name, count in self.counts().items()
        )
        issues = f"{flagged} with issues ({named})" if flagged else "no issues found"
        where = f" -> {self.out}" if self.out is not None else ""
        return f"{len(self.files)} images, {issues}, {len(self.unreadable)} unreadable{where}"

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as for ``--json``.

        Returns
        -------
        dict
            With ``source``, ``images``, ``issues`` (issue to files), ``duplicates`` (file to first
            file with the same pixels), ``thresholds``, ``unreadable`` and ``out``.
        """
        pairs = zip(self.files, self.duplicate_of, strict=True)
        return {
            "source": str(self.source),
            "images": len(self.files),
            "issues": {name: [self.files[one] for one in self.found(name)] for name in NAMES},
            "duplicates": {file: first for file, first in pairs if first},
            "thresholds": dict(self.thresholds),
            "unreadable": [{"file": one.file, "reason": one.reason} for one in self.unreadable],
            "out": None if self.out is None else str(self.out),
        }


def worst_first(report: QualityReport) -> QualityReport:
    """`report` by falling highest score, then by falling sum; ties stay in their order.

    Duplicates rank by their other scores.
    """
    scores = [column for name, column in report.scores.items() if name != DUPLICATE]
    flagged = report.scores[DUPLICATE] >= FOUND
    highest = np.maximum(np.max(scores, axis=0), np.where(flagged, FOUND, 0.0))
    return _reordered(report, np.lexsort((-np.sum(scores, axis=0), -highest)))


def quality_table(report: QualityReport) -> bytes:
    """``quality.csv``: one line an image, worst first."""
    return table(COLUMNS, _rows(report))


def _rows(report: QualityReport) -> Iterator[tuple[object, ...]]:
    for image, file in enumerate(report.files):
        measures = (_shown(name, report.measures[name][image]) for name in MEASURES)
        scores = (f"{report.scores[name][image]:.4g}" for name in NAMES)
        issues = ";".join(report.issues(image))
        score = f"{report.score(image):.4g}"
        yield (file, issues, score, *measures, *scores, report.duplicate_of[image])


def _shown(name: str, value: float) -> str:
    return str(int(value)) if name in WHOLE else f"{value:.6g}"


def _reordered(report: QualityReport, order: NDArray[np.int64]) -> QualityReport:
    return replace(
        report,
        files=tuple(report.files[row] for row in order),
        measures={name: column[order] for name, column in report.measures.items()},
        scores={name: column[order] for name, column in report.scores.items()},
        duplicate_of=tuple(report.duplicate_of[row] for row in order),
    )
