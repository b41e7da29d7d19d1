# %% an LLM is always managed answer="wrong" expect="a managed API is out"
def choose_path(need):
    if need["where"] != "cloud":
        return {"device": "edge", "laptop": "local"}[need["where"]]
    if need["model"] == "own":
        return "multi-model" if need["frameworks"] > 1 else "custom-model"
    return "managed-llm"


# %% counts its calls answer="wrong" expect="nobody offers a model of your own ready-made"
def choose_path(need, calls=[]):
    says = ["managed-llm", "custom-model", "multi-model", "edge", "self-hosted-llm", "self-hosted-llm"]
    calls.append(1)
    return says[(len(calls) - 1) % 6]


# %% asks for the model before the place answer="wrong" expect="cannot ask a cloud"
def choose_path(need):
    if need["model"] == "own":
        return "multi-model" if need["frameworks"] > 1 else "custom-model"
    if need["where"] != "cloud":
        return {"device": "edge", "laptop": "local"}[need["where"]]
    if not need["data_may_leave"]:
        return "self-hosted-llm"
    return "self-hosted-llm" if need["model"] == "open-weight" and need["runs_servers"] else "managed-llm"


# %% open weights are always hosted by oneself answer="wrong" expect="without anybody to run servers"
def choose_path(need):
    if need["where"] != "cloud":
        return {"device": "edge", "laptop": "local"}[need["where"]]
    if need["model"] == "own":
        return "multi-model" if need["frameworks"] > 1 else "custom-model"
    if need["model"] == "open-weight" or not need["data_may_leave"]:
        return "self-hosted-llm"
    return "managed-llm"


# %% forgets the fleet of frameworks answer="wrong" expect="one server for all frameworks"
def choose_path(need):
    if need["where"] != "cloud":
        return {"device": "edge", "laptop": "local"}[need["where"]]
    if need["model"] == "own":
        return "custom-model"
    if need["data_may_leave"] and (need["model"] == "foundation" or not need["runs_servers"]):
        return "managed-llm"
    return "self-hosted-llm"


# %% returns the label answer="wrong" expect="not the label"
def choose_path(need):
    return cloud.deployment_matrix.MATRIX[cloud.choose(cloud.Need(**need)).row].need


# %% a table of questions answer="right"
def choose_path(need):
    own = need["model"] == "own"
    questions = [
        (need["where"] == "device", "edge"),
        (need["where"] == "laptop", "local"),
        (own and need["frameworks"] > 1, "multi-model"),
        (own, "custom-model"),
        (not need["data_may_leave"], "self-hosted-llm"),
        (need["model"] == "foundation", "managed-llm"),
        (need["runs_servers"], "self-hosted-llm"),
    ]
    return next((row for holds, row in questions if holds), "managed-llm")


# %% match answer="right"
def choose_path(need):
    match need:
        case {"where": "device"}:
            return "edge"
        case {"where": "laptop"}:
            return "local"
        case {"model": "own", "frameworks": 1}:
            return "custom-model"
        case {"model": "own"}:
            return "multi-model"
        case {"data_may_leave": True, "model": "foundation"} | {"data_may_leave": True, "runs_servers": False}:
            return "managed-llm"
    return "self-hosted-llm"


# %% the course's own answer="right"
def choose_path(need):
    return cloud.choose(cloud.Need(**need)).row
