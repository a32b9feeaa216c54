"""Images that are the same, or nearly the same, in several folders of a data set."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from icas.cli.console import Console, counted
from icas.cli.options import flag_of
from icas.clusterimg.cache.cache import open_cache
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import ImageRef, Unreadable, scan
from icas.clusterimg.data.links import Links, join_links
from icas.clusterimg.features.extraction import Reading
from icas.clusterimg.linking.candidates import CandidateStage
from icas.clusterimg.linking.tiles import count_across, tiles_across
from icas.clusterimg.methods import is_auto, make_method
from icas.clusterimg.methods.base import Method
from icas.clusterimg.pipeline.steps import candidates_for
from icas.clusterimg.quality.registration import Registration
from icas.common.errors import ConflictError, IcasError, UsageError
from icas.io.files import one_line_errors, shown, table, write_whole
from icas.io.reading import MAX_PIXELS
from icas.io.sandbox import DECODERS
from icas.notebook.html import plural
from icas.parallel.executors import Workers, start_workers

EXACT, NEAR = "exact", "near"
COLUMNS = ("split_a", "a", "split_b", "b", "kind", "similarity", "method")
REGISTERED, REGISTERED_BEST = 0.94, 0.88
"""Similarity after registration from which two images are nearly the same, and the same for two
images that are each other's most similar one of two splits."""
ORB_NEAR = 0.25
"""Similarity by ORB from which two images are nearly the same: also where large parts differ."""
LISTED = 10
"""Pairs that are printed."""


@dataclass(frozen=True)
class Leak:
    """Two images of different splits that are the same or nearly the same.

    Attributes
    ----------
    split_a, a : str
        Split, and file relative to its folder.
    split_b, b : str
        The same of the other image.
    kind : {"exact", "near"}
        Whether all pixels are equal.
    similarity : float
        1 if exact, else as `method` gives it.
    method : str
        ``pixels``, ``registration``, or the method of similarity.

    See Also
    --------
    icas.audit : Find them.

    Examples
    --------
    >>> from icas import Leak
    >>> Leak("train", "a.jpg", "test", "b.jpg", "near", 0.97, "registration").as_dict()["kind"]
    'near'
    """

    split_a: str
    a: str
    split_b: str
    b: str
    kind: str
    similarity: float
    method: str

    def as_dict(self) -> dict[str, Any]:
        """Return the columns of ``leaks.csv`` by name.

        Returns
        -------
        dict
        """
        return {name: getattr(self, name) for name in COLUMNS}


