"""Completion for zsh."""

from __future__ import annotations

from collections.abc import Iterator

from page_writers.programs import Flag, Page, ProgramPages, brief

SCRIPT = """\
#compdef PROGRAM
# Completion of PROGRAM for zsh. Made by scripts/pages.py: change the parsers, not this.

{functions}
_PROGRAM_commands() {
    local -a commands=(
{rows}
    )
    _describe -t commands 'command' commands
}

_PROGRAM() {
    local command=NAMELESS
    if (( CURRENT > 2 )); then
        case $words[2] in
            ({commands})
                command=$words[2]
                shift words
                (( CURRENT-- ))
                ;;
        esac
    elif [[ $PREFIX != -* ]]; then
        _PROGRAM_commands
    fi
    _PROGRAM_$command
}

if [[ $funcstack[1] == _PROGRAM ]]; then
    _PROGRAM "$@"
else
    compdef _PROGRAM PROGRAM
fi
"""
ACTIONS = {
    "folder": "_files -/",
    "file": "_files",
    "csv": '_files -g "*.csv(-.)"',
    "text": " ",
}


def zsh(program: ProgramPages) -> str:
    """The file for zsh."""
    functions = (_function(program, command, page) for command, page in program.pages.items())
    rows = (f"        {_quoted(f'{name}:{text}')}" for name, text in program.help_rows)
    filled = (
        SCRIPT.replace("{functions}", "\n".join(functions))
        .replace("{rows}", "\n".join(rows))
        .replace("{commands}", "|".join(program.commands))
    )
    return filled.replace("NAMELESS", program.default).replace("PROGRAM", program.name)


def _function(program: ProgramPages, command: str, page: Page) -> str:
    specs = [*_flag_specs(page), *_place_specs(page)]
    body = " \\\n".join(f"        {spec}" for spec in specs)
    return f"_{program.name}_{command}() {{\n    _arguments -s -S \\\n{body}\n}}\n"


def _flag_specs(page: Page) -> Iterator[str]:
    for flag in page.flags:
        for name in flag.names:
            others = " ".join(flag.names) if len(flag.names) > 1 else ""
            before = "*" if flag.repeated else f"({others})" if others else ""
            yield _quoted(f"{before}{name}{_value(flag)}")


def _value(flag: Flag) -> str:
    text = f"[{_escaped(brief(flag), ':[]')}]"
    if flag.completed == "none":
        return text
    return f"={text}:{_escaped(flag.value, ':')}:{_action(flag)}"


def _place_specs(page: Page) -> Iterator[str]:
    for number, flag in enumerate(page.positional, 1):
        where = "*" if flag.repeated else f"{number}"
        yield _quoted(f"{where}:{_escaped(flag.value.strip('[]'), ':')}:{_action(flag)}")


def _action(flag: Flag) -> str:
    words = " ".join(_escaped(word, " :") for word in flag.words)
    if flag.completed == "list":
        return f"_values -s , {_escaped(flag.value, ' ,:')} {words}"
    return f"({words})" if flag.completed == "words" else ACTIONS[flag.completed]


def _escaped(text: str, special: str) -> str:
    return "".join(f"\\{sign}" if sign in special + "\\" else sign for sign in text)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
