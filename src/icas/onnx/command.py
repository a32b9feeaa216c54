"""The command ``weights``: list, download and export weight files of networks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from icas.cli.console import Console, print_line
from icas.cli.parser import INPUT, LOGGING, OUTPUT, ArgumentType, CommandParser, Rows
from icas.cli.program import Command
from icas.common.errors import UsageError
from icas.onnx import weights

TEXT = "List the weight files of known networks, download one, or export a network as ONNX."
Export = Callable[[str | None, Path | None, Path], Path]
"""Takes the name of a model, a weight file and the file to write; returns the file written."""


def weights_command(program: str, export: Export | None = None) -> Command:
    """The command ``weights`` of a program; without `export` it lists and downloads only."""
    actions = ("list", "get", "export") if export else ("list", "get")

    def parser() -> CommandParser:
        made = CommandParser(
            f"{program} weights", TEXT, examples=_examples(program, export is not None)
        )
        made.add_value(INPUT, "action", choices=actions, help="what to do")
        names = ArgumentType(str, tuple(weights.KNOWN))
        made.add_value(
            INPUT,
            "name",
            nargs="?",
            metavar="NAME",
            type=names,
            help="get: weights to download (default: none)",
        )
        if export:
            model = "export: network of torchvision, or timm:NAME (default: that of --weights)"
            made.add_value(INPUT, "--model", metavar="NAME", help=model)
            file = "export: its weights (default: downloaded by the library)"
            made.add_value(INPUT, "--weights", type=Path, metavar="FILE", help=file)
            out = "export: file to write (default: none)"
            made.add_value(OUTPUT, "--out", type=Path, metavar="FILE.onnx", help=out)
        made.add_switch(LOGGING, "--json", help="list: one JSON object per line on stdout")
        return made

    def run(given: dict[str, Any]) -> int:
        action = given["action"]
        if action == "export" and export:
            return _export(export, given)
        if action == "get":
            return _get(given.get("name"), quiet=given.get("quiet", False))
        for row in rows():
            print_line(json.dumps(row) if given.get("json") else _line(row))
        return 0

    return Command(parser, run)


def _examples(program: str, exports: bool) -> Rows:
    shown = [(f"{program} weights list", ""), (f"{program} weights get mobilenet_v2", "")]
    if exports:
        line = f"{program} weights export --model resnet18 --out resnet18.onnx"
        shown.append((line, "needs icas[deep]"))
    return tuple(shown)


def rows() -> list[dict[str, Any]]:
    """Known weight files: name, method, bytes, licence, use, and the file if it is installed."""
    return [
        {
            "name": name,
            "method": known.for_method,
            "bytes": known.size,
            "licence": known.licence,
            "use": known.use,
            "file": None if (path := weights.installed(name)) is None else str(path),
        }
        for name, known in weights.KNOWN.items()
    ]


def _line(row: Mapping[str, Any]) -> str:
    state = row["file"] or "not installed"
    return (
        f"{row['name']:<18}{row['method']:<6}{row['bytes'] / 1e6:7,.0f} MB  {row['licence']}"
        f"  {row['use']}: {state}"
    )


def _get(name: str | None, quiet: bool) -> int:
    if name is None:
        raise UsageError(f"get: name the weights, one of {', '.join(weights.KNOWN)}")
    known = weights.known(name)
    console = Console(bars=not quiet)
    with console.bar(known.size, f"download {name}", "B") as bar:
        received = 0

        def progress(done: int, total: int) -> None:
            nonlocal received
            bar.update(done - received)
            received = done

        path = weights.fetch(name, progress=progress)
    print_line(f"{name}: {path.stat().st_size / 1e6:,.0f} MB, verified -> {path}")
    return 0


def _export(export: Export, given: Mapping[str, Any]) -> int:
    model, file, out = given.get("model"), given.get("weights"), given.get("out")
    if out is None or (model is None and file is None):
        raise UsageError("export: give --model NAME (or --weights FILE) and --out FILE.onnx")
    if out.suffix.casefold() != ".onnx":
        raise UsageError(f"--out {out}: a name that ends in .onnx is needed")
    written = export(model, file, out)
    print_line(f"{model or file}: {written.stat().st_size / 1e6:,.0f} MB -> {written}")
    return 0
