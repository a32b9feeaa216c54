"""Cutting by strokes alone: what is known of a few pieces, spread over the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.segmentimg.grabcut.annotation import (
    BACKGROUND,
    FOREGROUND,
    PROBABLE_BACKGROUND,
    PROBABLE_FOREGROUND,
    Strokes,
)
from icas.segmentimg.grabcut.boxes import (
    MAYBE_BACK,
    MAYBE_FRONT,
    SURE_BACK,
    SURE_FRONT,
    Mixtures,
    front_of,
)
from icas.segmentimg.grabcut.features import FIRST, LATER, clues_of, log_odds, walked
from icas.segmentimg.grabcut.superpixel_graph import Flags, Floats, Pieces, pieces_of

Mask = NDArray[np.bool_]

BAND = 0.03
"""Pixels as near to the border, over the root of the picture's pixels, are cut by colour."""

_WIDTH, _FLOOR, _PULL = 6.0, 0.01, 0.1
"""Of `walked`: how odds are made even over pieces of like colours."""


@dataclass(frozen=True)
class Known:
    """Pieces that strokes lie on."""

    foreground: Flags
    background: Flags


@dataclass(frozen=True)
class Guess:
    """Share of foreground that each piece is thought to have, and the mask cut after it."""

    share: Floats
    mask: Mask


def known_pieces(pieces: Pieces, strokes: Strokes) -> Known:
    """Pieces with strokes, the side with more of them; neither side is empty.

    Where no stroke says what is background, the pieces at the picture's border do whose colours
    are least like the foreground's.
    """
    front = _covered(pieces, strokes, FOREGROUND, PROBABLE_FOREGROUND)
    back = _covered(pieces, strokes, BACKGROUND, PROBABLE_BACKGROUND)
    foreground, background = front > back, back >= np.maximum(front, 1e-12)
    if not foreground.any() and front.any():
        foreground = front == front.max()
    background &= ~foreground
    if not background.any():
        background = _unlike(pieces, foreground)
    return Known(foreground, background)


def _covered(pieces: Pieces, strokes: Strokes, *values: int) -> Floats:
    """Share of each piece under strokes; shares that are next to nothing are nothing.

    A stroke that only grazes a piece does not say what the piece is.
    """
    share = pieces.share(np.isin(strokes, values))
    return np.where(share >= min(0.05, share.max()), share, 0.0)


def _unlike(pieces: Pieces, foreground: Flags) -> Flags:
    others = pieces.rim & ~foreground
    if not others.any():
        others = ~foreground
    mean = pieces.colors[foreground].mean(axis=0)
    apart = np.linalg.norm(pieces.colors - mean, axis=1)
    return others & (apart >= np.median(apart[others])) if others.any() else others


def first_clues(pieces: Pieces, known: Known) -> Floats:
    """(n, 16) clues from strokes alone."""
    return clues_of(pieces, known.foreground, known.background)


def later_clues(pieces: Pieces, known: Known, first: Floats, guess: Guess) -> Floats:
    """(n, 33) clues from strokes, from what the round before is sure of, and its shares."""
    front = pieces.share(guess.mask) > 0.5
    sure = (known.foreground | (front & (guess.share > 0.7))) & ~known.background
    not_it = (known.background | (~front & (guess.share < 0.2))) & ~known.foreground
    anew = clues_of(pieces, sure, not_it)
    return np.hstack([first, anew, log_odds(guess.share, 1e-3)[:, None]])


def shares(pieces: Pieces, known: Known, clues: Floats, weights: Floats) -> Floats:
    """(n,) share of foreground of each piece; `weights` holds the constant first."""
    odds = np.clip(weights[0] + clues @ weights[1:], -30, 30)
    target = 1 / (1 + np.exp(-odds))
    pull = _PULL * pieces.sizes
    return walked(pieces, _WIDTH, _FLOOR, pull, target, known.foreground, known.background)


def held_together(pieces: Pieces, known: Known, share: Floats) -> Flags:
    """Pieces that are rather foreground and hang together with a stroke of it."""
    from scipy.sparse.csgraph import connected_components

    front = ((share > 0.5) | known.foreground) & ~known.background
    both = front[pieces.a] & front[pieces.b]
    group = connected_components(pieces.matrix(both.astype(float)), directed=False)[1]
    return np.asarray(front & np.isin(group, np.unique(group[known.foreground])), bool)


class StrokeRounds:
    """Rounds of one picture; the picture's pieces are found once.

    The first round with new strokes guesses twice, from the strokes and then from what that guess
    is sure of. Further rounds with the same strokes let GrabCut move the border.
    """

    def __init__(self, image: Image, seed: int) -> None:
        self._image, self._seed = image, seed
        self._pieces: Pieces | None = None
        self.reset()

    def reset(self) -> None:
        """Forget the rounds so far."""
        self._strokes: Strokes | None = None
        self._mask: Mask | None = None
        self._mixtures = Mixtures()

    def round(self, strokes: Strokes) -> Mask:
        """(h, w) bool: the object, as these strokes and the rounds before have it."""
        same = self._strokes is not None and np.array_equal(self._strokes, strokes)
        if self._mask is None or not same:
            self._mixtures = Mixtures()
            mask = self._from_strokes(strokes)
        else:
            mask = cut_band(self._image, self._mask, strokes, self._mixtures, self._seed)
        self._strokes, self._mask = strokes.copy(), mask
        return mask

    def _from_strokes(self, strokes: Strokes) -> Mask:
        if self._pieces is None:
            self._pieces = pieces_of(self._image)
        pieces, known = self._pieces, known_pieces(self._pieces, strokes)
        if not known.background.any():
            return np.asarray(strokes != BACKGROUND, bool)
        clues = first_clues(pieces, known)
        first = guess(self._image, pieces, known, clues, FIRST, strokes, Mixtures(), self._seed)
        anew = later_clues(pieces, known, clues, first)
        return guess(
            self._image, pieces, known, anew, LATER, strokes, self._mixtures, self._seed
        ).mask


def guess(
    image: Image,
    pieces: Pieces,
    known: Known,
    clues: Floats,
    weights: Floats,
    strokes: Strokes,
    mixtures: Mixtures,
    seed: int,
) -> Guess:
    """What clues and their weights make of each piece, with the border cut by GrabCut."""
    share = shares(pieces, known, clues, weights)
    rough = held_together(pieces, known, share)[pieces.labels]
    return Guess(share, cut_band(image, rough, strokes, mixtures, seed))


def cut_band(image: Image, mask: Mask, strokes: Strokes, mixtures: Mixtures, seed: int) -> Mask:
    """`mask` with a band along its border cut by GrabCut; the rest and the strokes are sure."""
    import cv2

    reach = max(2, round(BAND * (mask.shape[0] * mask.shape[1]) ** 0.5))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    flat = mask.astype(np.uint8)
    kinds = np.where(mask, MAYBE_FRONT, MAYBE_BACK).astype(np.uint8)
    kinds[(cv2.erode(flat, disc) > 0) & (strokes != PROBABLE_BACKGROUND)] = SURE_FRONT
    kinds[(cv2.dilate(flat, disc) == 0) & (strokes != PROBABLE_FOREGROUND)] = SURE_BACK
    kinds[strokes == FOREGROUND] = SURE_FRONT
    kinds[strokes == BACKGROUND] = SURE_BACK
    return front_of(mixtures.cut(image, kinds, seed))
