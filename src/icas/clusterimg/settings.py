"""Settings of clusterimg; flags, help, defaults and checks are made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from icas.cli.options import Size, check_options, option, options_of, parse_size
from icas.cli.parser import CACHE, CLUSTERS, COMPARISON, INPUT, OUTPUT, SAFETY, WORKERS
from icas.clusterimg.cache.cache import DEFAULT_BYTES, LEAST_BYTES
from icas.clusterimg.clustering.linkages import DEFAULT_LINKAGE, LINKAGES
from icas.clusterimg.data.memory import LEAST, memory_of, parse_bytes
from icas.clusterimg.features.extraction import isolation_of
from icas.clusterimg.methods import METHODS, check_supported, make_method, method_class
from icas.clusterimg.methods.base import Method
from icas.clusterimg.transfer.execution import TRANSFERS
from icas.common.devices import check_device
from icas.common.errors import UsageError
from icas.common.registry import lookup
from icas.io.files import beside
from icas.io.reading import MAX_PIXELS
from icas.io.sandbox import TIMEOUT, Isolation
from icas.parallel.executors import EXECUTORS

DEFAULT_METHOD = "imagehash"
STAGES = ("all", "batch", "merge")
MERGES = ("representatives", "exact")
DEVICES = ("cpu", "cuda", "mps", "auto")


def threshold_of(given: str | float) -> float | str:
    """A number, ``auto`` or ``pick``; UsageError for anything else."""
    try:
        return parse_threshold(given)
    except (TypeError, ValueError) as error:
        raise UsageError(f"threshold {given!r}: {error} is needed") from None


def parse_threshold(text: str | float) -> float | str:
    """A number, ``auto`` or ``pick``; ValueError for anything else."""
    if isinstance(text, str) and text.casefold() in ("auto", "pick"):
        return text.casefold()
    try:
        return float(text)
    except ValueError:
        raise ValueError("a number, auto or pick") from None


@dataclass(frozen=True)
class ClusterSettings:
    """Settings of a run."""

    dst: Path | None = option(
        None,
        "result folder; refused if it is not empty",
        metavar="DIR",
        default_text="<src>_clustered beside the source",
        group=OUTPUT,
    )
    method: str | None = option(
        None,
        f"one of {', '.join(METHODS)}: see below",
        parse=str,
        metavar="METHOD",
        default_text=DEFAULT_METHOD,
        group=COMPARISON,
        words=tuple(METHODS),
    )
    threshold: float | str | None = option(
        None,
        "link images with a similarity of at least this: a number up to 1; auto, found in the"
        " folder; or pick, in a window",
        parse=parse_threshold,
        metavar="F|auto|pick",
        default_text="pick where there are a terminal and a display, else auto",
        group=CLUSTERS,
    )
    sample: int | None = option(
        None,
        "images compared in search of a threshold",
        minimum=2,
        default_text="1500 images; with ssim 1000, with orb 600",
        group=CLUSTERS,
    )
    batch_size: int | None = option(
        None,
        "images compared with one another at a time",
        minimum=2,
        default_text="as many images as fit 2 GB of features, at most 10000",
        group=CLUSTERS,
    )
    size: Size | None = option(
        None,
        "bring images to this size in pixels first",
        parse=parse_size,
        minimum=1,
        maximum=65535,
        default_text="the method's",
        group=COMPARISON,
    )
    scale: float | None = option(
        None,
        "bring images to this share of their size instead; where a method needs one size, to this"
        " share of the median size",
        minimum=0.001,
        maximum=100,
        group=COMPARISON,
    )
    stage: str = option(
        "all",
        "batch: stop after the batch folders; merge: take such a result, perhaps edited by hand",
        choices=STAGES,
        group=CLUSTERS,
    )
    merge: str = option(
        "representatives",
        "how batches come together: through one image a cluster, or by all pairs",
        choices=MERGES,
        group=CLUSTERS,
    )
    linkage: str | None = option(
        None,
        "chain: links join whatever they reach; complete, average: only where all pairs, or their"
        " mean, reach the threshold",
        parse=str,
        choices=LINKAGES,
        default_text="chain; with --stage merge that of the batch stage",
        group=CLUSTERS,
    )
    candidates: int | None = option(
        None,
        "compare each image only with its N most promising others (orb, ssim, tm)",
        minimum=1,
        default_text="with all images",
        group=COMPARISON,
    )
    transfer: str = option(
        "copy", "how images get into the result", choices=TRANSFERS, group=OUTPUT
    )
    keep_batches: bool = option(
        False, "write the batch folders beside the result too", group=OUTPUT
    )
    overwrite: bool = option(
        False, "remove first what an earlier run recorded that it made in --dst", group=OUTPUT
    )
    resume: bool = option(
        False,
        "go on with a run that was interrupted, or cut a finished one at another --threshold",
        group=OUTPUT,
    )
    dry_run: bool = option(False, "say what would be written, write nothing", group=OUTPUT)
    recursive: bool = option(False, "sub-folders too", group=INPUT)
    jobs: int | None = option(None, "workers", minimum=1, default_text="all cores", group=WORKERS)
    executor: str = option("threads", "what the workers are", choices=EXECUTORS, group=WORKERS)
    scheduler: str | None = option(
        None,
        "Dask scheduler, such as tcp://host:8786",
        metavar="ADDRESS",
        default_text="a local Dask cluster",
        group=WORKERS,
    )
    device: str = option(
        "cpu",
        "what computes (imagehash, ssim, tm, deep): cpu, cuda, cuda:N, mps or auto",
        metavar="DEVICE",
        group=COMPARISON,
        words=DEVICES,
    )
    max_pixels: int = option(
        MAX_PIXELS, "pictures that claim more are not read", unit="pixels", minimum=1, group=SAFETY
    )
    memory: int | None = option(
        None,
        "what features may take before they go to files: 500MB, 4GB, 1.5GiB",
        parse=parse_bytes,
        minimum=LEAST,
        metavar="SIZE",
        default_text="half of the machine's memory",
        group=WORKERS,
    )
    scratch: Path | None = option(
        None,
        "folder for these files; workers on other machines must see it too",
        metavar="DIR",
        default_text="the system's folder for temporary files",
        group=WORKERS,
    )
    isolate: bool | None = option(
        None,
        "decode in processes that can be killed: what crashes or hangs a decoder, or takes too"
        " much memory, is listed as unreadable",
        default_text="on with --executor processes and dask, off with threads",
        group=SAFETY,
    )
    decode_timeout: float = option(
        TIMEOUT,
        "with --isolate, what takes longer to decode is given up",
        unit="seconds",
        parse=float,
        minimum=0.1,
        group=SAFETY,
    )
    cache: str | Path | bool | None = option(
        None,
        "folder of kept features: what has not changed is not read again",
        parse=Path,
        metavar="DIR",
        default_text="the user's cache folder",
        group=CACHE,
    )
    cache_size: int = option(
        DEFAULT_BYTES,
        "what they may take; those not used for longest go first",
        parse=parse_bytes,
        minimum=LEAST_BYTES,
        metavar="SIZE",
        default_text="2GB",
        group=CACHE,
    )
    decisions: bool = option(
        True, "follow what clusterimg decide was told of these images", group=CLUSTERS
    )
    report: bool = option(True, "write report.html into the result", group=OUTPUT)
    seed: int = option(
        0, "where chance starts (minhash, deep, --sample)", minimum=0, group=COMPARISON
    )
    reference: Path | None = option(
        None,
        "count only links to images of this folder: which of the new ones are in it already?"
        " reference.csv names them",
        metavar="DIR",
        group=INPUT,
    )
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.memory is not None:
            object.__setattr__(self, "memory", memory_of(self.memory))  # "4GB" in Python calls
        if self.scratch is not None:
            object.__setattr__(self, "scratch", Path(self.scratch))
        if isinstance(self.cache, str):
            object.__setattr__(self, "cache", Path(self.cache))
        object.__setattr__(self, "cache_size", memory_of(self.cache_size, "--cache-size"))
        check_options(self)
        if self.linkage is not None:
            object.__setattr__(self, "linkage", lookup(LINKAGES, self.linkage, "linkage")[0])
        if isinstance(self.threshold, (int, float)) and not self.threshold <= 1:
            raise UsageError(f"--threshold {self.threshold:g}: a number up to 1 is needed")
        check_device(self.device)
        name = self.method or DEFAULT_METHOD
        check_supported(method_class(name), name, self.device)
        if self.size is not None and self.scale is not None:
            raise UsageError("--size and --scale exclude each other: give one of them")
        if self.resume and self.overwrite:
            raise UsageError("--resume and --overwrite exclude each other: give one of them")
        if self.keep_batches and self.transfer == "move":
            raise UsageError("--keep-batches needs every image twice: not with --transfer move")
        if self.stage == "batch" and self.transfer == "none":
            raise UsageError("--stage batch with --transfer none would leave no folders to merge")
        if self.reference is not None:
            self._check_reference()

    def _check_reference(self) -> None:
        """Check that the settings are valid for clustering against a reference."""
        object.__setattr__(self, "reference", Path(self.reference))  # type: ignore[arg-type]
        for flag, given in (
            (f"--stage {self.stage}", self.stage != "all"),
            (f"--linkage {self.linkage}", self.linkage not in (None, DEFAULT_LINKAGE)),
            ("--candidates", self.candidates is not None),
            ("--keep-batches", self.keep_batches),
        ):
            if given:
                raise UsageError(
                    f"{flag} and --reference exclude each other: with a reference, every image is"
                    " compared with all of it, and batches have no clusters of their own"
                )
        method = self.make_method()
        try:
            method.by_links()
        except UsageError:
            raise UsageError(
                f"--reference counts links, and models are asked for: leave the flags for the"
                f" models of {method.name!r} out"
            ) from None

    def result_folder(self, source: Path) -> Path:
        """`dst`, or ``<source>_clustered`` beside the source."""
        return self.dst if self.dst is not None else beside(source, "_clustered")

    def isolation(self) -> Isolation | None:
        """Limits of the decoding processes; None = the workers decode."""
        return isolation_of(vars(self))

    def make_method(self) -> Method:
        """The method with its options, `size` and `seed` among them."""
        name = self.method or DEFAULT_METHOD
        options = dict(self.options)
        if self.size is not None:
            options["size"] = self.size
        known = options_of(method_class(name))
        for shared in ("seed", "device"):
            if shared in known:
                options.setdefault(shared, getattr(self, shared))
        return make_method(name, **options)
