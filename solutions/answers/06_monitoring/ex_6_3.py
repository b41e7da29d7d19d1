# %% compares the late rate with the usual one answer="wrong" expect="don't compare the late rate with the usual"
def diagnose(inputs_drifted, probability, late, usual_rate):
    n = len(late)
    changed = abs(np.mean(late) - usual_rate) > 4 * np.sqrt(usual_rate * (1 - usual_rate) / n)
    if inputs_drifted:
        return "both" if changed else "covariate shift"
    return "concept drift" if changed else "nothing"


# %% counts its calls answer="wrong" expect="the diagnosis of a stormy week is 'nothing'"
def diagnose(inputs_drifted, probability, late, usual_rate, calls=[]):
    calls.append(1)
    return ["nothing", "covariate shift", "concept drift"][(len(calls) - 1) % 3]


# %% looks at the level only answer="wrong" expect="the order is reversed"
def diagnose(inputs_drifted, probability, late, usual_rate):
    p, y = np.asarray(probability), np.asarray(late)
    changed = abs((y - p).sum()) / np.sqrt((p * (1 - p)).sum()) > 4
    if inputs_drifted:
        return "both" if changed else "covariate shift"
    return "concept drift" if changed else "nothing"


# %% takes accuracy for truth answer="wrong" expect="compare outcomes"
def diagnose(inputs_drifted, probability, late, usual_rate):
    p, y = np.asarray(probability), np.asarray(late)
    changed = ((p > 0.5) == (y == 1)).mean() < 0.7
    if inputs_drifted:
        return "both" if changed else "covariate shift"
    return "concept drift" if changed else "nothing"


# %% asks the outcomes about concept only where inputs are quiet answer="wrong" expect="when inputs drifted and the order"
def diagnose(inputs_drifted, probability, late, usual_rate):
    if inputs_drifted:
        return "covariate shift"
    p, y = np.asarray(probability), np.asarray(late)
    r, v, t = y - p, p * (1 - p), p - p.mean()
    changed = abs(r.sum()) / np.sqrt(v.sum()) > 4 or abs((r * t).sum()) / np.sqrt((v * t * t).sum()) > 4
    return "concept drift" if changed else "nothing"


# %% plain Python answer="right"
def diagnose(inputs_drifted, probability, late, usual_rate):
    p = [float(x) for x in probability]
    mean = sum(p) / len(p)
    level = sum(y - x for x, y in zip(p, late)) / sum(x * (1 - x) for x in p) ** 0.5
    order = sum((y - x) * (x - mean) for x, y in zip(p, late)) / sum(x * (1 - x) * (x - mean) ** 2 for x in p) ** 0.5
    changed = max(abs(level), abs(order)) > 4
    return (["nothing", "concept drift"], ["covariate shift", "both"])[bool(inputs_drifted)][int(changed)]


# %% by the course's names answer="right"
def diagnose(inputs_drifted, probability, late, usual_rate):
    p, y = np.asarray(probability, float), np.asarray(late, float)
    tests = []
    for weight in (np.ones_like(p), p - p.mean()):
        tests.append(abs(np.dot(y - p, weight)) / np.sqrt(np.dot(p * (1 - p), weight**2)))
    return monitoring.diagnose(inputs_drifted=bool(inputs_drifted), concept_changed=max(tests) > 4)
