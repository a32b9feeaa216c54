"""Parts of the pages on painting that come from the source: keys of the window, flags."""

from __future__ import annotations

from pathlib import Path

from icas.cli.options import options_of
from icas.segmentimg.segmenters import SEGMENTERS, segmenter_class
from icas.segmentimg.windows.events import help_rows

KEYS_PAGE = Path("docs/how-to/paint.md")
PAGES = {name: Path(f"docs/segmenters/{name}.md") for name in SEGMENTERS}
PAGES["slickmeans"] = PAGES["kmeans"]
MAIN_FLAGS = {
    "sam": (
        *("--sam-checkpoint", "--sam-model", "--sam-mode", "--box", "--point"),
        *("--points-per-side", "--device", "--cache"),
    ),
    "slickmeans": ("--region-size", "--ruler", "--k", "--position-weight"),
}
"""Flags that a page lists if it does not list all: the others are rare, or those of kmeans."""


def painting_pages(root: Path) -> dict[Path, str]:
    """Path -> text with fresh keys and flags, of the pages that exist below `root`."""
    parts = [(KEYS_PAGE, "keys", keys_table())]
    parts += [(page, f"flags:{name}", flags_list(name)) for name, page in PAGES.items()]
    pages: dict[Path, str] = {}
    for page, mark, part in parts:
        if (root / page).exists():
            text = pages.get(page) or (root / page).read_text(encoding="utf-8")
            pages[page] = _between(text, mark, part)
    return pages


def keys_table() -> str:
    """Keys and mouse buttons of the painting window."""
    rows = [f"| {key} | {action} |" for key, action in help_rows()]
    return "\n".join(["| key | action |", "|---|---|", *rows])


def flags_list(name: str) -> str:
    """Flag, meaning, values and default of the options of a segmenter, a line each."""
    lines = {}
    for field, (value, option) in options_of(segmenter_class(name)).items():
        plain = "off" if value is False else "none" if value is None else str(value)
        unit = "" if option.default_text else option.unit
        unnamed = not all(choice in option.help for choice in option.choices)
        choices = f": {', '.join(option.choices)}" if unnamed else ""
        default = f"{option.default_text or plain} {unit}".strip()
        flag = option.flag_of(field)
        lines[flag] = f"- `{flag}`: {option.help}{choices} (default: {default})"
    return "\n".join(lines[flag] for flag in MAIN_FLAGS.get(name, lines))


def _between(text: str, mark: str, part: str) -> str:
    begin, end = f"<!-- {mark} -->", "<!-- end -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"no place for a part: {begin} … {end}")
    return f"{before}{begin}\n\n{part}\n\n{end}{after}"
