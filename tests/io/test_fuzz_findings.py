"""Small files that cost a decoder much: what fuzzing and thinking found, made anew here.

Each took Pillow more than 10 seconds or 2 GB, or would have with a somewhat larger file.
"""

from __future__ import annotations

import io
import struct
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image as PillowImage, PpmImagePlugin

from icas.common.errors import UnreadableImageError
from icas.io.limits import MOST_SCANS, MOST_SIDE, fast_pnm
from icas.io.reading import MAX_PIXELS, image_size, read_image, thumbnail

READERS: list[Callable[[Path], object]] = [
    image_size,
    read_image,
    lambda path: thumbnail(path, 64),
]
SECONDS, MEGABYTES = 10, 500
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is told by Linux")


def png(width: int, height: int, pixels: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )  # fmt: skip


def saved(picture: PillowImage.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def zeros(count: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(count >> 20)) + packer.flush()


def tiled_tiff(width: int, length: int, content: bytes) -> bytes:
    """A picture of 16x16 gray pixels in one tile of that size."""
    values = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1, 322: width, 323: length}
    values |= {324: 200, 325: len(content)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items())
    head = b"II*\0" + struct.pack("<IH", 8, len(values)) + entries + bytes(4)
    return head.ljust(200, b"\0") + content


def scans(count: int) -> bytes:
    """A progressive JPEG with so many scans more, all empty."""
    whole = saved(PillowImage.new("RGB", (64, 64)), "JPEG", progressive=True)
    last = whole.rfind(b"\xff\xda")
    return whole[:-2] + (whole[last : last + 10] + b"\0\0") * count + b"\xff\xd9"


def blocks(size: int, side: int, precincts: int = 0) -> bytes:
    """side x side pixels of JPEG 2000 in code blocks of `size`; and precincts of 2^that, if any."""
    options = {"precinct_size": (256, 256)} if precincts else {}
    picture = PillowImage.new("RGBA", (side, side))
    whole = bytearray(saved(picture, "JPEG2000", no_jp2=True, **options))
    at = whole.find(b"\xff\x52")
    whole[at + 10] = whole[at + 11] = size.bit_length() - 3
    if precincts:
        levels = whole[at + 9]
        whole[at + 14 : at + 15 + levels] = bytes([precincts * 17] * (levels + 1))
    return bytes(whole)


def with_components(count: int) -> bytes:
    """JPEG 2000 that header declares so many components in its stream, and three in its box."""
    whole = saved(PillowImage.new("RGB", (16, 16)), "JPEG2000")
    at = whole.find(b"\xff\x4f\xff\x51") + 4 + 36
    return whole[:at] + struct.pack(">H", count) + whole[at + 2 :]


REFUSED = {
    "a line of 179 megapixels": (
        lambda: png(MAX_PIXELS, 1, zeros(MAX_PIXELS)), r"more than the limit of 1,048,576 per side"
    ),
    "tiles of gigapixels": (
        lambda: tiled_tiff(32000, 65520, zeros(100 << 20)),
        "header declares tiles of 32000x65520 pixels",
    ),
    "thousands of scans": (lambda: scans(20_000), f"more than {MOST_SCANS} scans"),
    "code blocks of 4x4": (lambda: blocks(4, 4000), None),
    "large WebP": (
        lambda: saved(PillowImage.new("L", (12000, 9000)), "WEBP", method=0), "limit of 94,7"
    ),
    "large JPEG 2000": (
        lambda: saved(PillowImage.new("L", (9000, 9000)), "JPEG2000"), "limit of 64,1"
    ),
    "thousands of components": (lambda: with_components(16384), "header declares 16384 components"),
    "a head of comments": (
        lambda: b"P6\n" + b"#\n" * 2_000_000 + b"1 1 255\n   ", "its header has no end"
    ),
    "pixels of comments": (lambda: b"P1\n1000 1000\n" + b"#\n" * 2_000_000, "truncated"),
    "a number of many digits": (lambda: b"P2 2 2 255\n" + b"1" * 3_000_000, "too many digits"),
}  # fmt: skip


def peak() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


@linux
@pytest.mark.parametrize("name", list(REFUSED))
def test_small_files_cost_little(name: str, tmp_path: Path) -> None:
    make, _ = REFUSED[name]
    path = tmp_path / "picture"
    path.write_bytes(make())
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    for read in READERS:
        start = time.process_time()
        with suppress(UnreadableImageError):
            read(path)
        assert time.process_time() - start < SECONDS
        assert peak() - before < MEGABYTES


@pytest.mark.parametrize("name", [name for name, (_, words) in REFUSED.items() if words])
def test_they_are_refused_in_words(name: str, tmp_path: Path) -> None:
    make, words = REFUSED[name]
    path = tmp_path / "picture"
    path.write_bytes(make())
    with pytest.raises(UnreadableImageError, match=words) as found:
        read_image(path)
    assert len(str(found.value)) < 130


