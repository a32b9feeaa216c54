"""Runs with --isolate: the same results, and a file that breaks its decoder costs that file."""

from __future__ import annotations

import csv
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import icas
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.features.extraction import Decoding, Reading, isolation_of, read_chunk
from icas.clusterimg.methods import make_method
from icas.clusterimg.methods.base import Method
from icas.clusterimg.settings import ClusterSettings
from icas.common.errors import UsageError
from icas.io.sandbox import DECODERS, Isolation
from icas.parallel.executors import start_workers

_SPEC = importlib.util.spec_from_file_location(
    "breaking_decoders", Path(__file__).parents[2] / "io" / "breaking_decoders.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
breaking = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(breaking)

posix = pytest.mark.skipif(os.name == "nt", reason="no signals")
dask = pytest.param(
    "dask",
    marks=pytest.mark.skipif(
        importlib.util.find_spec("distributed") is None, reason="dask is not installed"
    ),
)
REASONS = {
    "crash": "the decoder crashed",
    "abort": "the decoder crashed",
    "hang": "took longer than 3 s to decode",
    "hold": "took longer than 3 s to decode",
    "memory": "not enough memory for its pixels",
    "kill": "needs too much memory to decode",
}


def tables(dst: Path) -> dict[str, bytes]:
    """Everything that says what the clusters are."""
    names = ("clusters.csv", "certificate.csv", "unreadable.csv")
    paths = [*(dst / name for name in names), *sorted((dst / "similarities").iterdir())]
    return {path.relative_to(dst).as_posix(): path.read_bytes() for path in paths}


def test_results_are_the_same(crowd, tmp_path, method_and_options) -> None:
    check_results(crowd, tmp_path, "threads", method_and_options)


@pytest.mark.parametrize("executor", ["processes", dask])
def test_they_are_the_same_with_other_processes(crowd, tmp_path, executor) -> None:
    check_results(crowd, tmp_path, executor, {"method": "imagehash"})


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["processes", dask])
def test_they_are_by_every_method(crowd, tmp_path, method_and_options, executor) -> None:
    check_results(crowd, tmp_path, executor, method_and_options)


