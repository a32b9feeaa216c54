"""What a person decides about images of a result, remembered for later runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from icas.clusterimg.decisions.conflicts import Change, changes_by, check_no_chain, known_already
from icas.clusterimg.decisions.model import APART, TOGETHER, Decision, Picture, picture_of
from icas.clusterimg.decisions.store import DecisionStore, decisions_folder, has_decisions
from icas.clusterimg.editing.learn import ByHand, decisions_learned, distinct, moved_by_hand
from icas.clusterimg.editing.lookup import NamedImages
from icas.clusterimg.journal.journal import Journal
from icas.clusterimg.results.tables import earlier_run
from icas.clusterimg.transfer.destination import at_work
from icas.clusterimg.transfer.verify import as_left
from icas.common.errors import IcasError, UsageError


@dataclass(frozen=True)
class DecideReport:
    """What was decided, or is remembered.

    What `icas.decide` gives.

    Attributes
    ----------
    what : str
        As it was asked for: ``must-link``, …
    decisions : tuple of Decision
        Those that were made; of ``list`` all, of ``forget`` those that are forgotten.
    changes : tuple of Change
        Earlier decisions that these replace or change.
    already : tuple of Decision
        Earlier decisions that say the same: nothing was added for them.
    left : tuple of (str, str)
        Of ``learn``: places in the result that say nothing, and why.

    See Also
    --------
    icas.decide : makes one.

    Examples
    --------
    >>> import icas
    >>> icas.DecideReport("list").lines()
    ['nothing is remembered']
    >>> icas.DecideReport("list").as_dict()
    {'decisions': [], 'replaced': [], 'changed': [], 'already': [], 'left': []}
    """

    what: str
    decisions: tuple[Decision, ...] = ()
    changes: tuple[Change, ...] = ()
    already: tuple[Decision, ...] = ()
    left: tuple[tuple[str, str], ...] = ()

    def lines(self) -> list[str]:
        """In words.

        Returns
        -------
        list of str
            A line for each decision and change; never empty.
        """
        said = {"list": "", "forget": "forgotten: "}.get(self.what, "remembered: ")
        lines = [f"{said}{_told(one)}" for one in self.decisions]
        lines += [one.told() for one in self.changes]
        lines += [f"known already: {one.told()}" for one in self.already]
        nothing = {
            "list": "nothing is remembered",
            "forget": "nothing is remembered",
            "learn": "no file was moved to another folder",
        }
        return lines or [nothing.get(self.what, "nothing to remember")]

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it.

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
            "left": [{"place": place, "reason": reason} for place, reason in self.left],
        }


def _told(one: Decision) -> str:
    count = len(one.pictures)
    return f"{one.told()}, {count} pictures, {one.made[:10]}"


def _plain(one: Decision) -> dict[str, Any]:
    names = [[picture.name for picture in side] for side in one.sides]
    return {
        "number": one.number,
        "kind": one.kind,
        "how": one.how,
        "made": one.made,
        "sides": names,
    }


def decide(
    dst: str | Path, what: str, *names: str | int, cache: str | Path | None = None
) -> DecideReport:
    """Decide something about images of a result; later runs over the same pictures follow it.

    Images are known by their bytes, wherever they lie. Nothing in the result moves: the next run,
    or `icas.recut` of this one, follows what was decided.

    Parameters
    ----------
    dst : str or Path
        The result folder.
    what : str
        ``must-link`` (two images belong in one cluster), ``cannot-link`` (they never do),
        ``reject`` (no two images of a cluster ever do), ``learn`` (files that were moved between
        folders of ``result/``), ``list``, or ``forget`` (numbers, or ``all``).
    *names : str or int
        Two images, as ``clusters.csv`` names them or by their place in ``result/``; a cluster;
        or numbers.
    cache : str or Path, optional
        Where decisions are kept; default the cache folder that the run had.

    Returns
    -------
    DecideReport
        What is remembered now, and what that replaced.

    Raises
    ------
    UsageError
        There is no finished result, or no such image, cluster or number.
    ConflictError
        It contradicts earlier decisions in a row, or a file is not where it is on record.
    IcasError
        The remembered decisions are damaged, or a file cannot be read.

    See Also
    --------
    icas.cluster : follows what was decided.

    Examples
    --------
    Two parts of one photograph that no threshold would bring together:

    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> Image.fromarray(data.coffee()).save("photos/cup.jpg")
    >>> Image.fromarray(data.coffee()[:, 300:]).save("photos/spoon.jpg")
    >>> given = {"threshold": 0.9, "dst": "sorted", "cache": "kept"}
    >>> icas.cluster("photos", **given).clusters
    0
    >>> print(*icas.decide("sorted", "must-link", "cup.jpg", "spoon.jpg").lines())
    ... # doctest: +ELLIPSIS
    remembered: decision 1 (must-link cup.jpg spoon.jpg), 2 pictures, ...
    >>> icas.cluster("photos", **given, overwrite=True).labels.tolist()
    [0, 0]
    >>> len(icas.decide("sorted", "forget", "all").decisions)
    1
    """
    root = Path(dst)
    if what not in _COMMANDS:
        raise UsageError(f"nothing is decided by {what!r}: choose from {', '.join(_COMMANDS)}")
    if not root.is_dir():
        raise UsageError(f"no folder {root}")
    needs, command = _COMMANDS[what]
    if needs is not None and len(names) != needs:
        raise UsageError(f"{what} takes {_WANTED[needs]}, got {len(names)}")
    return command(root, _folder(root, cache), tuple(map(str, names)))


def _folder(root: Path, cache: str | Path | None) -> Path:
    return decisions_folder(
        cache if cache is not None else earlier_run(root).get("settings", {}).get("cache")
    )


def _link(what: str) -> _Command:
    """The command that decides about two images."""

    def command(root: Path, folder: Path, names: Sequence[str]) -> DecideReport:
        images = NamedImages.read(root)
        one, other = (_picture(images, images.called(name)) for name in names)
        if one.key == other.key:
            raise UsageError(f"{names[0]} and {names[1]} are one picture: their bytes are the same")
        sides = ((one, other),) if what == "must-link" else ((one,), (other,))
        kind = TOGETHER if what == "must-link" else APART
        return _remember(folder, what, [Decision(kind, sides, f"{what} {one.name} {other.name}")])

    return command


def _reject(root: Path, folder: Path, names: Sequence[str]) -> DecideReport:
    images = NamedImages.read(root)
    files = images.members(names[0])
    pictures = tuple((_picture(images, file),) for file in files)
    decision = distinct(Decision(APART, pictures, f"reject {names[0]} of {root}"))
    if len(decision.sides) < 2:
        raise UsageError(f"{names[0]} holds one picture only, {len(files)} times the same bytes")
    return _remember(folder, "reject", [decision])


def _learn(root: Path, folder: Path, _: Sequence[str]) -> DecideReport:
    with at_work(root):
        images = NamedImages.read(root)
        by_hand = moved_by_hand(images)
        decisions = decisions_learned(images, by_hand)
        report = _remember(folder, "learn", decisions) if decisions else DecideReport("learn")
        with Journal(root) as journal:
            journal.moved(by_hand.moved)
            moved = [one for one in journal.made() if one.target in set(by_hand.moved.values())]
            journal.done(one.target for one in moved if not as_left(root, one))
    return replace(report, left=_left(by_hand))


def _left(by_hand: ByHand) -> tuple[tuple[str, str], ...]:
    gone = "is gone, and is none of the files in result/ for certain"
    new = "is none of the run's files for certain"
    return (
        *((place, gone) for place in by_hand.missing),
        *((place, new) for place in by_hand.unknown),
    )


def _list(_: Path, folder: Path, __: Sequence[str]) -> DecideReport:
    if not has_decisions(folder):
        return DecideReport("list")
    with DecisionStore(folder) as store:
        return DecideReport("list", tuple(store.all()))


def _forget(_: Path, folder: Path, names: Sequence[str]) -> DecideReport:
    if not names or not all(name == "all" or name.isdecimal() for name in names):
        raise UsageError("forget takes numbers of decisions, as list shows them, or all")
    if not has_decisions(folder):
        if set(names) == {"all"}:
            return DecideReport("forget")
        raise UsageError(f"nothing is remembered in {folder}")
    with DecisionStore(folder, write=True) as store, store.changing():
        known = {str(one.number): one for one in store.all()}
        unknown = [name for name in names if name != "all" and str(int(name)) not in known]
        if unknown:
            raise UsageError(
                f"no decision {unknown[0]}: clusterimg decide DST list shows their numbers"
            )
        wanted = known if "all" in names else {str(int(name)) for name in names}
        going = [one for number, one in known.items() if number in wanted]
        store.remove([one.number for one in going])
    return DecideReport("forget", tuple(going))


def _picture(images: NamedImages, file: str) -> Picture:
    place = images.place(file)
    try:
        return picture_of(place, file)
    except OSError as error:
        raise IcasError(f"cannot read {place}: {error.strerror or error}") from error


def _remember(folder: Path, what: str, decisions: Sequence[Decision]) -> DecideReport:
    """Keep all of `decisions`, or none."""
    made: list[Decision] = []
    changes: list[Change] = []
    known: list[Decision] = []
    with DecisionStore(folder, write=True) as store, store.changing():
        earlier = {one.number: one for one in store.all()}
        for new in decisions:
            if (already := known_already(new, earlier.values())) is not None:
                known.append(already)
                continue
            for change in changes_by(new, list(earlier.values())):
                _carry_out(store, change, earlier)
                changes.append(change)
            check_no_chain(new, list(earlier.values()))
            kept = store.add(new)
            earlier[kept.number] = kept
            made.append(kept)
    return DecideReport(what, tuple(made), tuple(changes), tuple(known))


def _carry_out(store: DecisionStore, change: Change, earlier: dict[int, Decision]) -> None:
    number = change.before.number
    if change.after is None:
        store.remove([number])
        del earlier[number]
    else:
        store.change(change.after)
        earlier[number] = change.after


_Command = Callable[[Path, Path, Sequence[str]], DecideReport]
_WANTED = {0: "no names", 1: "one cluster", 2: "two images"}
_COMMANDS: dict[str, tuple[int | None, _Command]] = {
    "must-link": (2, _link("must-link")),
    "cannot-link": (2, _link("cannot-link")),
    "reject": (1, _reject),
    "learn": (0, _learn),
    "list": (0, _list),
    "forget": (None, _forget),
}
