"""Class names of the images of a finished result: set, suggested, spread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from icas.cli.console import Console
from icas.clusterimg.decisions.names import shortened
from icas.clusterimg.editing.compared_images import ComparedImages
from icas.clusterimg.editing.labels import LabelChanges, LabelledResult, open_result
from icas.common.errors import UsageError
from icas.dataset.image_labels import (
    CLUSTER,
    IMAGE,
    LABELS,
    SOURCES,
    SPREAD,
    ImageLabel,
    count_names,
)
from icas.io.files import as_typed, path_of
from icas.notebook.html import counted, text
from icas.parallel.executors import start_workers

Paths = tuple[Path, ...]


@dataclass(frozen=True)
class LabelReport:
    """The class names of a result, as `icas.label` returns them.

    Attributes
    ----------
    dst : Path
        Result folder.
    images : int
        Images in the result.
    labels : mapping of str to ImageLabel
        Class name (``.label``), source (``.source``) and confidence of each named image, by file.
    classes : tuple of str
        Class names, in the order of first use.
    suggested : tuple of Path
        Images to name next, most informative first.
    warnings : tuple of str
        Names that are nearly equal, rows of a table that match nothing, and the like.
    contradictions : tuple of str
        Clusters and constraints whose images have different names.
    unmatched : int
        Rows of the table that match no image or cluster.
    written : bool
        Whether ``labels.csv`` was written.

    See Also
    --------
    icas.label : Name clusters and images.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> report = icas.LabelReport(Path("sorted"), 12)
    >>> report.summary(), report.lines()
    ('0 of 12 images named, 0 classes', [])
    >>> report.as_dict()["classes"]
    {}
    """

    dst: Path
    images: int
    labels: Mapping[str, ImageLabel] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    suggested: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()
    contradictions: tuple[str, ...] = ()
    unmatched: int = 0
    written: bool = False

    def summary(self) -> str:
        """Return the last line that the command prints.

        Returns
        -------
        str
        """
        sources = Counter(one.source for one in self.labels.values())
        parts = [f"{sources[source]} by {_BY[source]}" for source in SOURCES if sources[source]]
        detail = f" ({', '.join(parts)})" if parts else ""
        place = f" -> {self.dst / LABELS}" if self.written else ""
        kinds = f"{len(self.classes)} class{'' if len(self.classes) == 1 else 'es'}"
        return f"{len(self.labels)} of {self.images} images named{detail}, {kinds}{place}"

    def lines(self) -> list[str]:
        """Return the number of images of each class as text.

        Returns
        -------
        list of str
            One line per class, in the order of first use.
        """
        counts = count_names(self.labels.values())
        width = max((len(name) for name in self.classes), default=0)
        return [f"{name:{width}}  {counted(counts[name], 'image')}" for name in self.classes]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as for ``--json``.

        Returns
        -------
        dict
            JSON-compatible values: ``classes`` with their numbers of images, ``labels`` by file.
        """
        counts = count_names(self.labels.values())
        return {
            "dst": str(self.dst),
            "images": self.images,
            "classes": {name: counts[name] for name in self.classes},
            "labels": {
                file: {
                    "label": one.label,
                    "source": one.source,
                    "confidence": round(one.confidence, 4),
                }
                for file, one in self.labels.items()
            },
            "suggested": [str(path) for path in self.suggested],
            "warnings": list(self.warnings),
            "contradictions": list(self.contradictions),
            "unmatched": self.unmatched,
            "written": self.written,
        }

    def __str__(self) -> str:
        return "\n".join([*self.lines(), self.summary()])

    def __repr__(self) -> str:
        return f"<LabelReport: {self.summary()}>"

    def _repr_html_(self) -> str:
        from icas.notebook.html import table

        counts = count_names(self.labels.values())
        cell = table(self.summary(), [(name, counts[name]) for name in self.classes])
        items = "".join(f"<li>{text(str(path))}</li>" for path in self.suggested)
        return cell + (f"<p>name next:</p><ol>{items}</ol>" if items else "")


_BY = {CLUSTER: "cluster", IMAGE: "image", SPREAD: "similarity"}


