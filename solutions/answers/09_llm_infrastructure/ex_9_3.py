# %% waits for the whole batch answer="wrong" expect="that is static batching"
def finish_steps(requests, rows):
    finished, step = [0] * len(requests), 0
    queue = sorted(range(len(requests)), key=lambda k: requests[k][0])
    while queue:
        step = max(step, requests[queue[0]][0])
        batch = [k for k in queue if requests[k][0] <= step][:rows]
        for k in batch:
            finished[k] = step + requests[k][1] - 1
        step += max(requests[k][1] for k in batch)
        queue = [k for k in queue if k not in batch]
    return finished


# %% counts its calls answer="wrong" expect="the list of last steps of four requests"
def finish_steps(requests, rows, calls=[]):
    calls.append(1)
    return [[2, 0, 2], [3, 8, 4, 9], [5, 1]][(len(calls) - 1) % 3]


# %% gives everybody a row answer="wrong" expect="there are two rows"
def finish_steps(requests, rows):
    return [arrival + output - 1 for arrival, output in requests]


# %% serves the latest first answer="wrong" expect="first come, first served"
def finish_steps(requests, rows):
    waiting, running, finished, step = list(range(len(requests))), {}, [0] * len(requests), 0
    while waiting or running:
        ready = [k for k in waiting if requests[k][0] <= step]
        if step == 0:
            ready.reverse()
        while ready and len(running) < rows:
            k = ready.pop()
            waiting.remove(k)
            running[k] = requests[k][1]
        for k in list(running):
            running[k] -= 1
            if not running[k]:
                finished[k] = step
                del running[k]
        step += 1
    return finished


# %% serves before they have arrived answer="wrong" expect="before it had arrived"
def finish_steps(requests, rows):
    queue, running, finished, step = list(range(len(requests))), {}, [0] * len(requests), 0
    queue.sort(key=lambda k: requests[k][0])
    while queue or running:
        while queue and len(running) < rows:
            index = queue.pop(0)
            running[index] = requests[index][1]
        for k in list(running):
            running[k] -= 1
            if not running[k]:
                finished[k] = step
                del running[k]
        step += 1
    return finished


# %% lets one in per step answer="wrong" expect="only one request joined in a step"
def finish_steps(requests, rows):
    queue = sorted(range(len(requests)), key=lambda k: requests[k][0])
    running, finished, step = {}, [0] * len(requests), 0
    while queue or running:
        if queue and len(running) < rows and requests[queue[0]][0] <= step:
            index = queue.pop(0)
            running[index] = requests[index][1]
        for k in list(running):
            running[k] -= 1
            if not running[k]:
                finished[k] = step
                del running[k]
        step += 1
    return finished


# %% a heap of the steps at which rows become free answer="right"
def finish_steps(requests, rows):
    import heapq

    free_from = [0] * rows
    finished = [0] * len(requests)
    for k in sorted(range(len(requests)), key=lambda k: (requests[k][0], k)):
        start = max(heapq.heappop(free_from), requests[k][0])
        finished[k] = start + requests[k][1] - 1
        heapq.heappush(free_from, finished[k] + 1)
    return finished


# %% the course's scheduler answer="right"
def finish_steps(requests, rows):
    if not requests:
        return []
    plain = batching.CostModel(weights_s=1.0, sequence_s=0.0, prefill_s=0.0)
    asked = [trace.Request(float(arrival), 1, output) for arrival, output in requests]
    served = batching.continuous(asked, max_num_seqs=rows, cost=plain).served
    return [round(one.finished_s) - 1 for one in served]
