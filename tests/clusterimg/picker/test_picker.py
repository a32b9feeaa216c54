"""The picker without a window: numbers, keys, places, pairs, and what it does where none opens."""

from __future__ import annotations

import subprocess
import sys
import warnings
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

import icas
from icas.cli.console import Console
from icas.clusterimg.commands.main import main
from icas.clusterimg.data.images import scan
from icas.clusterimg.methods import make_method
from icas.clusterimg.picker import pick as picker
from icas.clusterimg.picker.curve import Curve, first_state
from icas.clusterimg.picker.figure import PickerFigure, Subject
from icas.clusterimg.picker.pairs import (
    Nearest,
    Thumbnails,
    drawable,
    reader_of_arrays,
    reader_of_files,
    shortened,
)
from icas.clusterimg.picker.state import (
    HELP,
    KEYS,
    PickState,
    digits_for,
    help_rows,
    number_text,
    shortest_within,
    similarity_text,
    threshold_text,
)
from icas.clusterimg.thresholds.sample import Sample
from icas.common.errors import UsageError

SIZES = ((900, 800), (640, 520), (560, 420), (1500, 1000), (800, 1100))
similarities = st.floats(0, 1, width=32)


def state(**given):
    changes = (0.5, 0.625, 0.75, 1.0)
    return PickState(changes, (0.4, 1.0), (0.4, 1.0), 0.7, (0.4, 1.0), 0.7, **given)


@pytest.fixture(scope="module")
def sample(photos):
    features = icas.features(photos, "imagehash")
    return Sample.of(make_method("imagehash"), features, len(features))


@pytest.fixture(scope="module")
def larger(sample):
    """The same images as a part of a folder of 100."""
    return replace(sample, images=100)


# numbers


@given(similarities, similarities)
def test_the_shortest_number_is_within(one, other):
    low, high = sorted((one, other))
    if low == high:
        return
    found = shortest_within(low, high)
    assert np.float32(low) < np.float32(found) <= np.float32(high)


@pytest.mark.parametrize(
    ("low", "high", "number"),
    [(0.828125, 0.84375, 0.84), (0.7, 1.0, 1.0), (0.8123, 0.8124, 0.8124), (-0.5, -0.25, -0.25)],
)
def test_short_numbers(low, high, number):
    assert shortest_within(low, high) == number


def test_texts_of_numbers():
    assert [digits_for(span) for span in (1.0, 0.5, 0.1, 1e-5, 0.0)] == [3, 3, 4, 7, 7]
    assert [threshold_text(one) for one in (0.8, 0.8125, 0.1 + 0.2)] == ["0.800", "0.8125", "0.300"]
    assert similarity_text(np.float32(0.76999)) == "0.7699"
    assert similarity_text(np.float32(0.7)) == "0.7000"
    assert [number_text(one, exact=True) for one in (0, 1234)] == ["0", "1,234"]
    expected = [number_text(one, exact=False) for one in (0.2, 0, 12.4, 1234.5, 1234567)]
    assert expected == ["< 1", "0", "≈ 12", "≈ 1,230", "≈ 1,230,000"]


# state


def test_hovering_is_rounded_and_forgotten():
    hovered = state().hover(0.612345)
    assert (hovered.shown, hovered.chosen) == (0.612, 0.7)
    assert hovered.leave() == state()
    assert state().hover(7).shown == 1.0
    assert state().hover(-7).shown == 0.4


def test_click_chooses():
    clicked = state().hover(0.612345).click(0.6129)
    assert (clicked.chosen, clicked.shown) == (0.613, 0.613)
    assert clicked.leave().chosen == 0.613


@pytest.mark.parametrize(
    ("key", "chosen"),
    {
        "up": 0.701,
        "down": 0.699,
        "pageup": 0.71,
        "pagedown": 0.69,
        "shift+up": 0.71,
        "shift+down": 0.69,
        "right": 0.62,
        "left": 1.0,
        "x": 0.7,
    }.items(),
)
def test_keys_step(key, chosen):
    assert state().press(key).chosen == chosen


def test_keys_begin_at_the_pointer():
    assert state().hover(0.9).press("down").chosen == 0.899
    assert state().hover(0.9).press("down").hovered is None


