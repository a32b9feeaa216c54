"""The commands of a review: each turns its arguments into a change of the document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from icas.clusterimg.graph.forest import Forest, labels_at, members_of
from icas.clusterimg.review.document.changes import (
    DONE,
    DOUBTFUL,
    HELD,
    IN_CLUSTER,
    OUTLIER,
    REJECTED,
    UNTOUCHED,
    Both,
    Change,
    Cluster,
    Label,
    Pair,
)
from icas.clusterimg.review.document.document import ReviewDocument
from icas.common.errors import UsageError
from icas.dataset.image_labels import CLUSTER, IMAGE, SPREAD, class_name
from icas.notebook.html import counted

LONGEST_NAME = 200
"""Characters of a class name."""
Args = Mapping[str, Any]


class Draft:
    """Clusters, places and labels of a document while a command changes them."""

    def __init__(self, document: ReviewDocument) -> None:
        self.document = document
        self._clusters: dict[int, Cluster | None] = {}
        self._places: dict[int, int] = {}
        self._labels: dict[int, Label | None] = {}
        self._answers: dict[Pair, tuple[bool | None] | None] = {}
        self._threshold: Both[float | None] | None = None
        self._next = document.next_id

    def get(self, number: int) -> Cluster | None:
        """A cluster as it is now."""
        if number in self._clusters:
            return self._clusters[number]
        return self.document.clusters.get(number)

    def put(self, number: int, cluster: Cluster) -> None:
        """Replace a cluster; one with a single image becomes an outlier with the same name."""
        if len(cluster.members) > 1:
            self._clusters[number] = cluster
            for image in cluster.members:
                self._places[image] = IN_CLUSTER
            return
        self._clusters[number] = None
        for image in cluster.members:
            self._places[image] = HELD
            if cluster.name is not None and image not in self.document.labels:
                self._labels[image] = Label(cluster.name, CLUSTER)

    def new(self, cluster: Cluster) -> int:
        """Add a cluster; its id, also where a single image made it an outlier."""
        number = self._next
        self._next += 1
        self.put(number, cluster)
        return number

    def add(self, images: Sequence[int], *, fixed: bool = True) -> int:
        """Add a cluster of these images without a name; its id."""
        medoid = self.document.tree.medoid(images)
        members = (medoid, *(image for image in images if image != medoid))
        return self.new(Cluster(members, fixed=fixed))

    def remove(self, number: int) -> None:
        """Remove a cluster, whose images go elsewhere."""
        self._clusters[number] = None

    def place(self, images: Iterable[int], place: int) -> None:
        """Place images outside of clusters."""
        self._places.update(dict.fromkeys(images, place))

    def label(self, image: int, label: Label | None) -> None:
        """Set the own label of an image."""
        self._labels[image] = label

    def answer(self, pair: Pair, same: bool | None) -> None:
        """Record an answer."""
        self._answers[pair] = (same,)

    def set_threshold(self, value: float) -> None:
        """Set the threshold."""
        self._threshold = (self.document.threshold, value)

    def take(self, images: Iterable[int]) -> None:
        """Take images out of their clusters; clusters that lose images count as worked on."""
        taken: dict[int, set[int]] = {}
        for image in images:
            number = self.document.place[image]
            if number >= 0:
                taken.setdefault(number, set()).add(image)
        for number, gone in taken.items():
            one = self.get(number)
            if one is None:
                continue
            left = [image for image in one.members if image not in gone]
            if not left:
                self.remove(number)
            else:
                self.put(number, self._with(one, left))

    def _with(self, one: Cluster, members: Sequence[int], **more: Any) -> Cluster:
        """A cluster with other members; its best image stays if it is one of them."""
        inside = set(members)
        first = one.members[0]
        medoid = first if first in inside else self.document.tree.medoid(members)
        ordered = (medoid, *(image for image in members if image != medoid))
        best = one.best if one.best in inside else None
        return Cluster(ordered, one.name, one.mark, True, best)

    def with_members(self, one: Cluster, members: Sequence[int]) -> Cluster:
        """`one` with other members."""
        return self._with(one, members)

    def change(self) -> Change:
        """What is different from the document."""
        document = self.document
        places = {}
        for image, new in self._places.items():
            old = min(document.place[image], IN_CLUSTER)
            if old != new:
                places[image] = (old, new)
        return Change(
            {
                number: (document.clusters.get(number), new)
                for number, new in self._clusters.items()
                if document.clusters.get(number) != new
            },
            places,
            {
                image: (document.labels.get(image), new)
                for image, new in self._labels.items()
                if document.labels.get(image) != new
            },
            {
                pair: (document.answers.get(pair), new)
                for pair, new in self._answers.items()
                if document.answers.get(pair) != new
            },
            self._threshold,
        )


def _clusters(document: ReviewDocument, args: Args) -> list[int]:
    """The ids in ``clusters`` or ``cluster``, each once."""
    given = args.get("clusters")
    numbers = [args.get("cluster")] if given is None else given
    if not isinstance(numbers, list) or not numbers:
        raise UsageError("clusters: expected a list of ids")
    for number in numbers:
        document.cluster(number)
    return list(dict.fromkeys(numbers))


def _images(document: ReviewDocument, given: object) -> list[int]:
    """Numbers of images, each once."""
    if not isinstance(given, list) or not given:
        raise UsageError("images: expected a list of numbers")
    for image in given:
        checked_image(document, image)
    return list(dict.fromkeys(given))


def checked_image(document: ReviewDocument, image: object) -> int:
    """The number of an image; UsageError where there is none."""
    valid = isinstance(image, int) and not isinstance(image, bool)
    if not isinstance(image, int) or not valid or not 0 <= image < document.count:
        raise UsageError(f"no image {image!r}")
    return image


def _name(args: Args) -> str | None:
    """The class name; None removes one."""
    given = args.get("name")
    if given is None:
        return None
    if not isinstance(given, str):
        raise UsageError("name: expected text or null")
    name = class_name(given)
    if len(name) > LONGEST_NAME:
        raise UsageError(f"class name of {len(name)} characters: at most {LONGEST_NAME}")
    return name


def _set_name(draft: Draft, args: Args) -> str:
    numbers, name = _clusters(draft.document, args), _name(args)
    for number in numbers:
        one = draft.document.clusters[number]
        draft.put(number, Cluster(one.members, name, one.mark, True, one.best))
    what = counted(len(numbers), "cluster")
    return f"remove the name of {what}" if name is None else f"name {what} {name}"


def _merge(draft: Draft, args: Args) -> str:
    numbers = _clusters(draft.document, args)
    if len(numbers) < 2:
        raise UsageError("merge: expected two clusters or more")
    merged(draft, numbers)
    return f"merge {len(numbers)} clusters"


def merged(draft: Draft, numbers: Sequence[int]) -> None:
    """Merge clusters into the first one."""
    ones = [draft.document.clusters[number] for number in numbers]
    members = tuple(image for one in ones for image in one.members)
    name = next((one.name for one in ones if one.name is not None), None)
    best = next((one.best for one in ones if one.best is not None), None)
    for number in numbers[1:]:
        draft.remove(number)
    draft.put(numbers[0], Cluster(members, name, ones[0].mark, True, best))


def _split(draft: Draft, args: Args) -> str:
    document, number = draft.document, args.get("cluster")
    one = document.cluster(number)
    assert isinstance(number, int)
    inside = set(one.members)
    if args.get("groups") is None:
        if args.get("at", "bridge") != "bridge":
            raise UsageError('at: expected "bridge"')
        groups = [_bridge_part(document, number)]
    else:
        given = args["groups"]
        if not isinstance(given, list) or not given:
            raise UsageError("groups: expected a list of lists of images")
        groups = [_images(document, group) for group in given]
    moved = [image for group in groups for image in group]
    if len(set(moved)) != len(moved):
        raise UsageError("groups: an image is in two groups")
    if not inside.issuperset(moved):
        raise UsageError(f"groups: images that are not in cluster {number}")
    rest = [image for image in one.members if image not in set(moved)]
    if not rest:
        rest, *groups = groups
    if not groups:
        raise UsageError(f"cluster {number} is not split: all images are in one group")
    separate(draft, number, rest, groups)
    return f"split a cluster into {len(groups) + 1} parts"


def _bridge_part(document: ReviewDocument, number: int) -> list[int]:
    """The smaller part at the bridge, or the part of two images at the weakest link."""
    shape, members = document.shape(number), document.clusters[number].members
    if shape.bridge is not None:
        return list(shape.bridge.right)
    if not shape.edges:
        raise UsageError(f"cluster {number} does not split: no links join its images")
    a, b, _ = min(shape.edges, key=lambda edge: edge[2])
    left, right = document.tree.split_between(members, a, b)
    return sorted(left if len(left) < len(right) else right)


def separate(draft: Draft, number: int, rest: Sequence[int], groups: Sequence[list[int]]) -> None:
    """Split a cluster; `rest` keeps its id, name and mark, each group becomes a new cluster."""
    one = draft.document.clusters[number]
    draft.put(number, draft.with_members(one, rest))
    for group in groups:
        draft.add(group)


def _move(draft: Draft, args: Args) -> str:
    document, goal = draft.document, args.get("to")
    images = _images(document, args.get("images"))
    what = counted(len(images), "image")
    if goal == "outliers":
        draft.take(images)
        draft.place(images, HELD)
        return f"move {what} to the outliers"
    if goal == "new":
        draft.take(images)
        draft.add(images)
        return f"move {what} to a new cluster"
    document.cluster(goal)
    assert isinstance(goal, int)
    coming = [image for image in images if document.place[image] != goal]
    draft.take(coming)
    one = document.clusters[goal]
    draft.put(goal, draft.with_members(one, (*one.members, *coming)))
    return f"move {what} to another cluster"


def _reject(draft: Draft, args: Args) -> str:
    document = draft.document
    if args.get("images") is not None:
        images = _images(document, args["images"])
        draft.take(images)
        what = f"reject {counted(len(images), 'image')}"
    else:
        numbers = _clusters(document, args)
        images = [image for number in numbers for image in document.clusters[number].members]
        for number in numbers:
            draft.remove(number)
        what = f"reject {counted(len(numbers), 'cluster')}"
    draft.place(images, REJECTED)
    return what


def _keep_best(draft: Draft, args: Args) -> str:
    [number] = _clusters(draft.document, {"cluster": args.get("cluster")})
    one, image = draft.document.clusters[number], args.get("image")
    if image is not None and checked_image(draft.document, image) not in one.members:
        raise UsageError(f"image {image} is not in cluster {number}")
    draft.put(number, Cluster(one.members, one.name, one.mark, one.fixed, image))
    return "keep no image of a cluster as best" if image is None else "keep the best image"


def _mark(draft: Draft, args: Args) -> str:
    numbers, mark = _clusters(draft.document, args), args.get("state")
    if mark not in (DONE, DOUBTFUL, UNTOUCHED):
        raise UsageError(f"state: choose from {DONE}, {DOUBTFUL}, {UNTOUCHED}")
    for number in numbers:
        one = draft.document.clusters[number]
        draft.put(number, Cluster(one.members, one.name, mark, one.fixed, one.best))
    return f"mark {counted(len(numbers), 'cluster')} {mark}"


def _label(draft: Draft, args: Args) -> str:
    images, name = _images(draft.document, args.get("images")), _name(args)
    for image in images:
        draft.label(image, None if name is None else Label(name, IMAGE))
    what = counted(len(images), "image")
    return f"remove the name of {what}" if name is None else f"name {what} {name}"


def set_spread(draft: Draft, names: Mapping[int, Label]) -> str:
    """Give images without a class the names that similar images have."""
    for image, label in draft.document.labels.items():
        if label.source == SPREAD and image not in names:
            draft.label(image, None)
    for image, label in names.items():
        draft.label(image, label)
    return f"spread names to {counted(len(names), 'image')}"


def set_threshold(draft: Draft, forest: Forest, value: object) -> str:
    """Cluster the images at another threshold; clusters that a person worked on stay."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not isinstance(value, (int, float)) or not value <= 1:
        raise UsageError(f"threshold {value!r}: expected a number up to 1")
    document = draft.document
    places = np.array(document.place, np.int64)
    fixed = [number for number, one in document.clusters.items() if one.fixed]
    free = ~(np.isin(places, fixed) | np.isin(places, (HELD, REJECTED)))
    inside = free[forest.a] & free[forest.b]
    part = Forest(
        forest.count,
        forest.a[inside],
        forest.b[inside],
        forest.similarity[inside],
        forest.floor,
    )
    labels = labels_at(part, float(value))
    groups = [members.tolist() for members in members_of(labels)]
    current = {
        tuple(sorted(one.members)): number
        for number, one in document.clusters.items()
        if not one.fixed
    }
    same = {current.get(tuple(group)) for group in groups}
    for number in current.values():
        if number not in same:
            draft.remove(number)
    draft.place(np.flatnonzero(free & (labels < 0)).tolist(), OUTLIER)
    for group in groups:
        if tuple(group) not in current:
            draft.add(group, fixed=False)
    draft.set_threshold(float(value))
    return f"threshold {value:g}"


COMMANDS: dict[str, Callable[[Draft, Args], str]] = {
    "name": _set_name,
    "merge": _merge,
    "split": _split,
    "move": _move,
    "reject": _reject,
    "keep_best": _keep_best,
    "mark": _mark,
    "label": _label,
}
"""Commands that need nothing but the document."""
