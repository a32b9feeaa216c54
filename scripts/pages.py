"""Write what is made from the command parsers: completion, man pages, reference, tables of flags.

python scripts/pages.py            write all, and name what changed in docs
python scripts/pages.py --check    write nothing; exit 1 if docs are out of date
python scripts/pages.py --package  write completion and man pages only; the build calls this
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import MagicMock

ROOT = Path(__file__).resolve().parent.parent
COMPLETIONS = Path("src/icas/completions")
MANUAL = Path("share/man/man1")
STUBBED = {
    "cv2",
    "filelock",
    "imagehash",
    "jinja2",
    "joblib",
    "lazy_loader",
    "matplotlib",
    "numpy",
    "pebble",
    "PIL",
    "platformdirs",
    "scipy",
    "skimage",
    "threadpoolctl",
    "tqdm",
}
"""Packages that the parsers import but do not use; a build runs without them."""


class Stubs(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Replaces packages that are not installed by mock objects."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in STUBBED:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        module = MagicMock(name=spec.name)
        module.attach_stub.return_value = (None, None, [])  # lazy_loader
        return module

    def exec_module(self, module):
        pass


def package_files() -> dict[Path, str]:
    """Completion and man pages, which are not in the repository, by path."""
    from page_writers.bash import bash
    from page_writers.fish import fish
    from page_writers.man import man_page
    from page_writers.programs import programs
    from page_writers.zsh import zsh

    files = {}
    for program in programs():
        files[COMPLETIONS / f"{program.name}.bash"] = bash(program)
        files[COMPLETIONS / f"_{program.name}"] = zsh(program)
        files[COMPLETIONS / f"{program.name}.fish"] = fish(program)
        for command, page in program.pages.items():
            name = page.name.replace(" ", "-")
            files[MANUAL / f"{name}.1"] = man_page(program, command)
    return files


def reference_pages() -> dict[Path, str]:
    """The reference of both programs and pages with tables of flags and keys, by path."""
    from page_writers.markdown import reference
    from page_writers.programs import programs
    from page_writers.segmenters import painting_pages

    pages = {Path(f"docs/reference/{it.name}.md"): reference(it) for it in programs()}
    return pages | painting_pages(ROOT)


def changed(pages: dict[Path, str]) -> Iterator[Path]:
    """The paths of those `pages` whose files differ."""
    for path, text in pages.items():
        file = ROOT / path
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            yield path


def write(pages: dict[Path, str]) -> None:
    """Write the files that differ."""
    for path in changed(pages):
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(pages[path], encoding="utf-8", newline="\n")


def main(words: list[str]) -> int:
    """Write or check; return the exit code."""
    if "--package" in words:
        write(package_files())
        return 0
    pages = reference_pages()
    outdated = list(changed(pages))
    for path in outdated:
        print(path)
    if "--check" in words:
        return 1 if outdated else 0
    write(pages)
    write(package_files())
    return 0


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / "src"), str(ROOT / "scripts")]
    sys.meta_path.append(Stubs())
    sys.exit(main(sys.argv[1:]))
