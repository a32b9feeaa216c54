"""Workers give results in order, whatever they are, and hold back what is not asked for."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import icas
from icas.parallel.executors import BlockCache, Workers, core_count, start_workers
from icas.parallel.pool import Shared, pack, run_all
from icas.parallel.processes import ProcessPool


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


def test_a_dask_scheduler_that_is_not_there_is_told(photos, tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="Dask is not installed")
    monkeypatch.setattr("icas.parallel.dask_cluster.CONNECT", 1)
    with pytest.raises(icas.IcasError, match="scheduler"):
        icas.cluster(photos, dst=tmp_path / "out", executor="dask", scheduler="tcp://127.0.0.1:9")
    assert not (tmp_path / "out").exists()


class Sent:
    """A pool that counts what it sends and holds."""

    def __init__(self):
        self.shared, self.released, self.most = [], [], 0

    def group_size(self, function):
        return 2

    def submit(self, function, tasks):
        return run_all(function, tasks)

    def results(self, future):
        return future

    def drop(self, futures):
        pass

    def share(self, value):
        self.shared.append(value)
        self.most = max(self.most, len(self.shared) - len(self.released))
        return Kept(value, self)

    def reading(self, files):
        return self


@dataclass(frozen=True)
class Kept(Shared):
    value: Any
    pool: Sent

    def open(self):
        assert self not in self.pool.released
        return self.value

    def release(self):
        self.pool.released.append(self)


def test_tasks_go_in_groups_only_when_one_of_them_was_measured():
    sizes = []

    class Paced(Sent):
        def group_size(self, function):
            return 100  # as after an earlier call with short tasks

        def submit(self, function, tasks):
            sizes.append(len(tasks))
            return super().submit(function, tasks)

    workers = Workers(Paced(), jobs=2, remote=True, ahead=2)
    assert list(workers.ordered(abs, ((-number,) for number in range(10)))) == list(range(10))
    assert sizes == [1, 1, 1, 1, 6]


def test_a_block_is_shared_once_from_its_first_task_to_its_last():
    pool = Sent()
    shelf = BlockCache(
        Workers(pool, 2, remote=True), lambda key: [key], lambda key: 4 if key else 1
    )
    tasks = [((a, b), (10,)) for a, b in [(1, 2), (1, 3), (1, 1), (2, 3), (2, 2), (3, 3), (3, 0)]]
    found = list(shelf.ordered(lambda plus, a, b: plus + a[0] + b[0], tasks))
    assert found == [13, 14, 12, 15, 14, 16, 13]
    assert sorted(pool.shared) == [[1], [2], [3]]  # 0 is used once and goes with its task
    assert len(pool.released) == 3


def test_blocks_are_released_when_tasks_end_early():
    pool = Sent()
    shelf = BlockCache(Workers(pool, 1, remote=True), str, lambda _: 99)
    results = shelf.ordered(len, (((key,), ()) for key in range(50)))
    assert next(results) == 1
    results.close()
    assert 0 < len(pool.released) == len(pool.shared) < 5


def test_in_one_process_nothing_is_shared():
    loaded = []
    shelf = BlockCache(Workers(None, 1), loaded.append, lambda _: 99)
    assert list(shelf.ordered(repr, [((1,), ()), ((1,), ())])) == ["None", "None"]
    assert loaded == [1, 1]


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.sampled_from([0, 1, 63, 65_536, 200_001]), max_size=4),
    st.sampled_from(["u1", "<f4", "<i8"]),
)
def test_what_is_packed_is_unpacked_also_from_a_file(tmp_path_factory, lengths, kind):
    arrays = [np.arange(length).astype(kind) for length in lengths]
    packed = pack((arrays, "and more"))
    folder = tmp_path_factory.mktemp("saved")
    shared = ProcessPool(None, folder).share((arrays, "and more"))
    for found, told in (packed.open(), shared.open()):
        assert told == "and more"
        assert all(
            np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(found, arrays, strict=True)
        )
        assert all(array.flags.writeable for array in found)
    assert len(packed.head) < 4 * 65_536 * 8
    shared.release()
    assert not list(folder.iterdir())


def test_relative_paths_are_sent_as_absolute_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert pack([Path("photos/a.png"), Path("/b.png")]).open() == [
        tmp_path / "photos" / "a.png",
        Path("/b.png"),
    ]


def test_processes_get_blocks_that_are_shared_and_errors_come_out():
    block = np.arange(100_000)
    with start_workers("processes", 2) as workers:
        shared = workers.share(block)
        assert list(workers.ordered(np.sum, [(shared,)] * 6)) == [block.sum()] * 6
        shared.release()
        with pytest.raises(ZeroDivisionError):
            list(workers.ordered(divmod, [(1, 1), (1, 0), (2, 1)]))
    assert not Path(shared.name).parent.exists()


def test_libraries_in_processes_have_one_thread_each():
    with start_workers("processes", 1) as workers:
        told = list(workers.ordered(eval, [("__import__('cv2').getNumThreads()",)]))
        assert told == [1]
        pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")
        (info,) = workers.ordered(eval, [("__import__('threadpoolctl').threadpool_info()",)])
        assert {one["num_threads"] for one in info} == {1}
