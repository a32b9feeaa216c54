"""deep: features of a neural network, compared by cosine similarity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from icas.cli.options import Size, check_options, flag_of, option, options_of, parse_size
from icas.clusterimg.data.directions import directions, unit
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.kernels import Doubles, Floats
from icas.clusterimg.methods.base import (
    Describe,
    Image,
    Method,
    enlarged,
    require_same_shape,
    settings_of,
)
from icas.clusterimg.model_selection.grid import KINDS, PARAMETERS, Grid, parse_kinds
from icas.clusterimg.networks.whitening import Whitening
from icas.common.devices import check_device
from icas.common.errors import IcasError, UsageError
from icas.io.reading import resize
from icas.onnx.model_file import is_onnx
from icas.onnx.weights import recommended, resolve

if TYPE_CHECKING:
    from icas.clusterimg.networks.embedders import Embedder

SIZE = (160, 160)
"""Default width and height to which images are resized, if the network accepts any."""
AT_ONCE = 32
"""Images that go through the network together; more are hardly faster on a CPU."""
STEP = 2.0**-25
"""Vectors are rounded to multiples of it: float64 then adds up their products without rounding,
so that a similarity does not depend on the tile that it is computed in."""
FEWEST = 32
"""Images to which a whitening is fitted; of fewer, its directions say nothing about others."""
NOT_WHITENED, SPREAD = "not whitened", 0.3
"""Mark of the features of fewer images, and the factor of their distances 1 - cosine that makes
thresholds mean about the same as for whitened features."""
DIGITS = 6
"""Digits of a similarity."""


def parse_triple(text: Any) -> tuple[float, ...]:
    """``"0.485,0.456,0.406"`` -> three numbers, one for each of red, green, blue."""
    parts = text.split(",") if isinstance(text, str) else list(text)
    try:
        red, green, blue = map(float, parts)
    except (TypeError, ValueError):
        raise ValueError("three numbers like 0.5,0.5,0.5") from None
    return red, green, blue


def _of_grid(name: str, **changed: Any) -> Any:
    """The option of that name as `Grid` has it; None leaves the choice to the grid."""
    _, known = options_of(Grid)[name]
    details: Mapping[str, Any] = {**vars(known), **changed}
    return option(None, **details)


@dataclass(frozen=True)
class Deep(Method):
    """Cosine similarity of the features of a neural network.

    Features of a classifier are the averaged maps of its last two stages, each scaled to length 1
    and concatenated. Other features are the code of an autoencoder, or the output of the user's own
    network. With `dims` they are whitened over the folder (`Whitening`), which separates images
    much better. scikit-learn models get them unchanged and use their own space (`grouping_space`).

    linked: links by a threshold are requested, for any network; fitted: fingerprint of the applied
    whitening.

    Raises UsageError: an option is out of range, or two options exclude each other.
    """

    model: Any = option(
        None,
        "network: a classifier of torchvision, or timm:NAME",
        parse=str,
        metavar="NAME",
        default_text="that of --weights, else mobilenet_v2 if installed, else one trained on the"
        " folder",
    )
    weights: Path | None = option(
        None,
        "weights: a file, an ONNX network, a name of clusterimg weights list, or random",
        parse=Path,
        metavar="FILE",
        default_text="downloaded by the library",
    )
    mean: tuple[float, ...] | None = option(
        None,
        "mean of R, G, B in [0, 1] for an ONNX network",
        parse=parse_triple,
        metavar="R,G,B",
        default_text="that of the file, or ImageNet's",
    )
    std: tuple[float, ...] | None = option(
        None,
        "standard deviation of R, G, B for an ONNX network",
        parse=parse_triple,
        minimum=1e-6,
        metavar="R,G,B",
        default_text="that of the file, or ImageNet's",
    )
    size: Size | None = option(
        None,
        "resize images to this size",
        parse=parse_size,
        minimum=32,
        metavar="WxH",
        default_text="that of the network, or 160x160 pixels",
    )
    dims: int = option(
        128,
        "dimensions of whitened features, for links; 0 = no whitening",
        minimum=0,
    )
    cluster_model: tuple[str, ...] | None = _of_grid(
        "kinds",
        flag="",
        words=tuple(KINDS),
        listed=True,
        default_text="links by cosine; with a network of clusterimg train and no number as"
        " --threshold: kmeans,hierarchy,hdbscan",
    )
    clusters: tuple[int, ...] | None = _of_grid("clusters")
    max_iter: tuple[int, ...] | None = _of_grid("max_iter")
    eps: tuple[float, ...] | None = _of_grid("eps")
    min_samples: tuple[int, ...] | None = _of_grid("min_samples")
    min_cluster_size: tuple[int, ...] | None = _of_grid("min_cluster_size")
    max_cluster_size: tuple[int, ...] | None = _of_grid("max_cluster_size")
    device: str = option(
        "cpu",
        "compute device: cpu, cuda, cuda:N, mps or auto",
        metavar="DEVICE",
        words=("cpu", "cuda", "mps", "auto"),
    )
    seed: int = option(0, "random seed", minimum=0)
    linked: bool = False
    fitted: str = ""

    name: ClassVar[str] = "deep"
    features_version: ClassVar[int] = 1
    only_compared: ClassVar[frozenset[str]] = frozenset(
        ("dims", "cluster_model", *PARAMETERS, "seed", "linked", "fitted")
    )
    tile: ClassVar[int] = 1024
    reads_whole_folder: ClassVar[bool] = True
    sketch_by_angle: ClassVar[bool] = True
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda", "mps")

    def __post_init__(self) -> None:
        for name in ("cluster_model", *PARAMETERS):
            object.__setattr__(self, name, _as_tuple(name, getattr(self, name)))
        if self.weights is not None:
            object.__setattr__(self, "weights", resolve(self.weights))
        for name in ("mean", "std"):
            object.__setattr__(self, name, _as_triple(name, getattr(self, name)))
        check_options(self)
        check_device(self.device)
        self._check_onnx()
        self.model_grid()

    def _check_onnx(self) -> None:
        """Check that options and the kind of the network go together."""
        if not is_onnx(self.weights):
            given = [name for name in ("mean", "std") if getattr(self, name) is not None]
            if given:
                raise UsageError(f"--{given[0]} is for an ONNX network: --weights FILE.onnx")
        elif self.model is not None:
            raise UsageError(
                f"--model and --weights {self.weights}: an ONNX file holds its network"
            )
        elif self.device not in ("cpu", "auto"):
            raise UsageError(f"--device {self.device}: ONNX networks run on the CPU only")

    def __reduce__(self) -> tuple[Any, ...]:
        """Other processes compare features and need no network: one of one's own stays here."""
        return _from_settings, (settings_of(self),)

    @property
    def default_threshold(self) -> float:
        """Measured over the image sets with known labels, for whitened and for other features."""
        return 0.5 if self.dims and self.model_grid() is None else 0.85

    @property
    def packages(self) -> tuple[str, ...]:
        return ("onnxruntime",) if is_onnx(self.weights) else ("torch", "torchvision", "timm")

    @property
    def needs_training(self) -> bool:
        return self.model is None and self.weights is None

    def with_installed_weights(self) -> Deep:
        installed = recommended(self.name) if self.needs_training else None
        return self if installed is None else replace(self, weights=installed)

    def model_grid(self) -> Grid | None:
        """Models to group by; None = links by cosine.

        Models are used if they or one of their parameters are given, and for features of an
        autoencoder, whose cosines separate images poorly.
        """
        given = self._given_parameters()
        if self.cluster_model is not None:
            return Grid(kinds=self.cluster_model, **given)
        if not given:
            trained_here = self.model is None and not is_onnx(self.weights)
            return Grid() if trained_here and not self.linked else None
        return Grid(kinds=tuple(_having(given)), **given)

    def by_links(self) -> Deep:
        """The same, grouped by links.

        Raises UsageError: clustering models are requested.
        """
        given = ["cluster_model"] if self.cluster_model is not None else []
        given += self._given_parameters()
        if given:
            raise UsageError(
                f"--threshold F links images by cosine, {flag_of(given[0])} fits clustering"
                " models: give only one of them"
            )
        return replace(self, linked=True)

    def decode_size(self, size: Size | None = None) -> Size | None:
        size = size or self.size
        return None if size is None else enlarged(size, 8)

    def _given_parameters(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in PARAMETERS}
        return {name: value for name, value in values.items() if value is not None}

    def input_size(self) -> Size:
        """Width and height to which images are resized for the network.

        Raises UsageError: the network requires another size than `size`.
        """
        side = self.embedder().side
        if side is None:
            return self.size or SIZE
        if self.size not in (None, (side, side)):
            raise UsageError(
                f"--size {'x'.join(map(str, self.size))}: this network requires {side}x{side}"
                " pixels"
            )
        return side, side

    def embedder(self) -> Embedder:
        """The network, loaded.

        Raises UsageError, IcasError, MissingExtraError: as `load_embedder`.
        """
        if is_onnx(self.weights):
            from icas.clusterimg.networks.onnx_embedder import load_onnx_embedder

            return load_onnx_embedder(cast(Path, self.weights), self.mean, self.std)
        from icas.clusterimg.networks.embedders import load_torch_embedder

        return load_torch_embedder(self.model, self.weights, self.device)

    def extract(self, images: Iterable[Image]) -> FeatureSet:
        """Features before whitening: vectors, (n, d) float32 of length 1."""
        size = self.input_size()
        return self.embed(resize(image, size) for image in images)

    def embed(self, images: Iterable[Image]) -> FeatureSet:
        """As `extract`; raises IcasError where the network gives numbers that are not finite."""
        embedder = self.embedder()
        images = iter(images)
        parts = [self._vectors(embedder, batch) for batch in _batches(images)]
        if not parts:
            width, height = self.input_size()
            parts = [self._vectors(embedder, [np.zeros((height, width, 3), np.uint8)])[:0]]
        return FeatureSet(self.name, {"vectors": np.concatenate(parts)}, settings_of(self))

    def _vectors(self, embedder: Embedder, images: list[Image]) -> Floats:
        if len(images) == 1:  # a product of vectors is rounded differently from one of matrices
            return self._vectors(embedder, images * 2)[:1]
        parts = embedder(images)
        if not all(np.isfinite(part).all() for part in parts):
            raise IcasError(
                "the network returns NaN or infinite features: its weights are damaged, or"
                " belong to another network"
            )
        return directions(np.concatenate([unit(part) for part in parts], axis=1))

    def fit(self, features: FeatureSet) -> Folder:
        """Whitening fitted to `features` of a folder, or of a sample of it."""
        if self.dims == 0 or self.model_grid() is not None or len(features) == 0:
            return Folder(None)
        if len(features) < FEWEST:
            return Folder(None, NOT_WHITENED)
        return Folder(Whitening.fit(features.array, self.dims))

    def sketch(self, sample: FeatureSet, seed: int) -> Describe:
        """The features themselves: of use to a fusion, alone they are compared faster."""
        return _vectors_of

    def similarity(self, a: FeatureSet, b: FeatureSet) -> Floats:
        """Cosine of the features, in [-1, 1]; of a folder of few images stretched, see `SPREAD`.

        Raises UsageError: features of different networks, or whitened over different folders.
        """
        if any(a.settings.get(name) != b.settings.get(name) for name in ("model", "weights")):
            raise UsageError(
                "deep features of different networks cannot be compared: use one network for both"
            )
        if a.settings.get("fitted", "") != b.settings.get("fitted", ""):
            raise UsageError(
                "deep features whitened on different images cannot be compared:"
                " compute both in one call, or use dims=0"
            )
        require_same_shape(a, b)
        cosines = self._products(_rounded(a.array), _rounded(b.array))
        if a.settings.get("fitted") == NOT_WHITENED:
            stretched = 1 - (1 - np.minimum(cosines, 1)) / SPREAD
            return np.round(stretched, DIGITS).astype(np.float32)
        return np.clip(np.round(cosines, DIGITS), -1, 1).astype(np.float32)

    def _products(self, a: Doubles, b: Doubles) -> Doubles:
        """Products of rows, exact: the same where the CPU and where a graphics card computes."""
        if self.device not in ("cpu", "mps"):  # Apple's lack 64-bit floats
            from icas.common.devices import choose_device

            device = choose_device(self.device)
            if device != "cpu":
                from icas.clusterimg.kernels import torch_tiles

                return torch_tiles.products(a, b, device)
        return np.asarray(a @ b.T, np.float64)