def test_usual_pictures_with_the_same_structures_are_read(tmp_path: Path) -> None:
    path = tmp_path / "picture"
    ramp = np.arange(256, dtype=np.uint8)[:16].repeat(16).reshape(16, 16)
    tile = zlib.compress(np.pad(ramp, ((0, 240), (0, 240))).tobytes())
    for content in (
        tiled_tiff(256, 256, tile),
        scans(MOST_SCANS - 20),
        saved(PillowImage.fromarray(ramp), "JPEG2000", codeblock_size=(4, 4)),
        saved(PillowImage.fromarray(ramp), "JPEG2000", tile_size=(8, 8), precinct_size=(8, 8)),
        png(MOST_SIDE, 1, zlib.compress(bytes(MOST_SIDE + 1))),
    ):
        path.write_bytes(content)
        width, height = image_size(path)
        assert read_image(path).shape == (height, width, 3)


def test_bytes_like_scans_behind_the_picture_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    plain = saved(PillowImage.new("RGB", (8, 8), "red"), "JPEG", comment=b"\xff\xda" * 400)
    path.write_bytes(plain + b"\xff\xda\0" * 2000)
    assert read_image(path).shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("size", "precincts", "read"),
    [(64, 0, True), (32, 7, True), (64, 5, True), (4, 0, False), (64, 1, False), (64, 2, False)],
)
def test_jpeg2000_costs_by_how_it_is_cut(size, precincts, read, tmp_path: Path) -> None:
    path = tmp_path / "picture.j2k"
    path.write_bytes(blocks(size, 300, precincts))
    limit = 90_000 * 50 // 9  # of pixels that take 9 bytes, so these may take 50
    if read:
        assert image_size(path, max_pixels=limit) == (300, 300)
    else:
        with pytest.raises(UnreadableImageError, match="for this "):
            image_size(path, max_pixels=limit)


@pytest.mark.parametrize(
    "cut", [b"\xff\x4f\xff\x51", b"\xff\x4f\xff\x51\0", b"\xff\x4f\xff\x51\0\x29" + bytes(9)]
)
def test_jpeg2000_without_its_header_is_damaged(cut: bytes, tmp_path: Path) -> None:
    path = tmp_path / "picture.j2k"
    path.write_bytes(cut)
    with pytest.raises(UnreadableImageError):
        read_image(path)


# PNM files whose pixels are read here, compared with Pillow's


def by_pillow(content: bytes) -> np.ndarray:
    with PpmImagePlugin.PpmImageFile(io.BytesIO(content), "") as picture:
        picture.load()
        return np.asarray(picture.convert("L") if picture.mode == "1" else picture)


@st.composite
def pnm_files(draw: st.DrawFn) -> bytes:
    kind = draw(st.integers(1, 6))
    width, height = draw(st.integers(1, 12)), draw(st.integers(1, 9))
    greatest = 1 if kind in (1, 4) else draw(st.sampled_from([1, 7, 200, 255, 256, 4095, 65535]))
    count = width * height * (3 if kind in (3, 6) else 1)
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    values = rng.integers(0, greatest + 1, count)
    space = draw(st.sampled_from([b" ", b"\n", b"\n# a word\n", b" #\r\n"]))
    head = space.join([b"P%d" % kind, b"%d" % width, b"%d" % height])
    head += b"\n" if kind in (1, 4) else b" %d\n" % greatest
    if kind <= 3:
        between = draw(st.sampled_from([b" ", b"\n", b" # 9 9\n", *([b""] if kind == 1 else [])]))
        return head + between.join(b"%d" % value for value in values) + b"\n"
    if kind == 4:
        rows = values.reshape(height, width).astype(np.uint8)
        return head + np.packbits(rows, axis=1).tobytes()
    return head + values.astype("u1" if greatest < 256 else ">u2").tobytes()


@settings(max_examples=200, deadline=None)
@given(content=pnm_files())
def test_pnm_pixels_are_those_of_pillow(content: bytes) -> None:
    made = fast_pnm(io.BytesIO(content), MAX_PIXELS)
    binary = content if made is None else made.read()
    np.testing.assert_array_equal(by_pillow(binary), by_pillow(content))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"P2 2 2 255\n1 2 3", "truncated"),
        (b"P2 2 2 100\n1 2 3 101", "outside 0 to 100"),
        (b"P2 2 2 255\n1 2 x 4", "not a number"),
        (b"P2 2 2 255\n1 2 -3 4", "not a number"),
        (b"P1 2 2\n0 1 2 0", "outside 0 to 1"),
        (b"P5 2 2 200\nabc", "truncated"),
        (b"P6 2\n", "its header has no end"),
        (b"P5 99999 99999 200\nabcd", "more than the limit"),
    ],
)
def test_wrong_pnm_files_are_named(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.pgm"
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=words):
        read_image(path)


def test_very_long_texts_of_pixels_are_refused(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "picture.pgm"
    path.write_bytes(b"P2 2 2 255\n1 2 3 4" + b" " * (1 << 20))
    assert read_image(path).shape == (2, 2, 3)
    monkeypatch.setattr("icas.io.limits._MOST_TEXT", 1 << 20)
    with pytest.raises(UnreadableImageError, match="more than 1 MB of pixels as text"):
        read_image(path)
