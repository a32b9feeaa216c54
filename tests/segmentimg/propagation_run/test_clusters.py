"""Clusters of a run: from a table, from clusterimg, or one of all images."""

from __future__ import annotations

import numpy as np
import pytest
from carrying_images import mask_of, paint
from PIL import Image
from skimage import data as samples

import icas
from icas.cli.console import Console
from icas.common.registry import Entry
from icas.segmentimg.document.palette import PaintClass, Painting
from icas.segmentimg.formats.inputs import find_image_files
from icas.segmentimg.formats.masks import save_painting
from icas.segmentimg.propagation_run import clusters
from icas.segmentimg.propagation_run.clusters import find_clusters
from icas.segmentimg.propagation_run.images import read_states
from icas.segmentimg.propagation_run.run import propagate_files
from icas.segmentimg.propagation_run.settings import PropagateSettings

QUIET = Console(results=False, warnings=False)


def found(folder, given, **options):
    states = read_states(find_image_files([folder], None, True), 10**9)
    result = find_clusters(states, given, folder / "none", 1, QUIET, keep=False, **options)
    names = {cluster.name: [states[i].file for i in cluster.members] for cluster in result.clusters}
    return names, [states[i].file for i in result.outliers], result.note


def test_a_table_of_paths_or_names_is_read(photos, tmp_path):
    table = tmp_path / "clusters.csv"
    rows = "file,cluster\nx\\a.png,7\nx/b.png,7\nc.png,2\nd.png,-1\nelsewhere.png,2\n"
    table.write_text(rows, encoding="utf-8-sig")
    names, outliers, note = found(photos, str(tmp_path))
    assert names == {"7": ["a.png", "b.png"], "2": ["c.png"]}
    assert outliers == ["d.png", "e.png", "f.png"]
    assert note == f"2 clusters from {table}"


@pytest.mark.parametrize(("content", "text"), [
    ("name,group\na.png,1\n", "no columns file and cluster"),
    ("file,cluster\nz.png,1\n", "lists none of the images"),
    ("", "lists none of the images"),
])  # fmt: skip
def test_a_wrong_table_is_refused(photos, tmp_path, content, text):
    table = tmp_path / "clusters.csv"
    table.write_text(content)
    with pytest.raises(icas.UsageError, match=text):
        found(photos, str(table))


def test_all_images_can_be_one_cluster(photos):
    names, outliers, _ = found(photos, "one")
    assert (len(names["one"]), outliers) == (6, [])


@pytest.mark.usefixtures("copying")
def test_clusters_are_found_once_by_the_other_half(tmp_path, monkeypatch):
    own_photos = tmp_path / "own"
    own_photos.mkdir()
    for name in ("coffee", "rocket", "astronaut"):
        picture = Image.fromarray(getattr(samples, name)()).resize((240, 180))
        picture.save(own_photos / f"{name}-1.png")
        picture.save(own_photos / f"{name}-2.jpg", quality=60)
        picture.resize((120, 90)).save(own_photos / f"{name}-3.png")
        picture.point(lambda value: min(255, value + 20)).save(own_photos / f"{name}-4.bmp")
    path = own_photos / "coffee-1.png"
    class_map = np.zeros(icas.read_image(path).shape[:2], np.int16)
    class_map[20:90, 40:120] = 1
    for picture in find_image_files([path]):
        painting = Painting(class_map, (PaintClass("cup", (204, 0, 0)),))
        save_painting(picture, painting, {"image": path.name})
    settings = PropagateSettings(jobs=1)
    report = propagate_files([own_photos], settings, QUIET)
    assert "found with orb at similarity" in report.clusters
    assert {name.partition("-")[0] for name in report.queue} <= {"coffee"}
    assert report.carried == 3
    monkeypatch.setattr(clusters, "CLUSTERER", Entry("nowhere:Nothing", ""))
    assert propagate_files([own_photos], settings, QUIET).clusters == report.clusters
    (own_photos / "rocket-1.png").unlink()
    with pytest.raises(ModuleNotFoundError):  # other images: searched again
        propagate_files([own_photos], settings, QUIET)


def test_names_that_occur_twice_are_matched_by_their_folders(photos, tmp_path):
    (photos / "x").mkdir()
    (photos / "a.png").rename(photos / "x" / "b.png")
    paint(photos / "b.png", mask_of())
    table = tmp_path / "clusters.csv"
    table.write_text("file,cluster\nx/b.png,1\nb.png,2\n")
    names, _, _ = found(photos, str(table))
    assert names == {"2": ["b.png"], "1": ["x/b.png"]}
