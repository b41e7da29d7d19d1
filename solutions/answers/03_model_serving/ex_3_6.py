# %% many rows make a batch answer="wrong" expect="900 rows are no reason for a job"
def choose(case):
    if case["rows"] > 100:
        return "batch"
    if case["in_pieces"]:
        return "streaming"
    return "online"


# %% counts its calls answer="wrong" expect="nobody waits: a job can do it"
def choose(case, calls=[]):
    calls.append(1)
    return ["online", "batch", "streaming", "online", "batch"][(len(calls) - 1) % 5]


# %% remembers which case came first answer="wrong" expect="nobody waits: a job can do it"
def choose(case, seen={}):
    return ["online", "batch", "streaming", "online", "batch"][seen.setdefault(str(case), len(seen)) % 5]


# %% goes by the hash of the case answer="wrong" expect="you chose"
def choose(case):
    return ["online", "batch", "streaming"][hash(str(case)) % 3] if case else "batch"


# %% whoever asks is served online answer="wrong" expect="an answer that is looked up is quicker"
def choose(case):
    if case["patience_s"] is None:
        return "batch"
    if case["compute_s"] <= case["patience_s"]:
        return "online"
    return "streaming" if case["in_pieces"] else "batch"


# %% streams whatever comes in pieces answer="wrong" expect="there is nothing to stream"
def choose(case):
    if case["known_before_s"] >= 3600 or case["patience_s"] is None:
        return "batch"
    if case["in_pieces"]:
        return "streaming"
    return "online" if case["compute_s"] <= case["patience_s"] else "batch"


# %% an API for everything answer="wrong" expect="nobody waits"
def choose(case):
    return "online"


# %% has no answer for the slow and indivisible answer="wrong" expect="a job that reports back"
def choose(case):
    if case["known_before_s"] >= 3600 or case["patience_s"] is None:
        return "batch"
    return "online" if case["compute_s"] <= case["patience_s"] else "streaming"


# %% as one expression answer="right"
def choose(case):
    ahead = case["patience_s"] is None or not case["known_before_s"] < 3600
    slow = not ahead and case["compute_s"] > case["patience_s"]
    return "batch" if ahead or (slow and not case["in_pieces"]) else "streaming" if slow else "online"


# %% with match answer="right"
def choose(case):
    match case:
        case {"patience_s": None}:
            return "batch"
        case {"known_before_s": early} if early >= 60 * 60:
            return "batch"
        case {"compute_s": needed, "patience_s": patience} if needed <= patience:
            return "online"
        case {"in_pieces": True}:
            return "streaming"
    return "batch"
