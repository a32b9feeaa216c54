"""The process in which images are decoded; `sandbox` starts it.

Both ends talk over its standard streams in frames: a letter, a length, and that many bytes. They
belong to one run of one user, so objects travel as pickles.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import signal
import struct
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from queue import SimpleQueue
from typing import IO

READY, BEGUN, DECODED, RESULT, ERROR, MEMORY, NOTE = b"s", b"b", b"d", b"r", b"e", b"m", b"n"
"""Kinds of frames: ready; decoding of an item begins, has ended; result; error; out of memory; log
message."""
_HEAD = struct.Struct("<cQ")
_PR_SET_PDEATHSIG = 1


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
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # output of libraries must not mix with the frames
        os.dup2(nothing, stream)
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the run, which ends this
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform.startswith("linux"):
        _die_with(parent)
    logger = logging.getLogger("icas")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(_Notes(answers))
    waiting: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(requests, waiting), daemon=True).start()
    import cv2  # noqa: F401 - every task needs these: loaded before memory is limited
    import numpy  # noqa: F401
    import PIL.Image  # noqa: F401

    memory = _memory()
    send(answers, READY)
    while True:
        _answer(answers, waiting.get(), memory)


class _Notes(logging.Handler):
    """Sends each log message once."""

    def __init__(self, answers: IO[bytes]) -> None:
        super().__init__(logging.INFO)
        self._answers = answers
        self._sent: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message not in self._sent:
            self._sent.add(message)
            send(self._answers, NOTE, message.encode())


def _listen(requests: IO[bytes], waiting: SimpleQueue[bytes]) -> None:
    """Queue requests; end the process, whatever it does, when the other end is gone."""
    while (frame := receive(requests)) is not None:
        waiting.put(frame[1])
    os._exit(0)


def _die_with(parent: int) -> None:
    """Be killed when the parent is gone, even while a decoder holds the interpreter lock."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(0)  # it was gone before
    # If the machine runs out of memory, this process is killed first: its item is tried again.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write("1000")


def _memory() -> int:
    """Bytes of address space of this process; 0 where the system does not report them."""
    with contextlib.suppress(OSError), open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _limit_memory(limit: int) -> None:
    import resource

    with contextlib.suppress(ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        soft = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _answer(answers: IO[bytes], request: bytes, memory: int) -> None:
    """Run a request and send what it returns or raises."""
    indices = count()

    @contextmanager
    def mark() -> Iterator[None]:
        index = struct.pack("<q", next(indices))
        send(answers, BEGUN, index)
        try:
            yield
        finally:
            send(answers, DECODED, index)

    try:
        function, items, rest, more = pickle.loads(request)
        if memory:
            _limit_memory(memory + more)
        send(answers, RESULT, pickle.dumps(function(items, *rest, mark), protocol=5))
    except MemoryError:
        send(answers, MEMORY)
    except Exception as error:
        if "nsufficient memory" in str(error):  # OpenCV's words
            send(answers, MEMORY)
        else:
            send(answers, ERROR, _pack_error(error))


def _pack_error(error: Exception) -> bytes:
    """An error and its traceback; one that cannot be pickled becomes a RuntimeError."""
    where = traceback.format_exc()
    try:
        content = pickle.dumps((error, where), protocol=5)
        pickle.loads(content)
    except Exception:
        return pickle.dumps((RuntimeError(f"{type(error).__name__}: {error}"), where), protocol=5)
    return content
