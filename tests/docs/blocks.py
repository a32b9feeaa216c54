"""The fenced blocks of a Markdown page, and the commands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *(str(page.relative_to(TOP).as_posix()) for page in sorted(TOP.glob("docs/**/*.md"))),
]
LANGUAGES = {"sh", "console", "python", "pycon"}  # these are run
SHOWN = {"", "text", "csv", "json", "yaml", "toml", "xml", "math", "powershell"}  # these are not
FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<language>[^`]*)$")
EXIT = re.compile(r"\s+# exit (\d+)\b.*$")


@dataclass(frozen=True)
class Block:
    """A fenced block; `line` is that of its first line of text, counted from 1."""

    page: str
    line: int
    language: str
    text: str


@dataclass(frozen=True)
class Command:
    """One command line, and what a page says of it.

    Attributes
    ----------
    place : str
        Page and line.
    text : str
        The command, continued lines joined, without a comment on the exit code.
    exit_code : int
    output : tuple of str or None
        The lines that the page shows, None where it shows none to compare.
    """

    place: str
    text: str
    exit_code: int = 0
    output: tuple[str, ...] | None = None


def read(page: str) -> str:
    """The text of a page, named as seen from the repository's root."""
    return (TOP / page).read_text(encoding="utf-8")


def blocks(page: str, text: str | None = None) -> list[Block]:
    """All blocks of a page, in order; a fence that is not closed is an error."""
    lines = iter(enumerate((read(page) if text is None else text).splitlines(), start=1))
    found = []
    for number, line in lines:
        begin = FENCE.match(line)
        if begin:
            inside = list(_until_closed(lines, begin, f"{page}:{number}"))
            language = begin["language"].strip()
            found.append(Block(page, number + 1, language, "".join(inside)))
    return found


def _until_closed(lines: Iterator[tuple[int, str]], begin: re.Match[str], place: str):
    indent = len(begin["indent"])
    for _, line in lines:
        if line.strip().startswith(begin["fence"]) and not line.strip(" `~"):
            return
        yield (line[indent:] if not line[:indent].strip() else line) + "\n"
    raise AssertionError(f"{place}: this fence is not closed")


def commands(block: Block) -> list[Command]:
    """The commands of a block of ``sh`` or ``console``."""
    if block.language == "sh":
        return list(_of_lines(block))
    return list(_with_outputs(block)) if block.language == "console" else []


def _of_lines(block: Block) -> Iterator[Command]:
    text, begin = "", 0
    for number, line in enumerate(block.text.splitlines(), start=block.line):
        begin = begin if text else number
        text += line
        if text.endswith("\\"):
            text = text[:-1]
            continue
        if text.strip() and not text.lstrip().startswith("#"):
            yield _command(block.page, begin, text)
        text = ""
    assert not text, f"{block.page}:{begin}: goes on after the end of the block"


def _command(page: str, line: int, text: str, output: tuple[str, ...] | None = None) -> Command:
    code = EXIT.search(text)
    return Command(
        f"{page}:{line}", EXIT.sub("", text).strip(), int(code[1]) if code else 0, output
    )


def _with_outputs(block: Block) -> Iterator[Command]:
    begin, text, output = 0, "", []
    for number, line in enumerate(block.text.splitlines(), start=block.line):
        if line.startswith("$ "):
            if text:
                yield _command(block.page, begin, text, tuple(output))
            begin, text, output = number, line[2:], []
        elif text.endswith("\\") and not output:
            text = text[:-1] + line.removeprefix("> ")
        else:
            assert text, f"{block.page}:{number}: output before the first '$ command'"
            output.append(line)
    assert text, f"{block.page}:{block.line}: a console block without '$ command'"
    yield _command(block.page, begin, text, tuple(output))


def all_commands(page: str) -> list[Command]:
    """The commands of a page, in order."""
    return [command for block in blocks(page) for command in commands(block)]
