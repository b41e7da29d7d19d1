"""The late-flight service: `uvicorn main:app`. Where MLFLOW_TRACKING_URI is set, each start is logged as a run."""

import json
import os
import time
import urllib.request
from pathlib import Path
from typing import Any

from course_lib.serving import create_app

BUNDLE = Path(__file__).parent / "bundle"


def log_start(server: str) -> None:
    """Write one MLflow run per start, so that anyone can see which model was deployed when."""

    def call(path: str, body: dict[str, object]) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the address is the deployer's
            f"{server}/api/2.0/mlflow/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310
            return json.load(reply)

    model = json.loads((BUNDLE / "manifest.json").read_text())
    tags = [{"key": "model", "value": f"{model['name']} v{model['version']}"}]
    now = int(time.time() * 1000)
    run = call("runs/create", {"experiment_id": "0", "run_name": "deployment", "start_time": now, "tags": tags})
    run_id = run["run"]["info"]["run_id"]
    call("runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": now})


if server := os.environ.get("MLFLOW_TRACKING_URI"):
    log_start(server)
app = create_app(BUNDLE)
