"""LLM servers: start one, or name one that runs already; either way it speaks OpenAI's protocol at ``server.url``.

vLLM takes half a minute to a minute and a half to start. So it can be started in the background while a notebook does
something else: ``server = open_server().begin()``, and ``server.wait_ready()`` where it is needed.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from course_lib.errors import EngineError
from course_lib.llm.servers.launch import DTYPES, LAUNCHERS, Launcher, Sizes
from course_lib.llm.servers.metrics import Meters, read
from course_lib.llm.servers.weights import MODEL
from course_lib.processes import Server, free_port

__all__ = ["KNOWN_OWNERS", "LLMServer", "attach", "available", "open_server"]

Labels = frozenset[tuple[str, str]]

# What servers write into `owned_by` of GET /v1/models: the only thing in OpenAI's protocol that tells them apart.
KNOWN_OWNERS = {
    "vllm": "vLLM",
    "llamacpp": "llama.cpp",
    "library": "Ollama",
    "sglang": "SGLang",
    "organization_owner": "LM Studio",
    "Triton Inference Server": "Triton",
}


def available(prefer: Sequence[str] = tuple(LAUNCHERS)) -> tuple[str, ...]:
    """Return which of the engines are installed here, in the order given.

    Raises
    ------
    EngineError
        A name is unknown.
    """
    return tuple(key for key in prefer if _launcher(key).version() is not None)


def open_server(
    prefer: Sequence[str] = ("vllm", "llama.cpp"),
    *,
    max_num_seqs: int = 32,
    max_model_len: int = 1024,
    threads: int = 2,
    port: int | None = None,
    weights: str | None = None,
    model: str = MODEL,
    arguments: Mapping[str, Sequence[str]] | None = None,
    dtype: str | None = None,
    timeout: float | None = None,
) -> LLMServer:
    """Return a server of the first engine that is installed; it starts in a ``with`` block, or by ``begin()``.

    Parameters
    ----------
    prefer
        Keys of :data:`course_lib.llm.servers.launch.LAUNCHERS`, the best first.
    max_num_seqs
        Most sequences generated at the same time; further requests wait.
    max_model_len
        Most tokens of one sequence, prompt and answer together.
    threads
        Processor cores to compute on.
    port
        TCP port on the loopback address; by default a free one.
    weights
        A Hugging Face folder or name (vLLM) or a GGUF file (llama.cpp); by default the course's SmolLM2-135M.
    model
        The name that requests give.
    arguments
        Further command-line arguments by engine, such as ``{"vllm": ["--num-gpu-blocks-override", "16"]}``.
    dtype
        What vLLM computes with: one of :data:`course_lib.llm.servers.launch.DTYPES`; by default what the environment
        variable ``COURSE_VLLM_DTYPE`` names, else what suits this machine. The server's ``number_format`` says which.
    timeout
        Seconds that the start may take; by default what the engine needs on a slow machine.

    Raises
    ------
    EngineError
        A name or a dtype is unknown, a size is below 1, or none of the engines is installed.

    Examples
    --------
    >>> with open_server(("llama.cpp",), max_num_seqs=4) as server:  # doctest: +SKIP
    ...     print(server.url, server.model)
    """
    if min(max_num_seqs, max_model_len, threads) < 1:
        raise EngineError(
            f"A server cannot have {max_num_seqs} sequences of {max_model_len} tokens on {threads} threads.",
            expected="at least 1 each",
        )
    if dtype is not None and dtype not in DTYPES:
        raise EngineError(f"vLLM has no dtype {dtype!r} here.", expected=f"one of {', '.join(DTYPES)}")
    found = available(prefer)
    if not found:
        raise EngineError(
            f"None of these engines is installed: {', '.join(_launcher(key).name for key in prefer)}.",
            expected="an engine that serves language models",
            next_step="run " + " or ".join(f"`{_launcher(key).install}`" for key in prefer),
        )
    launcher = LAUNCHERS[found[0]]
    further = tuple((arguments or {}).get(found[0], ()))
    sizes = Sizes(
        max_num_seqs=max_num_seqs,
        max_model_len=max_model_len,
        threads=threads,
        weights=weights,
        model=model,
        arguments=further,
        dtype=dtype,
    )
    port = port or free_port()
    process = Server(
        launcher.name,
        launcher.command(port, sizes),
        port=port,
        ready_path="/health",
        env=launcher.env(sizes),
        timeout=launcher.timeout if timeout is None else timeout,
    )
    number_format = launcher.number_format(sizes)
    return LLMServer(engine=launcher.name, model=model, root=process.url, process=process, number_format=number_format)


def attach(url: str, *, model: str | None = None, api_key: str | None = None, timeout: float = 10.0) -> LLMServer:
    """Use a server that somebody else started: Ollama, LM Studio, TGI, SGLang, Triton's OpenAI front end, a vLLM.

    Parameters
    ----------
    url
        Its address, with or without ``/v1``.
    model
        The model to ask for; by default the first that the server lists.
    api_key
        Sent as a bearer token where the server wants one. None is looked for in the environment.
    timeout
        Seconds to wait for its answer.

    Raises
    ------
    EngineError
        Nothing answers there in OpenAI's protocol, or it has no such model.
    """
    root = url.rstrip("/").removesuffix("/v1")
    if not root.startswith(("http://", "https://")):
        raise EngineError(f"{url!r} is not the URL of a server.", expected="for example http://127.0.0.1:11434/v1")
    server = LLMServer(engine="OpenAI-compatible", model=model or "", root=root, api_key=api_key, timeout=timeout)
    models = server.models()
    chosen = next((one for one in models if model is None or one.get("id") == model), None)
    if chosen is None:
        raise EngineError(
            f"The server at {url} has no model called {model!r}." if model else f"The server at {url} has no model.",
            expected=f"one of {', '.join(str(one.get('id')) for one in models)}" if models else "a loaded model",
            next_step="load the model there, or name another",
        )
    server.model = str(chosen["id"])
    server.engine = KNOWN_OWNERS.get(str(chosen.get("owned_by")), server.engine)
    return server


class LLMServer:
    """A server that speaks OpenAI's protocol: one that the course started, or one that was there.

    Attributes
    ----------
    engine
        The program that serves, by name.
    model
        The model that requests name.
    number_format
        What the engine computes with, such as ``"float32"``; ``None`` where its weights' file decides, or where
        somebody else started it.

    Parameters
    ----------
    root
        URL without ``/v1``.
    process
        The process, if it is the course's to start and stop.
    api_key
        Bearer token, where the server wants one.
    timeout
        Seconds to wait for the answers to :meth:`models` and :meth:`metrics`.
    """

    def __init__(
        self,
        *,
        engine: str,
        model: str,
        root: str,
        process: Server | None = None,
        api_key: str | None = None,
        timeout: float = 10.0,
        number_format: str | None = None,
    ) -> None:
        self.engine = engine
        self.model = model
        self.number_format = number_format
        self._root = root
        self._process = process
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._timeout = timeout

    @property
    def url(self) -> str:
        """Base URL for OpenAI's client."""
        return f"{self._root}/v1"

    @property
    def running(self) -> bool:
        """Whether the process lives; a server that somebody else started counts as running."""
        return self._process is None or self._process.running

    @property
    def pid(self) -> int:
        """Process id; only while a server that the course started runs."""
        if self._process is None:
            raise EngineError(f"{self.engine} was not started by the course.", next_step="ask the system for its id")
        return self._process.pid

    def begin(self) -> Self:
        """Start the process, if there is one to start, and return at once."""
        if self._process is not None and not self._process.running:
            self._process.start()
        return self

    def wait_ready(self) -> Self:
        """Wait until the server answers.

        Raises
        ------
        EngineError
            It was not started, ended, or did not answer in time; the end of its log is in the message.
        """
        if self._process is None:
            self.models()
        else:
            self._process.wait_ready()
        return self

    def answers(self) -> bool:
        """Ask once whether the server is ready, and return at once."""
        if self._process is not None:
            return self._process.answers()
        try:
            self.models()
        except EngineError:
            return False
        return True

    def stop(self) -> None:
        """Stop the process and everything it started; a server of somebody else is left alone."""
        if self._process is not None:
            self._process.stop()

    def log(self, *, lines: int = 20) -> str:
        """Return the last lines that a server of the course printed."""
        return self._process.log(lines=lines) if self._process is not None else ""

    def models(self) -> list[dict[str, Any]]:
        """Return what ``GET /v1/models`` lists.

        Raises
        ------
        EngineError
            The server does not answer in OpenAI's protocol.
        """
        try:
            return [dict(one) for one in json.loads(self._get("/v1/models"))["data"]]
        except (ValueError, TypeError, KeyError) as error:
            raise EngineError(
                f"What answers at {self.url} does not speak OpenAI's protocol.",
                expected="a JSON list of models at /v1/models",
                next_step="look whether the URL is the one of the server's OpenAI interface",
            ) from error

    def metrics(self) -> dict[str, dict[Labels, float]]:
        """Return the samples of ``/metrics`` by metric name, then by labels, under the engine's own names.

        Raises
        ------
        EngineError
            The server does not answer there. Ollama and LM Studio have no metrics.
        MonitoringError
            What it answers is not in Prometheus' format.
        """
        from course_lib.monitoring.samples import parse

        return parse(self._get("/metrics"))

    def meters(self) -> Meters:
        """Return what the metrics say, in one vocabulary for all engines.

        Raises
        ------
        EngineError
            As :meth:`metrics`.
        LLMError
            The metrics are of no engine that is known.
        """
        return read(self.metrics())

    def __enter__(self) -> Self:
        self.begin()
        try:
            return self.wait_ready()
        except BaseException:
            self.stop()  # an interrupt while waiting leaves nothing behind
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"LLMServer(engine={self.engine!r}, model={self.model!r}, url={self.url!r})"

    def _get(self, path: str) -> str:
        request = urllib.request.Request(self._root + path, headers=self._headers)  # noqa: S310 - http or https
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as reply:  # noqa: S310
                return str(reply.read().decode(errors="replace"))
        except (OSError, ValueError) as error:
            raise EngineError(
                f"No server answers at {self._root}{path}: {error}",
                expected="a running server",
                next_step="start it, or look whether the address is right",
            ) from error


def _launcher(key: str) -> Launcher:
    if key not in LAUNCHERS:
        raise EngineError(f"There is no engine called {key!r}.", expected=f"one of {', '.join(LAUNCHERS)}")
    return LAUNCHERS[key]
