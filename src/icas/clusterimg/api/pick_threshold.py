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
    """Choose a threshold interactively, in a window or a notebook.

    A script waits until the window is closed. In a notebook the function returns at once, and
    ``.threshold`` of the result follows the interaction: clicks in the figure with ``%matplotlib
    widget`` (ipympl), else a slider (ipywidgets). Without both, the figure is static and
    ``.choose(0.8)`` sets another threshold.

    Parameters
    ----------
    src : FeatureSet, folder, or iterable of paths or uint8 ndarray
        The images, as for `icas.features`.
    method : str, default "auto"
        Method for images that are not yet a FeatureSet.
    start : float, optional
        Initial threshold, at most 1. Default: that of ``threshold="auto"``.
    sample : int, default 1500
        Number of images compared, drawn at random; 0 = all.
    seed : int, default 0
        Random seed of the sample.
    folder : str or Path, optional
        Folder of the files of a FeatureSet. Default: the current folder.
    recursive : bool, default False
        Include sub-folders.
    jobs : int, default all cores
        Number of workers. The result does not depend on it.
    max_pixels : int, default 178,956,970
        Larger images are not read.
    **options
        Options of the method, including `size`; see `icas.cluster`.

    Returns
    -------
    PickedThreshold
        Has ``.threshold``; accepted as ``threshold=`` by `icas.cluster`.

    Raises
    ------
    KeyboardInterrupt
        The window was closed, or Esc was pressed.
    UsageError
        Missing folder, unknown method or option, or fewer than two images. Also without window
        and notebook; the curve is then written to ``thresholds.png``.

    See Also
    --------
    icas.cluster : ``threshold="pick"`` opens the same window.

    Examples
    --------
    With a window:

    >>> import icas
    >>> picked = icas.pick_threshold("photos", method="orb")  # doctest: +SKIP
    >>> report = icas.cluster("photos", method="orb", threshold=picked)  # doctest: +SKIP

    A single image has no pairs:

    >>> from skimage import data
    >>> try:
    ...     icas.pick_threshold([data.coffee()])
    ... except icas.UsageError as error:
    ...     print(error)
    cannot pick a threshold: at least two images are required
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
        raise UsageError("cannot pick a threshold: at least two images are required")
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
