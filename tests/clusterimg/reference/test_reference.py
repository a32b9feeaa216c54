"""New images looked up in a reference: every link, nothing but these, and it is only read."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import icas
from icas.cli.console import Console
from icas.clusterimg.commands.main import main
from icas.clusterimg.data.images import scan
from icas.clusterimg.data.links import Links
from icas.clusterimg.data.memory import MemoryBudget
from icas.clusterimg.features.extraction import Reading
from icas.clusterimg.graph.forest import spanning_forest
from icas.clusterimg.html import page
from icas.clusterimg.html.reference import counterparts_of
from icas.clusterimg.methods.imagehash import ImageHash
from icas.clusterimg.reference.clustering import ReferenceFeatures, clusters_of, links_to, nearest
from icas.clusterimg.reference.scan import read_reference
from icas.clusterimg.settings import ClusterSettings
from icas.clusterimg.transfer.execution import TRANSFERS
from icas.common.errors import ConflictError, IcasError, UsageError

IN_ARCHIVE = ("astronaut-1.png", "coffee-1.png", "coffee-2.jpg", "moon.png")
TABLES = ("clusters.csv", "certificate.csv", "reference.csv", "unreadable.csv")


@pytest.fixture
def folders(photos, tmp_path):
    """`photos` in two: four of them are the archive, the others are new. Of the rocket's four
    variants, which are alike, none is in the archive."""
    new, archive = tmp_path / "new", tmp_path / "archive"
    shutil.copytree(photos, new)
    archive.mkdir()
    for name in IN_ARCHIVE:
        shutil.move(new / name, archive / name)
    return new, archive


def look_up(folders, tmp_path, **given):
    new, archive = folders
    given = {"transfer": "none", "report": False, "dst": tmp_path / "out", **given}
    given = {"method": "imagehash", **given}
    return icas.cluster(new, reference=archive, **given)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


def groups(report) -> list[set[str]]:
    return [set(report.members(number)) for number in range(report.clusters)]


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in paths
    }


def brute_force(values, threshold):
    """Clusters of the rows of a matrix that share columns, as sets, by following links."""
    linked = values >= np.float32(threshold)
    found, left = [], set(np.flatnonzero(linked.any(axis=1)).tolist())
    while left:
        inside, fresh = set(), {min(left)}
        while fresh:
            inside |= fresh
            columns = linked[sorted(inside)].any(axis=0)
            fresh = set(np.flatnonzero(linked[:, columns].any(axis=1)).tolist()) - inside
        found.append(inside)
        left -= inside
    return sorted(found, key=lambda one: (-len(one), min(one)))


def hangs_together(links, level) -> bool:
    """Whether the links at or above `level` join all images that `links` join."""
    nodes = {node for one in links for node in (("new", one.file), ("old", one.reference))}
    reached, fresh = set(), {min(nodes)}
    while fresh:
        reached |= fresh
        kept = [(("new", one.file), ("old", one.reference)) for one in links
                if one.similarity >= level]  # fmt: skip
        fresh = {node for pair in kept if reached & set(pair) for node in pair} - reached
    return reached == nodes


def test_only_links_to_the_reference_count(folders, tmp_path):
    report = look_up(folders, tmp_path, threshold=0.85)
    assert groups(report) == [
        {"astronaut-2.jpg", "astronaut-3.png", "astronaut-10.bmp"},
        {"coffee-3.png", "coffee-10.bmp"},
    ]
    rockets = {"rocket-1.png", "rocket-2.jpg", "rocket-3.png", "rocket-10.bmp"}
    assert set(report.members(-1)) == rockets | {"page.png"}
    assert {match.reference for match in report.matches} == set(IN_ARCHIVE) - {"moon.png"}
    assert report.reference.found == 5
    assert report.comparisons == {"possible": 10 * 4, "made": 10 * 4, "skipped": 0}
    told = json.loads((tmp_path / "out" / "run.json").read_text())
    assert told["reference"] == {
        "folder": str(folders[1].resolve()),
        "images": 4,
        "unreadable": 0,
        "found": 5,
    }


def test_the_links_are_those_of_the_matrix_for_every_method(folders, tmp_path, method_and_options):
    new, archive = folders
    sides = [[ref.path for ref in scan(folder).images] for folder in (new, archive)]
    values = icas.similarity_matrix(*sides, **method_and_options)
    threshold = float(np.quantile(values, 0.8))
    report = look_up(folders, tmp_path, threshold=threshold, batch_size=4, **method_and_options)
    expected = {
        (sides[0][a].name, sides[1][b].name): float(values[a, b])
        for a, b in zip(*np.nonzero(values >= np.float32(threshold)), strict=True)
    }
    found = {(one.file, one.reference): one.similarity for one in report.matches}
    assert found == pytest.approx(expected)
    names = [path.name for path in sides[0]]
    assert groups(report) == [
        {names[image] for image in inside} for inside in brute_force(values, threshold)
    ]


@pytest.mark.parametrize("executor", ["threads", "processes", "dask"])
def test_batches_executors_and_the_way_of_merging_change_nothing(
    folders, tmp_path, executor, monkeypatch
):
    if executor == "dask":
        pytest.importorskip("distributed", reason="dask is not installed: pip install 'icas[dask]'")
    monkeypatch.setattr("icas.clusterimg.linking.tiles.side_of", lambda *_: 3)
    found = []
    for number, how in enumerate(
        (
            {},
            {"batch_size": 3, "executor": executor, "jobs": 2},
            {"batch_size": 2, "merge": "exact"},
        )
    ):
        dst = tmp_path / str(number)
        look_up(folders, tmp_path, threshold="auto", dst=dst, **how)
        tables = {name: (dst / name).read_bytes() for name in TABLES[1:]}
        clusters = [(row["file"], row["cluster"]) for row in rows(dst / "clusters.csv")]
        found.append((tables, clusters))
    assert found[0] == found[1] == found[2]


def test_features_beyond_the_memory_give_the_same(folders):
    new, archive = folders
    images = scan(new).images
    reference = read_reference(archive, recursive=False, exclude=new)
    plain = ReferenceFeatures.read(Reading(ImageHash()), images, reference)
    with MemoryBudget(64) as budget:
        both = ReferenceFeatures.read(Reading(ImageHash(), budget=budget), images, reference)
        assert both.reference.mapped
        sides = [(one, one.images.features(images)) for one in (plain, both)]
        first, second = (
            links_to(ImageHash(), features, one.reference, 0.6) for one, features in sides
        )
        assert first.structured().tolist() == second.structured().tolist() != []
        near = [nearest(ImageHash(), features, one.reference) for one, features in sides]
        assert near[0].tolist() == near[1].tolist()


def test_the_nearest_is_the_greatest_of_the_matrix(folders):
    new, archive = folders
    a, b = (icas.features(folder, "imagehash") for folder in (new, archive))
    values = icas.similarity_matrix(a, b)
    assert nearest(ImageHash(), a, b).tolist() == values.argmax(axis=1).tolist()
    assert nearest(ImageHash(), a[:0], b).tolist() == []
    assert nearest(ImageHash(), a, b[:0]).tolist() == []


@st.composite
def bipartite(draw):
    shape = draw(st.integers(0, 8)), draw(st.integers(0, 8))
    levels = draw(st.lists(st.integers(0, 4), min_size=shape[0] * shape[1]))
    return np.array(levels[: shape[0] * shape[1]], np.float32).reshape(shape) / 4


@settings(deadline=None)
@given(bipartite())
def test_clusters_are_what_hangs_together(values):
    a, b = np.nonzero(values >= 0.5)
    links = Links(a, b + len(values), values[a, b])
    labels = clusters_of(len(values), spanning_forest(sum(values.shape), [links]))
    found = defaultdict(set)
    for image, label in enumerate(labels.tolist()):
        found[label].add(image)
    expected = brute_force(values, 0.5)
    assert [found[number] for number in range(len(expected))] == expected
    assert found.keys() - {-1} == set(range(len(expected)))


def test_the_certificate_tells_of_the_links_to_the_reference(folders, tmp_path):
    report = look_up(folders, tmp_path, threshold=0.55)
    best = defaultdict(float)
    inside = defaultdict(list)
    label = dict(zip(report.files, report.labels.tolist(), strict=True))
    for one in report.matches:
        best[one.file] = max(best[one.file], one.similarity)
        inside[label[one.file]].append(one.similarity)
    assert len(report.certificates) == report.clusters > 0
    for one in report.certificates:
        members = report.members(one.cluster)
        assert one.images == len(members)
        assert one.least_similar_pair == pytest.approx(min(inside[one.cluster]))
        assert best[one.medoid] == max(best[file] for file in members)
        assert one.medoid == max(members, key=best.__getitem__)  # the first of equals
        levels = sorted(set(inside[one.cluster]))
        links = [match for match in report.matches if label[match.file] == one.cluster]
        assert one.weakest_link == max(level for level in levels if hangs_together(links, level))
    table = rows(tmp_path / "out" / "certificate.csv")
    assert [row["medoid"] for row in table] == [one.medoid for one in report.certificates]


def test_reference_csv_has_every_link_best_first(folders, tmp_path):
    report = look_up(folders, tmp_path, threshold=0.4, batch_size=3)
    table = rows(tmp_path / "out" / "reference.csv")
    assert list(table[0]) == ["file", "reference", "similarity"]
    assert [tuple(row.values())[:2] for row in table] == [one[:2] for one in report.matches]
    order = {file: place for place, file in enumerate(report.files)}
    keys = [(order[row["file"]], -float(row["similarity"]), row["reference"]) for row in table]
    assert [key[:2] for key in keys] == sorted(key[:2] for key in keys)
    assert len(keys) > len(report.files)  # some have several


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_the_reference_is_only_read(folders, tmp_path, transfer):
    new, archive = folders
    before, source = state(archive), state(new)
    report = look_up(folders, tmp_path, threshold=0.85, transfer=transfer, report=True)
    assert state(archive) == before
    placed = {path.name for path in (tmp_path / "out").glob("result/*/*")}
    if transfer == "none":
        assert placed == set()
        return
    assert placed == set(source) == set(report.files)
    assert state(new) == ({} if transfer == "move" else source)
    outliers = {path.name for path in (tmp_path / "out" / "result" / "outliers").iterdir()}
    assert outliers == set(report.members(-1))
    assert not any(path.name in IN_ARCHIVE for path in (tmp_path / "out").rglob("*"))


def test_the_command_says_how_many_and_the_summary_comes_last(folders, tmp_path, capsys):
    new, archive = folders
    words = [
        "--src",
        str(new),
        "--reference",
        str(archive),
        "--method",
        "imagehash",
        "--threshold",
        "0.85",
    ]
    words += ["--dst", str(tmp_path / "out")]
    assert main([*words, "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == "5 of 10 images match the reference"
    assert not (tmp_path / "out").exists()
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == "5 of 10 images match the reference (listed in reference.csv)"
    assert lines[-1] == f"10 images, 2 clusters, 5 outliers, 0 unreadable -> {tmp_path / 'out'}"
    assert main([*words[:-1], str(tmp_path / "other"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["reference"]["found"] == 5


def test_without_a_reference_nothing_is_told_of_one(photos, tmp_path):
    report = icas.cluster(
        photos, method="imagehash", dst=tmp_path / "out", threshold=0.85, transfer="none"
    )
    assert report.matches == ()
    assert report.reference is None
    assert "reference" not in json.loads((tmp_path / "out" / "run.json").read_text())
    assert not (tmp_path / "out" / "reference.csv").exists()


def test_nothing_is_in_the_reference(folders, tmp_path):
    _, archive = folders
    for name in IN_ARCHIVE[:3]:
        (archive / name).unlink()
    report = look_up(folders, tmp_path, threshold=0.85, report=True, transfer="copy")
    assert report.clusters == 0
    assert len(report.members(-1)) == report.outliers == 10
    assert (tmp_path / "out" / "reference.csv").read_text() == "file,reference,similarity\n"
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "No image matches the reference." in page


def test_a_single_new_image(folders, tmp_path):
    new, _ = folders
    for path in new.iterdir():
        if path.name != "coffee-3.png":
            path.unlink()
    report = look_up(folders, tmp_path, threshold="auto", report=True, transfer="copy")
    assert groups(report) == [{"coffee-3.png"}]
    assert (tmp_path / "out" / "result" / "cluster_0" / "coffee-3.png").is_file()
    assert [one.bridge for one in report.certificates] == [None]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Every image matches the reference." in page
    labels = tmp_path / "labels.csv"
    labels.write_text("file,label\ncoffee-3.png,coffee\n")
    assert main(["evaluate", str(tmp_path / "out"), "--labels", str(labels)]) == 0


def test_files_below_the_source_are_not_of_the_reference(folders, tmp_path, capsys):
    new, archive = folders
    shutil.move(new, archive / "new")
    words = ["--src", str(archive / "new"), "--reference", str(archive), "--recursive"]
    words += ["--method", "imagehash", "--threshold", "0.85", "--dst", str(archive / "out")]
    for attempt in ([], ["--overwrite"]):  # the second time the result lies in the reference
        assert main([*words, *attempt]) == 0
        out = capsys.readouterr().out
        assert "reference: skipped 10 images that belong to the source" in out
        assert "5 of 10 images match the reference" in out
        assert json.loads((archive / "out" / "run.json").read_text())["reference"]["images"] == 4


def test_a_reference_inside_the_source_is_no_part_of_it(folders, tmp_path, capsys):
    new, archive = folders
    shutil.move(archive, new / "archive")
    words = ["--src", str(new), "--reference", str(new / "archive"), "--recursive"]
    assert (
        main(
            [*words, "--method", "imagehash", "--threshold", "0.85", "--dst", str(tmp_path / "out")]
        )
        == 0
    )
    out = capsys.readouterr().out
    assert "source: skipped 4 images that belong to the reference folder inside it" in out
    assert "5 of 10 images match the reference" in out


@pytest.mark.parametrize("recursive", [False, True])
def test_the_same_folder_twice_is_an_error(photos, tmp_path, recursive):
    with pytest.raises(IcasError, match="besides those of the source"):
        icas.cluster(photos, reference=photos, recursive=recursive, dst=tmp_path / "out")


def test_the_source_is_all_reference(folders, tmp_path):
    _, archive = folders
    (tmp_path / "outer").mkdir()
    shutil.move(archive, tmp_path / "outer" / "archive")
    with pytest.raises(IcasError, match=r"no images in .* besides those of the reference"):
        icas.cluster(
            tmp_path / "outer",
            reference=tmp_path / "outer" / "archive",
            recursive=True,
            dst=tmp_path / "out",
        )


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_to_a_new_image_is_no_copy_of_it_and_a_hard_link_is(folders, tmp_path):
    new, archive = folders
    (archive / "rocket.png").symlink_to(new / "rocket-1.png")
    (archive / "nowhere.png").symlink_to(archive / "nothing.png")
    os.link(new / "page.png", archive / "page.png")
    (tmp_path / "way").symlink_to(new, target_is_directory=True)
    report = look_up((tmp_path / "way", archive), tmp_path, threshold=0.85)
    assert not any(one.file.startswith("rocket") for one in report.matches)
    assert ("page.png", "page.png", 1.0) in report.matches
    assert [Path(one.file).name for one in report.unreadable] == ["nowhere.png"]
    (new / "moon.png").symlink_to(archive / "moon.png")
    again = look_up(folders, tmp_path, threshold=0.85, dst=tmp_path / "again")
    assert ("moon.png", "moon.png", 1.0) in again.matches


def test_files_of_one_name_are_told_apart(folders, tmp_path):
    new, archive = folders
    shutil.copy(new / "page.png", new / "moon.png")  # another picture than the archive's moon
    report = look_up(folders, tmp_path, threshold="auto", sample=6)
    assert "moon.png" not in {one.file for one in report.matches}
    shutil.copy(archive / "moon.png", new / "moon.png")
    report = look_up(folders, tmp_path, threshold=1.0, dst=tmp_path / "again")
    assert ("moon.png", "moon.png", 1.0) in report.matches


def test_what_cannot_be_read_of_the_reference_is_listed_by_its_whole_path(
    folders, tmp_path, capsys
):
    new, archive = folders
    (archive / "broken.jpg").write_bytes(b"no picture")
    (archive / "notes.bin").write_bytes(b"\0\1\2")
    (new / "broken.jpg").write_bytes(b"no picture either")
    words = [
        "--src",
        str(new),
        "--reference",
        str(archive),
        "--method",
        "imagehash",
        "--threshold",
        "0.85",
    ]
    assert main([*words, "--dst", str(tmp_path / "out")]) == 3
    assert "10 images, 2 clusters, 5 outliers, 3 unreadable" in capsys.readouterr().out
    table = {row["file"] for row in rows(tmp_path / "out" / "unreadable.csv")}
    theirs = {(archive / name).as_posix() for name in ("broken.jpg", "notes.bin")}
    assert table == {"broken.jpg", *theirs}
    told = json.loads((tmp_path / "out" / "run.json").read_text())
    assert told["reference"]["unreadable"] == 2


def test_a_reference_of_which_nothing_can_be_read(folders, tmp_path, method_and_options):
    _, archive = folders
    for path in archive.iterdir():
        path.write_bytes(b"no picture")
    report = look_up(folders, tmp_path, threshold="auto", **method_and_options)
    assert (report.clusters, report.outliers, len(report.unreadable)) == (0, 10, 4)


def test_a_source_of_which_nothing_can_be_read(folders, tmp_path, method_and_options):
    new, _ = folders
    for path in new.iterdir():
        path.write_bytes(b"no picture")
    report = look_up(folders, tmp_path, threshold="auto", **method_and_options)
    assert (report.clusters, report.outliers, len(report.unreadable)) == (0, 0, 10)


def test_no_reference_and_an_empty_one(folders, tmp_path, capsys):
    new, _ = folders
    with pytest.raises(UsageError, match="reference: no folder"):
        look_up((new, tmp_path / "nowhere"), tmp_path)
    with pytest.raises(UsageError, match=r"reference: .* is a file"):
        look_up((new, new / "page.png"), tmp_path)
    (tmp_path / "empty" / "inside").mkdir(parents=True)
    with pytest.raises(IcasError, match=r"no images in the reference folder .*\(use recursive"):
        look_up((new, tmp_path / "empty"), tmp_path)
    assert main(["--src", str(new), "--reference", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_recursive_goes_into_both_and_names_have_slashes(folders, tmp_path):
    new, archive = folders
    (archive / "old").mkdir()
    shutil.move(archive / "astronaut-1.png", archive / "old" / "a b.png")
    (new / "fresh").mkdir()
    shutil.move(new / "astronaut-2.jpg", new / "fresh" / "c.jpg")
    flat = look_up(folders, tmp_path, threshold=0.85)
    assert not any(one.file.startswith("astronaut") for one in flat.matches)
    deep = look_up(folders, tmp_path, threshold=0.85, recursive=True, dst=tmp_path / "deep")
    assert ("fresh/c.jpg", "old/a b.png") in {one[:2] for one in deep.matches}


def test_results_of_earlier_runs_inside_the_reference_are_told(folders, tmp_path, capsys):
    new, archive = folders
    icas.cluster(archive, method="imagehash", dst=archive / "sorted", threshold=0.85)
    words = [
        "--src",
        str(new),
        "--method",
        "imagehash",
        "--threshold",
        "0.85",
        "--dry-run",
        "--recursive",
    ]
    assert main([*words, "--reference", str(archive)]) == 0
    assert "results of earlier runs in it are skipped (sorted)" in capsys.readouterr().out
    assert main([*words, "--reference", str(archive / "sorted")]) == 0
    assert "5 of 10 images match the reference" in capsys.readouterr().out


def test_overwrite_never_removes_an_image_of_the_reference(folders, tmp_path):
    new, archive = folders
    icas.cluster(archive, method="imagehash", dst=tmp_path / "sorted", threshold=0.85)
    with pytest.raises(ConflictError, match="would remove"):
        icas.cluster(
            new, reference=tmp_path / "sorted", dst=tmp_path / "sorted", recursive=True,
            overwrite=True,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        ({"stage": "batch"}, "stage batch"),
        ({"stage": "merge"}, "stage merge"),
        ({"linkage": "complete"}, "linkage complete"),
        ({"linkage": "average"}, "linkage average"),
        ({"candidates": 5, "method": "orb"}, "candidates"),
        ({"keep_batches": True}, "keep_batches"),
        ({"method": "deep", "options": {"cluster_model": ("kmeans",)}}, "models"),
        ({"method": "deep", "options": {"clusters": (3,)}}, "models"),
    ],
)
def test_what_makes_no_sense_with_a_reference_is_refused(given, flag):
    if given.get("method") == "deep":
        pytest.importorskip("torch")
    with pytest.raises(UsageError, match=re.escape(flag)):
        ClusterSettings(reference=Path("archive"), **given)
    ClusterSettings(reference=Path("archive"), linkage="single", merge="exact")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are text there")
def test_names_that_are_no_text(folders, tmp_path):
    new, archive = folders
    odd = os.fsdecode(b"caf\xe9<b>.png")
    (archive / "coffee-1.png").rename(archive / odd)
    (new / "coffee-3.png").rename(new / os.fsdecode(b"neu\xff.png"))
    report = look_up(folders, tmp_path, threshold=0.85, report=True, transfer="copy")
    table = rows(tmp_path / "out" / "reference.csv")
    assert (os.fsdecode(b"neu\xff.png"), odd) in {(row["file"], row["reference"]) for row in table}
    assert odd in {one.reference for one in report.matches}
    page = (tmp_path / "out" / "report.html").read_bytes().decode("utf-8")
    assert "caf\\xe9&lt;b&gt;.png" in page
    assert "<b>.png" not in page


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are text there")
def test_a_folder_whose_name_is_no_text(folders, tmp_path):
    new, archive = folders
    odd = archive.rename(archive.with_name(os.fsdecode(b"arch\xff<i>")))
    look_up((new, odd), tmp_path, threshold=0.85, report=True, transfer="copy")
    page = (tmp_path / "out" / "report.html").read_bytes().decode("utf-8")
    assert "arch\\xff&lt;i&gt;</b>. An image matches" in page


def test_the_page_shows_what_was_found_beside_each_image(folders, tmp_path):
    look_up(folders, tmp_path, threshold=0.85, report=True, transfer="copy")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    cards = re.findall(r"<article.*?</article>", page, re.DOTALL)
    assert len(cards) == 2
    for card, names in zip(cards, (IN_ARCHIVE[:1], IN_ARCHIVE[1:3]), strict=True):
        ours, theirs = card.split("<h4>reference</h4>")
        shown = re.findall(r'alt="Thumbnail of ([^"]*)"', theirs)
        assert sorted(shown) == sorted(names)
        assert len(re.findall("<img", ours)) == len(re.findall('<li class="file"', ours)) > 0
        assert (folders[1].resolve() / names[0]).as_uri() in theirs
    assert '<h2 id="outliers">Not in the reference</h2>' in page
    assert "medoid" not in page.split("</style>")[1]


def test_the_page_stays_small_however_much_was_found(folders, tmp_path, monkeypatch):
    report = look_up(folders, tmp_path, threshold=0.4)
    whole = counterparts_of(report, 10**8, Console())
    assert sum(map(len, whole.shown)) + sum(whole.more) == len(
        {one.reference for one in report.matches}
    )
    fewer = counterparts_of(report, 10**8, Console(), size=whole.bytes - 1)
    assert fewer.bytes < whole.bytes
    assert sum(fewer.more) > 0
    none = counterparts_of(report, 10**8, Console(), most=0)
    assert none.bytes == 0
    monkeypatch.setattr(page, "counterparts_of", lambda *_: none)
    images = scan(folders[0]).images
    shown = page.report_page(report, images, 10**8, Console()).decode()
    assert f"{none.more[0]} images, in reference.csv." in shown


def test_a_result_with_a_reference_is_not_cut_anew(folders, tmp_path):
    look_up(folders, tmp_path, threshold=0.85, transfer="copy")
    for again in (lambda dst: icas.recut(dst, 0.9), lambda dst: icas.split(dst, 0)):
        with pytest.raises(UsageError, match="reference"):
            again(tmp_path / "out")


def test_copies_are_found_in_an_archive_of_real_photographs(data, tmp_path):
    """Half of the copies is the archive; of a fourth of the pictures all is new."""
    labels = {row["file"]: row["label"] for row in rows(data / "copies" / "labels.csv")}
    kinds = sorted(set(labels.values()))
    fresh = set(kinds[::4])
    new, archive = tmp_path / "new", tmp_path / "archive"
    new.mkdir()
    archive.mkdir()
    for number, (file, label) in enumerate(sorted(labels.items())):
        folder = new if label in fresh or number % 2 else archive
        shutil.copy(data / "copies" / "images" / file, folder / file)
    known = {labels[path.name] for path in archive.iterdir()}
    report = look_up((new, archive), tmp_path, threshold="auto")
    found = {one.file for one in report.matches}
    truth = {path.name for path in new.iterdir() if labels[path.name] in known}
    assert len(found & truth) / len(found) > 0.97
    assert len(found & truth) / len(truth) > 0.7
    assert all(labels[one.file] == labels[one.reference] for one in report.matches[:1])
