"""Images of a run, where their files go, and their records in ``NAME.json``."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from icas._version import __version__
from icas.common.errors import ConflictError, IcasError, UnreadableImageError, UsageError
from icas.io.files import beside
from icas.io.find import find_images
from icas.io.formats import os_reason, require_file
from icas.io.reading import Image
from icas.io.text import decode_text
from icas.segmentimg.segmenters import Segmenter

Record = dict[str, Any]
OTHER_RECORD = ".icas.json"
"""Ending of the record where the usual name is taken."""
_LABELME_KEYS = {"imagePath", "imageData", "imageHeight", "imageWidth"}


@dataclass(frozen=True)
class ImageFile:
    """An image file, and where its results go.

    Names of results begin with `name`: the file's name without its suffix, or with it where
    another image of the folder would have the same name.
    """

    path: Path
    out: Path
    name: str

    def file(self, ending: str) -> Path:
        """``out/NAME_segments.png`` for ``_segments.png``."""
        return self.out / f"{self.name}{ending}"

    @property
    def record_file(self) -> Path:
        """NAME.json; NAME.icas.json in a folder where labelme has written NAME.json."""
        usual, second = self.file(".json"), self.file(OTHER_RECORD)
        return second if second.exists() or is_annotation(usual) else usual


def find_image_files(
    paths: Sequence[str | Path], out: Path | None = None, recursive: bool = False
) -> list[ImageFile]:
    """The images of files and folders, in order, each once.

    Raises UsageError for a path that does not exist and for two images of one name in `out`, and
    IcasError where there are no images.
    """
    files: dict[Path, None] = {}
    whole: dict[Path, list[Path]] = {}
    for path in map(Path, paths):
        if not path.exists() and not path.is_symlink():
            raise UsageError(f"{path} does not exist")
        images = find_images(path, recursive=recursive) if path.is_dir() else [path]
        if path.is_dir() and not recursive:
            whole[path] = images
        files.update(dict.fromkeys(images))
    if not files:
        raise IcasError(f"no images in {', '.join(map(str, paths))}")
    stems: Counter[tuple[Path, str]] = Counter()
    given: dict[Path, list[Path]] = {}
    for path in files:
        given.setdefault(path.parent, []).append(path)
    for folder, named in given.items():  # all its images count, also those not named
        images = whole[folder] if folder in whole else find_images(folder)
        stems.update((folder, path.stem.casefold()) for path in {*images, *named})
    outs = {folder: out or beside(folder, "_segmented") for folder in given}
    real = {folder: os.path.realpath(target) for folder, target in outs.items()}
    pictures, seen = [], dict[tuple[str, str], Path]()
    for path in files:
        unique = stems[path.parent, path.stem.casefold()] == 1
        name = path.stem if unique else path.name
        picture = ImageFile(path, outs[path.parent], name)
        key = (real[path.parent], picture.name.casefold())
        if key in seen:
            raise UsageError(
                f"{seen[key]} and {picture.path} would write the same files in {picture.out}:"
                " leave out --out, or process each folder into its own --out"
            )
        seen[key] = picture.path
        pictures.append(picture)
    return pictures


def read_json(path: Path, error_class: type[IcasError]) -> Any:
    """The JSON in a file; None where there is no file, `error_class` where it cannot be read."""
    try:
        return parse_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise error_class(f"cannot read {path}: {os_reason(error)}") from None
    except ValueError:
        raise error_class(f"{path} is not valid JSON: repair it or move it away") from None


def read_xml(path: Path) -> ElementTree.Element:
    """The root of an XML file; UsageError where it cannot be read."""
    try:
        return ElementTree.fromstring(path.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read {path}: {os_reason(error)}") from None
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        reason = " ".join(str(error).split())[:80]
        raise UsageError(f"{path} is not valid XML ({reason}): repair it") from None


def parse_json(data: bytes) -> Any:
    """The JSON in bytes of any text encoding; ValueError where it is not valid."""
    try:
        return json.loads(decode_text(data))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def is_annotation(path: Path) -> bool:
    """Whether a JSON file is of labelme or of a program with the same format, even if damaged."""
    try:
        stat = path.stat()
        return _is_annotation(path, stat.st_size, stat.st_mtime_ns)
    except OSError:
        return False


@functools.lru_cache(maxsize=1024)
def _is_annotation(path: Path, _size: int, _time: int) -> bool:
    data = path.read_bytes()
    try:
        content = parse_json(data)
    except ValueError:
        plain = data.replace(b"\0", b"")  # of UTF-16
        return b'"shapes"' in plain and b'"icas"' not in plain
    return has_labelme_keys(content)


def has_labelme_keys(content: object) -> bool:
    """Whether parsed JSON is of labelme, perhaps damaged."""
    if not isinstance(content, dict) or "icas" in content:
        return False
    known = len(content.keys() & _LABELME_KEYS)
    return known >= 2 or ("shapes" in content and (known > 0 or "flags" in content))


def saved_record(picture: ImageFile) -> Record | None:
    """The content of the record; None where there is none, ConflictError for a foreign file."""
    path = picture.record_file
    record = read_json(path, ConflictError)
    if record is None:
        return None
    if not isinstance(record, dict) or "icas" not in record:
        raise ConflictError(
            f"{path} is from another program: move it away, or choose another --out"
        )
    return record


_PART = 1 << 20
"""Bytes read at a time."""


def digest_of(path: Path) -> str:
    """SHA-256 of a file, as hex digits; UnreadableImageError where it cannot be read."""
    if require_file(path).st_size == 0:
        raise UnreadableImageError("empty file")  # like those of /proc, which never end
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while part := file.read(_PART):
                digest.update(part)
    except OSError as error:
        raise UnreadableImageError(os_reason(error)) from error
    return digest.hexdigest()


def method_record(segmenter: Segmenter, work_size: int) -> Record:
    """Entries of NAME.json about the method: its name, options, and working size."""
    return {
        "method": segmenter.name,
        "options": asdict(segmenter),  # type: ignore[call-overload]
        "work_size": work_size,
    }


def image_record(
    path: Path, image: Image, digest: str, method: Record, segments: int, seconds: float
) -> Record:
    """Entries of NAME.json about an image, its segments, and the `seconds` they took."""
    return {
        "icas": __version__,
        "image": path.name,
        "width": image.shape[1],
        "height": image.shape[0],
        "sha256": digest,
        **method,
        "segments": segments,
        "seconds": round(seconds, 3),
    }