@dataclass(frozen=True)
class AuditReport:
    """Leaks between the splits of a data set, as `icas.audit` returns them.

    Attributes
    ----------
    splits : dict of str to int
        Readable images of each split.
    leaks : tuple of Leak
        Exact ones first, then the most similar.
    unreadable : tuple of Unreadable
        Files that could not be read; `file` begins with the name of the split.
    out : Path or None
        The table that was written.

    See Also
    --------
    icas.audit : Find the leaks.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> for split in ("train", "test"):
    ...     Path(split).mkdir()
    ...     Image.fromarray(data.coffee()).save(f"{split}/cup.png")
    >>> report = icas.audit("train", "test")
    >>> report.summary()
    '2 images in 2 splits, 1 leak (1 exact)'
    >>> report.leaked("train", "test"), list(report.lines())[-1]
    ((1, 1), 'test: 1 of 1 image also in train')
    >>> report.as_dict()["splits"], report.to_pandas()["kind"].tolist()
    ({'train': 1, 'test': 1}, ['exact'])
    """

    splits: dict[str, int]
    leaks: tuple[Leak, ...]
    unreadable: tuple[Unreadable, ...] = ()
    out: Path | None = None

    def leaked(self, split_a: str, split_b: str) -> tuple[int, int]:
        """Count the images of two splits that are also in the other one.

        Parameters
        ----------
        split_a, split_b : str

        Returns
        -------
        (int, int)
            Images of `split_a` and of `split_b`.
        """
        pairs = [one for one in self.leaks if (one.split_a, one.split_b) == (split_a, split_b)]
        return len({one.a for one in pairs}), len({one.b for one in pairs})

    def lines(self) -> Iterator[str]:
        """Yield the lines that the command prints before the summary.

        Yields
        ------
        str
        """
        for one in self.leaks[:LISTED]:
            how = "same pixels" if one.kind == EXACT else f"{one.method} {one.similarity:.3f}"
            yield f"{one.split_a}/{one.a}  {one.split_b}/{one.b}  ({how})"
        if len(self.leaks) > LISTED:
            yield f"… and {len(self.leaks) - LISTED} more pairs"
        for first, second in combinations(self.splits, 2):
            _, leaked = self.leaked(first, second)
            if leaked:
                images = self.splits[second]
                yield f"{second}: {leaked} of {images} {plural('image', images)} also in {first}"

    def summary(self) -> str:
        """Return the last line that the command prints.

        Returns
        -------
        str
        """
        images, leaks = sum(self.splits.values()), len(self.leaks)
        exact = sum(one.kind == EXACT for one in self.leaks)
        found = f"{leaks} {plural('leak', leaks)}" + (f" ({exact} exact)" if leaks else "")
        lost = f", {len(self.unreadable)} unreadable" if self.unreadable else ""
        where = "" if self.out is None else f" -> {self.out}"
        count = f"{images} {plural('image', images)}"
        return f"{count} in {len(self.splits)} splits, {found}{lost}{where}"

    def as_dict(self) -> dict[str, Any]:
        """Return all values, as the command prints them with ``--json``.

        Returns
        -------
        dict
        """
        return {
            "splits": self.splits,
            "leaks": [one.as_dict() for one in self.leaks],
            "unreadable": [{"file": one.file, "reason": one.reason} for one in self.unreadable],
            "out": None if self.out is None else str(self.out),
        }

    def to_pandas(self) -> Any:
        """Return the leaks as a table.

        Returns
        -------
        pandas.DataFrame
            The columns of ``leaks.csv``.
        """
        import pandas

        return pandas.DataFrame([one.as_dict() for one in self.leaks], columns=list(COLUMNS))

    def _repr_html_(self) -> str:
        from icas.notebook.html import table as html_table

        rows = [(f"{one.split_a}/{one.a}", f"{one.split_b}/{one.b}") for one in self.leaks]
        return html_table(self.summary(), rows[:LISTED])


def audit(
    *splits: str | Path,
    method: str = "auto",
    threshold: float | None = None,
    recursive: bool = False,
    out: str | Path | None = None,
    max_pixels: int = MAX_PIXELS,
    jobs: int | None = None,
    cache: str | Path | bool | None = None,
    progress: bool = False,
    **options: Any,
) -> AuditReport:
    """Find images that are the same, or nearly the same, in different splits of a data set.

    Parameters
    ----------
    *splits : str or Path
        Two or more folders, such as those for training and test.
    method : str, default "auto"
        ``auto``: pairs with a correlation of at least .94 after registration (.88 if each is the
        most similar to the other), or a similarity by ORB of at least .25. Any other method of
        `icas.cluster` takes their place.
    threshold : float, optional
        Minimum similarity, at most 1; not for ``auto``. Default: the method's.
    recursive : bool, default False
        Include sub-folders, such as those of classes.
    out : str or Path, optional
        Write the pairs to this CSV file. An existing file must be an earlier one of the same kind.
    max_pixels : int, default 178,956,970
        Larger images are not read; they are listed as unreadable.
    jobs : int, default all cores
        Number of workers. The result does not depend on it.
    cache : str or Path or bool, default the cache folder of the user
        Folder for features that later calls reuse; False: none.
    progress : bool, default False
        Show progress bars and warnings on stderr.
    **options
        Options of the method; see `icas.cluster`.

    Returns
    -------
    AuditReport

    Raises
    ------
    UsageError
        Fewer than two folders, a missing folder, folders within each other, or an invalid method,
        threshold or option.
    ConflictError
        `out` is another file.
    IcasError
        A folder without images, or a disk error.

    Notes
    -----
    The registration is affine, of images at 64x64 pixels, and compares gray and color values; see
    G. Evangelidis and E. Psarakis 2008. It finds copies that were recompressed, resized, cropped by
    up to a tenth of a side, or given other light. ORB adds those with larger crops, rotations and
    captions; images with few pixels have too few of its features.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("train").mkdir(), Path("test").mkdir()
    (None, None)
    >>> Image.fromarray(data.coffee()).save("train/cup.png")
    >>> Image.fromarray(data.camera()).save("test/camera.png")
    >>> Image.fromarray(data.coffee()[10:, 20:]).resize((300, 200)).save("test/copy.jpg")
    >>> report = icas.audit("train", "test")
    >>> [(leak.a, leak.b, leak.kind) for leak in report.leaks]
    [('cup.png', 'copy.jpg', 'near')]
    """
    console = Console(warnings=progress, bars=progress)
    return audit_splits(
        [Path(one) for one in splits],
        detectors(method, threshold, options),
        console,
        recursive=recursive,
        out=None if out is None else Path(out),
        max_pixels=max_pixels,
        jobs=jobs,
        cache=cache,
    )


