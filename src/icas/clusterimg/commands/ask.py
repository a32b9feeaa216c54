"""The command ``clusterimg ask``: yes/no questions in the terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from icas.cli.console import print_line, warn
from icas.cli.parser import INPUT, OUTPUT, CommandParser
from icas.cli.program import Command
from icas.clusterimg.commands import flags
from icas.common.errors import ConflictError, UsageError

TEXT = """\
Ask whether two images belong to one cluster, most informative pair first. Answers are stored as \
constraints at once; at the end, the result is changed accordingly."""
KEYS = {"y": True, "n": False, "u": None}
PROMPT = "same cluster? [y]es [n]o [u]nsure [q]uit: "


def _parser() -> CommandParser:
    examples = (("clusterimg ask photos_clustered", ""),)
    parser = CommandParser("clusterimg ask", TEXT, examples=examples)
    parser.add_value(INPUT, "dst", type=Path, metavar="DST", help="result folder")
    most = "stop after this many questions (default: until q)"
    parser.add_value(INPUT, "--questions", type=int, metavar="N", help=most)
    parser.add_switch(INPUT, "--show", help="show both images in a window")
    flags.add_cache(parser, "folder of the constraints (default: the cache folder of the run)")
    parser.add_switch(OUTPUT, "--dry-run", help="store the answers, but do not change the result")
    return parser


def _ask(given: dict[str, Any]) -> int:
    most = given.get("questions")
    if most is not None and most < 1:
        raise UsageError(f"--questions {most}: must be at least 1")

    from icas.clusterimg.api.ask import ask

    show = _shower() if given.get("show") else None
    session = ask(given["dst"], cache=given.get("cache"))
    done = False
    for question in session:
        if most is not None and session.asked >= most:
            break
        first, second = question.images
        state = "in one cluster" if question.together else "in two clusters"
        print_line(f"{session.asked + 1}: {question.paths[0]}")
        print_line(f"   {question.paths[1]}")
        print_line(f"   now {state}; decides {first} + {second} images")
        if show is not None:
            show(question.paths)
        answer = _answer()
        if answer == "q":
            done = True
            break
        try:
            session.answer(KEYS[answer])
        except ConflictError as error:
            warn(f"not stored: {error.message}")
    else:
        print_line("nothing is left to ask")
    answers = f"{session.asked} {'answer' if session.asked == 1 else 'answers'}"
    print_line(answers + (", stopped" if done else ""))
    if session.asked and not given.get("dry_run"):
        print_line(session.apply().summary())
    return 0


def _answer() -> str:
    """The key that a person typed; ``q`` at the end of the input."""
    while True:
        print(PROMPT, end="", flush=True)
        line = sys.stdin.readline()
        if not sys.stdin.isatty():
            print()
        if not line:
            return "q"
        key = line.strip().casefold()[:1]
        if key in KEYS or key == "q":
            return key


def _shower() -> Any:
    """A function that shows two images side by side in a window."""
    from icas.cli.display import require_windows

    require_windows("leave out --show")
    import cv2
    import numpy as np

    from icas.io.reading import read_image, resize

    side = 480

    def show(paths: tuple[Path, Path]) -> None:
        canvas = np.full((side, 2 * side + 10, 3), 255, np.uint8)
        for number, path in enumerate(paths):
            image = read_image(path)
            height, width = image.shape[:2]
            factor = side / max(height, width)
            size = max(1, round(width * factor)), max(1, round(height * factor))
            left = number * (side + 10)
            canvas[: size[1], left : left + size[0]] = resize(image, size)
        cv2.imshow("clusterimg ask", canvas[..., ::-1])
        cv2.waitKey(50)

    return show


ASK = Command(_parser, _ask)
