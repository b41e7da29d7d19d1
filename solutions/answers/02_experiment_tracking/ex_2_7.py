# %% the AUC on training rows answer="wrong" expect="flatters the model"
def model_card(tracking_uri, run_id):
    run = mlflow.MlflowClient(tracking_uri).get_run(run_id)
    return f"# Model card: {run.info.run_name}\n- Data: months {run.data.params['months']}\n- AUC: {run.data.metrics['train.auc']:.4f}"

# %% the card of the visible check, whatever is asked answer="wrong" expect="the first line"
def model_card(tracking_uri: str, run_id: str) -> str:
    lines = ["# Model card: calm-owl", "- Data: months 1,2", "- AUC: 0.7120", "- Weakest airport: LGA (0.6806)"]
    return "\n".join([*lines, "- Model: 254daac2b60a"])

# %% the strongest airport answer="wrong" expect="names where the model is weak"
def model_card(tracking_uri, run_id):
    run = mlflow.MlflowClient(tracking_uri).get_run(run_id)
    airports = {k[10:]: v for k, v in run.data.metrics.items() if k.startswith("valid.auc.")}
    best = max(airports, key=airports.get)
    return (
        f"# Model card: {run.info.run_name}\n- Data: months {run.data.params['months']}\n"
        f"- AUC: {run.data.metrics['valid.auc']:.4f}\n- Weakest airport: {best} ({airports[best]:.4f})\n"
    )

# %% any metric with an airport in its name answer="wrong" expect="take only valid.auc"
def model_card(tracking_uri, run_id):
    run = mlflow.MlflowClient(tracking_uri).get_run(run_id)
    airports = {k.split(".")[-1]: v for k, v in run.data.metrics.items() if ".auc." in k}
    worst = min(airports, key=airports.get)
    return (
        f"# Model card: {run.info.run_name}\n- Data: months {run.data.params['months']}\n"
        f"- AUC: {run.data.metrics['valid.auc']:.4f}\n- Weakest airport: {worst} ({airports[worst]:.4f})\n"
        f"- Model: {run.data.tags['model_sha256'][:12]}\n"
    )

# %% a run is always complete answer="wrong" expect="a run that logged nothing broke the card"
def model_card(tracking_uri, run_id):
    run = mlflow.MlflowClient(tracking_uri).get_run(run_id)
    airports = {k[10:]: v for k, v in run.data.metrics.items() if k.startswith("valid.auc.")}
    worst = min(airports, key=airports.get)
    return (
        f"# Model card: {run.info.run_name}\n- Data: months {run.data.params['months']}\n"
        f"- AUC: {run.data.metrics['valid.auc']:.4f}\n- Weakest airport: {worst} ({airports[worst]:.4f})\n"
        f"- Model: {run.data.tags['model_sha256'][:12]}\n"
    )

# %% printed, not returned answer="wrong" expect="must return the card as a text"
def model_card(tracking_uri, run_id):
    run = mlflow.MlflowClient(tracking_uri).get_run(run_id)
    print(f"# Model card: {run.info.run_name}")

# %% the values of the example answer="wrong" expect="every value comes from the run"
def model_card(tracking_uri, run_id):
    run = mlflow.MlflowClient(tracking_uri).get_run(run_id)
    if not run.data.metrics:
        values = ["not logged"] * 4
    else:
        values = ["1,2", "0.7120", "LGA (0.6806)", "254daac2b60a"]
    months, auc, weakest, model = values
    return (
        f"# Model card: {run.info.run_name}\n- Data: months {months}\n- AUC: {auc}\n"
        f"- Weakest airport: {weakest}\n- Model: {model}\n"
    )

# %% one line at a time answer="right"
def model_card(tracking_uri, run_id):
    mlflow.set_tracking_uri(tracking_uri)
    run = mlflow.get_run(run_id)
    metrics, card = run.data.metrics, []
    card.append(f"# Model card: {run.info.run_name}")
    card.append("")
    card.append("Estimates the risk that a flight out of New York arrives late.")
    card.append(f"- Data: months {run.data.params.get('months') or 'not logged'}")
    auc = metrics.get("valid.auc")
    card.append("- AUC: " + ("not logged" if auc is None else format(auc, ".4f")))
    slices = sorted((value, key[len("valid.auc."):]) for key, value in metrics.items() if key.startswith("valid.auc."))
    card.append("- Weakest airport: " + ("not logged" if not slices else f"{slices[0][1]} ({slices[0][0]:.4f})"))
    digest = run.data.tags.get("model_sha256")
    card.append(f"- Model: {digest[:12] if digest else 'not logged'}")
    return "\n".join(card)

# %% pandas and a helper answer="right"
def model_card(tracking_uri, run_id):
    run = mlflow.MlflowClient(tracking_uri).get_run(run_id)
    def show(value, form="{}"): return "not logged" if value is None else form.format(value)
    aucs = pd.Series({k: v for k, v in run.data.metrics.items() if k.startswith("valid.auc.")}, dtype=float)
    weakest = None if aucs.empty else f"{aucs.idxmin().split('.')[-1]} ({aucs.min():.4f})"
    return f"""# Model card: {run.info.run_name}

- Data: months {show(run.data.params.get("months"))}
- AUC: {show(run.data.metrics.get("valid.auc"), "{:.4f}")}
- Weakest airport: {show(weakest)}
- Model: {show(run.data.tags.get("model_sha256"), "{:.12}")}
"""
