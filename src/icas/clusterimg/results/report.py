"""ClusterReport: the clusters of a run, its counts and times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas._version import __version__
from icas.cli.options import options_of
from icas.clusterimg.clustering.base import Clusterer
from icas.clusterimg.clustering.batches import Clustering, Stopwatch
from icas.clusterimg.clustering.cohesion import Certificate
from icas.clusterimg.data.images import Unreadable
from icas.clusterimg.graph.forest import Labels, bridges
from icas.clusterimg.methods.base import settings_of
from icas.clusterimg.model_selection.search import ModelGroups
from icas.clusterimg.reference.scan import InReference, Match
from icas.clusterimg.settings import ClusterSettings
from icas.clusterimg.thresholds.sample import Sample
from icas.common.errors import MissingExtraError
from icas.dataset.image_labels import SOURCES, ImageLabel
from icas.io.files import peak_memory_mb


@dataclass(frozen=True)
class ClusterReport:
    """Result of a run, as `icas.cluster`, `icas.recut` and `icas.split` return it.

    n is the number of images that were read.

    Attributes
    ----------
    dst : Path
        Result folder.
    method : str
        Method of comparison.
    threshold : float or None
        Minimum similarity of linked images; None with clustering models.
    threshold_reason : str
        How the threshold was chosen, or which clustering models.
    files : tuple of str
        Images that were read: paths relative to the source with ``/``, in natural order (img2
        before img10).
    labels : (n,) int64 ndarray
        Cluster of each image, 0 = largest cluster, -1 = outlier.
    batch : (n,) int64 ndarray
        Batch of each image.
    representative : (n,) bool ndarray
        Whether the image was compared with other batches: medoids and outliers of batches.
    certificates : tuple of Certificate
        Size, weakest link, least similar pair and medoid of each cluster.
    unreadable : tuple of Unreadable
        Files that could not be read (``.file``), and why (``.reason``).
    ignored : tuple of str
        Ignored files that are not images, such as text files and tables.
    comparisons : dict of str to int
        Number of pairs: ``possible``, ``made`` and ``skipped``.
    seconds : dict of str to float
        Time of each stage: ``scan``, ``features``, ``links``, ``merge``, ``transfer``.
    peak_memory_mb : float or None
        Peak memory of the process in MB; None if the system does not report it.
    settings, options : dict
        Settings of the run, and options of its method.
    source : str
        Source folder.
    sample : Sample or None
        Sample of images of which all pairs were compared; None without a sample.
    models : tuple of ModelGroups
        Clustering models tried: one entry per batch, the merge last; empty with links.
    written : bool
        False after a dry run.
    afterwards : mapping
        Later changes of the result (recut, splits), as in ``run.json``.
    candidates : mapping or None
        Candidates per image (``k``) and the measured share of links found (``recall``); None if
        all pairs were compared.
    reference : InReference or None
        Links to the reference folder, if one was given.
    features : mapping of str to int
        Number of images with features from the cache (``cached``), and ``computed``.
    decisions : mapping of str to int
        Number of stored constraints applied: ``together`` (must-link), ``apart`` (cannot-link).
    names : mapping of str to ImageLabel
        Class name of each named image, by file; see `icas.label`.

    See Also
    --------
    icas.cluster : Run and return a report.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> Image.fromarray(data.coffee()).save("photos/cup.jpg")
    >>> Image.fromarray(data.coffee()).resize((90, 60)).save("photos/cup-small.jpg")
    >>> Image.fromarray(data.camera()).save("photos/camera.jpg")
    >>> how = {"method": "imagehash", "threshold": 0.9}
    >>> report = icas.cluster("photos", **how, dst="sorted", dry_run=True)
    >>> report.files, report.labels.tolist()
    (('camera.jpg', 'cup-small.jpg', 'cup.jpg'), [-1, 0, 0])
    >>> report.clusters, report.outliers, report.members(-1)
    (1, 1, ('camera.jpg',))
    >>> report.summary()
    '3 images, 1 cluster, 1 outlier, 0 unreadable -> sorted (dry run, nothing written)'
    >>> report.as_dict()["comparisons"]
    {'possible': 3, 'made': 3, 'skipped': 0}
    >>> report.matches
    ()
    """

    dst: Path
    method: str
    threshold: float | None
    threshold_reason: str
    files: tuple[str, ...]
    labels: Labels
    batch: NDArray[np.int64]
    representative: NDArray[np.bool_]
    certificates: tuple[Certificate, ...]
    unreadable: tuple[Unreadable, ...]
    ignored: tuple[str, ...]
    comparisons: dict[str, int]
    seconds: dict[str, float]
    peak_memory_mb: float | None
    settings: dict[str, Any]
    options: dict[str, Any]
    source: str
    sample: Sample | None = None
    models: tuple[ModelGroups, ...] = ()
    written: bool = False
    afterwards: Mapping[str, Any] = field(default_factory=dict)
    candidates: Mapping[str, Any] | None = None
    reference: InReference | None = None
    features: Mapping[str, int] = field(default_factory=dict)
    decisions: Mapping[str, int] = field(default_factory=dict)
    names: Mapping[str, ImageLabel] = field(default_factory=dict)

    @property
    def matches(self) -> tuple[Match, ...]:
        """tuple of Match: links to the reference images; empty without a reference.

        Each has ``file``, ``reference`` and ``similarity``. Ordered like `files`, for each file the
        most similar first.
        """
        return () if self.reference is None else self.reference.matches(self.files)

    @property
    def clusters(self) -> int:
        """int: number of clusters."""
        return int(self.labels.max(initial=-1)) + 1

    @property
    def outliers(self) -> int:
        """int: number of images in no cluster."""
        return int((self.labels < 0).sum())

    def members(self, cluster: int) -> tuple[str, ...]:
        """Return the files of a cluster.

        Parameters
        ----------
        cluster : int
            Number of the cluster; -1 for the outliers.

        Returns
        -------
        tuple of str
            Names as in `files`; empty if there is no such cluster.
        """
        return tuple(self.files[image] for image in np.flatnonzero(self.labels == cluster))

    def summary(self) -> str:
        """Return the last line that the command prints.

        Returns
        -------
        str
        """
        place = self.dst if self.written else f"{self.dst} (dry run, nothing written)"
        return (
            f"{_counted(len(self.files), 'image')}, {_counted(self.clusters, 'cluster')}, "
            f"{_counted(self.outliers, 'outlier')}, {len(self.unreadable)} unreadable -> {place}"
        )

    def to_pandas(self) -> Any:
        """Return the images as a table of pandas.

        Returns
        -------
        pandas.DataFrame
            Columns ``file``, ``cluster`` (-1 = outlier), ``representative`` (bool) and ``label``
            (class name; None where there is none).

        Raises
        ------
        MissingExtraError
            pandas is not installed.

        Examples
        --------
        >>> import icas
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from skimage import data
        >>> Path("photos").mkdir()
        >>> Image.fromarray(data.coffee()).save("photos/cup.jpg")
        >>> report = icas.cluster("photos", method="imagehash", threshold=0.9, dst="sorted")
        >>> report.to_pandas()  # doctest: +SKIP
              file  cluster  representative label
        0  cup.jpg       -1            True  None
        """
        if find_spec("pandas") is None:
            raise MissingExtraError("to_pandas needs pandas: pip install pandas")
        import pandas

        return pandas.DataFrame(
            {
                "file": list(self.files),
                "cluster": self.labels,
                "representative": self.representative,
                "label": [
                    self.names[file].label if file in self.names else None for file in self.files
                ],
            }
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the content of ``run.json``.

        Returns
        -------
        dict
            JSON-compatible values.
        """
        return {
            "icas": __version__,
            "method": self.method,
            "threshold": self.threshold,
            "threshold_reason": self.threshold_reason,
            **({"models": [one.chosen.as_dict() for one in self.models]} if self.models else {}),
            "settings": self.settings,
            "options": self.options,
            "source": self.source,
            "dst": str(self.dst),
            "images": len(self.files),
            "clusters": self.clusters,
            "outliers": self.outliers,
            "unreadable": len(self.unreadable),
            "comparisons": self.comparisons,
            **({"candidates": dict(self.candidates)} if self.candidates else {}),
            **({"reference": self.reference.as_dict()} if self.reference else {}),
            **({"features": dict(self.features)} if self.features else {}),
            **({"decisions": dict(self.decisions)} if any(self.decisions.values()) else {}),
            **({"names": dict(self._names())} if self.names else {}),
            "seconds": self.seconds,
            "peak_memory_mb": self.peak_memory_mb,
            **self.afterwards,
        }

    def _names(self) -> Iterator[tuple[str, int]]:
        """Named images by source."""
        counts = Counter(one.source for one in self.names.values())
        yield from ((source, counts[source]) for source in SOURCES)

    def __repr__(self) -> str:
        return f"<ClusterReport: {self.summary()}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the clusters, as rows of thumbnails."""
        from icas.clusterimg.html.notebook import report_cell

        return report_cell(self)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def make_report(
    clustering: Clustering, clusterer: Clusterer, settings: ClusterSettings, watch: Stopwatch
) -> ClusterReport:
    """The parts of a report that follow from the clustering."""
    possible, method = clustering.possible, clusterer.method
    options = options_of(type(method.extractor))
    return ClusterReport(
        dst=Path(),
        method=method.name,
        threshold=clusterer.threshold,
        threshold_reason=clusterer.reason,
        files=clustering.files,
        labels=clustering.labels,
        batch=clustering.batch,
        representative=clustering.representative,
        certificates=certificates_of(
            clustering, -np.inf if settings.stage == "merge" else clusterer.floor
        ),
        unreadable=clustering.unreadable,
        ignored=(),
        comparisons={
            "possible": possible,
            "made": clustering.compared,
            "skipped": possible - clustering.compared,
        },
        seconds=watch.rounded(),
        peak_memory_mb=peak_memory_mb(),
        settings={
            name: _json(value) for name, value in asdict(settings).items() if name != "options"
        },
        options={
            name: _json(value) for name, value in settings_of(method).items() if name in options
        },
        source="",
        models=tuple(clusterer.models),
        candidates=None if clusterer.candidates is None else clusterer.candidates.as_dict(),
    )


def certificates_of(clustering: Clustering, floor: float = -np.inf) -> tuple[Certificate, ...]:
    """Certificates of all clusters.

    A link below `floor` comes from a must-link constraint: its cluster is not marked as doubtful.
    """
    sizes = np.bincount(clustering.labels[clustering.labels >= 0])
    found = bridges(clustering.labels, clustering.trees())
    rows = zip(clustering.cohesions, clustering.weakest_links(), sizes.tolist(), found, strict=True)
    return tuple(
        Certificate(
            cluster,
            size,
            weakest,
            cohesion.least_similar_pair,
            clustering.files[cohesion.medoid],
            None if weakest < np.float32(floor) else bridge,
        )
        for cluster, (cohesion, weakest, size, bridge) in enumerate(rows)
    )


def _json(value: Any) -> Any:
    """A setting as JSON can hold it."""
    if isinstance(value, tuple):
        return list(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value) if isinstance(value, Path) else f"<{type(value).__name__}>"
