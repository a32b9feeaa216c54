"""What is killed: a command, what came before it, and where its result lies."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steps import Commands
from world import contents, differences, lost, make_source, result, state, write_labels

THRESHOLD = "0.9"
FINE = (0, 3)
"""Exit codes of a run that went to its end; 3: the broken picture is named."""


@dataclass(frozen=True)
class Scenario:
    """One command that is going to be killed.

    Attributes
    ----------
    name : str
    words : tuple of str
        Its flags.
    before : tuple of tuple of str
        Flags of runs that go to their end before it, into the same place.
    again : tuple of str
        Flags that take the place of `words` in a second call.
    from_batches : bool
        Its source is a result of ``--stage batch``.
    exported : bool
        It is an export; its source is a result with labels.
    best : bool
        It moves all but the best image of each cluster of a result to `World.dst`.
    """

    name: str
    words: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    again: tuple[str, ...] = ()
    from_batches: bool = False
    exported: bool = False
    best: bool = False

    @classmethod
    def resumed(cls, name: str, *words: str, **more: Any) -> Scenario:
        """One that goes on by the same words and ``--resume``."""
        return cls(name, words, again=(*words, "--resume"), **more)


def _scenarios() -> dict[str, Scenario]:
    moved = ("--transfer", "move", "--threshold", THRESHOLD)
    found = [
        Scenario.resumed(how, "--transfer", how, "--threshold", THRESHOLD)
        for how in ("copy", "move", "hardlink", "symlink", "none")
    ]
    earlier = ("--transfer", "copy", "--threshold", "0.8")
    cut = ("--threshold", "0.97", "--resume", *moved[:2])
    parts = ("--batch-size", "7")
    found += [
        Scenario("overwrite", (*moved, "--overwrite"), (earlier,), (*moved, "--resume")),
        Scenario("recut", cut, (moved,), cut),
        Scenario.resumed("batch", *moved, *parts, "--stage", "batch"),
        Scenario.resumed("merge", *moved, "--stage", "merge", from_batches=True),
        Scenario.resumed("keep-batches", *found[0].words, *parts, "--keep-batches"),
    ]
    formats = ("--format", "imagefolder,coco,csv", "--split", "train=0.7,test=0.3")
    found += [
        Scenario.resumed(f"export-{how}", *formats, "--transfer", how, exported=True)
        for how in ("copy", "hardlink")
    ]
    again = (*formats, "--seed", "1", "--overwrite")
    found.append(Scenario("export-overwrite", again, (formats,), again, exported=True))
    found.append(Scenario.resumed("best", best=True))
    return {one.name: one for one in found}


SCENARIOS = _scenarios()


@dataclass
class World:
    """A source, a place for its result, and how both were and ought to become.

    Attributes
    ----------
    commands : Commands
    scenario : Scenario
    source, dst : Path
    first : dict
        State of the source before anything was done.
    wanted : dict
        The result of an undisturbed command.
    steps : int
        How many it took.
    """

    commands: Commands
    scenario: Scenario
    source: Path
    dst: Path
    images: int
    jobs: int = 1
    first: dict[str, Any] = field(init=False)
    wanted: dict[str, Any] = field(init=False)
    steps: int = field(init=False)
    undo_steps: int = field(init=False)

    def __post_init__(self) -> None:
        self.make()
        self.prelude()
        done = self.commands.run(self.words)
        assert done.code in FINE, done
        self.wanted, self.steps = result(self.dst, self.source), done.steps
        done = self.commands.run(["undo", self.dst])
        assert done.code == 0, done
        self.undo_steps = done.steps
        assert self.wrong_source() == [], self.wrong_source()
        assert not self.dst.exists()

    @property
    def words(self) -> list[str]:
        """The command that is killed."""
        return [*self._common(), *self.scenario.words]

    @property
    def again(self) -> list[str]:
        """The command that goes on with it."""
        return [*self._common(), *self.scenario.again]

    def _common(self) -> list[str]:
        if self.scenario.best:
            words = ["best", str(self._clustered), "--move-others", str(self.dst)]
            return [*words, "--jobs", str(self.jobs), "-q"]
        if self.scenario.exported:
            return ["export", str(self.source), str(self.dst), "--jobs", str(self.jobs), "-q"]
        words = ["--src", str(self.source), "--dst", str(self.dst), "--method", "imagehash"]
        words += ["--jobs", str(self.jobs), "--no-cache", "-q"]
        return words if self.scenario.from_batches else [*words, "--recursive"]

    @property
    def _clustered(self) -> Path:
        """The result whose best images are kept."""
        return self.source.with_name("clustered")

    def make(self) -> None:
        """The source anew."""
        shutil.rmtree(self.source.parent, ignore_errors=True)
        self.source.parent.mkdir(parents=True)
        made = self.source
        if self.scenario.from_batches or self.scenario.exported:
            made = self.source.with_name("pictures")
        make_source(made, self.images)
        if self.scenario.from_batches:
            words = ["--src", made, "--dst", self.source, "--method", "imagehash", "--recursive"]
            words += ["--stage", "batch", "--batch-size", "7", "--threshold", THRESHOLD, "-q"]
            assert self.commands.run([*words, "--no-cache"]).code in FINE
        if self.scenario.exported:
            words = ["--src", made, "--dst", self.source, "--method", "imagehash", "--recursive"]
            words += ["--threshold", THRESHOLD, "-q", "--no-cache"]
            assert self.commands.run(words).code in FINE
            write_labels(self.source)
        if self.scenario.best:
            words = ["--src", made, "--dst", self._clustered, "--method", "imagehash"]
            words += ["--recursive", "--threshold", THRESHOLD, "--transfer", "none", "-q"]
            assert self.commands.run([*words, "--no-cache"]).code in FINE
        self.first, self.held = state(self.source), contents(self.source)

    def prelude(self) -> None:
        """What comes before the command."""
        for words in self.scenario.before:
            done = self.commands.run([*self._common(), *words])
            assert done.code in FINE, done

    def lost(self) -> int:
        """Contents of the source that are neither there nor in the result any more."""
        return lost(self.held, self.source, self.dst)

    def wrong_result(self) -> list[str]:
        """What is not as in an undisturbed run's result."""
        return differences(self.wanted, result(self.dst, self.source))

    def wrong_source(self) -> list[str]:
        """What is not as it first was in the source."""
        return differences(self.first, state(self.source))
