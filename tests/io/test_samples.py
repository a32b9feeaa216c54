"""Samples of every type and depth, color profiles, JPEGs without an end, formats with extras."""

from __future__ import annotations

import importlib.util
import io
import logging
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as PillowImage, ImageCms

from icas.common.errors import UnreadableImageError
from icas.io.limits import complete_scans
from icas.io.reading import image_size, read_image, thumbnail

tifffile = pytest.importorskip("tifffile")

TYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "float16", "float32"]
TYPES += ["float64"]


def samples(dtype: str, channels: int, shape: tuple[int, int] = (45, 60)) -> NDArray[Any]:
    rng, kind = np.random.default_rng(0), np.dtype(dtype)
    if kind.kind == "f":
        return rng.random((*shape, channels)).astype(kind)
    limits = np.iinfo(kind)
    return rng.integers(limits.min, limits.max, (*shape, channels), kind, endpoint=True)


def in_8_bits(values: NDArray[Any]) -> NDArray[Any]:
    """The documented scaling, in double precision."""
    if values.dtype == np.int8:
        return values.astype(int) + 128
    if values.dtype in (np.uint8, np.uint16):
        return values >> (8 * values.dtype.itemsize - 8)
    wide = values.astype(float)
    low, high = wide.min(), wide.max()
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        low, high = 0, 1
    return (wide - low) / (high - low) * 255


def check(path: Path, values: NDArray[Any]) -> None:
    expected = np.broadcast_to(in_8_bits(values), (*values.shape[:2], 3))
    found = read_image(path)
    assert np.abs(found - expected.astype(float)).max() <= 1
    assert image_size(path) == found.shape[1::-1]
    assert thumbnail(path, 16).shape[1] == 16


@pytest.mark.parametrize("layout", ["gray", "rgb", "planar"])
@pytest.mark.parametrize("dtype", TYPES)
def test_tiff_samples_of_every_type(tmp_path: Path, dtype: str, layout: str) -> None:
    values = samples(dtype, 1 if layout == "gray" else 3)
    stored = np.moveaxis(values, 2, 0) if layout == "planar" else values.squeeze()
    how: dict[str, Any] = {"photometric": "minisblack" if layout == "gray" else "rgb"}
    if layout == "planar":
        how["planarconfig"] = "separate"
    for order, packed, tile in (("<", None, None), (">", "zlib", None), (">", "zlib", (32, 48))):
        path = tmp_path / "a.tif"
        more = {} if tile else {"rowsperstrip": 13}
        tifffile.imwrite(
            path, stored, byteorder=order, compression=packed, tile=tile, **how, **more
        )
        np.testing.assert_array_equal(tifffile.imread(path), stored)
        check(path, values)


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "int32"])
def test_horizontal_predictor(tmp_path: Path, dtype: str) -> None:
    values, path = samples(dtype, 3), tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="rgb", compression="zlib", predictor=True)
    check(path, values)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "int32"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("compression", [1, 5, 32946])
