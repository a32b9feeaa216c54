"""Settings of a training; the flags of ``clusterimg train`` are made from here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icas.cli import shared_options
from icas.cli.options import alternatives, check_options, option
from icas.cli.parser import NETWORK, OUTPUT, PERFORMANCE, TRAINING
from icas.clusterimg.features.extraction import Decoding
from icas.clusterimg.networks.strides import check_size
from icas.clusterimg.networks.weights import RANDOM
from icas.common.devices import check_device
from icas.common.errors import UsageError
from icas.io.files import beside
from icas.io.sandbox import TIMEOUT, Isolation

LOSSES = ("mse", "mae", "perceptual")
DIFFERENCES = ("absolute", "squared")
SUFFIXES = (".pt", ".pth", ".safetensors")
_READING = {"recursive", "max_pixels", "isolate", "decode_timeout", "jobs"}
_FREE = {"out", "device", "resume", "overwrite", *_READING}
"""Settings without influence on the weights, beside the images, which are compared by name."""


def layer_names(text: str) -> tuple[str, ...]:
    """``"features.3,features.8"`` -> both names."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise ValueError("a comma-separated list of layers")
    return names


@dataclass(frozen=True)
class TrainSettings:
    """Settings of a training."""

    out: Path | None = option(
        None,
        "output file: .pt, .pth or .safetensors",
        parse=Path,
        metavar="FILE",
        default_text="<src>_model.pt",
        group=OUTPUT,
    )
    size: int = option(
        64,
        "side of the training images: a power of two, at least 32",
        unit="pixels",
        group=NETWORK,
    )
    dims: int = option(64, "dimensions of the embedding", minimum=1, maximum=65536, group=NETWORK)
    loss: str = option(
        "mse",
        f"reconstruction loss: {alternatives(LOSSES)}",
        choices=LOSSES,
        metavar="NAME",
        group=TRAINING,
    )
    loss_model: str = option(
        "vgg19",
        "perceptual: network, a classifier of torchvision",
        metavar="NAME",
        group=TRAINING,
    )
    loss_weights: Path | None = option(
        None,
        f"perceptual: weights, a file or {RANDOM}",
        parse=Path,
        metavar="FILE",
        default_text="downloaded by torchvision",
        group=TRAINING,
    )
    loss_layers: tuple[str, ...] | None = option(
        None,
        "perceptual: layers to compare, separated by commas",
        parse=layer_names,
        metavar="NAMES",
        default_text="the last one of each of the first four resolutions",
        group=TRAINING,
    )
    difference: str = option(
        "absolute",
        f"perceptual: difference of layers, {alternatives(DIFFERENCES)}",
        choices=DIFFERENCES,
        metavar="NAME",
        group=TRAINING,
    )
    epochs: int = option(20, "maximum number of epochs", minimum=1, group=TRAINING)
    batch_size: int = option(16, "images per step", minimum=1, group=TRAINING)
    learning_rate: float = option(
        2e-3,
        "peak learning rate of Adam (two epochs warm-up, cosine decay)",
        minimum=1e-9,
        maximum=1.0,
        group=TRAINING,
    )
    patience: int = option(
        10, "stop after this many epochs without improvement", minimum=1, group=TRAINING
    )
    validation: float = option(
        0.1,
        "fraction of the images held out for validation",
        minimum=0.0,
        maximum=0.5,
        group=TRAINING,
    )
    device: str = option(
        "cpu",
        "compute device: cpu, cuda, cuda:N, mps or auto",
        group=PERFORMANCE,
        metavar="DEVICE",
        words=("cpu", "cuda", "mps", "auto"),
    )
    seed: int = option(0, "random seed", minimum=0, maximum=2**63 - 1, group=TRAINING)
    resume: bool = shared_options.resume("an interrupted training")
    overwrite: bool = shared_options.overwrite("an existing --out")
    recursive: bool = shared_options.recursive()
    max_pixels: int = shared_options.max_pixels()
    isolate: bool = shared_options.isolate(False)
    decode_timeout: float = shared_options.decode_timeout(TIMEOUT)
    jobs: int | None = shared_options.jobs()

    def decoding(self) -> Decoding:
        """How images are read."""
        isolation = Isolation.of(self.decode_timeout, self.max_pixels)
        return Decoding(self.max_pixels, None, None, isolation if self.isolate else None)

    def __post_init__(self) -> None:
        for name in ("out", "loss_weights"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, Path(value))
        layers: Any = self.loss_layers  # in Python also a list, or the text of the flag
        if layers is not None:
            text = layers if isinstance(layers, str) else ",".join(layers)
            object.__setattr__(self, "loss_layers", _layers(text))
        check_options(self)
        check_size(self.size)
        check_device(self.device)
        if self.out is not None and self.out.suffix.lower() not in SUFFIXES:
            raise UsageError(f"--out {self.out}: choose a suffix from {', '.join(SUFFIXES)}")
        if self.resume and self.overwrite:
            raise UsageError("--resume and --overwrite exclude each other: give only one of them")
        if self.loss != "perceptual" and (self.loss_weights or self.loss_layers):
            raise UsageError("--loss-weights and --loss-layers require --loss perceptual")

    def target(self, src: Path) -> Path:
        """Where the trained network goes: `out`, else beside the folder `src`."""
        return self.out if self.out is not None else beside(src, "_model.pt")

    def decisive(self) -> dict[str, Any]:
        """What decides the weights beside the images, as JSON knows it; a resume compares it."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        chosen = {name: value for name, value in values.items() if name not in _FREE}
        if self.loss != "perceptual":
            for name in ("loss_model", "loss_weights", "loss_layers", "difference"):
                del chosen[name]
        return {name: _plain(value) for name, value in chosen.items()}


def _layers(text: str) -> tuple[str, ...]:
    try:
        return layer_names(text)
    except ValueError as error:
        raise UsageError(f"--loss-layers {text}: expected {error}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
