"""Export of saved paintings as a data set of objects."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from icas.cli.console import Console
from icas.common.errors import IcasError, UsageError
from icas.common.registry import lookup
from icas.dataset.splits import assign_splits, shares_of
from icas.io.files import beside
from icas.io.formats import os_reason
from icas.io.reading import image_size, open_image
from icas.io.text import decode_text
from icas.notebook.html import counted
from icas.parallel.executors import start_workers
from icas.segmentimg.datasets import WRITERS, DatasetWriter, WriterOptions
from icas.segmentimg.datasets.objects import InstanceImage, Size
from icas.segmentimg.datasets.saved import (
    SavedObjects,
    is_painted,
    listed_classes,
    recorded,
    saved_objects,
)
from icas.segmentimg.datasets.target import TRANSFERS, Stage, check_target, staged
from icas.segmentimg.document.palette import PaintClass, read_palette
from icas.segmentimg.formats.inputs import ImageFile, find_image_files

SUFFIX = "_segmented"
_ORIENTATION = 274
_MAX_PIXELS = 1 << 40


@dataclass
class InstanceExport:
    """What `export_instances` wrote.

    Attributes
    ----------
    to : Path
        Folder of the data set.
    images, objects : int
        Exported images and objects.
    classes : tuple of str
        Class names, in the order of their numbers.
    splits : dict of str to int
        Images of each split; empty without splits.
    empty : int
        Exported images without an object.
    not_painted : int
        Images without a saved painting, which are not exported.
    turned : int
        Images written upright, because their EXIF orientation was another.
    keyholes : int
        Objects whose holes or parts a polygon connects by bridges without width.
    left_out : list of str
        A line for each image or annotation that could not be read or written.
    planned : bool
        Nothing was written (`dry_run`).

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> report = icas.InstanceExport(Path("dataset"), images=2, objects=5, classes=("cat",))
    >>> report.objects, report.left_out
    (5, [])
    """

    to: Path
    images: int = 0
    objects: int = 0
    classes: tuple[str, ...] = ()
    splits: dict[str, int] = field(default_factory=dict)
    empty: int = 0
    not_painted: int = 0
    turned: int = 0
    keyholes: int = 0
    left_out: list[str] = field(default_factory=list)
    planned: bool = False

    def lines(self) -> list[str]:
        """Describe the export in lines; the last one has the totals.

        Returns
        -------
        list of str

        Examples
        --------
        >>> import icas
        >>> from pathlib import Path
        >>> icas.InstanceExport(Path("dataset"), images=2, objects=5, classes=("cat",)).lines()
        ['2 images, 5 objects, 1 class -> dataset']
        """
        lines = []
        if self.splits:
            lines.append(", ".join(f"{name} {count}" for name, count in self.splits.items()))
        for count, text in (
            (self.empty, "without objects, exported as such"),
            (self.not_painted, "not painted, left out"),
            (self.turned, "turned upright (EXIF orientation)"),
        ):
            if count:
                lines.append(f"{counted(count, 'image')} {text}")
        if self.keyholes:
            what = counted(self.keyholes, "object")
            lines.append(f"{what} with holes or several parts, joined by bridges in the polygon")
        classes = f"{len(self.classes)} {'class' if len(self.classes) == 1 else 'classes'}"
        verb = "would write " if self.planned else ""
        lines.append(
            f"{verb}{counted(self.images, 'image')}, {counted(self.objects, 'object')},"
            f" {classes} -> {self.to}"
        )
        return lines


def export_instances(
    out: str | Path,
    to: str | Path,
    format: str = "coco",
    *,
    images: str | Path | None = None,
    classes: str | Path | Sequence[str] | None = None,
    split: str | Mapping[str, float] | None = None,
    clusters: str | Path | None = None,
    seed: int = 0,
    polygons: bool = False,
    borders: bool = False,
    transfer: str = "copy",
    overwrite: bool = False,
    dry_run: bool = False,
    progress: bool = False,
    jobs: int | None = None,
) -> InstanceExport:
    """Export saved paintings as a data set of objects.

    Each object becomes one annotation. Coordinates are those of the upright image; an image with
    another EXIF orientation is written upright.

    Parameters
    ----------
    out : str or Path
        Folder of saved paintings, or the folder of images if the paintings are in
        ``<folder>_segmented``.
    to : str or Path
        New folder for the data set.
    format : {"coco", "yolo", "voc", "labelme", "hf"}, default "coco"
        Several, separated by commas, go to sub-folders of these names.
    images : str or Path, optional
        Folder of the images. Default: `out` without ``_segmented``.
    classes : str, Path or sequence of str, optional
        Class names, or a text file with lines like ``cat,#cc0000``, which get the first numbers.
    split : str or mapping of str to float, optional
        Shares of splits, such as ``"train=0.8,val=0.2"``; they sum to 1. Default: no splits.
    clusters : str or Path, optional
        ``clusters.csv`` of clusterimg: images of a cluster stay in one split.
    seed : int, default 0
        Random seed of the splits.
    polygons : bool, default False
        COCO, labelme, hf: polygons in place of masks. YOLO always has polygons.
    borders : bool, default False
        VOC: pixels beside a border get the value 255.
    transfer : {"copy", "hardlink", "symlink", "none"}, default "copy"
        How images get into the data set.
    overwrite : bool, default False
        Replace an earlier export in `to`; other files are kept.
    dry_run : bool, default False
        Check everything and write nothing.
    progress : bool, default False
        Show a progress bar on stderr if it is a terminal.
    jobs : int, optional
        Number of workers; default all cores.

    Returns
    -------
    InstanceExport
        Counts, and lines about what is left out.

    Raises
    ------
    UsageError
        An unknown format, folder or split.
    ConflictError
        `to` is not empty.

    See Also
    --------
    icas.import_instances : the opposite.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> Path("photos_segmented").mkdir()
    >>> Path("photos").mkdir()
    >>> Image.new("RGB", (40, 30), "gray").save("photos/a.png")
    >>> mask = Image.new("L", (40, 30))
    >>> mask.paste(255, (5, 5, 20, 20))
    >>> mask.save("photos_segmented/a_mask_(R=204,G=0,B=0).png")
    >>> report = icas.export_instances("photos_segmented", "dataset", "coco")
    >>> report.images, report.objects, report.classes
    (1, 1, ('red',))
    >>> sorted(path.name for path in Path("dataset").rglob("*.*") if path.is_file())[:2]
    ['a.png', 'export.json']
    """
    console = Console(bars=progress)
    options = WriterOptions(polygons, borders)
    job = _Job.planned(
        Path(out), Path(to), format, images, classes, split, clusters, seed, options, transfer
    )
    return job.run(overwrite, dry_run, jobs, console)


@dataclass(frozen=True)
class _Item:
    """An image to be exported."""

    picture: ImageFile
    split: str


@dataclass
class _Job:
    """A planned export."""

    to: Path
    items: list[_Item]
    writers: dict[str, DatasetWriter]
    """By the sub-folder with a slash, "" for the folder itself."""
    transfer: str
    report: InstanceExport

    @classmethod
    def planned(
        cls,
        out: Path,
        to: Path,
        format: str,
        images: str | Path | None,
        classes: str | Path | Sequence[str] | None,
        split: str | Mapping[str, float] | None,
        clusters: str | Path | None,
        seed: int,
        options: WriterOptions,
        transfer: str,
    ) -> _Job:
        names = [name.strip() for name in format.split(",") if name.strip()]
        rows = [lookup(WRITERS, name, "data set format") for name in names]
        if not rows:
            raise UsageError(f"no data set format: choose from {', '.join(WRITERS)}")
        if transfer not in TRANSFERS:
            raise UsageError(f"--transfer {transfer!r}: choose from {', '.join(TRANSFERS)}")
        shares = None if split is None else shares_of(split)
        if clusters is not None and shares is None:
            raise UsageError("--clusters goes with --split")
        folder, out = _folders(out, images)
        pictures = find_image_files([folder], out)
        painted = [picture for picture in pictures if is_painted(picture)]
        if not painted:
            raise UsageError(f"no saved painting of an image of {folder} in {out}")
        records = [recorded(picture) for picture in painted]
        known = [listed_classes(record) for record in records]
        ordered = _class_order(classes, known)
        splits = [""] * len(painted)
        if shares is not None:
            keys = _rarest(known)
            splits = assign_splits(_groups(clusters, painted), keys, shares, seed)
        report = InstanceExport(to, not_painted=len(pictures) - len(painted))
        report.left_out += _without_images(pictures, out)
        settings = (
            [entry.name for entry in ordered],
            {entry.name: entry.color for entry in ordered},
            options,
            [""] if shares is None else list(shares),
        )
        writers = {
            "" if len(rows) == 1 else f"{name}/": entry.load()(*settings) for name, entry in rows
        }
        items = [_Item(*pair) for pair in zip(painted, splits, strict=True)]
        return cls(to, items, writers, transfer, report)

    def run(
        self, overwrite: bool, dry_run: bool, jobs: int | None, console: Console
    ) -> InstanceExport:
        self.report.planned = dry_run
        if dry_run:
            check_target(self.to, overwrite)
        context = nullcontext(None) if dry_run else staged(self.to, overwrite)
        with (
            context as stage,
            start_workers("threads", jobs) as workers,
            console.bar(len(self.items), "export", "images") as bar,
        ):
            tasks = ((item.picture,) for item in self.items)
            for item, loaded in zip(self.items, workers.ordered(_load, tasks), strict=True):
                bar.update(1)
                if isinstance(loaded, str):
                    self.report.left_out.append(f"{item.picture.path}: {loaded}")
                else:
                    self._add(item, *loaded, stage)
            if not self.report.images:
                raise IcasError(f"nothing to export: {self.report.left_out[0]}")
            for folder, writer in self.writers.items():
                self.report.keyholes = max(self.report.keyholes, writer.keyholes)
                self.report.classes = tuple(writer.names)
                for name, data in writer.finish().items():
                    if stage is not None:
                        stage.write(folder + name, data)
        return self.report

    def _add(self, item: _Item, size: Size, saved: SavedObjects, stage: Stage | None) -> None:
        picture = item.picture
        files: dict[str, bytes] = {}
        targets = []
        for folder, writer in self.writers.items():
            name = picture.path.name
            if writer.by_stem and Path(name).stem != picture.name:
                name = f"{picture.name}{picture.path.suffix}"
            try:
                image = InstanceImage(name, size, saved.objects)
                added = writer.add(item.split, image)
            except UsageError as error:
                self.report.left_out.append(f"{picture.path}: {error.message}")
                return
            files |= {folder + file: data for file, data in added.items()}
            targets.append(folder + writer.image_path(item.split, name))
        try:
            upright = None if self.transfer == "none" else _upright(picture.path)
        except IcasError as error:
            self.report.left_out.append(f"{picture.path}: {error.message}")
            return
        self.report.images += 1
        self.report.objects += len(saved.objects)
        self.report.empty += not saved.objects
        self.report.turned += upright is not None
        self.report.left_out += saved.lines
        if item.split:
            counts = self.report.splits
            counts[item.split] = counts.get(item.split, 0) + 1
        if stage is None:
            return
        for name, data in files.items():
            stage.write(name, data)
        for target in targets if self.transfer != "none" else ():
            if upright is None:
                stage.transfer(target, picture.path, self.transfer)
            else:
                stage.write(target, upright)


def _load(picture: ImageFile) -> tuple[Size, SavedObjects] | str:
    """The size and objects of an image; the reason where they cannot be read."""
    try:
        width, height = image_size(picture.path, max_pixels=_MAX_PIXELS)
        saved = saved_objects(picture, (height, width))
    except IcasError as error:
        return error.message
    return "its painting was removed" if saved is None else ((height, width), saved)


def _folders(out: Path, images: str | Path | None) -> tuple[Path, Path]:
    """The folder of the images, and that of the paintings."""
    if not out.is_dir():
        raise UsageError(f"{out} is not a folder: give the folder of the saved paintings")
    if images is not None:
        if not Path(images).is_dir():
            raise UsageError(f"{images} is not a folder: give the folder of the images")
        return Path(images), out
    whole = Path(os.path.realpath(out))
    if whole.name.endswith(SUFFIX) and whole.name != SUFFIX:
        folder = out.parent if out.name == whole.name else whole.parent
        source = folder / whole.name.removesuffix(SUFFIX)
        if source.is_dir():
            return source, out
    elif beside(out, SUFFIX).is_dir():
        return out, beside(out, SUFFIX)
    raise UsageError(f"the images of {out} are not known: give their folder as --images")


def _class_order(
    classes: str | Path | Sequence[str] | None, known: Iterable[Sequence[PaintClass]]
) -> list[PaintClass]:
    """The classes given, then the recorded ones, by number, then by first image."""
    ordered: dict[str, PaintClass] = {}
    if isinstance(classes, (str, Path)):
        ordered = {entry.name: entry for entry in read_palette(classes)}
    found: dict[str, tuple[int, PaintClass]] = {}
    for own in known:
        for entry in own:
            found.setdefault(entry.name, (len(found), entry))
    if classes is not None and not isinstance(classes, (str, Path)):
        free = PaintClass("?", (0, 0, 0)).color
        for name in classes:
            ordered[name] = found[name][1] if name in found else PaintClass(name, free)
    for name, (_, entry) in found.items():
        ordered.setdefault(name, entry)
    return list(ordered.values())


def _rarest(known: Sequence[Sequence[PaintClass]]) -> list[str]:
    """For each image its class that the fewest images have."""
    counts = Counter(entry.name for own in known for entry in own)
    return [
        min((entry.name for entry in own), key=lambda name: (counts[name], name), default="")
        for own in known
    ]


def _groups(clusters: str | Path | None, pictures: Sequence[ImageFile]) -> list[int]:
    """Group of each image: its cluster, or itself."""
    numbers: dict[str, str] = {}
    if clusters is not None:
        path = Path(clusters)
        path = path / "clusters.csv" if path.is_dir() else path
        try:
            text = decode_text(path.read_bytes())
            for row in csv.DictReader(io.StringIO(text, newline="")):
                if row["cluster"] != "-1":
                    numbers[row["file"]] = row["cluster"]
        except OSError as error:
            raise UsageError(f"cannot read {path}: {os_reason(error)}") from None
        except (ValueError, KeyError, csv.Error):
            raise UsageError(f"{path} has no columns file and cluster") from None
    keys = [numbers.get(picture.path.name, f"file {picture.path}") for picture in pictures]
    places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    return [places[key] for key in keys]


def _without_images(pictures: Sequence[ImageFile], out: Path) -> list[str]:
    """A line for each record in `out` of an image that is gone."""
    known = {picture.record_file.name for picture in pictures}
    lines = []
    for path in sorted(out.glob("*.json")):
        if path.name not in known:
            record = recorded(ImageFile(path, out, path.stem))
            if "painted_files" in record and isinstance(record.get("image"), str):
                lines.append(f"{path}: its image {record['image']} is missing")
    return lines


def _upright(path: Path) -> bytes | None:
    """The image as it is seen, encoded; None where the file has it like this."""
    from PIL import ImageOps

    with open_image(path, _MAX_PIXELS, pixels=True) as pil:
        if pil.getexif().get(_ORIENTATION, 1) in (0, 1):
            return None
        settings: dict[str, Any] = {}
        if pil.format in ("JPEG", "MPO"):
            settings = {"quality": 95, "subsampling": 0}
        elif pil.format == "WEBP":
            settings = {"quality": 95}
        profile = pil.info.get("icc_profile")
        turned = ImageOps.exif_transpose(pil)
        target = io.BytesIO()
        kind = "JPEG" if pil.format == "MPO" else pil.format
        turned.save(target, kind, exif=turned.getexif(), icc_profile=profile, **settings)
        return target.getvalue()
