"""Python functions of clusterimg: cluster a folder in one call, or step by step."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console
from icas.cli.options import Size, check_keywords, construct, keywords_of, parse_size
from icas.clusterimg.cache.cache import open_cache
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.editing.resume import resume
from icas.clusterimg.features.inputs import features_of, fitted_together, image_items
from icas.clusterimg.linking.tiles import all_links, similarities
from icas.clusterimg.methods import METHODS, is_auto, make_method, method_class
from icas.clusterimg.methods.base import Method, linking
from icas.clusterimg.pipeline import pipeline
from icas.clusterimg.results.report import ClusterReport
from icas.clusterimg.settings import DEFAULT_METHOD, ClusterSettings
from icas.clusterimg.training.report import TrainReport
from icas.clusterimg.training.settings import TrainSettings
from icas.common.errors import UsageError
from icas.io.reading import MAX_PIXELS
from icas.parallel.executors import start_workers


def cluster(
    src: str | Path | Iterable[str | Path],
    *,
    dst: str | Path | None = None,
    method: str | None = None,
    threshold: float | str | None = None,
    progress: bool = False,
    **settings: Any,
) -> ClusterReport:
    """Sort a folder of images into folders of similar images, like the command ``clusterimg``.

    Two images are linked if their similarity is at or above the threshold. Each connected component
    of linked images is a cluster. Images without a link are outliers.

    Parameters
    ----------
    src : str or Path, or iterable of str or Path
        Folder with images, or image files. They are only read, unless ``transfer="move"``.
    dst : str or Path, optional
        Result folder. Default: ``<src>_clustered`` beside the source; for files, ``src`` is their
        common folder.
    method : str, default "auto"
        ``imagehash``, ``ssim``, ``minhash``, ``orb``, ``tm`` or ``deep``; several, such as
        ``deep+orb``; or ``auto``: ``deep+orb`` if `weights` or `model` is given or weights are
        installed, else ``orb``. Not case-sensitive.
    threshold : float or {"auto", "pick"}, optional
        Minimum similarity of linked images, at most 1. ``auto`` estimates it from the folder,
        ``pick`` opens a window to choose it. Default: ``pick`` if a terminal and a display are
        available, else ``auto``.
    progress : bool, default False
        Show progress bars and warnings on stderr.
    **settings
        Other flags of the command, with underscores instead of dashes: those under Other
        Parameters and the options of the method, see Notes.

    Returns
    -------
    ClusterReport
        Clusters, unreadable files, times and counts.

    Other Parameters
    ----------------
    sample : int, default 1500 (ssim: 1000, orb: 600)
        Number of images that ``auto`` and ``pick`` compare, drawn at random; at least 2.
    batch_size : int, default as many as fit 2 GB of features, at most 10,000
        Images per batch; all pairs of a batch are compared. At least 2.
    size : (int, int) or str, default of the method
        Width and height in pixels to which images are resized: ``(64, 48)`` or ``"64x48"``.
    scale : float, optional
        Factor by which images are resized instead, 0.001 to 100.
    stage : {"all", "batch", "merge"}
        ``batch`` stops after writing the batch folders, ``merge`` takes such a result as `src`.
    merge : {"representatives", "exact"}
        How batches are merged: compare the representatives of clusters, or all pairs.
    linkage : {"single", "complete", "average"}, default single
        ``complete`` and ``average`` split a component so that in each cluster every pair, or the
        mean of all pairs, reaches the threshold.
    candidates : int, default all
        Number of most promising images that each image is compared with (orb, ssim, tm). Default
        with ``method="auto"``: 50 where comparing all pairs takes over a minute.
    transfer : {"copy", "move", "hardlink", "symlink", "none"}
        How images are transferred to the result; ``none`` writes only the tables.
    keep_batches : bool, default False
        Also write the batch folders.
    overwrite : bool, default False
        Replace the previous result in `dst`: remove the files that its run recorded.
    resume : bool, default False
        Continue an interrupted run, or give a finished result another threshold.
    dry_run : bool, default False
        Compare and plan, write nothing.
    recursive : bool, default False
        Include sub-folders.
    jobs : int, default all cores
        Number of workers. The result does not depend on it.
    executor : {"threads", "processes", "dask"}
        Kind of workers.
    scheduler : str, default a local Dask cluster
        Address of a Dask scheduler, such as ``tcp://host:8786``.
    device : str, default "cpu"
        Compute device for comparisons (imagehash, ssim, tm) and networks (deep): ``cpu``,
        ``cuda``, ``cuda:1``, ``mps`` or ``auto``.
    max_pixels : int, default 178,956,970
        Larger images are not read; they are listed as unreadable.
    memory : int or str, default half of the main memory
        Maximum size of features in memory in bytes, or as ``"4GB"``; the rest is stored in files.
    scratch : str or Path, default the temporary folder of the system
        Folder for these temporary files.
    isolate : bool, default True unless ``executor="threads"``
        Decode images in separate processes, so that a crash or hang affects one image only.
    decode_timeout : float, default 60
        Maximum time in seconds to decode an image in such a process.
    cache : str or Path or bool, default the cache folder of the user
        Folder for features that later runs reuse; False disables the cache.
    cache_size : int or str, default "2GB"
        Maximum size of the cache; least recently used entries are evicted.
    decisions : bool, default True
        Apply the constraints stored by `icas.decide`.
    report : bool, default True
        Write ``report.html``.
    seed : int, default 0
        Random seed (samples, minhash, deep).
    reference : str or Path, optional
        Folder of reference images. Only links to them count: which images are already in it?

    Raises
    ------
    UsageError
        Unknown setting, value out of range, or missing folder.
    ConflictError
        The result folder is in use or not empty.
    MissingExtraError
        The method or executor needs an extra that is not installed.
    IcasError
        No images, or a disk error.
    KeyboardInterrupt
        The window of ``threshold="pick"`` was closed.

    See Also
    --------
    icas.ImageClusterer : The same clusters in memory, without writing files.
    icas.recut : Give a finished result another threshold.
    icas.undo : Undo a run.

    Notes
    -----
    Options of the methods with their defaults (None: chosen by the method).
    ``clusterimg --help-all`` describes them:

    - imagehash: ``hash_size=8``, ``highfreq_factor=4``
    - ssim: none
    - minhash: ``corners=200``, ``permutations=None``, ``grid=8``, ``exact=None``
    - orb: ``keypoints=200``, ``match_bits=95``, ``tolerance=0.12``
    - tm: none
    - deep: ``model=None``, ``weights=None``, ``mean=None``, ``std=None``, ``dims=128``,
      ``cluster_model=None``, ``clusters=None``, ``max_iter=None``, ``eps=None``,
      ``min_samples=None``, ``min_cluster_size=None``, ``max_cluster_size=None``

    References: imagehash is ImageHash's ``phash`` (C. Zauner, 2010); ssim is scikit-image's
    ``structural_similarity`` (Z. Wang et al., IEEE Transactions on Image Processing, 2004); minhash
    compares sets of Harris corners (A. Broder, 1997; C. Harris and M. Stephens, 1988); orb matches
    ORB features (E. Rublee et al., ICCV 2011); tm is OpenCV's ``TM_SQDIFF_NORMED``.

    Examples
    --------
    Two photographs, a small copy of each, and a third photograph:

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
    >>> report = icas.cluster("photos", threshold="auto", dst="sorted", jobs=1)
    >>> report.summary()
    '5 images, 2 clusters, 1 outlier, 0 unreadable -> sorted'
    >>> report.members(0)
    ('coffee-small.jpg', 'coffee.jpg')
    >>> sorted(path.name for path in Path("sorted/result").iterdir())
    ['cluster_0', 'cluster_1', 'outliers']
    """
    known = {*keywords_of(ClusterSettings), *_options_of(method or DEFAULT_METHOD)} - {"options"}
    check_keywords(settings, known, "icas.cluster")
    given = make_settings(dst=dst, method=method, threshold=threshold, **settings)
    console = Console(warnings=progress, bars=progress)
    if isinstance(src, (str, Path)):
        return run_or_resume(src, given, console)
    if given.resume or given.stage == "merge":
        raise UsageError("resume and stage='merge' need a folder, not a list of files")
    folder, files = _listed(src)
    return pipeline.run(folder, given, console, files)


def _options_of(method: str) -> set[str]:
    """Names of the options of a method; for ``auto`` of all."""
    methods = METHODS if is_auto(method) else (method,)
    return {name for one in methods for name in keywords_of(method_class(one))}


def _listed(items: Iterable[str | Path]) -> tuple[Path, list[Path]]:
    """The nearest common folder of files, and the files."""
    given = image_items(items)
    if not given:
        raise UsageError("no images: the list is empty")
    if not all(isinstance(item, (str, Path)) for item in given):
        raise UsageError(
            "icas.cluster writes copies of files: give paths, or use icas.ImageClusterer for images"
            " in memory"
        )
    files = list(dict.fromkeys(Path(os.path.normpath(item)) for item in given))
    parents = [path.parent for path in files]
    mixed = len({path.is_absolute() for path in files}) > 1
    if mixed:
        files = [path.absolute() for path in files]
        parents = [path.parent for path in files]
    try:
        return Path(os.path.commonpath(parents)), files
    except ValueError:
        raise UsageError("the files are on different drives: give those of one drive") from None


def run_or_resume(src: str | Path, settings: ClusterSettings, console: Console) -> ClusterReport:
    """Run; with `resume`, continue an interrupted run or recut a finished one."""
    report = resume(Path(src), settings, console) if settings.resume else None
    return pipeline.run(src, settings, console) if report is None else report


def train(src: str | Path, *, progress: bool = False, **settings: Any) -> TrainReport:
    """Train an autoencoder on a folder of images, like ``clusterimg train``.

    The encoder maps an image to a short vector from which the decoder reconstructs it. Method
    ``deep`` with ``weights=FILE`` compares images by these vectors. Needs ``icas[deep]``.

    Parameters
    ----------
    src : str or Path
        Folder with images.
    progress : bool, default False
        Show progress bars and warnings on stderr.
    **settings
        Flags of the command, with underscores instead of dashes.

    Returns
    -------
    TrainReport
        File of the network, and the loss of each epoch.

    Other Parameters
    ----------------
    out : str or Path, default ``<src>_model.pt`` beside the source
        File of the trained network: ``.pt``, ``.pth`` or ``.safetensors``.
    size : int, default 64
        Side in pixels to which images are resized: a power of two, at least 32.
    dims : int, default 64
        Length of the feature vector.
    loss : {"mse", "mae", "perceptual"}
        Mean squared or mean absolute difference of pixels, or difference of network features.
    loss_model : str, default "vgg19"
        Network of the perceptual loss: any torchvision classifier.
    loss_weights : str or Path, default the pretrained weights of torchvision
        Weights of `loss_model`: a file, or ``"random"``.
    loss_layers : sequence of str, default the last layer at each of the first four resolutions
        Layers of `loss_model` whose outputs are compared.
    difference : {"absolute", "squared"}
        Difference of these outputs.
    epochs : int, default 20
        Maximum number of epochs.
    batch_size : int, default 16
        Images per step.
    learning_rate : float, default 0.002
        Maximum learning rate of Adam, 1e-9 to 1.
    patience : int, default 10
        Epochs without a lower loss after which training stops.
    validation : float, default 0.1
        Share of the images used for validation, 0 to 0.5.
    device : str, default "cpu"
        Compute device: ``cpu``, ``cuda``, ``cuda:1``, ``mps`` or ``auto``.
    seed : int, default 0
        Random seed.
    resume : bool, default False
        Continue an interrupted training.
    overwrite : bool, default False
        Replace an existing network and start again.
    recursive : bool, default False
        Include sub-folders.
    max_pixels : int, default 178,956,970
        Larger images are not read; they are listed as unreadable.
    isolate : bool, default False
        Decode images in separate processes, so that a crash or hang affects one image only.
    decode_timeout : float, default 60
        Maximum time in seconds to decode an image in such a process.
    jobs : int, default all cores
        Number of workers that read images.

    Raises
    ------
    MissingExtraError
        torch is not installed.
    UsageError
        Unknown setting, value out of range, missing folder or device, or `resume` with other
        settings or images.
    ConflictError
        The network file already exists.
    IcasError
        Fewer than two different images, a loss of NaN or infinity, or a disk error.

    See Also
    --------
    icas.cluster : Use the network with ``method="deep", weights="photos.pt"``.

    Examples
    --------
    Settings are checked before any work starts:

    >>> import icas
    >>> icas.train("photos", epoch=5)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    icas.common.errors.UsageError: unknown keyword epoch of icas.train: did you mean epochs?

    A minimal training on twelve noise images:

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

    check_keywords(settings, keywords_of(TrainSettings), "icas.train")
    given = construct(TrainSettings, "train", settings)
    return training.train(src, given, Console(warnings=progress, bars=progress))


