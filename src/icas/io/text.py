"""Decoding of text files that do not state their encoding."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 1 << 20
"""Bytes that are searched for the encoding."""
_HIGH = re.compile(rb"[\x80-\xff]+")
_CONTROL = re.compile(r"[\0-\x08\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9f]")


def decode_text(data: bytes) -> str:
    """The text in bytes of unknown encoding.

    A byte order mark decides; then UTF-8, UTF-16 without a mark, and the most plausible of
    GB18030 (Chinese), Shift-JIS (Japanese) and Windows-1252 (Western European) are tried.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    str
        Without the byte order mark.

    Raises
    ------
    UnicodeDecodeError
        The bytes are not text in any of these encodings. Also a ValueError.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding)
    if b"\0" in data[:_SAMPLE]:
        return data.decode(_wide_encoding(data))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        plausible = sorted(_ENCODINGS, key=lambda name: -_ENCODINGS[name](data))
        for encoding in plausible:
            try:
                text = data.decode(encoding)
            except UnicodeDecodeError:
                continue
            if not _CONTROL.search(text):
                return text
        raise UnicodeDecodeError(
            "utf-8", data[:0], error.start, error.end, "unknown text encoding"
        ) from None


def _wide_encoding(data: bytes) -> str:
    """UTF-16 in the byte order in which most high bytes are zero."""
    sample = data[:_SAMPLE]
    low, high = sample[0::2].count(0), sample[1::2].count(0)
    if 4 * max(low, high) < len(sample) // 2:
        raise UnicodeDecodeError("utf-16", b"", 0, 0, "binary data")
    return "utf-16-le" if high >= low else "utf-16-be"


def _western(data: bytes) -> float:
    """Plausibility of Windows-1252: single accented letters inside words."""
    scores = []
    for match in _HIGH.finditer(data, 0, _SAMPLE):
        run = match[0]
        before, after = data[match.start() - 1 : match.start()], data[match.end() : match.end() + 1]
        in_word = before.isalpha() or after.isalpha()
        letters = sum(byte >= 0xC0 and byte not in (0xD7, 0xF7) for byte in run)
        if letters == len(run) <= 2 and in_word:
            weight = 1.0 if len(run) == 1 else 0.8
        elif run == b"\x92" and before.isalpha() and after.isalpha():
            weight = 1.0  # the apostrophe
        else:
            weight = 0.6 if len(run) == 1 else 0.35 * letters / len(run)
        scores += [weight] * len(run)
    return sum(scores) / max(1, len(scores))


def _chinese(data: bytes) -> float:
    """Plausibility of GB18030: frequent characters are those of the first level of GB 2312."""
    return _mean_of_pairs(data, _chinese_weight, narrow=range(0))


def _chinese_weight(lead: int, trail: int) -> float:
    if lead < 0xA1 or trail < 0xA1:
        return 0.2
    if 0xB0 <= lead <= 0xD7:
        return 0.95
    return 0.6 if lead <= 0xF7 else 0.1


def _japanese(data: bytes) -> float:
    """Plausibility of Shift-JIS: kana, and the first level of JIS X 0208."""
    return _mean_of_pairs(data, _japanese_weight, narrow=range(0xA1, 0xE0))


def _japanese_weight(lead: int, trail: int) -> float:
    if (lead == 0x82 and trail >= 0x9F) or (lead == 0x83 and trail <= 0x96):
        return 1.0
    if 0x88 <= lead <= 0x97:
        return 0.9
    return 0.5 if 0x81 <= lead <= 0xEA else 0.1


def _mean_of_pairs(data: bytes, weight: Callable[[int, int], float], narrow: range) -> float:
    """Mean weight of the two-byte characters; `narrow` bytes are characters of their own."""
    scores: list[float] = []
    place = 0
    while match := _HIGH.search(data, place, _SAMPLE):
        place = match.start()
        lead = data[place]
        if lead in narrow:
            scores.append(0.3)
            place += 1
        else:
            trail = data[place + 1] if place + 1 < len(data) else 0
            scores += [weight(lead, trail)] * 2
            place += 2
    return sum(scores) / max(1, len(scores))


_ENCODINGS = {"gb18030": _chinese, "cp932": _japanese, "cp1252": _western}
