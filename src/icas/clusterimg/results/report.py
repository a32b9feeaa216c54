"""ClusterReport: the clusters of a run, its counts and times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
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
from icas.io.files import peak_memory_mb


@dataclass(frozen=True)
class ClusterReport:
    """What a run found and did.

    What `icas.cluster`, `icas.recut` and `icas.split` give. n is the number of images that were
    read.

    Attributes
    ----------
    dst : Path
        The result folder.
    method : str
        How images were compared.
    threshold : float or None
        Least similarity of linked images; None where models grouped the images.
    threshold_reason : str
        Why that one; or which models were chosen.
    files : tuple of str
        The images that were read, relative to the source, '/' between the parts; in natural order
        (img2 before img10).
    labels : (n,) int64 ndarray
        Cluster of each image, 0 the largest; -1 = outlier.
    batch : (n,) int64 ndarray
        Batch of each image.
    representative : (n,) bool ndarray
        Whether an image stood for its cluster or itself when batches were merged.
    certificates : tuple of Certificate
        How each cluster hangs together.
    unreadable : tuple of Unreadable
        Files that could not be read (``.file``), with the ``.reason``.
    ignored : tuple of str
        Files known to lie beside images, which were left alone.
    comparisons : dict
        Pairs ``possible``, ``made`` and ``skipped``.
    seconds : dict
        Time by stage: ``scan``, ``features``, ``links``, ``merge``, ``transfer``.
    peak_memory_mb : float or None
        Most memory that the process held, if the system reports it.
    settings, options : dict
        Settings of the run and of its method.
    source : str
        The source folder.
    sample : Sample or None
        A part of the folder with all of its pairs compared; None where nothing was sampled.
    models : tuple of ModelGroups
        Models that were tried, batch by batch, and on representatives last; empty with links.
    written : bool
        False after a dry run.
    afterwards : mapping
        What was done to the result after its run (a recut, splits), as in ``run.json``.
    candidates : mapping or None
        Where only candidates were compared: how many an image (``k``), and what share of the
        links of some images they found (``recall``).
    reference : InReference or None
        What was found in the reference folder, where one was given.
    features : mapping of str to int
        How many images' features were ``cached`` from earlier runs, and how many ``computed``.
    decisions : mapping of str to int
        How many remembered decisions say something about the images: ``together``, ``apart``.

    See Also
    --------
    icas.cluster : makes one.

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
    >>> report = icas.cluster("photos", threshold=0.9, dst="sorted", dry_run=True)
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

    @property
    def matches(self) -> tuple[Match, ...]:
        """tuple of Match: what was found in the reference, one for each link.

        Each has ``file``, ``reference`` and ``similarity``. In the order of `files`, of one file
        the most similar first; empty without a reference.
        """
        return () if self.reference is None else self.reference.matches(self.files)

    @property
    def clusters(self) -> int:
        """int: how many clusters."""
        return int(self.labels.max(initial=-1)) + 1

    @property
    def outliers(self) -> int:
        """int: how many images lie in no cluster."""
        return int((self.labels < 0).sum())

    def members(self, cluster: int) -> tuple[str, ...]:
        """Files of one cluster.

        Parameters
        ----------
        cluster : int
            Its number; -1 gives the outliers.

        Returns
        -------
        tuple of str
            As in `files`; empty where there is no such cluster.
        """
        return tuple(self.files[image] for image in np.flatnonzero(self.labels == cluster))

    def summary(self) -> str:
        """The line that a run ends with.

        Returns
        -------
        str
        """
        place = self.dst if self.written else f"{self.dst} (dry run, nothing written)"
        return (
            f"{_counted(len(self.files), 'image')}, {_counted(self.clusters, 'cluster')}, "
            f"{_counted(self.outliers, 'outlier')}, {len(self.unreadable)} unreadable -> {place}"
        )

    def as_dict(self) -> dict[str, Any]:
        """What ``run.json`` holds.

        Returns
        -------
        dict
            Of values that JSON knows.
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
            "seconds": self.seconds,
            "peak_memory_mb": self.peak_memory_mb,
            **self.afterwards,
        }

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
    """The part of the report of a run that follows from its clustering."""
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

    A link below `floor` is a decision of the user, so its cluster is not doubtful.
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
