"""icas sorts folders of images by similarity, and cuts images into segments to be painted.

Everything below is loaded at first use, so that ``import icas`` costs nothing.
"""

import typing as _typing
from importlib import import_module as _import_module

from icas._version import __version__
from icas.common.errors import (
    ConflictError,
    IcasError,
    MissingExtraError,
    UnreadableImageError,
    UsageError,
)

if _typing.TYPE_CHECKING:
    from icas._levels import labels_at
    from icas._show.show import show
    from icas.clusterimg.api import cluster, features, links, similarity_matrix, train
    from icas.clusterimg.decide import DecideReport, decide
    from icas.clusterimg.deep.train_report import TrainReport
    from icas.clusterimg.estimate import Estimate, estimate
    from icas.clusterimg.estimator import ImageClusterer
    from icas.clusterimg.evaluate import Evaluation, evaluate
    from icas.clusterimg.features import FeatureSet
    from icas.clusterimg.graph import Forest
    from icas.clusterimg.outcome import ClusterReport
    from icas.clusterimg.picking.interactive import pick_threshold
    from icas.clusterimg.recut import recut
    from icas.clusterimg.split import split
    from icas.clusterimg.undo import Undone, undo
    from icas.common.images import find_images, read_image
    from icas.segmentimg.document import PaintDocument
    from icas.segmentimg.grabcut import grabcut
    from icas.segmentimg.segment import segment
    from icas.segmentimg.segmenters.kmeans import KMeansColors, kmeans_colors
    from icas.segmentimg.template_paint import TemplatePaint, paint_templates
    from icas.segmentimg.templates import Template, make_template
    from icas.segmentimg.tree import MergeTree, merge_tree

_PLACES = {
    "ClusterReport": "icas.clusterimg.outcome",
    "DecideReport": "icas.clusterimg.decide",
    "Estimate": "icas.clusterimg.estimate",
    "Evaluation": "icas.clusterimg.evaluate",
    "FeatureSet": "icas.clusterimg.features",
    "Forest": "icas.clusterimg.graph",
    "ImageClusterer": "icas.clusterimg.estimator",
    "KMeansColors": "icas.segmentimg.segmenters.kmeans",
    "MergeTree": "icas.segmentimg.tree",
    "PaintDocument": "icas.segmentimg.document",
    "Template": "icas.segmentimg.templates",
    "TemplatePaint": "icas.segmentimg.template_paint",
    "TrainReport": "icas.clusterimg.deep.train_report",
    "Undone": "icas.clusterimg.undo",
    "cluster": "icas.clusterimg.api",
    "decide": "icas.clusterimg.decide",
    "estimate": "icas.clusterimg.estimate",
    "evaluate": "icas.clusterimg.evaluate",
    "features": "icas.clusterimg.api",
    "find_images": "icas.common.images",
    "grabcut": "icas.segmentimg.grabcut",
    "kmeans_colors": "icas.segmentimg.segmenters.kmeans",
    "labels_at": "icas._levels",
    "links": "icas.clusterimg.api",
    "make_template": "icas.segmentimg.templates",
    "merge_tree": "icas.segmentimg.tree",
    "paint_templates": "icas.segmentimg.template_paint",
    "pick_threshold": "icas.clusterimg.picking.interactive",
    "read_image": "icas.common.images",
    "recut": "icas.clusterimg.recut",
    "segment": "icas.segmentimg.segment",
    "show": "icas._show.show",
    "similarity_matrix": "icas.clusterimg.api",
    "split": "icas.clusterimg.split",
    "train": "icas.clusterimg.api",
    "undo": "icas.clusterimg.undo",
}

__all__ = [
    "ClusterReport",
    "ConflictError",
    "DecideReport",
    "Estimate",
    "Evaluation",
    "FeatureSet",
    "Forest",
    "IcasError",
    "ImageClusterer",
    "KMeansColors",
    "MergeTree",
    "MissingExtraError",
    "PaintDocument",
    "Template",
    "TemplatePaint",
    "TrainReport",
    "Undone",
    "UnreadableImageError",
    "UsageError",
    "__version__",
    "cluster",
    "decide",
    "estimate",
    "evaluate",
    "features",
    "find_images",
    "grabcut",
    "kmeans_colors",
    "labels_at",
    "links",
    "make_template",
    "merge_tree",
    "paint_templates",
    "pick_threshold",
    "read_image",
    "recut",
    "segment",
    "show",
    "similarity_matrix",
    "split",
    "train",
    "undo",
]


def __dir__() -> list[str]:
    return sorted(__all__)


if not _typing.TYPE_CHECKING:  # a type checker would take every misspelt name for one of these

    def __getattr__(name):
        if name not in _PLACES:
            raise AttributeError(f"module 'icas' has no attribute {name!r}")
        value = getattr(_import_module(_PLACES[name]), name)
        globals()[name] = value
        return value
