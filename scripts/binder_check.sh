#!/usr/bin/env bash
# Does the course run in the small profile? Make it as Binder would, in build/binder, and run notebooks there:
#   binder_check.sh              all notebooks that are written
#   binder_check.sh 01,05        these
#   binder_check.sh none         only install and measure
# The session has what Binder's image has: git and the usual programs, none of the engines; and 2 GB of memory, where a
# control group can be had (as root). It fails when a notebook fails or needs more than 1.2 GB.
set -euo pipefail
cd "$(dirname "$0")/.."
only=${1:-}
home=$PWD/build/binder
course=$home/mlops-course
limit=$((2 * 1024 * 1024 * 1024))

# 1. A clone, as Binder makes one; and an environment in it from binder/postBuild, unless nothing has changed.
wanted=$(cat requirements-binder.lock binder/* scripts/binder_slim.py pyproject.toml | sha256sum | cut -d' ' -f1)
mkdir -p "$course"
git ls-files -z --cached --others --exclude-standard | while IFS= read -rd '' file; do
    [ -f "$file" ] && printf '%s\0' "$file"
done | xargs -0 cp -p --parents -t "$course"
if [ "$(cat "$home/made" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$home/env" "$home/made"
    .venv/bin/uv venv -q --python .venv/bin/python "$home/env"
    (cd "$course" && PATH="$home/env/bin:$PATH" VIRTUAL_ENV="$home/env" COURSE_CACHE="$home/cache" \
        PIP="$OLDPWD/.venv/bin/uv pip" binder/postBuild)
    echo "$wanted" > "$home/made"
fi
size() { find "$home/env" -type f "$@" -printf '%s\n' | awk '{bytes += $1} END {printf "%d", bytes / 1e6}'; }
echo "Installed: $(size -not -name '*.pyc') MB, and $(size -name '*.pyc') MB of bytecode." | tee "$home/size.txt"
if [ "$only" = none ]; then exit 0; fi

# 2. A session: only these programs are found, and no engine.
tools=$home/bin
rm -rf "$tools" && mkdir -p "$tools"
for program in awk basename bash cat chmod cp cut date dirname env find git grep head hostname id ln ls make mkdir mktemp mv \
    nproc rm sed sh sleep sort tail tar test touch tr true uname wc which xargs; do
    path=$(command -v "$program") && ln -s "$path" "$tools/$program"
done

# 3. Two gigabytes for all its processes together.
group=
parent=$(sed -n 's/^[0-9]*:[^:]*memory[^:]*:/\/sys\/fs\/cgroup\/memory/p' /proc/self/cgroup)
if [ -n "$parent" ] && mkdir "$parent/binder-check-$$" 2>/dev/null; then  # version 1
    group=$parent/binder-check-$$
    echo $limit > "$group/memory.limit_in_bytes"
    echo $limit > "$group/memory.memsw.limit_in_bytes" 2>/dev/null || true
elif own=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup) && mkdir "$own/binder-check-$$" 2>/dev/null; then
    group=$own/binder-check-$$
    if ! echo $limit 2>/dev/null > "$group/memory.max"; then rmdir "$group"; group=; fi
fi
trap '[ -z "$group" ] || rmdir "$group" 2>/dev/null || true' EXIT
[ -n "$group" ] || echo "No control group can be had here: memory is measured, the limit of 2 GB is not enforced."

status=0
(
    [ -z "$group" ] || echo $BASHPID > "$group/cgroup.procs"
    cd "$course"
    exec env -u DOCKER_HOST PATH="$home/env/bin:$tools" COURSE_CACHE="$home/cache" COURSE_CONTAINERS=plan \
        MEM_LIMIT=$limit \
        binder/start python -m autograder course --force --whole-copies ${only:+--only "$only"}
) || status=$?
if [ -n "$group" ]; then
    killed=$(cat "$group/memory.oom_control" "$group/memory.events" 2>/dev/null | sed -n 's/^oom_kill //p' || true)
    echo "Processes killed for lack of memory: ${killed:-unknown}."
fi

cd "$course"
"$home/env/bin/python" -m autograder evidence --title "The small profile in 2 GB" --out "$home/evidence.md"
"$home/env/bin/python" - <<'END' || status=1
import json, sys
notebooks = json.load(open("build/course-report.json"))["notebooks"]
heavy = [f"{n['name']} needs {n['peak_mb']:.0f} MB" for n in notebooks if n["peak_mb"] > 1200]
sys.exit("More than 1.2 GB: " + ", ".join(heavy) if heavy else 0)
END
exit $status
