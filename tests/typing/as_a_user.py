"""How a user's own code calls icas: `make types` reads it, nothing runs it.

An ``ignore`` is an error that has to be there: mypy tells of those that are not needed.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import icas

image: NDArray[np.uint8] = icas.read_image("img.png")
files: list[Path] = icas.find_images("photos", recursive=True)

report: icas.ClusterReport = icas.cluster("photos", method="orb", threshold=0.25, dst="sorted")
names: tuple[str, ...] = report.members(0)
report = icas.recut(report.dst, 0.4)
report = icas.split("sorted", 0, at="weakest")
undone: icas.Undone = icas.undo(Path("sorted"))
decided: icas.DecideReport = icas.decide("sorted", "must-link", "a.jpg", "b.jpg")
linked: icas.DecideReport = icas.must_link("sorted", "a.jpg", "b.jpg", cache="kept")

model = icas.ImageClusterer(method="ssim", threshold=0.8).fit(files)
found: NDArray[np.int64] = model.labels_
again: NDArray[np.int64] = icas.labels_at(model.forest_, 0.9)
quality: float = icas.evaluate([0, 0], ["cup", "sky"]).f1
saved: float = icas.estimate(1000, 10, 500, 0.5).saved

features: icas.FeatureSet = icas.features([image, image], method="imagehash", hash_size=16)
pairs = icas.links(features, threshold=0.8)
matrix: NDArray[np.float32] = icas.similarity_matrix([image], [image], method="tm")

exported: icas.ExportReport = icas.export("sorted", "dataset", split={"train": 0.8, "test": 0.2})
labels: NDArray[np.int32] = icas.segment(image, "superpixel", region_size=30)
tree: icas.MergeTree = icas.merge_tree(image, labels)
fewer: NDArray[np.int32] = icas.labels_at(tree, 30)
mask: NDArray[np.bool_] = icas.grabcut(image, box=(0, 0, 20, 20))
centres: NDArray[np.float64] = icas.kmeans_colors(image, 5).centres
document = icas.PaintDocument(image, labels)
document.fill(0, 0, (204, 0, 0))
masks: dict[tuple[int, int, int], NDArray[np.bool_]] = document.masks()
template: icas.Template = icas.make_template(image)
places: icas.TemplatePaint = icas.paint_templates(image, [template, image])

try:
    icas.train("photos", epochs=5)
except (icas.MissingExtraError, icas.UsageError) as error:
    code: int = error.exit_code

icas.clusters("photos")  # type: ignore[attr-defined]
icas.cluster()  # type: ignore[call-arg]
icas.segment("img.png")  # type: ignore[arg-type]
