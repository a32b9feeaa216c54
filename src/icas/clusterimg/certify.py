"""Certificates of the clusters of a result that was cut anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.bridges import bridges
from icas.clusterimg.certificate import Certificate
from icas.clusterimg.cohesion import cohesions_of
from icas.clusterimg.finished import Finished
from icas.clusterimg.graph import Labels, members_of, weakest_links
from icas.clusterimg.kept import KeptFeatures, method_of_run
from icas.common.errors import IcasError
from icas.common.executors import start_workers
from icas.common.progress import Console

MOST_BYTES = 300_000_000
"""Bytes of features laid side by side, over all pairs, up to which medoids are looked for.

That is some 37 million pairs of hashes, or 35 thousand of ORB's: a few seconds either way.
"""

Members = NDArray[np.int64]
Known = tuple[float, str]
"""Least similar pair and medoid of a cluster."""


def certificates(finished: Finished, labels: Labels, console: Console) -> tuple[Certificate, ...]:
    """A certificate for each cluster of `labels`.

    Weakest links are told by the forest. The medoid and the least similar pair stay as they were
    where a cluster did, and else come from the features that were kept, the smallest clusters
    first; beyond `MOST_BYTES`, or where no features were kept, they are empty.
    """
    links = finished.kept.forest.links()
    members = members_of(labels)
    known = _as_before(finished)
    fresh = [inside for inside in members if inside.tobytes() not in known]
    known |= _from_features(finished, fresh, console)
    found = []
    rows = zip(members, weakest_links(labels, links), bridges(labels, links), strict=True)
    by_hand = finished.told["settings"]["stage"] == "merge"
    least_link = -np.inf if by_hand else np.float32(finished.kept.forest.floor)
    for number, (inside, weakest, bridge) in enumerate(rows):
        if weakest < least_link:  # only a decision joins what is less alike
            bridge = None
        least, medoid = known.get(inside.tobytes(), (float("nan"), ""))
        found.append(Certificate(number, len(inside), weakest, least, medoid, bridge))
    return tuple(found)


def _as_before(finished: Finished) -> dict[bytes, Known]:
    """What the earlier certificates tell, by the images of the cluster."""
    pairs = zip(members_of(finished.labels), finished.tables.certificates, strict=True)
    return {
        members.tobytes(): (one.least_similar_pair, one.medoid)
        for members, one in pairs
        if one.medoid
    }


def _from_features(
    finished: Finished, clusters: Sequence[Members], console: Console
) -> dict[bytes, Known]:
    """What the kept features tell of as many of `clusters` as can be compared soon."""
    kept = KeptFeatures.read(finished.root, str(finished.told["method"])) if clusters else None
    if kept is None:
        return {}
    try:
        method = method_of_run(finished.told)
    except IcasError as error:
        console.warn(f"medoids of new clusters are left empty: {error}")
        return {}
    chosen = _soon_compared(clusters, kept.features.nbytes / max(1, len(kept.features)))
    labels = np.full(len(kept.features), -1, np.int64)
    for number, members in enumerate(chosen):
        labels[kept.places(members)] = number
    files = finished.kept.files
    with start_workers("threads", finished.told["settings"].get("jobs")) as workers:
        cohesions = cohesions_of(method, kept.features, labels, workers=workers)
    return {
        members.tobytes(): (one.least_similar_pair, files[kept.rows[one.medoid]])
        for members, one in zip(chosen, cohesions, strict=True)
    }


def _soon_compared(clusters: Sequence[Members], image_bytes: float) -> list[Members]:
    """The smaller ones of `clusters`, whose pairs stay below `MOST_BYTES` together."""
    ordered = sorted(clusters, key=len)
    pairs = np.cumsum([len(members) * (len(members) - 1) // 2 for members in ordered])
    return ordered[: int(np.searchsorted(pairs * image_bytes, MOST_BYTES, side="right"))]
