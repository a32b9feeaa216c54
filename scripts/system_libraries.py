"""Finds the system libraries that OpenCV's wheel wants and this machine lacks, and installs them.

Run before pip, as ``python3 scripts/system_libraries.py`` with the system's own Python alone. Where
apt can be used (as root, or by sudo without a password) the packages are installed; anywhere else
the one line to type is printed. ``--windows`` asks for what the tests of windows and pages use too;
that is never fatal, the tests are skipped then. ``--check PYTHON`` instead asks an environment's
interpreter to import cv2, and says what is missing if it cannot.
"""

import argparse
import ctypes
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys

APT, DNF, PACMAN, ZYPPER = "apt-get", "dnf", "pacman", "zypper"
INSTALL = {
    APT: "apt-get install -y --no-install-recommends",
    DNF: "dnf install -y",
    PACMAN: "pacman -S --needed --noconfirm",
    ZYPPER: "zypper install -y",
}
# name -> package by package manager; found by ldd over every .so of the 4.x and 5.x wheels
IMPORT_LIBRARIES = {
    "libxcb.so.1": {APT: "libxcb1", DNF: "libxcb", PACMAN: "libxcb", ZYPPER: "libxcb1"},
    "libGL.so.1": {APT: "libgl1", DNF: "libglvnd-glx", PACMAN: "libglvnd", ZYPPER: "Mesa-libGL1"},
    "libglib-2.0.so.0": {
        APT: "libglib2.0-0",
        DNF: "glib2",
        PACMAN: "glib2",
        ZYPPER: "libglib-2_0-0",
    },
    "libgthread-2.0.so.0": {
        APT: "libglib2.0-0",
        DNF: "glib2",
        PACMAN: "glib2",
        ZYPPER: "libgthread-2_0-0",
    },
}
WINDOW_LIBRARIES = {
    "libX11.so.6": {APT: "libx11-6", DNF: "libX11", PACMAN: "libx11", ZYPPER: "libX11-6"},
    "libXext.so.6": {APT: "libxext6", DNF: "libXext", PACMAN: "libxext", ZYPPER: "libXext6"},
    "libSM.so.6": {APT: "libsm6", DNF: "libSM", PACMAN: "libsm", ZYPPER: "libSM6"},
    "libICE.so.6": {APT: "libice6", DNF: "libICE", PACMAN: "libice", ZYPPER: "libICE6"},
}
WINDOW_PROGRAMS = {
    "Xvfb": {
        APT: "xvfb",
        DNF: "xorg-x11-server-Xvfb",
        PACMAN: "xorg-server-xvfb",
        ZYPPER: "xorg-x11-server-Xvfb",
    },
    "xdotool": {APT: "xdotool", DNF: "xdotool", PACMAN: "xdotool", ZYPPER: "xdotool"},
    "openbox": {APT: "openbox", DNF: "openbox", PACMAN: "openbox", ZYPPER: "openbox"},
}
# what the system's own Python leaves out; another Python brings it or does not
WINDOW_MODULES = {
    "_tkinter": {APT: "python3-tk", DNF: "python3-tkinter", PACMAN: "tk", ZYPPER: "python3-tk"},
}
# for the tests of the pages: a browser, and the checker of types of their scripts
PAGE_PROGRAMS = {
    "chromium": {APT: "chromium", DNF: "chromium", PACMAN: "chromium", ZYPPER: "chromium"},
    "tsc": {APT: "node-typescript", DNF: "typescript", PACMAN: "typescript", ZYPPER: "typescript"},
}
PACKAGES = {
    **IMPORT_LIBRARIES,
    **WINDOW_LIBRARIES,
    **WINDOW_PROGRAMS,
    **WINDOW_MODULES,
    **PAGE_PROGRAMS,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--windows", action="store_true", help="also Xvfb, xdotool, openbox, chromium and tsc"
    )
    parser.add_argument(
        "--no-install", action="store_true", help="print what is missing, install nothing"
    )
    parser.add_argument(
        "--check", metavar="PYTHON", help="check that this interpreter can import cv2"
    )
    arguments = parser.parse_args()
    if arguments.check:
        return check_import(arguments.check)
    if not sys.platform.startswith("linux"):
        if arguments.windows:
            say("no Xvfb on this system: the window tests are skipped")
        return 0
    missing = find_missing(arguments.windows)
    manager = next((name for name in INSTALL if shutil.which(name)), None)
    if missing and manager == APT and not arguments.no_install:
        apt_install(missing)
        missing = find_missing(arguments.windows)
    return report(missing, manager)


