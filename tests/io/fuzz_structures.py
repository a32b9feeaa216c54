"""Changes that keep a picture file's structure and bend what it says, format by format."""

from __future__ import annotations

import random
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from functools import cache

HUGE = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
SIDES = (0, 1, 3, 4097, 13377, 16383, 16384, 32767, 65535, 65536, 178_956_970, 2**31 - 1, 2**32 - 1)
BOMB = 300 << 20
"""Bytes that a bomb becomes."""


@cache
def packed_zeros(size: int) -> bytes:
    """`size` zeros as zlib packs them: a thousandth of that."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join(parts) + packer.flush()


def _put(data: bytes, at: int, kind: str, value: int) -> bytes:
    size = struct.calcsize(kind)
    if at < 0 or at + size > len(data):
        return data
    return data[:at] + struct.pack(kind, value & (256**size - 1)) + data[at + size :]


def _shuffled(rng: random.Random, parts: list[bytes]) -> list[bytes]:
    """Two parts swapped, one repeated, or one left out."""
    made = list(parts)
    a, b = rng.randrange(len(made)), rng.randrange(len(made))
    way = rng.randrange(3)
    if way == 0:
        made[a], made[b] = made[b], made[a]
    elif way == 1:
        made[b:b] = [made[a]] * rng.choice((1, 2, 200))
    else:
        del made[a]
    return made


# PNG


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk with its length and its checksum."""
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at + 8 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + min(length, len(data))]))
        at += 12 + length
    return found


def _png(chunks: Sequence[tuple[bytes, bytes]], start: bytes) -> bytes:
    return start + b"".join(png_chunk(*one) for one in chunks)


def png_shuffled(rng: random.Random, data: bytes) -> bytes:
    parts = [png_chunk(*one) for one in png_chunks(data)]
    return data[:8] + b"".join(_shuffled(rng, parts)) if parts else data


def png_content(rng: random.Random, data: bytes) -> bytes:
    """Wrong bytes in a chunk whose checksum is right."""
    chunks = png_chunks(data)
    full = [place for place, (_, content) in enumerate(chunks) if content]
    if not full:
        return data
    place = rng.choice(full)
    kind, content = chunks[place]
    made = bytearray(content)
    for _ in range(rng.choice((1, 2, 20))):
        made[rng.randrange(len(made))] = rng.randrange(256)
    chunks[place] = (kind, bytes(made))
    return _png(chunks, data[:8])


def png_header(rng: random.Random, data: bytes) -> bytes:
    """Another size, depth, colour type or interlacing."""
    chunks = png_chunks(data)
    if not chunks or len(chunks[0][1]) < 13:
        return data
    made = bytearray(chunks[0][1])
    if rng.random() < 0.6:
        struct.pack_into(">I", made, rng.choice((0, 4)), rng.choice(SIDES))
    else:
        made[rng.randrange(8, 13)] = rng.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
    return _png([(chunks[0][0], bytes(made)), *chunks[1:]], data[:8])


def png_bomb(rng: random.Random, data: bytes) -> bytes:
    """A chunk that unpacks to very much."""
    chunks, zeros = png_chunks(data), packed_zeros(BOMB)
    bombs = (
        (b"iCCP", b"profile\0\0" + zeros),
        (b"zTXt", b"Comment\0\0" + zeros),
        (b"iTXt", b"Comment\0\1\0\0\0" + zeros),
        (b"IDAT", zeros),
        (b"tEXt", b"Comment\0" + bytes(1 << 20)),
        (b"eXIf", bytes(1 << 20)),
    )
    at = rng.randrange(1, max(2, len(chunks)))
    return _png([*chunks[:at], rng.choice(bombs), *chunks[at:]], data[:8])


# JPEG


def jpeg_segments(data: bytes) -> list[bytes]:
    """Segments from their marker to the next; the last one goes to the end."""
    found, at = [data[:2]], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        size = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        found.append(data[at : at + size])
        at += size
    return [*found, data[at:]]


def jpeg_shuffled(rng: random.Random, data: bytes) -> bytes:
    first, *rest = jpeg_segments(data)
    return first + b"".join(_shuffled(rng, rest)) if rest else data


