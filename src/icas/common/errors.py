"""The errors of icas: each a single line that says what, where, and what instead."""

from __future__ import annotations


class IcasError(Exception):
    """Base of all errors that icas raises on purpose: one line that says what, where, what instead.

    Attributes
    ----------
    exit_code : int
        What the commands end with: 1, or 2 for wrong usage and missing extras.

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
    """A setting, a name or a path that cannot be what the user wants. Also a `ValueError`.

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
    ...     print(error)
    no method 'orbb'; choose from ssim, minhash, imagehash, orb, tm, deep
    """

    exit_code = 2


class MissingExtraError(IcasError, ImportError):
    """A package of an optional extra is not installed. Also an `ImportError`.

    The message names the packages and the line to type.

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
    """A file could not be read as a picture; the message is the reason, without its name.

    Also an `OSError`. `icas.read_image` raises it; where many files are read, those that cannot be
    are listed instead.

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
    """Something on disk stands in the way of what was planned.

    Nothing was overwritten; the message says what is there.

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
