"""No room, no memory, few files, nobody who listens, workers that die."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits of Unix")

FULL = Path("/dev/full")
CALL = "exec {python} -m icas.clusterimg {words}"


def shell(world, script, words):
    """`script` with the words of a command in it; its exit code, and what it said on stderr."""
    import shlex

    whole = script.format(python=shlex.quote(sys.executable), words=shlex.join(words))
    done = subprocess.run(
        ["bash", "-c", whole], capture_output=True, check=False, cwd=world.root, timeout=120
    )
    err = done.stderr.decode(errors="replace")
    assert "Traceback" not in err
    assert "unexpected error" not in err
    return done.returncode, err


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_a_reader_that_has_gone(world, executor, unharmed):
    words = world.words("--executor", executor, "--verbose")
    (world.source / "bad.jpg").write_bytes(b"no picture")
    code, err = shell(world, "set -o pipefail; ({call}) | true".replace("{call}", CALL), words)
    assert (code, err) == (3, "unreadable: bad.jpg: not an image (text)\n")
    assert len(world.placed()) == 5
    (world.source / "bad.jpg").unlink()
    code, err = shell(world, f"({CALL}) | true", ["undo", str(world.result)])
    assert (code, err) == (0, "")
    unharmed()


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed(world, closed, unharmed):
    (world.source / "bad.jpg").write_bytes(b"no picture")
    kept = {path.name: path.read_bytes() for path in world.source.iterdir()}
    code, _ = shell(world, f"{CALL} {closed}", world.words("--transfer", "move"))
    assert code == 3
    placed = world.result.glob("result/*/*")
    assert {path.name: path.read_bytes() for path in placed} == {
        name: content for name, content in kept.items() if name != "bad.jpg"
    }
    (world.source / "bad.jpg").unlink()
    assert shell(world, f"{CALL} {closed}", ["undo", str(world.result)])[0] == 0
    unharmed()


@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
def test_results_into_a_full_disk(world, unharmed):
    code, err = shell(world, f"{CALL} >{FULL}", world.words("--transfer", "move"))
    assert code == 1
    assert err == "clusterimg: cannot write to standard output: No space left on device\n"
    unharmed()


@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
def test_warnings_into_a_full_disk_stop_nobody(world):
    (world.source / "bad.jpg").write_bytes(b"no picture")
    assert shell(world, f"{CALL} 2>{FULL}", world.words())[0] == 3
    assert len(world.placed()) == 5
    assert list(world.unreadable()) == ["bad.jpg"]


@pytest.mark.parametrize(("files", "executor"), [(64, "processes"), (32, "threads")])
def test_few_open_files(world, files, executor, unharmed):
    words = world.words("--executor", executor, "--jobs", "4")
    code, err = shell(world, f"ulimit -n {files}; {CALL}", words)
    assert (code, err) == (0, "")
    assert world.undo().code == 0
    unharmed()


def test_too_few_open_files(world, unharmed):
    words = world.words("--executor", "processes", "--jobs", "8")
    code, err = shell(world, f"ulimit -n 20; {CALL}", words)
    assert code == 1
    assert "too many open files" in err.lower()
    assert len(err.splitlines()) == 1
    unharmed()


@pytest.mark.skipif(sys.platform != "linux", reason="a limit that Linux keeps")
@pytest.mark.parametrize("kilobytes", [2_000_000, 800_000, 300_000])
def test_little_memory(world, kilobytes, unharmed):
    """Enough, or a line; libraries that break where they find too little may end the process."""
    words = world.words("--transfer", "move")
    environment = "export OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2;"
    code, err = shell(world, f"{environment} ulimit -v {kilobytes}; {CALL}", words)
    if code == 1:
        assert "memory" in err
    if world.result.exists():
        assert world.undo().code == 0
    unharmed()


@pytest.fixture
def full_disk(tmp_path):
    """A file system with no room left."""
    place = tmp_path / "full"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", place], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("file systems can be mounted by the superuser alone")
    (place / "fill").write_bytes(bytes(64 * 1024))
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.parametrize("executor", [pytest.param("threads", marks=pytest.mark.slow), "processes"])
def test_no_room_for_temporary_files(world, full_disk, executor, unharmed):
    """Little is done without them, much ends in a line that names the folder."""
    for number in range(60):
        name = ("coffee-1.png", "astronaut-1.png")[number % 2]
        shutil.copy(world.source / name, world.source / f"{number}.png")
    words = ["--src", str(world.source), "--dst", str(world.result), "--no-cache"]
    words += ["--method", "orb", "--threshold", "0.3", "--executor", executor]
    ran = world.apart(words, env={"TMPDIR": str(full_disk)})
    if ran.code == 0:
        assert world.undo().code == 0
    else:
        assert ran.code == 1
        assert len(ran.lines) == 1
        assert str(full_disk) in ran.err
    assert [path.name for path in full_disk.iterdir()] == ["fill"]
    for number in range(60):
        (world.source / f"{number}.png").unlink()
    unharmed()


def test_no_home_folder(world, unharmed):
    words = [word for word in world.words() if word != "--no-cache"]
    nobody = {"HOME": str(world.root / "nothing" / "file"), "XDG_CACHE_HOME": "", "ICAS_CACHE": ""}
    (world.root / "nothing").write_bytes(b"")
    ran = world.apart(words, env=nobody)
    assert ran.code == 0
    assert len(ran.lines) <= 2  # that nothing is kept
    assert world.undo().code == 0
    unharmed()


KILLER = """
import importlib, os, signal, sys
from pathlib import Path

