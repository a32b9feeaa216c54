"""HTML for notebooks: escaping, counts and small tables."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable
from math import isnan
from typing import Any


def plural(what: str, number: int) -> str:
    """`what`, with an s unless there is one."""
    return what if number == 1 else f"{what}s"


_JOINERS = "\u200c\u200d"  # they make one sign of several letters or emoji


def text(value: object) -> str:
    """`value` as text of a page, also inside quotes; see `visible`."""
    return html.escape(visible(str(value)), quote=True)


def visible(value: Any) -> Any:
    """`value` as text without invisible characters; markup stays as it is.

    Line breaks, bytes that are no UTF-8 and characters that change the direction of writing become
    escapes, so that every name can be encoded and none can pose as another.
    """
    if hasattr(value, "__html__"):
        return value
    plain = str(value)
    return plain if plain.isprintable() else "".join(map(_visible, plain))


def _visible(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # how Python holds a byte that is no UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    hidden = unicodedata.category(letter) in ("Cc", "Cf", "Cn", "Cs", "Zl", "Zp")
    if not hidden or letter in _JOINERS:
        return letter
    return letter.encode("unicode_escape", "surrogatepass").decode("ascii")


def counted(number: int, what: str) -> str:
    """`number` things, as in "1 cluster" and "1,200 images"."""
    return f"{number:,} {plural(what, number)}"


def similarity(value: float) -> str:
    """A similarity with three decimals; a dash for NaN."""
    return "–" if isnan(value) else f"{value:.3f}"


CELL = "text-align:left;padding:2px 16px 2px 0;border:0"
NUMBER = "text-align:right;padding:2px 0;border:0;font-variant-numeric:tabular-nums"


def table(caption: str, rows: Iterable[tuple[str, object]]) -> str:
    """A table of two columns: what it is, and how much."""
    lines = "".join(
        f'<tr style="background:none"><th scope="row" style="font-weight:normal;{CELL}">'
        f'{text(name)}</th><td style="{NUMBER}">{text(_shown(value))}</td></tr>'
        for name, value in rows
    )
    return (
        '<table style="border-collapse:collapse;width:auto;margin:0">'
        f'<caption style="font-weight:bold;{CELL};white-space:nowrap">{text(caption)}</caption>'
        f"<tbody>{lines}</tbody></table>"
    )


def _shown(value: object) -> str:
    """Shares with three decimals, numbers with commas."""
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) <= 1 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
