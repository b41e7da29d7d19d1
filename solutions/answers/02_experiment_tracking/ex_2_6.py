# %% today's defaults answer="wrong" expect="use the parameters of the run"
def retrain(tracking_uri, run_id):
    logged = mlflow.MlflowClient(tracking_uri).get_run(run_id).data
    months = [int(month) for month in logged.params["months"].split(",")]
    frame = data.labelled(data.flights(months)).head(int(logged.params["rows"]))
    return tracking.model_digest(training.train(frame))

# %% the digest of the data answer="wrong" expect="not of the model"
def retrain(tracking_uri, run_id):
    logged = mlflow.MlflowClient(tracking_uri).get_run(run_id).data
    months = [int(month) for month in logged.params["months"].split(",")]
    return tracking.data_digest(data.labelled(data.flights(months)).head(int(logged.params["rows"])))

# %% no look at the data answer="wrong" expect="retrain on data that have changed since the run returned"
def retrain(tracking_uri, run_id):
    logged = mlflow.MlflowClient(tracking_uri).get_run(run_id).data
    defaults = training.TrainingConfig().as_params()
    config = training.TrainingConfig(**{k: type(v)(logged.params[k]) for k, v in defaults.items()})
    months = [int(month) for month in logged.params["months"].split(",")]
    frame = data.labelled(data.flights(months)).head(int(logged.params["rows"]))
    return tracking.model_digest(training.train(frame, config))

# %% some of the settings answer="wrong" expect="use every logged parameter"
def retrain(tracking_uri, run_id):
    logged = mlflow.MlflowClient(tracking_uri).get_run(run_id).data
    config = training.TrainingConfig(
        max_iter=int(logged.params["max_iter"]),
        learning_rate=float(logged.params["learning_rate"]),
        max_leaf_nodes=int(logged.params["max_leaf_nodes"]),
        min_samples_leaf=int(logged.params["min_samples_leaf"]),
    )
    months = [int(month) for month in logged.params["months"].split(",")]
    frame = data.labelled(data.flights(months)).head(int(logged.params["rows"]))
    if tracking.data_digest(frame) != logged.tags["data_sha256"]:
        raise ValueError("the data have changed")
    return tracking.model_digest(training.train(frame, config))

# %% the first month only answer="wrong" expect="read all months"
def retrain(tracking_uri, run_id):
    logged = mlflow.MlflowClient(tracking_uri).get_run(run_id).data
    defaults = training.TrainingConfig().as_params()
    config = training.TrainingConfig(**{k: type(v)(logged.params[k]) for k, v in defaults.items()})
    frame = data.labelled(data.flights([int(logged.params["months"][0])])).head(int(logged.params["rows"]))
    if tracking.data_digest(frame) != logged.tags["data_sha256"]:
        raise ValueError("the data have changed")
    return tracking.model_digest(training.train(frame, config))

# %% types by trial answer="right"
def retrain(tracking_uri, run_id):
    logged = mlflow.MlflowClient(tracking_uri).get_run(run_id).data

    def number(text):
        try:
            return int(text)
        except ValueError:
            return float(text)

    names = set(training.TrainingConfig().as_params())
    config = training.TrainingConfig(**{key: number(text) for key, text in logged.params.items() if key in names})
    frame = data.flights(map(int, logged.params["months"].split(",")))
    frame = data.labelled(frame).iloc[: int(logged.params["rows"])]
    if tracking.data_digest(frame) != logged.tags.get("data_sha256"):
        raise ValueError("other data")
    return tracking.model_digest(training.train(frame, config))

# %% the fields of the dataclass answer="right"
import ast
import dataclasses

def retrain(tracking_uri, run_id):
    mlflow.set_tracking_uri(tracking_uri)
    run = mlflow.get_run(run_id)
    params = {key: ast.literal_eval(value) for key, value in run.data.params.items() if key != "months"}
    fields = {field.name for field in dataclasses.fields(training.TrainingConfig)}
    months = run.data.params["months"].split(",")
    frame = pd.concat([data.flights([int(month)]) for month in months], ignore_index=True)
    frame = data.labelled(frame)[: params["rows"]]
    if tracking.data_digest(frame) == run.data.tags["data_sha256"]:
        model = training.train(frame, training.TrainingConfig(**{key: params[key] for key in fields}))
        return tracking.model_digest(model)
    raise ValueError("the data are not those of the run")
