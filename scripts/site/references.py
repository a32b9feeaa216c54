"""Docstrings for the site: names of icas in backticks become links, See Also becomes a list.

Other Parameters have no column for defaults, so defaults are added to the description.
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
    """Called by mkdocstrings after it has read the package."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        public = {f"{pkg.name}.{name}" for name in pkg.exports or ()}
        for item in _objects(pkg):
            if item.docstring is not None:
                item.docstring.value = linked(item.docstring.value, public)


def _objects(parent: griffe.Object) -> list[griffe.Object]:
    found: list[griffe.Object] = [parent]
    for member in parent.members.values():
        if isinstance(member, griffe.Object):
            found += _objects(member)
    return found


def linked(text: str, public: set[str]) -> str:
    """`text` with links to the names of `public` and to their members."""
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
