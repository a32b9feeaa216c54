"""Networks that give features: torchvision's and timm's classifiers, trained autoencoders, own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.networks.classifiers import (
    fetched_classifier,
    find_stages,
    known_model,
    no_weights,
    only_side,
    pooled,
    random_classifier,
    require_reachable,
)
from icas.clusterimg.networks.model_files import load_autoencoder
from icas.clusterimg.networks.onnx_embedder import IMAGENET
from icas.clusterimg.networks.weights import RANDOM, load_weights
from icas.common.devices import choose_device
from icas.common.errors import IcasError, UsageError
from icas.common.registry import need
from icas.io.reading import Image

PLAIN = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
TIMM = "timm:"
_HUB_FILE = "model.safetensors"


class Embedder(Protocol):
    """A network ready to give features."""

    @property
    def side(self) -> int | None:
        """The side of square images that it takes; None = any."""

    def __call__(self, images: Sequence[Image]) -> list[NDArray[np.float32]]:
        """Parts of the features of uint8 RGB `images` of one size, (n, channels) float32 each."""


@dataclass(frozen=True)
class TorchEmbedder:
    """A network of torch ready to give features.

    Attributes
    ----------
    embed : callable
        (n, 3, h, w) float32 normalised images on `device` -> list of (n, channels) float32, the
        parts of the features.
    mean, deviation : tuple of 3 float
        Of RGB in [0, 1]: images are normalised with them.
    side : int or None
        The side of square images that it takes; None = any.
    """

    embed: Callable[[Any], list[Any]]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    side: int | None
    device: str

    def __call__(self, images: Sequence[Image]) -> list[NDArray[np.float32]]:
        """Parts of the features of uint8 RGB `images` of one size, (n, channels) float32 each."""
        import torch

        with torch.inference_mode():
            pixels = torch.from_numpy(np.stack(images)).to(self.device)
            scaled = pixels.permute(0, 3, 1, 2).float() / 255
            normalised = (scaled - self._shaped(self.mean)) / self._shaped(self.deviation)
            try:
                found = self.embed(normalised.contiguous(memory_format=torch.channels_last))
            except (RuntimeError, AssertionError) as error:
                raise _failure(error, images[0]) from error
        return [part.cpu().numpy() for part in found]

    def _shaped(self, values: tuple[float, ...]) -> Any:
        import torch

        return torch.tensor(values, device=self.device).view(1, 3, 1, 1)


def _failure(error: Exception, image: Image) -> IcasError:
    """What to say where a network fails on images of the size of `image`."""
    height, width = image.shape[:2]
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    if "memory" in reason:
        return IcasError(
            f"not enough memory for images of {width}x{height} pixels ({reason}): use a smaller"
            " --size"
        )
    return UsageError(
        f"the network does not accept images of {width}x{height} pixels ({reason}): choose"
        " another --size"
    )


def load_torch_embedder(model: Any, weights: Path | None, device: str) -> TorchEmbedder:
    """The network that is called for.

    Parameters
    ----------
    model : str, nn.Module, callable or None
        Name of a classifier of torchvision, ``timm:NAME``, or your own network: a module
        with ``embed``, or something that can be called, with (n, 3, h, w) float32 RGB in [0, 1].
        None: `weights` is a file that ``clusterimg train`` wrote.
    weights : Path or None
        None: those that the library fetches.
    """
    need("method 'deep'", "deep", "torch", "sklearn")
    place = choose_device(device)
    if model is not None and not isinstance(model, str):
        return _own(model, place)
    changed = weights.stat().st_mtime_ns if weights is not None and weights.exists() else 0
    return _loaded(model, weights, changed, place)


@lru_cache(maxsize=2)
def _loaded(model: str | None, weights: Path | None, changed: int, device: str) -> TorchEmbedder:
    """A network from a file or a library; the last ones are kept, for many calls name the same."""
    if model is None:
        return _trained(weights, device)
    if model.casefold().startswith(TIMM):
        return _timm(model[len(TIMM) :], weights, device)
    name = known_model(model, "--model")
    network = _classifier(name, weights)
    stages, side = find_stages(network), only_side(network)
    network = network.to(device)
    return TorchEmbedder(lambda images: pooled(network, stages, images), *IMAGENET, side, device)


def _trained(weights: Path | None, device: str) -> TorchEmbedder:
    if weights is None:
        raise UsageError(
            "method 'deep' needs a network: give --model NAME (a torchvision model such as"
            " mobilenet_v3_small), or --weights FILE from clusterimg train"
        )
    network, settings = load_autoencoder(weights, device)
    return TorchEmbedder(
        lambda images: [network.embed(images)], *PLAIN, int(settings["network"]["size"]), device
    )


def _classifier(name: str, weights: Path | None) -> Any:
    if weights is None:
        network = fetched_classifier(name, "--weights")
    else:
        network = random_classifier(name, 0)
        if str(weights) != RANDOM:
            load_weights(network, weights, name)
            if hasattr(network, "transform_input"):
                network.transform_input = True  # as torchvision has it with its own weights
    for part in network.modules():
        if hasattr(part, "inplace"):
            part.inplace = False  # else a stage's maps are overwritten by what comes after it
    return network.eval().requires_grad_(False)


def _timm(name: str, weights: Path | None, device: str) -> TorchEmbedder:
    need(f"model '{TIMM}{name}'", "sam", "timm")
    import timm

    if not timm.is_model(name):
        near = timm.list_models(f"*{name.split('_')[0]}*")[:4] or timm.list_models()[:4]
        raise UsageError(f"unknown timm model {name!r}; similar names: {', '.join(near)}")
    if weights is None:
        whole = _timm_fetched(name)
    else:
        whole = _timm_random(name)
        if str(weights) != RANDOM:
            load_weights(whole, weights, f"{TIMM}{name}")
    whole.reset_classifier(0)
    network = whole.eval().requires_grad_(False).to(device)
    config = network.pretrained_cfg
    side = None if config.get("fixed_input_size") is not True else int(config["input_size"][-1])
    return TorchEmbedder(
        lambda images: [network(images)], tuple(config["mean"]), tuple(config["std"]), side, device
    )


def _timm_random(name: str) -> Any:
    """The network with weights that are always the same; torch's own random state stays."""
    import timm
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return timm.create_model(name, pretrained=False)


