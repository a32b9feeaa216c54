"""ONNX files: inputs, outputs, nodes and metadata, and further tensors made outputs.

Only the fields that are needed are read, from the wire format of protocol buffers, so that neither
the package onnx nor protobuf is required. Format: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from icas.common.errors import UnreadableImageError, UsageError
from icas.io.formats import require_file

SUFFIX = ".onnx"
Side = int | None
"""A dimension; None = any."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# numbers of fields in the messages of onnx.proto
_MODEL_GRAPH, _MODEL_METADATA = 7, 14
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 5, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP = 1, 2, 4
_TENSOR_NAME = 8
_FLOAT32 = 1


@dataclass(frozen=True)
class Tensor:
    """An input or output of a network; `shape` has None for sides of any length."""

    name: str
    shape: tuple[Side, ...]


@dataclass(frozen=True)
class Node:
    """One operation of a network, with the names of the tensors it takes and gives."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class ModelFile:
    """The content of an ONNX file.

    Attributes
    ----------
    path : Path
    data : bytes
        The whole file.
    inputs, outputs : list of Tensor
        Without constants.
    nodes : list of Node
        In the order in which they are computed.
    constants : set of str
        Names of the tensors that the file holds.
    metadata : dict of str to str
    """

    path: Path
    data: bytes = field(repr=False)
    inputs: list[Tensor]
    outputs: list[Tensor]
    nodes: list[Node] = field(repr=False)
    constants: set[str] = field(repr=False)
    metadata: dict[str, str]

    @classmethod
    def read(cls, path: str | Path) -> ModelFile:
        """Read an ONNX file.

        Raises
        ------
        UsageError
            The file does not exist, cannot be read, or is not an ONNX model.
        """
        try:
            require_file(path)
            data = Path(path).read_bytes()
        except UnreadableImageError as error:
            raise UsageError(f"cannot read the network {path}: {error.message}") from error
        except OSError as error:
            raise UsageError(f"cannot read the network {path}: {error.strerror}") from error
        try:
            model = cls(Path(path), data, *_parse(data))
        except (ValueError, IndexError, UnicodeDecodeError):
            raise UsageError(f"{path} is not an ONNX model, or is damaged") from None
        if not (model.nodes and model.inputs and model.outputs):
            raise UsageError(f"{path} is not an ONNX model: it has no network")
        return model

    def with_outputs(self, names: Sequence[str]) -> bytes:
        """The file with the tensors `names` as further outputs.

        Messages that occur twice in a protocol buffer are merged, so the outputs are appended.
        """
        have = {tensor.name for tensor in self.outputs}
        added = [_chunk(_GRAPH_OUTPUT, _float_tensor(name)) for name in names if name not in have]
        return self.data + _chunk(_MODEL_GRAPH, b"".join(added)) if added else self.data


def is_onnx(path: Any) -> bool:
    """Whether a file is an ONNX model, by its name; None is not."""
    return path is not None and Path(path).suffix.casefold() == SUFFIX


def with_metadata(data: bytes, metadata: Mapping[str, str]) -> bytes:
    """The ONNX model in `data` with further metadata."""
    pairs = (_chunk(1, key.encode()) + _chunk(2, text.encode()) for key, text in metadata.items())
    return data + b"".join(_chunk(_MODEL_METADATA, pair) for pair in pairs)


def _parse(
    data: bytes,
) -> tuple[list[Tensor], list[Tensor], list[Node], set[str], dict[str, str]]:
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    nodes: list[Node] = []
    constants: set[str] = set()
    metadata: dict[str, str] = {}
    for number, value in _fields(memoryview(data)):
        if number == _MODEL_METADATA:
            pair = dict(_fields(_message(value)))
            metadata[_text(pair[1])] = _text(pair.get(2, b""))
        elif number == _MODEL_GRAPH:
            for kind, part in _fields(_message(value)):
                if kind == _GRAPH_NODE:
                    nodes.append(_node(_message(part)))
                elif kind == _GRAPH_INITIALIZER:
                    names = [name for tag, name in _fields(_message(part)) if tag == _TENSOR_NAME]
                    constants.update(map(_text, names))
                elif kind == _GRAPH_INPUT:
                    inputs.append(_tensor(_message(part)))
                elif kind == _GRAPH_OUTPUT:
                    outputs.append(_tensor(_message(part)))
    inputs = [tensor for tensor in inputs if tensor.name not in constants]
    return inputs, outputs, nodes, constants, metadata


def _node(message: memoryview) -> Node:
    parts = list(_fields(message))

    def texts(wanted: int) -> tuple[str, ...]:
        return tuple(_text(value) for number, value in parts if number == wanted)

    return Node("".join(texts(_NODE_OP)), texts(_NODE_INPUT), texts(_NODE_OUTPUT))


def _tensor(message: memoryview) -> Tensor:
    """A ValueInfoProto: name 1, type 2; TypeProto.tensor_type 1; shape 2; dim 1; dim_value 1."""
    name, shape = "", []
    for number, value in _fields(message):
        if number == 1:
            name = _text(value)
        elif number == 2:
            for dim in _nested(_message(value), 1, 2, 1):
                sides = [int(side) for tag, side in _fields(dim) if tag == 1 and _is_int(side)]
                shape.append(sides[0] if sides and sides[0] > 0 else None)
    return Tensor(name, tuple(shape))


def _nested(message: memoryview, *numbers: int) -> Iterator[memoryview]:
    """Messages at a path of field numbers."""
    if not numbers:
        yield message
        return
    for number, value in _fields(message):
        if number == numbers[0]:
            yield from _nested(_message(value), *numbers[1:])


def _is_int(value: int | memoryview) -> bool:
    return isinstance(value, int)


def _message(value: int | memoryview | bytes) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a message is expected")
    return memoryview(value)


def _text(value: int | memoryview | bytes) -> str:
    return bytes(_message(value)).decode("utf-8")


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field: an int, or the bytes of a message or text."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        value: int | memoryview
        if kind == _VARINT:
            value, place = _varint(message, place)
        elif kind == _BYTES:
            length, place = _varint(message, place)
            value = message[place : place + length]
            if len(value) < length:
                raise ValueError("cut short")
            place += length
        elif kind in (_FIXED32, _FIXED64):
            width = 4 if kind == _FIXED32 else 8
            value, place = int.from_bytes(message[place : place + width], "little"), place + width
        else:
            raise ValueError("an unknown kind of field")
        yield key >> 3, value


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("too large a number")


def _encoded(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _chunk(number: int, payload: bytes) -> bytes:
    return _encoded(number << 3 | _BYTES) + _encoded(len(payload)) + payload


def _float_tensor(name: str) -> bytes:
    """A ValueInfoProto of float32; OpenCV 4 requires a type with a shape."""
    kind = _encoded(1 << 3 | _VARINT) + _encoded(_FLOAT32) + _chunk(2, b"")
    return _chunk(1, name.encode()) + _chunk(2, _chunk(1, kind))
