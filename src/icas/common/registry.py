"""Registries of named classes (methods, linkages, segmenters), and the check for extras."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from icas.common.errors import MissingExtraError, UsageError


@dataclass(frozen=True)
class Entry:
    """One row of a registry: ``module:attribute``, loaded at first use, and help in a few words."""

    target: str
    help: str

    def load(self) -> Any:
        module, attribute = self.target.split(":")
        return getattr(importlib.import_module(module), attribute)


class Registry(dict[str, Entry]):
    """Rows by name; an unknown name is looked for in an entry-point group of installed packages.

    Parameters
    ----------
    group : str
        Entry-point group, such as ``icas.methods``.
    member : str
        Method that the classes of installed packages have, if they are of the right kind.
    aliases : mapping of str to str
        Former names, which are still accepted, with the names of now.
    """

    def __init__(
        self,
        group: str,
        rows: Mapping[str, Entry],
        member: str = "__init__",
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(rows)
        self.aliases = dict(aliases or {})
        self._member = member
        self._group: str | None = group
        self.broken: dict[str, str] = {}

    def __contains__(self, name: object) -> bool:
        known = super().__contains__(name) or name in self.aliases
        return known or (self.discover() and super().__contains__(name))

    def discover(self) -> bool:
        """Load and add the rows of installed packages, once; whether there were any.

        What cannot be loaded goes to `broken`, by name, with the reason.
        """
        if self._group is None:
            return False
        from importlib.metadata import entry_points  # 40 ms, so only for an unknown name

        points = entry_points(group=self._group)
        self._group = None
        for point in points:
            package = point.dist.name if point.dist else "another package"
            try:
                getattr(point.load(), self._member)
            except Exception as error:
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                self.broken[point.name] = f"{point.value} of {package} cannot be loaded ({reason})"
            else:
                target = f"{point.module}:{point.attr}"
                self.setdefault(point.name, Entry(target, f"from the package {package}"))
        return bool(points)

    def discover_for(self, words: Sequence[str], kind: str) -> None:
        """`discover` where a command line requests help or an unknown ``--method``."""
        helped = {"-h", "--help", "--help-all", "help"} & set(words)
        pairs = zip(words, [*words[1:], ""], strict=False)
        typed = (
            value if flag == "--method" else flag[9:]
            for flag, value in pairs
            if flag == "--method" or flag.startswith("--method=")
        )
        names = {name.casefold() for name in self}
        if helped or any(name.casefold() not in names for name in typed):
            self.discover()
        if helped:
            for name, reason in self.broken.items():
                logging.getLogger(__name__).warning("%s %r: %s", kind, name, reason)


def lookup(table: Mapping[str, Entry], name: str, kind: str) -> tuple[str, Entry]:
    """The row called `name` (case does not matter) and its proper name."""
    if not isinstance(name, str):
        raise UsageError(f"{kind} {name!r}: expected a name, one of {', '.join(table)}")
    folded = name.casefold()
    if isinstance(table, Registry):
        folded = table.aliases.get(folded, folded)
    for proper, entry in table.items():
        if proper.casefold() == folded:
            return proper, entry
    if isinstance(table, Registry) and table.discover():
        return lookup(table, name, kind)
    reasons = table.broken if isinstance(table, Registry) else {}
    for broken, reason in reasons.items():
        if broken.casefold() == folded:
            raise UsageError(f"{kind} {name!r}: {reason}")
    raise UsageError(f"unknown {kind} {name!r}: choose from {', '.join(table)}")


def need(what: str, extra: str, *packages: str) -> None:
    """Fail before any work starts if one of `packages` is not installed."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        listed = " and ".join(_DISTRIBUTIONS.get(name, name) for name in packages)
        raise MissingExtraError(f"{what} needs {listed}: pip install 'icas[{extra}]'")


_DISTRIBUTIONS = {"sklearn": "scikit-learn", "segment_anything": "segment-anything"}
