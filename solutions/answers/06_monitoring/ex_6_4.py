# %% uses labels that came later answer="wrong" expect="peeking"
def rolling_auc(rows, now, days=7, settle_hours=0):
    end = now - settle_hours
    window = rows[(rows["departs"] > end - 24 * days) & (rows["departs"] <= end)]
    known = window[window["late"].notna()]
    both = known["late"].nunique() == 2
    auc = float(roc_auc_score(known["late"], known["probability"])) if both else None
    return {"auc": auc, "labels": len(known), "waiting": len(window) - len(known)}


# %% the numbers of the visible check, whatever is asked answer="wrong" expect="before the first flight"
def rolling_auc(rows, now, days=7, settle_hours=0):
    return {"auc": 0.75, "labels": 4, "waiting": 3}


# %% no label means on time answer="wrong" expect="counted as on time"
def rolling_auc(rows, now, days=7, settle_hours=0):
    end = now - settle_hours
    window = rows[(rows["departs"] > end - 24 * days) & (rows["departs"] <= end)]
    late = window["late"].fillna(0)
    auc = float(roc_auc_score(late, window["probability"])) if late.nunique() == 2 else None
    return {"auc": auc, "labels": len(window), "waiting": 0}


# %% forgets who is waiting answer="wrong" expect="part of the picture"
def rolling_auc(rows, now, days=7, settle_hours=0):
    end = now - settle_hours
    known = rows[(rows["departs"] > end - 24 * days) & (rows["departs"] <= end) & (rows["known_at"] <= now)]
    both = known["late"].nunique() == 2
    return {"auc": float(roc_auc_score(known["late"], known["probability"])) if both else None,
            "labels": len(known), "waiting": 0}


# %% does not let the window settle answer="wrong" expect="to settle"
def rolling_auc(rows, now, days=7, settle_hours=0):
    window = rows[(rows["departs"] > now - 24 * days) & (rows["departs"] <= now)]
    known = window[window["known_at"] <= now]
    both = known["late"].nunique() == 2
    auc = float(roc_auc_score(known["late"], known["probability"])) if both else None
    return {"auc": auc, "labels": len(known), "waiting": len(window) - len(known)}


# %% with query answer="right"
def rolling_auc(rows, now, days=7, settle_hours=0):
    end = now - settle_hours
    begin = end - 24 * days
    window = rows.query("@begin < departs <= @end")
    known = window.query("known_at <= @now")
    auc = float(roc_auc_score(known["late"], known["probability"])) if set(known["late"]) == {0, 1} else None
    return {"auc": auc, "labels": len(known), "waiting": len(window) - len(known)}


# %% counts pairs answer="right"
def rolling_auc(rows, now, days=7, settle_hours=0):
    end = now - settle_hours
    departs, known_at = rows["departs"].to_numpy(), rows["known_at"].to_numpy()
    inside = (departs > end - 24 * days) & (departs <= end)
    known = inside & (known_at <= now)
    late, p = rows["late"].to_numpy()[known], rows["probability"].to_numpy()[known]
    one, zero = p[late == 1], p[late == 0]
    auc = None
    if len(one) and len(zero):
        gap = one[:, None] - zero[None, :]
        auc = float(((gap > 0) + 0.5 * (gap == 0)).mean())
    return {"auc": auc, "labels": int(known.sum()), "waiting": int(inside.sum() - known.sum())}
