"""Ctrl+C in every stage: exit code 130, one line, no process left; --resume and undo go on."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")

STAGES = {
    "scan": ("icas.io.find:_sort_of", 2),
    "the choice of a threshold": ("icas.clusterimg.thresholds.sample:Sample.of", 1),
    "features": ("icas.clusterimg.features.extraction:Reading._count", 1),
    "links": ("icas.clusterimg.clustering.base:GrowingForest.add", 1),
    "merge": ("icas.clusterimg.clustering.batches:merge_batches", 1),
    "plan": ("icas.clusterimg.results.write:check_plan", 1),
    "tables": ("icas.clusterimg.results.write:prepare", 3),
    "thumbnails": ("icas.clusterimg.html.thumbnails:make_thumbnails", 1),
    "report page": ("icas.clusterimg.html.page:pairs_section", 1),
    "record": ("icas.clusterimg.transfer.destination:planned_record", 3),
    "transfer": ("icas.clusterimg.transfer.execution:_transfer", 3),
    "journal": ("icas.clusterimg.journal.journal:Journal.done", 1),
    "tables put in place": ("icas.clusterimg.transfer.execution:_put", 3),
    "cleaning": ("icas.clusterimg.transfer.execution:remove_unfinished", 1),
}
ON_RECORD = ("transfer", "journal", "tables put in place", "cleaning")
"""Stages in which the whole plan is on record."""

DRIVER = """
import importlib, os, signal, sys, threading, time

def strike_at(place, at, strikes):
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    function, calls = getattr(owner, name), []

    def struck(*given, **named):
        calls.append(name)
        if len(calls) == at:
            for strike in range(strikes):
                os.killpg(0, signal.SIGINT)
                if threading.current_thread() is not threading.main_thread():
                    time.sleep(0.1)
        return function(*given, **named)

    setattr(owner, name, struck)

if __name__ == "__main__":
    strike_at(sys.argv.pop(1), int(sys.argv.pop(1)), int(sys.argv.pop(1)))
    from icas.clusterimg.commands.main import main
    raise SystemExit(main())
