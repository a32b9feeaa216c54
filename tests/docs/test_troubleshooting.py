"""The messages that docs/troubleshooting.md explains are those that the commands print."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from blocks import TOP, read
from PIL import Image
from running import main_of

MESSAGES = re.findall(r"^### `(.+)`$", read("docs/troubleshooting.md"), re.MULTILINE)
PROVOKED = Path(__file__).with_name("provoked.txt").read_text(encoding="utf-8").splitlines()


def explained(line: str) -> bool:
    """Whether the line contains a message of the page."""
    patterns = (".*".join(map(re.escape, message.split("…"))) for message in MESSAGES)
    return any(re.search(pattern, line) for pattern in patterns)


def test_a_message_is_explained_once():
    assert len(MESSAGES) == len(set(MESSAGES)) >= 60


def test_the_words_of_each_message_are_in_the_source():
    strings = "\n".join(
        node.value
        for path in [*TOP.glob("src/icas/**/*.py"), Path(argparse.__file__)]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    parts = {part.strip() for message in MESSAGES for part in message.split("…")}
    assert sorted(part for part in parts if part not in strings) == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Input for the commands of provoked.txt; no command changes it."""
    folder = tmp_path_factory.mktemp("provoked")
    for name, seed in {
        **{"photos/a.png": 1, "photos/b.png": 1, "photos/c.png": 2, "nested/below/a.png": 1},
        **{"one/a.png": 1, "same/x.png": 4, "other/x.png": 5, "small/t.png": 6},
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(seed).integers(0, 256, (48, 32, 3), np.uint8)
        Image.fromarray(noise).resize((96, 64)).save(folder / name)
    (folder / "empty").mkdir()
    for name, content in {
        "full/mine.txt": b"mine",
        "labels.csv": b"file,label\nz.png,1\n",
        "columns.csv": b"name,label\na.png,1\n",
        "colors.txt": b"car,red\n",
        "bad/empty.png": b"",
        "bad/text.jpg": b"nothing but words\n" * 9,
        "bad/cut.ppm": b"P6 9 9 255\n123",
        "bad/word.pgm": b"P2 2 2 255\n1 2 x 4\n",
        "bad/huge.pgm": b"P5 90000 90000 255\n",
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ICAS_CACHE", str(folder / "cache"))
        patch.delenv("DISPLAY", raising=False)
        patch.delenv("WAYLAND_DISPLAY", raising=False)
        for dst in ("done", "changed"):
            run = f"photos --method imagehash --threshold 0.9 -q --no-report --dst {dst}"
            assert main_of("clusterimg")(shlex.split(run)) == 0
        (folder / "changed" / "result" / "new.png").write_bytes(b"new")
        yield folder


@pytest.mark.parametrize("case", PROVOKED)
def test_a_command_prints_a_message_of_the_page(case, folder, capsys):
    code, program, *words = shlex.split(case)
    assert main_of(program)(words) == int(code)
    line = capsys.readouterr().err.splitlines()[-1]
    assert explained(line), line


def test_reasons_in_unreadable_csv_are_on_the_page(folder):
    words = "bad --method imagehash --dst reasons --threshold 0.9"
    Image.new("RGB", (96, 64)).save(folder / "bad" / "good.png")
    assert main_of("clusterimg")(shlex.split(words)) == 3
    reasons = (folder / "reasons" / "unreadable.csv").read_text().splitlines()[1:]
    assert len(reasons) == 5
    for line in reasons:
        assert explained(line), line
