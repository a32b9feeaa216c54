"""What CHANGELOG.md says of the version that a tag names, and refuses tags that name another one.

``python3 scripts/release_notes.py v0.1.0``: the text goes to a release's page.
"""

import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
SECTION = re.compile(r"^## (.+)\n((?:(?!## ).*\n)*)", re.MULTILINE)


def main():
    if len(sys.argv) != 2:
        sys.exit("name one tag: scripts/release_notes.py v0.1.0")
    print(notes(sys.argv[1]))


def notes(tag, top=TOP):
    """The version's part of the changelog; SystemExit where tag, version and changelog disagree."""
    version = version_in(top)
    if tag != f"v{version}":
        sys.exit(f"the tag is {tag}, but src/icas/_version.py says {version}")
    parts = sections((top / "CHANGELOG.md").read_text(encoding="utf-8"))
    if parts.get("Unreleased"):
        sys.exit(f"CHANGELOG.md has lines under Unreleased: put them under {version}")
    if not parts.get(version):
        sys.exit(f"CHANGELOG.md says nothing under ## {version}")
    return parts[version]


def version_in(top):
    """The version that the build reads, too."""
    text = (top / "src" / "icas" / "_version.py").read_text(encoding="utf-8")
    return re.search(r'__version__ = "(.+)"', text)[1]


def sections(text):
    """The parts by the first word of their headings; a date may follow it."""
    return {title.split()[0]: body.strip() for title, body in SECTION.findall(text)}


if __name__ == "__main__":
    main()
