"""Become vLLM's server: ``python -m course_lib.llm.servers.vllm ARGUMENT …``, run by the Python that has vLLM.

It sees to the weights first, unless the arguments name a model of their own, and then hands its process over, so that
the process the course started is the one that serves.
"""

from __future__ import annotations

import os
import sys

from course_lib.llm.servers.weights import prepare

__all__ = ["command", "main"]


def command(arguments: list[str]) -> list[str]:
    """Return the command line of the server, with the course's weights where no model is named."""
    model = [] if "--model" in arguments else ["--model", str(prepare())]
    # `vllm serve` asks for a distribution called vllm, which a rebuild under another name does not have.
    return [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *model, *arguments]


def main() -> None:
    """Prepare the weights and replace this process by the server."""
    line = command(sys.argv[1:])
    os.environ.pop("PYTHONPATH", None)  # it was there to find this module; vLLM's environment needs nothing of ours
    os.execv(line[0], line)  # noqa: S606 - a fixed program, no shell


if __name__ == "__main__":
    main()