def test_tiff_of_opencv(tmp_path: Path, dtype: str, channels: int, compression: int) -> None:
    """LZW with a predictor of integers or floats among them."""
    values, path = samples(dtype, channels), tmp_path / "a.tif"
    assert cv2.imwrite(str(path), values[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    back = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).reshape(values.shape)[..., ::-1]
    np.testing.assert_array_equal(back, values)
    check(path, values)


def test_floating_point_predictor(tmp_path: Path) -> None:
    values, path = samples("float32", 3), tmp_path / "a.tif"
    how = [cv2.IMWRITE_TIFF_COMPRESSION, 5, cv2.IMWRITE_TIFF_PREDICTOR, 3]
    assert cv2.imwrite(str(path), values[..., ::-1], how)
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].predictor == 3
    check(path, values)


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "float32"])
def test_alpha_of_deep_tiff(tmp_path: Path, dtype: str) -> None:
    values, path = samples(dtype, 4), tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="rgb", extrasamples=["unassalpha"])
    color, alpha = in_8_bits(values[..., :3]), in_8_bits(values[..., 3:]) / 255
    expected = color * alpha + 255 * (1 - alpha)
    assert np.abs(read_image(path) - expected).max() <= 1.5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_deep_tiff(tmp_path: Path, orientation: int) -> None:
    values, path = samples("float16", 3, (20, 30)), tmp_path / "a.tif"
    tag = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(path, values, photometric="rgb", extratags=tag)
    stored = PillowImage.fromarray(np.rint(in_8_bits(values)).astype(np.uint8))
    stored.getexif()[274] = orientation
    from PIL import ImageOps

    expected = np.asarray(ImageOps.exif_transpose(stored)).astype(int)
    assert np.abs(read_image(path) - expected).max() <= 1
    assert image_size(path) == expected.shape[1::-1]


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "float16", "float32"])
def test_cmyk_of_every_type(tmp_path: Path, dtype: str, planar: str) -> None:
    values, path = samples(dtype, 4), tmp_path / "a.tif"
    stored = np.moveaxis(values, 2, 0) if planar == "separate" else values
    for order, packed in (("<", None), (">", "zlib")):
        how = {"photometric": "separated", "planarconfig": planar}
        tifffile.imwrite(path, stored, byteorder=order, compression=packed, **how)
        np.testing.assert_array_equal(tifffile.imread(path), stored)
        inks = np.rint(in_8_bits(values)).astype(np.uint8)
        image = PillowImage.frombytes("CMYK", inks.shape[1::-1], inks.tobytes())
        expected = np.asarray(image.convert("RGB")).astype(int)
        assert np.abs(read_image(path) - expected).max() <= 2
        assert image_size(path) == (60, 45)


def test_profile_of_deep_cmyk_planes(tmp_path: Path) -> None:
    """The profile of another color space is ignored, as in other images."""
    values, path = samples("uint16", 4), tmp_path / "a.tif"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    how = {"photometric": "separated", "planarconfig": "separate"}
    tifffile.imwrite(path, np.moveaxis(values, 2, 0), **how)
    plain = read_image(path)
    tifffile.imwrite(path, np.moveaxis(values, 2, 0), iccprofile=profile, **how)
    np.testing.assert_array_equal(read_image(path), plain)


def test_deep_planes_of_other_colors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    planes = np.moveaxis(samples("uint16", 3), 2, 0)
    tifffile.imwrite(path, planes, photometric="cielab", planarconfig="separate")
    with pytest.raises(UnreadableImageError, match="unsupported variant of the format"):
        read_image(path)


def test_deep_tiff_keeps_the_limits(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, samples("float64", 3), photometric="rgb", compression="zlib")
    with pytest.raises(UnreadableImageError, match="60x45 pixels, more than the limit"):
        read_image(path, max_pixels=60 * 45 - 1)
    assert read_image(path, max_pixels=60 * 45 * 12).shape == (45, 60, 3)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UnreadableImageError):
        read_image(path)


# -- 10, 12 and 14 bits in 16 --


def ramp(bits: int, channels: int = 1) -> NDArray[np.uint16]:
    values = np.arange(1 << bits, dtype=np.uint16)[:: 1 << (bits - 8)].reshape(16, 16, 1)
    values = values + np.uint16((1 << (bits - 8)) - 1)  # up to the greatest value
    colors = np.concatenate([values, values[::-1], values[:, ::-1]], axis=2)
    return np.ascontiguousarray(colors[..., :channels])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_depth_by_the_greatest_value(tmp_path: Path, suffix: str, bits: int, channels: int) -> None:
    values, path = ramp(bits, channels), tmp_path / f"a{suffix}"
    assert cv2.imwrite(str(path), values[..., ::-1])
    np.testing.assert_array_equal(
        read_image(path), np.broadcast_to(values >> (bits - 8), (16, 16, 3))
    )


@pytest.mark.parametrize("tag", [281, 341])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_depth_by_the_header_of_a_tiff(tmp_path: Path, bits: int, channels: int, tag: int) -> None:
    values, path = ramp(10, channels), tmp_path / "a.tif"
    limit = [(tag, "H", channels, ((1 << bits) - 1,) * channels, True)]
    how = "rgb" if channels == 3 else "minisblack"
    tifffile.imwrite(path, values.squeeze(), photometric=how, extratags=limit)
    expected = np.broadcast_to(values >> (bits - 8), (16, 16, 3))
    np.testing.assert_array_equal(read_image(path), expected)


