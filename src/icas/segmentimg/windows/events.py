"""Events of the windows, and the keymaps: which key does what, with the help texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["move", "down", "up", "double", "wheel"]
Button = Literal["left", "right", "middle", ""]


@dataclass(frozen=True)
class Mouse:
    """A mouse event at (x, y) in a window."""

    window: str
    kind: Kind
    """``double`` is the second press of a double click."""
    x: int
    y: int
    button: Button = ""
    """Of a move, the button held down."""
    wheel: int = 0
    """Steps, up is positive."""
    sideways: bool = False
    """The wheel was tilted."""
    ctrl: bool = False
    shift: bool = False


@dataclass(frozen=True)
class Key:
    """A key was pressed: its character, or a name such as ``left`` or ``escape``."""

    name: str


@dataclass(frozen=True)
class Closed:
    """The user closed a window."""

    window: str


@dataclass(frozen=True)
class Slider:
    """The user moved a slider."""

    window: str
    name: str
    value: int


Event = Mouse | Key | Closed | Slider


@dataclass(frozen=True)
class Binding:
    """Keys of one action, and its help text ("" if that of another row covers it)."""

    action: str
    keys: tuple[str, ...]
    help: str


PAINTING_KEYS = (
    Binding("save_next", ("space",), "save and go to the next picture"),
    Binding("save", ("s",), "save and stay"),
    Binding("next", ("n",), "next picture, painting is kept but not saved"),
    Binding("previous", ("p",), "previous picture"),
    Binding("quit", ("q",), "quit; twice where something is not saved"),
    Binding("undo", ("z",), "undo"),
    Binding("redo", ("y",), "redo"),
    Binding("reset", ("r",), "take off all paint and cuts (undo brings them back)"),
    Binding("grow", ("]",), "light (and paint) more of what is alike; Ctrl+wheel too"),
    Binding("shrink", ("[",), "less of it"),
    Binding("brush", ("b",), "brush on and off: left paints, right erases"),
    Binding("thinner", (",",), "smaller brush"),
    Binding("thicker", (".",), "larger brush"),
    Binding("zoom_in", ("+", "="), "larger; the wheel too, at the pointer"),
    Binding("zoom_out", ("-",), "smaller"),
    Binding("whole", ("0",), "the whole picture"),
    Binding("pan_left", ("left",), "move over the picture; Shift+drag too"),
    Binding("pan_right", ("right",), ""),
    Binding("pan_up", ("up",), ""),
    Binding("pan_down", ("down",), ""),
    Binding("color", tuple("123456789"), "colour 1 to 9"),
    Binding("opacity", ("o",), "paint more or less transparent"),
    Binding("borders", ("e",), "borders of segments on and off"),
    Binding("annotate", ("a",), "point and draw again (methods grabcut and sam)"),
    Binding("templates", ("t",), "find the templates and paint them"),
    Binding("colors", ("c",), "show the colour window again"),
    Binding("debug", ("d",), "debug pictures on and off"),
    Binding("help", ("h",), "this help on and off"),
    Binding("escape", ("escape",), "end a cut line, continuous painting or this help"),
)
_ANNOTATION_KEYS = (
    Binding("finish", ("f",), "go on to painting"),
    Binding("undo", ("z",), "undo"),
    Binding("reset", ("r",), "begin anew"),
    Binding("next", ("n",), "next picture"),
    Binding("previous", ("p",), "previous picture"),
    Binding("quit", ("q",), "quit; twice where something is not saved"),
    Binding("help", ("h",), "this help on and off"),
    *(row for row in PAINTING_KEYS if row.action.startswith(("zoom", "whole", "pan"))),
)
GRABCUT_KEYS = (Binding("compute", ("space",), "one round of GrabCut"), *_ANNOTATION_KEYS)
SAM_KEYS = (
    Binding("compute", ("space",), "predict, and show the mask"),
    Binding("candidate", ("m",), "the next candidate for the mask"),
    *_ANNOTATION_KEYS,
)
MOUSE = {
    PAINTING_KEYS: (
        ("left click", "fill the segment (drag: all that are crossed)"),
        ("right click", "take its paint off"),
        ("double click", "continuous filling (left) or unfilling (right) on and off"),
        ("middle click", "cut: a line between this and the last middle click"),
    ),
    GRABCUT_KEYS: (
        ("left drag", "stroke on the object (with Ctrl: probably)"),
        ("right drag", "stroke on the background (with Ctrl: probably)"),
        ("middle drag", "box around the object"),
    ),
    SAM_KEYS: (
        ("left click", "point on the object"),
        ("right click", "point that is not on it"),
        ("middle drag", "box around the object"),
    ),
}
_KEY_NAMES = {"1": "1 … 9", "left": "arrows", "escape": "Esc"}


def action_of(key: str, keymap: tuple[Binding, ...] = PAINTING_KEYS) -> str | None:
    """The action of a key; upper and lower case are the same."""
    return next((row.action for row in keymap if key.lower() in row.keys), None)


def help_rows(keymap: tuple[Binding, ...] = PAINTING_KEYS) -> tuple[tuple[str, str], ...]:
    """(key or button, help text), mouse first."""
    keys = ((_KEY_NAMES.get(row.keys[0], row.keys[0]), row.help) for row in keymap if row.help)
    return (*MOUSE[keymap], *keys)
