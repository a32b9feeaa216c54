"""Folders that may not be read or written, that lie in each other, or that are reached oddly."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

linux = pytest.mark.skipif(sys.platform != "linux", reason="how permissions are dropped is Linux'")
ON_ANOTHER_DISK = Path("/dev/shm")
some_transfers = pytest.mark.parametrize(
    "transfer",
    [
        "copy",
        "move",
        *(pytest.param(how, marks=pytest.mark.slow) for how in ("hardlink", "symlink", "none")),
    ],
)


@linux
@some_transfers
def test_a_source_that_may_only_be_read(world, transfer, unharmed):
    world.source.chmod(0o555)
    try:
        ran = world.unprivileged("--transfer", transfer)
        if transfer == "move":
            assert ran.code == 1
            assert "no permission to write" in ran.err
            assert "threshold" not in ran.out  # found out before the images are read
        else:
            assert (ran.code, ran.err) == (0, "")
            assert world.undo_unprivileged().code == 0
    finally:
        world.source.chmod(0o755)
    unharmed()


@linux
@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_target_that_may_not_be_written(world, below, unharmed):
    locked = world.root / "locked"
    locked.mkdir(mode=0o555)
    words = [*world.words()[:3], str(locked / below), *world.words()[4:]]
    ran = world.apart(words, preexec_fn=_dropped(world))
    assert ran.code == 1
    assert ran.lines == [
        f"clusterimg: no permission to write to folder {locked}: choose another --dst"
    ]
    assert not any(locked.iterdir())
    unharmed()


@linux
@pytest.mark.parametrize("mode", [0o000, 0o111])
def test_a_source_that_may_not_be_read(world, mode):
    world.source.chmod(mode)
    try:
        ran = world.unprivileged()
    finally:
        world.source.chmod(0o755)
    assert ran.code == 2
    assert "cannot read folder" in ran.err
    assert "permission denied" in ran.err
    assert not world.result.exists()


@linux
@some_transfers
def test_a_file_that_may_not_be_read(world, transfer, unharmed):
    locked = world.source / "moon.png"
    locked.chmod(0)
    ran = world.unprivileged("--transfer", transfer)
    assert ran.code == 3
    assert world.unreadable() == {"moon.png": "permission denied"}
    assert "unreadable: moon.png: permission denied" in ran.lines
    assert locked.is_file()
    assert world.undo_unprivileged().code == 0
    unharmed()
    locked.chmod(0o644)


@linux
def test_sub_folders_that_may_not_be_entered_or_listed(world):
    for name, mode in (("closed", 0o000), ("listed", 0o444)):
        folder = world.source / name
        folder.mkdir()
        shutil.copy(world.source / "moon.png", folder / "a.png")
        shutil.copy(world.source / "moon.png", folder / "without_suffix")
        (folder / "deeper").mkdir()
        folder.chmod(mode)
    ran = world.unprivileged("--recursive", "--transfer", "move")
    told = world.unreadable()
    assert world.undo_unprivileged().code == 0
    for name in ("closed", "listed"):
        (world.source / name).chmod(0o755)
    assert ran.code == 3
    assert told == {
        "closed": "unreadable folder (permission denied)",
        "listed/a.png": "permission denied",
        "listed/deeper": "permission denied",
        "listed/without_suffix": "permission denied",
    }


def _dropped(world):
    """What drops privileges: known by the world's own `unprivileged`."""
    return sys.modules[type(world).__module__].drop_privileges


@pytest.fixture
def mounted(tmp_path):
    """An empty file system of its own that is made read-only by a call."""
    place = tmp_path / "mounted"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", place], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("file systems can be mounted by the superuser alone")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def _make_read_only(place):
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)


@linux
def test_a_target_on_a_disk_that_is_mounted_to_be_read(world, mounted, unharmed):
    _make_read_only(mounted)
    for target in (mounted, mounted / "sorted"):
        ran = world.command(*world.words()[:3], target, *world.words()[4:])
        assert ran.code == 1
        error = f"no permission to write to folder {mounted}: choose another --dst"
        assert ran.err == f"clusterimg: {error}\n"
    unharmed()


@linux
def test_a_source_on_a_disk_that_is_mounted_to_be_read(world, mounted, transfer):
    source = mounted / "src"
    shutil.copytree(world.source, source)
    _make_read_only(mounted)
    ran = world.run("--transfer", transfer, source=source)
    if transfer in ("move", "hardlink"):
        assert ran.code == 1
        assert "use --transfer copy" in ran.err
        assert not world.result.exists()
    else:
        assert (ran.code, ran.err) == (0, "")
        assert world.undo().code == 0


