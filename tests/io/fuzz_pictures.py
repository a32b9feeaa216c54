"""Damaged picture files by number: the same seed and number give the same bytes everywhere.

Good pictures of every readable format, small, and the files of a folder of bad inputs are bent by
what breaks decoders: flipped bits, cut and repeated pieces, lengths and sizes that are lies, parts
of one file in another, bombs, and garbage where the format has a structure of its own.
"""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from fuzz_structures import CHANGES_OF, HUGE
from PIL import Image, ImageCms

SMALL = 80_000
"""Larger files of the folder are left out: their like is made here, small."""


def _noisy(mode: str, size: tuple[int, int] = (48, 32)) -> Image.Image:
    rng = np.random.default_rng(len(mode))
    ramp = np.add.outer(np.arange(size[1]), np.arange(size[0])) * 2
    pixels = (ramp[..., None] + rng.integers(0, 60, (*ramp.shape, 3))).clip(0, 255)
    return Image.fromarray(pixels.astype(np.uint8)).convert(mode)


def _srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


_EXIF = Image.Exif()
_EXIF[274] = 6
_EXIF[271] = "a camera"

_SAVED: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("JPEG", "RGB", {"quality": 80, "exif": _EXIF}),
    ("JPEG", "RGB", {"progressive": True, "subsampling": 0, "comment": b"a word"}),
    ("JPEG", "L", {"restart_marker_blocks": 2}),
    ("JPEG", "CMYK", {}),
    ("PNG", "RGB", {"exif": _EXIF, "icc_profile": bytes(300)}),
    ("PNG", "RGBA", {}),
    ("PNG", "P", {"bits": 4, "transparency": 3}),
    ("PNG", "1", {}),
    ("PNG", "I;16", {}),
    ("PNG", "RGB", {"save_all": True, "append_images": [_noisy("RGB")], "duration": 9}),
    ("GIF", "P", {}),
    ("GIF", "P", {"interlace": 0, "save_all": True, "append_images": [_noisy("L")], "loop": 0}),
    ("BMP", "RGB", {}),
    ("BMP", "P", {}),
    ("BMP", "1", {}),
    ("BMP", "RGBA", {}),
    ("TIFF", "RGB", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw", "exif": _EXIF}),
    ("TIFF", "RGB", {"compression": "tiff_adobe_deflate", "tiffinfo": {278: 4}}),
    ("TIFF", "RGB", {"compression": "jpeg"}),
    ("TIFF", "L", {"compression": "packbits"}),
    ("TIFF", "1", {"compression": "group4"}),
    ("TIFF", "1", {"compression": "group3"}),
    ("TIFF", "F", {}),
    ("TIFF", "I;16", {"compression": "zstd"}),
    ("TIFF", "P", {"compression": "lzma"}),
    ("TIFF", "RGBA", {"big_tiff": True, "compression": "tiff_deflate"}),
    ("TIFF", "RGB", {"save_all": True, "append_images": [_noisy("CMYK")]}),
    ("WEBP", "RGB", {"quality": 70, "exif": _EXIF}),
    ("WEBP", "RGBA", {"lossless": True}),
    ("WEBP", "RGBA", {"quality": 50}),
    ("WEBP", "RGB", {"save_all": True, "append_images": [_noisy("RGB")], "duration": 9}),
    ("JPEG2000", "RGB", {}),
    ("JPEG2000", "RGBA", {"tile_size": (16, 16), "irreversible": True, "no_jp2": True}),
    ("JPEG2000", "L", {"quality_layers": [40, 10], "num_resolutions": 3}),
    ("PPM", "RGB", {}),
    ("PPM", "L", {}),
    ("PPM", "1", {}),
    ("PPM", "F", {}),
    ("AVIF", "RGB", {"quality": 50, "exif": _EXIF}),
    ("AVIF", "RGBA", {"quality": 60}),
    ("ICO", "RGBA", {"sizes": [(32, 32), (16, 16)]}),
    ("ICO", "RGB", {"sizes": [(32, 32)], "bitmap_format": "bmp"}),
    ("TGA", "RGB", {"compression": "tga_rle"}),
    ("TGA", "P", {}),
    ("JPEG", "RGB", {"icc_profile": _srgb()}),
    ("PNG", "L", {"icc_profile": _srgb()}),
)  # fmt: skip

_PLAIN_TEXT = {
    "plain1.pbm": b"P1\n# a word\n8 4\n" + b"0 1 " * 16,
    "plain2.pgm": b"P2 8 4 255\n" + b"17 200 " * 16,
    "plain3.ppm": b"P3 4 4 65535\n" + b"1 60000 255 " * 16,
}


