"""The error classes of icas; each message is one line."""

from __future__ import annotations


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
