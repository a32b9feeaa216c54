"""A finished run as the start of a review, and whether it was changed by something else since."""

from __future__ import annotations

import hashlib
import os

from icas.clusterimg.graph.forest import members_of, number_clusters
from icas.clusterimg.results.best_images import kept_files, read_best
from icas.clusterimg.results.saved import FinishedRun
from icas.clusterimg.review.document.changes import IN_CLUSTER, OUTLIER, Change, Cluster, Label
from icas.clusterimg.review.document.tree import Tree
from icas.dataset.image_labels import CLUSTER, IMAGE, ImageLabel, read_image_labels


def opening(finished: FinishedRun, tree: Tree) -> Change:
    """The change that turns an empty document into the result as it is."""
    files = finished.state.files
    named = read_image_labels(finished.root)
    labels = {image: named[file] for image, file in enumerate(files) if file in named}
    medoids = {one.cluster: one.medoid for one in finished.tables.certificates}
    numbers = {file: image for image, file in enumerate(files)}
    kept = {numbers[file] for file in kept_files(read_best(finished.root)) if file in numbers}
    clusters = {}
    for number, members in enumerate(members_of(finished.labels)):
        images = members.tolist()
        first = numbers.get(medoids.get(number, ""), -1)
        first = first if first in images else tree.medoid(images)
        name = _cluster_name(images, labels)
        if name is not None:
            for image in images:
                if labels.get(image, ImageLabel("x")).source == CLUSTER:
                    del labels[image]
        best = next((image for image in images if image in kept), None)
        ordered = (first, *(image for image in images if image != first))
        clusters[number] = (None, Cluster(ordered, name, fixed=name is not None, best=best))
    threshold = finished.run["threshold"]
    own = {
        image: (None, Label(one.label, one.source, round(one.confidence, 4)))
        for image, one in labels.items()
    }
    places = {image: (OUTLIER, IN_CLUSTER) for _, one in clusters.values() for image in one.members}
    value = None if threshold is None else (None, float(threshold))
    return Change(clusters, places, own, threshold=value)


def _cluster_name(images: list[int], labels: dict[int, ImageLabel]) -> str | None:
    """The name that all images have by their cluster, if they have one."""
    names = set()
    for image in images:
        label = labels.get(image)
        if label is None or label.source not in (CLUSTER, IMAGE):
            return None
        if label.source == CLUSTER:
            names.add(label.label)
    return names.pop() if len(names) == 1 else None


def digest(finished: FinishedRun) -> str:
    """A digest of what a review changes: clusters, names, best images, threshold."""
    state = hashlib.blake2b(digest_size=16)
    files = finished.state.files
    state.update(b"\0".join(map(os.fsencode, files)))
    state.update(number_clusters(finished.labels).tobytes())
    labels = read_image_labels(finished.root)
    for file in files:
        if file in labels:
            one = labels[file]
            text = f"{file}\0{one.label}\0{one.source}\0"
            state.update(text.encode("utf-8", "surrogateescape"))
    for file in sorted(kept_files(read_best(finished.root))):
        state.update(os.fsencode(file) + b"\0")
    state.update(str(finished.run["threshold"]).encode())
    return state.hexdigest()
