"""Processes give what threads give, and leave nothing behind, whatever ends them."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given as drawn, settings, strategies as st
from PIL import Image

import icas
from icas.cli.console import Console
from icas.clusterimg.clustering.cohesion import cohesions_of
from icas.clusterimg.commands.main import main
from icas.clusterimg.graph.forest import members_of, number_clusters
from icas.clusterimg.linking.tiles import all_links, links_across
from icas.clusterimg.methods.imagehash import ImageHash
from icas.clusterimg.pipeline import pipeline
from icas.clusterimg.settings import ClusterSettings
from icas.parallel.executors import ALONE, Workers
from icas.parallel.pool import Here, run_all

SECONDS = 60
TABLES = ("clusters.csv", "certificate.csv", "unreadable.csv")
posix = pytest.mark.skipif(os.name == "nt", reason="no signals for a group of processes")


def tables(dst: Path) -> dict[str, bytes]:
    """Everything that says what the clusters are."""
    paths = [*(dst / name for name in TABLES), *sorted((dst / "similarities").iterdir())]
    return {path.relative_to(dst).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.parametrize(
    "merge", ["exact", pytest.param("representatives", marks=pytest.mark.slow)]
)
def test_processes_give_what_threads_give(crowd, tmp_path, method_and_options, merge, monkeypatch):
    monkeypatch.setattr("icas.clusterimg.linking.tiles.side_of", lambda *_: 8)
    found = []
    for number, executor in enumerate(("threads", "processes")):
        icas.cluster(
            crowd,
            dst=tmp_path / str(number),
            merge=merge,
            batch_size=20,
            transfer="none",
            report=False,
            executor=executor,
            jobs=2,
            **method_and_options,
        )
        found.append(tables(tmp_path / str(number)))
    assert found[0] == found[1]


class Assassin(Console):
    """Ends the worker processes when a bar has moved."""

    def bar(self, total, what, unit):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def update(self, steps: int) -> None:
        for process in multiprocessing.active_children():
            os.kill(process.pid, signal.SIGKILL)


@posix
def test_a_worker_that_is_killed_is_told_and_nothing_is_written(crowd, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "scratch").mkdir()
    given = ClusterSettings(dst=tmp_path / "out", method="orb", executor="processes", jobs=2)
    with pytest.raises(icas.IcasError, match="a worker process died") as found:
        pipeline.run(crowd, given, Assassin())
    assert "\n" not in str(found.value)
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / "scratch").iterdir())


@pytest.fixture
def underway(crowd, tmp_path):
    """A run with processes in the middle of its links, and its worker processes."""
    psutil = pytest.importorskip("psutil", reason="psutil is not installed")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    code = (
        "import icas.clusterimg.linking.tiles as similarity, icas.clusterimg.commands.main as cli\n"
        "similarity.side_of = lambda *_: 8\n"
        "if __name__ == '__main__': raise SystemExit(cli.main())"
    )
    words = ["--method", "orb", "--keypoints", "2000", "--match-bits", "128", "--threshold", "0.3"]
    words += ["--no-report", "--executor", "processes", "--jobs", "2", "--batch-size", "1000"]
    script = tmp_path / "run.py"
    script.write_text(code)
    run = subprocess.Popen(
        [sys.executable, str(script), str(crowd), *words, "--dst", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(scratch), "ICAS_KERNELS": "numpy"},
    )
    end = time.monotonic() + SECONDS
    while not any(path.stat().st_size for path in scratch.glob("icas-*/*")):
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
    yield run, scratch, psutil.Process(run.pid).children(recursive=True), psutil
    if run.poll() is None:
        os.killpg(run.pid, signal.SIGKILL)


@posix
def test_ctrl_c_leaves_neither_processes_nor_files(underway, tmp_path):
    run, scratch, children, psutil = underway
    assert len(children) >= 2
    os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=SECONDS)
    assert (run.returncode, err) == (130, "clusterimg: interrupted\n")
    assert not psutil.wait_procs(children, timeout=10)[1]
    assert not list(scratch.iterdir())
    assert not (tmp_path / "out").exists()


@posix
def test_a_killed_run_takes_its_workers_and_files_along(underway):
    run, scratch, children, psutil = underway
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert not psutil.wait_procs(children, timeout=10)[1]
    assert not list(scratch.iterdir())


class Elsewhere:
    """A pool to which everything is sent as bytes, as to another machine."""

    def group_size(self, function):
        return 2

    def submit(self, function, tasks):
        return pickle.loads(pickle.dumps(run_all(function, pickle.loads(pickle.dumps(tasks)))))

    def results(self, future):
        return future

    def drop(self, futures):
        pass

    def share(self, value):
        return Here(value)

    def reading(self, files):
        return self


AWAY = Workers(Elsewhere(), 3, remote=True)


@pytest.mark.parametrize("executor", ["threads", "processes", "dask"])
@pytest.mark.parametrize("isolate", ["--isolate", "--no-isolate"])
def test_scaled_depths_are_noted_once(tmp_path, capsys, executor, isolate):
    if executor == "dask":
        pytest.importorskip("distributed", reason="Dask is not installed")
    (tmp_path / "deep").mkdir()
    for number in range(5):
        values = np.indices((40, 50)).sum(0) * (number + 9) % 4096
        Image.fromarray(values.astype(np.uint16)).save(tmp_path / "deep" / f"{number}.png")
    words = ["--threshold", "0.9", "--executor", executor, isolate, "--transfer", "none"]
    assert main([str(tmp_path / "deep"), *words, "--no-cache", "--jobs", "2"]) == 0
    assert capsys.readouterr().err.count("scaled by the bits used") == 1


def codes(count: int, seed: int) -> icas.FeatureSet:
    """Bit codes, some of them near one another."""
    rng = np.random.default_rng(seed)
    few = rng.integers(0, 256, (4, 2), np.uint8)
    noise = rng.integers(0, 256, (count, 2), np.uint8) & rng.integers(0, 256, (count, 2), np.uint8)
    return icas.FeatureSet.from_bits(few[rng.integers(0, 4, count)] ^ (noise & 37))


@settings(deadline=None)
@drawn(st.lists(st.integers(0, 12), min_size=1, max_size=7), st.integers(1, 9), st.integers(0, 99))
def test_links_across_parts_are_all_links_but_those_inside(lengths, side, seed):
    method, features = ImageHash(), codes(sum(lengths), seed)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    parts = [features[a:b] for a, b in pairwise(starts.tolist())]
    home = np.repeat(np.arange(len(lengths)), lengths)
    whole = all_links(method, features, 0.7)
    wanted = whole.structured()[home[whole.a] != home[whole.b]]
    pairs = int((home[:, None] < home).sum())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("icas.clusterimg.linking.tiles.side_of", lambda *_: side)
        for workers in (ALONE, AWAY):
            found, compared = links_across(method, parts, 0.7, workers)
            assert np.array_equal(found.structured(), wanted)
            assert compared == pairs
            within = all_links(method, features, 0.7, workers)
            assert np.array_equal(within.structured(), whole.structured())


@settings(deadline=None)
@drawn(st.lists(st.integers(-1, 3), min_size=2, max_size=40), st.integers(1, 7), st.integers(0, 99))
def test_cohesions_do_not_depend_on_tiles_or_workers(groups, side, seed):
    method, features = ImageHash(), codes(len(groups), seed)
    labels = number_clusters(np.array(groups, np.int64))
    values = method.similarity(features, features).astype(np.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("icas.clusterimg.clustering.cohesion.TASK_SIDE", side)
        patch.setattr("icas.clusterimg.clustering.cohesion.TASK_PAIRS", side)
        patch.setattr(ImageHash, "tile", max(1, side - 2))
        for workers in (ALONE, AWAY):
            found = cohesions_of(method, features, labels, workers=workers)
            for one, inside in zip(found, members_of(labels), strict=True):
                block = values[np.ix_(inside, inside)]
                assert one.least_similar_pair == block.min()
                assert block.sum(axis=1)[inside == one.medoid] == block.sum(axis=1).max()
