"""torchvision's classifiers by name, with random weights or with those that it fetches."""

from __future__ import annotations

import difflib
import urllib.request
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
            f"{flag} {name}: torchvision has no such model; it has, among others, {', '.join(near)}"
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
        raise IcasError(f"{fault}, or put it at {kept}") from error


def require_reachable(url: str) -> None:
    """Ask for the head of `url`: libraries wait for a silent network for minutes."""
    head = urllib.request.Request(url, method="HEAD")
    urllib.request.urlopen(head, timeout=_PATIENCE_SECONDS).close()


def no_weights(name: str, flag: str, error: Exception, source: str = "") -> IcasError:
    """What to say where the weights of a network cannot be fetched."""
    lines = str(getattr(error, "reason", error)).splitlines() or [type(error).__name__]
    return IcasError(
        f"cannot fetch the weights of {name}{source} ({lines[0]}): give a file with them by"
        f" {flag} FILE"
    )
