"""The pictures of windows in docs/ can be made again, and are what the windows show today."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TOP = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.gui, pytest.mark.slow]


@pytest.fixture
def screenshots(monkeypatch):
    """The script that takes them, with the modules beside it."""
    monkeypatch.syspath_prepend(str(TOP / "scripts"))
    spec = importlib.util.spec_from_file_location("screenshots", TOP / "scripts" / "screenshots.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "screenshots", module)
    spec.loader.exec_module(module)
    return module


SCENES = ["tutorial", "painted", "templates", "grabcut", "debug", "windows", "large-windows"]


@pytest.mark.parametrize("scene", SCENES)
def test_the_pictures_of_windows_are_up_to_date(scene, screenshots, display, tmp_path):
    if "windows" in scene and shutil.which("openbox") is None:
        pytest.skip("openbox not installed (apt-get install openbox)")
    folder, out = tmp_path / "room", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    taken = screenshots.take(scene, out, folder)
    assert taken
    for path in taken:
        kept = TOP / "docs" / "images" / path.name
        assert kept.stat().st_size <= screenshots.MOST
        now, then = (np.array(Image.open(one).convert("L")).astype(int) for one in (path, kept))
        assert now.shape == then.shape, path.name
        assert (abs(now - then) > 60).mean() < 0.02, path.name
    if scene == "tutorial":
        assert listed_in_the_tutorial() == written(folder / "pictures_segmented")


def listed_in_the_tutorial() -> list[str]:
    """Files that the tutorial says lie on disk."""
    text = (TOP / "docs" / "tutorials" / "painting.md").read_text(encoding="utf-8")
    listed = text.split("```text\npictures_segmented/\n")[1].split("```")[0]
    return sorted(re.findall(r"^  (\S+)", listed, re.MULTILINE))


def written(folder: Path) -> list[str]:
    return sorted(f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir())
