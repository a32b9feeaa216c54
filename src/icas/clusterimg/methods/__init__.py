"""The registry of similarity methods; each method has its own file."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from icas.cli.options import construct, options_of
from icas.clusterimg.methods.base import Method, OnDevice
from icas.common.devices import choose_device
from icas.common.errors import UsageError
from icas.common.registry import Entry, Registry, lookup, need

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


def method_class(name: str) -> type[Method]:
    """The class of the method `name`; not case-sensitive.

    Raises UsageError: no such method.
    """
    cls: type[Method] = lookup(METHODS, name, "method")[1].load()
    return cls


def make_method(name: str, **options: Any) -> Method:
    """The method called `name` with its options; those not given keep their defaults.

    Raises UsageError: no such method, an option that it does not have, or a value outside its
    limits.
    """
    made: Method = construct(method_class(name), name, options)
    return made


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
