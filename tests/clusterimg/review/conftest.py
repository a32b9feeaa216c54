"""A finished run of 14 photos and the session of its review."""

from __future__ import annotations

import shutil

import pytest

import icas
from icas.clusterimg.review.session import open_review


@pytest.fixture(scope="session")
def sorted_photos(photos, tmp_path_factory):
    """The run: three clusters of four images, two outliers; its cache is beside it."""
    folder = tmp_path_factory.mktemp("photos-sorted")
    how = {"method": "imagehash", "threshold": 0.8, "jobs": 1}
    icas.cluster(photos, dst=folder / "sorted", cache=folder / "cache", **how)
    return folder / "sorted"


@pytest.fixture
def result(sorted_photos, tmp_path, monkeypatch):
    """A copy of the run with a cache folder of its own, which a test may change."""
    shutil.copytree(sorted_photos, tmp_path / "sorted")
    shutil.rmtree(sorted_photos.parent / "cache", ignore_errors=True)
    return tmp_path / "sorted"


@pytest.fixture
def session(result):
    with open_review(result) as opened:
        yield opened


class Person:
    """Gives commands to a session, each for the current revision."""

    def __init__(self, session):
        self.session, self.count = session, 0

    def __getattr__(self, op):
        def act(**args):
            self.count += 1
            id = f"{op}-{self.count}-{self.session.rev}"
            if op in ("undo", "redo"):
                return getattr(self.session, op)(self.session.rev, id)
            if op == "jump":
                return self.session.jump(args["seq"], self.session.rev, id)
            return self.session.execute(op, args, self.session.rev, id)

        return act


@pytest.fixture
def person(session):
    return Person(session)
