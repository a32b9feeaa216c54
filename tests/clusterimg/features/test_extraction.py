"""Files -> features: order, what is unreadable, and JPEGs decoded at a fraction of their size."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from numpy.typing import NDArray
from PIL import Image as PillowImage
from skimage import data as samples

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.features import extraction as reading_module
from icas.clusterimg.features.extraction import CHUNK, TASKS_EACH, FeatureIndex, Reading
from icas.clusterimg.methods import make_method
from icas.clusterimg.methods.base import Method
from icas.io.reading import Image, image_size, read_image
from icas.parallel.executors import Workers, start_workers

INTO_FOLDER = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def exif(orientation: int) -> bytes:
    block = PillowImage.Exif()
    block[274] = orientation
    return block.tobytes()


def jpeg(folder: Path, width: int, height: int, orientation: int = 1) -> Path:
    picture = PillowImage.fromarray(samples.astronaut()).resize((width, height))
    path = folder / f"{width}x{height}-{orientation}.jpg"
    picture.save(path, quality=90, exif=exif(orientation))
    return path


@INTO_FOLDER
@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    enough=st.tuples(st.integers(1, 80), st.integers(1, 80)),
    orientation=st.integers(1, 8),
)
def test_reduced_pictures_are_large_enough(
    tmp_path: Path, size: tuple[int, int], enough: tuple[int, int], orientation: int
) -> None:
    path = jpeg(tmp_path, *size, orientation)
    width, height = image_size(path)
    found = read_image(path, at_least=enough)
    # The smallest of the four sizes that are decoded with both sides large enough.
    steps = [step for step in (8, 4, 2) if min(width // enough[0], height // enough[1]) >= step]
    step = steps[0] if steps else 1
    assert found.shape == (-(-height // step), -(-width // step), 3)
    assert found.shape[1] >= min(width, enough[0])
    assert found.shape[0] >= min(height, enough[1])
    assert found.flags.c_contiguous
    assert found.flags.owndata


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(("side", "step"), [(600, 1), (400, 1), (200, 2), (75, 4), (50, 8), (1, 8)])
def test_the_longer_side_alone(tmp_path: Path, orientation: int, side: int, step: int) -> None:
    found = read_image(jpeg(tmp_path, 400, 100, orientation), at_least=side)
    assert sorted(found.shape[:2]) == [-(-100 // step), 400 // step]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_reduced_pictures_are_turned(tmp_path: Path, orientation: int) -> None:
    path = jpeg(tmp_path, 320, 240, orientation)
    whole = read_image(path)
    small = read_image(path, at_least=(60, 60))
    assert small.shape[0] * 4 == whole.shape[0]
    means = whole.reshape(small.shape[0], 4, small.shape[1], 4, 3).mean((1, 3))
    assert np.abs(small - means).mean() < 3


def test_other_formats_come_whole(tmp_path: Path) -> None:
    picture = PillowImage.fromarray(samples.astronaut())
    for name in ("a.png", "a.webp", "a.gif", "a.tif", "a.bmp", "a.jp2"):
        picture.save(tmp_path / name)
        assert read_image(tmp_path / name, at_least=(10, 10)).shape == (512, 512, 3)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_reduced_gray_and_cmyk(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.jpg"
    PillowImage.fromarray(samples.astronaut()).convert(mode).save(path, quality=95)
    small = read_image(path, at_least=(100, 100))
    assert small.shape == (128, 128, 3)
    means = read_image(path).reshape(128, 4, 128, 4, 3).mean((1, 3))
    assert np.abs(small - means).mean() < 3


def test_what_the_methods_need() -> None:
    assert make_method("imagehash").decode_size() == (256, 256)
    assert make_method("imagehash", hash_size=16, highfreq_factor=2).decode_size() == (256, 256)
    assert make_method("imagehash", size=(50, 40)).decode_size() == (400, 320)
    assert make_method("ssim", size=(50, 40)).decode_size() == (200, 160)
    assert make_method("tm").decode_size() == (80, 80)
    assert make_method("minhash").decode_size() == (768, 768)
    assert make_method("orb").decode_size() == 1024
    assert make_method("orb", size=(100, 90)).decode_size() == (400, 360)
    assert make_method("deep").decode_size((160, 160)) == (1280, 1280)
    assert make_method("deep").decode_size() is None


@dataclass(frozen=True)
class Shapes(Method):
    """A method that says how large the pictures came."""

    wanted: tuple[int, int] | None = None
    name: ClassVar[str] = "shapes"
    tile: ClassVar[int] = 64
    default_threshold: ClassVar[float] = 0.5

    def decode_size(self, size: object = None) -> tuple[int, int] | None:
        return self.wanted

    def extract(self, images: object) -> FeatureSet:
        found = [image.shape[:2] for image in images]  # type: ignore[attr-defined]
        return FeatureSet(self.name, {"shape": np.array(found, np.int64).reshape(-1, 2)})

    def similarity(self, a: FeatureSet, b: FeatureSet) -> NDArray[np.float32]:
        raise NotImplementedError


def refs(paths: list[Path]) -> list[ImageRef]:
    return [ImageRef(path, path.name) for path in paths]


def test_a_method_of_one_s_own_says_what_is_enough(tmp_path: Path) -> None:
    paths = [jpeg(tmp_path, 400, 320), jpeg(tmp_path, 400, 320, 6), jpeg(tmp_path, 90, 80)]
    method: Method = Shapes((90, 70))
    assert Reading(method).raw(refs(paths)).array.tolist() == [[80, 100], [200, 160], [80, 90]]
    assert Reading(Shapes()).raw(refs(paths)).array.tolist() == [[320, 400], [400, 320], [80, 90]]
    halved = Reading(method, scale=0.5).raw(refs(paths))
    assert halved.array.tolist() == [[160, 200], [200, 160], [40, 45]]


@pytest.mark.parametrize("name", ["ssim", "tm"])
def test_reduced_decoding_changes_little(name: str, tmp_path: Path) -> None:
    method = make_method(name, size=(32, 32))
    paths = []
    for place, sample in enumerate(("astronaut", "coffee", "retina", "hubble_deep_field")):
        paths.append(tmp_path / f"{place}.jpg")
        PillowImage.fromarray(getattr(samples, sample)()).save(paths[-1], quality=90)
    reduced = Reading(method).raw(refs(paths))
    whole = method.extract(read_image(path) for path in paths)
    difference = method.similarity(reduced, whole) - method.similarity(whole, whole)
    assert np.abs(difference).max() < 0.01
    assert not np.array_equal(reduced.array, whole.array)


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_any_number_of_workers_gives_the_same(kind: str, photos: Path) -> None:
    images = refs(sorted(photos.iterdir()))
    method = make_method("imagehash")
    alone = Reading(method).raw(images)
    with start_workers(kind, 2) as workers:
        together = Reading(method, workers).raw(images)
    assert together.files == alone.files == tuple(ref.file for ref in images)
    np.testing.assert_array_equal(together.array, alone.array)


@pytest.mark.parametrize("count", [0, 1, 5, 99, 1000, 10_000])
@pytest.mark.parametrize("jobs", [1, 2, 16])
def test_every_worker_has_several_tasks(
    count: int, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def noted(method: Method, images: list[ImageRef], how: object) -> FeatureSet:
        sizes.append(len(images))
        return FeatureSet(method.name, {"number": np.zeros(len(images), np.uint8)})

    monkeypatch.setattr(reading_module, "extract_chunk", noted)
    images = refs([Path(f"{number}.jpg") for number in range(count)])
    found = Reading(Reads(), Workers(None, jobs)).raw(images)
    assert len(found) == sum(sizes) == count
    assert max(sizes) <= CHUNK
    assert len(sizes) >= min(max(1, count), TASKS_EACH * jobs) // 2


def number_of(image: Image) -> int:
    return int(image[0, 0, 0])


@dataclass(frozen=True)
class Reads(Method):
    """A method whose features are the first value of each picture."""

    name: ClassVar[str] = "reads"
    tile: ClassVar[int] = 64
    default_threshold: ClassVar[float] = 0.5

    def extract(self, images: object) -> FeatureSet:
        found = [number_of(image) for image in images]  # type: ignore[attr-defined]
        return FeatureSet(self.name, {"number": np.array(found, np.uint8)})

    def similarity(self, a: FeatureSet, b: FeatureSet) -> NDArray[np.float32]:
        raise NotImplementedError


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> list[ImageRef]:
    """Thirty files; every seventh is no picture, the others tell their number."""
    folder = tmp_path_factory.mktemp("numbered")
    for number in range(30):
        path = folder / f"{number:02}.png"
        if number % 7 == 3:
            path.write_text("no picture")
        else:
            PillowImage.new("RGB", (3, 3), (number, 0, 0)).save(path)
    return refs(sorted(folder.iterdir()))


@settings(max_examples=40, deadline=None)
@given(known=st.sets(st.integers(0, 29)), wanted=st.lists(st.integers(0, 29), unique=True))
def test_what_is_known_is_not_read_again(
    numbered: list[ImageRef], known: set[int], wanted: list[int]
) -> None:
    read: list[str] = []

    def noted(path: Path, **how: object) -> Image:
        read.append(path.name)
        return read_image(path)

    reading = Reading(Reads(), Workers(None, 3))
    before = FeatureIndex.of(reading.raw([numbered[number] for number in sorted(known)]))
    images = [numbered[number] for number in wanted]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading_module, "read_image", noted)
        found = reading.raw(images, before)
    readable = [number for number in wanted if number % 7 != 3]
    assert found.array.tolist() == readable
    assert found.files == tuple(numbered[number].file for number in readable)
    assert [one.file for one in found.unreadable] == [
        numbered[number].file for number in wanted if number % 7 == 3
    ]
    assert read == [numbered[number].file for number in wanted if number not in known]


def test_features_of_a_folder_batch_by_batch(numbered: list[ImageRef]) -> None:
    reading = Reading(Reads())
    folder = reading.scan_features(numbered, seed=1, sample=10)
    batches = [folder.features(numbered[part]) for part in (slice(0, 12), slice(12, 30))]
    values = list(itertools.chain(*(batch.array.tolist() for batch in batches)))
    assert values == [number for number in range(30) if number % 7 != 3]
    chosen = folder.sample(4, seed=1)
    assert len(chosen) == 4
    assert [f"{number:02}.png" for number in chosen.array] == list(chosen.files)
