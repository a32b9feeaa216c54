"""Confidence of carried masks: what raises and lowers it."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scenes import BLUE, RED, scene

from icas.segmentimg.propagation.confidence import Clues, confidence, find_clues, way_back
from icas.segmentimg.propagation.estimate import estimate
from icas.segmentimg.propagation.features import image_features
from icas.segmentimg.propagation.model import WITH_NETWORK, WITHOUT_NETWORK
from icas.segmentimg.propagation.sources import Painted

NAME = "horse"
SHARE = st.floats(0, 1)
LOWERING = ("doubt", "smaller")


@pytest.fixture(scope="module")
def found():
    image, (mask,) = scene([((60, 60), 28, RED)])
    other, (_, true) = scene([((15, 15), 8, BLUE), ((70, 100), 28, RED)], background=4)
    sources = [Painted.of(image_features(image), {(NAME, 1): mask})]
    target = image_features(other)
    return target, sources, estimate(target, sources, [NAME], WITHOUT_NETWORK), true


def confidence_of(found, mask):
    target, sources, result, _ = found
    given_mask = replace(result, masks=[mask])
    (clues,) = find_clues(target, sources, [NAME], given_mask, WITHOUT_NETWORK)
    (back,) = way_back(target, sources, [NAME], given_mask, WITHOUT_NETWORK)
    return confidence(clues, WITHOUT_NETWORK), back


@given(st.builds(Clues, *[SHARE] * len(fields(Clues))), SHARE)
@pytest.mark.parametrize("name", [field.name for field in fields(Clues)])
@pytest.mark.parametrize("model", [WITH_NETWORK, WITHOUT_NETWORK])
def test_more_agreement_never_lowers_the_confidence(model, name, clues, value):
    low, high = sorted((value, getattr(clues, name)), reverse=name in LOWERING)
    worse, better = (confidence(replace(clues, **{name: one}), model) for one in (low, high))
    assert 0.01 <= worse <= better <= 0.99


def test_clues_of_a_mask_are_shares(found):
    target, sources, result, _ = found
    (clues,) = find_clues(target, sources, [NAME], result, WITHOUT_NETWORK)
    row = clues.row()
    assert row.shape == WITHOUT_NETWORK.quality.shape
    assert ((row >= 0) & (row <= 1)).all()


def test_a_part_of_the_object_and_other_places_are_less_sure(found):
    true = found[-1]
    whole, back = confidence_of(found, true)
    half = true & (np.indices(true.shape)[1] < 100)
    assert confidence_of(found, half)[0] < whole
    elsewhere, far = confidence_of(found, np.roll(true, -50, axis=1))
    assert elsewhere < whole
    assert far < back
