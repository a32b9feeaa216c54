"""Generated images of objects on backgrounds, with their masks."""

from __future__ import annotations

import cv2
import numpy as np


def noise(shape, seed, colors, width=3.0):
    """A texture of blurred noise between two colors."""
    random = np.random.default_rng(seed)
    plane = cv2.GaussianBlur(random.normal(size=shape).astype(np.float32), (0, 0), width)
    share = (plane - plane.min()) / (np.ptp(plane) + 1e-9)
    low, high = (np.array(color, np.float32) for color in colors)
    return low + share[..., None] * (high - low)


def disc(shape, centre, radius):
    rows, columns = np.indices(shape)
    return (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2


RED, GREEN, BLUE, SAND = (
    ((150, 20, 20), (255, 120, 90)),
    ((20, 90, 30), (130, 220, 120)),
    ((10, 20, 110), (110, 150, 255)),
    ((150, 130, 90), (235, 220, 180)),
)


def scene(discs, shape=(120, 160), background=0, colors=SAND):
    """An image with textured discs (centre, radius, colors), and the mask of each."""
    image = noise(shape, 100 + background, colors)
    masks = []
    for number, (centre, radius, pair) in enumerate(discs):
        mask = disc(shape, centre, radius)
        texture = np.roll(noise(shape, number, pair, 1.5), (centre[0], centre[1]), (0, 1))
        image[mask] = texture[mask]
        masks = [other & ~mask for other in masks] + [mask]
    return image.astype(np.uint8), masks


def iou(a, b):
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0
