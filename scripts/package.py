"""Builds the wheel and the source archive, and proves that they are what an index should get.

``python3 scripts/package.py [--out dist] [--no-try]``: both are built twice and must be equal byte
by byte; they must hold the sources and nothing else (package_contents.py); twine and
check-wheel-contents must have nothing to say; then the wheel is installed into an empty
environment and used there (try_wheel.py).
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import environment
from package_contents import archive_faults, wheel_faults
from try_wheel import run, try_wheel

TOP = Path(__file__).resolve().parent.parent
TOOLS = ["build>=1.2", "twine>=6.1", "check-wheel-contents>=0.6"]
# the first moment that a zip archive can tell
EARLIEST = "315532800"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=TOP / "dist", help="default: dist")
    parser.add_argument("--tools", type=Path, default=TOP / ".venv-package", help="an environment")
    parser.add_argument("--no-try", action="store_true", help="do not install the wheel")
    arguments = parser.parse_args()
    environment.check_python()
    python = tools(arguments.tools)
    shutil.rmtree(arguments.out, ignore_errors=True)
    wheel, archive = build(python, arguments.out)
    check(python, wheel, archive)
    for made in (wheel, archive):
        print(f"{made}: {made.stat().st_size / 1000:.0f} kB, sha256 {digest(made)}", flush=True)
    if not arguments.no_try:
        with tempfile.TemporaryDirectory() as folder:
            print(try_wheel(wheel, sys.executable, Path(folder)))


def tools(folder):
    """The Python of an environment that holds what is needed here; kept for the next time."""
    python = environment.python_of(str(folder))
    if not os.path.exists(python):
        run([sys.executable, "-m", "venv", folder], TOP)
    run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *TOOLS], TOP)
    return python


def build(python, out):
    """The wheel, made from the source archive, so that this is whole, too; and the archive."""
    os.environ.setdefault("SOURCE_DATE_EPOCH", time_of_the_commit())
    run([python, "-m", "build", "--outdir", out, TOP], TOP)
    (wheel,) = Path(out).glob("*.whl")
    (archive,) = Path(out).glob("*.tar.gz")
    return wheel, archive


def time_of_the_commit():
    """In seconds, as a word; the earliest one where there is no git."""
    git = ["git", "-C", str(TOP), "log", "-1", "--format=%ct"]
    try:
        told = subprocess.run(git, stdout=subprocess.PIPE, text=True).stdout.strip()
    except OSError:
        told = ""
    return told or EARLIEST


def check(python, wheel, archive):
    """SystemExit with everything that is wrong, one line each."""
    faults = wheel_faults(wheel) + archive_faults(archive)
    with tempfile.TemporaryDirectory() as folder:
        for first, second in zip((wheel, archive), build(python, folder), strict=True):
            if digest(first) != digest(second):
                faults.append(f"{first.name}: built again, it differs")
    if faults:
        sys.exit("\n".join(faults))
    run([python, "-m", "twine", "check", "--strict", wheel, archive], TOP)
    run([python, "-m", "check_wheel_contents", wheel], TOP)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
