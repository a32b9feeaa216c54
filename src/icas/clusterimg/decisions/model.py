"""Stored constraints: images by their contents, and which of them belong together or apart."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

TOGETHER, APART = "together", "apart"
KEY_BYTES = 20


@dataclass(frozen=True)
class ImageContent:
    """An image file by the digest of its content; `name` is as it was when a constraint was set."""

    key: bytes
    size: int
    name: str


Sides = tuple[tuple[ImageContent, ...], ...]


@dataclass(frozen=True)
class Constraint:
    """A must-link, cannot-link or reject constraint.

    Attributes
    ----------
    sides : tuple of tuple of ImageContent
        Together: the images of a side belong in one cluster. Apart: images of different sides
        are never in one cluster. No image is in it twice.
    how : str
        For messages: ``must-link a.jpg b.jpg``.
    made : str
        Time, ISO 8601 in UTC.
    number : int
        0 as long as it is not stored.
    """

    kind: str
    sides: Sides
    how: str
    made: str = ""
    number: int = 0

    @property
    def images(self) -> tuple[ImageContent, ...]:
        return tuple(image for side in self.sides for image in side)

    def side_of(self) -> dict[bytes, int]:
        """Key of each image -> number of its side."""
        return {image.key: number for number, side in enumerate(self.sides) for image in side}

    def description(self) -> str:
        """Number and content, for messages."""
        return f"decision {self.number} ({self.how})"


def content_of(path: Path, name: str) -> ImageContent:
    """The content of the file at `path`; OSError where it cannot be read."""
    state, size = hashlib.blake2b(digest_size=KEY_BYTES), 0
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            state.update(part)
            size += len(part)
    return ImageContent(state.digest(), size, name)
