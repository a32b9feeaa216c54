"""Optional requirements of a block or command, detected from its text."""

from __future__ import annotations

import re

NETWORKS = re.compile(
    r"""--method deep|clusterimg train|method=["']deep|import torch|icas\.train"""
)
CHECKPOINTS = re.compile(
    r"""--sam-checkpoint|--method sam|sam_checkpoint=|["']sam["']|mobile_sam|sam_vit_b"""
)
DASK = re.compile(r"""--executor dask|executor=["']dask|import dask""")
WITHOUT_WINDOWS = {"--no-gui", "--preview", "--help", "--version"}
COMMANDS = {
    "completion",
    "evaluate",
    "export",
    "help",
    "import",
    "man",
    "propagate",
    "serve",
    "weights",
}


def networks(text: str) -> bool:
    """Whether torch and weights of networks are needed."""
    return NETWORKS.search(text) is not None


def checkpoints(text: str) -> bool:
    """Whether torch and a checkpoint of Segment Anything are needed."""
    return CHECKPOINTS.search(text) is not None


def dask(text: str) -> bool:
    """Whether Dask is needed."""
    return DASK.search(text) is not None


def coco(text: str) -> bool:
    """Whether pycocotools is needed."""
    return "import pycocotools" in text or "from pycocotools" in text


def windows(words: list[str]) -> bool:
    """Whether the command opens windows; such are run in tests/gui."""
    if words[:1] == ["segmentimg"]:
        shown = words[1:2] == ["propagate"] and "--review" in words
        plain = len(words) > 1 and words[1] not in COMMANDS and not WITHOUT_WINDOWS & set(words)
        return shown or plain
    return words[:1] == ["clusterimg"] and ("pick" in words or "--threshold=pick" in words)


def serves(words: list[str]) -> bool:
    """Whether the command serves pages until it is stopped; such are run in tests/web."""
    commands = (["clusterimg", "review"], ["segmentimg", "serve"])
    return words[:2] in commands and "--help" not in words


def downloads(words: list[str]) -> bool:
    """Whether the command downloads weights."""
    export = "export" in words and "--weights" not in words
    return words[1:2] == ["weights"] and ("get" in words or export)