def label(
    dst: str | Path,
    names: Mapping[str, str] | str | Path | None = None,
    *,
    suggest: int | None = None,
    spread: bool = False,
    clear: bool | Sequence[str] = False,
    cache: str | Path | None = None,
    dry_run: bool = False,
    progress: bool = False,
) -> LabelReport:
    """Give clusters and images of a finished result class names, like ``clusterimg label``.

    The names are written to ``labels.csv`` in the result, with the columns ``file``, ``label``,
    ``source`` and ``confidence``. They are also stored by the content of the images: later runs
    with these images apply them.

    Parameters
    ----------
    dst : str or Path
        Result folder.
    names : mapping of str to str, or path of a table, optional
        Class name of clusters (``"cluster_0"``) and images (names as in ``clusters.csv``, or
        paths); or a table with the columns ``cluster,label`` or ``file,label``.
    suggest : int, optional
        Return so many images whose names settle most others. Named images are taken as given.
    spread : bool, default False
        Also name the other images by the most similar named ones.
    clear : bool or sequence of str, default False
        Remove all names first, or those of these clusters and images.
    cache : str or Path, optional
        Folder of the stored names. Default: the cache folder of the run.
    dry_run : bool, default False
        Change nothing.
    progress : bool, default False
        Show progress bars and warnings on stderr.

    Returns
    -------
    LabelReport

    Raises
    ------
    UsageError
        No finished result, no such cluster or image, two names for one, or nothing to spread.
    ConflictError
        ``labels.csv`` was changed, or another process uses the folder.
    IcasError
        The stored names are damaged, or a disk error.

    See Also
    --------
    icas.must_link, icas.cannot_link : Say which images belong together.

    Notes
    -----
    `suggest` divides the average-linkage tree of the images from the top, and returns the medoid of
    each part without a name. Of more than 3,000 images a random sample is used. `spread` follows
    the links to the 5 most similar images. The confidence of a name is the estimated share of such
    names that are right, calibrated on image sets with known classes.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> Image.fromarray(data.coffee()).save("photos/cup.jpg")
    >>> Image.fromarray(data.coffee()[20:, 30:]).save("photos/cup-cropped.jpg")
    >>> Image.fromarray(data.camera()).save("photos/camera.jpg")
    >>> settings = {"method": "imagehash", "threshold": 0.6, "dst": "sorted", "cache": "kept"}
    >>> icas.cluster("photos", **settings).clusters
    1
    >>> print(icas.label("sorted", {"cluster_0": "cup", "camera.jpg": "man"}))
    cup  2 images
    man  1 image
    3 of 3 images named (2 by cluster, 1 by image), 2 classes -> sorted/labels.csv
    >>> print(Path("sorted/labels.csv").read_text())
    file,label,source,confidence
    camera.jpg,man,image,1
    cup-cropped.jpg,cup,cluster,1
    cup.jpg,cup,cluster,1
    <BLANKLINE>
    """
    given: Mapping[str, str] = names if isinstance(names, Mapping) else {}
    path = None if names is None or isinstance(names, Mapping) else Path(names)
    changes = LabelChanges(clear, path, given)
    console = Console(warnings=progress, bars=progress)
    return change_labels(
        path_of(dst, "dst"),
        changes,
        console,
        suggest=suggest,
        spread=spread,
        cache=cache,
        dry_run=dry_run,
    )


def change_labels(
    root: Path,
    changes: LabelChanges,
    console: Console,
    *,
    suggest: int | None = None,
    spread: bool = False,
    cache: str | Path | None = None,
    dry_run: bool = False,
) -> LabelReport:
    """As `label`, with messages to `console`."""
    if suggest is not None and suggest < 1:
        raise UsageError(f"--suggest {suggest}: must be at least 1")
    writes = (bool(changes) or spread) and not dry_run
    with open_result(root, cache, console, locking=writes) as result:
        unmatched = changes.apply(result)
        suggested: Paths = ()
        if spread or suggest is not None:
            with start_workers("threads", None) as workers:
                images = ComparedImages.read(result.images, workers, console)
                if spread:
                    result.spread(_spread(images, _named(result, images)))
                if suggest is not None:
                    named = _named(result, images)
                    suggested = _suggestions(images, named, root, suggest)
        if writes:
            result.write(console)
        return LabelReport(
            root,
            len(result.images.clusters),
            dict(result.labels),
            tuple(result.classes()),
            suggested,
            tuple(result.warnings()),
            tuple(shortened(result.contradictions())),
            unmatched,
            writes,
        )


def _named(result: LabelledResult, images: ComparedImages) -> dict[int, str]:
    """The images that a person named, by row of the features."""
    labels = result.labels
    return {
        row: labels[file].label
        for row, file in enumerate(images.features.files)
        if file in labels and labels[file].source != SPREAD
    }


def _suggestions(images: ComparedImages, named: Mapping[int, str], root: Path, count: int) -> Paths:
    """The images to name next."""
    files = images.features.files
    rows = images.suggestions(count, named)
    return tuple(as_typed(images.paths[files[row]], root) for row in rows)


def _spread(images: ComparedImages, named: Mapping[int, str]) -> dict[str, ImageLabel]:
    """The names of all other images, with confidence."""
    if not named:
        raise UsageError("no image has a name: name at least one cluster or image")
    if len(named) == len(images.features):
        return {}
    whole = images.spread(named)
    return {
        file: ImageLabel(str(whole.names[row]), SPREAD, float(whole.confidence[row]))
        for row, file in enumerate(images.features.files)
        if row not in named
    }