def detectors(
    method: str, threshold: float | None, options: dict[str, Any]
) -> list[tuple[Method, float]]:
    """Methods with thresholds; a pair that one of them finds is a leak."""
    if is_auto(method):
        if threshold is not None:
            raise UsageError(
                f"--threshold {threshold:g}: --method auto has its own; name a method as well"
            )
        if options:
            flag = flag_of(next(iter(options)))
            raise UsageError(f"{flag}: --method auto takes no options; name a method as well")
        return [(Registration(), REGISTERED_BEST), (make_method("orb"), ORB_NEAR)]
    chosen = make_method(method, **options).with_installed_weights().by_links()
    if chosen.needs_training:
        raise UsageError(f"method {method!r} needs --model or --weights")
    limit = chosen.default_threshold if threshold is None else threshold
    if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not limit <= 1:
        raise UsageError(f"--threshold {limit!r}: expected a number up to 1")
    return [(chosen, float(limit))]


def audit_splits(
    folders: Sequence[Path],
    detectors: Sequence[tuple[Method, float]],
    console: Console,
    *,
    recursive: bool = False,
    out: Path | None = None,
    max_pixels: int = MAX_PIXELS,
    jobs: int | None = None,
    cache: str | Path | bool | None = None,
) -> AuditReport:
    """As `audit`, for methods with thresholds."""
    _check_folders(folders)
    if out is not None:
        _check_table(out)
    names = _names(folders)
    images, unreadable = _images(folders, names, recursive)
    with (
        console.show_logging(),
        open_cache(cache) as kept,
        start_workers("threads", jobs) as workers,
        DECODERS,
    ):
        reading = Reading(Registration(), workers, max_pixels, cache=kept)
        whole = _features(reading, images, console)
        unreadable += [
            Unreadable(f"{name}/{lost.file}", lost.reason)
            for name, part in zip(names, whole, strict=True)
            for lost in part.unreadable
        ]
        images = [_among(refs, part) for refs, part in zip(images, whole, strict=True)]
        found = dict.fromkeys(_equal(whole), (1.0, "pixels"))
        for method, threshold in detectors:
            same = isinstance(method, Registration)
            parts = whole if same else _features(replace(reading, method=method), images, console)
            links = _links(method, parts, threshold, workers, console)
            if same:
                links = _sure(links, [len(part) for part in parts])
            for a, b, similarity in links.structured().tolist():
                value, how = found.get((a, b), (-np.inf, ""))
                if how != "pixels" and similarity > value:
                    found[a, b] = (similarity, method.name)
    files = [ref.file for refs in images for ref in refs]
    split_of = np.repeat(np.arange(len(names)), [len(refs) for refs in images])
    report = AuditReport(
        {name: len(refs) for name, refs in zip(names, images, strict=True)},
        _leaks(found, files, [names[split] for split in split_of]),
        tuple(unreadable),
        out,
    )
    if out is not None:
        rows = ({**one.as_dict(), "similarity": shown(one.similarity)} for one in report.leaks)
        with one_line_errors(f"cannot write {out}"):
            write_whole(out, table(COLUMNS, (list(row.values()) for row in rows)))
    return report


def _check_folders(folders: Sequence[Path]) -> None:
    """Check that there are two folders or more, none within another."""
    if len(folders) < 2:
        raise UsageError("audit needs two folders or more, such as train and test")
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder} is not a folder: give the folders of the splits")
    for first, second in combinations(folders, 2):
        a, b = first.resolve(), second.resolve()
        if a.is_relative_to(b) or b.is_relative_to(a):
            raise UsageError(f"{first} and {second} overlap: give separate folders")


def _check_table(out: Path) -> None:
    """Check that `out` is new, or an earlier table of leaks."""
    if not os.path.lexists(out):
        return
    header = ",".join(COLUMNS).encode()
    with one_line_errors(f"cannot read {out}"):
        if out.is_file() and out.read_bytes()[: len(header)] == header:
            return
    raise ConflictError(f"{out} is not an earlier table of leaks and is not overwritten: use --out")