def test_keys_stay_within_the_limits():
    at_top = state().choose(1.0)
    assert at_top.press("up").chosen == 1.0
    assert state().choose(0.4).press("pagedown").chosen == 0.4
    assert state().choose(0.4).press("right").chosen == 0.4
    assert at_top.press("left").chosen == 1.0


@given(st.lists(similarities, min_size=1, max_size=20, unique=True), st.data())
def test_changes_are_taken_one_by_one(values, data):
    changes = tuple(sorted(values))
    whole = (changes[0] - 0.1, 1.0)
    at = data.draw(st.floats(*whole))
    begin = PickState(changes, whole, whole, at, whole, at)

    def linked(one):
        return int((np.array(changes, np.float32) >= np.float32(one.chosen)).sum())

    assert linked(begin.press("right")) == min(linked(begin) + 1, len(changes))
    fewer = linked(begin.press("left"))
    assert fewer == max(linked(begin) - 1, 0) or (fewer == 1 and changes[-1] == 1.0)


def test_log_zoom_and_home():
    assert state().press("l").log
    assert not state().press("L").press("l").log
    near = state().zoom(3, 0.7)
    assert near.view[0] < 0.7 < near.view[1]
    assert near.view[1] - near.view[0] == pytest.approx(0.6 * 0.8**3)
    assert near.zoom(-9, 0.7).view == (0.4, 1.0)
    assert near.zoom(200, 0.7) == near
    away = near.choose(0.45)
    assert away.view[0] <= 0.45 <= away.view[1]
    assert away.press("home") == state()


def test_the_end():
    assert state().press("enter").ending == "taken"
    for key in ("escape", "q", "ctrl+w", "cmd+w"):
        assert state().press(key).ending == "cancelled"
    assert state().take().cancel().ending == "taken"


def test_help_names_what_matters_first():
    assert help_rows(99) == [(key, what) for key, what, _ in HELP]
    assert [key for key, _ in help_rows(3)] == ["click", "Enter", "Esc"]
    assert sorted(rank for _, _, rank in HELP) == list(range(1, len(HELP) + 1))
    assert set(KEYS) >= {"enter", "escape", "up", "down", "pageup", "pagedown", "l", "home"}


# curve


def test_the_curve_is_what_the_sample_tells(sample, larger):
    for one in (sample, larger):
        curve = Curve.of(one)
        assert (np.diff(curve.threshold) < 0).all()
        assert (np.diff(curve.pairs) >= 0).all()
        for row in (0, len(curve.threshold) // 2, -1):
            expected = one.expected(curve.threshold[row])
            assert curve.pairs[row] == expected.pairs
            assert curve.clusters[row] == expected.clusters
    assert Curve.of(sample).exact
    assert not Curve.of(larger).exact


def test_the_first_state_holds_the_start(sample):
    for start in (0.8, -3.0, 1.0):
        first = first_state(sample, start)
        assert first.whole[0] <= first.view[0] <= start <= first.view[1] <= first.whole[1]
        assert first.chosen == start
        assert first.press("up").press("home") == first


# the figure


@pytest.mark.parametrize("size", [*SIZES, (300, 260), (2500, 1400)])
def test_axes_do_not_overlap(sample, photos, size):
    board, _ = drawn_board(sample, photos, size, first_state(sample, 0.8))
    places = [one.bbox for one in board.figure.axes if one not in (board.curve.clusters,)]
    curve, card, *pairs = places
    assert len(pairs) == 2 * board.columns
    for one, other in combinations((curve, card, *pairs), 2):
        apart = one.x1 <= other.x0 + 1e-6 or other.x1 <= one.x0 + 1e-6
        assert apart or one.y1 <= other.y0 + 1e-6 or other.y1 <= one.y0 + 1e-6
    if size in SIZES:
        for one in places:
            assert one.x0 >= 0
            assert one.y0 >= 0
            assert one.x1 <= size[0]
            assert one.y1 <= size[1]
        assert curve.height >= 100


@pytest.mark.parametrize("size", SIZES)
def test_texts_do_not_overlap(larger, photos, size):
    at = first_state(larger, 0.8).hover(0.7)
    board, _ = drawn_board(larger, photos, size, at, take=lambda: None)
    renderer = board.figure.canvas.get_renderer()
    texts = texts_of(board.figure)
    assert len(texts) > 20
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts]
    for (word, one), (other_word, other) in combinations(boxes, 2):
        assert not one.shrunk(0.97, 0.8).overlaps(other.shrunk(0.97, 0.8)), (word, other_word)
    for word, box in boxes:
        assert box.x0 >= 0, word
        assert box.x1 <= size[0], word
        assert box.y0 >= 0, word
        assert box.y1 <= size[1], word


