"""Set-up commands are not run; the extras and targets that they name must exist."""

from __future__ import annotations

import importlib.metadata
import re

from blocks import TOP

# they install, download, wait for input, or change the shell
UNCHECKED = {
    "apt", "apt-get", "brew", "conda", "curl", "dask", "eval", "git", "jupyter", "man", "mkdocs",
    "pre-commit", "pytest", "sbatch", "source", "sudo", "wget",
}  # fmt: skip
EXTRAS = re.compile(r"icas\[([\w,]+)\]")


def checked(words: list[str], place: str) -> bool:
    """Whether the line is one of those; checks the names in it."""
    if words[:3] in (["python", "-m", "pip"], ["python3", "-m", "pip"]):
        words = words[2:]
    if words[0] in ("pip", "pip3", "pipx", "uv"):
        _pip(words, place)
    elif words[0] == "make":
        _make(words[1:], place)
    elif words[:3] not in (["python", "-m", "venv"], ["python3", "-m", "venv"]):
        return words[0] in UNCHECKED or words[0].endswith(("/pip", "/activate"))
    return True


def _pip(words: list[str], place: str) -> None:
    assert {"install", "uninstall", "list", "show"} & set(words), f"{place}: pip does what?"
    known = importlib.metadata.metadata("icas").get_all("Provides-Extra")
    for extras in EXTRAS.findall(" ".join(words)):
        for extra in extras.split(","):
            assert extra in known, f"{place}: there is no extra {extra!r}"


def _make(words: list[str], place: str) -> None:
    targets = re.findall(r"^([a-z][\w ]*):", (TOP / "Makefile").read_text(), re.MULTILINE)
    known = {name for line in targets for name in line.split()}
    for word in words:
        assert "=" in word or word in known, f"{place}: the Makefile has no target {word!r}"
