"""The wheel and the source archive: what they hold, what they say, that they can be installed."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path
from types import ModuleType

import pytest

import icas

TOP = Path(__file__).resolve().parent.parent
MINORS = ("3.10", "3.11", "3.12", "3.13")
PICTURE = "![two words](docs/images/a.png)"
LEADS_NOWHERE = re.compile(r"\]\((?!https?://|#|mailto:)")


@pytest.fixture(scope="module")
def scripts() -> Iterator[Path]:
    """The folder of the scripts, which import one another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TOP / "scripts")
        patch.syspath_prepend(TOP)
        yield TOP / "scripts"


@pytest.fixture(scope="module")
def contents(scripts: Path) -> ModuleType:
    return importlib.import_module("package_contents")


@pytest.fixture(scope="module")
def describe(scripts: Path) -> ModuleType:
    pytest.importorskip("hatchling", reason="not installed: pip install 'icas[test]'")
    return importlib.import_module("hatch_build")


def build(kind: str, top: Path, out: Path) -> Path:
    """A wheel or a source archive as `python -m build` makes it, without its environments."""
    reason = "not installed: pip install 'icas[test]'"
    builders = pytest.importorskip(f"hatchling.builders.{kind}", reason=reason)
    made = getattr(builders, f"{kind.title()}Builder")(str(top)).build(directory=str(out))
    return Path(next(iter(made)))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", TOP, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", TOP, tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def unpacked(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(archive) as opened:
        opened.extraction_filter = getattr(tarfile, "data_filter", None)  # the later Pythons' own
        opened.extractall(folder)
    return folder / f"icas-{icas.__version__}"


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as opened:
        text = opened.read(f"icas-{icas.__version__}.dist-info/METADATA").decode()
    return Parser().parsestr(text)


def test_the_wheel_holds_the_package_and_nothing_else(contents: ModuleType, wheel: Path) -> None:
    assert contents.wheel_faults(wheel) == []
    assert wheel.name == f"icas-{icas.__version__}-py3-none-any.whl"
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"icas/web/static/index.html", "icas/web/static/app.js"} <= names
    assert {"icas/py.typed", "icas/clusterimg/html/templates/page.html"} <= names


def test_the_source_archive_holds_what_a_build_needs(contents: ModuleType, archive: Path) -> None:
    assert contents.archive_faults(archive) == []


def test_files_too_many_and_too_few_are_named(
    contents: ModuleType, wheel: Path, tmp_path: Path
) -> None:
    changed = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name != "icas/py.typed":
                new.writestr(name, old.read(name))
        new.writestr("tests/test_package.py", "")
        new.writestr("share/man/man1/clusterimg.1", "")
        new.writestr(f"icas-{icas.__version__}.data/data/share/man/man1/ls.1", "")
    assert contents.wheel_faults(changed) == [
        f"{wheel.name} should not hold icas-{icas.__version__}.data/data/share/man/man1/ls.1",
        f"{wheel.name} should not hold share/man/man1/clusterimg.1",
        f"{wheel.name} should not hold tests/test_package.py",
        f"{wheel.name} lacks icas/py.typed",
    ]


def test_the_archive_builds_the_same_wheel(wheel: Path, unpacked: Path, tmp_path: Path) -> None:
    for path in unpacked.rglob("*"):
        os.utime(path, (1e9, 1e9))
    assert build("wheel", unpacked, tmp_path).read_bytes() == wheel.read_bytes()


def test_the_archive_is_the_same_whenever_it_is_made(
    archive: Path, unpacked: Path, tmp_path: Path
) -> None:
    (unpacked / "PKG-INFO").unlink()
    for path in unpacked.rglob("*"):
        os.utime(path, (1e9, 1e9))
    assert build("sdist", unpacked, tmp_path).read_bytes() == archive.read_bytes()


def test_metadata_say_what_is_so(metadata: Message) -> None:
    known = pytest.importorskip("trove_classifiers").classifiers
    assert metadata["Name"] == "icas"
    assert metadata["Version"] == icas.__version__
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License-Expression"] == "MIT"
    classifiers = set(metadata.get_all("Classifier") or ())
    assert classifiers <= set(known)
    assert {f"Programming Language :: Python :: {minor}" for minor in MINORS} <= classifiers


