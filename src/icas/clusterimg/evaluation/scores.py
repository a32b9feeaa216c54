"""Scores of clusters against true labels."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.graph.forest import Forest, Labels
from icas.common.errors import UsageError
from icas.io.text import decode_text


@dataclass(frozen=True)
class Evaluation:
    """Agreement of clusters with true labels, as `icas.evaluate` returns it.

    Each outlier counts as a cluster of one image. Values are in [0, 1], 1 is best, except
    `adjusted_rand`, which can be negative (worse than chance).

    Attributes
    ----------
    images : int
        Number of images.
    precision, recall, f1 : float
        Pairwise scores. Precision: share of the pairs within clusters that have the same label.
        Recall: share of the pairs with the same label that are within clusters.
    bcubed_precision, bcubed_recall, bcubed_f1 : float
        B-cubed scores: precision and recall per image, averaged over all images.
    adjusted_rand : float
        Adjusted Rand index.
    v_measure : float
        V-measure: harmonic mean of homogeneity and completeness.

    See Also
    --------
    icas.evaluate : Compute the scores.

    Notes
    -----
    References: B-cubed, A. Bagga and B. Baldwin 1998, E. Amigó et al. 2009; adjusted Rand index,
    L. Hubert and P. Arabie 1985; V-measure, A. Rosenberg and J. Hirschberg 2007.

    Examples
    --------
    >>> import icas
    >>> found = icas.evaluate([0, 0, 0, -1], ["cup", "cup", "sky", "sky"])
    >>> round(found.precision, 3), found.recall
    (0.333, 0.5)
    >>> list(found.as_dict())[:4]
    ['images', 'precision', 'recall', 'f1']
    """

    images: int
    precision: float
    recall: float
    f1: float
    bcubed_precision: float
    bcubed_recall: float
    bcubed_f1: float
    adjusted_rand: float
    v_measure: float

    def as_dict(self) -> dict[str, float]:
        """Return all values by name.

        Returns
        -------
        dict of str to float
        """
        return asdict(self)

    def _repr_html_(self) -> str:
        from icas.notebook.html import table

        caption = f"{self.images:,} images compared with their true labels"
        rows = ((name.replace("_", " "), value) for name, value in self.as_dict().items())
        return table(caption, [row for row in rows if row[0] != "images"])


def evaluate(labels: Labels | Sequence[int], truth: Sequence[Any] | NDArray[Any]) -> Evaluation:
    """Compare clusters with true labels.

    Parameters
    ----------
    labels : (n,) array_like of int
        Cluster of each image; -1 = outlier.
    truth : (n,) sequence
        True label of each image: numbers or strings.

    Returns
    -------
    Evaluation
        Pairwise and B-cubed precision, recall and F1, adjusted Rand index, V-measure.

    Raises
    ------
    UsageError
        Different lengths, or no images.

    Examples
    --------
    >>> import icas
    >>> found = icas.evaluate([0, 0, 1, 1, -1], ["cup", "cup", "sky", "sky", "sky"])
    >>> found.precision, found.recall, round(found.f1, 3)
    (1.0, 0.5, 0.667)
    """
    clusters = np.asarray(labels)
    kinds = "iub" if clusters.size else "iubf"
    if clusters.ndim != 1 or clusters.dtype.kind not in kinds or np.ndim(truth) != 1:
        raise UsageError("expected two 1-D sequences: cluster numbers and true labels")
    if len(clusters) != len(truth) or len(clusters) == 0:
        raise UsageError(
            f"{len(clusters)} cluster numbers and {len(truth)} labels: both need one value per"
            " image"
        )
    table, rows, columns = _contingency(_outliers_apart(clusters), np.asarray(truth))
    precision, recall = _pairwise(table, rows, columns)
    b_precision, b_recall = _bcubed(table, rows, columns)
    return Evaluation(
        images=len(clusters),
        precision=precision,
        recall=recall,
        f1=_harmonic(precision, recall),
        bcubed_precision=b_precision,
        bcubed_recall=b_recall,
        bcubed_f1=_harmonic(b_precision, b_recall),
        adjusted_rand=_adjusted_rand(table, rows, columns),
        v_measure=_v_measure(table, rows, columns),
    )


def _outliers_apart(labels: Labels) -> Labels:
    apart = labels.astype(np.int64)
    alone = np.flatnonzero(labels < 0)
    apart[alone] = labels.max(initial=-1) + 1 + np.arange(len(alone))
    return apart


@dataclass(frozen=True)
class _Cells:
    """The cells above 0 of a contingency table, each with its cluster and label."""

    count: NDArray[np.float64]
    cluster: NDArray[np.int64]
    label: NDArray[np.int64]


def _contingency(
    clusters: Labels, truth: NDArray[Any]
) -> tuple[_Cells, NDArray[np.float64], NDArray[np.float64]]:
    _, cluster = np.unique(clusters, return_inverse=True)
    _, label = np.unique(truth, return_inverse=True)
    pairs, counts = np.unique(
        cluster.astype(np.int64) * (label.max() + 1) + label, return_counts=True
    )
    cells = _Cells(counts.astype(float), *np.divmod(pairs, label.max() + 1))
    return cells, np.bincount(cluster).astype(float), np.bincount(label).astype(float)


def _pairs(counts: NDArray[np.float64]) -> float:
    return float((counts * (counts - 1) / 2).sum())


def _share(part: float, whole: float) -> float:
    """`part` of `whole`; nothing out of nothing is all of it."""
    return part / whole if whole else 1.0


def _harmonic(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _pairwise(
    cells: _Cells, clusters: NDArray[np.float64], labels: NDArray[np.float64]
) -> tuple[float, float]:
    both = _pairs(cells.count)
    return _share(both, _pairs(clusters)), _share(both, _pairs(labels))


def _bcubed(
    cells: _Cells, clusters: NDArray[np.float64], labels: NDArray[np.float64]
) -> tuple[float, float]:
    squares, total = cells.count**2, clusters.sum()
    precision = (squares / clusters[cells.cluster]).sum() / total
    recall = (squares / labels[cells.label]).sum() / total
    return float(precision), float(recall)


def _adjusted_rand(
    cells: _Cells, clusters: NDArray[np.float64], labels: NDArray[np.float64]
) -> float:
    both, put, true = _pairs(cells.count), _pairs(clusters), _pairs(labels)
    everything = _pairs(np.array([clusters.sum()]))
    expected = put * true / everything if everything else 0.0
    best = (put + true) / 2
    return 1.0 if best == expected else (both - expected) / (best - expected)


def _v_measure(cells: _Cells, clusters: NDArray[np.float64], labels: NDArray[np.float64]) -> float:
    total = clusters.sum()
    shared = cells.count / total
    apart = np.log(shared) - np.log(clusters / total)[cells.cluster]
    apart -= np.log(labels / total)[cells.label]
    information = float((shared * apart).sum())
    homogeneity = _share(information, _entropy(labels / total))
    completeness = _share(information, _entropy(clusters / total))
    return min(1.0, max(0.0, _harmonic(homogeneity, completeness)))


def _entropy(shares: NDArray[np.float64]) -> float:
    return float(-(shares * np.log(shares)).sum())


@dataclass(frozen=True)
class CurvePoint:
    """The clusters at one threshold; precision, recall and F1 are pairwise."""

    threshold: float
    clusters: int
    clustered_images: int
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None


def curve(forest: Forest, truth: Sequence[Any] | None = None) -> list[CurvePoint]:
    """Every threshold at which the clusters change, from the highest to the lowest.

    Edges of the forest are taken from the most similar down; where one joins two clusters, only
    the label counts of the smaller are added to those of the larger, so n images cost n log n.
    """
    return list(_curve_points(forest, truth))


def _curve_points(forest: Forest, truth: Sequence[Any] | None) -> Iterator[CurvePoint]:
    labels = np.unique(np.asarray(truth), return_inverse=True)[1] if truth is not None else None
    true_pairs = _pairs(np.bincount(labels).astype(float)) if labels is not None else 0.0
    trees = _Trees(forest.count, labels)
    for edge, similarity in enumerate(forest.similarity):
        trees.join(int(forest.a[edge]), int(forest.b[edge]))
        if edge + 1 < len(forest.similarity) and forest.similarity[edge + 1] == similarity:
            continue
        if labels is None:
            yield CurvePoint(float(similarity), trees.clusters, trees.clustered)
            continue
        precision = _share(trees.right_pairs, trees.pairs)
        recall = _share(trees.right_pairs, true_pairs)
        yield CurvePoint(
            float(similarity),
            trees.clusters,
            trees.clustered,
            precision,
            recall,
            _harmonic(precision, recall),
        )


class _Trees:
    """A union of images that keeps count of clusters, pairs, and pairs of one label."""

    def __init__(self, count: int, labels: NDArray[np.integer] | None) -> None:
        self.parent = list(range(count))
        self.size = [1] * count
        self.held: list[dict[int, int]] = (
            [{int(label): 1} for label in labels] if labels is not None else []
        )
        self.clusters = self.clustered = self.pairs = self.right_pairs = 0

    def root(self, image: int) -> int:
        while self.parent[image] != image:
            self.parent[image] = self.parent[self.parent[image]]
            image = self.parent[image]
        return image

    def join(self, a: int, b: int) -> None:
        large, small = self.root(a), self.root(b)
        if self.size[large] < self.size[small]:
            large, small = small, large
        alone = (self.size[large] == 1) + (self.size[small] == 1)
        self.clustered += alone
        self.clusters += {2: 1, 1: 0, 0: -1}[alone]
        self.pairs += self.size[large] * self.size[small]
        if self.held:
            self._join_labels(large, small)
        self.size[large] += self.size[small]
        self.parent[small] = large

    def _join_labels(self, large: int, small: int) -> None:
        kept = self.held[large]
        for label, count in self.held[small].items():
            self.right_pairs += count * kept.get(label, 0)
            kept[label] = kept.get(label, 0) + count
        self.held[small] = {}


SEPARATORS = (",", ";", "\t")
"""Separators of tables."""


def read_labels(path: Path) -> dict[str, str]:
    """True labels from a table with the columns ``file`` and ``label``.

    File names are normalised: ``/`` between parts, without ``./`` at the start, Unicode NFC. Rows
    without a label are ignored.

    Raises UsageError: no such columns, or a file with two different labels.
    """
    labels: dict[str, str] = {}
    for row in read_table(path, ("file", "label")):
        file, label = normalised(row["file"]), row["label"]
        if not label:
            continue
        if labels.setdefault(file, label) != label:
            raise UsageError(f"{path}: {file} has two labels, {labels[file]!r} and {label!r}")
    return labels


def normalised(file: str) -> str:
    """A file name as it is compared with others."""
    plain = unicodedata.normalize("NFC", file.strip()).replace("\\", "/")
    return plain.removeprefix("./")


def read_clusters(path: Path) -> dict[str, int]:
    """Cluster of each file from a ``clusters.csv`` or from a result folder that holds one."""
    place = path / "clusters.csv" if path.is_dir() else path
    rows = read_table(place, ("file", "cluster"), own=True)
    try:
        return {row["file"]: int(row["cluster"]) for row in rows}
    except ValueError as error:
        raise UsageError(f"{place}: a cluster number is not an integer: {error}") from None


def read_table(path: Path, columns: tuple[str, ...], *, own: bool = False) -> list[dict[str, str]]:
    """Rows of a table that has at least the named columns.

    The separator is a comma, semicolon or tab; the case of column names does not matter. Spaces
    around values are removed, and the encoding is found by `decode_text`, unless it is a table of
    icas (`own`), whose names may be any bytes.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
    names: list[str] = []
    rows: list[list[str]] = []
    try:
        lines = content.decode("utf-8-sig", "surrogateescape") if own else decode_text(content)
        for separator in SEPARATORS:
            rows = list(csv.reader(io.StringIO(lines, newline=""), delimiter=separator))
            rows = [row for row in rows if any(cell.strip() for cell in row)]
            names = [name.strip().casefold() for name in rows[0]] if rows else []
            if set(columns) <= set(names):
                break
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path} as a table: {error}") from None
    missing = [name for name in columns if name not in names]
    if missing:
        raise UsageError(
            f"{path} has no column {missing[0]!r}: required columns are {','.join(columns)}"
        )
    for number, row in enumerate(rows[1:], 2):
        if len(row) < len(names):
            raise UsageError(f"{path}, row {number}: {len(row)} values for {len(names)} columns")
        if any(cell.strip() for cell in row[len(names) :]):
            raise UsageError(
                f"{path}, row {number}: {len(row)} values for {len(names)} columns: put values that"
                " contain the separator in double quotes"
            )
    return [
        {name: cell if own else cell.strip() for name, cell in zip(names, row, strict=False)}
        for row in rows[1:]
    ]