def with_significant_bits(png: bytes, bits: int, channels: int) -> bytes:
    chunk = b"sBIT" + bytes([bits]) * channels
    at = png.index(b"IDAT") - 4
    block = struct.pack(">I", channels) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return png[:at] + block + png[at:]


@pytest.mark.parametrize("channels", [1, 3])
def test_depth_by_the_header_of_a_png(tmp_path: Path, channels: int) -> None:
    path, values = tmp_path / "a.png", ramp(14, channels)
    for stored, expected in ((values, values >> 6), ((values >> 2) << 2, values >> 8)):
        _, data = cv2.imencode(".png", stored[..., ::-1])
        path.write_bytes(with_significant_bits(data.tobytes(), 14, channels))
        found = read_image(path)
        np.testing.assert_array_equal(found, np.broadcast_to(expected, (16, 16, 3)))


def test_transparent_deep_png(tmp_path: Path) -> None:
    values, path = ramp(12, 3), tmp_path / "a.png"
    alpha = np.zeros((16, 16, 1), np.uint16)
    alpha[:8] = 65535
    cv2.imwrite(str(path), np.concatenate([values[..., ::-1], alpha], axis=2))
    found = read_image(path)
    np.testing.assert_array_equal(found[:8], values[:8] >> 4)
    assert (found[8:] == 255).all()


def test_scaling_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.png"
    with caplog.at_level(logging.INFO, "icas"):
        cv2.imwrite(str(path), ramp(16))
        read_image(path)
        assert caplog.messages == []
        cv2.imwrite(str(path), ramp(12))
        read_image(path)
        assert len(caplog.messages) == 1
        assert "scaled by the bits used" in caplog.messages[0]


# -- JPEGs without an end marker --


def jpeg(**how: Any) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    stream = io.BytesIO()
    PillowImage.fromarray(noise).resize((130, 90)).save(stream, "JPEG", **how)
    return stream.getvalue()


KINDS: list[dict[str, Any]] = [
    {},
    {"progressive": True},
    {"restart_marker_blocks": 2},
    {"subsampling": 0, "quality": 98},
]


@pytest.mark.parametrize("how", KINDS)
@pytest.mark.parametrize("missing", [1, 2])
def test_jpeg_without_its_end_marker(tmp_path: Path, how: dict[str, Any], missing: int) -> None:
    (tmp_path / "whole.jpg").write_bytes(jpeg(**how))
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(**how)[:-missing])
    np.testing.assert_array_equal(read_image(path), read_image(tmp_path / "whole.jpg"))
    np.testing.assert_array_equal(thumbnail(path, 20), thumbnail(tmp_path / "whole.jpg", 20))
    small = read_image(path, at_least=30)
    np.testing.assert_array_equal(small, read_image(tmp_path / "whole.jpg", at_least=30))