def texts_of(figure):
    """Texts that are seen: matplotlib keeps labels of ticks beyond the ends of an axis."""
    hidden = set()
    for axes in figure.axes:
        for place, axis in enumerate((axes.xaxis, axes.yaxis)):
            shown = axes.axison and axis.get_visible()
            low, high = sorted(axis.get_view_interval())
            hidden |= {
                label
                for label in axis.get_ticklabels(which="both")
                if not shown or not low - 1e-9 <= label.get_position()[place] <= high + 1e-9
            }
    shown = {one for one in figure.findobj(Text) if one.get_visible() and one not in hidden}
    shown -= {one for axes in figure.axes if not axes.get_visible() for one in axes.findobj(Text)}
    return [one for one in shown if one.get_text().strip()]


def drawn_board(sample, folder, size, at, **given):
    figure = Figure(figsize=(size[0] / 100, size[1] / 100), dpi=100)
    canvas = FigureCanvasAgg(figure)
    board = PickerFigure(figure, Subject.of(sample), animated=False, **given)
    thumbnails = Thumbnails(reader_of_files([folder / file for file in sample.features.files]))
    board.build(at)
    nearest = Nearest.of(sample, at.shown, board.columns)
    thumbnails.read_now(nearest.images)
    title = board.show_numbers(at)
    board.show_pairs(nearest, thumbnails.those_there(nearest.images))
    canvas.draw()
    return board, title


def test_the_board_tells_what_the_sample_tells(sample, photos):
    at = first_state(sample, 0.8).hover(0.7)
    board, title = drawn_board(sample, photos, SIZES[0], at, take=lambda: None)
    found = sample.expected(0.7)
    assert title == (
        f"pointer 0.700: {found.pairs:.0f} similar pairs, {found.clusters:.0f} clusters,"
        f" {found.clustered_images:.0f} images in clusters - clusterimg"
    )
    words = {text.get_text() for text in texts_of(board.figure)}
    assert {"threshold at the pointer", "0.700", "Enter: use 0.800"} <= words
    assert {f"{found.pairs:,.0f}", f"{found.clusters:,.0f}"} <= words
    axes = board.curve.pairs
    x, y = axes.transData.transform((axes.get_xlim()[1] / 2, 0.77))
    assert board.threshold_at(x, y) == pytest.approx(0.77)
    assert board.threshold_at(5, 5) is None


def test_names_are_no_formulas_and_warn_of_nothing(sample, photos):
    names = ("$x_1$.png", "写真.png", "a\nb.png", "\udcff.png")
    assert [drawable(name) for name in names[1:]] == ["□□.png", "a□b.png", "□.png"]
    files = tuple(names[row % 4] for row in range(len(sample)))
    odd = replace(sample, features=replace(sample.features, files=files))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn_board(odd, photos, SIZES[0], first_state(sample, 0.8))


@given(st.text(max_size=40), st.integers(0, 30))
def test_names_are_shortened(name, length):
    short = shortened(name, length)
    assert len(short) <= max(length, 0)
    if "/" not in name and len(name) <= length:
        assert short == name


# pairs


def test_nearest_pairs_are_the_next_ones(sample):
    values = sample.links.similarity
    nearest = Nearest.of(sample, 0.75, 5)
    above, below = ([pair.similarity for pair in row] for row in (nearest.above, nearest.below))
    assert above == sorted(values[values >= 0.75].tolist())[:5]
    assert below == sorted(values[values < 0.75].tolist())[::-1][:5]
    assert len(set(nearest.images)) == len(nearest.images)


