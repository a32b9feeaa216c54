"""Weight files of known networks: where they are kept, and downloads verified by SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icas.common.errors import IcasError, UsageError

VARIABLE = "ICAS_WEIGHTS"
"""Environment variable that overrides the folder of the weight files."""
_PATIENCE_SECONDS = 30
_BLOCK = 1 << 20
_GITHUB, _HUB = "https://github.com/", "https://huggingface.co/"
_DINO = _HUB + "Xenova/dinov2-small/resolve/c2bb04a51fab207c420665f1946016107bffc701/onnx/"
_SAM = "https://dl.fbaipublicfiles.com/segment_anything/"


@dataclass(frozen=True)
class WeightFile:
    """A file that can be downloaded.

    Attributes
    ----------
    size : int
        Bytes.
    for_method : str
        Method or segmenter that uses it: ``deep`` or ``sam``.
    use : str
        What it is good for, in a few words.
    """

    url: str
    file: str
    size: int
    sha256: str
    for_method: str
    use: str
    licence: str = "Apache-2.0"


KNOWN = {
    "mobilenet_v2": WeightFile(
        _GITHUB + "opencv/opencv_zoo/raw/main/models/image_classification_mobilenet/"
        "image_classification_mobilenetv2_2022apr.onnx",
        "mobilenet_v2.onnx",
        13_964_571,
        "c0c3f76d93fa3fd6580652a45618618a220fced18babf65774ed169de0432ad5",
        "deep",
        "copies, views and kinds of things; fastest",
    ),
    "dinov2_small": WeightFile(
        _DINO + "model.onnx",
        "dinov2_small.onnx",
        88_459_888,
        "83141175ec78b4ff9a2bb58a4c7c264ba0054d1c2e122e5a8114b79a8d4179ea",
        "deep",
        "kinds of things",
    ),
    "dinov2_small_int8": WeightFile(
        _DINO + "model_quantized.onnx",
        "dinov2_small_int8.onnx",
        24_451_943,
        "3afdc8bc63b50558d6e5770f5b799bb82455c2311183a2de43803f343a29d917",
        "deep",
        "the same in 8 bits",
    ),
    "mobile_sam": WeightFile(
        _GITHUB + "ChaoningZhang/MobileSAM/raw/f706ad9c4eb7f219c00d9050e46328518ffb65d2/weights/"
        "mobile_sam.pt",
        "mobile_sam.pt",
        40_728_226,
        "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
        "sam",
        "the SAM for a CPU",
    ),
    "sam_vit_b": WeightFile(
        _SAM + "sam_vit_b_01ec64.pth",
        "sam_vit_b_01ec64.pth",
        375_042_383,
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        "sam",
        "Segment Anything, smallest",
    ),
    "sam_vit_l": WeightFile(
        _SAM + "sam_vit_l_0b3195.pth",
        "sam_vit_l_0b3195.pth",
        1_249_524_607,
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        "sam",
        "Segment Anything, medium",
    ),
    "sam_vit_h": WeightFile(
        _SAM + "sam_vit_h_4b8939.pth",
        "sam_vit_h_4b8939.pth",
        2_564_550_879,
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        "sam",
        "Segment Anything, largest",
    ),
}
"""Weight files by name."""
RECOMMENDED = {"deep": "mobilenet_v2", "sam": "mobile_sam"}


def weights_folder() -> Path:
    """Folder of downloaded weight files; it need not exist yet.

    The environment variable ICAS_WEIGHTS, else ``icas/weights`` in the user's data folder.
    """
    override = os.environ.get(VARIABLE)
    if override:
        return Path(override)
    import platformdirs

    return platformdirs.user_data_path("icas", appauthor=False) / "weights"


def known(name: str) -> WeightFile:
    """The weight file called `name`.

    Raises UsageError: there is none; the message names all.
    """
    try:
        return KNOWN[name.casefold()]
    except KeyError:
        raise UsageError(f"no weights {name!r}: choose from {', '.join(KNOWN)}") from None


def installed(name: str) -> Path | None:
    """The file of the weights called `name` if it was downloaded, else None."""
    path = weights_folder() / known(name).file
    return path if path.is_file() else None


def recommended(method: str) -> Path | None:
    """The installed weight file that `method` uses by default; None where there is none."""
    return installed(RECOMMENDED[method])


def resolve(weights: str | Path) -> Path:
    """A weight file given by its path, or by the name of an installed one.

    Raises UsageError: a known name whose file is not installed, and no file of that name exists.
    """
    path, name = Path(weights), str(weights).casefold()
    if name not in KNOWN or path.exists():
        return path
    found = installed(name)
    if found is None:
        raise UsageError(f"weights {name} are not installed: clusterimg weights get {name}")
    return found


def fetch(
    name: str, *, url: str | None = None, progress: Callable[[int, int], Any] | None = None
) -> Path:
    """Download the weights called `name` into `weights_folder`, and return the file.

    A file that is there is verified and kept. An interrupted download is resumed.

    Parameters
    ----------
    url : str, optional
        Another source of the same file.
    progress : callable, optional
        Called with the bytes received and the bytes of the whole file.

    Raises
    ------
    UsageError
        No such name.
    IcasError
        The source cannot be reached, the download was interrupted, or the file is not the expected
        one.
    """
    from urllib.error import URLError

    file, folder = known(name), weights_folder()
    source, path = url or file.url, folder / file.file
    if path.is_file() and sha256_of(path) == file.sha256:
        return path
    part = folder / f"{file.file}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _download(source, part, progress)
        if sha256_of(part) != file.sha256:
            part.unlink()
            raise IcasError(
                f"{source} is not the expected file (its SHA-256 differs): nothing was installed"
            )
        part.replace(path)
    except URLError as error:
        raise IcasError(f"cannot download {name} from {source} ({error.reason})") from error
    except OSError as error:
        raise IcasError(
            f"cannot download {name} into {folder} ({error.strerror or error})"
        ) from error
    return path


def _download(url: str, part: Path, progress: Callable[[int, int], Any] | None) -> None:
    """Download `url` into `part`, after the bytes that are there."""
    import urllib.request  # these load as many modules as most commands
    from http.client import IncompleteRead

    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        reply = urllib.request.urlopen(request, timeout=_PATIENCE_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the part is the whole file already
            return
        raise
    with reply, part.open("ab" if reply.status == 206 else "wb") as stream:
        total = stream.tell() + int(reply.headers.get("Content-Length") or 0)
        with suppress(IncompleteRead):  # found out by the size, as on older releases of Python
            while block := reply.read(_BLOCK):
                stream.write(block)
                if progress is not None:
                    progress(stream.tell(), total)
        stream.flush()
        os.fsync(stream.fileno())
        if stream.tell() < total:
            raise IcasError(
                f"the connection to {url} ended after {stream.tell():,} of {total:,} bytes:"
                " repeat the command to resume the download"
            )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as stream:
        state = hashlib.sha256()
        while block := stream.read(_BLOCK):
            state.update(block)
    return state.hexdigest()
