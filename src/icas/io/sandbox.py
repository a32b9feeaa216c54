"""Decoding in separate processes: a crash, a hang or excessive memory affects only one file.

A decoder that crashes ends its own process; one that hangs or needs too much memory is killed; the
file is named and the others are read. This is no protection against files made to take over the
machine: such a process has the rights of the user.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import pickle
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import inf
from typing import Any, ParamSpec, TypeVar, cast

from icas.common.errors import IcasError, UnreadableImageError
from icas.io.sandbox_worker import BEGUN, DECODED, ERROR, MEMORY, NOTE, receive, send
from icas.parallel.child_processes import ONE_THREAD

LOG = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
Marker = Callable[[], AbstractContextManager[None]]
"""Context manager around the decoding of each item; it reports which item that is."""

TIMEOUT = 60.0
"""Default seconds that an image may take to decode."""
START_SECONDS = 120.0
"""Seconds in which a process has to be ready."""
IDLE_SECONDS = 20.0
"""Seconds without work after which a process ends."""
_BYTES_PER_PIXEL = 16
_MARGIN = 1 << 30
"""Bytes for features, libraries and their threads, beside the pixels."""

_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:];"
    " from icas.io.sandbox_worker import main; main(int(sys.argv[1]))"
)
NOT_STARTED = "the isolated decoder process does not start ({}): use --no-isolate"
SLOW, CRASHED, LARGE = (
    "took longer than {:g} s to decode",
    "the decoder crashed",
    "needs too much memory to decode",
)


@dataclass(frozen=True)
class Lost:
    """An item that crashed its process: its index among the items, and the reason."""

    index: int
    reason: str


@dataclass(eq=False)
class DecoderDied(Exception):  # noqa: N818 - an event, not a mistake
    """The process ended without a result.

    `index` is the item being decoded, None while features of several were computed; `certain`
    means that it would happen again (time or memory ran out), which no other program caused.
    """

    reason: str
    index: int | None
    certain: bool


@dataclass(frozen=True)
class _Span:
    """Consecutive items; `again` means that a process died of them before."""

    start: int
    end: int
    again: bool = False

    def without(self, died: DecoderDied) -> list[_Span | Lost]:
        """The remaining work, in order.

        A process may have been killed for the memory of another program: its item is tried again,
        alone. If it died while it computed features, the item is found by bisection.
        """
        known = died.index is not None
        at = self.start + died.index if died.index is not None else (self.start + self.end) // 2
        lost = (known and died.certain) or (
            self.end - self.start == 1 and (self.again or died.certain)
        )
        middle = Lost(at, died.reason) if lost else _Span(at, at + 1, again=True)
        return [_Span(self.start, at), middle, _Span(at + 1, self.end)]


@dataclass(frozen=True)
class Isolation:
    """Limits of decoding in separate processes.

    Attributes
    ----------
    timeout : float
        Seconds that an image may take.
    memory : int
        Bytes that decoding may take.
    """

    timeout: float
    memory: int

    @classmethod
    def of(cls, timeout: float, max_pixels: int) -> Isolation:
        """Limits for images of `max_pixels`."""
        return cls(timeout, _BYTES_PER_PIXEL * max_pixels + _MARGIN)

    def each(
        self, function: Callable[..., T], items: Sequence[Any], *rest: Any
    ) -> Iterator[T | Lost]:
        """``function(items, *rest, mark)``, where an item may break the process.

        The function is called again for the items before and behind such an item, so its results
        come in parts.

        Parameters
        ----------
        function : callable
            Of an importable module. It decodes its items in order, each inside ``with mark():``.

        Yields
        ------
        Results for consecutive items, in order, and between them the items that are `Lost`.
        """
        todo: list[_Span | Lost] = [_Span(0, len(items))]
        while todo:
            part = todo.pop()
            if isinstance(part, Lost):
                yield part
            elif part.start < part.end:
                try:
                    yield DECODERS.run(function, items[part.start : part.end], rest, self)
                except DecoderDied as died:
                    todo += reversed(part.without(died))

    def call(self, function: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """``function(*args, **options)``, which decodes one image."""
        (result,) = self.each(_call, [(function, args, options)])
        if isinstance(result, Lost):
            raise UnreadableImageError(result.reason)
        return cast(T, result)


def _call(items: Sequence[tuple[Callable[..., T], Any, Any]], mark: Marker) -> T:
    ((function, args, options),) = items
    with mark():
        return function(*args, **options)


class Decoder:
    """A process that decodes for one thread at a time.

    A keeper thread starts and ends the process, because on Linux the process dies with the thread
    that started it.
    """

    _process: subprocess.Popen[bytes]

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._deadline = time.monotonic() + START_SECONDS
        self._waiting_until = inf
        self._over = False
        self._late = False
        self._failure = ""
        started = threading.Event()
        self._keeper = threading.Thread(
            target=self._keep, args=(started,), name="icas-decoding", daemon=True
        )
        self._keeper.start()
        started.wait()
        if self._failure or self._next() is None:
            self.close()
            failure = self._failure or f"exit code {self._process.returncode}"
            raise IcasError(NOT_STARTED.format(failure))
        self._allow(IDLE_SECONDS)

    def _keep(self, started: threading.Event) -> None:
        try:
            self._process = _start()
        except OSError as error:
            self._failure = error.strerror or str(error)
            return
        finally:
            started.set()
        with self._change:
            while not self._over and self._deadline > time.monotonic():
                self._waiting_until = self._deadline
                self._change.wait(self._deadline - time.monotonic())
            self._late = not self._over
            self._over = True
        self._process.kill()
        self._process.wait()

    def _allow(self, seconds: float) -> bool:
        """Set the deadline; False if it has passed already."""
        with self._change:
            self._deadline = time.monotonic() + min(seconds, threading.TIMEOUT_MAX)
            if self._deadline < self._waiting_until:
                self._change.notify()
            return not self._over

    @property
    def usable(self) -> bool:
        """Whether it can take work."""
        return not self._over and self._process.poll() is None

    def close(self) -> None:
        """End it; a thread that waits for its answer gets `DecoderDied`."""
        with self._change:
            self._over = True
            self._change.notify()
        self._keeper.join()
        if not self._failure:
            for stream in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):  # unwritten data has no reader
                    cast(Any, stream).close()

    def run(
        self, function: Callable[..., T], items: Sequence[Any], rest: Sequence[Any], how: Isolation
    ) -> T:
        """``function(items, *rest, mark)``, computed there; it decodes each item in ``mark()``.

        Computing features of the decoded items may take the timeout times their number.
        """
        request = pickle.dumps((function, items, rest, how.memory), protocol=5)
        whole = how.timeout * max(1, len(items))
        index: int | None = None
        if not self._allow(whole):  # it ended while it was idle
            self.close()
            raise DecoderDied(CRASHED, None, certain=False)
        try:
            send(cast(Any, self._process.stdin), b"q", request)
        except OSError:
            raise self._died(how, index) from None
        while (frame := self._next()) is not None:
            kind, content = frame
            if kind == BEGUN:
                (index,) = struct.unpack("<q", content)
                self._allow(how.timeout)
            elif kind == DECODED:
                index = None
                self._allow(whole)
            elif kind == NOTE:
                LOG.info("%s", content.decode())
            elif kind == MEMORY:
                self.close()
                raise DecoderDied(LARGE, index, certain=True)
            else:
                self._allow(IDLE_SECONDS)
                if kind == ERROR:
                    error, where = pickle.loads(content)
                    raise error from RuntimeError(f"in the decoder process:\n{where}")
                return cast(T, pickle.loads(content))
        raise self._died(how, index)

    def _next(self) -> tuple[bytes, bytes] | None:
        try:
            return receive(cast(Any, self._process.stdout))
        except (OSError, ValueError):
            return None

    def _died(self, how: Isolation, index: int | None) -> DecoderDied:
        self.close()
        if self._late:
            return DecoderDied(SLOW.format(how.timeout), index, certain=True)
        killed = self._process.returncode == -9
        return DecoderDied(LARGE if killed else CRASHED, index, certain=False)


def _start() -> subprocess.Popen[bytes]:
    """A child with this program's Python and module path, and one thread per library."""
    if not sys.executable or getattr(sys, "frozen", False):
        raise OSError("this program has no Python interpreter to start")
    # The path is passed along, because modules in the current folder must not be loaded.
    words = [str(os.getpid()), *(folder for folder in sys.path if isinstance(folder, str))]
    return subprocess.Popen(
        [sys.executable, "-X", f"utf8={sys.flags.utf8_mode}", "-c", _PROGRAM, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **dict.fromkeys(ONE_THREAD, "1")},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


class DecoderPool:
    """The decoders of this process, at most one per thread that asks at the same time.

    They start when needed, and end with the last run that has entered the pool, after some idle
    time, or with this process.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs = 0
        self._all: set[Decoder] = set()
        self._free: list[Decoder] = []

    def __enter__(self) -> DecoderPool:
        with self._lock:
            self._runs += 1
        return self

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._runs -= 1
            last = self._runs == 0
        if last:
            self.close()

    def close(self) -> None:
        """End all decoders; a thread that waits for one gets an error."""
        with self._lock:
            decoders, self._all, self._free = self._all, set(), []
        for decoder in decoders:
            decoder.close()

    def run(
        self, function: Callable[..., T], items: Sequence[Any], rest: Sequence[Any], how: Isolation
    ) -> T:
        """`Decoder.run` of a free decoder."""
        decoder = self._take()
        try:
            result = decoder.run(function, items, rest, how)
        except DecoderDied:
            if not self._put_back(decoder):
                raise IcasError("interrupted") from None
            raise
        except BaseException:
            self._put_back(decoder)
            raise
        self._put_back(decoder)
        return result

    def _take(self) -> Decoder:
        while True:
            with self._lock:
                if not self._free:
                    break
                decoder = self._free.pop()
            if decoder.usable:
                return decoder
            self._put_back(decoder)
        decoder = Decoder()
        with self._lock:
            self._all.add(decoder)
        return decoder

    def _put_back(self, decoder: Decoder) -> bool:
        """Whether the pool still held it (it was not closed meanwhile)."""
        usable = decoder.usable
        with self._lock:
            held = decoder in self._all
            if held and usable:
                self._free.append(decoder)
            else:
                self._all.discard(decoder)
        if not usable:
            decoder.close()
        return held


DECODERS = DecoderPool()
atexit.register(DECODERS.close)
