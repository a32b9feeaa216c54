"""File formats by their first bytes."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

from icas.common.errors import UnreadableImageError

HEAD_BYTES = 512
"""Bytes at the start of a file that are examined: the mark of a tar archive is at byte 257."""

_STARTS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG2000",
    b"\xff\x4f\xff\x51": "JPEG2000",
    b"8BPS": "PSD",
}
_BMP_HEADER_SIZES = (12, 16, 40, 52, 56, 64, 108, 124)
_AVIF_BRANDS = (b"avif", b"avis")
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")

_NOT_IMAGES = {
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a compressed file",
    b"BZh": "a compressed file",
    b"\xfd7zXZ": "a compressed file",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\x7fELF": "an executable",
    b"\x1aE\xdf\xa3": "a video",
    b"OggS": "video or audio",
    b"ID3": "audio",
}
_MARKUP = re.compile(rb"<(!doctype html|html|head|body|\?xml|svg)", re.IGNORECASE)


def image_kind(head: bytes) -> str | None:
    """JPEG, PNG, GIF, BMP, TIFF, WEBP, JPEG2000, PNM, AVIF, HEIF or PSD; None: none of them."""
    for start, kind in _STARTS.items():
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if re.match(rb"P[1-6f](\s*#|\s+[0-9])", head):
        return "PNM"
    # Two letters are not enough: texts may begin with BM.
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES:
        return "BMP"
    return _box_kind(head)


def _box_kind(head: bytes) -> str | None:
    """AVIF or HEIF by the brands in the first box; films share the container, not the brands."""
    if head[4:8] != b"ftyp":
        return None
    size = int.from_bytes(head[:4], "big")
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(size, len(head)), 4))]
    if brands[0] in _AVIF_BRANDS:
        return "AVIF"
    if brands[0] not in _HEIF_BRANDS:
        return None
    return "AVIF" if any(brand in _AVIF_BRANDS for brand in brands) else "HEIF"


def describe_content(head: bytes) -> str:
    """Reason why a file with these first bytes is no image: ``not an image (text)``."""
    if not head:
        return "empty file"
    content = next((word for start, word in _NOT_IMAGES.items() if head.startswith(start)), None)
    return f"not an image ({content or _describe_bytes(head)})"


def _describe_bytes(head: bytes) -> str:
    markup = _MARKUP.search(head)
    if markup:
        name = markup.group(1).lower()
        if name == b"svg" or b"<svg" in head:
            return "an SVG drawing"
        return "XML" if name == b"?xml" else "a web page (HTML)"
    if head[257:262] == b"ustar":
        return "a TAR archive"
    if head[4:8] == b"ftyp":
        return "a video"
    if not head.strip(b"\0"):
        return "only zero bytes"
    return "text" if _is_text(head) else "unknown format"


def _is_text(head: bytes) -> bool:
    if any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head):
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= HEAD_BYTES - 4  # a letter may be cut by the end of the head
    return True


def require_file(path: str | os.PathLike[str]) -> os.stat_result:
    """The status of the regular file at `path`, else an UnreadableImageError.

    Checked before opening, which would wait for ever for the writer of a named pipe.
    """
    try:
        status = Path(path).stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP) and Path(path).is_symlink():
            raise UnreadableImageError("broken link") from error
        raise UnreadableImageError(os_reason(error)) from error
    except ValueError as error:
        raise UnreadableImageError(f"invalid file name: {error}") from error
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableImageError(f"not a regular file ({_type_name(status.st_mode)})")
    return status


def _type_name(mode: int) -> str:
    names = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return names.get(stat.S_IFMT(mode), "something else")


def os_reason(error: OSError) -> str:
    """The system's message for `error`, without the file name: ``permission denied``."""
    return (error.strerror or str(error) or type(error).__name__).lower()


def read_head(path: str | os.PathLike[str]) -> bytes:
    """The first bytes of the regular file at `path`."""
    if require_file(path).st_size == 0:
        return b""  # not opened: reading such a file of the system (/proc) may never end
    try:
        with Path(path).open("rb", buffering=0) as file:
            return file.read(HEAD_BYTES)
    except OSError as error:
        raise UnreadableImageError(os_reason(error)) from error
