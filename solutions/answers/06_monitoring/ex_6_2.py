# %% tests each feature at alpha answer="wrong" expect="cries wolf"
def find_drift(reference, current, alpha=0.05, min_distance=0.1):
    found = monitoring.compare(reference, current)
    return np.flatnonzero(found.ks_p < alpha).tolist()


# %% nothing, whatever is asked answer="wrong" expect="a shift of 0.8 σ in one of 30 features was missed"
def find_drift(reference, current, alpha=0.05, min_distance=0.1):
    return []


# %% asks for half of the features answer="wrong" expect="does not need half of them"
def find_drift(reference, current, alpha=0.05, min_distance=0.1):
    found = monitoring.compare(reference, current)
    drifted = np.flatnonzero(found.p < alpha).tolist()
    return drifted if len(drifted) >= len(found.p) / 2 else []


# %% significant is enough answer="wrong" expect="significant and does not matter"
def find_drift(reference, current, alpha=0.05, min_distance=0.1):
    found = monitoring.compare(reference, current)
    return np.flatnonzero((found.p < alpha / len(found.p))).tolist()


# %% a distance alone answer="wrong" expect="share alpha out"
def find_drift(reference, current, alpha=0.05, min_distance=0.1):
    found = monitoring.compare(reference, current)
    return np.flatnonzero(found.distance >= 0.08).tolist()


# %% Holm's correction answer="right"
def find_drift(reference, current, alpha=0.05, min_distance=0.1):
    found = monitoring.compare(reference, current)
    adjusted = monitoring.holm(found.p)
    return [k for k in range(len(adjusted)) if adjusted[k] < alpha and found.distance[k] >= min_distance]


# %% Sidak's correction, feature by feature answer="right"
def find_drift(reference, current, alpha=0.05, min_distance=0.1):
    level = 1 - (1 - alpha) ** (1 / reference.shape[1])
    drifted = []
    for k in range(reference.shape[1]):
        found = monitoring.compare(reference[:, k], current[:, k])
        if found.p[0] < level and found.distance[0] >= min_distance:
            drifted.append(k)
    return drifted
