# %% looks at the range only answer="wrong" expect="an evening flight is riskier"
def model_tests(predict, flights):
    answers = predict(flights)
    return [] if answers.min() >= 0 and answers.max() <= 1 else ["range"]


# %% counts its calls and never asks the model answer="wrong" expect="a good model fails your tests"
def model_tests(predict, flights, calls=[]):
    calls.append(1)
    return [] if len(calls) in (1, 4, 5) else ["bug"]


# %% goes by the name of the model answer="wrong" expect="a good model fails your tests"
def model_tests(predict, flights):
    return [] if predict.__name__ == "predict" else ["bug"]


# %% calls the first model good and every other one bad answer="wrong" expect="a good model fails your tests"
def model_tests(predict, flights, first=[]):
    first.append(predict)
    return [] if predict is first[0] else ["bug"]


# %% goes by what the model prints as answer="wrong" expect="the bug 'percent' survived"
def model_tests(predict, flights, seen={}):
    return [] if seen.setdefault((type(predict).__name__, predict.__doc__, predict.__module__), len(seen)) == 0 else ["bug"]


# %% wants every single flight to react answer="wrong" expect="flight by flight where the table says"
def model_tests(predict, flights):
    """Return the names of the tests that the model `predict` fails on `flights`; an empty list if it passes."""
    base = predict(flights)
    mean = {
        "rain": predict(flights.assign(precip=0.4)).mean(),
        "fog": predict(flights.assign(visib=0.25)).mean(),
        "morning": predict(flights.assign(dep_minute=420)).mean(),
        "evening": predict(flights.assign(dep_minute=1140)).mean(),
    }
    held = {
        "a share": np.isfinite(base).all() and base.min() >= 0 and base.max() <= 1,
        "no weather": np.isfinite(predict(flights.assign(temp=np.nan))).all(),
        "evenings": mean["evening"] > mean["morning"],
        "order": np.allclose(predict(flights.iloc[::-1])[::-1], base, atol=1e-6),
        "company": np.allclose(predict(flights.head(1)), base[:1], atol=1e-6),
        "number": np.allclose(predict(flights.assign(flight=flights["flight"] + 1)), base, atol=1e-6),
        "rain": mean["rain"] > base.mean(),
        "fog": (predict(flights.assign(visib=0.25)) > base).all(),
    }
    return [name for name, good in held.items() if not good]


# %% content if rain does not lower the risk answer="wrong" expect="rain raises the mean risk"
def model_tests(predict, flights):
    """Return the names of the tests that the model `predict` fails on `flights`; an empty list if it passes."""
    base = predict(flights)
    mean = {
        "rain": predict(flights.assign(precip=0.4)).mean(),
        "fog": predict(flights.assign(visib=0.25)).mean(),
        "morning": predict(flights.assign(dep_minute=420)).mean(),
        "evening": predict(flights.assign(dep_minute=1140)).mean(),
    }
    held = {
        "a share": np.isfinite(base).all() and base.min() >= 0 and base.max() <= 1,
        "no weather": np.isfinite(predict(flights.assign(temp=np.nan))).all(),
        "evenings": mean["evening"] > mean["morning"],
        "order": np.allclose(predict(flights.iloc[::-1])[::-1], base, atol=1e-6),
        "company": np.allclose(predict(flights.head(1)), base[:1], atol=1e-6),
        "number": np.allclose(predict(flights.assign(flight=flights["flight"] + 1)), base, atol=1e-6),
        "rain": mean["rain"] >= base.mean(),
        "fog": mean["fog"] > base.mean(),
    }
    return [name for name, good in held.items() if not good]


