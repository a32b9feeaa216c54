"""The parser of a command: errors of one line, flags in groups, help that is short."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from icas._version import __version__
from icas.common.errors import UsageError
from icas.common.flag_groups import INPUT, SAID
from icas.common.spelling import did_you_mean

Rows = tuple[tuple[str, str], ...]
"""Terms, and what each of them means."""


@dataclass(frozen=True)
class About:
    """What the help of a command tells beside its flags.

    Attributes
    ----------
    text : str
        What it does.
    forms : mapping of str to Rows
        Tables that stand before the flags, by their titles.
    examples : Rows
        Lines as they are typed, and what they are for; empty where that is plain.
    commands, exit_codes : Rows
        Of the page of a whole program.
    """

    text: str
    forms: Mapping[str, Rows] = field(default_factory=dict)
    examples: Rows = ()
    commands: Rows = ()
    exit_codes: Rows = ()


class LineParser(argparse.ArgumentParser):
    """A parser whose errors are one line, without defaults of its own, with the usual flags.

    Parameters
    ----------
    name : str
        The command as it is typed.
    about : About
    intermixed : bool
        Whether flags may stand between values that are given by place.
    """

    def __init__(self, name: str, about: About, *, intermixed: bool = False) -> None:
        super().__init__(
            prog=name,
            description=about.text,
            argument_default=argparse.SUPPRESS,
            allow_abbrev=False,
            add_help=False,
        )
        self.about = about
        self.groups: dict[str, argparse._ArgumentGroup] = {}
        self.doubled: dict[str, str] = {}
        self._intermixed = intermixed
        said = self.group(SAID)
        said.add_argument("-q", "--quiet", action="store_true", help="no bars, no warnings" + OFF)
        said.add_argument("--debug", action="store_true", help="show tracebacks" + OFF)
        said.add_argument(
            "--version", action="version", version=f"icas {__version__}", help="show the version"
        )
        said.add_argument("-h", "--help", action="help", help="show this help")

    def group(self, title: str) -> argparse._ArgumentGroup:
        """The group called `title`; made where there is none yet."""
        if title not in self.groups:
            self.groups[title] = self.add_argument_group(title)
        return self.groups[title]

    def add_switch(self, title: str, *names: str, help: str) -> None:
        """A flag without a value, off unless it is given."""
        self.group(title).add_argument(*names, action="store_true", help=help + OFF)

    def add_value(self, title: str, *names: str, help: str, **details: Any) -> None:
        """A flag or a place with a value; `details` as of ``add_argument``."""
        self.group(title).add_argument(*names, help=help, **details)

    def add_source(self, what: str = "folder with images") -> None:
        """The source folder, by place or by ``--src``."""
        self.add_argument("src", nargs="?", metavar="DIR", help=argparse.SUPPRESS)
        self.add_value(INPUT, "--src", dest="src_flag", metavar="DIR", help=what)
        self.doubled["src_flag"] = "src"

    def read(self, words: Sequence[str]) -> dict[str, Any]:
        """What is given on the command line, by name; nothing of what is not given."""
        helped = {"-h", "--help"} & set(words)  # while it reads intermixed, its help is not whole
        mixed = self._intermixed and not helped
        parse: Callable[[Sequence[str]], argparse.Namespace] = (
            self.parse_intermixed_args if mixed else self.parse_args
        )
        return vars(parse(words))

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong as a UsageError."""
        guess = did_you_mean(message, self._option_string_actions)
        raise UsageError(f"{message}{guess} (see {self.prog} --help)")

    def format_help(self) -> str:
        """The help as it is printed, as wide as the terminal."""
        from icas.common.command_pages import page_of
        from icas.common.help_text import help_text, width_here

        return help_text(page_of(self), width_here())

    def format_usage(self) -> str:
        """The first lines of the help."""
        from icas.common.command_pages import page_of
        from icas.common.help_text import usage_text, width_here

        return usage_text(page_of(self), width_here())


OFF = " (default: off)"


def source_of(given: dict[str, Any], program: str) -> str:
    """The source folder, taken out of `given`.

    Raises
    ------
    UsageError
        There is none, or two that differ.
    """
    by_flag, by_place = given.pop("src_flag", None), given.pop("src", None)
    if by_flag is not None and by_place is not None and by_flag != by_place:
        raise UsageError(f"two source folders: --src {by_flag} and {by_place}; give one")
    source = by_flag if by_flag is not None else by_place
    if not source:
        raise UsageError(f"no source folder: {program} --src DIR (see {program} --help)")
    return str(source)
