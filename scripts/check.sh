#!/usr/bin/env bash
# The quick checks: style, types, workflow files, and notebooks in sync with their sources.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin

step() { printf '\n── %s\n' "$1"; shift; "$@"; }

step "Style" $bin/ruff check -q .
step "Format" $bin/ruff format -q --check .
step "Types" $bin/mypy
step "Layers" $bin/lint-imports --no-logo --no-cache
step "Workflow schema" $bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
step "Workflow security" $bin/zizmor --offline --no-progress -q .github/workflows
step "Notebooks in sync with their sources" $bin/python -m autograder build --verify
