"""Set, list and remove constraints on images of a result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from icas.clusterimg.decisions.apply import (
    Revision,
    check_consistent,
    implied_by,
    revisions_by,
)
from icas.clusterimg.decisions.names import linked_contradictions, shortened
from icas.clusterimg.decisions.store import (
    APART,
    TOGETHER,
    Constraint,
    ConstraintStore,
    constraints_folder,
    has_constraints,
)
from icas.clusterimg.editing.manual_moves import constraints_of_moves, distinct, find_moves
from icas.clusterimg.editing.result_images import ResultImages
from icas.clusterimg.journal.journal import Journal
from icas.clusterimg.results.saved import earlier_run
from icas.clusterimg.transfer.cleanup import is_unchanged
from icas.clusterimg.transfer.destination import locked
from icas.common.errors import UsageError
from icas.io.files import path_of


@dataclass(frozen=True)
class DecideReport:
    """Constraints that were set, listed or removed.

    Attributes
    ----------
    what : str
        Action: ``must-link``, ``cannot-link``, ``reject``, ``learn``, ``list`` or ``forget``.
    decisions : tuple of Constraint
        New constraints; for ``list`` all stored ones, for ``forget`` the removed ones.
    changes : tuple of Revision
        Stored constraints that the new ones replace or change.
    already : tuple of Constraint
        Stored constraints that already imply a new one, which was not added.
    left : tuple of (str, str)
        For ``learn``: paths in the result that give no constraint, and why.
    names : tuple of str
        Class names that contradict the new constraints.

    See Also
    --------
    icas.must_link, icas.cannot_link, icas.reject : Set constraints.

    Examples
    --------
    >>> import icas
    >>> icas.DecideReport("list").lines()
    ['no stored constraints']
    >>> icas.DecideReport("list").as_dict()
    {'decisions': [], 'replaced': [], 'changed': [], 'already': [], 'left': []}
    """

    what: str
    decisions: tuple[Constraint, ...] = ()
    changes: tuple[Revision, ...] = ()
    already: tuple[Constraint, ...] = ()
    left: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the report as text.

        Returns
        -------
        list of str
            One line per constraint and revision; never empty.
        """
        prefix = {"list": "", "forget": "removed: "}.get(self.what, "stored: ")
        lines = [
            f"{prefix}{one.description()}, {len(one.images)} images, {one.made[:10]}"
            for one in self.decisions
        ]
        lines += [one.description() for one in self.changes]
        lines += [f"already stored: {one.description()}" for one in self.already]
        lines += self.names
        nothing = {
            "list": "no stored constraints",
            "forget": "no stored constraints",
            "learn": "no file was moved between cluster folders",
        }
        return lines or [nothing.get(self.what, "nothing to store")]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as for ``--json``.

        Returns
        -------
        dict
            With ``decisions``, ``replaced``, ``changed``, ``already`` and ``left``, each a list.
        """
        return {
            "decisions": [_plain(one) for one in self.decisions],
            "replaced": [_plain(one.before) for one in self.changes if one.after is None],
            "changed": [_plain(one.after) for one in self.changes if one.after is not None],
            "already": [_plain(one) for one in self.already],
            "left": [{"place": path, "reason": reason} for path, reason in self.left],
            **({"names": list(self.names)} if self.names else {}),
        }


def _plain(one: Constraint) -> dict[str, Any]:
    names = [[image.name for image in side] for side in one.sides]
    return {
        "number": one.number,
        "kind": one.kind,
        "how": one.how,
        "made": one.made,
        "sides": names,
    }


def must_link(dst: str | Path, a: str, b: str, *, cache: str | Path | None = None) -> DecideReport:
    """Set a must-link constraint: two images always belong to one cluster.

    Images are identified by their content. No file moves: the next run with these images, or
    `icas.recut` of this result, applies the constraint.

    Parameters
    ----------
    dst : str or Path
        Result folder.
    a, b : str
        Images: names as in ``clusters.csv``, or paths in ``result/``.
    cache : str or Path, optional
        Folder of the constraints. Default: the cache folder of the run.

    Returns
    -------
    DecideReport
        The new constraint, and stored ones that it changes.

    Raises
    ------
    UsageError
        No finished result, or no such image.
    ConflictError
        The constraint contradicts stored ones.
    IcasError
        The stored constraints are damaged, or a file cannot be read.

    See Also
    --------
    icas.cannot_link, icas.reject : Keep images apart.
    icas.decide : List and remove constraints.

    Examples
    --------
    Two different parts of one photograph:

    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> Image.fromarray(data.coffee()).save("photos/cup.jpg")
    >>> Image.fromarray(data.coffee()[:, 300:]).save("photos/spoon.jpg")
    >>> settings = {"method": "imagehash", "threshold": 0.9, "dst": "sorted", "cache": "kept"}
    >>> icas.cluster("photos", **settings).clusters
    0
    >>> report = icas.must_link("sorted", "cup.jpg", "spoon.jpg")
    >>> icas.cluster("photos", **settings, overwrite=True).labels.tolist()
    [0, 0]
    """
    return decide(dst, "must-link", a, b, cache=cache)


def cannot_link(
    dst: str | Path, a: str, b: str, *, cache: str | Path | None = None
) -> DecideReport:
    """Set a cannot-link constraint: two images never belong to one cluster.

    Images are identified by their content. No file moves: the next run with these images, or
    `icas.recut` of this result, applies the constraint.

    Parameters
    ----------
    dst : str or Path
        Result folder.
    a, b : str
        Images: names as in ``clusters.csv``, or paths in ``result/``.
    cache : str or Path, optional
        Folder of the constraints. Default: the cache folder of the run.

    Returns
    -------
    DecideReport
        The new constraint, and stored ones that it changes.

    Raises
    ------
    UsageError, ConflictError, IcasError
        As for `icas.must_link`.

    See Also
    --------
    icas.must_link : Keep images together.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> Image.fromarray(data.coffee()).save("photos/cup.jpg")
    >>> Image.fromarray(data.coffee()[20:, 30:]).save("photos/cropped.jpg")
    >>> settings = {"method": "imagehash", "threshold": 0.6, "dst": "sorted", "cache": "kept"}
    >>> icas.cluster("photos", **settings).labels.tolist()
    [0, 0]
    >>> report = icas.cannot_link("sorted", "cup.jpg", "cropped.jpg")
    >>> icas.cluster("photos", **settings, overwrite=True).labels.tolist()
    [-1, -1]
    """
    return decide(dst, "cannot-link", a, b, cache=cache)


def reject(dst: str | Path, cluster: str | int, *, cache: str | Path | None = None) -> DecideReport:
    """Reject a cluster: no two of its images ever belong to one cluster.

    Images are identified by their content. No file moves: the next run with these images, or
    `icas.recut` of this result, applies the constraint.

    Parameters
    ----------
    dst : str or Path
        Result folder.
    cluster : str or int
        Number or folder name: 7 or ``"cluster_7"``.
    cache : str or Path, optional
        Folder of the constraints. Default: the cache folder of the run.

    Returns
    -------
    DecideReport
        The new constraint, and stored ones that it changes.

    Raises
    ------
    UsageError, ConflictError, IcasError
        As for `icas.must_link`.

    See Also
    --------
    icas.cannot_link : Keep two images apart.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> Image.fromarray(data.coffee()).save("photos/cup.jpg")
    >>> Image.fromarray(data.coffee()[20:, 30:]).save("photos/cropped.jpg")
    >>> settings = {"method": "imagehash", "threshold": 0.6, "dst": "sorted", "cache": "kept"}
    >>> icas.cluster("photos", **settings).labels.tolist()
    [0, 0]
    >>> report = icas.reject("sorted", 0)
    >>> icas.recut("sorted", 0.6).labels.tolist()
    [-1, -1]
    """
    return decide(dst, "reject", cluster, cache=cache)


def decide(
    dst: str | Path, what: str, *names: str | int, cache: str | Path | None = None
) -> DecideReport:
    """Set, list or remove constraints, like ``clusterimg decide``.

    Parameters
    ----------
    dst : str or Path
        Result folder.
    what : str
        ``must-link``, ``cannot-link`` or ``reject``, as the functions of these names; ``learn``:
        set constraints from files that were moved between the folders of ``result/``; ``list``;
        ``forget``: remove constraints.
    *names : str or int
        Two images (names as in ``clusters.csv``, or paths in ``result/``), a cluster, or numbers of
        constraints or ``all``.
    cache : str or Path, optional
        Folder of the constraints. Default: the cache folder of the run.

    Returns
    -------
    DecideReport
        The new constraints, and stored ones that they change.

    Raises
    ------
    UsageError
        No finished result, or no such image, cluster or constraint.
    ConflictError
        The constraints contradict stored ones, or a file of the result is missing.
    IcasError
        The stored constraints are damaged, or a file cannot be read.

    See Also
    --------
    icas.must_link, icas.cannot_link, icas.reject : Set constraints.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> Image.fromarray(data.coffee()).save("photos/cup.jpg")
    >>> Image.fromarray(data.camera()).save("photos/man.jpg")
    >>> how = {"method": "imagehash", "threshold": 0.9}
    >>> report = icas.cluster("photos", **how, dst="sorted", cache="kept")
    >>> report = icas.must_link("sorted", "cup.jpg", "man.jpg")
    >>> print(*icas.decide("sorted", "list").lines())
    ... # doctest: +ELLIPSIS
    constraint 1 (must-link cup.jpg man.jpg), 2 images, ...
    >>> len(icas.decide("sorted", "forget", "all").decisions)
    1
    """
    root = path_of(dst, "dst")
    if what not in _ACTIONS:
        raise UsageError(f"unknown action {what!r}: choose from {', '.join(_ACTIONS)}")
    if not root.is_dir():
        raise UsageError(f"no folder {root}")
    count, action = _ACTIONS[what]
    if count is not None and len(names) != count:
        raise UsageError(f"{what} takes {_ARGUMENTS[count]}, got {len(names)}")
    return action(root, folder_of(root, cache), tuple(map(str, names)))


def _link(what: str) -> _Action:
    """The action that sets a constraint on two images."""

    def action(root: Path, folder: Path, names: Sequence[str]) -> DecideReport:
        images = ResultImages.read(root)
        a, b = (images.content(images.named(name)) for name in names)
        if a.key == b.key:
            raise UsageError(
                f"{names[0]} and {names[1]} are identical files: constraints need"
                " two different images"
            )
        sides, kind = (((a, b),), TOGETHER) if what == "must-link" else (((a,), (b,)), APART)
        return store_constraints(
            folder, what, [Constraint(kind, sides, f"{what} {a.name} {b.name}")]
        )

    return action


def _reject(root: Path, folder: Path, names: Sequence[str]) -> DecideReport:
    images = ResultImages.read(root)
    files = images.members(names[0])
    sides = tuple((images.content(file),) for file in files)
    constraint = distinct(Constraint(APART, sides, f"reject {names[0]} of {root}"))
    if len(constraint.sides) < 2:
        raise UsageError(
            f"{names[0]} contains only identical files ({len(files)}): there is"
            " nothing to keep apart"
        )
    return store_constraints(folder, "reject", [constraint])


def _learn(root: Path, folder: Path, _: Sequence[str]) -> DecideReport:
    with locked(root):
        images = ResultImages.read(root)
        moves = find_moves(images)
        constraints = constraints_of_moves(images, moves)
        report = (
            store_constraints(folder, "learn", constraints)
            if constraints
            else DecideReport("learn")
        )
        with Journal(root) as journal:
            journal.moved(moves.moved)
            new = set(moves.moved.values())
            records = [one for one in journal.files() if one.target in new]
            journal.done(one.target for one in records if not is_unchanged(root, one))
    gone = "is missing, and no file in result/ matches it with certainty"
    unknown = "matches no file of the run with certainty"
    left = [(path, gone) for path in moves.missing] + [(path, unknown) for path in moves.unknown]
    return replace(report, left=tuple(left))


def _list(_: Path, folder: Path, __: Sequence[str]) -> DecideReport:
    if not has_constraints(folder):
        return DecideReport("list")
    with ConstraintStore(folder) as store:
        return DecideReport("list", tuple(store.all()))


def _forget(_: Path, folder: Path, names: Sequence[str]) -> DecideReport:
    if not names or not all(name == "all" or name.isdecimal() for name in names):
        raise UsageError("forget takes constraint numbers as shown by list, or all")
    if not has_constraints(folder):
        if set(names) == {"all"}:
            return DecideReport("forget")
        raise UsageError(f"no stored constraints in {folder}")
    with ConstraintStore(folder, write=True) as store, store.transaction():
        stored = {str(one.number): one for one in store.all()}
        unknown = [name for name in names if name != "all" and str(int(name)) not in stored]
        if unknown:
            raise UsageError(
                f"no constraint {unknown[0]}: clusterimg decide DST list shows the numbers"
            )
        chosen = stored if "all" in names else {str(int(name)) for name in names}
        removed = [one for number, one in stored.items() if number in chosen]
        store.remove([one.number for one in removed])
    return DecideReport("forget", tuple(removed))


def folder_of(dst: Path, cache: str | Path | None) -> Path:
    """Folder of the constraints of the result in `dst`."""
    if cache is None:
        cache = earlier_run(dst).get("settings", {}).get("cache")
    return constraints_folder(cache)


def store_constraints(folder: Path, what: str, constraints: Sequence[Constraint]) -> DecideReport:
    """Store all of `constraints`, or none."""
    added: list[Constraint] = []
    revisions: list[Revision] = []
    already: list[Constraint] = []
    with ConstraintStore(folder, write=True) as store, store.transaction():
        stored = {one.number: one for one in store.all()}
        for new in constraints:
            if (known := implied_by(new, stored.values())) is not None:
                already.append(known)
                continue
            for revision in revisions_by(new, list(stored.values())):
                number = revision.before.number
                if revision.after is None:
                    store.remove([number])
                    del stored[number]
                else:
                    store.update(revision.after)
                    stored[number] = revision.after
                revisions.append(revision)
            check_consistent(new, list(stored.values()))
            constraint = store.add(new)
            stored[constraint.number] = constraint
            added.append(constraint)
        labels = {one.image.key: one.label for one in store.names()}
        names = tuple(shortened(list(linked_contradictions(added, labels))))
    return DecideReport(what, tuple(added), tuple(revisions), tuple(already), names=names)


_Action = Callable[[Path, Path, Sequence[str]], DecideReport]
_ARGUMENTS = {0: "no names", 1: "one cluster", 2: "two images"}
_ACTIONS: dict[str, tuple[int | None, _Action]] = {
    "must-link": (2, _link("must-link")),
    "cannot-link": (2, _link("cannot-link")),
    "reject": (1, _reject),
    "learn": (0, _learn),
    "list": (0, _list),
    "forget": (None, _forget),
}
"""Number of arguments and function of each action."""
