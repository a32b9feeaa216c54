"""Every command and every line of Python in the README runs."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
COMMANDS = {
    "clusterimg": [sys.executable, "-m", "icas.clusterimg"],
    "segmentimg": [sys.executable, "-m", "icas.segmentimg"],
}


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [block for kind, block in found if kind == language]


def commands() -> list[list[str]]:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    split = [shlex.split(line, comments=True) for line in lines]
    return [words for words in split if words and words[0] in COMMANDS]


@pytest.fixture(scope="module")
def desk(photos, tmp_path_factory):
    """A folder as the README has it: photos, and labels of them."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copytree(photos, folder / "photos")
    shutil.copy(photos / "coffee-1.png", folder / "img.png")
    labels = [f"{path.name},{path.name.split('-')[0]}" for path in photos.iterdir()]
    (folder / "labels.csv").write_text("file,label\n" + "\n".join(labels) + "\n")
    return folder


def test_the_commands_run_one_after_the_other(desk):
    found = commands()
    assert len(found) >= 6
    for words in found:
        command = [*COMMANDS[words[0]], *words[1:]]
        done = subprocess.run(command, cwd=desk, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{shlex.join(words)}: {done.stderr}"


def test_the_output_shown_is_the_output_made(photos, tmp_path):
    shutil.copytree(photos, tmp_path / "photos")
    command = [*COMMANDS["clusterimg"], "--src", "photos", "--method", "orb"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    shown = next(block for block in blocks("") if block.startswith("threshold"))
    assert done.stdout.replace(str(tmp_path.resolve()) + "/", "") == shown


def test_the_python_runs(desk):
    for number, block in enumerate(blocks("python")):
        script = desk / f"block{number}.py"
        script.write_text(block, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, script.name], cwd=desk, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_pictures_and_pages_that_it_links_are_there():
    top = Path(__file__).resolve().parent.parent
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in link:
            assert (top / link).exists(), link
