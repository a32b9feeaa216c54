"""Completion for fish."""

from __future__ import annotations

from collections.abc import Iterator

from page_writers.programs import Flag, Page, ProgramPages, brief

SCRIPT = """\
# Completion of PROGRAM for fish. Made by scripts/pages.py: change the parsers, not this.

function __PROGRAM_command --description 'The command that is typed'
    set -l words (commandline -opc)
    if set -q words[2]; and contains -- $words[2] {commands}
        echo $words[2]
    else
        echo NAMELESS
    end
end

function __PROGRAM_is --description 'Whether this command is typed'
    test (__PROGRAM_command) = $argv[1]
end

function __PROGRAM_first --description 'Whether nothing is typed yet'
    test (count (commandline -opc)) -eq 1
end

function __PROGRAM_list --description 'Words with commas between them, those not there yet'
    set -l typed (string match -r '^.*,' -- (commandline -ct | string replace -r '^--[^=]*=' ''))
    for word in $argv
        if not contains -- $word (string split , -- $typed)
            echo $typed$word
        end
    end
end

complete -c PROGRAM -f
{rows}
{flags}
"""
ACTIONS = {
    "folder": "-xa '(__fish_complete_directories)'",
    "file": "-rF",
    "csv": "-xa '(__fish_complete_suffix .csv)'",
    "text": "-x",
}


def fish(program: ProgramPages) -> str:
    """The file for fish."""
    rows = (
        f"complete -c PROGRAM -n __PROGRAM_first -a {name} -d {_quoted(text)}"
        for name, text in program.help_rows
    )
    flags = (line for command, page in program.pages.items() for line in _command(command, page))
    filled = (
        SCRIPT.replace("{commands}", " ".join(program.commands))
        .replace("{rows}", "\n".join(rows))
        .replace("{flags}", "\n".join(flags))
    )
    return filled.replace("NAMELESS", program.default).replace("PROGRAM", program.name)


def _command(command: str, page: Page) -> Iterator[str]:
    begin = f"complete -c PROGRAM -n '__PROGRAM_is {command}'"
    yield ""
    for flag in page.flags:
        for name in flag.names:
            option = f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
            yield " ".join((begin, option, *_value(flag), "-d", _quoted(brief(flag))))
    for flag in page.positional:
        if flag.completed != "text":
            yield f"{begin} {_place(flag)}"


def _value(flag: Flag) -> Iterator[str]:
    if flag.completed == "list":
        yield f"-xa {_quoted('(__PROGRAM_list ' + ' '.join(flag.words) + ')')}"
    elif flag.completed == "words":
        words = " ".join(word.replace(" ", "\\ ") for word in flag.words)
        yield f"-xa {_quoted(words)}"
    elif flag.completed != "none":
        yield ACTIONS[flag.completed]


def _place(flag: Flag) -> str:
    if flag.completed == "words":
        return f"-a {_quoted(' '.join(flag.words))}"
    return "-F" if flag.completed == "file" else ACTIONS[flag.completed].replace("-xa", "-a")


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
