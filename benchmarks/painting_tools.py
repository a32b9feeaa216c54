"""A scripted labeller at the server of `segmentimg serve`: actions of each tool, and live prompts.

``python benchmarks/painting_tools.py`` with the image sets in ICAS_DATA (default ../shared/data
beside the checkout); it writes the tables of ``benchmarks/segmentation.md``. MobileSAM is read from
its folder ``weights``.

Every command and prompt goes through HTTP, as from the page. The labeller knows the true masks. It
paints until the IoU is at least 0.85, and gives up after 40 actions. An action is a click, a drag,
a turn of the wheel by any number of notches, a change of the brush size, or a key.
"""

from __future__ import annotations

import base64
import gzip
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
from cutout_clicks import largest_error
from cutout_strokes import Case, Mask, cases, iou
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from segment_quality import RESULTS, TOP, write_between
from skimage.graph import MCP_Geometric
from skimage.measure import label

from icas.io.reading import read_image
from icas.segmentimg.settings import SegmentSettings
from icas.web.painting import serving

GOAL, CAP = 0.85, 40
NAMES = ("mobile_sam_encoder.onnx", "mobile_sam_decoder.onnx")
RADII = (3, 6, 12, 24, 48)
GRID = 8
"""Side of the squares at whose corners rectangles begin and end."""
HORSES = (("horse070", "horse106", "horse164", "horse189", "horse092"), "113009")
HORSE_PIXELS = ((225, 196), (255, 92))
"""Pixels of the mare and the foal in photograph 113009."""
ROADS = ("0006R0_f02040", "0016E5_05400", "0001TP_006690")
ROAD, VOID = 3, 11


@dataclass(frozen=True)
class Task:
    """An image with one or more true objects of a class."""

    kind: str
    path: Path
    case: Case
    objects: tuple[Mask, ...]


def tasks_in(data: Path) -> list[Task]:
    """The aeroplane, the horses and the road images."""
    found = [
        Task("aeroplane", data / "seg-grabcut" / "images" / "37073.jpg", case, (case.object,))
        for case in cases(data / "seg-grabcut")
        if case.name == "37073"
    ]
    photo = data / "seg-bsds500"
    with np.load(photo / "gt_npz" / f"{HORSES[1]}.npz") as truth:
        segments = truth["segs"][0]
    both = tuple(segments == segments[place] for place in HORSE_PIXELS)
    found.append(_task("two horses", photo / "images" / f"{HORSES[1]}.jpg", both))
    horses = data / "seg-horses"
    for name in HORSES[0]:
        mask = read_image(next((horses / "masks").glob(f"{name}.*")))[..., 0] > 127
        found.append(_task("one horse", horses / "images" / f"{name}.jpg", (mask,)))
    for name in ROADS:
        numbers = read_image(data / "seg-camvid" / "labels" / f"{name}.png")[..., 0]
        path = data / "seg-camvid" / "images" / f"{name}.png"
        found.append(_task("road", path, (numbers == ROAD,), numbers != VOID))
    return found


def _task(kind: str, path: Path, objects: tuple[Mask, ...], counted: Mask | None = None) -> Task:
    whole = np.logical_or.reduce(objects)
    everywhere = np.ones_like(whole) if counted is None else counted
    return Task(kind, path, Case(path.stem, read_image(path), whole, everywhere), objects)


class Labeller:
    """Paints numbered images through the HTTP API."""

    def __init__(self, url: str, painting: Any) -> None:
        base = url.partition("/?")[0]
        headers = {"Origin": base, "X-Icas": "1"}
        self._http = httpx.Client(base_url=base, headers=headers, timeout=120)
        self._http.get(url)
        self._painting, self._ids = painting, count()
        self.rev = self.get("state")["rev"]

    def get(self, path: str) -> Any:
        """The answer to a request, once it is there."""
        while (answer := self._http.get(f"/api/{path}")).status_code == 202:
            time.sleep(0.02)
        answer.raise_for_status()
        return answer.json()

    def do(self, op: str, image: int, **args: Any) -> Any:
        """Carry out a command."""
        body = {"rev": self.rev, "id": f"labeller {next(self._ids)}", "op": op, "image": image}
        answer = self._http.post("/api/commands", json={**body, "args": args})
        if answer.status_code != 200:
            raise RuntimeError(answer.text)
        self.rev = answer.json()["rev"]
        return answer.json()

    def prompt(self, image: int, shape: tuple[int, ...], **drawn: Any) -> tuple[str | None, Mask]:
        """The mask of a prompt after the last round, and its number."""
        for serial in count():
            body = {"image": image, "serial": serial, **drawn}
            answer = self._http.post("/api/prompt", json=body)
            if answer.status_code not in (200, 202):
                raise RuntimeError(answer.text)
            content = answer.json()
            if answer.status_code == 202:
                time.sleep(0.02)
            elif not content.get("more"):
                return _mask_in(content, shape)
        raise AssertionError

    def labels(self, image: int) -> NDArray[np.int32]:
        """The segments of an image."""
        return self._painting.opened(image).document.labels

    def painted(self, image: int) -> Mask:
        """What is painted."""
        return np.asarray(self._painting.opened(image).document.class_map() > 0)


