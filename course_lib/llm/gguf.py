"""Read and write GGUF, llama.cpp's file of weights, as far as quantisation needs it.

A GGUF file is a header (names and values such as the number of layers, the vocabulary), a list of tensors, and their
numbers. In the block formats 32 weights in a row share a scale, which is why a "4-bit" weight takes 5 bits in Q4_1:

    Q4_1   scale (2 bytes), smallest (2 bytes), 32 · 4 bits          20 bytes for 32 weights
    Q8_0   scale (2 bytes), 32 · 8 bits                              34 bytes for 32 weights

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from course_lib.llm.errors import LLMError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["FORMATS", "GGUF", "Tensor", "read", "rewrite"]

BLOCK = 32
FORMATS = {"F32": 0, "F16": 1, "Q4_1": 3, "Q8_0": 8}  # name: number in the file
_BYTES = {0: (1, 4), 1: (1, 2), 3: (BLOCK, 20), 8: (BLOCK, 34)}  # number: weights a block, bytes a block
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9


@dataclass(frozen=True)
class Tensor:
    """One tensor: its shape (rows, columns), the number of its format, and where its bytes begin."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int

    @property
    def size(self) -> int:
        """Bytes in the file."""
        weights, size = _BYTES[self.kind]
        return math.prod(self.shape) // weights * size


@dataclass(frozen=True)
class GGUF:
    """An open file: its header, its tensors, and its bytes (mapped, not read)."""

    path: Path
    header: dict[str, Any]
    tensors: dict[str, Tensor]
    head: bytes  # the file up to the list of tensors
    memory: np.ndarray  # the bytes of all tensors, shape (bytes,)

    def weights(self, name: str) -> np.ndarray:
        """Return a tensor unpacked to 32-bit floats, of its own shape (rows, columns).

        Raises
        ------
        LLMError
            There is no such tensor, or its format is not one of :data:`FORMATS`.
        """
        if name not in self.tensors:
            raise LLMError(
                f"{self.path.name} has no tensor {name!r}.", expected=f"one of {', '.join(self.tensors)}"[:300]
            )
        tensor = self.tensors[name]
        raw = self.memory[tensor.offset : tensor.offset + tensor.size]
        return _UNPACK[tensor.kind](raw).reshape(tensor.shape)


