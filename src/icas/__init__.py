"""icas sorts folders of images by similarity, and cuts images into segments to be painted.

Everything below is loaded at first use, so that ``import icas`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from icas._version import __version__
from icas.common.errors import (
    ConflictError,
    IcasError,
    MissingExtraError,
    UnreadableImageError,
    UsageError,
)

if TYPE_CHECKING:
    from icas.clusterimg.api import cluster, features, links, similarity_matrix
    from icas.clusterimg.estimator import ImageClusterer
    from icas.clusterimg.evaluate import Evaluation, evaluate
    from icas.clusterimg.features import FeatureSet
    from icas.clusterimg.graph import Forest, labels_at
    from icas.clusterimg.outcome import ClusterReport
    from icas.common.images import find_images, read_image

_PLACES = {
    "ClusterReport": "icas.clusterimg.outcome",
    "Evaluation": "icas.clusterimg.evaluate",
    "FeatureSet": "icas.clusterimg.features",
    "Forest": "icas.clusterimg.graph",
    "ImageClusterer": "icas.clusterimg.estimator",
    "cluster": "icas.clusterimg.api",
    "evaluate": "icas.clusterimg.evaluate",
    "features": "icas.clusterimg.api",
    "find_images": "icas.common.images",
    "labels_at": "icas.clusterimg.graph",
    "links": "icas.clusterimg.api",
    "read_image": "icas.common.images",
    "similarity_matrix": "icas.clusterimg.api",
}

__all__ = [
    "ClusterReport",
    "ConflictError",
    "Evaluation",
    "FeatureSet",
    "Forest",
    "IcasError",
    "ImageClusterer",
    "MissingExtraError",
    "UnreadableImageError",
    "UsageError",
    "__version__",
    "cluster",
    "evaluate",
    "features",
    "find_images",
    "labels_at",
    "links",
    "read_image",
    "similarity_matrix",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'icas' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
