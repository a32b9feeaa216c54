"""Clusters by scikit-learn's models, within a batch and across batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from icas.cli.console import Console
from icas.clusterimg.clustering.base import Clusterer, Partition, partition_of
from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.data.links import NONE, Links
from icas.clusterimg.graph.forest import Labels
from icas.clusterimg.methods.base import Method
from icas.clusterimg.model_selection.estimators import obstacle
from icas.clusterimg.model_selection.grid import KINDS, PARAMETERS, Grid, default_clusters
from icas.clusterimg.model_selection.search import ModelGroups, Tried, group
from icas.parallel.executors import ALONE, Workers

FINER = 2**0.25
"""Factor between the numbers of clusters that are tried for representatives: they are few."""


@dataclass(frozen=True)
class ModelClusterer(Clusterer):
    """Every model of a grid is fitted to each batch, and the best one's clusters are taken."""

    method: Method  # its similarity gives medoids and spanning trees
    grid: Grid
    seed: int = 0  # random seed of the models
    # what was tried so far: an entry a batch; the merge of batches comes last
    models: list[ModelGroups] = field(default_factory=list)

    threshold = None

    def partition(
        self, features: FeatureSet, workers: Workers = ALONE, console: Console | None = None
    ) -> Partition:
        """The clusters of the best model; what it calls noise are outliers."""
        if len(features) == 0 or (self.models and not self._fits(len(features))):
            # The last batch may be small: its images represent themselves when batches merge.
            groups = _alone(len(features))
        else:
            groups = group(features.array, self.grid, self.seed, console, workers)
        self.models.append(groups)
        return partition_of(self.method, features, groups.labels)

    def _fits(self, images: int) -> bool:
        """Whether any model of the grid can be fitted to so many images."""
        return any(
            not obstacle(kind, parameters, images)
            for kind in self.grid.kinds
            for parameters in self.grid.of_kind(kind, images)
        )

    def links_across(
        self,
        parts: Sequence[FeatureSet],
        workers: Workers = ALONE,
        groups: Sequence[Labels] | None = None,
    ) -> tuple[Links, int]:
        """Spanning trees of the groups that models of the kind chosen most often make of all parts.

        No pair counts as compared.
        """
        together = concatenate(list(parts))
        if len(together) < 2:
            return NONE, 0
        grid = self._grid_of_merge(len(together))
        fitted = group(together.array, grid, self.seed, None, workers)
        self.models.append(fitted)
        return partition_of(self.method, together, fitted.labels).tree, 0

    def _grid_of_merge(self, images: int) -> Grid:
        chosen = [tried.chosen.kind for tried in self.models if tried.chosen.kind in KINDS]
        kind = Counter(chosen).most_common(1)[0][0] if chosen else self.grid.kinds[0]
        left_out = {name: None for name in PARAMETERS if name not in KINDS[kind]}
        grid = replace(self.grid, kinds=(kind,), **left_out)
        if "clusters" in KINDS[kind] and grid.clusters is None:
            return replace(grid, clusters=default_clusters(images, images - 1, FINER))
        return grid

    @property
    def reason(self) -> str:
        """Which models were chosen, as text."""
        chosen = [tried.chosen for tried in self.models]
        if len(chosen) == 1:
            return f"{chosen[0].words()}, the best of {len(self.models[0].tried)} models"
        kinds = Counter(model.kind for model in chosen)
        counted = ", ".join(f"{kind} {count} times" for kind, count in kinds.most_common())
        return f"models chosen per batch: {counted}"


def _alone(images: int) -> ModelGroups:
    note = f"{images} images are too few for any model: all are outliers"
    tried = Tried("none", outliers=images, note=note)
    return ModelGroups(np.full(images, -1, np.int64), tried, (tried,))
