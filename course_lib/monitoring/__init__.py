"""Stage J, monitoring: data drift, concept drift, late labels, metrics, alert rules, and who is told.

Modules are loaded at first access; Evidently, which takes seconds to import, only when it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from course_lib import lazy

if TYPE_CHECKING:
    from course_lib.monitoring import (
        concept as concept,
        dashboard as dashboard,
        drift as drift,
        evidently_drift as evidently_drift,
        exporter as exporter,
        figures as figures,
        promtool as promtool,
        quality as quality,
        rules as rules,
        samples as samples,
        servers as servers,
        statistics as statistics,
        synthetic as synthetic,
        webhook as webhook,
    )
    from course_lib.monitoring.concept import (
        Calibration as Calibration,
        ConceptMonitor as ConceptMonitor,
        diagnose as diagnose,
        fit_calibration as fit_calibration,
    )
    from course_lib.monitoring.dashboard import DESK_PANELS as DESK_PANELS, PanelSpec as PanelSpec
    from course_lib.monitoring.drift import DriftDetector as DriftDetector, holm as holm, naive_alarm as naive_alarm
    from course_lib.monitoring.exporter import Exporter as Exporter
    from course_lib.monitoring.quality import (
        ErrorBudget as ErrorBudget,
        as_known as as_known,
        estimate as estimate,
        performance as performance,
    )
    from course_lib.monitoring.rules import (
        DESK_RULES as DESK_RULES,
        Rule as Rule,
        Signal as Signal,
        as_yaml as as_yaml,
        play as play,
    )
    from course_lib.monitoring.samples import Scrape as Scrape, scrape as scrape
    from course_lib.monitoring.servers import Alertmanager as Alertmanager, Prometheus as Prometheus
    from course_lib.monitoring.statistics import (
        chi_square as chi_square,
        compare as compare,
        psi as psi,
    )
    from course_lib.monitoring.webhook import Inbox as Inbox, post as post
else:
    __getattr__, __dir__, __all__ = lazy.attach(__name__)