def _mask_in(content: Any, shape: tuple[int, ...]) -> tuple[str | None, Mask]:
    mask = np.zeros(shape[:2], bool)
    if content.get("prompt") is None:
        return None, mask
    top, left, bottom, right = content["box"]
    bits = np.frombuffer(gzip.decompress(base64.b64decode(content["data"])), np.uint8)
    rows = np.unpackbits(bits.reshape(bottom - top, -1), axis=1, count=right - left)
    mask[top:bottom, left:right] = rows
    return content["prompt"], mask


Tool = Callable[[Labeller, int, Task], int]
"""Paints the objects of an image; returns the actions, more than `CAP` if the goal is missed."""


def by_filling(user: Labeller, image: int, task: Task) -> int:
    """Clicks on segments, the largest gain first; right clicks clear."""
    labels, case = user.labels(image), task.case
    counts = int(labels.max()) + 1
    front = np.bincount(labels[case.object & case.counted], minlength=counts)
    back = np.bincount(labels[~case.object & case.counted], minlength=counts)
    order = np.argsort(back - front, kind="stable")
    for actions, segment in enumerate(order[:CAP].tolist(), start=1):
        row, col = np.argwhere(labels == segment)[0].tolist()
        user.do("fill", image, row=row, col=col, **{"class": 1})
        if iou(case, user.painted(image)) >= GOAL:
            return actions
    return CAP + 1


def by_dragging(user: Labeller, image: int, task: Task) -> int:
    """Drags that fill or clear all segments that they cross, along the largest error."""
    labels, case = user.labels(image), task.case
    for actions in range(1, CAP + 1):
        mask = user.painted(image)
        best: tuple[float, list[int], bool] | None = None
        for front in (True, False):
            wrong = case.counted & (mask != case.object) & (case.object == front)
            for radius in RADII:
                path = _longest_path(wrong, radius)
                crossed = np.unique([labels[row, col] for row, col in path]) if path else []
                if len(crossed) == 0:
                    continue
                gain = iou(case, np.where(np.isin(labels, crossed), front, mask))
                if best is None or gain > best[0]:
                    best = gain, [int(one) for one in crossed if one], front
        if best is None or best[0] <= iou(case, mask):
            break
        op, given = ("fill_segments", {"class": 1}) if best[2] else ("unfill_segments", {})
        user.do(op, image, segments=best[1], **given)
        if best[0] >= GOAL:
            return actions
    return CAP + 1


def by_growing(user: Labeller, image: int, task: Task) -> int:
    """A turn of the wheel and a click, in the middle of the largest error."""
    case, actions, notches, reached = task.case, 0, 0, 0.0
    labels = user.labels(image)
    while actions < CAP:
        mask = user.painted(image)
        place = largest_error(case, mask)
        if place is None:
            break
        steps = user.get(f"growth/{image}?row={place[0]}&col={place[1]}")["steps"]
        front = bool(case.object[place])
        groups = [np.concatenate(steps[: number + 1]) for number in range(len(steps))]
        values = [iou(case, np.where(np.isin(labels, group), front, mask)) for group in groups]
        best, kept = int(np.argmax(values)), min(notches, len(groups) - 1)
        if 2 * (values[kept] - reached) < values[best] - reached:
            actions, notches, kept = actions + 1, best, best
        op = {"class": 1} if front else {}
        user.do(
            "fill_segments" if front else "unfill_segments",
            image,
            segments=groups[kept].tolist(),
            **op,
        )
        actions, reached = actions + 1, iou(case, user.painted(image))
        if reached >= GOAL:
            return actions
    return CAP + 1


def by_brush(user: Labeller, image: int, task: Task) -> int:
    """Strokes along the largest error; the eraser where too much is painted."""
    case, actions, last = task.case, 0, 0
    while actions < CAP:
        mask = user.painted(image)
        best: tuple[float, int, list[list[int]], bool] | None = None
        for front in (True, False):
            wrong = case.counted & (mask != case.object) & (case.object == front)
            for radius in RADII:
                path = _longest_path(wrong, radius)
                if not path:
                    continue
                after = mask.copy()
                after[_swept(mask.shape, path, radius)] = front
                gain = (iou(case, after) - iou(case, mask)) / (1 if radius == last else 2)
                if best is None or gain > best[0]:
                    best = gain, radius, path, front
        if best is None or best[0] <= 0:
            break
        _, radius, path, front = best
        user.do("brush", image, points=path, radius=radius, **{"class": 1 if front else None})
        actions, last = actions + 1 + (radius != last), radius
        if iou(case, user.painted(image)) >= GOAL:
            return actions
    return CAP + 1


