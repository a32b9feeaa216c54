"""Check the quality of the images of a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console, counted
from icas.clusterimg.data.images import ImageRef, Unreadable, scan
from icas.clusterimg.html.quality_page import quality_page
from icas.clusterimg.quality.image_info import ImageInfo, image_info
from icas.clusterimg.quality.issues import DUPLICATE, FOUND, HELP, NUMBERS, scores_of, thresholds_of
from icas.clusterimg.quality.measures import SIDE, Measures, measures_of
from icas.clusterimg.quality.report import (
    COLUMNS,
    MEASURES,
    QualityReport,
    quality_table,
    worst_first,
)
from icas.common.errors import ConflictError, IcasError, UnreadableImageError, UsageError
from icas.io.files import beside, one_line_errors, table, write_whole
from icas.io.reading import MAX_PIXELS, QUIET_PILLOW, read_image
from icas.parallel.executors import Workers, start_workers

TABLE, PAGE = "quality.csv", "quality.html"
ENDING = "_quality"
"""Ending of the name of the default folder."""
GENERATOR = "clusterimg quality"
"""How a page says what wrote it."""
NEAR = 8.0
"""Gray levels by which cells of two images with equal pixels may differ when decoded smaller."""
_ALSO_UNREADABLE = 8
"""Unreadable files named on stderr."""

Measured = tuple[ImageInfo, Measures]


def quality(
    source: str | Path,
    *,
    out: str | Path | None = None,
    recursive: bool = False,
    report: bool = True,
    max_pixels: int = MAX_PIXELS,
    jobs: int | None = None,
    progress: bool = False,
) -> QualityReport:
    """Find blurred, dark, bright, empty, odd and duplicate images of a folder.

    Thresholds are learnt from the folder, between limits: a folder of good images has no issues.

    Parameters
    ----------
    source : str or Path
        Folder.
    out : str or Path, optional
        Folder for ``quality.csv`` and ``quality.html``, or name of the table if it ends in
        ``.csv``. By default nothing is written.
    recursive : bool, default False
        Include sub-folders.
    report : bool, default True
        Write the report page beside the table.
    max_pixels : int, default 178,956,970
        Larger images are not read.
    jobs : int, optional
        Number of threads; by default all cores. The result is the same for any number.
    progress : bool, default False
        Show progress bars and warnings on stderr.

    Returns
    -------
    QualityReport
        Measures, scores and issues, worst image first.

    Raises
    ------
    UsageError
        No such folder, or `jobs` below 1.
    ConflictError
        Another program wrote a file of the same name.
    IcasError
        No image could be read, or a file could not be written.

    Notes
    -----
    An image has an issue if its value is at or above a threshold: the median of the folder plus 4
    robust standard deviations, at least a floor and at most a ceiling.

    ================= ============================================================ ===== =======
    issue             value                                                        floor ceiling
    ================= ============================================================ ===== =======
    ``blurred``       share of differences left after a second blur [1]_           0.55  0.75
    ``dark``          1 - 98th percentile of brightness                            0.72  0.85
    ``bright``        5th percentile of brightness + share of clipped pixels       0.75  1.98
    ``low_contrast``  1 - range of gray values                                     0.8   0.9
    ``low_information`` 1 - entropy / 8 bits                                       0.62  0.97
    ``odd_size``      distance from the median side, as a power of two             1.5   4
    ``odd_aspect``    ratio of the sides, as a power of two                        1.6   3.4
    ================= ============================================================ ===== =======

    ``grayscale``: a gray image where at least 75 % of the folder has color. ``duplicate``: the
    same size and the same pixels as an earlier image, whatever the file format.

    References
    ----------
    .. [1] F. Crété-Roffet et al., "The blur effect: perception and estimation with a new
       no-reference perceptual blur metric", Proc. SPIE 6492, 2007. Here in four directions.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image, ImageFilter
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> picture = Image.fromarray(data.coffee())
    >>> picture.save("photos/cup.png")
    >>> picture.save("photos/cup.bmp")
    >>> picture.filter(ImageFilter.GaussianBlur(4)).save("photos/soft.png")
    >>> report = icas.quality("photos", out="checked")
    >>> report.summary()
    '3 images, 2 with issues (1 blurred, 1 duplicate), 0 unreadable -> checked/quality.csv'
    >>> report.files[0], report.issues(0)
    ('soft.png', ('blurred',))
    """
    console = Console(warnings=progress, bars=progress)
    where = None if out is None else Path(out)
    return check_folder(
        Path(source), console, where, recursive, report=report, max_pixels=max_pixels, jobs=jobs
    )


def check_folder(
    source: Path,
    console: Console,
    out: Path | None,
    recursive: bool,
    *,
    report: bool = True,
    max_pixels: int = MAX_PIXELS,
    jobs: int | None = None,
) -> QualityReport:
    """As `quality`, with messages to `console`."""
    if max_pixels < 1:
        raise UsageError(f"--max-pixels {max_pixels}: must be at least 1")
    if out is not None:
        check_ours(*_targets(out))
    scanned = scan(source, recursive=recursive, exclude=out)
    if not scanned.images:
        hint = "" if recursive else " (use --recursive to include sub-folders)"
        raise IcasError(f"no images in {source}{hint}")
    checked = check_images(source, scanned.images, console, max_pixels, jobs)
    result = replace(checked, unreadable=(*checked.unreadable, *scanned.unreadable))
    _warn_of_unreadable(result, console)
    if out is None:
        return result
    refs = {ref.file: ref.path for ref in scanned.images}
    return _written(result, refs, out, report, max_pixels, jobs, console)


def check_images(
    source: Path,
    images: Sequence[ImageRef],
    console: Console,
    max_pixels: int = MAX_PIXELS,
    jobs: int | None = None,
) -> QualityReport:
    """The issues of some images; `source` is named where none can be read."""
    with start_workers("threads", jobs) as workers, QUIET_PILLOW:
        found, unreadable = _measured(images, workers, max_pixels, console)
        if not found:
            raise IcasError(f"no images in {source} could be read")
        same = _duplicates(found, workers, max_pixels)
    return _report(source, found, same, tuple(unreadable))


def default_out(source: Path) -> Path:
    """The folder for the table and the page of a folder."""
    return beside(source, ENDING)


def _measured(
    images: Sequence[ImageRef], workers: Workers, max_pixels: int, console: Console
) -> tuple[list[tuple[ImageRef, Measured]], list[Unreadable]]:
    found: list[tuple[ImageRef, Measured]] = []
    unreadable: list[Unreadable] = []
    with console.bar(len(images), "measure", "images") as bar:
        results = workers.ordered(_measure, ((ref.path, max_pixels) for ref in images))
        for ref, result in zip(images, counted(results, bar), strict=True):
            if isinstance(result, str):
                unreadable.append(Unreadable(ref.file, result))
            else:
                found.append((ref, result))
    return found, unreadable


def _measure(path: Path, max_pixels: int) -> Measured | str:
    """Information and measures of an image; the reason if it cannot be read."""
    try:
        info = image_info(path, max_pixels)
        return info, measures_of(read_image(path, max_pixels=max_pixels, at_least=SIDE))
    except UnreadableImageError as error:
        return error.message
    except OSError as error:
        return error.strerror or str(error)


def _duplicates(
    found: Sequence[tuple[ImageRef, Measured]], workers: Workers, max_pixels: int
) -> tuple[str, ...]:
    """For each image the first one with the same pixels; empty for none."""
    candidates = _candidates([measured for _, measured in found])
    tasks = ((found[row][0].path, max_pixels) for row in candidates)
    firsts: dict[bytes, str] = {}
    same = [""] * len(found)
    for row, digest in zip(candidates, workers.ordered(_digest, tasks), strict=True):
        file = found[row][0].file
        first = firsts.setdefault(digest, file) if digest else file
        same[row] = first if first != file else ""
    return tuple(same)


def _candidates(measured: Sequence[Measured]) -> list[int]:
    """Images for which another one has the same size and a similar grid of gray values.

    Only these are decoded whole. Images with equal pixels always are among them: a JPEG that was
    decoded smaller differs from the reduced image by less than `NEAR`.
    """
    from scipy.spatial import cKDTree

    sizes: dict[tuple[int, int], list[int]] = {}
    for row, (info, _) in enumerate(measured):
        sizes.setdefault((info.width, info.height), []).append(row)
    chosen: list[int] = []
    for rows in sizes.values():
        if len(rows) > 1:
            grids = np.array([measured[row][1].grid for row in rows])
            distances, _ = cKDTree(grids).query(grids, k=2, p=np.inf)
            chosen += [row for row, near in zip(rows, distances[:, 1], strict=True) if near <= NEAR]
    return sorted(chosen)


def _digest(path: Path, max_pixels: int) -> bytes:
    """Digest of size and pixels; empty if the image cannot be read any more."""
    try:
        image = read_image(path, max_pixels=max_pixels)
    except UnreadableImageError:
        return b""
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=32)
    digest.update(image.data)
    return digest.digest()


def _report(
    source: Path,
    found: Sequence[tuple[ImageRef, Measured]],
    same: tuple[str, ...],
    unreadable: tuple[Unreadable, ...],
) -> QualityReport:
    columns = _columns([measured for _, measured in found])
    thresholds = thresholds_of(columns)
    flagged = np.array([FOUND if first else 0.0 for first in same])
    scores = scores_of(columns, thresholds) | {DUPLICATE: flagged}
    files = tuple(ref.file for ref, _ in found)
    report = QualityReport(source, files, columns, scores, same, thresholds, unreadable)
    return worst_first(report)


def _columns(measured: Sequence[Measured]) -> dict[str, NDArray[np.float64]]:
    rows = [
        {
            **asdict(measures),
            "width": info.width,
            "height": info.height,
            "aspect": info.width / info.height,
            "bytes": info.bytes,
            "bytes_per_pixel": info.bytes_per_pixel,
        }
        for info, measures in measured
    ]
    return {name: np.array([row[name] for row in rows], np.float64) for name in MEASURES}


def _warn_of_unreadable(report: QualityReport, console: Console) -> None:
    for lost in report.unreadable[:_ALSO_UNREADABLE]:
        console.warn(f"unreadable: {lost.file}: {lost.reason}")
    if len(report.unreadable) > _ALSO_UNREADABLE:
        rest = len(report.unreadable) - _ALSO_UNREADABLE
        console.warn(f"unreadable: {rest} more files; the report page lists them")


def _targets(out: Path) -> tuple[Path, Path]:
    """Paths of the table and of the page."""
    if out.suffix.lower() == ".csv" and not out.is_dir():
        return out, out.with_suffix(".html")
    return out / TABLE, out / PAGE


def check_ours(table_path: Path, page: Path) -> None:
    """Raise ConflictError where a file that this command did not write would be overwritten."""
    for path, mark in ((table_path, table(COLUMNS, ())), (page, GENERATOR.encode())):
        with one_line_errors(f"cannot read {path}"):
            if path.exists() and mark not in path.read_bytes()[:2000]:
                raise ConflictError(
                    f"{path} was not written by clusterimg quality and is not overwritten: choose"
                    " another --out"
                )


def _written(
    report: QualityReport,
    paths: dict[str, Path],
    out: Path,
    with_page: bool,
    max_pixels: int,
    jobs: int | None,
    console: Console,
) -> QualityReport:
    target, page = _targets(out)
    content = None
    if with_page:
        content = quality_page(report, HELP, NUMBERS, paths, page, max_pixels, jobs, console)
    with one_line_errors(f"cannot write to {target.parent}"):
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, quality_table(report))
        if content is not None:
            write_whole(page, content)
    return replace(report, out=target)
