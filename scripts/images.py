"""Prepare what notebook 5 builds from, once: container images, and the wheels that an image build installs.

    python scripts/images.py            # all images; `make engines` and `make test` do this
    python scripts/images.py python     # the base image only

Where Docker runs or Podman is installed, the official images are pulled into it from their registries. What they don't
give, and everything where no Docker runs but this user may start one (root), is made: ``python:3.11-slim`` is then
Debian 12 with Debian's own Python 3.11 (debootstrap), ``ghcr.io/mlflow/mlflow`` that base with MLflow installed by pip,
``prom/prometheus`` that base with Debian's Prometheus. They bear the names of the official images, so that Dockerfiles
and Compose files are built and started unchanged. An engine that root starts is empty each time, so its images are kept
as archives in the course's cache, and loaded from there.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from course_lib.containers import desk
from course_lib.containers.engine import wheel_index
from course_lib.containers.engine.compose_project import compose_program
from course_lib.containers.engine.detect import docker_runs, may_start, open_engine, podman_version, private_engine
from course_lib.containers.engine.docker import BASE, Engine, image_cache
from course_lib.containers.engine.plan_engine import PlanEngine
from course_lib.errors import CourseError

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
        config = subprocess.run(
            [sys.executable, "-m", "pip", "config", "get", scope], capture_output=True, text=True, check=False
        )
        if config.returncode == 0 and Path(config.stdout.strip()).is_file():
            return Path(config.stdout.strip())
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


MAKERS: dict[str, tuple[str, Callable[[Engine], None]]] = {
    "python": (BASE, make_base),
    "mlflow": (desk.mlflow_image(), make_mlflow),
    "prometheus": (desk.PROMETHEUS_IMAGE, make_prometheus),
}


def pull(images: Sequence[str]) -> list[str]:
    """Pull images into the engine that the course uses here; return those that its registries didn't give."""
    with open_engine() as engine:
        if isinstance(engine, PlanEngine):
            print(f"no container engine can be used: {engine.reason}")
            return list(images)
        used = images if compose_program(engine) else [BASE]  # the other two are for Compose alone
        return [image for image in used if not pulled(engine, image)]


def pulled(engine: Engine, image: str) -> bool:
    """Return whether an engine has an image now, from the course's cache or its registry."""
    try:
        there = engine.pull(image)
    except subprocess.TimeoutExpired:
        there = False
    print(image, "is there" if there else "is not to be had from its registry", flush=True)
    return there


def make_and_keep(wanted: Sequence[str]) -> None:
    """Make images in an engine of our own, and keep them in the cache."""
    with private_engine() as engine:
        for image, make in (MAKERS[name] for name in wanted):
            started = time.monotonic()
            if not image_cache(image).exists():
                make(engine)
                keep(engine, image)
            size = image_cache(image).stat().st_size / 1e6
            print(f"{image}: {size:.0f} MB in the cache, {time.monotonic() - started:.0f} s", flush=True)


def main() -> None:
    """Prepare what is missing; fail where there is an engine that would stay without the base image."""
    wanted = sys.argv[1:] or list(MAKERS)
    images = [MAKERS[name][0] for name in wanted]
    if not (docker_runs() or may_start("dockerd") or podman_version()):
        print("No container engine was found that this user may use: notebook 5 plans its builds, and says so.")
        return
    if sys.platform == "linux":  # elsewhere an engine is a virtual machine, which doesn't reach the local index
        print("wheels", wheel_index.download_wheels(desk.requirements()))
    if all(image_cache(image).exists() for image in images):
        print("every image is in", image_cache(BASE).parent)
        return
    makes = may_start("dockerd") and shutil.which("debootstrap") is not None
    missing = images if makes and not docker_runs() else pull(images)
    if makes and missing:
        make_and_keep([name for name in wanted if MAKERS[name][0] in missing])
    elif BASE in missing:
        sys.exit(f"Notebook 5 has nothing to build from here: {BASE} is missing, so it plans its builds.")


if __name__ == "__main__":
    try:
        main()
    except CourseError as error:
        sys.exit(str(error))
