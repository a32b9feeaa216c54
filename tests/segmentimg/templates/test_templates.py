"""Template painting against hand-made truth, OpenCV without a mask, and real pictures."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

import icas
from icas.common.errors import UsageError
from icas.io.reading import read_image
from icas.segmentimg.document.document import PaintDocument
from icas.segmentimg.templates.files import load_templates
from icas.segmentimg.templates.paint import paint_templates
from icas.segmentimg.templates.search import BAND_PIXELS, OVERLAP, difference_map, find_template
from icas.segmentimg.templates.templates import Template, colors_for, made_attention, make_template

RED = (204, 0, 0)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3)).astype(np.uint8)


def flat(*shape: int, value: int) -> np.ndarray:
    return np.full((*shape, 3), value, np.uint8)


def disc(side: int, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    return rows**2 + columns**2 <= radius**2


def whole(image: np.ndarray, name: str = "template") -> Template:
    return make_template(image, attention=np.ones(image.shape[:2]), name=name)


def places(found) -> list[tuple[int, int]]:
    return sorted((one.row, one.col) for one in found)


def plainly(image: np.ndarray, template: Template) -> np.ndarray:
    """The normalised squared difference place by place, as it is defined."""
    (h, w), own = template.size, template.image[template.attention].astype(float)
    found = np.empty((image.shape[0] - h + 1, image.shape[1] - w + 1))
    for row, col in np.ndindex(found.shape):
        under = image[row : row + h, col : col + w][template.attention].astype(float)
        norm = np.sqrt((own**2).sum() * (under**2).sum())
        apart = ((own - under) ** 2).sum()
        found[row, col] = min(1, apart / norm) if norm else apart > 0
    return found


# What is found


@given(st.integers(0, 999), st.integers(1, 12), st.integers(5, 40), st.integers(5, 40))
@settings(max_examples=40, deadline=None)
def test_each_copy_is_found_once_where_it_is(seed, count, height, width):
    rng = np.random.default_rng(seed)
    image, template = noise(200, 300, seed=seed), noise(height, width, seed=seed + 1)
    cells = [(row, col) for row in range(0, 160, 45) for col in range(0, 260, 45)]
    truth = []
    for cell in rng.permutation(len(cells))[:count]:
        row, col = cells[cell][0] + int(rng.integers(5)), cells[cell][1] + int(rng.integers(5))
        image[row : row + height, col : col + width] = template
        truth.append((row, col))
    found = find_template(image, whole(template), 0.05)
    assert places(found) == sorted(truth)
    assert all(one.similarity == 1 and one.difference == 0 for one in found)
    assert all((one.height, one.width) == (height, width) for one in found)
    assert find_template(image, whole(template)) == [min(found, key=lambda one: (one.row, one.col))]


def test_outside_the_attention_nothing_counts():
    image, inside = noise(150, 200), disc(31, 14)
    template = np.where(inside[..., None], noise(31, 31, seed=1), 255).astype(np.uint8)
    truth = [(10, 20), (60, 100), (110, 160)]
    for row, col in truth:
        image[row : row + 31, col : col + 31][inside] = template[inside]
    assert places(find_template(image, template, 0.05)) == truth  # white around it is left out
    assert find_template(image, whole(template), 0.05) == []
    blurred = cv2.GaussianBlur(image, (3, 3), 0.5)
    assert places(find_template(blurred, template, 0.2)) == truth


def test_as_opencv_without_a_mask():
    image, template = noise(60, 80), whole(noise(9, 14, seed=2))
    theirs = cv2.matchTemplate(image, template.image, cv2.TM_SQDIFF_NORMED)
    assert np.allclose(difference_map(image, template), theirs, atol=1e-5)


@given(st.integers(0, 999), st.integers(1, 7), st.integers(1, 7), st.sampled_from([2, 3, 256]))
@settings(max_examples=60, deadline=None)
def test_as_defined_place_by_place(seed, height, width, levels):
    """Dark pictures too: black windows, black templates, hardly any light."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, levels, (20, 24, 3)).astype(np.uint8)
    image[:12, :14] = 0
    picture = rng.integers(0, rng.integers(1, levels + 1), (height, width, 3)).astype(np.uint8)
    attention = rng.random((height, width)) < 0.6
    attention[rng.integers(height), rng.integers(width)] = True
    template = make_template(picture, attention=attention)
    ours, defined = difference_map(image, template), plainly(image, template)
    assert np.isfinite(ours).all()
    assert np.allclose(ours, defined, atol=2e-6)
    best = find_template(image, template)[0]
    assert best.difference == pytest.approx(defined.min(), abs=2e-6)
    for one in find_template(image, template, 0.5):
        assert one.difference == pytest.approx(defined[one.row, one.col], abs=1e-12)
        assert one.difference <= 0.5


