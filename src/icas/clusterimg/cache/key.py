"""What decides a picture's features beside the picture itself, as one digest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from icas.cli.options import Size
from icas.clusterimg.methods.base import Elsewhere, Method, settings_of

READING_VERSION = 1
"""Raise it when the same picture file comes in as other pixels than before."""
THUMBNAIL_VERSION = 1
"""Raise it when thumbnails are made in another way."""


@dataclass(frozen=True)
class Recipe:
    """One way of making features.

    Attributes
    ----------
    method : str
        Name of the method.
    digest : bytes
        Of the method with its settings and version, of how pictures are decoded, and of the
        versions of the packages that do it.
    settings : dict
        The method's settings, as its features carry them.
    """

    method: str
    digest: bytes
    settings: dict[str, Any]


def recipe_of(
    method: Method, max_pixels: int, scale: float | None, enough: Size | int | None
) -> Recipe | None:
    """The recipe of `method`; None where it holds an object of one's own, which nothing names.

    Parameters
    ----------
    method : Method
    max_pixels, scale, enough
        How pictures are decoded.
    """
    if isinstance(method, Elsewhere):  # its features are made as the method makes them
        method = method.method
    about = {
        "method": method.name,
        "version": getattr(method, "features_version", 1),
        "settings": _deciding(method),
        "reading": [READING_VERSION, max_pixels, scale, enough],
        "packages": _versions(getattr(method, "packages", ())),
    }
    try:
        return Recipe(method.name, _digest(about), settings_of(method))
    except TypeError:
        return None


def recipe_of_thumbnails(side: int, max_pixels: int) -> Recipe:
    """The recipe of small pictures for a page, no side above `side`."""
    about = {
        "thumbnails": THUMBNAIL_VERSION,
        "reading": [READING_VERSION, max_pixels, side],
        "packages": _versions(()),
    }
    return Recipe("thumbnail", _digest(about), {})


def _digest(about: dict[str, Any]) -> bytes:
    text = json.dumps(about, sort_keys=True, default=_content)
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def _deciding(method: Method) -> dict[str, Any]:
    """The settings that features depend on, as the method holds them."""
    without: frozenset[str] = getattr(method, "only_compared", frozenset())
    return {name: getattr(method, name) for name in settings_of(method) if name not in without}


def _content(value: Any) -> Any:
    """What stands for a file: its content, or its name where there is no such file."""
    if not isinstance(value, Path):
        raise TypeError(f"a {type(value).__name__} has no name that stands for it")
    try:
        status = value.stat()
        return ["file", _digest_of(value, status.st_size, status.st_mtime_ns)]
    except OSError:
        return ["name", str(value)]


@lru_cache(maxsize=16)
def _digest_of(path: Path, size: int, mtime_ns: int) -> str:
    """Digest of a file's content; `size` and `mtime_ns` tell when it has to be read again."""
    state = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            state.update(block)
    return state.hexdigest()


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Versions of Pillow, of OpenCV, and of the method's own packages."""
    import cv2
    import PIL

    return {"Pillow": PIL.__version__, "OpenCV": cv2.__version__} | {
        name: _version(name) for name in packages
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
