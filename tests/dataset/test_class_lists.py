"""Lists of classes: the same classes from the files of several programs."""

from __future__ import annotations

import json

import pytest

from icas import UsageError
from icas.dataset.class_lists import ListedClass, read_class_list

NAMES = ["car", "big dog", "it's, so"]
FILES = {
    "lines.txt": "car\n\n# note\nbig dog\nit's, so\n",
    "coco.json": json.dumps(
        {
            "images": [],
            "categories": [
                {"id": 3, "name": "it's, so"},
                {"id": 1, "name": "car"},
                {"id": 2, "name": "big dog"},
            ],
        }
    ),
    "list.json": json.dumps(NAMES),
    "list.yaml": '- car\n- big dog  # large\n- "it\'s, so"\n',
    "data.yaml": "train: a\nnc: 3\nnames:\n  0: car\n  1: big dog\n  2: 'it''s, so'\nval: b\n",
    "block.yml": 'names:\n- car\n- big dog\n- "it\'s, so"\n',
    "inline.yaml": "nc: 3\nnames: [car, 'big dog', \"it's, so\"] # all\n",
    "long.yaml": 'names: [car,\n  big dog,\n  "it\'s, so"]\nval: b\n',
    "map.yaml": 'names: {0: car, 1: big dog, 2: "it\'s, so"}\n',
    "coco.yaml": 'classes:\n  - name: car\n    id: 0\n  - name: big dog\n  - name: "it\'s, so"\n',
}


@pytest.mark.parametrize("name", FILES)
def test_the_names_of_every_format(tmp_path, name):
    path = tmp_path / name
    path.write_text(FILES[name])
    assert read_class_list(path) == [ListedClass(name) for name in NAMES]


@pytest.mark.parametrize(
    "content",
    [
        "names:\n  0: \"a: b # c\"\n  1: dog's # it's a comment\n",
        'names: ["a: b # c", dog\'s] # all\n',
        "names:\n- 'a: b # c' # one\n- dog's\n",
    ],
)
def test_comments_end_lines_outside_quotes(tmp_path, content):
    path = tmp_path / "data.yaml"
    path.write_text(content)
    assert read_class_list(path) == [ListedClass("a: b # c"), ListedClass("dog's")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "car,#cc0000\ndog\n"),
        ("a.yaml", '- name: car\n  color: "#cc0000"\n- name: dog\n'),
        ("b.yaml", "- car,#cc0000\n- dog\n"),
        ("c.yaml", "- {name: car, color: [204, 0, 0]}\n- dog\n"),
        ("a.json", '{"categories": [{"name": "car", "color": [204, 0, 0]}, {"name": "dog"}]}'),
        ("b.json", '[{"name": "car", "color": "cc0000"}, "dog"]'),
    ],
)
def test_colors_are_read_where_there_are_some(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    assert read_class_list(path) == [ListedClass("car", (204, 0, 0)), ListedClass("dog")]


def test_a_mapping_of_names_to_colors(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("car: '#cc0000'\ndog: \"#00aa44\"\n")
    assert read_class_list(path) == [
        ListedClass("car", (204, 0, 0)),
        ListedClass("dog", (0, 170, 68)),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", "{"),
        ("a.json", "[" * 100_000),
        ("a.json", '{"categories": [{"id": 1}]}'),
        ("a.yaml", "names: [car, dog"),
        ("a.yaml", "just text"),
        ("a.yaml", "- name: car\n  color: red\n"),
        ("a.txt", "\n"),
        ("a.txt", "car,#cc00\n"),
        ("a.txt", b"\xff\xfe\x00"),
    ],
)
def test_a_file_that_lists_no_classes_is_reported(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match=name) as told:
        read_class_list(path)
    assert "\n" not in str(told.value)


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read_class_list(tmp_path / "a.txt")
