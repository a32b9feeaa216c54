"""The pages of docs/troubleshooting explain each message once; the commands print those."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icas.clusterimg.commands.main import main as clusterimg
from icas.segmentimg.commands.main import main as segmentimg

PAGES = Path(__file__).resolve().parents[2] / "docs" / "troubleshooting"
PROVOKED = Path(__file__).with_name("provoked.txt")
TERM = re.compile(r"`([^`]+)`")


def terms(page):
    """The messages that a page explains: lines of one code span each, above an explanation."""
    lines = page.read_text(encoding="utf-8").splitlines()
    return [found[1] for line in lines if (found := TERM.fullmatch(line))]


@pytest.fixture(scope="module")
def explained():
    return {term: page.name for page in sorted(PAGES.glob("*.md")) for term in terms(page)}


def test_no_message_is_explained_twice():
    every = [term for page in PAGES.glob("*.md") for term in terms(page)]
    assert len(every) == len(set(every)), [one for one in every if every.count(one) > 1]


def test_each_message_has_an_explanation_below_it():
    for page in PAGES.glob("*.md"):
        lines = page.read_text(encoding="utf-8").splitlines()
        for place, line in enumerate(lines):
            if TERM.fullmatch(line):
                after = lines[place + 1]
                assert after.startswith(":   ") or TERM.fullmatch(after), f"{page.name}: {line}"


def test_all_pages_are_named_on_the_first(explained):
    first = (PAGES / "index.md").read_text(encoding="utf-8")
    assert {name for name in explained.values() if f"({name})" not in first} == set()


def picture(path, seed, size=(48, 32)):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(noise).resize((96, 64)).save(path)
    return path


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with all that can go wrong; the commands of the cases change nothing in it."""
    desk = tmp_path_factory.mktemp("desk")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(desk)
        patch.setenv("ICAS_CACHE", str(desk / "kept"))
        for name, seed in (("a", 1), ("b", 1), ("c", 2), ("d", 3)):
            picture(desk / "photos" / f"{name}.png", seed)
        picture(desk / "nested" / "below" / "a.png", 1)
        picture(desk / "one" / "a.png", 1)
        (desk / "empty").mkdir()
        (desk / "full").mkdir()
        (desk / "full" / "mine.txt").write_text("mine")
        picture(desk / "same" / "x.png", 4)
        picture(desk / "other" / "x.png", 5)
        lay_out_tables(desk)
        run = "photos --method imagehash --threshold 0.9 -q --no-cache --no-report"
        assert clusterimg(shlex.split(f"{run} --dst done")) == 0
        assert clusterimg(shlex.split(f"{run} --dst parts --stage batch --batch-size 2")) == 0
        assert clusterimg(shlex.split(f"{run} --dst changed")) == 0
        (desk / "changed" / "result" / "new.png").write_bytes(b"new")
    return desk


def lay_out_tables(desk):
    (desk / "labels.csv").write_text("file,label\nz.png,1\n")
    (desk / "columns.csv").write_text("name,label\na.png,1\n")
    (desk / "words.csv").write_text("file,cluster\na.png,first\n")
    (desk / "none.txt").write_text("# only words\n")
    (desk / "colour.txt").write_text("car,red\n")
    (desk / "twice.txt").write_text("car,#cc0000\ncar,#00cc00\n")
    (desk / "bytes.txt").write_bytes(b"\xff\xfe\xff car")
    picture(desk / "templates" / "large.png", 6).write_bytes((desk / "one/a.png").read_bytes())
    Image.open(desk / "one/a.png").resize((400, 400)).save(desk / "templates" / "large.png")


def cases():
    """Commands with what they end with and say, from provoked.txt."""
    code, command = 0, ""
    for line in PROVOKED.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            code = int(line.strip("[]"))
        elif line.startswith(" "):
            yield pytest.param(command, code, line.strip(), id=command)
        else:
            command = line


@pytest.mark.parametrize(("command", "code", "said"), list(cases()))
def test_a_command_says_what_the_page_says(
    command, code, said, desk, explained, monkeypatch, capsys
):
    monkeypatch.chdir(desk)
    monkeypatch.setenv("ICAS_CACHE", str(desk / "kept"))
    name, *given = shlex.split(command)
    assert {"clusterimg": clusterimg, "segmentimg": segmentimg}[name](given) == code
    *_, line = capsys.readouterr().err.splitlines()
    assert said in explained
    assert fits(line.removeprefix(f"{name}: "), said), line


def fits(line, said):
    """Whether a line reads as the template, which may be what is needed, between name and hint."""
    pattern = ".+".join(map(re.escape, said.split("…")))
    return re.fullmatch(rf"(.+: )?{pattern}( is needed)?( \(see .+ --help\))?", line) is not None


REASONS = {
    "empty.png": (b"", "empty file"),
    "words.jpg": (b"nothing but words\n" * 9, "not an image (text)"),
    "page.png": (b"<!DOCTYPE html><html><body></body></html>", "not an image (a web page (HTML))"),
    "zeros.jpg": (bytes(500), "not an image (nothing but zeros)"),
    "cut.ppm": (b"P6 9 9 255\n123", "cut short: the file ends before its pixels do"),
    "word.pgm": (b"P2 2 2 255\n1 2 x 4\n", "damaged: a value that is no number"),
    "header.pgm": (b"P2 2 x 255\n1 2 3 4\n", "damaged: its header has no end, or a word that is"),
    "huge.pgm": (b"P5 90000 90000 255\n", "claims 90000x90000 pixels, more than the limit of"),
}


def test_reasons_are_those_of_the_page(tmp_path, explained, capsys):
    for name, (content, _) in REASONS.items():
        (tmp_path / "photos").mkdir(exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(content)
    picture(tmp_path / "photos" / "a.png", 1)
    given = "--method imagehash --threshold 0.9 --no-cache --no-report --dst"
    folder, dst = str(tmp_path / "photos"), str(tmp_path / "sorted")
    assert clusterimg([folder, *given.split(), dst]) == 3
    listed = dict(
        line.split(",", 1)
        for line in (tmp_path / "sorted" / "unreadable.csv").read_text().splitlines()[1:]
    )
    for name, (_, reason) in REASONS.items():
        assert reason in listed[name].strip('"')
        assert any(fits(listed[name].strip('"'), one) for one in explained), listed[name]
