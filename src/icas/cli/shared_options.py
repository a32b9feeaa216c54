"""Options that several commands have, with one help and one limit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container
from typing import Any

from icas.cli.options import option
from icas.cli.parser import INPUT, OUTPUT, PERFORMANCE, UNTRUSTED
from icas.io.reading import MAX_PIXELS


def recursive() -> Any:
    """``--recursive``."""
    return option(False, "include sub-folders", group=INPUT)


def jobs() -> Any:
    """``--jobs``."""
    return option(
        None, "number of workers", parse=int, minimum=1, default_text="all cores", group=PERFORMANCE
    )


def dry_run() -> Any:
    """``--dry-run``."""
    return option(False, "print the plan, write nothing", group=OUTPUT)


def overwrite(what: str) -> Any:
    """``--overwrite``; `what` it replaces."""
    return option(False, f"replace {what}", group=OUTPUT)


def resume(what: str) -> Any:
    """``--resume``; `what` it continues."""
    return option(False, f"continue {what}", group=OUTPUT)


def portable_names() -> Any:
    """``--portable-names``."""
    return option(
        False,
        "mask names without colons: NAME_mask_(R=204,G=0,B=0).png",
        default_text="off; on under Windows",
        group=OUTPUT,
    )


def max_pixels() -> Any:
    """``--max-pixels``."""
    return option(
        MAX_PIXELS,
        "skip larger images; they are listed as unreadable",
        unit="pixels",
        minimum=1,
        group=UNTRUSTED,
    )


def isolate(default: bool | None, default_text: str | None = None) -> Any:
    """``--isolate``."""
    return option(
        default,
        "decode images in separate processes; files that crash, hang or use too much memory are"
        " listed as unreadable",
        default_text=default_text,
        group=UNTRUSTED,
    )


def decode_timeout(default: float) -> Any:
    """``--decode-timeout``."""
    return option(
        default,
        "with --isolate: time limit for one image",
        unit="seconds",
        parse=float,
        minimum=0.1,
        group=UNTRUSTED,
    )


def parse_names(
    known: Collection[str], plugins: Container[str] = ()
) -> Callable[[str], tuple[str, ...]]:
    """A parser of ``"masks,labels"`` -> ``("masks", "labels")``; ValueError for unknown names.

    `plugins`: names that are known too, if installed packages have them.
    """

    def parse(text: str) -> tuple[str, ...]:
        names = tuple(name.strip() for name in text.split(",") if name.strip())
        if not names or not all(name in known or name in plugins for name in names):
            raise ValueError(f"a comma-separated list of {', '.join(known)}")
        return names

    return parse