def _timm_fetched(name: str) -> Any:
    import timm

    hub = import_module("huggingface_hub")  # timm fetches with it, and so has it
    config = timm.get_pretrained_cfg(name)
    place = (config.hf_hub_id, _HUB_FILE) if config is not None and config.hf_hub_id else None
    kept = hub.try_to_load_from_cache(*place) if place else None
    # Of a file that is there the hub would ask again and again whether it is the newest.
    known = {"pretrained_cfg_overlay": {"file": kept}} if isinstance(kept, str) else {}
    try:
        if place and not known:
            require_reachable(hub.hf_hub_url(*place))
        return timm.create_model(name, pretrained=True, **known)
    except (OSError, RuntimeError, ValueError) as error:
        raise no_weights(f"{TIMM}{name}", "--weights", error) from error


def _own(model: Any, device: str) -> TorchEmbedder:
    embed = getattr(model, "embed", model)
    if not callable(embed):
        raise UsageError(
            f"model {type(model).__name__}: expected a name, a module with embed(images), or a"
            " function of images"
        )
    if hasattr(model, "eval") and hasattr(model, "to"):
        model.eval().to(device)
    side = getattr(model, "size", None)
    return TorchEmbedder(
        lambda images: [_matrix(embed(images), len(images))],
        *PLAIN,
        side if isinstance(side, int) else None,
        device,
    )


def _matrix(found: Any, images: int) -> Any:
    """What an own network answered, as (n, dims) float32."""
    import torch

    try:
        vectors = torch.as_tensor(found)
    except (TypeError, ValueError, RuntimeError):
        raise IcasError(
            f"the network returned a {type(found).__name__}: expected a tensor of shape (images,"
            " dims)"
        ) from None
    if vectors.ndim < 2 or len(vectors) != images:
        raise IcasError(
            f"the network returned features of shape {tuple(vectors.shape)} for {images} images:"
            " expected (images, dims)"
        )
    return vectors.float().flatten(1)
