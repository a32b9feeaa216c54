"""Painting over HTTP: masks as through `PaintDocument`, repeated and stale commands, files."""

from __future__ import annotations

import gc
import io
import os
import random
import shutil
import threading
import weakref
from contextlib import contextmanager
from secrets import token_hex

import numpy as np
import pytest
from PIL import Image
from skimage import data as samples

import icas
from icas.common.errors import ConflictError
from icas.segmentimg.session.log import PaintingLog
from icas.segmentimg.settings import SegmentSettings

from .conftest import Client
from .painting_commands import Mirror, apply, random_command

SIZE = (150, 100)


def make_pictures(folder):
    """Three small photographs and a file that is no image."""
    folder.mkdir()
    for name in ("astronaut", "cat", "coffee"):
        Image.fromarray(getattr(samples, name)()).resize(SIZE).save(folder / f"{name}.png")
    (folder / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    return folder


@contextmanager
def serve(folder, **given):
    """Serve a folder to a program."""
    from icas.web.painting import serving

    with serving([folder], SegmentSettings(**given)) as server:
        server.start()
        client = Client(server.address.url, token_hex(4))
        client.painting = server.painting
        yield client
        client.http.close()
        server.stop()


@pytest.fixture
def pictures(tmp_path):
    return make_pictures(tmp_path / "pictures")


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory):
    """A program that changes nothing, so that several tests share the server."""
    with serve(make_pictures(tmp_path_factory.mktemp("unchanged") / "pictures")) as one:
        yield one


@pytest.fixture
def client(pictures):
    with serve(pictures) as one:
        yield one


def paint(client, op, image=0, **args):
    return client.done("commands", op=op, image=image, args=args)


def refusal(client, op, image=0, **args):
    answer = client.post("commands", op=op, image=image, args=args)
    assert answer.status_code == 400, answer.text
    assert "\n" not in answer.json()["error"]
    return answer.json()["error"]


@pytest.mark.parametrize("seed", range(3))
def test_masks_equal_those_of_the_document(client, seed):
    rng = random.Random(seed)
    mirror = Mirror(client, seed)
    labels = client.painting.session.store.images[seed].document.first
    colors = [entry.color for entry in client.painting.session.palette]
    image = client.painting.session.store.images[seed].document.image
    document = icas.PaintDocument(image, labels, colors=colors)
    for _ in range(60):
        if rng.random() < 0.2 and (mirror.doc["undo"] or mirror.doc["redo"]):
            step = "undo" if mirror.doc["undo"] else "redo"
            answer = client.done(step, image=seed)
            getattr(document, step)()
        else:
            op, args = random_command(rng, mirror.shape, len(mirror.codes) - 1)
            if op == "polygon":
                with_area = args["points"][2]
                args["points"][2] = [with_area[0], max(20, with_area[1])]
            answer = paint(client, op, seed, **args)
            apply(document, op, args)
        mirror.update(answer["delta"])
        assert np.array_equal(mirror.pixels(), document.codes_of(np.s_[:, :]))
        assert np.array_equal(mirror.labels, document.labels)
        assert mirror.doc["objects"] == [
            {
                "class": one.class_number,
                "number": one.number,
                "area": one.area,
                "box": [one.box[0], one.box[2], one.box[1], one.box[3]],
            }
            for one in document.objects()
        ]
    fresh = Mirror(client, seed)
    assert np.array_equal(fresh.pixels(), mirror.pixels())
    assert fresh.doc["objects"] == mirror.doc["objects"]


def test_saved_masks_are_those_of_the_document(client, pictures):
    Mirror(client, 0)
    paint(client, "fill", row=50, col=60, **{"class": 1})
    paint(client, "brush", points=[[10, 10], [30, 80]], radius=4, **{"class": 2})
    answer = paint(client, "save")
    assert answer["delta"]["mark"] == "saved"
    out = pictures.parent / "pictures_segmented"
    labels = np.asarray(Image.open(out / "astronaut_labels.png"))
    assert np.array_equal(labels, Mirror(client, 0).pixels() % 65_536)
    assert (out / "astronaut_mask_(R:0,G:0,B:255).png").exists()
    paint(client, "save", formats=["coco"])
    assert (out / "coco.json").exists()
    assert "formats" in refusal(client, "save", formats=["../x"])


