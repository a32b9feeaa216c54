"""The flags of the segmenters, which two commands have; and settings made of what is given."""

from __future__ import annotations

from typing import Any

from icas.common.options import add_flags, options_of
from icas.common.parsers import LineParser


def add_method_flags(parser: LineParser) -> None:
    """The flags of every method; one that several have stands with the first, for all."""
    from icas.segmentimg.segmenters import SEGMENTERS, segmenter_class

    shared: dict[str, list[str]] = {}
    for name in SEGMENTERS:
        for option in options_of(segmenter_class(name)):
            shared.setdefault(option, []).append(name)
    added: set[str] = set()
    for name, entry in SEGMENTERS.items():
        cls = segmenter_class(name)
        own = {option for option in options_of(cls) if option not in added}
        group = parser.group(f"method {name}")
        group.description = entry.help
        add_flags(group, cls, skip=set(options_of(cls)) - own, shared=_others(cls, own, shared))
        added |= own


def _others(cls: type, own: set[str], shared: dict[str, list[str]]) -> dict[str, str]:
    """What other methods say of the options in `own`: their names and defaults."""
    from icas.segmentimg.segmenters import segmenter_class

    told = {}
    for option in own:
        rest = [name for name in shared[option] if segmenter_class(name) is not cls]
        if rest:
            known = ((name, *options_of(segmenter_class(name))[option]) for name in rest)
            defaults = (f"{name} {one.default_text or value}" for name, value, one in known)
            told[option] = "; also " + ", ".join(defaults)
    return told


def make_settings(given: dict[str, Any]) -> Any:
    """Settings from flags; those not known to a run are the method's."""
    from icas.segmentimg.settings import SegmentSettings

    known = set(options_of(SegmentSettings))
    own = {name: value for name, value in given.items() if name in known}
    options = {name: value for name, value in given.items() if name not in known}
    settings = SegmentSettings(**own, options=options)
    settings.make_segmenter()  # a wrong option is told before any work
    return settings
