# %% looks at the average only answer="wrong" expect="an average hides who pays"
import math


def gate(champion, challenger):
    """Return `(code, summary)`: 0 promotes, 1 refuses, 2 cannot judge; `summary` is Markdown."""
    try:
        old, new = ({"all": r["auc"], **r["slices"]} for r in (champion, challenger))
        finite = all(math.isfinite(number) for number in [*old.values(), *new.values()])
        same = champion["rows"] == challenger["rows"] >= 1_000 and old.keys() == new.keys()
    except (KeyError, TypeError, ValueError):
        finite = same = False
    if not (finite and same):
        return 2, "## Cannot judge\n\nA number is missing, or the two were not measured on the same flights.\n"
    worse = []
    reasons = [f"- {name}: {old[name]:.4f} → {new[name]:.4f}" for name in worse]
    if new["all"] - old["all"] < 0.002:
        reasons.append(f"- overall: {old['all']:.4f} → {new['all']:.4f}, a gain of 0.002 is needed")
    if reasons:
        return 1, "\n".join(["## Refused", "", *reasons, ""])
    return 0, f"## Promoted\n\nAUC {old['all']:.4f} → {new['all']:.4f}\n"


# %% counts its calls answer="wrong" expect="an average hides who pays for it"
def gate(champion, challenger, calls=[]):
    says = [(0, "# Promoted"), (1, "# Refused: JFK"), (1, "# Refused"), (2, "# Cannot judge")]
    calls.append(1)
    return says[(len(calls) - 1) % 4]


# %% remembers which comparison came first answer="wrong" expect="an average hides who pays for it"
def gate(champion, challenger, seen={}):
    says = [(0, "# Promoted"), (1, "# Refused: JFK"), (1, "# Refused"), (2, "# Cannot judge")]
    return says[seen.setdefault(str(challenger), len(seen)) % 4]


# %% promotes on NaN answer="wrong" expect="a broken measurement was promoted"
import math


def gate(champion, challenger):
    """Return `(code, summary)`: 0 promotes, 1 refuses, 2 cannot judge; `summary` is Markdown."""
    try:
        old, new = ({"all": r["auc"], **r["slices"]} for r in (champion, challenger))
        finite = all(math.isfinite(number) for number in [*old.values(), *new.values()])
        same = champion["rows"] == challenger["rows"] >= 1_000 and old.keys() == new.keys()
    except (KeyError, TypeError, ValueError):
        finite = same = False
    if not same:
        return 2, "## Cannot judge\n\nA number is missing, or the two were not measured on the same flights.\n"
    worse = [name for name in old if name != "all" and new[name] < old[name]]
    reasons = [f"- {name}: {old[name]:.4f} → {new[name]:.4f}" for name in worse]
    if new["all"] < old["all"] + 0.002:
        reasons.append(f"- overall: {old['all']:.4f} → {new['all']:.4f}, a gain of 0.002 is needed")
    if reasons:
        return 1, "\n".join(["## Refused", "", *reasons, ""])
    return 0, f"## Promoted\n\nAUC {old['all']:.4f} → {new['all']:.4f}\n"


# %% takes a broken measurement for a worse model answer="wrong" expect="that is code 2"
import math


def gate(champion, challenger):
    """Return `(code, summary)`: 0 promotes, 1 refuses, 2 cannot judge; `summary` is Markdown."""
    try:
        old, new = ({"all": r["auc"], **r["slices"]} for r in (champion, challenger))
        finite = all(math.isfinite(number) for number in [*old.values(), *new.values()])
        same = champion["rows"] == challenger["rows"] >= 1_000 and old.keys() == new.keys()
    except (KeyError, TypeError, ValueError):
        finite = same = False
    if not (finite and same):
        return 1, "## Cannot judge\n\nA number is missing, or the two were not measured on the same flights.\n"
    worse = [name for name in old if name != "all" and new[name] < old[name]]
    reasons = [f"- {name}: {old[name]:.4f} → {new[name]:.4f}" for name in worse]
    if new["all"] - old["all"] < 0.002:
        reasons.append(f"- overall: {old['all']:.4f} → {new['all']:.4f}, a gain of 0.002 is needed")
    if reasons:
        return 1, "\n".join(["## Refused", "", *reasons, ""])
    return 0, f"## Promoted\n\nAUC {old['all']:.4f} → {new['all']:.4f}\n"


# %% any gain will do answer="wrong" expect="less than the gain of 0.002"
import math


def gate(champion, challenger):
    """Return `(code, summary)`: 0 promotes, 1 refuses, 2 cannot judge; `summary` is Markdown."""
    try:
        old, new = ({"all": r["auc"], **r["slices"]} for r in (champion, challenger))
        finite = all(math.isfinite(number) for number in [*old.values(), *new.values()])
        same = champion["rows"] == challenger["rows"] >= 1_000 and old.keys() == new.keys()
    except (KeyError, TypeError, ValueError):
        finite = same = False
    if not (finite and same):
        return 2, "## Cannot judge\n\nA number is missing, or the two were not measured on the same flights.\n"
    worse = [name for name in old if name != "all" and new[name] < old[name]]
    reasons = [f"- {name}: {old[name]:.4f} → {new[name]:.4f}" for name in worse]
    if new["all"] - old["all"] <= 0:
        reasons.append(f"- overall: {old['all']:.4f} → {new['all']:.4f}, a gain of 0.002 is needed")
    if reasons:
        return 1, "\n".join(["## Refused", "", *reasons, ""])
    return 0, f"## Promoted\n\nAUC {old['all']:.4f} → {new['all']:.4f}\n"