def check_results(crowd: Path, tmp_path: Path, executor: str, method_and_options: dict) -> None:
    folder = tmp_path / "images"
    shutil.copytree(crowd, folder)
    folder.joinpath("text.jpg").write_text("no picture")
    whole = next(folder.glob("*.jpg")).read_bytes()
    folder.joinpath("cut.jpg").write_bytes(whole[: len(whole) // 2])
    found = []
    for number, isolate in enumerate((False, True)):
        icas.cluster(
            folder,
            dst=tmp_path / str(number),
            transfer="none",
            report=False,
            cache=False,
            executor=executor,
            isolate=isolate,
            jobs=1 + number,
            **method_and_options,
        )
        found.append(tables(tmp_path / str(number)))
    assert found[0] == found[1]


@pytest.fixture
def broken_apart(tmp_path, monkeypatch) -> None:
    """The processes that decode break; this one would find no such reader."""
    monkeypatch.setenv("PYTHONPATH", breaking.install(tmp_path)["PYTHONPATH"])
    monkeypatch.syspath_prepend(Path(breaking.__file__).parent)


def clusterimg(folder: Path, dst: Path, environment: dict[str, str], *words: str) -> Any:
    command = [sys.executable, "-m", "icas.clusterimg", str(folder), "--dst", str(dst)]
    command += ["--method", "imagehash", "--threshold", "0.8", "--no-cache", "--jobs", "2"]
    return subprocess.run(
        [*command, *words], env=environment, capture_output=True, text=True, timeout=240
    )


@posix
@pytest.mark.parametrize(
    "words",
    [
        ("--isolate",),
        ("--executor", "processes"),
        pytest.param(("--executor", "dask"), marks=[*dask.marks, pytest.mark.slow]),
    ],
    ids=" ".join,
)
def test_files_that_break_their_decoder_cost_no_other(own_photos, tmp_path, words) -> None:
    environment = breaking.install(tmp_path)
    clusterimg(own_photos, tmp_path / "good", environment)
    for way in REASONS:
        own_photos.joinpath(f"{way}.jpg").write_bytes(b"8BPS\0\1" + way.encode())
    run = clusterimg(own_photos, tmp_path / "out", environment, *words, "--decode-timeout", "3")
    assert run.returncode == 3, run.stderr
    assert "Traceback" not in run.stderr
    assert f"{len(REASONS)} unreadable" in run.stdout.splitlines()[-1]
    with (tmp_path / "out" / "unreadable.csv").open() as file:
        told = {row["file"]: row["reason"] for row in csv.DictReader(file)}
    assert told == {f"{way}.jpg": reason for way, reason in REASONS.items()}
    good = (tmp_path / "good" / "clusters.csv").read_text()
    assert (tmp_path / "out" / "clusters.csv").read_text() == good
    pages = [(tmp_path / name / "report.html").read_text() for name in ("good", "out")]
    thumbnails = [page.count("data:image/jpeg") for page in pages]
    assert thumbnails[0] == thumbnails[1] >= good.count("\n") - 1


@posix
def test_without_it_such_a_file_ends_the_run(own_photos, tmp_path) -> None:
    """Or the test above would show nothing."""
    own_photos.joinpath("crash.jpg").write_bytes(b"8BPS\0\1crash")
    run = clusterimg(own_photos, tmp_path / "out", breaking.install(tmp_path), "--no-isolate")
    assert run.returncode == -signal.SIGSEGV


@posix
def test_a_picture_that_breaks_only_the_page_is_left_out_of_it(
    own_photos, tmp_path, broken_apart
) -> None:
    """The file changes while images are compared: the page would be its first reader."""
    report = icas.cluster(
        own_photos,
        method="imagehash",
        dst=tmp_path / "out",
        executor="processes",
        jobs=1,
        cache=False,
        threshold=0.8,
    )
    from icas.cli.console import Console
    from icas.clusterimg.html.thumbnails import make_thumbnails

    images = [own_photos / file for file in report.files]
    images[3].write_bytes(b"8BPS\0\1crash")
    isolation = isolation_of(report.settings)
    assert isolation is not None
    made = make_thumbnails(images, 10**6, 2, Console(), isolation)
    assert [number for number, one in enumerate(made) if one is None] == [3]


@posix
@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_ctrl_c_does_not_wait_for_a_decoder(own_photos, tmp_path, executor) -> None:
    psutil = pytest.importorskip("psutil", reason="psutil is not installed")
    own_photos.joinpath("hang.jpg").write_bytes(b"8BPS\0\1hang")
    command = [sys.executable, "-m", "icas.clusterimg", str(own_photos), "--dst"]
    command += [str(tmp_path / "out"), "--isolate", "--executor", executor, "--jobs", "2"]
    command += ["--decode-timeout", "600", "--no-cache", "--threshold", "0.8"]
    run = subprocess.Popen(
        command,
        env=breaking.install(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    children: list[Any] = []
    end = time.monotonic() + 60
    while time.monotonic() < end:
        children = psutil.Process(run.pid).children(recursive=True)
        if any("sandbox_worker" in " ".join(one.cmdline()) for one in children):
            break
        time.sleep(0.05)
    time.sleep(2.0)  # until the picture is being decoded
    os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130, err
    assert err.splitlines()[-1] == "clusterimg: interrupted"
    assert not psutil.wait_procs(children, timeout=20)[1]


@dataclass(frozen=True)
class Corner(Method):
    """A method of a script: another process cannot know it."""

    name: ClassVar[str] = "corner"
    tile: ClassVar[int] = 64
    default_threshold: ClassVar[float] = 0.5

    def extract(self, images: Any) -> FeatureSet:
        found = [int(image[0, 0, 0]) for image in images]
        return FeatureSet(self.name, {"corner": np.array(found, np.uint8)})

    def similarity(self, a: FeatureSet, b: FeatureSet) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize("method", [Corner(), make_method("imagehash")], ids=["own", "ours"])
@pytest.mark.parametrize("scale", [None, 0.5])
def test_features_are_those_without_it(method, scale, photos, tmp_path) -> None:
    paths = [*sorted(photos.iterdir()), tmp_path / "nothing.jpg"]
    images = [ImageRef(path, path.name) for path in paths]
    plain = Reading(method, scale=scale).raw(images)
    with start_workers("threads", 2) as workers, DECODERS:
        isolation = Isolation.of(60, 10**7)
        apart = Reading(method, workers, scale=scale, isolation=isolation).raw(images)
    assert plain.files == apart.files
    assert plain.unreadable == apart.unreadable
    assert plain.settings == apart.settings
    for name, array in plain.arrays.items():
        np.testing.assert_array_equal(array, apart.arrays[name])


@pytest.mark.parametrize("scale", [None, 0.5])
def test_pictures_for_a_network_are_read_apart(scale, own_photos, broken_apart) -> None:
    """Methods that one process computes get them at their size, in order."""
    own_photos.joinpath("b-hang.jpg").write_bytes(b"8BPS\0\1hang")
    own_photos.joinpath("c-abort.jpg").write_bytes(b"8BPS\0\1abort")
    own_photos.joinpath("d-text.jpg").write_bytes(b"text")
    images = [ImageRef(path, path.name) for path in sorted(own_photos.iterdir())]
    good = [ref for ref in images if not ref.file.startswith(("b-", "c-"))]
    plain = read_chunk(good, Decoding(10**7, scale, None), (32, 24))
    apart = read_chunk(images, Decoding(10**7, scale, None, Isolation.of(2, 10**7)), (32, 24))
    assert apart[1] == plain[1]
    np.testing.assert_array_equal(apart[0], plain[0])
    assert [(one.file, one.reason) for one in apart[2]] == [
        ("b-hang.jpg", "took longer than 2 s to decode"),
        ("c-abort.jpg", "the decoder crashed"),
        ("d-text.jpg", "not an image (text)"),
    ]


def test_a_folder_of_breaking_files_alone(tmp_path, broken_apart) -> None:
    images = []
    for number in range(5):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(b"8BPS\0\1abort")
        images.append(ImageRef(path, path.name))
    with DECODERS:
        found = Reading(make_method("imagehash"), isolation=Isolation.of(60, 10**7)).raw(images)
    assert len(found) == 0
    assert [one.file for one in found.unreadable] == [ref.file for ref in images]
    assert {one.reason for one in found.unreadable} == {"the decoder crashed"}


def test_common_sizes_are_asked_for_apart_too(own_photos, broken_apart) -> None:
    from icas.clusterimg.features.inputs import with_common_scale

    images = [ImageRef(path, path.name) for path in sorted(own_photos.iterdir())]
    plain = with_common_scale(make_method("ssim"), images, 0.5, 10**7)
    bad = own_photos / "crash.jpg"
    bad.write_bytes(b"8BPS\0\1crash")
    isolation = Isolation.of(60, 10**7)
    images.append(ImageRef(bad, bad.name))
    assert with_common_scale(make_method("ssim"), images, 0.5, 10**7, isolation) == plain


@pytest.mark.parametrize(
    ("given", "on"),
    [
        ({}, False),
        ({"executor": "processes"}, True),
        ({"executor": "dask"}, True),
        ({"executor": "processes", "isolate": False}, False),
        ({"isolate": True}, True),
    ],
)
def test_it_is_on_where_workers_are_processes(given, on) -> None:
    isolation = ClusterSettings(**given).isolation()
    assert (isolation is not None) == on
    if isolation is not None:
        assert isolation.timeout == 60


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "soon"])
def test_a_time_that_is_none_is_refused(seconds) -> None:
    with pytest.raises(UsageError, match="decode_timeout"):
        ClusterSettings(decode_timeout=seconds)
