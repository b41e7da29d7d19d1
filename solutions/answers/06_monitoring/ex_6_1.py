# %% bins of equal width answer="wrong" expect="equal width"
def psi(reference, current, bins=10):
    edges = np.linspace(np.min(reference), np.max(reference), bins + 1)[1:-1]
    shares = []
    for sample in (reference, current):
        counts = np.bincount(np.searchsorted(edges, sample), minlength=len(edges) + 1) + 0.5
        shares.append(counts / counts.sum())
    p, q = shares
    return float(((q - p) * np.log(q / p)).sum())


# %% bins from the current sample answer="wrong" expect="you cut the bins from the current sample"
def psi(reference, current, bins=10):
    edges = np.unique(np.quantile(current, np.arange(1, bins) / bins))
    shares = []
    for sample in (reference, current):
        counts = np.bincount(np.searchsorted(edges, sample), minlength=len(edges) + 1) + 0.5
        shares.append(counts / counts.sum())
    p, q = shares
    return float(((q - p) * np.log(q / p)).sum())


# %% empty bins are left at zero answer="wrong" expect="add 0.5"
def psi(reference, current, bins=10):
    edges = np.unique(np.quantile(reference, np.arange(1, bins) / bins))
    shares = []
    for sample in (reference, current):
        counts = np.bincount(np.searchsorted(edges, sample), minlength=len(edges) + 1).astype(float)
        shares.append(counts / counts.sum())
    p, q = shares
    with np.errstate(all="ignore"):
        return float(((q - p) * np.log(q / p)).sum())


# %% what lies outside is dropped answer="wrong" expect="open the first and the last bin"
def psi(reference, current, bins=10):
    edges = np.unique(np.quantile(reference, np.arange(0, bins + 1) / bins))
    inside = np.asarray(current)[(np.asarray(current) >= edges[0]) & (np.asarray(current) <= edges[-1])]
    if len(inside) < len(current) * 0.5:
        return 0.0
    return monitoring.psi(reference, current, bins=bins)


# %% the course's own answer="right"
def psi(reference, current, bins=10):
    return monitoring.psi(np.asarray(reference, float), np.asarray(current, float), bins=bins)


# %% sorted and counted bin by bin answer="right"
def psi(reference, current, bins=10):
    edges = [-np.inf, *sorted(set(np.quantile(reference, [k / bins for k in range(1, bins)]))), np.inf]
    total, n, m = 0.0, len(reference), len(current)
    size = len(edges) - 1
    one, other = np.asarray(reference), np.asarray(current)
    for low, high in zip(edges, edges[1:]):
        p = (((one > low) & (one <= high)).sum() + 0.5) / (n + 0.5 * size)
        q = (((other > low) & (other <= high)).sum() + 0.5) / (m + 0.5 * size)
        total += (q - p) * np.log(q / p)
    return float(total)