def test_black_is_like_black_and_like_nothing_else():
    image = flat(40, 60, value=0)
    image[20:, 30:] = 200
    black = difference_map(image, whole(flat(8, 8, value=0)))
    assert (black[:13] == 0).all()
    assert (black[13:, 23:] == 1).all()
    lit = difference_map(image, whole(flat(8, 8, value=200)))
    assert (lit[:13, :] == 1).all()
    assert (lit[20:, 30:] == 0).all()


@pytest.mark.parametrize("value", [0, 1, 128, 255])
def test_a_flat_template_tiles_a_flat_picture(value):
    found = find_template(flat(100, 120, value=value), flat(10, 10, value=value), 0.05)
    assert found[0].row == found[0].col == 0
    assert 100 <= len(found) <= 240
    assert {one.similarity for one in found} == {1.0}
    other = 255 - value if value != 128 else 0
    assert find_template(flat(50, 60, value=other), flat(10, 10, value=value), 0.05) == []


def test_a_dark_flat_template_is_found_in_a_bright_picture():
    """Large numbers around must not drown small ones."""
    image = flat(300, 400, value=255)
    image[100:120, 50:70] = 2
    found = find_template(image, flat(20, 20, value=2), 0.01)
    assert places(found) == [(100, 50)]
    assert found[0].similarity == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2)])
def test_small_templates(size):
    image = np.where(np.indices((30, 40)).sum(axis=0)[..., None] % 2, 60, 90).astype(np.uint8)
    image = image.repeat(3, axis=2)
    truth = [(3, 4), (20, 30)] if size != (1, 1) else [(3, 4), (3, 5), (20, 30)]
    for row, col in truth:
        image[row : row + size[0], col : col + size[1]] = (250, 10, 20)
    template = np.full((*size, 3), (250, 10, 20), np.uint8)
    assert places(find_template(image, template, 0.01)) == truth


def test_a_template_of_the_pictures_size_and_one_that_is_larger():
    image = noise(20, 30)
    assert places(find_template(image, image, 0.0)) == [(0, 0)]
    assert places(find_template(image, whole(255 - image))) == [(0, 0)]
    with pytest.raises(UsageError, match=r"'leaf' is 31x20 pixels, larger .*30x20"):
        find_template(image, whole(noise(20, 31), "leaf"))


def test_bands_give_what_the_whole_gives():
    """A picture higher than a band, with copies across the seams."""
    width = 200
    rows = BAND_PIXELS // width
    image = noise(2 * rows + 500, width)
    template = noise(40, 30, seed=3)
    truth = [(0, 0), (rows - 20, 50), (2 * rows - 39, 80), (len(image) - 40, 170)]
    for row, col in truth:
        image[row : row + 40, col : col + 30] = template
    assert places(find_template(image, whole(template), 0.05)) == truth


def test_no_more_places_than_can_be_held():
    with pytest.raises(UsageError, match="more than 100,000 matches"):
        find_template(flat(400, 400, value=9), flat(1, 1, value=9), 0.05)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_that_is_none(threshold):
    with pytest.raises(UsageError, match="between 0 and 1"):
        find_template(noise(9, 9), noise(3, 3), threshold)


def test_gray_and_16_bit_pictures_do():
    image = np.random.default_rng(0).integers(0, 65536, (40, 50)).astype(np.uint16)
    assert places(find_template(image, image[10:20, 5:25], 0.0)) == [(10, 5)]
    gray = (image >> 8).astype(np.uint8)
    assert places(find_template(gray, image[10:20, 5:25], 0.0)) == [(10, 5)]


