"""The command ``completion`` of both programs: what a shell needs to complete their words."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from icas.common.flag_groups import INPUT
from icas.common.parsers import About, LineParser
from icas.common.programs import Command, Program

SHELLS = {"bash": "{}.bash", "zsh": "_{}", "fish": "{}.fish"}
"""The shells, and what the file for each of them is called."""
TEXT = """\
Print what a shell needs so that its TAB key completes commands, flags and their values.

A package may have put it in its place already: then there is nothing to do."""


def completion_command(program: Program) -> Command:
    """The command that prints the completion of `program`."""

    def parser() -> LineParser:
        typed = f"{program.name} completion"
        forms = {
            "where it goes": (
                ("bash", f'eval "$({typed} bash)" in ~/.bashrc'),
                ("zsh", f'eval "$({typed} zsh)" in ~/.zshrc, after compinit'),
                ("fish", f"{typed} fish > ~/.config/fish/completions/{program.name}.fish"),
            )
        }
        made = LineParser(typed, About(TEXT, forms, examples=((f"{typed} bash", ""),)))
        made.add_value(INPUT, "shell", choices=tuple(SHELLS), help="which one")
        return made

    def run(given: dict[str, Any]) -> int:
        print(completion(program.name, given["shell"]), end="")
        return 0

    return Command(parser, run)


def completion(program: str, shell: str) -> str:
    """The completion of `program` for `shell`, as its file holds it."""
    folder = files("icas") / "completions"
    return (folder / SHELLS[shell].format(program)).read_text(encoding="utf-8")
