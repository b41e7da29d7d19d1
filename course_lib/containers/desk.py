"""The desk's own build context: the service, its pinned requirements, a signed model, and what Compose needs."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from course_lib.tracking_store import MLFLOW

__all__ = ["ESSENTIAL", "FILES", "PROMETHEUS_IMAGE", "mlflow_image", "public_key", "requirements", "write_context"]

FILES = Path(__file__).parent / "app"
PROMETHEUS_IMAGE = "prom/prometheus:v2.42.0"
REQUIREMENTS = ("cryptography", "fastapi", "numpy", "onnxruntime", "prometheus-client", "pydantic", "uvicorn")
_HEAVY = {"containers", "__pycache__"}  # of course_lib: the service does not need it inside the image
# The essential pattern: the seven lines that every ML service starts from.
ESSENTIAL = """\
FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
EXPOSE 8000
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
"""


def mlflow_image() -> str:
    """Return the official MLflow image of the version installed here."""
    return f"ghcr.io/mlflow/mlflow:v{metadata.version(MLFLOW)}"


def requirements(names: Iterable[str] = REQUIREMENTS) -> tuple[str, ...]:
    """Return the service's requirements, pinned to the versions installed here: the container runs what was tested."""
    return tuple(f"{name}=={metadata.version(name)}" for name in names)


def write_context(folder: Path, *, index_url: str = "", bundle: Path | None = None) -> Path:
    """Write the build context of the desk's service and return its folder.

    Parameters
    ----------
    folder
        Where; it is made if it does not exist.
    index_url
        Package index to name in ``requirements.txt``; by default pip's own.
    bundle
        The model to put in; by default the desk's.
    """
    from course_lib.packaging import desk_bundle

    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(FILES / "main.py", folder / "main.py")
    shutil.copytree(bundle or desk_bundle(), folder / "bundle", dirs_exist_ok=True)
    shutil.copytree(
        Path(__file__).parents[1],
        folder / "course_lib",
        dirs_exist_ok=True,
        ignore=lambda _, names: [name for name in names if name in _HEAVY],
    )
    first = [f"--index-url {index_url}"] if index_url else []
    (folder / "requirements.txt").write_text("\n".join([*first, *requirements()]) + "\n")
    (folder / "Dockerfile").write_text(ESSENTIAL)
    return folder


def public_key() -> str:
    """Return the public key that the desk's bundles are signed for; the container gets it as COURSE_BUNDLE_KEY."""
    from course_lib.packaging import machine_key

    return machine_key().public