# What is made where it is not given


@pytest.mark.parametrize("quality", [None, 95, 75])
@pytest.mark.parametrize("ground", [(255, 255, 255), (0, 0, 0), (90, 140, 60)])
def test_the_ground_around_an_object_is_left_out(quality, ground):
    inside = disc(64, 25)
    photo = cv2.resize(noise(8, 8, seed=5), (64, 64), interpolation=cv2.INTER_CUBIC)
    photo[28:36, 28:36] = ground  # a hole does not hang together with the border
    image = np.where(inside[..., None], photo, np.array(ground)).astype(np.uint8)
    if quality:
        image = cv2.imdecode(cv2.imencode(".jpg", image, [1, quality])[1], cv2.IMREAD_COLOR)
    made = made_attention(image)
    if quality is None:
        assert made[28:36, 28:36].all()
        assert (made != inside).mean() < 0.02  # what in the object has the ground's colour
    assert (made & inside).sum() / (made | inside).sum() > 0.85


def test_a_flat_object_that_stands_free():
    inside = disc(41, 15)
    image = np.where(inside[..., None], np.array(RED), 255).astype(np.uint8)
    assert (made_attention(image) == inside).all()


@pytest.mark.parametrize(
    "image",
    [
        flat(20, 30, value=255),
        flat(1, 1, value=0),
        noise(30, 30),
        np.where(disc(40, 15)[..., None], 0, flat(40, 40, value=255)),
        np.where(np.arange(30)[:, None, None] < 22, flat(30, 30, value=0), 255).astype(np.uint8),
    ],
    ids=["flat", "1x1", "noise", "black object", "half and half"],
)
def test_the_whole_template_counts_where_nothing_can_be_left_out(image):
    assert made_attention(image).all()


def test_what_is_painted():
    image, inside = noise(20, 20), disc(20, 6)
    segment = np.zeros((20, 20, 3), np.uint8)
    segment[4:9, 4:9] = (0, 0, 255)
    assert (make_template(image, attention=inside).mask == inside).all()
    assert (make_template(image, attention=inside).segment == np.array(RED)).all()
    assert (make_template(image, color=(1, 2, 3)).segment == np.array((1, 2, 3))).all()
    made = make_template(image, segment=segment)
    assert (made.mask == segment.any(axis=2)).all()
    three = np.dstack([inside] * 3).astype(np.uint8)
    assert (make_template(image, segment=segment, mask=three).mask == inside).all()
    assert (make_template(image, mask=inside).mask == inside).all()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"attention": np.zeros((8, 9))}, "attention is all black"),
        (
            {"attention": np.ones((8, 8))},
            r"attention must be bool of shape \(8, 9\), got bool of shape \(8, 8\)",
        ),
        ({"segment": np.zeros((8, 9, 3), np.uint8)}, "mask is all black"),
        ({"segment": noise(4, 9)}, r"got uint8 of shape \(4, 9, 3\)"),
        ({"mask": np.ones((9, 8))}, "mask must be bool"),
        ({"color": (0, 0, 256)}, "must be 0 to 255"),
    ],
)
def test_templates_that_do_not_fit(given, words):
    with pytest.raises(UsageError, match=words):
        make_template(noise(8, 9), name="leaf", **given)


def test_a_segment_of_too_many_colours():
    with pytest.raises(UsageError, match=r"'leaf': segment has [\d,]+ colours"):
        make_template(noise(40, 40), segment=noise(40, 40), name="leaf")


def test_colours_are_all_different():
    many = colors_for(500)
    assert len(set(many)) == 500
    assert many[0] == RED
    assert (0, 0, 0) not in many
    assert colors_for(3, [(1, 1, 1), (1, 1, 1)])[0] == (1, 1, 1)
    assert len(set(colors_for(3, [(1, 1, 1), (1, 1, 1)]))) == 3


# What is painted


