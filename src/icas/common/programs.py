"""A program and its commands: which one is asked for, and running it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icas.common.commands import guarded
from icas.common.errors import UsageError
from icas.common.parsers import LineParser, Rows
from icas.common.registry import Entry
from icas.common.spelling import meant

EXIT_CODES: Rows = (
    ("0", "done"),
    ("1", "failed"),
    ("2", "wrong usage or a missing extra"),
    ("3", "done but some files could not be read"),
    ("130", "interrupted"),
)


@dataclass(frozen=True)
class Command:
    """What is typed after the name of a program: how it is read, and what it does.

    Attributes
    ----------
    parser : callable
        Makes its parser.
    run : callable
        Takes what was given, by name; returns the exit code.
    """

    parser: Callable[[], LineParser]
    run: Callable[[dict[str, Any]], int]

    def __call__(self, words: Sequence[str]) -> int:
        """Do it; the exit code comes back."""
        return self.run(self.parser().read(words))


@dataclass(frozen=True)
class Program:
    """A table of commands; one of them is meant where none is named.

    Attributes
    ----------
    rows : mapping of str to Entry
        Each names a `Command`, which is loaded when it is asked for.
    """

    name: str
    default: str
    rows: Mapping[str, Entry]

    @property
    def help_rows(self) -> Rows:
        """Its commands, each with a line about it."""
        return tuple((name, row.help) for name, row in {**self.rows, **COMMON}.items())

    def command(self, name: str) -> Command:
        """The command called `name`.

        Raises
        ------
        UsageError
            There is none; the message tells which one may be meant.
        """
        if name in self.rows:
            made: Command = self.rows[name].load()
            return made
        if name in COMMON:
            shared: Command = COMMON[name].load()(self)
            return shared
        raise UsageError(f"no command {name!r}; {self._instead(name)}")

    def parsers(self) -> dict[str, LineParser]:
        """The parsers of all its commands, by what is typed."""
        made = (self.command(name).parser() for name, _ in self.help_rows)
        return {parser.prog: parser for parser in made}

    def main(self, words: Sequence[str]) -> int:
        """Do what `words` ask for; the exit code comes back, errors are told in one line."""
        return guarded(self.name, lambda: self._run(words), debug="--debug" in words)

    def _run(self, words: Sequence[str]) -> int:
        names = [name for name, _ in self.help_rows]
        if words and words[0] in names:
            return self.command(words[0])(words[1:])
        if words:
            self._refuse_misspelt(words[0], names)
        return self.command(self.default)(words)

    def _refuse_misspelt(self, word: str, names: list[str]) -> None:
        """Tell a command that is not spelt well; a folder of that name is a folder."""
        if not re.fullmatch("[a-z-]+", word.casefold()) or word.startswith("-"):
            return
        guess = meant(word, names)
        if guess and not Path(word).exists():
            raise UsageError(
                f"{word} does not exist and is no command; did you mean {self.name} {guess}?"
            )

    def _instead(self, word: str) -> str:
        names = [name for name, _ in self.help_rows]
        guess = meant(word, names)
        return f"did you mean {guess}?" if guess else f"choose from {', '.join(names)}"


COMMON: dict[str, Entry] = {
    "help": Entry("icas.common.help_command:help_command", "this, or the help of a command"),
    "completion": Entry(
        "icas.common.completion_command:completion_command", "let the TAB key of your shell know it"
    ),
}
"""Commands that every program has: functions that make them for one."""
