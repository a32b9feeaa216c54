"""Help, and suggestions for misspelt commands and flags."""

from __future__ import annotations

import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

from icas.cli.parser import (
    GROUPS,
    ArgumentType,
    CommandParser,
    closest_match,
    did_you_mean,
)
from icas.clusterimg.commands.main import PROGRAM as CLUSTERIMG
from icas.segmentimg.commands.main import PROGRAM as SEGMENTIMG

PARSERS = {**CLUSTERIMG.parsers(), **SEGMENTIMG.parsers()}
WIDTH, LINES = 80, 45


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", str(WIDTH))


def test_every_command_has_a_parser_of_its_name():
    commands = "demo thresholds evaluate estimate decide ask label review split best quality export"
    commands += " add undo audit parquet shards train weights cache help completion"
    assert set(CLUSTERIMG.parsers()) == {
        "clusterimg", *(f"clusterimg {name}" for name in commands.split())
    }  # fmt: skip
    assert set(SEGMENTIMG.parsers()) == {
        "segmentimg",
        "segmentimg export",
        "segmentimg import",
        "segmentimg propagate",
        "segmentimg serve",
        *(f"segmentimg {name}" for name in ("evaluate", "weights", "help", "completion")),
    }  # fmt: skip


@pytest.mark.parametrize("name", PARSERS)
def test_all_flags_are_named_with_their_defaults(name):
    parser = PARSERS[name]
    lines = parser.format_help_all().splitlines()
    for action in parser._actions:
        if action.dest == "src":  # shown with --src
            continue
        shown = [line for line in lines if all(flag in line for flag in action.option_strings)]
        assert shown, action
        bare = ("help", "help_all", "version", "src_flag")
        if action.option_strings and action.dest not in bare and not action.required:
            assert "(default: " in (action.help or ""), action.option_strings
        for choice in action.choices or ():
            assert str(choice) in f"{action.metavar} {action.help} {lines[0]}", action


@pytest.mark.parametrize("name", PARSERS)
def test_help_fits_a_screen(name):
    lines = PARSERS[name].format_help().splitlines()
    assert len(lines) <= LINES
    assert lines[0].startswith(f"usage: {name}")


@pytest.mark.parametrize("name", [name for name, parser in PARSERS.items() if parser.common])
def test_short_help_has_the_common_flags_and_says_where_all_are(name):
    parser = PARSERS[name]
    text = parser.format_help()
    _, _, shown = text.partition("Common flags:\n")
    words = {word.strip(",[]") for word in shown.partition("\n\n")[0].split()}
    assert words >= set(parser.common)
    assert f"All flags: {name} --help-all" in text
    assert len(parser.common) <= 14
    assert len(PARSERS[name].format_help_all().splitlines()) > LINES


@pytest.mark.parametrize("name", [name for name, parser in PARSERS.items() if not parser.common])
def test_short_help_of_a_command_with_few_flags_has_all(name):
    assert PARSERS[name].format_help() == PARSERS[name].format_help_all()


@pytest.mark.parametrize("name", PARSERS)
def test_help_fits_a_terminal(name):
    for text in (PARSERS[name].format_help(), PARSERS[name].format_help_all()):
        head, _, rest = text.partition("Examples:\n")
        examples, _, flags = rest.partition("\n\n")
        assert max(len(line) for line in (head + flags).splitlines()) <= WIDTH
        assert examples
        assert all(line.split()[0] in ("#", *name.split()[:1]) for line in examples.splitlines())


@pytest.mark.parametrize("program", ["clusterimg", "segmentimg"])
def test_a_program_shows_three_examples_and_all_of_its_commands(program):
    text = PARSERS[program].format_help()
    _, _, rest = text.partition("Examples:\n")
    assert rest.partition("\n\n")[0].count(f"  {program} ") == 3
    rows = rest.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    listed = [row.split()[0] for row in rows]
    for line in re.findall(r"^Also: (.*)\.$", text, re.MULTILINE):
        listed += line.split(", ")
    names = [name.split()[1] for name in PARSERS if name.startswith(f"{program} ")]
    assert sorted(listed[1:]) == sorted(names)


@pytest.mark.parametrize("name", PARSERS)
def test_flags_are_in_titled_groups(name):
    groups = PARSERS[name].sorted_groups()
    titles = [group.title for group, _ in groups]
    own = [title for title in titles if title not in GROUPS]
    assert all(title.startswith("Method ") for title in own)
    assert titles == sorted(set(titles) - set(own), key=GROUPS.index) + own
    flags = [flag for _, actions in groups for action in actions for flag in action.option_strings]
    assert sorted(flags) == sorted(PARSERS[name]._option_string_actions)


