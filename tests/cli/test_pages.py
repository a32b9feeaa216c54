"""Files that are made of the parsers: as the parsers have it, and fit for what reads them."""

from __future__ import annotations

import html
import importlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from icas.clusterimg.commands.main import parsers as clusterimg_parsers
from icas.segmentimg.commands.main import parsers as segmentimg_parsers

TOP = Path(__file__).resolve().parents[2]
MANUAL = TOP / "share" / "man" / "man1"
PARSERS = {**clusterimg_parsers(), **segmentimg_parsers()}


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(TOP / "scripts"))
    return importlib.import_module("pages")


def test_they_are_what_the_parsers_give(script):
    assert list(script.changed()) == [], "make pages"


def test_none_is_left_of_a_command_that_is_gone(script):
    made = set(script.pages())
    for folder in (MANUAL, TOP / "src" / "icas" / "completions"):
        assert {path.relative_to(TOP) for path in folder.iterdir()} <= made


def test_a_change_is_named_and_written(script, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(script, "ROOT", tmp_path)
    made = {Path("man/a.1"): "…\n", Path("b.md"): "# b\n"}
    monkeypatch.setattr(script, "pages", lambda: made)
    assert script.main(["--check"]) == 1
    assert capsys.readouterr().out.splitlines() == [str(path) for path in made]
    assert not list(tmp_path.iterdir())
    assert script.main([]) == 0
    assert (tmp_path / "man" / "a.1").read_bytes() == "…\n".encode()
    assert script.main(["--check"]) == 0


@pytest.mark.parametrize("program", ["clusterimg", "segmentimg"])
def test_the_reference_has_every_command_and_flag(program):
    page = (TOP / "docs" / "reference" / f"{program}.md").read_text(encoding="utf-8")
    first, *others = page.split(f"\n### {program} ")
    sections = {program: first, **{f"{program} {one.split()[0]}": one for one in others}}
    for name, parser in PARSERS.items():
        if name.split()[0] == program:
            cells = html.unescape(sections[name]).replace("[--src]", "--src").replace("|", " ")
            words = cells.replace("<code>", " ").replace("</code>", " ").replace(",", " ").split()
            flags = set(parser._option_string_actions)
            assert flags - set(words) <= {"-h", "--help", "--debug", "--version"}, name


@pytest.mark.parametrize("name", PARSERS)
def test_manual_pages_are_plain_and_whole(name):
    text = (MANUAL / f"{name.replace(' ', '-')}.1").read_bytes().decode("ascii")
    assert text.startswith(".TH ")
    for flag in PARSERS[name]._option_string_actions:
        assert f"\\fB{flag}\\fR".replace("-", "\\-") in text


def test_groff_has_nothing_to_say():
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("groff is not installed")
    pages = sorted(map(str, MANUAL.iterdir()))
    done = subprocess.run(
        [groff, "-man", "-Tascii", "-ww", "-rLL=80n", *pages],
        capture_output=True,
        text=True,
        check=False,
    )
    if "cannot load" in done.stderr or "can't open" in done.stderr:
        pytest.skip(f"groff is not whole here: {done.stderr.splitlines()[0]}")
    assert (done.returncode, done.stderr) == (0, "")
    shown = re.sub(".\x08", "", done.stdout)  # bold is a letter printed twice
    for line in ("SEE ALSO", "--threshold F|auto|pick", "clusterimg --src photos --method orb"):
        assert line in shown
    assert max(map(len, shown.splitlines())) <= 100  # an example may be longer than the rest
