"""Commands on the classes of a session: add, rename, recolor, reorder, hide, lock."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from icas.common.errors import UsageError
from icas.notebook.html import visible
from icas.segmentimg.document.palette import (
    MAX_CLASSES,
    Color,
    PaintClass,
    Palette,
    class_line,
    class_name,
    free_color,
    hex_code,
)
from icas.segmentimg.serving.commands import Args, whole

LONGEST_NAME = 200
DIGITS = 9
"""Classes that have a key."""
VIEW = "class_view"
"""Key of the log under which hidden and locked classes are kept."""
_COLOR = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")


@dataclass(frozen=True)
class Edited:
    """A class list after a command; `changed`: present classes with another name or color."""

    text: str
    palette: Palette
    changed: Mapping[PaintClass, PaintClass]


def add_class(palette: Palette, args: Args) -> Edited:
    """``class_add {name, color?}``: the color is by default the next free one."""
    color = free_color(palette.numbers()) if args.get("color") is None else _color(args)
    entry = PaintClass(_name(args), color)
    if len(palette) == MAX_CLASSES:
        raise UsageError(f"more than {MAX_CLASSES:,} classes")
    return Edited(f"add class {entry.name}", Palette([*palette, entry]), {})


def change_class(palette: Palette, args: Args) -> Edited:
    """``class_change {number, name?, color?}``."""
    number = whole(args, "number", 1, len(palette))
    before = palette[number - 1]
    name = before.name if args.get("name") is None else _name(args)
    color = before.color if args.get("color") is None else _color(args)
    entries = list(palette)
    entries[number - 1] = PaintClass(name, color)
    text = f"class {class_line(before)}: {class_line(entries[number - 1])}"
    return Edited(text, Palette(entries), {before: entries[number - 1]})


def move_class(palette: Palette, args: Args) -> Edited:
    """``class_move {number, to}``: the class gets the number `to`."""
    number, to = (whole(args, name, 1, len(palette)) for name in ("number", "to"))
    entries = list(palette)
    entry = entries.pop(number - 1)
    entries.insert(to - 1, entry)
    return Edited(f"class {entry.name} to place {to}", Palette(entries), {})


EDITS = {"class_add": add_class, "class_change": change_class, "class_move": move_class}


def _name(args: Args) -> str:
    value = args.get("name")
    if not isinstance(value, str) or len(value) > LONGEST_NAME:
        raise UsageError(f"name: expected text of up to {LONGEST_NAME} characters")
    if "\n" in value or "\r" in value or not value.isprintable():
        raise UsageError("name: expected one line of printable text")
    name = class_name(value).strip()
    if name.startswith("# "):  # such lines of classes.txt are comments
        raise UsageError("name: must not begin with # and a space")
    return name


def _color(args: Args) -> Color:
    match = _COLOR.fullmatch(args["color"]) if isinstance(args.get("color"), str) else None
    if match is None:
        raise UsageError("color: expected #rrggbb")
    red, green, blue = (int(part, 16) for part in match.groups())
    return red, green, blue


class ClassViews:
    """Which classes are hidden or locked, by name."""

    def __init__(self, text: str | None) -> None:
        self.hidden: set[str] = set()
        self.locked: set[str] = set()
        try:
            content = json.loads(text or "{}")
            self.hidden |= {str(name) for name in content.get("hidden", ())}
            self.locked |= {str(name) for name in content.get("locked", ())}
        except (ValueError, TypeError, AttributeError):  # of a damaged log: nothing is hidden
            return

    def text(self) -> str:
        """As text for the log."""
        return json.dumps({"hidden": sorted(self.hidden), "locked": sorted(self.locked)})

    def change(self, palette: Palette, args: Args) -> str:
        """``class_view {number, hidden?, locked?}``; returns a text for people."""
        entry = palette[whole(args, "number", 1, len(palette)) - 1]
        words = []
        for key, names, off in (
            ("hidden", self.hidden, "shown"),
            ("locked", self.locked, "unlocked"),
        ):
            value = args.get(key)
            if value is None:
                continue
            if not isinstance(value, bool):
                raise UsageError(f"{key}: expected true or false")
            (names.add if value else names.discard)(entry.name)
            words.append(key if value else off)
        if not words:
            raise UsageError("class_view: give hidden or locked")
        return f"class {entry.name} {' and '.join(words)}"

    def rename(self, changed: Mapping[PaintClass, PaintClass]) -> None:
        """Follow new names of classes."""
        for before, after in changed.items():
            for names in (self.hidden, self.locked):
                if before.name in names:
                    names.discard(before.name)
                    names.add(after.name)

    def rows(self, palette: Palette) -> list[dict[str, Any]]:
        """The classes for a page, by number."""
        return [
            {
                "number": number,
                "name": visible(entry.name),
                "color": hex_code(entry.color),
                "hidden": entry.name in self.hidden,
                "locked": entry.name in self.locked,
                "digit": str(number) if number <= DIGITS else None,
            }
            for number, entry in enumerate(palette, start=1)
        ]
