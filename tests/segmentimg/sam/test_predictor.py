"""Our predictor gives what `SamPredictor` gives, bit for bit."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import icas
from icas.segmentimg.sam.embedding import (
    Embedder,
    EmbeddingCache,
    default_cache_folder,
    load_shared,
)
from icas.segmentimg.sam.predictor import Predictor, Prompts

POINTS = ((30, 40, 1), (150, 20, 0), (99, 100, 1))
BOX = (20, 15, 120, 110)


@pytest.fixture
def theirs(reference, photo):
    from segment_anything import SamPredictor

    made = SamPredictor(reference)
    made.set_image(photo)
    return made


def open_predictor(checkpoint, cache_dir=None):
    cache = EmbeddingCache(cache_dir or default_cache_folder())
    return Predictor(Embedder(load_shared(checkpoint, device="cpu"), cache))


@pytest.fixture
def ours(checkpoint, photo, tmp_path):
    made = open_predictor(checkpoint, cache_dir=tmp_path / "embeddings")
    made.set_image(photo)
    return made


def asked(predictor, points=(), box=None, mask_input=None):
    places = np.array([point[:2] for point in points]) if points else None
    labels = np.array([point[2] for point in points]) if points else None
    return predictor.predict(
        places, labels, None if box is None else np.array(box), mask_input=mask_input
    )


def same(prediction, expected):
    masks, quality, logits = expected
    order = np.argsort(-quality, kind="stable")
    assert prediction.masks.dtype == bool
    assert (prediction.masks == masks[order]).all()
    assert (prediction.quality == quality[order]).all()
    assert (prediction.logits[0] == logits[order]).all()
    assert (prediction.candidate(0) == masks[np.argmax(quality)]).all()


PROMPTS = [(POINTS[:1], None), (POINTS, None), ((), BOX), (POINTS[:1], BOX), (POINTS[1:2], BOX)]


@pytest.mark.parametrize(("points", "box"), PROMPTS)
def test_masks_of_points_and_a_box(ours, theirs, points, box):
    found = ours.predict(Prompts((box,) if box else (), points))
    same(found, asked(theirs, points, box))
    assert found.masks.any()
    assert not found.masks.all()


@pytest.mark.parametrize(("points", "box"), PROMPTS)
def test_masks_with_a_mask_input(ours, theirs, points, box):
    prompts = Prompts((box,) if box else (), points)
    before = ours.predict(prompts).logits[:, 1]
    found = ours.predict(prompts, mask_input=before)
    same(found, asked(theirs, points, box, before))
    assert (found.quality != ours.predict(prompts).quality).any()


def test_several_boxes_are_united(ours, theirs):
    boxes = (BOX, (125, 30, 190, 125))
    points = ((30, 40, 1), (150, 50, 0), (160, 5, 1), (2, 2, 1))
    found = ours.predict(Prompts(boxes, points))
    one = asked(theirs, points[:1], boxes[0])
    two = asked(theirs, points[1:2], boxes[1])
    three = asked(theirs, points[2:])
    united = np.zeros_like(found.masks)
    for masks, quality, _ in (one, two, three):
        united |= masks[np.argsort(-quality, kind="stable")]
    assert (found.masks == united).all()
    assert found.logits.shape[:2] == (3, 3)
    assert (np.diff(found.quality) <= 0).all()


def test_candidates_go_round(ours):
    found = ours.predict(Prompts(points=POINTS))
    assert (found.candidate(3) == found.masks[0]).all()
    assert (found.candidate(-1) == found.masks[2]).all()


def test_colours_are_red_green_blue(ours, checkpoint, photo):
    """The weights are random, yet swapped colours are seen."""
    swapped = open_predictor(checkpoint)
    swapped.set_image(np.ascontiguousarray(photo[..., ::-1]))
    prompts = Prompts(points=POINTS)
    assert (swapped.predict(prompts).logits != ours.predict(prompts).logits).any()


def test_points_count_the_pixels_of_the_upright_picture(reference, checkpoint, photo, tmp_path):
    """A camera held upright stores a lying picture and says so in EXIF."""
    from segment_anything import SamPredictor

    exif = Image.Exif()
    exif[274] = 6
    lying = np.rot90(photo, 1)
    Image.fromarray(lying).save(tmp_path / "turned.png", exif=exif)
    image = icas.read_image(tmp_path / "turned.png")
    assert (image == photo).all()
    theirs, ours = SamPredictor(reference), open_predictor(checkpoint)
    theirs.set_image(image)
    ours.set_image(image)
    same(ours.predict(Prompts((BOX,), POINTS[:1])), asked(theirs, POINTS[:1], BOX))
    with pytest.raises(icas.UsageError, match="outside the image \\(201x133\\)"):
        ours.predict(Prompts(points=((5, 180, 1),)))  # inside the lying one


def test_points_that_are_added_take_the_last_mask_along(ours, theirs):
    first = ours.predict(Prompts(points=POINTS[:1]))
    grown = ours.refine(Prompts(points=POINTS), first, 1)
    same(grown, asked(theirs, POINTS, mask_input=first.logits[:, 1]))
    again = ours.refine(Prompts(points=POINTS), grown)
    assert again.results == grown.results  # nothing was added
    back = ours.refine(Prompts(points=POINTS[1:]), grown)
    same(back, asked(theirs, POINTS[1:]))  # one was removed: a new prediction


def test_a_box_that_is_added_leaves_the_others_as_they_are(ours, theirs):
    first = ours.predict(Prompts((BOX,), POINTS[:1]))
    other = (125, 30, 190, 125)
    grown = ours.refine(Prompts((BOX, other), POINTS[:1]), first)
    assert grown.results[0] is first.results[0]
    masks, quality, _ = asked(theirs, (), other)
    order = np.argsort(-quality, kind="stable")
    assert (grown.masks == (first.masks | masks[order])).all()


def test_what_is_missing_is_reported(ours, checkpoint):
    with pytest.raises(icas.UsageError, match="foreground point"):
        ours.predict(Prompts(points=((1, 1, 0),)))
    with pytest.raises(ValueError, match="2 mask inputs for 1 prompts"):
        ours.predict(Prompts((BOX,)), np.zeros((2, 64, 64), np.float32))
    with pytest.raises(RuntimeError, match="set_image"):
        open_predictor(checkpoint).predict(Prompts((BOX,)))
    with pytest.raises(icas.UsageError, match="5000x1 pixels is too narrow"):
        ours.set_image(np.zeros((1, 5000, 3), np.uint8))


def test_the_second_start_computes_no_embedding(torch, reference, checkpoint, photo, tmp_path):
    runs = []
    for _ in range(2):
        predictor = open_predictor(checkpoint, cache_dir=tmp_path / "kept")
        runs_before = len(runs)
        hook = predictor.embedder.loaded.run(
            lambda sam: sam.image_encoder.register_forward_hook(lambda *given: runs.append(1))
        )
        predictor.set_image(photo)
        hook.remove()
        found = predictor.predict(Prompts((BOX,), POINTS[:1]))
        assert predictor.embedder.computed == len(runs) - runs_before
    assert len(runs) == 1
    from segment_anything import SamPredictor

    theirs = SamPredictor(reference)
    theirs.set_image(photo)
    same(found, asked(theirs, POINTS[:1], BOX))
    assert predictor.nbytes == 64 * 16 * 16 * 4


def embedder(checkpoint, folder, **options):
    return Embedder(load_shared(checkpoint, device="cpu"), EmbeddingCache(folder, **options))


def test_another_picture_and_other_weights_are_computed(
    torch, make_sam, checkpoint, photo, tmp_path
):
    first = embedder(checkpoint, tmp_path)
    first.embed(photo)
    first.embed(np.ascontiguousarray(photo.transpose(1, 0, 2)))
    first.embed(photo.copy())
    assert first.computed == 2
    torch.save(make_sam(5).state_dict(), tmp_path / "other.pth")
    second = embedder(tmp_path / "other.pth", tmp_path)
    second.embed(photo)
    assert second.computed == 1
    assert len(list(tmp_path.glob("*.embedding"))) == 3


@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "longer", "folder"])
def test_a_damaged_file_is_computed_again(checkpoint, photo, tmp_path, harm):
    right = embedder(checkpoint, tmp_path).embed(photo).features
    (place,) = tmp_path.iterdir()
    content = bytearray(place.read_bytes())
    if harm == "flip":
        content[len(content) // 2] ^= 1
    harmed = {"cut": content[:-40], "empty": b"", "longer": content + b"\0"}.get(harm, content)
    place.write_bytes(harmed)
    if harm == "folder":
        place.unlink()
        place.mkdir()
    again = embedder(checkpoint, tmp_path)
    assert (again.embed(photo).features == right).all()
    assert again.computed == 1
    if harm != "folder":
        assert (embedder(checkpoint, tmp_path).embed(photo).features == right).all()
        assert embedder(checkpoint, tmp_path).computed == 0


def test_a_folder_that_cannot_be_written_is_reported_once(checkpoint, photo, tmp_path, caplog):
    (tmp_path / "file").write_bytes(b"")
    made = embedder(checkpoint, tmp_path / "file" / "kept")
    made.embed(photo)
    made.embed(photo)
    assert made.computed == 2
    assert len(caplog.records) == 1
    assert "cannot cache embeddings" in caplog.text


def test_the_folder_keeps_to_its_limit_and_touches_nothing_else(checkpoint, photo, tmp_path):
    (tmp_path / "mine.npz").write_bytes(b"x" * 999_999)
    made = embedder(checkpoint, tmp_path, limit=3 * 66_000)
    for shift in range(5):
        made.embed(np.roll(photo, shift, axis=1))
    kept = list(tmp_path.glob("*.embedding"))
    assert len(kept) == 2 or sum(one.stat().st_size for one in kept) <= 3 * 66_000
    assert (tmp_path / "mine.npz").exists()
    made.embed(np.roll(photo, 4, axis=1))
    assert made.computed == 5


def test_many_threads_compute_an_embedding_once(checkpoint, photo, tmp_path):
    made = embedder(checkpoint, tmp_path)
    start = threading.Barrier(4)

    def one(_):
        start.wait()
        predictor = Predictor(made)
        predictor.set_image(photo)
        return predictor.predict(Prompts((BOX,))).masks

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(one, range(4)))
    assert made.computed == 1
    assert all((one == found[0]).all() for one in found)
