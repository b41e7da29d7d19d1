"""GGUF, llama.cpp's file of weights: read through ggml's own package, and rewritten in another format.

A GGUF file is a header (names and values such as the number of layers, the vocabulary), a list of tensors, and their
numbers. In the block formats 32 weights in a row share a scale, which is why a "4-bit" weight takes 5 bits in Q4_1:

    Q4_1   scale (2 bytes), smallest (2 bytes), 32 · 4 bits          20 bytes for 32 weights
    Q8_0   scale (2 bytes), 32 · 8 bits                              34 bytes for 32 weights

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_lib.llm.errors import LLMError

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGMLQuantizationType, GGUFValueType

__all__ = ["FORMATS", "GGUF", "Tensor", "read", "rewrite"]

FORMATS = ("F16", "Q8_0")  # in which matrices can be rewritten
_LAYOUT = "GGUF."  # begins the names of the reader's own fields, such as the file's version
_ARCHITECTURE = "general.architecture"  # the writer adds it by itself


@dataclass(frozen=True)
class Tensor:
    """One tensor: its shape (rows, columns), its format, and its bytes (mapped, not read)."""

    name: str
    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    data: np.ndarray

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self.data.nbytes


@dataclass(frozen=True)
class GGUF:
    """An open file: its header, the types of the header's values, and its tensors."""

    path: Path
    header: dict[str, Any]
    types: dict[str, list[GGUFValueType]]
    tensors: dict[str, Tensor]
    alignment: int

    def weights(self, name: str) -> np.ndarray:
        """Return a tensor unpacked to 32-bit floats, of its own shape (rows, columns).

        Raises
        ------
        LLMError
            There is no such tensor, or its format cannot be unpacked.
        """
        from gguf import quants

        if name not in self.tensors:
            raise LLMError(
                f"{self.path.name} has no tensor {name!r}.", expected=f"one of {', '.join(self.tensors)}"[:300]
            )
        tensor = self.tensors[name]
        try:
            return quants.dequantize(tensor.data, tensor.kind)
        except NotImplementedError as error:
            raise LLMError(f"The format {tensor.kind.name} of {name} cannot be unpacked.") from error


def read(path: Path) -> GGUF:
    """Open a GGUF file.

    Raises
    ------
    LLMError
        It is none, ends too early, or is of a version or has tensors of a format that ggml's package does not know.
    """
    from gguf import GGUFReader

    try:
        reader = GGUFReader(path)
    except (OSError, ValueError, LookupError) as error:
        raise LLMError(
            f"{path.name} is no GGUF file, or not a whole one: {error}",
            expected="a complete file of version 2 or 3 that begins with GGUF",
            next_step="download it again, or convert it with llama.cpp's convert_hf_to_gguf.py",
        ) from error
    # The reader, which keeps an array for each word of the vocabulary (160 MB of them), is let go.
    # It names the dimension that runs fastest first; we name it last, as NumPy does.
    fields = {key: field for key, field in reader.fields.items() if not key.startswith(_LAYOUT)}
    shapes = {one.name: tuple(reversed(one.shape.tolist())) for one in reader.tensors}
    return GGUF(
        path,
        header={key: field.contents() for key, field in fields.items()},
        types={key: field.types for key, field in fields.items()},
        tensors={one.name: Tensor(one.name, shapes[one.name], one.tensor_type, one.data) for one in reader.tensors},
        alignment=int(reader.alignment),
    )


def rewrite(source: GGUF, target: Path, kind: str) -> Path:
    """Write the matrices of ``source`` in another format to ``target``: the header and the norms stay as they are.

    Going from 4 to 8 or 16 bits makes the file larger and the numbers no better. It shows what size costs in speed.

    Raises
    ------
    LLMError
        ``kind`` is not one of :data:`FORMATS`.
    """
    from gguf import GGMLQuantizationType, GGUFWriter, quants

    if kind not in FORMATS:
        raise LLMError(f"No matrix is written as {kind!r} here.", expected=f"one of {', '.join(FORMATS)}")
    writer = GGUFWriter(target, str(source.header[_ARCHITECTURE]))
    writer.data_alignment = source.alignment
    for key, types in source.types.items():
        if key != _ARCHITECTURE:
            writer.add_key_value(key, source.header[key], types[0], types[-1])
    for name, one in source.tensors.items():
        number = GGMLQuantizationType[kind] if len(one.shape) == 2 else one.kind
        data = one.data if number == one.kind else quants.quantize(source.weights(name), number)
        writer.add_tensor(name, data, raw_dtype=number)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target
