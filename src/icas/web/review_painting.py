"""Painting the images of a running review, at ``/paint/`` of its server."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.types import Receive, Scope, Send

from icas.clusterimg.results.saved import FinishedRun
from icas.clusterimg.review.session import ReviewSession
from icas.io.files import beside
from icas.segmentimg.document.palette import PaintClass, Palette, default_palette, free_color
from icas.segmentimg.formats.inputs import ImageFile
from icas.segmentimg.serving.painting import PaintingSession
from icas.segmentimg.serving.start import painting_of
from icas.segmentimg.settings import SegmentSettings
from icas.web.painting import PAGE, PaintingRoutes
from icas.web.server import STATIC


class ReviewPainting:
    """Starts a painting session of the images of a review at the first request for one.

    Images have the numbers that they have in the review. Paintings go where ``segmentimg`` puts
    those of the source images.
    """

    def __init__(self, review: ReviewSession) -> None:
        self._review = review
        self._lock = threading.Lock()
        self._finished: FinishedRun | None = None
        self._rev = -1
        self._opening: AbstractContextManager[PaintingSession] | None = None
        self._painting: PaintingSession | None = None
        self._router: Router | None = None
        self._outer = Router([Route("/", _page), Mount("/", app=self._answer)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for the page or something that it uses."""
        await self._outer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        router = await run_in_threadpool(self._started)
        await router(scope, receive, send)

    def _started(self) -> Router:
        """The routes of the painting session, which is opened if there is none."""
        with self._lock:
            if self._router is None or self._painting is None:
                self._finished = self._review.finished
                settings = SegmentSettings(max_pixels=_max_pixels(self._review))
                self._opening = painting_of(_pictures(self._review), settings, self._classes())
                self._painting = self._opening.__enter__()
                self._router = Router(PaintingRoutes(self._painting, "../").routes())
            if self._finished is not self._review.finished:  # files were moved
                self._finished = self._review.finished
                self._painting.move(_pictures(self._review))
            if self._rev != self._review.rev:
                self._painting.offer_classes(self._names())
            return self._router

    def _names(self) -> list[str]:
        """The names that were given in the review."""
        with self._review.lock:
            self._rev = self._review.rev
            return [str(entry["name"]) for entry in self._review.document.classes()]

    def _classes(self) -> Palette:
        """The names of the review as classes; the default ones where there are none."""
        names = self._names()
        if not names:
            return default_palette()
        classes: list[PaintClass] = []
        for name in names:
            taken = {entry.color for entry in classes}
            classes.append(PaintClass(name, free_color(taken)))
        return Palette(classes)

    def close(self) -> None:
        """Autosave all painting."""
        with self._lock:
            if self._opening is not None:
                self._opening.__exit__(None, None, None)
            self._opening = self._router = self._painting = None


async def _page(_: Request) -> Response:
    return FileResponse(STATIC / PAGE, media_type="text/html")


def _max_pixels(review: ReviewSession) -> int:
    given = review.finished.run["settings"].get("max_pixels")
    return int(given or SegmentSettings().max_pixels)


def _pictures(review: ReviewSession) -> list[ImageFile]:
    """The images where they are now, with results where those of the sources are."""
    sources = [Path(source) for source in review.finished.state.sources]
    stems = Counter((path.parent, path.stem.casefold()) for path in sources)
    return [
        ImageFile(
            source if source.exists() else path,
            beside(source.parent, "_segmented"),
            source.stem if stems[source.parent, source.stem.casefold()] == 1 else source.name,
        )
        for source, path in zip(sources, review.paths(), strict=True)
    ]
