#!/usr/bin/env bash
# Gradescope runs this once, as root, in /autograder/source, when it builds the image: bubblewrap, Python, the course's
# small profile, and its data. What a submission meets later is here then; nothing is downloaded any more.
set -euo pipefail
cd "$(dirname "$0")"
export DEBIAN_FRONTEND=noninteractive COURSE_CACHE=$PWD/.cache

find_python() {
    local candidate
    for candidate in python3.14 python3.13 python3.12 python3.11 python3; do
        "$candidate" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$candidate"; return; }
    done
    return 1
}

apt-get update -qq
apt-get install -y -qq --no-install-recommends binutils bubblewrap libgomp1
if ! python=$(find_python); then
    for version in 3.13 3.12 3.11; do
        apt-get install -y -qq --no-install-recommends "python$version" "python$version-venv" && break
    done
    python=$(find_python) || { echo "No Python 3.11 or newer in this base image: choose a newer one (Ubuntu 24.04)." >&2; exit 1; }
fi

"$python" -m venv .venv
PATH=$PWD/.venv/bin:$PATH binder/postBuild
.venv/bin/python -m autograder doctor || true  # for the build's log