def find_missing(windows):
    """Names of the libraries and programs that are not here."""
    libraries = [name for name in {**IMPORT_LIBRARIES, **WINDOW_LIBRARIES} if not loads(name)]
    wanted = [*WINDOW_PROGRAMS, *PAGE_PROGRAMS] if windows else []
    programs = [name for name in wanted if not shutil.which(name)]
    modules = [name for name in WINDOW_MODULES if windows and lacks(name)]
    return libraries + programs + modules


def lacks(module):
    importlib.invalidate_caches()
    return sys.prefix == "/usr" and importlib.util.find_spec(module) is None


def loads(library):
    # the same dynamic linker that will look for it at `import cv2`
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def apt_install(missing):
    root = become_root()
    if root is None:
        return
    packages = packages_for(missing, APT)
    say("installing with apt-get: " + " ".join(packages))
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    install = root + INSTALL[APT].split() + ["-qq"]
    quiet_run([*root, "apt-get", "update", "-qq"], environment)
    if quiet_run(install + packages, environment):
        return
    # one package that cannot be had (xdotool, say) must not keep the others away
    for package in packages:
        quiet_run([*install, package], environment)


def become_root():
    """What to put before a command so that it runs as root; None where that cannot be had."""
    if os.geteuid() == 0:
        return []
    sudo = ["sudo", "-n"]
    if shutil.which("sudo") and quiet_run([*sudo, "true"], show=False):
        return sudo
    return None


def quiet_run(command, environment=None, show=True):
    """Run `command` without its chatter; its last lines are shown if it fails."""
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode and show:
        tail = done.stdout.decode(errors="replace").strip().splitlines()[-3:]
        say("\n  ".join(["failed: " + " ".join(command), *tail]))
    return done.returncode == 0


def report(missing, manager):
    """Say what is still missing and what to type; 1 if `import cv2` cannot work without it."""
    if not missing:
        return 0
    fatal = [name for name in missing if name in IMPORT_LIBRARIES]
    if fatal:
        outcome = "OpenCV cannot be imported"
    elif any(name in WINDOW_LIBRARIES for name in missing):
        outcome = "no window can be opened"
    elif all(name in PAGE_PROGRAMS for name in missing):
        outcome = "the tests of the pages are skipped"
    else:
        outcome = "the window tests are skipped"
    say("missing: {}; without {} {}".format(", ".join(missing), it_or_them(missing), outcome))
    say("run: " + line_to_type(missing, manager))
    return 1 if fatal else 0


def it_or_them(names):
    return "it" if len(names) == 1 else "them"


def line_to_type(missing, manager):
    if manager is None:
        return "no known package for this system; install what provides " + ", ".join(missing)
    line = " ".join([INSTALL[manager], *packages_for(missing, manager)])
    if os.geteuid() == 0:
        return line
    return "sudo " + line if shutil.which("sudo") else "su -c '{}'".format(line)


def packages_for(missing, manager):
    return sorted({PACKAGES[name][manager] for name in missing})


def check_import(python):
    done = subprocess.run(
        [python, "-c", "import cv2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    if done.returncode == 0:
        return 0
    reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
    say("{} cannot import cv2: {}".format(python, reason[0]))
    library = re.search(r"(lib\S+\.so[.\d]*): cannot open shared object", reason[0])
    if library and library.group(1) in PACKAGES:
        say("run: {} {}".format(shlex.quote(sys.executable), shlex.quote(sys.argv[0])))
    elif library:
        say("install the system package that provides " + library.group(1))
    else:
        say(
            "another opencv wheel in the same environment breaks it; remove the environment"
            " (make clean) and start again"
        )
    return 1


def say(text):
    print("set-up: " + text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
