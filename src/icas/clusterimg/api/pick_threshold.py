"""`icas.pick_threshold`: the picker for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icas.clusterimg.api.functions import make_method_from
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import sampled, scan
from icas.clusterimg.features.inputs import extract, features_of
from icas.clusterimg.methods import make_method
from icas.clusterimg.methods.base import Method
from icas.clusterimg.picker import backends, notebook
from icas.clusterimg.picker.curve import first_state
from icas.clusterimg.picker.figure import Subject
from icas.clusterimg.picker.notebook import PickedThreshold
from icas.clusterimg.picker.pairs import Reader, Thumbnails, reader_of_arrays, reader_of_files
from icas.clusterimg.picker.pick import ask, why_no_window, written_instead
from icas.clusterimg.settings import DEFAULT_METHOD
from icas.clusterimg.thresholds.choose import auto
from icas.clusterimg.thresholds.sample import SAMPLE, Sample
from icas.common.errors import UsageError
from icas.io.arrays import as_image
from icas.io.reading import MAX_PIXELS
from icas.parallel.executors import Workers, start_workers


@dataclass(frozen=True)
class Drawn:
    """A sample, the method that compared it, and what reads its thumbnails."""

    sample: Sample
    method: Method
    read: Reader


@dataclass(frozen=True)
class Drawing:
    """How a sample is drawn.

    Attributes
    ----------
    most : int
        Images in it, 0 = all.
    seed : int
    recursive : bool
        Sub-folders too.
    max_pixels : int
        Pictures that claim more are not read.
    workers : Workers
    """

    most: int
    seed: int
    recursive: bool
    max_pixels: int
    workers: Workers

    def of_folder(self, folder: Path, method: Method) -> Drawn:
        """From the images of a folder."""
        images = scan(folder, recursive=self.recursive).images
        chosen = self._chosen(images)
        features = extract(method, chosen, self.workers, max_pixels=self.max_pixels)
        return self._drawn(method, features, len(images), folder)

    def of_features(self, features: FeatureSet, folder: Path) -> Drawn:
        """From features whose files lie in `folder`."""
        method = make_method(features.method, **features.settings)
        chosen = features[self._chosen(range(len(features)))]
        return self._drawn(method, chosen, len(features), folder)

    def of_items(self, items: Sequence[Any], method: Method) -> Drawn:
        """From paths, or from arrays."""
        chosen = self._chosen(items)
        features = features_of(method, chosen, self.workers, max_pixels=self.max_pixels)
        if features.files:
            return self._drawn(method, features, len(items), Path())
        arrays = [as_image(item, f"image {row}") for row, item in enumerate(chosen)]
        compared = Sample.of(method, features, len(items), self.workers)
        return Drawn(compared, method, reader_of_arrays(arrays))

    def _chosen(self, images: Sequence[Any]) -> list[Any]:
        return sampled(images, self.most, self.seed)

    def _drawn(self, method: Method, features: FeatureSet, images: int, folder: Path) -> Drawn:
        """The sample; images of the folder that cannot be read do not count."""
        paths: list[Path | None] = [folder / file for file in features.files]
        whole = max(len(features), images - len(features.unreadable))
        sample = Sample.of(method, features, whole, self.workers)
        return Drawn(
            sample, method, reader_of_files(paths or [None] * len(features), self.max_pixels)
        )


def pick_threshold(
    src: str | Path | FeatureSet | Iterable[Any],
    method: str = DEFAULT_METHOD,
    *,
    start: float | None = None,
    sample: int = SAMPLE,
    seed: int = 0,
    folder: str | Path | None = None,
    recursive: bool = False,
    jobs: int | None = None,
    max_pixels: int = MAX_PIXELS,
    **options: Any,
) -> PickedThreshold:
    """Choose a threshold by eye: in a window, or in a notebook.

    A script waits until the choice is made in a window. In a notebook this returns at once: with
    ``%matplotlib widget`` (ipympl) the figure is live and `threshold` of the result follows what
    is clicked in it; else a slider (ipywidgets) does the same, or the picture of the start alone
    is shown, and ``.choose(0.8)`` shows another.

    Parameters
    ----------
    src : str or Path, FeatureSet, or what `icas.features` takes
        The images.
    method : str, default "imagehash"
        How images are compared; a FeatureSet knows its own.
    start : float, optional
        Chosen in the beginning, at most 1; default is what ``threshold="auto"`` gives.
    sample : int, default 1500
        Images that are compared, 0 = all.
    seed : int, default 0
        Draws the sample.
    folder : str or Path, optional
        Where the files of a FeatureSet lie; default the current folder.
    recursive : bool, default False
        Sub-folders too.
    jobs : int, default all cores
        Workers. The answer does not depend on it.
    max_pixels : int, default 178,956,970
        Pictures that claim more pixels are not read.
    **options
        The method's own options, `size` among them; see `icas.cluster`.

    Returns
    -------
    PickedThreshold
        With ``.threshold``; can be given as ``threshold=`` to `icas.cluster`.

    Raises
    ------
    KeyboardInterrupt
        The window was closed, or Esc pressed in it.
    UsageError
        No such folder, method or option; fewer than two images; or neither window nor notebook:
        the curve is in ``thresholds.png`` then.

    See Also
    --------
    icas.cluster : ``threshold="pick"`` asks in the same window.

    Examples
    --------
    With a window:

    >>> import icas
    >>> picked = icas.pick_threshold("photos", method="orb")  # doctest: +SKIP
    >>> report = icas.cluster("photos", method="orb", threshold=picked)  # doctest: +SKIP

    One picture has no pairs:

    >>> from skimage import data
    >>> try:
    ...     icas.pick_threshold([data.coffee()])
    ... except icas.UsageError as error:
    ...     print(error)
    a threshold is picked by pairs of images: there are fewer than two
    """
    with start_workers("threads", jobs) as workers:
        drawing = Drawing(sample, seed, recursive, max_pixels, workers)
        if isinstance(src, FeatureSet):
            drawn = drawing.of_features(src, Path(folder or "."))
        elif isinstance(src, (str, Path)):
            drawn = drawing.of_folder(Path(src), make_method_from(method, options))
        else:
            drawn = drawing.of_items(list(src), make_method_from(method, options))
    if len(drawn.sample) < 2:
        raise UsageError("a threshold is picked by pairs of images: there are fewer than two")
    if start is None:
        start = auto(drawn.sample, drawn.method).threshold
    return _shown(drawn.sample, start, drawn.read)


def _shown(sample: Sample, start: float, read: Reader) -> PickedThreshold:
    backend = backends.given_backend()
    if notebook.in_notebook() and backends.is_live_in_notebook(backend):
        return notebook.pick_live(Subject.of(sample), first_state(sample, start), Thumbnails(read))
    if notebook.in_notebook() and (backend is None or backends.is_inline(backend)):
        state = first_state(sample, start)
        return notebook.pick_by_picture(Subject.of(sample), state, Thumbnails(read))
    why = why_no_window()
    if why is not None:
        raise written_instead(sample, start, why)
    return PickedThreshold(ask(sample, start, read))