@dataclass(frozen=True)
class Folder:
    """The whitening fitted to a folder; applied to features before they are compared."""

    whitening: Whitening | None
    fitted: str = ""

    def __call__(self, features: FeatureSet) -> FeatureSet:
        """`features` of the folder, whitened."""
        if self.whitening is None:
            marked = {**features.settings, "fitted": self.fitted}
            return replace(features, settings=marked) if self.fitted else features
        settings = {**features.settings, "fitted": self.whitening.fingerprint}
        vectors = self.whitening(features.array)
        return replace(features, arrays={"vectors": vectors}, settings=settings)


def _vectors_of(features: FeatureSet) -> Floats:
    return np.asarray(features.array, np.float32)


def _batches(images: Iterator[Image]) -> Iterator[list[Image]]:
    while batch := list(islice(images, AT_ONCE)):
        yield batch


def _rounded(vectors: Floats) -> Doubles:
    rounded: Doubles = np.round(vectors.astype(np.float64) / STEP) * STEP
    return rounded


def _having(given: Mapping[str, Any]) -> Iterator[str]:
    """The default kinds of models that have one of these parameters, else all that have one."""
    default = Grid().kinds
    kinds = [kind for kind, names in KINDS.items() if set(names) & set(given)]
    yield from [kind for kind in kinds if kind in default] or kinds


def _as_tuple(name: str, value: Any) -> Any:
    """A list as users give it in Python: a number, several, or the text of the flag."""
    if value is None or isinstance(value, tuple):
        return value
    if isinstance(value, str):
        parse = parse_kinds if name == "cluster_model" else options_of(Grid)[name][1].parse
        assert parse is not None
        try:
            return parse(value)
        except ValueError as error:
            raise UsageError(f"{flag_of(name)} {value}: expected {error}") from None
    return tuple(value) if isinstance(value, (list, range, np.ndarray)) else (value,)


def _as_triple(name: str, value: Any) -> tuple[float, ...] | None:
    try:
        return None if value is None else parse_triple(value)
    except ValueError as error:
        raise UsageError(f"{flag_of(name)} {value}: expected {error}") from None


def _from_settings(settings: dict[str, Any]) -> Deep:
    return Deep(**settings)
