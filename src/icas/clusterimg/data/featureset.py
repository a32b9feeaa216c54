"""FeatureSet: the features of n images as arrays, in memory or mapped from files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.images import ImageRef, Unreadable
from icas.clusterimg.data.memmap import (
    ArrayReference,
    joined,
    mapped_file_of,
    picked,
    reference_of,
    release,
)
from icas.common.errors import UsageError


@dataclass(frozen=True)
class FeatureSet:
    """Features of n images.

    `icas.features` returns it; `icas.links` and `icas.similarity_matrix` compare it. ``len`` is the
    number of images, and ``features[rows]`` selects images.

    Parameters
    ----------
    method : str
        Method that computed the features.
    arrays : mapping of str to ndarray
        Features by name; the first axis of each array has length n. The first array is `array`.
    settings : mapping, default {}
        Settings of the method.
    files : tuple of str, default ()
        File name of each image; empty for arrays.
    unreadable : tuple of Unreadable, default ()
        Files that could not be read (``.file``), and why (``.reason``).

    Attributes
    ----------
    method, arrays, settings, files, unreadable
        The parameters.

    Raises
    ------
    UsageError
        Arrays of different lengths, or a number of files other than n.

    See Also
    --------
    icas.features : Compute the features of images.

    Examples
    --------
    >>> import icas
    >>> from skimage import data
    >>> features = icas.features([data.coffee(), data.camera(), data.rocket()], method="tm")
    >>> len(features), features.array.shape, features.array.dtype, features.nbytes
    (3, (3, 10, 10, 3), dtype('uint8'), 900)
    >>> len(features[1:]), len(features[[0, 2]])
    (2, 2)
    >>> features.mapped, features.files, features.unreadable
    (False, (), ())
    >>> features.release()
    """

    method: str
    arrays: Mapping[str, NDArray[Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()

    def __post_init__(self) -> None:
        lengths = {name: len(array) for name, array in self.arrays.items()}
        if len(set(lengths.values())) != 1:
            raise UsageError(f"feature arrays differ in length: {lengths}")
        if self.files and len(self.files) != len(self):
            raise UsageError(f"{len(self.files)} file names for {len(self)} images")

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __getitem__(self, rows: slice | NDArray[Any] | Sequence[int]) -> FeatureSet:
        """Select images; a slice is a view, a list of rows a copy in memory."""
        arrays = {name: picked(array, rows) for name, array in self.arrays.items()}
        return replace(self, arrays=arrays, files=self._files_of(rows))

    def _files_of(self, rows: slice | NDArray[Any] | Sequence[int]) -> tuple[str, ...]:
        if not self.files:
            return ()
        if isinstance(rows, slice):
            return self.files[rows]
        return tuple(np.array(self.files, dtype=object)[rows])

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle mapped arrays as references: the other process maps the same file."""
        arrays = {name: reference_of(array) or array for name, array in self.arrays.items()}
        return _received, (self.method, arrays, self.settings, self.files, self.unreadable)

    @property
    def mapped(self) -> bool:
        """bool: whether the arrays are memory-mapped files."""
        return any(mapped_file_of(array) is not None for array in self.arrays.values())

    @property
    def array(self) -> NDArray[Any]:
        """ndarray: the main array; its first axis is the image."""
        return next(iter(self.arrays.values()))

    @property
    def nbytes(self) -> int:
        """int: size of the arrays in bytes."""
        return sum(array.nbytes for array in self.arrays.values())

    def release(self) -> None:
        """Free the memory of mapped arrays; later access reads the files again."""
        for array in self.arrays.values():
            release(array)

    @classmethod
    def from_bits(cls, packed: NDArray[np.uint8], method: str = "imagehash") -> FeatureSet:
        """Make a FeatureSet of hash codes that another program computed.

        Parameters
        ----------
        packed : (n, bytes) uint8 ndarray
            One code per row, eight bits per byte, as from `numpy.packbits`.
        method : str, default "imagehash"
            Method that compares the codes by Hamming distance; only imagehash.

        Returns
        -------
        FeatureSet
            `files` is empty.

        Raises
        ------
        UsageError
            Not a two-dimensional uint8 array, or another method.

        Examples
        --------
        Two 16-bit codes that differ in one bit:

        >>> import icas
        >>> import numpy as np
        >>> codes = np.array([[0b11110000, 7], [0b11110001, 7]], np.uint8)
        >>> features = icas.FeatureSet.from_bits(codes)
        >>> icas.links(features, threshold=0.9)["similarity"].tolist()
        [0.9375]
        """
        codes = np.ascontiguousarray(packed)
        if codes.dtype != np.uint8 or codes.ndim != 2 or codes.shape[1] == 0:
            raise UsageError(
                f"from_bits expects a uint8 array of shape (n, bytes), got {codes.dtype} of"
                f" shape {codes.shape}"
            )
        if method.casefold() != "imagehash":
            raise UsageError(f"from_bits supports method 'imagehash' only, not {method!r}")
        return cls("imagehash", {"bits": codes})

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write the features to a new Parquet file.

        One row per image: the column ``file``, if the images are files, and a column for each
        array. Rows of bytes are fixed-size binary, other rows are lists of one length. Method and
        settings are metadata of the schema, under ``icas``, as JSON.

        Parameters
        ----------
        path : str or Path
            A file that does not exist.

        Raises
        ------
        UsageError
            The file exists.
        IcasError
            The file cannot be written.
        MissingExtraError
            pyarrow is not installed.

        Examples
        --------
        >>> import icas
        >>> from skimage import data
        >>> features = icas.features([data.coffee(), data.camera()], method="imagehash")
        >>> features.to_parquet("features.parquet")
        >>> len(icas.FeatureSet.from_parquet("features.parquet"))
        2
        """
        from icas.clusterimg.data.parquet import Features, write_features

        parts = Features(self.method, self.arrays, self.settings, self.files, self.unreadable)
        write_features(parts, path)

    @classmethod
    def from_parquet(
        cls, path: str | os.PathLike[str], *, column: str | None = None, files: str = "file"
    ) -> FeatureSet:
        """Read features from a Parquet file: of `to_parquet`, or of another program.

        Parameters
        ----------
        path : str or Path
            The file.
        column : str, optional
            Column with one row of values per image: binary for hash codes of imagehash, compared
            by Hamming distance; a list of numbers for embeddings, compared by cosine. Default: all
            columns of `to_parquet`, or the only such column.
        files : str, default "file"
            Column of the file names.

        Returns
        -------
        FeatureSet
            With the method ``imagehash`` for codes, ``deep`` for embeddings.

        Raises
        ------
        UsageError
            No such file or column, rows of different lengths, or values that are not finite
            numbers.
        MissingExtraError
            pyarrow is not installed.

        Examples
        --------
        Embeddings that another program computed:

        >>> import icas, pandas
        >>> rows = {"file": ["a.jpg", "b.jpg"], "vector": [[0.0, 1.0], [0.6, 0.8]]}
        >>> pandas.DataFrame(rows).to_parquet("vectors.parquet")
        >>> features = icas.FeatureSet.from_parquet("vectors.parquet")
        >>> features.method, features.files
        ('deep', ('a.jpg', 'b.jpg'))
        >>> len(icas.links(features, threshold=0.7)), len(icas.links(features, threshold=0.9))
        (1, 0)
        """
        from icas.clusterimg.data.parquet import read_features

        return cls(*read_features(path, column, files))


def _received(
    method: str,
    arrays: Mapping[str, NDArray[Any] | ArrayReference],
    settings: Mapping[str, Any],
    files: tuple[str, ...],
    unreadable: tuple[Unreadable, ...],
) -> FeatureSet:
    here = {
        name: array.array() if isinstance(array, ArrayReference) else array
        for name, array in arrays.items()
    }
    return FeatureSet(method, here, settings, files, unreadable)


def concatenate(parts: Sequence[FeatureSet]) -> FeatureSet:
    """The images of all `parts` (at least one), in order.

    If one of the parts is mapped, the result is mapped too, in a new file in the same folder.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    arrays = {name: joined([part.arrays[name] for part in parts]) for name in first.arrays}
    return replace(
        first,
        arrays=arrays,
        files=tuple(file for part in parts for file in part.files),
        unreadable=tuple(file for part in parts for file in part.unreadable),
    )


