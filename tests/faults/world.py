"""A folder of images with everything that real ones hold, and what is compared of folders."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shutil
import stat
import sys
from collections import Counter
from pathlib import Path
from typing import Any

SAMPLES = ("astronaut", "coffee", "rocket", "chelsea")
YEAR_2001 = 1_000_000_000_123_456_789
_VARYING = ("seconds", "peak_memory_mb", "features")
"""What ``run.json`` says of a run that another run may do otherwise."""
_VARIES_IN_REPORT = re.compile(
    rb"<dd>[0-9.,]+ (s|MB)</dd>|<dt>(resume|overwrite)</dt>\s*<dd>(yes|no)</dd>"
)


def make_source(folder: Path, images: int = 60) -> Path:
    """A folder with two sub-folders of about so many small images, and odd things among them.

    Same names in both, links to images (relative, absolute, to one outside and to one inside), two
    names of one file, a file that may only be read, odd names, a file that is no image, one that is
    a broken one, an empty folder. Times are old and all different.
    """
    from PIL import Image
    from skimage import data

    (folder / "a").mkdir(parents=True)
    (folder / "b" / "empty").mkdir(parents=True)
    outside = folder.parent / "outside"
    outside.mkdir()
    for number in range(images):
        sample = SAMPLES[number % len(SAMPLES)]
        picture = Image.fromarray(getattr(data, sample)()).resize((48, 36))
        name = f"{sample}-{number // 2 if number % 3 else number}.png"
        picture = picture.point(lambda value, by=number: min(255, value + by))
        picture.save(folder / "ab"[number % 2] / name)
    picture.save(outside / "far.png")
    one = min((folder / "a").glob("*.png"))
    (folder / "a" / "relative.png").symlink_to("../../outside/.//far.png")
    (folder / "b" / "whole.png").symlink_to(outside / "far.png")
    (folder / "b" / "inside.png").symlink_to(f"../a/{one.name}")
    os.link(one, folder / "b" / "second name.png")
    shutil.copy(one, folder / "b" / "two\nlines 'q\" <b>ü✓.png")
    if sys.platform == "linux":
        shutil.copy(one, os.fsdecode(os.fsencode(folder / "b") + b"/\xff\xfe.png"))
    shutil.copy(one, folder / "b" / "read only.png")
    (folder / "b" / "read only.png").chmod(0o444)
    (folder / "a" / "notes.txt").write_text("no image\n")
    (folder / "a" / "broken.png").write_bytes(one.read_bytes()[:80])
    _age(folder)
    return folder


def _age(folder: Path) -> None:
    paths = sorted(folder.rglob("*"), key=lambda path: -len(path.parts))
    for number, path in enumerate([*paths, folder]):
        time = YEAR_2001 + number * 1_000_000_007
        os.utime(path, ns=(time, time), follow_symlinks=False)


def state(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Everything in `folder`: kind, mode, time in ns, and content or where it points."""
    found: dict[str, tuple[Any, ...]] = {}
    for path in [folder, *folder.rglob("*")]:
        status = path.lstat()
        what: Any = None
        if stat.S_ISLNK(status.st_mode):
            what = os.readlink(path)  # noqa: PTH115  (the very text, "./" and all)
        elif stat.S_ISREG(status.st_mode):
            what = digest(path)
        name = os.path.relpath(path, folder)
        if name.partition(os.sep)[0] == ".icas":
            continue  # SQLite changes its folder when a journal is read
        found[name] = (stat.filemode(status.st_mode), status.st_mtime_ns, what)
    return found


def write_labels(root: Path) -> None:
    """Two classes for the images of a result, some images without any."""
    from icas.dataset.image_labels import ImageLabel, labels_table

    text = (root / "clusters.csv").read_bytes().decode("utf-8", "surrogateescape")
    files = [row[0] for row in csv.reader(io.StringIO(text, newline=""))][1:]
    labels = {file: ImageLabel("ab"[number % 2]) for number, file in enumerate(files[2:])}
    (root / "labels.csv").write_bytes(labels_table(labels))


def digest(path: Path) -> str:
    """A short digest of the content."""
    return hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()


def contents(*folders: Path) -> Counter[str]:
    """The contents that lie in `folders`, with how often; without what lies below ``.icas``."""
    found: Counter[str] = Counter()
    for folder in folders:
        for path in folder.rglob("*"):
            inside = ".icas" in path.relative_to(folder).parts
            if not inside and path.is_file():
                found[digest(path)] += 1
    return found


def lost(before: Counter[str], *folders: Path) -> int:
    """How many contents of `before` are nowhere in `folders` any more."""
    return len(set(before) - set(contents(*folders)))


def result(root: Path, source: Path) -> dict[str, Any]:
    """What a result is, whichever run made it; without journals and what a run happens to take."""
    found: dict[str, Any] = {}
    for path in root.rglob("*"):
        name = os.path.relpath(path, root)
        if path.is_dir() and not path.is_symlink():
            found[name] = "folder"
        elif path.name == "run.json":
            told = json.loads(path.read_bytes())
            told["settings"] |= {"resume": None, "overwrite": None}
            found[name] = {key: told[key] for key in sorted(told) if key not in _VARYING}
        elif path.name == "unreadable.csv":
            text = path.read_bytes().decode("utf-8", "surrogateescape")
            found[name] = sorted(map(tuple, csv.reader(io.StringIO(text, newline=""))))
        elif path.name == "report.html":
            found[name] = _VARIES_IN_REPORT.sub(b"", path.read_bytes())
        elif not path.name.startswith(("journal.db", "lock")):
            found[name] = _file(path, source)
    return found


def _file(path: Path, source: Path) -> tuple[Any, ...]:
    if path.is_symlink():
        return "link", os.readlink(path)  # noqa: PTH115
    status = path.stat()
    time = status.st_mtime_ns if "result" in path.parts or "batches" in path.parts else None
    return "file", digest(path), time, status.st_nlink


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Names of what is not alike, with both sides."""
    names = sorted(set(one) | set(other), key=os.fsencode)
    return [
        f"{name!r}: {_told(one.get(name), other.get(name))}"
        for name in names
        if one.get(name) != other.get(name)
    ]


def _told(one: Any, other: Any) -> str:
    """Two sides that differ; of tables of settings only where they do."""
    if isinstance(one, dict) and isinstance(other, dict):
        return "; ".join(differences(one, other))
    return f"{one!r:.200} / {other!r:.200}"
