"""Masks become one partition by the rule that is written down, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from skimage.measure import label

from icas.segmentimg.sam.automatic import MOSTLY, SMALLER, CroppedMask, owners, partition

SHAPE = (23, 31)


def box(top, left, bottom, right):
    mask = np.zeros(SHAPE, bool)
    mask[top:bottom, left:right] = True
    return mask


def ellipse(row, column, high, wide):
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return ((rows - row) / high) ** 2 + ((columns - column) / wide) ** 2 <= 1


masks_of_any_kind = st.lists(
    st.builds(
        ellipse,
        st.integers(-3, 25),
        st.integers(-3, 33),
        st.floats(0.5, 20),
        st.floats(0.5, 20),
    ),
    max_size=9,
)


def owners_by_hand(masks):
    """The rule, a pixel at a time."""
    result = np.zeros(SHAPE, int)
    for row, column in np.ndindex(SHAPE):
        holder = 0
        for number, mask in enumerate(masks, 1):
            if not mask[row, column]:
                continue
            if holder == 0 or is_part(mask, masks[holder - 1]):
                holder = number
        result[row, column] = holder
    return result


def is_part(mask, whole):
    mostly = (mask & whole).sum() >= MOSTLY * mask.sum()
    return mostly and mask.sum() <= SMALLER * whole.sum()


def obeys_the_law(labels):
    assert labels.dtype == np.int32
    assert labels.min() == 1
    assert set(np.unique(labels)) == set(range(1, labels.max() + 1))
    assert label(labels, background=0, connectivity=1).max() == labels.max()


@given(masks_of_any_kind)
@settings(max_examples=60, deadline=None)
def test_each_pixel_goes_to_the_best_mask_or_to_a_part_of_it(masks):
    cropped = [CroppedMask.of(mask) for mask in masks]
    owner = owners(cropped, SHAPE)
    assert (owner == owners_by_hand(masks)).all()
    covered = np.logical_or.reduce([np.zeros(SHAPE, bool), *masks])
    assert ((owner > 0) == covered).all()  # no mask is lost to the rest


@given(masks_of_any_kind, st.integers(1, 80))
@settings(max_examples=60, deadline=None)
def test_the_partition_obeys_the_law_and_keeps_to_the_owners(masks, min_size):
    cropped = [CroppedMask.of(mask) for mask in masks]
    owner = owners(cropped, SHAPE)
    labels = partition(cropped, SHAPE, min_size)
    obeys_the_law(labels)
    for number in range(1, labels.max() + 1):
        assert len(set(owner[labels == number]) - {0}) <= 1  # a segment is of one mask
    whole = partition(cropped, SHAPE)
    obeys_the_law(whole)
    for number in range(1, whole.max() + 1):
        assert len(set(owner[whole == number])) == 1
        if owner[whole == number][0] > 0:  # cropped of masks are as they were
            assert len(set(labels[whole == number])) == 1


def test_a_part_stays_on_the_whole_whichever_is_better():
    whole, part = box(2, 2, 20, 28), box(5, 5, 9, 9)
    for masks in ([whole, part], [part, whole]):
        labels = partition([CroppedMask.of(mask) for mask in masks], SHAPE)
        assert set(labels[part]) == {labels[6, 6]}
        assert labels[6, 6] != labels[15, 15]
        assert (labels == labels[6, 6]).sum() == part.sum()


def test_of_two_that_overlap_the_better_one_is_whole():
    left, right = box(2, 2, 12, 15), box(6, 10, 20, 28)
    for better, other in ((left, right), (right, left)):
        labels = partition([CroppedMask.of(better), CroppedMask.of(other)], SHAPE)
        assert len(set(labels[better])) == 1
        assert (labels == labels[better][0]).sum() == better.sum()


def test_what_no_mask_covers_is_segments_too():
    wall = box(0, 14, 23, 17)
    labels = partition([CroppedMask.of(wall)], SHAPE)
    assert labels.max() == 3
    hole = box(0, 0, 23, 31) & ~box(3, 3, 5, 5)
    assert partition([CroppedMask.of(hole)], SHAPE, min_size=4).max() == 2
    assert partition([CroppedMask.of(hole)], SHAPE, min_size=5).max() == 1


@pytest.mark.parametrize("masks", [[], [np.zeros(SHAPE, bool)]])
def test_no_mask_at_all_gives_one_segment(masks):
    labels = partition([CroppedMask.of(mask) for mask in masks], SHAPE, min_size=10_000)
    assert (labels == 1).all()
