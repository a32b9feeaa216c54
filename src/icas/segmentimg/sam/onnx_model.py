"""Segment Anything from two ONNX files, encoder and decoder, run without torch."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.io.reading import Image
from icas.onnx.model_file import ModelFile, is_onnx
from icas.onnx.network import Network
from icas.segmentimg.sam import architecture
from icas.segmentimg.sam.checkpoints import checkpoint_file, identity_of
from icas.segmentimg.sam.embedding import Masks, resized_to

_INPUTS = {
    "image_embeddings",
    "point_coords",
    "point_labels",
    "mask_input",
    "has_mask_input",
    "orig_im_size",
}
"""Inputs of the decoder, as segment-anything's script ``export_onnx_model.py`` names them."""
_OUTPUTS = ("iou_predictions", "low_res_masks")
_BOX_LABELS, _NO_POINT = (2, 3), -1


def onnx_pair(checkpoint: str | None) -> tuple[Path, Path] | None:
    """Encoder and decoder of ``ENCODER.onnx,DECODER.onnx``; None for another checkpoint.

    Raises UsageError: one ONNX file only, or more than two.
    """
    parts = (checkpoint or "").split(",")
    if not all(map(is_onnx, parts)):
        return None
    if len(parts) != 2:
        raise UsageError(f"--sam-checkpoint {checkpoint}: give ENCODER.onnx,DECODER.onnx")
    return Path(parts[0]), Path(parts[1])


def load_onnx_sam(encoder: Path, decoder: Path) -> OnnxSam:
    """The model of two files; the last one of this process is cached."""
    files = [checkpoint_file(path) for path in (encoder, decoder)]
    stamps = tuple((file.resolve(), file.stat().st_mtime_ns) for file in files)
    return _load(*files, stamps)


@lru_cache(maxsize=1)
def _load(encoder: Path, decoder: Path, stamps: tuple[tuple[Path, int], ...]) -> OnnxSam:
    """The model of two files, which `stamps` identify."""
    return OnnxSam(ModelFile.read(encoder), ModelFile.read(decoder))


class OnnxSam:
    """A model of two ONNX files that several threads may use, one at a time.

    Parameters
    ----------
    encoder : ModelFile
        Takes (1, 3, side, side) float32 images, normalised and padded to the right and below.
    decoder : ModelFile
        With the inputs and outputs of segment-anything's export.

    Raises
    ------
    UsageError
        Other inputs or outputs, or the networks cannot be run.
    """

    def __init__(self, encoder: ModelFile, decoder: ModelFile) -> None:
        shape = encoder.inputs[0].shape
        if len(encoder.inputs) != 1 or len(shape) != 4 or shape[1] != 3 or shape[2] is None:
            raise UsageError(f"{encoder.path} is not an encoder of Segment Anything")
        names = {tensor.name for tensor in decoder.inputs}
        if names != _INPUTS or not {t.name for t in decoder.outputs}.issuperset(_OUTPUTS):
            raise UsageError(
                f"{decoder.path} is not a decoder of Segment Anything: it takes"
                f" {', '.join(sorted(names))}"
            )
        self.side: int = shape[2]
        self.identity = identity_of(encoder.path)
        self.alone = threading.RLock()
        self._deciding = threading.Lock()  # a click does not wait for the next image
        self._encoder, self._decoder = Network(encoder), Network(decoder, _OUTPUTS)
        self._shapes = {tensor.name: tensor.shape for tensor in decoder.inputs}

    def features_shape(self) -> tuple[int, ...]:
        """Shape of the features of an image."""
        return tuple(side or 1 for side in self._shapes["image_embeddings"])

    def features(self, image: Image) -> NDArray[np.float32]:
        """Features of an RGB image by the encoder."""
        from PIL import Image as Pillow

        height, width = resized_to(self.side, (image.shape[0], image.shape[1]))
        pillow = Pillow.fromarray(image).resize((width, height), Pillow.Resampling.BILINEAR)
        mean, deviation = np.array(architecture.PIXEL_MEAN), np.array(architecture.PIXEL_STD)
        pixels = np.zeros((1, 3, self.side, self.side), np.float32)
        normalised = (np.asarray(pillow) - mean) / deviation
        pixels[0, :, :height, :width] = normalised.transpose(2, 0, 1)
        with self.alone:
            return self._encoder(**{self._encoder.model.inputs[0].name: pixels})[0]

    def predict(
        self,
        features: NDArray[np.float32],
        size: tuple[int, int],
        prompt: Mapping[str, NDArray[Any] | None],
        mask_input: NDArray[np.float32] | None,
    ) -> Masks:
        """Candidate masks (k, h, w), their quality (k,), and their logits (k, side, side)."""
        logits, quality = self.logits(features, size, prompt, mask_input)
        return np.stack([self.full_size(one, size) > 0 for one in logits]), quality, logits

    def logits(
        self,
        features: NDArray[np.float32],
        size: tuple[int, int],
        prompt: Mapping[str, NDArray[Any] | None],
        mask_input: NDArray[np.float32] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits (k, side, side) of the candidate masks of a prompt, and their quality (k,)."""
        coords, labels = self._points(size, prompt)
        mask_shape = tuple(side or 1 for side in self._shapes["mask_input"])
        mask = np.zeros(mask_shape, np.float32)
        if mask_input is not None:
            mask[0, 0] = mask_input
        with self._deciding:
            quality, logits = self._decoder(
                image_embeddings=features,
                point_coords=coords[None],
                point_labels=labels[None],
                mask_input=mask,
                has_mask_input=np.array([mask_input is not None], np.float32),
                orig_im_size=np.array(size, np.float32),
            )
        first = 1 if logits.shape[1] > 1 else 0  # of four, the first is for ambiguous prompts only
        return logits[0, first:].copy(), quality[0, first:].copy()

    def full_size(self, logits: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
        """Logits of one mask at the `size` (h, w) of the image."""
        import cv2

        height, width = resized_to(self.side, size)
        padded = cv2.resize(logits, (self.side, self.side), interpolation=cv2.INTER_LINEAR)
        cropped = np.ascontiguousarray(padded[:height, :width])
        resized = cv2.resize(cropped, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
        return np.asarray(resized, np.float32)

    def _points(
        self, size: tuple[int, int], prompt: Mapping[str, NDArray[Any] | None]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Coordinates (n, 2) in the resized image, and labels (n,): points, then the box."""
        places, labels, box = (prompt.get(n) for n in ("point_coords", "point_labels", "box"))
        coords = [] if places is None else [np.asarray(places, float)]
        kinds = [] if labels is None else list(labels)
        if box is None:
            coords.append(np.zeros((1, 2)))
            kinds.append(_NO_POINT)
        else:
            coords.append(np.asarray(box, float).reshape(2, 2))
            kinds.extend(_BOX_LABELS)
        height, width = resized_to(self.side, size)
        scaled = np.concatenate(coords) * (width / size[1], height / size[0])
        return scaled.astype(np.float32), np.array(kinds, np.float32)
