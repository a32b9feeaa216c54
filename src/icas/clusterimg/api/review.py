"""`icas.review`: the review of a finished run, in a notebook or a browser."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from icas.common.errors import UsageError
from icas.common.registry import Entry, need
from icas.io.files import path_of
from icas.notebook.page_server import PageServer

SERVING = Entry("icas.web.review:serving", "server of a review")
"""Loaded at first use: it needs the extra web, and imports this half of the package."""


class ReviewServer(PageServer):
    """A running review of a finished result, as `icas.review` returns it.

    In a notebook it shows the page in a frame. It runs until `close`, or until Python ends; every
    change is saved at once.

    Parameters
    ----------
    dst : str or Path
        Result folder.
    host : str, default "127.0.0.1"
        Address to listen on.
    port : int, default 0
        Port to listen on; 0: any free one.
    discard : bool, default False
        Drop changes that were not applied, if the result was changed since.

    Attributes
    ----------
    url : str
        Address with the token, for a browser on this machine.
    read_only : bool
        Whether another process edits the review.

    See Also
    --------
    icas.review : The same as a function, with its errors.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> Image.fromarray(data.coffee()).save("photos/cup.jpg")
    >>> Image.fromarray(data.coffee()[20:, 30:]).save("photos/cropped.jpg")
    >>> how = {"method": "imagehash", "threshold": 0.6}
    >>> report = icas.cluster("photos", **how, dst="sorted", cache="kept")
    >>> with icas.review("sorted") as server:
    ...     server.url.startswith("http://127.0.0.1:"), server.read_only
    (True, False)
    >>> server.close()
    """

    def __init__(
        self,
        dst: str | Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        discard: bool = False,
    ) -> None:
        need("icas.review", "web", "starlette", "uvicorn")
        stack = ExitStack()
        self.dst = path_of(dst, "dst")
        where = {"host": host, "port": port, "discard": discard, "embedded": True}
        server = stack.enter_context(SERVING.load()(self.dst, **where))
        super().__init__(stack, server, "icas review")
        self.read_only: bool = server.read_only

    def __repr__(self) -> str:
        return f"<ReviewServer of {self.dst}: {self.url}>"


def review(
    dst: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    discard: bool = False,
) -> ReviewServer:
    """Review the clusters of a finished result in the browser, like ``clusterimg review``.

    Clusters are named, merged, split and moved on a page, the threshold is changed, questions are
    answered, and the labelled images exported. Each change is saved at once and can be undone.
    Nothing in the result changes before it is applied on the page.

    Parameters
    ----------
    dst : str or Path
        Result folder of a finished run.
    host : str, default "127.0.0.1"
        Address to listen on.
    port : int, default 0
        Port to listen on; 0: any free one.
    discard : bool, default False
        Drop changes that were not applied, if the result was changed since.

    Returns
    -------
    ReviewServer
        The running server. A notebook shows its page in a frame; elsewhere open its ``url``.

    Raises
    ------
    MissingExtraError
        The extra ``web`` is not installed.
    UsageError
        No finished result, or no such host or port.
    ConflictError
        The result was changed since, and changes of its review are not applied.

    See Also
    --------
    icas.ask, icas.label, icas.split : The same steps one by one.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> Image.fromarray(data.coffee()).save("photos/cup.jpg")
    >>> Image.fromarray(data.coffee()[20:, 30:]).save("photos/cropped.jpg")
    >>> how = {"method": "imagehash", "threshold": 0.6}
    >>> report = icas.cluster("photos", **how, dst="sorted", cache="kept")
    >>> server = icas.review("sorted")
    >>> server.url.startswith("http://127.0.0.1:")
    True
    >>> server.close()
    """
    if not isinstance(host, str) or isinstance(port, bool) or not isinstance(port, int):
        raise UsageError(f"host {host!r}, port {port!r}: expected a name and a number")
    return ReviewServer(dst, host=host, port=port, discard=discard)
