"""A process that decodes for this one: started, asked, given so much time, and killed."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import IO, Any

from icas.common.errors import IcasError
from icas.io.sandbox_worker import BEGUN, DECODED, ERROR, MEMORY, receive, send
from icas.parallel.child_processes import ONE_THREAD

START_SECONDS = 120.0
"""Seconds in which the process has to be ready."""
IDLE_SECONDS = 20.0
"""Seconds without work after which it ends."""

_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:];"
    " from icas.io.sandbox_worker import main; main(int(sys.argv[1]))"
)
NOT_STARTED = "the process that decodes pictures apart does not start ({}): use --no-isolate"
SLOW, CRASHED, LARGE = (
    "took longer than {:g} s to decode",
    "its decoder crashed",
    "needs too much memory to decode",
)


@dataclass(eq=False)
class Fallen(Exception):  # noqa: N818 - what happened, not a mistake
    """The process did not give a result.

    Attributes
    ----------
    reason : str
        For people.
    place : int or None
        The item that was being decoded; None where the features of some were computed.
    sure : bool
        It would happen again: time or memory ran out, which no other program caused.
    """

    reason: str
    place: int | None
    sure: bool


class DecodingProcess:
    """Works for one thread at a time.

    A thread of its own starts the process, ends it when its time is over, and waits for its end:
    it lives as long as the process, for on Linux the process dies with the thread that started it.

    Raises
    ------
    IcasError
        It does not start.
    """

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._deadline = time.monotonic() + START_SECONDS
        self._looked_for = inf
        self._over = False
        self._late = False
        self._place: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._failure = ""
        begun = threading.Event()
        self._keeper = threading.Thread(
            target=self._keep, args=(begun,), name="icas-decoding", daemon=True
        )
        self._keeper.start()
        begun.wait()
        if not self._is_ready():
            self.close()
            raise IcasError(NOT_STARTED.format(self._failure or self._ended_with()))
        self._allow(IDLE_SECONDS)

    def _is_ready(self) -> bool:
        return self._process is not None and self._next() is not None

    def _ended_with(self) -> str:
        return f"it ended with {_there(self._process).returncode}"

    def _keep(self, begun: threading.Event) -> None:
        try:
            self._process = _started()
        except OSError as error:
            self._failure = error.strerror or str(error)
            self._over = True
            return
        finally:
            begun.set()
        with self._change:
            while not self._over and self._left() > 0:
                self._looked_for = self._deadline
                self._change.wait(self._left())
            self._late = not self._over
            self._over = True
        self._process.kill()
        self._process.wait()

    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _allow(self, seconds: float) -> bool:
        """From now on so much time; False where its time was over already."""
        with self._change:
            self._deadline = time.monotonic() + min(seconds, threading.TIMEOUT_MAX)
            if self._deadline < self._looked_for:
                self._change.notify()
            return not self._over

    @property
    def usable(self) -> bool:
        """It can be asked."""
        return not self._over and self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """End it; who waits for its answer gets `Fallen`."""
        with self._change:
            self._over = True
            self._change.notify()
        self._keeper.join()
        if self._process is not None:
            for stream in (self._process.stdin, self._process.stdout):
                _closed(stream)

    def run(
        self,
        function: Callable[..., Any],
        items: Sequence[Any],
        rest: Sequence[Any],
        timeout: float,
        memory: int,
    ) -> Any:
        """``function(items, *rest, told)``, computed there; it decodes each item inside ``told()``.

        Parameters
        ----------
        timeout : float
            Seconds that an item may take to decode; what is computed of them may take as much for
            each.
        memory : int
            Bytes that the process may take beyond those it begins with.

        Raises
        ------
        Fallen
            There is no result; the process is of no more use.
        Exception
            What the function raised.
        """
        request = pickle.dumps((function, items, rest, memory), protocol=5)
        self._place = None
        if not self._allow(timeout * max(1, len(items))):
            raise Fallen(CRASHED, None, sure=False)  # it ended while it had nothing to do
        try:
            send(_there(self._process).stdin, b"q", request)  # type: ignore[arg-type]
        except OSError:
            raise self._fallen(timeout) from None
        while (frame := self._next()) is not None:
            kind, content = frame
            if kind == BEGUN:
                (self._place,) = struct.unpack("<q", content)
                self._allow(timeout)
            elif kind == DECODED:
                self._place = None
                self._allow(timeout * max(1, len(items)))
            elif kind == MEMORY:
                raise Fallen(LARGE, self._place, sure=True)
            else:
                self._allow(IDLE_SECONDS)
                if kind == ERROR:
                    error, where = pickle.loads(content)
                    raise error from RuntimeError(f"in the process that decodes:\n{where}")
                return pickle.loads(content)
        raise self._fallen(timeout)

    def _next(self) -> tuple[bytes, bytes] | None:
        try:
            return receive(_there(self._process).stdout)  # type: ignore[arg-type]
        except (OSError, ValueError):
            return None

    def _fallen(self, timeout: float) -> Fallen:
        """Why there is no answer any more."""
        place = self._place
        self.close()
        if self._late:
            return Fallen(SLOW.format(timeout), place, sure=True)
        killed = _there(self._process).returncode == -9
        return Fallen(LARGE if killed else CRASHED, place, sure=False)


def _there(process: subprocess.Popen[bytes] | None) -> subprocess.Popen[bytes]:
    assert process is not None
    return process


def _closed(stream: IO[bytes] | None) -> None:
    try:
        if stream is not None:
            stream.close()
    except OSError:
        pass  # what was not written yet has no reader


def _started() -> subprocess.Popen[bytes]:
    """The process, not ready yet: this program's Python and modules, and one thread a library."""
    if not sys.executable or getattr(sys, "frozen", False):
        raise OSError("this program is no Python that can be started again")
    # The folder that one happens to be in is no place for modules, so the path is handed over.
    words = [str(os.getpid()), *(place for place in sys.path if isinstance(place, str))]
    return subprocess.Popen(
        [sys.executable, "-X", f"utf8={sys.flags.utf8_mode}", "-c", _PROGRAM, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **dict.fromkeys(ONE_THREAD, "1")},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
