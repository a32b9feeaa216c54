"""Scratch folders: one's own as long as it lives, cleared away after a kill."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from icas.io.folders import HELD, ScratchFolder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="locks of Unix")

HOLDER = """
import sys, time
from pathlib import Path
from icas.io.folders import ScratchFolder
folder = ScratchFolder(Path(sys.argv[1]))
(folder.path / "features").write_bytes(b"much")
print(folder.path, flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that has a scratch folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, text=True
    )
    process.folder = Path(process.stdout.readline().strip())
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_folder_goes_with_what_it_holds(tmp_path):
    folder = ScratchFolder(tmp_path)
    (folder.path / "features").write_bytes(b"much")
    folder.cleanup()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_killed_process_is_removed_by_the_next(tmp_path, holder):
    ours = ScratchFolder(tmp_path)
    assert (holder.folder / "features").is_file()  # it lives
    holder.kill()
    holder.wait()
    time.sleep(0.05)
    other = ScratchFolder(tmp_path)
    assert not holder.folder.exists()
    assert ours.path.is_dir()
    ours.cleanup()
    other.cleanup()
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_known_to_be_left_stays(tmp_path):
    (tmp_path / "icas-mine").mkdir()
    (tmp_path / "icas-mine" / "thesis.txt").write_bytes(b"mine")
    (tmp_path / "icas-file").write_bytes(b"mine")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / HELD).touch()
    (tmp_path / "icas-link").symlink_to(elsewhere)
    ScratchFolder(tmp_path).cleanup()
    assert (tmp_path / "icas-mine" / "thesis.txt").is_file()
    assert (elsewhere / HELD).is_file()
    assert len(list(tmp_path.iterdir())) == 4
