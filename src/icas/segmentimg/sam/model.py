"""A model in memory: loaded once in a process, shared by threads, moved off a full GPU."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from icas.common.devices import choose_device
from icas.common.errors import IcasError
from icas.segmentimg.sam.checkpoints import (
    FilePath,
    checkpoint_file,
    load_sam,
    need_sam,
    tell_fallback,
)

T = TypeVar("T")
_CHUNK = 1 << 22
_LOADING = threading.Lock()


class LoadedSam:
    """A model with its weights; several threads may use it at once."""

    def __init__(self, sam: Any, identity: str, load_on_cpu: Callable[[], Any]) -> None:
        self._sam, self.identity, self._load_on_cpu = sam, identity, load_on_cpu
        self._falling_back = threading.Lock()
        self._alone = threading.RLock()

    def run(self, work: Callable[[Any], T], *, alone: bool = False) -> T:
        """What `work` makes of the model; made again on the CPU where the GPU's memory ends."""
        import torch

        with self._alone if alone else nullcontext():
            sam = self._sam
            try:
                return work(sam)
            except torch.cuda.OutOfMemoryError:
                pass  # the tensors of `work` are free once its traceback is gone
            except RuntimeError as error:
                if "not enough memory" not in str(error) and "allocate memory" not in str(error):
                    raise
                raise IcasError(
                    "Segment Anything needs more memory: lower --points-per-batch or --work-size"
                ) from error
            self._fall_back(sam)
            return work(self._sam)

    def _fall_back(self, used: Any) -> None:
        import torch

        with self._falling_back:
            if self._sam is used:
                tell_fallback()
                self._sam = self._load_on_cpu()
        torch.cuda.empty_cache()


def load_shared(path: FilePath | None, model: str | None = None, device: str = "auto") -> LoadedSam:
    """The model of a checkpoint; the one used last in this process is kept."""
    file = checkpoint_file(path).resolve()
    need_sam()
    status = file.stat()
    with _LOADING:
        stamp = (status.st_size, status.st_mtime_ns)
        return _load(file, stamp, model, choose_device(device))


@lru_cache(maxsize=1)
def _load(file: Path, stamp: tuple[int, int], model: str | None, device: str) -> LoadedSam:
    """`stamp` changes with the file."""
    sam = load_sam(file, model, device)
    return LoadedSam(sam, identity_of(file), lambda: load_sam(file, model, "cpu"))


def identity_of(file: Path) -> str:
    """A hash of a file, as hex digits."""
    digest = hashlib.blake2b(digest_size=16)
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
