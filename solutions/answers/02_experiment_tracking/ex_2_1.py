# %% metrics logged as parameters answer="wrong" expect="was logged as a parameter"
def log_complete_run(tracking_uri, experiment, config, frame, metrics, files):
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_experiment(experiment)
    with mlflow.start_run() as run:
        mlflow.log_params(config.as_params() | metrics)
        mlflow.log_param("months", ",".join(str(m) for m in sorted(frame["month"].unique())))
        mlflow.log_dict(tracking.environment(), "environment.json")
        for path in files:
            mlflow.log_artifact(path)
    return run.info.run_id

# %% a run that nothing ends answer="wrong" expect="nothing ended it"
def log_complete_run(tracking_uri, experiment, config, frame, metrics, files):
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_experiment(experiment)
    run = mlflow.start_run()
    mlflow.log_params(config.as_params())
    mlflow.log_param("months", ",".join(str(m) for m in sorted(frame["month"].unique())))
    mlflow.log_metrics(metrics)
    return run.info.run_id

# %% the whole configuration in one parameter answer="wrong" expect="A dict in one text can't be queried"
def log_complete_run(tracking_uri, experiment, config, frame, metrics, files):
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_experiment(experiment)
    with mlflow.start_run() as run:
        mlflow.log_param("config", config.as_params())
        mlflow.log_metrics(metrics)
    return run.info.run_id

# %% wherever MLflow points answer="wrong" expect="call set_tracking_uri first"
def log_complete_run(tracking_uri, experiment, config, frame, metrics, files):
    with mlflow.start_run() as run:
        mlflow.log_params(config.as_params())
        mlflow.log_param("months", ",".join(str(m) for m in sorted(frame["month"].unique())))
        mlflow.log_metrics(metrics)
        mlflow.set_tag("data_sha256", tracking.data_digest(frame))
        mlflow.log_dict(tracking.environment(), "environment.json")
        for path in files:
            mlflow.log_artifact(path)
    return run.info.run_id

# %% no environment answer="wrong" expect="without versions the run can't be made again"
def log_complete_run(tracking_uri, experiment, config, frame, metrics, files):
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_experiment(experiment)
    with mlflow.start_run() as run:
        mlflow.log_params(config.as_params())
        mlflow.log_param("months", ",".join(str(m) for m in sorted(frame["month"].unique())))
        mlflow.log_metrics(metrics)
        mlflow.set_tag("data_sha256", tracking.data_digest(frame))
        for path in files:
            mlflow.log_artifact(path)
    return run.info.run_id

# %% no digest of the data answer="wrong" expect="the tag data_sha256"
def log_complete_run(tracking_uri, experiment, config, frame, metrics, files):
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_experiment(experiment)
    with mlflow.start_run() as run:
        mlflow.log_params(config.as_params())
        mlflow.log_param("months", ",".join(str(m) for m in sorted(frame["month"].unique())))
        mlflow.log_metrics(metrics)
        mlflow.log_dict(tracking.environment(), "environment.json")
        for path in files:
            mlflow.log_artifact(path)
    return run.info.run_id

# %% the run object instead of its id answer="wrong" expect="must return the run's id"
def log_complete_run(tracking_uri, experiment, config, frame, metrics, files):
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_experiment(experiment)
    with mlflow.start_run() as run:
        mlflow.log_params(config.as_params())
    return run

# %% a swallowed error answer="wrong" expect="a missing file returned"
def log_complete_run(tracking_uri, experiment, config, frame, metrics, files):
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_experiment(experiment)
    with mlflow.start_run() as run:
        mlflow.log_params(config.as_params())
        mlflow.log_param("months", ",".join(str(m) for m in sorted(frame["month"].unique())))
        mlflow.log_metrics(metrics)
        mlflow.set_tag("data_sha256", tracking.data_digest(frame))
        mlflow.log_dict(tracking.environment(), "environment.json")
        for path in files:
            try:
                mlflow.log_artifact(path)
            except Exception:
                print("could not log", path)
    return run.info.run_id

# %% the client interface answer="right"
def log_complete_run(tracking_uri, experiment, config, frame, metrics, files):
    client = mlflow.MlflowClient(tracking_uri)
    run_id = client.create_run(client.get_experiment_by_name(experiment).experiment_id).info.run_id
    try:
        for key, value in config.as_params().items():
            client.log_param(run_id, key, value)
        client.log_param(run_id, "months", ",".join(map(str, sorted(set(frame["month"])))))
        for key, value in metrics.items():
            client.log_metric(run_id, key, value)
        client.set_tag(run_id, "data_sha256", tracking.data_digest(frame))
        client.log_dict(run_id, tracking.environment(), "environment.json")
        for path in files:
            client.log_artifact(run_id, path)
    except Exception:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)
    return run_id

# %% one request for all values, tags at the start answer="right"
import dataclasses

def log_complete_run(tracking_uri, experiment, config, frame, metrics, files):
    mlflow.set_tracking_uri(tracking_uri)
    experiment_id = mlflow.get_experiment_by_name(experiment).experiment_id
    months = ",".join(frame["month"].drop_duplicates().sort_values().astype(str))
    tags = {"data_sha256": tracking.data_digest(frame), "stage": "desk"}
    with mlflow.start_run(experiment_id=experiment_id, tags=tags) as run:
        mlflow.log_params({**dataclasses.asdict(config), "months": months})
        for name in metrics:
            mlflow.log_metric(name, metrics[name])
        mlflow.log_text(__import__("json").dumps(tracking.environment()), "environment.json")
        list(map(mlflow.log_artifact, files))
    return run.info.run_id
