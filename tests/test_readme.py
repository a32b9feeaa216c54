"""Every command and every line of Python in the README and the pages of docs runs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from icas.segmentimg.windows.keymap import help_rows

TOP = Path(__file__).resolve().parent.parent
PAGES = ["README.md", *(str(page.relative_to(TOP)) for page in sorted(TOP.glob("docs/*.md")))]
COMMANDS = {
    "clusterimg": [sys.executable, "-m", "icas.clusterimg"],
    "segmentimg": [sys.executable, "-m", "icas.segmentimg"],
}


def blocks(page: str, language: str) -> list[str]:
    text = (TOP / page).read_text(encoding="utf-8")
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for kind, block in found if kind == language]


def commands(page: str) -> list[list[str]]:
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    split = [shlex.split(line, comments=True) for line in lines]
    return [words for words in split if words and words[0] in COMMANDS]


def opens_windows(words: list[str]) -> bool:
    """Such commands are run in tests/gui."""
    without = {"--no-gui", "--preview", "evaluate"}
    return words[0] == "segmentimg" and not without & set(words)


@pytest.fixture(scope="module")
def desk(photos, tmp_path_factory):
    """A folder as the pages have it: photos, an archive, labels, classes and a template."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copytree(photos, folder / "photos")
    shutil.copy(photos / "coffee-1.png", folder / "img.png")
    labels = [f"{path.name},{path.name.split('-')[0]}" for path in photos.iterdir()]
    (folder / "labels.csv").write_text("file,label\n" + "\n".join(labels) + "\n")
    (folder / "classes.txt").write_text("cup,#cc0000\ntable,#00aa44\n")
    (folder / "archive").mkdir()
    for name in ("astronaut-1.png", "coffee-2.jpg"):
        shutil.copy(photos / name, folder / "archive" / f"kept-{name}")
    (folder / "coins").mkdir()
    with Image.open(photos / "coffee-1.png") as picture:
        picture.crop((90, 60, 150, 100)).save(folder / "coins" / "cup.png")
    return folder


def needs_torch(text: str) -> bool:
    return "--method deep" in text or "clusterimg train" in text or 'method="deep"' in text


@pytest.fixture(scope="module")
def networks(desk, request):
    """Weights where the pages have them, and where torchvision keeps what it fetched: random."""
    torch = request.getfixturevalue("torch")
    from torchvision import models

    torch.save(models.mobilenet_v2().state_dict(), desk / "mobilenet_v2.pth")
    kept = desk / "torch" / "hub" / "checkpoints"
    kept.mkdir(parents=True)
    address = models.MobileNet_V3_Small_Weights.DEFAULT.url
    torch.save(models.mobilenet_v3_small().state_dict(), kept / Path(address).name)


@pytest.fixture(scope="module")
def weights(desk, request):
    """Files named as the pages name checkpoints; what is in them is tiny and random."""
    checkpoint = request.getfixturevalue("checkpoint")
    for name in ("sam_vit_b_01ec64.pth", "mobile_sam.pt"):
        shutil.copy(checkpoint, desk / name)


def run(words, desk):
    command = [*COMMANDS[words[0]], *words[1:]]
    own = {**os.environ, "ICAS_CACHE": str(desk / "cache")}
    own["TORCH_HOME"] = str(desk / "torch")
    done = subprocess.run(command, cwd=desk, capture_output=True, text=True, check=False, env=own)
    assert done.returncode == 0, f"{shlex.join(words)}: {done.stderr}"


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_with_weights_run(page, desk, request):
    found = [words for words in commands(page) if "--sam-checkpoint" in words]
    for words in found:
        if not opens_windows(words):
            request.getfixturevalue("weights")
            run(words, desk)


def run_all(page, desk):
    """Run the commands of a page that need neither windows nor networks, in order, once."""
    done = desk / f".ran-{Path(page).stem}"
    if done.exists():
        return
    for words in commands(page):
        if opens_windows(words) or "--sam-checkpoint" in words or needs_torch(" ".join(words)):
            continue
        run(words, desk)
    done.touch()


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_run_one_after_the_other(page, desk):
    assert len(commands(page)) >= 6 or page != "README.md"
    run_all(page, desk)


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_with_a_network_run(page, desk, request):
    for words in commands(page):
        if needs_torch(" ".join(words)):
            request.getfixturevalue("networks")
            run(words, desk)


def test_the_output_shown_is_the_output_made(photos, tmp_path):
    shutil.copytree(photos, tmp_path / "photos")
    command = [*COMMANDS["clusterimg"], "--src", "photos", "--method", "orb"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    shown = next(block for block in blocks("README.md", "") if block.startswith("threshold"))
    assert done.stdout.replace(str(tmp_path.resolve()) + "/", "") == shown


@pytest.mark.parametrize("page", PAGES)
def test_the_python_runs(page, desk, request):
    run_all(page, desk)  # its results may be what the lines are about
    for number, block in enumerate(blocks(page, "python")):
        if needs_torch(block):
            request.getfixturevalue("networks")
        script = desk / f"{Path(page).stem}{number}.py"
        script.write_text(block, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, script.name], cwd=desk, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_pictures_and_pages_that_it_links_are_there(page):
    for link in re.findall(r"\]\(([^)#]+)\)", (TOP / page).read_text(encoding="utf-8")):
        if "://" not in link:
            assert (TOP / page).parent.joinpath(link).exists(), link


def test_the_page_on_painting_has_the_keys_of_the_program():
    text = (TOP / "docs" / "painting.md").read_text(encoding="utf-8")
    shown = text.split("|---|---|\n")[1].split("<!--")[0]
    assert shown == "".join(f"| {key} | {words} |\n" for key, words in help_rows())
