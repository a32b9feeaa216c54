"""Output of a run: result lines on stdout, warnings and progress bars on stderr."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, TypeVar

from icas.common.errors import IcasError

T = TypeVar("T")
ELLIPSIS = "…"


class Bar(Protocol):
    """A progress bar."""

    def update(self, steps: int) -> object:
        """Advance by `steps`."""
        ...


class _NoBar:
    def update(self, steps: int) -> None:
        """Show nothing."""


@dataclass(frozen=True)
class Console:
    """Which kinds of output a run prints.

    Attributes
    ----------
    results : bool
        Print result lines on stdout.
    warnings : bool
        Print warnings on stderr.
    bars : bool
        Show progress bars on stderr, if that is a terminal.
    details : bool
        Print the result lines of ``-v``.
    """

    results: bool = False
    warnings: bool = False
    bars: bool = False
    details: bool = False

    def line(self, text: str) -> None:
        """Print a result line."""
        if self.results:
            print_line(text)

    def detail(self, text: str) -> None:
        """Print a result line that only ``-v`` shows."""
        if self.details:
            self.line(text)

    def warn(self, text: str) -> None:
        """Print a warning."""
        if self.warnings:
            warn(text)

    @contextmanager
    def show_logging(self) -> Iterator[None]:
        """Print log messages of icas as warnings while the block runs."""
        logger, before = logging.getLogger("icas"), logging.getLogger("icas").level
        handler = _ConsoleHandler(self)
        logger.addHandler(handler)
        if self.warnings:
            logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before)

    @contextmanager
    def bar(self, total: int, what: str, unit: str) -> Iterator[Bar]:
        """Show a progress bar while the block runs, if stderr is a terminal."""
        if not self.bars or not sys.stderr.isatty() or total == 0:
            yield _NoBar()
            return
        from tqdm import tqdm

        with tqdm(total=total, desc=what, unit=f" {unit}", leave=False, file=sys.stderr) as bar:
            yield bar


class _ConsoleHandler(logging.Handler):
    """Prints log messages on a console, each once."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self._console = console
        self._printed: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message that was not printed before."""
        message = record.getMessage()
        if message not in self._printed:
            self._printed.add(message)
            self._console.warn(message)


def counted(things: Iterable[T], bar: Bar) -> Iterator[T]:
    """Pass `things` through, advancing `bar` by one for each."""
    for thing in things:
        yield thing
        bar.update(1)


def print_line(text: str) -> None:
    """Print a line on stdout; a reader that has left (``| head``) does not stop the run."""
    try:
        print(printable(text), flush=True)
    except BrokenPipeError:
        silence(sys.stdout)
    except OSError as error:
        silence(sys.stdout)  # or Python tries again when it exits, which changes the exit code
        raise IcasError(f"cannot write to standard output: {error.strerror or error}") from error


def warn(text: str) -> None:
    """Print a line on stderr; errors are ignored."""
    try:
        print(printable(text), file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


def silence(stream: IO[str]) -> None:
    """Discard what is written to `stream` from now on."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def open_missing_streams() -> None:
    """Open stdin, stdout or stderr on the null device if the process was started without them.

    Else the next files that are opened get their numbers, and messages of a library end up in an
    image.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - stays open


def printable(text: str) -> str:
    """`text` on one line in the encoding of stdout, anything else escaped.

    File names may contain line breaks and bytes that are not UTF-8.
    """
    shown = "".join(
        character if character.isprintable() else _escaped(character) for character in text
    )
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if not _has(encoding, ELLIPSIS):
        shown = shown.replace(ELLIPSIS, "...")
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def _has(encoding: str, letter: str) -> bool:
    try:
        return bool(letter.encode(encoding))
    except UnicodeEncodeError:
        return False


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape", "surrogatepass").decode("ascii")
