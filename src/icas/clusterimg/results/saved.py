"""Tables and saved state of a run, and finished runs read back from disk."""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.clustering.batches import Clustering
from icas.clusterimg.clustering.cohesion import Certificate
from icas.clusterimg.clustering.linkages import LINKAGES
from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.data.images import ImageRef, Unreadable
from icas.clusterimg.data.links import Links
from icas.clusterimg.graph.forest import Forest, Labels, spanning_forest
from icas.clusterimg.journal.journal import FileRecord, Journal, being_undone, has_journal
from icas.clusterimg.methods import make_method
from icas.clusterimg.methods.base import Method
from icas.clusterimg.model_selection.grid import PARAMETERS
from icas.clusterimg.model_selection.search import INDEXES, Tried
from icas.clusterimg.results.report import ClusterReport
from icas.clusterimg.thresholds.sample import Sample
from icas.clusterimg.transfer.cleanup import check_untouched
from icas.common.errors import IcasError, UsageError
from icas.io.files import csv_cells, shown, table
from icas.io.find import RESULT_MARK


def earlier_run(root: Path) -> dict[str, Any]:
    """Content of ``run.json`` in `root`; empty where there is none."""
    path = root / "run.json"
    if not path.is_file():
        return {}
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    return current_names(run) if isinstance(run, dict) else {}


