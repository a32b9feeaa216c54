"""Training of a network on the images of the run, for method deep without one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from icas.cli.console import Console
from icas.clusterimg.methods.base import Method
from icas.clusterimg.methods.deep import Deep
from icas.clusterimg.pipeline.steps import RunContext
from icas.clusterimg.settings import ClusterSettings
from icas.clusterimg.training.checkpoints import checkpoint_path
from icas.clusterimg.training.report import TrainReport
from icas.clusterimg.training.settings import TrainSettings
from icas.common.errors import UsageError
from icas.common.registry import need
from icas.io.files import beside


def with_trained_network(context: RunContext, method: Method) -> Method:
    """`method` with a network trained on the source folder, if it is `Deep` and has none yet.

    The network is ``<folder>_model.pt`` beside the folder. An existing one is used; a training that
    was stopped is continued. A dry run leaves no file. What the run would refuse after the training
    is refused before it.

    Raises
    ------
    UsageError
        The batches of an earlier run are to be merged, and it is not known by which network; or
        settings do not go together.
    IcasError
        The training fails.
    """
    if not isinstance(method, Deep) or method.model is not None or method.weights is not None:
        return method
    settings, folder, console = context.settings, context.source, context.console
    if settings.stage == "merge":
        raise UsageError("--stage merge with method 'deep' needs --model or --weights")
    out = beside(folder, "_model.pt")
    if out.exists():
        console.line(f"network {out}: trained before")
        return replace(method, weights=out)
    need("method 'deep'", "deep", "torch", "sklearn")
    if isinstance(settings.threshold, (int, float)):
        method.by_links()
    given = _train_settings(out, method, settings)
    console.line(
        f"plan: no --model and no {out} yet: train a network on the images first"
        + (", for this dry run alone" if settings.dry_run else f" -> {out}")
    )
    if not settings.dry_run:
        console.line(f"trained: {_train(folder, given, console).summary()}")
        return replace(method, weights=out)
    with TemporaryDirectory() as scratch:
        out = Path(scratch, "model.pt")
        report = _train(folder, replace(given, out=out, resume=False), console)
        console.line(
            f"trained: {report.images} images, {len(report.curve)} epochs,"
            f" loss {report.best.judged:.4g}"
        )
        from icas.clusterimg.networks.model_files import load_autoencoder

        network, _ = load_autoencoder(out)
        grid = method.model_grid()
        by_links = isinstance(settings.threshold, (int, float))
        kinds = None if grid is None or by_links else grid.kinds
        return replace(method, model=network, cluster_model=kinds)


def _train_settings(out: Path, method: Deep, settings: ClusterSettings) -> TrainSettings:
    width, height = method.size or (TrainSettings.size, TrainSettings.size)
    if width != height:
        raise UsageError(
            f"--size {width}x{height}: a network is trained on square images, such as 64x64"
        )
    shared = ("recursive", "max_pixels", "decode_timeout", "jobs")
    return TrainSettings(
        out=out,
        size=width,
        device=method.device,
        seed=method.seed,
        isolate=settings.isolation() is not None,
        resume=checkpoint_path(out).exists(),
        **{name: getattr(settings, name) for name in shared},
    )


def _train(folder: Path, given: TrainSettings, console: Console) -> TrainReport:
    from icas.clusterimg.training.train import train

    return train(folder, given, replace(console, warnings=False))  # the run lists unreadable images
