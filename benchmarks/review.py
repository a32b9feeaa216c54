"""The review server at 100,000 images, and a simulated person who names images through it.

``python benchmarks/review.py scale [FOLDER]`` generates 100,000 images of 64x64 pixels and their
clusters in FOLDER (kept, default a temporary folder), then measures the server: start, memory, and
the time of each kind of answer, over HTTP on this machine.

``python benchmarks/review.py person NETWORK.onnx [SET ...]`` clusters image sets in ICAS_DATA with
``deep+orb`` and lets a person who knows the true classes work until 99 % of the labels are right.
It prints the commands needed. NETWORK.onnx is mobilenet_v2 of ``clusterimg weights export``.

The person works as the screens suggest. On the screen of clusters, 20 rows show at a time: clusters
of one class among them are selected and named with one command. Then clusters are opened by doubt,
and images of another class in them are selected and named, a class per command. Last, 60 of the
least sure images show at a time, with the names of similar images: wrong ones of one class are
selected and named with one command. The names of similar images are accepted with one command.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np

import icas
from icas.clusterimg.evaluation.scores import read_labels

DATA = Path(os.environ.get("ICAS_DATA") or Path(__file__).parents[2] / "shared" / "data")
SETS = ("coil100", "faces-orl", "gtsrb-tracks", "video-frames")
COUNT = 100_000
KINDS = 6_000
ROWS, SCREEN = 20, 60
"""Clusters and images that a screen of the page shows."""
GOAL = 0.99


def generate(folder: Path) -> None:
    """Images of random smooth patterns: variants of 6,000 kinds, and 20 % that are alone."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    alone = COUNT // 5
    kinds = np.concatenate([rng.integers(0, KINDS, COUNT - alone), KINDS + np.arange(alone)])
    small = rng.integers(0, 256, (KINDS + alone, 5, 5, 3), np.uint8)
    for number, kind in enumerate(rng.permutation(kinds).tolist()):
        image = cv2.resize(small[kind], (64, 64), interpolation=cv2.INTER_CUBIC)
        image = cv2.add(image, rng.integers(0, 12, image.shape).astype(np.uint8))
        name = folder / f"{number // 1000:02}" / f"{number:06}.jpg"
        name.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(name), image, [cv2.IMWRITE_JPEG_QUALITY, 60])


class Client:
    """A program that uses the server."""

    def __init__(self, url: str) -> None:
        self.base = url.partition("/?")[0]
        headers = {"Origin": self.base, "X-Icas": "1"}
        self.http = httpx.Client(base_url=self.base, headers=headers, timeout=600)
        self.http.get(url)
        self.state = self.get("state")
        self.rev = self.state["rev"]
        self.ids = (f"{time.time_ns()}-{number}" for number in itertools.count())

    def get(self, path: str) -> Any:
        answer = self.http.get(f"/api/{path}")
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, **body: Any) -> Any:
        content = {"rev": self.rev, "id": next(self.ids), **body}
        answer = self.http.post(f"/api/{path}", json=content)
        answer.raise_for_status()
        self.rev = answer.json().get("rev", self.rev)
        return answer.json()

    def command(self, op: str, **args: Any) -> Any:
        return self.post("commands", op=op, args=args)

    def ready(self, path: str) -> Any:
        while (answer := self.get(path)).get("wait"):
            time.sleep(0.5)
        return answer


