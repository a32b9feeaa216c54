"""Text of unknown encoding."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, strategies as st

from icas.io.text import decode_text

WORDS = {
    "gb18030": "杯子 狗 人 车 鸟 行人 汽车 自行车 红绿灯 桌子 树 天空 建筑 背景 交通标志 裂缝 划痕",
    "cp932": "カップ 犬 猫 人 車 自転車 信号 木 空 建物 りんご バス 背景 傷 錆",
    "cp1252": "café Füße Köln naïve über Été señor Größe niño Straße cœur œuvre it’s crème 5°",
    "cp949": "고양이 강아지 자동차 사람 나무 하늘 건물 도로 신호등 자전거 배경 균열 트럭 보행자",
    "cp1251": "кошка собака Человек машина дерево небо здание дорога светофор велосипед",
}
CASES = [(name, word) for name, words in WORDS.items() for word in words.split()]


@pytest.mark.parametrize(("encoding", "word"), CASES)
def test_a_word_in_json_is_decoded(encoding, word):
    text = f'{{"shapes": [{{"label": "{word}", "points": [[1, 2]]}}]}}'
    data = text.encode(encoding)
    try:
        expected = data.decode("utf-8")  # some words are valid in both
    except UnicodeDecodeError:
        expected = text
    assert decode_text(data) == expected


@pytest.mark.parametrize("encoding", WORDS)
def test_a_table_is_decoded(encoding):
    text = "file,label\r\n" + "".join(f"{word}.jpg,{word}\r\n" for word in WORDS[encoding].split())
    assert decode_text(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff")))
def test_unicode_with_a_mark_or_as_utf_8_comes_back(encoding, text):
    assert decode_text(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark(encoding):
    assert decode_text('{"label": "猫"}'.encode(encoding)) == '{"label": "猫"}'


@pytest.mark.parametrize(
    "data",
    [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)), bytes(range(128, 256)), b"\xff\xfea"],
)
def test_binary_data_is_an_error(data):
    with pytest.raises(UnicodeDecodeError):
        decode_text(data)


@given(st.binary())
def test_any_bytes_are_text_or_an_error(data):
    with contextlib.suppress(UnicodeDecodeError):
        assert isinstance(decode_text(data), str)


TEXTS = [
    ("gbk", "文件,标签\n猫.jpg,动物\n"),
    ("gb18030", "狗,图像"),
    ("gbk", "汽车 行人 自行车 交通灯"),
    ("cp932", "ファイル,ラベル\n猫.jpg,動物\n"),
    ("cp932", "写真,犬"),
    ("cp1252", "file,label\nnaïve.jpg,café\nGöttingen.jpg,Maß\n"),
    ("cp1252", "straße"),
    ("cp949", "파일,라벨\n고양이.jpg,동물\n"),
    ("cp949", '{"imagePath": "도로 표지판.jpg", "shapes": [{"label": "차선"}]}'),
    ("cp1251", "файл,метка\nкот.jpg,Животное\n"),
    ("cp1251", "Ёлка и ещё одна ёлка"),
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
