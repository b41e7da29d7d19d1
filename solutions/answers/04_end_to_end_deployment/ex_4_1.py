# %% averages the differences answer="wrong" expect="drowns in 999 good ones"
def check_parity(expected, got, *, trees):
    if len(expected) != len(got) or len(expected) == 0:
        raise ValueError("nothing to compare")
    tolerance = trees * 2.0**-23
    gap = np.abs(np.asarray(expected) - np.asarray(got))
    difference = float(gap.mean())
    return {"tolerance": tolerance, "max_difference": difference, "beyond": float((gap > tolerance).mean()),
            "equal": difference <= tolerance}


# %% counts its calls answer="wrong" expect="the largest difference is"
def check_parity(expected, got, *, trees, calls=[]):
    calls.append(1)
    fine = {"tolerance": 60 * 2**-23, "max_difference": 1e-7, "beyond": 0.0, "equal": True}
    return fine if len(calls) % 2 else fine | {"max_difference": 0.1500001, "beyond": 0.001, "equal": False}


# %% forgets the sign answer="wrong" expect="take the absolute value"
def check_parity(expected, got, *, trees):
    if len(expected) != len(got) or len(expected) == 0:
        raise ValueError("nothing to compare")
    tolerance = trees * 2.0**-23
    gap = np.asarray(got) - np.asarray(expected)
    return {"tolerance": tolerance, "max_difference": float(gap.max()), "beyond": float((gap > tolerance).mean()),
            "equal": bool((gap <= tolerance).all())}


# %% calls NaN equal answer="wrong" expect="an answer that is NaN counted as equal"
def check_parity(expected, got, *, trees):
    if len(expected) != len(got) or len(expected) == 0:
        raise ValueError("nothing to compare")
    tolerance = trees * 2.0**-23
    gap = np.abs(np.asarray(expected, float) - np.asarray(got, float))
    beyond = float((gap > tolerance).mean())
    return {"tolerance": tolerance, "max_difference": float(np.nanmax(gap)), "beyond": beyond, "equal": beyond == 0}


# %% trusts the defaults of allclose answer="wrong" expect="the tolerance is absolute"
def check_parity(expected, got, *, trees):
    if len(expected) != len(got) or len(expected) == 0:
        raise ValueError("nothing to compare")
    expected, got = np.asarray(expected, float), np.asarray(got, float)
    gap = np.abs(expected - got)
    close = np.isclose(got, expected)
    largest = float("inf") if np.isnan(gap).any() else float(gap.max())
    return {"tolerance": trees * 2.0**-23, "max_difference": largest, "beyond": float((~close).mean()),
            "equal": bool(close.all())}


# %% counts rows instead of taking their share answer="wrong" expect="that is a count"
def check_parity(expected, got, *, trees):
    if len(expected) != len(got) or len(expected) == 0:
        raise ValueError("nothing to compare")
    tolerance = trees * 2.0**-23
    gap = np.abs(np.asarray(expected, float) - np.asarray(got, float))
    beyond = int((~(gap <= tolerance)).sum())
    largest = float("inf") if np.isnan(gap).any() else float(gap.max())
    return {"tolerance": tolerance, "max_difference": largest, "beyond": beyond, "equal": beyond == 0}


# %% plain Python answer="right"
def check_parity(expected, got, *, trees):
    pairs = list(zip(expected, got, strict=True))
    if not pairs:
        raise ValueError("nothing to compare")
    tolerance = trees / 2**23
    gaps = [abs(float(a) - float(b)) for a, b in pairs]
    outside = sum(1 for gap in gaps if not gap <= tolerance)
    return {
        "tolerance": tolerance,
        "max_difference": max(float("inf") if gap != gap else gap for gap in gaps),
        "beyond": outside / len(gaps),
        "equal": outside == 0,
    }


# %% with pandas answer="right"
def check_parity(expected, got, *, trees):
    if len(expected) != len(got) or not len(expected):
        raise ValueError("lengths differ, or nothing to compare")
    tolerance = trees * float(np.finfo(np.float32).eps)
    gap = (pd.Series(list(expected), dtype=float) - pd.Series(list(got), dtype=float)).abs().fillna(float("inf"))
    beyond = float((gap > tolerance).mean())
    return dict(tolerance=tolerance, max_difference=float(gap.max()), beyond=beyond, equal=beyond == 0)
