"""labels.csv: written and read back."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from icas.common.errors import UsageError
from icas.dataset.image_labels import SOURCES, ImageLabel, labels_table, read_image_labels

names = st.text(st.characters(exclude_characters="\0\r", codec="utf-8"), min_size=1, max_size=12)
confidences = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)


@given(st.dictionaries(names, st.builds(ImageLabel, names, st.sampled_from(SOURCES), confidences)))
def test_a_table_is_read_as_written(tmp_path_factory, labels):
    folder = tmp_path_factory.mktemp("labels")
    (folder / "labels.csv").write_bytes(labels_table(labels))
    assert read_image_labels(folder) == labels


def test_no_table_is_no_labels(tmp_path):
    assert read_image_labels(tmp_path) == {}


def test_a_damaged_table_is_one_line(tmp_path):
    (tmp_path / "labels.csv").write_text("file,label\na.jpg,cat\n")
    with pytest.raises(UsageError, match=r"cannot read .*labels\.csv"):
        read_image_labels(tmp_path)
