"""A local web server for one person: socket, address, browser, and the pages' static files."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from icas.common.errors import ConflictError, IcasError, UsageError
from icas.web.security import Access, Security

STATIC = Path(__file__).parent / "static"
POLL = 1.0
"""Seconds after which an event stream looks whether the server stops."""
QUIET = 10
"""Such waits between two signs of life of an event stream."""
_STOP_SECONDS = 3
"""How long connections may stay open after Ctrl+C."""


@dataclass(frozen=True)
class Address:
    """Where a server is reached."""

    access: Access

    @property
    def url(self) -> str:
        """The address with the token, for one browser."""
        host = self.access.host
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self.access.port}/?token={self.access.token}"

    def tunnel(self) -> str:
        """The command that makes the address work on another machine."""
        port = self.access.port
        return f"ssh -L {port}:127.0.0.1:{port} {getuser()}@{socket.gethostname()}"


class LocalServer:
    """Serves `routes` and the page `index` on one port; see `run` and `start`.

    Parameters
    ----------
    routes : sequence of BaseRoute
        What the page uses, below ``/api``.
    index : str
        Name of the page in the static folder.
    host : str
        Address to bind to.
    port : int
        0: any free one.
    embedded : bool
        Whether a notebook on this machine may show the page in a frame.
    """

    def __init__(
        self,
        routes: Sequence[BaseRoute],
        index: str = "index.html",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        embedded: bool = False,
    ) -> None:
        self._socket = _bind(host, port)
        access = Access(self._socket.getsockname()[1], host, embedded=embedded)
        application = _application(routes, index)
        application.state.stopping = lambda: self._server.should_exit
        self.address = Address(access)
        self._server: uvicorn.Server = uvicorn.Server(
            uvicorn.Config(
                Security(application, access),
                log_level="error",
                access_log=False,
                server_header=False,
                date_header=False,
                lifespan="off",
                ws="none",
                timeout_graceful_shutdown=_STOP_SECONDS,
            )
        )
        self._thread: threading.Thread | None = None

    @property
    def is_open(self) -> bool:
        """Whether other machines can reach it."""
        name: str = self._socket.getsockname()[0]
        return not (name.startswith("127.") or name == "::1")

    @property
    def is_remote(self) -> bool:
        """Whether the person is at another machine, or there is no display for a browser."""
        if os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"):
            return True
        displays = ("DISPLAY", "WAYLAND_DISPLAY")
        return sys.platform.startswith("linux") and not any(map(os.environ.get, displays))

    def run(self, *, browser: bool = False) -> None:
        """Serve until Ctrl+C; with `browser` the page is opened, unless the person is remote."""
        if browser and not self.is_remote:
            open_browser(self.address.url)
        with suppress(KeyboardInterrupt):
            self._serve()

    def start(self) -> None:
        """Serve in a thread of its own."""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop what `start` began."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()

    def _serve(self) -> None:
        with self._socket:
            asyncio.run(self._server.serve(sockets=[self._socket]))


def _bind(host: str, port: int) -> socket.socket:
    if not 0 <= port < 1 << 16:
        raise UsageError(f"--port {port}: expected 0 to 65535")
    if host in ("", "0.0.0.0", "::"):
        raise UsageError(
            f"--host {host}: give the name or address by which this machine is reached, such as"
            f" {socket.gethostname()}"
        )
    try:
        family, _, _, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # with this protocol, asyncio sends the parts of an answer at once: 40 ms less
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if sys.platform != "win32":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(target)
        bound.listen()  # before the address is shown: who opens it at once waits
    except OSError as error:
        raise IcasError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    return bound


def stopping(request: Request) -> bool:
    """Whether the server that got `request` stops: streams end, so that nothing is cut off."""
    return bool(request.app.state.stopping())


def _application(routes: Sequence[BaseRoute], index: str) -> Starlette:
    async def page(_: Request) -> Response:
        return FileResponse(STATIC / index, media_type="text/html")

    every = [
        Route("/", page),
        *routes,
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    handlers = {IcasError: _icas_error, HTTPException: _http_error, Exception: _other_error}
    return Starlette(routes=every, exception_handlers=handlers)  # type: ignore[arg-type]


async def _icas_error(request: Request, error: IcasError) -> Response:
    unknown = 404 if request.method == "GET" and request.path_params else 400
    status = unknown if isinstance(error, UsageError) else 500
    if isinstance(error, ConflictError):
        status = 409
    content = {"error": _one_line(error)}
    rev = getattr(error, "rev", None)
    return JSONResponse(content if rev is None else {**content, "rev": rev}, status)


async def _http_error(_: Request, error: HTTPException) -> Response:
    return JSONResponse({"error": error.detail}, error.status_code)


async def _other_error(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": f"internal error: {type(error).__name__}"}, 500)


def _one_line(error: Exception) -> str:
    """A message that can be encoded, also where it names a file whose name is not text."""
    message = error.message if isinstance(error, IcasError) else str(error)
    return " ".join(message.encode("utf-8", "backslashreplace").decode().split())


def open_browser(url: str) -> bool:
    """Show an address in the person's browser; whether there is one."""
    import webbrowser

    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False
