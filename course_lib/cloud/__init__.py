"""Stage I, the clouds: which path to deploy on, every provider through its own SDK, Kubernetes, and what it all costs.

Each SDK is imported in one module (``aws``, ``azure``, ``gcp``) and talks to an emulator on this machine; the real
cloud needs two deliberate acts (see ``credentials``). Modules are loaded at first access, an SDK at its first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from course_lib import lazy

if TYPE_CHECKING:
    from course_lib.cloud import (
        errors as errors,
        figures as figures,
        kubernetes as kubernetes,
        policies as policies,
        sandbox_resources as sandbox_resources,
    )
    from course_lib.cloud.decide import (
        costs as costs,
        deployment_matrix as deployment_matrix,
        prices as prices,
    )
    from course_lib.cloud.decide.deployment_matrix import Need as Need, choose as choose
    from course_lib.cloud.errors import CloudError as CloudError
    from course_lib.cloud.kubernetes import (
        deployment_defaults as deployment_defaults,
        manifests as manifests,
        rolling as rolling,
    )
    from course_lib.cloud.kubernetes.review import review as review
    from course_lib.cloud.kubernetes.rolling import simulate_rollout as simulate_rollout
    from course_lib.cloud.kubernetes.validate import validate as validate
    from course_lib.cloud.providers import (
        aws as aws,
        azure as azure,
        credentials as credentials,
        emulators as emulators,
        fake_blob as fake_blob,
        gcp as gcp,
        storage as storage,
    )
    from course_lib.cloud.providers.emulators import Emulators as Emulators
    from course_lib.cloud.sagemaker import (
        alarms as alarms,
        container as container,
        endpoints as endpoints,
        hosting as hosting,
        stack as stack,
        teardown as teardown,
    )
else:
    __getattr__, __dir__, __all__ = lazy.attach(__name__)
