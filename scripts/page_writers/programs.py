"""Both programs, and the pages of their commands."""

from __future__ import annotations

from dataclasses import dataclass

from icas.cli.parser import Flag, Page, Rows, page_of

BRIEF = 60
"""Characters of what a shell shows beside a flag."""


@dataclass(frozen=True)
class Told:
    """A program: its commands by name, each with its page; `default` is meant where none is."""

    name: str
    default: str
    help_rows: Rows
    pages: dict[str, Page]

    @property
    def commands(self) -> tuple[str, ...]:
        """The names of its commands."""
        return tuple(self.pages)


def told_programs() -> list[Told]:
    """Both programs."""
    from icas.clusterimg.commands.table import PROGRAM as CLUSTERIMG
    from icas.segmentimg.commands.table import PROGRAM as SEGMENTIMG

    found = []
    for program in (CLUSTERIMG, SEGMENTIMG):
        pages = {name: page_of(program.command(name).parser()) for name, _ in program.help_rows}
        found.append(Told(program.name, program.default, program.help_rows, pages))
    return found


def places(page: Page) -> list[Flag]:
    """What is given by its place, in that order."""
    return [flag for flag in page.flags if not flag.names or flag.optional_name]


def brief(flag: Flag) -> str:
    """What a flag means, cut where a thought ends."""
    text = flag.meaning
    for end in ("; ", ": ", " ("):
        if len(text) > BRIEF:
            text = text.partition(end)[0]
    return text
