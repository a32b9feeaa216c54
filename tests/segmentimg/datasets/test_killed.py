"""SIGKILL during an export: nothing foreign is lost, and a second call completes it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from making import three_images

DRIVER = """
import os, shutil, signal, sys
from pathlib import Path
from icas.segmentimg.commands.main import main

out, root, stride = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
words = ["export", str(out), "--jobs", "1", "-q", "--to"]
STEPS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.copyfile", "shutil.rmtree")

def tree(folder):
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths
            if ".icas" not in path.parts}

def in_child(words, at):
    child = os.fork()
    if child == 0:
        count = 0
        def strike(event, arguments):
            nonlocal count
            write = event == "open" and isinstance(arguments[2], int) and arguments[2] & 3
            if (event in STEPS or write) and str(root) in str(arguments[0]):
                count += 1
                if count == at:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(strike)
        sys.stdout = sys.stderr = open(os.devnull, "w")
        os._exit(main(words))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

assert in_child([*words, str(root / "whole"), "--format", "yolo"], 0) == 0
whole, at, kills = tree(root / "whole"), 1, 0
while True:
    target = root / "target"
    shutil.rmtree(target, ignore_errors=True)
    if sys.argv[4] == "over":
        assert in_child([*words, str(target), "--format", "coco"], 0) == 0
    (root / "mine").write_text("mine")
    command = [*words, str(target), "--format", "yolo"]
    command += ["--overwrite"] * (sys.argv[4] == "over")
    code = in_child(command, at)
    if code == 0:
        break
    assert code == -signal.SIGKILL, code
    if sys.argv[4] == "new" and not (target / ".icas/export.json").exists():
        assert tree(target) == {}, (at, tree(target).keys())
        assert in_child(command, 0) == 0, at
    else:
        assert in_child([*command, "--overwrite"], 0) == 0, at
    assert tree(target) == whole, (at, tree(target).keys())
    assert not (target / ".icas/parts").exists(), at
    at, kills = at + stride, kills + 1
print(kills)
"""


def kill(tmp_path, stride, kind):
    out = three_images(tmp_path / "photos")
    (tmp_path / "work").mkdir()
    path = [str(Path(__file__).resolve().parents[3] / "src"), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(out), str(tmp_path / "work"), str(stride), kind],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kind", ["new", "over"])
def test_some_steps_of_an_export(tmp_path, kind):
    assert kill(tmp_path, 23, kind) >= 2


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kind", ["new", "over"])
def test_every_second_step_of_an_export(tmp_path, kind):
    assert kill(tmp_path, 2, kind) >= 20
