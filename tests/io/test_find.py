"""Finding images: by suffix and content, in natural order, whatever else lies in the folder."""

from __future__ import annotations

import os
import random
import socket
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image as PillowImage

from icas.common.errors import UnreadableImageError, UsageError
from icas.io.find import (
    COMPANION_SUFFIXES,
    IMAGE_SUFFIXES,
    find_files,
    find_images,
    natural_key,
    why_not_an_image,
)
from icas.io.formats import describe_content, image_kind
from icas.io.reading import read_image

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a49444154789c6360000000020001e221bc330000000049454e44ae426082"
)


def make(folder: Path, *names: str, data: bytes = PNG) -> None:
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def names(folder: Path, **how: object) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in find_images(folder, **how)]  # type: ignore[arg-type]


def test_natural_order(tmp_path: Path) -> None:
    wanted = ["a2.png", "A10.png", "b 1.jpg", "img1.png", "img02.png", "img2.png", "img10.png"]
    shuffled = wanted[:]
    random.Random(1).shuffle(shuffled)
    make(tmp_path, *shuffled)
    assert names(tmp_path) == wanted


def test_folders_are_compared_part_by_part(tmp_path: Path) -> None:
    wanted = ["a/10.png", "a2/x2.png", "a2/x10.png", "a10/x1.png", "a b/1.png", "b.png"]
    make(tmp_path, *wanted)
    assert names(tmp_path, recursive=True) == wanted
    assert names(tmp_path) == ["b.png"]


name_texts = st.text(
    st.characters(exclude_characters="/\\\0", exclude_categories=()), min_size=1, max_size=8
).filter(lambda text: text not in (".", "..") and ":" not in text)


@given(st.lists(st.lists(name_texts, min_size=1, max_size=3).map(os.sep.join), unique=True))
def test_the_order_is_total(paths: list[str]) -> None:
    try:
        for path in paths:
            os.fsencode(path)
    except UnicodeEncodeError:
        return  # half a letter that no file name can hold
    backwards = paths[::-1]
    backwards.sort(key=natural_key)
    assert backwards == sorted(paths, key=natural_key)
    assert len({natural_key(path) for path in paths}) == len(paths)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_numbers_are_ordered_by_value(a: int, b: int) -> None:
    assert (natural_key(f"x{a}.png") < natural_key(f"x{b}.png")) == (a < b)


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_suffixes_whatever_their_case(tmp_path: Path, suffix: str) -> None:
    make(tmp_path, f"a{suffix}", f"b{suffix.upper()}", f"c{suffix.title()}", data=b"")
    assert len(find_images(tmp_path)) == 3


def test_the_promised_suffixes() -> None:
    promised = [
        "jpg",
        "jpeg",
        "jpe",
        "png",
        "bmp",
        "tif",
        "tiff",
        "webp",
        "gif",
        "jp2",
        "ppm",
        "pgm",
        "pbm",
    ]
    assert {f".{name}" for name in promised} == IMAGE_SUFFIXES
    assert not IMAGE_SUFFIXES & COMPANION_SUFFIXES


def test_content_decides_where_the_suffix_says_nothing(tmp_path: Path) -> None:
    make(tmp_path, "noext", "jpg", "odd.xyz", "dots..", "copy.png~")
    make(tmp_path, "plain", "film.mp4", "empty", data=b"")
    make(tmp_path, "notes.txt", "Thumbs.db", "README", "labels.CSV")
    found = find_files(tmp_path)
    assert {path.name for path in found.images} == {
        "noext",
        "jpg",
        "odd.xyz",
        "dots..",
        "copy.png~",
    }
    assert [path.name for path in found.others] == ["empty", "film.mp4", "plain"]
    assert {why_not_an_image(path) for path in found.others} == {"empty file"}
    assert len(found.ignored) == 4


def test_hidden_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, ".a.png", ".icas/b.png", "c.png", "sub/.d.png", "sub/e.png")
    assert names(tmp_path, recursive=True) == ["c.png", "sub/e.png"]


def test_excluded_folder_is_not_entered(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "done/b.png", "sub/done/c.png")
    found = find_files(tmp_path, recursive=True, exclude=tmp_path / "sub" / ".." / "done")
    assert [path.name for path in found.images] == ["a.png", "c.png"]
    assert len(find_files(tmp_path, recursive=True, exclude=tmp_path / "none").images) == 3


def test_names_with_everything(tmp_path: Path) -> None:
    odd = ["-rf.png", " lead.png", "new\nline.png", "tab\t.png", "ünï.png", "日本.png", "[a]*?.png"]
    made = []
    for name in odd:
        try:
            make(tmp_path, name)
        except OSError:
            continue
        made.append(name)
    assert sorted(names(tmp_path)) == sorted(made)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow UTF-8 names alone")
def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff\xfe.png"))).write_bytes(PNG)
    [found] = find_images(tmp_path)
    assert os.fsencode(found.name) == b"bad\xff\xfe.png"
    assert read_image(found).shape == (1, 1, 3)


def link(place: Path, target: Path) -> None:
    try:
        place.symlink_to(target, target_is_directory=target.is_dir())
    except OSError:
        pytest.skip("links can't be made here")


