"""Every file of the set `badinputs`: what must be read, how it must look, and what is refused."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tarfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import features

from icas.common.errors import UnreadableImageError
from icas.io.find import find_files, find_images, why_not_an_image
from icas.io.reading import image_size, read_image, resize, thumbnail

PHOTO = (321, 481)
SCENE = (1600, 1004)

READABLE = {
    "12bit.cropped.tif": (100, 100),
    "1x1.png": (1, 1),
    "1x1_L.png": (1, 1),
    "1xN.png": (1, 300),
    "2x3.jpg": (2, 3),
    "Nx1.png": (400, 1),
    "UPPER.JPG": PHOTO,
    "animated.gif": (120, 80),
    "animated.webp": (120, 80),
    "apng_dispose_op_background.png": (128, 64),
    "avif_hopper.avif": (128, 128),
    "bilevel.png": PHOTO,
    "bitrot.jpg": PHOTO,
    "black.png": (320, 240),
    "cmyk.jpg": PHOTO,
    "dispose_bgnd.gif": (100, 100),
    "exif3.jpg": PHOTO,
    "exif6.jpg": PHOTO,
    "float32.tif": PHOTO,
    "grey16.png": PHOTO,
    "hopper.psd": (128, 128),
    "hopper_16bit.pgm": (128, 128),
    "hopper_bad_exif.jpg": (500, 500),
    "hopper_orientation_3.webp": (128, 128),
    "hopper_orientation_6.jpg": (128, 128),
    "jpeg_ff00_header.jpg": (300, 225),
    "jpeg_named.png": PHOTO,
    "la.png": PHOTO,
    "lab.tif": (10, 10),
    "multipage.tif": PHOTO,
    "no_palette.gif": (1, 1),
    "noext": PHOTO,
    "palette.png": PHOTO,
    "pil_sample_cmyk.jpg": (100, 100),
    "png_named.jpg": PHOTO,
    "progressive.jpg": PHOTO,
    "rgb16.png": PHOTO,
    "rgba.png": PHOTO,
    "rgba_transparent.png": PHOTO,
    "sugarshack.mpo": (640, 480),
    "tRNS_null_1x1.png": (1, 1),
    "te_1.png": SCENE,
    "te_CMYK.jpg": SCENE,
    "te_F.webp": SCENE,
    "te_LAB.webp": SCENE,
    "te_P.png": SCENE,
    "tiff_16bit_RGB.tiff": (100, 40),
    "white.jpg": (320, 240),
}

REFUSED = {
    "avif_hopper.heif": "cannot read HEIF images",
    "badcrc.png": "damaged",
    "bmp_b_reallybig.bmp": "header declares 3000000x2000000 pixels, more than the limit",
    "bmp_b_shortfile.bmp": "truncated",
    "bomb_header.png": "header declares 60000x60000 pixels, more than the limit of 178,956,970",
    "bomb_real.png": "header declares 14000x14000 pixels, more than the limit of 178,956,970",
    "broken.png": "damaged",
    "broken_data_stream.png": "damaged",
    "folder_named.jpg": "not a regular file (a folder)",
    "hopper.tar": "not an image",
    "html.png": "not an image (a web page (HTML))",
    "negative_size.ppm": "not an image",
    "oom-225817ca0f8c663be7ab4b9e717b02c661e66834.tif": "damaged",
    "png_decompression_dos.png": "damaged",
    "random.bin.jpg": "not an image",
    "text.jpg": "not an image (text)",
    "truncated_half.jpg": "truncated",
    "truncated_half.png": "truncated",
    "truncated_header.jpg": "truncated",
    "truncated_tail.jpg": "truncated",
    "zero.jpg": "empty file",
    "zero.png": "empty file",
}

if importlib.util.find_spec("PIL.AvifImagePlugin") is None or not features.check("avif"):
    del READABLE["avif_hopper.avif"]
    REFUSED["avif_hopper.avif"] = "unsupported variant"

if importlib.util.find_spec("pillow_heif") is not None:
    del REFUSED["avif_hopper.heif"]
    READABLE["avif_hopper.heif"] = (128, 128)

LARGE = {"bomb_warn.png": (10_000, 9_500)}


@pytest.fixture(scope="module")
def files(bad_inputs: Path) -> Path:
    return bad_inputs / "files"


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference in gray levels."""
    assert a.shape == b.shape
    return float(np.abs(a.astype(np.int16) - b.astype(np.int16)).mean())


