"""Completion with TAB in bash, zsh and fish."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from icas.cli.program import SHELLS, completion
from icas.clusterimg.commands.main import PROGRAM as CLUSTERIMG
from icas.clusterimg.methods import METHODS
from icas.segmentimg.commands.main import PROGRAM as SEGMENTIMG

TOP = Path(__file__).resolve().parents[2]
PROGRAMS = {"clusterimg": CLUSTERIMG, "segmentimg": SEGMENTIMG}
SECONDS = 30
needs_terminals = pytest.mark.skipif(os.name == "nt", reason="no terminals of this kind here")
COMMANDS = {
    "cluster", "demo", "thresholds", "evaluate", "estimate", "decide", "ask", "label", "review",
    "split", "best", "quality", "export", "add", "undo", "audit", "parquet", "shards", "train",
    "weights", "cache", "help", "completion",
}  # fmt: skip
COMPLETIONS = [
    ("clusterimg thr", {"thresholds"}),
    ("clusterimg photos --me", {"--mean", "--memory", "--merge", "--method"}),
    ("clusterimg thresholds photos --me", {"--mean", "--method"}),
    ("clusterimg photos --method ", {*METHODS, "auto"}),
    ("clusterimg photos --transfer h", {"hardlink"}),
    ("clusterimg photos --threshold p", {"pick"}),
    ("clusterimg decide out mu", {"must-link"}),
    ("clusterimg decide --cache x out forg", {"forget"}),
    ("clusterimg cache ", {"info", "clear"}),
    ("clusterimg help tr", {"train"}),
    ("clusterimg completion ", {"bash", "zsh", "fish"}),
    ("clusterimg photos --batch-size ", set()),
    ("clusterimg photos --cluster-model kmeans,h", {"kmeans,hierarchy", "kmeans,hdbscan"}),
    ("segmentimg photos --save masks,la", {"masks,labels", "masks,labelme"}),
    ("segmentimg img.png --sam-mode p", {"prompt"}),
]


@pytest.fixture(scope="module", autouse=True)
def built():
    """The scripts as a build of the package writes them."""
    subprocess.run([sys.executable, TOP / "scripts" / "pages.py", "--package"], check=True)


@pytest.fixture
def folder(tmp_path):
    for name in ("photos", "my folder"):
        (tmp_path / name).mkdir()
    for name in ("labels.csv", "last.txt", "my file.txt"):
        (tmp_path / name).touch()
    return tmp_path


def needs(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    return found


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("shell", SHELLS)
def test_it_is_printed_without_a_terminal_or_a_tool(program, shell, capsys):
    assert PROGRAMS[program].main(["completion", shell]) == 0
    assert capsys.readouterr().out == completion(program, shell)
    assert PROGRAMS[program].main(["completion", "dos"]) == 2


def in_bash(folder, lines: list[str]) -> list[set[str]]:
    """What bash answers to each of `lines`, cut into words as readline cuts them."""
    script = ["".join(completion(program, "bash") for program in PROGRAMS)]
    for line in lines:
        words = line.replace("=", " = ").split(" ")
        quoted = " ".join(f"'{word}'" for word in words)
        script += [
            f"COMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1}",
            f"_{words[0]}",
            'printf "%s\\n" "${COMPREPLY[@]}" ---',
        ]
    done = subprocess.run(
        [needs("bash"), "-c", "\n".join(script)],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    answers = done.stdout.split("---\n")
    assert len(answers) == len(lines) + 1
    return [set(filter(None, answer.splitlines())) for answer in answers[:-1]]


def test_bash_answers(folder):
    lines = [line for line, _ in COMPLETIONS]
    assert list(zip(lines, in_bash(folder, lines), strict=True)) == COMPLETIONS
    first, joined, table, odd = in_bash(
        folder,
        [
            "clusterimg ",
            "clusterimg --method=im",
            "clusterimg evaluate out --labels la",
            "segmentimg x --init-level-set sm",
        ],
    )
    assert first == COMMANDS
    assert joined == {"imagehash"}
    assert table == {"labels.csv"}
    assert odd == {"small\\ disk"}


def test_bash_knows_every_flag_of_every_command(folder):
    parsers = {**CLUSTERIMG.parsers(), **SEGMENTIMG.parsers()}
    answers = in_bash(folder, [f"{name} -" for name in parsers])
    for (name, parser), answer in zip(parsers.items(), answers, strict=True):
        assert answer == set(parser._option_string_actions), name


def test_fish_answers(folder):
    asked = [(line, words) for line, words in COMPLETIONS if words]
    script = ["".join(completion(program, "fish") for program in PROGRAMS)]
    asked.append(("clusterimg ", COMMANDS | {"photos/", "my folder/"}))
    script += [f"complete -C '{line}'; echo ---" for line, _ in asked]
    done = subprocess.run(
        [needs("fish"), "--no-config", "-c", "\n".join(script)],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    answers = done.stdout.split("---\n")
    for (line, words), answer in zip(asked, answers, strict=False):
        assert {row.split("\t")[0] for row in answer.splitlines()} == words, line
    assert len(answers) == len(asked) + 1


def at_a_terminal(shell: list[str], folder, setup: list[str], asked) -> None:
    """Type each line and TAB in turn, and wait until the terminal shows what is wanted."""
    import pty

    try:
        child, terminal = pty.fork()
    except OSError as error:  # no /dev/pts in this container
        pytest.skip(f"no terminal can be had here: {error}")
    if child == 0:
        os.chdir(folder)
        here = {**os.environ, "HOME": str(folder), "TERM": "dumb", "LC_ALL": "C"}
        os.execvpe(shell[0], shell, here)
    try:
        for line in [*setup, "echo rea''dy"]:
            os.write(terminal, f"{line}\n".encode())
        _until(terminal, "ready")
        for typed, wanted in asked:
            os.write(terminal, b"\x15" + typed.encode() + b"\t")
            assert wanted in _until(terminal, wanted)
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(terminal)


def _until(terminal: int, wanted: str) -> str:
    """What is shown up to `wanted`, or as long as one may wait; without bells."""
    import select

    shown, end = "", time.monotonic() + SECONDS
    while wanted not in shown and time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 4096).decode(errors="replace").replace("\a", "")
    return shown


@needs_terminals
def test_bash_completes_at_a_terminal(folder):
    for program in PROGRAMS:
        (folder / f"{program}.bash").write_text(completion(program, "bash"))
    setup = ["PS1=; bind 'set enable-bracketed-paste off'"]
    setup += [f". ./{program}.bash; rm {program}.bash" for program in PROGRAMS]
    asked = [
        ("clusterimg --dst my", "clusterimg --dst my\\ folder/"),
        ("clusterimg ph", "clusterimg photos/"),
        ("clusterimg --dst ~/ph", "clusterimg --dst ~/photos/"),
        ("segmentimg my\\ fi", "segmentimg my\\ file.txt "),
        ("segmentimg --palette las", "segmentimg --palette last.txt "),
        ("segmentimg photos --save=masks,labels,js", "--save=masks,labels,json"),
    ]
    at_a_terminal([needs("bash"), "--norc", "--noprofile", "-i"], folder, setup, asked)


@needs_terminals
@pytest.mark.parametrize("way", ["eval", "fpath"])
def test_zsh_completes_at_a_terminal(folder, way):
    (folder / "functions").mkdir()
    for program in PROGRAMS:
        (folder / "functions" / f"_{program}").write_text(completion(program, "zsh"))
    places = "fpath=($PWD/functions $fpath); " if way == "fpath" else ""
    setup = [f"PS1=; {places}autoload -Uz compinit; compinit -u -D"]
    setup += ["unset zle_bracketed_paste; setopt no_auto_list"]
    if way == "eval":
        setup += [f'eval "$(<functions/_{program})"' for program in PROGRAMS]
    asked = [
        ("clusterimg thr", "clusterimg thresholds "),
        ("clusterimg --dst my", "clusterimg --dst my\\ folder/"),
        ("clusterimg photos --method ss", "--method ssim "),
        ("clusterimg thresholds photos --labels la", "--labels labels.csv "),
        ("clusterimg decide out forg", "decide out forget "),
        ("segmentimg photos --save masks,cen", "--save masks,centres"),
    ]
    at_a_terminal([needs("zsh"), "-f", "-i"], folder, setup, asked)


def test_python_is_not_asked_at_a_tab():
    for program in PROGRAMS:
        for shell in SHELLS:
            assert "python" not in completion(program, shell).lower()
            assert sys.executable not in completion(program, shell)
