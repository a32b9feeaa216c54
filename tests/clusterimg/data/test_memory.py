"""The memory budget: features in files give the same clusters, and nothing is left behind."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from icas.clusterimg.clustering.base import SingleLinkage
from icas.clusterimg.clustering.batches import Clustering, cluster_batches
from icas.clusterimg.data import memory as memory_module
from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.data.images import scan
from icas.clusterimg.data.memmap import MappedFile, mapped_file_of
from icas.clusterimg.data.memory import (
    MemoryBudget,
    bytes_per_image,
    default_memory,
    memory_of,
    parse_bytes,
    side_within,
)
from icas.clusterimg.features.extraction import Reading
from icas.clusterimg.linking.tiles import links_within
from icas.clusterimg.methods import make_method
from icas.clusterimg.pipeline.pipeline import run
from icas.clusterimg.settings import ClusterSettings
from icas.common.errors import IcasError, UsageError
from icas.parallel.executors import start_workers

METHODS = ("imagehash", "minhash", "ssim", "tm", "orb")
INTO_FOLDER = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def some(count: int, start: int = 0, width: int = 5) -> FeatureSet:
    """Features whose values tell which image they are of."""
    rows = np.arange(start, start + count)
    wide = (rows[:, None] * 7 + np.arange(width)).astype(np.float32)
    return FeatureSet(
        "made", {"wide": wide, "narrow": rows.astype(np.uint16)}, files=tuple(map(str, rows))
    )


def same(a: FeatureSet, b: FeatureSet) -> bool:
    """Whether two hold the same, wherever their arrays lie."""
    if (a.method, a.files, a.unreadable, [*a.arrays]) != (
        b.method,
        b.files,
        b.unreadable,
        [*b.arrays],
    ):
        return False
    pairs = zip(a.arrays.values(), b.arrays.values(), strict=True)
    return all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in pairs)


def spilled(budget: MemoryBudget, features: FeatureSet, step: int = 3) -> FeatureSet:
    """The same features, put through a store of `budget` part by part."""
    store = budget.store(len(features))
    for start in range(0, max(1, len(features)), step):
        store.add(features[start : start + step])
    return store.features()


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("4GB", 4_000_000_000),
        ("4 gb", 4_000_000_000),
        ("4G", 4_000_000_000),
        ("500MB", 500_000_000),
        ("1.5GiB", 3 << 29),
        ("2KiB", 2048),
        ("1TiB", 1 << 40),
        ("123456789", 123_456_789),
        (" .5mb ", 500_000),
        ("7B", 7),
        (10**9, 10**9),
    ],
)
def test_bytes_as_people_write_them(text: Any, count: int) -> None:
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "GB", "4 apples", "-3GB", "4iB", "1,5GB", "nan", "0x10"])
def test_what_is_no_number_of_bytes(text: str) -> None:
    with pytest.raises(ValueError, match="500MB, 4GB"):
        parse_bytes(text)
    with pytest.raises(UsageError, match="memory"):
        memory_of(text)


@given(st.integers(0, 10**13))
def test_plain_bytes_are_taken_as_they_are(count: int) -> None:
    assert parse_bytes(str(count)) == parse_bytes(count) == count


def test_budget_in_settings() -> None:
    assert ClusterSettings(memory="1GiB").memory == 1 << 30  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="memory 1000"):
        ClusterSettings(memory=1000)
    with pytest.raises(UsageError, match="memory"):
        ClusterSettings(memory="much")  # type: ignore[arg-type]


def test_default_is_within_the_machine() -> None:
    psutil = pytest.importorskip("psutil")
    assert 0 < default_memory() <= psutil.virtual_memory().total // 2 + 1


@INTO_FOLDER
@given(counts=st.lists(st.integers(0, 9), min_size=1, max_size=5), data=st.data())
def test_a_store_gives_back_what_came(
    tmp_path: Path, counts: list[int], data: st.DataObject
) -> None:
    parts = [some(count, 10 * place) for place, count in enumerate(counts)]
    expected = concatenate(parts)
    limit = data.draw(st.sampled_from([None, 1, 10**9]))
    with MemoryBudget(limit, tmp_path) as budget:
        store = budget.store(sum(counts) + data.draw(st.integers(0, 3)))
        for part in parts:
            store.add(part)
        found = store.features()
        assert same(found, expected)
        assert found.mapped == (limit == 1 and sum(counts) > 0)
    assert not list(tmp_path.iterdir())


@INTO_FOLDER
@given(
    counts=st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=5),
    copied=st.integers(1, 64),
)
def test_mapped_parts_are_put_together_as_others(
    tmp_path: Path, counts: list[tuple[int, bool]], copied: int
) -> None:
    plain = [some(count, 10 * place) for place, (count, _) in enumerate(counts)]
    with pytest.MonkeyPatch.context() as patch, MemoryBudget(1, tmp_path) as budget:
        patch.setattr("icas.clusterimg.data.memmap.COPIED_BYTES", copied)
        parts = [
            spilled(budget, part) if mapped else part
            for part, (_, mapped) in zip(plain, counts, strict=True)
        ]
        whole = concatenate(parts)
        assert same(whole, concatenate(plain))
        assert whole.mapped == any(part.mapped for part in parts)


@INTO_FOLDER
@given(
    rows=st.lists(st.integers(0, 19), max_size=30),
    bounds=st.tuples(st.integers(0, 20), st.integers(0, 20)),
)
def test_rows_of_mapped_features(tmp_path: Path, rows: list[int], bounds: tuple[int, int]) -> None:
    plain = some(20)
    with MemoryBudget(1, tmp_path) as budget:
        mapped = spilled(budget, plain)
        picked = np.array(rows, np.int64)
        assert same(mapped[picked], plain[picked])
        assert not mapped[picked].mapped
        part = slice(*sorted(bounds))
        assert same(mapped[part], plain[part])
        assert same(budget.chosen(mapped, picked), plain[picked])
        assert same(pickle.loads(pickle.dumps(mapped[part])), plain[part])
        mapped.release()
        assert same(mapped, plain)


def test_mapped_features_are_sent_by_reference(tmp_path: Path) -> None:
    plain = replace(some(1000, width=1000), files=())
    with MemoryBudget(1, tmp_path) as budget:
        mapped = spilled(budget, plain, 100)
        sent = pickle.dumps(mapped[250:750])
        assert len(sent) < 1000
        assert len(pickle.dumps(plain[250:750])) > 500 * 1000 * 4
        arrived = pickle.loads(sent)
        assert arrived.mapped
        assert same(arrived, plain[250:750])
        assert same(pickle.loads(pickle.dumps(arrived[7:9])), plain[257:259])
        strided = replace(mapped, arrays={"wide": mapped.arrays["wide"][:, ::2]})
        assert same(
            pickle.loads(pickle.dumps(strided)),
            replace(plain, arrays={"wide": plain.arrays["wide"][:, ::2]}),
        )
    with pytest.raises(IcasError, match="scratch DIR"):
        pickle.loads(sent)


def test_mapped_features_cannot_be_written(tmp_path: Path) -> None:
    with MemoryBudget(1, tmp_path) as budget:
        mapped = spilled(budget, some(4))
        assert not mapped.array.flags.writeable


def test_the_budget_counts_what_is_in_memory(tmp_path: Path) -> None:
    each = bytes_per_image(some(1))
    with MemoryBudget(10 * each * memory_module.FEATURES, tmp_path) as budget:
        first = spilled(budget, some(6))
        second = spilled(budget, some(6))
        assert not first.mapped
        assert second.mapped
        del first
        assert not spilled(budget, some(6)).mapped


def test_tiles_shrink_with_the_budget(tmp_path: Path) -> None:
    plain = some(100, width=1000)
    assert side_within(plain, 1024) == 1024
    with MemoryBudget(10**6, tmp_path) as budget:
        mapped = spilled(budget, plain, 50)
        side = side_within(mapped, 1024)
        assert side < 1024
        assert 2 * side * bytes_per_image(plain) <= 10**6 // memory_module.TILES
        assert side_within(mapped, 1024, 2) <= side
        assert side_within(mapped, 3, 2) == 3


def test_pages_of_a_part_are_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dropped: list[tuple[int, int]] = []
    monkeypatch.setattr(MappedFile, "drop", lambda self, *where: dropped.append(where))
    with MemoryBudget(1, tmp_path) as budget:
        mapped = spilled(budget, replace(some(10), arrays={"wide": some(10).array}))
        part = mapped[2:5]
        dropped.clear()
        del part
        assert dropped == [(2 * 5 * 4, 3 * 5 * 4)]
        mapped[np.array([1, 2])]
        assert dropped[1:] == [(0, 10 * 5 * 4)]


def clusters_of(method_name: str, photos: Path, budget: MemoryBudget, merge: str) -> Clustering:
    method = make_method(method_name)
    refs = scan(photos).images
    folder = Reading(method, budget=budget).scan_features(refs, sample=5)
    parts = [(folder.features(refs[part]), None) for part in (slice(0, 7), slice(7, None))]
    clusterer = SingleLinkage(method, method.default_threshold)
    return cluster_batches(clusterer, parts, merge=merge, budget=budget)


@pytest.mark.parametrize("merge", ["representatives", "exact"])
@pytest.mark.parametrize("name", METHODS)
def test_the_same_clusters(name: str, merge: str, photos: Path, tmp_path: Path) -> None:
    plain = clusters_of(name, photos, MemoryBudget(), merge)
    with MemoryBudget(1, tmp_path) as budget:
        mapped = clusters_of(name, photos, budget, merge)
        assert list(tmp_path.iterdir())
    assert plain.labels.tobytes() == mapped.labels.tobytes()
    assert plain.links().structured().tobytes() == mapped.links().structured().tobytes()
    assert plain.cohesions == mapped.cohesions
    assert plain.files == mapped.files


def test_other_processes_map_the_same_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    plain = FeatureSet("tm", {"pixels": rng.integers(0, 256, (300, 10, 10, 3), dtype=np.uint8)})
    method = make_method("tm")
    with MemoryBudget(1, tmp_path) as budget, start_workers("processes", 2) as workers:
        mapped = spilled(budget, plain, 100)
        found = [part.structured() for part in links_within(method, mapped, 0.5, workers)]
    expected = [part.structured() for part in links_within(method, plain, 0.5)]
    ours, theirs = np.concatenate(found), np.concatenate(expected)
    assert np.array_equal(np.sort(ours, order=["a", "b"]), np.sort(theirs, order=["a", "b"]))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """No features may stay in memory, whatever the budget says."""
    monkeypatch.setattr(memory_module, "FEATURES", 1 << 62)


def settings_for(tmp_path: Path, **more: Any) -> ClusterSettings:
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    return ClusterSettings(
        dst=tmp_path / "out", threshold=0.9, transfer="none", scratch=scratch, report=False, **more
    )


@pytest.mark.usefixtures("tiny")
def test_the_folder_is_gone_after_a_run(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    place = MemoryBudget._scratch_path

    def noted(self: MemoryBudget) -> Path:
        made.append(place(self))
        return made[-1]

    monkeypatch.setattr(MemoryBudget, "_scratch_path", noted)
    run(photos, settings_for(tmp_path))
    assert made
    assert all(folder.parent == tmp_path / "scratch" for folder in made)
    assert not list((tmp_path / "scratch").iterdir())


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, IcasError])
def test_the_folder_is_gone_after_an_error(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def fail(*_: object, **__: object) -> None:
        assert list((tmp_path / "scratch").iterdir())
        raise error("stop")

    monkeypatch.setattr("icas.clusterimg.clustering.batches.cluster_batch", fail)
    with pytest.raises(error):
        run(photos, settings_for(tmp_path))
    assert not list((tmp_path / "scratch").iterdir())


@pytest.mark.usefixtures("tiny")
def test_no_room_is_told_before_anything_is_written(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 0))
    with pytest.raises(IcasError, match=r"has only 0\.0 GB free: choose another") as caught:
        run(photos, settings_for(tmp_path))
    assert str(tmp_path / "scratch") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "scratch").iterdir())


@pytest.mark.usefixtures("tiny")
def test_a_disk_that_fills_up(photos: Path, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    method = make_method("tm", size=(64, 64))
    with MemoryBudget(1, tmp_path) as budget:
        new_file = budget.new_file

        def full() -> Any:
            file = new_file()
            file._file.close()
            file._file = Path("/dev/full").open("wb")  # noqa: SIM115
            return file

        budget.new_file = full  # type: ignore[method-assign]
        with pytest.raises(IcasError, match="the disk is full; choose another") as caught:
            Reading(method, budget=budget).raw(scan(photos).images)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_scratch_folder_that_is_none(photos: Path, tmp_path: Path) -> None:
    with MemoryBudget(1, tmp_path / "none") as budget, pytest.raises(IcasError, match="scratch"):
        spilled(budget, some(3))


def test_what_is_left_of_a_mapped_file_can_be_used(tmp_path: Path) -> None:
    with MemoryBudget(1, tmp_path) as budget:
        mapped = spilled(budget, some(9))
    if sys.platform != "win32":
        assert same(mapped, some(9))
        assert mapped_file_of(mapped.array) is not None


PEAK = """
import resource, sys
import numpy as np
from pathlib import Path
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.memory import MemoryBudget, side_within
from icas.clusterimg.methods import make_method
from icas.clusterimg.linking.tiles import links_within
def peak():
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
method = make_method("tm", size=(128, 128))
rng = np.random.default_rng(0)
def row(count):
    pixels = rng.integers(0, 256, (count, 128, 128, 3), dtype=np.uint8)
    return FeatureSet("tm", {"pixels": pixels})
list(links_within(method, row(50), 0.99))
start = peak()
with MemoryBudget(100_000_000, Path(sys.argv[1])) as budget:
    store = budget.store(8000)
    for _ in range(400):
        store.add(row(20))
    features = store.features()
    assert features.mapped and features.nbytes > 390_000_000
    for begin in range(0, 8000, 200):
        features[begin : begin + 200].array.sum()
    budget.chosen(features, np.arange(1, 8000))
print(peak() - start)
"""


def test_features_beyond_the_budget_take_no_memory(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert float(done.stdout) < 100
