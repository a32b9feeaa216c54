"""Import of data sets of objects as saved paintings."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from icas.cli.console import Console
from icas.common.errors import IcasError, UsageError
from icas.common.registry import lookup
from icas.io.reading import image_size
from icas.notebook.html import counted
from icas.segmentimg.datasets import READERS, DatasetReader, Page
from icas.segmentimg.datasets.objects import InstanceObject
from icas.segmentimg.datasets.saved import has_unsaved_paint, is_painted, save_objects
from icas.segmentimg.document.palette import default_palette, read_palette
from icas.segmentimg.formats.inputs import ImageFile, find_image_files

SAVES = ("masks", "labels")
_MAX_PIXELS = 1 << 40


@dataclass
class InstanceImport:
    """What `import_instances` wrote.

    Attributes
    ----------
    out : tuple of Path
        Folders of the paintings.
    images, objects : int
        Images with a new painting, and their objects.
    classes : tuple of str
        Names of the classes in them.
    kept : int
        Images that were painted before, which are not changed.
    without_annotations, without_image : int
        Images that the data set does not list, and listed images that are not in the folder.
    overlapping : int
        Objects that lost pixels to later ones; a pixel has one object.
    left_out : list of str
        A line for each image or annotation that cannot be used.
    notes : list of str
        A line for each annotation without an area.
    planned : bool
        Nothing was written (`dry_run`).

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> report = icas.InstanceImport((Path("photos_segmented"),), images=2, objects=5)
    >>> report.objects, report.left_out
    (5, [])
    """

    out: tuple[Path, ...] = ()
    images: int = 0
    objects: int = 0
    classes: tuple[str, ...] = ()
    kept: int = 0
    without_annotations: int = 0
    without_image: int = 0
    overlapping: int = 0
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    planned: bool = False

    def lines(self) -> list[str]:
        """Describe the import in lines; the last one has the totals.

        Returns
        -------
        list of str

        Examples
        --------
        >>> import icas
        >>> from pathlib import Path
        >>> icas.InstanceImport((Path("photos_segmented"),), images=2, without_image=1).lines()
        ['1 listed image not in the folder', '2 images, 0 objects, 0 classes -> photos_segmented']
        """
        lines = []
        for count, thing, text in (
            (self.without_annotations, "image", "without annotations, not changed"),
            (self.without_image, "listed image", "not in the folder"),
            (self.kept, "image", "painted before, kept (--overwrite replaces the painting)"),
            (self.overlapping, "object", "partly covered by later ones"),
        ):
            if count:
                lines.append(f"{counted(count, thing)} {text}")
        classes = f"{len(self.classes)} {'class' if len(self.classes) == 1 else 'classes'}"
        verb = "would write " if self.planned else ""
        lines.append(
            f"{verb}{counted(self.images, 'image')}, {counted(self.objects, 'object')},"
            f" {classes} -> {', '.join(map(str, self.out))}"
        )
        return lines


def import_instances(
    path: str | Path,
    images: str | Path,
    format: str | None = None,
    *,
    out: str | Path | None = None,
    palette: str | Path | None = None,
    recursive: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: bool = False,
) -> InstanceImport:
    """Import a data set of objects as saved paintings, which `segmentimg` opens.

    Each annotation becomes one object. Its coordinates are read as those of the upright image.
    Where objects overlap, the later one has the pixels.

    Parameters
    ----------
    path : str or Path
        File or folder of the data set.
    images : str or Path
        Folder of the images; they are found by their names.
    format : {"coco", "yolo", "voc", "labelme", "cvat"}, optional
        Default: detected.
    out : str or Path, optional
        Folder for the paintings. Default: ``<images>_segmented``.
    palette : str or Path, optional
        Classes and colors, as for `segmentimg`; other classes get new colors.
    recursive : bool, default False
        Include images in sub-folders.
    overwrite : bool, default False
        Replace the painting of images that have one.
    dry_run : bool, default False
        Check everything and write nothing.
    progress : bool, default False
        Show a progress bar on stderr if it is a terminal.

    Returns
    -------
    InstanceImport
        Counts, and lines about what is left out.

    Raises
    ------
    UsageError
        A path or format is wrong.

    See Also
    --------
    icas.export_instances : the opposite.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> Path("photos").mkdir()
    >>> Path("dataset/labels").mkdir(parents=True)
    >>> Image.new("RGB", (40, 30), "gray").save("photos/a.png")
    >>> size = Path("dataset/data.yaml").write_text("names: [cat, dog]")
    >>> size = Path("dataset/labels/a.txt").write_text("1 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5")
    >>> report = icas.import_instances("dataset", "photos")
    >>> report.images, report.objects, report.classes, report.left_out
    (1, 1, ('dog',), [])
    """
    path, images = Path(path), Path(images)
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    if not images.exists():
        raise UsageError(f"{images} does not exist: give the folder of the images")
    reader = _reader(path, format)
    base = default_palette() if palette is None else read_palette(palette)
    pictures = find_image_files([images], None if out is None else Path(out), recursive)
    report = InstanceImport(tuple(sorted({picture.out for picture in pictures})), planned=dry_run)
    matched = _matched(reader, pictures, report)
    colors = {name: color for name, color in reader.colors.items() if color not in base.numbers()}
    palette_now = base.with_names(reader.names(), colors)[0]
    found: dict[str, None] = {}
    with Console(bars=progress).bar(len(matched), "import", "images") as bar:
        for picture, pages in matched.items():
            bar.update(1)
            if not overwrite and (is_painted(picture) or has_unsaved_paint(picture)):
                report.kept += 1
                continue
            try:
                width, height = image_size(picture.path, max_pixels=_MAX_PIXELS)
                objects = _objects(reader, picture, pages, (height, width), report)
                palette_now = palette_now.with_names([one.name for one in objects], colors)[0]
                count = len(objects)
                if not dry_run:
                    painted = save_objects(picture, objects, (height, width), palette_now, SAVES)
                    count = painted.saved
                    report.overlapping += painted.overlapping
                    report.left_out += [
                        f"{picture.path}: {one.name} at {one.bbox} left out: covered by later ones"
                        for one in painted.covered
                    ]
            except IcasError as error:
                report.left_out.append(_line(picture.path, error))
                continue
            report.images += 1
            report.objects += count
            found.update(dict.fromkeys(one.name for one in objects))
    report.left_out += reader.left_out
    order = [entry.name for entry in palette_now]
    report.classes = tuple(name for name in order if name in found)
    return report


def _line(path: Path, error: IcasError) -> str:
    text = str(error)
    return text if str(path) in text else f"{path}: {text}"


def _reader(path: Path, format: str | None) -> DatasetReader:
    if format is None:
        for entry in READERS.values():
            kind: type[DatasetReader] = entry.load()
            if kind.accepts(path):
                return kind(path)
        raise UsageError(f"the format of {path} is not known: choose --format {','.join(READERS)}")
    made: DatasetReader = lookup(READERS, format, "data set format")[1].load()(path)
    return made


def _objects(
    reader: DatasetReader,
    picture: ImageFile,
    pages: Sequence[Page],
    size: tuple[int, int],
    report: InstanceImport,
) -> list[InstanceObject]:
    """The objects of an image, of all files that list it."""
    objects: list[InstanceObject] = []
    for page in pages:
        if page.size is not None and page.size != size:
            hint = ""
            if page.size == size[::-1]:
                hint = " (coordinates must be those of the upright image)"
            raise UsageError(
                f"{page.where}: {page.file} is {page.size[1]}x{page.size[0]} pixels, the image"
                f" {picture.path} is {size[1]}x{size[0]}{hint}"
            )
        read = reader.read(page, size)
        objects += read.objects
        report.left_out += read.left_out
        report.notes += read.notes
    return objects


def _matched(
    reader: DatasetReader, pictures: Sequence[ImageFile], report: InstanceImport
) -> dict[ImageFile, list[Page]]:
    """The annotations of each image, by its name and, where that is ambiguous, its folders."""
    by_name = _index(pictures, suffix=True)
    by_stem = _index(pictures, suffix=False)
    matched: dict[ImageFile, list[Page]] = {}
    for page in reader.pages():
        index = by_name if page.has_suffix else by_stem
        chosen = _best(index, page.file)
        if not chosen and page.second:
            chosen = _best(by_stem, page.second)
        if len(chosen) > 1:
            names = " and ".join(str(picture.path) for picture in chosen[:2])
            report.left_out.append(f"{page.where}: {page.file} can be {names}: left out")
        elif not chosen:
            report.without_image += 1
        else:
            matched.setdefault(chosen[0], []).append(page)
    if not matched and report.without_image:
        folders = sorted({str(picture.path.parent) for picture in pictures})
        raise UsageError(
            f"none of the images in {reader.path} is in {', '.join(folders[:3])}: choose --images"
        )
    report.without_annotations = len(pictures) - len(matched)
    return {picture: matched[picture] for picture in pictures if picture in matched}


def _index(pictures: Iterable[ImageFile], suffix: bool) -> dict[str, list[ImageFile]]:
    index: dict[str, list[ImageFile]] = {}
    for picture in pictures:
        names = {picture.path.name} if suffix else {picture.path.stem, picture.path.name}
        for name in names:
            index.setdefault(unicodedata.normalize("NFC", name), []).append(picture)
    return index


def _best(index: dict[str, list[ImageFile]], name: str) -> list[ImageFile]:
    """Images whose path ends most like `name`."""
    parts = [part for part in re.split(r"[/\\]+", unicodedata.normalize("NFC", name)) if part]
    chosen = index.get(parts[-1], []) if parts else []
    if len(chosen) < 2:
        return chosen

    def common(picture: ImageFile) -> int:
        folders = PurePosixPath(unicodedata.normalize("NFC", picture.path.as_posix())).parts[-2::-1]
        pairs = zip(parts[-2::-1], folders, strict=False)
        return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(parts), len(folders)))

    most = max(map(common, chosen))
    return [picture for picture in chosen if common(picture) == most]
