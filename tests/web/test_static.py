"""The static files of the pages: types, no code from elsewhere, in the package."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parents[2] / "src" / "icas" / "web" / "static"
SOURCES = sorted(path for path in STATIC.rglob("*") if path.suffix in (".js", ".css", ".html"))


def test_types_of_the_scripts():
    tsc = shutil.which("tsc")
    if tsc is None:
        pytest.skip("no tsc: install TypeScript (Debian: apt-get install node-typescript)")
    done = subprocess.run(
        [tsc, "-p", STATIC / "tsconfig.json"], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_nothing_comes_from_elsewhere(path):
    text = path.read_text(encoding="utf-8")
    addresses = re.findall(r"""(?:https?:)?//[\w.-]+\.\w{2,}[^\s"'`)]*""", text)
    links = [one for one in addresses if "www.w3.org" not in one]
    loaded = re.findall(
        r"""(?:src|href|import|from|url\()\s*=?\s*["'(]?((?:https?:)?//\S+)""", text
    )
    assert loaded == []
    if path.suffix != ".js":
        assert links == []


def test_no_inline_scripts_or_styles():
    for path in STATIC.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), path
        assert not re.search(r"""<style|\sstyle=|\son\w+=|javascript:""", text), path
