"""Splits of whole groups: no group is divided, shares hold for each class and in total."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings, strategies as st

from icas.common.errors import UsageError
from icas.dataset.splits import assign_splits, shares_of

SHARES = (
    {"train": 0.8, "val": 0.1, "test": 0.1},
    {"train": 0.8, "test": 0.2},
    {"train": 0.5, "val": 0.3, "test": 0.2},
    {"train": 1.0},
)
sizes = st.lists(st.integers(1, 9), min_size=2, max_size=12)
classes = st.dictionaries(st.sampled_from("abcdef"), sizes, min_size=1)
problems = st.tuples(classes, st.sampled_from(SHARES), st.integers(0, 99), st.randoms())


def images_of(by_class, random):
    """Group and label of each image, in random order."""
    groups = [(name, n) for name, sizes in by_class.items() for n in range(len(sizes))]
    numbers = {group: number for number, group in enumerate(groups)}
    images = [(numbers[name, n], name) for name, n in groups for _ in range(by_class[name][n])]
    random.shuffle(images)
    return [group for group, _ in images], [label for _, label in images]


@given(problems)
@settings(deadline=None)
def test_groups_stay_whole_and_shares_hold(problem):
    by_class, shares, seed, random = problem
    groups, labels = images_of(by_class, random)
    splits = assign_splits(groups, labels, shares, seed)
    assert len(splits) == len(groups)
    assert set(splits) <= set(shares)
    assert len(set(zip(groups, splits, strict=True))) == len(set(groups))
    found = Counter(zip(labels, splits, strict=True))
    for split, share in shares.items():
        for name, sizes in by_class.items():
            assert abs(found[name, split] - share * sum(sizes)) <= max(sizes) + 1e-6
        most = max(size for sizes in by_class.values() for size in sizes)
        assert abs(splits.count(split) - share * len(splits)) <= most + 1e-6
    assert splits == assign_splits(groups, labels, shares, seed)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from("ab")), max_size=40), st.integers(0, 9)
)
def test_groups_of_several_classes_stay_whole(images, seed):
    groups, labels = [group for group, _ in images], [label for _, label in images]
    splits = assign_splits(groups, labels, SHARES[0], seed)
    assert len(splits) == len(images)
    assert len(set(zip(groups, splits, strict=True))) == len(set(groups))


def test_single_images_are_stratified_exactly():
    labels = ["cup"] * 100 + ["sky"] * 50
    splits = assign_splits(range(150), labels, SHARES[0], 0)
    assert Counter(zip(labels, splits, strict=True)) == {
        ("cup", "train"): 80, ("cup", "val"): 10, ("cup", "test"): 10,
        ("sky", "train"): 40, ("sky", "val"): 5, ("sky", "test"): 5,
    }  # fmt: skip


def test_many_small_classes_have_the_shares_in_total():
    labels = [f"class {number // 5}" for number in range(500)]
    shares = {"train": 0.8, "val": 0.15, "test": 0.05}
    assert Counter(assign_splits(range(500), labels, shares)) == {
        "train": 400, "val": 75, "test": 25,
    }  # fmt: skip


def test_the_seed_changes_which_groups_go_where():
    labels = ["cup"] * 100
    first, second = (assign_splits(range(100), labels, SHARES[0], seed) for seed in (0, 1))
    assert first != second
    assert Counter(first) == Counter(second)


def test_a_class_of_one_group_is_in_the_largest_split():
    labels = ["cup"] * 10 + [f"class {number}" for number in range(5)]
    splits = assign_splits(range(15), labels, SHARES[0])
    assert set(splits[10:]) == {"train"}


def test_shares_are_read_in_the_order_of_splits():
    assert list(shares_of("test=0.2, train=0.8").items()) == [("train", 0.8), ("test", 0.2)]
    assert shares_of({"train": 1}) == shares_of(None) == {"train": 1.0}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("train=0.8,val=0.1", "the shares sum to 0.9 instead of 1"),
        ("train=0.8,holdout=0.2", "unknown split 'holdout', choose from train, val, test"),
        ("train=1,val=0", "val=0.0: a share is a number greater than 0"),
        ("train=1.5,val=-0.5", "val=-0.5: a share is a number greater than 0"),
        ("train=nan", "a share is a number greater than 0"),
        ("train=most", "expected shares such as train=0.8"),
        ("train", "expected shares such as"),
        ("train=0.5,train=0.5", "train is given twice"),
        ("", "the shares sum to 0 instead of 1"),
        ({"train": "0.8"}, "a share is a number greater than 0"),
    ],
)
def test_wrong_shares_are_one_clear_error(given, why):
    with pytest.raises(UsageError, match=why):
        shares_of(given)
