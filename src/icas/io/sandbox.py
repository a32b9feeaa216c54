"""Pictures decoded in processes that can be killed: a file that breaks one costs that file alone.

A decoder that crashes takes its process along, one that hangs or wants too much memory is stopped;
the file is named and the others are read. This is no wall against a file made to take the machine
over: such a process may do what the user may.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast

from icas.common.errors import IcasError, UnreadableImageError
from icas.io.sandbox_process import DecodingProcess, Fallen

P = ParamSpec("P")
T = TypeVar("T")
Told = Callable[[], AbstractContextManager[None]]
"""Around the decoding of each item."""

TIMEOUT = 60.0
"""Seconds that a picture may take to decode unless told otherwise."""
_BYTES_A_PIXEL = 16
_MARGIN = 1 << 30
"""What features, libraries and their threads may take beside the pixels."""


def unheard() -> AbstractContextManager[None]:
    """Nobody is told which item is decoded."""
    return nullcontext()


@dataclass(frozen=True)
class Lost:
    """An item that cost a process its life.

    Attributes
    ----------
    place : int
        Which one.
    reason : str
        For people, in a few words.
    """

    place: int
    reason: str


@dataclass(frozen=True)
class _Span:
    """Items that lie together; `again` says that a process died of them before."""

    start: int
    end: int
    again: bool = False

    def without(self, fallen: Fallen) -> list[_Span | Lost]:
        """What is left to do, in order.

        A process that died may have been another's victim: its item is tried again, alone. Where
        it fell while it computed features, the item is not known, so it is searched for by halves.
        """
        known = fallen.place is not None
        at = self.start + fallen.place if fallen.place is not None else (self.start + self.end) // 2
        blamed = (known and fallen.sure) or (
            self.end - self.start == 1 and (self.again or fallen.sure)
        )
        one = Lost(at, fallen.reason) if blamed else _Span(at, at + 1, again=True)
        return [_Span(self.start, at), one, _Span(at + 1, self.end)]


@dataclass(frozen=True)
class Isolation:
    """Decoding in processes of its own; which ones, is this process's matter (`DECODERS`).

    Attributes
    ----------
    timeout : float
        Seconds that a picture may take.
    memory : int
        Bytes that decoding may take.
    """

    timeout: float
    memory: int

    @classmethod
    def of(cls, timeout: float, max_pixels: int) -> Isolation:
        """Room for pictures of so many pixels."""
        return cls(timeout, _BYTES_A_PIXEL * max_pixels + _MARGIN)

    def each(
        self, function: Callable[..., T], items: Sequence[Any], *rest: Any
    ) -> Iterator[T | Lost]:
        """``function(items, *rest, told)`` where decoding may break the process it runs in.

        When an item does so, the function is asked again for the items before it and for those
        behind it, so its results come in parts.

        Parameters
        ----------
        function : callable
            Of a module, not of a script. It decodes its items in their order, each one inside
            ``with told():``.

        Yields
        ------
        Results for items that lie together, in order, and between them those that are `Lost`.
        """
        todo: list[_Span | Lost] = [_Span(0, len(items))]
        while todo:
            part = todo.pop()
            if isinstance(part, Lost):
                yield part
            elif part.start < part.end:
                try:
                    some = items[part.start : part.end]
                    yield DECODERS.run(function, some, rest, self)
                except Fallen as fallen:
                    todo += reversed(part.without(fallen))

    def call(self, function: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """``function(*args, **options)``, which decodes one picture, computed apart.

        Raises
        ------
        UnreadableImageError
            It broke the process.
        Exception
            What the function raises.
        """
        (found,) = self.each(_called, [(function, args, options)])
        if isinstance(found, Lost):
            raise UnreadableImageError(found.reason)
        return cast(T, found)


def _called(items: Sequence[tuple[Callable[..., T], Any, Any]], told: Told) -> T:
    ((function, args, options),) = items
    with told():
        return function(*args, **options)


class DecoderPool:
    """The decoding processes of this one: as many as its threads ask at once.

    They start when they are needed and end when the last run that has entered is over, or when
    nothing was asked of them for a while; in any case with this process.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs = 0
        self._all: set[DecodingProcess] = set()
        self._free: list[DecodingProcess] = []
        self._registered = False

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
        """End all of them; who waits for one gets an error."""
        with self._lock:
            ended, self._all, self._free = self._all, set(), []
        for process in ended:
            process.close()

    def run(
        self, function: Callable[..., T], items: Sequence[Any], rest: Sequence[Any], how: Isolation
    ) -> T:
        """As `DecodingProcess.run`, by one that is free.

        Raises
        ------
        Fallen
        IcasError
            Processes do not start, or the run is over.
        """
        process = self._taken()
        try:
            found: T = process.run(function, items, rest, how.timeout, how.memory)
        except Fallen:
            if not self._given_back(process, usable=False):
                raise IcasError("interrupted") from None
            raise
        except BaseException:
            self._given_back(process, usable=process.usable)
            raise
        self._given_back(process, usable=True)
        return found

    def _taken(self) -> DecodingProcess:
        with self._lock:
            free, self._free = self._free, []
            chosen = next((one for one in free if one.usable), None)
            gone = [one for one in free if not one.usable]
            self._free = [one for one in free if one is not chosen and one.usable]
            self._all.difference_update(gone)
        for one in gone:
            one.close()
        return chosen or self._started()

    def _started(self) -> DecodingProcess:
        process = DecodingProcess()
        with self._lock:
            self._all.add(process)
            if not self._registered:
                atexit.register(self.close)
                self._registered = True
        return process

    def _given_back(self, process: DecodingProcess, *, usable: bool) -> bool:
        """Whether it was one of these still: nobody has closed it."""
        with self._lock:
            ours = process in self._all
            if ours and usable:
                self._free.append(process)
            else:
                self._all.discard(process)
        if not usable:
            process.close()
        return ours


DECODERS = DecoderPool()
