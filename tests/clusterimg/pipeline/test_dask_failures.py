"""What goes wrong with a Dask cluster is told in one line."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import icas
from icas.clusterimg.pipeline import pipeline
from icas.clusterimg.settings import ClusterSettings
from icas.parallel.executors import start_workers

pytest.importorskip("distributed", reason="Dask is not installed: pip install 'icas[dask]'")

_SPEC = importlib.util.spec_from_file_location(
    "dask_cluster", Path(__file__).with_name("dask_cluster.py")
)
processes = importlib.util.module_from_spec(_SPEC)
sys.modules["dask_cluster"] = processes  # dataclasses look there
_SPEC.loader.exec_module(processes)
Killer, started, SECONDS = processes.Killer, processes.started, processes.SECONDS


def test_a_lost_scheduler_is_told(crowd, tmp_path, monkeypatch):
    monkeypatch.setattr("icas.clusterimg.linking.tiles.side_of", lambda *_: 8)
    settings = ClusterSettings(
        method="ssim", threshold=0.3, report=False, dst=tmp_path / "out", executor="dask"
    )
    with started(tmp_path, 1) as own:
        killer = Killer(what="links", after=2, victims=(own.scheduler,))
        with pytest.raises(icas.IcasError, match=r"scheduler at tcp://127.* was lost"):
            pipeline.run(crowd, replace(settings, scheduler=own.address), killer)
    assert not (tmp_path / "out").exists()


def test_a_cluster_whose_workers_all_die_is_told(crowd, tmp_path, monkeypatch):
    monkeypatch.setattr("icas.clusterimg.linking.tiles.side_of", lambda *_: 8)
    monkeypatch.setattr("icas.parallel.dask_cluster.PATIENCE", 1.0)
    settings = ClusterSettings(
        method="ssim", threshold=0.3, report=False, dst=tmp_path / "out", executor="dask"
    )
    with started(tmp_path, 2) as own:
        killer = Killer(what="links", after=2, victims=tuple(own.workers))
        with pytest.raises(icas.IcasError, match="no workers for 1 seconds"):
            pipeline.run(crowd, replace(settings, scheduler=own.address), killer)


def test_a_scheduler_without_workers_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("icas.parallel.dask_cluster.CONNECT", 1)
    with (
        started(tmp_path, 0) as own,
        pytest.raises(icas.IcasError, match="no workers: start some with dask worker tcp://"),
        start_workers("dask", None, own.address),
    ):
        pass


WITHOUT_ICAS = "import sys; sys.modules['icas'] = None"
OLD_ICAS = "import icas._version; icas._version.__version__ = '0.0.1'"
OLD_NUMPY = """
import distributed.versions as versions
version = versions.version
versions.version = lambda name: '1.0' if name == 'numpy' else version(name)
"""
BLIND = """
import builtins
opened = open
def blind(path, *more, **others):
    if str(path).startswith(FOLDER):
        raise FileNotFoundError(2, "No such file or directory", path)
    return opened(path, *more, **others)
builtins.open = blind
"""


@pytest.mark.parametrize(
    ("first", "told"),
    [
        (WITHOUT_ICAS, r"Dask worker tcp://.* cannot import icas"),
        (OLD_ICAS, r"Dask worker tcp://.* has icas 0\.0\.1, this machine has .*"),
        (OLD_NUMPY, r"Dask worker tcp://.* has numpy 1\.0 \(here .*\): install the same"),
        (BLIND, r"the Dask worker on .* cannot read .*images need the same path on every"),
    ],
    ids=["no icas", "old icas", "old numpy", "no folder"],
)
def test_workers_that_are_not_like_this_machine_are_told(crowd, tmp_path, first, told):
    first = f"FOLDER = {str(crowd)!r}\n{first}"
    with (
        started(tmp_path, 1, first=first) as own,
        pytest.raises(icas.IcasError, match=told) as found,
    ):
        icas.cluster(crowd, dst=tmp_path / "out", executor="dask", scheduler=own.address)
    assert "\n" not in str(found.value)
    assert not (tmp_path / "out").exists()


MORTAL = """
import os, pathlib
deaths = pathlib.Path({folder!r})
deaths.joinpath(str(len(list(deaths.iterdir())))).touch()
if len(list(deaths.iterdir())) <= {deaths}:
    os._exit(1)
"""


@pytest.mark.slow
def test_a_task_may_take_three_workers_with_it_and_not_four(tmp_path):
    with start_workers("dask", 1) as workers:
        few, many = tmp_path / "few", tmp_path / "many"
        few.mkdir()
        many.mkdir()
        assert list(workers.ordered(exec, [(MORTAL.format(folder=str(few), deaths=3),)])) == [None]
        assert len(list(few.iterdir())) == 4
        with pytest.raises(icas.IcasError, match="crashed 4 Dask workers"):
            list(workers.ordered(exec, [(MORTAL.format(folder=str(many), deaths=9),)]))


def command(*words: str, **more) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "icas.clusterimg", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **more,
    )


def test_nothing_but_results_is_said(crowd, tmp_path):
    words = [str(crowd), "--method", "tm", "--transfer", "none", "--executor", "dask"]
    with started(tmp_path, 1) as own:
        for number, more in enumerate((["--jobs", "2"], ["--scheduler", own.address])):
            done = command(*words, "--dst", str(tmp_path / str(number)), *more)
            _, err = done.communicate(timeout=SECONDS)
            assert (done.returncode, err) == (0, "")


@pytest.mark.skipif(os.name == "nt", reason="no Ctrl+C for a group of processes")
def test_ctrl_c_ends_a_local_cluster(crowd, tmp_path):
    psutil = pytest.importorskip("psutil")
    words = [str(crowd), "--method", "orb", "--executor", "dask", "--jobs", "2"]
    run = command(*words, "--dst", str(tmp_path / "out"))
    end = time.monotonic() + SECONDS
    while len(found := psutil.Process(run.pid).children(recursive=True)) < 3:
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(1)
    os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=SECONDS)
    assert (run.returncode, err) == (130, "clusterimg: interrupted\n")
    assert not psutil.wait_procs(found, timeout=10)[1]
    assert not (tmp_path / "out").exists()
