"""Take out of an installed environment what no notebook opens: `python scripts/binder_slim.py [PREFIX]`.

For images only: the packages stay importable, but pip can no longer vouch for their files. Each rule says what goes and
why; paths are relative to site-packages.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

RULES = {
    "**/tests": "the packages' own tests",
    "**/test": "the packages' own tests",
    "**/*.map": "for debugging minified JavaScript",
    "**/*.h": "for compiling against the package",
    "**/*.hpp": "for compiling against the package",
    "**/*.pxd": "for compiling against the package",
    "fontTools/**/*.c": "the source of what is compiled beside it",
    "babel/locale-data/[!er]*": "JupyterLab is shown in English (its menus ask for the list of languages)",
    "jupyterlab/galata": "JupyterLab's browser tests",
    "jupyterlab/static": "a second copy of share/jupyter/lab/static",
    "kubernetes_validate/kubernetes-json-schema/v1.[0-2]*": "releases of Kubernetes that nobody runs any more",
    "kubernetes_validate/kubernetes-json-schema/v1.3[0-6]*": "all but the newest release",
    "kubernetes_validate/kubernetes-json-schema/*-local": "unknown fields pass: the course takes the strict ones",
    "matplotlib/mpl-data/fonts/ttf/STIX*": "figures use DejaVu Sans",
    "matplotlib/mpl-data/fonts/ttf/DejaVuSerif*": "figures use DejaVu Sans",
    "moto/ec2/resources": "lists of machine images and types: the course starts no machine",
    "nbgrader/docs": "pages on nbgrader's site",
    "onnxruntime/capi/libonnxruntime.so.*": "for programs in C: the Python module has a copy inside",
    "pyarrow/*flight*": "Arrow over the network",
    "pyarrow/libarrow_flight*": "Arrow over the network",
    "pyarrow/include": "for compiling against the package",
}
# Of botocore's descriptions of 400 services: those that the course uses.
SERVICES = (
    "bedrock-runtime",
    "cloudformation",
    "cloudwatch",
    "ecr",
    "iam",
    "s3",
    "sagemaker",
    "sagemaker-runtime",
    "sts",
)
UNUSED_SHARE = "share/jupyter/nbextensions"  # for the classic Notebook


def main() -> None:
    """Slim the environment of this Python, or the one at the prefix given, and say by how much."""
    prefix = Path(sys.argv[1] if len(sys.argv) > 1 else sys.prefix).resolve()
    packages = Path(sysconfig.get_path("platlib", vars={"base": str(prefix), "platbase": str(prefix)}))
    before = megabytes(packages)
    for rule in RULES:
        for path in list(packages.glob(rule)):
            remove(path)
    for folder in packages.glob("botocore/data/*/"):
        if folder.name not in SERVICES:
            remove(folder)
    remove(prefix / UNUSED_SHARE)
    strip(prefix, packages)
    print(f"site-packages: {before} MB, now {megabytes(packages)} MB")


def remove(path: Path) -> None:
    """Delete a file or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def strip(prefix: Path, packages: Path) -> None:
    """Remove debugging symbols, where the system has the program for it (binutils)."""
    if shutil.which("strip") is None:
        print("binutils is not installed: debugging symbols stay, about 170 MB")
        return
    for path in [*libraries(packages), *prefix.glob("bin/zizmor")]:
        fresh = path.with_suffix(path.suffix + ".stripped")  # a new file: the installed one may be a link into a cache
        subprocess.run(["strip", "--strip-unneeded", "-o", fresh, path], check=True)
        fresh.replace(path)


def libraries(packages: Path) -> Iterator[Path]:
    """Yield the compiled modules; the libraries in `NAME.libs` were patched when packed, and would break."""
    for path in packages.rglob("*.so*"):
        if path.is_file() and not path.is_symlink() and not path.parent.name.endswith(".libs"):
            yield path


def megabytes(folder: Path) -> int:
    """Return the size of all files below a folder, in MB."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()) // 10**6


if __name__ == "__main__":
    main()
