#!/usr/bin/env bash
# Make or refresh .venv from requirements.lock. Does nothing when the lock has not changed since the last time.
set -euo pipefail
cd "$(dirname "$0")/.."

# Two commands at once, such as a second `make lab`: the later one waits until the environment is made.
if command -v flock >/dev/null; then
    exec 9<requirements.lock
    flock 9
fi

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
        [ -n "$candidate" ] && command -v "$candidate" >/dev/null || continue
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$candidate"; return; }
    done
    echo "No Python 3.11 or newer was found (python3 is $(python3 --version 2>&1 || echo missing))." >&2
    echo "Install one, or say where it is: make course PYTHON=/path/to/python3.12" >&2
    return 1
}

python=$(find_python)
wanted="$("$python" --version) $(cat requirements.lock pyproject.toml | sha256sum | cut -d' ' -f1)"
if [ "$(cat .venv/.course-lock 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi

started=$(date +%s)
echo "Setting up .venv with $("$python" --version) from requirements.lock; the first time this takes a minute or two."
if [ "$(.venv/bin/python --version 2>/dev/null)" != "$("$python" --version)" ]; then
    rm -rf .venv
    "$python" -m venv .venv || {
        rm -rf .venv
        echo "Python cannot make a virtual environment. On Debian or Ubuntu: apt-get install python3-venv" >&2
        exit 1
    }
fi
rm -f .venv/.course-lock
uv=$(sed -n 's/^uv==\([^ ]*\).*/\1/p' requirements.lock)
[ "$(.venv/bin/uv --version 2>/dev/null | cut -d' ' -f2)" = "$uv" ] || .venv/bin/python -m pip install -q "uv==$uv"
# Compiled now, once: where Python may not write beside its modules (a container image, PYTHONDONTWRITEBYTECODE), every
# kernel would compile MLflow and scikit-learn again, 10 s each time.
.venv/bin/uv pip sync -q --compile-bytecode --python .venv/bin/python --require-hashes requirements.lock
.venv/bin/uv pip install -q --python .venv/bin/python --no-deps -e .
echo "$wanted" > .venv/.course-lock
echo "Ready in $(($(date +%s) - started)) s; $(du -sm .venv | cut -f1) MB in .venv."
