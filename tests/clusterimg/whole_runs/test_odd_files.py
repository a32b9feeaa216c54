"""What is named like an image and is none, links of every kind, odd clocks, odd folders."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import sys
import time
from pathlib import Path

import pytest

unix = pytest.mark.skipif(sys.platform == "win32", reason="files of Unix")


@unix
@pytest.mark.timeout(60)
def test_what_is_no_regular_file_is_named_and_never_waited_for(world, transfer, request):
    for name in ("pipe.jpg", "pipe"):
        os.mkfifo(world.source / name)
    here = Path.cwd()
    os.chdir(world.source)  # the name of a socket has little room
    sockets = [socket.socket(socket.AF_UNIX) for _ in range(2)]
    try:
        for one, name in zip(sockets, ("socket.jpg", "socket"), strict=True):
            one.bind(name)
    finally:
        os.chdir(here)
    (world.source / "zeros.jpg").symlink_to("/dev/zero")
    (world.source / "terminal").symlink_to("/dev/tty")
    (world.source / "pipelink.png").symlink_to("pipe")
    (world.source / "empty.jpg").touch()
    if sys.platform == "linux":
        (world.source / "kernel.jpg").symlink_to("/proc/kmsg")  # reading it waits for messages
        (world.source / "kernel").symlink_to("/proc/kmsg")
    if _is_superuser():
        os.mknod(world.source / "device.png", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    unharmed = request.getfixturevalue("unharmed")
    ran = world.run("--transfer", transfer)
    told = world.unreadable()
    assert ran.code == 3
    for name in ("pipe.jpg", "pipe", "pipelink.png"):
        assert told.pop(name) == "not a regular file (a named pipe)"
    for name in ("socket.jpg", "socket"):
        assert told.pop(name) == "not a regular file (a socket)"
    assert told.pop("zeros.jpg") == told.pop("terminal") == "not a regular file (a device)"
    assert set(told.values()) <= {"empty file", "not a regular file (a device)"}
    assert "5 images" in ran.out
    assert world.undo().code == 0
    for one in sockets:
        one.close()
    unharmed()


def _is_superuser():
    return hasattr(os, "geteuid") and os.geteuid() == 0


@unix
def test_links(world, transfer, request):
    outside = world.root / "outside.png"
    shutil.copy(world.source / "moon.png", outside)
    (world.root / "elsewhere").mkdir()
    for name, target in {
        "loop": "../src",
        "up": "..",
        "folder.jpg": "../elsewhere",
        "itself.jpg": "itself.jpg",
        "there.png": "back.png",
        "back.png": "there.png",
        "nowhere.jpg": "nothing",
        "out.png": "../outside.png",
        "inside.png": "moon.png",
        "absolute.png": str(outside),
    }.items():
        (world.source / name).symlink_to(target)
    unharmed = request.getfixturevalue("unharmed")
    ran = world.run("--recursive", "--transfer", transfer)
    assert ran.code == 3
    leads_nowhere = ("back.png", "itself.jpg", "nowhere.jpg", "there.png")
    assert world.unreadable() == dict.fromkeys(leads_nowhere, "broken link")
    assert "3 files ignored (not images): folder.jpg, loop, up" in ran.lines
    assert "8 images" in ran.out
    assert outside.is_file()
    assert world.undo().code == 0
    unharmed()


def test_a_folder_named_like_an_image(world, request):
    folder = world.source / "folder.jpg"
    folder.mkdir()
    shutil.copy(world.source / "moon.png", folder / "inside.png")
    unharmed = request.getfixturevalue("unharmed")
    assert "5 images" in world.run().out
    world.undo()
    assert "6 images" in world.run("--recursive", "--transfer", "move").out
    assert world.undo().code == 0
    unharmed()


@pytest.mark.parametrize("executor", ["threads", pytest.param("processes", marks=pytest.mark.slow)])
def test_only_bad_files(world, transfer, executor):
    for path in world.source.iterdir():
        path.write_bytes(b"no picture")
    ran = world.run("--transfer", transfer, "--executor", executor)
    assert ran.code == 3
    assert "0 images, 0 clusters, 0 outliers, 5 unreadable" in ran.out
    assert set(world.unreadable().values()) == {"not an image (text)"}
    assert world.undo().code == 0


@pytest.mark.parametrize("files", [(), ("notes.txt",), (".hidden.png",)])
def test_a_folder_without_images(world, files):
    folder = world.root / "other"
    folder.mkdir()
    for name in files:
        shutil.copy(world.source / "moon.png", folder / name)
    ran = world.run(source=folder)
    assert ran.code == 1
    assert ran.lines == [
        f"clusterimg: no images in {folder} (use --recursive to include sub-folders)"
    ]
    assert not world.result.exists()


@pytest.mark.parametrize("method", ["imagehash", "minhash", "orb", "ssim", "tm"])
def test_one_image(world, method):
    folder = world.root / "other"
    folder.mkdir()
    shutil.copy(world.source / "moon.png", folder)
    ran = world.command("--src", folder, "--dst", world.result, "--method", method, "--no-cache")
    assert (ran.code, ran.err) == (0, "")
    assert world.placed() == ["moon.png"]
    assert world.undo().code == 0


YEARS_FROM_1970 = {"moon.png": 0, "coffee-1.png": 230, "coffee-2.jpg": -40, "astronaut-1.png": 330}
SECONDS_A_YEAR = 31_556_952
LATEST = 2**34 - 2**31
"""The last second that ext4 knows; beyond the nanoseconds that 64 bits hold."""


@pytest.mark.parametrize("how", ["copy", "move", "hardlink", "symlink"])
def test_times_before_1970_and_after_2262(world, how, request):
    for name, years in YEARS_FROM_1970.items():
        os.utime(world.source / name, (0, years * SECONDS_A_YEAR))
    os.utime(world.source / "astronaut-2.jpg", (0, LATEST - 1))
    os.utime(world.source, (0, 300 * SECONDS_A_YEAR))
    folder_time = world.source.stat().st_mtime_ns
    unharmed = request.getfixturevalue("unharmed")
    for cache in ((), ("--cache", world.root / "cache")):
        words = [word for word in world.words("--transfer", how, *cache) if word != "--no-cache"]
        assert (world.command(*words).code, len(world.placed())) == (0, 5)
        assert world.command(*words, "--resume").code == 0
        assert world.command(*words, "--overwrite").code == (1 if how == "move" else 0)
        assert world.undo().code == 0
        unharmed()
        assert world.source.stat().st_mtime_ns == folder_time


def test_a_clock_that_goes_backwards(world, transfer, monkeypatch, unharmed):
    words = [word for word in world.words("--transfer", transfer) if word != "--no-cache"]
    words += ["--cache", str(world.root / "cache")]
    clock = [4e9, 1e9, 0.0, -1e6]  # runs are ever longer ago
    for name in ("time", "time_ns"):
        unit = 1 if name == "time" else 10**9
        monkeypatch.setattr(time, name, lambda unit=unit: int(clock[0] * unit))
    found = []
    for command in (words, ["--resume", *words], ["undo", str(world.result)]):
        clock.append(clock.pop(0))
        assert world.command(*command).code == 0
        if world.result.exists():
            found.append((world.result / "clusters.csv").read_bytes())
    unharmed()
    assert world.command(*words).code == 0
    assert {*found, (world.result / "clusters.csv").read_bytes()} == {found[0]}
    assert world.undo().code == 0


def test_files_that_did_not_change_for_the_clock_are_read_anew_where_they_did(world):
    """A picture replaced by another with an older time is not taken for the one in the cache."""
    words = [word for word in world.words() if word != "--no-cache"]
    words += ["--cache", str(world.root / "cache")]
    os.utime(world.source / "moon.png", (2_000_000_000, 2_000_000_000))
    world.command(*words)
    assert world.undo().code == 0
    shutil.copy(world.source / "coffee-1.png", world.source / "moon.png")
    os.utime(world.source / "moon.png", (1_000_000_000, 1_000_000_000))
    assert "5 images, 2 clusters, 0 outliers" in world.command(*words).out


@pytest.mark.skipif(sys.platform != "linux", reason="names of Linux")
@pytest.mark.parametrize("how", ["copy", "move"])
def test_folders_with_names_that_are_no_text(world, how):
    source = world.root / os.fsdecode(b'src\xfe\n"')
    world.source.rename(source)
    result = world.root / os.fsdecode(b"dst\xff")
    words = ["--src", source, "--dst", result, *world.words("--transfer", how)[4:]]
    assert world.command(*words).code == 0
    assert world.command(*words, "--resume").code == 0
    assert '"images": 5' in (result / "run.json").read_text("ascii")
    assert world.command("undo", result).code == 0
    assert len(list(source.iterdir())) == 5
    assert not result.exists()
