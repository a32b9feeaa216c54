"""Who may use a local server: token, Host, Origin, header, size of requests, page policy."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 8 << 20
"""Bytes of the body of a request: a command on 100,000 images takes less than one MiB."""
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
HEADER = b"x-icas"
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "connect-src": "'self'",
    "worker-src": "'self'",
    "font-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
}
_NOTEBOOKS = " ".join(f"{scheme}://{host}:*" for scheme in ("http", "https") for host in LOOPBACK)


@dataclass(frozen=True)
class Access:
    """The token and the addresses of one server.

    embedded: whether pages of a notebook on this machine may show it in a frame.
    """

    port: int
    host: str = "127.0.0.1"
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    embedded: bool = False

    @property
    def cookie(self) -> str:
        """Name of the cookie: servers on other ports of this machine have their own."""
        return f"icas-{self.port}"

    @property
    def hosts(self) -> frozenset[str]:
        """What the header Host may be."""
        own = f"[{self.host}]" if ":" in self.host else self.host
        return frozenset(f"{name}:{self.port}".casefold() for name in (*LOOPBACK, own))

    def matches(self, token: str | None) -> bool:
        """Whether a token is the right one."""
        return token is not None and hmac.compare_digest(token.encode(), self.token.encode())


class Security:
    """ASGI middleware that refuses every request that is not from the page of this server."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access
        ancestors = f"'self' {_NOTEBOOKS}" if access.embedded else "'none'"
        policy = "; ".join(f"{name} {value}" for name, value in _POLICY.items())
        self._headers = [
            (b"content-security-policy", f"{policy}; frame-ancestors {ancestors}".encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"cross-origin-opener-policy", b"same-origin"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        sending = self._with_headers(send)
        response = self._refusal(scope)
        if response is not None:
            await response(scope, receive, sending)
            return
        await self.app(scope, _limited(receive), sending)

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name.lower() for name, _ in message["headers"]}
                more = [pair for pair in self._headers if pair[0] not in names]
                if b"cache-control" not in names:
                    more.append((b"cache-control", b"no-store"))
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        return sending

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that is refused or only sets the cookie."""
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        host = _only(headers, b"host").casefold()
        if host not in self.access.hosts:
            return _error(403, "unknown Host: use the address that was printed")
        method = scope["method"]
        if method not in ("GET", "HEAD", "POST"):
            return _error(405, f"{method} is not allowed")
        if method == "GET" and scope["path"] == "/" and b"token=" in scope["query_string"]:
            return self._entrance(scope)
        cookies = _cookies(headers.get(b"cookie", ()))
        if not self.access.matches(cookies.get(self.access.cookie)):
            return _error(403, "no valid token: use the address that was printed")
        if method == "POST":
            if _only(headers, b"origin").casefold() != f"http://{host}":
                return _error(403, "the request comes from another page")
            if _only(headers, HEADER) != "1":
                return _error(403, "the header X-Icas is missing")
            length = _only(headers, b"content-length")
            if length.isdecimal() and int(length) > MOST_BYTES:
                return _error(413, "the request is too large")
        return None

    def _entrance(self, scope: Scope) -> Response:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if not self.access.matches(query.get("token", [""])[0]):
            return _error(403, "wrong token: use the address that was printed last")
        response = RedirectResponse("/", 303)
        response.set_cookie(
            self.access.cookie, self.access.token, path="/", httponly=True, samesite="strict"
        )
        return response


def _error(status: int, text: str) -> JSONResponse:
    return JSONResponse({"error": text}, status)


def _only(headers: dict[bytes, list[bytes]], name: bytes) -> str:
    """The value of a header; empty where it is missing or there twice."""
    values = headers.get(name, [])
    return values[0].decode("latin-1") if len(values) == 1 else ""


def _cookies(headers: Iterable[bytes]) -> dict[str, str]:
    pairs = (
        pair.strip().partition("=")
        for header in headers
        for pair in header.decode("latin-1").split(";")
    )
    return {name: value.strip('"') for name, _, value in pairs}


def _limited(receive: Receive) -> Receive:
    """`receive`, which counts bytes also where no length is given."""
    seen = 0

    async def receiving() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MOST_BYTES:
            raise HTTPException(413, "the request is too large")
        return message

    return receiving
