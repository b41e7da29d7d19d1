# %% writes into shared blocks answer="wrong" expect="copy a shared block before you write to it"
class Allocator:
    def __init__(self, blocks, block_size):
        self.size, self.users, self.sequences = block_size, [0] * blocks, {}

    def append(self, sequence):
        table, length = self.sequences.get(sequence, ([], 0))
        if length % self.size == 0:
            if 0 not in self.users:
                raise MemoryError
            table = [*table, self.users.index(0)]
            self.users[table[-1]] = 1
        self.sequences[sequence] = table, length + 1
        return table[-1], length % self.size, None

    def fork(self, parent, child):
        self.sequences[child] = self.sequences[parent]
        for block in self.sequences[child][0]:
            self.users[block] += 1

    def free(self, sequence):
        for block in self.sequences.pop(sequence)[0]:
            self.users[block] -= 1

    def free_blocks(self):
        return self.users.count(0)


def replay(blocks, block_size, operations):
    return allocator_check.replay(Allocator, blocks, block_size, operations)


# %% a block is free as soon as one user goes answer="wrong" expect="was given back; count its users"
class Allocator:
    def __init__(self, blocks, block_size):
        self.size, self.unused, self.sequences = block_size, list(range(blocks)), {}

    def append(self, sequence):
        table, length = self.sequences.get(sequence, ([], 0))
        source, shared = None, [t for name, (t, _) in self.sequences.items() if name != sequence and t[-1:] == table[-1:]]
        if length % self.size == 0:
            table = [*table, self.take()]
        elif shared:
            source, table = table[-1], [*table[:-1], self.take()]
        self.sequences[sequence] = table, length + 1
        return table[-1], length % self.size, source

    def take(self):
        if not self.unused:
            raise MemoryError
        return self.unused.pop()

    def fork(self, parent, child):
        self.sequences[child] = self.sequences[parent]

    def free(self, sequence):
        self.unused += self.sequences.pop(sequence)[0]

    def free_blocks(self):
        return len(self.unused)


def replay(blocks, block_size, operations):
    return allocator_check.replay(Allocator, blocks, block_size, operations)


# %% copies at the fork answer="wrong" expect="a block leaked"
class Allocator:
    def __init__(self, blocks, block_size):
        self.size, self.unused, self.sequences = block_size, list(range(blocks)), {}

    def append(self, sequence):
        table, length = self.sequences.get(sequence, ([], 0))
        if length % self.size == 0:
            if not self.unused:
                raise MemoryError
            table = [*table, self.unused.pop()]
        self.sequences[sequence] = table, length + 1
        return table[-1], length % self.size, None

    def fork(self, parent, child):
        table, length = self.sequences[parent]
        self.sequences[child] = [self.unused.pop() for _ in table], length

    def free(self, sequence):
        self.unused += self.sequences.pop(sequence)[0]

    def free_blocks(self):
        return len(self.unused)


def replay(blocks, block_size, operations):
    return allocator_check.replay(Allocator, blocks, block_size, operations)


# %% forgets that the copied block lost a user answer="wrong" expect="one user less for a block that was copied"
class Allocator:
    def __init__(self, blocks, block_size):
        self.size, self.users, self.sequences = block_size, [0] * blocks, {}

    def append(self, sequence):
        table, length = self.sequences.get(sequence, ([], 0))
        source = None
        if length % self.size == 0:
            table = [*table, self.take()]
        elif self.users[table[-1]] > 1:
            source, table = table[-1], [*table[:-1], self.take()]
        self.sequences[sequence] = table, length + 1
        return table[-1], length % self.size, source

    def take(self):
        if 0 not in self.users:
            raise MemoryError
        block = self.users.index(0)
        self.users[block] = 1
        return block

    def fork(self, parent, child):
        self.sequences[child] = self.sequences[parent]
        for block in self.sequences[child][0]:
            self.users[block] += 1

    def free(self, sequence):
        for block in self.sequences.pop(sequence)[0]:
            self.users[block] -= 1

    def free_blocks(self):
        return self.users.count(0)


def replay(blocks, block_size, operations):
    return allocator_check.replay(Allocator, blocks, block_size, operations)


# %% ignores a second free answer="wrong" expect="freed twice"
class Allocator(llm.PagedCache):
    def __init__(self, blocks, block_size):
        super().__init__(blocks, block_size, prefix_caching=False)

    def append(self, sequence):
        if sequence not in self._tables:
            self.allocate(sequence, [])
        try:
            write = super().append(sequence, 0)
        except llm.errors.OutOfBlocks:
            if not self.block_table(sequence):
                super().free(sequence)
            raise MemoryError from None
        return write.block, write.slot, write.copied_from

    def fork(self, parent, child):
        if parent not in self._tables:
            raise KeyError(parent)
        super().fork(parent, child)

    def free(self, sequence):
        if sequence in self._tables:
            super().free(sequence)

    def free_blocks(self):
        return self.num_free_blocks


def replay(blocks, block_size, operations):
    return allocator_check.replay(Allocator, blocks, block_size, operations)


# %% a free list and sets of users answer="right"
class Allocator:
    def __init__(self, blocks, block_size):
        self.size, self.unused = block_size, list(range(blocks))
        self.users = {block: set() for block in range(blocks)}
        self.tables, self.lengths = {}, {}

    def append(self, sequence):
        length = self.lengths.get(sequence, 0)
        slot = length % self.size
        table = self.tables.get(sequence, [])
        alone = slot and self.users[table[-1]] == {sequence}
        source = table[-1] if slot and not alone else None
        if not alone:
            if not self.unused:
                raise MemoryError("full")
            block = self.unused.pop(0)
            self.users[block] = {sequence}
            if source is not None:
                self.users[source].discard(sequence)
                table = table[:-1]
            self.tables[sequence] = [*table, block]
        self.lengths[sequence] = length + 1
        return self.tables[sequence][-1], slot, source

    def fork(self, parent, child):
        self.tables[child], self.lengths[child] = self.tables[parent][:], self.lengths[parent]
        for block in self.tables[child]:
            self.users[block].add(child)

    def free(self, sequence):
        del self.lengths[sequence]
        for block in self.tables.pop(sequence):
            self.users[block].discard(sequence)
            if not self.users[block]:
                self.unused.append(block)

    def free_blocks(self):
        return len(self.unused)


def replay(blocks, block_size, operations):
    return allocator_check.replay(Allocator, blocks, block_size, operations)


# %% the course's cache inside answer="right"
class Allocator:
    def __init__(self, blocks, block_size):
        self.inner, self.known = llm.PagedCache(blocks, block_size, prefix_caching=False), set()

    def append(self, sequence):
        if sequence not in self.known:
            self.inner.allocate(sequence, [])
        try:
            write = self.inner.append(sequence, 0)
        except llm.errors.OutOfBlocks as error:
            if sequence not in self.known:
                self.inner.free(sequence)
            raise MemoryError(str(error)) from error
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


def replay(blocks, block_size, operations):
    return allocator_check.replay(Allocator, blocks, block_size, operations)
