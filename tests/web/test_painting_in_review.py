"""Painting the images of a running review at /paint/, and back."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

import icas
from icas.web.review import serving

from .conftest import Client


@pytest.fixture(params=["copy", "move"])
def moved(request, run_folder, tmp_path):
    """A result whose images were copied or moved."""
    shutil.copytree(run_folder / "images", tmp_path / "images")
    icas.cluster(
        tmp_path / "images",
        method="imagehash",
        threshold=0.75,
        dst=tmp_path / "sorted",
        transfer=request.param,
        cache=None,
        jobs=1,
    )
    return tmp_path / "sorted"


def paint(client, op, image, **args):
    body = {"rev": client.painting_rev, "id": f"{op}-{image}", "op": op, "image": image}
    answer = client.http.post("/paint/api/commands", json={**body, "args": args})
    assert answer.status_code == 200, answer.text
    client.painting_rev = answer.json()["rev"]
    return answer.json()


def document(client, number):
    while (answer := client.http.get(f"/paint/api/doc/{number}")).status_code == 202:
        pass
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_images_have_the_numbers_and_names_of_the_review(moved):
    with serving(moved) as server:
        server.start()
        client = Client(server.address.url)
        client.painting_rev = 0
        client.command("name", cluster=0, name="cat")
        assert client.state()["paint"] == "paint/"
        assert client.http.get("/paint/").headers["content-type"].startswith("text/html")
        assert not (moved.parent / "images_segmented").exists()  # nothing is opened before
        state = client.http.get("/paint/api/state").json()
        files = client.get("images")["files"]
        assert (state["review"], state["images"]) == ("../", len(files))
        assert [entry["name"] for entry in state["classes"]] == ["cat"]
        assert client.http.get("/paint/api/files").json()["files"] == files
        assert document(client, 7)["file"] == files[7]
        paint(client, "rectangle", 7, box=[0, 0, 10, 20], **{"class": 1})
        paint(client, "save", 7)
        client.command("name", cluster=1, name="#1, dog")
        client.command("name", cluster=2, name="cow")
        state = client.http.get("/paint/api/state").json()
        assert [entry["name"] for entry in state["classes"]] == ["cat", "#1, dog", "cow"]
        client.painting_rev = state["rev"]
        members = client.state()["clusters"][0]["members"]
        client.command("move", images=members[:1], to="outliers")
        plan = client.done("plan")
        client.done("apply", plan=plan["plan"])
        assert document(client, members[0])["file"]
        assert client.http.get(f"/paint/api/thumb/{members[0]}").status_code == 200
        server.stop()
    name = files[7].rpartition(".")[0]
    labels = np.asarray(Image.open(moved.parent / "images_segmented" / f"{name}_labels.png"))
    assert (labels[:10, :20] == 1).all()
    assert labels.sum() == 200


@pytest.mark.parametrize("moved", ["copy"], indirect=True)
def test_a_folder_that_another_session_paints(moved):
    from icas.web.painting import serving as painting

    folder = moved.parent / "images"
    with painting([folder]), serving(moved) as server:
        server.start()
        client = Client(server.address.url)
        answer = client.http.get("/paint/api/state")
        assert (answer.status_code, "another icas process" in answer.text) == (409, True)
        assert client.state()["rev"] == 0
        server.stop()
