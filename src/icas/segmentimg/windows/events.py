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


@dataclass(frozen=True)
class Resized:
    """A window has another size now: height and width of the image that it shows."""

    window: str
    height: int
    width: int


Event = Mouse | Key | Closed | Slider | Resized


@dataclass(frozen=True)
class Binding:
    """Keys of one action, and its help text ("" if that of another row covers it)."""

    action: str
    keys: tuple[str, ...]
    help: str


PAINTING_KEYS = (
    Binding("save_next", ("space",), "save, then next image"),
    Binding("save", ("s",), "save"),
    Binding("next", ("n",), "next image without saving (painting is autosaved)"),
    Binding("previous", ("p",), "previous image"),
    Binding("number", ("g",), "go to an image by its number"),
    Binding("unpainted", ("u",), "next image that is not painted"),
    Binding("files", ("f",), "toggle the file list (click: open that image)"),
    Binding("quit", ("q",), "quit (press twice if there are unsaved changes)"),
    Binding("undo", ("z",), "undo"),
    Binding("redo", ("y",), "redo"),
    Binding("reset", ("r",), "clear all labels and drawn edges (undo restores them)"),
    Binding("grow", ("]",), "grow the selection (also Ctrl+wheel)"),
    Binding("shrink", ("[",), "shrink the selection"),
    Binding("brush", ("b",), "toggle the brush (left: paint, right: erase)"),
    Binding("thinner", (",",), "smaller brush"),
    Binding("thicker", (".",), "larger brush"),
    Binding("zoom_in", ("+", "="), "zoom in (also mouse wheel)"),
    Binding("zoom_out", ("-",), "zoom out"),
    Binding("whole", ("0",), "show the whole image"),
    Binding("smooth", ("v",), "enlarge small images smoothly, or by whole factors"),
    Binding("pan_left", ("left",), "move the view (also Shift+drag)"),
    Binding("pan_right", ("right",), ""),
    Binding("pan_up", ("up",), ""),
    Binding("pan_down", ("down",), ""),
    Binding("color", tuple("123456789"), "colour 1 to 9"),
    Binding("new_object", ("i",), "start a new object of the selected class"),
    Binding("pick", ("k",), "continue the object under the pointer"),
    Binding("add_class", ("l",), "add a class (also + in the colour window)"),
    Binding("edit_class", ("m",), "rename or recolour the selected class"),
    Binding("opacity", ("o",), "change the opacity of the labels"),
    Binding("borders", ("e",), "toggle segment borders"),
    Binding("annotate", ("a",), "annotate again (grabcut and sam)"),
    Binding("templates", ("t",), "find and paint the templates"),
    Binding("colors", ("c",), "show the colour window"),
    Binding("debug", ("d",), "toggle the debug window"),
    Binding("help", ("h",), "toggle this help"),
    Binding("escape", ("escape",), "stop drawing edges or continuous filling, close this help"),
)
_ANNOTATION_KEYS = (
    Binding("accept", ("enter",), "paint the object with the class, and continue to painting"),
    Binding("color", tuple("123456789"), "class 1 to 9"),
    Binding("finish", ("f",), "continue to painting without paint"),
    Binding("undo", ("z",), "undo"),
    Binding("reset", ("r",), "clear all annotations"),
    Binding("next", ("n",), "next image"),
    Binding("previous", ("p",), "previous image"),
    Binding("quit", ("q",), "quit (press twice if there are unsaved changes)"),
    Binding("help", ("h",), "toggle this help"),
    *(row for row in PAINTING_KEYS if row.action.startswith(("zoom", "whole", "pan"))),
)
GRABCUT_KEYS = (
    Binding("compute", ("space",), "one more round of GrabCut (one runs after every stroke)"),
    *_ANNOTATION_KEYS,
)
SAM_KEYS = (
    Binding("compute", ("space",), "predict the mask (done after every click)"),
    Binding("candidate", ("m",), "show the next candidate mask"),
    *_ANNOTATION_KEYS,
)
_REVIEW = (
    Binding("accept", ("space",), "accept the mask as it is painted now, then next"),
    Binding("absent", ("x",), "the object is not in the image, then next"),
    Binding("undo", ("z",), "undo; without changes in the image: undo the last decision"),
    Binding("next", ("n",), "next image, without a decision"),
    Binding("previous", ("p",), "previous image, without a decision"),
    Binding("annotate", ("a",), "draw the object again with GrabCut"),
)
REVIEW_KEYS = (
    *_REVIEW,
    *(
        row
        for row in PAINTING_KEYS
        if row.action not in {"save_next", "save", "templates", *(new.action for new in _REVIEW)}
    ),
)
_PAINTING_MOUSE = (
    ("left click", "fill the segment (drag: all segments crossed)"),
    ("right click", "clear the segment (drag: all segments crossed)"),
    ("double click", "toggle continuous filling (left) or clearing (right)"),
    ("middle click", "draw an edge from the last middle click to this one"),
)
MOUSE = {
    PAINTING_KEYS: _PAINTING_MOUSE,
    REVIEW_KEYS: _PAINTING_MOUSE,
    GRABCUT_KEYS: (
        ("left drag", "stroke on the object (Ctrl: probable object)"),
        ("right drag", "stroke on the background (Ctrl: probable background)"),
        ("middle drag", "box around the object"),
    ),
    SAM_KEYS: (
        ("left click", "point on the object"),
        ("right click", "point on the background"),
        ("middle drag", "box around the object"),
    ),
}
_KEY_NAMES = {"1": "1 … 9", "left": "arrows", "escape": "Esc", "enter": "Enter"}


def action_of(key: str, keymap: tuple[Binding, ...] = PAINTING_KEYS) -> str | None:
    """The action of a key; upper and lower case are the same."""
    return next((row.action for row in keymap if key.lower() in row.keys), None)


GROUPS = {
    "Mouse": (),
    "Images": ("save_next", "save", "next", "previous", "number", "unpainted", "files", "quit"),
    "Review": ("accept", "absent"),
    "Paint": ("undo", "redo", "reset", "grow", "shrink", "brush", "thinner", "thicker"),
    "Object": ("compute", "candidate", "finish"),
    "Classes": ("color", "new_object", "pick", "add_class", "edit_class"),
    "View": ("zoom_in", "zoom_out", "whole", "smooth", "pan_left", "opacity", "borders"),
    "Other": (),
}
"""Actions under each heading of the help; others are in the last one."""

Rows = tuple[tuple[str, str], ...]


def help_groups(keymap: tuple[Binding, ...] = PAINTING_KEYS) -> tuple[tuple[str, Rows], ...]:
    """(heading, ((key or button, help text), ...)) for each group of actions."""
    known = {action for actions in GROUPS.values() for action in actions}
    groups = []
    for heading, actions in GROUPS.items():
        rows = MOUSE[keymap] if heading == "Mouse" else ()
        others = heading == "Other"
        rows += tuple(
            (_KEY_NAMES.get(row.keys[0], row.keys[0]), row.help)
            for row in keymap
            if row.help and (row.action in actions or (others and row.action not in known))
        )
        if rows:
            groups.append((heading, rows))
    return tuple(groups)


def help_rows(keymap: tuple[Binding, ...] = PAINTING_KEYS) -> Rows:
    """(key or button, help text), mouse first."""
    return tuple(row for _, rows in help_groups(keymap) for row in rows)
