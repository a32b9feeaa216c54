"""The errors of icas: each a single line that says what, where, and what instead."""

from __future__ import annotations


class IcasError(Exception):
    """Base of all errors that icas raises on purpose; `exit_code` is what the commands end with."""

    exit_code = 1


class UsageError(IcasError, ValueError):
    """A setting, a name or a path that cannot be what the user wants."""

    exit_code = 2


class MissingExtraError(IcasError, ImportError):
    """A package of an optional extra is not installed."""

    exit_code = 2


class UnreadableImageError(IcasError, OSError):
    """A file could not be read as a picture; the message is the reason, without its name."""


class ConflictError(IcasError):
    """Something on disk stands in the way of what was planned."""
