"""Servers of language models: start vLLM or llama.cpp, ask them, read their metrics, time their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from course_lib import lazy

if TYPE_CHECKING:
    from course_lib.llm.servers import (
        client as client,
        launch as launch,
        metrics as metrics,
        server as server,
        timing as timing,
        weights as weights,
    )
    from course_lib.llm.servers.server import attach as attach, available as available, open_server as open_server
else:
    __getattr__, __dir__, __all__ = lazy.attach(__name__)
