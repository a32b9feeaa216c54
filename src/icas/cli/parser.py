"""Command-line parsers: flags in titled groups, help, one-line errors with suggestions."""

from __future__ import annotations

import argparse
import re
import shutil
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NoReturn

from icas._version import __version__
from icas.common.errors import UsageError

INPUT = "Input"
METHOD = "Method"
CLUSTERS = "Clusters"
SEGMENTATION = "Segmentation"
PAINTING = "Painting"
TEMPLATES = "Templates"
NETWORK = "Network"
TRAINING = "Training"
OUTPUT = "Output"
PERFORMANCE = "Performance"
UNTRUSTED = "Untrusted input"
LOGGING = "Logging"
GROUPS = (
    INPUT,
    METHOD,
    CLUSTERS,
    SEGMENTATION,
    PAINTING,
    TEMPLATES,
    NETWORK,
    TRAINING,
    OUTPUT,
    PERFORMANCE,
    UNTRUSTED,
    LOGGING,
)
"""Titles of groups of flags, in the order of the help; others (one per method) follow."""

SHARED_FLAGS = ("--debug", "--version", "--help", "--help-all")
"""Flags of every command, the last ones of their group."""
HELP_FLAGS = ("-h", "--help", "--help-all")
OFF = " (default: off)"
EXAMPLES = 3
"""Examples in the short help."""
Rows = tuple[tuple[str, str], ...]
"""Terms, each with its meaning."""

CUTOFF = 0.7
"""Similarity of two words, 0 to 1, from which on the one is suggested for the other."""


