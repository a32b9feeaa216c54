"""Makes the virtual environment that a Makefile target runs in, and keeps it while nothing changed.

``python3 scripts/environment.py FOLDER [--extras all,test] [--editable]`` with the system's own
Python and nothing else; without a folder it only looks whether this Python will do. Checked before
anything is downloaded: this Python's version, whether it can make environments, and the free disk.
A stamp in the folder remembers what was installed.
"""

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STAMP = ".icas-ready"
GIGABYTE = 1e9
# measured on Debian 12 with Python 3.11: the environment, and what pip downloads on the way to it
LIGHT_DISK, LIGHT_DOWNLOAD = 1.1, 0.4
TORCH_DISK, TORCH_DOWNLOAD = 5.7, 3.0
# macOS, Windows and ARM get a torch without CUDA
PLAIN_TORCH_DISK, PLAIN_TORCH_DOWNLOAD = 1.2, 0.4
TORCH_EXTRAS = {"all", "deep", "sam"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", help="folder of the environment")
    parser.add_argument("--extras", default="", help="extras of icas, separated by commas")
    parser.add_argument("--editable", action="store_true", help="editable install")
    arguments = parser.parse_args()
    extras = [name for name in arguments.extras.replace(" ", ",").split(",") if name]
    check_python()
    if arguments.folder is None:
        return
    stamp = stamp_of(extras, arguments.editable)
    if read_stamp(arguments.folder) == stamp:
        return
    check_disk(arguments.folder, extras)
    make(arguments.folder)
    install(arguments.folder, extras, arguments.editable)
    check_imports(arguments.folder, extras)
    with open(os.path.join(arguments.folder, STAMP), "w") as file:
        file.write(stamp)


def check_python():
    version = "{}.{}".format(*sys.version_info[:2])
    if sys.version_info < (3, 10):
        stop(
            "icas needs Python 3.10 or later, {} is {}; choose another: make PYTHON=python3.12",
            sys.executable,
            version,
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        stop(
            "{} cannot make virtual environments; on Debian and Ubuntu type:"
            " sudo apt-get install -y python3-venv (or python{}-venv)",
            sys.executable,
            version,
        )


def stamp_of(extras, editable):
    """Everything that an installed environment depends on, as one text."""
    digest = hashlib.sha256()
    for path in stamped_files(editable):
        with open(path, "rb") as file:
            digest.update(path.encode() + b"\0" + file.read())
    return "{} {} [{}] {} {}".format(
        sys.version.split()[0], sys.prefix, ",".join(extras), editable, digest.hexdigest()
    )


def stamped_files(editable):
    yield os.path.join(TOP, "pyproject.toml")
    if editable:
        # its version is installed, not looked up
        yield os.path.join(TOP, "src", "icas", "_version.py")
        return
    for folder, folders, files in os.walk(os.path.join(TOP, "src")):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            yield os.path.join(folder, name)


def read_stamp(folder):
    try:
        with open(os.path.join(folder, STAMP)) as file:
            return file.read()
    except OSError:
        return ""


def check_disk(folder, extras):
    """Stop before the download if it could not be unpacked."""
    torch = TORCH_EXTRAS.intersection(extras)
    disk, download = LIGHT_DISK, LIGHT_DOWNLOAD
    if torch:
        cuda = sys.platform.startswith("linux") and platform.machine() == "x86_64"
        disk += TORCH_DISK if cuda else PLAIN_TORCH_DISK
        download += TORCH_DOWNLOAD if cuda else PLAIN_TORCH_DOWNLOAD
    if os.path.isdir(folder):
        disk = max(disk - size_of(folder) / GIGABYTE, 0)
    wanted = {}
    for place, amount in ((TOP, disk), (tempfile.gettempdir(), download)):
        device = os.stat(place).st_dev
        wanted[device] = (place, wanted.get(device, (place, 0.0))[1] + amount)
    for place, amount in wanted.values():
        free = shutil.disk_usage(place).free / GIGABYTE
        if free < amount:
            stop(
                "{:.1f} GB of free disk are needed at {}, {:.1f} GB are there; make room{}{}",
                amount,
                place,
                free,
                ", or set TMPDIR to a folder on a larger disk" if place != TOP else "",
                ", or go without torch: make test EXTRAS=test,fast" if torch else "",
            )


def size_of(folder):
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            total += os.lstat(os.path.join(parent, name)).st_size
    return total


def make(folder):
    # cleared, as an environment of another Python or a half-made one cannot be mended
    config = os.path.join(folder, "pyvenv.cfg")
    if os.path.exists(config):
        with open(config) as file:
            words = file.read().split()
        if sys.version.split()[0] in words and os.path.exists(python_of(folder)):
            return
    elif os.path.exists(folder) and os.listdir(folder):
        stop("{} is there and is no virtual environment; move it away", folder)
    run([sys.executable, "-m", "venv", "--clear", folder], "could not make " + folder)


def python_of(folder):
    parts = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return os.path.join(folder, *parts)


def install(folder, extras, editable):
    what = "icas" + ("[{}]".format(",".join(extras)) if extras else "")
    large = " (several GB)" if TORCH_EXTRAS.intersection(extras) else ""
    say(
        "pip installs {} and its dependencies{} into {}; this can take minutes", what, large, folder
    )
    target = TOP + ("[{}]".format(",".join(extras)) if extras else "")
    command = [python_of(folder), "-m", "pip", "install", "--quiet", "--progress-bar", "off"]
    command += ["--disable-pip-version-check"] + (["--editable"] if editable else []) + [target]
    if large:
        # pip's cache would hold the gigabytes a second time
        command.append("--no-cache-dir")
    run(command, "pip failed (see above); if the network was the cause, run the same command again")


def check_imports(folder, extras):
    script = os.path.join(TOP, "scripts", "system_libraries.py")
    run([sys.executable, script, "--check", python_of(folder)], "OpenCV does not work here")
    if TORCH_EXTRAS.intersection(extras):
        run(
            [python_of(folder), "-c", "import torchvision"],
            "torch and torchvision are not compatible; make clean, and check that pip takes both"
            " from one index (PIP_FIND_LINKS, PIP_EXTRA_INDEX_URL)",
        )


def run(command, sorry):
    if subprocess.run(command, stdin=subprocess.DEVNULL).returncode:
        stop("{}", sorry)


def say(text, *values):
    sys.stderr.write("set-up: " + text.format(*values) + "\n")


def stop(text, *values):
    say(text, *values)
    sys.exit(1)


if __name__ == "__main__":
    main()
