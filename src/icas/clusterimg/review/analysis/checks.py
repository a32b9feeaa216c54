"""Quality of the images of a review, exact duplicates, and clusters across given splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from icas.cli.console import Console
from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.editing.constrained_run import current_paths
from icas.clusterimg.quality.check import check_images
from icas.clusterimg.quality.report import QualityReport
from icas.clusterimg.results.saved import FinishedRun
from icas.clusterimg.review.document.document import ReviewDocument
from icas.io.reading import MAX_PIXELS

SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val"}
SPLITS |= {"validation": "val", "test": "test", "testing": "test"}
"""Names of folders that are splits of a data set."""


@dataclass(frozen=True)
class ReviewChecks:
    """What is wrong with single images of a review."""

    report: QualityReport
    numbers: dict[str, int]

    @classmethod
    def read(cls, finished: FinishedRun, console: Console) -> ReviewChecks:
        """Measure every image."""
        files, settings = finished.state.files, finished.run["settings"]
        paths = current_paths(finished)
        refs = [ImageRef.found(paths[file], file) for file in files]
        most = int(settings.get("max_pixels") or MAX_PIXELS)
        report = check_images(finished.root, refs, console, most, settings.get("jobs"))
        return cls(report, {file: number for number, file in enumerate(files)})

    def rows(self) -> list[dict[str, Any]]:
        """Every issue of every image, the worst first."""
        report = self.report
        found = [
            {
                "image": self.numbers[report.files[row]],
                "issue": issue,
                "value": report.caption(row, issue),
                "severity": round(float(report.scores[issue][row]), 4),
            }
            for issue in report.scores
            if issue != "duplicate"
            for row in report.found(issue)
        ]
        return sorted(found, key=lambda one: -one["severity"])

    def duplicates(self) -> list[list[int]]:
        """Groups of images with the same pixels."""
        groups: dict[str, list[int]] = {}
        for file, first in zip(self.report.files, self.report.duplicate_of, strict=True):
            if first:
                groups.setdefault(first, [self.numbers[first]]).append(self.numbers[file])
        return sorted(
            (sorted(group) for group in groups.values()), key=lambda one: (-len(one), one)
        )


def leaks(document: ReviewDocument, files: Sequence[str]) -> list[dict[str, Any]]:
    """Clusters with images of several splits, where the folders of the source are splits."""
    split_of = [SPLITS.get(PurePosixPath(file).parts[0].casefold()) for file in files]
    found = []
    for number, one in document.clusters.items():
        splits = sorted({split_of[image] or "" for image in one.members} - {""})
        if len(splits) > 1:
            images = [image for image in one.members if split_of[image]]
            found.append({"cluster": number, "images": images, "splits": splits})
    return found
