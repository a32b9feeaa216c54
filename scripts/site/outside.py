"""mkdocs hook: CONTRIBUTING.md and CHANGELOG.md of the repository's root become pages of the site.

Their links are relative to the root: ``docs/`` is removed, and links to files without a page
become plain text.
"""

import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("CONTRIBUTING.md", "CHANGELOG.md")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")


def on_files(files, config):
    for name in PAGES:
        if (ROOT / name).exists() and files.get_file_from_path(name) is None:
            text = (ROOT / name).read_text(encoding="utf-8")
            files.append(File.generated(config, name, content=LINK.sub(relative_to_site, text)))
    return files


def relative_to_site(link):
    words, target = link.groups()
    if "://" in target or target.startswith(("#", "mailto:")) or target in PAGES:
        return link.group()
    if target.startswith("docs/"):
        return f"[{words}]({target.removeprefix('docs/')})"
    return words
