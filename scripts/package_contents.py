"""What a wheel and a source archive of icas hold, compared with what they should hold.

The wheel: the package's sources, its metadata, man pages and completion scripts. The source
archive: what it takes to build the wheel. No tests, no data, no pictures.
"""

import tarfile
import zipfile
from pathlib import Path, PurePosixPath

TOP = Path(__file__).resolve().parent.parent
COMMANDS = ("clusterimg", "segmentimg")
SHIPPED = {".py", ".pyi", ".typed", ".html", ".css", ".js", ".json", ".svg"}
COMPLETIONS = {
    "{}.bash": "share/bash-completion/completions/{}",
    "_{}": "share/zsh/site-functions/_{}",
    "{}.fish": "share/fish/vendor_completions.d/{}.fish",
}
BESIDE = {
    ".gitignore",
    "CHANGELOG.md",
    "CITATION.cff",
    "LICENSE",
    "PKG-INFO",
    "README.md",
    "hatch_build.py",
    "pyproject.toml",
}
ABOUT = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
LARGEST = 1_500_000


def wheel_faults(wheel, top=TOP):
    """Lines, one for each file too many or too few."""
    with zipfile.ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if not name.endswith("/")}
    own = "-".join(wheel.name.split("-")[:2])
    about = {f"{own}.dist-info/{name}" for name in ABOUT}
    package = {f"icas/{name}" for name in sources(top) | completions()}
    shells = {place.format(command) for place in COMPLETIONS.values() for command in COMMANDS}
    shared = {f"{own}.data/data/{name}" for name in pages(top) | shells}
    return differences(wheel, names, about | package | shared)


def archive_faults(archive, top=TOP):
    """The same for a source archive."""
    with tarfile.open(archive) as opened:
        names = {member.name.partition("/")[2] for member in opened if member.isfile()}
    package = {f"src/icas/{name}" for name in sources(top)}
    return differences(archive, names, BESIDE | package | writers(top))


def sources(top):
    """Files of the package, seen from its folder."""
    package = top / "src" / "icas"
    found = {path.relative_to(package).as_posix() for path in package.rglob("*.*")}
    return {name for name in found if PurePosixPath(name).suffix in SHIPPED}


def completions():
    """Completion scripts, seen from the package."""
    return {f"completions/{name.format(command)}" for name in COMPLETIONS for command in COMMANDS}


def writers(top):
    """Scripts that a build runs, seen from the top."""
    scripts = top / "scripts"
    found = [scripts / "pages.py", *(scripts / "page_writers").glob("*.py")]
    return {path.relative_to(top).as_posix() for path in found}


def pages(top):
    """Man pages, which the build has written, seen from the top."""
    return {path.relative_to(top).as_posix() for path in (top / "share" / "man").rglob("*.1")}


def differences(made, names, wanted):
    """What is too much, what is missing, and whether the file is larger than it ever should be."""
    faults = [f"{made.name} should not hold {name}" for name in sorted(names - wanted)]
    faults += [f"{made.name} lacks {name}" for name in sorted(wanted - names)]
    size = made.stat().st_size
    return faults + [f"{made.name} has {size} bytes: look inside"] * (size > LARGEST)