def current_names(run: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a ``run.json``, with former names of values replaced by current ones."""
    settings = run.get("settings")
    if not isinstance(settings, dict) or not settings.get("linkage"):
        return dict(run)
    linkage = str(settings["linkage"])
    current = LINKAGES.aliases.get(linkage, linkage)
    return {**run, "settings": {**settings, "linkage": current}}


_LINES = 1 << 18
"""Links written at a time."""


def links_table(links: Links, files: Sequence[str], start: int = 0) -> Iterator[bytes]:
    """``a,b,similarity``: one line a link, some lines at a time.

    Image i of `links` is ``files[start + i]``.
    """
    names = csv_cells(files)[start:]
    yield from _pairs_table(("a", "b"), links, names, names)


def reference_table(
    links: Links, files: Sequence[str], references: Sequence[str]
) -> Iterator[bytes]:
    """``reference.csv``: ``file,reference,similarity``, one line a link, some lines at a time.

    A link's a is an index of `files`, b one of `references`.
    """
    yield from _pairs_table(("file", "reference"), links, csv_cells(files), csv_cells(references))


def _pairs_table(
    columns: tuple[str, str], links: Links, a_names: NDArray[Any], b_names: NDArray[Any]
) -> Iterator[bytes]:
    """Two names and a similarity for each link."""
    yield table((*columns, "similarity"), ())
    for part in links.parts(_LINES):
        values, places = np.unique(part.similarity, return_inverse=True)
        ends = np.array([shown(value) for value in values], object)[places]
        sides = (a_names[part.a], b_names[part.b], ends)
        text = "\n".join(map(",".join, zip(*(side.tolist() for side in sides), strict=True)))
        yield f"{text}\n".encode("utf-8", "surrogateescape")


def clusters_table(
    files: Sequence[str],
    labels: NDArray[np.int64],
    batch: NDArray[np.int64],
    representative: NDArray[np.bool_],
) -> bytes:
    """``clusters.csv``: one line an image."""
    columns = (files, labels, batch, representative.astype(np.int64))
    return table(("file", "cluster", "batch", "representative"), zip(*columns, strict=True))


def certificates_table(certificates: Iterable[Certificate]) -> bytes:
    """``certificate.csv``: one line a cluster."""
    rows = (
        (it.cluster, it.images, shown(it.weakest_link), shown(it.least_similar_pair), it.medoid)
        for it in certificates
    )
    columns = ("cluster", "images", "weakest_link", "least_similar_pair", "medoid")
    return table(columns, rows)


COLUMNS = ("batch", "kind", *PARAMETERS, "found", "outliers", *INDEXES, "rank", "chosen", "note")


def models_table(batches: Sequence[tuple[Sequence[Tried], Tried | None]]) -> bytes:
    """``models.csv``: a line for every model tried.

    Parameters
    ----------
    batches : sequence of (sequence of Tried, Tried or None)
        For each batch all models and the one that was chosen.
    """
    rows = (
        _row(batch, model, model is chosen)
        for batch, (tried, chosen) in enumerate(batches)
        for model in tried
    )
    return table(COLUMNS, rows)


def _row(batch: int, model: Tried, chosen: bool) -> tuple[Any, ...]:
    return (
        batch,
        model.kind,
        *(model.parameters.get(name, "") for name in PARAMETERS),
        model.clusters,
        model.outliers,
        *map(_shown, (model.silhouette, model.davies_bouldin, model.calinski_harabasz, model.rank)),
        int(chosen),
        model.note,
    )


def _shown(value: float) -> str:
    """Six digits; empty where there is no value."""
    return "" if np.isnan(value) else f"{value:.6g}"


FOREST = f"{RESULT_MARK}/forest.npz"
FEATURES = f"{RESULT_MARK}/features.npz"
MOST_BYTES = 100 * 1024**2
"""Most bytes of saved features: more than 10 million hashes, some 5,000 sets of ORB."""

Arrays = Mapping[str, NDArray[Any]]


@dataclass
class FeatureKeeper:
    """Collects features for a later recut; None if they are too many."""

    parts: list[FeatureSet] | None = field(default_factory=list)

    def watch(
        self, parts: Iterable[tuple[FeatureSet, Labels | None]]
    ) -> Iterator[tuple[FeatureSet, Labels | None]]:
        """`parts` as they are, kept."""
        seen = 0
        for features, given in parts:
            seen += features.nbytes
            if self.parts is not None:
                self.parts = [*self.parts, features] if seen <= MOST_BYTES else None
            yield features, given
            del features  # or it would stay in memory while the next is made

    def contents(self, labels: Labels) -> dict[str, bytes]:
        """Name and content of the file of features; outliers need none for a recut."""
        rows = np.flatnonzero(labels >= 0)
        if not self.parts or len(rows) == 0:
            return {}
        chosen = concatenate(self.parts)[rows]
        arrays = {f"feature_{name}": array for name, array in chosen.arrays.items()}
        return {FEATURES: _packed({"rows": rows, **arrays})}


@dataclass(frozen=True)
class SavedState:
    """State of a finished run beside its tables."""

    forest: Forest  # the maximum spanning forest of its n images; `floor` is the run's threshold
    files: tuple[str, ...]  # the images relative to the source, in the order of ``clusters.csv``
    sources: tuple[str, ...]  # where each came from, as the journal has it
    ignored: tuple[str, ...] = ()  # files that were left alone
    sample: Sample | None = None  # the run's sample without its features
    states: NDArray[np.int64] | None = None  # (n, 2) size and mtime in ns; -1 = not known

    @classmethod
    def of(
        cls, clustering: Clustering, images: Sequence[ImageRef], report: ClusterReport
    ) -> SavedState:
        """State of a run; `images` are those that it clustered, in order."""
        floor = -np.inf if report.threshold is None else report.threshold
        return cls(
            spanning_forest(clustering.count, [clustering.trees()], floor),
            clustering.files,
            tuple(str(ref.path.absolute()) for ref in images),
            report.ignored,
            report.sample,
            states_of(images),
        )

    def contents(self) -> dict[str, bytes]:
        """Name and content of its file; the same run gives the same bytes."""
        arrays: dict[str, NDArray[Any]] = {
            "a": self.forest.a,
            "b": self.forest.b,
            "similarity": self.forest.similarity,
            "floor": np.array(self.forest.floor),
            "files": _as_bytes(self.files),
            "sources": _as_bytes(self.sources),
            "ignored": _as_bytes(self.ignored),
        }
        if self.states is not None:
            arrays["states"] = self.states
        return {FOREST: _packed(arrays | _sample_arrays(self.sample))}

    @classmethod
    def read(cls, root: Path) -> SavedState:
        """State of the run that made `root`; IcasError if its file is missing or damaged."""
        arrays = _unpacked(root / FOREST)
        files = _as_names(arrays["files"])
        forest = Forest(
            len(files), arrays["a"], arrays["b"], arrays["similarity"], float(arrays["floor"])
        )
        sources, ignored = _as_names(arrays["sources"]), _as_names(arrays["ignored"])
        states = arrays.get("states")
        return cls(forest, files, sources, ignored, _sample_of(arrays), states)


def states_of(images: Sequence[ImageRef]) -> NDArray[np.int64]:
    """(n, 2) size and mtime of images when they were found; -1 = not known."""
    return np.array([_state_of(ref) for ref in images], np.int64).reshape(-1, 2)


def _state_of(ref: ImageRef) -> tuple[int, int]:
    """Size and mtime of an image when it was found; -1 where unknown, or no 64-bit integer."""
    if ref.state is None or not -(1 << 63) <= ref.state[1] < 1 << 63:
        return -1, -1
    return ref.state


@dataclass(frozen=True)
class SavedFeatures:
    """Features of k images in clusters, and the numbers of these images, ascending."""

    rows: NDArray[np.int64]
    features: FeatureSet

    @classmethod
    def read(cls, root: Path, method: str) -> SavedFeatures | None:
        """The features saved in `root`; None where they were too many."""
        if not (root / FEATURES).is_file():
            return None
        arrays = _unpacked(root / FEATURES)
        own = {
            name.removeprefix("feature_"): array
            for name, array in arrays.items()
            if name.startswith("feature_")
        }
        return cls(arrays["rows"], FeatureSet(method, own))

    def places(self, images: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of the features of `images`."""
        return np.searchsorted(self.rows, images)


def method_of_run(run: Mapping[str, Any]) -> Method:
    """The method of a run with its options, from the content of ``run.json``."""
    options = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in run.get("options", {}).items()
    }
    return make_method(str(run["method"]), **options)


