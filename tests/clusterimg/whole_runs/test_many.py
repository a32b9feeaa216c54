"""Many files, many links: what they take is told before, and a disk that is too full refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from icas.clusterimg.transfer import plan as room

BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks" / "many_files.py"
Usage = namedtuple("Usage", "total used free")


def test_many_links_are_told_before_their_tables_are_written(world, monkeypatch):
    monkeypatch.setattr(room, "MANY", 2)
    ran = world.run()
    assert ran.code == 0
    assert "plan: write tables with 2 links, about 0.0 GB" in ran.out.splitlines()


def test_tables_that_would_not_fit_are_not_begun(world, monkeypatch, unharmed):
    monkeypatch.setattr(room, "MANY", 2)
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: Usage(9, 9, 9))
    ran = world.run("--transfer", "move")
    assert ran.code == 1
    assert "the tables of 2 links need about" in ran.err
    unharmed()


def test_the_words_are_about_what_the_tables_take(world, monkeypatch):
    for number in range(150):
        os.link(world.source / "moon.png", world.source / f"moon-{number:04}.png")
    monkeypatch.setattr(room, "MANY", 2)
    seen = []
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: seen.append(1) or Usage(0, 0, 10**15))
    told = []
    monkeypatch.setattr(room.Console, "line", lambda _, text: told.append(text))
    world.run("--transfer", "none")
    [line] = [text for text in told if "write tables with" in text]
    links = int(line.split()[4].replace(",", ""))
    written = sum(path.stat().st_size for path in world.result.glob("similarities/*.csv"))
    estimated = links * (2 * len("moon-0000.png") + 12)
    assert 0.7 < written / estimated < 1.1
    assert seen


@pytest.mark.skipif(sys.platform != "linux", reason="memory is told as Linux does")
@pytest.mark.slow
def test_the_measurement_of_many_files(tmp_path):
    """A small one: it finishes, goes on and is taken back; the source is as it was."""
    words = ["--images", "300", "--different", "20", "--transfer", "hardlink,move"]
    done = subprocess.run(
        [sys.executable, BENCHMARK, *words, "--place", tmp_path],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found, kept = reports(done.stdout)[:-1], reports(done.stdout)[-1]
    assert [one["transfer"] for one in found] == ["hardlink", "move"]
    for one in found:
        assert one["run"]["code"] == one["resume"]["code"] == one["undo"]["code"] == 0
        assert one["run"]["memory_mb"] > 10
        assert one["source as before"]
        assert one["result gone"]
    assert kept["first with a cache"]["features"] == {"cached": 0, "computed": 300}
    assert kept["second with a cache"]["features"] == {"cached": 300, "computed": 0}
    assert not any(tmp_path.iterdir())


def reports(text):
    """The JSON objects that stand one after the other in a text."""
    decoder, found = json.JSONDecoder(), []
    while text := text.lstrip():
        one, end = decoder.raw_decode(text)
        found.append(one)
        text = text[end:]
    return found
