"""Similarities of images of known classes."""

from __future__ import annotations

import numpy as np


def similarities(truth, noise, seed=0):
    """Similarities of classes with noise: about 0.8 within and 0.3 between."""
    rng = np.random.default_rng(seed)
    same = truth[:, None] == truth[None]
    values = np.where(same, 0.8, 0.3) + rng.normal(0, noise, same.shape)
    values = np.clip((values + values.T) / 2, -1, 0.99)
    np.fill_diagonal(values, 1)
    return values.astype(np.float32)
