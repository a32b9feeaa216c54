"""Parquet files of features, links and clusters: columns that other programs read and write."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.directions import directions_of_any
from icas.clusterimg.data.images import Unreadable
from icas.clusterimg.data.links import Links, each_once
from icas.common.errors import IcasError, UsageError
from icas.common.registry import need
from icas.io.files import path_of, write_whole

KEY = b"icas"
"""Metadata of the schema: method, settings, shapes of the columns, unreadable files."""
ROWS = 1 << 20
"""Links of one row group."""
_DIRECTIONS = 1 << 14
"""Vectors that are scaled to length 1 at a time."""
_MOST_BYTES = 1 << 26
"""About the bytes of features in one row group."""


class _Sink:
    """Collects what a Parquet writer writes, to be passed on part by part."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.closed = False
        self._at = 0

    def write(self, data: Any) -> int:
        self.parts.append(bytes(data))
        self._at += len(self.parts[-1])
        return len(self.parts[-1])

    def tell(self) -> int:
        return self._at

    def taken(self) -> Iterator[bytes]:
        """The bytes since the last call."""
        parts, self.parts = self.parts, []
        yield from parts

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def need_pyarrow(what: str = "Parquet") -> None:
    """Raise MissingExtraError without pyarrow."""
    need(what, "parquet", "pyarrow")


