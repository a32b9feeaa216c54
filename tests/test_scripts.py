"""The set-up scripts: what they say when something is missing."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def environment() -> ModuleType:
    return load("environment")


@pytest.fixture
def libraries() -> ModuleType:
    return load("system_libraries")


def disk_with(free: float) -> SimpleNamespace:
    return SimpleNamespace(free=free)


def test_old_python_is_told_which_is_needed(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    with pytest.raises(SystemExit, match="1"):
        environment.check_python()
    said = capsys.readouterr().err
    assert "needs Python 3.10 or later" in said
    assert "is 3.9" in said
    assert "PYTHON=python3.12" in said


def test_short_disk_is_told_before_the_download(
    environment: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: disk_with(2e9))
    with pytest.raises(SystemExit, match="1"):
        environment.check_disk(str(tmp_path / "venv"), ["all", "test"])
    said = capsys.readouterr().err
    assert "GB of free disk are needed" in said
    assert "make test EXTRAS=test,fast" in said


def test_two_gigabytes_are_enough_without_torch(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: disk_with(2e9))
    environment.check_disk(str(tmp_path / "venv"), ["test", "fast"])


def test_stamp_changes_with_what_is_installed(environment: ModuleType) -> None:
    stamps = {
        environment.stamp_of(extras, editable)
        for extras in ([], ["test"], ["all", "test"])
        for editable in (False, True)
    }
    assert len(stamps) == 6
    assert environment.stamp_of([], False) in stamps


def test_folder_that_is_no_environment_is_left_alone(
    environment: ModuleType, tmp_path: Path
) -> None:
    keep = tmp_path / "photo.jpg"
    keep.write_bytes(b"mine")
    with pytest.raises(SystemExit, match="1"):
        environment.make(str(tmp_path))
    assert keep.read_bytes() == b"mine"


def test_a_library_that_is_nowhere_is_missing(libraries: ModuleType) -> None:
    assert not libraries.loads("libicas-has-no-such.so.1")


def test_every_library_has_a_package_everywhere(libraries: ModuleType) -> None:
    for packages in libraries.PACKAGES.values():
        assert set(packages) == set(libraries.INSTALL)


@pytest.mark.parametrize(
    ("missing", "outcome", "code"),
    [
        (["libxcb.so.1", "xdotool"], "without them OpenCV cannot be imported", 1),
        (["libSM.so.6"], "without it no window can be opened", 0),
        (["Xvfb", "xdotool"], "the window tests are skipped", 0),
        (["chromium", "tsc"], "the tests of the pages are skipped", 0),
    ],
)
def test_missing_library_comes_with_the_line_to_type(
    libraries: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    missing: list[str],
    outcome: str,
    code: int,
) -> None:
    monkeypatch.setattr(libraries.os, "geteuid", lambda: 1000, raising=False)
    monkeypatch.setattr(libraries.shutil, "which", lambda program: f"/usr/bin/{program}")
    assert libraries.report(missing, "apt-get") == code
    said = capsys.readouterr().err
    assert outcome in said
    assert "run: sudo apt-get install -y --no-install-recommends " in said
    for name in missing:
        assert libraries.PACKAGES[name]["apt-get"] in said


def test_nothing_missing_says_nothing(
    libraries: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert libraries.report([], "apt-get") == 0
    assert capsys.readouterr().err == ""


def test_broken_import_is_explained(
    libraries: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    python = tmp_path / "python"
    reason = "ImportError: libxcb.so.1: cannot open shared object file: No such file or directory"
    python.write_text(f"#!/bin/sh\necho '{reason}' >&2\nexit 1\n")
    python.chmod(0o755)
    if sys.platform == "win32":
        pytest.skip("a shell script stands for the interpreter")
    assert libraries.check_import(str(python)) == 1
    assert "libxcb.so.1" in capsys.readouterr().err
