"""Stage I, deployment of language models: the KV cache, batching, servers, clients and what they cost.

The teaching code (``kv_cache``, ``scheduler``, ``batching``, ``transformer``) needs NumPy alone, and each file reads in
one sitting. Modules are loaded at first access.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from course_lib import lazy

if TYPE_CHECKING:
    from course_lib import sse as sse
    from course_lib.llm import (
        errors as errors,
        figures as figures,
        gateway as gateway,
        gguf as gguf,
        loadtest as loadtest,
    )
    from course_lib.llm.errors import LLMError as LLMError
    from course_lib.llm.inside import (
        allocator_check as allocator_check,
        batching as batching,
        kv_cache as kv_cache,
        quantisation as quantisation,
        scheduler as scheduler,
        sizing as sizing,
        trace as trace,
        transformer as transformer,
    )
    from course_lib.llm.inside.batching import CostModel as CostModel
    from course_lib.llm.inside.kv_cache import PagedCache as PagedCache
    from course_lib.llm.inside.scheduler import Scheduler as Scheduler
    from course_lib.llm.inside.sizing import ModelShape as ModelShape
    from course_lib.llm.inside.trace import Request as Request
    from course_lib.llm.servers import (
        client as client,
        metrics as metrics,
        server as server,
        timing as timing,
        weights as weights,
    )
    from course_lib.llm.servers.client import Client as Client
    from course_lib.llm.servers.server import (
        LLMServer as LLMServer,
        attach as attach,
        available as available,
        open_server as open_server,
    )
else:
    __getattr__, __dir__, __all__ = lazy.attach(__name__)
