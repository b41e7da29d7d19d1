"""The paged KV cache of vLLM on one page: blocks, tables, shared prefixes, copy on write (Kwon et al. 2023, §4).

Attention needs the keys and values of every earlier token, so a server keeps them. A contiguous cache reserves room for
the longest possible answer; a paged one hands out small blocks as the answer grows, and a table per sequence says where
its tokens lie, exactly as an operating system maps pages:

    table of sequence "a"   [7, 2, 5]        token 37 with 16 tokens a block: 37 // 16 = 2, 37 % 16 = 5
                                   └── block 5, slot 5

A block has a count of users. Two sequences may share a block as long as nobody writes to it; whoever wants to write to
a shared block copies it first. Full blocks are found again by the tokens they hold (and all before them), also after
their last user has gone, until the room is needed: that is prefix caching.

Source: https://arxiv.org/abs/2309.06180. The free blocks that keep their contents follow vLLM's V1 block pool.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from course_lib.llm.errors import LLMError, OutOfBlocks

if TYPE_CHECKING:
    import numpy as np

__all__ = ["BlockStore", "PagedCache", "Write", "attention"]


@dataclass(frozen=True)
class Write:
    """Where the keys and values of one token go.

    Attributes
    ----------
    block, slot
        Physical block, and the place in it.
    copied_from
        Block whose first ``slot`` tokens have to be copied to ``block`` before, because others still read it.
    """

    block: int
    slot: int
    copied_from: int | None = None


class PagedCache:
    """The bookkeeping of a paged KV cache: which sequence uses which block.

    Parameters
    ----------
    blocks
        Number of physical blocks.
    block_size
        Tokens a block holds.
    prefix_caching
        Whether full blocks are found again by their tokens.

    Examples
    --------
    >>> cache = PagedCache(blocks=8, block_size=4)
    >>> cache.add("a", [5, 6, 7, 8, 9]), cache.add("b", [5, 6, 7, 8, 1])  # tokens that were already there
    (0, 4)
    >>> cache.table("a"), cache.table("b")
    ([0, 1], [0, 2])
    """

    def __init__(self, blocks: int, block_size: int = 16, *, prefix_caching: bool = True) -> None:
        if blocks < 1 or block_size < 1:
            raise LLMError(
                f"A cache of {blocks} blocks with {block_size} tokens each holds nothing.",
                expected="at least one block of at least one token",
            )
        self.blocks, self.block_size, self._caching = blocks, block_size, prefix_caching
        self._users = [0] * blocks  # per block: how many tables it is in
        self._free: OrderedDict[int, None] = OrderedDict.fromkeys(range(blocks))  # the longest unused first
        self._tables: dict[Hashable, list[int]] = {}
        self._tokens: dict[Hashable, list[int]] = {}
        self._by_content: dict[tuple[int, ...], int] = {}  # all tokens up to the end of a full block -> that block
        self._content: dict[int, tuple[int, ...]] = {}  # the other way round

    # ── what a scheduler asks for ──────────────────────────────────────────────────────────────────────────────────

    def add(self, sequence: Hashable, tokens: Sequence[int]) -> int:
        """Make room for a prompt, and return how many of its tokens were there already (and need no computing).

        Raises
        ------
        OutOfBlocks
            There is not enough room; nothing has changed.
        LLMError
            The sequence is there already.
        """
        if sequence in self._tables:
            raise LLMError(f"Sequence {sequence!r} is in the cache already.", expected="a new name, or append()")
        hits = self._known_prefix(tokens)
        needed = -(-len(tokens) // self.block_size) - len(hits)
        if needed > len(self._free) - sum(block in self._free for block in hits):
            raise self._full(needed)
        for block in hits:
            self._use(block)
        table = [*hits, *(self._take() for _ in range(needed))]
        self._tables[sequence], self._tokens[sequence] = table, list(tokens)
        for index in range(len(hits), len(tokens) // self.block_size):
            self._remember(sequence, index)
        return len(hits) * self.block_size

    def append(self, sequence: Hashable, token: int) -> Write:
        """Make room for one more token and say where it goes.

        Raises
        ------
        OutOfBlocks
            A new block is needed and none is free; nothing has changed.
        LLMError
            The sequence is unknown.
        """
        table, tokens = self._find(sequence), self._tokens[sequence]
        slot = len(tokens) % self.block_size
        copied_from = None
        if slot == 0:  # every block is full, or there is none yet
            table.append(self._take())
        elif self._users[table[-1]] > 1:  # others read this block: copy on write
            copied_from, table[-1] = table[-1], self._take()
            self._drop(copied_from)
        tokens.append(token)
        if slot == self.block_size - 1:
            self._remember(sequence, len(table) - 1)
        return Write(table[-1], slot, copied_from)

    def fork(self, parent: Hashable, child: Hashable) -> None:
        """Let ``child`` continue where ``parent`` stands, as beams and parallel samples do. No block is copied."""
        table = self._find(parent)
        if child in self._tables:
            raise LLMError(f"Sequence {child!r} is in the cache already.", expected="a new name")
        for block in table:
            self._use(block)
        self._tables[child], self._tokens[child] = list(table), list(self._tokens[parent])

    def free(self, sequence: Hashable) -> None:
        """Give back the blocks of a sequence; those that others use stay theirs."""
        table = self._find(sequence)
        del self._tables[sequence], self._tokens[sequence]
        for block in reversed(table):  # so that the end of a prompt is forgotten before its beginning
            self._drop(block)

    # ── what one can see ───────────────────────────────────────────────────────────────────────────────────────────

    def table(self, sequence: Hashable) -> list[int]:
        """Return the block numbers of a sequence in order; shape ``(ceil(length / block_size),)``."""
        return list(self._find(sequence))

    def users(self, block: int) -> int:
        """Return in how many tables a block is."""
        return self._users[block]

    @property
    def free_blocks(self) -> int:
        """Number of blocks that nobody uses."""
        return len(self._free)

    @property
    def waste(self) -> float:
        """Share of the slots in used blocks that hold no token (0 to 1)."""
        used = self.blocks - self.free_blocks
        filled: dict[int, int] = {}
        for sequence, table in self._tables.items():
            for index, block in enumerate(table):
                tokens = min(self.block_size, len(self._tokens[sequence]) - index * self.block_size)
                filled[block] = max(filled.get(block, 0), tokens)
        return 1 - sum(filled.values()) / (used * self.block_size) if used else 0.0

    def check(self) -> None:
        """Count everything anew and compare.

        Raises
        ------
        LLMError
            A block leaked, is free and used at once, or is counted wrongly.
        """
        counted = Counter(block for table in self._tables.values() for block in table)
        wrong = [block for block in range(self.blocks) if counted[block] != self._users[block]]
        unfree = [block for block in range(self.blocks) if (counted[block] == 0) != (block in self._free)]
        if wrong or unfree or any(self._by_content.get(key) != block for block, key in self._content.items()):
            raise LLMError(
                f"The books are wrong: users of {wrong}, free list of {unfree}.", expected="every block once"
            )

    # ── the books ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _find(self, sequence: Hashable) -> list[int]:
        try:
            return self._tables[sequence]
        except KeyError:
            raise LLMError(
                f"Sequence {sequence!r} is not in the cache.",
                expected="one that was added and not freed yet: freeing twice would give a block to two owners",
            ) from None

    def _take(self) -> int:
        if not self._free:
            raise self._full(1)
        block, _ = self._free.popitem(last=False)
        if (key := self._content.pop(block, None)) is not None:  # what it held is overwritten: forget it
            del self._by_content[key]
        self._users[block] = 1
        return block

    def _use(self, block: int) -> None:
        self._users[block] += 1
        self._free.pop(block, None)

    def _drop(self, block: int) -> None:
        self._users[block] -= 1
        if self._users[block] == 0:
            self._free[block] = None

    def _known_prefix(self, tokens: Sequence[int]) -> list[int]:
        """Return the blocks of the longest known prefix. The last token is always computed: it makes the next."""
        hits: list[int] = []
        if not self._caching:
            return hits
        for index in range((len(tokens) - 1) // self.block_size):
            block = self._by_content.get(self._key(tokens, index))
            if block is None:
                break
            hits.append(block)
        return hits

    def _remember(self, sequence: Hashable, index: int) -> None:
        key, block = self._key(self._tokens[sequence], index), self._tables[sequence][index]
        if self._caching and key not in self._by_content:
            self._by_content[key], self._content[block] = block, key

    def _key(self, tokens: Sequence[int], index: int) -> tuple[int, ...]:
        # All tokens before it belong to a block's content: keys and values depend on them. vLLM keeps a hash of the
        # block's tokens and its parent's hash instead; the tokens themselves are longer and never collide.
        return tuple(tokens[: (index + 1) * self.block_size])

    def _full(self, needed: int) -> OutOfBlocks:
        return OutOfBlocks(
            f"{needed} more blocks are needed and {len(self._free)} are free.",
            expected=f"room in a cache of {self.blocks} blocks",
            next_step="free or preempt a sequence, then try again",
        )


class BlockStore:
    """The memory itself, for one layer; :class:`PagedCache` says who may write where.

    Parameters
    ----------
    blocks, block_size, kv_heads, head_dim
        Shape of keys and of values.
    """

    def __init__(self, blocks: int, block_size: int, kv_heads: int, head_dim: int) -> None:
        import numpy as np

        self.keys = np.zeros((blocks, block_size, kv_heads, head_dim), np.float32)
        self.values = np.zeros_like(self.keys)

    def put(self, write: Write, key: np.ndarray, value: np.ndarray) -> None:
        """Store the key and the value of one token; both of shape ``(kv_heads, head_dim)``."""
        for memory, new in ((self.keys, key), (self.values, value)):
            if write.copied_from is not None:
                memory[write.block, : write.slot] = memory[write.copied_from, : write.slot]
            memory[write.block, write.slot] = new

    def gather(self, table: Sequence[int], length: int) -> tuple[np.ndarray, np.ndarray]:
        """Return keys and values of a sequence in order; both of shape ``(length, kv_heads, head_dim)``."""
        shape = (-1, *self.keys.shape[2:])
        return self.keys[table].reshape(shape)[:length], self.values[table].reshape(shape)[:length]


def attention(query: np.ndarray, keys: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return what one new token reads from all earlier ones (grouped-query attention).

    Parameters
    ----------
    query
        Shape ``(heads, head_dim)``.
    keys, values
        Shape ``(length, kv_heads, head_dim)``; ``heads`` is a multiple of ``kv_heads``.

    Returns
    -------
    numpy.ndarray
        Shape ``(heads, head_dim)``.
    """
    import numpy as np

    heads, head_dim = query.shape
    group = heads // keys.shape[1]
    keys, values = np.repeat(keys, group, axis=1), np.repeat(values, group, axis=1)  # (length, heads, head_dim)
    scores = np.einsum("hd,lhd->hl", query, keys) / np.sqrt(head_dim)  # (heads, length)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)  # (heads, length), rows sum to 1
    found: np.ndarray = np.einsum("hl,lhd->hd", weights, values)
    return found
