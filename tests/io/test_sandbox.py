"""Decoding apart: what breaks its process costs one item, and nothing is left behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from icas.common.errors import IcasError, UnreadableImageError
from icas.io import sandbox
from icas.io.reading import read_image, thumbnail
from icas.io.sandbox import DECODERS, Isolation, Lost
from icas.io.sandbox_worker import receive, send

posix = pytest.mark.skipif(os.name == "nt", reason="no signals")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of Linux")
SHORT = Isolation.of(1.0, 1 << 20)
LONG = Isolation.of(60.0, 1 << 20)
CRASHED, SLOW, LARGE = (
    "the decoder crashed",
    "took longer than 1 s to decode",
    "needs too much memory to decode",
)


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of functions that break; processes that are started meanwhile know it too."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    import breaking_decoders

    return breaking_decoders


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    """No process outlives a test, as a child or as a zombie."""
    with DECODERS:
        yield
    gc.collect()
    psutil = pytest.importorskip("psutil")
    assert not [one for one in psutil.Process().children() if "sandbox_worker" in cmdline(one)]
    assert not [one for one in threading.enumerate() if one.name == "icas-decoding"]


def cmdline(process: object) -> str:
    try:
        return " ".join(process.cmdline())  # type: ignore[attr-defined]
    except Exception:  # it has gone
        return ""


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("crash", CRASHED),
        ("abort", CRASHED),
        ("exit", CRASHED),
        ("kill", LARGE),
        ("memory", LARGE),
        ("hang", SLOW),
        ("hold", SLOW),
        ("late-crash", CRASHED),
        ("late-hang", SLOW),
        ("late-memory", LARGE),
    ],
)
def test_an_item_that_breaks_its_process_is_named_and_the_others_come(
    breaking: ModuleType, item: str, reason: str
) -> None:
    if os.name == "nt" and item in ("hold", "kill"):
        pytest.skip("no such call")
    parts = list(SHORT.each(breaking.decoded, ["a", "b", item, "c"]))
    lost = [part for part in parts if isinstance(part, Lost)]
    assert lost == [Lost(2, reason)]
    at = parts.index(lost[0])
    before, behind = parts[:at], parts[at + 1 :]
    assert [one for part in before for one in part] == ["a", "b"]
    assert [one for part in behind for one in part] == ["c"]


@posix
@settings(max_examples=6, deadline=None)
@given(items=st.lists(st.sampled_from(["good", "good", "crash", "late-abort", "exit"]), max_size=9))
def test_each_item_comes_once_in_order_or_is_lost(items: list[str]) -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        import breaking_decoders

        seen: list[str] = []
        for part in LONG.each(breaking_decoders.decoded, items):
            if isinstance(part, Lost):
                assert part.index == len(seen)
                seen.append(items[part.index])
                assert items[part.index] != "good"
            else:
                assert set(part) == {"good"}
                seen += part
        assert seen == items
    finally:
        sys.path.pop(0)


@posix
def test_who_dies_of_something_else_is_tried_again(breaking: ModuleType, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    parts = list(LONG.each(breaking.dies_once, paths))
    assert [path for part in parts for path in part] == paths


def test_errors_come_through(breaking: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="no wolf here") as found:
        list(LONG.each(breaking.refused, ["wolf"]))
    assert "in refused" in str(found.value.__cause__)
    (tmp_path / "a.jpg").write_text("text")
    with pytest.raises(UnreadableImageError, match=r"not an image \(text\)"):
        LONG.call(read_image, tmp_path / "a.jpg")
    with pytest.raises(UnreadableImageError, match="no such file"):
        LONG.call(read_image, "none\udcff.jpg")


def test_pictures_come_as_they_are(photos: Path) -> None:
    for path in sorted(photos.iterdir())[:4]:
        np.testing.assert_array_equal(LONG.call(read_image, path), read_image(path))
        found = LONG.call(thumbnail, path, 40, max_pixels=10**6)
        np.testing.assert_array_equal(found, thumbnail(path, 40))


def test_one_process_serves_one_thread(breaking: ModuleType) -> None:
    told = [next(LONG.each(breaking.which_modules, ["x"])) for _ in range(3)]
    assert len({one["pid"] for one in told}) == 1
    assert {"torch", "matplotlib", "skimage", "pytest"}.isdisjoint(told[0]["modules"])
    assert told[0]["main"] is None
    assert told[0]["threads"] == {"OMP_NUM_THREADS": "1"}
    assert told[0]["interrupt"] == signal.SIG_IGN
    assert told[0]["folder"] == str(Path.cwd())


def test_each_thread_that_asks_at_once_has_its_own(breaking: ModuleType) -> None:
    found: list[int] = []
    together = threading.Barrier(3)

    def ask() -> None:
        for _ in range(5):
            together.wait()
            found.append(next(LONG.each(breaking.which_modules, ["x"]))["pid"])

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= len(set(found)) <= 3


def test_what_libraries_print_is_not_taken_for_answers(breaking, capfd) -> None:
    assert list(LONG.each(breaking.talks, ["x"])) == ["heard"]
    assert capfd.readouterr() == ("", "")


def test_modules_of_the_folder_one_is_in_are_not_loaded(tmp_path, monkeypatch, photos) -> None:
    for name in ("pickle", "struct", "numpy", "PIL", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('loaded')")
    monkeypatch.chdir(tmp_path)
    assert LONG.call(thumbnail, photos / "moon.png", 9).shape[1] == 9


def test_a_process_without_work_ends_and_another_one_begins(breaking, monkeypatch) -> None:
    monkeypatch.setattr(sandbox, "IDLE_SECONDS", 0.2)
    first = next(LONG.each(breaking.which_modules, ["x"]))["pid"]
    psutil = pytest.importorskip("psutil")
    end = time.monotonic() + 30
    while psutil.pid_exists(first) and time.monotonic() < end:
        time.sleep(0.02)
    assert not psutil.pid_exists(first)
    assert next(LONG.each(breaking.which_modules, ["x"]))["pid"] != first


def test_who_closes_them_ends_what_is_under_way(breaking: ModuleType) -> None:
    found: list[BaseException] = []

    def ask() -> None:
        try:
            list(LONG.each(breaking.decoded, ["a", "hang"]))
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    end = time.monotonic() + 30
    while not sandbox.DECODERS._all and time.monotonic() < end:
        time.sleep(0.02)
    DECODERS.close()
    thread.join(30)
    assert [type(error) for error in found] == [IcasError]


@pytest.mark.parametrize("program", ["", None, "/nowhere/python", sys.executable])
def test_a_program_that_cannot_start_another_python_says_so(program, monkeypatch) -> None:
    monkeypatch.setattr(sys, "executable", program)
    if program:
        monkeypatch.setattr(sandbox, "_PROGRAM", "raise SystemExit(7)")
    with pytest.raises(IcasError, match=r"does not start .*: use isolate=False") as found:
        LONG.call(read_image, "a.jpg")
    assert "\n" not in str(found.value)


def test_frames_come_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "frames"
    with path.open("wb") as stream:
        send(stream, b"a", b"content" * 1000)
        send(stream, b"b")
    whole = path.read_bytes()
    for end in range(0, len(whole), 97):
        path.write_bytes(whole[:end])
        with path.open("rb") as stream:
            found = []
            while (frame := receive(stream)) is not None:
                found.append(frame)
        assert found == [(b"a", b"content" * 1000)][: end >= 7009]


ORPHAN = """
import sys, time
sys.path.insert(0, {here!r})
import breaking_decoders
from icas.io.sandbox import Isolation, DECODERS
if __name__ == "__main__":
    how = Isolation.of(600, 1 << 20)
    print(next(how.each(breaking_decoders.which_modules, ["x"]))["pid"], flush=True)
    list(how.each(breaking_decoders.decoded, ["a", {item!r}]))
"""


@linux
@pytest.mark.parametrize("item", ["hang", "hold"])
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_dies_with_its_parent_whatever_ends_that(item, end, tmp_path) -> None:
    psutil = pytest.importorskip("psutil")
    code = ORPHAN.format(here=str(Path(__file__).parent), item=item)
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    time.sleep(0.3)  # until it hangs
    parent.send_signal(end)
    parent.communicate(timeout=60)
    assert not psutil.wait_procs([child], timeout=20)[1]
