# %% alive is ready answer="wrong" expect="is not a server that is ready"
def next_action(view):
    if not view["alive"]:
        return "give up"
    if view["traffic"] == "old":
        return "send traffic"
    if view["traffic"] == "both":
        return "drain old"
    return "wait" if view["old_in_flight"] else "done"


# %% counts its calls answer="wrong" expect="in rehearsal you lost"
def next_action(view, calls=[]):
    says = ["wait"] * 5 + ["smoke test", "send traffic", "drain old", "wait", "wait", "wait", "done"]
    calls.append(1)
    return says[(len(calls) - 1) % len(says)]


# %% one good answer is enough answer="wrong" expect="one good answer"
def next_action(view):
    if not view["alive"] or view["smoke"] == "failed":
        return "give up"
    if view["traffic"] == "new":
        return "wait" if view["old_in_flight"] else "done"
    if view["traffic"] == "both":
        return "drain old"
    if not any(view["ready"]):
        return "give up" if view["waited"] > 30 else "wait"
    return "smoke test" if view["smoke"] == "not run" else "send traffic"


# %% no smoke test answer="wrong" expect="ready is not right"
def next_action(view):
    if not view["alive"]:
        return "give up"
    if view["traffic"] == "new":
        return "wait" if view["old_in_flight"] else "done"
    if view["traffic"] == "both":
        return "drain old"
    if view["ready"][-3:] != [True, True, True]:
        return "give up" if view["waited"] > 30 else "wait"
    return "send traffic"


# %% stops the old one while it is answering answer="wrong" expect="draining takes time"
def next_action(view):
    if not view["alive"] or view["smoke"] == "failed":
        return "give up"
    if view["traffic"] == "new":
        return "done"
    if view["traffic"] == "both":
        return "drain old"
    if view["ready"][-3:] != [True, True, True]:
        return "give up" if view["waited"] > 30 else "wait"
    return "smoke test" if view["smoke"] == "not run" else "send traffic"


# %% waits for ever answer="wrong" expect="a rollout that cannot fail cannot end"
def next_action(view):
    if not view["alive"] or view["smoke"] == "failed":
        return "give up"
    if view["traffic"] == "new":
        return "wait" if view["old_in_flight"] else "done"
    if view["traffic"] == "both":
        return "drain old"
    if view["ready"][-3:] != [True, True, True]:
        return "wait"
    return "smoke test" if view["smoke"] == "not run" else "send traffic"


# %% waits for the dead answer="wrong" expect="look at `alive`"
def next_action(view):
    if view["traffic"] == "new":
        return "wait" if view["old_in_flight"] else "done"
    if view["traffic"] == "both":
        return "drain old"
    if view["smoke"] == "failed" or view["waited"] > 30:
        return "give up"
    if view["ready"][-3:] != [True, True, True]:
        return "wait"
    return "smoke test" if view["smoke"] == "not run" else "send traffic"


# %% a table of rules answer="right"
def next_action(view):
    ready = len(view["ready"]) >= 3 and all(view["ready"][-3:])
    rules = [
        (not view["alive"], "give up"),
        (view["traffic"] == "both", "drain old"),
        (view["traffic"] == "new" and view["old_in_flight"] == 0, "done"),
        (view["traffic"] == "new", "wait"),
        (view["smoke"] == "failed", "give up"),
        (not ready and view["waited"] > 30, "give up"),
        (not ready, "wait"),
        (view["smoke"] == "passed", "send traffic"),
    ]
    return next((action for holds, action in rules if holds), "smoke test")


# %% match answer="right"
def next_action(view):
    streak = 0
    for answer in view["ready"]:
        streak = streak + 1 if answer else 0
    match view:
        case {"alive": False}:
            return "give up"
        case {"traffic": "new", "old_in_flight": 0}:
            return "done"
        case {"traffic": "new"}:
            return "wait"
        case {"traffic": "both"}:
            return "drain old"
        case {"smoke": "failed"}:
            return "give up"
    if streak < 3:
        return "wait" if view["waited"] <= 30 else "give up"
    return {"not run": "smoke test", "passed": "send traffic"}[view["smoke"]]
