"""What --help says, and what is said of words that are not spelt well."""

from __future__ import annotations

import subprocess
import sys

import pytest

from icas.cli import parser as flag_groups
from icas.cli.parser import About, LineParser, Typed, did_you_mean, help_text, meant, page_of
from icas.clusterimg.commands import main as clusterimg
from icas.segmentimg.commands import main as segmentimg

PARSERS = {**clusterimg.parsers(), **segmentimg.parsers()}
WIDTH = 80


def test_every_command_has_a_parser_of_its_name():
    commands = "demo thresholds evaluate estimate decide split undo train cache help completion"
    assert set(clusterimg.parsers()) == {
        "clusterimg", *(f"clusterimg {name}" for name in commands.split())
    }  # fmt: skip
    assert set(segmentimg.parsers()) == {
        "segmentimg", *(f"segmentimg {name}" for name in ("evaluate", "help", "completion"))
    }  # fmt: skip


@pytest.mark.parametrize("name", PARSERS)
def test_help_names_every_flag_with_its_default(name):
    parser = PARSERS[name]
    lines = help_text(page_of(parser), WIDTH).splitlines()
    for action in parser._actions:
        if action.dest == "src":  # told with --src
            continue
        shown = [line for line in lines if all(flag in line for flag in action.option_strings)]
        assert shown, action
        has_default = action.option_strings and action.dest not in ("help", "version", "src_flag")
        if has_default and not action.required:
            assert "(default: " in (action.help or ""), action.option_strings


@pytest.mark.parametrize("name", PARSERS)
def test_help_fits_a_terminal(name):
    text = help_text(page_of(PARSERS[name]), WIDTH)
    flags, _, examples = text.partition("examples:\n")
    assert max(len(line) for line in flags.splitlines()) <= WIDTH
    assert examples
    assert all(line.split()[0] in ("#", *name.split()[:1]) for line in examples.splitlines())


@pytest.mark.parametrize("name", PARSERS)
def test_flags_stand_in_groups_with_titles(name):
    page = page_of(PARSERS[name])
    titles = [group.title for group in page.groups]
    own = [title for title in titles if title not in flag_groups.ORDER]
    assert all(title.startswith("method ") for title in own)
    assert titles == sorted(set(titles) - set(own), key=flag_groups.ORDER.index) + own
    flags = [flag for one in page.flags for flag in one.names]
    assert sorted(flags) == sorted(PARSERS[name]._option_string_actions)


def test_the_layout():
    parser = LineParser(
        "tool",
        About(
            "Does it.",
            forms={"ways": (("a", "one"), ("long b", "other"))},
            examples=(("tool x", "as a trial"),),
            commands=(("go", "runs it"),),
            exit_codes=(("0", "done"),),
        ),
    )
    parser.add_source()
    parser.add_value("my flags", "--kind", choices=("a", "b"), required=True, help="which")
    parser.add_value(
        "my flags", "--size-of-it", type=Typed(int), metavar="N", help="how large (default: 5 m)"
    )
    lines = help_text(page_of(parser), 60).splitlines()
    assert lines == [
        "usage: tool [--src] DIR --kind a|b [flags]",
        "       tool COMMAND …",
        "",
        "Does it.",
        "",
        "ways:",
        "  a       one",
        "  long b  other",
        "",
        "what goes in:",
        "  [--src] DIR           folder with images",
        "",
        "what the command says:",
        "  -q, --quiet           no bars, no warnings (default: off)",
        "  --debug               show tracebacks (default: off)",
        "  --version             show the version",
        "  -h, --help            show this help",
        "",
        "my flags:",
        "  --kind a|b            which",
        "  --size-of-it N        how large (default: 5 m)",
        "",
        "commands, each with --help:",
        "  tool go  runs it",
        "",
        "exit codes: 0 done",
        "",
        "examples:",
        "  # as a trial",
        "  tool x",
    ]


@pytest.mark.parametrize("name", ["clusterimg", "clusterimg decide", "segmentimg evaluate"])
def test_help_is_a_command_too(name, capsys):
    program, *words = name.split()
    main = {"clusterimg": clusterimg.main, "segmentimg": segmentimg.main}[program]
    assert main(["help", *words]) == 0
    told = capsys.readouterr().out
    with pytest.raises(SystemExit, match="0"):
        main([*words, "--help"])
    assert capsys.readouterr().out == told
    assert told.startswith(f"usage: {name} ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("treshold", "treshold does not exist and is no command; did you mean clusterimg thr"),
        ("evalute out --labels x.csv", "did you mean clusterimg evaluate?"),
        ("help undoo", "no command 'undoo'; did you mean undo?"),
        ("help zebra", "no command 'zebra'; choose from cluster, demo, "),
        ("photos --treshold 0.5", "--treshold 0.5; did you mean --threshold? (see clusterimg --h"),
        ("photos --dry_run", "unrecognized arguments: --dry_run; did you mean --dry-run?"),
        ("photos --recursiv --jsn", "did you mean --recursive and --json?"),
        ("thresholds photos --metod=orb", "did you mean --method? (see clusterimg thresholds -"),
        ("photos --zebra", "unrecognized arguments: --zebra (see clusterimg --help)"),
        ("photos --dst", "argument --dst: expected one argument (see clusterimg --help)"),
    ],
)  # fmt: skip
def test_what_was_meant(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert clusterimg.main(words.split()) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1


def test_a_folder_is_a_folder_whatever_it_is_like(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "treshold").mkdir()
    assert clusterimg.main(["treshold"]) == 1
    assert "no images" in capsys.readouterr().err
    assert clusterimg.main(["sampels"]) == 2
    assert "no folder 'sampels'" in capsys.readouterr().err


def test_known_words_are_not_guessed_at():
    assert meant("Thresold", ["threshold", "train"]) == "threshold"
    assert meant("holiday", ["threshold", "train"]) is None
    assert did_you_mean("argument --dst: -1 is too small", ["--dst", "--src"]) == ""


@pytest.mark.parametrize(
    ("program", "words", "heavy"),
    [
        ("clusterimg", "completion bash", "numpy cv2"),
        ("clusterimg", "undo --help", "numpy cv2"),
        ("clusterimg", "--help", "torch sklearn scipy skimage matplotlib numba"),
        ("segmentimg", "--help", "torch sklearn scipy skimage matplotlib numba"),
    ],
)
def test_help_loads_nothing_heavy(program, words, heavy):
    code = (
        f"import sys; from icas.{program}.cli import main\n"
        f"try: main({words.split()})\n"
        "except SystemExit: pass\n"
        f"sys.exit(sorted(set({heavy.split()}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == "[]\n"
