"""The cost model: its formulas, and comparisons really made on simulated sets."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import icas
from icas.clusterimg.clustering.base import SingleLinkage
from icas.clusterimg.clustering.batches import cluster_batches
from icas.clusterimg.commands.main import main
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.methods.base import Method
from icas.common.errors import UsageError


def by_the_formulas(images, classes, batch_size, shares):
    """The model as it is written down; batches and classes of equal size."""
    number = images // batch_size
    size = batch_size / classes
    left = [(1 - share) * size for share in shares]
    within = sum((size - 1) + t * (t - 1) / 2 for t in left)
    over = sum(left)
    between = classes * (classes - 1) / 2 + over * (over - 1) / 2 + over * classes
    others = (number - 1) * classes
    merge = (classes - 1) + others * (others - 1) / 2 + others
    return number * within, number * between, merge


def test_the_figures_of_the_page():
    found = icas.estimate(20_000, 5, 2_500, 0.5)
    assert (found.within_classes, found.between_classes) == (8 * 158_120, 8 * 786_885)
    assert (found.batch_stage, found.merge, found.comparisons) == (7_560_040, 634, 7_560_674)
    assert (found.batches, found.all_pairs) == (8, 199_990_000)
    assert found.saved == pytest.approx(0.962195)


@given(st.integers(1, 6), st.integers(2, 8), st.integers(2, 30), st.floats(0, 0.9), st.booleans())
@settings(deadline=None)
def test_it_is_the_formulas(classes, number, size, share, listed):
    batch_size = classes * size
    shares = [share * (k + 1) / classes for k in range(classes)] if listed else [share] * classes
    if any(0 < (1 - one) * size < 1 for one in shares):
        return  # less than one image left over: the formula counts less than no pairs
    found = icas.estimate(number * batch_size, classes, batch_size, shares if listed else share)
    expected = by_the_formulas(number * batch_size, classes, batch_size, shares)
    assert (found.within_classes, found.between_classes, found.merge) == pytest.approx(expected)


@given(st.data())
@settings(deadline=None)
def test_it_is_never_negative_and_equal_sizes_are_the_default(data):
    images = data.draw(st.integers(2, 500))
    classes = data.draw(st.integers(1, images))
    batch_size = data.draw(st.integers(2, 600))
    shares = data.draw(st.lists(st.floats(0, 1), min_size=classes, max_size=classes))
    found = icas.estimate(images, classes, batch_size, shares)
    assert found.within_classes >= 0
    assert found.between_classes >= 0
    assert found.merge >= 0
    assert found.batches == math.ceil(images / batch_size)
    assert (found.merge == 0) == (found.batches == 1)
    assert found.comparisons == found.batch_stage + found.merge
    if images % classes == 0:
        sizes = [images // classes] * classes
        assert icas.estimate(images, classes, batch_size, shares, sizes) == found


def test_the_last_batch_may_be_smaller():
    whole, rest = icas.estimate(500, 5, 100, 0.5), icas.estimate(540, 5, 100, 0.5)
    alone = icas.estimate(40, 5, 100, 0.5)
    assert rest.batch_stage == pytest.approx(whole.batch_stage + alone.batch_stage)
    assert (rest.batches, alone.batches, alone.merge) == (6, 1, 0)


# comparisons really made


@dataclass
class Simulated:
    """Images of classes in a random order, and a count of the pairs that were compared.

    Attributes
    ----------
    label : (n,) int ndarray
        Class of each image.
    shares : (classes,) ndarray
        The share p of its class that an image is similar to.
    core : bool
        True: a share p of the class, its first image in each batch among them, is similar to one
        another, and the rest to none. False: each two images of the class are similar with
        probability p.
    """

    label: np.ndarray
    shares: np.ndarray
    batch_size: int
    seed: int
    core: bool = True
    compared: int = 0
    inside: np.ndarray = field(init=False)

    def __post_init__(self):
        draw = np.random.default_rng(self.seed).random(len(self.label))
        self.inside = draw < self.shares[self.label]
        for batch in self.batches():
            self.inside[[members[0] for members in self.classes_of(batch)]] = True

    def batches(self):
        numbers = np.arange(len(self.label))
        return np.split(numbers, range(self.batch_size, len(numbers), self.batch_size))

    def classes_of(self, batch):
        found = (batch[self.label[batch] == one] for one in range(len(self.shares)))
        return [members for members in found if len(members)]

    def alike(self, a, b):
        """Whether images `a` and `b` are similar; symmetric, and the same whenever asked."""
        same = self.label[a] == self.label[b]
        if self.core:
            return (a == b) | (same & self.inside[a] & self.inside[b])
        key = np.minimum(a, b).astype(np.uint64) << np.uint64(32) | np.maximum(a, b).astype(
            np.uint64
        )
        key = key + np.uint64(self.seed * 0x9E3779B97F4A7C15 % 2**64)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            key = (key ^ (key >> np.uint64(shift))) * np.uint64(factor)  # splitmix64
        chance = (key ^ (key >> np.uint64(31))) / np.float64(2**64)
        return (a == b) | (same & (chance < self.shares[self.label[a]]))

    def compare(self, a, b):
        """Compare each of `a` with each of `b`, arrays that go together."""
        found = self.alike(*np.broadcast_arrays(a, b))
        self.compared += found.size
        return found

    def compare_all(self, images):
        for place, image in enumerate(images[:-1]):
            self.compare(image, images[place + 1 :])


def simulated(images, classes, batch_size, share, seed, *, even=True, **given):
    """A set; `even` = every batch holds every class in its share, else as chance has it."""
    label = np.arange(images) % classes
    if not even:
        label = np.random.default_rng((seed, 1)).permutation(label)
    return Simulated(label, np.full(classes, share), batch_size, seed, **given)


def procedure(world):
    """What the model describes, one comparison after the other."""
    standing = []
    for batch in world.batches():
        firsts, left = [], []
        for members in world.classes_of(batch):
            first, others = members[0], members[1:]
            over = others[~world.compare(first, others)]
            world.compare_all(over)
            firsts.append(first)
            left.extend(over)
        world.compare_all(np.array([*firsts, *left]))
        standing.append(firsts)
    if len(standing) > 1:
        others = np.array([image for firsts in standing[1:] for image in firsts])
        world.compare(standing[0][0], np.array([*standing[0][1:], *others]))
        world.compare_all(others)
    return world.compared


def grouped_on(world):
    """The same where images left over are grouped on by the first of them, until none is left."""
    for batch in world.batches():
        firsts = []
        for members in world.classes_of(batch):
            rest = members
            while len(rest):
                firsts.append(rest[0])
                rest = rest[1:][~world.compare(rest[0], rest[1:])]
        world.compare_all(np.array(firsts))
    return world.compared


@dataclass(frozen=True)
class InWorld(Method):
    """A method of icas that looks similarities up in a simulated set."""

    world: Simulated
    name: ClassVar[str] = "simulated"
    tile: ClassVar[int] = 512
    default_threshold: ClassVar[float] = 0.5

    def extract(self, images):
        raise NotImplementedError

    def similarity(self, a, b):
        return self.world.alike(*np.meshgrid(a.array, b.array, indexing="ij")).astype(np.float32)


def icas_itself(world):
    """Comparisons that icas makes: all pairs of each batch, then representatives across."""
    parts = [(FeatureSet("simulated", {"number": batch}), None) for batch in world.batches()]
    return cluster_batches(SingleLinkage(InWorld(world), 0.5), parts)


SMALL = (2_000, 5, 250, 0.5)


@pytest.mark.parametrize("core", [True, False])
def test_the_model_is_near_the_mean_of_what_is_really_made(core):
    made = [procedure(simulated(*SMALL, seed, core=core)) for seed in range(20)]
    model = icas.estimate(*SMALL).comparisons
    size, left = 50, 0.5
    # T is binomial out of the P - 1 others: its mean is (1 - p)(P - 1), not (1 - p) P
    within = (size - 1) + left**2 * (size - 1) * (size - 2) / 2
    others = 5 * (size - 1)
    over, over_pairs = left * others, left**2 * others * (others - 1) / 2
    exact = 8 * (5 * within + 10 + over_pairs + 5 * over) + 634
    assert np.mean(made) == pytest.approx(exact, rel=0.02)
    assert exact < model < 1.05 * exact
    assert np.mean(made) == pytest.approx(model, rel=0.05)


def test_classes_that_chance_spreads_over_batches():
    made = [procedure(simulated(*SMALL, seed, even=False)) for seed in range(20)]
    assert np.mean(made) == pytest.approx(icas.estimate(*SMALL).comparisons, rel=0.05)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.9, 1.0])
def test_other_shares(share):
    made = np.mean([procedure(simulated(2_000, 5, 250, share, seed)) for seed in range(5)])
    assert made == pytest.approx(icas.estimate(2_000, 5, 250, share).comparisons, rel=0.08)


def test_images_left_over_that_are_grouped_on_need_far_fewer():
    made = grouped_on(simulated(*SMALL, 0, core=False))
    assert made < 0.25 * icas.estimate(*SMALL).batch_stage


def test_icas_itself_compares_all_pairs_of_a_batch_and_representatives():
    world = simulated(*SMALL, 0)
    found = icas_itself(world)
    standing = [len(batch.representatives) for batch in found.batches]
    across = sum(a * b for a, b in itertools.combinations(standing, 2))
    assert found.compared == 8 * 250 * 249 // 2 + across
    alone = sum(int((~world.inside[batch]).sum()) for batch in world.batches())
    assert sum(standing) == 8 * 5 + alone
    assert len(found.cohesions) == 5


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"images": 1}, "images 1"),
        ({"images": 2.5}, "images 2.5"),
        ({"classes": 0}, "classes 0"),
        ({"classes": 101}, "classes 101"),
        ({"batch_size": 1}, "batch_size 1"),
        ({"similar": 1.5}, "similar 1.5"),
        ({"similar": -0.1}, "similar -0.1"),
        ({"similar": float("nan")}, "similar nan"),
        ({"similar": "much"}, "similar much"),
        ({"similar": [0.5, 0.5]}, "2 values for 5 classes"),
        ({"similar": []}, "0 values for 5 classes"),
        ({"sizes": [50, 50]}, "2 values for 5 classes"),
        ({"sizes": [100, 0, 0, 0, 0]}, "sizes 0"),
        ({"sizes": [10, 20, 30, 40, 50]}, "sum to 150 images"),
    ],
)
def test_impossible_numbers_are_told_in_one_line(given, told):
    with pytest.raises(UsageError) as error:
        icas.estimate(**{"images": 100, "classes": 5, "batch_size": 20, "similar": 0.5, **given})
    assert told in str(error.value)
    assert "\n" not in str(error.value)


WORDS = ["estimate", "--images", "20000", "--classes", "5", "--batch-size", "2500", "--similar"]


def test_the_command(capsys):
    assert main([*WORDS, "0.5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3].split() == ["comparisons", "7,560,674"]
    assert lines[-1].split() == ["saved", "96.22%"]
    sizes = ["--sizes", "8000,4000,4000,2000,2000"]
    assert main([*WORDS, "0.5,0.6,0.7,0.8,1", *sizes, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    shares, counts = [0.5, 0.6, 0.7, 0.8, 1.0], [8000, 4000, 4000, 2000, 2000]
    assert told == icas.estimate(20_000, 5, 2_500, shares, counts).as_dict()
    assert told["comparisons"] == told["batch_stage"] + told["merge"]


@pytest.mark.parametrize(
    "words",
    [
        [*WORDS, "2"],
        [*WORDS, "half"],
        [*WORDS, "0.5", "--sizes", "1.5,2"],
        ["estimate", "--images", "5"],
    ],
)
def test_errors_of_the_command_are_one_line(words, capsys):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("clusterimg: ")
