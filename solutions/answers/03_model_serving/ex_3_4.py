# %% averages the percentiles of the workers answer="wrong" expect="percentiles don't average"
def slo_report(workers, failed, budget_ms=100.0, objective=0.99):
    def percentile(values, share):
        values = sorted(values)
        return values[math.ceil(share * len(values) / 100) - 1]

    report = {f"p{s}": sum(percentile(w, s) for w in workers) / len(workers) for s in (50, 95, 99)}
    pooled = [ms for worker in workers for ms in worker]
    good = sum(ms <= budget_ms for ms in pooled) / (len(pooled) + failed)
    return report | {"good": good, "met": good >= objective}


# %% counts its calls answer="wrong" expect="failed requests vanished"
def slo_report(workers, failed, budget_ms=100.0, objective=0.99, calls=[]):
    calls.append(1)
    return {"p50": 100.0, "p95": 309.0, "p99": 317.0, "good": 0.9 if len(calls) % 2 else 0.72, "met": len(calls) % 2 == 1}


# %% forgets the failures answer="wrong" expect="failed requests vanished from the count"
def slo_report(workers, failed, budget_ms=100.0, objective=0.99):
    pooled = sorted(ms for worker in workers for ms in worker)
    report = {f"p{s}": pooled[math.ceil(s * len(pooled) / 100) - 1] for s in (50, 95, 99)}
    good = sum(ms <= budget_ms for ms in pooled) / len(pooled)
    return report | {"good": good, "met": good >= objective}


# %% counts the ranks from zero answer="wrong" expect="that is one rank too high"
def slo_report(workers, failed, budget_ms=100.0, objective=0.99):
    pooled = sorted(ms for worker in workers for ms in worker)
    report = {f"p{s}": pooled[min(s * len(pooled) // 100, len(pooled) - 1)] for s in (50, 95, 99)}
    good = sum(ms <= budget_ms for ms in pooled) / (len(pooled) + failed)
    return report | {"good": good, "met": good >= objective}


# %% numpy's default interpolates answer="wrong" expect="that value was never measured"
import numpy as np


def slo_report(workers, failed, budget_ms=100.0, objective=0.99):
    pooled = np.concatenate([np.asarray(worker, dtype=float) for worker in workers])
    report = {f"p{s}": float(np.percentile(pooled, s)) for s in (50, 95, 99)}
    good = float((pooled <= budget_ms).sum() / (len(pooled) + failed))
    return report | {"good": good, "met": good >= objective}


# %% takes the mean for the median answer="wrong" expect="that is the mean"
def slo_report(workers, failed, budget_ms=100.0, objective=0.99):
    pooled = sorted(ms for worker in workers for ms in worker)
    report = {f"p{s}": pooled[math.ceil(s * len(pooled) / 100) - 1] for s in (95, 99)}
    report["p50"] = sum(pooled) / len(pooled)
    good = sum(ms <= budget_ms for ms in pooled) / (len(pooled) + failed)
    return report | {"good": good, "met": good >= objective}


# %% calls exactly the budget too late answer="wrong" expect="an answer at exactly the budget is within it"
def slo_report(workers, failed, budget_ms=100.0, objective=0.99):
    pooled = sorted(ms for worker in workers for ms in worker)
    report = {f"p{s}": pooled[math.ceil(s * len(pooled) / 100) - 1] for s in (50, 95, 99)}
    good = sum(ms < budget_ms for ms in pooled) / (len(pooled) + failed)
    return report | {"good": good, "met": good >= objective}


# %% numpy with the right method answer="right"
import numpy as np


def slo_report(workers, failed, budget_ms=100.0, objective=0.99):
    pooled = np.concatenate([np.asarray(worker, dtype=float) for worker in workers])
    p50, p95, p99 = np.percentile(pooled, [50, 95, 99], method="inverted_cdf")
    good = (pooled <= budget_ms).sum() / (pooled.size + failed)
    return {"p50": p50, "p95": p95, "p99": p99, "good": good, "met": bool(good >= objective)}


# %% by counting answer="right"
def slo_report(workers, failed, budget_ms=100.0, objective=0.99):
    pooled = []
    for worker in workers:
        pooled.extend(worker)
    pooled.sort()
    report = {}
    for share in (50, 95, 99):
        for rank, value in enumerate(pooled, start=1):
            if 100 * rank >= share * len(pooled):
                report[f"p{share}"] = value
                break
    within = len([value for value in pooled if not value > budget_ms])
    report["good"] = within / (len(pooled) + failed)
    report["met"] = not report["good"] < objective
    return report
