"""Work that is done once, in a thread, while the page is used; consoles that print nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from icas.cli.console import Bar, Console
from icas.common.errors import IcasError

T = TypeVar("T")
LOG = logging.getLogger("icas")


class Collected(Console):
    """Keeps lines, details and warnings instead of printing them."""

    lines: list[str]
    details_kept: list[str]
    warned: list[str]

    def __init__(self) -> None:
        super().__init__()
        for name in ("lines", "details_kept", "warned"):
            object.__setattr__(self, name, [])

    def line(self, text: str) -> None:
        """Keep a result line."""
        self.lines.append(text)

    def detail(self, text: str) -> None:
        """Keep a line that only ``-v`` shows."""
        self.details_kept.append(text)

    def warn(self, text: str) -> None:
        """Keep a warning."""
        self.warned.append(text)


class _Progress(Console):
    """Counts the steps of progress bars instead of showing them."""

    share: float

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "share", 0.0)

    @contextmanager
    def bar(self, total: int, what: str, unit: str) -> Iterator[Bar]:
        """A bar that sets `share`."""
        yield _Steps(self, total)


class _Steps:
    def __init__(self, progress: _Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, max(total, 1), 0

    def update(self, steps: int) -> None:
        """Advance by `steps`."""
        self._done += steps
        object.__setattr__(self._progress, "share", min(1.0, self._done / self._total))


class Background(Generic[T]):
    """The result of a function that is called once, at the first `get`."""

    def __init__(self, work: Callable[[Console], T]) -> None:
        self._work = work
        self._console = _Progress()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._value: T | None = None
        self._error: Exception | None = None

    @property
    def progress(self) -> float:
        """0 to 1."""
        return round(self._console.share, 3)

    def get(self) -> T | None:
        """The result; None while it is computed. Raises the error of the function."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
        if self._error is not None:
            raise self._error
        return self._value

    def wait(self) -> T | None:
        """As `get`, after the function has returned."""
        self.get()
        assert self._thread is not None
        self._thread.join()
        return self.get()

    def waiting(self) -> dict[str, Any]:
        """What the page gets while the result is computed."""
        return {"wait": True, "progress": self.progress}

    def _run(self) -> None:
        try:
            self._value = self._work(self._console)
        except IcasError as error:
            self._error = error
        except Exception as error:
            LOG.exception("a task of the review failed")
            self._error = IcasError(f"internal error: {type(error).__name__}")
