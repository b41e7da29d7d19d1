#!/usr/bin/env bash
# Run executed notebooks again with nbval, and compare with the outputs that `make course` stored.
#   outputs.sh         what starts no server and measures nothing: every output must be the same to the letter
#   outputs.sh --all   the others too, which takes as long as the course itself: every cell must run again without an error
set -euo pipefail
cd "$(dirname "$0")/.."
same=(01_mlops_overview)
nbval=(.venv/bin/pytest -q -p no:randomly -W default --nbval-current-env)

paths=("${same[@]/#/build/executed/}")
"${nbval[@]}" --nbval --nbval-sanitize-with tests/nbval.cfg "${paths[@]/%/.ipynb}"

others=()
for path in build/executed/*.ipynb; do
    [[ " ${same[*]} " == *" $(basename "$path" .ipynb) "* ]] || others+=("$path")
done
[ "${#others[@]}" -gt 0 ] || exit 0
if [ "${1:-}" = --all ]; then
    # As with the answers: no container and no vLLM is needed to see whether a cell runs.
    COURSE_CONTAINERS=plan COURSE_VLLM=none "${nbval[@]}" --nbval-lax "${others[@]}"
else
    echo "Not run again: $(basename -a -s .ipynb "${others[@]}" | paste -sd ' ')."
    echo "They start servers and measure: their outputs differ from run to run. Their cells run again in the copies that are"
    echo "graded and among the answers; \`make nightly\` runs them with nbval."
fi
