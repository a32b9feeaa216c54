"""Class names, some with colors, from files of other programs: YAML, COCO, YOLO, plain lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from icas.common.errors import UsageError
from icas.io.formats import os_reason
from icas.io.text import decode_text

Color = tuple[int, int, int]
_HEX = re.compile(r"#?([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", re.IGNORECASE)
_LISTS = ("names", "classes", "categories", "labels")
"""Keys under which files list their classes."""
_QUOTED = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')\s*(?:#.*)?""")
_UNTIL_COMMENT = re.compile(
    r"""(?:(?<![^\s\[{,:])(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')|(?!(?:^#|\s#) ).)*"""
)
"""A line up to a comment, which may be between quotes; a quote begins a value."""
_SCALAR = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^,\[\]{}]*?)\s*(?=[,\]}]|$)""")
_PAIR = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^'":{\[][^:]*?)\s*:(?:\s+(.*))?""")


class ListedClass(NamedTuple):
    """A class of a file."""

    name: str
    color: Color | None = None


def read_class_list(path: Path) -> list[ListedClass]:
    """The classes of a file, in its order; of COCO files by their ids.

    ``.json``: a COCO file, or a list; ``.yaml``: a list, or one under ``names``, as of YOLO; any
    other file: a line each, ``name`` or ``name,#rrggbb``, without empty lines and those that
    begin with ``# ``. UsageError for a file that cannot be read.
    """
    try:
        text = decode_text(path.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read classes {path}: {os_reason(error)}") from None
    except ValueError:
        raise UsageError(f"classes {path} is not a text file") from None
    suffix = path.suffix.lower()
    try:
        if suffix == ".json":
            listed = _of_value(json.loads(text))
        elif suffix in (".yaml", ".yml"):
            listed = _of_value(_yaml(text))
        else:
            listed = [_of_line(line) for line in _lines(text)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise UsageError(f"classes {path} cannot be read: {reason}") from None
    if not listed:
        raise UsageError(f"classes {path} has no classes: add lines like car,#cc0000")
    return listed


def _lines(text: str) -> Iterable[str]:
    for line in text.splitlines():
        if line.strip() not in ("", "#") and not line.lstrip().startswith("# "):
            yield line.strip()


def _of_line(line: str) -> ListedClass:
    name, comma, code = (part.strip() for part in line.rpartition(","))
    if comma and name and code.startswith("#") and _HEX.fullmatch(code):
        return ListedClass(name, _color(code))
    if "," in line and "#" in line:
        raise ValueError(f"{line!r}: expected name,#rrggbb, like car,#cc0000")
    return ListedClass(line)


def _of_value(value: Any) -> list[ListedClass]:
    """Classes of parsed JSON or YAML."""
    if isinstance(value, dict):
        listed = next((value[key] for key in _LISTS if key in value), None)
        if isinstance(listed, (dict, list)):
            return _of_value(listed)
        return [_of_item(key, item) for key, item in value.items()]
    if not isinstance(value, list):
        raise ValueError("expected a list of names")
    if all(isinstance(item, dict) and str(item.get("id", "")).isdigit() for item in value):
        value = sorted(value, key=lambda item: int(item["id"]))
    return [_of_item(None, item) for item in value]


def _of_item(key: str | None, item: Any) -> ListedClass:
    """``cat``, ``0: cat``, ``cat: "#cc0000"``, or ``{name: cat, color: …}``."""
    if isinstance(item, dict):
        name = item.get("name", key)
        color = item.get("color")
        if name is None:
            raise ValueError("a class without a name")
        return ListedClass(str(name), None if color in (None, "") else _color(color))
    if key is None or key.isdigit():
        return _of_line(str(item)) if isinstance(item, str) else ListedClass(str(item))
    return ListedClass(key, _color(item))


def _color(value: Any) -> Color:
    match = _HEX.fullmatch(value.strip()) if isinstance(value, str) else None
    parts = [int(part, 16) for part in match.groups()] if match else value
    if not isinstance(parts, list) or len(parts) != 3:
        raise ValueError(f"color {value!r}: expected #rrggbb, like #cc0000")
    red, green, blue = (int(part) for part in parts)
    if not all(0 <= part <= 255 for part in (red, green, blue)):
        raise ValueError(f"color {value!r}: red, green and blue must be 0 to 255")
    return red, green, blue


def _yaml(text: str) -> Any:
    """The part of a YAML file that lists classes, or all of it."""
    listed = yaml_value(text, _LISTS)
    if listed is not None:
        return listed
    lines = _yaml_lines(text)
    return _inline(" ".join(lines)) if lines and lines[0][0] in "[{" else _block(lines)


def yaml_value(text: str, keys: Iterable[str]) -> Any | None:
    """The value of the first of `keys` in a YAML file: a list or a mapping of text.

    It is a block of lines, or values in brackets. None without such a key, ValueError where it
    cannot be read.
    """
    key_line = re.compile(rf"(?:{'|'.join(keys)})\s*:\s*(.*)")
    lines = _yaml_lines(text)
    for place, line in enumerate(lines):
        match = key_line.fullmatch(line)
        if match:
            value = _without_comment(match[1])
            if value:
                rest = [later.strip() for later in lines[place + 1 :]]
                return _inline(" ".join([value, *map(_without_comment, rest)]))
            block = []
            for later in lines[place + 1 :]:
                if not later.startswith((" ", "-", "\t")):
                    break
                block.append(later)
            return _block(block)
    return None


def _yaml_lines(text: str) -> list[str]:
    """The lines without empty ones, comments and document marks."""
    lines = [line.rstrip() for line in text.splitlines()]
    return [line for line in lines if line.strip() and not line.lstrip().startswith(("#", "---"))]


def _block(lines: list[str]) -> Any:
    """A list or a mapping of scalars, or a list of mappings, a line each."""
    items: list[Any] = []
    pairs: dict[str, Any] = {}
    for line in lines:
        content = _without_comment(line.strip())
        new = content.startswith("-")
        content = content[1:].strip() if new else content
        pair = _PAIR.fullmatch(content)
        if content[:1] in ("[", "{") or (new and pair is None):
            items.append(_inline(content))
        elif pair is None:
            raise ValueError(f"{line.strip()!r} is neither an item of a list nor a pair")
        else:
            key, value = str(_inline(pair[1])), _inline(pair[2] or "")
            if new:
                items.append({key: value})
            elif items and isinstance(items[-1], dict):
                items[-1][key] = value
            else:
                pairs[key] = value
    return items or pairs


def _without_comment(text: str) -> str:
    if (quoted := _QUOTED.fullmatch(text)) is not None:
        return quoted[1]
    content = _UNTIL_COMMENT.match(text)
    return content[0].strip() if content else text


def _inline(text: str) -> Any:
    """A value in one line: a scalar, ``[a, b]`` or ``{a: b}``."""
    value, rest = _value(text.strip())
    return value if text.strip()[:1] in ("[", "{") else _scalar(text.strip()) if rest else value


def _value(text: str) -> tuple[Any, str]:
    """The first value of a text, and the text after it."""
    if text[:1] not in ("[", "{"):
        match = _SCALAR.match(text)
        if match is None:
            raise ValueError(f"{text[:40]!r} has an end that is missing")
        return _scalar(match[1]), text[match.end() :].lstrip()
    end = "]" if text[0] == "[" else "}"
    items: list[Any] = []
    pairs: dict[str, Any] = {}
    rest = text[1:].lstrip()
    while rest[:1] != end:
        if not rest:
            raise ValueError(f"{text[:40]!r} has no {end}")
        if end == "]":
            item, rest = _value(rest)
            items.append(item)
        else:
            key = re.match(r"""\s*("[^"]*"|'[^']*'|[^:,}]*?)\s*:\s*""", rest)
            if key is None:
                raise ValueError(f"{rest[:40]!r} is no pair")
            pairs[str(_scalar(key[1]))], rest = _value(rest[key.end() :])
        if rest[:1] == ",":
            rest = rest[1:].lstrip()
    return (items if end == "]" else pairs), rest[1:].lstrip()


def _scalar(text: str) -> str:
    if text[:1] == '"' and text[-1:] == '"' and len(text) > 1:
        return str(json.loads(text))
    if text[:1] == "'" and text[-1:] == "'" and len(text) > 1:
        return text[1:-1].replace("''", "'")
    return text
