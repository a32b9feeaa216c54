"""A class that is typed in the colour window: a new one, or another name or color of one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from icas.segmentimg.document.palette import (
    PaintClass,
    Palette,
    class_line,
    free_color,
    parse_class,
)


@dataclass(frozen=True)
class ClassEntry:
    """The text typed so far.

    `place` is the index of the class that is changed; the number of classes for a new one.
    """

    classes: Palette
    place: int
    text: str = ""

    @classmethod
    def of(cls, classes: Palette, place: int) -> ClassEntry:
        """Begin with the class at `place`, as ``name,#rrggbb``."""
        return cls(classes, place, class_line(classes[place]))

    def typed(self, key: str) -> ClassEntry:
        """The entry after a key; Tab changes a letter between lower and upper case."""
        if key == "backspace":
            return replace(self, text=self.text[:-1])
        if key == "tab":
            return replace(self, text=self.text[:-1] + self.text[-1:].swapcase())
        letter = " " if key == "space" else key
        return replace(self, text=self.text + letter) if len(letter) == 1 else self

    def entered(self) -> tuple[Palette, PaintClass]:
        """All classes with the one typed, and that class; UsageError if that cannot be one."""
        classes = list(self.classes)
        new = self.place == len(classes)
        color = free_color(self.classes.numbers()) if new else classes[self.place].color
        classes[self.place : self.place + 1] = [parse_class(self.text, color)]
        return Palette(classes), classes[self.place]


def moved(classes: Palette, start: int, end: int) -> Palette:
    """The classes with the one at `start` at the place `end`."""
    order = list(classes)
    order.insert(end, order.pop(start))
    return Palette(order)
