"""The package as pip sees it: light to import, and its description true to its sources."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parent.parent / "src" / "icas"
HEAVY = ("torch", "cv2", "matplotlib", "skimage", "scipy", "sklearn", "PIL", "numba", "dask")
EXTRAS = {"fast", "deep", "onnx", "sam", "dask", "heif", "raw", "web", "parquet"}
EXTRAS |= {"all", "test", "bench", "docs"}
DISTRIBUTIONS = {
    "PIL": "pillow",
    "cv2": "opencv-contrib-python",
    "distributed": "dask",
    "huggingface_hub": "timm",  # comes with it
    "lazy_loader": "lazy-loader",
    "llvmlite": "numba",  # comes with it
    "markupsafe": "jinja2",  # comes with it
    "mpl_toolkits": "matplotlib",
    "segment_anything": "segment-anything",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "traitlets": "anywidget",  # comes with it
}


def run_python(code: str, *flags: str) -> str:
    done = subprocess.run(
        [sys.executable, *flags, "-c", code], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def package() -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution("icas")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("icas is not installed here: pip install -e .")


def test_import_loads_nothing_heavy() -> None:
    loaded = run_python("import icas, sys; print(*sys.modules, sep='\\n')").split()
    assert "icas" in loaded
    assert not set(HEAVY).intersection(loaded)


def test_import_installs_no_log_handler() -> None:
    code = "import icas, logging; print(logging.root.handlers, logging.getLogger('icas').handlers)"
    assert run_python(code).split() == ["[]", "[]"]


def test_import_takes_under_300_ms_more_than_python() -> None:
    def least_seconds(code: str) -> float:
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            run_python(code)
            seconds.append(time.perf_counter() - start)
        return min(seconds)

    assert least_seconds("import icas") - least_seconds("pass") < 0.3


def test_public_names_can_all_be_had() -> None:
    icas = importlib.import_module("icas")
    for name in icas.__all__:
        assert getattr(icas, name) is not None
        assert name in dir(icas)


OF_NOTEBOOKS = {"pandas", "IPython", "ipywidgets", "ipympl"}
"""Packages that are there where a notebook is; asked for before they are used."""
EXTRA_PACKAGES = {
    "anywidget", "dask", "distributed", "llvmlite", "numba", "segment_anything", "sklearn",
    "starlette", "torch", "torchvision", "uvicorn",
}  # fmt: skip


def modules_needing_extras() -> set[str]:
    """Modules that import a package of an extra at the top, themselves or through others."""
    imports = {}
    for path in SOURCES.rglob("*.py"):
        module = ".".join(path.relative_to(SOURCES.parent).with_suffix("").parts)
        imports[module.removesuffix(".__init__")] = set(top_imports(path))
    extras = EXTRA_PACKAGES | {"icas.clusterimg.kernels.numba_support.compiled"}
    needing = {name for name, names in imports.items() if names & extras}
    while True:
        more = {name for name, names in imports.items() if names & needing} - needing
        if not more:
            return needing
        needing |= more


def top_imports(path: Path) -> Iterator[str]:
    """Packages from outside, and modules of icas, that are loaded with the module in `path`."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module if node.module.startswith("icas.") else node.module.split(".")[0]
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_module_can_be_imported_without_any_extra() -> None:
    needing = modules_needing_extras()
    assert len(needing) < 40
    assert not {"icas.clusterimg.methods.deep", "icas.clusterimg.commands.main"} & needing
    code = f"""
import importlib, pkgutil, sys
for name in {sorted(EXTRA_PACKAGES)}:
    sys.modules[name] = None
import icas
for module in pkgutil.walk_packages(icas.__path__, "icas."):
    if not module.name.endswith("__main__") and module.name not in {sorted(needing)}:
        importlib.import_module(module.name)
        print(module.name)
"""
    assert "icas.clusterimg.methods.base" in run_python(code).split()


def test_version_is_the_installed_one(package: importlib.metadata.Distribution) -> None:
    icas = importlib.import_module("icas")
    assert package.version == icas.__version__


def test_extras_are_those_promised(package: importlib.metadata.Distribution) -> None:
    assert set(package.metadata.get_all("Provides-Extra") or ()) == EXTRAS


def test_commands_exist(package: importlib.metadata.Distribution) -> None:
    commands = {point.name: point for point in package.entry_points}
    assert set(commands) == {"clusterimg", "segmentimg"}
    for point in commands.values():
        assert callable(point.load())


@pytest.mark.parametrize("command", ["clusterimg", "segmentimg"])
def test_commands_run_as_modules(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"icas.{command}", "--version"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert importlib.import_module("icas").__version__ in done.stdout


def test_what_is_imported_is_required(package: importlib.metadata.Distribution) -> None:
    required = {
        re.split(r"[^\w.-]", line)[0].lower()
        for line in package.requires or ()
        if not re.search(r"extra == ['\"](test|docs)['\"]", line)
    }
    imported = set().union(*(outside_imports(path) for path in SOURCES.rglob("*.py")))
    imported -= OF_NOTEBOOKS
    assert {DISTRIBUTIONS.get(name, name).lower() for name in imported} <= required


def outside_imports(path: Path) -> set[str]:
    """Top-level names of the packages that the file imports, those of Python and icas left out."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"icas"}
