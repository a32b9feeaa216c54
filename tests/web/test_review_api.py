"""The HTTP interface of a review, as a program uses it."""

from __future__ import annotations

import struct

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


def test_page_opens(page):
    assert page.title().startswith("icas")
