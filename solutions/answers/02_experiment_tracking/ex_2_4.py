# %% the best of all answer="wrong" expect="is above the limit"
def best_run(tracking_uri, experiment, max_calibration_error, max_trees):
    mlflow.set_tracking_uri(tracking_uri)
    found = mlflow.search_runs(experiment_names=[experiment], order_by=["metrics.`valid.auc` DESC"])
    return found["run_id"].iloc[0]

# %% the best first, then the limits answer="wrong" expect="filter first, then take the best"
def best_run(tracking_uri, experiment, max_calibration_error, max_trees):
    mlflow.set_tracking_uri(tracking_uri)
    found = mlflow.search_runs(experiment_names=[experiment], order_by=["metrics.`valid.auc` DESC"], max_results=1)
    top = found.iloc[0]
    fits = top["metrics.valid.calibration_error"] <= max_calibration_error and int(top["params.max_iter"]) <= max_trees
    return top["run_id"] if fits else None

# %% numbers compared as text answer="wrong" expect="as text '100' < '60'"
def best_run(tracking_uri, experiment, max_calibration_error, max_trees):
    mlflow.set_tracking_uri(tracking_uri)
    where = f"metrics.`valid.calibration_error` <= {max_calibration_error} AND attributes.status = 'FINISHED'"
    found = mlflow.search_runs(experiment_names=[experiment], filter_string=where)
    if found.empty:
        return None
    found = found[found["params.max_iter"] <= str(max_trees)].sort_values("metrics.valid.auc", ascending=False)
    return found["run_id"].iloc[0] if len(found) else None

# %% ascending order answer="wrong" expect="sort descending"
def best_run(tracking_uri, experiment, max_calibration_error, max_trees):
    mlflow.set_tracking_uri(tracking_uri)
    where = f"metrics.`valid.calibration_error` <= {max_calibration_error} AND attributes.status = 'FINISHED'"
    found = mlflow.search_runs(experiment_names=[experiment], filter_string=where, order_by=["metrics.`valid.auc`"])
    for _, run in found.iterrows():
        if int(run["params.max_iter"]) <= max_trees:
            return run["run_id"]
    return None

# %% crashed runs too answer="wrong" expect="a crashed run is no candidate"
def best_run(tracking_uri, experiment, max_calibration_error, max_trees):
    mlflow.set_tracking_uri(tracking_uri)
    where = f"metrics.`valid.calibration_error` <= {max_calibration_error}"
    found = mlflow.search_runs(experiment_names=[experiment], filter_string=where, order_by=["metrics.`valid.auc` DESC"])
    for _, run in found.iterrows():
        if int(run["params.max_iter"]) <= max_trees:
            return run["run_id"]
    return None

# %% everything in pandas answer="right"
def best_run(tracking_uri, experiment, max_calibration_error, max_trees):
    mlflow.set_tracking_uri(tracking_uri)
    found = mlflow.search_runs(experiment_names=[experiment])
    found = found[found["status"] == "FINISHED"].dropna(subset=["metrics.valid.auc", "params.max_iter"])
    found = found[found["metrics.valid.calibration_error"] <= max_calibration_error]
    found = found[found["params.max_iter"].astype(int) <= max_trees]
    return None if found.empty else found.loc[found["metrics.valid.auc"].idxmax(), "run_id"]

# %% the client answer="right"
def best_run(tracking_uri, experiment, max_calibration_error, max_trees):
    client = mlflow.MlflowClient(tracking_uri)
    where = f"metrics.`valid.calibration_error` <= {max_calibration_error} AND attributes.status = 'FINISHED'"
    runs = client.search_runs([client.get_experiment_by_name(experiment).experiment_id], where)
    fitting = [run for run in runs if int(run.data.params["max_iter"]) <= max_trees]
    best = max(fitting, key=lambda run: run.data.metrics["valid.auc"], default=None)
    return best and best.info.run_id
