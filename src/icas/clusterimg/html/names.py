"""Class names on the cluster cards of ``report.html``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from icas.clusterimg.graph.forest import Labels
from icas.clusterimg.html.rendering import render
from icas.dataset.image_labels import ImageLabel, count_names

ClusterNames = Mapping[int, Mapping[str, int]]
"""Cluster -> images of each class in it, the largest class first."""
_CARD = re.compile(
    r'(<h3 id="cluster_(\d+)">[^<]*</h3>\n<p class="count">[^<]*</p>\n)'
    r'(?:<p class="classes">.*?</p>\n)?',
    re.DOTALL,
)


def names_by_cluster(
    files: Sequence[str], clusters: Labels, labels: Mapping[str, ImageLabel]
) -> ClusterNames:
    """The class names of each cluster that has any."""
    named: dict[int, list[ImageLabel]] = {}
    for file, cluster in zip(files, clusters.tolist(), strict=True):
        if cluster >= 0 and file in labels:
            named.setdefault(cluster, []).append(labels[file])
    return {cluster: count_names(images) for cluster, images in named.items()}


def with_names(page: str, names: ClusterNames) -> str:
    """A page with these class names on its cards, in place of earlier ones."""

    def card(match: re.Match[str]) -> str:
        return match.group(1) + str(render("names.html", names=names.get(int(match.group(2)), {})))

    return _CARD.sub(card, page)
