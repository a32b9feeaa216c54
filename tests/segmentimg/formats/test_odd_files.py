"""What is named like a picture and is none never holds a run up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from icas.segmentimg.commands.main import main

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="files of Unix")


@pytest.fixture
def source(photos, tmp_path):
    folder = tmp_path / "src"
    folder.mkdir()
    shutil.copy(photos / "moon.png", folder)
    return folder


@pytest.mark.timeout(60)
def test_pipes_devices_and_links_are_named_and_never_waited_for(source, capsys):
    os.mkfifo(source / "pipe.jpg")
    (source / "itself.jpg").symlink_to("itself.jpg")
    (source / "zeros.png").symlink_to("/dev/zero")
    (source / "empty.png").touch()
    reported = {
        "empty.png": "empty file",
        "itself.jpg": "broken link",
        "pipe.jpg": "not a regular file (a named pipe)",
        "zeros.png": "not a regular file (a device)",
    }
    if sys.platform == "linux":
        (source / "kernel.jpg").symlink_to("/proc/kmsg")
        reported["kernel.jpg"] = "empty file"
    assert main([str(source), "--no-gui", "--method", "edge"]) == 3
    said = capsys.readouterr()
    lines = [f"unreadable: {source / name}: {why}" for name, why in reported.items()]
    assert sorted(said.err.splitlines()) == sorted(lines)
    assert "1 image," in said.out


@pytest.mark.timeout(60)
def test_a_pipe_by_name(source, capsys):
    os.mkfifo(source / "pipe.jpg")
    assert main([str(source / "pipe.jpg"), "--no-gui"]) == 3
    assert main([str(source / "pipe.jpg"), "--preview", str(source / "out.png")]) == 2
    assert "a named pipe" in capsys.readouterr().err


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed(source, closed):
    words = [sys.executable, "-m", "icas.segmentimg", source, "--no-gui", "--method", "edge"]
    done = subprocess.run(["bash", "-c", f'"$@" {closed}', "bash", *words], check=False, timeout=60)
    assert done.returncode == 0
    assert (source.parent / "src_segmented" / "moon_segments.png").is_file()