def test_repeated_stale_and_unknown_commands(client):
    mirror = Mirror(client, 0)
    body = {"op": "fill", "image": 0, "args": {"row": 50, "col": 60, "class": 1}}
    first = client.done("commands", **body, id="one")
    assert client.post("commands", **body, id="one").json() == first
    other = {**body, "args": {"row": 1, "col": 1, "class": 2}}
    assert client.post("commands", **other, id="one").status_code == 400
    stale = client.post("commands", **body, rev=0, id="two")
    assert (stale.status_code, stale.json()["rev"]) == (409, 1)
    paint(client, "fill", row=20, col=20, **{"class": 2})
    again = client.post("commands", **body, id="one").json()
    assert (again["rev"], again["stale"]) == (2, True)
    mirror = Mirror(client, 0)
    assert len(mirror.doc["objects"]) == 2
    assert "unknown command" in refusal(client, "explode")
    assert client.post("undo", image=1).status_code == 400
    assert client.state()["rev"] == 2


@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("fill", {"row": 1.5, "col": 1, "class": 1}),
        ("fill", {"row": True, "col": 1, "class": 1}),
        ("fill", {"row": 1, "col": 1}),
        ("fill", {"row": 1, "col": 1, "class": 99}),
        ("fill", {"row": 1, "col": 1, "class": 1, "number": 0}),
        ("fill", {"row": 10**30, "col": 1, "class": 1}),
        ("fill_segments", {"segments": [0], "class": 1}),
        ("fill_segments", {"segments": [10**9], "class": 1}),
        ("fill_segments", {"segments": "all", "class": 1}),
        ("brush", {"points": [], "radius": 1, "class": 1}),
        ("brush", {"points": [[1, 1]], "radius": -1, "class": 1}),
        ("brush", {"points": [[1]], "radius": 1, "class": 1}),
        ("cut", {"from": [1, 1]}),
        ("polygon", {"points": [[1, 1], [2, 2]], "class": 1}),
        ("rectangle", {"box": [5, 5, 5, 9], "class": 1}),
        ("rectangle", {"box": [900, 900, 950, 950], "class": 1}),
        ("object_delete", {"class": 1, "number": 1}),
        ("object_class", {"class": 1, "number": 1, "to": 2}),
        ("pick_object", {"row": 0, "col": 0}),
        ("new_object", {"class": None}),
        ("mark", {"unsure": 1}),
        ("class_add", {"name": ""}),
        ("class_add", {"name": "a\nb"}),
        ("class_add", {"name": "red"}),
        ("class_add", {"name": "horse", "color": "red"}),
        ("class_change", {"number": 0, "name": "x"}),
        ("class_view", {"number": 1}),
    ],
)
def test_invalid_arguments_change_nothing(unchanged, op, args):
    before = Mirror(unchanged, 0).doc
    refusal(unchanged, op, **args)
    assert Mirror(unchanged, 0).doc == before
    assert unchanged.state()["rev"] == 0


def test_an_image_that_cannot_be_read(client):
    while (answer := client.http.get("/api/doc/3")).status_code == 202:
        pass
    assert answer.status_code == 404
    assert "damaged.png cannot be painted: " in answer.json()["error"]
    assert client.http.get("/api/thumb/3").status_code == 404
    assert client.post("commands", op="reset", image=3, args={}).status_code == 400
    assert client.get("files?from=2&count=9")["marks"] == ["", "unreadable"]
    Mirror(client, 2)


def test_marks_are_kept(pictures):
    with serve(pictures) as client:
        Mirror(client, 1)
        paint(client, "fill", 1, row=50, col=60, **{"class": 1})
        paint(client, "mark", 2, unsure=True)
        assert client.get("files")["marks"] == ["", "unsaved", "unsure", ""]
        paint(client, "save", 1)
    with serve(pictures) as client:
        assert client.get("files")["marks"] == ["", "saved", "unsure", ""]
        paint(client, "mark", 2, unsure=False)
        assert client.get("files?from=2&count=1") == {"files": ["coffee.png"], "marks": [""]}


