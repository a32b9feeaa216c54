"""A local server whose page a notebook shows in a frame."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, TypeVar

from icas.common.registry import Entry

WIDGET = Entry("icas.web.widget:frame_of", "frame in a notebook")
"""Loaded at first use: it needs the extra web."""
S = TypeVar("S", bound="PageServer")


class PageServer:
    """A running server; it stops with `close`, at the end of a ``with`` block, or with Python.

    Parameters
    ----------
    stack : ExitStack
        Ends what the server needs.
    server : LocalServer
        Not running yet.
    title : str
        Of the frame.
    """

    def __init__(self, stack: ExitStack, server: Any, title: str) -> None:
        self._stack, self._server, self._title = stack, server, title
        self._widget: Any = None
        server.start()
        stack.callback(server.stop)
        self.url: str = server.address.url

    def close(self) -> None:
        """Stop the server; what was changed is saved already."""
        self._stack.close()

    def __enter__(self: S) -> S:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _repr_mimebundle_(self, **how: Any) -> Any:
        """The page in a frame, where anywidget is installed; else its address."""
        if self._widget is None:
            self._widget = WIDGET.load()(self._server.address, self._title)
        if self._widget is None:
            return {"text/plain": f"open {self.url}"}
        return self._widget._repr_mimebundle_(**how)
