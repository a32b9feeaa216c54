"""The reference of a program as a page of Markdown."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence

from icas.cli.parser import SHARED_FLAGS, Rows, example_lines
from page_writers.programs import Flag, Page, ProgramPages

NOTICE = "<!-- Made by scripts/pages.py (make pages): change the parsers, not this. -->"
SHOWN = ("segmentimg evaluate", "clusterimg demo")
"""Commands whose examples need files that a reader of the page has not got, or take long."""
SHARED = ", ".join(f"`{name}`" for name in SHARED_FLAGS)


def reference(program: ProgramPages) -> str:
    """The page: the program itself first, then its commands.

    A command lists the flags that differ from those of the program, and names the others.
    """
    whole = program.pages[program.default]
    parts = [f"# {program.name}", whole.text, *_begin(whole)]
    parts += ["## Commands", _commands(program), f"Every command has {SHARED}."]
    parts += ["## Exit codes", _table("code", whole.exit_codes)]
    parts += ["## Flags"]
    for title, rows in whole.tables.items():
        parts += [f"### {title}", _table(title.lower().removesuffix("s"), rows)]
    for group in whole.groups:
        if rows := _flags(group.flags):
            parts += [f"### {group.title}", rows]
    for command, page in program.pages.items():
        if command != program.default:
            parts += [f"## {page.name}", page.text, *_begin(page), *_command(page, whole)]
    return "\n\n".join([*parts, NOTICE]) + "\n"


def _commands(program: ProgramPages) -> str:
    rows = (
        (f"[`{name}`](#{program.name}-{name})" if name != program.default else f"`{name}`", text)
        for name, text in program.help_rows
    )
    return _rows(("command", "purpose"), rows)


def _begin(page: Page) -> Iterator[str]:
    yield "```text\n" + "\n".join(page.usage) + "\n```"
    if page.examples:
        language = "text" if page.name in SHOWN else "sh"
        lines = "\n".join(line for line in example_lines(page.examples))
        yield f"```{language}\n{lines}\n```"


def _command(page: Page, whole: Page) -> Iterator[str]:
    """The tables of a command, its own flags, and the names of those that the program has too."""
    for title, rows in page.tables.items():
        if title not in whole.tables:
            yield _table(title.lower(), rows)
    known = set(whole.flags)
    if rows := _flags([flag for flag in page.flags if flag not in known]):
        yield rows
    parts = [
        _names([flag for flag in group.flags if flag in known])
        for group in page.groups
        if group.title not in page.own_groups
    ]
    if shared := ", ".join(part for part in parts if part):
        own = " and the flags of the methods" if page.own_groups else ""
        yield f"Also {shared}{own}, as [above](#flags)."


def _names(flags: Sequence[Flag]) -> str:
    return ", ".join(_code(", ".join(flag.names)) for flag in flags if not _is_shared(flag))


def _is_shared(flag: Flag) -> bool:
    return bool({*flag.names} & {*SHARED_FLAGS})


def _flags(flags: Sequence[Flag]) -> str:
    """A table of flags, but those of every command; nothing if there are no others."""
    rows = [(_code(flag.term), _text(flag.text)) for flag in flags if not _is_shared(flag)]
    return _rows(("flag", "meaning"), rows) if rows else ""


def _table(head: str, rows: Rows) -> str:
    return _rows((head, "meaning"), ((_code(term), _text(text)) for term, text in rows))


def _rows(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("|" + "|".join(map(_cell, line)) + "|" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "&#124;").replace("*", "&#42;")


def _text(text: str) -> str:
    return html.escape(text, quote=False)


def _code(text: str) -> str:
    """Code in a table, in HTML where the sign between cells is in it."""
    return f"<code>{_text(text)}</code>" if "|" in text else f"`{text}`"