def gray(image: np.ndarray) -> np.ndarray:
    level = image @ np.array([0.299, 0.587, 0.114])
    return np.repeat(np.rint(level).astype(np.uint8)[..., None], 3, axis=2)


def test_every_file_of_the_set_is_judged(files: Path) -> None:
    assert {path.name for path in files.iterdir()} == {*READABLE, *REFUSED, *LARGE}


@pytest.mark.parametrize("name", READABLE)
def test_readable(files: Path, name: str) -> None:
    path = files / name
    image = read_image(path)
    width, height = READABLE[name]
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image.flags.owndata
    assert image.flags.writeable
    assert image_size(path) == (width, height)


@pytest.mark.parametrize("name", READABLE)
def test_thumbnail_is_the_picture_made_small(files: Path, name: str) -> None:
    small = thumbnail(files / name, 64)
    assert max(small.shape[:2]) == min(64, max(READABLE[name]))
    whole = read_image(files / name)
    assert difference(small, resize(whole, (small.shape[1], small.shape[0]))) < 8


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_a_reason(files: Path, name: str) -> None:
    for read in (read_image, lambda path: thumbnail(path, 64)):
        with pytest.raises(UnreadableImageError) as caught:
            read(files / name)
        reason = str(caught.value)
        assert reason.startswith(REFUSED[name])
        assert "\n" not in reason
        assert len(reason) < 160


@pytest.mark.parametrize("name", [*READABLE, *REFUSED])
def test_size_never_fails_in_another_way(files: Path, name: str) -> None:
    try:
        width, height = image_size(files / name)
    except UnreadableImageError:
        assert name in REFUSED
    else:
        assert width >= 1
        assert height >= 1


def test_nothing_is_printed_or_warned(
    files: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    before = list(warnings.filters)
    for path in sorted(files.iterdir()):
        if path.name not in LARGE:
            try:
                read_image(path)
            except UnreadableImageError:
                continue
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list
    assert list(warnings.filters) == before


def test_threads_get_what_one_gets(files: Path) -> None:
    names = sorted(READABLE) * 2

    def read(name: str) -> np.ndarray:
        return read_image(files / name)

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(read, names))
    for name, image in zip(names, together, strict=True):
        np.testing.assert_array_equal(image, read(name))


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("noext", 0.0),
        ("jpeg_named.png", 0.0),
        ("png_named.jpg", 0.0),
        ("rgb16.png", 0.0),
        ("multipage.tif", 0.0),
        ("exif3.jpg", 6.0),
        ("exif6.jpg", 6.0),
        ("progressive.jpg", 6.0),
        ("cmyk.jpg", 4.0),
        ("palette.png", 12.0),
    ],
)
def test_shows_the_photograph(files: Path, name: str, most: float) -> None:
    photo = read_image(files / "UPPER.JPG")
    assert difference(read_image(files / name), photo) <= most
    assert difference(photo[::-1, ::-1], photo) > 30


@pytest.mark.parametrize("name", ["grey16.png", "float32.tif"])
def test_deep_gray_is_the_photograph_in_gray(files: Path, name: str) -> None:
    assert difference(read_image(files / name), gray(read_image(files / "UPPER.JPG"))) <= 1.0


def test_alpha_lies_over_white(files: Path) -> None:
    from PIL import Image as PillowImage

    assert (read_image(files / "rgba_transparent.png") == 255).all()
    for name in ("rgba.png", "la.png"):
        picture = PillowImage.open(files / name).convert("RGBA")
        white = PillowImage.new("RGBA", picture.size, "white")
        expected = np.asarray(PillowImage.alpha_composite(white, picture).convert("RGB"))
        found = read_image(files / name)
        assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("name", ["te_1.png", "te_CMYK.jpg", "te_LAB.webp", "te_P.png"])
def test_one_scene_in_many_modes(files: Path, name: str) -> None:
    one = gray(resize(read_image(files / "te_F.webp"), (100, 63)))
    other = gray(resize(read_image(files / name), (100, 63)))
    assert difference(one, other) < 12
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.97


@pytest.mark.parametrize("name", ["12bit.cropped.tif", "grey16.png", "hopper_16bit.pgm"])
def test_deep_gray_against_opencv(files: Path, name: str) -> None:
    cv2 = pytest.importorskip("cv2")
    deep = cv2.imread(str(files / name), cv2.IMREAD_UNCHANGED)
    assert deep.dtype == np.uint16
    np.testing.assert_array_equal(read_image(files / name)[..., 0], deep >> 8)


