"""The commands of ``clusterimg``: one row each."""

from __future__ import annotations

from icas.common.programs import Program
from icas.common.registry import Entry

_HERE = "icas.clusterimg."
PROGRAM = Program(
    "clusterimg",
    default="cluster",
    rows={
        "cluster": Entry(_HERE + "cluster_command:CLUSTER", "sort a folder; it may be left out"),
        "demo": Entry(_HERE + "demo_command:DEMO", "make a mixed folder, and sort it"),
        "thresholds": Entry(
            _HERE + "thresholds_command:THRESHOLDS", "what every threshold would give"
        ),
        "evaluate": Entry(_HERE + "evaluate_command:EVALUATE", "compare clusters with true labels"),
        "estimate": Entry(_HERE + "estimate_command:ESTIMATE", "how much a run will compare"),
        "decide": Entry(_HERE + "decide_command:DECIDE", "say what belongs together, or does not"),
        "split": Entry(_HERE + "result_commands:SPLIT", "cut one cluster of a result in parts"),
        "undo": Entry(_HERE + "result_commands:UNDO", "take a run back"),
        "train": Entry(_HERE + "train_command:TRAIN", "train a network on a folder of images"),
        "cache": Entry(_HERE + "cache_commands:CACHE", "what is kept between runs; clear it"),
    },
)