# %% never asks without weather answer="wrong" expect="a flight without weather gets an answer"
def model_tests(predict, flights):
    """Return the names of the tests that the model `predict` fails on `flights`; an empty list if it passes."""
    base = predict(flights)
    mean = {
        "rain": predict(flights.assign(precip=0.4)).mean(),
        "fog": predict(flights.assign(visib=0.25)).mean(),
        "morning": predict(flights.assign(dep_minute=420)).mean(),
        "evening": predict(flights.assign(dep_minute=1140)).mean(),
    }
    held = {
        "a share": np.isfinite(base).all() and base.min() >= 0 and base.max() <= 1,
        "evenings": mean["evening"] > mean["morning"],
        "order": np.allclose(predict(flights.iloc[::-1])[::-1], base, atol=1e-6),
        "company": np.allclose(predict(flights.head(1)), base[:1], atol=1e-6),
        "number": np.allclose(predict(flights.assign(flight=flights["flight"] + 1)), base, atol=1e-6),
        "rain": mean["rain"] > base.mean(),
        "fog": mean["fog"] > base.mean(),
    }
    return [name for name, good in held.items() if not good]


# %% forgets the identifier answer="wrong" expect="the flight number must not matter"
def model_tests(predict, flights):
    """Return the names of the tests that the model `predict` fails on `flights`; an empty list if it passes."""
    base = predict(flights)
    mean = {
        "rain": predict(flights.assign(precip=0.4)).mean(),
        "fog": predict(flights.assign(visib=0.25)).mean(),
        "morning": predict(flights.assign(dep_minute=420)).mean(),
        "evening": predict(flights.assign(dep_minute=1140)).mean(),
    }
    held = {
        "a share": np.isfinite(base).all() and base.min() >= 0 and base.max() <= 1,
        "no weather": np.isfinite(predict(flights.assign(temp=np.nan))).all(),
        "evenings": mean["evening"] > mean["morning"],
        "order": np.allclose(predict(flights.iloc[::-1])[::-1], base, atol=1e-6),
        "company": np.allclose(predict(flights.head(1)), base[:1], atol=1e-6),
        "rain": mean["rain"] > base.mean(),
        "fog": mean["fog"] > base.mean(),
    }
    return [name for name, good in held.items() if not good]


# %% one test after the other answer="right"
def model_tests(predict, flights):
    failed = []
    base = np.array(predict(flights))
    if not (np.all(base >= 0) and np.all(base <= 1)):
        failed.append("share")
    for name, change in {"rain": {"precip": 0.4}, "fog": {"visib": 0.25}}.items():
        if predict(flights.assign(**change)).mean() <= base.mean():
            failed.append(name)
    if np.isnan(predict(flights.assign(temp=float("nan")))).any():
        failed.append("no weather")
    if predict(flights.assign(dep_minute=19 * 60)).mean() <= predict(flights.assign(dep_minute=7 * 60)).mean():
        failed.append("evening")
    half = np.concatenate([predict(flights.iloc[100:]), predict(flights.iloc[:100])])
    if np.abs(half - np.concatenate([base[100:], base[:100]])).max() > 1e-6:
        failed.append("order or company")
    if np.abs(predict(flights.assign(flight=1)) - predict(flights.assign(flight=2))).max() > 1e-6:
        failed.append("identifier")
    return failed


# %% a shuffle and one flight alone answer="right"
def model_tests(predict, flights):
    """Return the names of the tests that the model `predict` fails on `flights`; an empty list if it passes."""
    base = predict(flights)
    mean = {
        "rain": predict(flights.assign(precip=0.4)).mean(),
        "fog": predict(flights.assign(visib=0.25)).mean(),
        "morning": predict(flights.assign(dep_minute=420)).mean(),
        "evening": predict(flights.assign(dep_minute=1140)).mean(),
    }
    held = {
        "a share": np.isfinite(base).all() and base.min() >= 0 and base.max() <= 1,
        "no weather": np.isfinite(predict(flights.assign(temp=np.nan))).all(),
        "evenings": mean["evening"] > mean["morning"],
        "order": np.allclose(predict(flights.iloc[[5, 3, 9]]), base[[5, 3, 9]], atol=1e-6),
        "company": np.allclose(predict(flights.head(1)), base[:1], atol=1e-6),
        "number": np.allclose(predict(flights.assign(flight=flights["flight"] + 1)), base, atol=1e-6),
        "rain": mean["rain"] > base.mean(),
        "fog": mean["fog"] > base.mean(),
    }
    return [name for name, good in held.items() if not good]
