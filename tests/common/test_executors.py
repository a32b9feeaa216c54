"""Workers give results in order, whatever they are, and hold back what is not asked for."""

from __future__ import annotations

import threading
import time

import pytest

import icas
from icas.common.executors import core_count, start_workers


def slow_square(number: int) -> int:
    time.sleep(0.002 * (number % 3))
    return number * number


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_results_come_in_the_order_of_the_tasks(jobs):
    with start_workers("threads", jobs) as workers:
        found = list(workers.ordered(slow_square, ((number,) for number in range(30))))
    assert found == [number * number for number in range(30)]


def test_processes_do_too():
    with start_workers("processes", 2) as workers:
        assert list(workers.ordered(pow, [(2, 3), (3, 2)])) == [8, 9]


def test_tasks_are_made_as_they_are_needed():
    made, lock = [], threading.Lock()

    def tasks():
        for number in range(100):
            with lock:
                made.append(number)
            yield (number,)

    with start_workers("threads", 2) as workers:
        results = workers.ordered(slow_square, tasks())
        next(results)
        assert len(made) <= 4
        results.close()


def test_an_error_in_a_worker_comes_out():
    with (
        start_workers("threads", 2) as workers,
        pytest.raises(ZeroDivisionError),
    ):
        list(workers.ordered(divmod, [(1, 1), (1, 0), (2, 1)]))


def test_wrong_workers_are_told():
    assert core_count() >= 1
    for wrong in (("thread", 1, None), ("threads", 0, None), ("threads", 1, "tcp://x:1")):
        with pytest.raises(icas.UsageError), start_workers(*wrong):
            pass


def test_dask_workers_give_the_same(photos, tmp_path):
    pytest.importorskip("distributed", reason="Dask is not installed")
    tables = []
    for number, executor in enumerate(("threads", "dask")):
        dst = tmp_path / str(number)
        icas.cluster(
            photos, method="orb", dst=dst, executor=executor, jobs=2, transfer="none", report=False
        )
        tables.append((dst / "clusters.csv").read_bytes())
    assert tables[0] == tables[1]


def test_a_dask_scheduler_that_is_not_there_is_told(photos, tmp_path):
    pytest.importorskip("distributed", reason="Dask is not installed")
    with pytest.raises(icas.IcasError, match="scheduler"):
        icas.cluster(photos, dst=tmp_path / "out", executor="dask", scheduler="tcp://127.0.0.1:9")
    assert not (tmp_path / "out").exists()
