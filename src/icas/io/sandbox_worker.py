"""The process in which pictures are decoded: what a decoder does to it, it does to nothing else.

`decoding_process` starts it and speaks with it over its standard streams, in frames: a letter, a
length, and so many bytes. Both ends are processes of the same user's same run, so objects travel
as pickles.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import struct
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import IO

READY, BEGUN, DECODED, RESULT, ERROR, MEMORY = b"s", b"b", b"d", b"r", b"e", b"m"
"""What is told: the process is ready; it begins to decode an item, it has decoded it; the result;
an error that the function raised; memory ran out."""

_HEAD = struct.Struct("<cQ")
_KILL_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of Linux's prctl."""


def send(stream: IO[bytes], kind: bytes, content: bytes = b"") -> None:
    """Write a frame."""
    stream.write(_HEAD.pack(kind, len(content)))
    stream.write(content)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[bytes, bytes] | None:
    """The next frame; None where the other end is gone."""
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    kind, length = _HEAD.unpack(head)
    content = stream.read(length)
    return (kind, content) if len(content) == length else None


def main(parent: int) -> None:
    """Answer requests until the other end is gone; `parent` is its process id."""
    requests, answers = _own_streams()
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the run, which ends this
    _leave_no_core()
    _die_with(parent)
    waiting: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(requests, waiting), daemon=True).start()
    import cv2  # noqa: F401 - what every task needs is there before memory is limited
    import numpy  # noqa: F401
    import PIL.Image  # noqa: F401

    limit = _MemoryLimit()
    send(answers, READY)
    while True:
        _answer(answers, waiting.get(), limit)


def _own_streams() -> tuple[IO[bytes], IO[bytes]]:
    """The standard streams for frames alone: whatever libraries print goes nowhere."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    return requests, answers


def _listen(requests: IO[bytes], waiting: SimpleQueue[bytes]) -> None:
    """Take requests as they come; where none can come any more, end, whatever is under way."""
    while (frame := receive(requests)) is not None:
        waiting.put(frame[1])
    os._exit(0)


def _die_with(parent: int) -> None:
    """On Linux, be killed when the parent is gone, though a decoder may hold the interpreter."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_KILL_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(0)  # it was gone before
    # Where the machine runs out of memory, this process goes first: its item is tried once more.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write("1000")


def _leave_no_core() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class _MemoryLimit:
    """How much more memory may be taken than the process has at its start (Linux)."""

    def __init__(self) -> None:
        self._start = 0
        self._now = 0
        with contextlib.suppress(OSError), open("/proc/self/statm") as file:  # noqa: PTH123
            self._start = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")

    def set(self, more: int) -> None:
        if not self._start or more == self._now:
            return
        import resource

        with contextlib.suppress(ValueError, OSError):
            _, hard = resource.getrlimit(resource.RLIMIT_AS)
            wanted = self._start + more
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
            self._now = more


class _Told:
    """Tells which item is being decoded."""

    def __init__(self, answers: IO[bytes]) -> None:
        self._answers = answers
        self._next = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        place = struct.pack("<q", self._next)
        self._next += 1
        send(self._answers, BEGUN, place)
        try:
            yield
        finally:
            send(self._answers, DECODED, place)


def _answer(answers: IO[bytes], request: bytes, limit: _MemoryLimit) -> None:
    """Do what a request asks for and tell what came of it."""
    try:
        function, items, rest, more = pickle.loads(request)
        limit.set(more)
        send(answers, RESULT, pickle.dumps(function(items, *rest, _Told(answers)), protocol=5))
    except MemoryError:
        send(answers, MEMORY)
    except Exception as error:
        if "nsufficient memory" in str(error):  # OpenCV's words
            send(answers, MEMORY)
        else:
            send(answers, ERROR, _packed(error))


def _packed(error: Exception) -> bytes:
    """An error and where it arose; one that cannot travel as its words."""
    where = traceback.format_exc()
    try:
        content = pickle.dumps((error, where), protocol=5)
        pickle.loads(content)
    except Exception:
        return pickle.dumps((RuntimeError(f"{type(error).__name__}: {error}"), where), protocol=5)
    return content