class Features(NamedTuple):
    """The fields of a FeatureSet."""

    method: str
    arrays: Mapping[str, NDArray[Any]]
    settings: Mapping[str, Any]
    files: tuple[str, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()


def features_file(features: Features) -> Iterator[bytes]:
    """A Parquet file of `features`, some rows at a time."""
    import pyarrow as pa

    fields = [pa.field("file", pa.string())] if features.files else []
    arrays = {name: np.asarray(array) for name, array in features.arrays.items()}
    count = len(next(iter(arrays.values())))
    size = sum(array.nbytes for array in arrays.values())
    fields += [pa.field(name, _type_of(array)) for name, array in arrays.items()]
    about = {
        "method": features.method,
        "settings": {name: plain(value) for name, value in features.settings.items()},
        "shapes": {name: [str(each.dtype), *each.shape[1:]] for name, each in arrays.items()},
        "unreadable": [[lost.file, lost.reason] for lost in features.unreadable],
    }
    schema = pa.schema(fields, {KEY: json.dumps(about).encode()})
    step = max(1, _MOST_BYTES * max(count, 1) // max(size, 1))

    def tables() -> Iterator[Any]:
        for start in range(0, count, step):
            part = slice(start, start + step)
            columns = [_column_of(features.files[part])] if features.files else []
            columns += [_column(array[part]) for array in arrays.values()]
            yield pa.table(columns, schema=schema)

    return _file(schema, tables())


def links_file(links: Links, floor: float) -> Iterator[bytes]:
    """A Parquet file with the columns ``a``, ``b`` (int64) and ``similarity`` (float32).

    floor: similarity from which on `links` has all; metadata of the schema, as JSON.
    """
    import pyarrow as pa

    about = {"floor": floor} if math.isfinite(floor) else {}
    kinds = {"a": pa.int64(), "b": pa.int64(), "similarity": pa.float32()}
    schema = pa.schema(list(kinds.items()), {KEY: json.dumps(about).encode()})
    tables = (
        pa.table([pa.array(column) for column in (part.a, part.b, part.similarity)], schema=schema)
        for part in links.parts(ROWS)
    )
    return _file(schema, tables)


def table_file(columns: Mapping[str, NDArray[Any] | Sequence[str]]) -> Iterator[bytes]:
    """A Parquet file of some columns."""
    import pyarrow as pa

    table = pa.table({name: _column_of(values) for name, values in columns.items()})
    return _file(table.schema, [table])


def _column_of(values: Any) -> Any:
    """A column of numbers or text; UsageError for a name that is not text."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except UnicodeEncodeError as error:
        name = ascii(error.object)
        raise UsageError(
            f"{name} is not UTF-8, as Parquet files need: rename it, or use the CSV tables"
        ) from None


def _file(schema: Any, tables: Iterable[Any]) -> Iterator[bytes]:
    import pyarrow.parquet as pq

    repeated = [one.name for one in schema if one.type != "int64"]  # numbers of images rarely are
    sink = _Sink()
    with pq.ParquetWriter(sink, schema, compression="zstd", use_dictionary=repeated) as writer:
        for table in tables:
            writer.write_table(table)
            yield from sink.taken()
    yield from sink.taken()


def write_features(features: Features, path: str | os.PathLike[str]) -> None:
    """Write `features` to a new Parquet file.

    Raises UsageError: the file exists; IcasError: it cannot be written; MissingExtraError.
    """
    need_pyarrow()
    target = path_of(path, "path")
    check_new(target)
    try:
        write_whole(target, features_file(features))
    except OSError as error:
        raise IcasError(f"cannot write {target}: {error.strerror or error}") from error


def check_new(target: Path) -> None:
    """Raise UsageError if `target` exists."""
    if os.path.lexists(target):
        raise UsageError(f"{target} exists: choose another name, or remove it")


def read_features(path: str | os.PathLike[str], column: str | None, files: str) -> Features:
    """Features from a Parquet file; parameters as of `FeatureSet.from_parquet`."""
    need_pyarrow()
    source = path_of(path, "path")
    return _features_in(_read(source, None), source, column, files)


def _features_in(table: Any, source: Path, column: str | None, files: str) -> Features:
    about = _about(table, source)
    names = _names(table, files, source)
    if about and column is None:
        try:
            arrays = {
                name: _array(table, name, source).astype(shape[0]).reshape(-1, *shape[1:])
                for name, shape in about["shapes"].items()
            }
            lost = tuple(Unreadable(*each) for each in about["unreadable"])
            settings = {name: restored(value) for name, value in about["settings"].items()}
            return Features(about["method"], arrays, settings, names, lost)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"cannot read {source}: its icas metadata is damaged") from error
    chosen = column or _only_column(table, files, source)
    rows = _array(table, chosen, source)
    if rows.dtype == np.uint8:
        return Features("imagehash", {"bits": rows}, {}, names)
    vectors = _directions(rows, f"{source}: column {chosen!r}")
    return Features("deep", {"vectors": vectors}, {"dims": 0}, names)


def row_count(source: Path) -> int:
    """Number of rows of a Parquet file; UsageError if it is none."""
    with _opened(source) as file:
        return int(file.metadata.num_rows)


def read_rows(source: Path, start: int, stop: int, column: str | None, files: str) -> Features:
    """As `read_features`, of the rows from `start` to `stop`; only their row groups are read."""
    import pyarrow as pa

    with _opened(source) as file:
        ends = np.cumsum(
            [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        )
        first = int(np.searchsorted(ends, start, side="right"))
        last = int(np.searchsorted(ends, stop, side="left"))
        at = int(ends[first - 1]) if first else 0
        kept = []
        groups = range(first, min(last, file.num_row_groups - 1) + 1)
        for batch in file.iter_batches(row_groups=list(groups)):
            left, right = max(start - at, 0), min(stop - at, batch.num_rows)
            if left < right:
                kept.append(batch.slice(left, right - left))
            at += batch.num_rows
        schema = file.schema_arrow
    return _features_in(pa.Table.from_batches(kept, schema), source, column, files)


@contextmanager
def _opened(source: Path) -> Iterator[Any]:
    """The Parquet file; a UsageError where it cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(source) as file:
            yield file
    except FileNotFoundError:
        raise UsageError(f"{source} does not exist") from None
    except (pa.ArrowInvalid, OSError) as error:
        line = str(error).splitlines()[0] if str(error) else "not a Parquet file"
        raise UsageError(f"cannot read {source}: {line}") from None


def read_links(path: str | os.PathLike[str], count: int | None) -> tuple[Links, int, float]:
    """Links, number of images and floor from a Parquet file with the columns a, b, similarity."""
    need_pyarrow()
    source = path_of(path, "path")
    table = _read(source, ["a", "b", "similarity"])
    sides = []
    for name in ("a", "b"):
        values = _values(table, name, source)
        if values.dtype.kind not in "iu" or values.min(initial=0) < 0:
            raise UsageError(f"{source}: column {name!r} must hold image numbers from 0 on")
        sides.append(values.astype(np.int64))
    similarity = _values(table, "similarity", source)
    if similarity.dtype.kind != "f" or np.isnan(similarity).any():
        raise UsageError(f"{source}: column 'similarity' must hold numbers")
    first, second = np.minimum(*sides), np.maximum(*sides)
    if (first == second).any():
        raise UsageError(f"{source}: an image is linked with itself")
    images = int(second.max(initial=-1)) + 1
    if count is not None and count < images:
        raise UsageError(f"{source}: image {images - 1} of {count} images: numbers start at 0")
    links = Links(first, second, similarity.astype(np.float32))
    greatest_first = links.select(np.argsort(-links.similarity, kind="stable"))
    floor = _about(table, source).get("floor", links.similarity.min(initial=np.inf))
    return each_once(greatest_first), images if count is None else count, float(floor)


def _read(source: Path, columns: list[str] | None) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(source, columns=columns)
    except FileNotFoundError:
        raise UsageError(f"{source} does not exist") from None
    except (pa.ArrowInvalid, OSError) as error:
        line = str(error).splitlines()[0] if str(error) else "not a Parquet file"
        raise UsageError(f"cannot read {source}: {line}") from None
    missing = set(columns or ()) - set(table.column_names)
    if missing:
        raise UsageError(f"{source}: no column {sorted(missing)[0]!r}, only {_columns(table)}")
    return table


def _columns(table: Any) -> str:
    return ", ".join(table.column_names) or "none"


def _about(table: Any, source: Path) -> dict[str, Any]:
    text = (table.schema.metadata or {}).get(KEY)
    if text is None:
        return {}
    try:
        about = json.loads(text)
    except ValueError as error:
        raise UsageError(f"cannot read {source}: its icas metadata is damaged") from error
    return about if isinstance(about, dict) else {}


def _names(table: Any, files: str, source: Path) -> tuple[str, ...]:
    import pyarrow as pa

    if files not in table.column_names:
        if files != "file":
            raise UsageError(f"{source}: no column {files!r}, only {_columns(table)}")
        return ()
    column = table.column(files)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise UsageError(f"{source}: column {files!r} must hold file names")
    return tuple(column.to_pylist())


def _only_column(table: Any, files: str, source: Path) -> str:
    fitting = [name for name in table.column_names if name != files and _is_rows(table, name)]
    if len(fitting) != 1:
        found = " and ".join(map(repr, fitting)) or "no column of vectors"
        raise UsageError(f"{source}: {found} among {_columns(table)}: name one with column=")
    return str(fitting[0])


def _is_rows(table: Any, name: str) -> bool:
    import pyarrow as pa

    kind = table.schema.field(name).type
    return bool(
        pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
    )


def _array(table: Any, name: str, source: Path) -> NDArray[Any]:
    """(n, k) values of a column of vectors or codes of one length."""
    import pyarrow as pa

    if name not in table.column_names:
        raise UsageError(f"{source}: no column {name!r}, only {_columns(table)}")
    column = table.column(name).combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else column.chunk(0)
    if column.null_count or not _is_rows(table, name):
        what = "has empty rows" if column.null_count else f"holds {column.type}, not vectors"
        raise UsageError(f"{source}: column {name!r} {what}")
    binary = pa.types.is_binary(column.type) or pa.types.is_fixed_size_binary(column.type)
    if binary:
        flat, lengths = _bytes_in(column)
    else:
        lengths = set(np.unique(column.value_lengths().to_numpy(zero_copy_only=False)).tolist())
        flat = column.flatten().to_numpy(zero_copy_only=False)
    if len(lengths) > 1:
        raise UsageError(f"{source}: column {name!r} has rows of different lengths")
    width = int(next(iter(lengths), 0))
    return np.asarray(flat).reshape(len(column), width)


def _bytes_in(column: Any) -> tuple[NDArray[np.uint8], set[int]]:
    """All bytes of a binary column without nulls, and the different lengths of its rows."""
    import pyarrow as pa

    _, *places, data = column.buffers()
    values = np.frombuffer(data or b"", np.uint8)
    first, end = column.offset, column.offset + len(column)
    if pa.types.is_fixed_size_binary(column.type):
        width = column.type.byte_width
        return values[first * width : end * width], {width}
    ends = np.frombuffer(places[0] or b"", np.int32)[first : end + 1]
    if not len(column):
        return values[:0], set()
    return values[ends[0] : ends[-1]], set(np.unique(np.diff(ends)).tolist())


def _values(table: Any, name: str, source: Path) -> NDArray[Any]:
    column = table.column(name)
    if column.null_count:
        raise UsageError(f"{source}: column {name!r} has empty rows")
    return np.asarray(column.to_numpy())


def _directions(rows: NDArray[Any], where: str) -> NDArray[np.float32]:
    """Vectors of length 1, as ``deep`` compares them by cosine."""
    if rows.dtype.kind not in "fiu":
        raise UsageError(f"{where} must hold numbers")
    unit = np.empty(rows.shape, np.float32)
    for start in range(0, len(rows), _DIRECTIONS):
        part = slice(start, start + _DIRECTIONS)
        vectors = rows[part].astype(np.float64)
        if not np.isfinite(vectors).all():
            raise UsageError(f"{where} contains NaN or infinity")
        unit[part] = directions_of_any(vectors)
    return unit


def _type_of(array: NDArray[Any]) -> Any:
    import pyarrow as pa

    width = math.prod(array.shape[1:])
    if array.dtype == np.uint8 and array.ndim == 2 and width:
        return pa.binary(width)
    return pa.list_(pa.from_numpy_dtype(array.dtype), width)


def _column(array: NDArray[Any]) -> Any:
    import pyarrow as pa

    kind = _type_of(array)
    flat = np.ascontiguousarray(array).reshape(-1)
    if pa.types.is_fixed_size_binary(kind):
        buffer = pa.py_buffer(flat)
        return pa.FixedSizeBinaryArray.from_buffers(kind, len(array), [None, buffer])
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind)


def plain(value: Any) -> Any:
    """A setting as JSON has it; see `restored`."""
    if isinstance(value, Path):
        return {"path": str(value)}
    if isinstance(value, (tuple, list)):
        return [plain(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value


def restored(value: Any) -> Any:
    """The setting that `plain` made of it."""
    if isinstance(value, dict):
        return Path(value["path"])
    return tuple(map(restored, value)) if isinstance(value, list) else value
