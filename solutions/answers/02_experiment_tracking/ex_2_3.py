# %% the lowest of the whole curve answer="wrong" expect="training would have stopped before it was seen"
def early_stop(tracking_uri, run_id, metric, patience):
    points = mlflow.MlflowClient(tracking_uri).get_metric_history(run_id, metric)
    return min(points, key=lambda point: point.value).step

# %% counts its calls answer="wrong" expect="early_stop with patience 3"
def early_stop(tracking_uri: str, run_id: str, metric: str, patience: int, calls=[]) -> int:
    calls.append(1)
    return 2 if len(calls) % 2 else 6

# %% the last step answer="wrong" expect="but not the best one"
def early_stop(tracking_uri, run_id, metric, patience):
    points = mlflow.MlflowClient(tracking_uri).get_metric_history(run_id, metric)
    return max(point.step for point in points)

# %% the step at which training stops answer="wrong" expect="the model to keep is the best one before"
def early_stop(tracking_uri, run_id, metric, patience):
    points = sorted(mlflow.MlflowClient(tracking_uri).get_metric_history(run_id, metric), key=lambda p: p.step)
    best, bad = float("inf"), 0
    for point in points:
        bad = 0 if point.value < best else bad + 1
        best = min(best, point.value)
        if bad == patience:
            return point.step
    return points[-1].step

# %% a position in a list answer="wrong" expect="positions start at 0, steps at 1"
def early_stop(tracking_uri, run_id, metric, patience):
    points = sorted(mlflow.MlflowClient(tracking_uri).get_metric_history(run_id, metric), key=lambda p: p.step)
    values = [point.value for point in points]
    best = 0
    for i, value in enumerate(values):
        if value < values[best]:
            best = i
        if i - best >= patience:
            break
    return best

# %% in the order in which they were logged answer="wrong" expect="so sort the points by step"
def early_stop(tracking_uri, run_id, metric, patience):
    best, keep, bad = float("inf"), 0, 0
    for point in mlflow.MlflowClient(tracking_uri).get_metric_history(run_id, metric):
        bad = bad + 1
        if point.value < best:
            best, keep, bad = point.value, point.step, 0
        if bad == patience:
            break
    return keep

# %% equal counts as lower answer="wrong" expect="an equal value brings nothing lower"
def early_stop(tracking_uri, run_id, metric, patience):
    points = sorted(mlflow.MlflowClient(tracking_uri).get_metric_history(run_id, metric), key=lambda p: p.step)
    best, keep, bad = float("inf"), 0, 0
    for point in points:
        if point.value <= best:
            best, keep, bad = point.value, point.step, 0
        else:
            bad += 1
        if bad == patience:
            break
    return keep

# %% step numbers counted instead of points answer="wrong" expect="only every tenth step"
def early_stop(tracking_uri, run_id, metric, patience):
    points = sorted(mlflow.MlflowClient(tracking_uri).get_metric_history(run_id, metric), key=lambda p: p.step)
    best, keep = float("inf"), 0
    for point in points:
        if point.value < best:
            best, keep = point.value, point.step
        elif point.step - keep >= patience:
            break
    return keep

# %% a slice after the best answer="right"
def early_stop(tracking_uri, run_id, metric, patience):
    history = mlflow.MlflowClient(tracking_uri).get_metric_history(run_id, metric)
    curve = {point.step: point.value for point in history}
    steps = sorted(curve)
    best = 0
    while True:
        better = [i for i in range(best + 1, min(best + patience, len(steps) - 1) + 1) if curve[steps[i]] < curve[steps[best]]]
        if not better:
            return steps[best]
        best = better[0]

# %% pandas answer="right"
def early_stop(tracking_uri, run_id, metric, patience):
    history = mlflow.MlflowClient(tracking_uri).get_metric_history(run_id, metric)
    curve = pd.Series({point.step: point.value for point in history}).sort_index()
    improved = curve < curve.cummin().shift(fill_value=float("inf"))
    waited = (~improved).groupby(improved.cumsum()).cumsum()
    stopped = waited[waited == patience]
    seen = curve if stopped.empty else curve.loc[: stopped.index[0]]
    return int(seen.idxmin())
