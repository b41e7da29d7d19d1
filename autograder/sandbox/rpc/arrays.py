"""Serialisation of numpy arrays and pandas frames: buffers and plain lists, without pickle or a foreign parser.

Columns travel one by one with their exact dtype (categories, time zones, nullable types, missing text), so a frame
comes back as it left. pandas and numpy are imported only by a process that already uses them or is sent one.
"""

from __future__ import annotations

import math
import re
import sys
from typing import Any

from autograder.sandbox.messages import Malformed
from autograder.sandbox.rpc.interface import Decoder, Encoder

__all__ = ["TAGS", "decode", "encode"]

TAGS = frozenset(
    {"a", "ao", "n", "df", "se", "ix", "ri", "mi", "cat", "tza", "na", "str", "ts", "pd", "iv", "nat", "pna", "sp"}
)
_DTYPE = re.compile(r"[<>|=]?(?:[biufcSUV]\d{1,6}|\?|[mM]8(?:\[\d{0,6}[a-zA-Zμ]{1,7}\])?)")
_NULLABLE = re.compile(r"(U?Int(8|16|32|64)|Float(32|64)|boolean)")
_TEXT_DTYPES = ("str", "string")
_SHARED = ("numpy", "pandas", "scipy")


def encode(encoder: Encoder, value: Any, kind: type, depth: int) -> list[Any] | None:
    """Return ``value`` as a tree if it is of numpy or pandas, else ``None``."""
    home = kind.__module__.partition(".")[0]
    if home not in _SHARED or home not in sys.modules:
        return None
    if home == "numpy":
        return _encode_numpy(encoder, value, kind, depth)
    if home == "scipy":
        return _encode_sparse(encoder, value, depth)
    return _encode_pandas(encoder, value, kind, depth)


def decode(decoder: Decoder, tag: str, parts: list[Any], depth: int) -> Any:
    """Return the array, frame or scalar of a tree with one of our `TAGS`."""
    return _DECODERS[tag](decoder, depth, *parts)  # type: ignore[operator]


def _encode_numpy(encoder: Encoder, value: Any, kind: type, depth: int) -> list[Any] | None:
    import numpy as np

    if isinstance(value, np.generic):
        if value.dtype.hasobject or value.dtype.names:
            return None
        return ["n", value.dtype.str, bytes(value.tobytes()).hex()]
    if not isinstance(value, np.ndarray) or isinstance(value, np.ma.MaskedArray):
        return None
    return _array(encoder, np.asarray(value), depth)


def _array(encoder: Encoder, array: Any, depth: int) -> list[Any]:
    if array.dtype.hasobject:
        return ["ao", list(array.shape), [encoder.encode(item, depth + 1) for item in array.ravel().tolist()]]
    descr: Any = array.dtype.str
    if array.dtype.names:
        descr = [[name, array.dtype[name].str] for name in array.dtype.names]
        array = array.astype([(name, text) for name, text in descr])  # packed, without padding
    return ["a", descr, list(array.shape), encoder.blob(array.tobytes())]


def _encode_sparse(encoder: Encoder, value: Any, depth: int) -> list[Any] | None:
    if not hasattr(value, "tocsr"):
        return None
    csr = value.tocsr()
    return ["sp", list(csr.shape), *[_array(encoder, part, depth) for part in (csr.data, csr.indices, csr.indptr)]]


def _encode_pandas(encoder: Encoder, value: Any, kind: type, depth: int) -> list[Any] | None:
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        columns = [_values(encoder, value.iloc[:, i].array, depth + 1) for i in range(value.shape[1])]
        return ["df", _index(encoder, value.columns, depth + 1), _index(encoder, value.index, depth + 1), columns]
    if isinstance(value, pd.Series):
        name = encoder.encode(value.name, depth + 1)
        return ["se", name, _index(encoder, value.index, depth + 1), _values(encoder, value.array, depth + 1)]
    if isinstance(value, pd.Index):
        return _index(encoder, value, depth + 1)
    if isinstance(value, pd.api.extensions.ExtensionArray):
        return _values(encoder, value, depth + 1)
    if value is pd.NaT:
        return ["nat"]
    if value is pd.NA:
        return ["pna"]
    if isinstance(value, pd.Timestamp):
        return ["ts", int(value.value if value.unit == "ns" else value.as_unit("ns").value), _zone_name(value.tz)]
    if isinstance(value, pd.Timedelta):
        return ["pd", int(value.as_unit("ns").value)]
    if isinstance(value, pd.Interval):
        return ["iv", encoder.encode(value.left, depth + 1), encoder.encode(value.right, depth + 1), value.closed]
    return None


