"""Every file is once at its place, whatever the order, the names and the interruption."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

import icas
from icas.cli.console import Console
from icas.clusterimg.journal.journal import FileRecord, Journal, Rearrangement
from icas.clusterimg.transfer import relocation as rearrange
from icas.clusterimg.transfer.relocation import begin, finish, plan_relocations

PLACES = [
    f"result/{folder}/{name}"
    for folder, name in itertools.product(
        ("cluster_0", "cluster_1", "cluster_10", "outliers"), ("a.png", "a (2).png", "B.jpg", "é")
    )
]


@st.composite
def moves(draw):
    """Some files and their new places, no two of which are the same."""
    count = draw(st.integers(1, len(PLACES)))
    old = draw(st.permutations(PLACES))[:count]
    new = draw(st.permutations(PLACES))[:count]
    stay = draw(st.sets(st.sampled_from(old)))
    kept = {place: place for place in old if place in stay}
    moving = [place for place in old if place not in stay]
    free = [place for place in new if place not in stay]
    spare = [place for place in PLACES if place not in {*free, *stay}]
    return kept | dict(zip(moving, [*free, *spare], strict=False))


def laid_out(root: Path, places) -> None:
    """The files, each with its old place as content, and their record."""
    for place in places:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(place)
    (root / "clusters.csv").write_text("before")
    with Journal(root) as journal:
        names = [*places, "clusters.csv"]
        made = [FileRecord(name, "move", f"/somewhere/{name}") for name in places]
        journal.plan([*made, FileRecord("clusters.csv", "write")], {})
        journal.done(names)


def one_of(places) -> Rearrangement:
    return Rearrangement(
        "recut", {"threshold": 0.9}, {"clusters.csv": None}, plan_relocations(places)
    )


def check(root: Path, places) -> None:
    found = {
        path.relative_to(root).as_posix(): path.read_text()
        for path in (root / "result").rglob("*")
        if path.is_file()
    }
    assert found == {new: old for old, new in places.items()}
    assert all(any(folder.iterdir()) for folder in (root / "result").iterdir())
    assert not (root / ".icas/moving").exists()
    assert (root / "clusters.csv").read_text() == "after"
    with Journal(root) as journal:
        made = {one.target: one for one in journal.files()}
    assert {one.source: one.target for one in made.values() if one.source} == {
        f"/somewhere/{old}": new for old, new in places.items()
    }
    assert all(rearrange.is_unchanged(root, one) for one in made.values())


@settings(max_examples=60, deadline=None)
@given(moves(), st.lists(st.integers(0, 60), max_size=3))
def test_every_file_is_once_at_its_place(tmp_path_factory, tools, places, interruptions):
    root = tmp_path_factory.mktemp("result")
    laid_out(root, places)
    begin(root, one_of(places), {"clusters.csv": b"after"})
    for step in interruptions:
        with pytest.MonkeyPatch.context() as monkeypatch:
            try:
                with tools.killed_before_step(monkeypatch, step):
                    finish(root, Console())
            except tools.Killed:
                texts = sorted(
                    path.read_text()
                    for folder in (root / "result", root / ".icas" / "moving")
                    for path in folder.rglob("*")
                    if path.is_file() and path.suffix != ".csv"
                )
                assert texts == sorted(places)
    finish(root, Console())
    check(root, places)


def test_a_cycle_is_parked_and_a_chain_too():
    plan = plan_relocations(
        {"result/a": "result/b", "result/b": "result/a", "result/c": "result/d"}
    )
    assert [one.parked is not None for one in plan] == [True, True, False]
    assert plan_relocations({"result/a": "result/a"}) == ()


def test_names_that_differ_in_case_alone_are_parked():
    (one, other) = plan_relocations(
        {"result/0/A.png": "result/1/a.png", "result/1/A.png": "result/2/A.png"}
    )
    assert one.parked is not None
    assert other.parked is None


def test_what_came_into_the_way_is_not_overwritten(tmp_path, tools, monkeypatch):
    places = {"result/x/a": "result/y/a", "result/x/b": "result/y/b"}
    laid_out(tmp_path, places)
    begin(tmp_path, one_of(places), {"clusters.csv": b"after"})
    (tmp_path / "result/y").mkdir()
    (tmp_path / "result/y/b").write_text("mine")
    with pytest.raises(icas.ConflictError, match="already exists"):
        finish(tmp_path, Console())
    assert (tmp_path / "result/y/b").read_text() == "mine"
    assert (tmp_path / "result/x/b").read_text() == "result/x/b"
    (tmp_path / "result/y/b").unlink()
    finish(tmp_path, Console())
    check(tmp_path, places)


def test_what_was_taken_away_meanwhile_is_named(tmp_path):
    places = {"result/x/a": "result/y/a", "result/x/b": "result/y/b"}
    laid_out(tmp_path, places)
    begin(tmp_path, one_of(places), {"clusters.csv": b"after"})
    (tmp_path / "result/x/b").rename(tmp_path / "b")
    with pytest.raises(icas.ConflictError, match="x/b is missing"):
        finish(tmp_path, Console())
    (tmp_path / "b").rename(tmp_path / "result/x/b")
    finish(tmp_path, Console())
    check(tmp_path, places)


def test_a_second_one_does_not_begin_before_the_first_is_finished(tmp_path):
    places = {"result/x/a": "result/x/b", "result/x/b": "result/x/a"}
    laid_out(tmp_path, places)
    begin(tmp_path, one_of(places), {"clusters.csv": b"after"})
    with pytest.raises(icas.IcasError, match="cannot write the tables"):
        begin(tmp_path, one_of(places), {"clusters.csv": b"again"})
    finish(tmp_path, Console())


def test_nothing_begun_is_nothing_to_finish(tmp_path):
    laid_out(tmp_path, {"result/x/a": "result/x/a"})
    assert finish(tmp_path, Console()) is None
