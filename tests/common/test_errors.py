"""Errors name keywords in Python, and flags in the commands."""

from __future__ import annotations

import pytest

import icas
from icas.clusterimg.commands.main import main

MESSAGES = {
    "--threshold 2: expected a number": "threshold 2: expected a number",
    "choose another --dst (or --keep-batches)": "choose another dst (or keep_batches)",
    "damaged; --no-decisions ignores it": "damaged; decisions=False ignores it",
    "run clusterimg undo photos --dry-run first": "run clusterimg undo photos --dry-run first",
    "clusterimg cache clear, or give --cache": "clusterimg cache clear, or give cache",
    "photos/--odd name/a--b.png -- c": "photos/--odd name/a--b.png -- c",
}


@pytest.mark.parametrize("message", MESSAGES)
def test_names_of_settings(message):
    error = icas.ConflictError(message)
    assert error.message == message
    assert str(error) == MESSAGES[message]


def test_a_wrong_value_is_named_as_it_was_given(tmp_path, capsys):
    with pytest.raises(icas.UsageError, match=r"^batch_size 1: must be at least 2$"):
        icas.cluster(tmp_path, batch_size=1)
    with pytest.raises(icas.UsageError, match=r"^threshold 2: expected a number up to 1$"):
        icas.cluster(tmp_path, threshold=2)
    assert main([str(tmp_path), "--batch-size", "1"]) == 2
    assert main([str(tmp_path), "--threshold", "2"]) == 2
    assert capsys.readouterr().err == (
        "clusterimg: --batch-size 1: must be at least 2\n"
        "clusterimg: --threshold 2: expected a number up to 1\n"
    )
