"""The threshold's part of the report: axes, curves, table, and the pairs next to it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from icas.cli.console import Console
from icas.clusterimg.api.functions import features as features_of, method_of
from icas.clusterimg.clustering.cohesion import Certificate
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import scan
from icas.clusterimg.html import groups as report_pictures
from icas.clusterimg.html.curve import curve_section, line_axis, log_axis
from icas.clusterimg.html.groups import PAIRS, Pictures, pairs_next_to_threshold
from icas.clusterimg.html.page import pairs_section, report_page
from icas.clusterimg.html.rendering import about, short
from icas.clusterimg.pipeline.pipeline import run
from icas.clusterimg.results.report import ClusterReport
from icas.clusterimg.settings import ClusterSettings
from icas.clusterimg.thresholds.sample import Sample


def make_sample(count: int, images: int, seed: int = 0) -> Sample:
    """Random hashes of 64 bits, every third one like the one before."""
    codes = np.random.default_rng(seed).integers(0, 256, (count, 8), dtype=np.uint8)
    codes[2::3] = codes[1::3][: len(codes[2::3])]
    codes[2::3, 0] ^= 1
    features = replace(
        FeatureSet.from_bits(codes), files=tuple(f"{number}.png" for number in range(count))
    )
    return Sample.of(method_of(features), features, images)


def make_report(
    sample: Sample | None, threshold: float | None = 0.9, count: int = 30
) -> ClusterReport:
    """A report on 0.png … of which every third is in a cluster with the one before."""
    labels = np.full(count, -1, np.int64)
    labels[1::3] = np.arange(len(labels[1::3]))
    labels[2::3] = np.arange(len(labels[2::3]))
    files = tuple(f"{number}.png" for number in range(count))
    return ClusterReport(
        dst=Path("sorted"),
        method="imagehash",
        threshold=threshold,
        threshold_reason="as given",
        files=files,
        labels=labels,
        batch=np.zeros(count, np.int64),
        representative=np.zeros(count, np.bool_),
        certificates=tuple(
            Certificate(one, 2, 0.98, 0.98, files[3 * one + 1]) for one in range(count // 3)
        ),
        unreadable=(),
        ignored=(),
        comparisons={},
        seconds={},
        peak_memory_mb=None,
        settings={},
        options={},
        source="/home/someone/holiday",
        sample=sample,
    )


finite = st.floats(-1000, 1000, width=32)


@given(finite, st.floats(2**-10, 2**20, width=32), st.booleans())
def test_ticks_are_few_and_lie_within(low: float, span: float, whole: bool) -> None:
    axis = line_axis(low, low + span, whole=whole)
    assert axis.low <= low + 1e-6 * span
    assert axis.high >= low + span * (1 - 1e-6)
    assert 1 <= len(axis.ticks) <= 8
    places = [axis.position(tick) for tick in axis.ticks]
    assert places == sorted(places)
    assert 0 <= axis.position(low) <= axis.position(low + span) <= 1
    if whole:
        assert (places[0], places[-1]) == pytest.approx((0, 1), abs=1e-6)


@given(st.lists(st.floats(0, 1e12), max_size=20))
def test_a_log_axis_takes_in_all_values(values: list[float]) -> None:
    axis = log_axis([value if value >= 1e-3 else 0.0 for value in values])
    assert 2 <= len(axis.ticks) <= 7
    assert (axis.position(axis.low), axis.position(axis.high)) == (0, 1)
    assert axis.position(0) == 0
    for value in values:
        assert value < 1e-3 or axis.low * 0.999 <= value <= axis.high * 1.001


def test_numbers_beside_a_drawing_are_short() -> None:
    assert [short(value) for value in (1, 10, 1000, 2500, 1e5, 1e6, 1e9)] == [
        "1", "10", "1k", "2.5k", "100k", "1M", "1B",
    ]  # fmt: skip
    assert [about(value) for value in (0.2, 7.6, 99, 123, 1_251_000)] == [
        "0", "8", "99", "120", "1,300,000",
    ]  # fmt: skip
    assert about(1234.0, exact=True) == "1,234"


@pytest.mark.parametrize(
    ("sample", "threshold"), [(None, 0.9), (make_sample(30, 30), None), (make_sample(1, 1), 0.9)]
)
def test_without_a_sample_or_a_threshold_there_is_no_section(
    sample: Sample | None, threshold: float | None
) -> None:
    report = make_report(sample, threshold)
    assert curve_section(report) == ""
    assert pairs_section(report, pairs_next_to_threshold(report), Pictures((), {}, {})) == ""


def test_the_whole_folder_gives_exact_numbers() -> None:
    shown = curve_section(make_report(make_sample(30, 30)))
    assert "All pairs of the 30 images were compared." in shown
    assert "gives <b>10 similar pairs, 10 clusters with 20 images</b>" in shown
    assert "The run found" not in shown  # the numbers are equal
    assert "about" not in shown


def test_a_sample_is_told_as_such() -> None:
    shown = curve_section(make_report(make_sample(30, 3000)))
    assert "Estimated for the folder of 3,000 images from all pairs of a sample of 30." in shown
    assert "gives <b>about 100,000 similar pairs" in shown


@pytest.mark.parametrize("threshold", [-1.0, 0.0, 0.5, 0.9, 1.0, 2.0])
@pytest.mark.parametrize("count", [2, 3, 30])
def test_the_chosen_point_lies_on_the_curve(threshold: float, count: int) -> None:
    sample = make_sample(count, count)
    shown = curve_section(make_report(sample, threshold, count))
    circles = re.findall(r'<circle class="mark" cx="([\d.]+)%" cy="([\d.]+)%"', shown)
    paths = re.findall(r' d="M(\d+) (\d+)((?:V\d+H\d+)*)"', shown)
    assert len(circles) == len(paths) == 2
    for (x, y), (start, height, rest) in zip(circles, paths, strict=True):
        steps = [(int(b), int(a)) for a, b in re.findall(r"V(\d+)H(\d+)", rest)]
        corners = [(int(start), int(height)), *steps]
        assert corners == sorted(corners, key=lambda corner: corner[0])
        assert all(0 <= value <= 1000 for corner in corners for value in corner)
        assert (round(10 * float(x)), round(10 * float(y))) in {
            (a + i, b + j) for a, b in corners for i in (-1, 0, 1) for j in (-1, 0, 1)
        }


def test_the_table_holds_what_the_sample_tells() -> None:
    sample = make_sample(30, 30)
    shown = curve_section(make_report(sample))
    rows = re.findall(r'<th scope="row">([-\d.]+)[^/]*?(?:</em>)?</th>((?:<td>[^<]*</td>)*)', shown)
    assert 10 <= len(rows) <= 14
    assert shown.count(">chosen</em>") == 1
    for threshold, cells in rows:
        told = sample.expected(float(threshold))
        assert [float(cell.replace(",", "")) for cell in re.findall(r"<td>([^<]*)", cells)] == [
            told.pairs,
            told.clusters,
            told.clustered_images,
        ]


def test_pairs_are_the_nearest_on_either_side() -> None:
    report = make_report(make_sample(30, 30))
    near = pairs_next_to_threshold(report)
    assert len(near.linked) == len(near.apart) == PAIRS
    linked = [pair.similarity for pair in near.linked]
    apart = [pair.similarity for pair in near.apart]
    assert linked == sorted(linked)
    assert apart == sorted(apart, reverse=True)
    assert max(apart) < 0.9 <= min(linked)
    shown = pairs_section(report, near, Pictures(report.files, dict.fromkeys(near.images), {}))
    assert "both in <a" in shown
    assert "outliers" in shown


def test_pairs_of_images_that_the_run_does_not_know_are_left_out() -> None:
    near = pairs_next_to_threshold(replace(make_report(make_sample(30, 30)), files=("1.png",)))
    assert near.images == set()


def test_where_all_or_nothing_is_linked_the_page_says_so() -> None:
    for threshold, words in ((-1.0, "All pairs are linked."), (1.5, "No pair is linked.")):
        report = make_report(make_sample(30, 30), threshold)
        near = pairs_next_to_threshold(report)
        pictures = Pictures(report.files, dict.fromkeys(near.images), {})
        assert words in pairs_section(report, near, pictures)


def test_a_real_folder(photos: Path) -> None:
    """Pairs have thumbnails, also of images that are not among those of their cluster."""
    features = features_of(photos, "imagehash")
    sample = Sample.of(method_of(features), features, len(features))
    settings = ClusterSettings(method="imagehash", threshold=0.8, transfer="none", dry_run=True)
    report = replace(run(photos, settings), sample=sample)
    images = scan(photos).images
    page = report_page(report, images, 10_000_000, Console()).decode()
    near = page[page.index('<section aria-labelledby="pairs">') :]
    near = near[: near.index("</section>")]
    assert near.count("<img ") == 2 * near.count('class="row two"') > 0
    assert "no longer readable" not in page


def test_an_image_of_a_pair_is_no_picture_among_names(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_pictures, "MOST", 2 * 2 * PAIRS)  # the pairs take them all
    features = features_of(photos, "imagehash")
    sample = Sample.of(method_of(features), features, len(features))
    settings = ClusterSettings(method="imagehash", threshold=0.8, transfer="none", dry_run=True)
    report = replace(run(photos, settings), sample=sample)
    page = report_page(report, scan(photos).images, 10_000_000, Console()).decode()
    assert page.count("<img ") == 2 * 2 * PAIRS
    assert page.count('<ul class="names">') == report.clusters + 1
