"""The registry of similarity methods; each method has its own file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from icas.cli.options import construct, options_of
from icas.clusterimg.methods.base import Method, OnDevice
from icas.clusterimg.methods.fusion import PLUS, fusion_class
from icas.common.devices import choose_device
from icas.common.errors import UsageError
from icas.common.registry import Entry, Registry, lookup, need
from icas.onnx.weights import KNOWN, RECOMMENDED, recommended

_HERE = "icas.clusterimg.methods."
METHODS = Registry(
    "icas.methods",
    {
        "ssim": Entry(_HERE + "ssim:Ssim", "structural similarity of gray images at a common size"),
        "minhash": Entry(_HERE + "minhash:MinHash", "MinHash of Harris corners"),
        "imagehash": Entry(
            _HERE + "imagehash:ImageHash", "perceptual hash; fastest; resized and edited copies"
        ),
        "orb": Entry(_HERE + "orb:Orb", "local features; crops, rotation, scale, shifts"),
        "tm": Entry(_HERE + "tm:TemplateMatching", "colour difference at a common size"),
        "deep": Entry(_HERE + "deep:Deep", "network embeddings; images of the same kind"),
    },
    member="links",
)


AUTO = "auto"
"""The name of a method that `choose` replaces."""


def method_class(name: str) -> type[Method]:
    """The class of the method `name`, or of a fusion of several, ``A+B``; not case-sensitive.

    Raises UsageError: no such method.
    """
    if isinstance(name, str) and PLUS in name:
        return fusion_class([method_class(part.strip()) for part in name.split(PLUS)], name)
    cls: type[Method] = lookup(METHODS, name, "method")[1].load()
    return cls


@dataclass(frozen=True)
class Choice:
    """The method that ``auto`` stands for, why, and how to get a better one; a line each."""

    method: str
    reason: str
    hint: str = ""

    def lines(self) -> Iterator[str]:
        """What is printed about it."""
        yield f"method {self.method} ({self.reason})"
        if self.hint:
            yield self.hint


def choose(options: Mapping[str, Any]) -> Choice:
    """``deep+orb`` if `options` give a network or one is installed, else ``orb``."""
    for name in ("weights", "model"):
        if options.get(name) is not None:
            return Choice("deep+orb", f"--{name} is given")
    installed = recommended("deep")
    if installed is not None:
        return Choice("deep+orb", f"{installed.name} is installed")
    name = RECOMMENDED["deep"]
    size = f"{KNOWN[name].size / 1e6:.0f} MB"
    hint = f"for better clusters, install a network: clusterimg weights get {name} ({size})"
    return Choice("orb", "no network weights are given or installed", hint)


def is_auto(name: str) -> bool:
    """Whether the method is to be chosen; see `choose`."""
    return isinstance(name, str) and name.casefold() == AUTO


def resolved(name: str, options: Mapping[str, Any]) -> str:
    """`name`, or the method that ``auto`` stands for with these `options`."""
    return choose(options).method if is_auto(name) else name


def make_method(name: str, **options: Any) -> Method:
    """The method called `name` with its options; those not given keep their defaults.

    Raises UsageError: no such method, an option that it does not have, or a value outside its
    limits.
    """
    proper = resolved(name, options)
    cls = method_class(proper)
    if is_auto(name):
        _check_chosen(cls, proper, options)
    made: Method = construct(cls, proper, options)
    return made.with_installed_weights() if is_auto(name) else made


def _check_chosen(cls: type[Method], name: str, options: Mapping[str, Any]) -> None:
    """Raise UsageError for an option of a method that ``auto`` did not choose."""
    for option in set(options) - set(options_of(cls)):
        for other in METHODS:
            details = options_of(method_class(other)).get(option)
            if details is not None:
                raise UsageError(
                    f"{details[1].flag_of(option)} is an option of method {other!r}, and --method"
                    f" auto chose {name!r}: add --method {other}"
                )


def on_device(method: Method, device: str) -> Method:
    """`method` with its similarities computed on `device`; as it is for the CPU.

    Methods with the device as an option (deep) use it for their network and come back unchanged.
    ``auto`` is the CPU where torch or a GPU is missing, or the method does not support it.

    Raises UsageError: no such device, or the method does not support it; MissingExtraError: torch
    is not installed.
    """
    cls = type(method)
    if device == "cpu" or "device" in options_of(cls):
        return method
    check_supported(cls, method.name, device)
    if device == "auto" and (len(cls.devices) == 1 or find_spec("torch") is None):
        return method
    need(f"--device {device}", "deep", "torch")
    chosen = choose_device(device)
    if chosen == "cpu":
        return method
    if chosen == "mps" and "mps" not in cls.devices:
        raise UsageError(
            f"--device mps: method {method.name!r} needs 64-bit floats, which Apple GPUs lack;"
            " use --device cpu"
        )
    return OnDevice(method, chosen)


def check_supported(cls: type[Method], name: str, device: str) -> None:
    """Check that method `name` of class `cls` can be computed on a kind of device.

    Raises UsageError: it cannot; the message names those that can.
    """
    if device in ("cpu", "auto") or len(cls.devices) > 1:
        return
    classes = {other: method_class(other) for other in METHODS}
    able = sorted(
        ("device" in options_of(one), other)
        for other, one in classes.items()
        if len(one.devices) > 1
    )
    *names, last = (other for _, other in able)
    raise UsageError(
        f"--device {device}: method {name!r} runs on the CPU only; {', '.join(names)} and {last}"
        " support a GPU"
    )
