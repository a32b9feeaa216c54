"""Nothing in the package runs what a file says: no pickles, no eval, no shells."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "icas"
BETWEEN_PROCESSES = {
    "io/sandbox.py",
    "io/sandbox_worker.py",
    "parallel/pool.py",
}
"""Modules that read pickles of another process of the same run, over its pipe or its own file."""
NEVER = {"marshal", "shelve", "yaml", "dill", "joblib", "cloudpickle", "dbm", "code", "runpy"}


def modules() -> list[Path]:
    found = sorted(SOURCE.rglob("*.py"))
    assert len(found) > 100
    return found


def name_of(node: ast.expr) -> str:
    """``np.load`` of the expression that names it."""
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def keyword(call: ast.Call, name: str) -> object:
    for one in call.keywords:
        if one.arg == name and isinstance(one.value, ast.Constant):
            return one.value.value
    return None


def faults(tree: ast.AST, *, between: bool) -> list[str]:
    """What a module does that it must not, with the line."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [one.name for one in node.names]
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
                if node.module == "pickle" and not between:
                    found.append(f"{node.lineno}: from pickle import")
            found += [f"{node.lineno}: import {name}" for name in names if name in NEVER]
        if isinstance(node, ast.Call):
            found += [f"{node.lineno}: {one}" for one in _call_faults(node, between)]
    return found


def _call_faults(call: ast.Call, between: bool) -> list[str]:
    name = name_of(call.func)
    last = name.rpartition(".")[2]
    found = []
    if name in ("eval", "exec", "compile", "__import__", "os.system", "os.popen"):
        found.append(name)
    if keyword(call, "shell"):
        found.append(f"{name} in a shell")
    if name in ("pickle.load", "pickle.loads", "pickle.Unpickler") and not between:
        found.append(name)
    if name in ("np.load", "numpy.load") and keyword(call, "allow_pickle") is not False:
        found.append(f"{name} without allow_pickle=False")
    if name == "torch.load" and keyword(call, "weights_only") is not True:
        found.append("torch.load without weights_only=True")
    if last in ("load_state_dict_from_url", "read_pickle", "unpack_archive", "extractall"):
        found.append(name)
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_a_module_runs_nothing_that_a_file_says(path: Path) -> None:
    between = path.relative_to(SOURCE).as_posix() in BETWEEN_PROCESSES
    assert faults(ast.parse(path.read_text(encoding="utf-8")), between=between) == []


@pytest.mark.parametrize(
    "line",
    [
        "pickle.load(file)",
        "from pickle import loads",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=given)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "eval(text)",
        "exec(text)",
        "os.system(text)",
        "subprocess.run(text, shell=True)",
        "import yaml",
        "import shelve",
        "archive.extractall(place)",
    ],
)
def test_what_must_not_be_is_seen(line: str) -> None:
    assert faults(ast.parse(line), between=False)


def test_the_modules_between_processes_are_there_and_no_others() -> None:
    using = {
        path.relative_to(SOURCE).as_posix()
        for path in modules()
        if faults(ast.parse(path.read_text(encoding="utf-8")), between=False)
    }
    assert using == BETWEEN_PROCESSES
