"""Paintings to files and back: a mask a colour, a map of the classes, and what tells of them.

A save is all or nothing. Every file is first written whole under a hidden name; then NAME.json
takes in which of them stand for which (`_PENDING`), and from that moment on the new painting is
the one that loads; only then the files get their names, and what they replace goes. Killed at any
instruction, a save leaves the painting from before or the new one, never a mixture.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from icas._version import __version__
from icas.common.errors import ConflictError, IcasError, UnreadableImageError, UsageError
from icas.common.files import unfinished, write_whole
from icas.common.kinds import os_reason, require_file
from icas.segmentimg.coco import COCO_NAME, coco_bytes, read_coco
from icas.segmentimg.document import Color
from icas.segmentimg.inputs import Picture
from icas.segmentimg.labelme import is_labelme, is_labelme_of, labelme_bytes, read_labelme
from icas.segmentimg.palette import PaintClass, Painting, Palette, class_of, default_palette

__all__ = [
    "PAINT_SAVES",
    "Loaded",
    "Painting",
    "load_painting",
    "mask_name",
    "save_painting",
    "saved_json",
]

PAINT_SAVES = ("masks", "labels", "coco", "labelme")
LABELS_ENDING, LABELME_ENDING = "_labels.png", "_labelme.json"
HALF = 128
"""Value of 8 bits from which a pixel of a mask is painted."""
Shape = tuple[int, int]
_MASK = re.compile(r"_mask_\(R([:=])([0-9]+),G\1([0-9]+),B\1([0-9]+)\)\.png", re.IGNORECASE)
_PART = re.compile(r"\.icas-[0-9a-f]{12}\.part")
_PENDING = "unfinished_save"
_ASIDE = "set_aside"


class Loaded(NamedTuple):
    """A painting from before.

    Attributes
    ----------
    painting : Painting
    files : list of Path
        What it was read from, by the names that they have or, after a save that was cut short,
        will get.
    notes : list of str
        A line for each thing that could not be taken over.
    """

    painting: Painting
    files: list[Path]
    notes: list[str]


def mask_name(name: str, color: Color, portable: bool = False) -> str:
    """``NAME_mask_(R:204,G:0,B:0).png``; with ``=`` for ``:`` where file names must not hold it."""
    sign = "=" if portable else ":"
    parts = (f"{letter}{sign}{part}" for letter, part in zip("RGB", color, strict=True))
    return f"{name}_mask_({','.join(parts)}).png"


def save_painting(
    picture: Picture,
    painting: Painting,
    about: dict[str, Any],
    saves: Sequence[str] = ("masks", "labels"),
    portable: bool = False,
) -> list[Path]:
    """Write a painting into ``picture.out``, all of it or nothing.

    Replaces what an earlier save wrote for this picture: masks of colours that are painted no
    more go, and so do a label map and a labelme file that are not asked for now. A file that no
    save of ours wrote stays, unless it has the very name of one that is written; where it would
    be loaded as paint, NAME.json remembers to leave it aside.

    Parameters
    ----------
    about : dict
        What NAME.json shall tell of the picture and its segments. Its other keys are kept.
    saves : sequence of str
        Some of ``masks``, ``labels``, ``coco``, ``labelme``. NAME.json is always written.
    portable : bool
        Mask names with ``=``; always so on Windows.

    Returns
    -------
    list of Path
        What was written, NAME.json last.

    Raises
    ------
    UsageError
        `saves` names something else.
    ConflictError
        A file that is not ours stands in the way; nothing is written.
    IcasError
        The disk fails; the painting from before is whole.
    """
    wrong = [one for one in saves if one not in PAINT_SAVES]
    if wrong or not saves:
        raise UsageError(f"--save {','.join(saves)}: some of {', '.join(PAINT_SAVES)}, with commas")
    before = saved_json(picture)
    _refuse_foreign(picture, saves)
    masks = _mask_files(picture, painting, portable or os.name == "nt")
    try:
        files = _encoded(picture, painting, masks, saves)
        listing = _listing(picture.out)
        picture.out.mkdir(parents=True, exist_ok=True)
        plan = _planned(picture, files, before, listing)
        told = {**(before or {}), **about, **_told(painting, masks, files, plan)}
        _carry_out(picture, plan, {"icas": __version__, **told}, before)
    except OSError as error:
        raise _disk_error(picture.out, error) from error
    return [*(picture.out / name for name in files), picture.file(".json")]


def saved_json(picture: Picture) -> dict[str, Any] | None:
    """What NAME.json tells; None where there is none.

    Raises
    ------
    ConflictError
        It is broken, or another program's.
    """
    path = picture.file(".json")
    try:
        told = json.loads(path.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConflictError(f"{path} can't be read: {os_reason(error)}") from None
    except ValueError:
        raise ConflictError(f"{path} is no whole JSON: mend it or move it away") from None
    if not isinstance(told, dict) or "icas" not in told:
        raise ConflictError(
            f"{path} is another program's: move it away, or give another folder with --out"
        )
    return told


def _refuse_foreign(picture: Picture, saves: Sequence[str]) -> None:
    if "coco" in saves and picture.file(".json").name.casefold() == COCO_NAME:
        raise ConflictError(
            f"{picture.path} has {COCO_NAME} for its own file: rename the picture, or save no coco"
        )
    path = picture.file(LABELME_ENDING)
    if "labelme" in saves and path.exists() and not is_labelme(_parsed(path)):
        raise ConflictError(f"{path} is not labelme's: move it away, or save no labelme")


def _parsed(path: Path) -> Any:
    """The JSON in a file; None where it holds none."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return None


