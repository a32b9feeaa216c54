"""``icas.best``: the image to keep of each cluster, and moving the others."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image
from skimage import data

import icas
from icas.clusterimg.results.best_images import CRITERIA, LINK, ranked

YEAR = 1_600_000_000


def pixels(name, size=(300, 200)):
    return cv2.resize(getattr(data, name)(), size, interpolation=cv2.INTER_AREA)


@pytest.fixture
def photos(tmp_path):
    """Variants of two images in sub-folders, and one alone."""
    folder = tmp_path / "photos"
    (folder / "a" / "deep").mkdir(parents=True)
    cup = pixels("coffee")
    save = {
        "large.jpg": (cup, {"quality": 85}),
        "a/lossless.png": (cup, {}),
        "a/deep/small.png": (pixels("coffee", (120, 80)), {}),
        "soft.png": (cv2.GaussianBlur(cup, (0, 0), 2), {}),
        "a/low.jpg": (cup, {"quality": 40}),
        "rocket.jpg": (pixels("rocket"), {"quality": 90}),
        "a/rocket.jpg": (pixels("rocket", (150, 100)), {"quality": 90}),
        "alone.jpg": (pixels("astronaut"), {}),
    }
    for number, (name, (image, how)) in enumerate(save.items()):
        Image.fromarray(image).save(folder / name, **how)
        os.utime(folder / name, (YEAR + number, YEAR + number))
    return folder


def clustered(photos, transfer="none", **more):
    dst = photos.parent / "sorted"
    report = icas.cluster(
        photos,
        dst=dst,
        method="imagehash",
        threshold=0.8,
        recursive=True,
        transfer=transfer,
        cache=False,
        **more,
    )
    assert report.clusters == 2
    return dst


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".icas" not in path.relative_to(folder).parts
    }


def table(dst):
    with (dst / "best.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize(
    ("by", "cup", "rocket"),
    [
        ("largest,least-compressed,sharpest", "a/lossless.png", "rocket.jpg"),
        ("sharpest", None, "rocket.jpg"),
        ("oldest", "large.jpg", "rocket.jpg"),
        ("newest", "a/low.jpg", "a/rocket.jpg"),
        ("longest-path", "a/deep/small.png", "a/rocket.jpg"),
        ("shortest-path", "soft.png", "rocket.jpg"),
        ("name", "a/deep/small.png", "a/rocket.jpg"),
    ],
)
def test_the_order_of_criteria_decides(photos, by, cup, rocket):
    report = icas.best(clustered(photos), by=by)
    kept = {one.cluster: one.file for one in report.images if one.keep and one.cluster >= 0}
    assert kept[1] == rocket
    assert kept[0] == cup or (
        cup is None and kept[0] in ("a/lossless.png", "large.jpg", "a/low.jpg")
    )
    assert "alone.jpg" not in (*report.kept(), *report.others())


def test_a_blurred_or_small_copy_is_not_the_sharpest(photos):
    values = {one.file: one.values for one in icas.best(clustered(photos), by="sharpest").images}
    sharpness = {file: of["sharpness"] for file, of in values.items() if of}
    assert max(sharpness["soft.png"], sharpness["a/deep/small.png"]) < sharpness["a/lossless.png"]


def test_the_table_has_the_numbers_and_the_reasons(photos):
    dst = clustered(photos)
    report = icas.best(dst, by=["largest", "oldest"])
    rows = {row["file"]: row for row in table(dst)}
    assert list(rows) == [one.file for one in report.images]
    assert rows["a/deep/small.png"]["pixels"] == str(120 * 80)
    assert rows["a/deep/small.png"]["reason"] == "largest: pixels 9600, other 60000"
    assert rows["large.jpg"]["keep"] == "1"
    assert rows["large.jpg"]["mtime_ns"] == str(YEAR * 10**9)
    assert rows["alone.jpg"]["cluster"] == "-1"
    assert rows["alone.jpg"]["keep"] == "1"
    assert sum(row["keep"] == "1" for row in rows.values()) == 3


def test_the_report_page_marks_the_best(photos):
    dst = clustered(photos)
    before = (dst / "report.html").read_text(encoding="utf-8")
    assert "best<" not in before
    icas.best(dst, by="oldest")
    page = (dst / "report.html").read_text(encoding="utf-8")
    assert page.count('class="badge">best<') + page.count('class="badge">medoid, best<') == 2
    assert "best.csv has the reasons" in page
    assert page.count("data:image/jpeg") == before.count("data:image/jpeg")


def test_a_recut_keeps_one_best_image_of_each_new_cluster(photos):
    dst = clustered(photos)
    icas.best(dst, by="newest")
    report = icas.recut(dst, 0.99)
    rows = table(dst)
    kept = [row["cluster"] for row in rows if row["keep"] == "1" and row["cluster"] != "-1"]
    assert sorted(kept) == sorted(set(map(str, report.labels[report.labels >= 0].tolist())))
    assert [int(row["cluster"]) for row in rows] == report.labels.tolist()
    assert icas.undo(dst).left == ()


def test_images_that_were_added_can_be_kept_or_moved(photos):
    dst, others = clustered(photos), photos.parent / "others"
    icas.best(dst, by="largest")
    new = photos.parent / "new"
    new.mkdir()
    Image.fromarray(pixels("coffee", (600, 400))).save(new / "huge.png")
    Image.fromarray(pixels("coffee", (60, 40))).save(new / "tiny.png")
    icas.add(dst, new)
    assert len(table(dst)) == 10
    report = icas.best(dst, by="largest", move_others=others)
    huge, tiny = (
        next(one for one in report.images if name in one.file) for name in ("huge", "tiny")
    )
    assert (huge.keep, tiny.keep) == (True, False)
    assert [path.name for path in new.iterdir()] == ["huge.png"]
    icas.undo(others)
    assert len(list(new.iterdir())) == 2


@pytest.mark.parametrize("transfer", ["none", "copy", "hardlink"])
def test_the_others_leave_the_source_and_come_back(photos, transfer):
    dst, others = clustered(photos, transfer), photos.parent / "others"
    before = tree(photos)
    planned = icas.best(dst, move_others=others, dry_run=True)
    assert tree(photos) == before
    assert not others.exists()
    assert not (dst / "best.csv").exists()
    report = icas.best(dst, move_others=others)
    assert report.images == planned.images
    assert report.moved == len(report.others()) == 5
    assert set(tree(photos)) == {"a/lossless.png", "rocket.jpg", "alone.jpg"}
    assert tree(photos) | tree(others) == before
    assert set(tree(others)) == set(report.others())
    undone = icas.undo(others)
    assert (undone.moved_back, undone.left) == (5, ())
    assert tree(photos) == before
    assert not others.exists()
    assert icas.undo(dst).left == ()
    assert not dst.exists()


def test_with_moved_images_the_others_leave_the_result(photos):
    before = tree(photos)
    dst, others = clustered(photos, "move"), photos.parent / "others"
    report = icas.best(dst, move_others=others)
    assert len(tree(others)) == report.moved == 5
    assert {path.name for path in (dst / "result").rglob("*.*")} == {
        "lossless.png",
        "rocket (2).jpg",
        "alone.jpg",
    }, "the larger rocket.jpg is the second one of its folder"
    icas.undo(others)
    assert icas.undo(dst).left == ()
    assert tree(photos) == before


def test_links_to_the_images_are_refused(photos):
    dst = clustered(photos, "symlink")
    before = tree(photos)
    with pytest.raises(icas.ConflictError, match="symbolic links"):
        icas.best(dst, move_others=photos.parent / "others")
    assert tree(photos) == before
    assert len(icas.best(dst).kept()) == 2


@pytest.mark.parametrize("what", ["changed", "touched", "removed"])
def test_images_that_changed_since_the_run_are_refused(photos, what):
    dst, others = clustered(photos), photos.parent / "others"
    image = photos / "a" / "low.jpg"
    if what == "removed":
        image.unlink()
    elif what == "touched":
        os.utime(image)
    else:
        image.write_bytes((photos / "alone.jpg").read_bytes())
    before = tree(photos)
    with pytest.raises(icas.ConflictError, match=r"low\.jpg"):
        icas.best(dst, move_others=others)
    assert tree(photos) == before
    assert not others.exists()


def test_a_folder_with_files_is_refused(photos):
    dst = clustered(photos)
    for others in (photos, dst / "more", dst):
        with pytest.raises(icas.ConflictError, match=r"choose another|is not empty"):
            icas.best(dst, move_others=others)
    taken = photos.parent / "taken"
    taken.mkdir()
    (taken / "large.jpg").write_text("mine")
    with pytest.raises(icas.ConflictError, match="is not empty"):
        icas.best(dst, move_others=taken)
    assert (taken / "large.jpg").read_text() == "mine"
    assert not (dst / "best.csv").exists()


def test_a_link_that_is_kept_still_leads_to_its_file(photos):
    (photos / "link.jpg").symlink_to("large.jpg")
    dst, others = clustered(photos), photos.parent / "others"
    report = icas.best(dst, by="oldest,longest-path", move_others=others)
    assert "link.jpg" in report.others()
    for path in photos.rglob("*.*"):
        assert path.stat().st_size > 0
    icas.undo(others)
    assert (photos / "link.jpg").is_symlink()


def test_resume_of_a_finished_move_changes_nothing(photos):
    dst, others = clustered(photos), photos.parent / "others"
    first = icas.best(dst, move_others=others)
    before = tree(photos.parent)
    again = icas.best(dst, move_others=others, resume=True)
    assert tree(photos.parent) == before
    assert (again.moved, again.by, again.images) == (first.moved, first.by, first.images)


def test_the_result_does_not_depend_on_the_workers(photos):
    dst = clustered(photos)
    assert icas.best(dst, jobs=1).images == icas.best(dst, jobs=4).images


def test_what_is_no_finished_result_is_refused(photos, tmp_path):
    with pytest.raises(icas.UsageError, match="not the result"):
        icas.best(photos)
    parts = tmp_path / "parts"
    icas.cluster(photos, method="imagehash", dst=parts, threshold=0.8, stage="batch", cache=False)
    with pytest.raises(icas.UsageError, match="no finished clusters"):
        icas.best(parts)
    with pytest.raises(icas.UsageError, match="by biggest: choose from largest"):
        icas.best(parts, by="biggest")


numbers = st.fixed_dictionaries(
    {column: st.integers(0, 3) for one in CRITERIA.values() for column in one.columns}
    | {LINK: st.integers(0, 1)}
)


@given(
    values=st.lists(numbers, min_size=1, max_size=12),
    by=st.lists(st.sampled_from(sorted(CRITERIA)), min_size=1, max_size=4, unique=True),
    seed=st.integers(0, 99),
)
def test_exactly_one_image_of_each_cluster_is_kept_and_none_is_better(values, by, seed):
    rng = np.random.default_rng(seed)
    files = [f"img{number}.jpg" for number in range(len(values))]
    labels = rng.integers(-1, 3, len(files))
    of = dict(zip(files, values, strict=True))
    images = ranked(files, labels, of, by)
    assert [one.file for one in images] == files
    for cluster in range(3):
        inside = [one for one in images if one.cluster == cluster]
        kept = [one for one in inside if one.keep]
        assert len(kept) == min(1, len(inside))
        for one in inside:
            best, other = of[kept[0].file], of[one.file]
            assert best[LINK] <= other[LINK]
            if best[LINK] == other[LINK]:
                keys = [[CRITERIA[name].key(side) for name in by] for side in (best, other)]
                assert keys[0] <= keys[1]
    shuffled = rng.permutation(len(files))
    again = ranked([files[row] for row in shuffled], labels[shuffled], of, by)
    assert {one.file for one in again if one.keep} == {one.file for one in images if one.keep}


def test_files_may_have_any_name(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    cup = Image.fromarray(pixels("coffee"))
    odd = "two\nlines 'q\" <b>ü✓.png"
    cup.save(photos / "cup.png")
    cup.save(photos / odd)
    dst = tmp_path / "sorted"
    icas.cluster(photos, method="imagehash", dst=dst, threshold=0.8, transfer="none", cache=False)
    report = icas.best(dst, move_others=tmp_path / "others")
    assert report.others() == (odd,)
    assert Path(tmp_path, "others", odd).is_file()
