"""SIGKILL at any moment of a run: finished images are kept, --resume and --undo go on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from carrying_images import mask_of, paint, picture_of

from icas.io.reading import write_image

DRIVER = """
import os, shutil, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from carrying_images import copied
from icas.segmentimg.commands.main import main
from icas.segmentimg.propagation_run import carrying

carrying.carry_masks = copied
root, stride = Path(sys.argv[1]), int(sys.argv[2])
photos, out, kept = root / "photos", root / "photos_segmented", root / "kept"
words = ["propagate", str(photos), "--clusters", "one", "--jobs", "1", "-q"]
STEPS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir")

def tree(folder):
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths
            if ".icas" not in path.parts and path.suffix not in (".json", ".part")}

def in_child(words, at):
    child = os.fork()
    if child == 0:
        count = 0
        def strike(event, arguments):
            nonlocal count
            write = event == "open" and isinstance(arguments[2], int) and arguments[2] & 3
            if (event in STEPS or write) and str(out) in str(arguments[0]):
                count += 1
                if count == at:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(strike)
        sys.stdout = sys.stderr = open(os.devnull, "w")
        os._exit(main(words))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def reset():
    shutil.rmtree(out)
    shutil.copytree(kept, out)

shutil.copytree(out, kept)
painted = tree(out)
assert in_child(words, 0) == 0
whole, at, kills, unfinished = tree(out), 1, 0, 0
while True:
    reset()
    code = in_child(words, at)
    if code == 0:
        break
    assert code == -signal.SIGKILL, code
    now = {name for name in tree(out) if "_labels" in name}
    assert painted.items() <= tree(out).items(), at
    code = in_child(words, 0)
    if code == 2:
        unfinished += 1
        code = in_child([*words, "--resume"], 0)
    assert code == 0, (at, code)
    assert tree(out) == whole, (at, tree(out).keys() ^ whole.keys())
    assert now <= {name for name in tree(out) if "_labels" in name}
    # undo, killed too
    code = in_child([*words, "--undo"], at)
    if code != 0:
        assert in_child([*words, "--undo"], 0) in (0, 2), at
    assert tree(out) == painted, (at, tree(out).keys() ^ painted.keys())
    at, kills = at + stride, kills + 1
assert unfinished > 0
print(kills)
"""


@pytest.mark.parametrize("stride", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_nothing_is_lost_at_any_step(tmp_path, stride):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, name in enumerate("abc"):
        write_image(photos / f"{name}.png", picture_of(number))
    paint(photos / "a.png", mask_of())
    here = Path(__file__).resolve()
    path = [str(here.parents[3] / "src"), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(tmp_path), str(stride), str(here.parent)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 3
