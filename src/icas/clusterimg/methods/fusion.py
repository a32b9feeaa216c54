"""A+B: the similarities of several methods fused into one, on the scale of the first."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, make_dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from icas.cli.options import check_options, option, options_of
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import sampled
from icas.clusterimg.kernels import Floats
from icas.clusterimg.methods.base import Describe, Image, Method, settings_of
from icas.clusterimg.methods.fusion_scale import RANKS, Scale, curves
from icas.common.errors import UsageError

PLUS = "+"
ANCHORS = 512
"""Images with which every image is compared to rank its similarities."""
SCALE, CURVES = "scale", "curves"
"""Arrays of fitted features, beside those of the parts: `Scale.packed` and `curves`."""

FITTED, MARK = "fitted", "/"
"""Setting of fitted features: a fingerprint, followed by the one of each part."""

Transform = Callable[[FeatureSet], FeatureSet]


@dataclass(frozen=True)
class Fusion(Method):
    """Mean of the log distances and of the mutual ranks of several methods.

    For each method, similarities s become log distances -log(1 - s + softening), standardised over
    pairs of the folder. The two ranks of a pair become -log of their geometric mean. Both are
    averaged over the methods, standardised and added. The sum is mapped by quantiles to the
    similarities of the first method, so that its thresholds apply. `fit` fits these functions to a
    sample of the folder; they are stored with the features of each image.

    The class of a fusion has the options of its methods as fields; `fusion_class` makes it.

    Attributes
    ----------
    classes : tuple of type
        The methods.
    fitted : str
        Fingerprint of what was fitted.

    Raises UsageError: an option is outside its limits, or requests clustering models.
    """

    seed: int = option(0, "random seed", minimum=0)
    fitted: str = ""

    classes: ClassVar[tuple[type[Method], ...]] = ()
    reads_whole_folder: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_options(self)
        for part in self.parts:  # as they have checked and completed them
            for name in self._options(type(part)):
                object.__setattr__(self, name, getattr(part, name))

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_settings, (self.classes, settings_of(self))

    @cached_property
    def parts(self) -> tuple[Method, ...]:
        """The methods with their options, grouped by links."""
        return tuple(cls(**self._options(cls)).by_links() for cls in self.classes)

    def _options(self, cls: type[Method]) -> dict[str, Any]:
        """The options of a part; None where it has another default leaves that."""
        values = {name: getattr(self, name) for name in options_of(cls)}
        return {name: value for name, value in values.items() if value is not None}

    def with_installed_weights(self) -> Method:
        changed = {
            name: getattr(new, name)
            for part in self.parts
            for new in [part.with_installed_weights()]
            for name in options_of(type(part))
            if getattr(new, name) != getattr(part, name)
        }
        return replace(self, **changed) if changed else self

    @property
    def name(self) -> str:
        return PLUS.join(part.name for part in self.parts)

    @property
    def default_threshold(self) -> float:
        return self.parts[0].default_threshold

    @property
    def tile(self) -> int:
        return min(part.tile for part in self.parts)

    @property
    def links_tile(self) -> int:
        return min(part.links_tile for part in self.parts)

    @property
    def sample_size(self) -> int:
        return max(part.sample_size for part in self.parts)

    @property
    def seconds_per_pair(self) -> float:
        return sum(part.seconds_per_pair for part in self.parts)

    @property
    def needs_training(self) -> bool:
        return any(part.needs_training for part in self.parts)

    def extract(self, images: Iterable[Image]) -> FeatureSet:
        """Features of each part, before `fit`."""
        kept = list(images)
        return self.combined([part.extract(kept) for part in self.parts])

    def combined(self, features: Sequence[FeatureSet]) -> FeatureSet:
        """Raw features of the images that every part could read."""
        unreadable = {lost.file: lost for part in features for lost in part.unreadable}
        files = tuple(file for file in features[0].files if file not in unreadable)
        arrays: dict[str, Any] = {}
        for number, one in enumerate(features):
            if one.files != files:
                row_of = {file: row for row, file in enumerate(one.files)}
                one = one[[row_of[file] for file in files]]
            arrays |= {f"{number}.{name}": array for name, array in one.arrays.items()}
        return FeatureSet(self.name, arrays, settings_of(self), files, tuple(unreadable.values()))

    def fit(self, features: FeatureSet) -> Transform:
        """Scale and ranks fitted to raw `features` of a folder, or of a sample of it."""
        transforms = tuple(
            part.fit(one) for part, one in zip(self.parts, self.split(features), strict=True)
        )
        rows = np.array(sampled(range(len(features)), ANCHORS, self.seed), np.int64)
        anchors = _transformed(transforms, self.split(features[rows]))
        return FittedFusion(self, transforms, anchors, Scale.fit(self._values(anchors, anchors)))

    def similarity(self, a: FeatureSet, b: FeatureSet) -> Floats:
        """As `Method.similarity`, on the scale of the first part; 1 only where all parts give 1.

        Raises UsageError: features before `fit`, or fitted to different images.
        """
        if any(SCALE not in side.arrays for side in (a, b)):
            raise UsageError(
                f"{self.name} features are not fitted to a folder: compute them with icas.features"
            )
        if not (len(a) and len(b)):
            return np.zeros((len(a), len(b)), np.float32)
        first, second = (side.arrays[SCALE][0] for side in (a, b))
        if not np.array_equal(first, second):
            raise UsageError(
                f"{self.name} features fitted to different images cannot be compared:"
                " compute both in one call"
            )
        values = self._values(self.split(a), self.split(b))
        return Scale.unpacked(first).fused(values, a.arrays[CURVES], b.arrays[CURVES])

    def fused(self, features: FeatureSet, values: Sequence[Floats]) -> Floats:
        curves_of = features.arrays[CURVES]
        return Scale.unpacked(features.arrays[SCALE][0]).fused(values, curves_of, curves_of)

    def plain(self, features: FeatureSet) -> NDArray[np.bool_]:
        """Images that are plain for one of the parts."""
        parts = zip(self.parts, self.split(features), strict=True)
        found = [part.plain(one) for part, one in parts]
        return np.asarray(np.logical_or.reduce(found), np.bool_)

    def sketch(self, sample: FeatureSet, seed: int) -> Describe | None:
        """Sketches of the parts side by side: of those that agree with the first on angles."""
        described = [
            (number, part.sketch(one, seed))
            for number, (part, one) in enumerate(zip(self.parts, self.split(sample), strict=True))
            if part.sketch_by_angle == self.sketch_by_angle
        ]
        return Described(self, tuple((number, one) for number, one in described if one))

    def _values(self, a: Sequence[FeatureSet], b: Sequence[FeatureSet]) -> list[Floats]:
        return [part.similarity(*sides) for part, *sides in zip(self.parts, a, b, strict=True)]

    def split(self, features: FeatureSet) -> tuple[FeatureSet, ...]:
        settings, result = features.settings, []
        marks = settings[FITTED].split(MARK) if settings.get(FITTED) else []
        for number, part in enumerate(self.parts):
            before = f"{number}."
            arrays = {
                name.removeprefix(before): array
                for name, array in features.arrays.items()
                if name.startswith(before)
            }
            own = {one.name: settings[one.name] for one in fields(part) if one.name in settings}
            if marks and FITTED in own:
                own[FITTED] = marks[1 + number]
            result.append(FeatureSet(part.name, arrays, own, features.files))
        return tuple(result)


@dataclass(frozen=True)
class FittedFusion:
    """Transforms of the parts, and scale and ranks, fitted to a folder; applied to raw features."""

    method: Fusion
    transforms: tuple[Transform, ...]
    anchors: tuple[FeatureSet, ...]
    scale: Scale

    def __call__(self, features: FeatureSet) -> FeatureSet:
        """`features` of the folder, with the scale and the ranks."""
        method = self.method
        parts = _transformed(self.transforms, method.split(features))
        arrays = {
            f"{number}.{name}": array
            for number, part in enumerate(parts)
            for name, array in part.arrays.items()
        }
        arrays[CURVES] = self._curves(parts, len(features))
        packed = self.scale.packed()
        arrays[SCALE] = np.tile(packed, (len(features), 1))
        state = hashlib.blake2b(packed.tobytes(), digest_size=8)
        marks = [str(part.settings.get(FITTED, "")) for part in parts]
        for mark in marks:
            state.update(mark.encode())
        settings = {**features.settings, FITTED: MARK.join([state.hexdigest(), *marks])}
        return replace(features, arrays=arrays, settings=settings)

    def _curves(self, parts: Sequence[FeatureSet], count: int) -> Floats:
        """(n, parts, ranks) similarities of each image by rank among the anchors."""
        result = np.empty((count, len(parts), len(RANKS)), np.float32)
        for start in range(0, count, self.method.tile):
            rows = slice(start, start + self.method.tile)
            values = self.method._values([part[rows] for part in parts], self.anchors)
            result[rows] = np.stack([curves(one) for one in values], axis=1)
        return result


@dataclass(frozen=True)
class Described:
    """Vectors of several parts side by side."""

    method: Fusion
    parts: tuple[tuple[int, Describe], ...]

    def __call__(self, features: FeatureSet) -> Floats:
        split = self.method.split(features)
        return np.concatenate([describe(split[number]) for number, describe in self.parts], axis=1)


def _transformed(
    transforms: Sequence[Transform], parts: Sequence[FeatureSet]
) -> tuple[FeatureSet, ...]:
    return tuple(transform(part) for transform, part in zip(transforms, parts, strict=True))


def fusion_class(classes: Sequence[type[Method]], name: str) -> type[Fusion]:
    """The class of a fusion of the methods of `classes`.

    An option of several of them has one field, for all; where their defaults differ it is None.

    Raises UsageError: fewer than two methods, or one of them twice.
    """
    if len(set(classes)) < max(2, len(classes)):
        raise UsageError(f"--method {name}: a fusion needs different methods, such as deep+orb")
    return _class_of(tuple(classes))


@lru_cache(maxsize=32)
def _class_of(classes: tuple[type[Method], ...]) -> type[Fusion]:
    found: dict[str, tuple[Any, Any]] = {}
    for cls in classes:
        for name, (default, details) in options_of(cls).items():
            if name in found and found[name][0] != default:
                default, details = (
                    None,
                    replace(found[name][1], default_text="those of the methods"),
                )
            found[name] = default, details
    rows = [
        (name, Any, field(default=default, metadata={"option": details}))
        for name, (default, details) in found.items()
    ]
    has_device = "device" in found
    namespace = {
        "classes": classes,
        "devices": tuple({kind: 0 for cls in classes for kind in cls.devices})
        if has_device
        else ("cpu",),
        "sketched": any(cls.sketched for cls in classes),
        "sketch_by_angle": next((cls.sketch_by_angle for cls in classes if cls.sketched), False),
        "__module__": __name__,
    }
    made = make_dataclass("Fusion", rows, bases=(Fusion,), frozen=True, namespace=namespace)
    return made


def _from_settings(classes: tuple[type[Method], ...], settings: dict[str, Any]) -> Fusion:
    return _class_of(classes)(**settings)