def jpeg_frame(rng: random.Random, data: bytes) -> bytes:
    """Another size, number of colours or sampling in the frame's header."""
    at = next((found.start() for found in re.finditer(rb"\xff[\xc0-\xc3]\0.", data)), None)
    if at is None:
        return data
    if rng.random() < 0.5:
        return _put(data, at + rng.choice((5, 7)), ">H", rng.choice(SIDES))
    return _put(data, at + rng.choice((1, 4, 9, 10, 11, 12, 14, 15)), "B", rng.randrange(256))


def jpeg_segment(rng: random.Random, data: bytes) -> bytes:
    """A new segment of garbage: tables, EXIF, profiles, an index of several pictures."""
    marker = rng.choice((0xC4, 0xDB, 0xDD, 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xC0, 0xC2, 0xDA, 0xFE))
    start = rng.choice(
        (
            b"",
            b"Exif\0\0",
            b"Exif\0\0II*\0\x08\0\0\0",
            b"MPF\0II*\0",
            b"ICC_PROFILE\0\1\2",
            b"Photoshop 3.0\0",
            b"http://ns.adobe.com/xap/1.0/\0",
            b"Adobe\0",
        )
    )
    content = start + rng.randbytes(rng.choice((0, 2, 17, 64, 5000)))
    length = len(content) + 2 if rng.random() < 0.8 else rng.choice(HUGE[:8])
    many = rng.choice((1, 1, 30))
    return data[:2] + (struct.pack(">BBH", 0xFF, marker, length) + content) * many + data[2:]


# GIF


def gif_fields(rng: random.Random, data: bytes) -> bytes:
    """Another canvas, place or size of the frame, or first code size."""
    frame = data.find(b"\x2c", 13)
    at = rng.choice((6, 8, frame + 1, frame + 3, frame + 5, frame + 7))
    if rng.random() < 0.7:
        return _put(data, at, "<H", rng.choice(SIDES))
    return _put(data, rng.choice((10, 11, frame + 9, frame + 10)), "B", rng.randrange(256))


def gif_codes(rng: random.Random, data: bytes) -> bytes:
    """Garbage in place of the packed pixels."""
    at = data.find(b"\x2c", 13) + 11
    if at < 24:
        return data
    codes = rng.choice((rng.randbytes(900), b"\xff" * 900, b"\0" * 900))
    blocks = (b"\xff" + codes[:255]) * rng.choice((1, 30))
    return data[:at] + blocks + rng.choice((b"\0;", b"", data[at:]))


# TIFF


def tiff_tag(rng: random.Random, data: bytes) -> bytes:
    """A tag's number, type, count or value changed, or where the next directory lies."""
    order = "<" if data[:2] == b"II" else ">"
    if data[2:4] not in (b"*\0", b"\0*") or len(data) < 8:
        return data
    (start,) = struct.unpack(f"{order}I", data[4:8])
    if start + 2 > len(data):
        return data
    (count,) = struct.unpack(f"{order}H", data[start : start + 2])
    entry = start + 2 + 12 * rng.randrange(max(1, count))
    way = rng.randrange(6)
    if way == 0:  # a directory that leads to itself
        return _put(data, start + 2 + 12 * count, f"{order}I", rng.choice((start, 8, 4)))
    if way == 1:
        tags = (256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325)
        return _put(data, entry, f"{order}H", rng.choice((*tags, 330, 338, 339, 347, 34665, 530)))
    if way == 2:
        return _put(data, entry + 2, f"{order}H", rng.choice((*range(19), 255)))
    if way == 3:
        return _put(data, entry + 4, f"{order}I", rng.choice((*HUGE, *SIDES)))
    if way == 4:
        return _put(data, entry + 8, f"{order}H", rng.randrange(65536))
    value = rng.choice((*HUGE, *SIDES, start, rng.randrange(len(data)), rng.randrange(40)))
    return _put(data, entry + 8, f"{order}I", value)


# Containers of boxes and chunks: WebP, AVIF, JPEG 2000; markers of a JPEG 2000 stream


