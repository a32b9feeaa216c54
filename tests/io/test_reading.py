"""Reading in every mode, turning, scaling, and writing whole or not at all."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image as PillowImage, ImageOps

from icas.common.errors import UnreadableImageError, UsageError
from icas.io.conversion.pixels import upright_rgb
from icas.io.files import write_whole
from icas.io.reading import MAX_PIXELS, image_size, read_image, resize, thumbnail, write_image

LEAST = settings(max_examples=60, deadline=None)
INTO_FOLDER = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def picture(height: int = 5, width: int = 7, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def saved(folder: Path, name: str, image: PillowImage.Image, **how: Any) -> Path:
    path = folder / name
    image.save(path, **how)
    return path


def exif(orientation: object) -> bytes:
    block = PillowImage.Exif()
    block[274] = orientation
    return block.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.png", {}),
        ("a.webp", {"lossless": True}),
        ("a.tif", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
    ],
)
def test_orientation(tmp_path: Path, orientation: int, name: str, how: dict[str, Any]) -> None:
    stored = PillowImage.fromarray(picture(4, 6))
    path = saved(tmp_path, name, stored, exif=exif(orientation), **how)
    stored.getexif()[274] = orientation
    expected = np.asarray(ImageOps.exif_transpose(stored))
    np.testing.assert_array_equal(read_image(path), expected)
    assert image_size(path) == (expected.shape[1], expected.shape[0])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_a_picture_of_many_bands(orientation: int) -> None:
    stored = PillowImage.fromarray(picture(700, 900))
    turned = upright_rgb(stored, orientation)
    stored.getexif()[274] = orientation
    np.testing.assert_array_equal(turned, np.asarray(ImageOps.exif_transpose(stored)))
    assert turned.flags.c_contiguous


def test_exif_behind_the_pixels_of_a_png(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.png", PillowImage.fromarray(picture(4, 6)))
    data = path.read_bytes()
    block = b"eXIf" + exif(6).removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(block) - 4) + block + struct.pack(">I", zlib.crc32(block))
    path.write_bytes(data[:-12] + chunk + data[-12:])
    assert image_size(path) == (4, 6)
    np.testing.assert_array_equal(read_image(path), np.rot90(picture(4, 6), -1))


@pytest.mark.parametrize("value", [0, 9, 77])
def test_orientations_that_mean_nothing(tmp_path: Path, value: int) -> None:
    path = saved(tmp_path, "a.png", PillowImage.fromarray(picture()), exif=exif(value))
    np.testing.assert_array_equal(read_image(path), picture())


def test_broken_exif_is_no_reason_to_refuse(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.webp", PillowImage.fromarray(picture()), exif=b"junk", lossless=True)
    np.testing.assert_array_equal(read_image(path), picture())


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK"])
def test_modes_as_pillow_converts(tmp_path: Path, mode: str) -> None:
    image = PillowImage.fromarray(picture(600, 700)).convert(mode)
    path = saved(tmp_path, "a.tif", image)
    expected = np.asarray(PillowImage.open(path).convert("RGB"))
    np.testing.assert_array_equal(read_image(path), expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
@pytest.mark.parametrize("size", [(5, 7), (600, 700)])
def test_alpha_over_white(tmp_path: Path, mode: str, size: tuple[int, int]) -> None:
    color = PillowImage.fromarray(picture(*size)).convert("P" if mode == "PA" else mode[:-1])
    alpha = PillowImage.fromarray(picture(*size, seed=1)[..., 0])
    image = color.convert("RGBA")
    image.putalpha(alpha)
    path = saved(tmp_path, "a.png", image if mode != "LA" else image.convert("LA"))
    layer = PillowImage.open(path).convert("RGBA")
    over = PillowImage.alpha_composite(PillowImage.new("RGBA", layer.size, "white"), layer)
    found = read_image(path).astype(int)
    assert np.abs(found - np.asarray(over.convert("RGB"))).max() <= 1


def test_palette_with_transparency(tmp_path: Path) -> None:
    image = PillowImage.new("P", (3, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata([0, 1, 2])
    one = saved(tmp_path, "a.png", image, transparency=1)
    many = saved(tmp_path, "b.png", image, transparency=bytes([255, 0, 0]))
    gif = saved(tmp_path, "c.gif", image, transparency=2)
    assert read_image(one).tolist() == [[[10, 20, 30], [255] * 3, [70, 80, 90]]]
    assert read_image(many).tolist() == [[[10, 20, 30], [255] * 3, [255] * 3]]
    assert read_image(gif).tolist() == [[[10, 20, 30], [40, 50, 60], [255] * 3]]


def test_one_colour_that_is_transparent(tmp_path: Path) -> None:
    rgb = PillowImage.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    path = saved(tmp_path, "a.png", rgb, transparency=(1, 2, 3))
    assert read_image(path).tolist() == [[[255, 255, 255], [4, 5, 6]]]
    path = saved(tmp_path, "b.png", rgb.convert("L"), transparency=2)
    assert read_image(path)[0, 0].tolist() == [255, 255, 255]


@LEAST
@given(arrays(np.uint16, (3, 4)))
def test_sixteen_bits_keep_their_upper_eight(deep: NDArray[np.uint16]) -> None:
    deep[0, 0] |= 1 << 15
    for suffix, format in ((".png", "PNG"), (".tif", "TIFF"), (".jp2", "JPEG2000")):
        found = read_bytes(suffix, encode(PillowImage.fromarray(deep), format))
        np.testing.assert_array_equal(found, np.repeat((deep >> 8)[..., None], 3, axis=2))


def encode(image: PillowImage.Image, format: str, **how: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **how)
    return stream.getvalue()


def read_bytes(suffix: str, data: bytes) -> NDArray[np.uint8]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        path.write_bytes(data)
        return read_image(path)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_sixteen_bit_tiff(tmp_path: Path, byteorder: Any, photometric: Any) -> None:
    tifffile = pytest.importorskip("tifffile")
    deep = np.array([[0, 255, 256, 40000, 65535]], np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", deep, byteorder=byteorder, photometric=photometric)
    expected = deep >> 8 if photometric == "minisblack" else 255 - (deep >> 8)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], expected)


@pytest.mark.parametrize("maxval", [1, 100, 255, 1000, 4095, 65535])
def test_pgm_of_any_depth(tmp_path: Path, maxval: int) -> None:
    values = np.linspace(0, maxval, 9).astype(int)
    depth = ">u2" if maxval > 255 else "u1"
    data = b"P5\n9 1\n%d\n" % maxval + values.astype(depth).tobytes()
    (tmp_path / "a.pgm").write_bytes(data)
    found = read_image(tmp_path / "a.pgm")[0, :, 0]
    assert np.abs(found - values / maxval * 255).max() <= 1
    assert (found[0], found[-1]) == (0, 255)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.25, 0.25, 0.25], [64, 64, 64]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([10.0, 20.0, 30.0], [0, 128, 255]),
        ([7.0, 7.0, 7.0], [0, 0, 0]),
        ([np.nan, 0.5, 1.0], [0, 128, 255]),
        ([np.nan, np.nan, np.nan], [0, 0, 0]),
        ([-np.inf, 0.0, np.inf], [0, 0, 255]),
        ([-1e38, 0.0, 1e38], [0, 128, 255]),
    ],
)
def test_floats(tmp_path: Path, values: list[float], expected: list[int]) -> None:
    image = PillowImage.fromarray(np.array([values], np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_image(saved(tmp_path, "a.tif", image))
    wanted = np.array(expected)
    if values[-1] == np.inf:
        wanted[-1] = found[0, -1, 0]  # beyond a single finite value there is no scale
    assert np.abs(found[0, :, 0].astype(int) - wanted).max() <= 1


def test_wide_integers(tmp_path: Path) -> None:
    image = PillowImage.fromarray(np.array([[-5, 0, 5, 15]], np.int32))
    assert read_image(saved(tmp_path, "a.tif", image))[0, :, 0].tolist() == [0, 64, 128, 255]


def test_lab_colours(tmp_path: Path) -> None:
    skcolor = pytest.importorskip("skimage.color")
    rgb = np.array([[[200, 40, 40], [30, 160, 60], [20, 40, 180], [128, 128, 128]]], np.uint8)
    lab = skcolor.rgb2lab(rgb, illuminant="D50")
    stored = np.rint(lab * [2.55, 1, 1]).astype(np.int16).astype(np.uint8)  # a and b are signed
    image = PillowImage.frombytes("LAB", (4, 1), stored.tobytes())
    found = read_image(saved(tmp_path, "a.tif", image)).astype(int)
    assert np.abs(found - rgb).mean() < 12


def test_first_frame_counts(tmp_path: Path) -> None:
    frames = [PillowImage.new("RGB", (4, 4), color) for color in ("red", "green", "blue")]
    for name in ("a.gif", "a.webp", "a.png", "a.tif"):
        more = {"lossless": True} if name == "a.webp" else {}
        path = saved(tmp_path, name, frames[0], save_all=True, append_images=frames[1:], **more)
        assert (read_image(path) == [255, 0, 0]).all()


def test_pixel_limit(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.png", PillowImage.new("L", (30, 20)))
    assert read_image(path, max_pixels=600).shape == (20, 30, 3)
    for read in (read_image, image_size, lambda path, **how: thumbnail(path, 9, **how)):
        with pytest.raises(UnreadableImageError, match="30x20 pixels, more than the limit of 599"):
            read(path, max_pixels=599)


def test_the_limit_is_this_module_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PillowImage, "MAX_IMAGE_PIXELS", 10)
    path = saved(tmp_path, "a.png", PillowImage.new("L", (30, 20)))
    assert read_image(path).shape == (20, 30, 3)
    assert PillowImage.MAX_IMAGE_PIXELS == 10


def test_huge_webp_canvas_is_refused_by_its_header(tmp_path: Path) -> None:
    canvas = b"\x10\0\0\0" + (65_534).to_bytes(3, "little") * 2
    data = b"WEBPVP8X" + struct.pack("<I", 10) + canvas
    (tmp_path / "a.webp").write_bytes(b"RIFF" + struct.pack("<I", len(data)) + data)
    with pytest.raises(UnreadableImageError, match="header declares 65535x65535 pixels"):
        read_image(tmp_path / "a.webp")


def test_postscript_is_never_run(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(UnreadableImageError, match="not an image"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("path", ["nothing.png", "x" * 5000 + ".png", "nul\0.png", ""])
def test_paths_that_lead_nowhere(path: str) -> None:
    with pytest.raises(UnreadableImageError):
        read_image(path)


SAMPLES = {
    ".png": encode(PillowImage.fromarray(picture(9, 9)), "PNG"),
    ".jpg": encode(PillowImage.fromarray(picture(9, 9)), "JPEG", exif=exif(6)),
    ".gif": encode(PillowImage.fromarray(picture(9, 9)), "GIF"),
    ".bmp": encode(PillowImage.fromarray(picture(9, 9)), "BMP"),
    ".tif": encode(PillowImage.fromarray(picture(9, 9)), "TIFF"),
    ".lzw.tif": encode(PillowImage.fromarray(picture(9, 9)), "TIFF", compression="tiff_lzw"),
    ".webp": encode(PillowImage.fromarray(picture(9, 9)), "WEBP"),
    ".jp2": encode(PillowImage.fromarray(picture(9, 9)), "JPEG2000"),
    ".ico": encode(PillowImage.fromarray(picture(16, 16)), "ICO", sizes=[(16, 16)]),
    ".tga": encode(PillowImage.fromarray(picture(9, 9)), "TGA", compression="tga_rle"),
    ".ppm": encode(PillowImage.fromarray(picture(9, 9)), "PPM"),
}


@INTO_FOLDER
@given(data=st.data(), suffix=st.sampled_from(sorted(SAMPLES)))
def test_damage_gives_a_picture_or_a_reason(
    data: st.DataObject, suffix: str, tmp_path: Path
) -> None:
    broken = bytearray(SAMPLES[suffix])
    for _ in range(data.draw(st.integers(0, 6))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    del broken[data.draw(st.integers(1, len(broken))) :]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(broken)
    for read in (lambda p: read_image(p, max_pixels=10**6), image_size):
        reason = reason_of(read, path)
        assert reason is None or (reason and "\n" not in reason)


def reason_of(read: Callable[[Path], object], path: Path) -> str | None:
    try:
        read(path)
    except UnreadableImageError as error:
        return str(error)
    return None


@pytest.mark.parametrize("suffix", sorted(SAMPLES))
def test_files_cut_in_half_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(SAMPLES[suffix][: len(SAMPLES[suffix]) // 2])
    with pytest.raises(UnreadableImageError):
        read_image(path)


@LEAST
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_resize_gives_the_size_asked_for(old: tuple[int, int], new: tuple[int, int]) -> None:
    image = picture(old[1], old[0])
    found = resize(image, new)
    assert found.shape == (new[1], new[0], 3)
    assert found.dtype == np.uint8
    assert found.min() >= image.min()
    assert found.max() <= image.max()
    assert (found is image) == (old == new)


def test_resize_by_area_takes_means() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[:2, :2] = 200
    image[0, 0] = 100
    assert resize(image, (2, 2))[0, 0].tolist() == [175, 175, 175]
    assert resize(image[..., 0], (2, 2)).shape == (2, 2)


@pytest.mark.parametrize("side", [1, 8, 100])
@pytest.mark.parametrize("orientation", [1, 6])
def test_thumbnail_side(tmp_path: Path, side: int, orientation: int) -> None:
    image = PillowImage.fromarray(picture(90, 1000))
    path = saved(tmp_path, "a.jpg", image, exif=exif(orientation))
    small = thumbnail(path, side)
    assert max(small.shape[:2]) == side
    assert (small.shape[0] >= small.shape[1]) == (orientation == 6 or side == 1)


def test_thumbnail_makes_nothing_larger(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.png", PillowImage.fromarray(picture()))
    np.testing.assert_array_equal(thumbnail(path, 100), picture())
    with pytest.raises(UsageError, match="at least 1"):
        thumbnail(path, 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(5, 7, 3), (5, 7), (1, 1)])
def test_png_keeps_every_bit(tmp_path: Path, dtype: Any, shape: tuple[int, ...]) -> None:
    cv2 = pytest.importorskip("cv2")
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype=dtype)
    write_image(tmp_path / "a.png", image)
    back = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(back[..., ::-1] if back.ndim == 3 else back, image)
    upper = image if dtype == np.uint8 else image >> 8
    by_pillow = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(by_pillow if image.ndim == 3 else by_pillow[..., 0], upper)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_jpeg_keeps_the_colours(tmp_path: Path) -> None:
    image = np.full((16, 16, 3), (200, 100, 20), np.uint8)
    write_image(tmp_path / "a.JPG", image)
    assert np.abs(read_image(tmp_path / "a.JPG").astype(int) - image).max() <= 3


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("a.xyz", np.zeros((2, 2, 3), np.uint8)),
        ("a", np.zeros((2, 2, 3), np.uint8)),
        ("a.jpg", np.zeros((2, 2, 3), np.uint16)),
        ("a.png", np.zeros((2, 2, 3), np.float32)),
        ("a.png", np.zeros((2, 2, 4), np.uint8)),
        ("a.png", np.zeros((0, 2, 3), np.uint8)),
    ],
)
def test_what_can_t_be_written(tmp_path: Path, name: str, image: Any) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        write_image(tmp_path / name, image)
    assert list(tmp_path.iterdir()) == []


def test_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / ("long" * 62 + ".png")
    write_image(target, picture())
    before = target.read_bytes()

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("icas.io.files.os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_image(target, picture(9, 9))
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OSError, match=r"a\.png"):
        write_whole(tmp_path / "a.png", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "none" / "a.txt", b"data")


def test_the_default_limit() -> None:
    assert MAX_PIXELS == 178_956_970


def test_import_is_light() -> None:
    source = Path(__file__).resolve().parents[2] / "src"
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import icas.io.reading;"
        "print([name for name in ('PIL', 'cv2', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(source)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
