"""File formats by their first bytes."""

from __future__ import annotations

import errno
import os
import re
import stat
import struct
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
    b"8BPS\0\1": "PSD",
    b"8BPS\0\2": "Photoshop PSB",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"v/1\x01": "OpenEXR",
    b"FUJIFILMCCD-RAW": "Fuji RAF",
    b"IIU\0": "Panasonic RW2",
    b"IIRO": "Olympus ORF",
    b"IIRS": "Olympus ORF",
    b"MMOR": "Olympus ORF",
    b"\0MRM": "Minolta MRW",
    b"FOVb": "Sigma X3F",
    b"#?RADIANCE": "Radiance HDR",
    b"#?RGBE": "Radiance HDR",
    b"PF\n": "PFM",
    b"PF\r\n": "PFM",
    b"DDS \x7c\0\0\0": "DDS",
    b"icns\0": "ICNS",
    b"qoif\0": "QOI",
    b"SDPX": "DPX",
    b"XPDS": "DPX",
    b"FLIF": "FLIF",
    b"BPG\xfb": "BPG",
    b"II\xbc\x01": "JPEG XR",
    b"AT&TFORM": "DjVu",
    b"gimp xcf ": "GIMP XCF",
    b"\xd7\xcd\xc6\x9a": "WMF",
    b"SIMPLE  =": "FITS",
    b"\x01\xda\0\1": "SGI",
    b"\x01\xda\1\1": "SGI",
    b"\x0a\5\1\x08": "PCX",
}
RAW_KINDS = frozenset(
    (
        *("Canon CR2", "Canon CR3", "DNG", "Nikon NEF", "Sony ARW", "Pentax PEF", "SRW"),
        *("Fuji RAF", "Panasonic RW2", "Olympus ORF", "Minolta MRW", "Sigma X3F"),
        "camera RAW",
    )
)
"""Formats of cameras that hold sensor data."""
_CURES = {
    "HEIF": "pip install 'icas[heif]', or convert them to JPEG or PNG",
    "AVIF": "pip install 'icas[heif]', or convert them to JPEG or PNG",
    "Photoshop PSB": "save them as PSD, PNG or JPEG",
    "OpenEXR": "convert them to TIFF or PNG",
    "DICOM": "export them as PNG from a DICOM viewer",
    "NIfTI": "export slices of them as PNG",
    "FITS": "convert them to TIFF or PNG",
    "DPX": "convert them to TIFF or PNG",
    "PFM": "convert them to TIFF or PNG",
    "Radiance HDR": "convert them to TIFF or PNG",
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
    b"%!PS": "a PostScript document",
    b"\x93NUMPY": "a NumPy array",
    b"\x89HDF\r\n": "an HDF5 file",
    b"PAR1": "a Parquet table",
    b"MZ": "an executable",
    b"\0\5\x16\7": "macOS metadata",
    b"\0\5\x16\0": "macOS metadata",
    b"version https://git-lfs": "a Git LFS pointer",
}
_SVG = "an SVG drawing"
_CONTENT_CURES = {
    _SVG: "convert it to PNG",
    "a NumPy array": "save it as PNG or TIFF",
    "a Git LFS pointer": "git lfs pull gets the image",
}
_MARKUP = re.compile(rb"<(!doctype html|html|head|body|\?xml|svg)", re.IGNORECASE)


def image_kind(head: bytes) -> str | None:
    """The image format that begins with `head`, such as JPEG, TIFF or Canon CR3; None: no image.

    RAW photos in a TIFF container are TIFF here.
    """
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
    if head[128:132] == b"DICM":
        return "DICOM"
    if head[344:348] in (b"n+1\0", b"ni1\0"):
        return "NIfTI"
    if head[40:44] == b" EMF" and head[:4] == b"\1\0\0\0":
        return "EMF"
    if head[:4] == b"\0\0\1\0" and 0 < int.from_bytes(head[4:6], "little") <= 256:
        return "ICO" if len(head) >= 22 and head[9] == 0 else None
    return _box_kind(head) or _tga_kind(head)


def why_not_read(kind: str) -> str:
    """Reason why an image of a known format is not read, and what helps."""
    what = f"{kind} photos" if kind in RAW_KINDS else f"{kind} images"
    cure = "pip install 'icas[raw]', or convert them to JPEG or PNG"
    if kind not in RAW_KINDS:
        cure = _CURES.get(kind, "convert them to JPEG or PNG")
    return f"cannot read {what}: {cure}"


def _tga_kind(head: bytes) -> str | None:
    """TGA, which has no mark at its start: every field of the header must make sense."""
    if len(head) < 18:
        return None
    has_map, kind, start, length, bits, *_ = struct.unpack_from("<xBBHHB", head)
    width, height, depth, flags = struct.unpack_from("<HHBB", head, 12)
    if kind in (1, 9):
        fits = has_map == 1 and bits in (15, 16, 24, 32) and 0 < length <= 256 and depth == 8
        fits = fits and start < 256
    else:
        depths = {2: (16, 24, 32), 10: (16, 24, 32), 3: (8, 16), 11: (8, 16)}
        fits = head[1] == 0 and head[3:8] == bytes(5) and depth in depths.get(kind, ())
    return "TGA" if fits and width and height and flags < 64 else None


def _box_kind(head: bytes) -> str | None:
    """AVIF, HEIF or CR3 by the brands in the first box; videos share the container."""
    if head[4:8] != b"ftyp":
        return None
    if head[8:12] == b"crx ":
        return "Canon CR3"
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
    content = content or _describe_bytes(head)
    cure = _CONTENT_CURES.get(content)
    return f"not an image ({content})" + (f": {cure}" if cure else "")


def _describe_bytes(head: bytes) -> str:
    markup = _MARKUP.search(head)
    if markup:
        name = markup.group(1).lower()
        if name == b"svg" or b"<svg" in head:
            return _SVG
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
