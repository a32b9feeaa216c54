"""The lock of a folder: who is refused is told by whom."""

from __future__ import annotations

import os
import socket

import pytest

import icas
from icas.io import locks


def test_a_holder_that_leaves_meanwhile_is_named_all_the_same(tmp_path, monkeypatch):
    """Its name is read once: a moment later it may be gone."""
    seen = [{"pid": os.getppid(), "host": socket.gethostname(), "since": "2026-01-01 00:00:00"}]
    monkeypatch.setattr(locks, "_locked", lambda *_: False)
    monkeypatch.setattr(locks, "_holder", lambda _: seen.pop() if seen else None)
    told = f"process {os.getppid()} on {socket.gethostname()}, since 2026-01-01 00:00:00"
    with pytest.raises(icas.ConflictError) as refused, locks.only_one(tmp_path, tmp_path):
        pass
    assert told in str(refused.value)