def test_undo_of_each_image_and_painting_of_the_next_start(pictures):
    with serve(pictures) as client:
        Mirror(client, 0), Mirror(client, 1)
        paint(client, "fill", 0, row=50, col=60, **{"class": 1})
        paint(client, "fill", 1, row=50, col=60, **{"class": 2})
        assert client.done("undo", image=0)["text"] == "undo fill red"
        assert Mirror(client, 1).doc["undo"] == "fill blue"
        assert client.done("redo", image=0)["delta"]["redo"] is None
        client.done("undo", image=0)
        pixels = [Mirror(client, number).pixels() for number in (0, 1)]
        assert not pixels[0].any()
    with serve(pictures) as client:
        for number in (0, 1):
            assert np.array_equal(Mirror(client, number).pixels(), pixels[number])
        assert Mirror(client, 1).doc["note"] == "restored unsaved painting"


def test_closed_images_can_be_painted_again(client):
    """An image that left the memory begins without undo; nothing keeps it in memory."""
    Mirror(client, 0)
    paint(client, "fill", 0, row=50, col=60, **{"class": 1})
    before = Mirror(client, 0).pixels()
    session = client.painting.session
    with client.painting.lock:
        session.at(1)
        session.store.keep_now(0)
        closed = weakref.ref(session.store.images.pop(0))
    again = Mirror(client, 0)
    gc.collect()
    assert closed() is None
    assert np.array_equal(again.pixels(), before)
    assert again.doc["undo"] is None
    assert client.post("undo", image=0).status_code == 400
    again.update(paint(client, "unfill", 0, row=50, col=60)["delta"])
    again.update(client.done("undo", image=0)["delta"])
    assert np.array_equal(again.pixels(), before)


@pytest.mark.parametrize("op", ["fill", "undo", "redo"])
def test_a_command_that_cannot_be_stored_changes_nothing(client, monkeypatch, op):
    Mirror(client, 0)
    for row in (20, 50):
        paint(client, "fill", 0, row=row, col=60, **{"class": 1})
    client.done("undo", image=0)
    before = Mirror(client, 0)

    def full(*_):
        raise icas.IcasError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(PaintingLog, "append", full)
        if op == "fill":
            args = {"row": 80, "col": 90, "class": 2}
            answer = client.post("commands", op=op, image=0, args=args)
        else:
            answer = client.post(op, image=0)
        assert (answer.status_code, answer.json()["error"]) == (500, "no space left on device")
    after = Mirror(client, 0)
    assert np.array_equal(after.pixels(), before.pixels())
    assert (after.doc["undo"], after.doc["objects"]) == ("fill red", before.doc["objects"])
    if op != "fill":  # a new command ends what can be redone, as in the windows
        assert after.doc["redo"] == "fill red"
    client.done("undo", image=0)
    assert not Mirror(client, 0).pixels().any()


def test_classes_are_listed_for_the_windows(pictures):
    with serve(pictures) as client:
        Mirror(client, 0)
        paint(client, "fill", row=50, col=60, **{"class": 2})
        paint(client, "class_add", None, name="horse", color="#010203")
        paint(client, "class_change", 0, number=2, name="cow", color="#102030")
        moved = paint(client, "class_move", 0, number=2, to=1)["delta"]
        assert moved["reload"]
        assert [entry["name"] for entry in moved["classes"][:3]] == ["cow", "red", "green"]
        paint(client, "class_view", 0, number=1, hidden=True, locked=True)
        assert Mirror(client, 0).doc["objects"][0]["class"] == 1
    listed = (pictures.parent / "pictures_segmented" / "classes.txt").read_text().splitlines()
    assert listed[1] == "cow,#102030"
    assert listed[-1] == "horse,#010203"
    with serve(pictures) as client:
        first = client.state()["classes"][0]
        assert (first["name"], first["hidden"], first["locked"]) == ("cow", True, True)
        assert Mirror(client, 0).doc["objects"][0]["class"] == 1


def test_locked_classes_do_not_change(client):
    Mirror(client, 0)
    paint(client, "fill", row=50, col=60, **{"class": 1})
    before = Mirror(client, 0).pixels()
    paint(client, "class_view", 0, number=1, locked=True)
    for op, args in [
        ("fill", {"row": 50, "col": 60, "class": 2}),
        ("unfill", {"row": 50, "col": 60}),
        ("fill", {"row": 5, "col": 5, "class": 1}),
        ("object_delete", {"class": 1, "number": 1}),
        ("reset", {}),
    ]:
        assert "locked" in refusal(client, op, **args)
    paint(client, "brush", points=[[50, 60], [10, 10]], radius=30, **{"class": 2})
    paint(client, "rectangle", box=[0, 0, 100, 150], **{"class": 3})
    after = Mirror(client, 0).pixels()
    assert np.array_equal(after == 1, before == 1)
    assert (after[before == 0] == 3).all()


