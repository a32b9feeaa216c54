"""The web interface of a painting session: its routes; images are addressed by number only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from icas.common.errors import UsageError
from icas.segmentimg.serving.painting import PaintingSession
from icas.segmentimg.serving.start import open_painting
from icas.segmentimg.settings import SegmentSettings
from icas.web.events import Events
from icas.web.requests import DAY, Encoded, json_body, number_in, thumbnail, whole_image
from icas.web.server import LocalServer
from icas.web.tabs import Tabs

PAGE = "paint/index.html"
MOST_FILES = 5_000
"""Files that one answer lists."""
WAIT = 0.25
"""Seconds for which a request waits for an image that is being opened."""
_REV = "x-icas-doc-rev"
_GZIP = {"content-encoding": "gzip", "vary": "Cookie"}
_RAW = "application/octet-stream"


class PaintingRoutes:
    """Answers the requests of the page of one painting session."""

    def __init__(self, painting: PaintingSession, review: str | None = None) -> None:
        self.painting, self.review = painting, review
        self.tabs = Tabs("painting")
        self.events = Events(self.tabs, painting.on_event, lambda: painting.rev, painting.notify)

    def routes(self) -> list[BaseRoute]:
        """All routes."""
        number = "{number:int}"
        gets: dict[str, Callable[..., Any]] = {
            "state": self.get_state,
            "files": self.get_files,
            f"thumb/{number}": self.get_thumb,
            f"image/{number}": self.get_image,
            f"tile/{number}/{{level:int}}/{{row:int}}/{{col:int}}": self.get_tile,
            f"doc/{number}": self.get_document,
            f"labels/{number}": self.get_labels,
            f"overrides/{number}": self.get_overrides,
            "events": self.events.respond,
            f"growth/{number}": self.get_growth,
            "queue": self.get_queue,
        }
        posts: dict[str, Callable[..., Any]] = {
            "commands": self.post_command,
            "undo": self.post_undo,
            "redo": self.post_redo,
            "take": self.post_take,
            "prompt": self.post_prompt,
        }
        return [
            *(Route(f"/api/{path}", action, methods=["GET"]) for path, action in gets.items()),
            *(Route(f"/api/{path}", action, methods=["POST"]) for path, action in posts.items()),
        ]

    async def get_state(self, request: Request) -> Response:
        """The session and its classes."""
        state = await run_in_threadpool(self.painting.state)
        state["read_only"] = not self.tabs.may_write(request.query_params.get("tab"))
        state["review"] = self.review
        return Encoded(state)

    async def get_files(self, request: Request) -> Response:
        """Names and marks of some images."""
        start = number_in(request.query_params.get("from"), "from") or 0
        count = number_in(request.query_params.get("count"), "count") or MOST_FILES
        work = self.painting.files
        return Encoded(await run_in_threadpool(work, start, min(count, MOST_FILES)))

    async def get_thumb(self, request: Request) -> Response:
        """A thumbnail of 128 or 256 pixels."""
        return await thumbnail(request, self.painting.thumb)

    async def get_image(self, request: Request) -> Response:
        """An image of up to 4,096 pixels a side."""
        return await whole_image(request, self.painting.whole)

    async def get_tile(self, request: Request) -> Response:
        """A tile of a level of a larger image."""
        parts = (request.path_params[name] for name in ("number", "level", "row", "col"))
        data = await run_in_threadpool(self.painting.tile, *parts)
        return Response(data, media_type="image/jpeg", headers=DAY)

    async def get_document(self, request: Request) -> Response:
        """An image with its segments; 202 while it is being opened."""
        number = request.path_params["number"]

        def work() -> bytes | None:
            opened = self.painting.wait(number, WAIT)
            return None if opened is None else Encoded.of(self.painting.document(number, opened))

        content = await run_in_threadpool(work)
        if content is None:
            return Encoded({"wait": True, "progress": 0.0}, 202)
        return Response(content, media_type=Encoded.media_type)

    async def get_labels(self, request: Request) -> Response:
        """The label map, raw."""
        return await self._raw(request, self.painting.labels)

    async def get_overrides(self, request: Request) -> Response:
        """The codes of brushed pixels, raw."""
        return await self._raw(request, self.painting.overrides)

    async def _raw(self, request: Request, work: Callable[..., tuple[bytes, int]]) -> Response:
        rev = number_in(request.query_params.get("rev"), "rev")
        data, now = await run_in_threadpool(work, request.path_params["number"], rev)
        return Response(data, media_type=_RAW, headers={**_GZIP, _REV: str(now)})

    async def get_growth(self, request: Request) -> Response:
        """Segments that each step of growing adds around a pixel."""
        row, col = (number_in(request.query_params.get(name), name) for name in ("row", "col"))
        if row is None or col is None:
            raise UsageError("row, col: expected numbers")
        number = request.path_params["number"]
        return Encoded({"steps": await run_in_threadpool(self.painting.growth, number, row, col)})

    async def get_queue(self, _: Request) -> Response:
        """The carried masks to review, least sure first."""
        return Encoded(await run_in_threadpool(self.painting.carried.rows))

    async def post_command(self, request: Request) -> Response:
        """Carry out a command."""
        body = await self._body(request)
        values = (body.get(name) for name in ("op", "image", "args", "rev", "id"))
        return Encoded(await run_in_threadpool(self.painting.execute, *values))

    async def post_undo(self, request: Request) -> Response:
        """Undo the last command on an image."""
        return await self._step(request, self.painting.undo)

    async def post_redo(self, request: Request) -> Response:
        """Redo the command on an image that was undone last."""
        return await self._step(request, self.painting.redo)

    async def _step(self, request: Request, work: Callable[..., dict[str, Any]]) -> Response:
        body = await self._body(request)
        values = (body.get(name) for name in ("image", "rev", "id"))
        return Encoded(await run_in_threadpool(work, *values))

    async def post_prompt(self, request: Request) -> Response:
        """The mask of a box, strokes and points; nothing is changed."""
        body = await self._body(request)
        tab = request.headers.get("x-icas-tab")
        status, content = await run_in_threadpool(self.painting.tools.prompts.answer, body, tab)
        return Encoded(content, status)

    async def post_take(self, request: Request) -> Response:
        """Make the tab of the request the one that may write."""
        await json_body(request)
        self.tabs.take(request.headers.get("x-icas-tab"))
        self.painting.notify()
        return Encoded({"rev": self.painting.rev})

    async def _body(self, request: Request) -> dict[str, Any]:
        """The JSON object of a request of the tab that may write."""
        self.tabs.check(request.headers.get("x-icas-tab"))
        return await json_body(request)


class PaintingServer(LocalServer):
    """The server of one painting session."""

    def __init__(self, painting: PaintingSession, **where: Any) -> None:
        super().__init__(PaintingRoutes(painting).routes(), PAGE, **where)
        self.painting = painting


@contextmanager
def serving(
    paths: list[str | Path],
    settings: SegmentSettings | None = None,
    sam: Mapping[str, Any] | None = None,
    **where: Any,
) -> Iterator[PaintingServer]:
    """The server of images to paint; it serves once `run` or `start` is called."""
    with open_painting(paths, settings, sam) as painting:
        yield PaintingServer(painting, **where)
