"""The help of a command as text of a terminal."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator

from icas.common.command_pages import Flag, Group, Page
from icas.common.parsers import Rows

NARROWEST, WIDEST = 50, 100
TERM = 24
"""Columns of the flags."""
UNTORN = 24
"""Characters of a default up to which it stays on one line."""
UNBROKEN = "\u00a0"


def width_here() -> int:
    """Columns of the terminal, as far as they can be read easily."""
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))


def help_text(page: Page, width: int) -> str:
    """The help, no wider than `width` but for examples."""
    parts = [usage_text(page, width), _paragraphs(page.text, width)]
    parts += [f"{title}:\n{table(rows, width)}" for title, rows in page.forms.items()]
    parts += [_group(group, width) for group in page.groups]
    if page.commands:
        rows = tuple((f"{page.name} {name}", what) for name, what in page.commands)
        parts.append(f"commands, each with --help:\n{table(rows, width)}")
    if page.exit_codes:
        codes = ", ".join(f"{code} {meaning}" for code, meaning in page.exit_codes)
        parts.append(_paragraphs(f"exit codes: {codes}", width))
    if page.examples:
        parts.append("examples:\n" + "\n".join(example_lines(page.examples)) + "\n")
    return "\n".join(parts)


def usage_text(page: Page, width: int) -> str:
    """The first lines: how the command is called."""
    return "".join(
        textwrap.fill(line, width, initial_indent=begin, subsequent_indent=" " * 11) + "\n"
        for line, begin in zip(page.usage, ("usage: ", " " * 7), strict=False)
    )


def example_lines(examples: Rows) -> Iterator[str]:
    """Every example under what it is for."""
    for line, purpose in examples:
        if purpose:
            yield f"  # {purpose}"
        yield f"  {line}"


def table(rows: Rows, width: int, left: int = 0) -> str:
    """Terms in a column of their own, `left` wide at least, with what they mean beside them.

    A term that is longer stands on a line of its own; without `left`, the longest tells.
    """
    left = left or max(len(term) + 4 for term, _ in rows)
    return "".join(_row(term, meaning, left, width) for term, meaning in rows)


def with_default(flag: Flag) -> str:
    """What a flag means, with its default."""
    return f"{flag.meaning} (default: {flag.default})" if flag.default else flag.meaning


def _group(group: Group, width: int) -> str:
    title = f"{group.title}: {group.meaning}" if group.meaning else f"{group.title}:"
    rows = tuple((flag.term, with_default(flag)) for flag in group.flags)
    return textwrap.fill(title, width, subsequent_indent="  ") + "\n" + table(rows, width, TERM)


def _row(term: str, meaning: str, left: int, width: int) -> str:
    lines = _wrapped(meaning, width - left)
    if len(term) + 4 > left:
        lines.insert(0, "")
    first, *others = lines
    told = [f"  {term}".ljust(left) + first, *(" " * left + other for other in others)]
    return "".join(f"{line.rstrip()}\n" for line in told)


def _wrapped(meaning: str, width: int) -> list[str]:
    """Lines of `meaning`; a short default is not torn apart."""
    said, bracket, default = meaning.partition(" (default: ")
    if len(default) <= UNTORN:
        default = default.replace(" ", UNBROKEN)
        bracket = " (default:" + UNBROKEN if bracket else ""
    lines = textwrap.wrap(said + bracket + default, width, break_on_hyphens=False) or [""]
    return [line.replace(UNBROKEN, " ") for line in lines]


def _paragraphs(text: str, width: int) -> str:
    return "\n".join(textwrap.fill(part, width) + "\n" for part in text.split("\n\n"))
