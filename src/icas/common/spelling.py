"""Words that were meant where others were typed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

ALIKE = 0.7
"""How alike two words are, 0 to 1, of which one may be meant for the other."""


def meant(word: str, known: Iterable[str]) -> str | None:
    """That of the `known` words that `word` was meant for, as far as one can guess."""
    found = get_close_matches(word.casefold(), list(known), n=1, cutoff=ALIKE)
    return found[0] if found else None


def did_you_mean(message: str, flags: Iterable[str]) -> str:
    """The unknown flags in `message`, with those that they were meant for: ``"; did you mean …?"``.

    Empty where none is unknown, or none is like one of `flags`.
    """
    known = set(flags)
    typed = (word.partition("=")[0] for word in message.split() if re.match(r"--?[^\W\d]", word))
    guesses = (meant(word, sorted(known)) for word in typed if word.rstrip(":,") not in known)
    told = list(dict.fromkeys(guess for guess in guesses if guess))
    return f"; did you mean {' and '.join(told)}?" if told else ""
