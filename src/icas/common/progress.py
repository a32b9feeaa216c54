"""What a run says: result lines on stdout, warnings and progress bars on stderr."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

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
            print(printable(text), flush=True)

    def detail(self, text: str) -> None:
        """A result line for those who asked for more."""
        if self.details:
            self.line(text)

    def warn(self, text: str) -> None:
        """A line that the user should see even where stdout goes into a file."""
        if self.warnings:
            print(printable(text), file=sys.stderr, flush=True)

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
