"""The command: streams, exit codes, words."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from icas._version import __version__
from icas.clusterimg.commands.main import PROGRAM, main


def run(*words, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "icas.clusterimg", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )


def test_the_last_line_is_the_summary(photos, tmp_path):
    done = run("--src", photos, "--method", "ORB", "--dst", tmp_path / "out")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("threshold ")
    assert lines[-1] == f"14 images, 3 clusters, 2 outliers, 0 unreadable -> {tmp_path / 'out'}"
    assert done.stderr == ""


def test_the_source_is_given_by_place_or_by_flag(photos, tmp_path, capsys):
    assert main([str(photos), "--dst", str(tmp_path / "a"), "--transfer", "none"]) == 0
    assert main(["cluster", "--src", str(photos), "--dst", str(tmp_path / "b")]) == 0
    assert main([str(photos), "--src", str(tmp_path)]) == 2
    assert main([]) == 2
    assert "no source folder" in capsys.readouterr().err


def test_json_is_the_only_thing_on_stdout(photos, tmp_path, capsys):
    assert main([str(photos), "--dst", str(tmp_path / "out"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["images"] == 14
    assert told == json.loads((tmp_path / "out" / "run.json").read_text())


def test_unreadable_files_give_3_and_a_line(own_photos, tmp_path, capsys):
    (own_photos / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    (own_photos / "notes.txt").write_text("mine")
    assert main([str(own_photos), "--dst", str(tmp_path / "out")]) == 3
    out, err = capsys.readouterr()
    assert "1 unreadable ->" in out
    assert "unreadable: broken.png: " in err
    assert "notes.txt" in err
    assert main([str(own_photos), "--dst", str(tmp_path / "quiet"), "-q"]) == 3
    assert capsys.readouterr().err == ""


def test_companions_alone_are_no_failure(own_photos, tmp_path):
    (own_photos / "labels.csv").write_text("file,label\n")
    assert main([str(own_photos), "--dst", str(tmp_path / "out")]) == 0


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["nowhere"], 2, "nowhere"),
        (["{photos}", "--method", "sift"], 2, "choose from"),
        (["{photos}", "--threshold", "high"], 2, "a number, auto or pick"),
        (["{photos}", "--method", "orb", "--device", "cuda"], 2, "runs on the CPU only"),
        (["{photos}", "--hash-size", "x"], 2, "integer"),
        (["{photos}", "--hash-size", "16", "--method", "orb"], 2, "no option of method"),
        (["{photos}", "--size", "64"], 2, "200x150"),
        (["{photos}", "--frobnicate"], 2, "--frobnicate"),
        (["{photos}", "--jobs", "0"], 2, "at least 1"),
        (["{empty}"], 1, "no images"),
        (["{photos}", "--dst", "{photos}"], 1, "not empty"),
        (["train"], 2, "no source folder"),
        (["evaluate", "{photos}", "--labels", "{empty}"], 2, "cannot read"),
    ],
)
def test_errors_are_one_line(photos, tmp_path, capsys, words, code, told):
    (tmp_path / "empty").mkdir()
    places = {"photos": photos, "empty": tmp_path / "empty"}
    assert main([word.format(**places) for word in words]) == code
    out, err = capsys.readouterr()
    assert told in err
    assert err.count("\n") == 1
    assert err.startswith("clusterimg: ")
    assert "Traceback" not in out + err


def test_debug_shows_the_traceback(tmp_path):
    assert "Traceback" in run("--src", tmp_path / "nowhere", "--debug").stderr


def test_help_names_every_flag_with_its_default():
    done = run("--help-all")
    assert done.returncode == 0
    for flag in ("--src", "--dst", "--threshold", "--hash-size", "--corners", "--permutations"):
        assert flag in done.stdout
    for action in PROGRAM.parser("cluster")._actions:
        if action.option_strings and action.dest not in ("help", "help_all", "version", "src_flag"):
            assert "default: " in (action.help or ""), action.option_strings


def test_version(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert __version__ in capsys.readouterr().out


def test_verbose_names_every_file(photos, tmp_path, capsys):
    main([str(photos), "--dst", str(tmp_path / "out"), "-v", "--dry-run"])
    out = capsys.readouterr().out
    assert "moon.png -> result/" in out
    assert not (tmp_path / "out").exists()


def test_a_reader_that_has_gone_is_no_error(photos, tmp_path):
    command = f"{sys.executable} -m icas.clusterimg {photos} --dst {tmp_path / 'o'} -v | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert done.stderr == ""


def test_names_with_line_breaks_stay_on_one_line(own_photos, tmp_path, capsys):
    (own_photos / "new\nline.jpg").write_bytes(b"")
    main([str(own_photos), "--dst", str(tmp_path / "out")])
    assert "unreadable: new\\nline.jpg: " in capsys.readouterr().err


def test_evaluate_prints_what_it_knows(photos, tmp_path, capsys):
    dst = tmp_path / "out"
    labels = tmp_path / "labels.csv"
    lines = [f"{path.name},{path.name.split('-')[0]}" for path in photos.iterdir()]
    labels.write_text("file,label\n" + "\n".join(lines) + "\n")
    main([str(photos), "--method", "orb", "--dst", str(dst), "-q"])
    capsys.readouterr()
    assert main(["evaluate", str(dst), "--labels", str(labels)]) == 0
    assert "f1                 1.0000" in capsys.readouterr().out
    command = ["evaluate", str(dst / "clusters.csv"), "--labels", str(labels), "--json"]
    assert main(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["precision"] == told["recall"] == told["v_measure"] == 1.0


def test_thresholds_gives_the_table_of_all(photos, tmp_path, capsys):
    labels = tmp_path / "labels.csv"
    lines = [f"{path.name},{path.name.split('-')[0]}" for path in photos.iterdir()]
    labels.write_text("file,label\n" + "\n".join(lines) + "\n")
    out = tmp_path / "curve.csv"
    command = ["thresholds", str(photos), "--method", "imagehash", "--labels", str(labels)]
    assert main([*command, "--out", str(out)]) == 0
    assert "best pairwise F1" in capsys.readouterr().out
    lines = out.read_text().splitlines()
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[:-1] == lines
    assert lines[0] == "threshold,links,clusters,clustered_images,precision,recall,f1"
    table = [[float(cell) for cell in line.split(",")] for line in lines[1:]]
    assert [row[0] for row in table] == sorted((row[0] for row in table), reverse=True)
    for threshold, links, clusters, clustered, *_ in table:
        main(["-q", "--src", str(photos), "--dst", str(tmp_path / f"{threshold}"), "--json",
              "--method", "imagehash", "--threshold", str(threshold), "--transfer", "none",
              "--no-report"])  # fmt: skip
        told = json.loads(capsys.readouterr().out)
        assert (told["clusters"], told["images"] - told["outliers"]) == (clusters, clustered)
        found = (tmp_path / f"{threshold}" / "similarities" / "batch_0.csv").read_text()
        assert found.count("\n") - 1 == links


@pytest.mark.skipif(os.name == "nt", reason="signals work otherwise on Windows")
def test_ctrl_c_gives_130(own_photos, tmp_path):
    code = (
        "import signal, sys\n"
        "from icas.clusterimg.pipeline import source\n"
        "from icas.clusterimg.commands.main import main\n"
        "def stop(*_, **__): signal.raise_signal(signal.SIGINT)\n"
        "source.scan = stop\n"
        f"sys.exit(main([{str(own_photos)!r}, '--dst', {str(tmp_path / 'out')!r}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr.strip() == "clusterimg: interrupted"
    assert not (tmp_path / "out").exists()


def test_a_mistake_of_ours_is_one_line_too(photos, tmp_path, capsys, monkeypatch):
    def broken(*_args, **_kwargs):
        raise TypeError("what now")

    monkeypatch.setattr("icas.clusterimg.pipeline.source.scan", broken)
    assert main([str(photos), "--dst", str(tmp_path / "out")]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "TypeError: what now" in err
    assert "--debug" in err


def test_pick_without_a_display_writes_the_curve_and_tells_the_call(
    photos, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    words = [str(photos), "--method", "orb", "--threshold", "pick", "--dst", str(tmp_path / "out")]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "thresholds.png" in told
    assert "--threshold 0." in told
    assert (tmp_path / "thresholds.png").stat().st_size > 1000
    assert not (tmp_path / "out").exists()
