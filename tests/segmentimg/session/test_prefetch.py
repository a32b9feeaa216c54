"""Prefetching: the order, what is dropped, memory, errors; reported by events, not by sleeping."""

from __future__ import annotations

import threading

import pytest

from icas.segmentimg.session.prefetch import Prefetcher

PATIENCE = 5.0


class Maker:
    """Makes number -> [number]; what `held` names waits until it is let go."""

    def __init__(self, held=()):
        self.begun: list[int] = []
        self._gates = {number: threading.Event() for number in held}
        self._changed = threading.Condition()

    def __call__(self, number):
        with self._changed:
            self.begun.append(number)
            self._changed.notify_all()
        if number in self._gates:
            assert self._gates[number].wait(PATIENCE)
        if number < 0:
            raise ValueError(f"no {number}")
        return [number]

    def let_go(self, number):
        self._gates[number].set()

    def has_begun(self, count):
        """Whether so many were begun, at last."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.begun) >= count, PATIENCE)


@pytest.fixture
def start():
    made = []

    def starting(maker, limit=1000, jobs=1, size=10):
        ahead = Prefetcher(maker, lambda _: size, limit, jobs)
        made.append(ahead)
        return ahead

    yield starting
    for ahead in made:
        ahead.close()


def idle(ahead, *numbers):
    """Wait until these are made; whether they are."""
    return all(ahead.wait(number, PATIENCE) for number in numbers)


def test_things_are_made_in_the_order_that_is_wanted(start):
    maker = Maker()
    ahead = start(maker)
    ahead.request([3, 1, 2, 3])
    assert idle(ahead, 1, 2, 3)
    assert maker.begun == [3, 1, 2]
    assert ahead.nbytes == 30
    assert ahead.take(1) == [1]
    assert ahead.take(1) is None
    assert ahead.nbytes == 20
    assert ahead.take(7) is None


def test_a_new_order_comes_next_and_what_is_dropped_is_not_begun(start):
    maker = Maker(held=[0])
    ahead = start(maker)
    ahead.request([0, 1, 2, 3])
    assert maker.has_begun(1)
    ahead.request([9, 3])
    maker.let_go(0)
    assert idle(ahead, 9, 3)
    assert maker.begun == [0, 9, 3]
    assert ahead.take(0) is None  # it was made to its end, and dropped
    assert ahead.nbytes == 20
    ahead.request([3])
    assert ahead.nbytes == 10
    ahead.request([3, 9])
    assert idle(ahead, 9)
    assert maker.begun == [0, 9, 3, 9]


def test_what_is_under_way_and_wanted_again_is_made_once(start):
    maker = Maker(held=[0])
    ahead = start(maker, jobs=2)
    ahead.request([0])
    assert maker.has_begun(1)
    ahead.request([])
    ahead.request([5, 0])
    maker.let_go(0)
    assert idle(ahead, 5, 0)
    assert sorted(maker.begun) == [0, 5]
    assert ahead.take(0) == [0]


@pytest.mark.parametrize("jobs", [1, 3])
def test_memory_is_bounded(start, jobs):
    maker = Maker()
    ahead = start(maker, limit=25, jobs=jobs)
    ahead.request(range(10))
    most = []
    for number in range(10):
        assert idle(ahead, number)
        most.append(ahead.nbytes)
        # what is made and not fetched never takes more than there is room for
        assert len(maker.begun) <= number + 2
        assert ahead.take(number) == [number]
    assert max(most) <= 25
    assert maker.begun[0] == 0
    assert sorted(maker.begun) == list(range(10))


def test_before_a_size_is_known_one_is_made_alone(start):
    maker = Maker(held=[0])
    ahead = start(maker, limit=10, jobs=4)
    ahead.request([0, 1, 2, 3])
    assert maker.has_begun(1)
    assert not ahead.wait(1, 0.05)
    assert maker.begun == [0]
    maker.let_go(0)
    assert idle(ahead, 0)
    assert not ahead.wait(1, 0.05)
    assert ahead.take(0) == [0]
    assert idle(ahead, 1)


def test_the_most_wanted_is_made_though_there_is_no_room(start):
    maker = Maker()
    ahead = start(maker, limit=0)
    ahead.request([4, 5])
    assert idle(ahead, 4)
    assert not ahead.wait(5, 0.05)
    ahead.request([5, 4])
    assert idle(ahead, 5)
    assert ahead.take(4) == [4]


def test_an_error_comes_where_the_thing_is_asked_for_and_the_rest_goes_on(start):
    maker = Maker()
    ahead = start(maker)
    ahead.request([-1, 2])
    assert idle(ahead, -1, 2)
    assert ahead.take(2) == [2]
    for _ in range(2):
        with pytest.raises(ValueError, match="no -1"):
            ahead.take(-1)
    ahead.request([-1, 3])
    assert idle(ahead, 3)
    assert maker.begun == [-1, 2, 3]  # not tried again and again


def test_several_are_made_at_once(start):
    maker = Maker(held=[1, 2])
    ahead = start(maker, jobs=2)
    ahead.request([0])
    assert idle(ahead, 0)
    ahead.request([0, 1, 2, 3])
    assert maker.has_begun(3)
    assert sorted(maker.begun) == [0, 1, 2]
    for number in (2, 1):
        maker.let_go(number)
        assert idle(ahead, number)
    assert idle(ahead, 3)


def test_after_close_nothing_is_begun(start):
    maker = Maker(held=[0])
    ahead = start(maker, jobs=2)
    ahead.request([0, 1])
    assert maker.has_begun(1)
    ahead.close()
    maker.let_go(0)
    for thread in ahead._threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert 0 in maker.begun
    assert ahead.take(0) is None
    assert ahead.nbytes == 0


def test_outdated_things_are_made_again(start):
    maker = Maker(held=[1])
    ahead = start(maker)
    ahead.request([0, 1])
    assert maker.has_begun(2)
    ahead.drop(0)  # made
    ahead.drop(1)  # being made
    maker.let_go(1)
    assert idle(ahead, 0, 1)
    assert sorted(maker.begun) == [0, 0, 1, 1]
    ahead.request([-1])
    assert idle(ahead, -1)
    ahead.drop(-1)  # failed
    assert maker.has_begun(6)
