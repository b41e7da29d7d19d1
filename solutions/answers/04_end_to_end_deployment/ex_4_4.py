# %% peeks with a z test answer="wrong" expect="you peek"
def canary_alarm(windows, *, alpha=0.05):
    total = np.zeros(4)
    for index, window in enumerate(windows):
        total += window
        a, x, b, y = total
        m = (x + y) / (a + b)
        spread = np.sqrt(m * (1 - m) * (1 / a + 1 / b))
        if spread > 0 and (y / b - x / a) / spread > 1.645:
            return index
    return None


# %% counts its calls answer="wrong" expect="you peek"
def canary_alarm(windows, *, alpha=0.05, calls=[]):
    calls.append(1)
    return None if len(calls) <= 200 else 1


# %% stops when the canary looks worse answer="wrong" expect="you peek"
def canary_alarm(windows, *, alpha=0.05):
    x = y = a = b = 0
    for index, window in enumerate(windows):
        a, x, b, y = a + window[0], x + window[1], b + window[2], y + window[3]
        if y / b > x / a + 0.01:
            return index
    return None


# %% looks once, at the end answer="wrong" expect="look after every window"
def canary_alarm(windows, *, alpha=0.05):
    if not windows:
        return None
    a, x, b, y = np.sum(windows, axis=0)
    m = (x + y) / (a + b)
    spread = np.sqrt(m * (1 - m) * (1 / a + 1 / b))
    return len(windows) - 1 if spread > 0 and (y / b - x / a) / spread > 1.645 else None


# %% a limit that only a disaster reaches answer="wrong" expect="does not protect anybody"
def canary_alarm(windows, *, alpha=0.05):
    for index, (a, x, b, y) in enumerate(windows):
        if b and y / b >= 0.4:
            return index
    return None


# %% different is not worse answer="wrong" expect="ask whether it is worse"
def canary_alarm(windows, *, alpha=0.05):
    total = np.zeros(4)
    for index, window in enumerate(windows):
        total += window
        a, x, b, y = total
        m = (x + y) / (a + b)
        spread = np.sqrt(m * (1 - m) * (1 / a + 1 / b))
        if spread > 0 and abs(y / b - x / a) / spread > 4.0 and x + y >= 8:
            return index
    return None


# %% one bet, no logarithms answer="right"
def canary_alarm(windows, *, alpha=0.05):
    evidence, seen, failed = {0.03: 1.0, 0.1: 1.0, 0.5: 1.0}, 0, 0
    for index, (a, x, b, y) in enumerate(windows):
        p = (failed + 0.5) / (seen + 1) if seen else 0.01
        for harm in evidence:
            q = min(p + harm, 0.99)
            m = (a * p + b * q) / (a + b)
            factor = (p / m) ** x * ((1 - p) / (1 - m)) ** (a - x) * (q / m) ** y * ((1 - q) / (1 - m)) ** (b - y)
            evidence[harm] = min(evidence[harm] * factor, 1e200)
        if sum(evidence.values()) / len(evidence) >= 1 / alpha:
            return index
        seen, failed = seen + a, failed + x
    return None


# %% spends alpha over the looks with an exact test answer="right"
def canary_alarm(windows, *, alpha=0.05):
    from scipy.stats import hypergeom

    total = np.zeros(4, dtype=int)
    for index, window in enumerate(windows):
        total += np.asarray(window, dtype=int)
        a, x, b, y = (int(value) for value in total)
        spent = alpha * 6 / np.pi**2 / (index + 1) ** 2  # all shares together are alpha, for any number of looks
        if x + y and hypergeom.sf(y - 1, a + b, x + y, b) < spent:
            return index
    return None