def make_settings(**given: Any) -> ClusterSettings:
    """Settings of a run from keywords; unknown ones are options of the method."""
    known = {field.name for field in dataclasses.fields(ClusterSettings)} - {"options"}
    own = {name: value for name, value in given.items() if name in known and value is not None}
    if "dst" in own:
        own["dst"] = Path(own["dst"])
    if "size" in own:
        own["size"] = size_of(own["size"])
    options = {name: value for name, value in given.items() if name not in known}
    settings = ClusterSettings(**own, options=options)
    if not settings.takes_earlier_method:
        settings.make_method()  # unknown options fail before work starts
    return settings


def size_of(given: Any) -> Size:
    """A size from user input: ``"64x48"`` or ``(64, 48)``, width and height."""
    try:
        return parse_size(given)
    except (TypeError, ValueError) as error:
        raise UsageError(f"--size {given!r}: expected {error}") from None


def make_method_from(method: str, options: dict[str, Any]) -> Method:
    """The method with options from user input (``size="64x48"``)."""
    return make_method(method, **checked_options(method, options)).with_installed_weights()


def checked_options(method: str, options: dict[str, Any]) -> dict[str, Any]:
    """`options` from user input as the constructor of the method takes them."""
    check_keywords(options, _options_of(method), f"method {method!r}")
    if options.get("size") is not None:
        return {**options, "size": size_of(options["size"])}
    return options


