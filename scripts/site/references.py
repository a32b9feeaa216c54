"""Docstrings for the site: names of icas in backticks become links, See Also becomes a list.

Other Parameters have no column for defaults: what is said of them goes into the description.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

NAME = re.compile(r"(?<!`)`(icas\.\w+(?:\.\w+)*)`(?!`)")
OTHERS = re.compile(r"(?m)^(Other Parameters\n-+\n)((?:.+\n?)+)")
DEFAULT = re.compile(r"(?m)^(\S.*?), default (.+)\n((?: +.+\n?)+)")
VALUE = re.compile(r"True|False|[\d.,]+|\"\S*\"")
SEE_ALSO = re.compile(r"(?m)^(See Also\n-+\n)((?:.+\n?)+)")


class References(griffe.Extension):
    """Called by mkdocstrings when it has read the package."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        public = {f"{pkg.name}.{name}" for name in pkg.exports or ()}
        for one in _objects(pkg):
            if one.docstring is not None:
                one.docstring.value = linked(one.docstring.value, public)


def _objects(room: griffe.Object) -> list[griffe.Object]:
    found: list[griffe.Object] = [room]
    for member in room.members.values():
        if isinstance(member, griffe.Object):
            found += _objects(member)
    return found


def linked(text: str, public: set[str]) -> str:
    """`text` with links to the names of `public` and to what belongs to them."""
    text = SEE_ALSO.sub(lambda found: found[1] + _listed(found[2]), text)
    text = OTHERS.sub(lambda found: found[1] + DEFAULT.sub(_with_default, found[2]), text)
    return NAME.sub(lambda found: _link(found[1], public), text)


def _listed(lines: str) -> str:
    return "".join(f"- `{line.replace(' : ', '`: ', 1)}\n" for line in lines.splitlines())


def _with_default(found: re.Match[str]) -> str:
    said = f"`{found[2]}`" if VALUE.fullmatch(found[2]) else found[2]
    return f"{found[1]}\n{found[3].rstrip()} Default: {said}.\n"


def _link(name: str, public: set[str]) -> str:
    known = ".".join(name.split(".")[:2]) in public
    return f"[`{name}`][{name}]" if known else f"`{name}`"