def _mask_files(picture: Picture, painting: Painting, portable: bool) -> dict[int, str]:
    """Name of the mask of each class that is painted."""
    return {
        number: mask_name(picture.name, painting.classes[number - 1].color, portable)
        for number in painting.painted()
    }


def _encoded(
    picture: Picture, painting: Painting, masks: dict[int, str], saves: Sequence[str]
) -> dict[str, bytes]:
    """Name and content of each file but NAME.json."""
    class_map = painting.class_map
    makers: dict[str, Callable[[], bytes]] = {}
    if "masks" in saves:
        for number, name in masks.items():
            makers[name] = lambda number=number: _mask_png(class_map, number)  # type: ignore[misc]
    if "labels" in saves:
        makers[f"{picture.name}{LABELS_ENDING}"] = lambda: _png(class_map.astype(np.uint16))
    if "labelme" in saves:
        place = _seen_from(picture.out, picture.path)
        makers[f"{picture.name}{LABELME_ENDING}"] = lambda: labelme_bytes(painting, place)
    if "coco" in saves:
        coco = picture.out / COCO_NAME
        makers[COCO_NAME] = lambda: coco_bytes(coco, picture.path.name, painting)
    with ThreadPoolExecutor() as pool:
        return dict(zip(makers, pool.map(lambda make: make(), makers.values()), strict=True))


def _mask_png(class_map: NDArray[np.int16], number: int) -> bytes:
    return _png((class_map == number).view(np.uint8) * np.uint8(255))


def _png(image: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    import cv2

    _, png = cv2.imencode(".png", image)
    return png.tobytes()


def _seen_from(folder: Path, file: Path) -> str:
    """`file` relative to `folder`, with ``/`` between."""
    try:
        return Path(os.path.relpath(file.resolve(), folder.resolve())).as_posix()
    except ValueError:  # on another drive
        return file.resolve().as_posix()


@dataclass(frozen=True)
class _Plan:
    """What a save does: `files` are written, `stale` ones removed, those set `aside` stay."""

    files: dict[str, bytes]
    stale: list[str]
    aside: list[str]


def _planned(
    picture: Picture, files: dict[str, bytes], before: dict[str, Any] | None, listing: set[str]
) -> _Plan:
    told = before or {}
    pending = _pending(told)
    recorded = {*_strings(told.get("painted_files")), *_strings(pending.get("stale"))}
    ours = {name for name in listing if _is_paint(name, picture.name)} - set(files)
    # After a save that was cut short its hidden files may still be there.
    parts = {part for part in _parts(pending).values() if part in listing}
    return _Plan(files, sorted((ours & recorded) | parts), sorted(ours - recorded))


def _told(
    painting: Painting, masks: dict[int, str], files: dict[str, bytes], plan: _Plan
) -> dict[str, Any]:
    """The part of NAME.json that tells of the painting."""
    classes = [
        {
            "number": number,
            "name": painting.classes[number - 1].name,
            "color": list(painting.classes[number - 1].color),
            "pixels": pixels,
            "mask": masks[number] if masks[number] in files else None,
        }
        for number, pixels in painting.painted().items()
    ]
    return {"classes": classes, "painted_files": sorted(files), _ASIDE: plan.aside}


def _carry_out(
    picture: Picture, plan: _Plan, told: dict[str, Any], before: dict[str, Any] | None
) -> None:
    """Write everything beside, switch over in one step, give the names, clean up."""
    out, journal = picture.out, picture.file(".json")
    told = {key: value for key, value in told.items() if key != _PENDING}
    if not told[_ASIDE]:
        del told[_ASIDE]
    last = _json_bytes(told)  # nothing is written of what JSON cannot hold
    parts = {name: unfinished(out / name) for name in sorted(plan.files, key=len, reverse=True)}
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(write_whole, parts.values(), (plan.files[name] for name in parts)))
        names = {name: part.name for name, part in parts.items()}
        pending = {"parts": names, "stale": plan.stale}
        write_whole(journal, _json_bytes({**told, _PENDING: pending}))
    except Exception:  # not after Ctrl+C: NAME.json may name them by then
        _remove(parts.values())
        raise
    _give_names(out, parts, lambda: _take_back(journal, before))
    _remove(out / name for name in plan.stale)
    write_whole(journal, last)


