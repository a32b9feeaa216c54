"""Text files in the encodings that other programs write."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COMMON_KANJI = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff\uff01-\uff60\u3000-\u303f]")


def decode_text(data: bytes) -> str:
    """The text of a file, without a byte order mark.

    UTF-8, UTF-16 and UTF-32 with or without a mark; else the one of GB18030, Shift-JIS and
    Windows-1252 in which most of the characters beyond ASCII are common ones.

    Raises
    ------
    UnicodeDecodeError
        None of them fits.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding)
    if b"\0" in data[:4096]:
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        found = [(share, text) for text, share in _legacy(data)]
        if not found:
            raise error
        return max(found, key=lambda pair: pair[0])[1]


def _legacy(data: bytes) -> list[tuple[str, float]]:
    """Texts by the older encodings, each with its share of common characters."""
    texts = []
    for encoding, is_common in _OLDER:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        beyond = [letter for letter in text if ord(letter) > 127]
        share = sum(map(is_common, beyond)) / max(1, len(beyond))
        texts.append((text, share))
    return texts


def _is_common_chinese(letter: str) -> bool:
    """Whether it is a character of level 1 of GB 2312, or its punctuation."""
    try:
        code = letter.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return 0xA1 <= code[0] <= 0xA3 or 0xB0 <= code[0] <= 0xD7


def _is_common_japanese(letter: str) -> bool:
    return _COMMON_KANJI.match(letter) is not None


def _is_latin(letter: str) -> bool:
    return unicodedata.category(letter).startswith("L")


_OLDER: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("gb18030", _is_common_chinese),
    ("cp932", _is_common_japanese),
    ("cp1252", _is_latin),
)
"""The first of those that are equally common is taken."""