def test_every_occurrence_is_painted_with_its_segment():
    image, template = noise(100, 120), noise(20, 24, seed=1)
    segment = np.zeros((20, 24, 3), np.uint8)
    segment[:10, 4:] = (0, 0, 255)
    segment[10:, 4:] = (0, 255, 0)
    truth = [(5, 7), (40, 90), (70, 30)]
    for row, col in truth:
        image[row : row + 20, col : col + 24] = template
    painted = paint_templates(image, [make_template(template, segment=segment)])
    assert places(painted.places) == truth
    upper, lower = np.zeros((2, 100, 120), bool)
    for row, col in truth:
        upper[row : row + 10, col + 4 : col + 24] = True
        lower[row + 10 : row + 20, col + 4 : col + 24] = True
    masks = painted.masks
    assert set(masks) == {(0, 0, 255), (0, 255, 0)}
    assert (masks[0, 0, 255] == upper).all()
    assert (masks[0, 255, 0] == lower).all()


def test_a_document_takes_the_stamps():
    image = noise(60, 60)
    painted = paint_templates(image, [image[5:15, 5:25], image[30:50, 10:30]], None)
    document = PaintDocument(image, np.ones((60, 60), np.int32))
    for color, mask in painted.stamps():
        document.stamp(mask, color)
    assert list(document.masks()) == list(painted.masks) == colors_for(2)
    for color, mask in document.masks().items():
        assert (mask == painted.masks[color]).all()


def test_of_two_templates_the_better_wins():
    image, object_ = noise(120, 160), noise(30, 30, seed=4)
    image[10:40, 20:50] = object_
    worn = object_.copy()
    worn[::3] = worn[::3] // 2 + 60
    image[70:100, 100:130] = worn
    apart = find_template(image, whole(worn), 0.2)
    assert len(apart) == 2  # each finds both objects
    painted = paint_templates(image, [whole(worn), whole(object_)], 0.2)
    assert [(one.template, one.row, one.col) for one in painted.places] == [
        (0, 70, 100),
        (1, 10, 20),
    ]
    swapped = paint_templates(image, [whole(object_), whole(worn)], 0.2)
    assert [(1 - one.template, one.row) for one in reversed(swapped.places)] == [(0, 70), (1, 10)]
    both = paint_templates(image, [whole(object_), whole(object_)], None)
    assert [one.template for one in both.places] == [0, 1]  # the best place of each is kept


@given(st.integers(0, 999), st.floats(0.02, 1))
@settings(max_examples=25, deadline=None)
def test_laws_of_painting(seed, threshold):
    """Masks share no pixel, no two places show one object, the same call gives the same."""
    rng = np.random.default_rng(seed)
    image = cv2.GaussianBlur(noise(60, 70, seed=seed), (0, 0), 2)
    sizes = rng.integers(4, 20, (3, 2))
    templates = [image[5 : 5 + h, 8 : 8 + w] for h, w in sizes]
    painted = paint_templates(image, templates, threshold)
    assert np.sum(list(painted.masks.values()), axis=0).max(initial=0) <= 1
    for at, one in enumerate(painted.places):
        assert one.difference <= threshold
        for other in painted.places[:at]:
            assert other.similarity >= one.similarity
            down = min(one.row + one.height, other.row + other.height) - max(one.row, other.row)
            right = min(one.col + one.width, other.col + other.width) - max(one.col, other.col)
            common = max(0, down) * max(0, right)
            area = one.height * one.width + other.height * other.width
            assert common <= OVERLAP * (area - common) + 1e-9
    again = paint_templates(image, templates, threshold)
    assert again.places == painted.places
    assert (again.painted == painted.painted).all()


def test_nothing_found_paints_nothing():
    painted = paint_templates(flat(30, 30, value=10), [noise(5, 5)], 0.01)
    assert painted.places == ()
    assert painted.masks == {}
    with pytest.raises(UsageError, match="no templates"):
        paint_templates(noise(9, 9), [])


# Real pictures


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def recall_of(image: np.ndarray, template: Template, truth: np.ndarray) -> float:
    """Largest share of boxes found by any threshold with a precision of 0.9 or more."""
    free, hits, best = np.ones(len(truth), bool), 0, 0
    for number, one in enumerate(find_template(image, template, 1.0), start=1):
        low = np.maximum(truth[:, :2], (one.col, one.row))
        high = np.minimum(truth[:, 2:], (one.col + one.width, one.row + one.height))
        common = np.clip(high - low, 0, None).prod(axis=1)
        areas = (truth[:, 2:] - truth[:, :2]).prod(axis=1) + one.width * one.height
        overlap = np.where(free, common / (areas - common), 0)
        if overlap.max() >= 0.4:
            hits += 1
            free[overlap.argmax()] = False
        if hits >= 0.9 * number:
            best = hits
    return best / len(truth)


