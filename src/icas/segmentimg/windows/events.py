"""Which key does what; the help in the windows and the docs are made from this table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["move", "down", "up", "double", "wheel"]
Button = Literal["left", "right", "middle", ""]


@dataclass(frozen=True)
class Mouse:
    """The mouse in a window.

    Attributes
    ----------
    window : str
        The window's name.
    kind : str
        ``move``, ``down``, ``up``, ``double`` (the second press of a double click) or ``wheel``.
    x, y : int
        Place in the window, in pixels.
    button : str
        ``left``, ``right``, ``middle``; of a move, the button that is held down; "" for none.
    wheel : int
        Steps, up is positive; of a wheel alone.
    sideways : bool
        The wheel was tilted, not turned.
    ctrl, shift : bool
        The keys held down with it.
    """

    window: str
    kind: Kind
    x: int
    y: int
    button: Button = ""
    wheel: int = 0
    sideways: bool = False
    ctrl: bool = False
    shift: bool = False


@dataclass(frozen=True)
class Key:
    """A key was pressed: its character, or a name such as ``left`` or ``escape``."""

    name: str


@dataclass(frozen=True)
class Closed:
    """A person closed a window by its cross."""

    window: str


@dataclass(frozen=True)
class Slider:
    """A person moved a slider."""

    window: str
    name: str
    value: int


Event = Mouse | Key | Closed | Slider


@dataclass(frozen=True)
class Binding:
    """Keys of one action, and what it does in a few words ("" where another row tells it)."""

    action: str
    keys: tuple[str, ...]
    help: str


PAINTING = (
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
_ZOOM = tuple(row for row in PAINTING if row.action.startswith(("zoom", "whole", "pan")))
_GOING = (
    Binding("finish", ("f",), "go on to painting"),
    Binding("undo", ("z",), "undo"),
    Binding("reset", ("r",), "begin anew"),
    Binding("next", ("n",), "next picture"),
    Binding("previous", ("p",), "previous picture"),
    Binding("quit", ("q",), "quit; twice where something is not saved"),
    Binding("help", ("h",), "this help on and off"),
    *_ZOOM,
)
CUTTING = (Binding("round", ("space",), "one round of GrabCut"), *_GOING)
POINTING = (
    Binding("round", ("space",), "predict, and show the mask"),
    Binding("candidate", ("m",), "the next candidate for the mask"),
    *_GOING,
)
MOUSE = (
    ("left click", "fill the segment (drag: all that are crossed)"),
    ("right click", "take its paint off"),
    ("double click", "continuous filling (left) or unfilling (right) on and off"),
    ("middle click", "cut: a line between this and the last middle click"),
)

CUTTING_MOUSE = (
    ("left drag", "stroke on the object (with Ctrl: probably)"),
    ("right drag", "stroke on the background (with Ctrl: probably)"),
    ("middle drag", "box around the object"),
)
POINTING_MOUSE = (
    ("left click", "point on the object"),
    ("right click", "point that is not on it"),
    ("middle drag", "box around the object"),
)
_MICE = {PAINTING: MOUSE, CUTTING: CUTTING_MOUSE, POINTING: POINTING_MOUSE}
_SHOWN = {"left": "arrows", "escape": "Esc"}


def action_of(key: str, table: tuple[Binding, ...] = PAINTING) -> str | None:
    """The action of a key in a window; capital letters count as small ones."""
    folded = key.lower()
    return next((row.action for row in table if folded in row.keys), None)


def help_rows(table: tuple[Binding, ...] = PAINTING) -> tuple[tuple[str, str], ...]:
    """(key or button, what it does), mouse first."""
    return (*_MICE[table], *((_shown(row.keys), row.help) for row in table if row.help))


def _shown(keys: tuple[str, ...]) -> str:
    if keys == tuple("123456789"):
        return "1 … 9"
    return _SHOWN.get(keys[0], keys[0])