@pytest.mark.skipif(not ON_ANOTHER_DISK.is_dir(), reason="no second file system is known")
def test_another_disk(world, transfer, tmp_path_factory):
    source = ON_ANOTHER_DISK / f"icas-{os.getpid()}-{transfer}"
    shutil.copytree(world.source, source)
    before = sorted(path.stat().st_mtime_ns for path in source.iterdir())
    try:
        ran = world.run("--transfer", transfer, source=source)
        if transfer == "hardlink":
            assert ran.code == 1
            assert "different file systems" in ran.err
        else:
            assert (ran.code, ran.err) == (0, "")
            assert world.undo().code == 0
        assert sorted(path.stat().st_mtime_ns for path in source.iterdir()) == before
        assert not world.result.exists()
    finally:
        shutil.rmtree(source)


@pytest.mark.skipif(not ON_ANOTHER_DISK.is_dir(), reason="no second file system is known")
def test_a_link_to_another_disk_has_no_hard_link_and_is_named(world):
    far = ON_ANOTHER_DISK / f"icas-{os.getpid()}.png"
    shutil.copy(world.source / "moon.png", far)
    (world.source / "far.png").symlink_to(far)
    try:
        ran = world.run("--transfer", "hardlink")
        assert ran.code == 3
        reason = "not transferred: its link points to another file system"
        assert world.unreadable() == {"far.png": reason}
        assert world.undo().code == 0
    finally:
        far.unlink()


def test_a_disk_without_hard_links(world, transfer, monkeypatch, unharmed):
    def link(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    ran = world.run("--transfer", transfer)
    if transfer == "hardlink":
        assert ran.code == 1
        assert "hard links cannot be created in" in ran.err
        assert "threshold" not in ran.out  # found out before the images are read
    else:
        assert (ran.code, ran.err) == (0, "")
        assert len(world.placed()) == (0 if transfer == "none" else 5)
        assert world.undo().code == 0
    unharmed()


def test_the_result_inside_the_source(world, transfer):
    inside = world.source / "sorted"
    words = [*world.words()[:3], inside, *world.words()[4:], "--recursive", "--transfer", transfer]
    assert world.command(*words).code == 0
    assert world.command(*words, "--resume").code == 0
    elsewhere = world.run("--recursive", "--transfer", "copy")
    if transfer == "move":
        assert "no images in" in elsewhere.err  # those in a result are not the source's
    else:
        assert elsewhere.code == 0
        assert len(world.placed()) == 5
        assert "1 file ignored (not images): sorted" in elsewhere.err
        assert world.undo().code == 0
    assert world.command("undo", inside).code == 0
    assert not inside.exists()


@pytest.mark.parametrize("target", ["src", "src/.", "."])
@pytest.mark.parametrize("more", [(), ("--overwrite",), ("--resume",)])
def test_a_result_that_is_or_holds_the_source(world, target, more, unharmed):
    ran = world.command(*world.words()[:3], world.root / target, *world.words()[4:], *more)
    assert ran.code == 1
    assert "is not empty" in ran.err
    unharmed()


def test_links_to_source_and_result(world, transfer, unharmed):
    (world.root / "way").symlink_to("src")
    (world.root / "real").mkdir()
    (world.root / "dst").symlink_to("real")
    assert world.run("--transfer", transfer, source=world.root / "way").code == 0
    assert world.undo().code == 0
    assert not any((world.root / "real").iterdir())
    world.result.unlink()
    unharmed()


def test_paths_with_dots(world, monkeypatch, transfer, unharmed):
    inside = world.root / "a" / "b"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    words = ("--src", "../../src/../src", "--dst", "../../a/../dst", *world.words()[4:])
    assert world.command(*words, "--transfer", transfer).code == 0
    assert world.command(*words, "--transfer", transfer, "--resume").code == 0
    assert world.command("undo", "../b/../../dst").code == 0
    unharmed()


def test_a_current_folder_that_was_removed(world, unharmed):
    gone = world.root / "gone"
    code = f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r});"
    code += "from icas.clusterimg.commands.main import main; raise SystemExit(main())"
    tools = sys.modules[type(world).__module__]
    gone.mkdir()
    relative = tools.run_apart(
        ["--src", "../src", "--dst", "../dst", *world.words()[4:]], code=code
    )
    assert relative.code == 1
    assert "current folder was removed" in relative.err
    gone.mkdir()
    assert tools.run_apart(world.words(), code=code).code == 0
    gone.mkdir()
    assert tools.run_apart(["undo", str(world.result)], code=code).code == 0
    unharmed()


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("file", "is a file"),
        ("file/below", "cannot be created"),
        ("nowhere", "is a broken link"),
        ("loop", "is a broken link"),
        ("x" * 300, "File name too long"),
    ],
)
def test_a_target_that_cannot_be_a_folder(world, target, words, unharmed):
    (world.root / "file").write_bytes(b"mine")
    (world.root / "nowhere").symlink_to("nothing")
    (world.root / "loop").symlink_to("loop")
    ran = world.command(*world.words()[:3], world.root / target, *world.words()[4:])
    assert ran.code == 1
    assert words in ran.err
    assert len(ran.lines) == 1
    assert (world.root / "file").read_bytes() == b"mine"
    unharmed()


