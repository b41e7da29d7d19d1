# %% in the order they came answer="wrong" expect="not in lifecycle order"
def triage(incidents):
    order = "half-file sensor too-good moody lost-recipe promise model_final_2 friday slow-answer april model-storm"
    stage = dict(zip(order.split(), "ABCDEFGHIJK"))
    return [(stage[name], name) for name in incidents]

# %% the same eleven pairs, six at a time, counted by calls answer="wrong" expect="only for the incidents that were given"
def triage(incidents, calls=[]):
    order = "half-file sensor too-good moody lost-recipe promise model_final_2 friday slow-answer april model-storm"
    pairs = list(zip("ABCDEFGHIJK", order.split()))
    calls.append(1)
    return pairs[:6] if len(calls) % 2 else pairs[6:]

# %% registry and tracker swapped answer="wrong" expect="the registry says which version serves"
def triage(incidents):
    order = "half-file sensor too-good moody model_final_2 promise lost-recipe friday slow-answer april model-storm"
    stage = dict(zip(order.split(), "ABCDEFGHIJK"))
    return sorted((stage[name], name) for name in incidents)

# %% collection must look into the values answer="wrong" expect="collection delivers what the source sent"
def triage(incidents):
    order = "sensor half-file too-good moody lost-recipe promise model_final_2 friday slow-answer april model-storm"
    stage = dict(zip(order.split(), "ABCDEFGHIJK"))
    return sorted((stage[name], name) for name in incidents)

# %% leakage is evaluation's fault answer="wrong" expect="evaluation scored what it was given"
def triage(incidents):
    order = "half-file sensor promise moody lost-recipe too-good model_final_2 friday slow-answer april model-storm"
    stage = dict(zip(order.split(), "ABCDEFGHIJK"))
    return sorted((stage[name], name) for name in incidents)

# %% retraining without having seen anything answer="wrong" expect="Monitoring has to see it before"
def triage(incidents):
    order = "half-file sensor too-good moody lost-recipe promise model_final_2 friday slow-answer model-storm april"
    stage = dict(zip(order.split(), "ABCDEFGHIJK"))
    return sorted((stage[name], name) for name in incidents)

# %% always lists all eleven answer="wrong" expect="answer only for the incidents that were given"
def triage(incidents):
    order = "half-file sensor too-good moody lost-recipe promise model_final_2 friday slow-answer april model-storm"
    return list(zip("ABCDEFGHIJK", order.split()))

# %% walks the stages answer="right"
def triage(incidents):
    order = "half-file sensor too-good moody lost-recipe promise model_final_2 friday slow-answer april model-storm"
    return [(letter, name) for letter, name in zip("ABCDEFGHIJK", order.split()) if name in set(incidents)]

# %% a dict the other way round answer="right"
def triage(incidents):
    stages = {
        "A": "half-file", "B": "sensor", "C": "too-good", "D": "moody", "E": "lost-recipe", "F": "promise",
        "G": "model_final_2", "H": "friday", "I": "slow-answer", "J": "april", "K": "model-storm",
    }
    letters = {name: letter for letter, name in stages.items()}
    return sorted([[letters[name], name] for name in incidents], key=lambda pair: pair[0])
