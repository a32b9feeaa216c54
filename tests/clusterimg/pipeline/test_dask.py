"""A Dask cluster of a scheduler and three workers gives what threads give, whoever dies."""

from __future__ import annotations

import importlib.util
import re
import shlex
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import icas
from icas.clusterimg.api.functions import make_settings
from icas.clusterimg.pipeline import pipeline
from icas.clusterimg.settings import ClusterSettings

pytest.importorskip("distributed", reason="Dask is not installed: pip install 'icas[dask]'")

_SPEC = importlib.util.spec_from_file_location(
    "dask_cluster", Path(__file__).with_name("dask_cluster.py")
)
processes = importlib.util.module_from_spec(_SPEC)
sys.modules["dask_cluster"] = processes  # dataclasses look there
_SPEC.loader.exec_module(processes)
Killer, started, SECONDS = processes.Killer, processes.started, processes.SECONDS

TABLES = ("clusters.csv", "certificate.csv", "unreadable.csv")
PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "large-folders.md"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with started(tmp_path_factory.mktemp("dask"), 3) as found:
        yield found


def tables(dst: Path) -> dict[str, bytes]:
    """Everything that says what the clusters are."""
    paths = [*(dst / name for name in TABLES), *sorted((dst / "similarities").iterdir())]
    return {path.relative_to(dst).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.parametrize(
    "merge", ["representatives", pytest.param("exact", marks=pytest.mark.slow)]
)
def test_a_cluster_gives_what_threads_give(cluster, crowd, tmp_path, method_and_options, merge):
    found = []
    for number, how in enumerate(({"jobs": 2}, {"executor": "dask", "scheduler": cluster.address})):
        icas.cluster(
            crowd,
            dst=tmp_path / str(number),
            merge=merge,
            batch_size=20,
            transfer="none",
            report=False,
            **how,
            **method_and_options,
        )
        found.append(tables(tmp_path / str(number)))
    assert found[0] == found[1]


def test_python_goes_step_by_step_on_a_cluster(cluster, crowd, monkeypatch):
    how = {"executor": "dask", "scheduler": cluster.address}
    monkeypatch.chdir(crowd.parent)
    here = icas.features(crowd.name, method="orb")
    there = icas.features(crowd.name, method="orb", **how)  # a path that workers know otherwise
    assert here.files == there.files
    assert all((here.arrays[name] == there.arrays[name]).all() for name in here.arrays)
    assert (icas.links(here, 0.1) == icas.links(there, 0.1, **how)).all()


@pytest.mark.parametrize(
    ("method", "bar", "dead"),
    [
        ("orb", "features", 1),
        ("ssim", "links", 2),
        pytest.param("orb", "links", 1, marks=pytest.mark.slow),
        pytest.param("minhash", "features", 2, marks=pytest.mark.slow),
    ],
)
def test_workers_killed_in_the_middle_change_nothing(
    crowd, tmp_path, method, bar, dead, monkeypatch
):
    monkeypatch.setattr("icas.clusterimg.features.extraction.CHUNK", 2)
    monkeypatch.setattr("icas.clusterimg.linking.tiles.side_of", lambda *_: 8)
    monkeypatch.setattr("icas.parallel.dask_cluster.MOST", 1)  # each task by itself
    settings = ClusterSettings(method=method, threshold=0.3, transfer="none", report=False)
    pipeline.run(crowd, replace(settings, dst=tmp_path / "here"))
    with started(tmp_path, 3) as own:
        with processes.distributed.Client(own.address, set_as_default=False) as client:
            killer = Killer(
                what=bar,
                after=3,
                victims=tuple(own.workers[:dead]),
                look=lambda: own.tasks_of(client, own.workers[:dead]),
            )
            there = replace(
                settings, dst=tmp_path / "there", executor="dask", scheduler=own.address
            )
            pipeline.run(crowd, there, killer)
        assert [worker.poll() for worker in own.workers[:dead]] == [-signal.SIGKILL] * dead
        assert own.workers[dead].poll() is None
    assert killer.seen[0] > 0  # results and tasks that died with their worker
    assert len(killer.moved) >= 6
    assert tables(tmp_path / "here") == tables(tmp_path / "there")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_method_survives_a_killed_worker(crowd, tmp_path, method_and_options, monkeypatch):
    monkeypatch.setattr("icas.clusterimg.linking.tiles.side_of", lambda *_: 8)
    monkeypatch.setattr("icas.parallel.dask_cluster.MOST", 1)  # each task by itself
    how = {**method_and_options, "threshold": 0.5, "transfer": "none", "report": False}
    pipeline.run(crowd, make_settings(**how, dst=tmp_path / "here"))
    with started(tmp_path, 3) as own:
        killer = Killer(what="links", after=3, victims=tuple(own.workers[:1]))
        there = make_settings(**how, dst=tmp_path / "there", executor="dask", scheduler=own.address)
        pipeline.run(crowd, there, killer)
        assert own.workers[0].poll() == -signal.SIGKILL
    assert tables(tmp_path / "here") == tables(tmp_path / "there")


def test_the_commands_of_the_page_start_a_cluster_and_use_it(crowd, tmp_path):
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    text = "".join(block for block in blocks if "dask scheduler" in block)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "photos").symlink_to(crowd)
    text = text.replace("node0", "127.0.0.1").replace("8786", port)
    text = text.replace("/shared", str(tmp_path / "shared"))
    running, said = [], []
    try:
        for words in (shlex.split(line, comments=True) for line in text.splitlines()):
            if words[:1] == ["dask"]:
                more = ["--no-dashboard", "--local-directory", str(tmp_path)]
                own_words = [*words[1:], *more[: 1 if words[1] == "scheduler" else 3]]
                command = [sys.executable, "-m", "dask", *own_words]
                running.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
            elif words[:1] == ["clusterimg"]:
                command = [sys.executable, "-m", "icas.clusterimg", *words[1:]]
                said.append(subprocess.run(command, capture_output=True, text=True, check=False))
    finally:
        for process in reversed(running):
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=SECONDS)
    assert len(running) >= 2
    assert said
    for done in said:
        assert (done.returncode, done.stderr) == (0, ""), done