"""


@pytest.fixture
def interrupted(world, tools, tmp_path_factory):
    """Runs ``clusterimg`` and strikes it with Ctrl+C as a terminal does, in a stage of its work."""
    scratch = tmp_path_factory.mktemp("scratch")
    driver = tmp_path_factory.mktemp("driver") / "driver.py"
    driver.write_text(DRIVER)

    def run(words, place, at, strikes=1):
        code = f"import runpy; runpy.run_path({str(driver)!r}, run_name='__main__')"
        ran = tools.run_apart(
            [place, str(at), str(strikes), *words],
            code=code,
            env={"TMPDIR": str(scratch)},
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        assert ran.code == 130
        assert len(ran.lines) == 1
        assert ran.err.startswith("clusterimg: interrupted")
        assert list(scratch.iterdir()) == []
        assert not list(world.source.rglob(".icas*"))
        assert not list((world.result / "result").rglob(".*"))
        wait_for_the_end_of(scratch)
        return ran

    return run


def wait_for_the_end_of(scratch):
    """No process with this folder in its environment stays; a helper may take a moment to go."""
    end = time.monotonic() + 5
    while left := list(processes_with(os.fsencode(scratch))):
        assert time.monotonic() < end, left
        time.sleep(0.05)


def processes_with(word):
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if word in (entry / "environ").read_bytes():
                yield entry.name, (entry / "cmdline").read_bytes()
        except OSError:  # it has just ended, or is another user's
            continue


def check(world, interrupted, stage, executor, how, unharmed):
    """Interrupted, gone on with, interrupted anew and taken back."""
    words = world.words("--transfer", how, "--executor", executor, "--jobs", "2")
    if stage == "the choice of a threshold":
        words[words.index("0.8")] = "auto"
    place, at = STAGES[stage]
    ran = interrupted(words, place, at)
    if stage in ON_RECORD:
        assert "--resume to continue" in ran.err
    else:
        unharmed()  # nothing was made yet
    assert world.command(*words, "--resume").code == 0
    assert len(world.placed()) == (5 if how != "none" else 0)
    assert world.undo().code == 0
    unharmed()
    interrupted(words, place, at)
    if stage in ON_RECORD:
        assert world.undo().code == 0
    unharmed()


QUICK = ("scan", "features", "merge", "tables", "record", "transfer", "cleaning")


@pytest.mark.parametrize(
    "stage",
    [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in STAGES],
)
def test_ctrl_c(world, interrupted, stage, unharmed):
    ways = ("copy", "move", "hardlink", "symlink")
    check(world, interrupted, stage, "threads", ways[len(stage) % 4], unharmed)


@pytest.mark.parametrize(
    "stage",
    [
        "links",
        pytest.param("features", marks=pytest.mark.slow),
        pytest.param("transfer", marks=pytest.mark.slow),
    ],
)
def test_ctrl_c_with_processes(world, interrupted, stage, unharmed):
    check(world, interrupted, stage, "processes", "move", unharmed)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("executor", ["threads", "processes"])
@pytest.mark.parametrize("how", ["copy", "move", "hardlink", "symlink"])
def test_ctrl_c_whatever_is_at_work(world, interrupted, stage, executor, how, unharmed):
    check(world, interrupted, stage, executor, how, unharmed)


@pytest.mark.parametrize(
    "place", ["icas.clusterimg.transfer.undo:move", "icas.clusterimg.transfer.undo:_restore_times"]
)
def test_ctrl_c_while_a_run_is_taken_back(world, interrupted, place, unharmed):
    assert world.run("--transfer", "move").code == 0
    interrupted(["undo", str(world.result)], place, 1)
    assert world.run("--transfer", "move", "--resume").code == 1  # it is being taken back
    assert world.undo().code == 0
    unharmed()


def test_ctrl_c_while_a_killed_run_is_gone_on_with(world, interrupted, unharmed):
    words = world.words("--transfer", "move")
    interrupted(words, *STAGES["transfer"])
    interrupted([*words, "--resume"], "icas.clusterimg.transfer.execution:_transfer", 1)
    interrupted([*words, "--resume"], *STAGES["tables put in place"])
    assert world.command(*words, "--resume").code == 0
    assert len(world.placed()) == 5
    assert world.undo().code == 0
    unharmed()


@pytest.mark.parametrize("stage", ["features", "transfer"])
def test_an_impatient_hand(world, interrupted, stage, unharmed):
    words = world.words("--transfer", "move")
    interrupted(words, *STAGES[stage], strikes=3)
    assert world.command(*words, "--resume").code == 0
    assert world.undo().code == 0
    unharmed()


def test_ctrl_c_while_an_earlier_result_is_removed(world, interrupted, unharmed):
    words = world.words("--transfer", "copy")
    assert world.command(*words).code == 0
    interrupted([*words, "--overwrite"], "icas.clusterimg.transfer.destination:remove_files", 1)
    assert world.command(*words, "--resume").code == 0
    assert len(world.placed()) == 5
    assert world.undo().code == 0
    unharmed()


def test_a_run_that_is_told_to_end(world, tools, tmp_path_factory, unharmed):
    """SIGTERM ends a run at once; nothing is lost, and nobody is held up by what it left."""
    scratch = tmp_path_factory.mktemp("scratch")
    driver = tmp_path_factory.mktemp("driver") / "driver.py"
    driver.write_text(
        DRIVER.replace("os.killpg(0, signal.SIGINT)", "os.kill(os.getpid(), signal.SIGTERM)")
    )
    code = f"import runpy; runpy.run_path({str(driver)!r}, run_name='__main__')"
    words = world.words("--transfer", "move", "--executor", "processes")
    ran = tools.run_apart(
        [*map(str, STAGES["transfer"]), "1", *words],
        code=code,
        env={"TMPDIR": str(scratch)},
        start_new_session=True,
    )
    assert ran.code in (-signal.SIGTERM, 143)
    wait_for_the_end_of(scratch)
    assert world.command(*words, "--resume").code == 0
    assert world.undo().code == 0
    unharmed()
    shutil.rmtree(scratch)
