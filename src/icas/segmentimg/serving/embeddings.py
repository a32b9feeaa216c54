"""Embeddings of images for Segment Anything, computed in the background, the next images ahead."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from icas.io.reading import Image
from icas.segmentimg.sam.predictor import Predictor, Refinement
from icas.segmentimg.segmenters.sam import SamSegmenter
from icas.segmentimg.session.prefetch import Prefetcher

AHEAD = 2
"""Images after the wanted one that are embedded too."""
KEPT = 12
"""Images whose embeddings stay in memory, 4 MiB each; predictions of the last image only do."""
MEMORY_BYTES = 128 * 1024**2
TICK = 0.25
"""Seconds between two reports of progress."""
_EXPECTED = 2.5
"""Seconds that the first embedding is expected to take."""

Report = Callable[[int, float], None]
"""Takes an image and the progress of its embedding, 0 to 1."""


class Embeddings:
    """Predictors of images, each with its embedding; made in a thread, most urgent first.

    Parameters
    ----------
    segmenter : SamSegmenter
        The model and its cache; loaded at first use.
    image_of : callable
        Number of an image -> the image.
    count : int
        Number of images.
    report : callable
        Called while an embedding is computed; the progress is estimated by its time.
    """

    def __init__(
        self,
        segmenter: SamSegmenter,
        image_of: Callable[[int], Image],
        count: int,
        report: Report,
    ) -> None:
        self._segmenter, self._image_of, self._count = segmenter, image_of, count
        self._report = report
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, Predictor] = OrderedDict()
        self._last: tuple[int, Refinement] | None = None
        self._started: dict[int, float] = {}
        self._seconds = _EXPECTED
        self._prefetcher: Prefetcher[Predictor] = Prefetcher(
            self._make, lambda predictor: predictor.nbytes, MEMORY_BYTES
        )

    def take(self, image: int) -> Refinement | None:
        """The predictions of an image; None while its embedding is computed.

        The images after it are embedded next. Raises what reading or embedding the image raised.
        """
        with self._lock:
            wanted = range(image, min(image + AHEAD + 1, self._count))
            self._prefetcher.request([number for number in wanted if number not in self._kept])
            if image not in self._kept:
                predictor = self._prefetcher.take(image)
                if predictor is None:
                    return None
                self._kept[image] = predictor
            self._kept.move_to_end(image)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            if self._last is None or self._last[0] != image:
                self._last = image, Refinement(self._kept[image])
            return self._last[1]

    def wait(self, image: int, seconds: float) -> None:
        """Wait until the embedding of an image is there or has failed, at most some seconds."""
        if image not in self._kept:
            self._prefetcher.wait(image, seconds)

    def progress(self, image: int) -> float:
        """Estimated progress of an embedding, 0 to 1."""
        started = self._started.get(image)
        if started is None:
            return 0.0
        return 1 - math.exp(-1.5 * (time.monotonic() - started) / self._seconds)

    def close(self) -> None:
        """Compute nothing more."""
        self._prefetcher.close()

    def _make(self, image: int) -> Predictor:
        self._started[image] = start = time.monotonic()
        done = threading.Event()
        threading.Thread(target=self._tick, args=(image, done), daemon=True).start()
        try:
            predictor = self._segmenter.annotator(self._image_of(image))
        finally:
            done.set()
            self._started.pop(image, None)
        self._seconds = max(TICK, time.monotonic() - start)
        self._report(image, 1.0)
        return predictor

    def _tick(self, image: int, done: threading.Event) -> None:
        self._report(image, 0.0)
        while not done.wait(TICK):
            self._report(image, self.progress(image))
