"""Options: dataclass fields with help, unit and limits, from which flags and checks are made."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

from icas.cli.parser import ArgumentType, CommandParser, closest_match, number
from icas.common.errors import UsageError, keywords_of_flags

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True)
class Option:
    """One setting, beside its name and default.

    Attributes
    ----------
    unit : str
        Unit of the default and the limits; a `default_text` includes its own.
    group : str
        Title of the group of its flag.
    words : tuple of str
        Known values, for completion; others may be valid too.
    listed : bool
        Whether several of `words` may be given, separated by commas.
    """

    help: str
    unit: str = ""
    parse: Callable[[str], Any] = str
    choices: Collection[str] = ()
    minimum: float | None = None
    maximum: float | None = None
    metavar: str | None = None
    default_text: str | None = None
    flag: str = ""
    repeat: bool = False
    group: str = ""
    words: tuple[str, ...] = ()
    listed: bool = False

    def flag_of(self, name: str) -> str:
        """The flag, made of the field's name unless the option has its own."""
        return self.flag or flag_of(name)


def option(default: Any, help: str, **details: Any) -> Any:
    """A dataclass field that is also a flag; `details` are fields of `Option`.

    `parse` defaults to the type of the default, or to the annotation where the default is None.
    """
    if "parse" not in details and default is not None:
        details["parse"] = type(default)
    return dataclasses.field(default=default, metadata={"option": Option(help, **details)})


def options_of(cls: type) -> dict[str, tuple[Any, Option]]:
    """Name -> (default, Option) of the fields of `cls` that are options."""
    return {
        field.name: (field.default, _with_parse(field.metadata["option"], field))
        for field in dataclasses.fields(cls)
        if "option" in field.metadata
    }


def _with_parse(option: Option, field: dataclasses.Field[Any]) -> Option:
    """The option with `parse` by the annotation if the default is None and no `parse` is given."""
    kind = _KINDS.get(str(field.type).partition(" | ")[0])
    if kind is None or field.default is not None or option.parse is not str:
        return option
    return dataclasses.replace(option, parse=kind)


_KINDS: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "bool": bool, "Path": Path}


def check_options(settings: Any) -> None:
    """Compare every option of `settings` with its limits; called in ``__post_init__``."""
    for name, (default, option) in options_of(type(settings)).items():
        value = getattr(settings, name)
        if value is None and default is None:
            continue
        flag = option.flag_of(name)
        if option.parse is int and not isinstance(value, Integral):
            raise UsageError(f"{flag} {value!r}: expected an integer")
        if option.choices and value not in option.choices:
            raise UsageError(f"{flag} {value}: choose from {', '.join(option.choices)}")
        if option.minimum is None and option.maximum is None:
            continue
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, bool) or not isinstance(item, (int, float)):
                raise UsageError(f"{flag} {value!r}: expected a number")
            low = -float("inf") if option.minimum is None else option.minimum
            high = float("inf") if option.maximum is None else option.maximum
            if not low <= item <= high:
                raise UsageError(f"{flag} {item}: must be {_range_text(option)}")


def _range_text(option: Option) -> str:
    unit = f" {option.unit}" if option.unit else ""
    if option.maximum is None:
        return f"at least {option.minimum}{unit}"
    if option.minimum is None:
        return f"at most {option.maximum}{unit}"
    return f"between {option.minimum} and {option.maximum}{unit}"


def construct(
    cls: type[Any],
    name: str,
    options: Mapping[str, Any],
    others: Callable[[], Iterable[type]] = tuple,
) -> Any:
    """Create the method `name` of class `cls` with `options`.

    An option of one of the `others` is called by its flag in the error.
    """
    known = {field.name: flag_of(field.name) for field in dataclasses.fields(cls) if field.init}
    known |= {field: details.flag_of(field) for field, (_, details) in options_of(cls).items()}
    keywords = {flag: field for field, flag in known.items()}
    with keywords_of_flags(keywords):
        for option in options:
            if option not in known:
                shown = ", ".join(sorted(known.values()))
                flags = (own[option][1] for own in map(options_of, others()) if option in own)
                flag = next((one.flag_of(option) for one in flags), flag_of(option))
                keywords[flag] = option
                raise UsageError(f"{flag} is no option of method {name!r}; it has {shown}")
        return cls(**options)


def check_keywords(given: Iterable[str], known: Collection[str], what: str) -> None:
    """Check keywords of a Python call.

    Raises UsageError: an unknown keyword; the message suggests a similar one, or names all.
    """
    for name in given:
        if name not in known:
            match = closest_match(name, known)
            hint = f"did you mean {match}?" if match else f"it has {', '.join(sorted(known))}"
            raise UsageError(f"unknown keyword {name} of {what}: {hint}")


def keywords_of(cls: type) -> list[str]:
    """Names that the constructor of a dataclass takes."""
    return [field.name for field in dataclasses.fields(cls) if field.init]


def alternatives(names: Iterable[str]) -> str:
    """``"a, b or c"``."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def flag_of(name: str) -> str:
    """The flag of an option: ``min_size`` -> ``--min-size``."""
    return "--" + name.replace("_", "-")


def add_flags(
    parser: CommandParser | argparse._ActionsContainer,
    cls: type,
    *,
    skip: Iterable[str] = (),
    shared: Mapping[str, str] | None = None,
) -> None:
    """Add a flag to `parser` for every option of `cls`; defaults stay in the dataclass.

    Parameters
    ----------
    skip : iterable of str
        Options without a flag.
    shared : mapping of str to str
        Options whose flag also sets options of other classes, with the text on their defaults.
        Integers and floats are both accepted for these; the class that gets them checks them.
    """
    skipped, shared = set(skip), shared or {}
    for name, (default, option) in options_of(cls).items():
        if name in skipped:
            continue
        grouped = isinstance(parser, CommandParser) and option.group
        target = parser.group(option.group) if grouped else parser  # type: ignore[union-attr]
        details: dict[str, Any] = {
            "help": _help_text(default, option, shared.get(name, "")),
            "default": argparse.SUPPRESS,
            "dest": name,
        }
        if default is False:
            details["action"] = "store_true"
        elif default is True or option.parse is bool:
            details["action"] = argparse.BooleanOptionalAction
        else:
            loose = name in shared and option.parse in (int, float)
            details |= {
                "action": "append" if option.repeat else "store",
                "type": ArgumentType(
                    number if loose else option.parse, option.words, option.listed
                ),
                "choices": option.choices or None,
                "metavar": option.metavar or (None if option.choices else _metavar(option.parse)),
            }
        target.add_argument(option.flag_of(name), **details)


def _help_text(default: Any, option: Option, also: str) -> str:
    unit = f" {option.unit}" if option.unit else ""
    shown = option.default_text or ("none" if default is None else _text(default) + unit)
    return f"{option.help} (default: {shown}{also})".replace("%", "%%")


def _metavar(parse: Callable[[str], Any]) -> str:
    return {"int": "N", "float": "F", "number": "F", "parse_size": "WxH", "Path": "PATH"}.get(
        getattr(parse, "__name__", ""), "TEXT"
    )


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return "x".join(str(part) for part in value)
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def parse_size(text: str | Size) -> Size:
    """``"64x48"`` -> ``(64, 48)``: width and height."""
    if not isinstance(text, str):
        width, height = text
        return int(width), int(height)
    parts = text.lower().replace("*", "x").split("x")
    if len(parts) != 2 or not all(part.strip().isdigit() for part in parts):
        raise ValueError("a size like 200x150 (width x height)")
    return int(parts[0]), int(parts[1])
