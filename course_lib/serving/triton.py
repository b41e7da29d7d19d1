"""Triton: lay out a model repository, check it before a server does, and speak the protocol that its server speaks.

Triton Inference Server loads every model of a folder, from any of its frameworks, and serves them all at one address.
What it needs per model is a folder with a ``config.pbtxt`` and numbered versions::

    repository/
        late_flights/
            config.pbtxt
            1/model.onnx

Its HTTP interface is the *Open Inference Protocol* (KServe's "v2"), which other servers speak too: a client of it is a
client of all of them. The format of the configuration is ``model_config.proto`` of triton-inference-server/common.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from course_lib.serving.errors import ServingError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["DATATYPES", "Client", "RepositoryFinding", "check_repository", "write_repository"]

# ONNX's name → Triton's name in config.pbtxt, and in the protocol.
DATATYPES: Mapping[str, tuple[str, str]] = {
    "tensor(float)": ("TYPE_FP32", "FP32"),
    "tensor(double)": ("TYPE_FP64", "FP64"),
    "tensor(int32)": ("TYPE_INT32", "INT32"),
    "tensor(int64)": ("TYPE_INT64", "INT64"),
    "tensor(bool)": ("TYPE_BOOL", "BOOL"),
    "tensor(string)": ("TYPE_STRING", "BYTES"),
}


def write_repository(
    folder: Path | str,
    versions: Mapping[int, bytes],
    *,
    name: str = "late_flights",
    max_batch: int = 0,
    max_delay_us: int = 0,
) -> Path:
    """Write one model into a repository, with its configuration read from the ONNX graph; return its folder.

    Parameters
    ----------
    folder
        The repository; made if need be.
    versions
        ONNX models by version number. Triton serves the highest, unless told otherwise.
    name
        The model's name, and its folder's.
    max_batch
        Largest batch that Triton may put together from single requests; 0: requests are passed on as they are.
    max_delay_us
        How long a request may wait for company, in microseconds; only with ``max_batch``.

    Raises
    ------
    ServingError
        There is no version, a number is no version, a model cannot be read, or the versions do not have the same
        inputs and outputs.
    """
    if not versions or any(number < 1 for number in versions):
        raise ServingError(
            f"The versions are {sorted(versions)}.", expected="one or more, each a whole number from 1 upwards"
        )
    if not re.fullmatch(r"[A-Za-z0-9_\-]+", name):
        raise ServingError(f"{name!r} is no name of a model.", expected="letters, digits, - and _")
    described = {number: _described(body) for number, body in versions.items()}
    newest = described[max(described)]
    if strange := [number for number, found in described.items() if found != newest]:
        raise ServingError(
            f"Version {strange[0]} has other inputs or outputs than version {max(described)}.",
            expected="versions that answer the same request: one config.pbtxt describes them all",
            next_step="give the other graph a model name of its own",
        )
    home = Path(folder) / name
    home.mkdir(parents=True, exist_ok=True)
    for number, body in versions.items():
        (home / str(number)).mkdir(exist_ok=True)
        (home / str(number) / "model.onnx").write_bytes(body)
    (home / "config.pbtxt").write_text(_config(name, *newest, max_batch=max_batch, max_delay_us=max_delay_us))
    return home


@dataclass(frozen=True)
class RepositoryFinding:
    """Something that keeps Triton from loading a model, or makes it answer otherwise than expected."""

    model: str
    message: str

    def __str__(self) -> str:
        return f"{self.model}: {self.message}"


def check_repository(folder: Path | str) -> list[RepositoryFinding]:
    """Return what Triton would object to, model by model; nothing if all is well.

    Raises
    ------
    ServingError
        There is no such folder, or no model in it.
    """
    root = Path(folder)
    models = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    if not models:
        raise ServingError(
            f"{root} holds no model.", expected="one folder a model", next_step="write one with `write_repository`"
        )
    return [RepositoryFinding(home.name, message) for home in models for message in _problems(home)]


class Client:
    """A client of the Open Inference Protocol: of Triton, KServe, MLServer, OpenVINO and others.

    Parameters
    ----------
    url
        Base address, such as ``http://127.0.0.1:8000``.
    timeout_s
        Seconds to wait for an answer.
    transport
        For tests: answers instead of a network, as httpx takes it.
    """

    def __init__(self, url: str, *, timeout_s: float = 10.0, transport: Any = None) -> None:
        import httpx

        self._http = httpx.Client(base_url=url, timeout=timeout_s, transport=transport)

    def ready(self, model: str = "") -> bool:
        """Return whether the server, or one model of it, is ready; ``False`` if nobody answers."""
        import httpx

        try:
            return self._http.get(f"/v2/models/{model}/ready" if model else "/v2/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def metadata(self, model: str = "") -> dict[str, Any]:
        """Return what the server says about itself, or about a model: name, versions, inputs and outputs."""
        return self._json("GET", f"/v2/models/{model}" if model else "/v2")

    def infer(self, model: str, columns: Mapping[str, Any], *, version: int | None = None) -> dict[str, np.ndarray]:
        """Ask a model, and return its outputs by name.

        Parameters
        ----------
        model
            Its name.
        columns
            One sequence of values per input; each is sent as a tensor of shape ``(rows, 1)``.
        version
            A version; by default the one that the server prefers.

        Raises
        ------
        ServingError
            An input is missing, the server refuses the request, or nobody answers.
        """
        import numpy as np

        wanted = self.metadata(model)["inputs"]
        if missing := [one["name"] for one in wanted if one["name"] not in columns]:
            raise ServingError(
                f"The model {model!r} also needs {', '.join(missing)}.",
                expected=f"the inputs {', '.join(one['name'] for one in wanted)}",
            )
        inputs = [_tensor(one["name"], one["datatype"], columns[one["name"]]) for one in wanted]
        path = f"/v2/models/{model}" + (f"/versions/{version}" if version else "")
        told = self._json("POST", f"{path}/infer", {"inputs": inputs})
        return {
            one["name"]: np.asarray(one["data"], dtype=_NUMPY.get(one["datatype"], object)).reshape(one["shape"])
            for one in told["outputs"]
        }

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _json(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        import httpx

        try:
            # Not httpx's own encoder, which refuses NaN: standard JSON has none, but these servers read it.
            content = None if body is None else json.dumps(body)
            reply = self._http.request(method, path, content=content, headers={"content-type": "application/json"})
        except httpx.TransportError as error:
            raise ServingError(
                f"Nobody answers at {self._http.base_url}: {error}",
                expected="a server that speaks the Open Inference Protocol",
                next_step="start it, or correct the address",
            ) from error
        try:
            told = reply.json()
        except ValueError:
            told = None
        if reply.status_code != 200 or not isinstance(told, dict):
            reason = told.get("error") if isinstance(told, dict) else reply.text[:200]
            raise ServingError(
                f"The server refused {method} {path} with {reply.status_code}: {reason or 'it gave no reason'}",
                expected="200 and a JSON object",
                next_step="compare the request with the model's metadata",
            )
        return told


_NUMPY = {"FP32": "float32", "FP64": "float64", "INT32": "int32", "INT64": "int64", "BOOL": "bool"}
Described = tuple[tuple[tuple[str, str, tuple[int, ...]], ...], tuple[tuple[str, str, tuple[int, ...]], ...]]


def _tensor(name: str, datatype: str, values: Any) -> dict[str, Any]:
    """Return an input as the protocol writes it; a missing number travels as NaN."""
    kind = {"BYTES": str, "BOOL": bool, "INT32": int, "INT64": int}.get(datatype, float)
    data = [float("nan") if value is None and kind is float else kind(value) for value in values]
    return {"name": name, "datatype": datatype, "shape": [len(data), 1], "data": data}


def _described(body: bytes) -> Described:
    """Return name, type and shape of every input and output; −1 where a size is free."""
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(body, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's own errors share no base class
        raise ServingError(
            f"A model is no ONNX that can be read: {str(error).splitlines()[0]}",
            next_step="export it again with `packaging.export_onnx`",
        ) from error

    def tensors(listed: Sequence[Any]) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
        return tuple(
            (one.name, one.type, tuple(size if isinstance(size, int) else -1 for size in one.shape)) for one in listed
        )

    return tensors(session.get_inputs()), tensors(session.get_outputs())


def _config(name: str, inputs: Any, outputs: Any, *, max_batch: int, max_delay_us: int) -> str:
    """Return the text of config.pbtxt. With batching, Triton adds the first dimension itself: it is not written."""

    def tensor(one: tuple[str, str, tuple[int, ...]]) -> str:
        called, kind, shape = one
        dims = ", ".join(str(size) for size in (shape[1:] or (1,) if max_batch else shape))
        reshape = " reshape: { shape: [ ] }" if max_batch and len(shape) == 1 else ""
        return f'  {{ name: "{called}" data_type: {DATATYPES[kind][0]} dims: [ {dims} ]{reshape} }}'

    blocks = [f'name: "{name}"', 'backend: "onnxruntime"', f"max_batch_size: {max_batch}"]
    blocks += [
        f"{kind} [\n" + ",\n".join(map(tensor, listed)) + "\n]"
        for kind, listed in (("input", inputs), ("output", outputs))
    ]
    if max_batch:
        blocks.append(f"dynamic_batching {{ max_queue_delay_microseconds: {max_delay_us} }}")
    blocks.append("instance_group [ { kind: KIND_CPU count: 1 } ]")
    return "\n".join(blocks) + "\n"


def _problems(home: Path) -> list[str]:
    """Return what is wrong with one model's folder."""
    config = home / "config.pbtxt"
    if not config.exists():
        return ["it has no config.pbtxt"]
    text = config.read_text()
    found = _config_problems(home.name, text)
    versions = [path for path in home.iterdir() if path.is_dir()]
    numbered = [path for path in versions if path.name.isdigit() and int(path.name) > 0]
    found += [f"the folder {path.name!r} is no version: Triton ignores it" for path in versions if path not in numbered]
    if not numbered:
        return [*found, "it has no version: at least one folder named 1, 2, …"]
    for path in sorted(numbered, key=lambda one: int(one.name)):
        model = path / "model.onnx"
        if not model.exists():
            found.append(f"version {path.name} has no model.onnx")
            continue
        try:
            inputs, outputs = _described(model.read_bytes())
        except ServingError as error:
            found.append(f"version {path.name}: {error.happened}")
            continue
        found += [f"version {path.name}: {problem}" for problem in _differences(text, inputs, outputs)]
    return found


