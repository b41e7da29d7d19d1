# %% takes the list of 2023 answer="wrong" expect="TGI is in maintenance mode"
def choose_server(case):
    if case["own_machine"]:
        return "Ollama", "local development"
    if case["gpus"] == 0:
        return "llama.cpp", "no GPU"
    return "TGI", f"Hugging Face models in production for {case['users']} users"


# %% counts its calls answer="wrong" expect="without a GPU the quantised weights"
def choose_server(case, calls=[]):
    says = ["vLLM", "vLLM", "llama.cpp", "Ollama", "managed API", "vLLM", "vLLM"]
    calls.append(1)
    return says[(len(calls) - 1) % 7], "it batches 50 users"


# %% looks for the GPU before anything else answer="wrong" expect="the convenience counts"
def choose_server(case):
    if case["gpus"]:
        return "vLLM", f"{case['users']} users"
    return "llama.cpp", "no GPU"


# %% forgets that the text must not leave answer="wrong" expect="a managed API is out"
def choose_server(case):
    if case["own_machine"]:
        return "Ollama", "own machine"
    if not case["team"]:
        return "managed API", "no team"
    if case["gpus"] == 0:
        return "llama.cpp", "no GPU"
    return ("Triton", f"{len(case['kinds'])} kinds") if len(case["kinds"]) > 1 else ("vLLM", f"{case['users']} users")


# %% serves a mixed fleet with vLLM answer="wrong" expect="is Triton's place"
def choose_server(case):
    if case["own_machine"]:
        return "Ollama", "own machine"
    if not case["team"] and not case["private"]:
        return "managed API", "no team"
    return ("vLLM", f"{case['users']} users") if case["gpus"] else ("llama.cpp", "no GPU")


# %% gives no number answer="wrong" expect="does not name the number"
def choose_server(case):
    if case["own_machine"]:
        return "Ollama", "own machine"
    if not case["team"] and not case["private"]:
        return "managed API", "no team"
    if case["gpus"] == 0:
        return "llama.cpp", "no GPU"
    return ("Triton", "many kinds") if len(case["kinds"]) > 1 else ("vLLM", "many users")


# %% a list of rules answer="right"
def choose_server(case):
    rules = [
        (case["own_machine"], "Ollama", "a developer's own machine"),
        (not (case["team"] or case["private"]), "managed API", "nobody runs servers"),
        (not case["gpus"], "llama.cpp", "quantised weights on CPUs"),
        (len(case["kinds"]) > 1, "Triton", f"one server for {len(case['kinds'])} kinds of models"),
        (True, "vLLM", f"continuous batching for {case['users']} users"),
    ]
    return next((tool, reason) for holds, tool, reason in rules if holds)


# %% from the last rule to the first answer="right"
def choose_server(case):
    tool, reason = "vLLM", f"{case['users']} users at once"
    if len(case["kinds"]) >= 2:
        tool, reason = "Triton", f"{len(case['kinds'])} kinds of models share the GPUs"
    if case["gpus"] < 1:
        tool, reason = "llama.cpp", "there is no GPU"
    if not case["team"] and not case["private"]:
        tool, reason = "managed API", "the text may leave and nobody runs servers"
    if case["own_machine"]:
        tool, reason = "Ollama", "it is a developer's machine"
    return tool, reason
