"""PNM files whose pixels Pillow decodes number by number, rewritten as files that it copies.

Those are the plain ones (P1 to P3: text) and binary ones whose greatest value is not 255 or 65535.
A megabyte of comments took Pillow 9 seconds, 4 megapixels with 200 as the greatest value as long.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UnreadableImageError

_BLOCK = 1 << 20
"""Bytes of text that are taken at a time."""
_HEAD = 1 << 16
"""Bytes in which the header has to end, with its comments."""
_DIGITS = 10
_SPACE = rb"(?:\s|#[^\r\n]*[\r\n])+"
_NUMBER = rb"(\d{1,%d})" % _DIGITS
_COMMENT = re.compile(rb"#[^\r\n]*")
_LINE_END = re.compile(rb"[\r\n]")
_BITS = re.compile(_SPACE.join((rb"P([14])", _NUMBER, _NUMBER)) + rb"(?:#[^\r\n]*)?\s")
_GRAYS = re.compile(_SPACE.join((rb"P([2356])", _NUMBER, _NUMBER, _NUMBER)) + rb"(?:#[^\r\n]*)?\s")
_FLOATS = re.compile(_SPACE.join((rb"P(f)", _NUMBER, _NUMBER)) + rb"\s")
_HEADERS = {b"%c" % kind: _GRAYS for kind in b"2356"} | {b"1": _BITS, b"4": _BITS, b"f": _FLOATS}

CUT_SHORT = "cut short: the file ends before its pixels do"


def pnm_header(file: IO[bytes]) -> re.Match[bytes]:
    """The header of a PNM file, which is at its start: the digit behind its P, and its numbers.

    Raises
    ------
    UnreadableImageError
        It has no end, or other words.
    """
    head = file.read(_HEAD)
    found = _HEADERS[head[1:2]].match(head)
    if found is None:
        raise UnreadableImageError("damaged: its header has no end, or a word that is no number")
    return found


def as_binary(file: IO[bytes], max_pixels: int) -> IO[bytes] | None:
    """The same picture as a binary file of 8 or 16 bits; None where `file` can be read as it is.

    Values are scaled as Pillow scales them. A picture above `max_pixels` is left alone: to see
    that it is too large is the reader's.

    Raises
    ------
    UnreadableImageError
        As `pnm_header`, or the pixels are cut short or no numbers.
    """
    found = pnm_header(file)
    if found.group(1) in (b"4", b"f"):
        return None
    kind, width, height, *given = (int(part) for part in found.groups())
    greatest = given[0] if given else 1
    copied = (kind == 5 and greatest == 65535) or (kind in (5, 6) and greatest == 255)
    if copied or width * height > max_pixels or not 0 < greatest < 65536:
        return None
    file.seek(found.end())
    pnm = _Pnm(kind, width, height, greatest)
    return pnm.written(pnm.plain(file) if kind <= 3 else pnm.samples(file))


@dataclass(frozen=True)
class _Pnm:
    """What the header says; `kind` is the digit behind the P."""

    kind: int
    width: int
    height: int
    greatest: int

    @property
    def count(self) -> int:
        """Numbers of all pixels."""
        return self.width * self.height * (3 if self.kind in (3, 6) else 1)

    def written(self, parts: Iterator[NDArray[np.float64]]) -> IO[bytes]:
        """The binary file of these values."""
        deep = self.greatest > 255 and self.kind in (2, 5)
        most, kind = (65535, ">u2") if deep else (255, "u1")
        stream = io.BytesIO()
        letter = 6 if self.kind in (3, 6) else 5
        stream.write(b"P%d %d %d %d\n" % (letter, self.width, self.height, most))
        left = self.count
        for part in parts:
            values = part[:left]
            left -= len(values)
            scaled = np.minimum(np.rint(values / self.greatest * most), most)
            stream.write((most - scaled if self.kind == 1 else scaled).astype(kind).tobytes())
            if left == 0:
                stream.seek(0)
                return stream
        raise UnreadableImageError(CUT_SHORT)

    def samples(self, file: IO[bytes]) -> Iterator[NDArray[np.float64]]:
        """Values of a binary file."""
        kind = np.dtype("u1" if self.greatest < 256 else ">u2")
        while block := file.read(_BLOCK):
            yield np.frombuffer(block[: len(block) // kind.itemsize * kind.itemsize], kind).astype(
                np.float64
            )

    def plain(self, file: IO[bytes]) -> Iterator[NDArray[np.float64]]:
        """Values of a text; those of a bitmap may stand without spaces between."""
        for text in _without_comments(file, whole=self.kind != 1):
            if self.kind == 1:
                digits = np.frombuffer(text.translate(None, b" \t\r\n\v\f"), np.uint8)
                values = digits.astype(np.float64) - 48
            else:
                values = _numbers(text)
            if len(values) and not 0 <= values.min() <= values.max() <= self.greatest:
                raise UnreadableImageError(f"damaged: a value that is not in 0 to {self.greatest}")
            yield values


def _without_comments(file: IO[bytes], *, whole: bool) -> Iterator[bytes]:
    """Text without what stands behind a #; a part ends with a whole number where that is asked."""
    left, comment = b"", False
    while block := file.read(_BLOCK):
        if comment:
            end = _LINE_END.search(block)
            if end is None:
                continue
            block = block[end.start() :]
        text = _COMMENT.sub(b"", left + block)
        last = _COMMENT.search(block, max(block.rfind(b"\n"), block.rfind(b"\r")) + 1)
        comment = last is not None
        words = text.rstrip(b"0123456789") if whole and not comment else text
        left = text[len(words) :]
        if len(left) > _DIGITS:
            raise UnreadableImageError("damaged: a number of too many digits")
        yield words
    yield left


def _numbers(text: bytes) -> NDArray[np.float64]:
    if text.translate(None, b"0123456789 \t\r\n\v\f"):
        raise UnreadableImageError("damaged: a value that is no number")
    if not text.strip():
        return np.empty(0)  # of spaces alone fromstring makes a -1
    return np.fromstring(text.decode("ascii"), np.float64, sep=" ")
