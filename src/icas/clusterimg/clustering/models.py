"""Clusters by scikit-learn's models, within a batch and across batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from icas.cli.console import Console
from icas.clusterimg.clustering.base import Grouped, with_trees
from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.data.links import Links, join_links
from icas.clusterimg.graph.forest import Labels
from icas.clusterimg.methods.base import Method
from icas.clusterimg.model_selection.estimators import obstacle
from icas.clusterimg.model_selection.grid import KINDS, PARAMETERS, Grid, default_clusters
from icas.clusterimg.model_selection.scores import Tried
from icas.clusterimg.model_selection.search import ModelGroups, group
from icas.parallel.executors import ALONE, Workers

FINER = 2**0.25
"""Factor between the numbers of clusters that are tried for representatives: they are few."""


@dataclass(frozen=True)
class ModelGrouping:
    """Every model of a grid is tried on each batch, and the best one's clusters are taken.

    Attributes
    ----------
    method : Method
        Its similarity tells medoids and how clusters hang together.
    grid : Grid
    seed : int
        Where chance comes in, it starts here.
    found : list of ModelGroups
        What was tried so far: an entry a batch; the merge of batches comes last.
    """

    method: Method
    grid: Grid
    seed: int = 0
    found: list[ModelGroups] = field(default_factory=list)

    def within(
        self, features: FeatureSet, workers: Workers = ALONE, console: Console | None = None
    ) -> Grouped:
        """The clusters of the best model; what it calls noise are outliers."""
        if len(features) == 0 or (self.found and not self._fits(len(features))):
            # The last batch may be small: its images stand for themselves when batches merge.
            groups = _alone(len(features))
        else:
            groups = group(features.array, self.grid, self.seed, console, workers)
        self.found.append(groups)
        return with_trees(self.method, features, groups.labels)

    def _fits(self, images: int) -> bool:
        """Whether any model of the grid can be fitted to so many images."""
        return any(
            not obstacle(kind, parameters, images)
            for kind in self.grid.kinds
            for parameters in self.grid.of_kind(kind, images)
        )

    def across(
        self,
        parts: Sequence[FeatureSet],
        workers: Workers = ALONE,
        groups: Sequence[Labels] | None = None,
    ) -> tuple[Links, int]:
        """Which images of all parts belong together, by the kind of model that batches chose most.

        Returns
        -------
        links : Links
            Spanning trees of the groups; the images numbered through all parts.
        compared : int
            0: models do not compare pairs.
        """
        together = concatenate(list(parts))
        if len(together) < 2:
            return join_links([]), 0
        grid = self._grid_of_merge(len(together))
        modelled = group(together.array, grid, self.seed, None, workers)
        self.found.append(modelled)
        return with_trees(self.method, together, modelled.labels).tree, 0

    def _grid_of_merge(self, images: int) -> Grid:
        chosen = [one.chosen.kind for one in self.found if one.chosen.kind in KINDS]
        kind = Counter(chosen).most_common(1)[0][0] if chosen else self.grid.kinds[0]
        left_out = {name: None for name in PARAMETERS if name not in KINDS[kind]}
        grid = replace(self.grid, kinds=(kind,), **left_out)
        if "clusters" in KINDS[kind] and grid.clusters is None:
            return replace(grid, clusters=default_clusters(images, images - 1, FINER))
        return grid

    def told(self) -> str:
        """Which models were chosen, in words."""
        chosen = [one.chosen for one in self.found]
        if len(chosen) == 1:
            return f"{chosen[0].words()}, the best of {len(self.found[0].tried)} models"
        kinds = Counter(one.kind for one in chosen)
        counted = ", ".join(f"{kind} {count} times" for kind, count in kinds.most_common())
        return f"models chosen batch by batch: {counted}"


def _alone(images: int) -> ModelGroups:
    note = f"{images} images are too few for every model: each stands for itself"
    tried = Tried("none", outliers=images, note=note)
    return ModelGroups(np.full(images, -1, np.int64), tried, (tried,))
