"""`icas.pick_threshold`: the picker for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from icas.clusterimg.api.functions import make_method_from
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import sampled, scan
from icas.clusterimg.features.inputs import extract, features_of
from icas.clusterimg.methods import make_method
from icas.clusterimg.picker import notebook, pick
from icas.clusterimg.picker.curve import first_state
from icas.clusterimg.picker.figure import Subject
from icas.clusterimg.picker.notebook import PickedThreshold
from icas.clusterimg.picker.pairs import Reader, Thumbnails, reader_of_arrays, reader_of_files
from icas.clusterimg.picker.pick import ask, why_no_window, written_instead
from icas.clusterimg.settings import DEFAULT_METHOD
from icas.clusterimg.thresholds.auto import auto
from icas.clusterimg.thresholds.sample import SAMPLE, Sample
from icas.common.errors import UsageError
from icas.io.reading import MAX_PIXELS, as_image
from icas.parallel.executors import start_workers


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
    root, chosen = Path(), None
    with start_workers("threads", jobs) as workers:
        if isinstance(src, FeatureSet):
            root, images = Path(folder or "."), len(src)
            compared = make_method(src.method, **src.settings)
            features = src[sampled(range(images), sample, seed)]
        else:
            compared = make_method_from(method, options)
            if isinstance(src, (str, Path)):
                root = Path(src)
                refs = scan(root, recursive=recursive).images
                drawn, images = sampled(refs, sample, seed), len(refs)
                features = extract(compared, drawn, workers, max_pixels=max_pixels)
            else:
                items = list(src)
                chosen, images = sampled(items, sample, seed), len(items)
                features = features_of(compared, chosen, workers, max_pixels=max_pixels)
        if chosen is not None and not features.files:
            arrays = [as_image(item, f"image {row}") for row, item in enumerate(chosen)]
            read = reader_of_arrays(arrays)
        else:
            paths: list[Path | None] = [root / file for file in features.files]
            read = reader_of_files(paths or [None] * len(features), max_pixels)
            images -= len(features.unreadable)  # they do not count
        compared_pairs = Sample.of(compared, features, images, workers)
    if len(compared_pairs) < 2:
        raise UsageError("a threshold is picked by pairs of images: there are fewer than two")
    if start is None:
        start = auto(compared_pairs, compared).threshold
    return _shown(compared_pairs, start, read)


def _shown(sample: Sample, start: float, read: Reader) -> PickedThreshold:
    """The picker of a notebook or a window; without both the curve is written to a file."""
    backend = pick.given_backend()
    if notebook.in_notebook():
        for fits, ask_there in (
            (pick.is_live_in_notebook(backend), notebook.pick_live),
            (backend is None or pick.is_inline(backend), notebook.pick_by_picture),
        ):
            if fits:
                return ask_there(Subject.of(sample), first_state(sample, start), Thumbnails(read))
    why = why_no_window()
    if why is not None:
        raise written_instead(sample, start, why)
    return PickedThreshold(ask(sample, start, read))