def read(path: Path) -> GGUF:
    """Open a GGUF file.

    Raises
    ------
    LLMError
        It is no GGUF file of version 3, or a tensor has another format than :data:`FORMATS`.
    """
    import numpy as np

    with path.open("rb") as file:
        magic, version, count, values = struct.unpack("<4sIQQ", file.read(24).ljust(24, b"\0"))
        if magic != b"GGUF" or version != 3:
            raise LLMError(
                f"{path.name} is no GGUF file of version 3.", expected="a file that begins with GGUF",
                next_step="download it again, or convert it with llama.cpp's convert_hf_to_gguf.py",
            )  # fmt: skip
        header = dict(_pairs(file, values))
        end_of_header = file.tell()
        tensors = {one.name: one for one in (_tensor(file) for _ in range(count))}
        start = -(-file.tell() // 32) * 32
        file.seek(0)
        head = file.read(end_of_header)
    if unknown := sorted({one.kind for one in tensors.values()} - set(_BYTES)):
        raise LLMError(f"{path.name} has tensors of formats {unknown}.", expected=f"formats {FORMATS}")
    return GGUF(path, header, tensors, head, np.memmap(path, np.uint8, "r", offset=start))


def rewrite(source: GGUF, target: Path, kind: str) -> Path:
    """Write the matrices of ``source`` in another format to ``target``: the header and the norms stay as they are.

    Going from 4 to 8 or 16 bits makes the file larger and the numbers no better. It shows what size costs in speed.

    Raises
    ------
    LLMError
        ``kind`` is not ``F16`` or ``Q8_0``.
    """
    if kind not in _PACK:
        raise LLMError(f"No matrix is written as {kind!r} here.", expected=f"one of {', '.join(_PACK)}")
    packed = {
        name: _PACK[kind](source.weights(name)) if len(one.shape) == 2 else source.weights(name).tobytes()
        for name, one in source.tensors.items()
    }
    with target.open("wb") as file:
        file.write(source.head)
        offset = 0
        for name, one in source.tensors.items():
            number = FORMATS[kind] if len(one.shape) == 2 else FORMATS["F32"]
            text, dims = name.encode(), tuple(reversed(one.shape))
            file.write(struct.pack("<Q", len(text)) + text + struct.pack(f"<I{len(dims)}Q", len(dims), *dims))
            file.write(struct.pack("<IQ", number, offset))
            offset += -(-len(packed[name]) // 32) * 32
        for data in packed.values():
            file.write(b"\0" * (-file.tell() % 32) + data)
    return target


def _pairs(file: BinaryIO, count: int) -> Iterator[tuple[str, Any]]:
    for _ in range(count):
        name = _text(file)
        yield name, _value(file, _number(file, "I"))


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _TEXT:
        return _text(file)
    if kind == _ARRAY:
        inner, length = _number(file, "I"), _number(file, "Q")
        return [_value(file, inner) for _ in range(length)]
    return _number(file, _SCALARS[kind])


def _tensor(file: BinaryIO) -> Tensor:
    name = _text(file)
    dims = tuple(_number(file, "Q") for _ in range(_number(file, "I")))  # the fastest running one first
    return Tensor(name, tuple(reversed(dims)), _number(file, "I"), _number(file, "Q"))


def _text(file: BinaryIO) -> str:
    return file.read(_number(file, "Q")).decode()


def _number(file: BinaryIO, form: str) -> Any:
    return struct.unpack("<" + form, file.read(struct.calcsize(form)))[0]


def _from_f32(raw: np.ndarray) -> np.ndarray:
    import numpy as np

    return raw.view(np.float32)


def _from_f16(raw: np.ndarray) -> np.ndarray:
    import numpy as np

    return raw.view(np.float16).astype(np.float32)


def _from_q4_1(raw: np.ndarray) -> np.ndarray:
    import numpy as np

    blocks = raw.reshape(-1, 20)  # (blocks, 20)
    scale, least = blocks[:, :4].copy().view(np.float16).astype(np.float32).T  # (blocks,) each
    nibbles = np.concatenate([blocks[:, 4:] & 15, blocks[:, 4:] >> 4], axis=1)  # (blocks, 32)
    unpacked: np.ndarray = nibbles * scale[:, None] + least[:, None]
    return unpacked


def _from_q8_0(raw: np.ndarray) -> np.ndarray:
    import numpy as np

    blocks = raw.reshape(-1, 34)  # (blocks, 34)
    scale = blocks[:, :2].copy().view(np.float16).astype(np.float32)  # (blocks, 1)
    unpacked: np.ndarray = blocks[:, 2:].view(np.int8) * scale
    return unpacked


def _to_f16(weights: np.ndarray) -> bytes:
    import numpy as np

    return weights.astype(np.float16).tobytes()


def _to_q8_0(weights: np.ndarray) -> bytes:
    import numpy as np

    blocks = weights.reshape(-1, BLOCK)  # (blocks, 32)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / 127  # (blocks, 1)
    rounded = np.round(blocks / np.where(scale == 0, 1, scale)).astype(np.int8)
    return np.concatenate([scale.astype(np.float16).view(np.uint8), rounded.view(np.uint8)], axis=1).tobytes()


_UNPACK: dict[int, Callable[[np.ndarray], np.ndarray]] = {0: _from_f32, 1: _from_f16, 3: _from_q4_1, 8: _from_q8_0}
_PACK: dict[str, Callable[[np.ndarray], bytes]] = {"F16": _to_f16, "Q8_0": _to_q8_0}
