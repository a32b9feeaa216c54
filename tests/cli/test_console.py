"""Output of a run."""

import io
import json
import logging
import sys

import numpy as np
import pytest
from PIL import Image

from icas.cli.console import Console, counted
from icas.clusterimg.commands import main as clusterimg
from icas.segmentimg.commands import main as segmentimg


class Steps:
    def __init__(self):
        self.taken = 0

    def update(self, steps):
        self.taken += steps


def test_log_messages_are_printed_while_shown(capsys):
    log = logging.getLogger("icas.clusterimg.kernels.numba_support")
    with Console(warnings=True).show_logging():
        log.info("compiling")
    log.info("not shown")
    assert capsys.readouterr().err == "compiling\n"
    assert not logging.getLogger("icas").handlers
    assert logging.getLogger("icas").level == logging.NOTSET


def test_a_quiet_console_prints_no_log_messages(capsys):
    with Console().show_logging():
        logging.getLogger("icas.anything").info("compiling")
    assert capsys.readouterr() == ("", "")


def test_counted_things_are_unchanged():
    bar = Steps()
    assert list(counted("abc", bar)) == ["a", "b", "c"]
    assert bar.taken == 3


# -- terminals that lack most letters --

TERMINALS = ["ascii", "cp437", "cp932", "utf-8"]


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """A folder with names in several scripts, a damaged image and annotations."""
    folder = tmp_path_factory.mktemp("names")
    (folder / "p").mkdir()
    pixels = np.indices((30, 40)).sum(0).astype(np.uint8) * 3
    for name in ("ä", "日本", "😀", "b", "c…d"):
        Image.fromarray(pixels).save(folder / "p" / f"{name}.png")
    (folder / "p" / "ü.jpg").write_text("no image")
    shape = {"label": "größe", "points": [[1, 1]], "shape_type": "pölygon"}
    labelme = {"shapes": [shape], "imagePath": "ä.png", "imageHeight": 30, "imageWidth": 40}
    (folder / "p" / "ä.json").write_text(json.dumps(labelme))
    dataset = {"images": [], "annotations": [], "categories": []}
    (folder / "p" / "coco.json").write_text(json.dumps(dataset))
    (folder / "labels.csv").write_text("file,label\nä.png,grün\nzé.png,x\n", encoding="utf-8")
    return folder


def said_by(main, words, terminal, monkeypatch):
    """What a command prints on a terminal, and its exit code; an error if it cannot be printed."""
    streams = [io.TextIOWrapper(io.BytesIO(), terminal, "strict") for _ in range(2)]
    for name, stream in zip(("stdout", "stderr"), streams, strict=True):
        monkeypatch.setattr(sys, name, stream)
    try:
        code = main(list(words))
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        monkeypatch.undo()
    said = ""
    for stream in streams:
        stream.flush()
        said += stream.buffer.getvalue().decode(terminal)
    return said, code


@pytest.mark.parametrize("terminal", TERMINALS)
@pytest.mark.parametrize("program", [clusterimg, segmentimg])
def test_every_message_can_be_printed(program, terminal, names, monkeypatch):
    out = f"{names}/ö-{terminal}"
    commands = {
        ("--help",): 0,
        ("--help-all",): 0,
        (f"{names}/größe",): 2,
        (f"{names}/p", "--mäthod", "x"): 2,
        (f"{names}/p", "--method", "ssím"): 2,
    }
    if program is clusterimg:
        commands |= {
            (f"{names}/p", "--threshold", "0.9", "--dst", out, "-v"): 3,
            ("evaluate", out, "--labels", f"{names}/labels.csv"): 0,
            ("undo", out): 0,
        }
    else:
        commands[f"{names}/p", "--no-gui", "--save", "masks", "--out", out, "-v"] = 3
    for words, code in commands.items():
        said, found = said_by(program.main, words, terminal, monkeypatch)
        assert found == code, said
        assert "Error" not in said
        assert "unexpected" not in said
        if "--no-gui" in words:
            assert f"does not list 4 images: b.png, c{printed('…', terminal)}d.png, " in said
            assert said.count("png, " + printed("…", terminal)) == 1


def printed(text, terminal):
    return text if terminal in ("utf-8", "cp932") else text.replace("…", "...")


def test_every_command_has_help_for_every_terminal(monkeypatch):
    for program in (clusterimg, segmentimg):
        for name, _ in program.PROGRAM.help_rows:
            said, code = said_by(program.main, (name, "--help"), "ascii", monkeypatch)
            assert code == 0
            assert "usage" in said
            assert "\\u" not in said
