"""The manual page of a command, in the language of man(7)."""

from __future__ import annotations

from collections.abc import Iterator

from icas.cli.parser import Rows
from page_writers.programs import Flag, Group, Page, ProgramPages

ASCII = {"…": "...", "×": "x", "–": "-", "’": "'"}
"""Letters that not every terminal shows."""


def man_page(program: ProgramPages, command: str) -> str:
    """The page of `command`; that of the default one is the page of the whole program."""
    page = program.pages[command]
    whole = command == program.default
    summary = _decapitalised(page.text.partition(".")[0].partition(" (")[0]) if whole else ""
    summary = summary or dict(program.help_rows)[command]
    lines = [
        f'.TH {_escaped(_file_name(page.name).upper())} 1 "" "icas" "User Commands"',
        ".SH NAME",
        f"{_escaped(_file_name(page.name))} \\- {_escaped(summary)}",
        *_synopsis(page),
        ".SH DESCRIPTION",
        *_paragraphs(page.text),
        *_forms(page),
        ".SH OPTIONS",
        *(line for group in page.groups for line in _group(group)),
        *_commands(program, page),
        *_exit_status(page),
        *_examples(page),
        *_see_also(program, command),
    ]
    return "\n".join(lines) + "\n"


def _file_name(name: str) -> str:
    return name.replace(" ", "-")


def _synopsis(page: Page) -> Iterator[str]:
    yield ".SH SYNOPSIS"
    for number, line in enumerate(page.usage):
        if number:
            yield ".br"
        words = line.removeprefix(page.name)
        yield f"\\fB{_escaped(page.name)}\\fR{_escaped(words)}"


def _forms(page: Page) -> Iterator[str]:
    for title, rows in page.tables.items():
        yield f".SS {_escaped(title)}"
        yield from _rows(rows)


def _group(group: Group) -> Iterator[str]:
    yield f".SS {_escaped(group.title)}"
    for flag in group.flags:
        yield ".TP"
        yield _term(flag)
        yield _escaped(flag.text)


def _term(flag: Flag) -> str:
    names = ", ".join(f"\\fB{_escaped(name)}\\fR" for name in flag.names)
    if flag.names and flag.positional:
        names = f"[{names}]"
    value = f"\\fI{_escaped(flag.value)}\\fR" if flag.value else ""
    return " ".join(part for part in (names, value) if part)


def _rows(rows: Rows) -> Iterator[str]:
    for term, text in rows:
        yield ".TP"
        yield f"\\fB{_escaped(term)}\\fR"
        yield _escaped(text)


def _commands(program: ProgramPages, page: Page) -> Iterator[str]:
    if page.commands:
        yield ".SH COMMANDS"
        yield from _rows(tuple((f"{program.name} {name}", text) for name, text in page.commands))


def _exit_status(page: Page) -> Iterator[str]:
    if page.exit_codes:
        yield ".SH EXIT STATUS"
        yield from _rows(page.exit_codes)


def _examples(page: Page) -> Iterator[str]:
    if not page.examples:
        return
    yield ".SH EXAMPLES"
    for line, purpose in page.examples:
        if purpose:
            yield ".PP"
            yield _escaped(purpose[:1].upper() + purpose[1:])
        yield ".PP"
        yield ".nf"
        yield ".RS"
        yield _escaped(line)
        yield ".RE"
        yield ".fi"


def _see_also(program: ProgramPages, command: str) -> Iterator[str]:
    yield ".SH SEE ALSO"
    others = [page.name for name, page in program.pages.items() if name != command]
    yield ",\n".join(f"\\fB{_escaped(_file_name(name))}\\fR(1)" for name in others)


def _paragraphs(text: str) -> Iterator[str]:
    for number, part in enumerate(text.split("\n\n")):
        if number:
            yield ".PP"
        yield _escaped(part)


def _decapitalised(text: str) -> str:
    return text[:1].lower() + text[1:]


def _escaped(text: str) -> str:
    """Text as it is, whatever it begins with and holds."""
    for sign, plain in ASCII.items():
        text = text.replace(sign, plain)
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{text}" if text.startswith(".") else text
