"""Settings of clusterimg; flags, help, defaults and checks are made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from icas.cli import shared_options
from icas.cli.options import Size, alternatives, check_options, option, options_of, parse_size
from icas.cli.parser import CLUSTERS, INPUT, METHOD, OUTPUT, PERFORMANCE
from icas.clusterimg.cache.cache import DEFAULT_BYTES, LEAST_BYTES
from icas.clusterimg.clustering.linkages import DEFAULT_LINKAGE, LINKAGES
from icas.clusterimg.data.memory import LEAST, memory_of, parse_bytes
from icas.clusterimg.features.extraction import isolation_of
from icas.clusterimg.methods import (
    AUTO,
    METHODS,
    check_supported,
    is_auto,
    make_method,
    method_class,
    resolved,
)
from icas.clusterimg.methods.base import Method
from icas.clusterimg.transfer.execution import TRANSFERS
from icas.common.devices import check_device
from icas.common.errors import UsageError
from icas.common.registry import lookup
from icas.io.files import beside
from icas.io.sandbox import TIMEOUT, Isolation
from icas.parallel.executors import EXECUTORS

DEFAULT_METHOD = "auto"
STAGES = ("all", "batch", "merge")
MERGES = ("representatives", "exact")
DEVICES = ("cpu", "cuda", "mps", "auto")


def threshold_of(given: str | float) -> float | str:
    """A number up to 1, ``auto`` or ``pick``; UsageError for anything else."""
    try:
        threshold = parse_threshold(given)
    except (TypeError, ValueError):
        raise UsageError(f"--threshold {given!r}: expected a number, auto or pick") from None
    if isinstance(threshold, float) and not threshold <= 1:
        raise UsageError(f"--threshold {threshold:g}: expected a number up to 1")
    return threshold


def check_scale(scale: float) -> None:
    """Check a factor of sizes of images; UsageError outside of its limits."""
    option = options_of(ClusterSettings)["scale"][1]
    low, high = option.minimum or 0, option.maximum or 0
    if isinstance(scale, bool) or not isinstance(scale, (int, float)) or not low <= scale <= high:
        raise UsageError(f"--scale {scale!r}: must be between {low:g} and {high:g}")


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
        "result folder, new or empty",
        metavar="DIR",
        default_text="<src>_clustered",
        group=OUTPUT,
    )
    method: str | None = option(
        None,
        f"{', '.join(METHODS)}, auto, or several such as deep+orb",
        parse=str,
        metavar="NAME",
        default_text=DEFAULT_METHOD,
        group=METHOD,
        words=(*METHODS, AUTO),
    )
    threshold: float | str | None = option(
        None,
        "minimum similarity of a link: a number, auto or pick",
        parse=parse_threshold,
        metavar="F",
        default_text="pick in a terminal with a display, else auto",
        group=CLUSTERS,
        words=("auto", "pick"),
    )
    sample: int | None = option(
        None,
        "images sampled to choose the threshold",
        minimum=2,
        default_text="1500 images; ssim 1000, orb 600",
        group=CLUSTERS,
    )
    batch_size: int | None = option(
        None,
        "images per batch",
        minimum=2,
        default_text="as many images as fit 2 GB of features, at most 10000",
        group=CLUSTERS,
    )
    size: Size | None = option(
        None,
        "resize images to this size in pixels",
        parse=parse_size,
        minimum=1,
        maximum=65535,
        default_text="the method's",
        group=METHOD,
    )
    scale: float | None = option(
        None,
        "resize images by this factor; methods with a common size resize to the median size times"
        " this",
        minimum=0.001,
        maximum=100,
        group=METHOD,
    )
    stage: str = option(
        "all",
        "batch: stop after writing batch folders; merge: merge the batch folders in --src, with"
        " their method, threshold and linkage; all: both",
        choices=STAGES,
        metavar="STAGE",
        group=CLUSTERS,
    )
    merge: str = option(
        "representatives",
        "merge batches by comparing representatives (one image per cluster) or exact (all pairs)",
        choices=MERGES,
        metavar="HOW",
        group=CLUSTERS,
    )
    linkage: str | None = option(
        None,
        alternatives(LINKAGES),
        parse=str,
        choices=LINKAGES,
        metavar="NAME",
        default_text=DEFAULT_LINKAGE,
        group=CLUSTERS,
    )
    candidates: int | None = option(
        None,
        "compare each image only with N candidates (orb, ssim, tm)",
        minimum=1,
        default_text="all images",
        group=METHOD,
    )
    transfer: str = option(
        "copy",
        alternatives(TRANSFERS),
        choices=TRANSFERS,
        metavar="HOW",
        group=OUTPUT,
    )
    keep_batches: bool = option(False, "also write the batch folders", group=OUTPUT)
    overwrite: bool = shared_options.overwrite("the earlier result in --dst")
    resume: bool = shared_options.resume("a run, or apply another --threshold")
    dry_run: bool = shared_options.dry_run()
    recursive: bool = shared_options.recursive()
    jobs: int | None = shared_options.jobs()
    executor: str = option(
        "threads",
        alternatives(EXECUTORS),
        choices=EXECUTORS,
        metavar="NAME",
        group=PERFORMANCE,
    )
    scheduler: str | None = option(
        None,
        "address of a Dask scheduler: tcp://HOST:PORT",
        metavar="ADDRESS",
        default_text="a local Dask cluster",
        group=PERFORMANCE,
    )
    device: str = option(
        "cpu",
        "compute device for imagehash, ssim, tm and deep: cpu, cuda, cuda:N, mps or auto",
        metavar="DEVICE",
        group=METHOD,
        words=DEVICES,
    )
    max_pixels: int = shared_options.max_pixels()
    memory: int | None = option(
        None,
        "memory for features, such as 500MB or 4GB; the rest is on disk",
        parse=parse_bytes,
        minimum=LEAST,
        unit="bytes",
        metavar="SIZE",
        default_text="half of the machine's memory",
        group=PERFORMANCE,
    )
    scratch: Path | None = option(
        None,
        "folder for features on disk, visible to all workers",
        metavar="DIR",
        default_text="the system's temporary folder",
        group=PERFORMANCE,
    )
    isolate: bool | None = shared_options.isolate(
        None, "on with --executor processes and dask, off with threads"
    )
    decode_timeout: float = shared_options.decode_timeout(TIMEOUT)
    cache: str | Path | bool | None = option(
        None,
        "folder of the feature cache",
        parse=Path,
        metavar="DIR",
        default_text="the user's cache folder",
        group=PERFORMANCE,
    )
    cache_size: int = option(
        DEFAULT_BYTES,
        "maximum cache size; least recently used entries are evicted",
        parse=parse_bytes,
        minimum=LEAST_BYTES,
        unit="bytes",
        metavar="SIZE",
        default_text="2GB",
        group=PERFORMANCE,
    )
    decisions: bool = option(True, "apply stored must-link/cannot-link constraints", group=CLUSTERS)
    report: bool = option(True, "write report.html", group=OUTPUT)
    seed: int = option(0, "random seed for sampling, minhash and deep", minimum=0, group=METHOD)
    reference: Path | None = option(
        None,
        "find images that are also in this folder",
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
        if self.threshold is not None:
            object.__setattr__(self, "threshold", threshold_of(self.threshold))
        check_device(self.device)
        if not self.takes_earlier_method:
            name = resolved(self.method_name, self.options)
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

    @property
    def method_name(self) -> str:
        """`method`, or the default."""
        return self.method or DEFAULT_METHOD

    @property
    def takes_earlier_method(self) -> bool:
        """Whether the run continues an earlier one, and no other method is requested."""
        return is_auto(self.method_name) and (self.resume or self.stage == "merge")

    def result_folder(self, source: Path) -> Path:
        """`dst`, or ``<source>_clustered`` beside the source."""
        return self.dst if self.dst is not None else beside(source, "_clustered")

    def isolation(self) -> Isolation | None:
        """Limits of the decoding processes; None = the workers decode."""
        return isolation_of(vars(self))

    def make_method(self) -> Method:
        """The method with its options, `size` and `seed` among them."""
        name = self.method_name
        options = dict(self.options)
        if self.size is not None:
            options["size"] = self.size
        known = options_of(method_class(resolved(name, options)))
        for shared in ("seed", "device"):
            if shared in known:
                options.setdefault(shared, getattr(self, shared))
        return make_method(name, **options)
