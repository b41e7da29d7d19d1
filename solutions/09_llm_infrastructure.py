# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 9 · Serve language models at scale
#
# **Time:** 60 minutes to read and run, about two hours with the exercises · **Needs:** notebook 3 read. Single paragraphs point to the metrics of notebook 6, the gate of
# notebook 7 and the manifests of notebook 8; nothing of them has to be run first.
#
# After this notebook you can
#
# - compute how much memory a conversation takes, and how many fit on a GPU;
# - build the **block tables** of PagedAttention, with shared prefixes and copy on write;
# - schedule requests with **continuous batching**, and say which part of the speed comes from where;
# - read tokens off the wire, and report time to first token and time per output token;
# - load-test a real server, read its metrics, and weigh a quantised model by size, speed *and* quality;
# - size a deployment on paper, and choose the server with a reason.
#
# ```mermaid
# flowchart LR
#   A[Data collection] --> B[Data validation] --> C[Feature engineering] --> D[Model training]
#   D --> E[Experiment tracking] --> F[Model evaluation] --> G[Model registry] --> H[CI/CD]
#   H --> I[Deployment] --> J[Monitoring] --> K[Retraining] --> A
#   classDef lit fill:#E69F00,stroke:#000,color:#000,stroke-width:2px
#   class I lit
# ```
#
# The cell below says which engines this notebook uses, and which of them this machine has.

# %%
from course_lib import engines

engines.table("vllm", "llama.cpp", "locust")

# %% tags=["parameters"]
USERS = (1, 8, 32)  # at the same time, in the load tests
STEP_S = 3.0  # seconds per step of a load test

# %%
import json
import math
import os
import random
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
import httpx
import numpy as np
import pandas as pd

from course_lib import checks, cloud, llm
from course_lib.errors import CourseError
from course_lib.llm import allocator_check, batching, figures, quantisation, sizing, trace

# %% [markdown]
# ## 9.1 Two servers, one protocol
#
# The desk wants to write to passengers: *your flight will probably be late, because …*. That takes a language model. We take
# a small one, SmolLM2 with 135 million weights, so that it runs on your machine. It writes fluent English, often nonsense;
# here it is a load, not an oracle.
#
# Two servers are started. **llama.cpp** is up in about a second. **vLLM**, where it is installed, takes a minute or more: it
# loads in the background while you read. Where it is not, a second llama.cpp takes its place, and every table says so.
# A processor without bfloat16 instructions emulates them, four times slower than plain float32 (measured in November 2026 on two
# cores with AVX2 alone, 32 requests at once). So vLLM gets bfloat16 where the processor has them, else float32, and the cell says which.
# Two sizes have vLLM's names: `max_num_seqs` is how many requests a server works on at once, `max_model_len` how many tokens a
# request and its answer may have together.

# %%
big = llm.open_server(("vllm", "llama.cpp"), max_num_seqs=32, max_model_len=720).begin()
small = llm.open_server(("llama.cpp",), max_num_seqs=4, max_model_len=720, threads=1).begin().wait_ready()
ask = llm.Client(small.url, small.model)
computes = f" (it computes with {big.number_format})" if big.number_format else ""
print(f"loading: {big.engine}{computes} · ready: {small.engine}")

# %% [markdown]
# Both speak the protocol that OpenAI introduced, and so do Ollama, LM Studio, SGLang and most gateways. One client is enough
# for all: an address and a model's name.

# %%
ask.complete("Write one sentence to a passenger whose flight to Chicago is 40 minutes late.", max_tokens=40)

# %% [markdown]
# A model reads and writes **tokens**, pieces of words. An answer has two phases. **Prefill** reads the whole prompt at once and gives the first token. **Decoding** makes one token
# after the other, and each needs all weights again. So there are two latencies: the time to first token (**TTFT**), which
# grows with the prompt, and the time per output token (**TPOT**), which grows far less. (Each prompt below begins with a number of
# its own: a server that has seen a beginning before need not read it again. Section 9.6 shows that.)