@pytest.mark.parametrize("dpi", [100, 200])
def test_thumbnails_lie_in_their_places(sample, dpi):
    colors = [(10 * row, 250 - 10 * row, 99) for row in range(len(sample))]
    images = [np.full((40, 60, 3), color, np.uint8) for color in colors]
    thumbnails = Thumbnails(reader_of_arrays(images))
    figure = Figure(figsize=(9, 8), dpi=dpi)
    canvas = FigureCanvasAgg(figure)
    board = PickerFigure(figure, Subject.of(sample), animated=False)
    board.build(first_state(sample, 0.75))
    nearest = Nearest.of(sample, 0.75, board.columns)
    thumbnails.read_now(nearest.images)
    board.show_pairs(nearest, thumbnails.those_there(nearest.images))
    canvas.draw()
    shown = np.asarray(canvas.buffer_rgba())[..., :3]
    cells = [one for one in figure.axes if one.images]
    pairs = (*nearest.above, *nearest.below)
    assert len(cells) == len(pairs) == 2 * board.columns
    for cell, pair in zip(cells, pairs, strict=True):
        y = len(shown) - (cell.bbox.y0 + cell.bbox.y1) / 2
        for share, image in ((0.25, pair.a), (0.75, pair.b)):
            x = cell.bbox.x0 + share * cell.bbox.width
            assert tuple(shown[int(y), int(x)]) == colors[image]


def test_thumbnails_are_read_when_wanted_and_kept():
    read = []

    def reader(image):
        read.append(image)
        return None if image == 2 else np.zeros((4, 4, 3), np.uint8)

    thumbnails = Thumbnails(reader)
    while not thumbnails.all_there([1, 2]):
        thumbnails.poll([1, 2])
    assert sorted(read) == [1, 2]
    assert thumbnails.those_there([1, 2, 3])[2] is None
    assert 3 not in thumbnails.those_there([1, 2, 3])
    thumbnails.read_now([1, 2])
    assert sorted(read) == [1, 2]
    thumbnails.close()


def test_a_file_that_is_gone_has_no_thumbnail(tmp_path):
    (tmp_path / "text.png").write_text("unreadable")
    read = reader_of_files([tmp_path / "gone.png", tmp_path / "text.png", None])
    assert [read(image) for image in range(3)] == [None] * 3


# without a window