@pytest.mark.parametrize("how", KINDS)
def test_truncated_jpegs_are_listed(tmp_path: Path, how: dict[str, Any]) -> None:
    data, path = jpeg(**how), tmp_path / "a.jpg"
    for missing in (*range(5, 60), 100, 300, len(data) // 2):
        path.write_bytes(data[:-missing])
        with pytest.raises(UnreadableImageError, match="truncated"):
            read_image(path)


def test_truncated_between_scans(tmp_path: Path) -> None:
    data, path = jpeg(progressive=True), tmp_path / "a.jpg"
    assert complete_scans(data)
    starts = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
    for at in starts[1:]:
        before = data.rindex(b"\xff\xc4", 0, at)  # the tables of the scan
        path.write_bytes(data[:before])
        with pytest.raises(UnreadableImageError, match="truncated"):
            read_image(path)


# -- color profiles --


def profile(red: tuple[float, float, float], gamma: float, space: bytes = b"RGB ") -> bytes:
    """An ICC profile with three colorants and one gamma."""

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + fixed(*values)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    white = (0.9642, 1.0, 0.8249)
    tags = [
        (b"desc", b"desc\0\0\0\0" + struct.pack(">I", 5) + b"wide\0" + bytes(81)),
        (b"cprt", b"text\0\0\0\0x\0\0\0"),
        (b"wtpt", xyz(*white)),
    ]
    if space == b"GRAY":
        tags += [(b"kTRC", curve)]
    else:
        green = (0.1352, 0.7119, 0.0)
        blue = tuple(w - r - g for w, r, g in zip(white, red, green, strict=True))
        tags += [(b"rXYZ", xyz(*red)), (b"gXYZ", xyz(*green)), (b"bXYZ", xyz(*blue))]
        tags += [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    offset, table, data = 132 + 12 * len(tags), b"", b""
    for name, content in tags:
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", offset + len(data), len(content))
        data += content
    body = struct.pack(">I", len(tags)) + table + data
    head = struct.pack(">I4sI4s4s4s", 128 + len(body), b"lcms", 0x02400000, b"mntr", space, b"XYZ ")
    return head + bytes(12) + b"acsp" + bytes(28) + fixed(*white) + bytes(48) + body


WIDE = profile((0.7977, 0.2880, 0.0), 1.8)


@pytest.fixture(scope="module")
def photo() -> PillowImage.Image:
    skimage = pytest.importorskip("skimage.data")
    return PillowImage.fromarray(skimage.coffee()[:120, :160])


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp", "a.jpg"])
def test_profiles_are_converted(tmp_path: Path, photo: PillowImage.Image, name: str) -> None:
    source = ImageCms.ImageCmsProfile(io.BytesIO(WIDE))
    wide = ImageCms.profileToProfile(photo, ImageCms.createProfile("sRGB"), source)
    assert wide is not None
    how = {"lossless": True} if name == "a.webp" else {}
    wide.save(tmp_path / name, icc_profile=WIDE, **how)
    with PillowImage.open(tmp_path / name) as stored:
        expected = ImageCms.profileToProfile(
            stored.convert("RGB"), source, ImageCms.createProfile("sRGB")
        )
    np.testing.assert_array_equal(read_image(tmp_path / name), np.asarray(expected))
    assert np.abs(read_image(tmp_path / name).astype(int) - np.asarray(photo)).mean() < 5


def test_profiles_with_transparency_and_palette(tmp_path: Path, photo: PillowImage.Image) -> None:
    plain = tmp_path / "plain.png"
    photo.save(plain, icc_profile=WIDE)
    photo.convert("RGBA").save(tmp_path / "a.png", icc_profile=WIDE)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), read_image(plain))
    clear = photo.convert("RGBA")
    clear.putalpha(0)
    clear.save(tmp_path / "b.png", icc_profile=WIDE)
    assert (read_image(tmp_path / "b.png") == 255).all()
    small = photo.quantize(256)
    small.save(tmp_path / "p.png", icc_profile=WIDE)
    small.convert("RGB").save(tmp_path / "q.png", icc_profile=WIDE)
    np.testing.assert_array_equal(read_image(tmp_path / "p.png"), read_image(tmp_path / "q.png"))


