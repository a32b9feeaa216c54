"""What a hand does in a window, whatever window system tells of it."""

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
