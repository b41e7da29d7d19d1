"""GGUF, the forward pass and rounding, on the real weights and on small made-up ones."""

import numpy as np
import pytest

from course_lib.llm import gguf, quantisation, transformer
from course_lib.llm.errors import LLMError
from course_lib.llm.servers.client import Client
from course_lib.llm.servers.server import open_server
from course_lib.llm.servers.weights import gguf as weights_path

PROMPT = "<|im_start|>user\nThe capital of France is<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def source():
    return gguf.read(weights_path())


@pytest.fixture(scope="module")
def llama():
    with open_server(("llama.cpp",), max_num_seqs=1, max_model_len=256, threads=1, timeout=180) as server:
        yield server


def test_the_header_says_what_the_model_is(source):
    assert source.header["general.architecture"] == "llama"
    assert source.header["llama.block_count"] == 30
    assert source.weights("token_embd.weight").shape == (49_152, 576)
    assert sum(one.size for one in source.tensors.values()) < weights_path().stat().st_size


def test_the_forward_pass_finds_the_next_tokens_of_llama_cpp(source, llama):
    import httpx

    root = llama.url.removesuffix("/v1")
    tokens = httpx.post(f"{root}/tokenize", json={"content": PROMPT, "parse_special": True}, timeout=60).json()[
        "tokens"
    ]
    body = {"prompt": tokens, "n_predict": 4, "temperature": 0, "return_tokens": True}
    theirs = httpx.post(f"{root}/completion", json=body, timeout=60).json()["tokens"]
    model = transformer.load(source)
    logits = model.logits([*tokens, *theirs[:-1]])[len(tokens) - 1 :]
    for row, token in zip(logits, theirs, strict=True):
        # llama.cpp rounds activations to 8 bits: of two nearly equal tokens it may take the other one
        assert row[token] >= row.max() - 0.5


def test_perplexity_rises_as_bits_go(source):
    tokens = list(range(1000, 1024))
    fine = transformer.load(source).perplexity(tokens)
    coarse = transformer.load(source, lambda matrix: quantisation.rounded(matrix, 2)).perplexity(tokens)
    assert 1 < fine < coarse


@pytest.mark.parametrize("tokens", [[], [-1], [49_152]])
def test_what_is_no_token_is_refused(source, tokens):
    with pytest.raises(LLMError, match="no tokens of the model"):
        transformer.load(source).logits(tokens)


@pytest.mark.parametrize(("kind", "most"), [("Q8_0", 0.01), ("F16", 0.001)])
def test_a_rewritten_file_holds_the_same_weights(source, kind, most, tmp_path):
    again = gguf.read(gguf.rewrite(source, tmp_path / "again.gguf", kind))
    assert again.header == source.header
    for name in ("blk.0.attn_q.weight", "blk.29.ffn_down.weight", "output_norm.weight", "token_embd.weight"):
        one, other = source.weights(name), again.weights(name)
        assert np.abs(one - other).max() <= most * np.abs(one).max()


def test_llama_cpp_answers_the_same_from_a_rewritten_file(source, llama, tmp_path):
    def told_by(server):
        with Client(server.url, server.model) as client:
            return client.complete("The capital of France is", max_tokens=8)

    wide = str(gguf.rewrite(source, tmp_path / "wide.gguf", "F16"))
    with open_server(("llama.cpp",), max_num_seqs=1, max_model_len=256, threads=1, timeout=180, weights=wide) as server:
        assert told_by(server) == told_by(llama) != ""


def test_norms_and_the_types_of_the_header_stay_as_they_are(source, tmp_path):
    again = gguf.read(gguf.rewrite(source, tmp_path / "again.gguf", "Q8_0"))
    assert again.types == source.types
    assert {one.kind.name for one in again.tensors.values() if len(one.shape) == 2} == {"Q8_0"}
    for name, one in source.tensors.items():
        if len(one.shape) == 1:
            assert again.tensors[name].data.tobytes() == one.data.tobytes()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"GG", ""),
        (b"PK\x03\x04 a zip file, not GGUF", "magic"),
        (b"GGUF\x09\0\0\0" + bytes(16), "version 9"),
        (b"GGUF\x03\0\0\0\x01", ""),
        (b"GGUF\x03\0\0\0" + bytes(8) + b"\x01" + bytes(7) + b"\xff", ""),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, content, reason):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(LLMError, match=f"no GGUF file.*{reason}"):
        gguf.read(path)


@pytest.mark.parametrize("share", [0.01, 0.999])
def test_a_file_that_was_not_downloaded_to_its_end_is_refused(tmp_path, share):
    path = tmp_path / "model.gguf"
    path.write_bytes(weights_path().read_bytes()[: int(share * weights_path().stat().st_size)])
    with pytest.raises(LLMError, match="download it again"):
        gguf.read(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LLMError, match=r"away\.gguf"):
        gguf.read(tmp_path / "away.gguf")


def test_unknown_names_are_refused(source, tmp_path):
    with pytest.raises(LLMError, match="has no tensor 'lm_head'"):
        source.weights("lm_head")
    with pytest.raises(LLMError, match="'Q2_K'"):
        gguf.rewrite(source, tmp_path / "x.gguf", "Q2_K")


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_rounding_keeps_each_weight_within_half_a_step(bits):
    weights = np.random.default_rng(0).normal(size=(8, 64)).astype("float32")
    parts = weights.reshape(8, 2, 32)
    step = (parts.max(axis=-1) - parts.min(axis=-1)) / (2**bits - 1)
    error = np.abs(quantisation.rounded(weights, bits) - weights).reshape(8, 2, 32).max(axis=-1)
    assert (error <= 0.5 * step + 0.005).all()  # scale and smallest value are kept in 16 bits


def test_rounding_to_the_format_of_the_file_changes_nothing(source):
    weights = source.weights("blk.3.ffn_up.weight")
    np.testing.assert_allclose(quantisation.rounded(weights, 4), weights, atol=2e-3)


def test_smaller_groups_are_more_exact():
    weights = np.random.default_rng(1).standard_t(3, size=(16, 128)).astype("float32")
    error = {group: np.abs(quantisation.rounded(weights, 4, group=group) - weights).mean() for group in (16, 32, None)}
    assert error[16] < error[32] < error[None]


def test_a_row_of_equal_weights_stays_as_it_is():
    weights = np.full((2, 32), 0.25, np.float32)
    np.testing.assert_array_equal(quantisation.rounded(weights, 4), weights)


@pytest.mark.parametrize(("bits", "group"), [(0, 32), (9, 32), (4, 7)])
def test_impossible_roundings_are_refused(bits, group):
    with pytest.raises(LLMError, match="cannot be kept"):
        quantisation.rounded(np.zeros((2, 32), np.float32), bits, group=group)
