#!/usr/bin/env bash
# Everything that CI checks, the cheap things first. The last thing printed is pytest's own summary.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin

step() { printf '\n── %s\n' "$1"; shift; "$@"; }

scripts/check.sh
step "Environment" $bin/python -m autograder doctor ${CI:+--strict}
if [ "$(id -u)" -eq 0 ] && command -v debootstrap >/dev/null && command -v dockerd >/dev/null; then
    # There is no registry to pull from in CI: the base images are made from Debian's packages, once, and kept in the cache.
    step "Container images" $bin/python tests/base_image.py
fi
step "Course, offline: every reference notebook runs and earns 100 %, every learner copy earns 0" scripts/offline.sh $bin/python -m autograder course --whole-copies
# What an answer earns depends neither on the container engine nor on the language model's server, so the answers of
# notebooks 5 and 9 are tried without Docker and without vLLM, which takes a minute to start.
export COURSE_CONTAINERS=plan COURSE_VLLM=none
step "Answers, offline: every wrong one is caught, every right one accepted" scripts/offline.sh $bin/python -m autograder answers
unset COURSE_CONTAINERS
step "Outputs are reproducible" $bin/pytest -q -p no:randomly --nbval-lax -W default build/executed
unset COURSE_VLLM
step "Tests" $bin/pytest
