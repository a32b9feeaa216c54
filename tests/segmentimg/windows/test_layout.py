"""Where windows open: on the screen, beside each other, and where the user left them."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st

from icas.segmentimg.windows.screen.layout import (
    COLORS_WIDTH,
    NO_FRAME,
    USUAL_FRAME,
    Frame,
    Layout,
    Place,
    SavedPlaces,
)

areas = st.builds(
    Place, st.integers(0, 200), st.integers(0, 80), st.integers(900, 3840), st.integers(600, 2160)
)
frames = st.sampled_from([NO_FRAME, USUAL_FRAME, Frame(1, 1, 20, 5), Frame(0, 0, 48, 0)])


def inside(place, layout):
    area, frame = layout.area, layout.frame
    return (
        place.x - frame.left >= area.x
        and place.y - frame.top >= area.y
        and place.x + place.width + frame.right <= area.x + area.width
        and place.y + place.height + frame.bottom <= area.y + area.height
    )


@given(areas, frames)
@settings(max_examples=80, deadline=None)
def test_windows_are_on_the_screen_and_side_by_side(area, frame):
    layout = Layout(area, frame)
    height, width = layout.painting
    painting = Place(*layout.position("Painting", width, height), width, height)
    colors = Place(*layout.position("Colours", COLORS_WIDTH, 400), COLORS_WIDTH, 400)
    files = Place(*layout.position("Files", COLORS_WIDTH, 120), COLORS_WIDTH, 120)
    for place in (painting, colors, files):
        assert inside(place, layout)
    for place in (colors, files):
        assert place.x + place.width + frame.right <= painting.x - frame.left
    height, width = layout.annotations
    half = width // 2 - 6
    first = layout.position("Annotations", half, height)
    second = layout.position("Segments", half, height)
    assert first[0] + half <= second[0]
    assert second[0] + half + frame.right <= area.x + area.width


@given(areas, frames, st.tuples(*[st.integers(-3000, 5000)] * 4))
@settings(max_examples=80, deadline=None)
def test_places_of_another_screen_are_moved_onto_this_one(area, frame, numbers):
    layout = Layout(area, frame)
    place = Place(numbers[0], numbers[1], 1 + abs(numbers[2]), 1 + abs(numbers[3]))
    assert inside(layout.clamped(place), layout)
    assert layout.clamped(layout.clamped(place)) == layout.clamped(place)


def test_places_are_kept_by_screen(tmp_path):
    path, area = tmp_path / "state" / "windows.json", Place(0, 0, 1280, 900)
    saved = SavedPlaces(area, path)
    assert saved.get("Painting") is None
    saved.save({"Painting": Place(20, 30, 400, 300)})
    SavedPlaces(Place(0, 0, 1920, 1080), path).save({"Painting": Place(1, 2, 3, 4)})
    again = SavedPlaces(area, path)
    assert again.get("Painting") == Place(20, 30, 400, 300)
    assert again.get("Colours") is None
    again.save({"Colours": Place(5, 6, 252, 500)})
    assert SavedPlaces(area, path).get("Painting") == Place(20, 30, 400, 300)


def test_a_damaged_file_is_as_none(tmp_path):
    path = tmp_path / "windows.json"
    for content in ("", "[]", '{"1280x900": 3}', '{"1280x900": {"Painting": [1, 2, "a", 4]}}', "{"):
        path.write_text(content)
        saved = SavedPlaces(Place(0, 0, 1280, 900), path)
        assert saved.get("Painting") is None
        saved.save({"Painting": Place(1, 2, 300, 400)})
        assert SavedPlaces(Place(0, 0, 1280, 900), path).get("Painting") == Place(1, 2, 300, 400)
        path.unlink()
