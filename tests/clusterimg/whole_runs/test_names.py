"""Names that are long, alike, or made to be misread; none is lost, none overwrites another."""

from __future__ import annotations

import csv
import io
import os
import shutil
import sys
import unicodedata

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names that Linux allows")

ALIKE = (
    ("Photo.PNG", "photo.png", "PHOTO.png"),
    ("caf\u00e9.png", "cafe\u0301.png"),
    ("stra\u00dfe.png", "STRASSE.png"),
    ("x" * 251 + ".png", "x" * 251 + ".png", "x" * 251 + ".png"),
    ("\u00fc" * 125 + "y.png", "\u00fc" * 125 + "y.png"),
    (os.fsdecode(b"\xff\xfe\x80" * 83 + b".png"), os.fsdecode(b"\xff\xfe\x80" * 83 + b".png")),
    (os.fsdecode(b"\xe9t\xe9.png"), os.fsdecode(b"\xe9t\xe9.png")),
)
ODD = (
    "new\nline.png",
    "cr\rhere.png",
    "tab\t.png",
    "quo\"te'.png",
    "-rf.png",
    "--help.png",
    "\x01\x1b[31mred.png",
    "\x7f.png",
    "\u202egnp.txt.png",
    "\u2028line.png",
    "dots..png",
    "trail.png.",
    "trail ",
    " lead.png",
    "=cmd|'calc'!A0.png",
    "@SUM(1).png",
    "+1.png",
    "a,b;c.png",
    "<script>alert(1)<script>.png",
    "back\\slash.png",
    "CON.png",
    "$(x)`y`.png",
    "*?[a].png",
    "%s%n{0}.png",
    "~",
    "..png",
)


def put(world, names, folder="odd"):
    """The picture under each of these names, in sub-folders of their own; what is read of them."""
    paths = []
    for number, name in enumerate(names):
        place = world.source / f"{folder}{number}"
        place.mkdir(exist_ok=True)
        shutil.copyfile(world.source / "moon.png", place / name)
        paths.append(f"{place.name}/{name}")
    return [path for path, name in zip(paths, names, strict=True) if not name.startswith(".")]


def table(path):
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def bare(name):
    return unicodedata.normalize("NFC", name).casefold()


@pytest.mark.parametrize("how", ["copy", "move", "hardlink", "symlink"])
def test_odd_names(world, how, request):
    put(world, ODD)
    unharmed = request.getfixturevalue("unharmed")
    ran = world.run("--recursive", "--transfer", how)
    shown = [name for name in ODD if not name.startswith(".")]
    assert (ran.code, ran.err) == (0, "")
    assert f"{len(shown) + 5} images" in ran.out
    assert set(shown) <= set(world.placed())
    assert world.undo().code == 0
    unharmed()


@pytest.mark.parametrize("names", ALIKE, ids=lambda names: ascii(names[0][:8]))
def test_names_that_some_systems_take_for_one(world, names, request):
    files = put(world, names)
    unharmed = request.getfixturevalue("unharmed")
    for how in ("copy", "move"):
        assert world.run("--recursive", "--transfer", how).code == 0
        placed = world.placed()
        assert len({bare(name) for name in placed}) == len(placed) == len(files) + 5
        assert all(len(os.fsencode(name)) <= 255 for name in placed)
        assert sum(" (2).png" in name for name in placed) == 1
        rows = table(world.result / "clusters.csv")
        assert {row["file"] for row in rows} >= set(files)
        assert world.undo().code == 0
        unharmed()


def test_every_word_that_names_a_file_is_on_one_line(world):
    put(world, ODD)
    ran = world.run("--recursive", "--verbose")
    assert all(line.isprintable() for line in ran.out.split("\n"))
    assert "new\\nline.png" in ran.out


def test_odd_names_through_resume_and_split(world, request):
    put(world, ODD)
    unharmed = request.getfixturevalue("unharmed")
    assert world.run("--recursive", "--transfer", "move").code == 0
    assert world.command("split", world.result, "cluster_0").code == 0
    assert world.run("--recursive", "--transfer", "move", "--resume").code == 0
    again = world.words("--recursive", "--transfer", "move", "--resume")
    again[again.index("0.8")] = "0.95"
    assert world.command(*again).code == 0
    assert world.undo().code == 0
    unharmed()


def test_bad_files_with_odd_names_are_told_on_one_line_each(world):
    for name in ODD[:12]:
        (world.source / name).write_bytes(b"no picture")
    ran = world.run()
    assert ran.code == 3
    assert len([line for line in ran.lines if line.startswith("unreadable: ")]) == 9
    rows = table(world.result / "unreadable.csv")
    assert {row["file"] for row in rows} == set(ODD[:12])
