"""Files that are made from the command parsers: up to date, complete, readable."""

from __future__ import annotations

import html
import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from icas.clusterimg.commands.main import PROGRAM as CLUSTERIMG
from icas.segmentimg.commands.main import PROGRAM as SEGMENTIMG

TOP = Path(__file__).resolve().parents[2]
PARSERS = {**CLUSTERIMG.parsers(), **SEGMENTIMG.parsers()}


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TOP / "scripts"))
        yield importlib.import_module("pages")


@pytest.fixture(scope="module")
def manual(script):
    """Text of every man page, by file name."""
    files = script.package_files()
    return {path.name: text for path, text in files.items() if path.suffix == ".1"}


def test_the_reference_is_up_to_date(script):
    assert list(script.changed(script.reference_pages())) == [], "make pages"


def test_a_change_is_named_and_written(script, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(script, "ROOT", tmp_path)
    pages = {Path("docs/a.md"): "…\n", Path("b.md"): "# b\n"}
    monkeypatch.setattr(script, "reference_pages", lambda: pages)
    monkeypatch.setattr(script, "package_files", dict)
    assert script.main(["--check"]) == 1
    assert capsys.readouterr().out.splitlines() == [str(path) for path in pages]
    assert not list(tmp_path.iterdir())
    assert script.main([]) == 0
    assert (tmp_path / "docs" / "a.md").read_bytes() == "…\n".encode()
    assert script.main(["--check"]) == 0


def test_the_build_needs_no_other_package(script, tmp_path):
    for folder in ("scripts", "src"):
        ignored = shutil.ignore_patterns("completions", "__pycache__")
        shutil.copytree(TOP / folder, tmp_path / folder, ignore=ignored)
    command = [sys.executable, "-I", "-S", tmp_path / "scripts" / "pages.py", "--package"]
    subprocess.run(command, check=True)
    for path, text in script.package_files().items():
        assert (tmp_path / path).read_text(encoding="utf-8") == text, path


@pytest.mark.parametrize("program", ["clusterimg", "segmentimg"])
def test_the_reference_has_every_command_and_flag(program):
    page = (TOP / "docs" / "reference" / f"{program}.md").read_text(encoding="utf-8")
    first, *others = page.split(f"\n## {program} ")
    sections = {program: first, **{f"{program} {one.split()[0]}": one for one in others}}
    for name, parser in PARSERS.items():
        if name.split()[0] == program:
            text = html.unescape(sections[name])
            if "the flags of the methods" in text:
                text += html.unescape(first)
            named = set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", text))
            flags = set(parser._option_string_actions)
            assert flags - named <= {"-h", "--help", "--help-all", "--debug", "--version"}, name


def test_the_reference_is_short():
    pages = [TOP / "docs" / "reference" / f"{name}.md" for name in ("clusterimg", "segmentimg")]
    assert sum(len(page.read_text(encoding="utf-8").split()) for page in pages) <= 5500


@pytest.mark.parametrize("name", PARSERS)
def test_man_pages_are_ascii_and_complete(name, manual):
    text = manual[f"{name.replace(' ', '-')}.1"]
    assert text.isascii()
    assert text.startswith(".TH ")
    for flag in PARSERS[name]._option_string_actions:
        assert f"\\fB{flag}\\fR".replace("-", "\\-") in text


def test_groff_prints_no_warnings(manual, tmp_path):
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("groff is not installed")
    for name, text in manual.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [groff, "-man", "-Tascii", "-ww", "-rLL=80n", *sorted(manual)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    if "cannot import" in done.stderr or "can't open" in done.stderr:
        pytest.skip(f"groff is not whole here: {done.stderr.splitlines()[0]}")
    assert (done.returncode, done.stderr) == (0, "")
    shown = re.sub(".\x08", "", done.stdout)  # bold is a letter printed twice
    for line in ("SEE ALSO", "--threshold F", "clusterimg --src photos --method orb"):
        assert line in shown
    assert max(map(len, shown.splitlines())) <= 100  # an example may be longer than the rest
