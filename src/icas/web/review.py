"""The web interface of a review: its routes; images are addressed by number only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from icas.clusterimg.review.apply import apply_review, plan_review
from icas.clusterimg.review.exporting import export_review
from icas.clusterimg.review.images import ReviewImages
from icas.clusterimg.review.session import ReviewSession, open_review
from icas.common.errors import UsageError
from icas.common.registry import Entry
from icas.web.events import Events, Listener
from icas.web.requests import DAY, Encoded, json_body, number_in, thumbnail, whole_image
from icas.web.server import LocalServer
from icas.web.tabs import Tabs

PAINTING = Entry("icas.web.review_painting:ReviewPainting", "painting of a review")
"""Loaded at first use: most reviews paint nothing."""
MOST_NAMED = 500
"""Images that the naming order gives at once."""


class ReviewRoutes:
    """Answers the requests of the page of one review."""

    def __init__(self, session: ReviewSession, images: ReviewImages) -> None:
        self.session, self.images = session, images
        self.tabs = Tabs("review")

        def subscribe(listener: Listener) -> Callable[[], None]:
            return session.on_change(lambda rev: listener("state", {"rev": rev}))

        # `refresh`: a read-only server follows the commands of the other one
        self.events = Events(
            self.tabs, subscribe, lambda: session.rev, session.notify, session.refresh
        )

    def routes(self) -> list[BaseRoute]:
        """All routes."""
        gets: dict[str, Callable[..., Any]] = {
            "images": self.get_images,
            "state": self.get_state,
            "cluster/{number:int}": self.get_cluster,
            "thumb/{number:int}": self.get_thumb,
            "image/{number:int}": self.get_image,
            "info/{number:int}": self.get_info,
            "forest": self.get_forest,
            "history": self.get_history,
            "events": self.events.respond,
            "questions/next": self.get_question,
            "naming": self.get_naming,
            "near": self.get_near,
            "quality": self.get_quality,
            "duplicates": self.get_duplicates,
        }
        posts: dict[str, Callable[..., Any]] = {
            "commands": self.post_command,
            "undo": self.post_undo,
            "redo": self.post_redo,
            "jump": self.post_jump,
            "take": self.post_take,
            "plan": self.post_plan,
            "apply": self.post_apply,
            "export": self.post_export,
        }
        return [
            *(Route(f"/api/{path}", action, methods=["GET"]) for path, action in gets.items()),
            *(Route(f"/api/{path}", action, methods=["POST"]) for path, action in posts.items()),
        ]

    async def get_images(self, _: Request) -> Response:
        """Names and sizes of all images."""
        return Encoded(await run_in_threadpool(self.images.table), headers=DAY)

    async def get_state(self, request: Request) -> Response:
        """The document, or what has changed since a revision."""
        since = number_in(request.query_params.get("rev"), "rev")
        tab = request.query_params.get("tab")

        def work() -> bytes:
            self.session.refresh()
            state = self.session.state(since)
            state["paint"] = None if state["read_only"] else "paint/"
            state["read_only"] = state["read_only"] or not self.tabs.may_write(tab)
            return Encoded.of(state)

        return Response(await run_in_threadpool(work), media_type=Encoded.media_type)

    async def get_cluster(self, request: Request) -> Response:
        """One cluster with its bridge and links."""
        number = request.path_params["number"]
        return Encoded(await run_in_threadpool(self.session.cluster, number))

    async def get_thumb(self, request: Request) -> Response:
        """A thumbnail of 128 or 256 pixels."""
        return await thumbnail(request, self.images.thumb)

    async def get_image(self, request: Request) -> Response:
        """An image in full size."""
        return await whole_image(request, self.images.whole)

    async def get_info(self, request: Request) -> Response:
        """Size, bytes and sharpness of one image."""
        return Encoded(await run_in_threadpool(self.images.info, request.path_params["number"]))

    async def get_forest(self, _: Request) -> Response:
        """The spanning forest as binary arrays."""
        data = await run_in_threadpool(self.session.forest)
        return Response(data, media_type="application/octet-stream", headers=DAY)

    async def get_history(self, _: Request) -> Response:
        """The commands in effect, and those that can be redone."""
        return Encoded(await run_in_threadpool(self.session.commands))

    async def get_question(self, request: Request) -> Response:
        """The next question, without the pairs to skip."""
        skip = _pairs(request.query_params.get("skip", ""))
        return Encoded(await run_in_threadpool(self.session.question, skip))

    async def get_naming(self, request: Request) -> Response:
        """Images to name next, and names of similar images."""
        count = number_in(request.query_params.get("count"), "count") or 24
        return Encoded(await run_in_threadpool(self.session.naming, min(count, MOST_NAMED)))

    async def get_near(self, request: Request) -> Response:
        texts = request.query_params.get("images", "").split(",")[:MOST_NAMED]
        images = [number for text in texts if (number := number_in(text, "images")) is not None]
        count = number_in(request.query_params.get("count"), "count") or 9
        return Encoded(await run_in_threadpool(self.session.near, images, min(count, MOST_NAMED)))

    async def get_quality(self, _: Request) -> Response:
        """Issues of single images, and clusters across splits."""
        return Encoded(await run_in_threadpool(self.session.quality))

    async def get_duplicates(self, _: Request) -> Response:
        """Groups of images with the same pixels."""
        return Encoded(await run_in_threadpool(self.session.duplicates))

    async def post_command(self, request: Request) -> Response:
        """Carry out a command."""
        body = await self._body(request)
        return await self._run(
            self.session.execute, body.get("op"), body.get("args"), body.get("rev"), body.get("id")
        )

    async def post_undo(self, request: Request) -> Response:
        """Undo the last command."""
        body = await self._body(request)
        return await self._run(self.session.undo, body.get("rev"), body.get("id"))

    async def post_redo(self, request: Request) -> Response:
        """Redo the command that was undone last."""
        body = await self._body(request)
        return await self._run(self.session.redo, body.get("rev"), body.get("id"))

    async def post_jump(self, request: Request) -> Response:
        """Go to an earlier or undone command."""
        body = await self._body(request)
        return await self._run(self.session.jump, body.get("seq"), body.get("rev"), body.get("id"))

    async def post_take(self, request: Request) -> Response:
        """Make the tab of the request the one that may write."""
        await self._body(request, writing=False)
        self.tabs.take(request.headers.get("x-icas-tab"))
        self.session.notify()
        return Encoded({"rev": self.session.rev})

    async def post_plan(self, request: Request) -> Response:
        """What an apply would do."""
        await self._body(request)
        plan = await run_in_threadpool(plan_review, self.session)
        return Encoded(plan.as_dict())

    async def post_apply(self, request: Request) -> Response:
        """Change the result as a plan says."""
        body = await self._body(request)
        return await self._run(
            apply_review, self.session, body.get("plan"), body.get("rev"), body.get("id")
        )

    async def post_export(self, request: Request) -> Response:
        """Write a data set, or preview it."""
        return await self._run(export_review, self.session, await self._body(request))

    async def _run(self, work: Callable[..., Any], *args: Any) -> Response:
        return Encoded(await run_in_threadpool(work, *args))

    async def _body(self, request: Request, *, writing: bool = True) -> dict[str, Any]:
        """The JSON object of a request of the tab that may write."""
        if writing:
            self.tabs.check(request.headers.get("x-icas-tab"))
        return await json_body(request)


def _pairs(text: str) -> set[tuple[int, int]]:
    """The pairs in ``3-7,1-2``."""
    pairs = set()
    for pair in filter(None, text.split(",")):
        first, _, second = pair.partition("-")
        a, b = number_in(first, "skip"), number_in(second, "skip")
        if a is None or b is None:
            raise UsageError("skip: expected pairs such as 3-7,1-2")
        pairs.add((min(a, b), max(a, b)))
    return pairs


class LazyPainting:
    """Painting the images of a review, loaded at the first request."""

    def __init__(self, session: ReviewSession) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._loaded: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        painting = await run_in_threadpool(self._load)
        await painting(scope, receive, send)

    def _load(self) -> Any:
        with self._lock:
            if self._loaded is None:
                self._loaded = PAINTING.load()(self._session)
            return self._loaded

    def close(self) -> None:
        """Autosave all painting."""
        if self._loaded is not None:
            self._loaded.close()


class ReviewServer(LocalServer):
    """The server of one review."""

    def __init__(self, session: ReviewSession, images: ReviewImages, **where: Any) -> None:
        painting = LazyPainting(session)
        routes = [*ReviewRoutes(session, images).routes(), Mount("/paint", app=painting)]
        super().__init__(routes, "index.html", **where)
        self.session, self.read_only, self.painting = session, session.read_only, painting


@contextmanager
def serving(dst: Path, *, discard: bool = False, **where: Any) -> Iterator[ReviewServer]:
    """The server of the review of a result; it serves once `run` or `start` is called."""
    with open_review(dst, discard=discard) as session, closing(ReviewImages(session)) as images:
        server = ReviewServer(session, images, **where)
        with closing(server.painting):
            yield server
