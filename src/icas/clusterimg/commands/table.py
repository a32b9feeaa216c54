"""The commands of ``clusterimg``: one row each."""

from __future__ import annotations

from icas.cli.program import Program
from icas.common.registry import Entry

_HERE = "icas.clusterimg.commands."
PROGRAM = Program(
    "clusterimg",
    default="cluster",
    rows={
        "cluster": Entry(_HERE + "cluster:CLUSTER", "sort a folder; it may be left out"),
        "demo": Entry(_HERE + "demo:DEMO", "make a mixed folder, and sort it"),
        "thresholds": Entry(_HERE + "thresholds:THRESHOLDS", "what every threshold would give"),
        "evaluate": Entry(_HERE + "evaluate:EVALUATE", "compare clusters with true labels"),
        "estimate": Entry(_HERE + "estimate:ESTIMATE", "how much a run will compare"),
        "decide": Entry(_HERE + "decide:DECIDE", "say what belongs together, or does not"),
        "split": Entry(_HERE + "results:SPLIT", "cut one cluster of a result in parts"),
        "undo": Entry(_HERE + "results:UNDO", "take a run back"),
        "train": Entry(_HERE + "train:TRAIN", "train a network on a folder of images"),
        "cache": Entry(_HERE + "cache:CACHE", "what is kept between runs; clear it"),
    },
)
