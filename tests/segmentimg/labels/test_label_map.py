"""Label maps: pictures to a notebook, plain arrays to everything else."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data as samples
from skimage.measure import regionprops
from skimage.segmentation import find_boundaries, mark_boundaries

import icas
from icas.notebook.html import at_size, mottled
from icas.segmentimg.labels.label_map import SHOWN, LabelMap, label_map


@pytest.fixture
def labels() -> np.ndarray:
    return label_map(np.array([[1, 1, 2], [1, 0, 2], [3, 3, 2]], np.int32))


def shown(png: bytes | None) -> np.ndarray:
    assert png is not None
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_what_icas_gives_is_a_label_map() -> None:
    image = samples.coffee()[::4, ::4]
    labels = icas.segment(image)
    assert isinstance(labels, LabelMap)
    assert labels.dtype == np.int32
    tree = icas.merge_tree(image, labels)
    assert isinstance(icas.labels_at(tree, 5), LabelMap)
    assert type(tree.labels) is np.ndarray
    assert isinstance(icas.kmeans_colors(image).labels, LabelMap)


def test_the_picture_has_a_colour_for_each_label(labels) -> None:
    picture = shown(labels._repr_png_())
    assert picture.shape == (3, 3, 3)
    assert (picture[1, 1] == 0).all()
    colors = {number: {tuple(one) for one in picture[labels == number]} for number in range(4)}
    assert [len(one) for one in colors.values()] == [1, 1, 1, 1]
    assert len(set.union(*colors.values())) == 4


def test_neighbouring_numbers_look_different() -> None:
    colors = mottled(np.arange(1, 2001)[None])[0].astype(int)
    assert np.abs(np.diff(colors, axis=0)).max(axis=1).min() > 60
    assert colors.sum(axis=1).min() > 100  # none is taken for an edge


def test_a_large_one_is_shown_small() -> None:
    large = label_map(np.arange(3000 * 200, dtype=np.int32).reshape(3000, 200))
    assert shown(large._repr_png_()).shape == (SHOWN, 48, 3)


@pytest.mark.parametrize("cut", [(0,), (slice(0), slice(0)), (None,)])
def test_what_is_no_picture_shows_none(labels, cut) -> None:
    assert labels[cut]._repr_png_() is None
    assert labels.astype(float)._repr_png_() is None


def test_views_are_label_maps_and_results_are_not(labels) -> None:
    for view in (labels[:2], labels.T, labels.copy(), labels.ravel()):
        assert isinstance(view, LabelMap)
    found = (labels + 1, labels == 2, -labels, labels.sum(axis=0), np.where(labels > 1, labels, 0))
    for result in (*found, *np.unique(labels, return_inverse=True), np.concatenate([labels] * 2)):
        assert type(result) is np.ndarray
    assert type(labels.max()) is np.int32
    assert type(labels[0, 0]) is np.int32
    assert np.add.reduce(labels, axis=None) == 15


def test_it_is_changed_in_place(labels) -> None:
    before = labels
    labels += 1
    assert labels is before
    np.maximum(labels, 3, out=labels)
    labels[labels == 4] = 0
    assert labels.tolist() == [[3, 3, 3], [3, 3, 3], [0, 0, 3]]


def test_what_is_kept_needs_no_icas(labels, tmp_path) -> None:
    np.save(tmp_path / "labels.npy", labels)
    (tmp_path / "labels.pickle").write_bytes(pickle.dumps(labels))
    read = (
        "import sys, pickle, numpy as np; from pathlib import Path; sys.modules['icas'] = None;"
        "a = np.load('labels.npy'); b = pickle.loads(Path('labels.pickle').read_bytes());"
        "assert type(a) is type(b) is np.ndarray and (a == b).all() and a.sum() == 15"
    )
    subprocess.run([sys.executable, "-c", read], cwd=tmp_path, check=True, timeout=60)
    assert (copy.deepcopy(labels) == labels).all()
    assert repr(labels) == repr(np.asarray(labels))


def test_libraries_take_it_as_they_take_an_array() -> None:
    image = samples.coffee()[::4, ::4]
    labels = icas.segment(image)
    bare = np.asarray(labels)
    assert type(bare) is np.ndarray
    assert np.shares_memory(bare, labels)
    size = (33, 21)
    resized = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
    assert (resized == cv2.resize(bare, size, interpolation=cv2.INTER_NEAREST)).all()
    assert [one.area for one in regionprops(labels)] == [one.area for one in regionprops(bare)]
    assert (find_boundaries(labels) == find_boundaries(bare)).all()
    assert (mark_boundaries(image, labels) == mark_boundaries(image, bare)).all()
    assert (np.bincount(labels.ravel()) == np.bincount(bare.ravel())).all()
    document = icas.PaintDocument(image, labels)
    document.fill(10, 10, (1, 2, 3))
    assert (document.masks()[1, 2, 3] == (bare == bare[10, 10])).all()


def test_numba_takes_it(labels) -> None:
    numba = pytest.importorskip("numba", reason="not installed: pip install 'icas[fast]'")
    assert numba.typeof(labels) == numba.typeof(np.asarray(labels))
    assert numba.njit(lambda array: array.sum())(labels) == 15


def test_torch_takes_it(torch, labels) -> None:
    assert torch.from_numpy(labels).tolist() == labels.tolist()
    assert torch.as_tensor(labels).dtype == torch.int32


def test_nearest_pixels_make_it_smaller_and_larger() -> None:
    labels = np.arange(12).reshape(3, 4)
    assert at_size(labels, (2, 1)).tolist() == [[5, 7]]
    assert at_size(labels, (4, 3)) is labels
    assert (at_size(labels, (8, 6)) == labels.repeat(2, 0).repeat(2, 1)).all()