# %%
phases = {}
for words in (20, 60, 180):
    gates = " ".join(f"gate {random.Random(words + k).randrange(100)}" for k in range(words // 2)) + ". Where to?"
    reply = ask.timed(f"Request {time.time_ns()}: {gates}", max_tokens=24, ignore_eos=True)
    phases[f"{reply.prompt_tokens} tokens"] = {"TTFT (ms)": 1000 * reply.timing.ttft_s, "TPOT (ms)": 1000 * reply.timing.tpot_s}
pd.DataFrame(phases).T.rename_axis("prompt").round(1)

# %% [markdown]
# One more job is started now because it takes a while, and only after the measurement above, which it would slow down:
# section 9.7 asks how well a rounded model predicts a text of ours, and collects the result.

# %%
text = ask.tokens(quantisation.SAMPLE)
helper = ThreadPoolExecutor(1)
rounding = helper.submit(quantisation.study, llm.weights.gguf(), text)
print(f"{len(quantisation.SAMPLE.split())} words are {len(text)} tokens; the model knows 49,152 different ones")

# %% [markdown]
# ## 9.2 What a conversation weighs
#
# To make the next token, each layer compares it with **all** tokens before. What it needs of them, a key and a value per
# layer and head, is kept: the **KV cache**. It is why decoding is quick, and why memory runs out.
#
# A *head* is one of the parallel comparisons in a layer. The new token asks with a query, every token before it answers with a
# key and a value. So a layer has **query heads** and **KV heads**, and several query heads may share one KV head.
#
# ### Exercise 9.1 · KV-cache bytes per token (3 points)
#
# Write `kv_bytes_per_token(config, dtype_bytes=2)`: the bytes that one token leaves in the KV cache. `config` is a dict as in
# a model's `config.json`:
#
# - `num_hidden_layers`, `num_attention_heads`, `hidden_size` are always there;
# - `num_key_value_heads`: with grouped-query attention several query heads share one key and value; if it is missing, every
#   query head has its own;
# - `head_dim`: if it is missing, it is `hidden_size / num_attention_heads`.
#
# Example: 2 layers, 4 heads, `hidden_size` 32, nothing else, 2 bytes a number → `256`.
#
# <details><summary>Hint 1</summary>
#
# Per layer and token: keys **and** values, for each KV head a vector of `head_dim` numbers.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `config.get("num_key_value_heads", config["num_attention_heads"])` takes the second where the first is missing. The result
# is a whole number: divide with `//`.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ex-9-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def kv_bytes_per_token(config, dtype_bytes=2):
    """Return the bytes of keys and values per token of a model with this `config`."""
    ### BEGIN SOLUTION
    kv_heads = config.get("num_key_value_heads", config["num_attention_heads"])
    head_dim = config.get("head_dim", config["hidden_size"] // config["num_attention_heads"])
    return 2 * config["num_hidden_layers"] * kv_heads * head_dim * dtype_bytes
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-9-1", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
fresh = checks.afresh(kv_bytes_per_token)
LLAMA_3_8B = {"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096}
checks.equal(fresh(LLAMA_3_8B), 131_072, what="the bytes per token of Llama-3-8B", misconceptions={
    65_536: "keys and values are both kept, that is two vectors, or a number has two bytes; you counted one",
    524_288: "you counted all 32 query heads; with grouped-query attention only the 8 KV heads are kept",
    4_096: "every layer keeps its own keys and values: multiply by the layers",
    1_048_576: "hidden_size is the width of all heads together; one head is hidden_size / heads wide",
})  # fmt: skip
layers = checks.random().randint(3, 90)
checks.equal(fresh(LLAMA_3_8B | {"num_hidden_layers": layers}), 4096 * layers, what=f"the bytes per token with {layers} layers")
checks.passed("9.1, visible part", 1)

# %% nbgrader={"grade": true, "grade_id": "hidden-9-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 9.1 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
fresh = checks.afresh(kv_bytes_per_token)
old = {"num_hidden_layers": 32, "num_attention_heads": 32, "hidden_size": 4096}
checks.equal(fresh(old), 524_288, what="the bytes per token without num_key_value_heads")
nemo = {"num_hidden_layers": 40, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 5120, "head_dim": 128}
checks.equal(fresh(nemo), 163_840, what="the bytes per token where head_dim is given", misconceptions={
    204_800: "the config names head_dim, and it is not hidden_size / heads here"})
checks.equal(fresh(nemo, dtype_bytes=1), 81_920, what="the bytes per token with 8-bit keys and values")
checks.equal(fresh({"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 32}), 256, what="the example")
### END HIDDEN TESTS

# %% [markdown]
# Of a GPU of 80 GB a server uses 90 %. What is left of that after the weights (16 bits each) and 2 GB for the rest, divided by
# conversations of 2,000 tokens:

# %%
card = sizing.GPUS["A100-80GB"]
weighed = {}
for label, one in sizing.MODELS.items():
    rest, each = 0.9 * card.memory_gb * 1e9 - 2e9 - one.weight_bytes(), one.kv_bytes_per_token()
    fit = int(rest / each / 2000)
    weighed[label] = {"weights (GB)": one.weight_bytes() / 1e9, "KV per token (kB)": each / 1e3, "conversations": fit}
pd.DataFrame(weighed).T.rename_axis("model").round(1).astype({"conversations": int})

# %% [markdown]
# Llama-3-8B has more weights than Llama-2-7B and a quarter of its cache: grouped-query attention keeps 8 heads, not 32. That
# alone serves about four times as many people.
#
# ## 9.3 Memory in blocks
#
# How long an answer gets is not known beforehand. Early servers reserved room for the longest possible one, 2,048 tokens say,
# in one piece. **PagedAttention** hands out small blocks as an answer grows, and a table per sequence says where they are: an
# idea as old as virtual memory. Here three requests begin with the same eight tokens, in blocks of four:

# %%
cache = llm.PagedCache(num_blocks=8, block_size=4)
instructions = [11, 12, 13, 14, 15, 16, 17, 18]
own = {"Ann": [1, 2], "Bob": [3], "Cleo": [4, 5, 6]}
found = {name: cache.allocate(name, [*instructions, *tokens]) for name, tokens in own.items()}
rows = {name: {"found in the cache": hit, "block table": str(cache.block_table(name))} for name, hit in found.items()}
print("ref_count of blocks 0 to 4:", [block.ref_count for block in cache.blocks[:5]])
pd.DataFrame(rows).T

# %% [markdown]
# Ann's prompt was computed. Bob and Cleo found two full blocks there and share them: their prefill is nearly free. A full block
# is found by a hash of its tokens and of the block before it; `ref_count` says in how many tables it is. The result is the
# same, number for number: attention reads through the table what was scattered over memory.

# %%
draw = np.random.default_rng(0)
store = llm.kv_cache.BlockStore(8, 4, kv_heads=3, head_dim=64)  # keys, values: (8 blocks, 4 tokens, 3 heads, 64)
line = llm.PagedCache(num_blocks=8, block_size=4)
line.allocate("Dora", [])
keys, values = draw.normal(size=(2, 22, 3, 64)).astype("float32")  # 22 tokens in a row
for token in range(22):
    store.put(line.append("Dora", token), keys[token], values[token])
query = draw.normal(size=(9, 64)).astype("float32")  # 9 query heads share 3 KV heads
paged = llm.kv_cache.attention(query, *store.gather(line.block_table("Dora"), 22))
bool((paged == llm.kv_cache.attention(query, keys, values)).all())

# %% [markdown]
# Now you. The beginning is made: `Blocks` keeps in `ref_counts` how many sequences use each block (0: it is free).


# %%
class Blocks:
    """Numbered blocks with a reference count each, and sequences: name -> (table, length)."""

    def __init__(self, blocks, block_size):
        self.size, self.ref_counts, self.sequences = block_size, [0] * blocks, {}

    def free_blocks(self):
        return self.ref_counts.count(0)

    def take(self):
        if 0 not in self.ref_counts:
            raise MemoryError("no free block")
        block = self.ref_counts.index(0)
        self.ref_counts[block] = 1
        return block


# %% [markdown]
# ### Exercise 9.2 · A block allocator with sharing (6 points)
#
# Write the class `Allocator(blocks, block_size)`, the bookkeeping of a paged cache. It may build on `Blocks`. Its methods:
#
# - `append(sequence)` makes room for one more token, and starts a sequence that is not known. It returns
#   `(block, slot, copied_from)`: the token goes to place `slot` (0 to `block_size − 1`) of block number `block`. The last block is filled before a new one is taken. If the last block has room but **another
#   sequence uses it too**, take a new block, and return the old one as `copied_from`: copy on write. Else `copied_from` is
#   `None`.
# - `fork(parent, child)`: the child continues where the parent stands. It shares all its blocks and takes none. (The child is
#   always a new name.)
# - `free(sequence)` ends it; a block is free when its last user has gone.
# - `free_blocks()` returns how many blocks are free (`Blocks` has it).
#
# Without a free block `append` raises `MemoryError` and changes nothing; an unknown sequence in `fork` or `free` is a
# `KeyError`. The check plays operations, keeps a memory by what your allocator answers, and looks whether everybody reads back
# exactly their own tokens.
#
# Example, 4 blocks of 2: `append("a")` → `(0, 0, None)`; then `fork("a", "b")`: block 0 has two users; then `append("b")` →
# `(1, 1, 0)`: b gets block 1 with a copy of block 0 and writes to place 1, and a keeps block 0 for itself. (Which free block
# you take is up to you.)
#
# <details><summary>Hint 1</summary>
#
# Keep each sequence's table and length in `self.sequences`. `length % block_size` is the slot; at 0 a new block is needed.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Call `take()` before you change anything else: it may raise. A copied block loses one user; a fork adds one to each block of
# the table.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ex-9-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
class Allocator(Blocks):
    """Who uses which block: `append(sequence)`, `fork(parent, child)`, `free(sequence)`, `free_blocks()`."""

    ### BEGIN SOLUTION
    def append(self, sequence):
        table, length = self.sequences.get(sequence, ([], 0))
        copied_from = None
        if length % self.size == 0:
            table = [*table, self.take()]
        elif self.ref_counts[table[-1]] > 1:
            copied_from, table = table[-1], [*table[:-1], self.take()]
            self.ref_counts[copied_from] -= 1
        self.sequences[sequence] = table, length + 1
        return table[-1], length % self.size, copied_from

    def fork(self, parent, child):
        self.sequences[child] = self.sequences[parent]
        for block in self.sequences[child][0]:
            self.ref_counts[block] += 1

    def free(self, sequence):
        for block in self.sequences.pop(sequence)[0]:
            self.ref_counts[block] -= 1
    ### END SOLUTION


def replay(blocks, block_size, operations):
    """Play operations on an `Allocator`, return what each gave and the free blocks then (written for you)."""
    return allocator_check.replay(Allocator, blocks, block_size, operations)


# %% nbgrader={"grade": true, "grade_id": "check-9-2", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
fresh = checks.afresh(replay)
A, B = ("append", "a"), ("append", "b")
STORIES = {
    "one sequence": [A] * 5 + [("free", "a")],
    "a fork that writes": [A, ("fork", "a", "b"), B, A, ("free", "a"), B, ("free", "b")],
    "a fork that outlives its parent": [A, A, A, ("fork", "a", "b"), ("free", "a"), B, B],
    "freed twice": [A, ("free", "a"), ("free", "a")],
    "full": [A] * 9 + [B, ("free", "a"), B],
}
for name, story in STORIES.items():
    problem = allocator_check.judge(4, 2, story, fresh(4, 2, story))
    checks.require(not problem, f"the story '{name}', at {problem}")
checks.passed("9.2, visible part", 3)

# %% nbgrader={"grade": true, "grade_id": "hidden-9-2", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 9.2 (3 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
fresh = checks.afresh(replay)
for seed, (blocks, size) in enumerate([(16, 4), (12, 2), (9, 3), (24, 1), (8, 16), (40, 4)]):
    story = allocator_check.operations(250, seed=seed)
    problem = allocator_check.judge(blocks, size, story, fresh(blocks, size, story))
    checks.require(not problem, f"{blocks} blocks of {size}, at {problem}")
### END HIDDEN TESTS

# %% [markdown]
# ## 9.4 Who gets the processor next?
#
# A step of decoding reads all weights from memory, whether one sequence wants a token or thirty. Where reading takes most of
# the step, as on a GPU, company is nearly free. So servers batch. In a **static** batch all start together, and rows whose answer is complete wait for the longest. With
# **continuous** batching a row is given to the next request as soon as it is free (Orca, 2022). Sixteen requests, four rows:

# %%
figures.batch_rows(trace.skewed(16, seed=3, prompt=20, output=30), batch=4)

# %% [markdown]
# *Figure: two panels, the rows of a batch over decoding steps; each bar is one request (colours only tell neighbours apart). Above, static batching: four groups
# one after the other, with wide white gaps after the short answers; 308 steps. Below, continuous batching: bars follow each
# other without a gap until the queue is empty; 185 steps.*
#
# ### Exercise 9.3 · A continuous batching scheduler (4 points)
#
# Write `finish_steps(requests, rows)`. `requests` is a list of `(arrival, output)`, both whole numbers: the step from which a
# request is there, and the tokens it wants (at least 1). In each step `t = 0, 1, 2, …`
#
# 1. who has arrived (`arrival ≤ t`) takes a free row, **first come, first served**; of two that came together the one earlier
#    in the list goes first;
# 2. every request that has a row makes one token;
# 3. who has all its tokens gives its row back, so that it can be taken in step `t + 1`.
#
# Return the list of the steps in which each request made its last token, in the order of `requests`.
#
# Example: `finish_steps([(0, 3), (0, 1), (0, 2)], rows=2)` → `[2, 0, 2]`.
#
# <details><summary>Hint 1</summary>
#
# Sort the indices by arrival once (`sorted` keeps the order of equals). Keep a list of `[index, tokens left]` for the rows.
#
# </details>
# <details><summary>Hint 2</summary>
#
# One loop `while queue or running`, with the three points in this order, then `t += 1`. Let more than one request join in a
# step, and don't stop while nobody has arrived yet.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ex-9-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def finish_steps(requests, rows):
    """Return the step in which each request (arrival, output) makes its last token."""
    ### BEGIN SOLUTION
    queue = sorted(range(len(requests)), key=lambda k: requests[k][0])
    running, finished, step = {}, [0] * len(requests), 0
    while queue or running:
        while queue and len(running) < rows and requests[queue[0]][0] <= step:
            index = queue.pop(0)
            running[index] = requests[index][1]
        for index in list(running):
            running[index] -= 1
            if running[index] == 0:
                finished[index] = step
                del running[index]
        step += 1
    return finished
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-9-3", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
fresh = checks.afresh(finish_steps)
def steps_of(requests, rows):
    return tuple(fresh(requests, rows))


checks.equal(steps_of([(0, 3), (0, 1), (0, 2)], 2), (2, 0, 2), what="the list of last steps of the example", misconceptions={
    (2, 0, 4): "the third request waited for the whole batch: that is static batching; take a row as soon as it is free",
    (3, 1, 3): "the steps count from 0, and the first token is made in the step of the arrival",
    (2, 1, 3): "only one request joined in a step: every free row is taken, by whoever waits",
    (2, 0, 1): "all three ran at once, and there are two rows",
})  # fmt: skip
checks.equal(steps_of([(0, 4), (0, 9), (1, 1), (1, 5)], 2), (3, 8, 4, 9), what="the list of last steps of four requests",
             misconceptions={(3, 8, 9, 8): "the latest request was served first: first come, first served"})
checks.equal(steps_of([(5, 1), (0, 2)], 1), (5, 1), what="the list of last steps where nobody is there for a while",
             misconceptions={(2, 1): "a request was served before it had arrived",
                             (0, 2): "a request was served before it had arrived"})
checks.passed("9.3, visible part", 2)

# %% nbgrader={"grade": true, "grade_id": "hidden-9-3", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 9.3 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
fresh = checks.afresh(finish_steps)
for seed, rows, gap in ((1, 32, 0), (2, 8, 3), (3, 1, 40)):
    drawn = trace.skewed(300, seed=seed, output=60)
    arrivals = sorted(random.Random(seed).randrange(1 + 300 * gap) for _ in drawn)
    asked = [(at, one.output) for at, one in zip(arrivals, drawn)]
    plain = batching.CostModel(weights_s=1.0, sequence_s=0.0, prefill_s=0.0)
    wanted = batching.continuous([trace.Request(float(at), 1, n) for at, n in asked], max_num_seqs=rows, cost=plain)
    expected = [round(one.finished_s) - 1 for one in wanted.served]
    found = fresh(asked, rows)
    checks.require(max(found) <= max(expected), f"{len(asked)} requests on {rows} rows took {max(found) + 1} steps, and "
                   f"{max(expected) + 1} are enough: a row stayed empty while somebody waited")
    checks.require(list(found) == expected, f"{len(asked)} requests on {rows} rows: some finish in other steps than first come, first served gives")
checks.equal(fresh([], 4), [], what="the list of no request")
checks.equal(steps_of([(0, 2), (0, 2), (3, 1), (2, 5)], 1), (1, 3, 9, 8), what="the list where the list is not in the order of arrival")
### END HIDDEN TESTS

# %% [markdown]
# Now the question of the interview: *where does the speed come from?* We take one trace of 300 requests with lengths like
# those of real conversations, one cost model (a step takes 30 ms for the weights and 1.7 ms per sequence, about what vLLM took
# on two cores with AVX-512 and bfloat16), a cache of 16,384 tokens, and change **one thing at a time**. The scheduler owns the
# cache: 8 blocks of 2,048 tokens are the reservations of early servers, 1,024 blocks of 16 tokens are paging.

# %%
asked = trace.skewed(300, seed=9)
ways = {
    "one at a time": batching.naive(asked),
    "static batches, 8 reserved": batching.static(asked, max_num_seqs=8),
    "continuous, 8 reserved": batching.continuous(asked, max_num_seqs=32, cache=llm.PagedCache(8, block_size=2048)),
    "continuous, paged": batching.continuous(asked, max_num_seqs=32, cache=llm.PagedCache(1024, block_size=16)),
}
columns = ["tokens/s", "rows in use (0-1)", "KV waste (0-1)"]
pd.DataFrame({name: way.row() for name, way in ways.items()}).T[columns].rename_axis("way to serve")

# %%
figures.waste(ways)

# %% [markdown]
# *Figure: two bar charts of the four ways. Left, the share of reserved KV memory that held nothing: about 75 to 80 % for all
# three that reserve 2,048 tokens, 1.5 % for the paged one. Right, tokens a second: about 31 one at a time, 61 with static batches,
# 174 with continuous batching, 314 with paging on top.*
#
# - **Batching** makes the weights' way from memory pay for several sequences at once. Static batches lose most of it to the
#   longest answer; continuous batching keeps the rows busy.
# - **Paging** wastes 1.5 % where reservations waste 75 %. So up to 32 sequences run where only 8 fitted. That is all it does: it
#   makes room for a larger batch. With memory to spare it changes nothing:

# %%
caches = {"32 reserved": llm.PagedCache(32, block_size=2048)}
caches |= {f"paged, {blocks:,} blocks": llm.PagedCache(blocks, block_size=16) for blocks in (4096, 512, 256)}
served = {name: batching.continuous(asked, max_num_seqs=32, cache=cache) for name, cache in caches.items()}
table = pd.DataFrame({name: way.row() for name, way in served.items()}).T.rename_axis("32 at once")
table[["tokens/s", "KV waste (0-1)", "preempted", "tokens recomputed"]].astype({"preempted": int, "tokens recomputed": int})

# %% [markdown]
# The last two rows show the price of handing out more than one has: when no block is free, the youngest sequence is
# **preempted**. It gives its blocks back, waits in front of the queue, and is computed again. Step by step, with three
# requests and six blocks of four tokens:

# %%
asks = {"A": trace.Request(0.0, 6, 8), "B": trace.Request(0.0, 7, 6), "C": trace.Request(0.0, 5, 6)}  # prompt, answer
tiny = llm.Scheduler(max_num_seqs=3, cache=llm.PagedCache(num_blocks=6, block_size=4))
name_of = {tiny.add(request, request.token_ids(k)): name for k, (name, request) in enumerate(asks.items())}
story = []
while tiny.waiting or tiny.running:
    prefill = tiny.schedule()  # who computes in this step, and how many tokens of prompts that is
    states = {"running": tiny.running, "waiting": tiny.waiting}
    who = {state: " ".join(name_of[one] for one in sequences) for state, sequences in states.items()}
    story.append({**who, "tokens to prefill": prefill, "free blocks": tiny.cache.num_free_blocks, "preempted so far": tiny.preempted})
    tiny.update([0] * len(tiny.running))  # each running sequence made a token; whoever is complete gives its blocks back
victims = " ".join(name for one, name in name_of.items() if one.preempted)
enough = max(request.output for request in asks.values())
print(f"{len(story)} steps ({enough} with memory to spare); preempted: {victims}; tokens computed again: {tiny.recomputed}")
pd.DataFrame(story).rename_axis("step")

# %% [markdown]
# A row of the table is a step. When the blocks are gone and somebody needs one more, C, the youngest, is sent back. It keeps the
# words it has written, and A and B go on as if nothing had happened. When B has left, C returns with its prompt of 5 tokens
# and 2 of its own, in one prefill of 7: 6 for the second time, and its last one, which was due when C had to leave. No token is
# lost; steps and computation are.
#
# The counter alone does not say how bad it is: in the larger table, with half the memory there are about as many preemptions,
# because fewer sequences run at once, and the tokens per second fall all the same. Preemptions that never stop mean too many
# sequences for the memory: watch that counter (vLLM's `vllm:num_preemptions_total`) beside the throughput.
#
# ## 9.5 Tokens on the wire
#
# A streamed answer is one HTTP response that grows: server-sent events, as in notebook 3. These are raw bytes of the small
# server. Here each piece happens to hold whole events; a real network cuts anywhere:

# %%
body = {"model": small.model, "stream": True, "max_tokens": 3, "messages": [{"role": "user", "content": "Hello"}]}
with httpx.stream("POST", f"{small.url}/chat/completions", json=body) as response:
    pieces = list(response.iter_raw())
pieces[1][:200], pieces[-1][-20:]

# %% [markdown]
# ### Exercise 9.4 · An SSE parser (4 points)
#
# Write `read_events(pieces)`. `pieces` is an iterable of `bytes`, which may still be arriving, cut anywhere: inside an event, a
# line, a letter. Return the
# list of the decoded JSON objects up to `[DONE]`:
#
# - an event is one or more lines `data: …` and ends with an **empty line**; several `data` lines are joined with a newline;
# - the space after the colon may be missing; lines end with `\n` or `\r\n`;
# - lines that begin with `:` are comments (servers send them to keep a connection open); other fields are ignored;
# - the event `data: [DONE]` ends the stream; what comes after it is not read. Like every event it is complete with its empty
#   line;
# - a stream that ends **without** a complete `[DONE]` broke off: raise a `ValueError`.
#
# Example: `read_events([b'data: {"n"', b': 1}\n\nda', b'ta: [DONE]\n\n'])` → `[{"n": 1}]`.
#
# <details><summary>Hint 1</summary>
#
# Collect **bytes** in a buffer and cut complete lines off it (`buffer.split(b"\n")`; the last part stays). Decode a line only
# when it is complete, then no letter is cut.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `line.rstrip(b"\r").decode()`. If it is empty and you have collected data, that was an event. `line.partition(":")` gives
# the field and its value; `value.removeprefix(" ")` takes one space away.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ex-9-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def read_events(pieces):
    """Return the JSON objects of a stream of server-sent events up to [DONE]."""
    ### BEGIN SOLUTION
    found, data, buffer = [], [], b""
    for piece in pieces:
        *lines, buffer = (buffer + piece).split(b"\n")
        for line in lines:
            text = line.rstrip(b"\r").decode()
            if text:
                field, _, value = text.partition(":")
                if field == "data":
                    data.append(value.removeprefix(" "))
            elif data:
                event, data = "\n".join(data), []
                if event == "[DONE]":
                    return found
                found.append(json.loads(event))
    raise ValueError("the stream broke off before [DONE]")
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-9-4", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
fresh = checks.afresh(read_events)
def read_or_fail(pieces, why):
    try:
        return fresh(pieces)
    except NotImplementedError:
        raise
    except Exception as error:
        checks.fail(f"{type(error).__name__}: {str(error)[:80]}; {why}")


WHOLE = b'data: {"n": 1}\n\ndata: {"n": 2}\n\ndata: [DONE]\n\n'
TWO_EVENTS = [{"n": 1}, {"n": 2}]
whole = read_or_fail([WHOLE], "[DONE] is no JSON, and a piece may hold several events")
checks.equal(whole, TWO_EVENTS, what="the list of two events")
for size in (1, 5, 17):
    cut = [WHOLE[k : k + size] for k in range(0, len(WHOLE), size)]
    found = read_or_fail(cut, "the network cuts anywhere: keep the unfinished rest for the next piece")
    checks.equal(found, TWO_EVENTS, what=f"the list of the same events in pieces of {size} bytes")
PING = [b": ping\n\ndata:{}\n\n", b"data: [DONE]\n\n"]
found = read_or_fail(PING, "a line that begins with a colon is a comment")
checks.equal(found, [{}], what="the list of events after a comment")
checks.raises(ValueError, lambda: fresh([b'data: {"n": 1}\n\n']), what="a stream that broke off before [DONE]")
TWO_LINES = [b'data: {"n":\r\ndata: 1}\r\n\r\ndata: [DONE]\r\n\r\n']
found = read_or_fail(TWO_LINES, "several data lines are one event, which ends with an empty line; lines may end with \\r\\n")
checks.equal(found, [{"n": 1}], what="the list of one event over two lines")
checks.passed("9.4, visible part", 2)

# %% nbgrader={"grade": true, "grade_id": "hidden-9-4", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 9.4 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
for broken in ([], [b'data: {"n": 1}\n\ndata: [DO']):
    checks.raises(ValueError, lambda: fresh(broken), what=f"a stream that broke off after {broken}")
events = [{"text": "Zürich ✈ 東京"}, {"choices": [{"delta": {"content": "data: \\n\n"}}]}, {"a": [1, 2]}]
for ending in ("\n", "\r\n"):
    stream = "".join(f"event: x{ending}data: {json.dumps(e, ensure_ascii=False)}{ending}{ending}" for e in events)
    raw = (stream + f": bye{ending}{ending}data: [DONE]{ending}{ending}data: late{ending}{ending}").encode()
    for size in (1, 2, 3, 7, len(raw)):
        cut = [raw[k : k + size] for k in range(0, len(raw), size)]
        checks.equal(read_or_fail(cut, f"pieces of {size} bytes, lines that end with {ending!r}: a letter or a line ending was cut, or what "
                                  "comes after [DONE] was read"), events, what=f"the list of events in pieces of {size} bytes")
checks.equal(read_or_fail([b'data: {"a":\ndata: 1}\n\ndata: [DONE]\n\n'], "several data lines are one event"), [{"a": 1}], what="the list of one event over two lines")
checks.equal(read_or_fail([b"data: [DONE]\n\n"], "a stream may be empty"), [], what="the list of no event")
### END HIDDEN TESTS

# %% [markdown]
# Why the fuss about a broken stream? Because status 200 was sent long before. A client that takes what came for the answer
# shows half a sentence and calls it a success. Other mistakes are refused before the first token, with a reason:

# %%
try:
    ask.complete("a very long question " * 400)
except CourseError as error:
    print(error)

# %% [markdown]
# Managed services speak dialects of their own. A **gateway** is a server in front of the model that takes a request in any of
# these dialects, asks the model's server (its *back end*), and answers in the same dialect. So an application
# keeps its SDK when the model moves. Here OpenAI's and Ollama's own clients stream from the small server (notebook 8 does the
# same with Amazon's `converse_stream`):

# %%
import ollama
import openai

chat = {"messages": [{"role": "user", "content": "Say hello to the passengers."}], "stream": True}
said = {}
with llm.gateway.open_gateway(small, aliases=["gpt-4o-mini"]) as gateway:
    gateway.wait_ready()
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="unused") as caller:
        stream = caller.chat.completions.create(model="gpt-4o-mini", max_tokens=10, temperature=0, **chat)
        said["openai"] = [event.choices[0].delta.content for event in stream if event.choices and event.choices[0].delta.content]
    limits = {"num_predict": 10, "temperature": 0}
    stream = ollama.Client(host=gateway.url).chat(model=small.model, options=limits, **chat)
    said["ollama"] = [event.message.content for event in stream if event.message.content]
{client: " | ".join(pieces) for client, pieces in said.items()}

# %% [markdown]
# ## 9.6 Under load
#
# The big server should be ready by now. This cell waits for it, and for the job of section 9.1, so that nothing of ours disturbs
# the measurements:

# %%
waited = time.perf_counter()
big.wait_ready()
quality = rounding.result()
crowd = llm.Client(big.url, big.model)
print(f"{big.engine} is ready; waited {time.perf_counter() - waited:.0f} s more")

# %% [markdown]
# First by hand: 16 questions, one after the other and then all at once, 12 tokens an answer. Where vLLM runs, the small llama.cpp
# answers them too:

# %%
cities = ("Chicago", "Miami", "Boston", "Denver")
letters = [f"Flight {100 + k} to {city} is late. Write to its passengers." for k in range(8) for city in cities]
measured = {}
for server, client in ((big, crowd), (small, ask)):
    client.many(letters[:2], max_tokens=4)  # warm up
    for at_once in (1, 16):
        replies = client.many(letters[: 4 if at_once == 1 else 16], max_tokens=12, at_once=at_once, ignore_eos=True)
        measured[f"{server.engine}, {at_once} at once"] = llm.timing.summarise([reply.timing for reply in replies]).row()
    if big.engine == small.engine:
        break
pd.DataFrame(measured).T[["TTFT p50 (ms)", "TPOT p50 (ms)", "tokens/s"]].rename_axis("server")

# %% [markdown]
# On quiet cores many at once bring more tokens a second where the server batches them, and each user waits longer for each of
# theirs. vLLM and llama.cpp are not alike: vLLM computes with 16-bit or 32-bit numbers (section 9.1 printed which) on two cores; the
# small llama.cpp with 4-bit weights on one, four requests at a time. So the table does not say which program is better, and on another
# processor the order can turn round. llama.cpp starts in a second and is at home on CPUs; vLLM is made for crowds, and for GPUs.
# Where vLLM is missing, this table has only the first kind of server.
#
# ### Exercise 9.5 · A latency report (4 points)
#
# Write `report(samples)`. Each sample is a dict with `sent` (s) and `tokens`, the list of the times (s) at which its tokens
# came, on the same clock; an empty list means that the request failed. Return a dict:
#
# - `failed`: the number of failed requests;
# - `ttft_p95_ms`: the 95th percentile (nearest rank) of the time to first token, over the requests that were answered;
# - `tpot_p50_ms`: the median (nearest rank) of the requests' time per output token **after the first**, over the requests with two tokens or
#   more: the first token has its own metric;
# - `tokens_per_s`: all tokens, divided by the time from the first request sent (a failed one too) to the last token.
#
# `llm.timing.percentile(values, share)` gives percentiles (`share` 0.95 or 0.5). At least one request has two
# tokens. Example: sent at 0, tokens at 1, 2, 3 → TTFT 1000 ms, TPOT 1000 ms, 1 token/s.
#
# <details><summary>Hint 1</summary>
#
# Between `n` tokens lie `n − 1` gaps: `(last − first) / (n − 1)`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Requests overlap. So the throughput is no sum or mean of the requests' own rates: count all tokens, and divide by the time on
# the wall clock, `max` of the last tokens minus `min` of `sent`.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ex-9-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def report(samples):
    """Return failed, ttft_p95_ms, tpot_p50_ms and tokens_per_s of the samples {"sent": s, "tokens": [s, …]}."""
    ### BEGIN SOLUTION
    answered = [one for one in samples if one["tokens"]]
    ttft = [1000 * (one["tokens"][0] - one["sent"]) for one in answered]
    tpot = [
        1000 * (one["tokens"][-1] - one["tokens"][0]) / (len(one["tokens"]) - 1)
        for one in answered
        if len(one["tokens"]) > 1
    ]
    seconds = max(one["tokens"][-1] for one in answered) - min(one["sent"] for one in samples)
    return {
        "failed": len(samples) - len(answered),
        "ttft_p95_ms": llm.timing.percentile(ttft, 0.95),
        "tpot_p50_ms": llm.timing.percentile(tpot, 0.5),
        "tokens_per_s": sum(len(one["tokens"]) for one in answered) / seconds,
    }
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-9-5", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
fresh = checks.afresh(report)
TWO = [{"sent": 0.0, "tokens": [1.0, 1.5, 2.0]}, {"sent": 1.0, "tokens": [2.5, 3.5, 4.5]}, {"sent": 2.0, "tokens": []}]
told = fresh(TWO)
checks.equal(told["failed"], 1, what="failed")
checks.close(told["ttft_p95_ms"], 1500, what="ttft_p95_ms", unit="ms", tolerance=1e-6, misconceptions={
    1.5: "these are seconds; milliseconds were asked for", 2500: "count from the moment the request was sent, not from 0",
    1250: "that is the mean; a 95th percentile was asked for",
    1475: "that is interpolated; use llm.timing.percentile(values, 0.95), nearest rank"})  # fmt: skip
checks.close(told["tpot_p50_ms"], 500, what="tpot_p50_ms", unit="ms", tolerance=1e-6, misconceptions={
    2000 / 3: "the wait for the first token is in it: TPOT begins after the first token",
    1000 / 3: "between three tokens lie two gaps", 750: "that is the midpoint of 500 and 1000; use llm.timing.percentile(values, 0.5), nearest rank"})  # fmt: skip
checks.close(told["tokens_per_s"], 6 / 4.5, what="tokens_per_s", tolerance=1e-6, misconceptions={
    1.5 + 6 / 7: "you added the requests' own rates; they overlap: all tokens over the time on the wall clock",
    (1.5 + 6 / 7) / 2: "you averaged the requests' own rates: all tokens over the time on the wall clock",
    6 / 5.5: "you added up the requests' times; they overlap: take the wall clock"})  # fmt: skip
checks.close(fresh([{"sent": 0, "tokens": [1, 2, 3]}])["ttft_p95_ms"], 1000, what="ttft_p95_ms of the example", unit="ms")
checks.passed("9.5, visible part", 2)

# %% nbgrader={"grade": true, "grade_id": "hidden-9-5", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 9.5 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
fresh = checks.afresh(report)
draw = random.Random(5)
many = []
for k in range(200):
    sent = draw.uniform(3, 20)
    gaps = [draw.uniform(0.01, 0.3) for _ in range(draw.choice([0, 1, 2, 5, 30]))]
    many.append({"sent": sent, "tokens": [sent + sum(gaps[: n + 1]) for n in range(len(gaps))]})
wanted = llm.timing.summarise([llm.timing.Timing(one["sent"], tuple(one["tokens"])) for one in many])
told = fresh(many)
checks.equal(told["failed"], wanted.failed, what="failed of 200 requests")
for name in ("ttft_p95_ms", "tpot_p50_ms", "tokens_per_s"):
    checks.close(told[name], getattr(wanted, name), what=f"{name} of 200 requests, some with one token and some failed", tolerance=1e-6)
early = fresh([{"sent": 0.0, "tokens": []}, {"sent": 9.0, "tokens": [10.0, 11.0]}])
checks.close(early["tokens_per_s"], 2 / 11, what="tokens_per_s where the first request failed", tolerance=1e-9,
             misconceptions={1.0: "the clock starts with the first request sent, also if it failed"})
### END HIDDEN TESTS

# %% [markdown]
# Now with the field's tool. Locust runs as a process of its own; each user streams one answer after the other. Of the client's
# time some goes to Locust itself: it shares these cores with the server.

# %%
questions = [f"{letter} Mention gate {k}." for k, letter in enumerate(letters * 4)]
steps = llm.loadtest.curve(big.url, big.model, USERS, prompts=questions, max_tokens=8, step_s=STEP_S)
table = pd.DataFrame({f"{step.users} user{'s' if step.users > 1 else ''}": step.latencies.row() for step in steps}).T.rename_axis(big.engine)
table.drop(columns="TTFT p50 (ms)").astype({"requests": int, "failed": int})

# %%
figures.crowd({big.engine: steps})

# %% [markdown]
# *Figure: three panels over the number of users at once: throughput in tokens a second, the 95th percentile of the time to
# first token, the median time per output token. Where the server batches well on this processor and nothing else runs,
# throughput rises and both latencies rise with it; where computing is the limit already, throughput stays or even falls. On
# busy cores single points jump.*
#
# A step of a few seconds holds few requests, and the 95th percentile of fewer than 20 values is simply the largest. Measure
# longer (`STEP_S`) before you promise anybody a percentile.
#
# This curve is what you negotiate with. "How many tokens a second?" has no answer without "at which latency?". Choose the
# largest crowd that keeps your objective for TPOT (people read about 10 tokens a second), and refuse the rest.
#
# Two points of the curve are enough for the cost model of section 9.4: what a step takes for the weights, and what per
# sequence. The same trace with **your** server's numbers:

# %%
last = steps[-1]
mine = batching.CostModel.fitted(steps[0].latencies.tpot_p50_ms / 1e3, last.latencies.tpot_p50_ms / 1e3, last.users)
print(f"weights {1e3 * mine.weights_s:.0f} ms a step, {1e3 * mine.sequence_s:.1f} ms per sequence")
paged = batching.continuous(asked, max_num_seqs=32, cache=llm.PagedCache(1024, block_size=16), cost=mine)
here = {"one at a time": batching.naive(asked, cost=mine), "continuous, paged": paged}
pd.DataFrame({label: served.row() for label, served in here.items()}).T[["tokens/s", "median TTFT (s)"]].rename_axis(big.engine)

# %% [markdown]
# If the second number of the first line is as large as the first or larger, your machine
# *computes* more than it *reads*: company is not free, and batching brings little. On a GPU the first number is far larger, and
# the picture of section 9.4 holds.
#
# All 300 requests of the trace are there at the start. So the median time to first token is mostly **waiting**: one at a time,
# the 150th request waits until 149 answers are complete. A server that cannot keep up shows it there first, not in the TPOT.
#
# Does continuous batching show on a real server? Here are 24 answers, 18 short ones and 6 long ones. First in **waves** of
# eight, as a static batch would: the next eight are sent when the last one is complete. Then eight at a time, each followed by
# the next at once:

# %%
lengths = [24 if k % 4 == 0 else 3 for k in range(24)]
started = time.perf_counter()
for k in range(0, 24, 8):
    crowd.many(letters[k : k + 8], max_tokens=lengths[k : k + 8], ignore_eos=True)
waves_s = time.perf_counter() - started
started = time.perf_counter()
crowd.many(letters[:24], max_tokens=lengths, at_once=8, ignore_eos=True)
rolling_s = time.perf_counter() - started
took = pd.Series({"waves of 8": waves_s, "8 at a time": rolling_s}, name="seconds")
took.to_frame().assign(**{"tokens/s": sum(lengths) / took}).round(1).rename_axis(big.engine)

# %% [markdown]
# The model, the tokens and the number in flight are the same; only the waiting for the longest of each wave is gone. On quiet
# cores the second row is clearly quicker. If yours is not, something else was using the processor: measure again.
#
# **Prefix caching** for real: a long instruction, the same for every passenger, then a question. The second request finds the
# beginning in the cache and gets its first token sooner:

# %%
rules = " ".join(f"Rule {k}: answer politely, name the gate, and never promise a time." for k in range(28))
warmed = {}
for turn, question in {"first": "Where is gate 4?", "second": "When do we board?", "third": "Is there coffee?"}.items():
    reply = crowd.timed(f"{rules} {question}", max_tokens=4)
    warmed[turn] = {"prompt tokens": reply.prompt_tokens, "TTFT (ms)": round(1000 * reply.timing.ttft_s)}
pd.DataFrame(warmed).T.rename_axis("request")

# %% [markdown]
# The server counts all this itself. Its metrics are what you alert on (notebook 6): waiting requests first, then the share of
# the cache in use, then preemptions. llama.cpp calls waiting *deferred* and has no word for the other two; its
# `prompt_tokens_total` counts only tokens that were computed, those found in the cache come on top.

# %%
WATCH = ("requests_running", "requests_waiting", "requests_processing", "requests_deferred", "kv_cache_usage_perc",
         "preemptions_total", ":prefix_cache_hits_total", ":prefix_cache_queries_total", ":prompt_tokens_total",
         "prompt_tokens_cached_total", "generation_tokens_total", "tokens_predicted_total")  # fmt: skip
samples = {name: sum(values.values()) for name, values in big.metrics().items()}
seen = {name: value for name, value in samples.items() if name.endswith(WATCH)}
pd.Series(seen, name="value").rename_axis(big.engine).to_frame().sort_index()

# %% [markdown]
# ## 9.7 Fewer bits
#
# Where decoding is limited by reading weights, half the bytes can mean nearly twice the tokens: that is why models are
# **quantised**. Each
# group of weights shares a scale and a smallest value, and each weight becomes a small whole number. What does it cost? The job of section 9.1 ran
# the same file through a forward pass in NumPy (`course_lib/llm/inside/transformer.py`, one page), rounded its layers in three ways,
# and asked how surprised the model is by our text. **Perplexity** is the number of equally likely tokens it hesitates between.
# (In the table, *a scale* stands for a scale with its smallest value; *per row*: one pair for a whole row of a matrix.)

# %%
helper.submit(big.stop)
quality

# %% [markdown]
# The file comes with 4 bits a weight and, per 32 of them, a scale and a smallest value of 16 bits each: 5 bits in all. Keeping 8
# bits a weight changes next to nothing. One bit more, spent on scales, is the difference between the file and "4 bits, a scale
# per row": with one scale for a whole row, a few large weights make all others coarse. With 3 bits and a scale per 32, 4 bits in
# all, this small model falls apart; large models bear more. Perplexity on a hundred tokens is a smoke test. Before
# you ship, run your own task's test set (notebook 7's gate) on the quantised model.
#
# And speed? We write the same numbers in wider formats, which makes the file larger and the model no better, and let llama.cpp
# serve all three, one request at a time. `Q4_1` is what the file came with, 4 bits with a scale and a smallest value per 32;
# `Q8_0` is 8 bits with a scale per 32, `F16` plain 16 bits. (GGUF is llama.cpp's file format.)

# %%
scratch = tempfile.TemporaryDirectory(prefix="course-09-")
small.stop()
source = llm.gguf.read(llm.weights.gguf())
paths = {"Q4_1": source.path}
for kind in ("Q8_0", "F16"):
    paths[kind] = llm.gguf.rewrite(source, Path(scratch.name) / f"{kind}.gguf", kind)
helper.shutdown()  # the big server is gone: nothing of ours disturbs what is measured now
speed = {}
for kind, path in paths.items():
    with llm.open_server(("llama.cpp",), max_num_seqs=1, max_model_len=256, threads=1, weights=str(path)) as server:
        with llm.Client(server.url, server.model) as client:
            client.complete("Hello", max_tokens=2)
            best = min(client.timed(letters[0], max_tokens=16, ignore_eos=True).timing.tpot_s for _ in range(3))
    speed[kind] = {"file (MB)": round(path.stat().st_size / 1e6), "tokens/s, one user": round(1 / best, 1)}
scratch.cleanup()
pd.DataFrame(speed).T.rename_axis("weights")

# %% [markdown]
# `F16` is usually the slowest. `Q4_1` and `Q8_0` are often close or change places: unpacking small numbers costs computation.
# On a busy machine any order can appear (the best of three is shown). On a GPU the same holds as long as few sequences run. A large
# batch computes more than it reads, and quantised weights then save memory, hardly time.
#
# ## 9.8 Before anybody buys a GPU
#
# ### Exercise 9.6 · A capacity plan (4 points)
#
# Write `capacity(model, gpu, load)`. All three are dicts: `model` has `weights_gb` and `kv_bytes` (per token), `gpu` has
# `memory_gb` and `bandwidth_gb_s`, `load` has `requests_per_s`, `prompt` and `output` (mean tokens) and `tpot_ms` (the
# objective). 1 GB is 10⁹ bytes. The rules:
#
# 1. **Memory:** 90 % of the GPU's memory, less 2 GB and the weights, holds whole conversations of `prompt + output` tokens.
# 2. **Latency:** a step reads the weights, and for each of `n` sequences the cache of `prompt + output / 2` tokens (it is half
#    written on average), at 60 % of the bandwidth. It may take `tpot_ms`.
# 3. `sequences` is the largest `n` that keeps both, at most 256. If it is below 1, raise a `ValueError`.
# 4. One GPU makes `n / step time` tokens a second. `replicas` is the number of GPUs for `requests_per_s · output` at **70 %** of
#    that, rounded up, **plus one** spare.
#
# Return `{"sequences": …, "tokens_per_s": …, "replicas": …}`, the first two of one GPU. Example: weights 10 GB, 100,000 bytes
# a token, a GPU with 40 GB and 1,000 GB/s; 2 requests a second, 400 + 200 tokens, 50 ms → 400 sequences fit, 400 are quick
# enough, so `sequences` 256, `tokens_per_s` 6736.8, `replicas` 2.
#
# <details><summary>Hint 1</summary>
#
# Solve rule 2 for `n`: `(tpot · rate − weights) / (kv_bytes · (prompt + output / 2))`, everything in bytes and seconds, and
# round down.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `step = (weights + n * kv) / rate`, `tokens_per_s = n / step`, `math.ceil(requests_per_s * output / (0.7 * tokens_per_s)) + 1`.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ex-9-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def capacity(model, gpu, load):
    """Return sequences, tokens_per_s and replicas for the load (units as in the text)."""
    ### BEGIN SOLUTION
    weights, rate = model["weights_gb"] * 1e9, 0.6 * gpu["bandwidth_gb_s"] * 1e9
    left = 0.9 * gpu["memory_gb"] * 1e9 - 2e9 - weights
    by_memory = left // (model["kv_bytes"] * (load["prompt"] + load["output"]))
    kv = model["kv_bytes"] * (load["prompt"] + load["output"] / 2)
    by_latency = (load["tpot_ms"] / 1000 * rate - weights) // kv
    n = int(min(by_memory, by_latency, 256))
    if n < 1:
        raise ValueError("the model does not fit, or is too slow, on this GPU")
    tokens_per_s = n * rate / (weights + n * kv)
    replicas = math.ceil(load["requests_per_s"] * load["output"] / (0.7 * tokens_per_s)) + 1
    return {"sequences": n, "tokens_per_s": tokens_per_s, "replicas": replicas}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-9-6", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
fresh = checks.afresh(capacity)
LLAMA = {"weights_gb": 16.06, "kv_bytes": 131_072}
L4 = {"memory_gb": 24, "bandwidth_gb_s": 300}
PEAK = {"requests_per_s": 4, "prompt": 500, "output": 250, "tpot_ms": 120}
planned = fresh(LLAMA, L4, PEAK)
checks.equal(planned["sequences"], 36, what="sequences of Llama-3-8B on an L4", misconceptions={
    43: "memory must hold the whole conversation; the half of the output is for the latency",
    67: "67 are quick enough, but fewer fit: weights, 2 GB and 10 % go first, and a conversation is prompt + output; "
        "both must hold",
    60: "the server may use 90 % of the card", 56: "2 GB of the card are for other things than weights and cache"})  # fmt: skip
checks.close(planned["tokens_per_s"], 340.89, what="tokens_per_s of one GPU", tolerance=0.05, misconceptions={
    568.15: "only 60 % of the bandwidth is reached", 403.49: "each step reads every running sequence's cache, too",
    330.63: "a sequence's cache is half written on average"})  # fmt: skip
checks.equal(planned["replicas"], 6, what="replicas", misconceptions={
    5: "round up, and add one spare: a GPU fails, or is updated, while the load goes on",
    4: "plan with 70 % of the capacity, round up, and add one spare: near 100 % the queue explodes",
    3: "plan with 70 % of the capacity, round up, and add one spare: near 100 % the queue explodes"})  # fmt: skip
checks.equal(fresh(LLAMA, L4, PEAK | {"requests_per_s": 40})["replicas"], 43, what="replicas for ten times the load")
checks.passed("9.6, visible part", 2)

# %% nbgrader={"grade": true, "grade_id": "hidden-9-6", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 9.6 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
fresh = checks.afresh(capacity)
for model, load, what in (({"weights_gb": 140, "kv_bytes": 327_680}, PEAK, "a model that does not fit"),
                          (LLAMA, PEAK | {"tpot_ms": 50}, "an objective that the weights alone break")):
    checks.raises(ValueError, lambda: fresh(model, L4, load), what=what)
for name, on, rate, prompt, output, tpot in (("Qwen2.5-1.5B", "L4", 30, 300, 120, 40), ("Llama-3-8B", "H100-SXM", 50, 900, 400, 25),
                                             ("Llama-2-7B", "A100-80GB", 3, 2000, 500, 60), ("Llama-3-8B", "L4", 1, 100, 50, 95)):
    shape, card = sizing.MODELS[name], sizing.GPUS[on]
    wanted = sizing.plan(shape, card, sizing.Load(requests_per_s=rate, prompt=prompt, output=output, tpot_ms=tpot))
    found = fresh({"weights_gb": shape.weight_bytes() / 1e9, "kv_bytes": shape.kv_bytes_per_token()},
                     {"memory_gb": card.memory_gb, "bandwidth_gb_s": card.bandwidth_gb_s},
                     {"requests_per_s": rate, "prompt": prompt, "output": output, "tpot_ms": tpot})
    checks.equal(found["sequences"], wanted.sequences, what=f"sequences of {name} on {on}")
    checks.close(found["tokens_per_s"], wanted.tokens_per_s, what=f"tokens_per_s of {name} on {on}", tolerance=0.01)
    checks.equal(found["replicas"], wanted.replicas, what=f"replicas of {name} on {on}")
### END HIDDEN TESTS

# %% [markdown]
# It is a plan, not a measurement: the 60 % are an assumption. Load-test one GPU before you order ten. The plan's numbers then
# go into the server's settings and the manifest (notebook 8's functions write it and check it against the schemas):

# %%
peak = sizing.Load(requests_per_s=4, prompt=500, output=250, tpot_ms=120)
plan = sizing.plan(sizing.MODELS["Llama-3-8B"], sizing.GPUS["L4"], peak)
manifests = cloud.manifests.vllm(model="/models/Llama-3-8B-Instruct", replicas=plan.replicas, most_replicas=plan.replicas + 2)
container = manifests[0]["spec"]["template"]["spec"]["containers"][0]
container["args"] += ["--max-num-seqs", str(plan.sequences), "--max-model-len", "4096", "--gpu-memory-utilization", "0.9"]
problems = cloud.validate(manifests)
assert not problems
print(" ".join(container["args"]))
pd.DataFrame([{"kind": one["kind"], "name": one["metadata"]["name"]} for one in manifests]).set_index("kind")

# %% [markdown]
# ## 9.9 Which tool when
#
# | tool | what it is | take it for |
# |---|---|---|
# | managed API | somebody else's GPUs: Amazon Bedrock, Microsoft Foundry, Vertex AI, OpenAI | a start without a team for servers |
# | vLLM, SGLang | open servers with continuous batching and paging | many users on your own GPUs |
# | Triton | one server for TensorRT, ONNX and PyTorch models, vLLM as a back end | a mixed fleet on the same GPUs |
# | llama.cpp | C++ and quantised weights | CPUs, small servers, no network |
# | Ollama, LM Studio | llama.cpp with model management | a developer's own machine |
# | TGI | Hugging Face's server, **in maintenance mode** | what already runs on it |
#
# Older lists name TGI (Text Generation Inference) for Hugging Face models in production. Its makers now only maintain it and
# point to vLLM and SGLang, which serve the same models. Azure AI Foundry is now called Microsoft Foundry.
#
# If one of these runs on your machine, the same client reaches it: `llm.attach("http://127.0.0.1:11434/v1")` for Ollama, port
# 1234 for LM Studio. Here is what happens if nothing is there:

# %%
try:
    llm.attach("http://127.0.0.1:9/v1")
except CourseError as error:
    print(error)

# %% [markdown]
# ### Exercise 9.7 · Choose the server (3 points)
#
# Write `choose_server(case)`. It returns `(tool, reason)`, the tool as one of `"managed API"`, `"vLLM"`, `"Triton"`,
# `"llama.cpp"`, `"Ollama"`, the reason as a sentence. `case` is a dict with
#
# - `gpus`: how many GPUs you can run on; `users`: people at the same time;
# - `private`: whether the text must stay on your own machines;
# - `team`: whether somebody runs servers; `own_machine`: whether it is a developer's own machine;
# - `kinds`: the kinds of models to serve, such as `["llm"]` or `["llm", "tensorrt", "onnx"]`.
#
# In this order: **own machine** → Ollama. **No team** and the text may leave → managed API. **No GPU** → llama.cpp (for the
# language model; other kinds then stay where notebook 3 put them). **More than one kind** of model → Triton. Else vLLM. The reason names the number of users for vLLM, the number of kinds for Triton.
#
# <details><summary>Hint 1</summary>
#
# Four `if`s with `return` and a last `return`, in the order of the text. The first that holds decides.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The second rule has two conditions: `not case["team"] and not case["private"]`. A private text without a team goes on to the
# next rules: somebody has to learn to run servers.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ex-9-7", "locked": false, "schema_version": 3, "solution": true, "task": false}
def choose_server(case):
    """Return (tool, reason) for a case such as {"gpus": 2, "users": 50, "private": True, …}."""
    ### BEGIN SOLUTION
    if case["own_machine"]:
        return "Ollama", "it manages models on a developer's own machine"
    if not case["team"] and not case["private"]:
        return "managed API", "nobody here runs servers, and the text may leave"
    if case["gpus"] == 0:
        return "llama.cpp", "there is no GPU, and it serves quantised weights on CPUs"
    if len(case["kinds"]) > 1:
        return "Triton", f"it serves {len(case['kinds'])} kinds of models on the same GPUs"
    return "vLLM", f"it batches {case['users']} users continuously"
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-9-7", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
fresh = checks.afresh(choose_server)
CASE = {"gpus": 2, "users": 50, "private": True, "team": True, "own_machine": False, "kinds": ["llm"]}
WHY = [
    ({}, "vLLM", "many users on your own GPUs are what continuous batching is for; TGI is in maintenance mode, "
                 "llama.cpp and Ollama are made for few"),
    ({"gpus": 0}, "llama.cpp", "without a GPU the quantised weights of llama.cpp are the way"),
    ({"own_machine": True}, "Ollama", "on a developer's machine the convenience counts"),
    ({"team": False, "private": False}, "managed API", "a GPU that nobody looks after is an outage waiting"),
    ({"team": False}, "vLLM", "the text must not leave, so a managed API is out, however convenient"),
]
answer = fresh(CASE)
checks.require(isinstance(answer, tuple) and len(answer) == 2, "return a pair: (tool, reason)")
for change, wanted, why in WHY:
    chosen, _ = fresh(CASE | change)
    checks.require(chosen == wanted, f"for {change or 'the plain case'} you chose {chosen}, not {wanted}: {why}")
checks.mentions(fresh(CASE)[1], 50, what="the reason")
checks.passed("9.7, visible part", 1)

# %% nbgrader={"grade": true, "grade_id": "hidden-9-7", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 9.7 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
fresh = checks.afresh(choose_server)
mixed = CASE | {"kinds": ["llm", "tensorrt", "onnx"]}
chosen, reason = fresh(mixed)
checks.require(chosen == "Triton", f"for three kinds of models you chose {chosen}: a mixed fleet on the same GPUs is Triton's place")
checks.mentions(reason, 3, what="the reason")
checks.equal(fresh(mixed | {"gpus": 0})[0], "llama.cpp", what="the tool for a mixed fleet without a GPU")
checks.equal(fresh(CASE | {"gpus": 0, "team": False})[0], "llama.cpp", what="the tool for private text without GPU or team")
checks.equal(fresh(CASE | {"own_machine": True, "gpus": 0, "team": False, "private": False})[0], "Ollama", what="the tool on a developer's machine")
checks.equal(fresh(mixed | {"team": False, "private": False})[0], "managed API", what="the tool without a team")
checks.mentions(fresh(CASE | {"users": 300})[1], 300, what="the reason")
### END HIDDEN TESTS

# %% [markdown]
# Everything that was started is stopped; this cell makes sure, also if you skipped one above:

# %%
for server in (big, small):
    server.stop()
[server.running for server in (big, small)]

# %% [markdown]
# ## Interview question
#
# > *How does vLLM's PagedAttention improve throughput?*
#
# Answer in your own words, about 200 words. Exercises 9.1 to 9.3 are your evidence in code, the table of section 9.4 your
# numbers.
#
# A person grades it:
#
# | Points | For |
# |---|---|
# | 1 | *The bottleneck:* decoding reads all weights per step, so throughput comes from batching; static against continuous batches |
# | 1 | *What paging does:* contiguous reservations against blocks and tables, with the measured waste; so more sequences fit, so the batch is larger |
# | 1 | *Sharing:* prefixes, copy on write, and what happens when blocks run out |
# | 1 | *Honesty:* when it brings nothing, what it costs in latency, and a number of your own with its conditions |
#
# *More questions on this topic, to practise in a terminal:* `python -m course_lib.interview --topic 9`


# %% [markdown] nbgrader={"grade": true, "grade_id": "interview-1", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# Indirectly: it makes room for a larger batch, and the batch brings the throughput. To decode one token a server reads all
# weights from memory, whether one sequence wants it or thirty, so serving many at once is nearly free until computing takes
# longer than reading. Static batches waste most of that, because all wait for the longest answer; continuous batching gives a
# row to the next request after every step. On my trace that alone went from 31 to 174 tokens a second. What then limits the
# batch is the KV cache: Llama-3-8B keeps 131 kB per token. Reserving 2,048 tokens per sequence wasted 75 % of it; blocks of 16
# tokens with a table per sequence wasted 1.5 %, so up to 32 sequences ran where 8 had fitted, and the rate rose to 314. Equal prefixes
# share blocks, counted, and copied only when somebody writes; a shared instruction is computed once. If blocks run out, the
# youngest sequence is preempted and computed again, so a counter of preemptions belongs on the dashboard. It brings nothing
# where memory is no limit: with a cache four times as large both ways gave the same rate. And throughput is paid in latency: each
# user's tokens come more slowly in a crowd. "10 to 30 times faster" compares with one request at a time, and holds only with many
# users.


# %% [markdown]
# ## State of the desk
#
# > **Automated now:** a model that writes to passengers, served to a crowd, measured, sized, and described in a manifest.
# >
# > **Still by hand:** reading what it writes. Nobody has checked a single sentence, and this model is often wrong.
# >
# > **What breaks next:** nothing in this course. Take one of the three practice projects and build it in a repository of your
# > own: a model API with everything around it, an LLM service, or a monitoring loop.
