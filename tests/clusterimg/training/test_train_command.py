"""``clusterimg train`` as users run it: exit codes, lines, and a kill at any moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from icas.clusterimg.commands.main import main

SMALL = ["--size", "32", "--dims", "8", "--batch-size", "4"]
PATIENCE_SECONDS = 120


@pytest.fixture
def run(one_thread, capsys):
    """The command in this process: exit code, stdout, stderr."""

    def call(*words):
        code = main(["train", *map(str, words)])
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def started(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "icas.clusterimg", "train", *map(str, words)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def killed_when(path, age, *words):
    """Start the command, and kill it after `path` has been written for the `age`-th time."""
    process = started(*words)
    seen, since = set(), time.monotonic()
    while len(seen) < age and process.poll() is None:
        assert time.monotonic() - since < PATIENCE_SECONDS
        if path.exists():
            seen.add(path.stat().st_mtime_ns)
        time.sleep(0.002)
    process.kill()
    process.wait()
    assert process.returncode == -signal.SIGKILL, "it was done before it could be killed"


@pytest.mark.deep
@pytest.mark.skipif(os.name == "nt", reason="no kill -9 there")
@pytest.mark.slow  # test_resuming.py stops a training without killing its process
def test_killed_and_resumed_gives_the_weights_of_a_run_that_was_not(torch, run, boxes, tmp_path):
    words = [boxes, *SMALL, "--epochs", "40", "--patience", "40"]
    whole, out = tmp_path / "whole.pt", tmp_path / "killed.pt"
    assert run(*words, "--out", whole)[0] == 0
    checkpoint = tmp_path / "killed_checkpoint.pt"
    killed_when(checkpoint, 2, *words, "--out", out)
    killed_when(checkpoint, 4, *words, "--out", out, "--resume")
    assert not out.exists()
    code, lines, _ = run(*words, "--out", out, "--resume")
    assert code == 0
    assert "continuing after epoch" in lines
    first, second = (torch.load(path, weights_only=True)["state_dict"] for path in (whole, out))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert not checkpoint.exists()


@pytest.mark.deep
def test_a_run_says_what_came_of_it(run, boxes):
    code, out, err = run("--src", boxes, *SMALL, "--epochs", "2", "-v")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("epoch 1: loss ")
    assert lines[-1].startswith("30 images, 2 epochs, loss ")
    assert lines[-1].endswith(f"-> {boxes.parent / 'boxes_model.pt'}")


@pytest.mark.deep
def test_unreadable_files_are_told_and_the_exit_code_is_3(run, boxes):
    (boxes / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    code, out, err = run(boxes, *SMALL, "--epochs", "1", "--json")
    told = json.loads(out)
    assert code == 3
    assert told["images"] == 30
    assert [one["file"] for one in told["unreadable"]] == ["broken.png"]
    assert "unreadable: broken.png: " in err


@pytest.mark.deep
@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--size", "100"], 2, "power of two"),
        (["--device", "cuda:99"], 2, "--device cuda:99: torch finds"),
        (["--loss", "perceptual", "--loss-weights", "none.pth"], 2, "no such file"),
        (["--loss", "perceptual", "--loss-layers", "x", "--loss-weights", "random"], 2, "no layer"),
        (["--epochs", "0"], 2, "--epochs 0: must be at least 1"),
        (["--learning-rate", "nan"], 2, "--learning-rate nan"),
    ],
)
def test_what_is_wrong_is_one_line(run, boxes, words, code, told):
    found, out, err = run(boxes, *SMALL, *words)
    assert (found, out) == (code, "")
    assert err.startswith("clusterimg: ")
    assert told in err
    assert err.count("\n") == 1
    assert [path.name for path in boxes.parent.iterdir()] == ["boxes"]


def test_without_torch_one_line_names_the_extra(boxes):
    """A finder that is asked first says that there is no torch."""
    hide = (
        "import importlib.util as u, sys\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'torch' else find(name, *rest)\n"
        "from icas.clusterimg.commands.main import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", hide, "train", str(boxes)], capture_output=True, text=True
    )
    assert found.returncode == 2
    assert found.stderr == (
        "clusterimg: training needs torch and torchvision: pip install 'icas[deep]'\n"
    )


def test_help_names_every_setting_without_torch():
    script = (
        "import sys\n"
        "from icas.clusterimg.commands.main import main\n"
        "try: main(['train', '--help-all'])\n"
        "except SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.returncode == 0
    for flag in ("--out", "--loss-weights", "--difference", "--validation", "--resume"):
        assert flag in found.stdout