def test_gray_profiles(tmp_path: Path, photo: PillowImage.Image) -> None:
    gray, linear = photo.convert("L"), profile((0, 0, 0), 1.0, b"GRAY")
    gray.save(tmp_path / "a.png", icc_profile=linear)
    source = ImageCms.ImageCmsProfile(io.BytesIO(linear))
    expected = ImageCms.profileToProfile(
        gray, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    found = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(found, np.asarray(expected))
    deep = np.asarray(gray).astype(np.uint16) * 257
    PillowImage.fromarray(deep).save(tmp_path / "b.png", icc_profile=linear)
    np.testing.assert_array_equal(read_image(tmp_path / "b.png"), found)


def test_profiles_that_change_nothing(tmp_path: Path, photo: PillowImage.Image) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for number, other in enumerate((srgb, b"junk", WIDE[:200], profile((0, 0, 0), 1.0, b"GRAY"))):
        photo.save(tmp_path / f"{number}.png", icc_profile=other)
        np.testing.assert_array_equal(read_image(tmp_path / f"{number}.png"), np.asarray(photo))


# -- ICO, TGA, and formats of extras --


def test_icons(tmp_path: Path, photo: PillowImage.Image) -> None:
    path, icon = tmp_path / "a.ico", photo.resize((64, 64))
    for how in ("png", "bmp"):
        icon.save(path, sizes=[(16, 16), (64, 64)], bitmap_format=how)
        np.testing.assert_array_equal(read_image(path), np.asarray(icon))
        assert image_size(path) == (64, 64)


def test_icons_keep_the_limit(tmp_path: Path) -> None:
    stream, path = io.BytesIO(), tmp_path / "a.ico"
    PillowImage.new("L", (3000, 2000)).save(stream, "PNG")
    entry = struct.pack("<BBBBHHII", 32, 32, 0, 0, 1, 32, len(stream.getvalue()), 22)
    path.write_bytes(struct.pack("<HHH", 0, 1, 1) + entry + stream.getvalue())
    with pytest.raises(UnreadableImageError, match="3000x2000 pixels, more than the limit"):
        read_image(path, max_pixels=10**6)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
@pytest.mark.parametrize("compression", [None, "tga_rle"])
def test_targa(
    tmp_path: Path, photo: PillowImage.Image, mode: str, compression: str | None
) -> None:
    path = tmp_path / "a.tga"
    photo.convert(mode).save(path, compression=compression)
    expected = np.asarray(photo.convert(mode).convert("RGB"))
    np.testing.assert_array_equal(read_image(path), expected)


def test_raw_photos_are_named(tmp_path: Path) -> None:
    """A preview in a TIFF container must not be taken for the photo."""
    preview = np.zeros((12, 16, 3), np.uint8)
    makers = {"DNG": "", "Nikon NEF": "NIKON CORPORATION", "Sony ARW": "SONY"}
    for kind, maker in makers.items():
        tags: list[Any] = [(271, "s", 0, maker or "X", True)]
        if kind == "DNG":
            tags.append((50706, "B", 4, (1, 4, 0, 0), True))
        path = tmp_path / "a.tif"
        with tifffile.TiffWriter(path) as file:
            how: dict[str, Any] = {"photometric": "rgb", "subfiletype": 1}
            file.write(preview, subifds=1, extratags=tags, **how)
            file.write(preview[..., 0], photometric="cfa")
        if importlib.util.find_spec("rawpy") is None:
            with pytest.raises(UnreadableImageError, match=rf"cannot read {kind} .*icas\[raw\]"):
                read_image(path)


def test_heif(tmp_path: Path, photo: PillowImage.Image) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()  # for saving
    path = tmp_path / "a.heic"
    exif = PillowImage.Exif()
    exif[274] = 6
    photo.save(path, quality=95, exif=exif.tobytes())
    expected = np.rot90(np.asarray(photo), -1).astype(int)
    assert np.abs(read_image(path) - expected).mean() < 6
    assert image_size(path) == expected.shape[1::-1]
    with pytest.raises(UnreadableImageError, match="more than the limit"):
        read_image(path, max_pixels=1000)


def test_raw_photo(tmp_path: Path) -> None:
    rawpy = pytest.importorskip("rawpy")
    path = tmp_path / "a.dng"
    sensor = np.random.default_rng(0).integers(1000, 60000, (64, 96), dtype=np.uint16)
    colors = tuple(part for one in np.eye(3, dtype=int).flat for part in (int(one), 1))
    tags: list[Any] = [
        (50706, "B", 4, (1, 4, 0, 0), True),
        (271, "s", 0, "maker", True),
        (272, "s", 0, "camera", True),
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, (0, 1, 1, 2), True),
        (50721, "2i", 9, colors, True),
        (50778, "H", 1, 21, True),
        (50728, "2I", 3, (1, 1) * 3, True),
        (50717, "H", 1, 65535, True),
    ]
    tifffile.imwrite(path, sensor, photometric="cfa", extratags=tags)
    with rawpy.imread(str(path)) as raw:
        expected = raw.postprocess(use_camera_wb=True)
    np.testing.assert_array_equal(read_image(path), expected)
    assert image_size(path) == (96, 64)
    with pytest.raises(UnreadableImageError, match="96x64 pixels, more than the limit"):
        read_image(path, max_pixels=1000)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(UnreadableImageError):
        read_image(path)
