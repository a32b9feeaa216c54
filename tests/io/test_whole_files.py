"""Whole files: what a killed process leaves is removed by the next one, that of others is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from icas.io.files import remove_abandoned, write_whole

WRITE = """
import sys
from icas.io.files import write_whole

def content():
    yield b"some"
    print("begun", flush=True)
    sys.stdin.read()

write_whole(sys.argv[1], content())
"""


def begun(path):
    """A process in the middle of writing a file."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline().strip() == b"begun"
    return process


def hidden(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".icas-")]


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks")
def test_files_of_killed_processes_are_removed(tmp_path):
    killed, living = begun(tmp_path / "a"), begun(tmp_path / "b")
    mine = tmp_path / ".icas-mine.part"
    mine.write_bytes(b"of another program")
    assert len(hidden(tmp_path)) == 3
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    write_whole(tmp_path / "c", b"first call for this folder")
    assert len(hidden(tmp_path)) == 2
    living.communicate(b"")
    assert (tmp_path / "b").read_bytes() == b"some"
    assert hidden(tmp_path) == [mine.name]


def test_threads_that_begin_in_one_folder(tmp_path):
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name, to=folder: write_whole(to / name, b"x"), "abcdefgh"))
        assert sorted(path.name for path in folder.iterdir()) == list("abcdefgh")


def test_a_link_with_such_a_name_stays(tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / ".icas-new-0123456789ab.part").symlink_to(tmp_path / "file")
    remove_abandoned(tmp_path)
    remove_abandoned(tmp_path / "none")
    assert len(hidden(tmp_path)) == 1


def test_a_file_that_is_there_stays(tmp_path):
    path = tmp_path / "file"
    for content in (b"first", b"second"):
        write_whole(path, content, replace=False)
        assert path.read_bytes() == b"first"
    write_whole(path, [b"a", b"b"])
    assert path.read_bytes() == b"ab"
    assert hidden(tmp_path) == []


def test_without_hard_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "not here")

    monkeypatch.setattr(os, "link", refuse)
    test_a_file_that_is_there_stays(tmp_path)


def test_hidden_masks_that_no_record_names_are_removed(tmp_path):
    from icas.segmentimg.formats.masks import ORPHAN_AGE
    from icas.segmentimg.session.folders import painting_locked

    names = [f".icas-{number:012x}.part" for number in range(3)]
    for name in names:
        (tmp_path / name).write_bytes(b"mask")
    (tmp_path / "a.json").write_text(f'{{"unfinished_save": {{"parts": {{"m": "{names[1]}"}}}}}}')
    old = time.time() - 2 * ORPHAN_AGE
    for name in names[:2]:
        os.utime(tmp_path / name, (old, old))
    with painting_locked([tmp_path]):
        assert sorted(hidden(tmp_path)) == names[1:]
