"""Measure the prose of README and docs: pages, words, lengths of sentences, words to avoid.

python scripts/prose.py            README.md and docs without docs/decisions, page by page
python scripts/prose.py FILE ...   these files, with their longest sentences
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
AVOIDED = ("told", "tells", "anew", "whoever", "alike", "meant", "likeness")
"""Words that docs/contributing/writing.md replaces by plainer ones."""
_FENCE = re.compile(r"^ *(`{3,}|~{3,}).*?^ *\1 *$", re.MULTILINE | re.DOTALL)
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_LEFT_OUT = re.compile(
    r"<!--[\s\S]*?-->|^ *(?:#|\||!!!|\?\?\?|:::)[^\n]*$|!\[[^]]*\](?:\([^)]*\))?", re.MULTILINE
)
_LINK = re.compile(r"\[([^]]*)\](\([^)]*\)|\[[^]]*\])")
_ITEM = re.compile(r"^ *(?:[-*+]|\d+\.) +", re.MULTILINE)
_END = re.compile(r"(?<=[.!?])[)\"'*_]*\s+|\n\s*\n")


@dataclass(frozen=True)
class Prose:
    """What was counted in one or more pages.

    Attributes
    ----------
    words : int
        All words, code and tables included.
    sentences : list of str
        Sentences of the running text; headings, tables and blocks of code are left out.
    """

    words: int
    sentences: list[str]

    @property
    def lengths(self) -> list[int]:
        """Words of each sentence."""
        return [len(sentence.split()) for sentence in self.sentences]

    @property
    def avoided(self) -> list[str]:
        """Words to avoid that occur in the sentences."""
        pattern = re.compile(rf"\b({'|'.join(AVOIDED)})\b", re.IGNORECASE)
        return [word for sentence in self.sentences for word in pattern.findall(sentence)]

    def __add__(self, other: Prose) -> Prose:
        return Prose(self.words + other.words, self.sentences + other.sentences)


def measure(text: str) -> Prose:
    """Count words and sentences of a Markdown page."""
    plain = _FENCE.sub("\n\n", _FRONT_MATTER.sub("", text))
    plain = _ITEM.sub("\n\n", _LINK.sub(r"\1", _LEFT_OUT.sub("\n\n", plain)))
    plain = re.sub(r"`[^`\n]*`", "code", re.sub(r"``.*?``", "code", plain))
    parts = (" ".join(part.split()) for part in _END.split(plain) if part)
    return Prose(len(text.split()), [part for part in parts if re.search(r"\w\s+\w", part)])


def pages(root: Path = ROOT) -> list[Path]:
    """Pages of the site, without the decision records."""
    found = sorted((root / "docs").rglob("*.md"))
    return [path for path in found if "decisions" not in path.relative_to(root).parts]


def line(name: str, prose: Prose) -> str:
    """One row of the table."""
    lengths = prose.lengths or [0]
    words = f"  avoid: {', '.join(sorted(set(prose.avoided)))}" if prose.avoided else ""
    return f"{prose.words:7,} {median(lengths):7.0f} {max(lengths):8}  {name}{words}"


def main(names: list[str]) -> None:
    """Print the table."""
    found = [Path(name) for name in names] or [ROOT / "README.md", *pages()]
    measured = {path: measure(path.read_text(encoding="utf-8")) for path in found}
    print("  words  median  longest  (words of a sentence)")
    for path, prose in measured.items():
        print(line(str(path.resolve().relative_to(ROOT)), prose))
        for sentence in sorted(prose.sentences, key=lambda text: -len(text.split()))[:3]:
            if names:
                print(f"{'':26}{len(sentence.split())} words: {sentence}")
    if not names:
        docs = sum((measured[path] for path in found[1:]), Prose(0, []))
        print(line(f"docs: {len(found) - 1} pages", docs))


if __name__ == "__main__":
    main(sys.argv[1:])
