"""torchvision's classifiers, and the stages of a network that give features."""

from __future__ import annotations

import difflib
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icas.common.errors import IcasError, UsageError

HEADS = ("classifier", "fc", "head", "heads", "avgpool", "AuxLogits", "aux1", "aux2", "dropout")
"""Parts of classifiers that come after their last maps."""
_PATIENCE_SECONDS = 10


def known_model(name: str, flag: str) -> str:
    """The name of one of torchvision's classifiers, as torchvision writes it."""
    from torchvision import models

    names = models.list_models(module=models)
    folded = name.casefold()
    if folded not in names:
        near = difflib.get_close_matches(folded, names, n=4, cutoff=0.4) or ["vgg19", "resnet18"]
        raise UsageError(
            f"{flag} {name}: unknown torchvision model; similar names: {', '.join(near)}"
        )
    return folded


def random_classifier(name: str, seed: int) -> Any:
    """The network with weights of a random seed; torch's own random state stays."""
    import torch
    from torchvision import models

    extra = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return models.get_model(name, weights=None, **extra)


def fetched_classifier(name: str, flag: str) -> Any:
    """The network with the weights that torchvision has of it, from its cache or the network."""
    import torch
    from torchvision import models

    weights = models.get_model_weights(name).DEFAULT
    kept = Path(torch.hub.get_dir(), "checkpoints", Path(weights.url).name)
    try:
        if not kept.exists():
            require_reachable(weights.url)
        return models.get_model(name, weights=weights)
    except (OSError, RuntimeError) as error:  # RuntimeError: what came is not what was promised
        fault = no_weights(f"{name} ({weights})", flag, error, f" from {weights.url}")
        raise IcasError(f"{fault.message}, or save it as {kept}") from error


def require_reachable(url: str) -> None:
    """Ask for the head of `url`: libraries wait for a silent network for minutes."""
    head = urllib.request.Request(url, method="HEAD")
    urllib.request.urlopen(head, timeout=_PATIENCE_SECONDS).close()


def no_weights(name: str, flag: str, error: Exception, source: str = "") -> IcasError:
    """What to say where the weights of a network cannot be fetched."""
    lines = str(getattr(error, "reason", error)).splitlines() or [type(error).__name__]
    return IcasError(
        f"cannot download the weights of {name}{source} ({lines[0]}): download the file"
        f" elsewhere and give it with {flag} FILE"
    )


STAGES = 2
"""Stages whose maps are pooled: the last, and the one before it, which is less sure of classes."""
TRIED = 224
"""Side of the image with which a network is probed."""
SMALLER = 160
"""Side of a second probe: a network that rejects it takes one size only."""
ENOUGH = 4
"""A module with as many parts that give maps is the trunk; with fewer, its largest part is."""


@dataclass(frozen=True)
class Stage:
    """A module of a network whose output gives features.

    Attributes
    ----------
    module : nn.Module
        Its output is taken; of a head its input.
    kind : str
        ``maps`` (n, channels, h, w), ``maps last`` (n, h, w, channels) or ``head`` (n, channels).
    """

    module: Any
    kind: str
    channels: int


def find_stages(network: Any) -> tuple[Stage, ...]:
    """The last two stages of a classifier of torchvision, in the order in which they finish.

    Stages are the parts of the network's trunk that give maps; of neighbours with equally many
    channels only the last counts. Where the trunk does not end in maps (vision transformers), it
    is what the last linear layer is given.
    """
    trunk = network
    while True:
        found, ends_in_maps = _parts_with_maps(network, trunk)
        if len(found) >= ENOUGH or not found:
            break
        largest = max(found, key=lambda stage: _weight(stage.module))
        if not any(True for _ in largest.module.children()):
            break
        trunk = largest.module
    if not ends_in_maps:
        return (_head(network),)
    changes = [
        stage
        for stage, after in zip(found, [*found[1:], None], strict=True)
        if after is None or after.channels != stage.channels
    ]
    return tuple(changes[-STAGES:])


def _parts_with_maps(network: Any, trunk: Any) -> tuple[list[Stage], bool]:
    """Direct parts of `trunk` that give maps, and whether the last of its parts does."""
    seen: list[Stage | None] = []

    def record(module: Any, output: Any) -> None:
        kind = _kind(output)
        channels = output.shape[3 if kind == "maps last" else 1] if kind else 0
        seen.append(Stage(module, kind, channels) if kind else None)

    with listening(list(_parts(trunk)), record):
        _try(network)
    return [stage for stage in seen if stage is not None], bool(seen) and seen[-1] is not None


def _parts(trunk: Any) -> Iterator[Any]:
    """Direct parts of `trunk` but for its head; a list is never called, but its parts are."""
    from torch import nn

    for name, part in trunk.named_children():
        if name not in HEADS:
            yield from part if isinstance(part, nn.ModuleList) else (part,)


def _kind(output: Any) -> str:
    shape: Any = getattr(output, "shape", ())
    if len(shape) != 4:
        return ""
    if shape[2] == shape[3]:
        return "maps"
    return "maps last" if shape[1] == shape[2] else ""


def _try(network: Any) -> None:
    import torch

    side = getattr(network, "image_size", TRIED)  # vision transformers take one size alone
    with torch.inference_mode():
        network(torch.zeros(1, 3, side, side))


def only_side(network: Any) -> int | None:
    """The side of square images that a classifier takes; None = it takes images of any size.

    Those that cut their maps into windows of one size (MaxViT) take few sides: one that goes.
    """
    import torch

    side: int | None = getattr(network, "image_size", None)
    if side is not None:
        return side
    try:
        with torch.inference_mode():
            network(torch.zeros(1, 3, SMALLER, SMALLER))
    except RuntimeError:
        return TRIED
    return None


def _weight(module: Any) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _head(network: Any) -> Stage:
    from torch import nn

    last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    return Stage(last, "head", last.in_features)


@contextmanager
def listening(modules: list[Any], record: Callable[[Any, Any], None]) -> Iterator[None]:
    """Call ``record(module, output)`` whenever one of `modules` is done, while the block runs."""
    hooks = [
        module.register_forward_hook(lambda module, inputs, output: record(module, output))
        for module in modules
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def pooled(network: Any, stages: tuple[Stage, ...], images: Any) -> list[Any]:
    """Features of `images` at each of `stages`, (n, channels) float32 each.

    Maps are averaged over their places. (Hooks, as `create_feature_extractor` of torchvision
    cannot trace every network.)
    """
    import torch

    found: dict[int, Any] = {}

    def keep(module: Any, inputs: Any, output: Any) -> None:
        for place, stage in enumerate(stages):
            if stage.module is module:
                found[place] = _flat(stage, inputs[0] if stage.kind == "head" else output)

    hooks = [stage.module.register_forward_hook(keep) for stage in stages]
    try:
        with torch.inference_mode():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return [found[place] for place in range(len(stages))]


def _flat(stage: Stage, output: Any) -> Any:
    if stage.kind == "maps":
        return output.float().mean((2, 3))
    if stage.kind == "maps last":
        return output.float().mean((1, 2))
    return output.float().flatten(1)
