"""Output that a page shows beside output that was made."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

ANY = "…"


def agree(shown: Sequence[str], made: Sequence[str]) -> bool:
    """Whether `made` is what is shown.

    ``…`` in a line stands for any characters, a line that is only ``…`` for any number of lines.
    """
    pattern = "".join(
        r"(?:[^\n]*\n)*?" if line.strip() == ANY else _line(line) for line in _trimmed(shown)
    )
    return re.fullmatch(pattern, "".join(line + "\n" for line in _trimmed(made))) is not None


def _line(line: str) -> str:
    return "[^\n]*".join(re.escape(part) for part in line.split(ANY)) + "\n"


def _trimmed(lines: Sequence[str]) -> list[str]:
    """Without space at the ends of lines, and without empty lines at the end."""
    return "\n".join(line.rstrip() for line in lines).rstrip("\n").splitlines()


def difference(shown: Sequence[str], made: Sequence[str]) -> str:
    """Both, line by line: ``-`` is shown and not made, ``+`` made and not shown."""
    return "\n".join(difflib.ndiff(_trimmed(shown), _trimmed(made)))