def test_one_coin_finds_the_others(data):
    folder = data / "tm-coins"
    image = read_image(folder / "images" / "coins.png")
    boxes = [
        [int(row[side]) for side in ("x1", "y1", "x2", "y2")]
        for row in rows_of(folder / "boxes.csv")
    ]
    truth, recalls = np.array(boxes), []
    for left, top, right, bottom in boxes:
        rows, columns = np.ogrid[: bottom - top, : right - left]
        down = (rows + 0.5) / (bottom - top) - 0.5
        round_ = down**2 + ((columns + 0.5) / (right - left) - 0.5) ** 2 <= 0.25
        template = make_template(image[top:bottom, left:right], attention=round_)
        recalls.append(recall_of(image, template, truth))
    assert len(recalls) == 24
    assert np.median(recalls) >= 0.9
    assert np.mean(recalls) >= 0.75


def test_patches_of_boards_are_found_in_the_other_picture(data):
    """60 pairs, of each the patch with most corners; where a pair is off itself, that counts."""
    folder = data / "deeppcb-pairs"
    names: dict[str, dict[str, str]] = {}
    for row in rows_of(folder / "origin.csv"):
        board, _, kind = Path(row["origin"]).stem.rpartition("_")
        names.setdefault(board, {})[kind] = row["file"]
    near = []
    for _, pair in sorted(names.items()):
        board, test = (read_image(folder / "images" / pair[kind]) for kind in ("temp", "test"))
        corners = cv2.cornerMinEigenVal(cv2.GaussianBlur(board[..., 0], (0, 0), 2), 31, 5)
        # 240 px around the patch, at most 12 px off, tell how the pair itself lies
        middle = cv2.boxFilter(corners, -1, (48, 48))[132:-132, 132:-132]
        row, col = (int(at) + 84 for at in np.unravel_index(middle.argmax(), middle.shape))
        around = board[row - 72 : row + 168, col - 72 : col + 168]
        part = test[row - 84 : row + 180, col - 84 : col + 180]
        similar = cv2.matchTemplate(part, around, cv2.TM_CCOEFF_NORMED)
        down, right = np.array(np.unravel_index(similar.argmax(), similar.shape)) - 12
        found = find_template(test, whole(board[row : row + 96, col : col + 96]))[0]
        near.append(max(abs(found.row - row - down), abs(found.col - col - right)) <= 2)
    assert len(near) == 60
    assert np.mean(near) >= 0.95


@pytest.mark.parametrize("form", ["array", "float", "pil", "file", "folder"])
def test_transparent_pixels_of_a_template_are_not_compared(tmp_path, form):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (60, 80, 3)).astype(np.uint8)
    alpha = np.full((20, 30), 255, np.uint8)
    alpha[:7] = 0
    rgba = np.dstack([image[10:30, 40:70], alpha])
    rgba[:7, :, :3] = 77  # what a transparent pixel holds does not matter
    path = tmp_path / "t.png"
    Image.fromarray(rgba).save(path)
    template = {
        "array": lambda: icas.make_template(rgba),
        "float": lambda: icas.make_template(rgba / 255),
        "pil": lambda: icas.make_template(Image.fromarray(rgba)),
        "file": lambda: icas.make_template(path),
        "folder": lambda: load_templates(tmp_path)[0],
    }[form]()
    assert (template.attention == (alpha > 0)).all()
    assert (template.mask == template.attention).all()
    (place,) = icas.paint_templates(image, [template], threshold=0.01).places
    assert (place.row, place.col) == (10, 40)


def test_a_template_that_is_all_transparent_is_an_error():
    with pytest.raises(UsageError, match="all black or transparent"):
        icas.make_template(np.zeros((5, 5, 4), np.uint8))