def _give_names(out: Path, parts: dict[str, Path], take_back: Callable[[], None]) -> None:
    """Rename; where the very first name cannot be had (too long, ``:`` on some disks), undo all."""
    for done, (name, part) in enumerate(parts.items()):
        try:
            part.replace(out / name)
        except OSError:
            if done == 0:
                take_back()
                _remove(parts.values())
            raise


def _take_back(journal: Path, before: dict[str, Any] | None) -> None:
    if before is None:
        journal.unlink(missing_ok=True)
    else:
        write_whole(journal, _json_bytes(before))


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _json_bytes(told: dict[str, Any]) -> bytes:
    return (json.dumps(told, indent=2) + "\n").encode()


def _disk_error(folder: Path, error: OSError) -> IcasError:
    if isinstance(error, IcasError):
        return error
    hint = ""
    if error.errno in (errno.EINVAL, errno.ENAMETOOLONG):
        hint = ": the names of masks do not fit this disk (try --portable-names)"
    return IcasError(f"cannot write into {folder}: {os_reason(error)}{hint}")


def load_painting(
    picture: Picture, shape: Shape, palette: Sequence[PaintClass] = ()
) -> Loaded | None:
    """The painting that a picture has from before; None where it has none.

    Looked for in this order: masks, the label map, our labelme file and the folder's COCO file in
    ``picture.out``; where nothing was ever saved there, labelme's own file beside the picture.
    Masks may have been edited since: what is half white or more is painted, and where two overlap
    the later by name wins.

    Parameters
    ----------
    shape : (h, w)
        Size of the picture.
    palette : sequence of PaintClass
        What the classes of the painting begin with.

    Raises
    ------
    UsageError
        A file has another size than the picture, or does not hold what it should.
    UnreadableImageError
        A file is damaged. Both name the file.
    ConflictError
        NAME.json or the COCO file is damaged.
    """
    before = _before(picture, shape, palette)
    for find in (_from_masks, _from_labels, _from_labelme, _from_coco, _without_files):
        found = find(before)
        if found is not None:
            return found._replace(notes=[*before.notes(), *found.notes])
    return None


@dataclass(frozen=True)
class _Before:
    """What a picture has from before.

    Attributes
    ----------
    told : dict
        NAME.json; empty where there is none of ours.
    known : dict of int to PaintClass
        The classes it lists, by number.
    files : dict of str to Path
        Files of the painting in the order of the names that they have or, after a save that was
        cut short, will get.
    classes : Palette
        The palette, and behind it the classes of NAME.json.
    """

    picture: Picture
    shape: Shape
    told: dict[str, Any]
    known: dict[int, PaintClass]
    files: dict[str, Path]
    classes: Palette

    def notes(self) -> list[str]:
        """A line for each file that the last save found there and left aside."""
        paths = [self.picture.out / name for name in _strings(self.told.get(_ASIDE))]
        why = "not part of what was saved last: left out"
        return [f"{path}: {why}" for path in paths if path.exists()]


