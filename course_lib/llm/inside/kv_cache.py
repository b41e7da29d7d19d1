"""The paged KV cache of vLLM on one page: blocks, block tables, shared prefixes, copy on write (Kwon et al. 2023, §4).

Attention needs the keys and values of every earlier token, so a server keeps them. A contiguous cache reserves room for
the longest possible answer; a paged one hands out small blocks as the answer grows, and a block table per sequence says
where its tokens lie, exactly as an operating system maps pages:

    block table of "a"   [7, 2, 5]        token 37 with 16 tokens a block: 37 // 16 = 2, 37 % 16 = 5
                                └── block 5, slot 5

A block counts the tables it is in (`ref_count`). Sequences may share a block as long as nobody writes to it; whoever
wants to write to a shared block copies it first. A full block is found again by its hash, which covers its tokens and
all before them, also after its last user has gone, until the room is needed: that is prefix caching.

Source: https://arxiv.org/abs/2309.06180. Names, and free blocks that keep their contents, follow vLLM's V1 block pool.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter, OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from course_lib.llm.errors import LLMError, OutOfBlocks

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Block", "BlockStore", "PagedCache", "Write", "attention", "block_hash"]

_NO_PARENT = bytes(32)


@dataclass(eq=False)
class Block:
    """One physical block.

    Attributes
    ----------
    block_id
        Its number: the place in memory.
    ref_count
        How many block tables it is in; 0: it is free.
    hash
        :func:`block_hash` of a full block; ``None`` while it has room, or without prefix caching.
    token_ids
        The tokens whose keys and values it holds, at most ``block_size``. A free block keeps them until it is reused.
    """

    block_id: int
    ref_count: int = 0
    hash: bytes | None = None
    token_ids: list[int] = field(default_factory=list)


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


def block_hash(parent: bytes | None, token_ids: Sequence[int]) -> bytes:
    """Return the hash of a full block: of its tokens and of its parent's hash, so of every token up to its end.

    Keys and values depend on all tokens before. SHA-256, as in vLLM: with Python's ``hash`` one could make up a prompt
    that collides with somebody else's, and read on from their blocks (CVE-2025-25183).
    """
    return hashlib.sha256((parent or _NO_PARENT) + array("q", token_ids).tobytes()).digest()


class PagedCache:
    """The bookkeeping of a paged KV cache: which sequence uses which block.

    Parameters
    ----------
    num_blocks
        Number of physical blocks.
    block_size
        Tokens a block holds.
    prefix_caching
        Whether full blocks are found again by their hash.

    Examples
    --------
    >>> cache = PagedCache(num_blocks=8, block_size=4)
    >>> cache.allocate("a", [5, 6, 7, 8, 9]), cache.allocate("b", [5, 6, 7, 8, 1])  # tokens that were already there
    (0, 4)
    >>> cache.block_table("a"), cache.block_table("b"), cache.blocks[0].ref_count
    ([0, 1], [0, 2], 2)
    """

    def __init__(self, num_blocks: int, block_size: int = 16, *, prefix_caching: bool = True) -> None:
        if num_blocks < 1 or block_size < 1:
            raise LLMError(
                f"A cache of {num_blocks} blocks with {block_size} tokens each holds nothing.",
                expected="at least one block of at least one token",
            )
        self.num_blocks, self.block_size, self.prefix_caching = num_blocks, block_size, prefix_caching
        self.blocks = [Block(block_id) for block_id in range(num_blocks)]
        self._free = OrderedDict((block.block_id, block) for block in self.blocks)  # the longest unused first
        self._by_hash: dict[bytes, Block] = {}
        self._tables: dict[Hashable, list[Block]] = {}  # of its blocks only the last may have room

    # ── what a scheduler asks for ──────────────────────────────────────────────────────────────────────────────────

    def can_allocate(self, token_ids: Sequence[int]) -> bool:
        """Whether :meth:`allocate` would find room for these tokens."""
        return self._missing(token_ids, self._cached_prefix(token_ids)) <= 0

    def allocate(self, sequence: Hashable, token_ids: Sequence[int]) -> int:
        """Make room for a prompt, and return how many of its tokens were there already (and need no computing).

        Raises
        ------
        OutOfBlocks
            There is not enough room; nothing has changed.
        LLMError
            The sequence is there already.
        """
        self._require_new(sequence)
        table = self._cached_prefix(token_ids)
        if (missing := self._missing(token_ids, table)) > 0:
            raise self._full(missing)
        for block in table:
            self._share(block)
        cached = len(table) * self.block_size
        for start in range(cached, len(token_ids), self.block_size):
            table.append(self._take(token_ids[start : start + self.block_size]))
            self._hash_last(table)
        self._tables[sequence] = table
        return cached

    def can_append(self, sequence: Hashable) -> bool:
        """Whether :meth:`append` would find room for one more token."""
        return bool(self._free) or not self._needs_block(self._table(sequence))

    def append(self, sequence: Hashable, token_id: int) -> Write:
        """Make room for one more token and say where it goes.

        Raises
        ------
        OutOfBlocks
            A new block is needed and none is free; nothing has changed.
        LLMError
            The sequence is unknown.
        """
        table, copied_from = self._table(sequence), None
        if self._needs_block(table):
            full = not table or len(table[-1].token_ids) == self.block_size
            block = self._take([] if full else table[-1].token_ids)
            if not full:  # others read this block: copy on write
                copied_from = table.pop()
                self._release(copied_from)
            table.append(block)
        block = table[-1]
        block.token_ids.append(token_id)
        self._hash_last(table)
        return Write(block.block_id, len(block.token_ids) - 1, copied_from.block_id if copied_from else None)

    def fork(self, parent: Hashable, child: Hashable) -> None:
        """Let ``child`` continue where ``parent`` stands, as beams and parallel samples do. No block is copied."""
        table = self._table(parent)
        self._require_new(child)
        for block in table:
            self._share(block)
        self._tables[child] = list(table)

    def free(self, sequence: Hashable) -> None:
        """Give back the blocks of a sequence; those that others use stay theirs."""
        table = self._table(sequence)
        del self._tables[sequence]
        for block in reversed(table):  # so that the end of a prompt is forgotten before its beginning
            self._release(block)

    # ── what one can see ───────────────────────────────────────────────────────────────────────────────────────────

    def block_table(self, sequence: Hashable) -> list[int]:
        """Return the block numbers of a sequence in order; shape ``(ceil(length / block_size),)``."""
        return [block.block_id for block in self._table(sequence)]

    def token_ids(self, sequence: Hashable) -> list[int]:
        """Return the tokens of a sequence, read through its block table."""
        return [token_id for block in self._table(sequence) for token_id in block.token_ids]

    @property
    def num_free_blocks(self) -> int:
        """Number of blocks that nobody uses."""
        return len(self._free)

    @property
    def used_slots(self) -> int:
        """Slots of the blocks in use, filled or not."""
        return (self.num_blocks - self.num_free_blocks) * self.block_size

    @property
    def waste(self) -> float:
        """Share of the slots in used blocks that hold no token (0 to 1)."""
        last = {table[-1] for table in self._tables.values() if table}  # all other blocks are full
        empty = sum(self.block_size - len(block.token_ids) for block in last)
        return empty / self.used_slots if empty else 0.0

    def check(self) -> None:
        """Count everything anew and compare.

        Raises
        ------
        LLMError
            A block leaked, is free and used at once, is counted wrongly, or is found under another block's hash.
        """
        counted = Counter(block.block_id for table in self._tables.values() for block in table)
        wrong = [block.block_id for block in self.blocks if counted[block.block_id] != block.ref_count]
        unfree = [block.block_id for block in self.blocks if (block.ref_count == 0) != (block.block_id in self._free)]
        unfilled = [name for name, table in self._tables.items() if not self._well_formed(table)]
        if wrong or unfree or unfilled or any(key != block.hash for key, block in self._by_hash.items()):
            raise LLMError(
                f"Wrong: ref_count of blocks {wrong}, free list at {unfree}, block tables of {unfilled}.",
                expected="every block counted once per table, and full before the next one begins",
            )

    # ── blocks ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _table(self, sequence: Hashable) -> list[Block]:
        try:
            return self._tables[sequence]
        except KeyError:
            raise LLMError(
                f"Sequence {sequence!r} is not in the cache.",
                expected="one that was allocated and not freed yet: freeing twice would give a block to two owners",
            ) from None

    def _require_new(self, sequence: Hashable) -> None:
        if sequence in self._tables:
            raise LLMError(f"Sequence {sequence!r} is in the cache already.", expected="a new name, or append()")

    def _take(self, token_ids: Sequence[int]) -> Block:
        if not self._free:
            raise self._full(1)
        _, block = self._free.popitem(last=False)
        if block.hash is not None and self._by_hash.get(block.hash) is block:  # what it held is overwritten: forget it
            del self._by_hash[block.hash]
        block.ref_count, block.hash, block.token_ids = 1, None, list(token_ids)
        return block

    def _share(self, block: Block) -> None:
        block.ref_count += 1
        self._free.pop(block.block_id, None)

    def _release(self, block: Block) -> None:
        block.ref_count -= 1
        if block.ref_count == 0:
            self._free[block.block_id] = block

    def _needs_block(self, table: list[Block]) -> bool:
        return not table or len(table[-1].token_ids) == self.block_size or table[-1].ref_count > 1

    def _missing(self, token_ids: Sequence[int], cached: list[Block]) -> int:
        """Return how many blocks more than the free ones these tokens need; cached ones may be among the free."""
        needed = -(-len(token_ids) // self.block_size) - len(cached)
        return needed - (len(self._free) - sum(block.ref_count == 0 for block in cached))

    def _cached_prefix(self, token_ids: Sequence[int]) -> list[Block]:
        """Return the blocks of the longest known prefix. The last token is always computed: it makes the next."""
        found: list[Block] = []
        parent = None
        for start in range(0, len(token_ids) - self.block_size if self.prefix_caching else 0, self.block_size):
            parent = block_hash(parent, token_ids[start : start + self.block_size])
            if parent not in self._by_hash:
                break
            found.append(self._by_hash[parent])
        return found

    def _hash_last(self, table: list[Block]) -> None:
        block = table[-1]
        if self.prefix_caching and len(block.token_ids) == self.block_size:
            block.hash = block_hash(table[-2].hash if len(table) > 1 else None, block.token_ids)
            self._by_hash.setdefault(block.hash, block)

    def _well_formed(self, table: list[Block]) -> bool:
        sizes = [len(block.token_ids) for block in table]
        return all(size == self.block_size for size in sizes[:-1]) and (not sizes or 1 <= sizes[-1] <= self.block_size)

    def _full(self, missing: int) -> OutOfBlocks:
        return OutOfBlocks(
            f"{missing} more blocks are needed than the {len(self._free)} that are free.",
            expected=f"room in a cache of {self.num_blocks} blocks",
            next_step="free or preempt a sequence, then try again",
        )


class BlockStore:
    """The memory itself, for one layer; :class:`PagedCache` says who may write where.

    Parameters
    ----------
    num_blocks, block_size, kv_heads, head_dim
        Shape of keys and of values.
    """

    def __init__(self, num_blocks: int, block_size: int, kv_heads: int, head_dim: int) -> None:
        import numpy as np

        self.keys = np.zeros((num_blocks, block_size, kv_heads, head_dim), np.float32)
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