@cache
def good_pictures() -> dict[str, bytes]:
    """Small pictures of every format that can be read, by name."""
    made = dict(_PLAIN_TEXT)
    for number, (kind, mode, options) in enumerate(_SAVED):
        stream = io.BytesIO()
        deep = mode == "I;16"
        picture = _noisy("L" if deep else mode)
        if deep:
            picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
        picture.save(stream, kind, **options)
        made[f"{number}-{mode}.{kind.lower()}"] = stream.getvalue()
    for name, depth in (("f2", np.float16), ("i1", np.int8), ("u4", np.uint32), ("f8", np.float64)):
        made[f"rgb-{name}.tiff"] = _deep_tiff(depth)
    return made


def _deep_tiff(depth: type) -> bytes:
    """Three separate planes of samples that Pillow does not read, packed."""
    import tifffile

    stream = io.BytesIO()
    planes = np.moveaxis(np.asarray(_noisy("RGB")), 2, 0).astype(depth)
    tifffile.imwrite(
        stream, planes, photometric="rgb", planarconfig="separate", compression="zlib",
        rowsperstrip=7,
    )  # fmt: skip
    return stream.getvalue()


def seeds_of(folder: Path | None) -> dict[str, bytes]:
    """`good_pictures` and the small files of `folder`, by name, in a fixed order."""
    found = dict(good_pictures())
    if folder is not None:
        for path in sorted(folder.iterdir()):
            if path.is_file() and 0 < path.stat().st_size <= SMALL:
                found[path.name] = path.read_bytes()
    return found


Change = Callable[[random.Random, bytes], bytes]


def mutated(seeds: dict[str, bytes], seed: int, number: int) -> tuple[str, bytes]:
    """The damaged file of that `number`, and in words what was done."""
    rng = random.Random(f"{seed}/{number}")
    names = list(seeds)
    name = rng.choice(names)
    data, told = seeds[name], [name]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        own = own_changes(data)
        if rng.random() < 0.06:
            other = rng.choice(names)
            data, word = spliced(rng, data, seeds[other]), f"spliced with {other}"
        else:
            change = rng.choice(own if own and rng.random() < 0.6 else ANY)
            data, word = change(rng, data), change.__name__
        told.append(word)
    return ", ".join(told), data


# Any file


def flipped(rng: random.Random, data: bytes) -> bytes:
    """Some bits the other way round."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 64))):
        made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
    return bytes(made)


def flipped_in_head(rng: random.Random, data: bytes) -> bytes:
    made = bytearray(data)
    for _ in range(rng.choice((1, 3))):
        made[rng.randrange(min(len(made), 200))] = rng.randrange(256)
    return bytes(made)


def run_of_bytes(rng: random.Random, data: bytes) -> bytes:
    start, length = rng.randrange(len(data)), rng.choice((1, 4, 32, 500))
    fill = rng.choice((b"\0", b"\xff", b"\x80", None))
    run = rng.randbytes(length) if fill is None else fill * length
    return data[:start] + run + data[start + length :]


def cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(1, len(data) + 1)]


def hole(rng: random.Random, data: bytes) -> bytes:
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.choice((1, 2, 16, 300)) :] or b"\0"


def repeated(rng: random.Random, data: bytes) -> bytes:
    start = rng.randrange(len(data))
    piece = data[start : start + rng.choice((1, 8, 64, 1000))]
    return data[:start] + piece * rng.choice((2, 3, 50)) + data[start:]


def swapped(rng: random.Random, data: bytes) -> bytes:
    a, b, c = sorted(rng.randrange(len(data) + 1) for _ in range(3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def huge_number(rng: random.Random, data: bytes) -> bytes:
    """A field somewhere, most often in the head, holds an extreme number."""
    kind = rng.choice((">H", "<H", ">I", "<I", ">Q", "<Q", "B"))
    size = struct.calcsize(kind)
    end = len(data) if rng.random() < 0.3 else min(len(data), 160)
    start = rng.randrange(max(1, end - size))
    value = rng.choice((*HUGE, rng.getrandbits(32))) & (256**size - 1)
    return data[:start] + struct.pack(kind, value) + data[start + size :]


def spliced(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """The head of one file before the rest of another."""
    at = rng.choice((8, 16, 64, rng.randrange(len(data))))
    return data[:at] + other[rng.choice((at, rng.randrange(len(other)))) :] or b"\0"


ANY: Sequence[Change] = (
    flipped, flipped_in_head, run_of_bytes, cut, hole, repeated, swapped, huge_number, huge_number
)  # fmt: skip


def own_changes(data: bytes) -> Sequence[Change]:
    """What bends the structure that a file with this head has."""
    found = (made for start, made in CHANGES_OF.items() if data[:12].find(start) in (0, 4))
    return next(found, ())