@dataclass(frozen=True)
class Matched:
    """Files that have a cluster and a label.

    Attributes
    ----------
    clusters : (n,) int64
        Cluster of each file.
    truth : list of str
        Labels.
    unlabelled : tuple of str
        Files without a label.
    unused : tuple of str
        Files of labels that are not among the clusters.
    """

    clusters: Labels
    truth: list[str]
    unlabelled: tuple[str, ...]
    unused: tuple[str, ...]

    def warnings(self, table: Path) -> list[str]:
        """What to say of files that are not compared."""
        lines = []
        if self.unused:
            one = len(self.unused) == 1
            what = f"row in {table} matches" if one else f"rows in {table} match"
            lines.append(_ignored(self.unused, f"{what} no image"))
        if self.unlabelled:
            one = len(self.unlabelled) == 1
            what = "image has" if one else "images have"
            lines.append(_ignored(self.unlabelled, f"{what} no label in {table}"))
        return lines


def _ignored(files: Sequence[str], what: str) -> str:
    if len(files) == 1:
        return f"1 {what}, {files[0]}; it is ignored"
    return f"{len(files)} {what}, such as {files[0]}; they are ignored"


def match_labels(clusters: Mapping[str, int], truth: Mapping[str, str]) -> Matched:
    """Clusters and labels of the files that have both, in the clusters' order.

    A label is found by the file name relative to the source; else by that name after a prefix
    (absolute paths, or paths with the source folder), which is the same for all files where a
    file has several; else by the last part of the name. Names of several labels or files are not
    matched.
    """
    names = _Names(clusters, truth)
    found, labels, unlabelled, used = [], [], [], set()
    for file, cluster in clusters.items():
        named = names.of(normalised(file))
        if named is None:
            unlabelled.append(file)
            continue
        used.add(named)
        found.append(cluster)
        labels.append(truth[named])
    if not found:
        raise UsageError(
            "no file of the clusters has a label: check that both use the same file names"
        )
    unused = tuple(name for name in truth if name not in used)
    return Matched(np.array(found, np.int64), labels, tuple(unlabelled), unused)


class _Names:
    """Names in a table of labels, by the files that they may be of."""

    def __init__(self, files: Iterable[str], truth: Iterable[str]) -> None:
        self._truth = set(truth)
        self._ends: dict[str, list[str]] = {}
        for name in self._truth:
            self._ends.setdefault(_last(name), []).append(name)
        plain = [normalised(file) for file in files]
        self._files = Counter(map(_last, plain))
        matching = [(file, names) for file in plain if (names := self._longer(file))]
        prefixes = Counter(name.removesuffix(file) for file, names in matching for name in names)
        common = [prefix for prefix, votes in prefixes.items() if votes == len(matching)]
        self._prefix = common[0] if len(common) == 1 else ""

    def _longer(self, file: str) -> list[str]:
        return [name for name in self._ends.get(_last(file), []) if name.endswith(f"/{file}")]

    def of(self, file: str) -> str | None:
        """The name of a file; None if there is none, or several."""
        for name in (file, self._prefix + file):
            if name in self._truth:
                return name
        longer, last = self._longer(file), _last(file)
        if len(longer) == 1:
            return longer[0]
        return last if last in self._truth and "/" in file and self._files[last] == 1 else None


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1]
