"""Whether the machines of a Dask cluster have what this one has: else answers depend on chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from icas.common.errors import IcasError
from icas.common.remote_tasks import icas_version

COMPUTING = ("numpy", "opencv-contrib-python", "Pillow", "ImageHash", "scikit-image", "scipy")
"""Packages on which features and similarities depend; two versions may differ in a bit."""
TALKING = ("dask", "distributed")


def check_cluster(client: Any, scheduler: str) -> None:
    """Compare the versions of the scheduler and of all workers with those here.

    Raises
    ------
    IcasError
        The first machine that lacks icas, or has other versions.
    """
    _check_icas(client, scheduler)
    found = client.get_versions(packages=list(COMPUTING))
    ours = found["client"]["packages"]
    _compare(f"the Dask scheduler at {scheduler}", ours, found["scheduler"]["packages"], TALKING)
    for address, told in sorted(found["workers"].items()):
        _compare(f"Dask worker {address}", ours, told["packages"], (*TALKING, *COMPUTING))


def _check_icas(client: Any, scheduler: str) -> None:
    """All machines must have the icas that is here; tasks name its functions."""
    own = icas_version()
    told: dict[str, Any] = client.run(icas_version, on_error="return")
    try:
        told = {**told, scheduler: client.run_on_scheduler(icas_version)}
    except Exception as error:
        told = {**told, scheduler: error}
    for address, version in sorted(told.items()):
        who = f"{'the Dask scheduler at' if address == scheduler else 'Dask worker'} {address}"
        if isinstance(version, Exception) and "ModuleNotFoundError" in repr(version):
            raise IcasError(f"{who} cannot load icas ({version}): pip install 'icas[dask]' there")
        if isinstance(version, Exception):
            raise IcasError(f"{who} does not answer: {version}")
        if version != own:
            raise IcasError(f"{who} has icas {version}, here is {own}: install the same")


def _compare(
    who: str, ours: Mapping[str, Any], theirs: Mapping[str, Any], names: tuple[str, ...]
) -> None:
    """What both have must be the same; of Python the first two numbers."""
    other = [
        f"{name} {theirs[name]} (here {ours[name]})"
        for name in names
        if ours.get(name) and theirs.get(name) and ours[name] != theirs[name]
    ]
    if _python(ours) != _python(theirs):
        other.insert(0, f"Python {_python(theirs)} (here {_python(ours)})")
    if other:
        raise IcasError(
            f"{who} has {', '.join(other)}: install the same versions everywhere, else what comes"
            " out depends on who computes it"
        )


def _python(versions: Mapping[str, Any]) -> str:
    return ".".join(str(versions["python"]).split(".")[:2])
