"""Words that were meant where others were typed."""

from __future__ import annotations

import argparse
import re
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, NoReturn

from icas._version import __version__
from icas.common.errors import UsageError

INPUT = "what goes in"
COMPARED = "how images are compared"
CLUSTERS = "threshold and clusters"
CUT = "how pictures are cut"
PAINT = "painting and templates"
NETWORK = "the network"
TRAINING = "the training"
OUTPUT = "what comes out"
WORKERS = "workers and memory"
KEPT = "what is kept between runs"
SAFETY = "files from strangers"
SAID = "what the command says"

ORDER = (
    INPUT,
    COMPARED,
    CLUSTERS,
    CUT,
    PAINT,
    NETWORK,
    TRAINING,
    OUTPUT,
    WORKERS,
    KEPT,
    SAFETY,
    SAID,
)
"""The order in which they stand; other titles (a method each) come after them."""

LAST = ("--debug", "--version", "--help")
"""Flags that stand last in their group: every command has them."""


def place_of(title: str) -> int:
    """Where a group called `title` stands."""
    return ORDER.index(title) if title in ORDER else len(ORDER)


ALIKE = 0.7
"""How alike two words are, 0 to 1, of which one may be meant for the other."""


def meant(word: str, known: Iterable[str]) -> str | None:
    """That of the `known` words that `word` was meant for, as far as one can guess."""
    found = get_close_matches(word.casefold(), list(known), n=1, cutoff=ALIKE)
    return found[0] if found else None


def did_you_mean(message: str, flags: Iterable[str]) -> str:
    """The unknown flags in `message`, with those that they were meant for: ``"; did you mean …?"``.

    Empty where none is unknown, or none is like one of `flags`.
    """
    known = set(flags)
    typed = (word.partition("=")[0] for word in message.split() if re.match(r"--?[^\W\d]", word))
    guesses = (meant(word, sorted(known)) for word in typed if word.rstrip(":,") not in known)
    told = list(dict.fromkeys(guess for guess in guesses if guess))
    return f"; did you mean {' and '.join(told)}?" if told else ""


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
        pass
        pass

        return help_text(page_of(self), width_here())

    def format_usage(self) -> str:
        """The first lines of the help."""
        pass
        pass

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


def number(text: str) -> int | float:
    """A whole number where the text is one, else a number."""
    try:
        return int(text)
    except ValueError:
        return float(text)


@dataclass(frozen=True)
class Typed:
    """Text of the command line -> a value; a wrong one is told in words.

    Attributes
    ----------
    parse : callable
    words : tuple of str
        Values that can be told beforehand, where others may do as well.
    listed : bool
        Whether several of `words` may be given, with commas between them.
    """

    parse: Callable[[str], Any]
    words: tuple[str, ...] = ()
    listed: bool = False

    def __call__(self, text: str) -> Any:
        """The value.

        Raises
        ------
        argparse.ArgumentTypeError
        """
        try:
            return self.parse(text)
        except (ValueError, OverflowError) as error:
            wanted = {"int": "a whole number", "float": "a number", "number": "a number"}.get(
                getattr(self.parse, "__name__", ""), str(error)
            )
            raise argparse.ArgumentTypeError(f"{text!r}: {wanted} is needed") from None


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


NARROWEST, WIDEST = 50, 100
TERM = 24
"""Columns of the flags."""
UNTORN = 24
"""Characters of a default up to which it stays on one line."""
UNBROKEN = "\u00a0"


def width_here() -> int:
    """Columns of the terminal, as far as they can be read easily."""
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))


def help_text(page: Page, width: int) -> str:
    """The help, no wider than `width` but for examples."""
    parts = [usage_text(page, width), _paragraphs(page.text, width)]
    parts += [f"{title}:\n{table(rows, width)}" for title, rows in page.forms.items()]
    parts += [_group(group, width) for group in page.groups]
    if page.commands:
        rows = tuple((f"{page.name} {name}", what) for name, what in page.commands)
        parts.append(f"commands, each with --help:\n{table(rows, width)}")
    if page.exit_codes:
        codes = ", ".join(f"{code} {meaning}" for code, meaning in page.exit_codes)
        parts.append(_paragraphs(f"exit codes: {codes}", width))
    if page.examples:
        parts.append("examples:\n" + "\n".join(example_lines(page.examples)) + "\n")
    return "\n".join(parts)


def usage_text(page: Page, width: int) -> str:
    """The first lines: how the command is called."""
    return "".join(
        textwrap.fill(line, width, initial_indent=begin, subsequent_indent=" " * 11) + "\n"
        for line, begin in zip(page.usage, ("usage: ", " " * 7), strict=False)
    )


def example_lines(examples: Rows) -> Iterator[str]:
    """Every example under what it is for."""
    for line, purpose in examples:
        if purpose:
            yield f"  # {purpose}"
        yield f"  {line}"


def table(rows: Rows, width: int, left: int = 0) -> str:
    """Terms in a column of their own, `left` wide at least, with what they mean beside them.

    A term that is longer stands on a line of its own; without `left`, the longest tells.
    """
    left = left or max(len(term) + 4 for term, _ in rows)
    return "".join(_row(term, meaning, left, width) for term, meaning in rows)


def with_default(flag: Flag) -> str:
    """What a flag means, with its default."""
    return f"{flag.meaning} (default: {flag.default})" if flag.default else flag.meaning


def _group(group: Group, width: int) -> str:
    title = f"{group.title}: {group.meaning}" if group.meaning else f"{group.title}:"
    rows = tuple((flag.term, with_default(flag)) for flag in group.flags)
    return textwrap.fill(title, width, subsequent_indent="  ") + "\n" + table(rows, width, TERM)


def _row(term: str, meaning: str, left: int, width: int) -> str:
    lines = _wrapped(meaning, width - left)
    if len(term) + 4 > left:
        lines.insert(0, "")
    first, *others = lines
    told = [f"  {term}".ljust(left) + first, *(" " * left + other for other in others)]
    return "".join(f"{line.rstrip()}\n" for line in told)


def _wrapped(meaning: str, width: int) -> list[str]:
    """Lines of `meaning`; a short default is not torn apart."""
    said, bracket, default = meaning.partition(" (default: ")
    if len(default) <= UNTORN:
        default = default.replace(" ", UNBROKEN)
        bracket = " (default:" + UNBROKEN if bracket else ""
    lines = textwrap.wrap(said + bracket + default, width, break_on_hyphens=False) or [""]
    return [line.replace(UNBROKEN, " ") for line in lines]


def _paragraphs(text: str, width: int) -> str:
    return "\n".join(textwrap.fill(part, width) + "\n" for part in text.split("\n\n"))
