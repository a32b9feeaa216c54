"""Damaged label tables: one line, or scores of all images that have a label, and never silence."""

from __future__ import annotations

import csv
import io
import json
import random

import pytest

from icas.clusterimg.commands.main import main

FILES = [f"{folder}{name}.jpg" for folder in ("", "sub/", "sub/deep er/") for name in "abcé"]
ODD = [
    "", " ", "\0", "\n", '"', '""', ",", ";", "\t", "nan", "\ufeff", "\ud800", "../", "\\", "/",
    "a.jpg", "sub", "-1", "1e400", "x" * 200_000, "é", "e\u0301", "中", "=1+1",
]  # fmt: skip
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "gb18030", "shift-jis"]


def clusters_table(rows):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "cluster", "batch", "representative"])
    writer.writerows([file, number % 3 - 1, 0, 0] for number, file in enumerate(rows))
    return text.getvalue()


def mutated_table(rng):
    """The bytes of a table of labels with some mutations."""
    prefix = rng.choice(["", "", "./", "/photos/", "C:\\photos\\"])
    header = rng.choice([["file", "label"], ["File ", " LABEL"], ["n", "label", "file"]])
    rows = []
    for number, file in enumerate(FILES):
        values = {"file": prefix + file, "label": f"class {number % 3}", "n": str(number)}
        rows.append([values[name.strip().lower()] for name in header])
    table = [header, *rows]
    for _ in range(rng.randint(0, 3)):
        row = rng.choice(table)
        turn = rng.random()
        if turn < 0.2 and row:
            del row[rng.randrange(len(row))]
        elif turn < 0.4:
            row.insert(rng.randint(0, len(row)), rng.choice(ODD))
        elif turn < 0.5 and len(table) > 1:
            table.remove(row)
        elif turn < 0.6:
            table.insert(rng.randint(0, len(table)), list(rng.choice(table)))
        elif row:
            row[rng.randrange(len(row))] = rng.choice(ODD)
    text = io.StringIO()
    writer = csv.writer(text, delimiter=rng.choice(",;\t"), quoting=rng.choice([0, 1]))
    writer.writerows(table)
    data = bytearray(text.getvalue().encode(rng.choice(ENCODINGS), "replace"))
    if rng.random() < 0.3:
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data[: rng.randrange(len(data))] if rng.random() < 0.1 else data)


def mutated_clusters(rng):
    data = bytearray(clusters_table(FILES).encode())
    for _ in range(rng.randint(1, 6)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data[: rng.randrange(len(data))] if rng.random() < 0.2 else data)


def fuzz(tmp_path, capsys, seed, count):
    rng = random.Random(seed)
    clusters, labels = tmp_path / "clusters.csv", tmp_path / "labels.csv"
    for turn in range(count):
        damaged = turn % 4 == 0
        clusters.write_bytes(mutated_clusters(rng) if damaged else clusters_table(FILES).encode())
        labels.write_bytes(mutated_table(rng))
        code = main(["evaluate", str(clusters), "--labels", str(labels), "--json"])
        out, said = capsys.readouterr()
        assert "Traceback" not in said
        assert "unexpected error" not in said, said[:500]
        assert code in (0, 2), said[:500]
        if code:
            assert said.startswith("clusterimg: ")
            assert said.count("\n") == 1
            continue
        judged = json.loads(out)["images"]
        assert judged > 0
        if not damaged and judged < len(FILES):
            lost = len(FILES) - judged
            words = "1 image has no label" if lost == 1 else f"{lost} images have no label"
            assert words in said, said[:500]


def test_damaged_label_tables(tmp_path, capsys):
    fuzz(tmp_path, capsys, "fast", 300)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_many_damaged_label_tables(tmp_path, capsys):
    fuzz(tmp_path, capsys, "slow", 2000)
