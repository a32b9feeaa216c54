"""The HTTP interface of a review, as a program uses it."""

from __future__ import annotations

import json
import struct
import time

import pytest


def test_state_is_the_result(client, kinds):
    state = client.state()
    assert state["rev"] == 0
    assert [len(one["members"]) for one in state["clusters"]] == [6] * 6
    files = client.get("images")["files"]
    for one in state["clusters"]:
        assert len({kinds[files[image]] for image in one["members"]}) == 1
    assert sorted(kinds[files[image]] for image in state["outliers"]) == [
        f"other{number}" for number in range(4)
    ]


def test_command_and_undo(client):
    before = client.state()
    answer = client.command("merge", clusters=[0, 1])
    assert answer["delta"]["removed"] == [1]
    assert len(answer["delta"]["clusters"][0]["members"]) == 12
    client.command("name", cluster=0, name="cat")
    assert client.state()["classes"] == [{"name": "cat", "count": 12}]
    client.done("undo")
    client.done("undo")
    after = client.state()
    for key in ("clusters", "outliers", "labels", "classes"):
        assert sorted(after[key], key=str) == sorted(before[key], key=str)
    client.done("redo")
    assert len(client.state()["clusters"]) == 5


def test_forest_is_binary(client):
    data = client.http.get("/api/forest").content
    [count] = struct.unpack_from("<I", data)
    assert len(data) == 4 + 12 * count
    similarity = struct.unpack_from(f"<{count}f", data, 4 + 8 * count)
    assert list(similarity) == sorted(similarity, reverse=True)


@pytest.mark.parametrize("size", [128, 256])
def test_thumbnails_are_jpegs(client, size):
    answer = client.http.get(f"/api/thumb/3?size={size}")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content[:3] == b"\xff\xd8\xff"


def ready(client, path):
    """The answer once the background task is done."""
    for _ in range(300):
        answer = client.get(path)
        if not answer.get("wait"):
            return answer
        time.sleep(0.1)
    raise AssertionError(f"{path} is not ready")


def test_simulated_person_names_all_images(client, kinds):
    files = client.get("images")["files"]
    named = 0
    while True:
        answer = ready(client, "naming?count=1")
        if not answer["order"] or named == 10:
            break
        [image] = answer["order"]
        client.command("label", images=[image], name=kinds[files[image]])
        named += 1
    client.command("spread", least=0.0)
    labels = client.state()["labels"]
    right = sum(labels[str(image)][0] == kinds[file] for image, file in enumerate(files))
    assert right == len(files)
    assert ready(client, "naming?count=9")["unsure"]


def test_questions_correct_wrong_clusters(client, kinds):
    files = client.get("images")["files"]
    client.command("merge", clusters=[0, 1])
    inside = client.get("cluster/2")["members"]
    client.command("split", cluster=2, groups=[inside[:3]])
    client.http.get("/api/questions/next")
    ready(client, "naming")
    for _ in range(30):
        question = client.get("questions/next")
        if question["done"]:
            break
        a, b = question["a"], question["b"]
        client.command("answer", a=a, b=b, same=kinds[files[a]] == kinds[files[b]])
    clusters = [{kinds[files[i]] for i in one["members"]} for one in client.state()["clusters"]]
    assert len(clusters) == 6
    assert all(len(one) == 1 for one in clusters)
    assert question["settled"] > 0.9


def test_skipped_and_unsure_pairs_are_not_asked(client):
    ready(client, "naming")
    first = client.get("questions/next")
    pair = f"{first['a']}-{first['b']}"
    second = client.get(f"questions/next?skip={pair}")
    assert (second["a"], second["b"]) != (first["a"], first["b"])
    client.command("answer", a=first["a"], b=first["b"], same=None)
    third = client.get("questions/next")
    assert (third["a"], third["b"]) != (first["a"], first["b"])
    client.done("undo")
    assert client.get("questions/next") == first


def test_quality_and_duplicates(client):
    quality = ready(client, "quality")
    assert quality["leaks"] == []
    assert {"image", "issue", "value", "severity"} == set(quality["rows"][0])
    assert ready(client, "duplicates")["groups"] == []


def test_best_image_by_criteria(client):
    client.command("keep_best", cluster=0, by="sharpest")
    state = client.state()
    infos = {image: client.get(f"info/{image}") for image in state["clusters"][0]["members"]}
    best = state["best"]["0"]
    assert best in infos
    client.command("keep_best", cluster=0, image=None)
    assert client.state()["best"] == {}


def test_plan_apply_export(client, finished):
    client.command("name", cluster=0, name="cat")
    client.command("merge", clusters=[1, 2])
    given = {"out": "data", "formats": ["imagefolder"], "split": {"train": 0.5, "test": 0.5}}
    assert client.post("export", **given).status_code == 409
    plan = client.done("plan", rev=client.rev)
    assert plan["moves"] > 0
    assert not plan["conflicts"]
    answer = client.done("apply", plan=plan["plan"])
    assert "5 clusters" in answer["text"]
    assert client.state()["pending"] == 0
    preview = client.done("export", **given, dry_run=True)
    assert len(preview["tree"]) == 6
    assert not (finished.parent / "data").exists()
    client.done("export", **given)
    assert len(list((finished.parent / "data").rglob("*.png"))) == 6
    labels = (finished / "labels.csv").read_text()
    assert labels.count(",cat,cluster,1") == 6
    assert json.loads((finished / "run.json").read_text())["reviews"] == 1


def test_page_opens(page):
    page.wait_for_function("document.title.includes('icas')")
