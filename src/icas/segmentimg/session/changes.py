"""What one command changed in a document, as values: for the command log and for a page."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import IcasError
from icas.segmentimg.document.document import NO_OVERRIDE, PaintDocument, PaintState
from icas.segmentimg.document.objects import OBJECT_STEP, classes_in, joined_codes, numbers_in
from icas.segmentimg.labels.labels import Box, rows_of


@dataclass(frozen=True, eq=False)
class Change:
    """The values of all that a command changed.

    Attributes
    ----------
    count : int
        Number of segments after it.
    segments, codes : (n,) int32 ndarray
        Segments with another class or object, and their codes of class and object number.
    box : (int, int, int, int) or None
        Box of the pixels that look different; None: nothing changed.
    labels : (h, w) int32 ndarray or None
        Segments in the box, if any changed.
    overrides : (h, w) int32 ndarray or None
        Codes of brushed pixels in the box, if there are any.
    """

    count: int
    segments: NDArray[np.int32]
    codes: NDArray[np.int32]
    box: Box | None = None
    labels: NDArray[np.int32] | None = None
    overrides: NDArray[np.int32] | None = None

    def packed(self) -> bytes:
        """As bytes."""
        stream = io.BytesIO()
        arrays = {"segments": self.segments, "codes": self.codes, "count": np.array(self.count)}
        if self.box is not None:
            arrays["box"] = np.array(self.box)
            arrays |= {} if self.labels is None else {"labels": self.labels}
            arrays |= {} if self.overrides is None else {"overrides": self.overrides}
        np.savez(stream, **arrays)  # type: ignore[arg-type]
        return zlib.compress(stream.getvalue(), 1)

    @classmethod
    def unpacked(cls, data: bytes) -> Change:
        """From the bytes of `packed`."""
        try:
            with np.load(io.BytesIO(zlib.decompress(data)), allow_pickle=False) as arrays:
                content = {name: arrays[name] for name in arrays.files}
            box = content.pop("box", None)
            top, bottom, left, right = (0, 0, 0, 0) if box is None else map(int, box)
            place = None if box is None else (top, bottom, left, right)
            return cls(int(content.pop("count")), box=place, **content)
        except (zlib.error, ValueError, KeyError, TypeError, OSError, EOFError) as error:
            raise IcasError(f"a command in the log is damaged ({type(error).__name__})") from None


class Recorder:
    """Notes the state of a document, to find what commands change from there."""

    def __init__(self, document: PaintDocument) -> None:
        self._document = document
        self._codes, self._cuts = document.codes, document.cuts

    def change(self, box: Box | None) -> Change:
        """What has changed, in a box of pixels."""
        document, codes = self._document, self._document.codes
        known = min(len(codes), len(self._codes))
        segments = np.flatnonzero(codes[:known] != self._codes[:known])
        added = np.arange(known, len(codes))
        segments = np.concatenate([segments, added]).astype(np.int32)
        labels = overrides = None
        if box is not None:
            if document.cuts != self._cuts:
                labels = document.labels[rows_of(box)].copy()
            if document.by_hand:
                overrides = document.overrides_of(rows_of(box))
        after = codes[segments]
        return Change(len(codes) - 1, np.asarray(segments, np.int32), after, box, labels, overrides)


def replayed(state: PaintState, changes: list[Change]) -> PaintState:
    """A state with changes applied in order."""
    if not changes:
        return state
    codes = joined_codes(state.classes, state.numbers).astype(np.int32)
    labels: NDArray[np.int32] = state.labels
    overrides: NDArray[Any] | None = state.overrides
    if overrides is not None:
        overrides = joined_codes(overrides, state.override_numbers).astype(np.int32)
    for change in changes:
        enlarged = np.zeros(change.count + 1, np.int32)
        kept = min(len(enlarged), len(codes))
        enlarged[:kept] = codes[:kept]
        codes = enlarged
        codes[change.segments] = change.codes
        if change.box is None:
            continue
        if change.labels is not None:
            labels = labels.copy() if labels is state.first else labels
            labels[rows_of(change.box)] = change.labels
        if change.overrides is not None:
            if overrides is None:
                overrides = np.full(labels.shape, NO_OVERRIDE, np.int32)
            overrides[rows_of(change.box)] = change.overrides
    several = codes.max(initial=0) >= OBJECT_STEP
    brushed = overrides is not None and overrides.max(initial=0) >= OBJECT_STEP
    return replace(
        state,
        labels=labels,
        classes=classes_in(codes).copy(),
        numbers=numbers_in(codes) if several else None,
        overrides=None if overrides is None else classes_in(overrides).copy(),
        override_numbers=numbers_in(overrides) if brushed and overrides is not None else None,
    )
