"""Letterbox bars are left out before images are compared."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data as samples

import icas
from icas.clusterimg.kernels.letterbox import inside_bars

METHODS = ["imagehash", "minhash", "orb", "ssim", "tm"]


def boxed(image, above=0, beside=0, color=0, quality=None):
    """`image` with bars of one color above and below, and left and right."""
    around = ((above, above), (beside, beside), (0, 0))
    result = np.pad(image, around, constant_values=color)
    if quality is None:
        return result
    stored = io.BytesIO()
    Image.fromarray(result).save(stored, "JPEG", quality=quality)
    return np.asarray(Image.open(stored))


@pytest.fixture(scope="module")
def photo():
    return samples.coffee()[100:300, 100:400]


@pytest.mark.parametrize(("above", "beside"), [(40, 0), (0, 60), (30, 45)])
@pytest.mark.parametrize("color", [0, 128, 255])
def test_bars_of_one_color_are_left_out(photo, above, beside, color):
    inside = inside_bars(boxed(photo, above, beside, color))
    np.testing.assert_array_equal(inside, photo)


def test_bars_with_the_noise_of_jpeg_are_left_out(photo):
    height, width = inside_bars(boxed(photo, 40, quality=70)).shape[:2]
    assert width == photo.shape[1]
    assert abs(height - photo.shape[0]) <= 4


def test_one_bar_or_a_thin_one_stays(photo):
    one = boxed(photo, 40)[:-40]
    thin = boxed(photo, 3)
    for image in (photo, one, thin):
        assert inside_bars(image) is image


@pytest.mark.parametrize("name", ["horse", "page", "text", "clock", "coins", "moon", "astronaut"])
def test_objects_on_plain_backgrounds_and_pages_stay(name):
    image = getattr(samples, name)()
    image = image.astype(np.uint8) * 255 if image.dtype == bool else image
    image = np.stack([image] * 3, axis=2) if image.ndim == 2 else image[..., :3]
    assert inside_bars(image).shape == image.shape


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 5, 3), (40, 60, 3)])
@pytest.mark.parametrize("color", [0, 255])
def test_images_of_one_color_stay(shape, color):
    image = np.full(shape, color, np.uint8)
    assert inside_bars(image) is image


@pytest.mark.parametrize("method", METHODS)
def test_an_image_with_bars_equals_the_image_without(photo, method):
    images = [photo, boxed(photo, 40), boxed(photo, 0, 50, 255)]
    assert icas.similarity_matrix(images, images, method=method).min() == 1


@pytest.mark.parametrize("method", METHODS)
def test_photographs_with_bars_are_found_by_their_content(data, method):
    rng = np.random.default_rng(0)
    paths = sorted((data / "strangers" / "images").iterdir())[:40]
    images = []
    for path in paths:
        opened = Image.open(path).convert("RGB")
        opened.thumbnail((240, 240))
        images.append(np.asarray(opened))
    alone = [boxed(image, 70, quality=80) for image in images[:30]]
    groups = [
        boxed(image, *sizes, color=color, quality=int(rng.integers(70, 95)))
        for image in images[30:]
        for sizes, color in (((0, 0), 0), ((40, 0), 0), ((25, 60), 16))
    ]
    model = icas.ImageClusterer(method=method, threshold="auto")
    assert (model.fit(alone).labels_ >= 0).mean() <= 0.03
    labels = model.fit(alone + groups).labels_
    truth = [*range(30), *np.repeat(np.arange(30, 40), 3)]
    assert icas.evaluate(labels, truth).f1 >= 0.8
