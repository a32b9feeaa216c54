"""What changes, as server-sent events to the tabs of a page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from icas.web.server import POLL, QUIET, stopping
from icas.web.tabs import Tabs

Listener = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True)
class Events:
    """The event stream of a session.

    Attributes
    ----------
    tabs : Tabs
    subscribe : callable
        Takes a listener for names and data of events; returns a function that stops it.
    rev : callable
        The current revision, which every stream begins with.
    notify : callable
        Sends the current revision to all streams.
    poll : callable, optional
        Called in a thread while nothing changes.
    """

    tabs: Tabs
    subscribe: Callable[[Listener], Callable[[], None]]
    rev: Callable[[], int]
    notify: Callable[[], None]
    poll: Callable[[], object] | None = None

    async def respond(self, request: Request) -> Response:
        """Answer with a stream that lasts until the tab closes or the server stops."""
        return StreamingResponse(self._stream(request), media_type="text/event-stream")

    async def _stream(self, request: Request) -> AsyncIterator[str]:
        tab = request.query_params.get("tab")
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[str]()

        def listen(name: str, data: dict[str, Any]) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, _event(name, data))

        stop = self.subscribe(listen)
        self.tabs.opened(tab)
        rounds = 0
        try:
            yield _event("state", {"rev": self.rev()})
            while not stopping(request):
                try:
                    yield await asyncio.wait_for(queue.get(), POLL)
                except asyncio.TimeoutError:
                    if self.poll is not None:
                        await run_in_threadpool(self.poll)
                    rounds += 1
                    if rounds % QUIET == 0:
                        yield ": alive\n\n"
        finally:
            stop()
            if self.tabs.closed(tab):
                loop.call_later(self.tabs.grace, self._release, tab)

    def _release(self, tab: str | None) -> None:
        if self.tabs.release(tab):
            self.notify()


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"
