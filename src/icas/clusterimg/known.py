"""Files that were read already, and their features among those of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from icas.clusterimg.features import FeatureSet, Unreadable, concatenate
from icas.clusterimg.scan import ImageRef


@dataclass(frozen=True)
class Known:
    """Files that were read already.

    Attributes
    ----------
    features : FeatureSet
        Raw features of those that could be read.
    places : mapping of str to int
        Where in them a file is.
    unreadable : mapping of str to Unreadable
        Those that could not be read.
    """

    features: FeatureSet
    places: Mapping[str, int]
    unreadable: Mapping[str, Unreadable]

    @classmethod
    def of(cls, features: FeatureSet) -> Known:
        places = {file: place for place, file in enumerate(features.files)}
        return cls(features, places, {one.file: one for one in features.unreadable})

    def has(self, file: str) -> bool:
        return file in self.places or file in self.unreadable

    def among(self, images: Sequence[ImageRef], fresh: FeatureSet) -> FeatureSet:
        """Features of `images`, in their order: known ones, and the `fresh` ones of the others."""
        ours = [self.places[ref.file] for ref in images if ref.file in self.places]
        both = concatenate([self.features[ours], fresh])
        rows = {file: row for row, file in enumerate(both.files)}
        order = [rows[ref.file] for ref in images if ref.file in rows]
        bad = {**self.unreadable, **{one.file: one for one in fresh.unreadable}}
        told = tuple(bad[ref.file] for ref in images if ref.file in bad)
        return replace(both[order], unreadable=told)


def missing_of(images: Sequence[ImageRef], known: Known | None) -> Sequence[ImageRef]:
    """Those of `images` that were not read yet."""
    return images if known is None else [ref for ref in images if not known.has(ref.file)]


def with_found(
    found: FeatureSet | None, images: Sequence[ImageRef], fresh: FeatureSet
) -> FeatureSet:
    """Features of `images`, in their order: those that were `found` and the `fresh` ones."""
    return fresh if found is None else Known.of(found).among(images, fresh)
