# %% no step answer="wrong" expect="the curve is a vertical line"
def log_curves(tracking_uri, run_id, curves):
    client = mlflow.MlflowClient(tracking_uri)
    for name, losses in curves.items():
        for loss in losses:
            client.log_metric(run_id, f"{name}.curve_log_loss", loss)

# %% steps from zero answer="wrong" expect="so it is step 1"
def log_curves(tracking_uri, run_id, curves):
    client = mlflow.MlflowClient(tracking_uri)
    for name, losses in curves.items():
        for step, loss in enumerate(losses):
            client.log_metric(run_id, f"{name}.curve_log_loss", loss, step=step)

# %% only the last value answer="wrong" expect="not only the last"
def log_curves(tracking_uri, run_id, curves):
    client = mlflow.MlflowClient(tracking_uri)
    for name, losses in curves.items():
        client.log_metric(run_id, f"{name}.curve_log_loss", losses[-1], step=len(losses))

# %% a new run answer="wrong" expect="not to a new one"
def log_curves(tracking_uri, run_id, curves):
    mlflow.set_tracking_uri(tracking_uri)
    with mlflow.start_run():
        for name, losses in curves.items():
            for step, loss in enumerate(losses, start=1):
                mlflow.log_metric(f"{name}.curve_log_loss", loss, step=step)

# %% only the curve of the validation data answer="wrong" expect="log every curve"
def log_curves(tracking_uri, run_id, curves):
    client = mlflow.MlflowClient(tracking_uri)
    for step, loss in enumerate(curves["valid"], start=1):
        client.log_metric(run_id, "valid.curve_log_loss", loss, step=step)

# %% opens the run in whatever experiment is active answer="wrong" expect="active experiment ID does not match"
def log_curves(tracking_uri, run_id, curves):
    mlflow.set_tracking_uri(tracking_uri)
    with mlflow.start_run(run_id=run_id):
        for name, losses in curves.items():
            for step, loss in enumerate(losses, start=1):
                mlflow.log_metric(f"{name}.curve_log_loss", loss, step=step)

# %% the old run opened again answer="right"
def log_curves(tracking_uri, run_id, curves):
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_experiment(experiment_id=mlflow.get_run(run_id).info.experiment_id)
    with mlflow.start_run(run_id=run_id):
        for name, losses in curves.items():
            for step, loss in enumerate(losses, start=1):
                mlflow.log_metric(f"{name}.curve_log_loss", loss, step=step)

# %% one value at a time through the client answer="right"
def log_curves(tracking_uri, run_id, curves):
    client = mlflow.MlflowClient(tracking_uri=tracking_uri)
    for name in curves:
        for tree in range(len(curves[name])):
            client.log_metric(run_id, name + ".curve_log_loss", curves[name][tree], step=tree + 1)
