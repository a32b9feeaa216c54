"""The reference of a program as a page of Markdown."""

from __future__ import annotations

import html
from collections.abc import Iterator

from icas.cli.parser import COMMON_FLAGS, Rows, example_lines
from page_writers.programs import Flag, Group, Page, ProgramPages

NOTICE = "<!-- Made by scripts/pages.py (make pages): change the parsers, not this. -->"
SHOWN = ("segmentimg evaluate", "clusterimg demo")
"""Commands whose examples need files that a reader of the page has not got, or take long."""
COMMON = """\
Every command also takes `-h`, `--help`; `--version`; and `--debug`, which shows where an error
comes from.
"""


def reference(program: ProgramPages) -> str:
    """The page: the program itself first, then its commands."""
    whole = program.pages[program.default]
    parts = [f"# {program.name}", whole.text, *_begin(whole), "## Flags", *_groups(whole, "###")]
    parts += ["## Exit codes", _table(("code", "meaning"), whole.exit_codes)]
    parts += ["## Commands", _commands(program), COMMON.strip()]
    for command, page in program.pages.items():
        if command != program.default:
            parts += [f"### {page.name}", page.text, *_begin(page), *_groups(page, "####")]
    return "\n\n".join([*parts, NOTICE]) + "\n"


def _commands(program: ProgramPages) -> str:
    rows = (
        (f"[`{program.name} {name}`](#{program.name}-{name})", text)
        if name != program.default
        else (f"`{program.name} {name}`", text)
        for name, text in program.help_rows
    )
    return _rows(("command", "what it is for"), rows)


def _begin(page: Page) -> Iterator[str]:
    yield "```text\n" + "\n".join(page.usage) + "\n```"
    if page.examples:
        language = "text" if page.name in SHOWN else "sh"
        lines = "\n".join(line for line in example_lines(page.examples))
        yield f"```{language}\n{lines}\n```"


def _groups(page: Page, level: str) -> Iterator[str]:
    for title, rows in page.tables.items():
        yield f"{level} {_title(title)}"
        yield _table(("form", "meaning"), rows)
    for group in page.groups:
        yield from _group(group, level)


def _group(group: Group, level: str) -> Iterator[str]:
    flags = [flag for flag in group.flags if not {*flag.names} & {*COMMON_FLAGS}]
    if not flags and not group.meaning:
        return
    yield f"{level} {_title(group.title)}"
    if group.meaning:
        yield f"{_title(group.meaning)}."
    if flags:
        yield _rows(("flag", "meaning", "default"), (_row(flag) for flag in flags))


def _row(flag: Flag) -> tuple[str, str, str]:
    default = flag.default or ("needed" if flag.required else "")
    return _code(flag.term), _text(flag.meaning), _text(default)


def _title(text: str) -> str:
    return text[:1].upper() + text[1:]


def _table(head: tuple[str, ...], rows: Rows) -> str:
    return _rows(head, ((_code(term), _text(text)) for term, text in rows))


def _rows(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "&#124;").replace("*", "&#42;")


def _text(text: str) -> str:
    return html.escape(text, quote=False)


def _code(text: str) -> str:
    """Code in a table: the sign that parts the cells may be in it."""
    return f"<code>{_text(text)}</code>"
