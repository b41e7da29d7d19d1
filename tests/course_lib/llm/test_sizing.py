import pytest

from course_lib.llm.errors import LLMError
from course_lib.llm.inside.sizing import GPUS, MODELS, Load, plan

CHAT = Load(requests_per_s=4, prompt=500, output=250, tpot_ms=120)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("SmolLM2-135M", 23_040), ("Qwen2.5-1.5B", 28_672), ("Llama-2-7B", 524_288), ("Llama-3-8B", 131_072)],
)
def test_bytes_per_token_of_known_models(name, expected):
    assert MODELS[name].kv_bytes_per_token() == expected
    assert MODELS[name].kv_bytes_per_token(1) == expected / 2


def test_a_plan_keeps_memory_and_latency():
    found = plan(MODELS["Llama-3-8B"], GPUS["L4"], CHAT)
    assert found.sequences == min(found.by_memory, found.by_latency)
    assert found.kv_tokens >= found.sequences * 750
    step_ms = 1000 * found.sequences / found.tokens_per_s
    assert step_ms <= 120
    assert found.replicas * found.tokens_per_s * 0.7 >= 4 * 250


def test_one_replica_more_than_the_load_needs():
    small = plan(MODELS["SmolLM2-135M"], GPUS["H100-SXM"], Load(requests_per_s=0.1, prompt=10, output=10, tpot_ms=100))
    assert small.replicas == 2


def test_twice_the_load_needs_more_gpus():
    twice = Load(requests_per_s=8, prompt=500, output=250, tpot_ms=120)
    assert (
        plan(MODELS["Llama-3-8B"], GPUS["L4"], twice).replicas > plan(MODELS["Llama-3-8B"], GPUS["L4"], CHAT).replicas
    )


def test_a_model_that_does_not_fit_is_refused():
    huge = MODELS["Llama-3-8B"].__class__(
        name="70B", parameters=70 * 10**9, layers=80, heads=64, kv_heads=8, head_dim=128
    )
    with pytest.raises(LLMError, match=r"needs 140\.0 GB"):
        plan(huge, GPUS["A100-80GB"], CHAT)


def test_an_objective_that_reading_the_weights_breaks_is_refused():
    with pytest.raises(LLMError, match="takes 89 ms a step"):
        plan(MODELS["Llama-3-8B"], GPUS["L4"], Load(requests_per_s=1, prompt=10, output=10, tpot_ms=50))


def test_a_load_of_nothing_is_refused():
    with pytest.raises(LLMError, match="is no load"):
        Load(requests_per_s=0, prompt=1, output=1, tpot_ms=1)
