"""The methods of similarity: one row a method, one file a method."""

from __future__ import annotations

from typing import Any

from icas.cli.options import construct
from icas.clusterimg.methods.base import Method
from icas.common.registry import Entry, lookup

_HERE = "icas.clusterimg.methods."
METHODS: dict[str, Entry] = {
    "ssim": Entry(_HERE + "ssim:Ssim", "structural similarity of the gray images at a common size"),
    "minhash": Entry(_HERE + "minhash:MinHash", "MinHash of the places of Harris corners"),
    "imagehash": Entry(
        _HERE + "imagehash:ImageHash", "perceptual hash; fastest, for edited copies"
    ),
    "orb": Entry(_HERE + "orb:Orb", "local features; survives crops, turns, scale and shifts"),
    "tm": Entry(_HERE + "tm:TemplateMatching", "colour difference at a common size"),
    "deep": Entry(
        _HERE + "deep:Deep", "features of a trained network; for what pixels do not tell"
    ),
}


def method_class(name: str) -> type[Any]:
    """The class of the method called `name`; case does not matter.

    Raises
    ------
    UsageError
        No such method.
    """
    cls: type[Any] = lookup(METHODS, name, "method")[1].load()
    return cls


def make_method(name: str, **options: Any) -> Method:
    """The method called `name` with its options; those not given keep their defaults.

    Raises
    ------
    UsageError
        No such method, an option that it does not have, or a value outside its limits.
    """
    made: Method = construct(method_class(name), name, options)
    return made