def _before(picture: Picture, shape: Shape, palette: Sequence[PaintClass]) -> _Before:
    told = _parsed(picture.file(".json"))
    another = isinstance(told, dict) and "icas" not in told  # labelme's, perhaps
    told = {} if another else saved_json(picture) or {}
    known = _told_classes(picture, told)
    try:
        files = _files_of(picture, told)
    except OSError as error:
        raise IcasError(f"cannot read the folder {picture.out}: {os_reason(error)}") from error
    classes = Palette(palette).joined(known.values())
    return _Before(picture, shape, told, known, files, classes)


def _told_classes(picture: Picture, told: dict[str, Any]) -> dict[int, PaintClass]:
    found = {}
    try:
        for one in sorted(told.get("classes", []), key=lambda one: int(one["number"])):
            red, green, blue = one["color"]
            found[int(one["number"])] = PaintClass(one["name"], (red, green, blue))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{picture.file('.json')} is damaged where it lists classes ({error}): mend it or"
            " move it away"
        ) from None
    return found


def _files_of(picture: Picture, told: dict[str, Any]) -> dict[str, Path]:
    pending, listing = _pending(told), _listing(picture.out)
    passed = {*_strings(told.get(_ASIDE)), *_strings(pending.get("stale"))}
    ours = {name for name in listing if _is_paint(name, picture.name)} - passed
    if COCO_NAME in _strings(told.get("painted_files")):
        ours |= listing & {COCO_NAME}
    found = {name: picture.out / name for name in ours}
    for name, part in _parts(pending).items():
        if part in listing and (name == COCO_NAME or _is_paint(name, picture.name)):
            found[name] = picture.out / part
    return dict(sorted(found.items()))


def _from_masks(before: _Before) -> Loaded | None:
    colors = {name: _mask_color(name, before.picture.name) for name in before.files}
    found = [(before.files[name], color) for name, color in colors.items() if color is not None]
    if not found:
        return None
    paths = [before.picture.out / name for name, color in colors.items() if color is not None]
    classes = before.classes.joined(_mask_class(path, color) for path, color in found)
    numbers = classes.numbers()
    class_map = np.zeros(before.shape, np.int16)
    for path, color in found:
        class_map[_read_mask(path, before.shape)] = numbers[color]
    return Loaded(Painting(class_map, classes), paths, [])


def _mask_class(path: Path, color: Color) -> PaintClass:
    try:
        return class_of(color)
    except UsageError as error:
        raise UsageError(f"{path}: {error}: rename it or move it away") from None


def _from_labels(before: _Before) -> Loaded | None:
    path = before.files.get(f"{before.picture.name}{LABELS_ENDING}")
    if path is None:
        return None
    labels = _read_labels(path, before.shape)
    counts = np.bincount(labels.ravel())
    present = [int(number) for number in np.flatnonzero(counts) if number]
    known = _numbered(path, present, before)
    classes = before.classes.joined(known[number] for number in present)
    numbers = classes.numbers()
    table = np.zeros(len(counts), np.int16)
    for number in present:
        table[number] = numbers[known[number].color]
    return Loaded(Painting(table[labels], classes), [path], [])


def _numbered(path: Path, present: list[int], before: _Before) -> dict[int, PaintClass]:
    """The class of each number of a label map.

    As NAME.json lists them; without it, as the palette does and then ours. A number that is new
    to the list gets the next colour that is free.
    """
    listed = {one.color for one in before.known.values()}
    whole = before.classes.joined(default_palette())
    free = [one for one in whole if one.color not in listed]
    new = [number for number in present if number not in before.known]
    if before.known:
        numbered = {**before.known, **dict(zip(new, free, strict=False))}
    else:
        numbered = dict(enumerate(free, start=1))
    missing = [number for number in present if number not in numbered]
    if missing:
        raise UsageError(
            f"{path} holds class {missing[0]}, which has no colour: name the classes with"
            " --palette, a line each like car,#cc0000"
        )
    return numbered


def _from_labelme(before: _Before) -> Loaded | None:
    path = before.files.get(f"{before.picture.name}{LABELME_ENDING}")
    return None if path is None else _labelme_loaded(path, before)


