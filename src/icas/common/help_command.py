"""The command ``help`` of both programs."""

from __future__ import annotations

from typing import Any

from icas.common.flag_groups import INPUT
from icas.common.options import Typed
from icas.common.parsers import About, LineParser
from icas.common.programs import Command, Program


def help_command(program: Program) -> Command:
    """The command that prints the help of `program` and of its commands."""

    def parser() -> LineParser:
        made = LineParser(
            f"{program.name} help",
            About(
                f"Print the help of {program.name}, or of one of its commands.",
                examples=((f"{program.name} help evaluate", ""),),
            ),
        )
        names = tuple(name for name, _ in program.help_rows)
        made.add_value(
            INPUT,
            "command",
            nargs="?",
            metavar="COMMAND",
            type=Typed(str, names),
            help="which one (default: the whole program)",
        )
        return made

    def run(given: dict[str, Any]) -> int:
        program.command(given.get("command", program.default)).parser().print_help()
        return 0

    return Command(parser, run)