@pytest.mark.parametrize("name", ["rgb16.png", "tiff_16bit_RGB.tiff"])
def test_deep_colour_against_opencv(files: Path, name: str) -> None:
    cv2 = pytest.importorskip("cv2")
    deep = cv2.imread(str(files / name), cv2.IMREAD_UNCHANGED)[..., ::-1]
    np.testing.assert_array_equal(read_image(files / name), deep >> 8)


def test_float_against_tifffile(files: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    values = tifffile.imread(files / "float32.tif")
    np.testing.assert_array_equal(
        read_image(files / "float32.tif")[..., 0], np.rint(values.astype(float) * 255)
    )


def test_adobe_cmyk_is_not_inverted(files: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    expected = cv2.imread(str(files / "pil_sample_cmyk.jpg"))[..., ::-1]
    assert difference(read_image(files / "pil_sample_cmyk.jpg"), expected) < 2


def test_orientation_against_opencv(files: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    for name in ("hopper_orientation_6.jpg", "exif3.jpg", "exif6.jpg"):
        expected = cv2.imread(str(files / name), cv2.IMREAD_COLOR)[..., ::-1]
        assert difference(read_image(files / name), expected) < 1


def test_folder_is_found_whole(files: Path) -> None:
    found = find_files(files)
    names = {path.name for path in found.images}
    listed = {*READABLE, *REFUSED, *LARGE} - {"folder_named.jpg", "hopper.tar"}
    assert names == listed
    assert [path.name for path in found.others] == ["hopper.tar"]
    assert why_not_an_image(found.others[0]).startswith("not an image")
    assert found.ignored == []


def test_awkward_names(bad_inputs: Path) -> None:
    folder = bad_inputs / "names"
    found = find_images(folder)
    assert {path.name for path in found} == {
        path.name for path in folder.iterdir() if path.name != ".hidden.jpg"
    }
    first = read_image(found[0])
    assert first.shape == (107, 160, 3)
    assert all(np.array_equal(first, read_image(path)) for path in found)


def test_names_that_break_checkouts(bad_inputs: Path, tmp_path: Path) -> None:
    made = []
    with tarfile.open(
        bad_inputs / "names_hard.tar", encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for member in archive.getmembers():
            data = archive.extractfile(member)
            if data is None:
                continue
            target = tmp_path / member.name
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data.read())
            except (OSError, ValueError):
                continue  # this file system refuses the name
            if target.is_file():
                made.append(target)
    assert sorted(find_images(tmp_path, recursive=True)) == sorted(made)
    assert sorted(find_images(tmp_path)) == sorted(p for p in made if p.parent == tmp_path)
    for path in made:
        assert read_image(path).shape == (107, 160, 3)


PEAK = """
import resource, sys, threading
from icas.common.errors import UnreadableImageError
from icas.io.reading import read_image
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
def read(name):
    try:
        read_image(name)
    except UnreadableImageError:
        pass
read(sys.argv[1])
start = peak()
threads = [threading.Thread(target=read, args=(name,)) for name in sys.argv[2:]]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print((peak() - start) / (1024 * 1024 if sys.platform == "darwin" else 1024))
"""


def peak_mb(warm_up: Path, *paths: Path) -> float:
    """MiB that reading `paths`, a thread each, adds to a process that has read `warm_up`."""
    pytest.importorskip("resource")
    source = Path(__file__).resolve().parents[2] / "src"
    environment = {**os.environ, "PYTHONPATH": str(source)}
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(warm_up), *map(str, paths)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stderr == ""
    return float(done.stdout)


def test_bombs_take_no_memory(files: Path) -> None:
    bombs = [name for name in REFUSED if name.startswith(("bomb", "bmp_b_really", "oom"))]
    assert len(bombs) == 4
    assert peak_mb(files / "1x1.png", *(files / name for name in bombs)) < 30


def test_largest_allowed_takes_little_more_than_its_pixels(files: Path) -> None:
    # 95 megapixels: gray within Pillow takes 91 MiB, the RGB that comes out 272; two at once
    assert peak_mb(files / "1x1.png", *[files / "bomb_warn.png"] * 2) < 2 * (91 + 272) + 60
