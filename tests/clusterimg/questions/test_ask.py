"""`icas.ask` and ``clusterimg ask`` on real results."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from skimage import data

import icas
from icas import ConflictError, UsageError
from icas.clusterimg.commands.main import main


@pytest.fixture
def result(tmp_path, monkeypatch):
    """Four views of two photographs, all alone at a high threshold."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name, image in (("cup", data.coffee()), ("cat", data.chelsea())):
        for number in range(3):
            part = image[8 * number :, 12 * number :]
            Image.fromarray(part).save(tmp_path / "photos" / f"{name}{number}.png")
    icas.cluster("photos", method="tm", threshold=0.999, dst="sorted", cache="kept")
    return tmp_path / "sorted"


def is_same(question):
    return question.a[:3] == question.b[:3]


def clusters(dst):
    return sorted(
        sorted(path.name for path in folder.iterdir())
        for folder in (dst / "result").glob("cluster_*")
    )


CUPS, CATS = ([f"{name}{number}.png" for number in range(3)] for name in ("cup", "cat"))


def test_answers_change_the_result_and_the_next_run(result):
    session = icas.ask("sorted")
    for question in session:
        assert question.paths[0].exists()
        assert 0 <= question.same <= 1
        session.answer(is_same(question))
    report = session.apply()
    assert report.clusters == 2
    assert clusters(result) == [CATS, CUPS]
    again = icas.cluster("photos", method="tm", threshold=0.999, dst="again", cache="kept")
    assert sorted(again.labels.tolist()) == [0, 0, 0, 1, 1, 1]


def test_wrong_clusters_are_split(result):
    icas.cluster("photos", method="tm", threshold=0.3, dst="loose", cache="kept")
    session = icas.ask("loose")
    for question in session:
        session.answer(is_same(question))
    assert session.apply().clusters == 2
    assert clusters(result.parent / "loose") == [CATS, CUPS]


def test_answers_are_stored_at_once(result):
    session = icas.ask("sorted")
    question = next(iter(session))
    session.answer(is_same(question))
    stored = icas.decide("sorted", "list").decisions
    assert {image.name for image in stored[0].images} == {question.a, question.b}


def test_a_contradiction_is_not_applied(result):
    icas.must_link("sorted", "cup0.png", "cup1.png")
    icas.must_link("sorted", "cup1.png", "cup2.png")
    session = icas.ask("sorted")
    refused = 0
    for _ in session:
        try:
            session.answer(False)
        except ConflictError:
            refused += 1
    assert refused + session.asked > 0
    assert len(session.apply().files) == 6


def test_the_command(result, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("what\nu\nY\nn\nq\n"))
    assert main(["ask", "sorted"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("same cluster? ") == 5
    assert "3 answers, stopped" in shown
    assert shown.splitlines()[-1].startswith("6 images, ")


def test_the_command_stops_after_some_questions_or_at_the_end_of_the_input(
    result, monkeypatch, capsys
):
    monkeypatch.setattr("sys.stdin", io.StringIO("u\nu\nu\nu\n"))
    assert main(["ask", "sorted", "--questions", "2", "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 answers"
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["ask", "sorted"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "0 answers, stopped"


def test_results_without_links_are_refused(result):
    with pytest.raises(UsageError, match="not the result of a finished"):
        icas.ask("photos")
    assert main(["ask", "sorted", "--questions", "0"]) == 2
