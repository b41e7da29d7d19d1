"""The desk's Grafana dashboard as code: built with Grafana's SDK, validated, every expression asked of Prometheus."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from course_lib.errors import MonitoringError

if TYPE_CHECKING:
    from course_lib.monitoring.servers import Prometheus

__all__ = ["DESK_PANELS", "PanelSpec", "build", "check_expressions", "expressions", "validate"]

_WIDTH, _HEIGHT, _PER_ROW = 12, 8, 2  # Grafana's grid is 24 wide


@dataclass(frozen=True)
class PanelSpec:
    """One graph.

    Attributes
    ----------
    title
        What it shows.
    expr
        PromQL.
    unit
        Grafana's name of the unit, such as ``s``, ``percentunit`` or ``reqps``.
    legend
        Text of a line, with ``{{label}}`` for the value of a label.
    limit
        Where the alert rule's limit is drawn.
    description
        What to do when it looks wrong.
    """

    title: str
    expr: str
    unit: str = "short"
    legend: str = ""
    limit: float | None = None
    description: str = ""


DESK_PANELS: tuple[PanelSpec, ...] = (
    PanelSpec(
        "Requests per second", "sum by (status) (rate(desk_requests_total[30s]))", "reqps", "{{status}}",
        description="A sudden fall is an outage, whatever the other panels say.",
    ),
    PanelSpec(
        "Share of failed requests",
        '(sum(rate(desk_requests_total{status=~"5.."}[30s])) or vector(0)) / sum(rate(desk_requests_total[30s]))',
        "percentunit", "failed", 0.01,
        description="Only 5xx: a 422 is the caller's mistake.",
    ),
    PanelSpec(
        "Latency, slowest hundredth",
        "histogram_quantile(0.99, sum by (le) (rate(desk_request_seconds_bucket[30s])))", "s", "p99", 0.1,
        description="The budget is 100 ms.",
    ),
    PanelSpec(
        "Mean prediction",
        "sum(rate(desk_prediction_sum[30s])) / sum(rate(desk_prediction_count[30s]))", "percentunit", "mean",
        description="Moves with the weather. A jump without a storm is a broken feed.",
    ),
    PanelSpec(
        "AUC on landed flights", "desk_auc", "short", "AUC", 0.65,
        description="Labels come hours late: it shows the past.",
    ),
    PanelSpec(
        "Features that drifted", "desk_drifted_features", "short", "features", 1,
        description="Look at the feed first, then at the season, then at the model.",
    ),
)  # fmt: skip


def build(panels: Sequence[PanelSpec] = DESK_PANELS, *, title: str = "Late-flight desk") -> dict[str, Any]:
    """Return a dashboard as the JSON that Grafana imports.

    Raises
    ------
    MonitoringError
        The result is not a valid dashboard.
    """
    from grafana_foundation_sdk.builders import dashboard
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    board = dashboard.Dashboard(title).uid("late-flight-desk").refresh("5s").time("now-15m", "now").timezone("utc")
    for index, spec in enumerate(panels):
        board = board.with_panel(_panel(spec, index))
    found: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(board.build()))
    validate(found)
    return found


def validate(board: Mapping[str, Any]) -> None:
    """Check a dashboard against Grafana's own model, and what the model cannot say.

    It must be readable by the SDK, which is generated from Grafana's schema, and come out as it went in, so that a
    misspelt field is found; every panel needs its own id, a title, a query and a place that no other panel has.

    Raises
    ------
    MonitoringError
        It is not valid.
    """
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models import dashboard

    _register()
    try:
        again = json.loads(JSONEncoder(sort_keys=True).encode(dashboard.Dashboard.from_json(dict(board))))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _wrong(f"Grafana's model cannot read it: {type(error).__name__} {error}") from error
    if lost := sorted(_lost(board, again)):
        raise _wrong(f"Grafana does not know {', '.join(lost[:5])}")
    panels = board.get("panels", [])
    if not panels:
        raise _wrong("it has no panel")
    ids = [panel.get("id") for panel in panels]
    if None in ids or len(set(ids)) < len(ids):
        raise _wrong(f"the ids of its panels are {ids}")
    for panel in panels:
        if (
            not panel.get("title")
            or not all(t.get("expr") for t in panel.get("targets", []))
            or not panel.get("targets")
        ):
            raise _wrong(f"panel {panel['id']} has no title or no query")
    for one, other in combinations(panels, 2):
        if _overlap(one["gridPos"], other["gridPos"]):
            raise _wrong(f"{one['title']!r} and {other['title']!r} overlap")


def expressions(board: Mapping[str, Any]) -> dict[str, str]:
    """Return every PromQL expression of a dashboard, by title of its panel."""
    return {panel["title"]: target["expr"] for panel in board["panels"] for target in panel["targets"]}


def check_expressions(board: Mapping[str, Any], prometheus: Prometheus) -> dict[str, int]:
    """Ask a live Prometheus for every expression and return how many series each gives, by title.

    Raises
    ------
    MonitoringError
        Prometheus cannot parse one, or one finds nothing: a panel that stays empty looks like a healthy service.
    """
    found = {title: len(prometheus.query(expr)) for title, expr in expressions(board).items()}
    if empty := [title for title, series in found.items() if not series]:
        raise _wrong(f"nothing is found for {', '.join(empty)}", next_step="correct the metric's name, or send traffic")
    return found


def _panel(spec: PanelSpec, index: int) -> Any:
    from grafana_foundation_sdk.builders import common, dashboard, prometheus, timeseries
    from grafana_foundation_sdk.models import common as looks, dashboard as models

    source = models.DataSourceRef(type_val="prometheus", uid="prometheus")
    place = models.GridPos(h=_HEIGHT, w=_WIDTH, x=(index % _PER_ROW) * _WIDTH, y=(index // _PER_ROW) * _HEIGHT)
    query = prometheus.Dataquery().expr(spec.expr).legend_format(spec.legend).ref_id("A").range()
    panel = timeseries.Panel().id(index + 1).title(spec.title).description(spec.description).unit(spec.unit)
    panel = panel.datasource(source).grid_pos(place).with_target(query).line_width(2)
    panel = panel.legend(common.VizLegendOptions().display_mode(looks.LegendDisplayMode.LIST).show_legend(True))
    panel = panel.tooltip(common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI))
    if spec.limit is not None:
        steps = [models.Threshold(value=None, color="green"), models.Threshold(value=spec.limit, color="red")]
        panel = panel.thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
    return panel


def _register() -> None:
    """Tell the SDK which kinds of panels and queries it may meet."""
    from grafana_foundation_sdk.cog.plugins import register_default_plugins

    register_default_plugins()


def _lost(before: Any, after: Any, path: str = "") -> set[str]:
    """Return the paths of what is in ``before`` and not in ``after``."""
    if isinstance(before, Mapping):
        if not isinstance(after, Mapping):
            return {path}
        return {
            found
            for key, inner in before.items()
            for found in (_lost(inner, after[key], f"{path}.{key}".lstrip(".")) if key in after else {f"{path}.{key}"})
        }
    if isinstance(before, list):
        if not isinstance(after, list) or len(before) != len(after):
            return {path}
        pairs = zip(before, after, strict=True)
        return {found for i, (one, other) in enumerate(pairs) for found in _lost(one, other, f"{path}[{i}]")}
    return set() if before == after else {path}


def _overlap(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
    return across and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]


def _wrong(what: str, *, next_step: str = "correct the panel, and build the dashboard again") -> MonitoringError:
    return MonitoringError(
        f"The dashboard is not valid: {what}.", expected="a dashboard that Grafana can import", next_step=next_step
    )