@contextmanager
def server(result: Path) -> Iterator[tuple[subprocess.Popen[str], Client]]:
    """The command ``clusterimg review`` as a process of its own."""
    command = [sys.executable, "-m", "icas.clusterimg", "review", str(result), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield running, Client(running.stdout.readline().split()[1])
        finally:
            running.terminate()


def memory(running: subprocess.Popen[str], what: str = "VmRSS") -> float:
    """MB of a process, now or at most."""
    status = Path(f"/proc/{running.pid}/status").read_text()
    found = re.search(rf"{what}:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else float("nan")


def cpu_seconds(running: subprocess.Popen[str]) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{running.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(
    running: subprocess.Popen[str], what: str, work: Callable[[int], Any], times: int
) -> None:
    """Print the median and 95th percentile of a request, CPU time of the server, and bytes."""
    seconds = []
    before = cpu_seconds(running)
    for number in range(times):
        start = time.perf_counter()
        answer = work(number)
        seconds.append(time.perf_counter() - start)
    size = len(answer.content) if isinstance(answer, httpx.Response) else len(json.dumps(answer))
    middle, high = np.percentile(seconds, [50, 95]) * 1000
    cpu = 1000 * (cpu_seconds(running) - before) / times
    print(f"| {what} | {middle:.0f} | {high:.0f} | {cpu:.0f} | {size / 1e3:,.0f} |", flush=True)


def scale(folder: Path) -> None:
    """Memory and times of the server."""
    result = folder / "sorted"
    if not result.exists():
        shutil.rmtree(folder / "images", ignore_errors=True)
        generate(folder / "images")
        how = {"method": "imagehash", "threshold": 0.9, "transfer": "none", "report": False}
        report = icas.cluster(folder / "images", dst=result, recursive=True, **how)
        print(report.summary())
    shutil.rmtree(result / ".icas" / "review", ignore_errors=True)
    start = time.perf_counter()
    with server(result) as (running, client):
        print(f"start to first state: {time.perf_counter() - start:.1f} s")
        print(f"memory after start: {memory(running):.0f} MB")
        clusters = client.state["clusters"]
        numbers = [one["id"] for one in clusters if len(one["members"]) > 3]
        sizes = {one["id"]: len(one["members"]) for one in clusters}
        print(f"{len(clusters)} clusters, the largest of {max(sizes.values())} images\n")
        print("| request | median ms | p95 ms | CPU ms of the server | kB |")
        print("|---|---|---|---|---|")
        http = client.http
        timed = partial(measure, running)
        timed("GET state", lambda _: http.get("/api/state"), 5)
        timed("GET images", lambda _: http.get("/api/images"), 3)
        timed("GET forest", lambda _: http.get("/api/forest"), 5)
        timed("GET state?rev", lambda _: http.get(f"/api/state?rev={client.rev}"), 50)
        timed("GET cluster", lambda number: client.get(f"cluster/{numbers[number]}"), 100)
        timed("GET thumb, new", lambda number: http.get(f"/api/thumb/{number * 7}"), 100)
        timed("GET thumb, again", lambda number: http.get(f"/api/thumb/{number * 7}"), 100)
        timed("name", lambda n: client.command("name", cluster=numbers[n], name=f"c{n % 50}"), 200)
        timed(
            "merge",
            lambda n: client.command("merge", clusters=numbers[500 + 2 * n : 502 + 2 * n]),
            100,
        )
        timed("split", lambda n: client.command("split", cluster=numbers[1000 + n]), 100)
        images = client.state["outliers"]
        timed(
            "move from the outliers",
            lambda n: client.command("move", images=[images[n]], to=numbers[1500 + n]),
            50,
        )
        timed("label", lambda n: client.command("label", images=[images[-n - 1]], name="dog"), 100)
        timed("undo", lambda _: client.post("undo"), 100)
        timed("redo", lambda _: client.post("redo"), 50)
        values = np.linspace(0.91, 0.99, 4)
        timed("threshold", lambda n: client.command("threshold", value=float(values[n])), 4)
        timed("history", lambda _: client.get("history"), 5)
        timed("question", lambda _: client.get("questions/next"), 2)
        print(f"\nmemory: {memory(running):.0f} MB, at most {memory(running, 'VmHWM'):.0f} MB")


class Person:
    """Knows the true class of each image, and counts the commands."""

    def __init__(self, client: Client, truth: list[str]) -> None:
        self.client, self.truth = client, truth
        self.commands = 0
        self.state = client.get("state")

    def command(self, op: str, **args: Any) -> None:
        self.client.command(op, **args)
        self.commands += 1
        self.state = self.client.get("state")

    def names(self) -> dict[int, str]:
        """The class of each image as the page shows it."""
        by_cluster = {
            image: one["name"]
            for one in self.state["clusters"]
            if one["name"]
            for image in one["members"]
        }
        own = {int(image): label for image, label in self.state["labels"].items()}
        named = {image: name for image, (name, _, _) in own.items()} | by_cluster
        return named | {image: name for image, (name, kind, _) in own.items() if kind == "image"}

    def right(self, more: dict[str, Any]) -> float:
        """Share of right names, with the names of similar images."""
        names = {int(image): name for image, (name, _) in more.items()} | self.names()
        return sum(names.get(i) == true for i, true in enumerate(self.truth)) / len(self.truth)

    def work(self) -> float:
        """Until 99 % of the names are right, or nothing is left to do; the share at the end."""
        self.name_clusters()
        if self.right(self.client.ready("naming?count=1")["spread"]) < GOAL:
            self.correct_clusters()
        while True:
            naming = self.client.ready(f"naming?count={SCREEN}")
            if self.right(naming["spread"]) >= GOAL:
                break
            shown = {image: naming["spread"][str(image)][0] for image in naming["unsure"]}
            wrong = self.groups(image for image, name in shown.items() if name != self.truth[image])
            if not wrong:
                wrong = self.groups(naming["unsure"])
            name, images = wrong[0]
            self.command("label", images=images, name=name)
        if naming["spread"]:
            self.command("spread", least=0.0)
        return self.right({})

    def name_clusters(self) -> None:
        """Select the clusters of one class that are on the screen, and name them."""
        clusters = sorted(self.state["clusters"], key=lambda one: -len(one["members"]))
        for start in range(0, len(clusters), ROWS):
            groups: dict[str, list[int]] = {}
            for one in clusters[start : start + ROWS]:
                kinds = Counter(self.truth[image] for image in one["members"])
                name, count = kinds.most_common(1)[0]
                if count > len(one["members"]) / 2:
                    groups.setdefault(name, []).append(one["id"])
            for name, numbers in groups.items():
                self.command("name", clusters=numbers, name=name)

    def correct_clusters(self) -> None:
        """Name the images of other classes in a cluster, a class at a time."""
        for one in sorted(self.state["clusters"], key=lambda one: -one["doubt"]):
            others = [i for i in one["members"] if self.truth[i] != one["name"]]
            for name, images in self.groups(others):
                self.command("label", images=images, name=name)

    def groups(self, images: Any) -> list[tuple[str, list[int]]]:
        """The images by true class, the largest class first."""
        found: dict[str, list[int]] = {}
        for image in images:
            found.setdefault(self.truth[image], []).append(image)
        return sorted(found.items(), key=lambda item: -len(item[1]))


def person(network: Path, names: list[str]) -> None:
    """The commands that the person needs for each set."""
    print("| set | images | classes | clusters | commands | per class | per 1,000 images | right |")
    print("|---|---|---|---|---|---|---|---|")
    for name in names:
        truth = read_labels(DATA / name / "labels.csv")
        with tempfile.TemporaryDirectory() as temporary:
            result = Path(temporary) / "sorted"
            how = {"method": "deep+orb", "weights": network, "transfer": "none", "report": False}
            report = icas.cluster(
                DATA / name / "images", dst=result, cache=Path(temporary) / "cache", **how
            )
            with server(result) as (_, client):
                worker = Person(client, [truth[file] for file in report.files])
                right = worker.work()
        count, classes = len(report.files), len(set(truth.values()))
        print(
            f"| {name} | {count} | {classes} | {report.clusters} | {worker.commands} |"
            f" {worker.commands / classes:.2f} | {1000 * worker.commands / count:.0f} |"
            f" {right:.4f} |",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["scale"]:
        with tempfile.TemporaryDirectory() as temporary:
            scale(Path(sys.argv[2] if sys.argv[2:] else temporary))
    elif sys.argv[1:2] == ["person"] and sys.argv[2:]:
        person(Path(sys.argv[2]), sys.argv[3:] or list(SETS))
    else:
        sys.exit(__doc__)
