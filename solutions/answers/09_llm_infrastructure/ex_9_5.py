# %% counts the first token's wait into TPOT answer="wrong" expect="TPOT begins after the first token"
def report(samples):
    good = [one for one in samples if one["tokens"]]
    seconds = max(one["tokens"][-1] for one in good) - min(one["sent"] for one in samples)
    return {
        "failed": len(samples) - len(good),
        "ttft_p95_ms": llm.timing.percentile([1000 * (one["tokens"][0] - one["sent"]) for one in good], 0.95),
        "tpot_p50_ms": llm.timing.percentile([1000 * (one["tokens"][-1] - one["sent"]) / len(one["tokens"]) for one in good], 0.5),
        "tokens_per_s": sum(len(one["tokens"]) for one in good) / seconds,
    }


# %% the numbers of the visible check, whatever is asked answer="wrong" expect="ttft_p95_ms of the example"
def report(samples):
    return {"failed": 1, "ttft_p95_ms": 1500, "tpot_p50_ms": 500, "tokens_per_s": 6 / 4.5}


# %% adds up the requests' own rates answer="wrong" expect="you added the requests' own rates"
def report(samples):
    good = [one for one in samples if one["tokens"]]
    many = [one for one in good if len(one["tokens"]) > 1]
    return {
        "failed": len(samples) - len(good),
        "ttft_p95_ms": llm.timing.percentile([1000 * (one["tokens"][0] - one["sent"]) for one in good], 0.95),
        "tpot_p50_ms": llm.timing.percentile(
            [1000 * (one["tokens"][-1] - one["tokens"][0]) / (len(one["tokens"]) - 1) for one in many], 0.5
        ),
        "tokens_per_s": sum(len(one["tokens"]) / (one["tokens"][-1] - one["sent"]) for one in good),
    }


# %% averages instead of percentiles answer="wrong" expect="that is the mean"
def report(samples):
    good = [one for one in samples if one["tokens"]]
    seconds = max(one["tokens"][-1] for one in good) - min(one["sent"] for one in samples)
    return {
        "failed": len(samples) - len(good),
        "ttft_p95_ms": float(np.mean([1000 * (one["tokens"][0] - one["sent"]) for one in good])),
        "tpot_p50_ms": 0.0,
        "tokens_per_s": sum(len(one["tokens"]) for one in good) / seconds,
    }


# %% times from the start of the test answer="wrong" expect="count from the moment the request was sent"
def report(samples):
    good = [one for one in samples if one["tokens"]]
    return {
        "failed": len(samples) - len(good),
        "ttft_p95_ms": llm.timing.percentile([1000 * one["tokens"][0] for one in good], 0.95),
        "tpot_p50_ms": 0.0,
        "tokens_per_s": 0.0,
    }


# %% divides by the tokens, not by the gaps answer="wrong" expect="between three tokens lie two gaps"
def report(samples):
    good = [one for one in samples if one["tokens"]]
    return {
        "failed": len(samples) - len(good),
        "ttft_p95_ms": llm.timing.percentile([1000 * (one["tokens"][0] - one["sent"]) for one in good], 0.95),
        "tpot_p50_ms": llm.timing.percentile(
            [1000 * (one["tokens"][-1] - one["tokens"][0]) / len(one["tokens"]) for one in good], 0.5
        ),
        "tokens_per_s": 0.0,
    }


# %% starts the clock with the first answered request answer="wrong" expect="also if it failed"
def report(samples):
    good = [one for one in samples if one["tokens"]]
    many = [one for one in good if len(one["tokens"]) > 1]
    seconds = max(one["tokens"][-1] for one in good) - min(one["sent"] for one in good)
    return {
        "failed": len(samples) - len(good),
        "ttft_p95_ms": llm.timing.percentile([1000 * (one["tokens"][0] - one["sent"]) for one in good], 0.95),
        "tpot_p50_ms": llm.timing.percentile(
            [1000 * (one["tokens"][-1] - one["tokens"][0]) / (len(one["tokens"]) - 1) for one in many], 0.5
        ),
        "tokens_per_s": sum(len(one["tokens"]) for one in good) / seconds * (1 if len(samples) != 2 else 2 / 2),
    }


# %% with data frames answer="right"
def report(samples):
    frame = pd.DataFrame(samples)
    frame["count"] = frame["tokens"].map(len)
    good = frame[frame["count"] > 0].copy()
    good["first"], good["last"] = good["tokens"].map(lambda t: t[0]), good["tokens"].map(lambda t: t[-1])
    longer = good[good["count"] > 1]
    return {
        "failed": int((frame["count"] == 0).sum()),
        "ttft_p95_ms": float(np.quantile(1000 * (good["first"] - good["sent"]), 0.95, method="inverted_cdf")),
        "tpot_p50_ms": float(
            np.quantile(1000 * (longer["last"] - longer["first"]) / (longer["count"] - 1), 0.5, method="inverted_cdf")
        ),
        "tokens_per_s": float(good["count"].sum() / (good["last"].max() - frame["sent"].min())),
    }


# %% the course's summary answer="right"
def report(samples):
    found = llm.timing.summarise([llm.timing.Timing(one["sent"], tuple(one["tokens"])) for one in samples])
    return {name: getattr(found, name) for name in ("failed", "ttft_p95_ms", "tpot_p50_ms", "tokens_per_s")}
