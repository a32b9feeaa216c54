"""The lock of a folder: the error names the holder."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys

import filelock
import pytest

import icas
from icas.io.locks import folder_lock

HOLDER = """
import sys, time
from pathlib import Path
from icas.io.locks import folder_lock
with folder_lock(Path(sys.argv[1]), Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of `tmp_path`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_holder_is_named_and_a_killed_one_blocks_nobody(tmp_path, holder):
    named = f"process {holder.pid} on {socket.gethostname()}, since 2"
    for _ in range(2):
        with pytest.raises(icas.ConflictError, match=named), folder_lock(tmp_path, tmp_path):
            pass
    holder.kill()
    holder.wait()
    with folder_lock(tmp_path, tmp_path):
        assert (tmp_path / "lock").is_file()
    assert not (tmp_path / "lock").exists()


def test_a_holder_that_leaves_meanwhile_is_named_all_the_same(tmp_path, monkeypatch):
    def held(*_, **__):
        raise filelock.Timeout("lock")

    since = {"pid": os.getppid(), "host": socket.gethostname(), "since": "2026-01-01 00:00:00"}
    (tmp_path / "lock").write_text(" " + json.dumps(since))
    monkeypatch.setattr(filelock.FileLock, "acquire", held)
    with pytest.raises(icas.ConflictError) as refused, folder_lock(tmp_path, tmp_path):
        pass
    assert f"process {os.getppid()} on {socket.gethostname()}, since 2026" in str(refused.value)


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def unsupported(*_, **__):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(filelock.FileLock, "acquire", unsupported)
    since = {"pid": os.getppid(), "host": socket.gethostname(), "since": "2026-01-01 00:00:00"}
    (tmp_path / "lock").write_text(" " + json.dumps(since))
    with (
        pytest.raises(icas.ConflictError, match=f"process {os.getppid()} on"),
        folder_lock(tmp_path, tmp_path),
    ):
        pass
    since["host"], since["pid"] = socket.gethostname(), 2**22 - 1
    (tmp_path / "lock").write_text(" " + json.dumps(since))
    with folder_lock(tmp_path, tmp_path):
        pass
    assert not (tmp_path / "lock").exists()
