"""Masks of one object: quality and clicks; docs/segmenters, benchmarks/segmentation.md.

``python benchmarks/cutout.py`` with the image sets in ICAS_DATA (default ../shared/data beside the
checkout). ``--no-large`` leaves out the 12-megapixel images, on which OpenCV alone takes minutes.
``--sam FILE`` compares a checkpoint of Segment Anything with GrabCut instead, by boxes and points.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from cutout_clicks import WAYS, clicks_needed, largest_error
from cutout_strokes import Case, Mask, cases, drawn, iou, read_strokes
from segment_quality import PAGES, RESULTS, TOP, enlarged, write_between

from icas.io.reading import Image
from icas.segmentimg.grabcut.annotation import BACKGROUND, FOREGROUND, Annotation
from icas.segmentimg.grabcut.api import GrabCutSession, grabcut
from icas.segmentimg.labels.labels import Box, bounding_box
from icas.segmentimg.segmenters.sam import SamSegmenter

MARGIN = 4
GOALS = (0.85, 0.90)
CAP = 20


def main() -> int:
    data = Path(os.environ.get("ICAS_DATA") or TOP.parent / "shared" / "data")
    if not (data / "seg-grabcut").is_dir():
        print(f"cutout: no pictures at {data / 'seg-grabcut'}: set ICAS_DATA", file=sys.stderr)
        return 2
    photos, horses = cases(data / "seg-grabcut"), cases(data / "seg-horses")[1::2]
    if "--sam" in sys.argv:
        checkpoint = sys.argv[sys.argv.index("--sam") + 1]
        write_between(PAGES / "sam.md", {"sam": sam_table(checkpoint, photos, horses)})
        return 0
    write_between(PAGES / "grabcut.md", {"cutout": strokes_table(data, photos, horses)})
    write_between(RESULTS, {"clicks": clicks_table(photos, horses)})
    if "--no-large" not in sys.argv:
        write_between(RESULTS, {"cutout12": large_table(photos)})
    return 0


def strokes_table(data: Path, photos: list[Case], horses: list[Case]) -> list[str]:
    """A row per kind of annotation: OpenCV alone, one round of icas, five rounds; CPU time."""
    lines = [
        "| images | annotation | OpenCV, 5 rounds | 1 round | 5 rounds | ms of CPU for the first |",
        "|---|---|---|---|---|---|",
    ]
    rows: list[tuple[str, str, list[Case], list[Annotation]]] = []
    for kind in ("scribbles1", "scribbles2"):
        strokes = [read_strokes(data / "seg-grabcut", kind, case.name) for case in photos]
        rows.append(("photographs", kind, photos, [Annotation((), one) for one in strokes]))
    rows.append(("photographs", "rectangle", photos, [boxed(case) for case in photos]))
    for style in ("few lines", "many lines"):
        strokes = drawn(style, horses, seed=2)
        rows.append(("horses", style, horses, [Annotation((), one) for one in strokes]))
    rows.append(("horses", "rectangle", horses, [boxed(case) for case in horses]))
    for folder, kind, given, said in rows:
        figures = np.array([_one(*pair) for pair in zip(given, said, strict=True)])
        theirs, one, five, seconds = figures.mean(axis=0)
        lines.append(
            f"| {folder} | {kind} | {theirs:.3f} | {one:.3f} | {five:.3f} | {seconds * 1000:.0f} |"
        )
        print(lines[-1], file=sys.stderr)
    return lines


def _one(case: Case, said: Annotation) -> tuple[float, float, float, float]:
    cutout = GrabCutSession(case.image)
    start = time.process_time()
    one = cutout.round(said)
    seconds = time.process_time() - start
    five = GrabCutSession(case.image).run(said, 5)
    theirs = opencv(case.image, said, 5)
    return iou(case, theirs), iou(case, one), iou(case, five), seconds


def sam_table(checkpoint: str, photos: list[Case], horses: list[Case]) -> list[str]:
    """Mean IoU of Segment Anything from a point and from a box, beside GrabCut from the box."""
    lines = [
        "| images | `sam`, one point | `sam`, box | `grabcut`, box, 5 rounds |",
        "|---|---|---|---|",
    ]
    for name, given in (("photographs", photos), ("horses", horses)):
        figures = []
        for case in given:
            top, bottom, left, right = boxed(case).boxes[0]
            row, column = largest_error(case, np.zeros(case.object.shape, bool)) or (0, 0)
            prompts = {"points": ((column, row, 1),)}, {"boxes": ((left, top, right, bottom),)}
            masks = [prompted(case.image, checkpoint, **prompt) for prompt in prompts]
            masks.append(GrabCutSession(case.image).run(boxed(case), 5))
            figures.append([iou(case, mask) for mask in masks])
        cells = " | ".join(f"{value:.3f}" for value in np.mean(figures, axis=0))
        lines.append(f"| {len(given)} {name} | {cells} |")
        print(lines[-1], file=sys.stderr)
    return lines


def prompted(image: Image, checkpoint: str, **prompt: Any) -> Mask:
    """The best mask of Segment Anything; its embedding is cached between calls."""
    return SamSegmenter(checkpoint=checkpoint, **prompt).object_mask(image)


def boxed(case: Case) -> Annotation:
    """The object's bounding box, a little larger."""
    found = bounding_box(case.object)
    return Annotation((grown(found, case.object.shape),), np.zeros(case.object.shape, np.uint8))


