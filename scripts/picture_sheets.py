"""Sample pictures and empty sheets for scripts/method_pictures.py."""

from __future__ import annotations

from pathlib import Path

import cv2
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from skimage import data

from icas.io.reading import resize

Image = np.ndarray


def save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=110, pil_kwargs={"quality": 84, "optimize": True})
    plt.close(figure)
    print(f"{path.name}: {path.stat().st_size // 1000} kB")


def sheet(
    columns: int, width: float, height: float, ratios: tuple[float, ...] = (1,)
) -> tuple[Figure, np.ndarray]:
    """Empty places for pictures; `ratios`: heights of the rows."""
    figure, axes = plt.subplots(
        len(ratios),
        columns,
        figsize=(width, height),
        squeeze=False,
        layout="constrained",
        height_ratios=ratios,
    )
    for axis in axes.flat:
        axis.set_axis_off()
    return figure, axes


def show(axis: Axes, picture: Image, title: str = "", **how: object) -> None:
    axis.imshow(picture, **how)
    axis.set_title(title, fontsize=9)


def coffee() -> Image:
    return resize(data.coffee(), (300, 200))


def saved_anew(picture: Image, margin: int = 0) -> Image:
    """Without a margin, half the size, brighter, a weak JPEG."""
    height, width = picture.shape[:2]
    inner = picture[margin : height - margin, margin : width - margin]
    small = resize(inner, (inner.shape[1] // 2, inner.shape[0] // 2))
    bright = np.clip(small.astype(np.int16) + 30, 0, 255).astype(np.uint8)
    _, written = cv2.imencode(".jpg", bright[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 30])
    return cv2.imdecode(written, cv2.IMREAD_COLOR)[..., ::-1].copy()


def two_cameras() -> tuple[Image, Image]:
    """One scene from two places, a hand's breadth apart."""
    left, right, _ = data.stereo_motorcycle()
    return resize(left, (300, 200)), resize(right, (300, 200))


def two_places(picture: Image) -> tuple[Image, Image]:
    """The upper left and the lower right quarter, which have no pixel in common."""
    side = min(picture.shape[:2]) // 2
    return picture[:side, :side].copy(), picture[-side:, -side:].copy()
