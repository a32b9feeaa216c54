"""clusterimg from Python: a folder in one call, or step by step."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console
from icas.cli.options import Size, construct, parse_size
from icas.clusterimg.cache.cache import open_cache
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.editing.resume import resume
from icas.clusterimg.features.inputs import features_of, fitted_together
from icas.clusterimg.linking.tiles import all_links, tiles
from icas.clusterimg.methods import make_method
from icas.clusterimg.methods.base import Method
from icas.clusterimg.pipeline import pipeline
from icas.clusterimg.results.report import ClusterReport
from icas.clusterimg.settings import ClusterSettings, threshold_of
from icas.clusterimg.training.report import TrainReport
from icas.clusterimg.training.settings import TrainSettings
from icas.common.errors import UsageError
from icas.io.reading import MAX_PIXELS
from icas.parallel.executors import start_workers


def cluster(
    src: str | Path,
    *,
    dst: str | Path | None = None,
    method: str | None = None,
    threshold: float | str | None = None,
    progress: bool = False,
    **settings: Any,
) -> ClusterReport:
    """Sort a folder of images into folders of similar images, as ``clusterimg`` does.

    Two images with a similarity at or above the threshold are linked; images that hang together by
    links are a cluster; an image without a link is an outlier.

    Parameters
    ----------
    src : str or Path
        The folder. It is only read, unless ``transfer="move"`` is given.
    dst : str or Path, optional
        Result folder; default ``<src>_clustered`` beside the source.
    method : str, default "imagehash"
        ``imagehash``, ``ssim``, ``minhash``, ``orb``, ``tm`` or ``deep``; case does not matter.
    threshold : float or {"auto", "pick"}, optional
        A similarity, at most 1. ``auto`` finds it in the folder, ``pick`` asks in a window. Default
        ``pick`` where there are a terminal and a display, else ``auto``.
    progress : bool, default False
        Show progress bars and warnings on stderr.
    **settings
        The flags of the command, dashes as underscores: those under Other Parameters, and the
        method's own, listed in the Notes.

    Returns
    -------
    ClusterReport
        The clusters, the files that could not be read, times and counts.

    Other Parameters
    ----------------
    sample : int, default 1500 (ssim: 1000, orb: 600)
        Images that ``auto`` and ``pick`` compare, drawn by `seed`; at least 2.
    batch_size : int, default as many as fit 2 GB of features, at most 10,000
        Images that are all compared with one another; at least 2.
    size : (int, int) or str, default the method's
        Width and height in pixels that images are brought to: ``(64, 48)`` or ``"64x48"``.
    scale : float, optional
        Bring images to this share of their size instead, 0.001 to 100.
    stage : {"all", "batch", "merge"}
        ``batch`` stops after the batch folders, ``merge`` takes such a result as `src`.
    merge : {"representatives", "exact"}
        How batches come together: by one image a cluster, or by all pairs.
    linkage : {"single", "complete", "average"}, default single
        ``complete`` and ``average`` part a cluster where not all of its pairs, or not its pairs in
        the mean, reach the threshold.
    candidates : int, default all
        Compare each image with so many promising others only (orb, ssim, tm).
    transfer : {"copy", "move", "hardlink", "symlink", "none"}
        How images get into the result.
    keep_batches : bool, default False
        Write the batch folders beside the result too.
    overwrite : bool, default False
        Remove first what an earlier run recorded that it made in `dst`.
    resume : bool, default False
        Go on with a run that was interrupted; a finished one is cut at another threshold.
    dry_run : bool, default False
        Plan and compare, write nothing.
    recursive : bool, default False
        Sub-folders too.
    jobs : int, default all cores
        Workers. The answer does not depend on it.
    executor : {"threads", "processes", "dask"}
        What the workers are.
    scheduler : str, default a local Dask cluster
        Address of a Dask scheduler, such as ``tcp://host:8786``.
    device : str, default "cpu"
        What compares images (imagehash, ssim, tm) and runs networks (deep): ``cpu``, ``cuda``,
        ``cuda:1``, ``mps`` or ``auto``.
    max_pixels : int, default 178,956,970
        Pictures that claim more pixels are not read.
    memory : int or str, default half of the machine's
        Bytes that features may take: ``"4GB"``; what is beyond goes to files.
    scratch : str or Path, default the system's
        Folder for these files while the run lasts.
    isolate : bool, default on with executors other than threads
        Decode images in processes that can be killed.
    decode_timeout : float, default 60
        Seconds after which an isolated image is given up.
    cache : str or Path or bool, default the user's cache folder
        Where features are kept between runs; False keeps none.
    cache_size : int or str, default "2GB"
        Bytes that the kept features may take.
    decisions : bool, default True
        Follow what was decided about these images by `icas.decide`.
    report : bool, default True
        Write ``report.html``.
    seed : int, default 0
        Where chance comes in (samples, minhash, deep), it starts here.
    reference : str or Path, optional
        Only links to the images of this folder count: which of the new images are in it already?

    Raises
    ------
    UsageError
        A setting that does not exist or is outside its limits; no such folder.
    ConflictError
        The result folder is in use.
    MissingExtraError
        The method or executor needs an extra that is not installed.
    IcasError
        There is nothing to cluster, or the disk fails.
    KeyboardInterrupt
        The window of ``threshold="pick"`` was closed.

    See Also
    --------
    icas.ImageClusterer : the same clusters in memory, nothing written.
    icas.recut : another threshold for a finished result.
    icas.undo : take a run back.

    Notes
    -----
    Options of the methods, with their defaults (None: the method decides);
    ``clusterimg --help`` says what each means:

    - imagehash: ``hash_size=8``, ``highfreq_factor=4``
    - ssim: none of its own
    - minhash: ``corners=200``, ``permutations=None``, ``grid=8``, ``exact=None``
    - orb: ``keypoints=200``, ``match_bits=95``, ``tolerance=0.12``
    - tm: none of its own
    - deep: ``model=None``, ``weights=None``, ``dims=128``, ``cluster_model=None``,
      ``clusters=None``, ``max_iter=None``, ``eps=None``, ``min_samples=None``,
      ``min_cluster_size=None``, ``max_cluster_size=None``

    Sources: imagehash is ImageHash's ``phash`` (C. Zauner, 2010); ssim is scikit-image's
    ``structural_similarity`` (Z. Wang et al., IEEE Transactions on Image Processing, 2004); minhash
    compares sets of Harris corners (A. Broder, 1997; C. Harris and M. Stephens, 1988); orb matches
    ORB features (E. Rublee et al., ICCV 2011); tm is OpenCV's ``TM_SQDIFF_NORMED``.

    Examples
    --------
    Two photographs, a small copy of each, and one that is like none of the others:

    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> for name in ("coffee", "rocket"):
    ...     picture = Image.fromarray(getattr(data, name)())
    ...     picture.save(f"photos/{name}.jpg")
    ...     picture.resize((90, 60)).save(f"photos/{name}-small.jpg")
    >>> Image.fromarray(data.camera()).save("photos/camera.jpg")
    >>> report = icas.cluster("photos", threshold=0.9, dst="sorted", jobs=1)
    >>> report.summary()
    '5 images, 2 clusters, 1 outlier, 0 unreadable -> sorted'
    >>> report.members(0)
    ('coffee-small.jpg', 'coffee.jpg')
    >>> sorted(path.name for path in Path("sorted/result").iterdir())
    ['cluster_0', 'cluster_1', 'outliers']
    """
    given = make_settings(dst=dst, method=method, threshold=threshold, **settings)
    return run_or_resume(src, given, Console(warnings=progress, bars=progress))


def run_or_resume(src: str | Path, settings: ClusterSettings, console: Console) -> ClusterReport:
    """A run; with `resume` an interrupted one is continued, a finished one may be recut."""
    report = resume(Path(src), settings, console) if settings.resume else None
    return pipeline.run(src, settings, console) if report is None else report


def train(src: str | Path, *, progress: bool = False, **settings: Any) -> TrainReport:
    """Train an autoencoder on a folder of images, as ``clusterimg train`` does.

    The network learns to rebuild the images from a short code; ``method="deep"`` with
    ``weights=`` that file then compares images by their codes. Needs the extra ``icas[deep]``.

    Parameters
    ----------
    src : str or Path
        The folder.
    progress : bool, default False
        Show progress bars and warnings on stderr.
    **settings
        The flags of the command, dashes as underscores.

    Returns
    -------
    TrainReport
        The file of the network and the loss of every epoch.

    Other Parameters
    ----------------
    out : str or Path, default ``<src>_model.pt`` beside the source
        File of the trained network: ``.pt``, ``.pth`` or ``.safetensors``.
    size : int, default 64
        Side in pixels that images are brought to: a power of two from 32 on.
    dims : int, default 64
        Numbers in the code of an image.
    loss : {"mse", "mae", "perceptual"}
        Mean squared or absolute difference of pixels, or of another network's features.
    loss_model : str, default "vgg19"
        Network of the perceptual loss: any of torchvision's classifiers.
    loss_weights : str or Path, default those that torchvision fetches
        Its weights: a file, or ``"random"``.
    loss_layers : sequence of str, default the last layer at each of the first four resolutions
        Its layers whose outputs are compared.
    difference : {"absolute", "squared"}
        How these outputs are compared.
    epochs : int, default 20
        Times that every image is seen, at most.
    batch_size : int, default 16
        Images a step.
    learning_rate : float, default 0.002
        Highest step size of Adam, 1e-9 to 1.
    patience : int, default 10
        Epochs without a better loss after which training stops.
    validation : float, default 0.1
        Share of the images that are kept apart to judge by, 0 to 0.5.
    device : str, default "cpu"
        ``cpu``, ``cuda``, ``cuda:1``, ``mps`` or ``auto``.
    seed : int, default 0
        Where chance comes in, it starts here.
    resume : bool, default False
        Go on with a training that was stopped.
    overwrite : bool, default False
        Replace a trained network and start again.
    recursive : bool, default False
        Sub-folders too.
    max_pixels : int, default 178,956,970
        Pictures that claim more pixels are not read.
    isolate : bool, default False
        Decode images in processes that can be killed.
    decode_timeout : float, default 60
        Seconds after which an isolated image is given up.
    jobs : int, default all cores
        Workers that read.

    Raises
    ------
    MissingExtraError
        torch is not installed.
    UsageError
        A setting that does not exist or is outside its limits; no such folder or device; a resume
        of another training.
    ConflictError
        A trained network is there already.
    IcasError
        Too few images or all the same; the loss is no finite number any more; the disk fails.

    See Also
    --------
    icas.cluster : with ``method="deep", weights="photos.pt"``.

    Examples
    --------
    A setting that does not exist is refused before any work:

    >>> import icas
    >>> icas.train("photos", epoch=5)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    icas.common.errors.UsageError: --epoch is no option of method 'train'; it has --batch-size, ...

    Twelve noisy pictures and two epochs are no training, yet show what comes back:

    >>> import numpy as np
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> Path("noise").mkdir()
    >>> rng = np.random.default_rng(0)
    >>> for number in range(12):
    ...     picture = rng.integers(0, 256, (32, 32, 3), np.uint8)
    ...     Image.fromarray(picture).save(f"noise/{number}.png")
    >>> report = icas.train("noise", out="noise.pt", epochs=2, size=32, dims=8)
    >>> report.images, len(report.curve), report.out.name
    (12, 2, 'noise.pt')
    """
    from icas.clusterimg.training import train as training

    given = construct(TrainSettings, "train", settings)
    return training.train(src, given, Console(warnings=progress, bars=progress))


def make_settings(**given: Any) -> ClusterSettings:
    """Settings of a run from keywords; those that a run does not have are options of the method."""
    known = {field.name for field in dataclasses.fields(ClusterSettings)} - {"options"}
    own = {name: value for name, value in given.items() if name in known and value is not None}
    if "dst" in own:
        own["dst"] = Path(own["dst"])
    if "threshold" in own:
        own["threshold"] = threshold_of(own["threshold"])
    if "size" in own:
        own["size"] = size_of(own["size"])
    options = {name: value for name, value in given.items() if name not in known}
    settings = ClusterSettings(**own, options=options)
    if options or settings.stage != "merge":
        settings.make_method()  # an option that the method does not have is refused before work
    return settings


def size_of(given: Any) -> Size:
    """A size from user input: ``"64x48"`` or ``(64, 48)``, width and height."""
    try:
        return parse_size(given)
    except (TypeError, ValueError) as error:
        raise UsageError(f"size {given!r}: {error} is needed") from None


def make_method_from(method: str, options: dict[str, Any]) -> Method:
    """The method with options from user input (``size="64x48"``)."""
    if options.get("size") is not None:
        options = {**options, "size": size_of(options["size"])}
    return make_method(method, **options)


def linking(method: Method) -> Method:
    """`method` grouped by links, unless models are requested."""
    try:
        return method.by_links()
    except UsageError:
        return method


def features(
    images: str | Path | Iterable[Any],
    method: str = "imagehash",
    *,
    recursive: bool = False,
    scale: float | None = None,
    max_pixels: int = MAX_PIXELS,
    jobs: int | None = None,
    executor: str = "threads",
    scheduler: str | None = None,
    cache: str | Path | bool = False,
    **options: Any,
) -> FeatureSet:
    """Features of a folder, of a list of paths, or of a list of arrays.

    What a method keeps of an image; `icas.links` and `icas.similarity_matrix` compare it.

    Parameters
    ----------
    images : str or Path, iterable of paths, or iterable of uint8 ndarray
        A folder; or files; or pictures of shape (h, w, 3), RGB, or (h, w), gray. A file that
        cannot be read is left out and listed.
    method : str, default "imagehash"
        ``imagehash``, ``ssim``, ``minhash``, ``orb``, ``tm`` or ``deep``.
    recursive : bool, default False
        Of a folder, its sub-folders too.
    scale : float, optional
        Bring images to this share of their size first, 0.001 to 100.
    max_pixels : int, default 178,956,970
        Pictures that claim more pixels are not read.
    jobs : int, default all cores
        Workers. The answer does not depend on it.
    executor : {"threads", "processes", "dask"}
        What the workers are.
    scheduler : str, default a local Dask cluster
        Address of a Dask scheduler.
    cache : str or Path or bool, default False
        Folder in which features of files are kept between calls; True: the user's cache folder.
    **options
        The method's own options, `size` and `seed` among them; see `icas.cluster`.

    Returns
    -------
    FeatureSet
        ``.array`` has a row an image; its shape and dtype are the method's. ``.files`` and
        ``.unreadable`` name the files.

    Raises
    ------
    UsageError
        No such folder, method or option; arrays that are no images.
    MissingExtraError
        The method or executor needs an extra that is not installed.

    See Also
    --------
    icas.links : pairs at or above a threshold.
    icas.FeatureSet.from_bits : codes made elsewhere.

    Examples
    --------
    >>> import icas
    >>> from skimage import data
    >>> pictures = [data.coffee(), data.coffee()[::2, ::2], data.camera()]
    >>> features = icas.features(pictures, method="imagehash")
    >>> len(features), features.array.shape, features.array.dtype
    (3, (3, 8), dtype('uint8'))
    >>> icas.features(pictures, method="ssim", size="48x48").array.shape
    (3, 48, 48)
    """
    chosen = linking(make_method_from(method, options))
    with open_cache(cache) as kept, start_workers(executor, jobs, scheduler) as workers:
        return features_of(
            chosen,
            images,
            workers,
            recursive=recursive,
            max_pixels=max_pixels,
            scale=scale,
            cache=kept,
        )


def method_of(features: FeatureSet) -> Method:
    """The method that made `features`, with the settings that it had."""
    return make_method(features.method, **features.settings)


def links(
    features: FeatureSet,
    threshold: float,
    *,
    jobs: int | None = None,
    executor: str = "threads",
    scheduler: str | None = None,
) -> NDArray[Any]:
    """Every pair of images at or above a threshold.

    Parameters
    ----------
    features : FeatureSet
        What `icas.features` gave.
    threshold : float
        Least similarity of a pair, in the method's unit; 1 = same. Compared as float32.
    jobs : int, default all cores
        Workers. The answer does not depend on it.
    executor : {"threads", "processes", "dask"}
        What the workers are.
    scheduler : str, default a local Dask cluster
        Address of a Dask scheduler.

    Returns
    -------
    (m,) structured ndarray
        Fields ``a`` and ``b`` (int64, a < b), the numbers of the two images, and ``similarity``
        (float32); sorted by a, then b.

    Raises
    ------
    UsageError
        No such executor.
    MissingExtraError
        The executor needs an extra that is not installed.

    See Also
    --------
    icas.similarity_matrix : all pairs, as a matrix.

    Examples
    --------
    >>> import icas
    >>> from skimage import data
    >>> features = icas.features([data.coffee(), data.coffee()[::2, ::2], data.camera()])
    >>> found = icas.links(features, threshold=0.9)
    >>> found[["a", "b"]].tolist()
    [(0, 1)]
    >>> found.dtype.names
    ('a', 'b', 'similarity')
    """
    with start_workers(executor, jobs, scheduler) as workers:
        return all_links(method_of(features), features, threshold, workers).structured()


def similarity_matrix(
    a: FeatureSet | str | Path | Iterable[Any],
    b: FeatureSet | str | Path | Iterable[Any] | None = None,
    method: str = "imagehash",
    *,
    jobs: int | None = None,
    **options: Any,
) -> NDArray[np.float32]:
    """Similarity of each image of `a` with each of `b`.

    Parameters
    ----------
    a : FeatureSet, or what `icas.features` takes
        The images of the rows.
    b : FeatureSet, or what `icas.features` takes, default `a`
        The images of the columns.
    method : str, default "imagehash"
        How images are compared; features know their own.
    jobs : int, default all cores
        Workers. The answer does not depend on it.
    **options
        The method's own options, `size` and `seed` among them; see `icas.cluster`.

    Returns
    -------
    (n, m) float32 ndarray
        1 = same; never above 1. Those of ssim and deep may be negative, the others lie in [0, 1].

    Raises
    ------
    UsageError
        Features of different methods or settings, or what `icas.features` raises.
    MissingExtraError
        The method needs an extra that is not installed.

    See Also
    --------
    icas.links : pairs at or above a threshold, for many images.

    Examples
    --------
    >>> import icas
    >>> from skimage import data
    >>> cup, camera = data.coffee(), data.camera()
    >>> matrix = icas.similarity_matrix([cup, camera], [cup[::2, ::2]], method="tm")
    >>> matrix.shape, matrix.dtype
    ((2, 1), dtype('float32'))
    >>> bool(matrix[0, 0] > 0.99 > matrix[1, 0])
    True
    """
    sides = [side for side in (a, b) if side is not None]
    images = [side for side in sides if not isinstance(side, FeatureSet)]
    computed: Iterator[FeatureSet] = iter(())
    with start_workers("threads", jobs) as workers:
        if images:  # of both sides, so that a method that is fitted to images is fitted to all
            chosen = linking(make_method_from(method, options))
            raw = [features_of(chosen, side, workers, fitted=False) for side in images]
            computed = iter(fitted_together(chosen, raw))
        both = [side if isinstance(side, FeatureSet) else next(computed) for side in sides]
        first, second = both[0], both[-1]
        if first.method != second.method or dict(first.settings) != dict(second.settings):
            raise UsageError(
                f"features of {first.method} and of {second.method} cannot be compared: make both"
                " by one method, with the same options"
            )
        chosen = method_of(first)
        matrix = np.empty((len(first), len(second)), np.float32)
        blocks = list(tiles(len(first), len(second), chosen.tile))
        tasks = ((first[rows], second[columns]) for rows, columns in blocks)
        parts = workers.ordered(chosen.similarity, tasks)
        for (rows, columns), values in zip(blocks, parts, strict=True):
            matrix[rows, columns] = values
    return matrix
