"""Programs: tables of commands, dispatch, exit codes, one-line errors."""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from icas.cli.console import open_missing_streams, silence, warn
from icas.cli.parser import INPUT, ArgumentType, CommandParser, Rows, closest_match
from icas.common.errors import IcasError, UsageError
from icas.common.registry import Entry

INTERRUPTED = 130


def guarded(name: str, run: Callable[[], int], debug: bool) -> int:
    """Exit code of `run`; errors are printed on stderr in one line that begins with `name`.

    With `debug` they are raised, with their traceback.
    """
    open_missing_streams()
    try:
        code = run()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt as error:
        warn(": ".join((name, "interrupted", *map(str, error.args))))
        return INTERRUPTED
    except BrokenPipeError:  # `clusterimg … | head`: the reader has left, which is no error
        silence(sys.stdout)
        return 0
    except IcasError as error:
        if debug:
            raise
        warn(f"{name}: {error.message}")
        return error.exit_code
    except Exception as error:
        if debug:
            raise
        warn(f"{name}: {_message(error)}")
        return 1


def _message(error: Exception) -> str:
    if _is_out_of_memory(error):
        return "out of memory: use a smaller --batch-size, --size or --jobs"
    if isinstance(error, OSError):
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return "too many open files: use a smaller --jobs, or raise the limit (ulimit -n)"
        if isinstance(error, FileNotFoundError) and not error.filename and _lost_folder():
            return "the current folder was removed: change to another folder, or use absolute paths"
        file = f"{error.filename}: " if error.filename else ""
        return f"{file}{error.strerror or error}"
    kind = type(error).__name__
    return f"unexpected error, please report it ({kind}: {error}); --debug shows the traceback"


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, possibly while a library was loaded."""
    if isinstance(error, ImportError):
        return "failed to map segment" in str(error) or "allocate memory" in str(error)
    return isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM


def _lost_folder() -> bool:
    """Whether the current folder was removed."""
    try:
        os.getcwd()  # noqa: PTH109 - what Path.cwd does
    except OSError:
        return True
    return False


EXIT_CODES: Rows = (
    ("0", "done"),
    ("1", "failed"),
    ("2", "wrong usage, or a missing extra"),
    ("3", "done, but some files could not be read"),
    ("130", "interrupted"),
)


@dataclass(frozen=True)
class Command:
    """A command.

    Attributes
    ----------
    parser : callable
        Makes its parser.
    run : callable
        Takes the values that were given, by name; returns the exit code.
    discover : callable, optional
        Takes the command line before the parser is made, to add methods of other packages.
    """

    parser: Callable[[], CommandParser]
    run: Callable[[dict[str, Any]], int]
    discover: Callable[[Sequence[str]], None] | None = None


@dataclass(frozen=True)
class Program:
    """A table of commands, loaded when used.

    Attributes
    ----------
    default : str
        The command whose name may be omitted.
    minor : tuple of str
        Commands that the short help lists without a description.
    """

    name: str
    default: str
    rows: Mapping[str, Entry]
    minor: tuple[str, ...] = ()

    @property
    def help_rows(self) -> Rows:
        """Its commands, each with a line of help."""
        return (*((name, row.help) for name, row in self.rows.items()), *COMMON)

    def command(self, name: str) -> Command:
        """The command called `name`."""
        if name in self.rows:
            command: Command = self.rows[name].load()
            return command
        if name == "help":
            return _help_command(self)
        if name == "completion":
            return _completion_command(self)
        names = [row for row, _ in self.help_rows]
        match = closest_match(name, names)
        suggestion = f"did you mean {match}?" if match else f"choose from {', '.join(names)}"
        raise UsageError(f"no command {name!r}; {suggestion}")

    def parser(self, name: str, words: Sequence[str] = ()) -> CommandParser:
        """The parser of the command called `name`, for the command line `words`."""
        command = self.command(name)
        if command.discover is not None:
            command.discover(words)
        parser = command.parser()
        if name == self.default:
            parser.commands, parser.exit_codes = self.help_rows, EXIT_CODES
            parser.minor = self.minor
        return parser

    def parsers(self) -> dict[str, CommandParser]:
        """The parsers of all its commands, by what is typed."""
        parsers = (self.parser(name) for name, _ in self.help_rows)
        return {parser.prog: parser for parser in parsers}

    def main(self, words: Sequence[str] | None = None) -> int:
        """Run the command line `words`, those of the process by default; return the exit code."""
        given = list(sys.argv[1:] if words is None else words)
        debug = "--debug" in given
        logging.getLogger("icas").setLevel(logging.DEBUG if debug else logging.NOTSET)
        return guarded(self.name, lambda: self._run(given), debug)

    def _run(self, words: list[str]) -> int:
        names = [name for name, _ in self.help_rows]
        name = self.default
        if words and words[0] in names:
            name, *words = words
        elif words:
            self._refuse_misspelt(words[0], names)
        return self.command(name).run(self.parser(name, words).read(words))

    def _refuse_misspelt(self, word: str, names: list[str]) -> None:
        """Raise a UsageError if `word` looks like a command and is no existing folder."""
        if not re.fullmatch("[a-z-]+", word.casefold()) or word.startswith("-"):
            return
        match = closest_match(word, names)
        if match and not Path(word).exists():
            raise UsageError(
                f"{word} is neither a folder nor a command; did you mean {self.name} {match}?"
            )


COMMON: Rows = (
    ("help", "print the help of a command"),
    ("completion", "print a completion script for bash, zsh or fish"),
)
"""Commands of every program."""
SHELLS = {"bash": "{}.bash", "zsh": "_{}", "fish": "{}.fish"}
"""Shells, and the names of their completion files."""
COMPLETION = "Print the script with which a shell completes commands, flags and values."


def _completion_command(program: Program) -> Command:
    """The command that prints the completion of `program`."""

    def parser() -> CommandParser:
        typed = f"{program.name} completion"
        rows = (
            ("bash", f'eval "$({typed} bash)" in ~/.bashrc'),
            ("zsh", f'eval "$({typed} zsh)" in ~/.zshrc, after compinit'),
            ("fish", f"{typed} fish > ~/.config/fish/completions/{program.name}.fish"),
        )
        examples = ((f"{typed} bash", ""),)
        tables = {"Installation": rows}
        help = "bash, zsh or fish"
        made = CommandParser(typed, COMPLETION, tables=tables, examples=examples)
        made.add_value(INPUT, "shell", choices=tuple(SHELLS), metavar="SHELL", help=help)
        return made

    def run(given: dict[str, Any]) -> int:
        print(completion(program.name, given["shell"]), end="")
        return 0

    return Command(parser, run)


def completion(program: str, shell: str) -> str:
    """The completion script of `program` for `shell`, which the build of the package wrote."""
    file = files("icas") / "completions" / SHELLS[shell].format(program)
    if not file.is_file():
        raise IcasError(f"{file} is not built: pip install icas, or python scripts/pages.py")
    return file.read_text(encoding="utf-8")


def _help_command(program: Program) -> Command:
    """The command that prints the help of `program` and of its commands."""

    def parser() -> CommandParser:
        text = f"Print the help of {program.name}, or of one of its commands."
        examples = ((f"{program.name} help evaluate", ""),)
        made = CommandParser(f"{program.name} help", text, examples=examples)
        names = ArgumentType(str, tuple(name for name, _ in program.help_rows))
        details: dict[str, Any] = {"nargs": "?", "metavar": "COMMAND", "type": names}
        made.add_value(
            INPUT, "command", help="name of the command (default: the program)", **details
        )
        return made

    def run(given: dict[str, Any]) -> int:
        program.parser(given.get("command", program.default), ["--help"]).print_help()
        return 0

    return Command(parser, run)
