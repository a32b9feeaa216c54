"""The commands of ``segmentimg``: one row each."""

from __future__ import annotations

from icas.common.programs import Program
from icas.common.registry import Entry

_HERE = "icas.segmentimg."
PROGRAM = Program(
    "segmentimg",
    default="segment",
    rows={
        "segment": Entry(
            _HERE + "segment_command:SEGMENT", "cut and paint pictures; it may be left out"
        ),
        "evaluate": Entry(_HERE + "evaluate_command:EVALUATE", "compare with true label maps"),
    },
)
