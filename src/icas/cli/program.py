"""A program and its commands: which one is asked for, and running it."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from icas.cli.console import fill_streams, unheard, warn
from icas.cli.parser import INPUT, About, LineParser, Rows, Typed, meant
from icas.common.errors import IcasError, UsageError
from icas.common.registry import Entry

INTERRUPTED = 130


def guarded(name: str, run: Callable[[], int], debug: bool) -> int:
    """The exit code of `run`, with every error told in one line on stderr.

    Parameters
    ----------
    name : str
        The command, which begins the line.
    run : callable
    debug : bool
        Let errors through with their traceback.
    """
    fill_streams()
    try:
        code = run()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt as error:
        warn(": ".join((name, "interrupted", *map(str, error.args))))
        return INTERRUPTED
    except BrokenPipeError:  # `clusterimg … | head`: the reader has gone, that is no error
        unheard(sys.stdout)
        return 0
    except IcasError as error:
        if debug:
            raise
        warn(f"{name}: {error}")
        return error.exit_code
    except Exception as error:
        if debug:
            raise
        warn(f"{name}: {_words(error)}")
        return 1


def _words(error: Exception) -> str:
    if _is_of_memory(error):
        return "out of memory: try a smaller --batch-size, --size or --jobs"
    if isinstance(error, OSError):
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return "too many open files: try a smaller --jobs, or raise the limit (ulimit -n)"
        if isinstance(error, FileNotFoundError) and not error.filename and _is_adrift():
            return "the current folder is not there any more: go to another, or give whole paths"
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}"
    kind = type(error).__name__
    return f"this should not happen, please report it ({kind}: {error}); --debug shows where"


def _is_of_memory(error: Exception) -> bool:
    """Whether memory ran out: it may do so as well while a library is loaded."""
    if isinstance(error, ImportError):
        return "failed to map segment" in str(error) or "allocate memory" in str(error)
    return isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM


def _is_adrift() -> bool:
    """Whether the current folder was removed."""
    try:
        os.getcwd()  # noqa: PTH109 - what Path.cwd does
    except OSError:
        return True
    return False


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
    "help": Entry("icas.cli.program:help_command", "this, or the help of a command"),
    "completion": Entry(
        "icas.cli.program:completion_command", "let the TAB key of your shell know it"
    ),
}
"""Commands that every program has: functions that make them for one."""


SHELLS = {"bash": "{}.bash", "zsh": "_{}", "fish": "{}.fish"}
"""The shells, and what the file for each of them is called."""
TEXT = """\
Print what a shell needs so that its TAB key completes commands, flags and their values.

A package may have put it in its place already: then there is nothing to do."""


def completion_command(program: Program) -> Command:
    """The command that prints the completion of `program`."""

    def parser() -> LineParser:
        typed = f"{program.name} completion"
        forms = {
            "where it goes": (
                ("bash", f'eval "$({typed} bash)" in ~/.bashrc'),
                ("zsh", f'eval "$({typed} zsh)" in ~/.zshrc, after compinit'),
                ("fish", f"{typed} fish > ~/.config/fish/completions/{program.name}.fish"),
            )
        }
        made = LineParser(typed, About(TEXT, forms, examples=((f"{typed} bash", ""),)))
        made.add_value(INPUT, "shell", choices=tuple(SHELLS), help="which one")
        return made

    def run(given: dict[str, Any]) -> int:
        print(completion(program.name, given["shell"]), end="")
        return 0

    return Command(parser, run)


def completion(program: str, shell: str) -> str:
    """The completion of `program` for `shell`, as its file holds it."""
    folder = files("icas") / "completions"
    return (folder / SHELLS[shell].format(program)).read_text(encoding="utf-8")


def help_command(program: Program) -> Command:
    """The command that prints the help of `program` and of its commands."""

    def parser() -> LineParser:
        made = LineParser(
            f"{program.name} help",
            About(
                f"Print the help of {program.name}, or of one of its commands.",
                examples=((f"{program.name} help evaluate", ""),),
            ),
        )
        names = tuple(name for name, _ in program.help_rows)
        made.add_value(
            INPUT,
            "command",
            nargs="?",
            metavar="COMMAND",
            type=Typed(str, names),
            help="which one (default: the whole program)",
        )
        return made

    def run(given: dict[str, Any]) -> int:
        program.command(given.get("command", program.default)).parser().print_help()
        return 0

    return Command(parser, run)
