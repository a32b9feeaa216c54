"""What this machine can do at most: words counted, numbers multiplied, pictures decoded."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import numpy as np
from speed_timing import Work

from icas.clusterimg.kernels.numba_support import compiled_kernels
from icas.io.reading import Image

PACKAGES = ("numpy", "numba", "opencv-contrib-python", "scikit-image", "Pillow", "ImageHash")


def popcount_peak() -> Work | None:
    """Words that are combined, counted and added up in the first cache; None without numba."""
    if compiled_kernels("hamming", np.inf) is None:
        return None
    import numba

    from icas.clusterimg.kernels.hamming import popcount

    @numba.njit(nogil=True)
    def count(keys: np.ndarray, words: np.ndarray) -> np.uint64:
        # Four sums at a time, or the processor waits for each.
        first = second = third = fourth = np.uint64(0)
        for place in range(0, len(keys) - 3, 4):
            a, b, c, d = keys[place], keys[place + 1], keys[place + 2], keys[place + 3]
            for word in range(len(words)):
                first += popcount(a ^ words[word])
                second += popcount(b ^ words[word])
                third += popcount(c ^ words[word])
                fourth += popcount(d ^ words[word])
        return first + second + third + fourth

    rng = np.random.default_rng(0)
    words = rng.integers(0, 1 << 63, 2048, dtype=np.uint64)
    keys = rng.integers(0, 1 << 63, 400_000, dtype=np.uint64)

    def work() -> int:
        count(keys, words)
        return len(words) * len(keys)

    return work


def multiplications() -> Work:
    """Products of float32 by the library that NumPy has."""
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 1024, 1024), np.float32)

    def work() -> int:
        for _ in range(20):
            a @ b
        return 20 * 1024**3

    return work


def decoding(jpegs: Sequence[bytes], flag: int) -> Work:
    """JPEG files decoded from memory by OpenCV."""
    arrays = [np.frombuffer(jpeg, np.uint8) for jpeg in jpegs]

    def work() -> int:
        for array in arrays:
            cv2.imdecode(array, flag)
        return len(arrays)

    return work


def encoded(pictures: Sequence[Image]) -> list[bytes]:
    """Pictures as JPEG files in memory."""
    return [cv2.imencode(".jpg", picture[..., ::-1])[1].tobytes() for picture in pictures]


def description() -> list[str]:
    """The machine and the packages, a line each."""
    packages = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return [
        f"{_processor()}, {cores} cores, {_memory()}; {platform.system()}",
        f"Instructions: {KINDS[kind()]}",
        f"Python {sys.version.split()[0]}, {packages}",
        f"NumPy multiplies with {_blas()}",
    ]


KINDS = {"avx512": "AVX-512", "avx2": "AVX2", "other": f"those of {platform.machine()}"}
"""Instruction sets that the results are kept apart by."""
AVX2_ONLY = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "OPENCV_CPU_DISABLE": "AVX512-SKX,AVX512-ICL",
}
"""Environment in which numba, NumPy and OpenCV use no AVX-512."""


def kind() -> str:
    """The instruction set that numba kernels are compiled for: a key of `KINDS`."""
    try:
        from numba.core.registry import cpu_target
    except ImportError:
        return "other"
    _, name, features = cpu_target.target_context.codegen().magic_tuple()
    if "+avx512f" in features:
        return "avx512"
    return "avx2" if "+avx2" in features or name == "haswell" else "other"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    if not told.is_file():
        return platform.processor() or platform.machine()
    lines = dict(
        (part.strip() for part in line.split(":", 1))
        for line in told.read_text().split("\n\n", 1)[0].splitlines()
        if ":" in line
    )
    return str(lines.get("model name", platform.machine()))


def _memory() -> str:
    if not hasattr(os, "sysconf"):
        return "memory unknown"
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"


def _blas() -> str:
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return "a library unknown without threadpoolctl"
    found = [one for one in threadpool_info() if one["user_api"] == "blas"]
    return ", ".join(
        f"{one['internal_api']} {one['version']} ({one.get('architecture', '?')})" for one in found
    )
