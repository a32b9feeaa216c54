"""Measures of single images: laws, and comparison with scikit-image."""

from __future__ import annotations

from dataclasses import astuple

import cv2
import numpy as np
import pytest
from skimage import data
from skimage.measure import blur_effect, shannon_entropy

from icas.clusterimg.quality.measures import SIDE, blur, laplacian_variance, measures_of

CUP = cv2.resize(data.coffee(), (400, 266), interpolation=cv2.INTER_AREA)


def gray(image):
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)


def along_a_line(image, degrees, length=15):
    kernel = np.zeros((2 * length + 1,) * 2, np.uint8)
    step = np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))]) * length / 2
    start, end = (np.round(length + sign * step).astype(int).tolist() for sign in (-1, 1))
    cv2.line(kernel, start, end, 255, 1, cv2.LINE_AA)
    return cv2.filter2D(image, -1, kernel / np.float32(kernel.sum()))


def test_blur_grows_with_the_width_of_a_gaussian():
    values = [blur(gray(CUP))]
    values += [blur(gray(cv2.GaussianBlur(CUP, (0, 0), sigma))) for sigma in (1, 2, 3, 4)]
    assert values == sorted(values)
    assert values[0] < 0.4
    assert values[2] > 0.55


@pytest.mark.parametrize("degrees", [0, 20, 45, 70, 90, 135])
def test_motion_is_blur_in_any_direction(degrees):
    assert blur(gray(along_a_line(CUP, degrees))) > blur(gray(CUP)) + 0.15


def test_blur_is_at_least_that_of_scikit_image_on_the_axes():
    for sigma in (0, 1, 2, 4):
        image = CUP if sigma == 0 else cv2.GaussianBlur(CUP, (0, 0), sigma)
        theirs = blur_effect(gray(image) / 255, h_size=11)
        assert blur(gray(image)) == pytest.approx(theirs, abs=0.1)


def test_an_image_without_edges_is_not_blurred():
    flat = np.full((60, 80), 90, np.float32)
    assert blur(flat) == 0
    assert laplacian_variance(flat) == 0


def test_entropy_is_that_of_scikit_image():
    assert measures_of(CUP).entropy == pytest.approx(shannon_entropy(gray(CUP)), abs=1e-5)


def test_exposure():
    black, white = (measures_of(np.full((40, 60, 3), value, np.uint8)) for value in (0, 255))
    assert (black.brightness_p98, black.clipped_dark, black.clipped_bright) == (0, 1, 0)
    assert (white.brightness_p5, white.clipped_dark, white.clipped_bright) == (255, 0, 1)
    assert black.contrast == white.contrast == black.entropy == 0
    red = np.zeros((40, 60, 3), np.uint8)
    red[..., 0] = 255
    assert measures_of(red).brightness_p5 == 255
    assert measures_of(red).clipped_bright == 1


def test_colorfulness_is_zero_for_gray_and_higher_for_stronger_colors():
    one = measures_of(np.repeat(CUP[..., :1], 3, axis=2)).colorfulness
    half = (CUP // 2 + CUP.mean(axis=2, keepdims=True) / 2).astype(np.uint8)
    assert one == 0 < measures_of(half).colorfulness < measures_of(CUP).colorfulness


def test_large_images_are_measured_at_a_fixed_scale():
    large = cv2.resize(CUP, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    middle = cv2.resize(large, (SIDE, round(SIDE * 266 / 400)), interpolation=cv2.INTER_AREA)
    assert astuple(measures_of(large)) == astuple(measures_of(middle))


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (3, 2), (7, 9)])
def test_images_of_a_few_pixels_have_measures(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    values = np.array(astuple(measures_of(image))[:-1], float)
    assert np.isfinite(values).all()
