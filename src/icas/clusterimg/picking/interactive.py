"""`icas.pick_threshold`: the picker for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from icas.clusterimg.api import make_method_from
from icas.clusterimg.deciding import auto
from icas.clusterimg.features import FeatureSet
from icas.clusterimg.picker import ask, why_no_window, written_instead
from icas.clusterimg.picking import backends, notebook
from icas.clusterimg.picking.board import Subject
from icas.clusterimg.picking.curve import first_state
from icas.clusterimg.picking.drawn import Drawing
from icas.clusterimg.picking.notebook import PickedThreshold
from icas.clusterimg.picking.thumbs import Reader, Thumbnails
from icas.clusterimg.sample import SAMPLE, Sample
from icas.clusterimg.settings import DEFAULT_METHOD
from icas.common.errors import UsageError
from icas.common.executors import start_workers
from icas.common.images import MAX_PIXELS


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
