"""Runs the blocks of a page, in order, in one folder."""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import needs
import not_run
import pytest
from blocks import Block, Command, blocks, commands
from comparing import agree, difference

OPERATORS = re.compile(r"[|&;<>*$~`]")
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
PYCON = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass
class Reader:
    """Runs pages in a workspace.

    Attributes
    ----------
    workspace : Path
        The current folder of all that runs.
    programs : Path
        A folder with the programs that lines given to bash may call.
    missing : set of str
        Packages that are not installed: ``torch``, ``dask``; blocks that need them are left out.
    names : dict
        The namespace of the page's Python.
    left_out : list of str
        Places of blocks and commands that were not run, each with the reason.
    """

    workspace: Path
    programs: Path
    missing: set[str] = field(default_factory=set)
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})
    left_out: list[str] = field(default_factory=list)

    def read(self, page: str, text: str | None = None) -> None:
        """Run all of a page; a failure names page and line."""
        for block in blocks(page, text):
            for command in commands(block):
                self.run(command)
            if block.language in ("python", "pycon") and not self._cannot(
                block.text, f"{block.page}:{block.line}"
            ):
                with _in(self.workspace):
                    {"python": self.execute, "pycon": self.examine}[block.language](block)

    def run(self, command: Command) -> None:
        """Run a command, compare its exit code and, where the page shows it, its output."""
        words = split(command)
        if not words or self._cannot(command.text, command.place):
            return
        kinds = (needs.windows, needs.downloads, needs.serves)
        if not_run.checked(words, command.place) or any(kind(words) for kind in kinds):
            self.left_out.append(f"{command.place}: {words[0]} is not run here")
            return
        code, output = self._outcome(words, command.text)
        place = f"{command.place}: {command.text}\n"
        assert code == command.exit_code, f"{place}ended with {code}\n{output}"
        if command.output is not None:
            made = output.replace(f"{self.workspace.resolve()}{os.sep}", "").splitlines()
            assert agree(command.output, made), place + difference(command.output, made)

    def _cannot(self, text: str, place: str) -> bool:
        needed = {"dask"} if needs.dask(text) else set()
        needed |= {"pycocotools"} if needs.coco(text) else set()
        if needs.networks(text) or needs.checkpoints(text):
            needed.add("torch")
        absent = needed & self.missing
        if absent:
            self.left_out.append(f"{place}: needs {', '.join(sorted(absent))}")
        return bool(absent)

    def _outcome(self, words: list[str], text: str) -> tuple[int, str]:
        by_bash = OPERATORS.search(QUOTED.sub("", text.split(" #")[0]))
        if by_bash or words[0] not in ("clusterimg", "segmentimg"):
            return self._by_bash(text)
        return self._in_process(words)

    def _by_bash(self, text: str) -> tuple[int, str]:
        """The line in bash; cd and export last no longer than the line."""
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail\n{text}"],
            cwd=self.workspace,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
        )
        return done.returncode, done.stdout

    def _in_process(self, words: list[str]) -> tuple[int, str]:
        output = io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            _in(self.workspace),
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(output),
        ):
            patch.setattr(sys, "stdin", io.StringIO("q\n"))
            code = main_of(words[0])(words[1:])
        return code, output.getvalue()

    def execute(self, block: Block) -> None:
        """Run lines of Python; their output is ignored."""
        code = compile("\n" * (block.line - 1) + block.text, block.page, "exec")
        with contextlib.redirect_stdout(io.StringIO()):
            exec(code, self.names)

    def examine(self, block: Block) -> None:
        """Run a session of Python and compare what it shows."""
        parser, failures = doctest.DocTestParser(), io.StringIO()
        test = parser.get_doctest(block.text, self.names, block.page, block.page, block.line - 1)
        runner = doctest.DocTestRunner(verbose=False, optionflags=PYCON)
        runner.run(test, out=failures.write, clear_globs=False)
        self.names.update(test.globs)
        assert not runner.summarize(verbose=False).failed, failures.getvalue()


def split(command: Command) -> list[str]:
    """The words of a command, comments left out."""
    try:
        return shlex.split(command.text, comments=True)
    except ValueError as error:
        raise AssertionError(f"{command.place}: {error}: {command.text}") from None


def main_of(program: str):
    """The function behind a program's name; its exit code comes back, also of --help."""
    from icas.clusterimg.commands.main import main as clusterimg
    from icas.segmentimg.commands.main import main as segmentimg

    def run(words: list[str]) -> int:
        try:
            return {"clusterimg": clusterimg, "segmentimg": segmentimg}[program](words)
        except SystemExit as end:
            return int(end.code or 0)

    return run


@contextlib.contextmanager
def _in(folder: Path):
    """Work in a folder, and come back."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def write_programs(folder: Path) -> None:
    """Programs that bash is to find: this Python, and the two commands by it."""
    lines = {name: f"-m icas.{name} " for name in ("clusterimg", "segmentimg")}
    for name, module in {**lines, "python": "", "python3": ""}.items():
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {module}"$@"\n')
        script.chmod(0o755)
