"""How much memory a model and its conversations need, and how many GPUs a load needs: arithmetic before money."""

from __future__ import annotations

import math
from dataclasses import dataclass

from course_lib.llm.errors import LLMError

__all__ = ["GPUS", "MODELS", "Gpu", "Load", "ModelShape", "Plan", "plan"]


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """What decides about a model's memory.

    Attributes
    ----------
    parameters
        Number of weights.
    layers, heads, kv_heads, head_dim
        As in the model's ``config.json``. Fewer KV heads than heads: grouped-query attention (Ainslie et al. 2023).
    """

    name: str
    parameters: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int

    def kv_bytes_per_token(self, dtype_bytes: int = 2) -> int:
        """Return the bytes of keys and values that one token leaves behind: 2 · layers · kv_heads · head_dim · bytes.

        Examples
        --------
        >>> MODELS["SmolLM2-135M"].kv_bytes_per_token()
        23040
        """
        return 2 * self.layers * self.kv_heads * self.head_dim * dtype_bytes

    def weight_bytes(self, dtype_bytes: float = 2) -> float:
        """Return the bytes of all weights."""
        return self.parameters * dtype_bytes


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """An accelerator's memory (10^9 bytes) and memory bandwidth (10^9 bytes a second), from its data sheet."""

    name: str
    memory_gb: float
    bandwidth_gb_s: float


def _shapes(*shapes: tuple[str, int, int, int, int, int]) -> dict[str, ModelShape]:
    names = ("name", "parameters", "layers", "heads", "kv_heads", "head_dim")
    return {shape[0]: ModelShape(**dict(zip(names, shape, strict=True))) for shape in shapes}  # type: ignore[arg-type]


MODELS = _shapes(  # from the models' config.json
    ("SmolLM2-135M", 134_515_008, 30, 9, 3, 64),
    ("Qwen2.5-1.5B", 1_543_714_304, 28, 12, 2, 128),
    ("Llama-2-7B", 6_738_415_616, 32, 32, 32, 128),
    ("Llama-3-8B", 8_030_261_248, 32, 32, 8, 128),
)
GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu(name="L4", memory_gb=24, bandwidth_gb_s=300),
        Gpu(name="A100-80GB", memory_gb=80, bandwidth_gb_s=2039),
        Gpu(name="H100-SXM", memory_gb=80, bandwidth_gb_s=3350),
    )
}


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is asked of a deployment at its peak.

    Attributes
    ----------
    requests_per_s
        Arrivals a second.
    prompt, output
        Mean tokens.
    tpot_ms
        Objective for the time per output token.
    """

    requests_per_s: float
    prompt: int
    output: int
    tpot_ms: float

    def __post_init__(self) -> None:
        if min(self.requests_per_s, self.prompt, self.output, self.tpot_ms) <= 0:
            raise LLMError(f"{self} is no load.", expected="numbers above 0")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A deployment on paper.

    Attributes
    ----------
    kv_tokens
        Tokens that the KV cache of one GPU holds.
    by_memory, by_latency
        Sequences at once that fit, and that keep the objective.
    sequences
        What to set: the smaller of the two, at most 256.
    tokens_per_s
        Of one GPU at that many sequences.
    replicas
        GPUs for the load with headroom, plus one that may fail or be updated.
    """

    kv_tokens: int
    by_memory: int
    by_latency: int
    sequences: int
    tokens_per_s: float
    replicas: int


def plan(
    model: ModelShape,
    gpu: Gpu,
    load: Load,
    *,
    share: float = 0.9,
    overhead_gb: float = 2.0,
    efficiency: float = 0.6,
    headroom: float = 0.7,
) -> Plan:
    """Size a deployment with one model replica per GPU, 16-bit weights and cache.

    Decoding reads all weights and the cache of every running sequence once a step, so a step takes at least those
    bytes over the bandwidth (Pope et al. 2022). It is a lower bound divided by an assumed efficiency, to be replaced by
    a load test on one GPU before anybody buys ten.

    Parameters
    ----------
    share
        Part of the memory the server may use (vLLM's ``--gpu-memory-utilization``).
    overhead_gb
        Activations, CUDA graphs, the runtime.
    efficiency
        Part of the bandwidth that is reached.
    headroom
        Part of the capacity that is planned with: queues explode near 1.

    Raises
    ------
    LLMError
        The weights don't fit, or no sequence keeps the objective.
    """
    kv_bytes, weights = model.kv_bytes_per_token(), model.weight_bytes()
    left = gpu.memory_gb * 1e9 * share - overhead_gb * 1e9 - weights
    per_sequence = kv_bytes * (load.prompt + load.output)
    if left < per_sequence:
        raise LLMError(
            f"{model.name} needs {weights / 1e9:.1f} GB for its weights; {gpu.name} has {gpu.memory_gb:g} GB.",
            expected="room for the weights, the runtime and one conversation",
            next_step="quantise the weights, split the model over several GPUs, or take a larger one",
        )
    rate = gpu.bandwidth_gb_s * 1e9 * efficiency
    mean_kv = kv_bytes * (load.prompt + load.output / 2)  # a sequence is half written on average
    by_memory = int(left // per_sequence)
    by_latency = math.floor((load.tpot_ms / 1000 * rate - weights) / mean_kv)
    if by_latency < 1:
        raise LLMError(
            f"Reading the weights of {model.name} takes {1000 * weights / rate:.0f} ms a step on {gpu.name}.",
            expected=f"at most {load.tpot_ms:g} ms per output token",
            next_step="quantise, take a GPU with more bandwidth, or relax the objective",
        )
    sequences = min(by_memory, by_latency, 256)
    tokens_per_s = sequences * rate / (weights + sequences * mean_kv)
    replicas = math.ceil(load.requests_per_s * load.output / (headroom * tokens_per_s)) + 1
    return Plan(
        kv_tokens=int(left // kv_bytes),
        by_memory=by_memory,
        by_latency=by_latency,
        sequences=sequences,
        tokens_per_s=tokens_per_s,
        replicas=replicas,
    )
