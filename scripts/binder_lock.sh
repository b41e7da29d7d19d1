#!/usr/bin/env bash
# Make requirements-binder.lock: the group `binder` of pyproject.toml, at the versions of requirements.lock.
set -euo pipefail
cd "$(dirname "$0")/.."

# Required by a package of the profile, yet nothing here imports it. pip installs the lock with --no-deps.
unused=(
    cfn-lint    # moto validates no template here; notebook 08 says that its lint is left out
    debugpy     # ipykernel starts without: there is no debugger then
    jedi        # IPython completes from the live objects instead
    networkx    # with cfn-lint
    notebook    # nbgrader also serves the classic Notebook; sessions open JupyterLab
    sympy       # with cfn-lint, and for tools of ONNX Runtime that the course does not use
)
leave_out=()
for name in "${unused[@]}"; do leave_out+=(--no-emit-package "$name"); done

.venv/bin/uv pip compile --group binder --constraint requirements.lock --universal --python-version 3.11 \
    --generate-hashes --no-header -q "${leave_out[@]}" "$@" -o requirements-binder.lock