def test_the_layout(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    parser = CommandParser(
        "tool",
        "Does it.",
        common=("--kind", "--src"),
        tables={"Ways": (("a", "one"), ("long b", "100 %"))},
        examples=(("tool x", "as a trial"),),
        commands=(("go", "runs it"),),
        exit_codes=(("0", "done"),),
    )
    parser.add_source()
    parser.add_value("Method x", "--kind", choices=("a", "b"), required=True, help="which")
    parser.add_value(
        "Method x",
        "--size-of-it",
        type=ArgumentType(int),
        metavar="N",
        help="how large it may be at most, in all (default: 5 m)",
    )
    assert parser.format_help().splitlines() == [
        "usage: tool [--src] DIR --kind a|b [flags]",
        "       tool COMMAND ...",
        "",
        "Does it.",
        "",
        "Examples:",
        "  # as a trial",
        "  tool x",
        "",
        "Common flags:",
        "  --kind a|b   which",
        "  [--src] DIR  folder of images",
        "",
        "Commands:",
        "  go           runs it",
        "",
        "All flags: tool --help-all. Help of a command: tool help COMMAND",
    ]
    assert parser.format_help_all().splitlines() == [
        "usage: tool [--src] DIR --kind a|b [flags]",
        "       tool COMMAND ...",
        "",
        "Does it.",
        "",
        "Examples:",
        "  # as a trial",
        "  tool x",
        "",
        "Ways:",
        "  a               one",
        "  long b          100 %",
        "",
        "Input:",
        "  [--src] DIR     folder of images",
        "",
        "Logging:",
        "  -q, --quiet     no progress bars, no warnings",
        "                  (default: off)",
        "  --debug         show tracebacks of errors (default: off)",
        "  --version       print the version",
        "  -h, --help      print the most common flags",
        "  --help-all      print all flags",
        "",
        "Method x:",
        "  --kind a|b      which",
        "  --size-of-it N  how large it may be at most, in all",
        "                  (default: 5 m)",
        "",
        "Commands:",
        "  go              runs it",
        "",
        "Exit codes:",
        "  0               done",
    ]


@pytest.mark.parametrize("name", ["clusterimg", "clusterimg decide", "segmentimg evaluate"])
def test_help_is_a_command_too(name, capsys):
    program, *words = name.split()
    main = {"clusterimg": CLUSTERIMG.main, "segmentimg": SEGMENTIMG.main}[program]
    assert main(["help", *words]) == 0
    shown = capsys.readouterr().out
    with pytest.raises(SystemExit, match="0"):
        main([*words, "--help"])
    assert capsys.readouterr().out == shown
    assert shown.startswith(f"usage: {name} ")
    with pytest.raises(SystemExit, match="0"):
        main([*words, "--help-all"])
    assert capsys.readouterr().out == PARSERS[name].format_help_all()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("treshold", "treshold is neither a folder nor a command; did you mean clusterimg thr"),
        ("evalute out --labels x.csv", "did you mean clusterimg evaluate?"),
        ("help undoo", "no command 'undoo'; did you mean undo?"),
        ("help zebra", "no command 'zebra'; choose from cluster, demo, "),
        ("photos --treshold 0.5", "did you mean --threshold? (see clusterimg --help-all)"),
        ("photos --dry_run", "unrecognized arguments: --dry_run; did you mean --dry-run?"),
        ("photos --recursiv --jsn", "did you mean --recursive and --json?"),
        ("thresholds photos --metod=orb", "did you mean --method? (see clusterimg thresholds -"),
        ("photos --zebra", "unrecognized arguments: --zebra (see clusterimg --help-all)"),
        ("photos --linkage centroid", "--linkage 'centroid': choose from single, complete, ave"),
        ("photos --size 3", "--size '3': expected a size like 200x150 (width x height) (see"),
        ("photos --dst", "clusterimg: --dst: expected a value (see clusterimg --help-all)"),
    ],
)  # fmt: skip
def test_suggestions(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert CLUSTERIMG.main(words.split()) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_a_folder_is_a_folder_whatever_it_is_like(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "treshold").mkdir()
    assert CLUSTERIMG.main(["treshold"]) == 1
    assert "no images" in capsys.readouterr().err
    assert CLUSTERIMG.main(["sampels"]) == 2
    assert "no folder 'sampels'" in capsys.readouterr().err


def test_only_similar_words_are_suggested():
    assert closest_match("Thresold", ["threshold", "train"]) == "threshold"
    assert closest_match("holiday", ["threshold", "train"]) is None
    assert did_you_mean("argument --dst: -1 is too small", ["--dst", "--src"]) == ""


HEAVY = "torch sklearn scipy skimage matplotlib numba dask tqdm PIL imagehash"


@pytest.mark.parametrize(
    ("program", "words", "heavy"),
    [
        ("clusterimg", "completion bash", "numpy cv2"),
        ("clusterimg", "undo --help", "numpy cv2"),
        ("clusterimg", "--help", HEAVY),
        ("segmentimg", "--help", HEAVY),
    ],
)
def test_help_loads_nothing_heavy(program, words, heavy):
    code = (
        f"import sys; from icas.{program}.commands.main import main\n"
        f"try: main({words.split()})\n"
        "except SystemExit: pass\n"
        f"sys.exit(sorted(set({heavy.split()}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == "[]\n"


def test_a_small_run_loads_no_package_that_it_does_not_use(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        pixels = np.full((40, 40, 3), 40 * number, np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
    words = [str(folder), "--method", "imagehash", "--threshold", "0.9", "--no-cache"]
    code = (
        "import sys; from icas.clusterimg.commands.main import main\n"
        f"assert main({words}) == 0\n"
        "heavy = {'torch', 'sklearn', 'skimage', 'matplotlib', 'numba', 'dask', 'tqdm'}\n"
        "sys.exit(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.endswith("[]\n")