@pytest.mark.skipif(sys.platform == "win32", reason="other limits")
def test_a_target_whose_path_is_too_long_for_the_record(world, unharmed):
    room = 504 - len(os.fsencode(world.root)) - len("//.icas/journal.db")
    for length in (room, room + 1):
        names = "a" * (length - 201) + "/" + "b" * 200
        target = world.root / names
        ran = world.command(*world.words()[:3], target, *world.words()[4:])
        if length == room:
            assert (ran.code, ran.err) == (0, "")
            assert world.command("undo", target).code == 0
        else:
            assert ran.code == 1
            assert "is 1 bytes too long (limit: 487 bytes)" in ran.err
    unharmed()


@linux
def test_files_deeper_than_any_path(world):
    picture = (world.source / "moon.png").read_bytes()
    here = Path.cwd()
    try:
        os.chdir(world.source)
        for depth in range(24):
            Path("d" * 200).mkdir()
            os.chdir("d" * 200)
            if depth in (3, 17, 22):
                Path("deep.png").write_bytes(picture)
    finally:
        os.chdir(here)
    for how in ("copy", "move"):
        ran = world.run("--recursive", "--transfer", how)
        assert ran.code == 3
        assert list(world.unreadable().values()) == ["file name too long"]
        assert len(world.placed()) == 7
        assert world.undo().code == 0
    _near_the_limit(world, picture)


def _near_the_limit(world, picture):
    """A file that can be reached from here, yet by no whole path."""
    here = Path.cwd()
    try:
        os.chdir(world.root)
        room = 4095 - len("src/")
        folders = [name for name in ("e" * 250,) * 16 if (room := room - 251) > 0]
        os.chdir("src")
        for folder in folders:
            Path(folder).mkdir()
            os.chdir(folder)
        Path("e" * (room - 4) + ".png").write_bytes(picture)
        os.chdir(world.root)
        ran = world.run("--recursive", source="src")
        assert ran.code == 3
        assert "its path is too long" in world.unreadable().values()
        assert world.undo().code == 0
    finally:
        os.chdir(here)


def test_a_disk_without_symbolic_links(world, monkeypatch, unharmed):
    def symlink(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", symlink)
    ran = world.run("--transfer", "symlink")
    assert ran.code == 1
    assert "symbolic links cannot be created in" in ran.err
    unharmed()


@pytest.mark.skipif(sys.platform == "win32", reason="names that Linux allows")
@pytest.mark.parametrize("how", ["copy", "move"])
def test_a_disk_like_that_of_a_memory_card(world, monkeypatch, how, request):
    """No second names, no modes, no times of others, no colons, folders that cannot be synced."""
    shutil.copy(world.source / "moon.png", world.source / "a:b.png")
    unharmed = request.getfixturevalue("unharmed")
    rename, fsync = os.rename, os.fsync

    def refuse(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    def rename_unless_odd(source, target, **more):
        if ":" in Path(target).name:
            raise OSError(22, "Invalid argument", str(source), None, str(target))
        rename(source, target, **more)

    def fsync_files(handle):
        if Path(f"/proc/self/fd/{handle}").is_dir():
            raise OSError(22, "Invalid argument")
        fsync(handle)

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", refuse)
        patched.setattr(shutil, "copystat", refuse)
        patched.setattr(os, "rename", rename_unless_odd)
        patched.setattr(os, "fsync", fsync_files)
        ran = world.run("--transfer", how)
    assert ran.code == 3
    reason = "the file system of the result does not allow its name (Invalid argument)"
    assert world.unreadable() == {"a:b.png": f"not transferred: {reason}"}
    assert len(world.placed()) == 5
    assert world.undo().code == 0
    unharmed()
