"""The commands of ``segmentimg``: one row each."""

from __future__ import annotations

from icas.cli.program import Program
from icas.common.registry import Entry

_HERE = "icas.segmentimg.commands."
PROGRAM = Program(
    "segmentimg",
    default="segment",
    rows={
        "segment": Entry(_HERE + "segment:SEGMENT", "cut and paint pictures; it may be left out"),
        "evaluate": Entry(_HERE + "evaluate:EVALUATE", "compare with true label maps"),
    },
)
