"""Completion for bash, 3.2 and later; nothing else is needed."""

from __future__ import annotations

from collections.abc import Iterator

from page_writers.programs import ProgramPages

SCRIPT = r"""# Completion of PROGRAM for bash.
# Made by scripts/pages.py: change the parsers, not this.

# What may follow a flag of a command: sets kind, and words where they are known.
_PROGRAM_value() {
    kind= words=
    case "$1 $2" in
{values}
    esac
    [[ -n $kind ]]
}

# What may stand at a place of a command, counted from 0.
_PROGRAM_place() {
    kind=text words=
    case "$1 $2" in
{places}
    esac
}

_PROGRAM_flags() {
    kind=words
    case $1 in
{flags}
    esac
}

# The lines on stdin that begin with what is typed.
# Not compgen -W: that splits and expands them once more.
_PROGRAM_reply() {
    local line
    while IFS= read -r line; do
        if [[ $line == "$current"* ]]; then
            COMPREPLY+=("${line// /\\ }")
        fi
    done
}

# Words with commas between them: those that are not there yet.
_PROGRAM_list() {
    local typed= word
    if [[ $current == *,* ]]; then
        typed=${current%,*},
    fi
    for word in $words; do
        if [[ ,$typed != *",$word,"* ]]; then
            printf '%s\n' "$typed$word"
        fi
    done
}

# Files, as readline wants them: it does the quoting.
_PROGRAM_files() {
    local line
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <(compgen -f "$@" -- "$current")
}

_PROGRAM() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
    local command=NAMELESS kind= words= place=0 i=1
    COMPREPLY=()
    compopt +o default +o bashdefault 2>/dev/null
    if [[ $current == = ]]; then
        current=
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD-2]}
    fi
    if ((COMP_CWORD > 1)); then
        case ${COMP_WORDS[1]} in
            {commands}) command=${COMP_WORDS[1]} i=2 ;;
        esac
    fi
    while ((i < COMP_CWORD)); do
        if _PROGRAM_value "$command" "${COMP_WORDS[i]}"; then
            ((i += 1))
        elif [[ ${COMP_WORDS[i]} != -* ]]; then
            ((place += 1))
        fi
        ((i += 1))
    done
    if ! _PROGRAM_value "$command" "$before"; then
        if [[ $current == -* ]]; then
            _PROGRAM_flags "$command"
        else
            _PROGRAM_place "$command" "$place"
        fi
    fi
    if ((COMP_CWORD == 1)) && [[ $current != -* ]]; then
        _PROGRAM_reply <<<"{rows}"
        compopt -o filenames 2>/dev/null
        [[ $kind == folder ]] && compopt -o plusdirs 2>/dev/null
        [[ $kind == file ]] && _PROGRAM_files
        return 0
    fi
    case $kind in
        folder) compopt -o dirnames -o filenames 2>/dev/null ;;
        file) compopt -o default 2>/dev/null ;;
        csv)
            compopt -o filenames -o plusdirs 2>/dev/null
            _PROGRAM_files -X '!*.csv'
            ;;
        list)
            compopt -o nospace 2>/dev/null
            _PROGRAM_reply < <(_PROGRAM_list)
            ;;
        words) _PROGRAM_reply <<<"$words" ;;
    esac
    return 0
}

complete -o bashdefault -o default -F _PROGRAM PROGRAM
"""


def bash(program: ProgramPages) -> str:
    """The file for bash."""
    filled = (
        SCRIPT.replace("{values}", "\n".join(_values(program)))
        .replace("{places}", "\n".join(_places(program)))
        .replace("{flags}", "\n".join(_flags(program)))
        .replace("{commands}", "|".join(program.commands))
        .replace("{rows}", "\n".join(program.commands))
    )
    return filled.replace("NAMELESS", program.default).replace("PROGRAM", program.name)


def _values(program: ProgramPages) -> Iterator[str]:
    """Flags of all commands after which the same may follow, in one row."""
    rows: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for command, page in program.pages.items():
        for flag in page.flags:
            if flag.names and flag.completed != "none":
                named = [f'"{command} {name}"' for name in flag.names]
                rows.setdefault((flag.completed, flag.words), []).extend(named)
    for (takes, words), flags in rows.items():
        yield f"        {'|'.join(flags)})\n            {_sets(takes, words)} ;;"


def _places(program: ProgramPages) -> Iterator[str]:
    for command, page in program.pages.items():
        for number, flag in enumerate(page.positional):
            pattern = f'"{command} "*' if flag.repeated else f'"{command} {number}"'
            yield f"        {pattern}) {_sets(flag.completed, flag.words)} ;;"


def _flags(program: ProgramPages) -> Iterator[str]:
    for command, page in program.pages.items():
        names = (name for flag in page.flags for name in flag.names)
        yield f"        {command}) {_words(tuple(names))} ;;"


def _sets(takes: str, words: tuple[str, ...]) -> str:
    return f"kind={takes} {_words(words)}" if words else f"kind={takes}"


def _words(words: tuple[str, ...]) -> str:
    """An assignment: a line a word."""
    return "words=$'" + "\\n".join(words) + "'"