def grown(box: Box, shape: tuple[int, ...]) -> Box:
    height, width = shape
    return (
        max(1, box[0] - MARGIN),
        min(height - 1, box[1] + MARGIN),
        max(1, box[2] - MARGIN),
        min(width - 1, box[3] + MARGIN),
    )


def opencv(image: Image, said: Annotation, rounds: int) -> Mask:
    """``cv2.grabCut`` alone: unknown is probably foreground in a box, else probably background."""
    kinds = np.full(said.strokes.shape, cv2.GC_PR_BGD, np.uint8)
    if said.boxes:
        kinds = np.where(said.inside(), cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    kinds[said.strokes == FOREGROUND] = cv2.GC_FGD
    kinds[said.strokes == BACKGROUND] = cv2.GC_BGD
    back, front = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    bgr = np.ascontiguousarray(image[..., ::-1])
    cv2.grabCut(bgr, kinds, None, back, front, rounds, cv2.GC_INIT_WITH_MASK)
    return np.asarray(kinds & 1, bool)


def large_table(photos: list[Case]) -> list[str]:
    """One round on 12 megapixels from a rectangle: OpenCV alone and ours."""
    lines = [
        "| image | OpenCV, s | icas, s | times as fast | IoU between them |",
        "|---|---|---|---|---|",
    ]
    for case in photos:
        if case.name not in LARGE:
            continue
        image, small = enlarged(case.image), boxed(case)
        scale = image.shape[0] / case.image.shape[0]
        corners = [round(value * scale) for value in small.boxes[0]]
        box = (corners[2], corners[0], corners[3], corners[1])
        start = time.perf_counter()
        ours = grabcut(image, box, rounds=1)
        middle = time.perf_counter()
        theirs = opencv(image, Annotation((tuple(corners),), np.zeros(ours.shape, np.uint8)), 1)
        end = time.perf_counter()
        both = (ours & theirs).sum() / max(1, (ours | theirs).sum())
        lines.append(
            f"| {case.name} | {end - middle:.1f} | {middle - start:.2f} |"
            f" {(end - middle) / (middle - start):.0f} | {both:.3f} |"
        )
        print(lines[-1], file=sys.stderr)
    return lines


LARGE = ("21077", "304074", "388016")


def clicks_table(photos: list[Case], horses: list[Case]) -> list[str]:
    """Mean clicks of a simulated user until an IoU is reached, and who never got there."""
    heads = [
        f"{name}: clicks to {goal:.2f} (never)"
        for name in ("photographs", "horses")
        for goal in GOALS
    ]
    lines = [f"| method | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    for way, start in WAYS.items():
        cells = []
        for given in (photos, horses):
            needed = np.array([clicks_needed(case, start(case), GOALS, CAP) for case in given])
            for goal in range(len(GOALS)):
                column = needed[:, goal]
                cells.append(f"{np.minimum(column, CAP).mean():.1f} ({(column > CAP).mean():.0%})")
        lines.append(f"| {way} | {' | '.join(cells)} |")
        print(lines[-1], file=sys.stderr)
    return lines


if __name__ == "__main__":
    sys.exit(main())
