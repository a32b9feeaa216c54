"""FiftyOne's JSON list of samples: ``samples.json``, ``metadata.json``, ``data/SPLIT/image``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from icas.dataset.formats.base import Dataset, DatasetFormat, DatasetImage, json_file


class FiftyOne(DatasetFormat):
    """Read by ``fiftyone.Dataset.from_dir`` with the type ``FiftyOneDataset``.

    The split is a tag of the sample, the label is its field ``ground_truth``.
    """

    def folder(self, image: DatasetImage, dataset: Dataset) -> str | None:
        return f"data/{image.split}"

    def tables(self, dataset: Dataset, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        samples = [
            {
                "filepath": path,
                "tags": [image.split],
                "ground_truth": {
                    "_cls": "Classification",
                    "label": image.label,
                    "confidence": round(image.confidence, 4),
                },
                "cluster": image.cluster,
            }
            for image, path in zip(dataset.images, paths, strict=True)
        ]
        yield "samples.json", json_file({"samples": samples})
        classes = {"ground_truth": list(dataset.classes)}
        content = {
            "media_type": "image",
            "classes": classes,
            "info": {"classes": list(dataset.classes)},
        }
        yield "metadata.json", json_file(content)
