"""What users of segmentimg rely on, name by name."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data as samples

import icas
from icas.segmentimg.cli import main, segment_parser

METHODS = "edge superpixel kmeans slickmeans chanvese chanvase felzenszwalb quickshift graph"
FLAGS = (
    "--method --out --no-gui --preview --save --jobs --resume -q -v --debug --region-size --ruler"
    " --k --color-importance --scale --sigma --min-size --kernel-size --max-dist --ratio"
    " --work-size --bins --version --help"
)


def test_every_flag_is_there():
    known = {flag for action in segment_parser()._actions for flag in action.option_strings}
    assert set(FLAGS.split()) <= known


@pytest.mark.parametrize("method", METHODS.split())
def test_every_method_gives_labels(method):
    labels = icas.segment(samples.chelsea()[::2, ::2], method)
    assert labels.dtype == np.int32
    assert labels.shape == samples.chelsea()[::2, ::2].shape[:2]
    assert labels.max() > 1


def test_python():
    image = samples.coffee()
    labels = icas.segment(image, "superpixel", region_size=30)
    assert labels.min() == 1
    made = icas.kmeans_colors(image, 5, seed=0)
    assert made.centres.shape == (5, 3)
    tree = icas.merge_tree(image, labels)
    assert icas.labels_at(tree, 10).max() == 10


def test_files(photos, tmp_path):
    picture = photos / "coffee-1.png"
    assert main([str(picture), "--no-gui", "--out", str(tmp_path), "-q"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "coffee-1.json",
        "coffee-1_overlay.png",
        "coffee-1_segments.png",
    ]
