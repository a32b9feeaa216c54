"""A run in shards on Dask, of whose workers one dies."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

import icas
from icas.clusterimg.api.functions import make_settings
from icas.clusterimg.shards.run import cluster_in_shards
from icas.clusterimg.shards.settings import ShardSettings

pytest.importorskip("distributed", reason="Dask is not installed: pip install 'icas[dask]'")
pytest.importorskip("pyarrow", reason="pyarrow is not installed")

_SPEC = importlib.util.spec_from_file_location(
    "dask_cluster", Path(__file__).parents[1] / "pipeline" / "dask_cluster.py"
)
processes = importlib.util.module_from_spec(_SPEC)
sys.modules["dask_cluster"] = processes  # dataclasses look there
_SPEC.loader.exec_module(processes)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_one_of_three_workers_dies_and_the_clusters_stay_the_same(
    crowd, tmp_path, method_and_options
):
    how = {**method_and_options, "threshold": 0.5, "cache": False}
    expected = icas.cluster_shards(crowd, tmp_path / "one", **how, shard_size=9, jobs=1)
    with processes.started(tmp_path, 3) as own:
        killer = processes.Killer(what="pairs of shards", after=3, victims=tuple(own.workers[:1]))
        shared = make_settings(
            **how, dst=tmp_path / "out", executor="dask", scheduler=own.address, isolate=False
        )
        report = cluster_in_shards(crowd, ShardSettings(9, None, None, shared), killer)
        assert own.workers[0].poll() is not None
    assert report.clusters == expected.clusters > 0
    np.testing.assert_array_equal(report.labels(), expected.labels())
    for name in ("a", "b", "similarity"):
        np.testing.assert_array_equal(
            getattr(report.forest(), name), getattr(expected.forest(), name)
        )
