"""Names and values as a small table of HTML."""

from __future__ import annotations

from collections.abc import Iterable

from icas.common.markup import text

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
    """Shares to three places, numbers with commas."""
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) <= 1 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
