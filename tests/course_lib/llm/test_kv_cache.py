import random

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from course_lib.llm.errors import LLMError, OutOfBlocks
from course_lib.llm.inside.kv_cache import BlockStore, PagedCache, attention

SEQUENCES = ("a", "b", "c", "d", "e")


def keys(tokens, before=()):
    """Stand for keys and values: each depends on its token and on all before."""
    found = list(before)
    for token in tokens:
        found.append(hash((found[-1] if found else None, token)))
    return found


class Memory:
    """What the blocks hold, written only where the cache says; every sequence must read back its own keys."""

    def __init__(self, blocks, size):
        self.cache = PagedCache(blocks, size)
        self.size, self.blocks = size, [[None] * size for _ in range(blocks)]
        self.texts = {}

    def add(self, name, tokens):
        hits = self.cache.allocate(name, tokens)
        assert hits % self.size == 0
        assert hits < len(tokens) or not tokens
        table = self.cache.block_table(name)
        self.texts[name] = keys(tokens)
        for index, key in enumerate(self.texts[name]):
            block, slot = table[index // self.size], index % self.size
            if index < hits:  # computed before: it must be there
                assert self.blocks[block][slot] == key
            else:
                assert self.cache.blocks[block].ref_count == 1
                self.blocks[block][slot] = key

    def append(self, name, token):
        write = self.cache.append(name, token)
        if write.copied_from is not None:
            self.blocks[write.block][: write.slot] = self.blocks[write.copied_from][: write.slot]
        assert self.cache.blocks[write.block].ref_count == 1  # nobody else reads what is written
        self.texts[name] += keys([token], self.texts[name][-1:])[-1:]
        self.blocks[write.block][write.slot] = self.texts[name][-1]

    def fork(self, parent, child):
        self.cache.fork(parent, child)
        self.texts[child] = list(self.texts[parent])

    def free(self, name):
        self.cache.free(name)
        del self.texts[name]

    def read(self, name):
        return [token for block in self.cache.block_table(name) for token in self.blocks[block]][
            : len(self.texts[name])
        ]

    def check(self):
        self.cache.check()
        for name, text in self.texts.items():
            assert self.read(name) == text


class CacheMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.memory = Memory(blocks=9, size=3)

    def absent(self):
        return [name for name in SEQUENCES if name not in self.memory.texts]

    @precondition(lambda self: self.absent())
    @rule(tokens=st.lists(st.integers(0, 1), max_size=12))
    def add(self, tokens):
        before = self.memory.cache.num_free_blocks
        try:
            self.memory.add(self.absent()[0], tokens)
        except OutOfBlocks:
            assert self.memory.cache.num_free_blocks == before

    @precondition(lambda self: self.memory.texts)
    @rule(data=st.data(), token=st.integers(0, 1))
    def append(self, data, token):
        name = data.draw(st.sampled_from(sorted(self.memory.texts)))
        before = self.memory.cache.block_table(name)
        try:
            self.memory.append(name, token)
        except OutOfBlocks:
            assert self.memory.cache.num_free_blocks == 0
            assert self.memory.cache.block_table(name) == before

    @precondition(lambda self: self.memory.texts and self.absent())
    @rule(data=st.data())
    def fork(self, data):
        free = self.memory.cache.num_free_blocks
        self.memory.fork(data.draw(st.sampled_from(sorted(self.memory.texts))), self.absent()[0])
        assert self.memory.cache.num_free_blocks == free

    @precondition(lambda self: self.memory.texts)
    @rule(data=st.data())
    def free(self, data):
        name = data.draw(st.sampled_from(sorted(self.memory.texts)))
        self.memory.free(name)
        with pytest.raises(LLMError, match="not in the cache"):
            self.memory.cache.free(name)

    @invariant()
    def everybody_reads_their_own_tokens(self):
        self.memory.check()

    def teardown(self):
        for name in list(self.memory.texts):
            self.memory.free(name)
        assert self.memory.cache.num_free_blocks == self.memory.cache.num_blocks  # nothing leaked


TestCache = CacheMachine.TestCase
TestCache.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_a_million_operations_leak_nothing_and_write_no_shared_block():
    draw = random.Random(9)
    memory = Memory(blocks=64, size=4)
    names = [f"s{k}" for k in range(24)]
    live, absent = [], list(names)
    full = forks = 0
    for turn in range(1_000_000):
        choice = draw.random()
        try:
            if choice < 0.9 and live:
                memory.append(draw.choice(live), draw.getrandbits(2))
            elif choice < 0.96 and absent:
                memory.add(absent[-1], [draw.getrandbits(1) for _ in range(draw.randrange(1, 12))])
                live.append(absent.pop())
            elif choice < 0.98 and live and absent:
                memory.fork(draw.choice(live), absent[-1])
                live.append(absent.pop())
                forks += 1
            elif live:
                raise OutOfBlocks("make room")
        except OutOfBlocks:
            full += 1
            gone = live.pop(draw.randrange(len(live)))
            memory.free(gone)
            absent.append(gone)
        if turn % 20_000 == 0:
            memory.check()
    for name in live:
        memory.free(name)
    memory.check()
    assert memory.cache.num_free_blocks == 64
    assert min(full, forks) > 1000  # the run did get into the corners


def test_a_shared_prompt_is_found_again_also_after_its_last_user_has_gone():
    cache = PagedCache(num_blocks=8, block_size=4)
    assert cache.allocate("a", range(10)) == 0
    assert cache.allocate("b", range(10)) == 8
    assert cache.block_table("a")[:2] == cache.block_table("b")[:2]
    cache.free("a")
    cache.free("b")
    assert cache.num_free_blocks == 8
    assert cache.allocate("c", [*range(8), 99]) == 8


def test_equal_tokens_after_other_beginnings_are_not_shared():
    cache = PagedCache(num_blocks=8, block_size=2)
    cache.allocate("a", [1, 2, 7, 8, 9])
    assert cache.allocate("b", [3, 4, 7, 8, 9]) == 0
    assert cache.allocate("c", [7, 8, 9]) == 0


def test_a_prefix_is_forgotten_when_its_block_is_needed():
    cache = PagedCache(num_blocks=2, block_size=2)
    cache.allocate("a", [1, 2, 3])
    cache.free("a")
    cache.allocate("b", [7, 8, 9])
    cache.free("b")
    assert cache.allocate("c", [1, 2, 3]) == 0


def test_without_prefix_caching_nothing_is_shared_but_forks():
    cache = PagedCache(num_blocks=8, block_size=2, prefix_caching=False)
    cache.allocate("a", [1, 2, 3])
    assert cache.allocate("b", [1, 2, 3]) == 0


def test_the_first_write_after_a_fork_copies_and_the_second_does_not():
    cache = PagedCache(num_blocks=4, block_size=4)
    cache.allocate("a", [1, 2])
    cache.fork("a", "b")
    (shared,) = cache.block_table("a")
    write = cache.append("b", 3)
    assert (write.copied_from, write.slot) == (shared, 2)
    assert cache.append("a", 3).copied_from is None  # it is alone with its block now


def test_waste_is_the_share_of_empty_slots_in_used_blocks():
    cache = PagedCache(num_blocks=8, block_size=4)
    assert cache.waste == 0
    cache.allocate("a", [1, 2, 3, 4, 5])
    assert cache.waste == pytest.approx(3 / 8)
    cache.fork("a", "b")
    assert cache.waste == pytest.approx(3 / 8)


def test_paged_attention_gives_the_same_numbers():
    draw = np.random.default_rng(0)
    cache, store = PagedCache(num_blocks=12, block_size=4), BlockStore(12, 4, kv_heads=2, head_dim=8)
    rows = {name: draw.normal(size=(2, 11, 2, 8)).astype("float32") for name in "ab"}
    for name in rows:
        cache.allocate(name, [])
    for token in range(11):
        for name, (keys, values) in rows.items():
            store.put(cache.append(name, 100 * ord(name) + token), keys[token], values[token])
    query = draw.normal(size=(6, 8)).astype("float32")
    for name, (keys, values) in rows.items():
        found = attention(query, *store.gather(cache.block_table(name), 11))
        np.testing.assert_array_equal(found, attention(query, keys, values))


def test_a_copied_block_carries_its_contents():
    cache, store = PagedCache(num_blocks=4, block_size=4), BlockStore(4, 4, kv_heads=1, head_dim=1)
    cache.allocate("a", [])
    for token in range(2):
        store.put(cache.append("a", token), np.full((1, 1), token), np.full((1, 1), -token))
    cache.fork("a", "b")
    store.put(cache.append("b", 7), np.full((1, 1), 7), np.full((1, 1), -7))
    assert store.gather(cache.block_table("b"), 3)[0].ravel().tolist() == [0, 1, 7]
    assert store.gather(cache.block_table("a"), 2)[0].ravel().tolist() == [0, 1]


@pytest.mark.parametrize(("blocks", "size"), [(0, 4), (4, 0)])
def test_a_cache_that_holds_nothing_is_refused(blocks, size):
    with pytest.raises(LLMError, match="holds nothing"):
        PagedCache(blocks, size)


def test_mistakes_have_clear_errors():
    cache = PagedCache(num_blocks=2, block_size=2)
    cache.allocate("a", [1])
    with pytest.raises(LLMError, match="in the cache already"):
        cache.allocate("a", [1])
    with pytest.raises(LLMError, match="in the cache already"):
        cache.fork("a", "a")
    with pytest.raises(LLMError, match="not in the cache"):
        cache.append("b", 1)
    with pytest.raises(OutOfBlocks, match="free or preempt"):
        cache.allocate("b", [1, 2, 3, 4])
    assert cache.num_free_blocks == 1
