# %% the AUC each run logged answer="wrong" expect="a better logged AUC, can hide one airport"
def promote(tracking_uri, name, scored, min_gain):
    client = mlflow.MlflowClient(tracking_uri, tracking_uri)
    new, old = (client.get_model_version_by_alias(name, alias) for alias in ("challenger", "champion"))
    auc = {v.version: client.get_run(v.run_id).data.metrics["valid.auc"] for v in (new, old)}
    if auc[new.version] - auc[old.version] < min_gain:
        return ["the gain is too small"]
    client.set_registered_model_alias(name, "champion", new.version)
    client.delete_registered_model_alias(name, "challenger")
    return []

# %% only the average answer="wrong" expect="a better average"
def promote(tracking_uri, name, scored, min_gain):
    from sklearn.metrics import roc_auc_score

    both = scored.dropna(subset=["champion", "challenger"])
    gain = roc_auc_score(both["late"], both["challenger"]) - roc_auc_score(both["late"], both["champion"])
    if gain < min_gain:
        return [f"the gain is {gain:.4f}"]
    client = mlflow.MlflowClient(tracking_uri, tracking_uri)
    client.set_registered_model_alias(name, "champion", client.get_model_version_by_alias(name, "challenger").version)
    client.delete_registered_model_alias(name, "challenger")
    return []

# %% the alias moves before the gate answer="wrong" expect="the aliases after a refusal"
def promote(tracking_uri, name, scored, min_gain):
    from sklearn.metrics import roc_auc_score

    client = mlflow.MlflowClient(tracking_uri, tracking_uri)
    client.set_registered_model_alias(name, "champion", client.get_model_version_by_alias(name, "challenger").version)
    client.delete_registered_model_alias(name, "challenger")
    both = scored.dropna()
    def auc(rows, model): return roc_auc_score(rows["late"], rows[model])
    reasons = [] if auc(both, "challenger") - auc(both, "champion") >= min_gain else ["gain too small"]
    return reasons + [o for o, rows in both.groupby("origin") if auc(rows, "challenger") < auc(rows, "champion")]

# %% the challenger's alias stays answer="wrong" expect="the aliases after a promotion"
def promote(tracking_uri, name, scored, min_gain):
    from sklearn.metrics import roc_auc_score

    both = scored.dropna()
    def auc(rows, model): return roc_auc_score(rows["late"], rows[model])
    reasons = [] if auc(both, "challenger") - auc(both, "champion") >= min_gain else ["gain too small"]
    reasons += [o for o, rows in both.groupby("origin") if auc(rows, "challenger") < auc(rows, "champion")]
    if not reasons:
        client = mlflow.MlflowClient(tracking_uri, tracking_uri)
        client.set_registered_model_alias(name, "champion", client.get_model_version_by_alias(name, "challenger").version)
    return reasons

# %% each model on the rows it answered answer="wrong" expect="Compare only rows that both models scored"
def promote(tracking_uri, name, scored, min_gain):
    from sklearn.metrics import roc_auc_score

    def auc(rows, model):
        answered = rows.dropna(subset=[model])
        return roc_auc_score(answered["late"], answered[model])

    reasons = [] if auc(scored, "challenger") - auc(scored, "champion") >= min_gain else ["gain too small"]
    reasons += [o for o, rows in scored.groupby("origin") if auc(rows, "challenger") < auc(rows, "champion")]
    if not reasons:
        client = mlflow.MlflowClient(tracking_uri, tracking_uri)
        client.set_registered_model_alias(name, "champion", client.get_model_version_by_alias(name, "challenger").version)
        client.delete_registered_model_alias(name, "challenger")
    return reasons

# %% a list comprehension per rule answer="right"
def promote(tracking_uri, name, scored, min_gain):
    from sklearn.metrics import roc_auc_score

    both = scored[scored["champion"].notna() & scored["challenger"].notna()]
    def auc(rows, model): return roc_auc_score(rows["late"], rows[model])
    reasons = [] if auc(both, "challenger") - auc(both, "champion") >= min_gain else ["the gain is too small"]
    reasons += [f"worse at {o}" for o, rows in both.groupby("origin") if auc(rows, "challenger") < auc(rows, "champion")]
    if not reasons:
        client = mlflow.MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
        client.set_registered_model_alias(name, "champion", client.get_model_version_by_alias(name, "challenger").version)
        client.delete_registered_model_alias(name, "challenger")
    return reasons

# %% ranks instead of the library's AUC answer="right"
def promote(tracking_uri, name, scored, min_gain):
    both = scored.dropna()

    def auc(rows, model):
        ranks, late = rows[model].rank(), rows["late"]
        positives, negatives = late.sum(), (~late).sum()
        return (ranks[late].sum() - positives * (positives + 1) / 2) / (positives * negatives)

    groups = {"all flights": both, **dict(list(both.groupby("origin")))}
    reasons = []
    for place, rows in groups.items():
        gain = auc(rows, "challenger") - auc(rows, "champion")
        if gain < (min_gain if place == "all flights" else 0):
            reasons.append(f"{place}: {gain:+.4f}")
    if reasons:
        return reasons
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_registry_uri(tracking_uri)
    client = mlflow.MlflowClient()
    version = client.get_model_version_by_alias(name, "challenger").version
    client.delete_registered_model_alias(name, "challenger")
    client.set_registered_model_alias(name, "champion", version)
    return []
