"""Text in the encodings that other programs write."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from icas.io.text import decode_text

TEXTS = [
    ("gbk", "文件,标签\n猫.jpg,动物\n"),
    ("gb18030", "狗,图像"),
    ("gbk", "汽车 行人 自行车 交通灯"),
    ("cp932", "ファイル,ラベル\n猫.jpg,動物\n"),
    ("cp932", "写真,犬"),
    ("cp1252", "file,label\nnaïve.jpg,café\nGöttingen.jpg,Maß\n"),
    ("cp1252", "straße"),
    ("cp1252", "Ærøskøbing año"),
    ("utf-16", "file,label\na.png,é\n"),
    ("utf-16-le", "file,label"),
    ("utf-16-be", "file;label"),
    ("utf-32", "猫"),
    ("utf-8-sig", "file;ä"),
]


@pytest.mark.parametrize(("encoding", "text"), TEXTS)
def test_the_encoding_is_found(encoding, text):
    assert decode_text(text.encode(encoding)) == text


@given(st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"])))
def test_utf_8_is_read_as_it_is(text):
    if not text.startswith("\ufeff"):
        assert decode_text(text.encode()) == text