def children():
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            ours = int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == os.getpid()
            if ours and kind in (entry / "cmdline").read_bytes():
                yield int(entry.name)
        except OSError:
            continue

def kill_at(place):
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    function, done = getattr(owner, name), []

    def called(*given, **named):
        if not done:
            done.extend(children())
            for process in done:
                os.kill(process, signal.SIGKILL)
        return function(*given, **named)

    setattr(owner, name, called)

if __name__ == "__main__":
    kind = sys.argv.pop(1).encode()
    kill_at(sys.argv.pop(1))
    from icas.clusterimg.commands.main import main
    raise SystemExit(main())
"""
MOMENTS = {
    "features": "icas.clusterimg.features.extraction:Reading._count",
    "links": "icas.clusterimg.clustering.base:GrowingForest.add",
    "transfer": "icas.clusterimg.transfer.execution:_transfer",
}


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes as Linux has them")
@pytest.mark.parametrize(
    ("kind", "moment"),
    [
        ("spawn_main", "links"),
        ("sandbox_worker", "features"),
        pytest.param("spawn_main", "features", marks=pytest.mark.slow),
        pytest.param("spawn_main", "transfer", marks=pytest.mark.slow),
        pytest.param("sandbox_worker", "links", marks=pytest.mark.slow),
        pytest.param("sandbox_worker", "transfer", marks=pytest.mark.slow),
    ],
)
def test_workers_that_are_killed(world, tools, tmp_path_factory, moment, kind, unharmed):
    """As the system does when memory runs out: the run goes on, or ends with one line."""
    scratch = tmp_path_factory.mktemp("scratch")
    killer = tmp_path_factory.mktemp("killer") / "killer.py"
    killer.write_text(KILLER)
    code = f"import runpy; runpy.run_path({str(killer)!r}, run_name='__main__')"
    executor = "processes" if kind == "spawn_main" else "threads"
    words = world.words("--transfer", "move", "--executor", executor, "--isolate", "--jobs", "2")
    ran = tools.run_apart([kind, MOMENTS[moment], *words], code=code, env={"TMPDIR": str(scratch)})
    assert ran.code in (0, 1, 3)
    assert list(scratch.iterdir()) == []
    if ran.code == 1:
        assert len(ran.lines) == 1
        assert "died" in ran.err
        unharmed()
        assert world.command(*words, "--resume").code == 0
    assert len(world.placed()) + len(world.unreadable()) == 5
    assert world.undo().code == 0
    unharmed()
