# %% forgets that the weights need memory answer="wrong" expect="67 are quick enough, but fewer fit"
def capacity(model, gpu, load):
    weights, rate = model["weights_gb"] * 1e9, 0.6 * gpu["bandwidth_gb_s"] * 1e9
    fit = 0.9 * gpu["memory_gb"] * 1e9 // (model["kv_bytes"] * (load["prompt"] + load["output"]))
    kv = model["kv_bytes"] * (load["prompt"] + load["output"] / 2)
    n = int(min(fit, (load["tpot_ms"] / 1000 * rate - weights) // kv, 256))
    speed = n * rate / (weights + n * kv)
    return {"sequences": n, "tokens_per_s": speed, "replicas": math.ceil(load["requests_per_s"] * load["output"] / 0.7 / speed) + 1}


# %% the plan of the visible check, whatever is asked answer="wrong" expect="replicas for ten times the load"
def capacity(model, gpu, load):
    return {"sequences": 36, "tokens_per_s": 340.89, "replicas": 6}


# %% forgets that the caches are read answer="wrong" expect="each step reads every running sequence's cache"
def capacity(model, gpu, load):
    weights, rate = model["weights_gb"] * 1e9, 0.6 * gpu["bandwidth_gb_s"] * 1e9
    left = 0.9 * gpu["memory_gb"] * 1e9 - 2e9 - weights
    kv = model["kv_bytes"] * (load["prompt"] + load["output"] / 2)
    n = int(min(left // (model["kv_bytes"] * (load["prompt"] + load["output"])), (load["tpot_ms"] / 1000 * rate - weights) // kv, 256))
    speed = n * rate / weights
    return {"sequences": n, "tokens_per_s": speed, "replicas": math.ceil(load["requests_per_s"] * load["output"] / 0.7 / speed) + 1}


# %% plans with the data sheet's bandwidth answer="wrong" expect="only 60 % of the bandwidth"
def capacity(model, gpu, load):
    weights, rate = model["weights_gb"] * 1e9, gpu["bandwidth_gb_s"] * 1e9
    left = 0.9 * gpu["memory_gb"] * 1e9 - 2e9 - weights
    kv = model["kv_bytes"] * (load["prompt"] + load["output"] / 2)
    n = int(min(left // (model["kv_bytes"] * (load["prompt"] + load["output"])), (load["tpot_ms"] / 1000 * rate - weights) // kv, 256))
    speed = n * rate / (weights + n * kv)
    return {"sequences": n, "tokens_per_s": speed, "replicas": math.ceil(load["requests_per_s"] * load["output"] / 0.7 / speed) + 1}


# %% no spare GPU answer="wrong" expect="add one spare"
def capacity(model, gpu, load):
    weights, rate = model["weights_gb"] * 1e9, 0.6 * gpu["bandwidth_gb_s"] * 1e9
    left = 0.9 * gpu["memory_gb"] * 1e9 - 2e9 - weights
    kv = model["kv_bytes"] * (load["prompt"] + load["output"] / 2)
    n = int(min(left // (model["kv_bytes"] * (load["prompt"] + load["output"])), (load["tpot_ms"] / 1000 * rate - weights) // kv, 256))
    speed = n * rate / (weights + n * kv)
    return {"sequences": n, "tokens_per_s": speed, "replicas": math.ceil(load["requests_per_s"] * load["output"] / 0.7 / speed)}


# %% plans with all of the capacity answer="wrong" expect="plan with 70 % of the capacity"
def capacity(model, gpu, load):
    weights, rate = model["weights_gb"] * 1e9, 0.6 * gpu["bandwidth_gb_s"] * 1e9
    left = 0.9 * gpu["memory_gb"] * 1e9 - 2e9 - weights
    kv = model["kv_bytes"] * (load["prompt"] + load["output"] / 2)
    n = int(min(left // (model["kv_bytes"] * (load["prompt"] + load["output"])), (load["tpot_ms"] / 1000 * rate - weights) // kv, 256))
    speed = n * rate / (weights + n * kv)
    return {"sequences": n, "tokens_per_s": speed, "replicas": math.ceil(load["requests_per_s"] * load["output"] / speed) + 1}


# %% tries the numbers of sequences one by one answer="right"
def capacity(model, gpu, load):
    rate = 0.6 * gpu["bandwidth_gb_s"]  # in GB, as the weights
    whole = model["kv_bytes"] * (load["prompt"] + load["output"]) / 1e9
    half = model["kv_bytes"] * (load["prompt"] + load["output"] / 2) / 1e9

    def step(n):
        return (model["weights_gb"] + n * half) / rate

    def possible(n):
        fits = model["weights_gb"] + 2 + n * whole <= 0.9 * gpu["memory_gb"]
        return fits and 1000 * step(n) <= load["tpot_ms"]

    n = max((n for n in range(1, 257) if possible(n)), default=0)
    if n == 0:
        raise ValueError("not on this GPU")
    replicas = 1 + -(-load["requests_per_s"] * load["output"] // (0.7 * n / step(n)))
    return {"sequences": n, "tokens_per_s": n / step(n), "replicas": int(replicas)}


# %% the course's plan answer="right"
def capacity(model, gpu, load):
    shape = sizing.ModelShape(
        name="?", parameters=round(model["weights_gb"] * 5e8), layers=1, heads=1, kv_heads=1, head_dim=model["kv_bytes"] // 4
    )
    try:
        found = sizing.plan(shape, sizing.Gpu(name="?", **gpu), sizing.Load(**load))
    except CourseError as error:
        raise ValueError(str(error)) from error
    return {"sequences": found.sequences, "tokens_per_s": found.tokens_per_s, "replicas": found.replicas}
