"""The runner itself: it must see what is wrong on a page."""

from __future__ import annotations

import pytest
from blocks import Block, blocks, commands
from comparing import agree

FENCE = "```"


def fenced(language: str, text: str) -> str:
    return f"# Title\n\n{FENCE}{language}\n{text}\n{FENCE}\n"


RIGHT = {
    "a command": fenced("sh", "clusterimg photos --threshold 0.5 --dst a -q\nls a/result"),
    "continued": fenced("sh", "clusterimg photos --threshold 0.5 \\\n  --dst a"),
    "exit code": fenced("sh", "clusterimg nowhere   # exit 2"),
    "a pipe": fenced("console", "$ clusterimg --version | cut -c 1-4\nicas"),
    "output": fenced("console", "$ ls archive\nkept-astronaut-1.png\n…"),
    "both streams": fenced("console", "$ clusterimg nowhere # exit 2\nclusterimg: …nowhere…"),
    "python": fenced("python", "x = 1") + fenced("pycon", ">>> x + 1\n2"),
    "set-up": fenced("sh", "pip install 'icas[fast]'\nmake demo\nsegmentimg photos"),
}
WRONG = {
    "a command fails": (fenced("sh", "clusterimg nowhere"), "page:4"),
    "a command does not fail": (fenced("sh", "ls # exit 1"), "page:4"),
    "an unknown flag": (fenced("sh", "ls\nclusterimg photos --colour"), "page:5"),
    "in a pipe": (fenced("sh", "clusterimg nowhere | cat"), "page:4"),
    "other output": (fenced("console", "$ ls archive\nkept-rocket-1.png"), "page:4"),
    "too little output": (fenced("console", "$ ls archive"), "page:4"),
    "an extra that is none": (fenced("sh", "pip install 'icas[quick]'"), "page:4"),
    "a target that is none": (fenced("sh", "make coffee"), "page:4"),
    "open": (f"{FENCE}sh\nls\n", "page:1"),
    "pycon": (fenced("pycon", ">>> 1 + 1\n3"), "Expected"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_passes(name, reader):
    reader.read("page", RIGHT[name])


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_with_its_line(name, reader):
    text, place = WRONG[name]
    with pytest.raises(AssertionError) as failure:
        reader.read("page", text)
    assert place in str(failure.value)


def test_python_that_fails_names_its_line(reader):
    with pytest.raises(ZeroDivisionError) as failure:
        reader.read("page", fenced("python", "x = 1\nx / 0"))
    assert str(failure.traceback[-1].path).endswith("page")
    assert failure.traceback[-1].lineno + 1 == 5


def test_what_is_not_installed_is_left_out(reader):
    reader.missing = {"torch", "dask"}
    text = fenced("sh", "clusterimg photos --method deep --no-such-flag\nls")
    reader.read("page", text + fenced("python", 'icas.cluster("photos", executor="dask")'))
    assert [place.split(":")[1] for place in reader.left_out] == ["4", "10"]


@pytest.mark.parametrize(
    ("shown", "made", "same"),
    [
        (["a…c"], ["abc"], True),
        (["a…c"], ["abd"], False),
        (["…", "z"], ["x", "y", "z"], True),
        (["…", "z"], ["z"], True),
        (["a", "…"], ["b", "a"], False),
        (["a."], ["ab"], False),
        (["a", ""], ["a  "], True),
    ],
)
def test_lines_agree(shown, made, same):
    assert agree(shown, made) is same


def test_blocks_in_lists_are_read_without_their_indent():
    text = f"- item\n\n  {FENCE}sh\n  ls\n  {FENCE}\n"
    assert blocks("page", text) == [Block("page", 4, "sh", "ls\n")]


def test_commands_of_a_console_block():
    block = Block("page", 4, "console", "$ ls \\\n> -a\none\ntwo\n$ true\n")
    found = commands(block)
    assert [(command.text, command.output) for command in found] == [
        ("ls -a", ("one", "two")),
        ("true", ()),
    ]
    assert [command.place for command in found] == ["page:4", "page:8"]
