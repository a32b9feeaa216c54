"""Clusters of the images: read from a clusters.csv, or found by the other half of icas."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from icas.cli.console import Console
from icas.common.errors import UsageError
from icas.common.registry import Entry
from icas.io.files import table, write_whole
from icas.io.formats import os_reason
from icas.io.text import decode_text
from icas.segmentimg.propagation_run.images import ImageState
from icas.segmentimg.propagation_run.settings import ONE_CLUSTER

CLUSTERER = Entry("icas.clusterimg.api.estimator:ImageClusterer", "clusters of similar images")
"""Loaded when clusters have to be found: the two halves of icas do not import each other."""
OUTLIER = -1
FOUND_NAME = "clusters.csv"
"""Clusters that were found, in the folder of the run, for the next run on the same images."""


@dataclass(frozen=True)
class Cluster:
    """Images of a cluster."""

    name: str
    members: tuple[int, ...]
    """Indices of images, ascending."""


@dataclass(frozen=True)
class Clusters:
    """The clusters of a run, largest first."""

    clusters: tuple[Cluster, ...]
    outliers: tuple[int, ...]
    """Images in no cluster."""
    note: str
    """How they were found, for the user."""


def find_clusters(
    states: Sequence[ImageState],
    given: str | None,
    folder: Path,
    jobs: int | None,
    console: Console,
    *,
    keep: bool,
) -> Clusters:
    """The clusters of images.

    Parameters
    ----------
    given : str, optional
        A clusters.csv, its folder, or `ONE_CLUSTER`. Default: found by `CLUSTERER`.
    folder : Path
        Where found clusters of an earlier run are, and are written if `keep`.
    """
    if given == ONE_CLUSTER and not Path(given).exists():
        every = tuple(range(len(states)))
        return Clusters((Cluster("one", every),), (), "1 cluster of all images")
    if given is not None:
        path = Path(given)
        path = path / "clusters.csv" if path.is_dir() else path
        names = _names_in(path, states)
        return _made(names, f"from {path}")
    return _found(states, folder / FOUND_NAME, jobs, console, keep=keep)


def _found(
    states: Sequence[ImageState], path: Path, jobs: int | None, console: Console, *, keep: bool
) -> Clusters:
    stamp = _stamp(states)
    if path.is_file():
        try:
            head, _, rest = path.read_text(encoding="utf-8").partition("\n")
            about = json.loads(head.removeprefix("# "))
            if about["images"] == stamp:
                return _made(_parsed(rest, path, states), about["note"])
        except (OSError, ValueError, KeyError, TypeError, UsageError):
            pass  # found again
    if len(states) < 2:
        return _made(["0"] * len(states), "1 image")
    model = CLUSTERER.load()(method="auto", threshold="auto", jobs=jobs)
    console.detail(f"clusters of {len(states)} images: searching")
    labels = model.fit_predict([str(state.picture.path) for state in states])
    names = ["" if label == OUTLIER else str(label) for label in labels.tolist()]
    note = f"found with {model.method_} at similarity {model.threshold_:.3g}"
    if keep:
        rows = ((state.file, name or OUTLIER) for state, name in zip(states, names, strict=True))
        about = json.dumps({"images": stamp, "note": note})
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, f"# {about}\n".encode() + table(("file", "cluster"), rows))
    return _made(names, note)


def _stamp(states: Sequence[ImageState]) -> str:
    """Identifies the images by name, size and modification time."""
    rows = []
    for state in states:
        stat = state.picture.path.stat()
        rows.append((state.file, stat.st_size, stat.st_mtime_ns))
    return hashlib.sha256(repr(rows).encode("utf-8", "surrogateescape")).hexdigest()


def _names_in(path: Path, states: Sequence[ImageState]) -> list[str]:
    try:
        text = decode_text(path.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read {path}: {os_reason(error)}") from None
    except ValueError:
        raise UsageError(f"{path} is not a text file") from None
    return _parsed(text, path, states)


def _parsed(text: str, path: Path, states: Sequence[ImageState]) -> list[str]:
    """Cluster of each image, "" for none; by its path, or by a name that occurs once."""
    by_file: dict[str, str] = {}
    by_name: dict[str, str] = {}
    counts: Counter[str] = Counter()
    try:
        for row in csv.DictReader(io.StringIO(text, newline="")):
            file, cluster = row["file"].replace("\\", "/"), row["cluster"].strip()
            cluster = "" if cluster == str(OUTLIER) else cluster
            name = file.rpartition("/")[2]
            by_file[file], by_name[name] = cluster, cluster
            counts[name] += 1
    except (KeyError, ValueError, AttributeError, csv.Error):
        raise UsageError(f"{path} has no columns file and cluster") from None
    own = Counter(state.picture.path.name for state in states)
    names = []
    for state in states:
        name = state.picture.path.name
        single = counts[name] == 1 and own[name] == 1
        names.append(by_file.get(state.file, by_name[name] if single else ""))
    if states and not any(names):
        raise UsageError(f"{path} lists none of the images: give the clusters.csv of their folder")
    return names


def _made(names: Sequence[str], how: str) -> Clusters:
    members: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        if name:
            members.setdefault(name, []).append(index)
    ordered = sorted(members.items(), key=lambda item: (-len(item[1]), item[1][0]))
    clusters = tuple(Cluster(name, tuple(own)) for name, own in ordered)
    outliers = tuple(index for index, name in enumerate(names) if not name)
    count = len(clusters)
    if not how.startswith(("from", "found")):
        return Clusters(clusters, outliers, how)
    return Clusters(clusters, outliers, f"{count} {'cluster' if count == 1 else 'clusters'} {how}")
