"""What a command takes, as data: its help, man page, reference and completion are made of it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from icas.common.flag_groups import LAST, place_of
from icas.common.options import Typed
from icas.common.parsers import LineParser, Rows

_DEFAULT = " (default: "
_REPEATING = ("*", "+")
_TAKEN = {
    "DIR": "folder",
    "DST": "folder",
    "PATH": "file",
    "CSV": "csv",
    "DST_OR_CSV": "csv",
}
"""What the shell completes where a flag asks for this."""


@dataclass(frozen=True)
class Flag:
    """A flag, or a value that is given by its place.

    Attributes
    ----------
    names : tuple of str
        Such as ``("-q", "--quiet")``; empty where its place tells.
    value : str
        What its value is called, such as DIR; empty where it takes none.
    meaning, default : str
        `default` is empty where there is none.
    words : tuple of str
        Values that can be told beforehand.
    listed : bool
        Whether several of `words` may be given, with commas between them.
    optional_name : bool
        Whether the value may stand without the flag.
    required, repeated : bool
        Whether it has to be given; whether it may be given again.
    """

    names: tuple[str, ...]
    value: str
    meaning: str
    default: str
    words: tuple[str, ...] = ()
    listed: bool = False
    optional_name: bool = False
    required: bool = False
    repeated: bool = False

    @property
    def term(self) -> str:
        """The flag as help shows it: ``-q, --quiet``, ``--dst DIR``, ``[--src] DIR``."""
        names = ", ".join(self.names)
        if self.optional_name:
            names = f"[{names}]"
        return " ".join(part for part in (names, self.value) if part)

    @property
    def takes(self) -> str:
        """What a shell completes after it: words, list, folder, file, csv, text; none: no value."""
        if not self.value:
            return "none"
        if self.words:
            return "list" if self.listed else "words"
        if self.value.startswith("FILE"):
            return "file"
        return _TAKEN.get(self.value.strip("[]").partition(" ")[0], "text")


@dataclass(frozen=True)
class Group:
    """Flags under one title, and what there is to say of all of them."""

    title: str
    meaning: str
    flags: tuple[Flag, ...]


@dataclass(frozen=True)
class Page:
    """A command: what it is called, what it does, what it takes.

    Attributes
    ----------
    name : str
        As it is typed: ``clusterimg thresholds``.
    usage : tuple of str
        One line for each way to call it.
    """

    name: str
    usage: tuple[str, ...]
    text: str
    groups: tuple[Group, ...]
    forms: Mapping[str, Rows]
    examples: Rows
    commands: Rows
    exit_codes: Rows

    @property
    def flags(self) -> tuple[Flag, ...]:
        """All flags, and the values that are given by place."""
        return tuple(flag for group in self.groups for flag in group.flags)


def page_of(parser: LineParser) -> Page:
    """What the help of `parser` tells."""
    about = parser.about
    groups = sorted(_groups(parser), key=lambda group: place_of(group.title))
    return Page(
        parser.prog,
        tuple(_usage(parser.prog, groups, bool(about.commands))),
        about.text,
        tuple(groups),
        about.forms,
        about.examples,
        about.commands,
        about.exit_codes,
    )


def _groups(parser: LineParser) -> Iterable[Group]:
    for title, group in parser.groups.items():
        flags = sorted((_flag(one, parser) for one in group._group_actions), key=_is_last)
        if flags or group.description:
            yield Group(title, group.description or "", tuple(flags))


def _is_last(flag: Flag) -> bool:
    return bool(flag.names) and flag.names[-1] in LAST


def _flag(action: argparse.Action, parser: LineParser) -> Flag:
    meaning, _, default = (action.help or "").replace("%%", "%").partition(_DEFAULT)
    kind = action.type if isinstance(action.type, Typed) else Typed(str)
    value = _value(action)
    return Flag(
        tuple(action.option_strings),
        value,
        meaning,
        default[:-1],
        tuple(map(str, action.choices or ())) or kind.words or _words_in(value),
        kind.listed,
        action.dest in parser.doubled,
        action.required and action.nargs not in (*_REPEATING, "?"),
        isinstance(action, argparse._AppendAction) or action.nargs in _REPEATING,
    )


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    named = str(action.metavar or "|".join(map(str, action.choices or (action.dest.upper(),))))
    if action.nargs == "?":
        return f"[{named}]"
    return f"{named} …" if action.nargs in _REPEATING else named


def _words_in(value: str) -> tuple[str, ...]:
    """The words among what a value may be: auto and pick of ``F|auto|pick``."""
    parts = value.split("|")
    return tuple(part for part in parts if part.islower()) if len(parts) > 1 else ()


def _usage(name: str, groups: Iterable[Group], whole: bool) -> Iterable[str]:
    flags = [flag for group in groups for flag in group.flags]
    needed = [flag.term for flag in flags if not flag.names or flag.optional_name]
    needed += [flag.term for flag in flags if flag.names and flag.required]
    yield " ".join((name, *needed, "[flags]"))
    if whole:
        yield f"{name} COMMAND …"