@pytest.fixture
def no_display(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(picker, "why_no_display", lambda: "no display (DISPLAY is not set)")


def test_without_a_display_the_curve_is_written_and_the_call_told(
    no_display, sample, photos, tmp_path
):
    for name in ("thresholds.png", "thresholds-2.png"):
        with pytest.raises(UsageError) as error:
            picker.pick(sample, scan(photos).images, 0.8, Console())
        assert str(error.value) == (
            "cannot open a window, no display (DISPLAY is not set): look at the curve in"
            f" {name} and give a number, such as threshold 0.80"
        )
        assert icas.read_image(tmp_path / name).shape == (600, 900, 3)


def test_one_image_is_nothing_to_pick_from(no_display, photos):
    one = icas.features([photos / "moon.png"], "imagehash")
    single = Sample.of(make_method("imagehash"), one, 1)
    with pytest.raises(UsageError, match="at least two images"):
        picker.pick(single, (), 0.8, Console())
    with pytest.raises(UsageError, match="at least two images"):
        icas.pick_threshold([photos / "moon.png"], "imagehash")


def test_a_backend_without_windows_is_respected(sample, photos, tmp_path):
    program = (
        "import sys, icas; from icas.cli.program import guarded\n"
        "sys.exit(guarded('clusterimg', lambda: icas.pick_threshold(sys.argv[1]) and 0, False))"
    )
    words = [sys.executable, "-c", program, str(photos)]
    env = {"MPLBACKEND": "agg", "WAYLAND_DISPLAY": "wayland-0", "PATH": "", "HOME": str(tmp_path)}
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "the matplotlib backend agg has no windows" in done.stderr
    assert (tmp_path / "thresholds.png").exists()


@pytest.mark.parametrize(
    ("terminal", "why", "backend", "picks"),
    [
        (True, None, "tkagg", True),
        (False, None, "tkagg", False),
        (True, "no display", "tkagg", False),
        (True, None, None, False),
    ],
)
def test_a_person_is_asked_where_there_is_one(monkeypatch, terminal, why, backend, picks):
    monkeypatch.setattr(picker, "has_terminal", lambda: terminal)
    monkeypatch.setattr(picker, "why_no_display", lambda: why)
    monkeypatch.setattr(picker, "window_backend", lambda: (backend, ""))
    assert picker.should_pick() is picks


def test_a_pipe_is_no_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert not picker.has_terminal()


def test_backends_of_notebooks():
    assert picker.is_inline("module://matplotlib_inline.backend_inline")
    assert picker.is_inline("inline")
    assert picker.is_live_in_notebook("module://ipympl.backend_nbagg")
    assert picker.is_live_in_notebook("widget")
    assert not picker.is_live_in_notebook("tkagg")
    assert not picker.is_inline(None)


# pictures of the curve


def test_the_picture_of_a_curve_says_what_is_chosen(sample, larger):
    words = " ".join(text.get_text() for text in picker.curve_picture(sample, 0.8).texts)
    found = sample.expected(0.8)
    assert f"Threshold 0.800: {found.pairs:,.0f} similar pairs, {found.clusters:.0f}" in words
    assert f"{len(sample)} images, all pairs compared" in words
    words = " ".join(text.get_text() for text in picker.curve_picture(larger).texts)
    assert f"{len(sample)} of 100 images compared" in words


def test_pictures_leave_pyplot_alone(sample):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    picker.curve_picture(sample, 0.8)
    assert plt.get_fignums() == before


def test_thresholds_draws_its_curve(photos, tmp_path, capsys):
    labels = "".join(f"{ref.file},{ref.file.split('-')[0]}\n" for ref in scan(photos).images)
    (tmp_path / "labels.csv").write_text("file,label\n" + labels)
    for words in ([], ["--labels", str(tmp_path / "labels.csv")]):
        plot = tmp_path / f"plot{len(words)}.png"
        assert main(["thresholds", str(photos), "--plot", str(plot), *words]) == 0
        assert icas.read_image(plot).shape == (600, 900, 3)
    assert main(["thresholds", str(photos), "--plot", str(tmp_path / "plot.jpg")]) == 2
    assert "ends in .png" in capsys.readouterr().err


@pytest.mark.parametrize("count", [0, 1, 5])
def test_steps_hold_a_value_down_to_the_next_threshold(count):
    thresholds, values = np.linspace(1, 0.5, count), np.arange(count, dtype=float)
    curve = Curve(thresholds, values, values, values, (0.0, 1.0), 9, 9)
    found, at = curve.steps(values)
    assert len(found) == len(at) == max(2 * count - 1, 0)
    assert all(a >= b for a, b in pairwise(at))


# from Python


def notebook(*cells):
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(made, timeout=120).execute()
    return [cell.outputs for cell in made.cells]


def test_a_notebook_without_widgets_shows_a_picture(photos):
    hidden = "import sys; sys.modules['ipywidgets'] = None"
    pick = f"import icas; p = icas.pick_threshold({str(photos)!r}, 'imagehash', start=0.8)"
    cells = (hidden, pick, "p.choose(0.9)", "print(p.threshold, float(p))")
    _, shown, chosen, told = notebook(*cells)
    assert "image/png" in shown[0]["data"]
    assert "image/png" in chosen[0]["data"]
    assert told[0]["text"] == "0.9 0.9\n"


def test_a_notebook_shows_a_slider(photos):
    pytest.importorskip("ipywidgets", reason="ipywidgets is not installed")
    pick = f"import icas; p = icas.pick_threshold({str(photos)!r}, 'imagehash', start=0.8)"
    slide = "before = p.widget.children[1].value; p.widget.children[0].value = 0.7"
    told = "print(p.threshold, p.widget.children[1].value != before)"
    choose = "p.choose(0.6); print(p.threshold, p.widget.children[0].value)"
    outputs = notebook(pick, slide, told, choose)
    assert outputs[2][0]["text"] == "0.7 True\n"
    assert outputs[3][0]["text"] == "0.6 0.6\n"


def test_a_notebook_with_ipympl_is_live(photos):
    pytest.importorskip("ipympl", reason="ipympl is not installed")
    pick = f"import icas; p = icas.pick_threshold({str(photos)!r}, 'imagehash', start=0.8)"
    click = """
from matplotlib.backend_bases import KeyEvent, MouseEvent
canvas = p.widget
canvas.draw()
x, y = canvas.figure.axes[1].transData.transform((1, 0.77))
MouseEvent("motion_notify_event", canvas, x, y)._process(); print(p)
MouseEvent("button_press_event", canvas, x, y, 1)._process(); print(p)
KeyEvent("key_press_event", canvas, "up")._process(); print(p)
"""
    told = "".join(one["text"] for one in notebook("%matplotlib widget", pick, click)[2])
    assert told.split() == [f"PickedThreshold({one})" for one in ("0.800", "0.770", "0.771")]