def _sample_arrays(sample: Sample | None) -> dict[str, NDArray[Any]]:
    """A sample without its features, which only a comparison needs."""
    if sample is None:
        return {}
    return {
        "sample_images": np.array(sample.images),
        "sample_files": _as_bytes(sample.features.files),
        "sample_similarity": _condensed(len(sample), sample.links),
    }


def _sample_of(arrays: Arrays) -> Sample | None:
    if "sample_images" not in arrays:
        return None
    files = _as_names(arrays["sample_files"])
    features = FeatureSet("", {"none": np.empty((len(files), 0), np.uint8)}, files=files)
    similarity = arrays["sample_similarity"]
    order = np.argsort(-similarity, kind="stable")
    a, b = (side[order].astype(np.int64) for side in np.triu_indices(len(files), 1))
    return Sample(features, int(arrays["sample_images"]), Links(a, b, similarity[order]))


def _condensed(count: int, links: Links) -> NDArray[np.float32]:
    """Similarities of all pairs of `count` images, row by row of the upper triangle."""
    similarity = np.empty(count * (count - 1) // 2, np.float32)
    similarity[links.a * (2 * count - links.a - 3) // 2 + links.b - 1] = links.similarity
    return similarity


def _as_bytes(names: Sequence[str]) -> NDArray[np.uint8]:
    """Names as bytes with a zero after each: not every name is text."""
    return np.frombuffer(b"".join(os.fsencode(name) + b"\0" for name in names), np.uint8)


def _as_names(array: NDArray[np.uint8]) -> tuple[str, ...]:
    return tuple(os.fsdecode(name) for name in array.tobytes().split(b"\0")[:-1])


def _packed(arrays: Arrays) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **dict(arrays))  # type: ignore[arg-type]
    return stream.getvalue()


def _unpacked(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as kept:
            return {name: kept[name] for name in kept.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise IcasError(f"cannot read {path}, which the run saved: {error}") from error


@dataclass(frozen=True)
class Tables:
    """The tables of a finished result of n images: ``clusters.csv`` and two more.

    The certificates lack what follows from the links.
    """

    files: tuple[str, ...]
    labels: Labels
    batch: NDArray[np.int64]
    representative: NDArray[np.bool_]
    certificates: tuple[Certificate, ...]
    unreadable: tuple[Unreadable, ...]

    @classmethod
    def read(cls, root: Path) -> Tables:
        """The tables in `root`."""
        try:
            clusters = _rows(root / "clusters.csv")
            return cls(
                tuple(row["file"] for row in clusters),
                np.array([row["cluster"] for row in clusters], np.int64),
                np.array([row["batch"] for row in clusters], np.int64),
                np.array([row["representative"] == "1" for row in clusters], bool),
                tuple(map(_certificate, _rows(root / "certificate.csv"))),
                tuple(Unreadable(**row) for row in _rows(root / "unreadable.csv")),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise IcasError(f"cannot read the tables in {root}: {error}") from error


def _rows(path: Path) -> list[dict[str, str]]:
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def _certificate(row: Mapping[str, str]) -> Certificate:
    weakest, least = (float(row[name] or "nan") for name in ("weakest_link", "least_similar_pair"))
    return Certificate(int(row["cluster"]), int(row["images"]), weakest, least, row["medoid"])


@dataclass(frozen=True)
class FinishedRun:
    """A finished result of n images."""

    root: Path
    state: SavedState
    run: Mapping[str, Any]  # content of ``run.json``
    records: tuple[FileRecord, ...]  # every file of the result, from the journal
    tables: Tables

    @classmethod
    def read(cls, root: Path) -> FinishedRun:
        """The result in `root`, if it is as its run left it."""
        check_recorded(root)
        with Journal(root) as journal:
            records, phase = tuple(journal.files()), journal.phase
        if phase == "undoing":
            raise being_undone(root)
        if phase != "done":
            raise UsageError(
                f"the run in {root} was interrupted: repeat its command with --resume to"
                f" continue it, or undo it with clusterimg undo {root}"
            )
        if all(file.target != FOREST for file in records):
            raise UsageError(
                f"{root} cannot get another threshold: it is a result of --stage batch or"
                " --reference, or of an older icas version; start a new run"
            )
        check_untouched(root, records)
        state, tables = SavedState.read(root), Tables.read(root)
        if tables.files != state.files:
            raise IcasError(
                f"cannot read the tables in {root}: clusters.csv does not list the files of the run"
            )
        return cls(root, state, earlier_run(root), records, tables)

    @property
    def labels(self) -> Labels:
        """(n,) cluster of each image, -1 = outlier."""
        return self.tables.labels

    @property
    def clusters(self) -> int:
        """How many clusters."""
        return int(self.labels.max(initial=-1)) + 1

    def has(self, name: str) -> bool:
        """Whether the run made the file `name`."""
        return any(file.target == name for file in self.records)


def check_recorded(root: Path) -> None:
    """Raise UsageError if `root` holds no journal of a run."""
    if not has_journal(root):
        raise UsageError(f"{root} is not the result of a finished clusterimg run")
