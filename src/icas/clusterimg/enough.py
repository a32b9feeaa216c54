"""How large a picture has to be decoded for a method that makes it small anyway."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from icas.clusterimg.methods.base import Method, settings_of
from icas.clusterimg.on_device import OnDevice
from icas.common.options import Size

DETAIL = {"imagehash": 8, "tm": 8, "minhash": 8, "deep": 8, "ssim": 4, "orb": 4}
"""How many times larger than a method's own size a picture is decoded at the least. Measured
(docs/reading.md): so features hardly change."""


@runtime_checkable
class SaysEnough(Protocol):
    """A method that says at what size its images hold all that it looks at."""

    def enough(self) -> Size | int | None:
        """Width and height, or the longer side alone; None = as large as they are."""
        ...


def enough_for(method: Method, size: Size | None = None) -> Size | int | None:
    """What of a picture `method` needs: width and height, or the longer side; None = all of it.

    Parameters
    ----------
    size : (int, int), optional
        What its images are brought to, where it is known already.
    """
    if isinstance(method, OnDevice):
        method = method.method
    if isinstance(method, SaysEnough):
        return method.enough()
    detail = DETAIL.get(method.name)
    taken = size or _size_taken(method.name, settings_of(method))
    if detail is None or taken is None:
        return None
    if isinstance(taken, int):
        return detail * taken
    return detail * taken[0], detail * taken[1]


def _size_taken(name: str, options: dict[str, Any]) -> Size | int | None:
    """What the methods of this package bring images to."""
    given: Size | None = options.get("size")
    if given is not None:
        return given
    if name == "imagehash":
        side = options["hash_size"] * options["highfreq_factor"]
        return side, side
    if name == "minhash":
        from icas.clusterimg.methods.minhash import SIDE

        return SIDE, SIDE
    if name == "orb":
        from icas.clusterimg.methods.orb import SIDE as LONG_SIDE

        return LONG_SIDE
    return None