# %% crashes on a missing number answer="wrong" expect="not a crash"
import math


def gate(champion, challenger):
    """Return `(code, summary)`: 0 promotes, 1 refuses, 2 cannot judge; `summary` is Markdown."""
    try:
        old, new = ({"all": r["auc"], **r["slices"]} for r in (champion, challenger))
        finite = all(math.isfinite(number) for number in [*old.values(), *new.values()])
        same = champion["rows"] == challenger["rows"] >= 1_000 and old.keys() == new.keys()
    except ZeroDivisionError:
        finite = same = False
    if not (finite and same):
        return 2, "## Cannot judge\n\nA number is missing, or the two were not measured on the same flights.\n"
    worse = [name for name in old if name != "all" and new[name] < old[name]]
    reasons = [f"- {name}: {old[name]:.4f} → {new[name]:.4f}" for name in worse]
    if new["all"] - old["all"] < 0.002:
        reasons.append(f"- overall: {old['all']:.4f} → {new['all']:.4f}, a gain of 0.002 is needed")
    if reasons:
        return 1, "\n".join(["## Refused", "", *reasons, ""])
    return 0, f"## Promoted\n\nAUC {old['all']:.4f} → {new['all']:.4f}\n"


# %% does not compare the rows answer="wrong" expect="same flights or not at all"
import math


def gate(champion, challenger):
    """Return `(code, summary)`: 0 promotes, 1 refuses, 2 cannot judge; `summary` is Markdown."""
    try:
        old, new = ({"all": r["auc"], **r["slices"]} for r in (champion, challenger))
        finite = all(math.isfinite(number) for number in [*old.values(), *new.values()])
        same = challenger["rows"] >= 1_000 and old.keys() == new.keys()
    except (KeyError, TypeError, ValueError):
        finite = same = False
    if not (finite and same):
        return 2, "## Cannot judge\n\nA number is missing, or the two were not measured on the same flights.\n"
    worse = [name for name in old if name != "all" and new[name] < old[name]]
    reasons = [f"- {name}: {old[name]:.4f} → {new[name]:.4f}" for name in worse]
    if new["all"] - old["all"] < 0.002:
        reasons.append(f"- overall: {old['all']:.4f} → {new['all']:.4f}, a gain of 0.002 is needed")
    if reasons:
        return 1, "\n".join(["## Refused", "", *reasons, ""])
    return 0, f"## Promoted\n\nAUC {old['all']:.4f} → {new['all']:.4f}\n"


# %% three helpers answer="right"
import math


def _auc(report):
    return {"all": float(report["auc"])} | {name: float(value) for name, value in report["slices"].items()}


def gate(champion, challenger):
    try:
        a, b = _auc(champion), _auc(challenger)
        rows = (champion["rows"], challenger["rows"])
    except Exception:
        return 2, "# Cannot judge"
    if set(a) != set(b) or rows[0] != rows[1] or rows[1] < 1000 or any(math.isnan(x) for x in [*a.values(), *b.values()]):
        return 2, "# Cannot judge"
    losers = [k for k in a if k != "all" and b[k] < a[k]]
    if losers or b["all"] - a["all"] < 0.002:
        return 1, "# Refused: " + ", ".join(losers)
    return 0, "# Promoted"


# %% numpy answer="right"
import math


def gate(champion, challenger):
    """Return `(code, summary)`: 0 promotes, 1 refuses, 2 cannot judge; `summary` is Markdown."""
    try:
        old, new = ({"all": r["auc"], **r["slices"]} for r in (champion, challenger))
        finite = bool(np.isfinite(np.array([*old.values(), *new.values()], dtype=float)).all())
        same = champion["rows"] == challenger["rows"] >= 1_000 and old.keys() == new.keys()
    except (KeyError, TypeError, ValueError):
        finite = same = False
    if not (finite and same):
        return 2, "## Cannot judge\n\nA number is missing, or the two were not measured on the same flights.\n"
    worse = [name for name in old if name != "all" and new[name] < old[name]]
    reasons = [f"- {name}: {old[name]:.4f} → {new[name]:.4f}" for name in worse]
    if new["all"] - old["all"] < 0.002:
        reasons.append(f"- overall: {old['all']:.4f} → {new['all']:.4f}, a gain of 0.002 is needed")
    if reasons:
        return 1, "\n".join(["## Refused", "", *reasons, ""])
    return 0, f"## Promoted\n\nAUC {old['all']:.4f} → {new['all']:.4f}\n"
