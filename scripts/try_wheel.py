"""Installs a wheel into an empty environment and uses it there as a newcomer would.

``python3 scripts/try_wheel.py WHEEL [--python python3.12 …] [--extras fast]``: with each Python
named (this one, if none is) an environment is made in a temporary folder, the wheel and what it
needs are installed, and the commands and the import are tried where no sources lie.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from environment import python_of

IMPORT = """
import icas, pathlib, sys
print(icas.__version__)
assert pathlib.Path(icas.__file__).is_relative_to(sys.prefix), icas.__file__
assert (pathlib.Path(icas.__file__).parent / "py.typed").exists(), "types are not shipped"
assert not {"cv2", "torch", "matplotlib"} & set(sys.modules), "the import is heavy"
for name in icas.__all__:
    assert getattr(icas, name) is not None, name
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--python", nargs="+", default=[sys.executable], help="which Pythons")
    parser.add_argument("--extras", default="", help="extras of icas, with commas")
    arguments = parser.parse_args()
    for python in arguments.python:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            told = try_wheel(arguments.wheel.resolve(), python, Path(folder), arguments.extras)
        print(told)


def try_wheel(wheel, python, folder, extras=""):
    """One line that says what was tried; an error with the command's output if anything failed."""
    environment = folder / "environment"
    run([python, "-m", "venv", environment], folder)
    inside = python_of(environment)
    wanted = f"{wheel}[{extras}]" if extras else str(wheel)
    pip = [inside, "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "install", "--quiet", "--progress-bar", "off", wanted], folder)
    run([*pip, "check"], folder)
    use(Path(inside).parent, version_of(wheel), folder)
    version = run([inside, "--version"], folder).strip()
    return f"{wheel.name} with {version}{f' and [{extras}]' if extras else ''}: works"


def version_of(wheel):
    """The version that the name of the file tells."""
    return wheel.name.split("-")[1]


def use(programs, version, folder):
    """The commands and the import, from a folder that holds nothing of icas."""
    assert run([programs / "python", "-c", IMPORT], folder).strip() == version
    for command in ("clusterimg", "segmentimg"):
        assert version in run([programs / command, "--version"], folder)
        assert "usage" in run([programs / command, "--help"], folder)
    assert (programs.parent / "share" / "man" / "man1" / "clusterimg.1").exists(), "no man page"
    for command in ("clusterimg", "segmentimg"):
        for shell in ("bash", "zsh", "fish"):
            assert command in run([programs / command, "completion", shell], folder)
    told = run([programs / "clusterimg", "demo"], folder).splitlines()[-1]
    assert re.fullmatch(r"\d+ images, \d+ clusters, \d+ outliers, 0 unreadable -> .*", told), told
    assert (folder / "icas-demo" / "sorted" / "report.html").stat().st_size > 10_000
    picture = min((folder / "icas-demo" / "mixed").iterdir())
    run([programs / "segmentimg", picture, "--no-gui", "--out", folder / "cut"], folder)
    assert len(list((folder / "cut").glob("*_segments.png"))) == 1


def run(command, folder):
    """What the command prints; SystemExit with all that it said if it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode:
        words = " ".join(str(word) for word in command)
        sys.exit(f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
