"""Steps of a build: completion and man pages, and the long description of the package.

Completion and man pages are made from the command parsers by scripts/pages.py.

The long description is README.md. A package index shows it on a page of its own, where
``docs/undo.md`` leads nowhere. With ``Repository = "https://…"`` under ``[project.urls]`` in
pyproject.toml, links and images become addresses at the version's tag there; without it images are
left out, and links are plain words.
"""

import re
import subprocess
import sys
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
# no address, and no place in the page itself
RELATIVE = r"(?![a-z]+:|#)([^)\s]+)"
PICTURE = re.compile(r"!\[[^\]]*\]\(" + RELATIVE + r"\)\n*")
LINK = re.compile(r"\[([^\]]*)\]\(" + RELATIVE + r"\)")
TARGET = re.compile(r"(?<=\]\()" + RELATIVE + r"(?=\))")
SHOWN = {".gif", ".jpg", ".png", ".svg"}


class CommandPages(BuildHookInterface):
    """Writes completion and man pages before a wheel is built."""

    def initialize(self, version: str, build_data: dict) -> None:
        """Run scripts/pages.py; it needs no other package."""
        script = Path(self.root) / "scripts" / "pages.py"
        subprocess.run([sys.executable, "-I", "-S", str(script), "--package"], check=True)


class LongDescription(MetadataHookInterface):
    """Gives the metadata their long description."""

    def update(self, metadata: dict) -> None:
        """Add the field ``readme``, which pyproject.toml leaves to this file."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        repository = metadata.get("urls", {}).get("Repository")
        version = metadata["version"]
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": long_description(text, repository, version),
        }


def long_description(text: str, repository: str | None, version: str) -> str:
    """The text with links that hold on any page; code is left as it is."""
    parts = FENCED.split(text)
    parts[::2] = [prose(part, repository, version) for part in parts[::2]]
    return "".join(parts)


def prose(text: str, repository: str | None, version: str) -> str:
    """One piece of the text between two blocks of code."""
    if repository is None:
        return LINK.sub(r"\1", PICTURE.sub("", text))
    base = f"{repository.rstrip('/')}/{{}}/v{version}/"
    return TARGET.sub(lambda found: base.format(kind(found[1])) + found[1], text)


def kind(target: str) -> str:
    """How the hosts of repositories call a picture's bytes, and a page about a file."""
    return "raw" if Path(target).suffix in SHOWN else "blob"