def test_the_description_leads_nowhere_wrong(metadata: Message) -> None:
    text = metadata.get_payload()
    assert isinstance(text, str)
    assert metadata["Description-Content-Type"] == "text/markdown"
    fences = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
    assert fences.findall(text) == fences.findall((TOP / "README.md").read_text(encoding="utf-8"))
    assert not LEADS_NOWHERE.findall(fences.sub("", text))
    assert "pip install icas" in text


README = f"""# icas

{PICTURE}

See [this page](docs/undo.md#how), [below](#install), [that](https://example.org/x.md).

```python
print(links[0](docs))
```
"""


def test_without_a_repository_links_are_words(describe: ModuleType) -> None:
    assert describe.long_description(README, None, "0.1.0") == README.replace(
        f"{PICTURE}\n\n", ""
    ).replace("[this page](docs/undo.md#how)", "this page")


def test_with_a_repository_links_are_addresses_at_the_tag(describe: ModuleType) -> None:
    told = describe.long_description(README, "https://example.org/icas/", "0.1.0")
    assert told == README.replace(
        "(docs/images/a.png)", "(https://example.org/icas/raw/v0.1.0/docs/images/a.png)"
    ).replace("(docs/undo.md#how)", "(https://example.org/icas/blob/v0.1.0/docs/undo.md#how)")


def test_version_and_licence_are_told_once(metadata: Message) -> None:
    cited = dict(re.findall(r"^(\w+): (.+)$", (TOP / "CITATION.cff").read_text(), re.MULTILINE))
    assert cited["version"] == icas.__version__
    assert cited["license"] == metadata["License-Expression"]


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A checkout of version 1.2.0 as the notes of a release see it."""
    (tmp_path / "src" / "icas").mkdir(parents=True)
    (tmp_path / "src" / "icas" / "_version.py").write_text('__version__ = "1.2.0"\n')
    text = "# Changelog\n\n## Unreleased\n\n## 1.2.0 - 2030-01-01\n\n### Sorting\n\n- new\n\n"
    (tmp_path / "CHANGELOG.md").write_text(f"{text}## 1.1.0\n\n- old\n")
    return tmp_path


def test_notes_of_a_release_are_its_part_of_the_changelog(scripts: Path, released: Path) -> None:
    notes = importlib.import_module("release_notes").notes
    assert notes("v1.2.0", released) == "### Sorting\n\n- new"


@pytest.mark.parametrize(
    ("tag", "old", "new", "words"),
    [
        ("v1.1.0", "", "", r"the tag is v1.1.0, but .* says 1.2.0"),
        ("1.2.0", "", "", r"the tag is 1.2.0, but .* says 1.2.0"),
        ("v1.2.0", "Unreleased\n", "Unreleased\n\n- more\n", "put them under 1.2.0"),
        ("v1.2.0", "## 1.2.0 ", "## 1.2.1 ", "says nothing under ## 1.2.0"),
    ],
)
def test_a_release_that_does_not_agree_is_refused(
    scripts: Path, released: Path, tag: str, old: str, new: str, words: str
) -> None:
    changelog = released / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace(old, new, 1))
    with pytest.raises(SystemExit, match=words):
        importlib.import_module("release_notes").notes(tag, released)


def pythons() -> list[str]:
    """Interpreters of the versions that icas is for: pyenv's, and those on the search path."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = []
    for minor in MINORS:
        kept = sorted(versions.glob(f"{minor}.*/bin/python"))
        there = str(kept[-1]) if kept else shutil.which(f"python{minor}")
        found += [there] if there else []
    return found or [sys.executable]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("extras", ["", "fast"])
@pytest.mark.parametrize("python", pythons())
def test_the_wheel_works_in_an_empty_environment(
    scripts: Path, wheel: Path, python: str, extras: str, tmp_path: Path
) -> None:
    try_wheel = importlib.import_module("try_wheel").try_wheel
    if subprocess.run([python, "-c", "import venv, ensurepip"], capture_output=True).returncode:
        pytest.skip(f"{python} cannot make environments")
    assert try_wheel(wheel, python, tmp_path, extras).endswith("works")
