"""Sharded runs on synthetic hash codes with planted groups: time, memory, and the same forest.

python benchmarks/scale.py codes --images 1000000 --out codes     write Parquet files of codes
python benchmarks/scale.py run codes --dst out [--executor dask]  cluster them; CPU s and memory
python benchmarks/scale.py run codes --dst out --kill 20          ... a worker is killed after 20 s
python benchmarks/scale.py workers codes --dst out [--executor dask]  one worker against two
python benchmarks/scale.py workers photos --dst out --method orb [--executor dask]  ... of a folder
python benchmarks/scale.py same --images 1000000                  forest in shards and in one piece
python benchmarks/scale.py cells --images 20000                   recall of k-means cells
python benchmarks/scale.py floats --images 1000000 --dst folder   64 floats an image, in cells
python benchmarks/scale.py orb --images 20000 --dst folder        a whole run over photographs
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import speed_pictures
from numpy.typing import NDArray

import icas
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import Links
from icas.clusterimg.graph.forest import spanning_forest

THRESHOLD = 0.9
"""At most 6 of 64 bits differ."""
GROUP = 3.5
"""Images of a group on average; those of a group are anywhere among all images."""


def mixed(numbers: NDArray[np.uint64], salt: int) -> NDArray[np.uint64]:
    """A random number for each number (splitmix64)."""
    with np.errstate(over="ignore"):
        z = numbers + np.uint64(salt) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def planted(start: int, stop: int, images: int) -> NDArray[np.uint8]:
    """(n, 8) uint8: codes `start` to `stop` of `images`, in up to two bits off their centre."""
    numbers = np.arange(start, stop, dtype=np.uint64)
    codes = mixed(mixed(numbers, 1) % np.uint64(max(1, round(images / GROUP))), 2)
    for salt in (3, 4):
        bits = mixed(numbers, salt) % np.uint64(128)  # half of them leave the code as it is
        codes ^= np.where(bits < 64, np.uint64(1) << (bits % np.uint64(64)), np.uint64(0))
    return codes.view(np.uint8).reshape(-1, 8)


def write_codes(images: int, out: Path, file_size: int) -> None:
    """Codes in Parquet files."""
    out.mkdir(parents=True)
    for number, start in enumerate(range(0, images, file_size)):
        codes = planted(start, min(start + file_size, images), images)
        FeatureSet.from_bits(codes).to_parquet(out / f"{number:04d}.parquet")


def cpu_seconds() -> float:
    """CPU seconds of this process and of its children that ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(sum(resource.getrusage(kind)[:2]) for kind in kinds)


def kill_a_worker(after: float) -> None:
    """Kill one worker process of a local Dask cluster after some seconds."""
    import psutil

    time.sleep(after)
    workers = [
        child
        for child in psutil.Process().children(recursive=True)
        if child.memory_info().rss > 50e6 and not child.children()
    ]
    os.kill(workers[-1].pid, signal.SIGKILL)
    print(f"killed worker {workers[-1].pid} of {len(workers)}", flush=True)


def run(given: argparse.Namespace) -> None:
    """A whole run; prints its figures as JSON."""
    if given.method:
        run_of_photos(given)
        return
    if given.kill:
        threading.Thread(target=kill_a_worker, args=(given.kill,), daemon=True).start()
    begun = time.perf_counter()
    report = icas.cluster_shards(
        given.src,
        given.dst,
        threshold=THRESHOLD,
        shard_size=given.shard_size,
        executor=given.executor,
        jobs=given.jobs,
        memory=given.memory,
        resume=given.resume,
    )
    figures = {
        "images": report.images,
        "clusters": report.clusters,
        "shards": report.shards,
        "wall_s": round(time.perf_counter() - begun, 1),
        "cpu_s": round(cpu_seconds(), 1),
        "main_cpu_s": round(time.process_time(), 1),
        "peak_mb": report.peak_memory_mb,
        "worker_mb": report.worker_memory_mb,
        "seconds": report.seconds,
        "bytes": sum(path.stat().st_size for path in report.dst.rglob("*") if path.is_file()),
        "labels": hash_of(report.labels()),
    }
    print(json.dumps(figures))


def run_of_photos(given: argparse.Namespace) -> None:
    """The same with `icas.cluster` on a folder of images."""
    begun = time.perf_counter()
    report = icas.cluster(
        given.src,
        dst=given.dst,
        method=given.method,
        merge="exact",
        transfer="none",
        report=False,
        cache=False,
        executor=given.executor,
        jobs=given.jobs,
    )
    figures = {
        "images": len(report.files),
        "wall_s": round(time.perf_counter() - begun, 1),
        "cpu_s": round(cpu_seconds(), 1),
        "main_cpu_s": round(time.process_time(), 1),
        "seconds": report.seconds,
        "labels": hash_of(np.asarray(report.labels)),
    }
    print(json.dumps(figures))


def workers(given: argparse.Namespace) -> None:
    """Runs with one worker and with two, by turns; prints the ratio of their least wall times."""
    import shutil
    import subprocess
    import sys

    least = {1: np.inf, 2: np.inf}
    for _ in range(given.rounds):
        for jobs in least:
            more = ["--dst", str(given.dst), "--executor", given.executor, "--jobs", str(jobs)]
            if given.shard_size:
                more += ["--shard-size", str(given.shard_size)]
            if given.method:
                more += ["--method", given.method]
            command = [sys.executable, __file__, "run", str(given.src), *more]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            figures = json.loads(done.stdout.splitlines()[-1])
            least[jobs] = min(least[jobs], figures["wall_s"])
            names = ("wall_s", "cpu_s", "main_cpu_s", "seconds", "labels")
            print(jobs, {name: figures[name] for name in names}, flush=True)
            shutil.rmtree(given.dst)
    print(f"two workers: {least[1] / least[2]:.2f} times as fast as one")


