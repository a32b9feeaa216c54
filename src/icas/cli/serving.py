"""Flags and lines of the commands that open a page in the browser."""

from __future__ import annotations

from typing import Any, Protocol

from icas.cli.console import print_line, warn
from icas.cli.parser import OUTPUT, CommandParser

LOOPBACK = "127.0.0.1"


class Server(Protocol):
    """What the lines need of a local server."""

    address: Any

    @property
    def is_open(self) -> bool: ...

    @property
    def is_remote(self) -> bool: ...


def add_server_flags(parser: CommandParser) -> None:
    """Add ``--host``, ``--port`` and ``--no-browser``."""
    host = f"address to listen on (default: {LOOPBACK}, this machine only)"
    parser.add_value(OUTPUT, "--host", type=str, metavar="HOST", help=host)
    port = "port to listen on (default: 0, any free one)"
    parser.add_value(OUTPUT, "--port", type=int, metavar="N", help=port)
    parser.add_switch(OUTPUT, "--no-browser", help="do not open a browser")


def print_address(server: Server, page: str, changed: str, *, hint: bool) -> None:
    """Print the address of a page, and a warning if others can change what is `changed` there.

    With `hint`, a person at another machine gets the command for a tunnel.
    """
    print_line(f"{page}: {server.address.url}")
    if server.is_open:
        warn(f"other machines can reach it: who has this address can change the {changed}")
    if server.is_remote and hint:
        print_line(f"from another machine, run there first: {server.address.tunnel()}")
    print_line("Ctrl+C stops the server; every change is saved at once")