def _longest_path(wrong: Mask, radius: int) -> list[list[int]]:
    """A long way of a disc that stays in the largest wrong region."""
    inner = distance_transform_edt(np.pad(wrong, 1))[1:-1, 1:-1]
    free = label(inner >= radius, connectivity=2)
    if not free.any():
        return []
    largest = free == np.bincount(free.ravel())[1:].argmax() + 1
    costs = np.where(largest, 1.0, -1.0)
    start = tuple(np.argwhere(largest)[0])
    for _ in range(2):
        ways = MCP_Geometric(costs)
        far, _ = ways.find_costs([start])
        end = np.unravel_index(np.where(np.isfinite(far), far, -1).argmax(), far.shape)
        path = ways.traceback(end)
        start = tuple(int(v) for v in end)
    return [[int(row), int(col)] for row, col in [*path[::3], path[-1]]]


def _swept(shape: tuple[int, ...], path: list[list[int]], radius: int) -> Mask:
    drawn = np.zeros(shape, np.uint8)
    points = [(col, row) for row, col in path]
    for before, after in zip([points[0], *points], points, strict=False):
        cv2.line(drawn, before, after, 1, 2 * radius + 1)
    return drawn > 0


def by_polygon(user: Labeller, image: int, task: Task) -> int:
    """As few corners as reach the goal, and a key to close each polygon."""
    for tolerance in (64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1):
        outlines = [_outline(mask, tolerance) for mask in task.objects]
        for outline in outlines:
            user.do("polygon", image, points=outline, **{"class": 1})
        if iou(task.case, user.painted(image)) >= GOAL:
            return sum(len(outline) + 1 for outline in outlines)
        user.do("reset", image)
    return CAP + 1


def _outline(mask: Mask, tolerance: float) -> list[list[int]]:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(contours, key=cv2.contourArea)
    corners = cv2.approxPolyDP(largest, tolerance, True)[:, 0]
    corners = corners if len(corners) >= 3 else cv2.boxPoints(cv2.minAreaRect(largest)).astype(int)
    return [[int(row), int(col)] for col, row in corners]


def by_rectangle(user: Labeller, image: int, task: Task) -> int:
    """Drags, the largest gain first; with the eraser where too much is painted."""
    case = task.case
    for actions in range(1, CAP + 1):
        mask = user.painted(image)
        side = np.where(case.object, 1, -1) * case.counted
        gains = [_best_box(np.where(mask, 0, side)), _best_box(np.where(mask, -side, 0))]
        number = int(np.argmax([gain for gain, _ in gains]))
        gain, box = gains[number]
        if gain <= 0:
            break
        user.do("rectangle", image, box=box, **{"class": 1 if number == 0 else None})
        if iou(case, user.painted(image)) >= GOAL:
            return actions
    return CAP + 1


