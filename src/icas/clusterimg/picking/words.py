"""What the picker says of a threshold, and of names that its font cannot draw."""

from __future__ import annotations

from functools import cache

from icas.clusterimg.picking.drawing import FONT
from icas.clusterimg.picking.numbers import number_text, share_text, threshold_text
from icas.clusterimg.picking.state import PickState
from icas.clusterimg.sample import Expected


def facts_of(found: Expected, images: int, exact: bool) -> list[tuple[str, str]]:
    """What the card says of a threshold: names and values."""
    share = share_text(found.clustered_images, images)
    return [
        ("similar pairs", number_text(found.pairs, exact)),
        ("clusters", number_text(found.clusters, exact)),
        (f"in clusters ({share})", number_text(found.clustered_images, exact)),
        ("images left alone", number_text(images - found.clustered_images, exact)),
    ]


def title_of(state: PickState, found: Expected, exact: bool) -> str:
    """The window's title: the threshold that is shown, and what it gives."""
    what = "chosen" if state.hovered is None else "pointer"
    return (
        f"{what} {threshold_text(state.shown, state.digits)}:"
        f" {number_text(found.pairs, exact)} similar pairs,"
        f" {number_text(found.clusters, exact)} clusters,"
        f" {number_text(found.clustered_images, exact)} images in them - clusterimg"
    )


@cache
def _letters() -> frozenset[int]:
    """Letters that the font has."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties(family=list(FONT)))).get_charmap())


def drawable(name: str) -> str:
    """`name` with a box for every letter that the font lacks: matplotlib would warn of each."""
    known = _letters()
    return "".join(one if one.isprintable() and ord(one) in known else "□" for one in name)