def _config_problems(name: str, text: str) -> list[str]:
    found = []
    if text.count("{") != text.count("}") or text.count("[") != text.count("]"):
        found.append("config.pbtxt: brackets are not closed")
    told = re.search(r'^\s*name\s*:\s*"([^"]*)"', text, re.MULTILINE)
    if told and told[1] != name:
        found.append(f"config.pbtxt says name {told[1]!r}, the folder {name!r}: Triton refuses the model")
    if not re.search(r'^\s*(backend\s*:\s*"onnxruntime"|platform\s*:\s*"onnxruntime_onnx")', text, re.MULTILINE):
        found.append('config.pbtxt names no backend for ONNX: backend: "onnxruntime"')
    return found


def _differences(text: str, inputs: Any, outputs: Any) -> list[str]:
    """Return where a configuration and a graph disagree."""
    found = []
    for kind, listed in (("input", inputs), ("output", outputs)):
        told = dict(_tensors_of(text, kind))
        real = {name: DATATYPES.get(onnx, (onnx, ""))[0] for name, onnx, _ in listed}
        found += [f"the graph has no {kind} {name!r}, config.pbtxt does" for name in told if name not in real]
        if kind == "input":
            found += [f"the graph needs the input {name!r}, config.pbtxt lacks it" for name in real if name not in told]
        found += [
            f"{kind} {name!r} is {real[name]} in the graph and {given} in config.pbtxt"
            for name, given in told.items()
            if name in real and given != real[name]
        ]
    return found


def _tensors_of(text: str, kind: str) -> list[tuple[str, str]]:
    """Return name and type of the tensors that a configuration lists, as ``input [ {…}, {…} ]`` or ``input {…}``."""
    blocks = [
        _bracketed(text, match.end() - 1) for match in re.finditer(rf"^\s*{kind}\s*:?\s*[\[{{]", text, re.MULTILINE)
    ]
    entries = re.findall(r'name\s*:\s*"([^"]*)"[^}]*?data_type\s*:\s*(\w+)', "\n".join(blocks))
    return [(str(name), str(given)) for name, given in entries]


def _bracketed(text: str, begin: int) -> str:
    """Return the text from an opening bracket to the one that closes it."""
    depth = 0
    for place in range(begin, len(text)):
        depth += (text[place] in "[{") - (text[place] in "]}")
        if depth == 0:
            return text[begin : place + 1]
    return text[begin:]
