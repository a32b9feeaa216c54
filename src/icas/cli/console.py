"""What a run says: result lines on stdout, warnings and progress bars on stderr."""

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


class Bar(Protocol):
    """A progress bar."""

    def update(self, steps: int) -> object:
        """Go on by `steps`."""
        ...


class _NoBar:
    def update(self, steps: int) -> None:
        """Nothing is shown."""


@dataclass(frozen=True)
class Console:
    """Where a run's words go.

    Attributes
    ----------
    results : bool
        Print result lines on stdout.
    warnings : bool
        Print warnings on stderr.
    bars : bool
        Show progress bars on stderr, if that is a terminal.
    details : bool
        Print result lines of the kind that only ``-v`` shows.
    """

    results: bool = False
    warnings: bool = False
    bars: bool = False
    details: bool = False

    def line(self, text: str) -> None:
        """A result line."""
        if self.results:
            say(text)

    def detail(self, text: str) -> None:
        """A result line for those who asked for more."""
        if self.details:
            self.line(text)

    def warn(self, text: str) -> None:
        """A line that the user should see even where stdout goes into a file."""
        if self.warnings:
            warn(text)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While the block runs, what icas logs (that it compiles something) is told as warnings."""
        logger, before = logging.getLogger("icas"), logging.getLogger("icas").level
        handler = _Told(self)
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
        """A progress bar while the block runs; nothing where stderr is no terminal."""
        if not self.bars or not sys.stderr.isatty() or total == 0:
            yield _NoBar()
            return
        from tqdm import tqdm

        with tqdm(total=total, desc=what, unit=f" {unit}", leave=False, file=sys.stderr) as bar:
            yield bar


class _Told(logging.Handler):
    """Tells log lines on a console."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        self._console.warn(record.getMessage())


def counted(things: Iterable[T], bar: Bar) -> Iterator[T]:
    """`things` as they are; each moves `bar` by a step."""
    for thing in things:
        yield thing
        bar.update(1)


def say(text: str) -> None:
    """Print a line on stdout; where its reader has gone (``| head``), the work goes on unheard.

    Raises
    ------
    IcasError
        It cannot be written: the disk of the file that takes it is full.
    """
    try:
        print(printable(text), flush=True)
    except BrokenPipeError:
        unheard(sys.stdout)
    except OSError as error:
        unheard(sys.stdout)  # or Python tries again at its end, and that decides the exit code
        raise IcasError(f"cannot write to standard output: {error.strerror or error}") from error


def warn(text: str) -> None:
    """Print a line on stderr; that nobody can be warned is no reason to stop."""
    try:
        print(printable(text), file=sys.stderr, flush=True)
    except OSError:
        unheard(sys.stderr)


def unheard(stream: IO[str]) -> None:
    """From now on what is written to `stream` goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def fill_streams() -> None:
    """Give a process that was started without stdin, stdout or stderr some that lead nowhere.

    Else the next files that are opened have their numbers, and what a library has to say is
    written into an image.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - open to the end


def printable(text: str) -> str:
    """`text` on one line, in characters that every stream takes.

    File names may hold line breaks and bytes that are no UTF-8; both are shown escaped.
    """
    shown = "".join(
        character if character.isprintable() else _escaped(character) for character in text
    )
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape", "surrogatepass").decode("ascii")
