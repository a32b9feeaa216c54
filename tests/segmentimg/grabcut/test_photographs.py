"""Figures that hold on real photographs with true objects."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from skimage.morphology import skeletonize

from icas.io.find import find_images
from icas.io.reading import read_image
from icas.segmentimg.grabcut.api import grabcut
from icas.segmentimg.labels.labels import bounding_box


def photographs(data, every=1):
    folder = data / "seg-grabcut"
    if not folder.is_dir():
        pytest.skip(f"no photographs at {folder}")
    for path in find_images(folder / "images")[::every]:
        truth = read_image(folder / "masks" / f"{path.stem}.png")[..., 0]
        yield path.stem, read_image(path), truth


def iou(mask, truth):
    counted, true = truth != 128, truth == 255
    return (mask & true).sum() / ((mask | true) & counted).sum()


def opencv(image, kinds, rounds=5):
    found, back, front = kinds.copy(), np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    bgr = np.ascontiguousarray(image[..., ::-1])
    cv2.grabCut(bgr, found, None, back, front, rounds, cv2.GC_INIT_WITH_MASK)
    return (found & 1) > 0


@pytest.mark.parametrize(
    ("kind", "least", "rounds"),
    [
        ("scribbles2", 0.88, 1),
        pytest.param("scribbles2", 0.87, 5, marks=pytest.mark.slow),
        pytest.param("scribbles1", 0.81, 1, marks=pytest.mark.slow),
        pytest.param("scribbles1", 0.81, 5, marks=pytest.mark.slow),
    ],
)
def test_strokes_alone(data, kind, least, rounds):
    figures = []
    for name, image, truth in photographs(data):
        strokes = read_image(data / "seg-grabcut" / kind / f"{name}.png")[..., 0]
        mask = grabcut(image, foreground=strokes == 1, background=strokes == 2, rounds=rounds)
        assert mask[strokes == 1].all()
        assert not mask[strokes == 2].any()
        figures.append(iou(mask, truth))
    assert np.mean(figures) >= least


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_a_rectangle_alone_is_as_good_as_opencv(data, every):
    ours, theirs = [], []
    for _, image, truth in photographs(data, every):
        row0, row1, column0, column1 = bounding_box(truth == 255)
        height, width = truth.shape
        rows = slice(max(1, row0 - 4), min(height - 1, row1 + 4))
        columns = slice(max(1, column0 - 4), min(width - 1, column1 + 4))
        kinds = np.zeros(truth.shape, np.uint8)
        kinds[rows, columns] = cv2.GC_PR_FGD
        box = (columns.start, rows.start, columns.stop, rows.stop)
        ours.append(iou(grabcut(image, box), truth))
        theirs.append(iou(opencv(image, kinds), truth))
    assert np.mean(ours) >= np.mean(theirs) - 0.01
    assert np.abs(np.subtract(ours, theirs)).max() < 0.05


def horses(data):
    """Some horses that the weights were not fitted to, with strokes along them and around them."""
    folder = data / "seg-horses"
    if not folder.is_dir():
        pytest.skip(f"no pictures at {folder}")
    for path in find_images(folder / "images")[1::6]:
        true = read_image(folder / "masks" / f"{path.stem}.png")[..., 0] > 127
        inward = distance_transform_edt(np.pad(true, 1))[1:-1, 1:-1]
        line = skeletonize(inward > 0.4 * inward.max()).astype(np.uint8)
        front = (cv2.dilate(line, np.ones((3, 3), np.uint8)) > 0) & true
        outward = distance_transform_edt(~true)
        back = np.abs(outward - 15) < 2
        yield read_image(path), true, front, back


def test_strokes_on_one_side_beat_opencv(data):
    """Only strokes of background below the horse; the border of the image counts too."""
    ours, theirs = [], []
    for image, true, front, back in itertools.islice(horses(data), 0, 9, 2):
        rows = np.flatnonzero(true.any(axis=1))
        back[: rows[len(rows) * 3 // 4]] = False
        kinds = np.full(true.shape, cv2.GC_PR_BGD, np.uint8)
        kinds[front], kinds[back] = cv2.GC_FGD, cv2.GC_BGD
        mask = grabcut(image, foreground=front, background=back, rounds=1)
        truth = np.where(true, 255, 0)
        ours.append(iou(mask, truth))
        theirs.append(iou(opencv(image, kinds), truth))
    assert np.mean(ours) > np.mean(theirs) - 0.01


def test_strokes_on_other_pictures_beat_opencv(data):
    ours, theirs = [], []
    for image, true, front, back in horses(data):
        kinds = np.full(true.shape, cv2.GC_PR_BGD, np.uint8)
        kinds[front], kinds[back] = cv2.GC_FGD, cv2.GC_BGD
        mask = grabcut(image, foreground=front, background=back, rounds=1)
        truth = np.where(true, 255, 0)
        ours.append(iou(mask, truth))
        theirs.append(iou(opencv(image, kinds), truth))
    assert np.mean(ours) > np.mean(theirs) + 0.02
