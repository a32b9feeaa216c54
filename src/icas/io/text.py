"""Decoding of text files that do not state their encoding."""

from __future__ import annotations

import codecs
import functools
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
    GB18030 (Chinese), Shift-JIS (Japanese), CP949 (Korean), Windows-1252 (Western European) and
    Windows-1251 (Cyrillic) are tried.

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


def _korean(data: bytes) -> float:
    """Plausibility of CP949 (EUC-KR): the most frequent syllables of Korean.

    Their bytes are those of Chinese characters too, so one is not enough.
    """
    if _is_short(data):
        return 0.0
    return _mean_of_pairs(data, _korean_weight, narrow=range(0))


def _korean_weight(lead: int, trail: int) -> float:
    if bytes((lead, trail)) in _frequent_syllables():
        return 1.2
    return 0.6 if 0xB0 <= lead <= 0xC8 else 0.1


@functools.cache
def _frequent_syllables() -> frozenset[bytes]:
    return frozenset(syllable.encode("cp949") for syllable in _SYLLABLES)


_SYLLABLES = (
    "가각간갈감갑강개객거건걸검게겨격견결경계고곡골공과관광괴교구국군굴권귀규균그극근글금급기긴길김"
    "까깨꺼께꽃끼나난날남납내너널네녀년노녹논농높누눈뉴느는늘능니다단달담답당대더덕데도독돈동돼되된될두"
    "둑뒤드득든들등디따때떠또라락란람랑래러런럼럭레려력련렬렸령례로록론료루류르른를름리린림립링마막만많말망"
    "매머먹먼메면명모목몰무문물미민밀및바박반발밤방배백버번벌범법벽변별병보복본볼봉부북분불브비빌빛빨사산"
    "살삼상새색생서석선설성세센소속손송쇠수순술숨숫쉬스슬습승시식신실심십싶아악안않알암압앞애액야약양어언"
    "얼업없었에여역연열염영예오온올옷와완왔외요용우운울움워원월위유육율으은을음응의이인일임입있자작잔장재"
    "쟁저적전절점접정제조족존졌종주준중즈증지직진질집짓째차착찰참창채책처천철청체초촌총최추축출충취츠치칙"
    "친칠침카코콘콜쿠크큰클키타탁탄태택터테토톡통투트특틀티파판팔패퍼페편평포표푸품풍프피필하학한할함합"
    "항해행향험현형호혹홈화확환활황회획효후훈흐희흰히힘"
)
"""The most frequent syllables of Korean text, and those of the names of common things."""


def _cyrillic(data: bytes) -> float:
    """Plausibility of Windows-1251: words of small letters, perhaps with a capital first."""
    if _is_short(data):
        return 0.0
    scores: list[float] = []
    for match in _HIGH.finditer(data, 0, _SAMPLE):
        run = match[0]
        around = data[match.start() - 1 : match.start()] + data[match.end() : match.end() + 1]
        in_latin_word = any(chr(byte).isalpha() for byte in around)
        for place, byte in enumerate(run):
            small = byte >= 0xE0 or byte == 0xB8
            capital = 0xC0 <= byte < 0xE0 and place == 0
            scores.append(0.2 if in_latin_word or not (small or capital) else 1.0)
    return sum(scores) / max(1, len(scores))


def _is_short(data: bytes) -> bool:
    """Whether all that is not ASCII may be one Chinese character."""
    return sum(map(len, _HIGH.findall(data, 0, _SAMPLE))) < 4


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


_ENCODINGS = {
    "gb18030": _chinese,
    "cp932": _japanese,
    "cp1252": _western,
    "cp949": _korean,
    "cp1251": _cyrillic,
}