def hash_of(labels: NDArray[np.int64]) -> str:
    """A short text by which equal clusters are known."""
    import hashlib

    return hashlib.blake2b(labels.tobytes(), digest_size=8).hexdigest()


def same(images: int, folder: Path) -> None:
    """Compare the forest of a run in shards with that of all links of all pairs at once."""
    write_codes(images, folder / "codes", images // 2)
    report = icas.cluster_shards(
        folder / "codes", folder / "out", threshold=THRESHOLD, shard_size=images // 7
    )
    features = FeatureSet.from_bits(planted(0, images, images))
    links = icas.links(features, THRESHOLD)
    parts = Links(links["a"], links["b"], links["similarity"])
    forest = spanning_forest(images, [parts], THRESHOLD)
    ours = report.forest()
    equal = all(
        np.array_equal(getattr(forest, name), getattr(ours, name))
        for name in ("a", "b", "similarity")
    )
    labels = np.array_equal(icas.labels_at(forest, THRESHOLD), report.labels())
    print(f"{images:,} codes, {len(links):,} links, {len(ours.a):,} edges: same {equal}, {labels}")


def write_vectors(images: int, width: int, noise: float, path: Path) -> None:
    """Embeddings in a Parquet file: groups of up to six around random directions."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    centres = rng.normal(size=(images // 3, width)).astype(np.float32)
    topics = rng.normal(size=(50, width)).astype(np.float32) * 1.5
    centres += topics[rng.integers(0, 50, len(centres))]
    vectors = np.repeat(centres, rng.integers(1, 7, len(centres)), axis=0)[:images]
    vectors += noise * rng.normal(size=vectors.shape).astype(np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), width)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"vector": column}), path)


def cells(images: int, folder: Path) -> None:
    """Recall of cells on embeddings."""
    write_vectors(images, 128, 1.0, folder / "vectors.parquet")
    for count in (None, 10, 50, 200):
        begun = time.process_time()
        report = icas.cluster_shards(
            folder / "vectors.parquet", folder / f"out-{count}", threshold=0.75, cells=count
        )
        seconds = time.process_time() - begun
        print(count, report.clusters, report.comparisons["made"], report.cells, f"{seconds:.1f} s")


def floats(images: int, folder: Path, memory: str, jobs: int | None) -> None:
    """A run over many embeddings of 64 numbers; CPU s, memory and recall."""
    path = folder / "vectors.parquet"
    if not path.exists():
        write_vectors(images, 64, 0.5, path)
    before = cpu_seconds()
    report = icas.cluster_shards(
        path,
        folder / f"out{time.time():.0f}",
        threshold=0.9,
        cells=max(2, images // 1000),
        memory=memory,
        jobs=jobs,
        executor="processes",
    )
    print(report.summary(), report.cells, report.comparisons, report.seconds)
    peaks = f"{report.peak_memory_mb:.0f} MB, workers {report.worker_memory_mb:.0f} MB"
    print(f"{cpu_seconds() - before:.0f} CPU s, {peaks}")


def variants(images: int) -> Iterator[NDArray[np.uint8]]:
    """Crops of photographs, each in one to six variants: rotated, scaled, brighter or darker."""
    import cv2

    rng = np.random.default_rng(0)
    crops = speed_pictures.photos(-(-images * 2 // 7))
    made = 0
    for crop in crops:
        height, width = crop.shape[:2]
        for _ in range(int(rng.integers(1, 7))):
            if made == images:
                return
            turn, scale = rng.uniform(-8, 8), rng.uniform(1.05, 1.3)
            matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn, scale)
            moved = cv2.warpAffine(crop, matrix, (width, height), flags=cv2.INTER_AREA)
            yield cv2.convertScaleAbs(moved, alpha=rng.uniform(0.85, 1.15))
            made += 1


def orb(images: int, folder: Path) -> None:
    """A run with default settings and without weights; recall is measured by the run."""
    import cv2

    os.environ["ICAS_WEIGHTS"] = str(folder / "no weights")
    if not folder.is_dir():
        (folder / "photos").mkdir(parents=True)
        for number, image in enumerate(variants(images)):
            cv2.imwrite(str(folder / f"photos/picture{number:05}.jpg"), image[:, :, ::-1])
    begun, before = time.perf_counter(), cpu_seconds()
    report = icas.cluster(
        folder / "photos", dst=folder / f"out{time.time():.0f}", transfer="none", cache=False
    )
    cpu, wall = cpu_seconds() - before, time.perf_counter() - begun
    print(report.summary(), report.method, report.threshold, report.candidates)
    print(f"{cpu:.0f} CPU s, {wall:.0f} s", report.seconds, report.comparisons)


RUNS: dict[str, Callable[[argparse.Namespace], None]] = {
    "codes": lambda given: write_codes(given.images, given.out, given.file_size),
    "run": run,
    "workers": workers,
    "same": lambda given: same(given.images, given.dst),
    "cells": lambda given: cells(given.images, given.dst),
    "floats": lambda given: floats(given.images, given.dst, given.memory, given.jobs),
    "orb": lambda given: orb(given.images, given.dst),
}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=tuple(RUNS))
    parser.add_argument("src", nargs="?", type=Path, default=Path("codes"))
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--file-size", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, default=Path("codes"))
    parser.add_argument("--dst", type=Path, default=Path("out"))
    parser.add_argument("--shard-size", type=int)
    parser.add_argument("--executor", default="threads")
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--memory", default="4GB")
    parser.add_argument("--kill", type=float, default=0)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--method")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    RUNS[given.what](given)


if __name__ == "__main__":
    main()
