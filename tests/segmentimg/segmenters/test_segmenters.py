"""Every method's labels obey the law, on any picture; the same picture gives the same labels."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from skimage import data as samples
from skimage.measure import label

import icas
from icas.segmentimg.segmenters import automatic_segmenters, make_segmenter

RNG = np.random.default_rng(0)
AWKWARD = {
    "1x1": np.zeros((1, 1, 3), np.uint8),
    "1xN": RNG.integers(0, 256, (1, 90, 3), dtype=np.uint8),
    "Nx1": RNG.integers(0, 256, (90, 1, 3), dtype=np.uint8),
    "2x2": RNG.integers(0, 256, (2, 2, 3), dtype=np.uint8),
    "5x9": RNG.integers(0, 256, (5, 9, 3), dtype=np.uint8),
    "narrow": RNG.integers(0, 256, (9, 300, 3), dtype=np.uint8),
    "flat": np.full((50, 60, 3), 77, np.uint8),
    "noise": RNG.integers(0, 256, (48, 64, 3), dtype=np.uint8),
    "gray": RNG.integers(0, 256, (40, 50), dtype=np.uint8),
    "16 bit": RNG.integers(0, 65536, (40, 50, 3), dtype=np.uint16),
    "alpha": RNG.integers(0, 256, (40, 50, 4), dtype=np.uint8),
}


def obeys_the_law(labels, shape) -> None:
    assert labels.dtype == np.int32
    assert labels.shape == shape
    count = labels.max()
    assert set(np.unique(labels)) - {0} == set(range(1, count + 1))
    assert label(labels, background=0, connectivity=1).max() == count
    first = np.unique(labels[labels > 0], return_index=True)[1]
    assert (np.diff(first) > 0).all()  # numbered in the order of their first pixel


@pytest.mark.parametrize("method", automatic_segmenters())
@pytest.mark.parametrize("picture", AWKWARD)
def test_the_law_on_awkward_pictures(method, picture):
    image = AWKWARD[picture]
    labels = icas.segment(image, method)
    obeys_the_law(labels, image.shape[:2])
    assert (labels == icas.segment(image, method)).all()
    assert labels.min() >= 1


@pytest.mark.parametrize("method", automatic_segmenters())
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 255), st.integers(0, 99))
@settings(max_examples=12, deadline=None)
def test_the_law_on_any_size(method, height, width, levels, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, levels + 1, (height, width, 3)).astype(np.uint8)
    obeys_the_law(icas.segment(image, method), (height, width))


@pytest.mark.parametrize("method", automatic_segmenters())
def test_the_law_on_a_photograph_and_on_a_large_one(method):
    image = samples.coffee()
    labels = icas.segment(image, method)
    obeys_the_law(labels, image.shape[:2])
    assert 20 < labels.max() <= 3000
    large = icas.segment(image, method, work_size=60_000)
    obeys_the_law(large, image.shape[:2])
    assert 10 < large.max() <= labels.max() * 2


def test_borders_are_refined_at_full_size():
    """A slanted edge, cut small, comes back along the true line and not in steps."""
    rows, columns = np.mgrid[:600, :800]
    inside = columns > 250 + 0.4 * rows
    image = np.where(inside[..., None], np.uint8(200), np.uint8(40)).repeat(3, axis=2)
    labels = icas.segment(image, "graph", work_size=20_000, k=300.0)
    side = labels[np.ones_like(inside)].reshape(labels.shape)
    wrong = sum(
        min((inside & (side == number)).sum(), (~inside & (side == number)).sum())
        for number in range(1, labels.max() + 1)
    )
    assert wrong <= 60  # a step of five pixels along 600 rows would leave 1,500


def test_kept_edges_are_zero_and_between_segments():
    labels = icas.segment(samples.coffee(), "edge", keep_edges=True)
    assert (labels == 0).any()
    obeys_the_law(labels, labels.shape)


@pytest.mark.parametrize("smoother", ["bilateral", "nlmeans", "none"])
def test_edges_behind_any_smoother(smoother):
    labels = icas.segment(samples.chelsea(), "edge", smoother=smoother)
    obeys_the_law(labels, labels.shape)
    assert labels.max() > 50


@pytest.mark.parametrize("algorithm", ["seeds", "slic", "slico", "lsc"])
def test_superpixels_by_any_algorithm(algorithm):
    image = samples.astronaut()
    fine = icas.segment(image, "superpixel", algorithm=algorithm, region_size=12)
    coarse = icas.segment(image, "superpixel", algorithm=algorithm, region_size=40)
    obeys_the_law(fine, image.shape[:2])
    assert coarse.max() < fine.max() / 3


def test_names_have_other_spellings():
    assert type(make_segmenter("chanvase")) is type(make_segmenter("ChanVese"))


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("kmeans", {"k": 0}, "k 0: must be between 1"),
        ("kmeans", {"k": 2.5}, "an integer"),
        ("kmeans", {"color_importance": 0, "position_weight": 0}, "are both 0"),
        ("graph", {"sigma": -1}, "sigma -1: must be between"),
        ("felzenszwalb", {"min_size": 0}, "min_size 0"),
        ("edge", {"window": 4}, "window 4: must be odd"),
        ("edge", {"smoother": "median"}, "choose from bilateral"),
        ("superpixel", {"algorithm": "mslic"}, "choose from seeds"),
        ("superpixel", {"rulers": 1}, "unknown keyword rulers"),
        ("chanvese", {"bins": 1}, "bins 1"),
        ("quickshift", {"ratio": 2}, "ratio 2: must be between 0 and 1"),
        ("no-such", {}, "choose from superpixel"),
    ],
)
def test_wrong_options_are_reported_with_their_range(method, options, words):
    with pytest.raises(icas.UsageError, match=words):
        icas.segment(samples.coffee(), method, **options)


def test_what_is_no_picture_is_reported():
    with pytest.raises(icas.UsageError, match="uint8"):
        icas.segment(np.zeros((4, 4), int))
    with pytest.raises(icas.UsageError, match="work_size"):
        icas.segment(samples.coffee(), work_size=0)


@pytest.mark.slow
@pytest.mark.parametrize("method", automatic_segmenters())
def test_the_law_on_twelve_megapixels_in_two_gigabytes(method):
    code = (
        "import resource, cv2, icas, numpy as np\n"
        "from skimage import data\n"
        "from skimage.measure import label\n"
        "image = cv2.resize(data.coffee(), (4000, 3000), interpolation=cv2.INTER_CUBIC)\n"
        f"labels = icas.segment(image, {method!r})\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "assert peak < 2000, peak\n"
        "assert labels.shape == (3000, 4000) and labels.min() >= 0\n"
        "assert label(labels, background=0, connectivity=1).max() == labels.max()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