def features(
    images: str | Path | Iterable[Any],
    method: str = DEFAULT_METHOD,
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
    """Compute the features of images: of a folder, of files, or of arrays.

    `icas.links` and `icas.similarity_matrix` compare features.

    Parameters
    ----------
    images : str or Path, iterable of paths, or iterable of uint8 ndarray
        A folder, files, or images of shape (h, w, 3), RGB, or (h, w), gray. Unreadable files are
        skipped and listed in ``.unreadable``.
    method : str, default "auto"
        As for `icas.cluster`. ``.method`` of the result names the method used.
    recursive : bool, default False
        Include sub-folders of a folder.
    scale : float, optional
        Factor by which images are resized first, 0.001 to 100.
    max_pixels : int, default 178,956,970
        Larger images are not read; they are listed as unreadable.
    jobs : int, default all cores
        Number of workers. The result does not depend on it.
    executor : {"threads", "processes", "dask"}
        Kind of workers.
    scheduler : str, default a local Dask cluster
        Address of a Dask scheduler.
    cache : str or Path or bool, default False
        Folder for features that later calls reuse; True: the cache folder of the user.
    **options
        Options of the method, including `size` and `seed`; see `icas.cluster`.

    Returns
    -------
    FeatureSet
        ``.array`` has one row per image; its shape and dtype depend on the method. ``.files`` and
        ``.unreadable`` list the files.

    Raises
    ------
    UsageError
        Missing folder, unknown method or option, or arrays that are not images.
    MissingExtraError
        The method or executor needs an extra that is not installed.

    See Also
    --------
    icas.links : Pairs at or above a threshold.
    icas.FeatureSet.from_bits : Features from hash codes of another program.

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
    """The method of `features`, with its settings."""
    return make_method(features.method, **features.settings)


def links(
    features: FeatureSet,
    threshold: float,
    *,
    jobs: int | None = None,
    executor: str = "threads",
    scheduler: str | None = None,
) -> NDArray[Any]:
    """Find all pairs of images with a similarity at or above a threshold.

    Parameters
    ----------
    features : FeatureSet
        Result of `icas.features`.
    threshold : float
        Minimum similarity of a pair; 1 = identical. Compared as float32.
    jobs : int, default all cores
        Number of workers. The result does not depend on it.
    executor : {"threads", "processes", "dask"}
        Kind of workers.
    scheduler : str, default a local Dask cluster
        Address of a Dask scheduler.

    Returns
    -------
    (m,) structured ndarray
        Fields ``a`` and ``b`` (int64, a < b), the indices of the two images, and ``similarity``
        (float32), sorted by a, then b.

    Raises
    ------
    UsageError
        Unknown executor.
    MissingExtraError
        The executor needs an extra that is not installed.

    See Also
    --------
    icas.similarity_matrix : The similarities of all pairs.

    Examples
    --------
    >>> import icas
    >>> from skimage import data
    >>> pictures = [data.coffee(), data.coffee()[::2, ::2], data.camera()]
    >>> found = icas.links(icas.features(pictures, method="tm"), threshold=0.99)
    >>> found[["a", "b"]].tolist()
    [(0, 1)]
    >>> found.dtype.names
    ('a', 'b', 'similarity')
    """
    if not isinstance(features, FeatureSet):
        raise UsageError(
            f"features: expected a FeatureSet, as icas.features returns it, got"
            f" a {type(features).__name__}"
        )
    with start_workers(executor, jobs, scheduler) as workers:
        return all_links(method_of(features), features, threshold, workers).structured()


def similarity_matrix(
    a: FeatureSet | str | Path | Iterable[Any],
    b: FeatureSet | str | Path | Iterable[Any] | None = None,
    method: str = "orb",
    *,
    jobs: int | None = None,
    **options: Any,
) -> NDArray[np.float32]:
    """Compute the similarity of each image of `a` with each image of `b`.

    Parameters
    ----------
    a : FeatureSet, folder, or iterable of paths or uint8 ndarray
        Images of the rows, as for `icas.features`.
    b : FeatureSet, folder, or iterable of paths or uint8 ndarray, default `a`
        Images of the columns.
    method : str, default "orb"
        Method for images that are not yet a FeatureSet. Similarities of ``deep`` and of several
        methods depend on all images of `a` and `b`; with the default only on the two compared.
    jobs : int, default all cores
        Number of workers. The result does not depend on it.
    **options
        Options of the method, including `size` and `seed`; see `icas.cluster`.

    Returns
    -------
    (n, m) float32 ndarray
        1 = identical, the maximum. In [-1, 1] for ssim and deep, in [0, 1] for other methods.

    Raises
    ------
    UsageError
        Features of different methods or settings; also the errors of `icas.features`.
    MissingExtraError
        The method needs an extra that is not installed.

    See Also
    --------
    icas.links : Pairs at or above a threshold, for many images.

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
        if images:  # both sides together, because some methods are fitted to all images
            chosen = linking(make_method_from(method, options))
            raw = [features_of(chosen, side, workers, fitted=False) for side in images]
            computed = iter(fitted_together(chosen, raw))
        both = [side if isinstance(side, FeatureSet) else next(computed) for side in sides]
        first, second = both[0], both[-1]
        if first.method != second.method:
            raise UsageError(
                f"cannot compare features of {first.method} with features of {second.method}:"
                " compute both with the same method"
            )
        if dict(first.settings) != dict(second.settings):
            raise UsageError(
                f"{first.method} features with different options cannot be compared: compute both"
                " with the same options"
            )
        return similarities(method_of(first), first, second, workers)
