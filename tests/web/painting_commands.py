"""Random commands of painting, and the same commands on a `PaintDocument`."""

from __future__ import annotations

import base64
import gzip
import random
from typing import Any

import numpy as np

import icas
from icas.segmentimg.formats.shapes import shape_of

CLASSES = (1, 2, 3, 4)


def random_command(rng: random.Random, shape: tuple[int, int], count: int) -> tuple[str, Any]:
    """Name and arguments of a command on an image of a shape (h, w) with `count` segments."""
    height, width = shape

    def point() -> list[int]:
        return [rng.randrange(-3, height + 3), rng.randrange(-3, width + 3)]

    number = rng.choice([{}, {"number": "new"}, {"number": rng.randint(1, 3)}])
    paint = {"class": rng.choice(CLASSES), **number}
    row, col = point()
    ops: dict[str, Any] = {
        "fill": {"row": row, "col": col, **paint},
        "fill_segments": {"segments": rng.sample(range(1, count + 1), min(3, count)), **paint},
        "unfill": {"row": row, "col": col},
        "unfill_segments": {"segments": rng.sample(range(1, count + 1), min(3, count))},
        "cut": {"from": point(), "to": point()},
        "brush": {"points": [point() for _ in range(rng.randint(1, 5))], **paint, "radius": 3},
        "eraser": {"points": [point() for _ in range(3)], "radius": rng.randrange(8)},
        "rectangle": {"box": [5, 5, 5 + rng.randint(1, 30), 5 + rng.randint(1, 30)], **paint},
        "polygon": {"points": [[2, 3], [40, 9], point()], **paint},
        "new_object": {"class": paint["class"]},
        "reset": {},
    }
    weights = [1 if op == "reset" else 6 for op in ops]
    op = rng.choices(list(ops), weights)[0]
    return op, ops[op]


def apply(document: icas.PaintDocument, op: str, args: Any) -> None:
    """Carry out a command on a document by its public methods."""
    color = None
    if args.get("class"):
        color = document.colors[args["class"] - 1]
    instance = args.get("number")
    if instance == "new":
        instance = document.new_object(color)
    if op == "fill":
        document.fill(args["row"], args["col"], color, instance)
    elif op == "unfill":
        document.unfill(args["row"], args["col"])
    elif op in ("fill_segments", "unfill_segments"):
        document.fill_segments(args["segments"], color, instance)
    elif op == "cut":
        document.cut(tuple(args["from"]), tuple(args["to"]))
    elif op in ("brush", "eraser"):
        points = [tuple(point) for point in args["points"]]
        with document.stroke():
            for start, (row, col) in zip([points[0], *points], points, strict=False):
                document.brush(row, col, args["radius"], color, start, instance)
    elif op == "rectangle":
        top, left, bottom, right = args["box"]
        mask = np.zeros(document.labels.shape, bool)
        mask[top:bottom, left:right] = True
        document.stamp(mask, color, instance)
    elif op == "polygon":
        corners = {"points": [(col, row) for row, col in args["points"]]}
        mask = shape_of("polygon", corners, document.labels.shape).mask
        document.stamp(mask, color, instance)
    elif op == "new_object":
        document.new_object(color)
    else:
        getattr(document, op)()


class Mirror:
    """An image as a page keeps it: the first answers, changed by deltas."""

    def __init__(self, client: Any, number: int) -> None:
        self.client, self.number = client, number
        while (answer := client.http.get(f"/api/doc/{number}")).status_code == 202:
            pass
        assert answer.status_code == 200, answer.text
        self.doc = answer.json()
        self.shape = self.doc["height"], self.doc["width"]
        classes, numbers = self.doc["classes"], self.doc["numbers"]
        numbers = numbers or [1] * len(classes)
        self.codes = [
            code + 65_536 * (number - 1) * (code > 0)
            for code, number in zip(classes, numbers, strict=True)
        ]
        kind = "<u2" if self.doc["bits"] == 16 else "<u4"
        self.labels = self._raw("labels", kind).astype(np.int32)
        self.overrides = np.full(self.shape, -1, np.int32)
        if self.doc["overrides"]:
            self.overrides = self._raw("overrides", "<i4").copy()

    def _raw(self, what: str, kind: str) -> Any:
        answer = self.client.http.get(f"/api/{what}/{self.number}?rev={self.doc['doc_rev']}")
        assert answer.status_code == 200, answer.text
        return np.frombuffer(answer.content, kind).reshape(self.shape)

    def update(self, delta: Any) -> None:
        """Apply the delta of an answer."""
        self.codes = [*self.codes[: delta["count"] + 1]]
        self.codes += [0] * (delta["count"] + 1 - len(self.codes))
        for segment, code, number in delta["segments"]:
            self.codes[segment] = code + 65_536 * (number - 1) * (code > 0)
        for name, array in (("labels", self.labels), ("overrides", self.overrides)):
            if delta[name] is not None:
                top, left, bottom, right = delta[name]["box"]
                kind = "<u2" if delta[name]["bits"] == 16 else "<i4"
                data = gzip.decompress(base64.b64decode(delta[name]["data"]))
                place = array[top:bottom, left:right]
                place[:] = np.frombuffer(data, kind).reshape(place.shape)
        self.doc.update({key: delta[key] for key in ("doc_rev", "objects", "undo", "redo", "mark")})

    def pixels(self) -> Any:
        """Class and object number of each pixel, as `PaintDocument.codes_of`."""
        codes = np.array(self.codes, np.int32)[self.labels]
        return np.where(self.overrides == -1, codes, self.overrides)
