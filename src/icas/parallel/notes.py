"""Log messages of tasks in other processes, which travel back with the results."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

ROOT = logging.getLogger("icas")


class Note(NamedTuple):
    """A log message of icas."""

    logger: str
    level: int
    message: str


@contextmanager
def noting() -> Iterator[list[Note]]:
    """Collect the messages that this thread logs while the block runs, in a worker process."""
    handler = _Collector()
    if not ROOT.isEnabledFor(logging.INFO):
        ROOT.setLevel(logging.INFO)  # and stays so: other threads of the worker may collect too
    ROOT.addHandler(handler)
    try:
        yield handler.notes
    finally:
        ROOT.removeHandler(handler)


def log_again(notes: Iterable[Note]) -> None:
    """Log messages of a worker process in this one."""
    for note in notes:
        logging.getLogger(note.logger).log(note.level, "%s", note.message)


class _Collector(logging.Handler):
    """Collects the messages of one thread, each once."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.notes: list[Note] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        note = Note(record.name, record.levelno, record.getMessage())
        if record.thread == self._thread and note not in self.notes:
            self.notes.append(note)
