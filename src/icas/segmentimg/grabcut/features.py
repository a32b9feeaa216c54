"""Weights of the clues, fitted by ``benchmarks/cutout_fit.py``; the constant first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import diags

from icas.segmentimg.grabcut.superpixel_graph import Flags, Floats, Pieces

CLUES = (
    "density 4",
    "density 8",
    "density 16",
    "nearest colour",
    "nearest foreground colour",
    "way by colour",
    "foreground way by colour",
    "way by edges",
    "foreground way by edges",
    "way by likelihood",
    "foreground way by likelihood",
    "way",
    "foreground way",
    "border of the picture",
    "random walker",
    "way from the border by edges",
)
"""Names of the columns of `clues_of`."""

Singles = NDArray[np.float32]

_SIGNIFICANT = 0.01
"""Density of a colour below which it counts as not seen in the strokes."""
_WALKED = 10.0
"""Step of colour, in units of Lab, that a random walker hardly takes."""


def clues_of(pieces: Pieces, foreground: Flags, background: Flags) -> Floats:
    """(n, 16) clues of each piece; the columns are `CLUES`.

    Ratios are logarithms, positive where foreground is more likely. Ways are geodesic distances
    on the graph of pieces (Bai & Sapiro 2007; Gulshan et al. 2010).
    """
    apart = [_apart(pieces.colors, pieces.colors[side]) for side in (foreground, background)]
    sizes = [pieces.sizes[side] for side in (foreground, background)]
    front, back = (_densities(*side) for side in zip(apart, sizes, strict=True))
    nearest = [_nearest(squares) for squares in apart]
    columns = [np.log(one / other) for one, other in zip(front, back, strict=True)]
    columns += [np.log(nearest[1] / nearest[0]), np.log(nearest[0])]
    likely = front[1] / (front[1] + back[1])
    for costs, floor in _costs(pieces, likely):
        to_front = np.log(_ways(pieces, costs, foreground) + floor)
        to_back = np.log(_ways(pieces, costs, background) + floor)
        columns += [to_back - to_front, to_front]
    to_front, rim = columns[CLUES.index("foreground way by edges")], pieces.rim & ~foreground
    columns += [_from_border(pieces), _random_walker(pieces, foreground, background)]
    costs, floor = _costs(pieces, likely)[1]
    to_rim = np.log(_ways(pieces, costs, rim) + floor) if rim.any() else to_front
    columns.append(to_rim - to_front)
    return np.stack(columns, axis=1)


def _apart(colors: Floats, others: Floats) -> Singles:
    """Squared distances of each colour from each of the others."""
    many, few = colors.astype(np.float32), others.astype(np.float32)
    squares = (many**2).sum(1)[:, None] + (few**2).sum(1) - 2 * many @ few.T
    return np.asarray(np.maximum(squares, 0), np.float32)


def _densities(squares: Singles, sizes: Floats) -> list[Floats]:
    """Density of each piece's colour among some pieces, in widths of 4, 8 and 16."""
    weights = (sizes / sizes.sum()).astype(np.float32)
    wide = np.exp(squares / np.float32(-2 * 16**2))
    middle = _fourth_power(wide)
    return [
        np.asarray(kernel @ weights + _SIGNIFICANT, np.float64)
        for kernel in (_fourth_power(middle), middle, wide)
    ]


def _fourth_power(values: Singles) -> Singles:
    squares = values * values
    return squares * squares


def _nearest(squares: Singles) -> Floats:
    """Mean distance from the three nearest colours."""
    count = min(3, squares.shape[1])
    least = np.partition(squares, count - 1, axis=1)[:, :count]
    return np.asarray(np.sqrt(least).mean(axis=1) + 3, np.float64)


def _costs(pieces: Pieces, likely: Floats) -> list[tuple[Floats, float]]:
    """Four prices of a step between pieces, each with what is added to a way before its log."""
    step, way = pieces.step, pieces.way
    change = np.abs(likely[pieces.a] - likely[pieces.b])
    return [
        (step / 10 + 5 * way, 0.1),
        (np.minimum(step, 20) ** 2 / 40 + 2 * way, 0.1),
        (5 * change + 2 * way, 0.1),
        (way, 0.02),
    ]


def _ways(pieces: Pieces, costs: Floats, start: Flags) -> Floats:
    from scipy.sparse.csgraph import dijkstra

    matrix = pieces.matrix(np.maximum(costs, 1e-6))
    found = dijkstra(matrix, indices=np.flatnonzero(start), min_only=True)
    return np.asarray(found, np.float64)


def _from_border(pieces: Pieces) -> Floats:
    places = pieces.places
    inward = np.minimum(places, places.max(axis=0) - places).min(axis=1)
    return np.asarray(np.minimum(inward, 0.2) * 5, np.float64)


def _random_walker(pieces: Pieces, foreground: Flags, background: Flags) -> Floats:
    """Log odds that a walk ends in the foreground (Grady 2006)."""
    none = np.zeros(pieces.count)
    share = walked(pieces, _WALKED, 1e-3, none, none, foreground, background)
    return log_odds(share, 1e-3)


def walked(
    pieces: Pieces,
    width: float,
    floor: float,
    pull: Floats,
    target: Floats,
    foreground: Flags,
    background: Flags,
) -> Floats:
    """Values in [0, 1] that change little between pieces of like colours.

    Pieces of `foreground` are held at 1, of `background` at 0, all others are drawn to `target`
    by `pull`. `width` is the step of colour that parts pieces, `floor` what then still holds them
    together.
    """
    from scipy.sparse.linalg import spsolve

    affinity = pieces.length * (np.exp(-((pieces.step / width) ** 2)) + floor)
    matrix = pieces.matrix(affinity)
    held = 1e4 * (foreground | background) + pull + 1e-9
    degrees = np.asarray(matrix.sum(axis=1)).ravel()
    system = diags(degrees + held) - matrix
    found = spsolve(system.tocsc(), 1e4 * foreground + pull * target, permc_spec="MMD_AT_PLUS_A")
    return np.clip(np.asarray(found, np.float64), 0, 1)


def log_odds(share: NDArray[np.float64], least: float) -> Floats:
    inside = np.clip(share, least, 1 - least)
    return np.asarray(np.log(inside / (1 - inside)), np.float64)


FIRST = np.array(
    [
        -3.3184,
        0.5664,
        -0.4018,
        0.2855,
        1.5632,
        1.5480,
        -1.6553,
        -2.0040,
        1.3789,
        1.1277,
        0.5411,
        -0.0395,
        0.1328,
        0.1214,
        0.7807,
        0.2716,
        0.5227,
    ]
)

LATER = np.array(
    [
        -3.6676,
        0.2615,
        -0.5582,
        0.5988,
        -1.2653,
        -0.8462,
        0.3976,
        -0.5483,
        -0.1744,
        -0.3261,
        -0.1757,
        0.1386,
        0.1634,
        1.0110,
        0.0189,
        -0.2546,
        -0.3552,
        0.3566,
        0.3476,
        -0.8998,
        2.3208,
        1.6143,
        0.0005,
        1.5053,
        -0.3576,
        -0.7347,
        0.0950,
        0.3856,
        -0.8928,
        -2.1485,
        0.0189,
        0.3025,
        0.1546,
        1.4277,
    ]
)