def _zone_name(zone: Any) -> str | None:
    return None if zone is None else str(zone)


def _index(encoder: Encoder, index: Any, depth: int) -> list[Any]:
    import pandas as pd

    if isinstance(index, pd.RangeIndex):
        return ["ri", index.start, index.stop, index.step, encoder.encode(index.name, depth)]
    if isinstance(index, pd.MultiIndex):
        levels = [_values(encoder, index.get_level_values(i).array, depth) for i in range(index.nlevels)]
        return ["mi", [encoder.encode(name, depth) for name in index.names], levels]
    return ["ix", encoder.encode(index.name, depth), _values(encoder, index.array, depth)]


def _values(encoder: Encoder, array: Any, depth: int) -> list[Any]:
    import numpy as np
    import pandas as pd

    dtype = array.dtype
    if isinstance(dtype, np.dtype) or isinstance(array, pd.arrays.NumpyExtensionArray):
        return _array(encoder, np.asarray(array), depth)
    if isinstance(dtype, pd.CategoricalDtype):
        codes = _array(encoder, np.asarray(array.codes), depth)
        return ["cat", codes, _index(encoder, array.categories, depth + 1), bool(array.ordered)]
    if isinstance(dtype, pd.DatetimeTZDtype):
        return ["tza", _array(encoder, array.asi8, depth), dtype.unit, _zone_name(dtype.tz)]
    if isinstance(dtype, pd.StringDtype):
        missing = np.asarray(pd.isna(array))
        texts = [None if gone else str(item) for item, gone in zip(array, missing, strict=True)]
        return ["str", str(dtype), texts]
    if _NULLABLE.fullmatch(str(dtype)):
        missing = np.asarray(pd.isna(array))
        filled = array.to_numpy(dtype=dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0))
        return ["na", str(dtype), _array(encoder, filled, depth), _array(encoder, missing, depth)]
    return _array(encoder, np.asarray(array, dtype=object), depth)


def _dtype(descr: object) -> Any:
    import numpy as np

    if isinstance(descr, str) and _DTYPE.fullmatch(descr):
        return np.dtype(descr)
    if isinstance(descr, list) and len(descr) <= 1000:
        fields = [(name, text) for name, text in descr if isinstance(name, str) and isinstance(text, str)]
        if len(fields) == len(descr) and all(_DTYPE.fullmatch(text) for _, text in fields):
            return np.dtype(fields)
    raise Malformed("an array has no dtype that can be sent")


def _shape(shape: object, count: int) -> tuple[int, ...]:
    if not isinstance(shape, list) or len(shape) > 32 or not all(type(n) is int and n >= 0 for n in shape):
        raise Malformed("an array has no shape")
    if math.prod(shape) != count:
        raise Malformed("an array's shape doesn't match its data")
    return tuple(shape)


def _decode_array(decoder: Decoder, _: int, descr: object, shape: object, number: object) -> Any:
    import numpy as np

    dtype, data = _dtype(descr), decoder.blob(number)
    if dtype.itemsize == 0:
        raise Malformed("an array has no dtype that can be sent")
    flat = np.frombuffer(data, dtype=dtype) if data else np.empty(0, dtype=dtype)
    return flat.reshape(_shape(shape, len(flat))).copy()


def _decode_objects(decoder: Decoder, depth: int, shape: object, items: list[Any]) -> Any:
    import numpy as np

    flat = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        flat[i] = decoder.decode(item, depth + 1)
    return flat.reshape(_shape(shape, len(flat)))


def _decode_scalar(_: Decoder, __: int, descr: object, digits: str) -> Any:
    import numpy as np

    dtype, data = _dtype(descr), bytes.fromhex(digits)
    if dtype.itemsize == 0:
        return dtype.type()
    if len(data) != dtype.itemsize:
        raise Malformed("a number has the wrong size")
    return np.frombuffer(data, dtype=dtype)[0]


def _decode_frame(decoder: Decoder, depth: int, columns: Any, index: Any, values: list[Any]) -> Any:
    import pandas as pd

    names, rows = decoder.decode(columns, depth + 1), decoder.decode(index, depth + 1)
    arrays = [decoder.decode(value, depth + 1) for value in values]
    if len(names) != len(arrays) or any(len(array) != len(rows) for array in arrays):
        raise Malformed("a frame's columns don't match")
    frame = pd.DataFrame({i: pd.Series(array, index=rows, copy=False) for i, array in enumerate(arrays)}, index=rows)
    frame.columns = names
    return frame


