"""Tables of named things (methods, segmenters): look-up by name; and missing extras told."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from icas.common.errors import MissingExtraError, UsageError


@dataclass(frozen=True)
class Entry:
    """One row of a table: where the thing lives, and what it is for in a few words.

    The thing itself is named as ``module:attribute`` and loaded at first use, so that a table
    costs nothing to import.
    """

    target: str
    help: str

    def load(self) -> Any:
        module, attribute = self.target.split(":")
        return getattr(importlib.import_module(module), attribute)


def lookup(table: Mapping[str, Entry], name: str, kind: str) -> tuple[str, Entry]:
    """The row called `name` (case does not matter) and its proper name.

    Raises
    ------
    UsageError
        No such row; the message names the choices.
    """
    folded = name.casefold()
    for proper, entry in table.items():
        if proper.casefold() == folded:
            return proper, entry
    raise UsageError(f"no {kind} {name!r}; choose from {', '.join(table)}")


def need(what: str, extra: str, *packages: str) -> None:
    """Fail before any work starts if one of `packages` is not installed.

    Raises
    ------
    MissingExtraError
        With the line to type.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        listed = " and ".join(_DISTRIBUTIONS.get(name, name) for name in packages)
        raise MissingExtraError(f"{what} needs {listed}: pip install 'icas[{extra}]'")


_DISTRIBUTIONS = {"sklearn": "scikit-learn", "segment_anything": "segment-anything"}
