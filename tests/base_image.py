"""Make the images that a machine without a registry needs, from Debian's and Python's packages, once.

    python tests/base_image.py            # all of them
    python tests/base_image.py python     # the base only

``python:3.11-slim`` is Debian 12 with Debian's own Python 3.11 (debootstrap), ``ghcr.io/mlflow/mlflow`` is that base
with MLflow installed by pip, ``prom/prometheus`` is that base with Debian's Prometheus. They are stand-ins with the
names of the official images, so that Dockerfiles and Compose files are built and started unchanged. They are kept as
archives in the course's cache; the course loads them from there. Needs root, debootstrap and dockerd.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from course_lib.containers import desk
from course_lib.containers.engine import wheel_index
from course_lib.containers.engine.detect import private_engine
from course_lib.containers.engine.docker import BASE, Engine, image_cache

SUITE = "bookworm"  # its Python is 3.11
PACKAGES = "python3,python3-pip,python3-venv,ca-certificates"
BUNDLE = "etc/ssl/certs/ca-certificates.crt"
ENVIRONMENT = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8"
CLIENT_SIDE = ("docker", "matplotlib", "pyarrow", "scikit-learn", "scipy", "skops")  # the server doesn't import them
LEFT_OUT = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale", "var/log")


def debian_mirror() -> str:
    """Return the Debian mirror that this machine's own apt uses for ``SUITE``."""
    listing = ["apt-get", "indextargets", "--format", "$(SITE) $(CODENAME) $(ORIGIN)", "Created-By: Packages"]
    rows = [
        line.split()
        for line in subprocess.run(listing, capture_output=True, text=True, check=False).stdout.splitlines()
    ]
    mirrors = [
        site
        for site, codename, origin in (row for row in rows if len(row) == 3)
        if (codename, origin) == (SUITE, "Debian")
    ]
    if not mirrors:
        sys.exit(f"apt has no Debian {SUITE} source on this machine: run `apt-get update`, or use a Debian 12 machine")
    return mirrors[0]


def pip_certificates() -> Path | None:
    """Return the CA bundle that this machine's pip is configured with, if any: pip inside an image needs it too."""
    for scope in ("global.cert", ":env:.cert"):
        told = subprocess.run(
            [sys.executable, "-m", "pip", "config", "get", scope], capture_output=True, text=True, check=False
        )
        if told.returncode == 0 and Path(told.stdout.strip()).is_file():
            return Path(told.stdout.strip())
    return None


def make_root(root: Path) -> None:
    """Write the file system of the base image."""
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root), debian_mirror()],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (root / "usr/bin/python").symlink_to("python3")
    (root / "usr/lib/python3.11/EXTERNALLY-MANAGED").unlink(missing_ok=True)  # PEP 668 would stop pip in an image
    for folder in LEFT_OUT:
        shutil.rmtree(root / folder, ignore_errors=True)
        (root / folder).mkdir(parents=True)
    if bundle := pip_certificates():
        shutil.copyfile(bundle, root / BUNDLE)
        (root / "etc/pip.conf").write_text(f"[global]\ncert = /{BUNDLE}\n")


def make_base(engine: Engine) -> None:
    """Import the base image into the engine."""
    with tempfile.TemporaryDirectory(prefix="course-base-") as scratch:
        root = Path(scratch) / "rootfs"
        make_root(root)
        pack = subprocess.Popen(["tar", "-C", str(root), "--one-file-system", "-c", "."], stdout=subprocess.PIPE)
        changes = ["--change", ENVIRONMENT, "--change", 'CMD ["python3"]']
        subprocess.run(
            [*engine.client, "import", *changes, "-", BASE], stdin=pack.stdout, check=True, stdout=subprocess.DEVNULL
        )
        if pack.wait():
            sys.exit("the base image could not be packed")


def make_mlflow(engine: Engine) -> None:
    """Build the MLflow server's image: the version that is installed here, without what only its clients use.

    The modules of the server, and no others, are compiled by a first start: an image with compiled modules only where
    they are used loads quickly, and so does the server.
    """
    version = metadata.version("mlflow")
    needed = [
        requirement.replace(" ", "")
        for requirement in metadata.requires("mlflow") or []
        if "extra ==" not in requirement and not requirement.lower().startswith(CLIENT_SIDE)
    ]
    pip = "pip install --no-cache-dir --no-compile"
    recipe = f"""FROM {BASE}
RUN {pip} {" ".join(f"'{one}'" for one in needed)} && {pip} --no-deps mlflow=={version}
RUN mlflow db upgrade sqlite:////tmp/first.db && python -c "import mlflow.server.fastapi_app" && rm -r /tmp/*
"""
    _build(engine, desk.mlflow_image(), recipe, {})


def make_prometheus(engine: Engine) -> None:
    """Build the Prometheus image around Debian's binary, with the official image's paths."""
    program = shutil.which("prometheus")
    if program is None:
        sys.exit("prometheus is not installed: `apt-get install prometheus`")
    recipe = f"""FROM {BASE}
COPY prometheus /bin/prometheus
WORKDIR /prometheus
USER 65534
ENTRYPOINT ["/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/tmp/prometheus"]
"""
    _build(engine, desk.PROMETHEUS_IMAGE, recipe, {"prometheus": Path(program)})


def _build(engine: Engine, tag: str, recipe: str, files: dict[str, Path]) -> None:
    if not engine.has(BASE):  # loads it, where the cache has it
        make_base(engine)
    with tempfile.TemporaryDirectory(prefix="course-base-") as scratch:
        (Path(scratch) / "Dockerfile").write_text(recipe)
        for name, path in files.items():
            shutil.copy(path, Path(scratch) / name)
        command = [*engine.client, "build", "--network=host", "--progress=plain", "--tag", tag, scratch]
        done = subprocess.run(
            command, check=False, env=os.environ | {"DOCKER_BUILDKIT": "1"}, capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"{tag} could not be built:\n" + "\n".join(done.stderr.splitlines()[-20:]))


def keep(engine: Engine, image: str) -> None:
    """Write an image of the engine into the course's cache; a half-written archive is never seen."""
    path = image_cache(image)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".saving-", delete=False) as file:
        saving = subprocess.Popen([*engine.client, "save", image], stdout=subprocess.PIPE)
        with gzip.open(file, "wb", compresslevel=1) as packed:
            shutil.copyfileobj(saving.stdout, packed)  # type: ignore[arg-type]
    if saving.wait():
        Path(file.name).unlink()
        sys.exit(f"{image} could not be saved")
    Path(file.name).rename(path)


def main() -> None:
    """Make what is missing in the cache, and the wheels for offline builds."""
    makers: dict[str, tuple[str, Callable[[Engine], None]]] = {
        "python": (BASE, make_base),
        "mlflow": (desk.mlflow_image(), make_mlflow),
        "prometheus": (desk.PROMETHEUS_IMAGE, make_prometheus),
    }
    wanted = sys.argv[1:] or list(makers)
    print("wheels", wheel_index.download_wheels(desk.requirements()))
    if all(image_cache(makers[name][0]).exists() for name in wanted):
        print("every image is in", image_cache(BASE).parent)
        return
    with private_engine() as engine:
        for name in wanted:
            image, make = makers[name]
            started = time.monotonic()
            if not engine.has(image):
                make(engine)
                keep(engine, image)
            print(
                f"{image}: {image_cache(image).stat().st_size / 1e6:.0f} MB, {time.monotonic() - started:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