def box_field(rng: random.Random, data: bytes) -> bytes:
    """An extreme number beside a box's name, or within its first bytes."""
    names = list(re.finditer(rb"[A-Za-z][A-Za-z0-9 ]{3}", data[:2000]))
    if not names:
        return data
    at = rng.choice(names).start() + rng.choice((-4, 4, 8, 12, 16, 20))
    kind = rng.choice((">I", "<I", ">H", "B"))
    return _put(data, at, kind, rng.choice((*HUGE, *SIDES, rng.randrange(64))))


def box_moved(rng: random.Random, data: bytes) -> bytes:
    """A box left out, or there many times."""
    names = [found.start() - 4 for found in re.finditer(rb"[A-Za-z][A-Za-z0-9 ]{3}", data[8:2000])]
    at = 8 + max(4, rng.choice(names or [4]))
    size = min(int.from_bytes(data[at : at + 4], "big"), 3000) or 8
    return data[:at] + data[at : at + size] * rng.choice((0, 2, 40)) + data[at + size :]


def codestream(rng: random.Random, data: bytes) -> bytes:
    """An extreme number in the header of a JPEG 2000 stream."""
    markers = [found.start() for found in re.finditer(rb"\xff[\x4f-\x64\x90-\x93]", data[:3000])]
    if not markers:
        return data
    at = rng.choice(markers) + rng.randrange(2, 44)
    return _put(data, at, rng.choice((">I", ">H", "B")), rng.choice((*HUGE, *SIDES)))


# Headers without chunks


def pnm_words(rng: random.Random, data: bytes) -> bytes:
    """Another number or word in the text of the head."""
    words = data.split(None, 4)
    at = rng.randrange(len(words))
    own = (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"Pf", b"-1", b"1e9", b"nan", b"#" * 5000)
    sides = tuple(str(side).encode() for side in (*SIDES, 10**30))
    words[at] = rng.choice((*own, *sides, *sides, b"9" * 5000))
    return b"\n".join(words)


def bmp_header(rng: random.Random, data: bytes) -> bytes:
    """Another size, depth, packing, place of the pixels or number of colours."""
    at = rng.choice((10, 14, 18, 22, 26, 28, 30, 34, 46, 50, 54, 58, 62, 66))
    kind = "<H" if at in (26, 28) else "<I"
    return _put(data, at, kind, rng.choice((*HUGE, *SIDES, *range(33))))


def bmp_runs(rng: random.Random, data: bytes) -> bytes:
    """Run-length packed pixels of garbage."""
    made = _put(_put(data, 30, "<I", rng.choice((1, 2))), 28, "<H", rng.choice((4, 8)))
    body = rng.choice((rng.randbytes(400), b"\0\2\xff\xff" * 100, b"\xff\1" * 200, b"\0\xff" * 200))
    return made[: 54 + 1024] + body


def psd_header(rng: random.Random, data: bytes) -> bytes:
    """Another number of channels, size, depth or mode, or length of a section."""
    at, kind = rng.choice(
        (
            (12, ">H"),
            (14, ">I"),
            (18, ">I"),
            (22, ">H"),
            (24, ">H"),
            (26, ">I"),
            (30, ">I"),
            (34, ">I"),
            (38, ">I"),
        )
    )
    return _put(data, at, kind, rng.choice((*HUGE, *SIDES, *range(12))))


Change = Callable[[random.Random, bytes], bytes]
_TIFF: Sequence[Change] = (tiff_tag,)
CHANGES_OF: dict[bytes, Sequence[Change]] = {
    b"\x89PNG": (png_shuffled, png_content, png_content, png_header, png_header, png_bomb),
    b"\xff\xd8": (jpeg_shuffled, jpeg_frame, jpeg_segment),
    b"GIF8": (gif_fields, gif_codes),
    b"II*\0": _TIFF,
    b"MM\0*": _TIFF,
    b"RIFF": (box_field, box_moved),
    b"ftyp": (box_field, box_moved),
    b"jP  ": (box_field, box_moved, codestream, codestream),
    b"\xff\x4f": (codestream,),
    b"8BPS": (psd_header,),
    b"BM": (bmp_header, bmp_header, bmp_runs),
    **{f"P{kind}".encode(): (pnm_words,) for kind in "123456f"},
}
"""By how a file starts, or by what stands at its fourth byte."""