@dataclass(frozen=True)
class FeatureIndex:
    """Raw features by file name.

    rows: row of each file in `features`; unreadable: files that could not be read.
    """

    features: FeatureSet
    rows: Mapping[str, int]
    unreadable: Mapping[str, Unreadable]

    @classmethod
    def of(cls, features: FeatureSet) -> FeatureIndex:
        rows = {file: row for row, file in enumerate(features.files)}
        return cls(features, rows, {each.file: each for each in features.unreadable})

    def missing(self, images: Sequence[ImageRef]) -> Sequence[ImageRef]:
        """Those of `images` that are not in it."""
        known = self.rows.keys() | self.unreadable.keys()
        return [ref for ref in images if ref.file not in known]

    def among(self, images: Sequence[ImageRef], fresh: FeatureSet) -> FeatureSet:
        """Features of `images`, in their order: from the index, or else `fresh`."""
        rows = [self.rows[ref.file] for ref in images if ref.file in self.rows]
        both = concatenate([self.features[rows], fresh])
        row_of = {file: row for row, file in enumerate(both.files)}
        order = [row_of[ref.file] for ref in images if ref.file in row_of]
        bad = {**self.unreadable, **{each.file: each for each in fresh.unreadable}}
        unreadable = tuple(bad[ref.file] for ref in images if ref.file in bad)
        return replace(both[order], unreadable=unreadable)


def merged(cached: FeatureSet | None, images: Sequence[ImageRef], fresh: FeatureSet) -> FeatureSet:
    """Features of `images`, in their order, from `cached` and `fresh` ones."""
    return fresh if cached is None else FeatureIndex.of(cached).among(images, fresh)
