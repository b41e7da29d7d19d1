#!/usr/bin/env bash
# Everything that CI checks, the cheap things first. The last thing printed is pytest's own summary; before it stands how
# long each step took.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin

began=$SECONDS
minutes=()
took() {  # NAME SECONDS
    minutes+=("$(printf '%4d min %02d s  %s' $(($2 / 60)) $(($2 % 60)) "$1")")
}
step() {
    local name=$1 start=$SECONDS
    shift
    printf '\n── %s\n' "$name"
    "$@"
    took "${name%%:*}" $((SECONDS - start))
}

step "Quick checks: style, types, layers, workflows, notebooks in sync" scripts/check.sh
step "Environment" $bin/python -m autograder doctor ${CI:+--strict}
step "Container images" $bin/python scripts/images.py
step "Course: offline, every reference notebook runs and earns 100 %, every learner copy earns 0" \
    scripts/offline.sh $bin/python -m autograder course
# What an answer earns depends neither on the container engine nor on the language model's server, so the answers of
# notebooks 5 and 9 are tried without Docker and without vLLM, which takes a minute to start.
export COURSE_CONTAINERS=plan COURSE_VLLM=none
step "Answers: offline, every wrong one is caught, every right one accepted" scripts/offline.sh $bin/python -m autograder answers
unset COURSE_CONTAINERS COURSE_VLLM
step "Outputs: a second run prints the same" scripts/outputs.sh
printf '\n── Minutes\n'
printf '%s\n' "${minutes[@]}" "$(printf '%4d min %02d s  so far' $(((SECONDS - began) / 60)) $(((SECONDS - began) % 60)))"
printf '\n── Tests\n'
exec $bin/pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=25 --durations-min=10
