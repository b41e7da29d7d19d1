"""Stage I, serving: the model behind a REST API, as a batch job, and as a stream of events.

The online path (``app``, ``schemas``, ``model``, ``batching``, ``sse``, ``telemetry``, ``server``) imports FastAPI,
uvicorn, ONNX Runtime, NumPy, Pydantic and prometheus-client, and nothing else: no pandas, scikit-learn or MLflow. A
small image can therefore run ``python -m course_lib.serving``. Modules are loaded at first access.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from course_lib import lazy

if TYPE_CHECKING:
    from course_lib import loadtest as loadtest, sse as sse
    from course_lib.loadtest import locust_runner as locust_runner
    from course_lib.serving import (
        asgi_client as asgi_client,
        baseline as baseline,
        batch as batch,
        batching as batching,
        client as client,
        fakes as fakes,
        figures as figures,
        model as model,
        triton as triton,
        virtual_clock as virtual_clock,
    )
    from course_lib.serving.api import (
        app as app,
        schemas as schemas,
        server as server,
        settings as settings,
        telemetry as telemetry,
    )
    from course_lib.serving.api.app import create_app as create_app
    from course_lib.serving.api.schemas import EXAMPLE as EXAMPLE
    from course_lib.serving.api.settings import Settings as Settings
    from course_lib.serving.batch import cluster as cluster, queue as queue, tasks as tasks
    from course_lib.serving.errors import ServingError as ServingError
    from course_lib.serving.model import load_model as load_model
else:
    __getattr__, __dir__, __all__ = lazy.attach(__name__)
