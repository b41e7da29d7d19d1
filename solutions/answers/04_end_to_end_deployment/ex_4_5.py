# %% closes before it opens answer="wrong" expect="overlap, don't leave a gap"
def rollback_plan(good, bad, *, good_is_running):
    start = [] if good_is_running else [f"start {good}", f"await ready {good}"]
    return [*start, f"drain {bad}", f"await empty {bad}", f"stop {bad}", f"ready {good}"]


# %% one plan, whatever is asked answer="wrong" expect="blue still gets requests"
def rollback_plan(good, bad, *, good_is_running):
    return ["ready blue", "drain green", "await empty green", "stop green"]


# %% counts its calls answer="wrong" expect="blue still gets requests"
def rollback_plan(good, bad, *, good_is_running, calls=[]):
    calls.append(1)
    good, bad = ("blue", "green") if len(calls) % 2 else ("green", "blue")
    return [f"ready {good}", f"drain {bad}", f"await empty {bad}", f"stop {bad}"]


# %% stops what is still answering answer="wrong" expect="drained is not empty"
def rollback_plan(good, bad, *, good_is_running):
    start = [] if good_is_running else [f"start {good}", f"await ready {good}"]
    return [*start, f"ready {good}", f"drain {bad}", f"stop {bad}"]


# %% opens a server that is not ready answer="wrong" expect="a process that was just started cannot answer yet"
def rollback_plan(good, bad, *, good_is_running):
    start = [] if good_is_running else [f"start {good}"]
    return [*start, f"ready {good}", f"drain {bad}", f"await empty {bad}", f"stop {bad}"]


# %% forgets that the process may be gone answer="wrong" expect="the slot was open while its process was not running"
def rollback_plan(good, bad, *, good_is_running):
    return [f"ready {good}", f"drain {bad}", f"await empty {bad}", f"stop {bad}"]


# %% always starts the good one answer="wrong" expect="still warm"
def rollback_plan(good, bad, *, good_is_running):
    return [f"start {good}", f"await ready {good}", f"ready {good}", f"drain {bad}", f"await empty {bad}", f"stop {bad}"]


# %% waits for an open slot answer="wrong" expect="a slot that gets new requests never empties"
def rollback_plan(good, bad, *, good_is_running):
    start = [] if good_is_running else [f"start {good}", f"await ready {good}"]
    return [*start, f"ready {good}", f"await empty {bad}", f"drain {bad}", f"stop {bad}"]


# %% step by step answer="right"
def rollback_plan(good, bad, *, good_is_running):
    plan = []
    if not good_is_running:
        plan.append("start " + good)
    plan.append("await ready " + good)
    plan.append("ready " + good)
    plan += [f"{verb} {bad}" for verb in ("drain", "await empty", "stop")]
    return plan


# %% one list of pairs answer="right"
def rollback_plan(good, bad, *, good_is_running):
    pairs = [("ready", good), ("drain", bad), ("await empty", bad), ("stop", bad)]
    if not good_is_running:
        pairs = [("start", good), ("await ready", good)] + pairs
    return [" ".join(pair) for pair in pairs]
