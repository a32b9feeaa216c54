"""Damaged pictures by the thousand: no crash, no hang over 10 seconds, no memory over 2 GB.

2,000 files by default; ``ICAS_FUZZ=20000`` says how many, ``ICAS_FUZZ_SEED`` where they begin.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS, MEGABYTES = 10, 2048
PROGRAM = Path(__file__).with_name("fuzz_run.py")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is told by Linux")


def fuzz(count: int, data: Path | None) -> dict:
    words = [sys.executable, str(PROGRAM), "--count", str(count)]
    words += ["--seed", os.environ.get("ICAS_FUZZ_SEED", "0")]
    run = subprocess.run(
        [*words, *(["--data", str(data)] if data else [])], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def check(found: dict, count: int) -> None:
    assert found["bad"] == []
    assert found["files"] == count
    assert found["outcomes"]["read"] > count // 10  # it is pictures that are read
    assert all(worst[0] < SECONDS for worst in found["worst"]["seconds"].values())
    assert all(worst[0] < MEGABYTES for worst in found["worst"]["megabytes"].values())


@linux
def test_some_damaged_pictures() -> None:
    check(fuzz(40, None), 40)


@linux
@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_thousands_of_damaged_pictures(bad_inputs: Path) -> None:
    count = int(os.environ.get("ICAS_FUZZ", "2000"))
    found = fuzz(count, bad_inputs / "files")
    print(json.dumps({key: found[key] for key in ("files", "outcomes", "worst")}, indent=1))
    check(found, count)


@linux
@pytest.mark.slow
def test_the_fuzzer_sees_what_is_wrong(tmp_path: Path) -> None:
    """A reader that crashes, one that takes long, and one that raises something else."""
    patch = (
        "import icas.io.reading as images, os, time\n"
        "plain = images.image_size\n"
        "def size(path):\n"
        "    number = int(open(os.environ['FUZZ_AT']).read())\n"
        "    open(os.environ['FUZZ_AT'], 'w').write(str(number + 1))\n"
        "    if number == 3: os.abort()\n"
        "    if number == 5: raise KeyError('surprise')\n"
        "    end = time.process_time() + 2 * (number == 7)\n"
        "    while time.process_time() < end: pass\n"
        "    return plain(path)\n"
        "images.image_size = size\n"
    )
    (tmp_path / "sitecustomize.py").write_text(patch)
    (tmp_path / "at").write_text("0")
    run = subprocess.run(
        [sys.executable, str(PROGRAM), "--count", "8", "--slow", "1"],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "FUZZ_AT": str(tmp_path / "at")},
        capture_output=True,
        text=True,
    )
    bad = json.loads(run.stdout)["bad"]
    assert [one[0] for one in bad] == ["crash", 5, 7]
    assert bad[0][1] == 3
    assert bad[1][4] == {"size": "KeyError: 'surprise'"}
    assert bad[2][2]["size"] >= 2