def _decode_series(decoder: Decoder, depth: int, name: Any, index: Any, values: Any) -> Any:
    import pandas as pd

    array, rows = decoder.decode(values, depth + 1), decoder.decode(index, depth + 1)
    dtype = object if getattr(array, "dtype", None) == object else None
    return pd.Series(array, index=rows, name=decoder.decode(name, depth + 1), dtype=dtype)


def _decode_index(decoder: Decoder, depth: int, name: Any, values: Any) -> Any:
    import pandas as pd

    array = decoder.decode(values, depth + 1)
    dtype = object if getattr(array, "dtype", None) == object and not _intervals(array) else None
    return pd.Index(array, name=decoder.decode(name, depth + 1), dtype=dtype)


def _intervals(array: Any) -> bool:
    import pandas as pd

    return len(array) > 0 and all(isinstance(item, pd.Interval) for item in array)


def _decode_range(decoder: Decoder, depth: int, start: int, stop: int, step: int, name: Any) -> Any:
    import pandas as pd

    index = pd.RangeIndex(start, stop, step, name=decoder.decode(name, depth + 1))
    if len(index) > 50_000_000:
        raise Malformed("an index is too long")
    return index


def _decode_levels(decoder: Decoder, depth: int, names: list[Any], levels: list[Any]) -> Any:
    import pandas as pd

    arrays = [decoder.decode(level, depth + 1) for level in levels]
    return pd.MultiIndex.from_arrays(arrays, names=[decoder.decode(name, depth + 1) for name in names])


def _decode_categories(decoder: Decoder, depth: int, codes: Any, categories: Any, ordered: object) -> Any:
    import pandas as pd

    known = decoder.decode(categories, depth + 1)
    dtype = pd.CategoricalDtype(known, ordered=ordered is True)
    return pd.Categorical.from_codes(decoder.decode(codes, depth + 1), dtype=dtype)


def _decode_zoned(decoder: Decoder, depth: int, values: Any, unit: str, zone: object) -> Any:
    import pandas as pd

    if unit not in ("s", "ms", "us", "ns"):
        raise Malformed("a time has no unit")
    times = decoder.decode(values, depth + 1).view(f"M8[{unit}]")
    return pd.DatetimeIndex(times).tz_localize("UTC").tz_convert(str(zone)[:60]).array


def _decode_nullable(decoder: Decoder, depth: int, name: str, values: Any, missing: Any) -> Any:
    import pandas as pd

    if not _NULLABLE.fullmatch(name):
        raise Malformed("a column has no dtype that can be sent")
    array = pd.array(decoder.decode(values, depth + 1), dtype=name)  # type: ignore[var-annotated]
    array[decoder.decode(missing, depth + 1).astype(bool)] = pd.NA
    return array


def _decode_text(_: Decoder, __: int, name: str, texts: list[Any]) -> Any:
    import pandas as pd

    if name not in _TEXT_DTYPES or not all(text is None or type(text) is str for text in texts):
        raise Malformed("a column of text holds something else")
    return pd.array(texts, dtype=name)  # type: ignore[call-overload]


def _decode_timestamp(_: Decoder, __: int, value: int, zone: object) -> Any:
    import pandas as pd

    stamp = pd.Timestamp(int(value), unit="ns", tz=None if zone is None else "UTC")
    return stamp if zone is None else stamp.tz_convert(str(zone)[:60])


def _decode_sparse(decoder: Decoder, depth: int, shape: list[int], *parts: Any) -> Any:
    from scipy.sparse import csr_matrix

    data, indices, starts = [decoder.decode(part, depth + 1) for part in parts]
    matrix = csr_matrix((data, indices, starts), shape=tuple(shape))
    matrix.check_format(full_check=True)
    return matrix


def _pandas(name: str) -> Any:
    import pandas as pd

    return getattr(pd, name)


_DECODERS = {
    "a": _decode_array,
    "ao": _decode_objects,
    "n": _decode_scalar,
    "df": _decode_frame,
    "se": _decode_series,
    "ix": _decode_index,
    "ri": _decode_range,
    "mi": _decode_levels,
    "cat": _decode_categories,
    "tza": _decode_zoned,
    "na": _decode_nullable,
    "str": _decode_text,
    "ts": _decode_timestamp,
    "pd": lambda _, __, value: _pandas("Timedelta")(int(value), unit="ns"),
    "iv": lambda d, n, left, right, closed: _pandas("Interval")(d.decode(left, n + 1), d.decode(right, n + 1), closed),
    "nat": lambda _, __: _pandas("NaT"),
    "pna": lambda _, __: _pandas("NA"),
    "sp": _decode_sparse,
}
