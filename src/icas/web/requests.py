"""JSON in requests and answers, as the routes of all pages read and write it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from icas.common.errors import UsageError

DAY = {"cache-control": "private, max-age=86400", "vary": "Cookie"}
"""Another start of the server has another token: nothing of this one is shown there."""


class Encoded(Response):
    """An answer as compact JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes."""
        return self.of(content)

    @staticmethod
    def of(content: Any) -> bytes:
        """The bytes of some content."""
        return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()


async def thumbnail(request: Request, thumb: Callable[[int, int], bytes]) -> Response:
    """The image of a route in the size that is requested, by default 128 pixels."""
    size = number_in(request.query_params.get("size"), "size") or 128
    data = await run_in_threadpool(thumb, request.path_params["number"], size)
    return Response(data, media_type="image/jpeg", headers=DAY)


async def whole_image(request: Request, whole: Callable[[int], tuple[bytes, str]]) -> Response:
    """The image of a route; `whole` gives its bytes and media type."""
    data, kind = await run_in_threadpool(whole, request.path_params["number"])
    return Response(data, media_type=kind, headers=DAY)


async def json_body(request: Request) -> dict[str, Any]:
    """The JSON object of a request."""
    try:
        body = json.loads(await request.body())
    except ClientDisconnect:
        raise
    except (ValueError, RecursionError):
        raise UsageError("expected JSON") from None
    if not isinstance(body, dict):
        raise UsageError("expected a JSON object")
    return body


def number_in(text: str | None, name: str) -> int | None:
    """A number of the address; None where it is missing."""
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 12):
        raise UsageError(f"{name}: expected a number")
    return int(text)
