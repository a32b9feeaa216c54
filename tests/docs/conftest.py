"""The pages are run, and the site is built and looked at; what they need for that."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for the modules beside the tests

NEEDED = {
    "torch": ("torchvision", "sklearn", "segment_anything", "timm"),
    "dask": ("distributed",),
    "pycocotools": (),
}


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    """A folder with the programs that lines of bash may call."""
    from running import write_programs

    if sys.platform == "win32":
        pytest.skip("the commands of the pages are written for a POSIX shell")
    folder = tmp_path_factory.mktemp("programs")
    write_programs(folder)
    return folder


@pytest.fixture(scope="session")
def missing():
    """Which of torch and Dask are not installed, whole."""
    return {
        name
        for name, others in NEEDED.items()
        if any(importlib.util.find_spec(module) is None for module in (name, *others))
    }


@pytest.fixture(scope="session")
def laid_out(tmp_path_factory, photos):
    """A workspace, copied for every page."""
    from workspace import lay_out

    folder = tmp_path_factory.mktemp("laid-out")
    lay_out(folder, photos)
    return folder


@pytest.fixture
def workspace(laid_out, tmp_path, monkeypatch):
    """A fresh workspace with empty caches."""
    folder = tmp_path / "workspace"
    shutil.copytree(laid_out, folder)
    monkeypatch.setenv("ICAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    return folder


@pytest.fixture
def reader(workspace, programs, missing):
    """Runs a page in the workspace."""
    from running import Reader

    return Reader(workspace, programs, missing)
