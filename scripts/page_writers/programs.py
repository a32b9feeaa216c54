"""The commands of both programs as plain data: what completion, man pages and docs are made of."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from icas.cli.parser import (
    GROUPS,
    SOURCE_FLAG,
    ArgumentType,
    CommandParser,
    Rows,
    signature,
    value_name,
)

BRIEF = 60
"""Characters of the text that a shell shows beside a flag."""
REPEATING = ("*", "+")
COMPLETED = {
    "DIR": "folder",
    "DST": "folder",
    "PATH": "file",
    "CSV": "csv",
    "DST_OR_CSV": "csv",
}
"""Kinds of completion by the name of the value."""


@dataclass(frozen=True)
class Flag:
    """A flag, or a positional value.

    Attributes
    ----------
    names : tuple of str
        Such as ``("-q", "--quiet")``; empty for a positional value.
    term, value : str
        The flag with its value as the help shows it, and the name of the value.
    meaning, default : str
    words : tuple of str
        Known values.
    listed : bool
        Whether several of `words` may be given, separated by commas.
    positional, required, repeated : bool
        Whether the value may be given without a name; must be given; may be given again.
    """

    names: tuple[str, ...]
    term: str
    value: str
    meaning: str
    default: str
    words: tuple[str, ...]
    listed: bool
    positional: bool
    required: bool
    repeated: bool

    @property
    def text(self) -> str:
        """The meaning with the default."""
        return f"{self.meaning} (default: {self.default})" if self.default else self.meaning

    @property
    def completed(self) -> str:
        """What a shell completes after it: words, list, folder, file, csv, text or none."""
        if not self.value:
            return "none"
        if self.words:
            return "list" if self.listed else "words"
        if self.value.startswith("FILE"):
            return "file"
        return COMPLETED.get(self.value.strip("[]").partition(" ")[0], "text")


@dataclass(frozen=True)
class Group:
    """Flags under one title."""

    title: str
    flags: tuple[Flag, ...]


@dataclass(frozen=True)
class Page:
    """One command; its attributes are those of `CommandParser`."""

    name: str
    text: str
    usage: tuple[str, ...]
    groups: tuple[Group, ...]
    tables: dict[str, Rows]
    examples: Rows
    commands: Rows
    exit_codes: Rows

    @property
    def flags(self) -> tuple[Flag, ...]:
        """All flags and positional values."""
        return tuple(flag for group in self.groups for flag in group.flags)

    @property
    def own_groups(self) -> set[str]:
        """Titles of the groups of single methods."""
        return {group.title for group in self.groups if group.title not in GROUPS}

    @property
    def positional(self) -> list[Flag]:
        """The positional values, in order."""
        return [flag for flag in self.flags if flag.positional]


@dataclass(frozen=True)
class ProgramPages:
    """A program with the pages of its commands; `default` is the command that may be omitted."""

    name: str
    default: str
    help_rows: Rows
    pages: dict[str, Page]

    @property
    def commands(self) -> tuple[str, ...]:
        """The names of its commands."""
        return tuple(self.pages)


def programs() -> list[ProgramPages]:
    """Both programs."""
    from icas.clusterimg.commands.main import PROGRAM as CLUSTERIMG
    from icas.segmentimg.commands.main import PROGRAM as SEGMENTIMG

    return [
        ProgramPages(
            program.name,
            program.default,
            program.help_rows,
            {name: _page(program.parser(name)) for name, _ in program.help_rows},
        )
        for program in (CLUSTERIMG, SEGMENTIMG)
    ]


def _page(parser: CommandParser) -> Page:
    groups = (
        Group(group.title or "", tuple(map(_flag, actions)))
        for group, actions in parser.sorted_groups()
    )
    return Page(
        parser.prog,
        parser.description or "",
        tuple(parser.usage_lines()),
        tuple(groups),
        dict(parser.tables),
        parser.examples,
        parser.commands,
        parser.exit_codes,
    )


def _flag(action: argparse.Action) -> Flag:
    meaning, _, default = (action.help or "").replace("%%", "%").partition(" (default: ")
    kind = action.type if isinstance(action.type, ArgumentType) else ArgumentType(str)
    value = value_name(action)
    return Flag(
        tuple(action.option_strings),
        signature(action),
        value,
        meaning,
        default[:-1],
        tuple(map(str, action.choices or ())) or kind.words,
        kind.listed,
        action.dest == SOURCE_FLAG or not action.option_strings,
        action.required and action.nargs not in (*REPEATING, "?"),
        isinstance(action, argparse._AppendAction) or action.nargs in REPEATING,
    )


def brief(flag: Flag) -> str:
    """The meaning of a flag, shortened at the end of a clause."""
    text = flag.meaning
    for end in ("; ", ": ", " ("):
        if len(text) > BRIEF:
            text = text.partition(end)[0]
    return text
