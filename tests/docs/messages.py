"""Every message that icas can give: found in the sources, a template each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from message_templates import Module, Reader, Sources, returned_by

import icas

SAID = {
    **dict.fromkeys(("UsageError", "IcasError", "ConflictError", "UnreadableImageError"), 0),
    **dict.fromkeys(("MissingExtraError", "InvalidDatabaseError", "LeftAloneError", "Fallen"), 0),
    **dict.fromkeys(("ValueError", "TypeError", "RuntimeError", "OSError", "DatabaseError"), 0),
    **dict.fromkeys(("KeyboardInterrupt", "ArgumentTypeError"), 0),
    **dict.fromkeys(("warn", "warning", "info", "told_as"), 0),
    **dict.fromkeys(("Unreadable",), 1),
    **dict.fromkeys(("Step",), 2),
}
"""What is called with words for the user, and which of its arguments they are."""
RETURNED = {
    "icas.clusterimg.cache.database": ("_move_away", "_message"),
    "icas.clusterimg.transfer.cleanup": ("why_kept",),
}
"""Functions whose words are told by another file."""
WINDOWS = "icas.segmentimg"
"""There `say` shows words in a window."""
INTERNAL = {
    "… is no kind of number": "which arrays the cache takes is a matter of the code",
    "… mask inputs for … prompts": "the window hands over one for each",
    "… needs the tree": "asked for by the grid alone, which has made it",
    "a block of a Dask cluster is opened by its workers": "no caller opens one elsewhere",
    "a number is damaged": "told as: it is damaged",
    "the order of use is damaged": "told as: it is damaged",
    "a … has no name that stands for it": "caught: such a method is not kept",
    "in the process that decodes: …": "the cause of another error, shown by --debug",
    "no kind …": "kinds of decisions are two words of the code",
    "no number and no sample to find one by": "whoever asks for auto has a sample",
    "no picture is set: call set_image first": "the window sets it first",
    "nothing is listed": "caught: told as a list of numbers like …",
    "nothing was looked at": "whoever asks for a sample has looked first",
}
"""Told to nobody, each with the reason."""
FOREIGN = (
    "argument …: expected one argument",
    "argument …: invalid choice: … (choose from …)",
    "argument …: not allowed with argument …",
    "the following arguments are required: …",
    "unrecognized arguments: …",
)
"""Told in argparse's words, from before the part `(see … --help)`."""


@dataclass(frozen=True)
class Message:
    """A template, and where it is made."""

    text: str
    place: str


def collected() -> list[Message]:
    """Each template with each place that makes it."""
    sources = Sources(Path(icas.__file__).parent)
    found = {
        Message(text, f"{module.path.as_posix()}:{getattr(said, 'lineno', 0)}")
        for module in sources.modules.values()
        for said in _said(module)
        for text in Reader(sources, module).templates(said)
    }
    worth = (one for one in found if sum(map(str.isalpha, one.text)) > 2)
    return sorted(worth, key=lambda one: (one.text, one.place))


def _said(module: Module) -> Iterator[ast.AST]:
    """Errors that are made, warnings that are told, reasons that are listed."""
    for name, place in SAID.items():
        for call in module.calls.get(name, ()):
            yield from call.args[place : place + 1]
    for name in RETURNED.get(module.name, ()):
        yield from returned_by(module.functions[name])
    if module.name.startswith(WINDOWS):
        for call in module.calls.get("say", ()):
            yield from call.args[:1]
