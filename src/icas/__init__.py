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
    from icas._labels_at import labels_at
    from icas.clusterimg.api.estimator import ImageClusterer
    from icas.clusterimg.api.functions import cluster, features, links, similarity_matrix, train
    from icas.clusterimg.api.pick_threshold import pick_threshold
    from icas.clusterimg.data.featureset import FeatureSet
    from icas.clusterimg.editing.decide import DecideReport, decide
    from icas.clusterimg.editing.recut import recut
    from icas.clusterimg.editing.split import split
    from icas.clusterimg.evaluation.cost_model import Estimate, estimate
    from icas.clusterimg.evaluation.scores import Evaluation, evaluate
    from icas.clusterimg.graph.forest import Forest
    from icas.clusterimg.results.report import ClusterReport
    from icas.clusterimg.training.report import TrainReport
    from icas.clusterimg.transfer.undo import Undone, undo
    from icas.io.reading import find_images, read_image
    from icas.notebook.show import show
    from icas.segmentimg.document.document import PaintDocument
    from icas.segmentimg.grabcut.api import grabcut
    from icas.segmentimg.labels.merge_tree import MergeTree, merge_tree
    from icas.segmentimg.segmenters.kmeans import KMeansColors, kmeans_colors
    from icas.segmentimg.segmenters.segment import segment
    from icas.segmentimg.templates.paint import TemplatePaint, paint_templates
    from icas.segmentimg.templates.templates import Template, make_template

_PLACES = {
    "ClusterReport": "icas.clusterimg.results.report",
    "DecideReport": "icas.clusterimg.editing.decide",
    "Estimate": "icas.clusterimg.evaluation.cost_model",
    "Evaluation": "icas.clusterimg.evaluation.scores",
    "FeatureSet": "icas.clusterimg.data.featureset",
    "Forest": "icas.clusterimg.graph.forest",
    "ImageClusterer": "icas.clusterimg.api.estimator",
    "KMeansColors": "icas.segmentimg.segmenters.kmeans",
    "MergeTree": "icas.segmentimg.labels.merge_tree",
    "PaintDocument": "icas.segmentimg.document.document",
    "Template": "icas.segmentimg.templates.templates",
    "TemplatePaint": "icas.segmentimg.templates.paint",
    "TrainReport": "icas.clusterimg.training.report",
    "Undone": "icas.clusterimg.transfer.undo",
    "cluster": "icas.clusterimg.api.functions",
    "decide": "icas.clusterimg.editing.decide",
    "estimate": "icas.clusterimg.evaluation.cost_model",
    "evaluate": "icas.clusterimg.evaluation.scores",
    "features": "icas.clusterimg.api.functions",
    "find_images": "icas.io.reading",
    "grabcut": "icas.segmentimg.grabcut.api",
    "kmeans_colors": "icas.segmentimg.segmenters.kmeans",
    "labels_at": "icas._labels_at",
    "links": "icas.clusterimg.api.functions",
    "make_template": "icas.segmentimg.templates.templates",
    "merge_tree": "icas.segmentimg.labels.merge_tree",
    "paint_templates": "icas.segmentimg.templates.paint",
    "pick_threshold": "icas.clusterimg.api.pick_threshold",
    "read_image": "icas.io.reading",
    "recut": "icas.clusterimg.editing.recut",
    "segment": "icas.segmentimg.segmenters.segment",
    "show": "icas.notebook.show",
    "similarity_matrix": "icas.clusterimg.api.functions",
    "split": "icas.clusterimg.editing.split",
    "train": "icas.clusterimg.api.functions",
    "undo": "icas.clusterimg.transfer.undo",
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
