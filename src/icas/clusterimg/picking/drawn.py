"""A sample of whatever a user calls images: a folder, features, paths or arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icas.clusterimg.extract import extract, features_of
from icas.clusterimg.features import FeatureSet
from icas.clusterimg.methods import make_method
from icas.clusterimg.methods.base import Method
from icas.clusterimg.picking.thumbs import Reader, reader_of_arrays, reader_of_files
from icas.clusterimg.sample import Sample
from icas.clusterimg.scan import sampled, scan
from icas.common.arrays import as_image
from icas.common.executors import Workers


@dataclass(frozen=True)
class Drawn:
    """A sample, the method that compared it, and what reads its thumbnails."""

    sample: Sample
    method: Method
    read: Reader


@dataclass(frozen=True)
class Drawing:
    """How a sample is drawn.

    Attributes
    ----------
    most : int
        Images in it, 0 = all.
    seed : int
    recursive : bool
        Sub-folders too.
    max_pixels : int
        Pictures that claim more are not read.
    workers : Workers
    """

    most: int
    seed: int
    recursive: bool
    max_pixels: int
    workers: Workers

    def of_folder(self, folder: Path, method: Method) -> Drawn:
        """From the images of a folder."""
        images = scan(folder, recursive=self.recursive).images
        chosen = self._chosen(images)
        features = extract(method, chosen, self.workers, max_pixels=self.max_pixels)
        return self._drawn(method, features, len(images), folder)

    def of_features(self, features: FeatureSet, folder: Path) -> Drawn:
        """From features whose files lie in `folder`."""
        method = make_method(features.method, **features.settings)
        chosen = features[self._chosen(range(len(features)))]
        return self._drawn(method, chosen, len(features), folder)

    def of_items(self, items: Sequence[Any], method: Method) -> Drawn:
        """From paths, or from arrays."""
        chosen = self._chosen(items)
        features = features_of(method, chosen, self.workers, max_pixels=self.max_pixels)
        if features.files:
            return self._drawn(method, features, len(items), Path())
        arrays = [as_image(item, f"image {row}") for row, item in enumerate(chosen)]
        compared = Sample.of(method, features, len(items), self.workers)
        return Drawn(compared, method, reader_of_arrays(arrays))

    def _chosen(self, images: Sequence[Any]) -> list[Any]:
        return sampled(images, self.most, self.seed)

    def _drawn(self, method: Method, features: FeatureSet, images: int, folder: Path) -> Drawn:
        """The sample; images of the folder that cannot be read do not count."""
        paths: list[Path | None] = [folder / file for file in features.files]
        whole = max(len(features), images - len(features.unreadable))
        sample = Sample.of(method, features, whole, self.workers)
        return Drawn(
            sample, method, reader_of_files(paths or [None] * len(features), self.max_pixels)
        )
