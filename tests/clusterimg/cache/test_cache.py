"""Features that are kept between runs: the same as without, and nothing is read twice."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import icas
from icas.clusterimg.cache.cache import NO_CACHE, open_cache, recipe_of
from icas.clusterimg.commands.main import main
from icas.clusterimg.data.images import scan
from icas.clusterimg.data.memory import MemoryBudget
from icas.clusterimg.features import extraction as decoding
from icas.clusterimg.features.extraction import Reading
from icas.clusterimg.html import thumbnails
from icas.clusterimg.methods import METHODS, make_method, method_class
from icas.clusterimg.methods.imagehash import ImageHash
from icas.common.errors import IcasError
from icas.io import folders as places


def age(folder: Path) -> None:
    """As if its files had been there for long; each has a time of its own."""
    for number, path in enumerate(sorted(folder.iterdir())):
        changed = time.time_ns() - 10**12 + number
        os.utime(path, ns=(changed, changed))


@pytest.fixture
def folder(crowd, tmp_path) -> Path:
    """48 pictures that a test may change."""
    copied = tmp_path / "pictures"
    shutil.copytree(crowd, copied)
    age(copied)
    return copied


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """Names of the files that are decoded, as they come."""
    seen: list[str] = []
    original = decoding.read_image

    def counted(path, **options):
        seen.append(Path(path).name)
        return original(path, **options)

    monkeypatch.setattr(decoding, "read_image", counted)
    return seen


def same(a: icas.FeatureSet, b: icas.FeatureSet) -> bool:
    """Whether two sets are equal to the last bit; those of a network but for rounding.

    Once scikit-learn has computed in the process, torch rounds by the images of a batch.
    """
    tolerance, changing = (1e-4, {"fitted"}) if a.method == "deep" else (0, set())
    settings = [
        {name: value for name, value in one.settings.items() if name not in changing}
        for one in (a, b)
    ]
    return (
        (a.method, settings[0], a.files, a.unreadable)
        == (b.method, settings[1], b.files, b.unreadable)
        and list(a.arrays) == list(b.arrays)
        and all(a.arrays[name].dtype == b.arrays[name].dtype for name in a.arrays)
        and all(
            np.allclose(a.arrays[name], b.arrays[name], rtol=0, atol=tolerance) for name in a.arrays
        )
    )


def test_features_are_the_same_with_and_without(folder, method_and_options, tmp_path, read):
    (folder / "5-broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    age(folder)
    without = icas.features(folder, **method_and_options)
    assert len(without.unreadable) == 1
    kept = tmp_path / "kept"
    some = [str(path) for path in sorted(folder.iterdir())][3::5]
    icas.features(some, **method_and_options, cache=kept, jobs=1)
    read.clear()
    first = icas.features(folder, **method_and_options, cache=kept)
    assert len(read) == 49 - len(some) + sum("broken" in name for name in some)
    assert same(first, without)
    read.clear()
    assert same(icas.features(folder, **method_and_options, cache=kept), without)
    assert read == ["5-broken.png"]  # what cannot be read is tried again
    files = [str(path) for path in sorted(folder.glob("*.jpg"))][::-1]
    twice = [*files, files[0]]
    ours = icas.features(twice, **method_and_options, cache=kept)
    assert same(ours, icas.features(twice, **method_and_options))


def test_a_second_run_decodes_no_image(folder, method_and_options, tmp_path, read):
    options = {**method_and_options, "threshold": 0.8, "cache": tmp_path / "kept"}
    first = icas.cluster(folder, dst=tmp_path / "a", **options)
    assert len(read) == 48
    assert first.features == {"cached": 0, "computed": 48}
    read.clear()
    second = icas.cluster(folder, dst=tmp_path / "b", **options)
    assert read == []
    assert second.features == {"cached": 48, "computed": 0}
    assert np.array_equal(first.labels, second.labels)
    told = json.loads((tmp_path / "b" / "run.json").read_text())
    assert told["features"] == {"cached": 48, "computed": 0}


def test_a_run_with_a_sample_and_batches_decodes_none_either(folder, tmp_path, read):
    options = {"threshold": "auto", "sample": 20, "batch_size": 17, "cache": tmp_path / "kept"}
    first = icas.cluster(folder, dst=tmp_path / "a", **options)
    assert (len(read), first.features) == (48, {"cached": 0, "computed": 48})
    read.clear()
    second = icas.cluster(folder, dst=tmp_path / "b", **options)
    assert (read, second.features) == ([], {"cached": 48, "computed": 0})
    assert first.threshold == second.threshold
    assert np.array_equal(first.labels, second.labels)


def test_the_page_of_a_second_run_decodes_none_either(folder, tmp_path, read, monkeypatch):
    original = thumbnails.thumbnail

    def counted(path, *rest, **options):
        read.append(Path(path).name)
        return original(path, *rest, **options)

    monkeypatch.setattr(thumbnails, "thumbnail", counted)
    pages = []
    for number in range(2):
        dst = tmp_path / str(number)
        icas.cluster(folder, method="imagehash", dst=dst, threshold=0.8, cache=tmp_path / "kept")
        page = (dst / "report.html").read_text()
        pages.append(re.findall(r'<img src="[^"]*" width="\d+" height="\d+"', page))
        assert len(read) == 2 * 48  # features and thumbnails, once
    assert len(pages[0]) >= 48
    assert pages[0] == pages[1]


def test_other_processes_read_what_is_missing(folder, tmp_path):
    options = {"method": "orb", "threshold": 0.2, "cache": tmp_path / "kept", "jobs": 2}
    first = icas.cluster(folder, dst=tmp_path / "a", executor="processes", **options)
    (folder / "0-astronaut.jpg").unlink()
    second = icas.cluster(folder, dst=tmp_path / "b", executor="processes", **options)
    third = icas.cluster(folder, dst=tmp_path / "c", **options)
    assert first.features == {"cached": 0, "computed": 48}
    assert second.features == third.features == {"cached": 47, "computed": 0}


def test_only_added_images_are_decoded(folder, tmp_path, read):
    kept = tmp_path / "kept"
    icas.features(folder, method="imagehash", cache=kept)
    for number in range(5):
        shutil.copy(folder / f"{number}-coffee.jpg", folder / f"{3 * number}-new.jpg")
    for path in folder.glob("*-new.jpg"):
        os.utime(path, ns=(10**18, 10**18 + 1))
    read.clear()
    found = icas.features(folder, method="imagehash", cache=kept)
    assert sorted(read) == sorted(f"{3 * number}-new.jpg" for number in range(5))
    assert same(found, icas.features(folder, method="imagehash"))


def changed(folder: Path) -> None:
    shutil.copy2(folder / "1-rocket.jpg", folder / "1-coffee.jpg")


def touched(folder: Path) -> None:
    os.utime(folder / "1-coffee.jpg", ns=(10**18, 10**18 + 1))


def renamed(folder: Path) -> None:
    (folder / "1-coffee.jpg").rename(folder / "1-other.jpg")


def same_size(folder: Path) -> None:
    path = folder / "20-rocket.png"
    status, content = path.stat(), bytearray((folder / "20-coffee.png").read_bytes())
    content += bytes(max(0, status.st_size - len(content)))
    path.write_bytes(content)
    (folder / "20-coffee.png").unlink()
    os.truncate(path, status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


@pytest.mark.parametrize("change", [changed, touched, renamed, same_size])
def test_a_file_that_is_another_is_read_again(folder, tmp_path, read, change):
    kept = tmp_path / "kept"
    icas.features(folder, method="imagehash", cache=kept)
    read.clear()
    change(folder)
    found = icas.features(folder, method="imagehash", cache=kept)
    assert len(read) == 1
    assert same(found, icas.features(folder, method="imagehash"))
    read.clear()
    icas.features(folder, method="imagehash", cache=kept)
    assert read == []


def test_a_file_just_changed_is_not_kept(folder, tmp_path, read):
    kept = tmp_path / "kept"
    icas.features(folder, method="imagehash", cache=kept)
    just, whole = folder / "1-coffee.jpg", folder / "2-coffee.jpg"
    os.utime(just, ns=(0, time.time_ns()))
    coarse = time.time_ns() // 10**9 * 10**9  # of a file system that keeps whole seconds
    os.utime(whole, ns=(0, coarse))
    os.utime(folder / "3-coffee.jpg", ns=(0, time.time_ns() + 10**15))  # a clock that ran ahead
    for _ in range(2):
        read.clear()
        icas.features([just, whole, folder / "3-coffee.jpg"], method="imagehash", cache=kept)
        assert len(read) == 3


def test_a_file_that_changes_while_it_is_read_is_not_kept(folder, tmp_path):
    method, images = make_method("imagehash"), scan(folder).images[:10]
    with open_cache(tmp_path / "kept") as cache:
        part = cache.of(method, 10**8, None, None)
        looked = part.look_up(images)
        assert len(looked.missing) == 10
        features = Reading(method).raw(images)
        os.utime(images[4].path, ns=(10**18, 10**18 + 1))
        images[7].path.unlink()
        part.store(looked, features)
        again = part.look_up(images)
    assert [ref.file for ref in again.missing] == [images[4].file, images[7].file]


def test_what_is_read_is_kept_though_the_run_ends_in_the_middle(
    folder, tmp_path, read, monkeypatch
):
    counted = decoding.read_image

    def interrupted(path, **options):
        if len(read) == 40:
            raise KeyboardInterrupt
        return counted(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(decoding, "read_image", interrupted)
        with pytest.raises(KeyboardInterrupt):
            icas.features(folder, method="imagehash", cache=tmp_path / "kept", jobs=1)
    read.clear()
    icas.features(folder, method="imagehash", cache=tmp_path / "kept")
    assert len(read) <= 48 - 24


def test_features_under_a_memory_budget(folder, tmp_path):
    method, images = make_method("ssim"), scan(folder).images
    expected = Reading(method).raw(images)
    for _ in range(2):
        with (
            open_cache(tmp_path / "kept") as cache,
            MemoryBudget(200_000, tmp_path) as budget,
        ):
            made = Reading(method, budget=budget, cache=cache)
            found = made.scan_features(images, 0, 30).features(images)
            assert found.mapped
            assert same(found, expected)
            counts = made.counts
    assert (counts.cached, counts.computed) == (48, 0)


def test_names_need_not_be_text(folder, tmp_path, read):
    if sys.platform in ("darwin", "win32"):
        pytest.skip("every name is text here")
    name = os.fsdecode(b"caf\xe9 \xff.jpg")
    (folder / "1-coffee.jpg").rename(folder / name)
    first = icas.features(folder, method="imagehash", cache=tmp_path / "kept")
    read.clear()
    assert same(icas.features(folder, method="imagehash", cache=tmp_path / "kept"), first)
    assert read == []


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_has_features_of_its_own_or_is_only_compared(method):
    cls = method_class(method)
    names = set(cls.__dataclass_fields__)
    assert getattr(cls, "only_compared", frozenset()) <= names
    assert cls.features_version >= 1


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("imagehash", {"hash_size": 16}),
        ("imagehash", {"highfreq_factor": 8}),
        ("imagehash", {"size": (40, 30)}),
        ("minhash", {"corners": 20}),
        ("minhash", {"permutations": 64}),
        ("minhash", {"grid": 5}),
        ("orb", {"keypoints": 50}),
        ("ssim", {"size": (32, 32)}),
        ("tm", {"size": (12, 8)}),
    ],
)
def test_settings_have_features_of_their_own(folder, tmp_path, method, options):
    kept = tmp_path / "kept"
    icas.features(folder, method=method, cache=kept)
    found = icas.features(folder, method=method, cache=kept, **options)
    assert same(found, icas.features(folder, method=method, **options))
    assert not same(found, icas.features(folder, method=method))


def test_settings_that_only_compare_share_features(folder, tmp_path, read):
    icas.features(folder, method="orb", cache=tmp_path / "kept")
    read.clear()
    found = icas.features(folder, method="orb", match_bits=40, cache=tmp_path / "kept")
    assert read == []
    assert found.settings["match_bits"] == 40
    assert same(found, icas.features(folder, method="orb", match_bits=40))


def test_reading_otherwise_is_another_recipe():
    method = make_method("imagehash")
    told = {
        recipe_of(method, *how).digest
        for how in [(10, None, 8), (11, None, 8), (10, 0.5, None), (10, None, (8, 9))]
    }
    assert len(told) == 4


def test_a_new_version_of_a_method_or_package_is_another_recipe(monkeypatch):
    import cv2
    import PIL

    method = make_method("orb")
    told = [recipe_of(method, 10, None, None).digest]
    for owner, name in ((PIL, "__version__"), (cv2, "__version__")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, "0.0")
            told.append(recipe_of(method, 10, None, None).digest)
    monkeypatch.setattr(type(method), "features_version", 99)
    told.append(recipe_of(method, 10, None, None).digest)
    assert len(set(told)) == 4


@dataclass(frozen=True)
class Weighed(ImageHash):
    """A method with a setting of any kind."""

    weights: object = None

    name: ClassVar[str] = "weighed"


def test_a_file_among_the_settings_counts_by_its_content(tmp_path):
    def digest(path):
        return recipe_of(Weighed(weights=path), 10, None, None).digest

    a, b = tmp_path / "a.pt", tmp_path / "b.pt"
    a.write_bytes(b"one")
    b.write_bytes(b"one")
    assert digest(a) == digest(b)
    b.write_bytes(b"another")
    assert digest(a) != digest(b)
    assert digest(Path("random")) != digest(Path("other"))


def test_features_by_an_object_of_ones_own_are_not_kept(folder, tmp_path):
    images = scan(folder).images
    for _ in range(2):
        with open_cache(tmp_path / "kept") as cache:
            made = Reading(Weighed(weights=object()), cache=cache)
            made.raw(images)
        assert (made.counts.cached, made.counts.computed) == (0, 48)
    assert recipe_of(Weighed(weights=(1, object())), 10, None, None) is None
    assert not (tmp_path / "kept").exists()


def test_what_a_smaller_limit_refuses_does_not_come_from_the_cache(folder, tmp_path):
    icas.features(folder, method="imagehash", cache=tmp_path / "kept")
    found = icas.features(folder, method="imagehash", cache=tmp_path / "kept", max_pixels=1000)
    assert (len(found), len(found.unreadable)) == (0, 48)


def test_arrays_are_not_kept(tmp_path):
    images = [np.zeros((20, 20, 3), np.uint8)] * 3
    icas.features(images, method="imagehash", cache=tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_the_flags(folder, tmp_path, capsys):
    own = Path(os.environ[places.VARIABLE])
    assert run(folder, "--threshold", 0.9, "--dst", tmp_path / "a", "-v", "--no-cache") == 0
    assert not own.exists()
    assert run(folder, "--threshold", 0.9, "--dst", tmp_path / "b", "-v", "--dry-run") == 0
    assert "features: 0 images from the cache, 48 computed" in capsys.readouterr().out
    assert not (tmp_path / "b").exists()
    assert run(folder, "--threshold", 0.9, "--dst", tmp_path / "b", "-v") == 0
    assert "features: 48 images from the cache, 0 computed" in capsys.readouterr().out
    assert (own / "features.db").is_file()
    kept = ["--cache", tmp_path / "kept", "--cache-size", "5MB"]
    assert run(folder, "--threshold", 0.9, "--dst", tmp_path / "c", *kept) == 0
    told = json.loads((tmp_path / "c" / "run.json").read_text())["settings"]
    assert (told["cache"], told["cache_size"]) == (str(tmp_path / "kept"), 5_000_000)
    assert run(folder, "--cache", "x", "--no-cache") == 2
    assert "exclude each other" in capsys.readouterr().err
    assert run(folder, "--cache-size", "much") == 2
    assert run(folder, "--cache-size", "10") == 2


def test_a_finished_run_is_cut_with_another_cache(folder, tmp_path):
    dst = tmp_path / "a"
    assert run(folder, "--threshold", 0.8, "--dst", dst, "--cache", tmp_path / "kept") == 0
    words = ("--resume", "--threshold", 0.95, "--no-cache")
    assert run(folder, "--dst", dst, *words) == 0


def test_from_python(folder, tmp_path):
    own = Path(os.environ[places.VARIABLE])
    icas.features(folder, method="imagehash")
    icas.cluster(folder, method="imagehash", threshold=0.9, dst=tmp_path / "a", cache=False)
    assert not own.exists()
    report = icas.cluster(
        folder, method="imagehash", threshold=0.9, dst=tmp_path / "b", cache_size="3MB"
    )
    assert report.settings["cache_size"] == 3_000_000
    icas.features(folder, method="imagehash", cache=True)
    assert own.is_dir()
    with pytest.raises(icas.UsageError, match="cache_size"):
        icas.cluster(
            folder, method="imagehash", threshold=0.9, dst=tmp_path / "c", cache_size="little"
        )


def test_an_estimator_uses_it(folder, tmp_path, read):
    model = icas.ImageClusterer(method="imagehash", threshold=0.8, cache=tmp_path / "kept")
    first = model.fit_predict(folder)
    read.clear()
    assert np.array_equal(model.fit_predict(folder), first)
    assert read == []
    assert model.get_params()["cache"] == tmp_path / "kept"


def test_thresholds_use_it(folder, tmp_path, read):
    words = ("thresholds", "--src", folder, "--out", tmp_path / "curve.csv")
    assert run(*words, "--cache", tmp_path / "kept") == 0
    first = (tmp_path / "curve.csv").read_bytes()
    read.clear()
    assert run(*words, "--cache", tmp_path / "kept") == 0
    assert read == []
    assert (tmp_path / "curve.csv").read_bytes() == first
    assert run(*words, "--no-cache") == 0
    assert len(read) == 48


def test_info_and_clear(folder, tmp_path, capsys):
    kept = tmp_path / "kept"
    assert run("cache", "info", "--cache", kept) == 0
    assert "features of 0 images" in capsys.readouterr().out
    assert not kept.exists()
    icas.features(folder, method="imagehash", cache=kept)
    icas.features(folder, method="tm", cache=kept)
    assert run("cache", "info", "--cache", kept, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {
        "place": str(kept / "features.db"),
        "entries": 96,
        "bytes": (kept / "features.db").stat().st_size,
        "limit": 2_000_000_000,
        "methods": {"imagehash": 48, "tm": 48},
    }
    assert run("cache", "info", "--cache", kept) == 0
    assert "features of 96 images" in capsys.readouterr().out
    (kept / "decisions.db").write_bytes(b"mine")
    assert run("cache", "clear", "--cache", kept) == 0
    assert "features of 96 images" in capsys.readouterr().out
    assert [path.name for path in kept.iterdir()] == ["decisions.db"]
    assert run("cache", "clear", "--cache", kept) == 0
    assert "nothing removed" in capsys.readouterr().out
    assert run("cache", "info", "--cache", kept / "decisions.db") == 2


def test_clear_leaves_another_file_alone(tmp_path, capsys):
    import sqlite3

    path = tmp_path / "features.db"
    path.write_bytes(b"no database at all")
    assert run("cache", "clear", "--cache", tmp_path) == 1
    assert run("cache", "info", "--cache", tmp_path) == 1
    assert path.read_bytes() == b"no database at all"
    path.unlink()
    sqlite3.connect(path).executescript("CREATE TABLE mine (a); INSERT INTO mine VALUES (1);")
    assert run("cache", "clear", "--cache", tmp_path) == 1
    assert run("cache", "info", "--cache", tmp_path) == 1
    assert "nothing removed" in capsys.readouterr().err
    assert path.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="folders of Linux")
def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.delenv(places.VARIABLE)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert places.cache_folder() == tmp_path / ".cache" / "icas"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "given"))
    assert places.cache_folder() == tmp_path / "given" / "icas"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # such ones are to be ignored
    assert places.cache_folder() == tmp_path / ".cache" / "icas"
    monkeypatch.setenv(places.VARIABLE, str(tmp_path / "own"))
    assert places.cache_folder() == tmp_path / "own"


def test_a_user_without_a_home_has_no_cache(monkeypatch, caplog):
    monkeypatch.delenv(places.VARIABLE)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    with pytest.raises(IcasError, match="ICAS_CACHE"):
        places.cache_folder()
    assert open_cache(None) is NO_CACHE
    assert len(caplog.records) == 1


def test_the_deep_method_keeps_what_does_not_depend_on_models(folder, tmp_path, read, request):
    request.getfixturevalue("torch")
    options = {"model": "squeezenet1_0", "weights": "random", "size": (64, 64)}
    icas.features(folder, method="deep", cache=tmp_path / "kept", **options)
    read.clear()
    found = icas.features(folder, method="deep", cache=tmp_path / "kept", dims=4, **options)
    assert read == []
    assert same(found, icas.features(folder, method="deep", dims=4, **options))
    method = make_method("deep", **options)
    assert (
        recipe_of(method, 10, None, None).digest
        != recipe_of(replace(method, weights=None), 10, None, None).digest
    )
    assert recipe_of(replace(method, model=object()), 10, None, None) is None