def _names(folders: Sequence[Path]) -> list[str]:
    """Names of the splits: those of their folders, or the paths where these are not unique."""
    names = [folder.name or folder.resolve().name for folder in folders]
    return names if len(set(names)) == len(names) else [folder.as_posix() for folder in folders]


def _images(
    folders: Sequence[Path], names: Sequence[str], recursive: bool
) -> tuple[list[tuple[ImageRef, ...]], list[Unreadable]]:
    """The images of each folder, named relative to it, and the files that are no images."""
    images, unreadable = [], []
    for folder, name in zip(folders, names, strict=True):
        scanned = scan(folder, recursive=recursive)
        if not scanned.images:
            hint = "" if recursive else " (use --recursive to include sub-folders)"
            raise IcasError(f"no images in {folder}{hint}")
        images.append(scanned.images)
        unreadable += [Unreadable(f"{name}/{it.file}", it.reason) for it in scanned.unreadable]
    return images, unreadable


def _features(
    reading: Reading, images: Sequence[Sequence[ImageRef]], console: Console
) -> list[FeatureSet]:
    """Features of each split; a method that is fitted to a folder is fitted to all of them."""
    everything = [ref for refs in images for ref in refs]
    with console.bar(len(everything), "features", "images") as bar:
        folder = replace(reading, bar=bar).scan_features(everything)
        return [folder.features(refs) for refs in images]


def _among(refs: Sequence[ImageRef], features: FeatureSet) -> tuple[ImageRef, ...]:
    """Those of `refs` that have features."""
    read = set(features.files)
    return tuple(ref for ref in refs if ref.file in read)


def _equal(parts: Sequence[FeatureSet]) -> Iterator[tuple[int, int]]:
    """Pairs of images of different parts with equal pixels, numbered through all."""
    digests = np.concatenate([part.arrays["digest"] for part in parts])
    split = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    order = np.argsort(digests, kind="stable")
    ends = np.flatnonzero(np.diff(digests[order])) + 1
    for group in np.split(order, ends):
        for a, b in combinations(group.tolist(), 2):
            if split[a] != split[b]:
                yield min(a, b), max(a, b)


def _links(
    method: Method,
    parts: Sequence[FeatureSet],
    threshold: float,
    workers: Workers,
    console: Console,
) -> Links:
    """Links between images of different parts, numbered through all."""
    lengths = [len(part) for part in parts]
    pairs = (sum(lengths) ** 2 - sum(length**2 for length in lengths)) // 2
    most = candidates_for(method, pairs)
    if most is not None:
        stage = CandidateStage(most)
        links, _ = stage.across(method, parts, threshold, workers)
        console.line(f"{method.name}: {stage.words()}")
        return links
    with console.bar(count_across(method, parts, workers.jobs), "links", "tiles") as bar:
        return join_links(counted(tiles_across(method, parts, threshold, workers), bar))


def _sure(links: Links, lengths: Sequence[int]) -> Links:
    """Links at or above `REGISTERED`, and those of images that are each other's most similar.

    Each pair of splits is considered separately.
    """
    split = np.repeat(np.arange(len(lengths)), lengths)
    best: dict[tuple[int, int], float] = {}
    rows = links.structured().tolist()
    for a, b, similarity in rows:
        for ends in ((a, int(split[b])), (b, int(split[a]))):
            best[ends] = max(best.get(ends, -np.inf), similarity)
    sure = [
        similarity >= REGISTERED or similarity == best[a, int(split[b])] == best[b, int(split[a])]
        for a, b, similarity in rows
    ]
    return links.select(np.flatnonzero(sure))


def _leaks(
    found: dict[tuple[int, int], tuple[float, str]], files: Sequence[str], splits: Sequence[str]
) -> tuple[Leak, ...]:
    """The pairs by name, exact ones first, then the most similar."""
    leaks = []
    for (a, b), (similarity, method) in found.items():
        kind = EXACT if method == "pixels" else NEAR
        leaks.append(Leak(splits[a], files[a], splits[b], files[b], kind, similarity, method))
    return tuple(sorted(leaks, key=lambda it: (it.kind, -it.similarity, it.split_a, it.a, it.b)))
