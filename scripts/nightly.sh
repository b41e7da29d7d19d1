#!/usr/bin/env bash
# What takes too long for every change. `make course` comes first: it stores the outputs that nbval starts from.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/outputs.sh --all
.venv/bin/python -m autograder course --whole-copies
.venv/bin/pytest -m nightly
