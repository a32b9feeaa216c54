"""Readers that do to their process what broken decoders do; tests put them where others are.

A file that begins as a PSD file and goes on with a word is a picture that crashes, hangs, holds
the interpreter, is killed from outside or takes all memory, by its word.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def crash() -> None:
    ctypes.string_at(0)


def hold() -> None:
    """Sleep without letting other threads of Python run."""
    ctypes.PyDLL(None).sleep(1000)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def take() -> None:
    np.ones(1 << 40)


WAYS: dict[str, Callable[[], None]] = {
    "crash": crash,
    "abort": os.abort,
    "hang": lambda: time.sleep(1000),
    "hold": hold,
    "kill": kill,
    "memory": take,
    "exit": lambda: os._exit(0),
}


class Reader:
    """In place of a reader of Pillow."""

    def __init__(self, file: Any, name: str) -> None:
        WAYS[file.read()[6:].decode().strip()]()
        raise ValueError("it did nothing")


def decoded(items: Sequence[str], mark: Callable[[], Any]) -> list[str]:
    """Items as they are; ``late-`` ones break only when all are decoded, as features might."""
    for item in items:
        with mark():
            if item in WAYS:
                WAYS[item]()
    for item in items:
        if item.startswith("late-"):
            WAYS[item[5:]]()
    return list(items)


def dies_once(items: Sequence[Path], mark: Callable[[], Any]) -> list[Path]:
    """The first time that it is asked for a file, it dies."""
    for path in items:
        with mark():
            if not path.exists():
                path.touch()
                kill()
    return list(items)


def refused(items: Sequence[str], mark: Callable[[], Any]) -> None:
    raise LookupError(f"no {items[0]} here")


def which_modules(items: Sequence[str], mark: Callable[[], Any]) -> dict[str, Any]:
    """What the process is like."""
    import sys

    return {
        "modules": set(sys.modules),
        "main": vars(sys.modules["__main__"]).get("__file__"),
        "threads": {name: os.environ.get(name) for name in ("OMP_NUM_THREADS",)},
        "interrupt": signal.getsignal(signal.SIGINT),
        "pid": os.getpid(),
        "folder": str(Path.cwd()),
    }


def talks(items: Sequence[str], mark: Callable[[], Any]) -> str:
    """Writes to the streams on which answers travel."""
    print("a line")
    os.write(1, b"noise\n")
    os.write(2, b"noise\n")
    return "heard"


INSTALLED = """
import sys
sys.path.append({here!r})
import breaking_decoders
from PIL import PsdImagePlugin
PsdImagePlugin.PsdImageFile = breaking_decoders.Reader
"""
"""Content of a sitecustomize.py by which every Python that finds it breaks so."""


def install(folder: Path) -> dict[str, str]:
    """An environment whose Pythons break on such files."""
    folder.joinpath("sitecustomize.py").write_text(
        INSTALLED.format(here=str(Path(__file__).parent))
    )
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}
