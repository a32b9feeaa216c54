"""Questions about the clusters of a finished result; answers become constraints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from icas.clusterimg.api.functions import similarity_matrix
from icas.clusterimg.editing.changed_clusters import constraints_of_change
from icas.clusterimg.editing.constraints import decide, folder_of, store_constraints
from icas.clusterimg.editing.recut import recut
from icas.clusterimg.editing.result_images import ResultImages
from icas.clusterimg.methods.base import settings_of
from icas.clusterimg.questions.pairs import MOST_IMAGES, PairQuestions, Question
from icas.clusterimg.results.report import ClusterReport
from icas.clusterimg.results.saved import FinishedRun, method_of_run
from icas.common.errors import ConflictError, UsageError
from icas.io.files import path_of


@dataclass(frozen=True)
class AskedPair:
    """A question whether two images belong to one cluster.

    Attributes
    ----------
    a, b : str
        Images, as in ``clusters.csv``.
    paths : tuple of Path
        Their files now.
    same : float
        Estimated probability that the answer is yes, 0 to 1.
    images : tuple of int
        Images of the two groups that the answer joins or splits.
    together : bool
        Whether the two images are in one cluster now.

    See Also
    --------
    icas.ask : Ask the questions.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> Image.fromarray(data.coffee()).save("photos/cup.jpg")
    >>> Image.fromarray(data.camera()).save("photos/camera.jpg")
    >>> how = {"method": "imagehash", "threshold": 0.95}
    >>> report = icas.cluster("photos", **how, dst="sorted", cache="kept")
    >>> session = icas.ask("sorted")
    >>> pair = next(iter(session))
    >>> sorted([pair.a, pair.b]), pair.together, pair.images
    (['camera.jpg', 'cup.jpg'], False, (1, 1))
    """

    a: str
    b: str
    paths: tuple[Path, Path]
    same: float
    images: tuple[int, int]
    together: bool


class AskSession:
    """Yes/no questions about a finished result, most informative first; see `icas.ask`.

    Iterate over it for the questions, answer each with `answer`, and change the result with
    `apply`. Answers are stored at once, so an interrupted session loses none.

    Parameters
    ----------
    dst : str or Path
        Result folder.
    cache : str or Path, optional
        Folder of the constraints. Default: the cache folder of the run.

    See Also
    --------
    icas.ask : The same as a function, with its errors.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> Image.fromarray(data.coffee()).save("photos/cup.jpg")
    >>> Image.fromarray(data.camera()).save("photos/camera.jpg")
    >>> how = {"method": "imagehash", "threshold": 0.95}
    >>> report = icas.cluster("photos", **how, dst="sorted", cache="kept")
    >>> session = icas.ask("sorted")
    >>> for pair in session:
    ...     session.answer(False)
    >>> session.asked, session.apply().clusters
    (1, 0)
    """

    def __init__(self, dst: str | Path, *, cache: str | Path | None = None) -> None:
        self.dst = path_of(dst, "dst")
        finished = FinishedRun.read(self.dst)
        if finished.run["threshold"] is None:
            raise UsageError(f"{dst} has clusters of models: questions need a run with a threshold")
        self._files = finished.state.files
        if len(self._files) > MOST_IMAGES:
            raise UsageError(
                f"{dst} has {len(self._files)} images: questions are chosen for at most"
                f" {MOST_IMAGES}"
            )
        self._threshold = float(finished.run["threshold"])
        self._images = ResultImages.read(self.dst)
        self._folder = folder_of(self.dst, cache)
        self._paths = tuple(self._images.path(file) for file in self._files)
        matrix = np.ones((len(self._files),) * 2, np.float32)
        if len(self._files) > 1:
            method = method_of_run(finished.run)
            matrix = similarity_matrix(list(self._paths), method=method.name, **settings_of(method))
        self._start = finished.labels
        self._questions = PairQuestions(matrix, self._start)
        self._current: Question | None = None

    @property
    def asked(self) -> int:
        """int: Number of answers so far."""
        return self._questions.asked

    def __iter__(self) -> Iterator[AskedPair]:
        """The questions; each must be answered before the next."""
        while True:
            self._current = self._questions.next()
            if self._current is None:
                return
            yield self._shown(self._current)
            if self._current is not None:
                raise RuntimeError("answer the question before the next one")

    def answer(self, same: bool | None) -> None:
        """Answer the current question.

        Parameters
        ----------
        same : bool or None
            True: one cluster; False: different clusters; None: unsure, not asked again.

        Raises
        ------
        ConflictError
            The answer contradicts stored constraints; it was not stored, nor applied.
        """
        question = self._current
        if question is None:
            raise RuntimeError("no question is open")
        self._current = None
        if same is None:
            self._questions.answer(question, None)
            return
        what = "must-link" if same else "cannot-link"
        names = (self._files[question.a], self._files[question.b])
        try:
            decide(self.dst, what, *names, cache=self._folder)
        except ConflictError:
            self._questions.answer(question, None)
            raise
        self._questions.answer(question, same)

    def apply(self) -> ClusterReport:
        """Store the groups that changed as constraints, and move the files of the result.

        Returns
        -------
        ClusterReport
            The new state of the result.

        Raises
        ------
        UsageError, ConflictError, IcasError
            As for `icas.recut`.
        """
        end = self._questions.partition
        constraints = constraints_of_change(self._images, self._files, self._start, end, "ask")
        if constraints:
            store_constraints(self._folder, "ask", constraints)
        return recut(self.dst, self._threshold)

    def _shown(self, question: Question) -> AskedPair:
        return AskedPair(
            self._files[question.a],
            self._files[question.b],
            (self._paths[question.a], self._paths[question.b]),
            question.same,
            (len(question.first), len(question.second)),
            question.together,
        )


def ask(dst: str | Path, *, cache: str | Path | None = None) -> AskSession:
    """Ask yes/no questions about a finished result, like ``clusterimg ask``.

    Parameters
    ----------
    dst : str or Path
        Result folder of a run with a threshold, of at most 10,000 images.
    cache : str or Path, optional
        Folder of the constraints. Default: the cache folder of the run.

    Returns
    -------
    AskSession
        Iterate over it for the questions; see its methods ``answer`` and ``apply``.

    Raises
    ------
    UsageError
        No finished result, a result without a threshold, or one of too many images.
    ConflictError
        Files were changed, removed or added since the run.

    See Also
    --------
    icas.must_link, icas.cannot_link : Set constraints on two images.

    Notes
    -----
    A question is about the medoids of two groups: the halves of a cluster by average linkage, or
    a cluster and one of its nearest clusters. The one is chosen for which the probability that the
    clusters are wrong, times the square root of the number of pairs of images, is greatest. An
    answer changes only the clusters that it is about.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> Image.fromarray(data.coffee()).save("photos/cup.jpg")
    >>> Image.fromarray(data.coffee()[20:, 30:]).save("photos/cropped.jpg")
    >>> Image.fromarray(data.camera()).save("photos/camera.jpg")
    >>> how = {"method": "imagehash", "threshold": 0.95}
    >>> report = icas.cluster("photos", **how, dst="sorted", cache="kept")
    >>> report.clusters
    0
    >>> session = icas.ask("sorted")
    >>> for question in session:
    ...     session.answer({question.a, question.b} == {"cup.jpg", "cropped.jpg"})
    >>> session.apply().clusters
    1
    """
    return AskSession(dst, cache=cache)