def test_objects_are_deleted_and_get_another_class(client):
    Mirror(client, 0)
    for number in (1, 2):
        paint(client, "rectangle", box=[0, 40 * number, 30, 40 * number + 20], number=number,
              **{"class": 1})  # fmt: skip
    paint(client, "object_class", number=1, to=2, **{"class": 1})
    paint(client, "object_delete", number=2, **{"class": 1})
    objects = Mirror(client, 0).doc["objects"]
    assert objects == [{"class": 2, "number": 1, "area": 600, "box": [0, 40, 30, 60]}]
    client.done("undo", image=0)
    assert len(Mirror(client, 0).doc["objects"]) == 2


def test_one_session_for_a_folder(pictures):
    with serve(pictures), pytest.raises(ConflictError) as refused, serve(pictures):
        raise AssertionError
    assert "another icas process uses" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (pictures.parent / "pictures_segmented").exists()


@pytest.mark.parametrize("method", ["grabcut", "sam"])
def test_methods_that_make_no_segments_alone(pictures, method):
    options = {"mode": "prompt"} if method == "sam" else {}
    with pytest.raises(icas.IcasError), serve(pictures, method=method, options=options):
        raise AssertionError


def test_second_tab_is_read_only(client):
    client.get("state?tab=first")
    assert client.get("state?tab=second")["read_only"]
    client.http.headers["X-Icas-Tab"] = "second"
    answer = client.post("commands", op="reset", image=0, args={})
    assert (answer.status_code, "another tab edits this painting" in answer.text) == (403, True)
    client.done("take")
    assert not client.get("state?tab=second")["read_only"]


def test_events_of_another_program(client):
    Mirror(client, 0)
    lines = []
    started = threading.Event()

    def listen():
        with client.http.stream("GET", "/api/events") as answer:
            for line in answer.iter_lines():
                lines.append(line)
                started.set()
                if line.startswith('data: {"marks"'):
                    return

    thread = threading.Thread(target=listen)
    thread.start()
    assert started.wait(20)
    paint(client, "fill", row=50, col=60, **{"class": 1})
    thread.join(20)
    assert 'data: {"marks":{"0":"unsaved"}}' in lines


def test_tiles_of_a_large_image(tmp_path):
    folder = tmp_path / "large"
    folder.mkdir()
    pixels = np.zeros((700, 4_500, 3), np.uint8)
    pixels[:, 3_000:] = (200, 30, 30)
    Image.fromarray(pixels).save(folder / "wide.png")
    with serve(folder) as client:
        doc = Mirror(client, 0).doc
        assert (doc["tile"], doc["pyramid"][:2]) == (512, [[4_500, 700], [2_250, 350]])
        assert max(doc["pyramid"][-1]) <= 512
        assert client.http.get("/api/image/0").status_code == 404
        for level, (width, height) in enumerate(doc["pyramid"]):
            rows, cols = -(-height // 512), -(-width // 512)
            answer = client.http.get(f"/api/tile/0/{level}/{rows - 1}/{cols - 1}")
            assert answer.headers["content-type"] == "image/jpeg"
            tile = np.asarray(Image.open(io.BytesIO(answer.content)))
            assert tile.shape[:2] == (height - 512 * (rows - 1), width - 512 * (cols - 1))
            assert abs(tile[-1, -1].astype(int) - (200, 30, 30)).max() < 8
            assert client.http.get(f"/api/tile/0/{level}/{rows}/0").status_code == 404


@pytest.mark.parametrize("count", [6_000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_many_images(tmp_path, count):
    folder = tmp_path / "many"
    folder.mkdir()
    Image.new("RGB", (8, 6), "white").save(folder / "00000.png")
    for number in range(1, count):
        os.link(folder / "00000.png", folder / f"{number:05}.png")
    with serve(folder) as client:
        assert client.state()["images"] == count
        Mirror(client, count - 1)
        paint(client, "rectangle", count - 1, box=[0, 0, 3, 3], **{"class": 1})
        marks = []
        while len(marks) < count:
            page = client.get(f"files?from={len(marks)}&count=9999")
            assert len(page["files"]) == min(5_000, count - len(marks))
            marks += page["marks"]
        assert marks == [""] * (count - 1) + ["unsaved"]
    shutil.rmtree(folder)
