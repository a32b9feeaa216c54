"""Images with saved objects, for the tests of data sets."""

from __future__ import annotations

import numpy as np
from PIL import Image

from icas.segmentimg.datasets.objects import InstanceObject
from icas.segmentimg.datasets.saved import save_objects, saved_objects
from icas.segmentimg.document.palette import Palette, default_palette
from icas.segmentimg.formats.inputs import find_image_files


def write_image(path, size):
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = size
    pixels = np.add.outer(np.arange(height), np.arange(width)).astype(np.uint8)
    Image.fromarray(np.repeat(pixels[..., None], 3, axis=2)).save(path)


def paint(folder, images, saves=("labels",)):
    """Save `images`, name -> (size, [(class, mask, extras)]), in ``folder`` and ``…_segmented``."""
    for name, (size, _) in images.items():
        write_image(folder / name, size)
    names = dict.fromkeys(one[0] for _, objects in images.values() for one in objects)
    palette = Palette(default_palette()).with_names(names)[0]
    for picture in find_image_files([folder]):
        size, objects = images[picture.path.name]
        made = [
            InstanceObject.of_mask(
                label, 1, mask, bool((extras or {}).get("crowd")), without_crowd(extras)
            )
            for label, mask, extras in objects
        ]
        save_objects(picture, made, size, palette, saves)
    return folder.with_name(f"{folder.name}_segmented")


def without_crowd(extras):
    return {key: value for key, value in (extras or {}).items() if key != "crowd"}


def contents(folder, out=None):
    """All saved objects: image -> sorted (class, number, pixels, crowd, extras)."""
    found = {}
    for picture in find_image_files([folder], out):
        height, width = np.asarray(Image.open(picture.path)).shape[:2]
        saved = saved_objects(picture, (height, width))
        if saved is not None:
            found[picture.path.name] = {
                (one.name, one.mask((height, width)).tobytes()): (one.crowd, dict(one.extras))
                for one in saved.objects
            }
    return found


def box(size, top, left, bottom, right):
    mask = np.zeros(size, bool)
    mask[top:bottom, left:right] = True
    return mask


def three_images(folder):
    """A photo with three objects, one with one object with a hole, and one with none."""
    size = (40, 60)
    ring = box(size, 5, 5, 30, 30)
    ring[10:20, 10:20] = False
    parts = box(size, 2, 40, 10, 50) | box(size, 20, 40, 30, 55)
    return paint(
        folder,
        {
            "a.png": (
                size,
                [
                    ("cat", box(size, 2, 3, 12, 20), {"score": 0.5}),
                    ("cat", box(size, 20, 3, 35, 25), None),
                    ("dog", parts, {"description": "two parts"}),
                ],
            ),
            "b.png": (size, [("dog", ring, None)]),
            "c.png": ((30, 20), []),
        },
    )