def closest_match(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that is most similar to `word`, if any is similar enough."""
    matches = get_close_matches(word.casefold(), list(candidates), n=1, cutoff=CUTOFF)
    return matches[0] if matches else None


def did_you_mean(message: str, flags: Iterable[str]) -> str:
    """Suggestions for the unknown flags in `message`: ``"; did you mean ...?"``, or nothing."""
    known = sorted(set(flags))
    words = (word.partition("=")[0] for word in message.split() if re.match(r"--?[^\W\d]", word))
    matches = (closest_match(word, known) for word in words if word.rstrip(":,") not in known)
    suggestions = list(dict.fromkeys(match for match in matches if match))
    return f"; did you mean {' and '.join(suggestions)}?" if suggestions else ""


@dataclass(frozen=True)
class ArgumentType:
    """Conversion of a command-line word by `parse`; `words` and `listed` are as in `Option`."""

    parse: Callable[[str], Any]
    words: tuple[str, ...] = ()
    listed: bool = False

    def __call__(self, text: str) -> Any:
        """Convert `text`, or raise argparse.ArgumentTypeError."""
        try:
            return self.parse(text)
        except (ValueError, OverflowError) as error:
            wanted = {"int": "an integer", "float": "a number", "number": "a number"}.get(
                getattr(self.parse, "__name__", ""), str(error)
            )
            raise argparse.ArgumentTypeError(f"{text!r}: expected {wanted}") from None


def number(text: str) -> int | float:
    """An int where `text` is one, else a float."""
    try:
        return int(text)
    except ValueError:
        return float(text)


def value_name(action: argparse.Action) -> str:
    """The value of a flag as the help shows it: ``DIR``, ``a|b``, ``[PATH]``, ``PATH ...``."""
    if action.nargs == 0:
        return ""
    name = str(action.metavar or "|".join(map(str, action.choices or (action.dest.upper(),))))
    if action.nargs == "?":
        return f"[{name}]"
    return f"{name} ..." if action.nargs in ("*", "+") else name


def signature(action: argparse.Action) -> str:
    """A flag as the help shows it: ``-q, --quiet``, ``--dst DIR``, ``[--src] DIR``."""
    flags = ", ".join(action.option_strings)
    if action.dest == SOURCE_FLAG:
        flags = f"[{flags}]"
    return " ".join(part for part in (flags, value_name(action)) if part)


SOURCE_FLAG = "src_flag"
"""Destination of ``--src``, whose value may also be given without the flag."""


_PLAIN = {
    "expected one argument": "expected a value",
    "the following arguments are required:": "missing",
}
"""Phrases of argparse, and what is printed instead."""


class CommandParser(argparse.ArgumentParser):
    """A parser without defaults, with one-line errors and the flags that all commands share.

    Parameters
    ----------
    common : sequence of str
        Flags that ``--help`` shows, in this order; if empty, it shows all, as ``--help-all`` does.
    tables : mapping of str to Rows
        Tables that precede all flags, by title.
    examples : Rows
        Command lines, each with a comment or "".
    commands, exit_codes : Rows
        For the page of a whole program.
    intermixed : bool
        Whether flags may occur between positional values.

    Attributes
    ----------
    minor : collection of str
        Commands that the short help lists by name only.
    """

    def __init__(
        self,
        prog: str,
        description: str,
        *,
        common: Sequence[str] = (),
        tables: Mapping[str, Rows] | None = None,
        examples: Rows = (),
        commands: Rows = (),
        exit_codes: Rows = (),
        intermixed: bool = False,
    ) -> None:
        super().__init__(
            prog=prog,
            description=description,
            argument_default=argparse.SUPPRESS,
            allow_abbrev=False,
            add_help=False,
            formatter_class=_HelpFormatter,
        )
        self.common, self.tables, self.examples = common, dict(tables or {}), examples
        self.commands, self.exit_codes = commands, exit_codes
        self.minor: Collection[str] = ()
        self._intermixed = intermixed
        self._groups: dict[str, argparse._ArgumentGroup] = {}
        self.add_switch(LOGGING, "-q", "--quiet", help="no progress bars, no warnings")
        self.add_switch(LOGGING, "--debug", help="show tracebacks of errors")
        version = f"icas {__version__}"
        add = self.group(LOGGING).add_argument
        add("--version", action="version", version=version, help="print the version")
        shown = "print the most common flags" if common else "print all flags"
        add("-h", "--help", action="help", help=shown)
        add("--help-all", action=_HelpAll, nargs=0, help="print all flags")

    def group(self, title: str) -> argparse._ArgumentGroup:
        """The group with that title, created when it is new."""
        if title not in self._groups:
            self._groups[title] = self.add_argument_group(title)
        return self._groups[title]

    def add_switch(self, title: str, *names: str, help: str) -> None:
        """Add a flag without a value to a group."""
        self.group(title).add_argument(*names, action="store_true", help=help + OFF)

    def add_value(self, title: str, *names: str, help: str, **details: Any) -> None:
        """Add a flag with a value, or a positional value, to a group."""
        self.group(title).add_argument(*names, help=help, **details)

    def add_source(self) -> None:
        """Add the source folder, positional or as ``--src``; see `take_source`."""
        self.add_argument("src", nargs="?", metavar="DIR", help=argparse.SUPPRESS)
        self.add_value(INPUT, "--src", dest=SOURCE_FLAG, metavar="DIR", help="folder of images")

    def read(self, words: Sequence[str]) -> dict[str, Any]:
        """Parse the command line; values that are not given are left out."""
        # parse_intermixed_args prints an incomplete help
        if self._intermixed and not {*HELP_FLAGS} & {*words}:
            return vars(self.parse_intermixed_args(words))
        return vars(self.parse_args(words))

    def error(self, message: str) -> NoReturn:
        """Raise a UsageError with one line."""
        text = re.sub(r"^argument ([^:]+): (?=')", r"\1 ", message).removeprefix("argument ")
        for standard, plain in _PLAIN.items():
            text = text.replace(standard, plain)
        suggestion = did_you_mean(message, self._option_string_actions)
        flag = "--help-all" if self.common else "--help"
        raise UsageError(f"{text}{suggestion} (see {self.prog} {flag})")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Raise an ArgumentError in the same words under every version of Python."""
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(
                action, f"{value!r}: choose from {', '.join(map(str, action.choices))}"
            )

    def sorted_groups(self) -> list[tuple[argparse._ArgumentGroup, list[argparse.Action]]]:
        """Groups in the order of the help, with their flags; empty ones are left out."""

        def rank(group: argparse._ArgumentGroup) -> int:
            return GROUPS.index(group.title) if group.title in GROUPS else len(GROUPS)

        def is_shared(action: argparse.Action) -> bool:
            return bool(set(action.option_strings) & set(SHARED_FLAGS))

        groups = sorted(self._groups.values(), key=rank)
        return [
            (group, sorted(group._group_actions, key=is_shared))
            for group in groups
            if group._group_actions
        ]

    def usage_lines(self) -> list[str]:
        """The ways to call the command."""
        actions = [action for _, actions in self.sorted_groups() for action in actions]
        positional = [a for a in actions if not a.option_strings or a.dest == SOURCE_FLAG]
        required = [a for a in actions if a.option_strings and a.required]
        line = " ".join((self.prog, *map(signature, positional + required), "[flags]"))
        return [line, f"{self.prog} COMMAND ..."] if self.commands else [line]

    def format_usage(self) -> str:
        """The usage, wrapped."""
        return "".join(
            textwrap.fill(line, help_width(), initial_indent=start, subsequent_indent=" " * 11)
            + "\n"
            for line, start in zip(self.usage_lines(), ("usage: ", " " * 7), strict=False)
        )

    def format_help(self) -> str:
        """The help with the common flags only, if the command names them; else all of it."""
        if not self.common:
            return self.format_help_all()
        formatter = _HelpFormatter(self.prog)
        flags = self._option_string_actions
        formatter.add_section("Common flags", [flags[name] for name in self.common])
        main = tuple(row for row in self.commands if row[0] not in self.minor)
        formatter.add_table("Commands", main)
        rest = f"Also: {', '.join(self.minor)}.\n" if self.minor else ""
        rest += f"All flags: {self.prog} --help-all"
        if self.commands:
            rest += f". Help of a command: {self.prog} help COMMAND"
        return f"{self._head(self.examples[:EXAMPLES])}\n{formatter.format_help()}\n{rest}\n"

    def format_help_all(self) -> str:
        """The help with every flag, as wide as the terminal."""
        formatter = _HelpFormatter(self.prog)
        for title, rows in self.tables.items():
            formatter.add_table(title, rows)
        for group, actions in self.sorted_groups():
            formatter.add_section(group.title, actions)
        formatter.add_table("Commands", self.commands)
        formatter.add_table("Exit codes", self.exit_codes)
        return f"{self._head(self.examples)}\n{formatter.format_help()}"

    def _head(self, examples: Rows) -> str:
        """Usage, description, examples."""
        formatter = _HelpFormatter(self.prog)
        formatter.add_text(self.description)
        lines = "".join(f"  {line}\n" for line in example_lines(examples))
        shown = f"\nExamples:\n{lines}" if lines else ""
        return f"{self.format_usage()}\n{formatter.format_help()}{shown}"


class _HelpAll(argparse.Action):
    """Prints the help with every flag, and exits."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        if isinstance(parser, CommandParser):
            print(parser.format_help_all(), end="")
        parser.exit()


def example_lines(examples: Rows) -> list[str]:
    """Command lines, each preceded by its comment if it has one."""
    return [
        text
        for line, comment in examples
        for text in (f"# {comment}" * bool(comment), line)
        if text
    ]


NARROWEST, WIDEST = 50, 100
UNBROKEN = re.compile(r"\(default: [^)]{,24}\)$")
"""A default that stays on one line."""


def help_width() -> int:
    """Columns of the terminal, within the limits of easy reading."""
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))


class _HelpFormatter(argparse.HelpFormatter):
    """Help of the same layout under every version of Python."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=24, width=help_width())
        getattr(self, "_set_color", bool)(False)  # Python 3.14

    def add_section(self, title: str | None, actions: Iterable[argparse.Action]) -> None:
        """A section of flags; without any, nothing is shown."""
        self.start_section(title)
        self.add_arguments(actions)
        self.end_section()

    def add_table(self, title: str, rows: Rows) -> None:
        """A section of terms with their meanings."""
        terms = (
            argparse.Action([], "", metavar=term, help=text.replace("%", "%%"))
            for term, text in rows
        )
        self.add_section(title, terms)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        return signature(action)

    def _split_lines(self, text: str, width: int) -> list[str]:
        joined = UNBROKEN.sub(lambda match: match[0].replace(" ", "\u00a0"), text)
        lines = textwrap.wrap(joined, width, break_on_hyphens=False)
        return [line.replace("\u00a0", " ") for line in lines]

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.split("\n\n")
        return "\n\n".join(
            textwrap.fill(part, width, initial_indent=indent, subsequent_indent=indent)
            for part in paragraphs
        )


def take_source(given: dict[str, Any], program: str) -> str:
    """Remove the source folder from `given` and return it."""
    by_flag, by_place = given.pop(SOURCE_FLAG, None), given.pop("src", None)
    if by_flag is not None and by_place is not None and by_flag != by_place:
        raise UsageError(f"two source folders: --src {by_flag} and {by_place}; give one")
    source = by_flag if by_flag is not None else by_place
    if not source:
        raise UsageError(f"no source folder: {program} --src DIR (see {program} --help)")
    return str(source)