def _labelme_loaded(path: Path, before: _Before) -> Loaded:
    painting, notes = read_labelme(path, before.shape, before.classes)
    return Loaded(painting, [path], notes)


def _from_coco(before: _Before) -> Loaded | None:
    path = before.files.get(COCO_NAME)
    if path is None:
        return None
    painting = read_coco(path, before.picture.path.name, before.classes)
    if painting is None:
        return None
    _check_size(path, painting.class_map.shape, before.shape)
    return Loaded(painting, [path], [])


def _without_files(before: _Before) -> Loaded | None:
    """A picture saved with nothing painted, or one that labelme alone knows."""
    image = before.picture.path
    if "painted_files" in before.told:
        if before.told.get("classes"):
            return None  # somebody has taken the files away
        nothing = Painting(np.zeros(before.shape, np.int16), before.classes)
        return Loaded(nothing, [before.picture.file(".json")], [])
    path = image.with_name(f"{image.stem}.json")
    return _labelme_loaded(path, before) if is_labelme_of(path, image) else None


def _read_mask(path: Path, shape: Shape) -> NDArray[np.bool_]:
    """(h, w) bool: where a mask is half white or more, and half opaque or more."""
    pixels = _pixels(path, shape, flat=True)
    if pixels.dtype == bool:
        return pixels
    half = HALF if pixels.dtype == np.uint8 else HALF << 8
    if pixels.ndim == 2:
        return np.asarray(pixels >= half)
    light = (pixels[..., :3] >= half).any(axis=2)
    return np.asarray(light & (pixels[..., 3] >= half) if pixels.shape[2] == 4 else light)


def _read_labels(path: Path, shape: Shape) -> NDArray[np.int64]:
    pixels = _pixels(path, shape, flat=False)
    if pixels.ndim != 2:
        raise UsageError(f"{path} is no label map: needed is a gray PNG of class numbers")
    return pixels.astype(np.int64)


def _pixels(path: Path, shape: Shape, *, flat: bool) -> NDArray[Any]:
    """What a PNG of a picture's size holds; `flat`: colours in place of a palette's indices."""
    from PIL import PngImagePlugin

    try:
        require_file(path)
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableImageError(f"{path} can't be read: {os_reason(error)}") from None
    try:
        png = PngImagePlugin.PngImageFile(io.BytesIO(data))
        _check_size(path, png.size[::-1], shape)
        png.load()
        rgba = flat and (png.mode == "P" or png.has_transparency_data)
        return np.asarray(png.convert("RGBA") if rgba else png)
    except UsageError:
        raise
    # Broken files make Pillow's reader raise nearly anything; to the user it is one file.
    except Exception:
        raise UnreadableImageError(f"{path} is no whole PNG: mend it or move it away") from None


def _check_size(path: Path, found: tuple[int, ...], shape: Shape) -> None:
    if tuple(found) != tuple(shape):
        raise UsageError(
            f"{path} has {found[1]}x{found[0]} pixels, the picture {shape[1]}x{shape[0]}: bring it"
            " to the picture's size or move it away"
        )


def _listing(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in folder.iterdir()}
    except FileNotFoundError:
        return set()


def _mask_color(file_name: str, name: str) -> Color | None:
    """The colour in the name of a mask of the picture `name`; None for any other file."""
    rest = file_name.removeprefix(name)
    found = _MASK.fullmatch(rest) if rest != file_name else None
    return (int(found[2]), int(found[3]), int(found[4])) if found else None


def _is_paint(file_name: str, name: str) -> bool:
    """Whether a file of this name is loaded as paint of the picture `name`."""
    fixed = (f"{name}{LABELS_ENDING}", f"{name}{LABELME_ENDING}")
    return file_name in fixed or _mask_color(file_name, name) is not None


def _pending(told: dict[str, Any]) -> dict[str, Any]:
    pending = told.get(_PENDING)
    return pending if isinstance(pending, dict) else {}


def _parts(pending: dict[str, Any]) -> dict[str, str]:
    """Hidden name of each file that has not got its own yet; nothing that could be another's."""
    parts = pending.get("parts")
    return {
        str(name): part
        for name, part in (parts.items() if isinstance(parts, dict) else ())
        if isinstance(part, str) and _PART.fullmatch(part)
    }


def _strings(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
