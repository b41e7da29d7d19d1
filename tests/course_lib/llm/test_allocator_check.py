import pytest

from course_lib.llm import allocator_check
from course_lib.llm.errors import OutOfBlocks
from course_lib.llm.inside.kv_cache import PagedCache


class Right:
    """The course's cache with the interface that the exercise asks for."""

    def __init__(self, blocks, block_size):
        self.inner, self.known = PagedCache(blocks, block_size, prefix_caching=False), set()

    def append(self, sequence):
        if sequence not in self.known:
            self.inner.allocate(sequence, [])
        try:
            write = self.inner.append(sequence, 0)
        except OutOfBlocks as error:
            if sequence not in self.known:
                self.inner.free(sequence)
            raise MemoryError from error
        self.known.add(sequence)
        return write.block, write.slot, write.copied_from

    def fork(self, parent, child):
        if parent not in self.known:
            raise KeyError(parent)
        self.inner.fork(parent, child)
        self.known.add(child)

    def free(self, sequence):
        self.known.remove(sequence)
        self.inner.free(sequence)

    def free_blocks(self):
        return self.inner.num_free_blocks


A, B, FORK = ("append", "a"), ("append", "b"), ("fork", "a", "b")


@pytest.mark.parametrize(("blocks", "size"), [(6, 1), (9, 3), (40, 4), (4, 16)])
def test_a_right_allocator_is_never_blamed(blocks, size):
    for seed in range(10):
        steps = allocator_check.operations(300, seed=seed)
        assert allocator_check.judge(blocks, size, steps, allocator_check.replay(Right, blocks, size, steps)) == ""


def test_random_operations_reach_forks_frees_and_a_full_cache():
    steps = allocator_check.operations(400, seed=1)
    answers = [answer for answer, _ in allocator_check.replay(Right, 9, 3, steps)]
    assert {"append", "fork", "free"} == {step[0] for step in steps}
    assert {allocator_check.FULL, allocator_check.UNKNOWN} <= {answer for answer in answers if isinstance(answer, str)}
    assert any(isinstance(answer, tuple) and answer[2] is not None for answer in answers)


@pytest.mark.parametrize(
    ("steps", "answers", "blame"),
    [
        ([A], [], "gave 0 answers"),
        ([A], [(None, 2)], "not (block, slot, copied_from)"),
        ([A], [((7, 0, None), 2)], "does not exist"),
        ([A, A], [((0, 0, None), 2), ((1, 0, None), 1)], "fill the last block"),
        ([A, A], [((0, 0, None), 2), ((1, 1, None), 1)], "nobody shares it"),
        ([A, B], [((0, 0, None), 2), ((0, 0, None), 2)], "block that is in use"),
        ([A, FORK, B], [((0, 0, None), 2), (None, 2), ((0, 1, None), 2)], "copy a shared block before"),
        ([A, FORK, B], [((0, 0, None), 2), (None, 2), ((1, 1, None), 1)], "say which block has to be copied"),
        ([A], [((0, 0, 1), 2)], "nothing has to be copied"),
        ([A], [((0, 0, None), 1)], "a block leaked"),
        ([A, FORK, ("free", "a")], [((0, 0, None), 2), (None, 2), (None, 3)], "was given back; count its users"),
        ([("free", "a")], [(None, 3)], "freed twice"),
        ([("fork", "x", "y")], [(None, 3)], "parent does not exist"),
        ([A], [(allocator_check.FULL, 3)], "3 of 3 blocks free"),
    ],
)
def test_each_misconception_is_named(steps, answers, blame):
    assert blame in allocator_check.judge(3, 2, steps, answers)
