"""Reads expressions in the sources as the texts that they can be, with … for what varies."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from math import prod
from pathlib import Path

ANY = "…"
MOST = 8
"""Ways that one message may read; beyond it, what varies is … ."""
FEW = 8
"""Ways that a part of a message may read."""
LONG = 100
"""Characters of such a part; longer ones are … ."""
OPAQUE = ("picture_kind",)
"""Functions that give more than ever comes into a message; what they give is … ."""
DEEPEST = 8
"""Names that are looked up one behind the other."""


@dataclass(frozen=True)
class Module:
    """A file of the sources."""

    name: str
    path: Path
    tree: ast.Module = field(repr=False)

    @cached_property
    def constants(self) -> dict[str, ast.expr]:
        """What is assigned once and for all, by name."""
        found = {}
        for node in self.tree.body:
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", 0)
            value = getattr(node, "value", None)
            if isinstance(target, ast.expr) and isinstance(value, ast.expr):
                found.update(_bindings(target, value))
        return found

    @cached_property
    def functions(self) -> dict[str, ast.FunctionDef]:
        """All functions and methods, by name."""
        return {one.name: one for one in self.nodes if isinstance(one, ast.FunctionDef)}

    @cached_property
    def imported(self) -> dict[str, tuple[str, str]]:
        """Names from other files of icas: the module each is of, and what it is called there."""
        return {
            name.asname or name.name: (str(node.module), name.name)
            for node in self.nodes
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("icas.")
            for name in node.names
        }

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """The whole tree; what is around something comes before it."""
        return list(ast.walk(self.tree))

    @cached_property
    def around(self) -> dict[ast.AST, ast.FunctionDef]:
        """The innermost function around each node."""
        found = {}
        for function in self.nodes:
            if isinstance(function, ast.FunctionDef):
                found.update(dict.fromkeys(ast.walk(function), function))
        return found

    @cached_property
    def calls(self) -> dict[str, list[ast.Call]]:
        """All calls by the last part of what is called."""
        found: dict[str, list[ast.Call]] = {}
        for node in self.nodes:
            if isinstance(node, ast.Call):
                found.setdefault(called_by(node), []).append(node)
        return found


class Sources:
    """All files, parsed."""

    def __init__(self, folder: Path) -> None:
        self.modules = {}
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder.parent).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            tree = ast.parse(path.read_text(encoding="utf-8"))
            self.modules[name] = Module(name, path.relative_to(folder), tree)

    def defined(self, module: Module, name: str) -> tuple[Module, ast.AST] | None:
        """The constant or function that `name` means in `module`."""
        for table in (module.constants, module.functions):
            if name in table:
                return module, table[name]
        dotted, other = module.imported.get(name, ("", ""))
        home = self.modules.get(dotted)
        return None if home is None or home is module else self.defined(home, other)


@dataclass(frozen=True)
class Reader:
    """Reads an expression of `module` as the templates that it can be."""

    sources: Sources
    module: Module
    behind: tuple[object, ...] = ()
    """Names and functions that are being looked up."""

    def templates(self, node: ast.AST) -> list[str]:
        """What `node` reads as, each once."""
        return list(dict.fromkeys(map(_tidied, self.read(node))))

    def read(self, node: ast.AST) -> list[str]:
        """What `node` reads as; … where it cannot be known."""
        reader = getattr(self, f"_{type(node).__name__.lower()}", None)
        return reader(node) if reader is not None and len(self.behind) < DEEPEST else [ANY]

    def _all(self, nodes: Iterable[ast.AST]) -> list[str]:
        told = [node for node in nodes if not _is_none(node)]
        return list(dict.fromkeys(text for node in told for text in self.read(node)))

    def _into(self, module: Module, what: object, nodes: Iterable[ast.AST]) -> list[str]:
        """What `nodes` of another place read as; what is looked up already is … ."""
        if what in self.behind:
            return [ANY]
        deeper = replace(self, module=module, behind=(*self.behind, what))
        return deeper._all(nodes) or [ANY]

    def _constant(self, node: ast.Constant) -> list[str]:
        return [node.value] if isinstance(node.value, str) else [ANY]

    def _joinedstr(self, node: ast.JoinedStr) -> list[str]:
        return _combined([self.read(part) for part in node.values])

    def _formattedvalue(self, node: ast.FormattedValue) -> list[str]:
        texts = self.read(node.value) if node.conversion == -1 else [ANY]
        short = len(texts) <= FEW and all(len(text) <= LONG for text in texts)
        return texts if short else [ANY]

    def _binop(self, node: ast.BinOp) -> list[str]:
        if not isinstance(node.op, ast.Add):
            return [ANY]
        return _combined([self.read(node.left), self.read(node.right)])

    def _ifexp(self, node: ast.IfExp) -> list[str]:
        return self._all((node.body, node.orelse))

    def _boolop(self, node: ast.BoolOp) -> list[str]:
        return self._all(node.values)

    def _subscript(self, node: ast.Subscript) -> list[str]:
        if isinstance(node.value, ast.Name):
            home, table = self.sources.defined(self.module, node.value.id) or (self.module, None)
            if isinstance(table, ast.Dict):
                return self._into(home, node.value.id, table.values)
        return [ANY]

    def _call(self, node: ast.Call) -> list[str]:
        called = node.func
        if isinstance(called, ast.Attribute) and called.attr == "format":
            return [_slots(one) for one in self.read(called.value)]
        other = isinstance(called, ast.Attribute) and getattr(called.value, "id", "") != "self"
        if other or called_by(node) in OPAQUE:
            return [ANY]
        home, function = self.sources.defined(self.module, called_by(node)) or (self.module, None)
        if not isinstance(function, ast.FunctionDef):
            return [ANY]
        return self._into(home, function, returned_by(function))

    def _name(self, node: ast.Name) -> list[str]:
        function = self.module.around.get(node)
        if function is not None:
            values = list(_assigned(function, node.id))
            if values:
                return self._into(self.module, (function, node.id), values)
            if node.id in _parameters(function):
                return self._handed(function, node.id)
        found = self.sources.defined(self.module, node.id)
        if found is None or not isinstance(found[1], ast.expr) or node.id == "__version__":
            return [ANY]
        return self._into(found[0], node.id, [found[1]])

    def _handed(self, function: ast.FunctionDef, name: str) -> list[str]:
        """What a private function of this file is handed as `name`, from call to call."""
        if not function.name.startswith("_"):
            return [ANY]
        calls = self.module.calls.get(function.name, [])
        values = [one for call in calls for one in _arguments(call, function, name)]
        return self._into(self.module, (function, name), values)


def called_by(call: ast.Call) -> str:
    name = call.func
    return name.attr if isinstance(name, ast.Attribute) else getattr(name, "id", "")


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def returned_by(function: ast.FunctionDef) -> list[ast.expr]:
    nodes = (one for one in ast.walk(function) if isinstance(one, ast.Return))
    return [one.value for one in nodes if one.value is not None]


def _assigned(function: ast.FunctionDef, name: str) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            yield from (one for to, one in _bindings(node.targets[0], node.value) if to == name)


def _bindings(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """Names with what they are bound to, as far as that can be told."""
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, held in zip(target.elts, value.elts, strict=False):
            yield from _bindings(one, held)
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.IfExp):
        yield from _bindings(target, value.body)
        yield from _bindings(target, value.orelse)


def _parameters(function: ast.FunctionDef) -> list[str]:
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def _arguments(call: ast.Call, function: ast.FunctionDef, name: str) -> Iterator[ast.expr]:
    place = _parameters(function).index(name)
    yield from call.args[place : place + 1]
    yield from (one.value for one in call.keywords if one.arg == name)


def _combined(parts: list[list[str]]) -> list[str]:
    ways = [list(dict.fromkeys(one)) for one in parts]
    while prod(map(len, ways)) > MOST:
        ways[max(range(len(ways)), key=lambda place: len(ways[place]))] = [ANY]
    return ["".join(one) for one in product(*ways)]


def _slots(text: str) -> str:
    """A text for ``str.format`` with … in its places."""
    before, *parts = text.split("{")
    return before + "".join(ANY + part.partition("}")[2] for part in parts)


def _tidied(text: str) -> str:
    """One … for several, none for the name of the command or the file that begins the line."""
    text = re.sub(f"{ANY}+", ANY, " ".join(text.replace("%s", ANY).split()))
    return text.removeprefix(f"{ANY}: ")
