"""What a person decided about images, which are known by their contents."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

TOGETHER, APART = "together", "apart"
KEY_BYTES = 20


@dataclass(frozen=True)
class Picture:
    """A file by its content.

    Attributes
    ----------
    key : bytes
    size : int
    name : str
        What it was called when something was decided about it.
    """

    key: bytes
    size: int
    name: str


Sides = tuple[tuple[Picture, ...], ...]


@dataclass(frozen=True)
class Decision:
    """One remembered decision.

    Attributes
    ----------
    kind : {"together", "apart"}
    sides : tuple of tuple of Picture
        Together: the pictures of a side belong in one cluster. Apart: pictures of different sides
        are never in one cluster. No picture twice.
    how : str
        In words: ``must-link a.jpg b.jpg``.
    made : str
        When, ISO 8601 in UTC.
    number : int
        By which people call it; 0 as long as it is not kept.
    """

    kind: str
    sides: Sides
    how: str
    made: str = ""
    number: int = 0

    @property
    def pictures(self) -> tuple[Picture, ...]:
        return tuple(picture for side in self.sides for picture in side)

    def told(self) -> str:
        """Its number and what it says."""
        return f"decision {self.number} ({self.how})"


def picture_of(path: Path, name: str) -> Picture:
    """The file at `path` by its content.

    Raises
    ------
    OSError
        It cannot be read.
    """
    hashed, size = hashlib.blake2b(digest_size=KEY_BYTES), 0
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            hashed.update(part)
            size += len(part)
    return Picture(hashed.digest(), size, name)