def _best_box(weights: NDArray[np.int64]) -> tuple[int, list[int]]:
    """The box with the largest sum of weights, on a grid."""
    height, width = weights.shape
    sums = np.pad(weights, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    rows = np.unique([*range(0, height, GRID), height])
    cols = np.unique([*range(0, width, GRID), width])
    grid = sums[np.ix_(rows, cols)]
    best, found = 0, [0, 0, 0, 0]
    for top in range(len(rows) - 1):
        strips = grid[top + 1 :] - grid[top]
        lowest = np.minimum.accumulate(strips, axis=1)
        gains = strips[:, 1:] - lowest[:, :-1]
        bottom, right = np.unravel_index(gains.argmax(), gains.shape)
        if gains[bottom, right] > best:
            left = int(strips[bottom, : right + 1].argmin())
            best = int(gains[bottom, right])
            corner = [int(rows[top]), int(cols[left])]
            found = [*corner, int(rows[top + 1 + bottom]), int(cols[right + 1])]
    return best, found


def box_of(mask: Mask) -> list[int]:
    """First row, first column, last row + 1, last column + 1."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [int(rows[0]), int(cols[0]), int(rows[-1]) + 1, int(cols[-1]) + 1]


def prompted(tool: str, *, boxed: bool) -> Tool:
    """A box or none, then clicks into the largest error; Enter paints the object."""

    def paint(user: Labeller, image: int, task: Task) -> int:
        actions = 0
        for truth in task.objects:
            case = Case(task.case.name, task.case.image, truth, task.case.counted)
            points: list[list[int]] = []
            drawn: dict[str, Any] = {"tool": tool}
            prompt, mask = None, np.zeros_like(truth)
            if boxed:
                drawn["box"] = box_of(truth)
                prompt, mask = user.prompt(image, truth.shape, **drawn)
                actions += 1
            while iou(case, mask) < GOAL and actions < CAP:
                place = largest_error(case, mask)
                if place is None:
                    break
                points.append([*place, int(truth[place])])
                prompt, mask = user.prompt(image, truth.shape, **drawn, points=points)
                actions += 1
            if prompt is not None:
                user.do("mask", image, prompt=prompt, **{"class": 1})
                actions += 1
        reached = iou(task.case, user.painted(image))
        return actions if reached >= GOAL - 0.005 and actions <= CAP else CAP + 1

    return paint


TOOLS: dict[str, Tool] = {
    "polygon": by_polygon,
    "rectangle": by_rectangle,
    "brush": by_brush,
    "fill, clicks": by_filling,
    "fill, drags": by_dragging,
    "growth": by_growing,
    "GrabCut, clicks": prompted("grabcut", boxed=False),
    "GrabCut, box": prompted("grabcut", boxed=True),
    "MobileSAM, clicks": prompted("sam", boxed=False),
    "MobileSAM, box": prompted("sam", boxed=True),
}


@contextmanager
def labeller(paths: list[Path], sam: dict[str, str]) -> Iterator[Labeller]:
    """A labeller at the server of copies of images, in this order."""
    with tempfile.TemporaryDirectory() as folder:
        copies = []
        for number, path in enumerate(paths):
            copies.append(Path(folder, f"{number:02}-{path.name}"))
            shutil.copy(path, copies[-1])
        with serving([folder], SegmentSettings(), sam) as server:
            server.start()
            yield Labeller(server.address.url, server.painting)
            server.stop()


def actions_table(data: Path, sam: dict[str, str]) -> list[str]:
    """A row per tool with the median of the actions on each kind of image."""
    tasks = tasks_in(data)
    kinds = list(dict.fromkeys(task.kind for task in tasks))
    heads = [f"{kind} ({sum(task.kind == kind for task in tasks)})" for kind in kinds]
    lines = [f"| tool | {' | '.join(heads)} |", "|---" * (len(kinds) + 1) + "|"]
    tools = {name: tool for name, tool in TOOLS.items() if sam or "SAM" not in name}
    with labeller([task.path for task in tasks], sam) as user:
        for name, tool in tools.items():
            found: dict[str, list[int]] = {kind: [] for kind in kinds}
            for image, task in enumerate(tasks):
                user.get(f"doc/{image}")
                user.do("reset", image)
                found[task.kind].append(tool(user, image, task))
            medians = [np.median(found[kind]) for kind in kinds]
            cells = [f"over {CAP}" if value > CAP else f"{value:g}" for value in medians]
            lines.append(f"| {name} | {' | '.join(cells)} |")
            print(lines[-1], found, file=sys.stderr)
    return lines


def boxes_table(data: Path, sam: dict[str, str]) -> list[str]:
    """Mean IoU with the true boxes of seg-grabcut, and processor time of a prompt."""
    photos = cases(data / "seg-grabcut")
    paths = [data / "seg-grabcut" / "images" / f"{case.name}.jpg" for case in photos]
    lines = ["| tool | IoU, mean | worst | s of processor time for a mask, median | worst |"]
    lines.append("|---" * 5 + "|")
    with labeller(paths, sam) as user:
        for image in range(len(photos)):
            user.get(f"doc/{image}")
        for name, tool in {"GrabCut": "grabcut", **({"MobileSAM": "sam"} if sam else {})}.items():
            values, seconds = [], []
            for image in reversed(range(len(photos))):  # the images after it are embedded
                case = photos[image]
                user.prompt(image, case.object.shape, tool=tool)
                start = time.process_time()
                drawn = {"tool": tool, "box": box_of(case.object)}
                _, mask = user.prompt(image, case.object.shape, **drawn)
                seconds.append(time.process_time() - start)
                values.append(iou(case, mask))
            cells = f"{np.mean(values):.3f} | {min(values):.3f}"
            times = f"{np.median(seconds):.2f} | {max(seconds):.2f}"
            lines.append(f"| {name} | {cells} | {times} |")
            print(lines[-1], file=sys.stderr)
    return lines


def main() -> int:
    data = Path(os.environ.get("ICAS_DATA") or TOP.parent / "shared" / "data")
    if not (data / "seg-grabcut").is_dir():
        print(
            f"painting_tools: no images at {data / 'seg-grabcut'}: set ICAS_DATA", file=sys.stderr
        )
        return 2
    files = [data / "weights" / name for name in NAMES]
    there = all(file.is_file() for file in files)
    sam = {"checkpoint": ",".join(map(str, files)), "cache": "none"} if there else {}
    write_between(RESULTS, {"prompts": boxes_table(data, sam)})
    write_between(RESULTS, {"painting": actions_table(data, sam)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
