"""The error classes of icas; each message is one line.

Messages are written with the flags of the commands, ``--batch-size 1: must be at least 2``, and
read by Python programs with keywords, ``batch_size 1: must be at least 2``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_FLAG = re.compile(
    r"(?P<command>\b(?:clusterimg|segmentimg) [^:;,]*)"
    r"|(?<![^\s(])--(?P<no>no-)?(?P<name>[a-z][\w-]*)"
)
"""A command, whose flags stay, or a flag."""


def _with_keywords(message: str, keywords: Mapping[str, str]) -> str:
    """A message with keywords in place of flags; `keywords`: of flags that are not made of them."""

    def keyword(match: re.Match[str]) -> str:
        if match["command"]:
            return match[0]
        keyword = match["name"].replace("-", "_") + ("=False" if match["no"] else "")
        return keywords.get(match[0], keyword)

    return _FLAG.sub(keyword, message)


class IcasError(Exception):
    """Base class of all errors of icas; the message is one line.

    Attributes
    ----------
    exit_code : int
        Exit code of the commands: 1, or 2 for wrong usage and missing extras.

    Examples
    --------
    >>> import icas
    >>> try:
    ...     icas.features("no-such-folder")
    ... except icas.IcasError as error:
    ...     print(error)
    no folder 'no-such-folder'
    """

    exit_code = 1
    _keywords: Mapping[str, str] = {}

    @property
    def message(self) -> str:
        """str: As the commands print it, with flags; ``str(error)`` has keywords instead."""
        return super().__str__()

    def __str__(self) -> str:
        return _with_keywords(self.message, self._keywords)


class UsageError(IcasError, ValueError):
    """Invalid setting, name or path. Also a `ValueError`.

    Attributes
    ----------
    exit_code : int
        2.

    Examples
    --------
    >>> import icas
    >>> try:
    ...     icas.cluster("photos", method="orbb")
    ... except icas.UsageError as error:
    ...     print(str(error).partition(':')[0])
    unknown method 'orbb'
    """

    exit_code = 2


class MissingExtraError(IcasError, ImportError):
    """A package of an optional extra is not installed. Also an `ImportError`.

    The message has the packages and the command to install them.

    Attributes
    ----------
    exit_code : int
        2.

    Examples
    --------
    >>> import icas
    >>> issubclass(icas.MissingExtraError, ImportError)
    True
    """

    exit_code = 2


class UnreadableImageError(IcasError, OSError):
    """A file could not be read as an image; the message is the reason, without the file name.

    Also an `OSError`. `icas.read_image` raises it. Functions that read many files list unreadable
    ones instead.

    Attributes
    ----------
    exit_code : int
        1.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> size = Path("picture.png").write_text("no picture")
    >>> try:
    ...     icas.read_image("picture.png")
    ... except icas.UnreadableImageError as error:
    ...     print(error)
    not an image (text)
    """


class ConflictError(IcasError):
    """Files on disk conflict with the operation; nothing was overwritten.

    Attributes
    ----------
    exit_code : int
        1.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> Path("photos").mkdir()
    >>> Image.new("RGB", (8, 8)).save("photos/black.png")
    >>> Path("sorted").mkdir()
    >>> size = Path("sorted/mine.txt").write_text("mine")
    >>> try:
    ...     icas.cluster("photos", threshold=0.9, dst="sorted")
    ... except icas.ConflictError as error:
    ...     print(str(error).partition(":")[0])
    result folder sorted is not empty
    """


@contextmanager
def keywords_of_flags(keywords: Mapping[str, str]) -> Iterator[None]:
    """Errors of the block have these keywords for flags, as ``{"--sam-model": "model"}``."""
    try:
        yield
    except IcasError as error:
        error._keywords = keywords
        raise
