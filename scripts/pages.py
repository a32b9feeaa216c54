"""Write what is made of the parsers: completion for shells, man pages, the reference.

python scripts/pages.py            write what has changed, and name it
python scripts/pages.py --check    only name it; 1 where something has changed
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from page_writers.bash import bash
from page_writers.fish import fish
from page_writers.man import man_page
from page_writers.markdown import reference
from page_writers.programs import Told, told_programs
from page_writers.zsh import zsh

ROOT = Path(__file__).resolve().parent.parent
COMPLETIONS = Path("src/icas/completions")


def pages() -> dict[Path, str]:
    """Every file that is made, by its place in the project, and what it holds."""
    return dict(made for program in told_programs() for made in _of(program))


def _of(program: Told) -> Iterator[tuple[Path, str]]:
    yield COMPLETIONS / f"{program.name}.bash", bash(program)
    yield COMPLETIONS / f"_{program.name}", zsh(program)
    yield COMPLETIONS / f"{program.name}.fish", fish(program)
    for command, page in program.pages.items():
        name = page.name.replace(" ", "-")
        yield Path(f"share/man/man1/{name}.1"), man_page(program, command)
    yield Path(f"docs/reference/{program.name}.md"), reference(program)


def changed() -> dict[Path, str]:
    """The pages that are not as the parsers have it."""
    return {
        path: text
        for path, text in pages().items()
        if not (ROOT / path).exists() or (ROOT / path).read_text(encoding="utf-8") != text
    }


def main(words: list[str]) -> int:
    """Write, or only look; the exit code comes back."""
    found = changed()
    for path, text in found.items():
        print(path)
        if "--check" not in words:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_text(text, encoding="utf-8", newline="\n")
    return 1 if found and "--check" in words else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
