"""The forward pass of a Llama model in NumPy, on one page: what a server computes for every token.

It reads the same file as llama.cpp and finds the same next tokens, far slower. The course uses it to look inside: how
much worse does a rounded model predict?

Shapes: T tokens, D = width, H query heads, K key/value heads, d = width of a head, V = vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from course_lib.llm.errors import LLMError

if TYPE_CHECKING:
    import numpy as np

    from course_lib.llm.gguf import GGUF

__all__ = ["Transformer", "load"]


@dataclass(frozen=True)
class Transformer:
    """A Llama model: its sizes and its weights by their GGUF names."""

    layers: int
    heads: int  # H
    kv_heads: int  # K
    rope_base: float
    epsilon: float
    weights: Mapping[str, np.ndarray]

    def logits(self, tokens: Sequence[int]) -> np.ndarray:
        """Return a score for every possible next token after each token; shape ``(T, V)``.

        Raises
        ------
        LLMError
            There is no token, or one is not in the vocabulary.
        """
        import numpy as np

        vocabulary = self.weights["token_embd.weight"]  # (V, D)
        if not tokens or not 0 <= min(tokens) <= max(tokens) < len(vocabulary):
            raise LLMError("These are no tokens of the model.", expected=f"numbers from 0 to {len(vocabulary) - 1}")
        x = vocabulary[np.asarray(tokens)]  # (T, D)
        for layer in range(self.layers):
            x = x + self._attention(layer, self._norm(x, f"blk.{layer}.attn_norm"))
            x = x + self._feed_forward(layer, self._norm(x, f"blk.{layer}.ffn_norm"))
        found: np.ndarray = self._norm(x, "output_norm") @ vocabulary.T  # (T, V): the embedding is used twice
        return found

    def perplexity(self, tokens: Sequence[int]) -> float:
        """Return how many equally likely tokens the model hesitates between, on average (1 would be certainty)."""
        import numpy as np

        logits = self.logits(tokens)[:-1]  # what it expected before each token but the first
        top = logits.max(axis=1)
        total = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
        expected = logits[np.arange(len(logits)), np.asarray(tokens)[1:]]
        return float(np.exp((total - expected).mean()))

    def _attention(self, layer: int, x: np.ndarray) -> np.ndarray:
        import numpy as np

        length, d = len(x), x.shape[1] // self.heads
        q = self._rotate((x @ self._matrix(layer, "attn_q").T).reshape(length, self.heads, d))  # (T, H, d)
        k = self._rotate((x @ self._matrix(layer, "attn_k").T).reshape(length, self.kv_heads, d))  # (T, K, d)
        v = (x @ self._matrix(layer, "attn_v").T).reshape(length, self.kv_heads, d)  # (T, K, d)
        # k and v of all tokens are what the KV cache keeps: 2 · K · d numbers a token and layer
        group = self.heads // self.kv_heads
        k, v = (np.repeat(one, group, axis=1).transpose(1, 0, 2) for one in (k, v))  # (H, T, d)
        scores = q.transpose(1, 0, 2) @ k.transpose(0, 2, 1) / np.sqrt(d)  # (H, T, T)
        scores += np.triu(np.full((length, length), -np.inf, np.float32), 1)  # no token sees later ones
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ v  # (H, T, d)
        found: np.ndarray = mixed.transpose(1, 0, 2).reshape(length, -1) @ self._matrix(layer, "attn_output").T
        return found  # (T, D)

    def _feed_forward(self, layer: int, x: np.ndarray) -> np.ndarray:
        import numpy as np

        gate, up = (x @ self._matrix(layer, name).T for name in ("ffn_gate", "ffn_up"))
        found: np.ndarray = (gate / (1 + np.exp(-gate)) * up) @ self._matrix(layer, "ffn_down").T
        return found  # (T, D)

    def _rotate(self, x: np.ndarray) -> np.ndarray:
        """Turn pairs of numbers by an angle that grows with the position (RoPE); shape stays ``(T, heads, d)``."""
        import numpy as np

        length, _, d = x.shape
        angles = np.arange(length)[:, None] * self.rope_base ** (-np.arange(0, d, 2) / d)  # (T, d / 2)
        cos, sin = (f(angles)[:, None].astype(np.float32) for f in (np.cos, np.sin))
        even, odd = x[..., ::2], x[..., 1::2]  # GGUF keeps the two of a pair next to each other
        return np.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1).reshape(x.shape)

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        import numpy as np

        scale = np.sqrt((x * x).mean(axis=-1, keepdims=True) + self.epsilon)
        found: np.ndarray = x / scale * self.weights[f"{name}.weight"]
        return found

    def _matrix(self, layer: int, name: str) -> np.ndarray:
        return self.weights[f"blk.{layer}.{name}.weight"]


def load(file: GGUF, change: Callable[[np.ndarray], np.ndarray] | None = None) -> Transformer:
    """Load a Llama model, each layer's matrices passed through ``change`` (such as a rounding) if one is given.

    Raises
    ------
    LLMError
        It is another kind of model.
    """
    kind = file.header.get("general.architecture")
    if kind != "llama":
        raise LLMError(f"{file.path.name} holds a model of kind {kind!r}.", expected="llama")
    return Transformer(
        layers=file.header["llama.block_count"],
        heads=file.header["llama.attention.head_count"],
        kv_heads=file.header["llama.attention.head_count_kv"],
        rope_base=file.header["llama.rope.freq_base"],
        epsilon=file.header["llama.attention.layer_norm_rms_epsilon"],
        weights=_Unpacked(file, change),
    )


class _Unpacked(Mapping[str, "np.ndarray"]):
    """Weights that are unpacked when they are needed: all at once they take 540 MB, one matrix at most 113."""

    def __init__(self, file: GGUF, change: Callable[[np.ndarray], np.ndarray] | None) -> None:
        self._file, self._change = file, change

    def __getitem__(self, name: str) -> np.ndarray:
        found = self._file.weights(name)
        return self._change(found) if self._change and name.startswith("blk.") and found.ndim == 2 else found

    def __iter__(self) -> Iterator[str]:
        return iter(self._file.tensors)

    def __len__(self) -> int:
        return len(self._file.tensors)
