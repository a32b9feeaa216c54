"""Commands of a review, their inverses, the log on disk, and Apply."""

from __future__ import annotations

import csv
import random

import pytest

import icas
from icas.clusterimg.review.apply import apply_review, plan_review
from icas.clusterimg.review.session import StaleError, open_review

from .conftest import Person


def shown(session):
    """The state without what every command changes."""
    state = session.state()
    for key in ("rev", "undo", "redo", "pending", "applied_rev", "classes"):
        del state[key]
    state["clusters"].sort(key=lambda one: one["id"])
    state["labels"] = dict(sorted(state["labels"].items()))
    return state


def members(session, number):
    return set(session.document.clusters[number].members)


def random_command(session, rng):
    """Arguments of some command that the document allows, or of undo or redo."""
    document, history = session.document, session.history
    clusters, images = list(document.clusters), range(document.count)
    some = sorted(rng.sample(images, rng.randint(1, 4)))
    choices = [
        ("label", {"images": some, "name": rng.choice(["cat", "dog", None])}),
        ("move", {"images": some, "to": rng.choice([*clusters, "new", "outliers"])}),
        ("reject", {"images": some}),
        ("threshold", {"value": rng.choice([0.8, 0.85, 0.9, 0.95, 1.0])}),
    ]
    if clusters:
        one = rng.choice(clusters)
        inside = sorted(members(session, one))
        choices += [
            ("name", {"clusters": [one], "name": rng.choice(["cat", "dog", None])}),
            ("mark", {"cluster": one, "state": rng.choice(["done", "doubtful", "untouched"])}),
            ("keep_best", {"cluster": one, "image": rng.choice(inside)}),
            ("split", {"cluster": one, "groups": [inside[: len(inside) // 2]]}),
            ("reject", {"cluster": one}),
        ]
    if len(clusters) > 1:
        choices.append(("merge", {"clusters": rng.sample(clusters, 2)}))
    if history.done:
        choices += [("undo", {}), ("jump", {"seq": rng.choice(history.done)})]
    if history.undone:
        choices += [("redo", {})] * 2
    return rng.choice(choices)


def check_partition(document):
    """Every image is in exactly one place."""
    seen = [image for one in document.clusters.values() for image in one.members]
    assert len(seen) == len(set(seen))
    for number, one in document.clusters.items():
        assert len(one.members) > 1
        assert all(document.place[image] == number for image in one.members)
    outside = [image for image in range(document.count) if document.place[image] < 0]
    assert sorted([*seen, *outside]) == list(range(document.count))


@pytest.mark.parametrize("seed", range(4))
def test_every_state_comes_back(session, person, result, seed):
    rng = random.Random(seed)
    states = {(): shown(session)}
    for _ in range(40):
        op, args = random_command(session, rng)
        getattr(person, op)(**args)
        check_partition(session.document)
        done = tuple(session.history.done)
        assert states.setdefault(done, shown(session)) == shown(session)
    named = [label.name for label in session.document.all_labels().values()]
    counts = {one["name"]: one["count"] for one in session.document.classes()}
    assert counts == {name: named.count(name) for name in named}
    last = shown(session)
    with open_review(result) as other:  # a second process reads the same log
        assert other.read_only
        assert shown(other) == {**last, "read_only": True}


def test_split_of_all_images_keeps_the_first_group(person, session):
    inside = sorted(members(session, 0))
    person.split(cluster=0, groups=[inside[:2], inside[2:]])
    assert members(session, 0) == set(inside[:2])
    assert members(session, 3) == set(inside[2:])


def test_single_images_become_outliers(person, session):
    inside = sorted(members(session, 1))
    person.name(cluster=1, name="cat")
    person.split(cluster=1, groups=[inside[:3]])
    assert session.state()["held"] == inside[3:]
    assert session.document.all_labels()[inside[3]].name == "cat"


def test_own_names_prevail_over_names_of_clusters(person, session):
    inside = sorted(members(session, 0))
    person.label(images=inside[:1], name="dog")
    person.name(cluster=0, name="cat")
    assert session.document.classes() == [
        {"name": "dog", "count": 1},
        {"name": "cat", "count": 3},
    ]


def test_threshold_leaves_what_a_person_did(person, session):
    person.merge(clusters=[0, 1])
    person.threshold(value=1.0)
    assert len(members(session, 0)) == 8
    person.threshold(value=0.8)
    assert sorted(len(one.members) for one in session.document.clusters.values()) == [4, 8]


def test_stale_and_repeated_commands(session):
    args = {"clusters": [0, 1]}
    first = session.execute("merge", args, 0, "x")
    assert session.execute("merge", args, 0, "x") == first
    assert session.rev == 1
    with pytest.raises(StaleError):
        session.execute("name", {"cluster": 0, "name": "cat"}, 0, "y")
    with pytest.raises(icas.UsageError, match="used for another"):
        session.execute("name", {"cluster": 0, "name": "cat"}, 1, "x")


@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("name", {"cluster": 99, "name": "cat"}),
        ("name", {"cluster": 0, "name": "  "}),
        ("name", {"cluster": 0, "name": "a\nb"}),
        ("name", {"cluster": True, "name": "a"}),
        ("name", {"cluster": 0, "name": "a" * 201}),
        ("merge", {"clusters": [0]}),
        ("merge", {"clusters": [0, 0]}),
        ("split", {"cluster": 0, "groups": [[0], [0]]}),
        ("split", {"cluster": 0, "groups": [list(range(14))]}),
        ("move", {"images": [14], "to": 0}),
        ("move", {"images": [-1], "to": 0}),
        ("move", {"images": [0], "to": "../x"}),
        ("reject", {}),
        ("keep_best", {"cluster": 0, "image": "0"}),
        ("mark", {"cluster": 0, "state": "gone"}),
        ("threshold", {"value": "0.9"}),
        ("threshold", {"value": 0.1}),
        ("threshold", {"value": float("nan")}),
        ("label", {"images": [], "name": "cat"}),
        ("unknown", {}),
    ],
)
def test_wrong_commands_change_nothing(session, op, args):
    with pytest.raises(icas.IcasError):
        session.execute(op, args, 0, "x")
    assert session.rev == 0


def applied(session):
    plan = plan_review(session)
    assert not plan.conflicts
    apply_review(session, plan.key, session.rev, f"apply-{session.rev}")
    return plan


def table(path, column):
    with path.open(newline="") as file:
        return {row["file"]: row[column] for row in csv.DictReader(file)}


def test_apply_changes_the_result(person, session, result, monkeypatch):
    files = session.finished.state.files
    inside = sorted(members(session, 0))
    person.merge(clusters=[1, 2])
    person.split(cluster=0, groups=[inside[:2]])
    person.name(cluster=1, name="cat")
    person.label(images=inside[:1], name="dog")
    person.keep_best(cluster=1, image=sorted(members(session, 1))[-1])
    before = sorted(path for path in result.rglob("*") if path.is_file() and path.parent != result)
    plan = plan_review(session)
    assert (
        sorted(path for path in result.rglob("*") if path.is_file() and path.parent != result)
        == before
    )
    assert plan.moves > 0
    applied(session)
    assert session.history.pending == 0
    clusters = table(result / "clusters.csv", "cluster")
    assert [sorted(clusters.values()).count(name) for name in "012"] == [8, 2, 2]
    for number in session.document.clusters:
        assert len({clusters[files[image]] for image in members(session, number)}) == 1
    labels = table(result / "labels.csv", "label")
    assert sorted(labels.values()) == ["cat"] * 8 + ["dog"]
    kept = [file for file, keep in table(result / "best.csv", "keep").items() if keep == "1"]
    assert files[sorted(members(session, 1))[-1]] in kept
    for file, cluster in clusters.items():
        assert (result / "result" / f"cluster_{cluster}" / file).exists() or cluster == "-1"
    kinds = [one.kind for one in icas.decide(result, "list").decisions]
    assert sorted(kinds) == ["apart", "together", "together", "together"]
    again = icas.recut(result, 0.8, dry_run=True)
    assert {file: str(one) for file, one in zip(again.files, again.labels, strict=True)} == clusters


def test_undo_after_apply_moves_files_back(person, session, result):
    before = table(result / "clusters.csv", "cluster")
    person.merge(clusters=[0, 1])
    applied(session)
    person.undo()
    assert session.history.pending == 1
    applied(session)
    assert table(result / "clusters.csv", "cluster") == before


def test_apply_of_another_threshold(person, session, result):
    person.threshold(value=1.0)
    applied(session)
    assert session.finished.run["threshold"] == 1.0
    assert icas.decide(result, "list").decisions == ()


def test_clusters_of_another_linkage(photos, tmp_path):
    icas.cluster(
        photos,
        method="imagehash",
        threshold=0.8,
        linkage="average",
        dst=tmp_path / "sorted",
        cache=tmp_path / "cache",
        transfer="none",
        jobs=1,
    )
    with open_review(tmp_path / "sorted") as session:
        person = Person(session)
        with pytest.raises(icas.UsageError, match="linkage average"):
            person.threshold(value=0.9)
        person.merge(clusters=[0, 1])
        applied(session)
        assert table(tmp_path / "sorted" / "clusters.csv", "cluster")["coffee-1.png"] == "0"


def test_apply_refuses_an_old_plan_and_changed_files(person, session, result):
    person.merge(clusters=[0, 1])
    old = plan_review(session).key
    person.merge(clusters=[0, 2])
    with pytest.raises(icas.ConflictError, match="out of date"):
        apply_review(session, old, session.rev, "apply")
    next((result / "result" / "cluster_0").iterdir()).unlink()
    assert "was removed since the run" in plan_review(session).conflicts[0]


def test_restart_continues(result):
    with open_review(result) as session:
        person = Person(session)
        person.merge(clusters=[0, 1])
        person.name(cluster=0, name="cat")
        person.undo()
        before = session.state()
    with open_review(result) as session:
        assert session.state() == before
        Person(session).redo()
        assert session.state()["classes"] == [{"name": "cat", "count": 8}]


def test_result_that_was_changed_meanwhile(result):
    with open_review(result) as session:
        Person(session).merge(clusters=[0, 1])
    icas.recut(result, 1.0)
    lost = pytest.raises(icas.ConflictError, match="1 command that is not applied")
    with lost, open_review(result):
        pass
    with open_review(result, discard=True) as session:
        assert session.rev == 0
    icas.recut(result, 0.8)
    with open_review(result) as session:
        assert len(session.document.clusters) == 3


def test_undo_of_the_run_removes_the_review(result):
    with open_review(result) as session:
        Person(session).merge(clusters=[0, 1])
    icas.undo(result)
    assert list(result.iterdir()) == []


def test_result_undone_meanwhile(result):
    with open_review(result) as session:
        icas.undo(result)
        with pytest.raises(icas.IcasError):
            Person(session).merge(clusters=[0, 1])