def test_links(tmp_path: Path) -> None:
    make(tmp_path, "real/a.png")
    link(tmp_path / "to_file.png", tmp_path / "real" / "a.png")
    link(tmp_path / "to_folder", tmp_path / "real")
    link(tmp_path / "real" / "loop", tmp_path)
    link(tmp_path / "folder.png", tmp_path / "real")
    link(tmp_path / "broken.png", tmp_path / "nothing")
    link(tmp_path / "self.png", tmp_path / "self.png")
    assert names(tmp_path, recursive=True) == [
        "broken.png",
        "real/a.png",
        "self.png",
        "to_file.png",
    ]
    assert read_image(tmp_path / "to_file.png").shape == (1, 1, 3)
    for name in ("broken.png", "self.png"):
        with pytest.raises(UnreadableImageError, match="link"):
            read_image(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_and_sockets_are_told_and_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    os.mkfifo("pipe.png")
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.jpg")
        found = find_files(tmp_path)
        assert [path.name for path in found.images] == ["pipe.png", "socket.jpg"]
        assert [path.name for path in found.others] == ["pipe"]
        assert why_not_an_image(tmp_path / "pipe") == "not a regular file (a named pipe)"
        for path in found.images:
            with pytest.raises(UnreadableImageError, match="not a regular file"):
                read_image(path)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no devices here")
def test_devices_are_not_read() -> None:
    with pytest.raises(UnreadableImageError, match="a device"):
        read_image("/dev/zero")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_what_may_not_be_read_is_told(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b", "closed/c.png")
    for name in ("a.png", "b", "closed"):
        (tmp_path / name).chmod(0)
    try:
        found = find_files(tmp_path, recursive=True)
        assert [path.name for path in found.images] == ["a.png"]
        assert [path.name for path in found.others] == ["b", "closed"]
        assert all("permission denied" in why_not_an_image(path) for path in found.others)
        with pytest.raises(UnreadableImageError, match="permission denied"):
            read_image(tmp_path / "a.png")
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    with pytest.raises(UsageError, match="no folder"):
        find_images(tmp_path / "nothing")
    with pytest.raises(UsageError, match="is a file"):
        find_images(tmp_path / "a.png")
    with pytest.raises(UsageError, match="cannot read"):
        find_images("nul\0")


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "empty file"),
        (b"  <!DOCTYPE HTML><p>", "not an image (a web page (HTML))"),
        (b'<?xml version="1.0"?>\n<svg xmlns=', "not an image (an SVG drawing): convert it to PNG"),
        (b'<?xml version="1.0"?>\n<a/>', "not an image (XML)"),
        (b"%PDF-1.7", "not an image (a PDF document)"),
        (b"\0" * 512, "not an image (only zero bytes)"),
        ("grüße".encode(), "not an image (text)"),
        (b"\0\0\0\x20ftypisom", "not an image (a video)"),
        (b"\x01\x02\x03\xff", "not an image (unknown format)"),
        (b"%!PS-Adobe-3.0", "not an image (a PostScript document)"),
        (b"\x93NUMPY\1\0", "not an image (a NumPy array): save it as PNG or TIFF"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "not an image (a Git LFS pointer): git lfs pull gets the image",
        ),
    ],
)
def test_words_for_what_is_no_image(head: bytes, words: str) -> None:
    assert image_kind(head) is None
    assert describe_content(head) == words


@pytest.mark.parametrize("suffix", ["dds", "icns", "pcx", "sgi", "qoi"])
def test_formats_of_other_programs_are_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    PillowImage.new("RGB", (64, 64), (200, 10, 10)).save(path)
    with pytest.raises(UnreadableImageError, match=f"cannot read {suffix.upper()} images: convert"):
        read_image(path)


@pytest.mark.parametrize(("suffix", "kind"), [("hdr", "Radiance HDR"), ("pfm", "PFM")])
def test_formats_of_opencv_are_named(tmp_path: Path, suffix: str, kind: str) -> None:
    path = tmp_path / f"a.{suffix}"
    assert cv2.imwrite(str(path), np.full((20, 30, 3), 0.5, np.float32))
    with pytest.raises(UnreadableImageError, match=f"cannot read {kind} images: convert"):
        read_image(path)


@given(st.binary(max_size=600))
def test_any_bytes_have_words(head: bytes) -> None:
    assert image_kind(head) is None or head
    assert describe_content(head)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"BMW is a make of cars, and more text", None),
        (b"P1 is the first label", None),
        (b"P1\n# by hand\n3 2", "PNM"),
        (b"P632 358", None),
        (b"Pf\n3 2\n-1.0\n", "PNM"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf", "HEIF"),
        (b"RIFF\0\0\0\0WAVEfmt ", None),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "Canon CR3"),
        (b"\xff\x0a\0\0", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"FUJIFILMCCD-RAW 0201FF", "Fuji RAF"),
        (b"IIU\0\x18\0\0\0", "Panasonic RW2"),
        (b"IIRO\x08\0\0\0", "Olympus ORF"),
        (b"v/1\x01\x02\0\0\0", "OpenEXR"),
        (bytes(128) + b"DICM", "DICOM"),
        (b"8BPS\0\1" + bytes(20), "PSD"),
        (b"8BPS\0\2" + bytes(20), "Photoshop PSB"),
        (b"\0\0\1\0\1\0" + bytes(16), "ICO"),
        (b"\0\0\2\0\1\0" + bytes(16), None),
        (bytes(2) + b"\2" + bytes(9) + b"\5\0\4\0\x18\x20", "TGA"),
        (bytes(2) + b"\2" + bytes(9) + b"\5\0\4\0\x17\x20", None),
    ],
)
def test_kinds(head: bytes, kind: str | None) -> None:
    assert image_kind(head) == kind
