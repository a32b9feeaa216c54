"""segmentimg says plainly what is there."""

from __future__ import annotations

import pytest

from icas.segmentimg.cli import main


def test_it_says_which_methods_are_there(capsys):
    assert main(["photo.jpg", "--method", "sam"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("segmentimg: ")
    assert "methods that are there" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version(flag, capsys):
    with pytest.raises(SystemExit) as left:
        main([flag])
    assert left.value.code == 0
    assert capsys.readouterr().out
