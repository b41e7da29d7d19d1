# %% ONNX for everything of one's own answer="wrong" expect="an export buys you little here"
def pick_runtime(target):
    if target["model"] == "own":
        return "triton" if target["gpus"] and target["frameworks"] > 1 else "onnx runtime"
    if target["model"] == "open llm":
        return "vllm" if target["gpus"] else "llama.cpp"
    return "managed api"


# %% counts its calls answer="wrong" expect="the runtime of the month's batch"
def pick_runtime(target, calls=[]):
    calls.append(1)
    return ["onnx runtime", "scikit-learn", "onnx runtime", "triton", "vllm"][(len(calls) - 1) % 5]


# %% scikit-learn trained it, scikit-learn serves it answer="wrong" expect="pays scikit-learn's overhead every time"
def pick_runtime(target):
    if target["model"] == "own":
        return "triton" if target["gpus"] and target["frameworks"] > 1 else "scikit-learn"
    if target["model"] == "open llm":
        return "vllm" if target["gpus"] else "llama.cpp"
    return "managed api"


# %% vLLM without a GPU answer="wrong" expect="vLLM wants a GPU"
def pick_runtime(target):
    if target["model"] != "own":
        return "managed api" if target["model"] == "hosted llm" else "vllm"
    if target["gpus"] and target["frameworks"] > 1:
        return "triton"
    return "scikit-learn" if target["place"] == "batch" and target["rows"] >= 10_000 else "onnx runtime"


# %% many rows, so scikit-learn, wherever it is answer="wrong" expect="there is no Python on the device"
def pick_runtime(target):
    if target["model"] == "hosted llm":
        return "managed api"
    if target["model"] == "open llm":
        return "vllm" if target["gpus"] else "llama.cpp"
    if target["rows"] >= 10_000:
        return "scikit-learn"
    return "triton" if target["gpus"] and target["frameworks"] > 1 else "onnx runtime"


# %% a GPU means Triton answer="wrong" expect="does not make one small model a mixed fleet"
def pick_runtime(target):
    if target["model"] == "hosted llm":
        return "managed api"
    if target["model"] == "open llm":
        return "vllm" if target["gpus"] else "llama.cpp"
    if target["gpus"]:
        return "triton"
    return "scikit-learn" if target["place"] == "batch" and target["rows"] >= 10_000 else "onnx runtime"


# %% match answer="right"
def pick_runtime(target):
    match target:
        case {"model": "hosted llm"}:
            return "managed api"
        case {"model": "open llm", "gpus": 0}:
            return "llama.cpp"
        case {"model": "open llm"}:
            return "vllm"
        case {"place": "batch", "rows": rows} if rows >= 10_000:
            return "scikit-learn"
        case {"place": "service", "gpus": gpus, "frameworks": kinds} if gpus and kinds > 1:
            return "triton"
    return "onnx runtime"


# %% rules in a list answer="right"
def pick_runtime(target):
    kind, place = target["model"], target["place"]
    rules = (
        ("managed api", kind == "hosted llm"),
        ("vllm", kind == "open llm" and target["gpus"] >= 1),
        ("llama.cpp", kind == "open llm"),
        ("triton", place == "service" and min(target["gpus"], target["frameworks"] - 1) >= 1),
        ("scikit-learn", place == "batch" and target["rows"] > 9_999),
    )
    return next((runtime for runtime, holds in rules if holds), "onnx runtime")
