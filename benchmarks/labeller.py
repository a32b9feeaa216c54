"""A scripted labeller: actions until the painted object has an IoU of 0.85 with the truth.

``python benchmarks/labeller.py`` with the image sets in ICAS_DATA (default ../shared/data beside
the checkout); it writes the table of ``benchmarks/segmentation.md``. MobileSAM is read from its
folder ``weights``.

The labeller points at the middle of the largest error. An action is a click, a turn of the wheel
by any number of notches, or a key. With growing it turns the wheel only where that gains more per
action than a click with the step of the click before. With Segment Anything and GrabCut it clicks
and presses Enter at the end; the mask follows each click.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cutout_clicks import largest_error
from cutout_strokes import Case, Mask, cases, iou
from numpy.typing import NDArray
from segment_quality import RESULTS, TOP, write_between

from icas.segmentimg.document.palette import default_palette
from icas.segmentimg.formats.inputs import ImageFile
from icas.segmentimg.grabcut.annotation import Annotation, Point, point_strokes
from icas.segmentimg.grabcut.api import GrabCutSession
from icas.segmentimg.sam.predictor import Prompts, Refinement, Step
from icas.segmentimg.segmenters import make_segmenter
from icas.segmentimg.segmenters.sam import SamSegmenter
from icas.segmentimg.session.open import ImageOpener

GOAL, CAP = 0.85, 40
WORK_SIZE, MAX_PIXELS = 1_500_000, 10**9
NAMES = ("mobile_sam_encoder.onnx", "mobile_sam_decoder.onnx")


@dataclass(frozen=True)
class Labelled:
    """Actions and notches of the wheel until the goal, and the IoU reached."""

    actions: int
    notches: int
    iou: float

    @property
    def reached(self) -> bool:
        return self.iou >= GOAL


def main() -> int:
    data = Path(os.environ.get("ICAS_DATA") or TOP.parent / "shared" / "data")
    if not (data / "seg-grabcut").is_dir():
        print(f"labeller: no images at {data / 'seg-grabcut'}: set ICAS_DATA", file=sys.stderr)
        return 2
    ways: dict[str, Callable[[Case, Path], Labelled]] = {
        "growing": by_growing,
        "GrabCut, clicks": lambda case, path: by_grabcut(case),
    }
    encoder, decoder = (data / "weights" / name for name in NAMES)
    if encoder.is_file() and decoder.is_file():
        sam = SamSegmenter(checkpoint=f"{encoder},{decoder}", mode="prompt")
        ways["MobileSAM"] = lambda case, path: by_points(case, sam)
    lines = [
        f"| method | actions to {GOAL}, median | mean | worst | not within {CAP} | notches |",
        "|---|---|---|---|---|---|",
    ]
    photos = cases(data / "seg-grabcut")
    for name, way in ways.items():
        found = [way(case, data / "seg-grabcut" / "images" / f"{case.name}.jpg") for case in photos]
        actions = np.array([min(one.actions, CAP) for one in found])
        never = sum(not one.reached for one in found)
        notches = f"{np.median([one.notches for one in found]):g}" if name == "growing" else "-"
        lines.append(
            f"| {name} | {np.median(actions):g} | {actions.mean():.1f} | {actions.max()} |"
            f" {never} | {notches} |"
        )
        print(lines[-1], [one.actions for one in found], file=sys.stderr)
    write_between(RESULTS, {"labeller": lines})
    return 0


def by_growing(case: Case, path: Path) -> Labelled:
    """Left and right clicks in the painting window, with Ctrl and the wheel before some of them."""
    opener = ImageOpener(make_segmenter("superpixel"), WORK_SIZE, MAX_PIXELS, resume=False)
    opened = opener.open(ImageFile(path, path.parent / "nowhere", path.stem))
    document, growth, color = opened.document, opened.growth, default_palette()[0].color
    level, actions, notches, reached = 0.0, 0, 0, 0.0
    while actions < CAP and reached < GOAL:
        mask = document.class_map() > 0
        place = largest_error(case, mask)
        if place is None:
            break
        front, segment = bool(case.object[place]), document.segment_at(*place)

        def after(
            at: float, segment: int = segment, front: bool = front, mask: Mask = mask
        ) -> float:
            changed = mask.copy()
            changed[np.isin(document.labels, growth.group(segment, at))] = front
            return iou(case, changed)

        steps = growth.steps(segment).tolist()
        values = [after(at) for at in steps]
        best = int(np.argmax(values))
        if 2 * (after(level) - reached) < values[best] - reached:
            before = int(np.searchsorted(steps, level, side="right")) - 1
            actions, notches, level = actions + 1, notches + abs(best - before), steps[best]
        document.fill_segments(growth.group(segment, level), color if front else None)
        actions += 1
        reached = iou(case, document.class_map() > 0)
    return Labelled(actions, notches, reached)


def _filled(
    mask: Mask, labels: NDArray[np.int32], segments: NDArray[np.int32], front: bool
) -> Mask:
    changed = mask.copy()
    changed[np.isin(labels, segments)] = front
    return changed


def by_points(case: Case, segmenter: SamSegmenter) -> Labelled:
    """Points for Segment Anything; each refines the best mask before."""
    refinement = Refinement(segmenter.annotator(case.image))
    points: list[Point] = []
    steps: list[Step] = []

    def click(row: int, column: int, front: bool) -> Mask:
        points.append((column, row, int(front)))
        steps.append((Prompts((), tuple(points)), 0))
        return refinement.predict(steps).candidate(0)

    return _clicked(case, click)


def by_grabcut(case: Case) -> Labelled:
    """Clicks on the object and on the background; a round after each."""
    session, points = GrabCutSession(case.image), list[Point]()

    def click(row: int, column: int, front: bool) -> Mask:
        points.append((column, row, int(front)))
        return session.round(Annotation((), point_strokes(points, case.object.shape)))

    return _clicked(case, click)


def _clicked(case: Case, click: Callable[[int, int, bool], Mask]) -> Labelled:
    mask, reached, clicks = np.zeros(case.object.shape, bool), 0.0, 0
    while clicks + 1 < CAP and reached < GOAL:
        place = largest_error(case, mask)
        if place is None:
            break
        mask = click(*place, bool(case.object[place]))
        clicks, reached = clicks + 1, iou(case, mask)
    return Labelled(clicks + 1, 0, reached)  # Enter


if __name__ == "__main__":
    sys.exit(main())
