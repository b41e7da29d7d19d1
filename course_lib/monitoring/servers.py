"""Prometheus and Alertmanager as real processes on loopback: the one place that knows how to start and ask them."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from course_lib import processes
from course_lib.errors import EngineError, MonitoringError
from course_lib.monitoring.rules import Rule, as_yaml

__all__ = ["Alertmanager", "Prometheus", "alertmanager_config", "available", "prometheus_config"]

_EVERY_S = 0.5  # between two scrapes, and between two evaluations of the rules


def available() -> bool:
    """Whether Prometheus and Alertmanager are both on this machine."""
    return all(shutil.which(program) for program in ("prometheus", "prometheus-alertmanager"))


def prometheus_config(targets: Mapping[str, str], *, alertmanager: str | None = None) -> dict[str, Any]:
    """Return Prometheus' configuration as data.

    Parameters
    ----------
    targets
        ``host:port`` to scrape, by job name.
    alertmanager
        ``host:port`` that alerts are sent to.
    """
    every = f"{round(_EVERY_S * 1000)}ms"
    config: dict[str, Any] = {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [target]}]} for job, target in targets.items()
        ],
    }
    if alertmanager:
        config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
    return config


def alertmanager_config(webhook: str) -> dict[str, Any]:
    """Return Alertmanager's configuration as data: what asks for a retraining goes to ``webhook``, the rest nowhere."""
    route = {"receiver": "retraining", "matchers": ['severity="retrain"']}
    times = {"group_wait": "100ms", "group_interval": "1s", "repeat_interval": "1h"}
    return {
        "route": {"receiver": "nobody", "group_by": ["alertname"], **times, "routes": [route]},
        "receivers": [
            {"name": "nobody"},
            {"name": "retraining", "webhook_configs": [{"url": webhook, "send_resolved": True}]},
        ],
    }


class _Tool(processes.Server):
    """A server of the Prometheus family, with its configuration and data in its own folder."""

    def __init__(self, name: str, program: str, config: dict[str, Any], options: Mapping[str, str]) -> None:
        super().__init__(name, [program], port=processes.free_port(), ready_path="/-/ready", timeout=20)
        self._config, self._options = config, options

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start it and wait until it is ready."""
        import yaml

        program = self.command[0]
        if shutil.which(program) is None:
            raise EngineError(
                f"{self.name} was not found on this machine.",
                expected=f"the program {program}",
                next_step="run `make engines`; without it `monitoring.play` evaluates the rules in Python",
            )
        (self.folder / "config.yml").write_text(yaml.safe_dump(self._config))
        options = {"config.file": "config.yml", "web.listen-address": self.address, "log.level": "warn"}
        self.command = [program, *(f"--{name}={value}" for name, value in {**options, **self._options}.items())]
        return super().start().wait_ready()

    def _get(self, path: str, **query: str) -> Any:
        address = f"{self.url}{path}{'?' + urllib.parse.urlencode(query) if query else ''}"
        try:
            with urllib.request.urlopen(address, timeout=5) as reply:  # noqa: S310 - loopback
                return json.load(reply)
        except urllib.error.HTTPError as error:
            body = error.read().decode(errors="replace")
            raise MonitoringError(
                f"{self.name} refused the query: {_message(body)}",
                expected="an expression that it can parse",
                next_step="correct the expression",
            ) from error
        except OSError as error:
            raise MonitoringError(
                f"{self.name} does not answer at {self.url}: {error}",
                expected="a running server",
                next_step="start it again; until then nobody sees the metrics, so have something else watch it",
            ) from error


class Alertmanager(_Tool):
    """Groups alerts, silences repeats, and calls the webhook: again and again, if it is down."""

    def __init__(self, webhook: str) -> None:
        alone = {"storage.path": "data", "cluster.listen-address": ""}  # no gossip on other addresses
        super().__init__("Alertmanager", "prometheus-alertmanager", alertmanager_config(webhook), alone)


@dataclass(frozen=True)
class Alert:
    """One alert as Prometheus shows it."""

    name: str
    state: str
    value: float


class Prometheus(_Tool):
    """Scrapes targets, keeps their samples, and evaluates the rules.

    Parameters
    ----------
    targets
        ``host:port`` by job name.
    rules
        Alert rules; may be empty.
    alertmanager
        Where alerts go, ``host:port``.
    """

    def __init__(
        self, targets: Mapping[str, str], rules: Sequence[Rule] = (), *, alertmanager: str | None = None
    ) -> None:
        config = prometheus_config(targets, alertmanager=alertmanager)
        super().__init__("Prometheus", "prometheus", config, {"storage.tsdb.path": "data"})
        self._rules = as_yaml(rules, interval_s=_EVERY_S) if rules else None

    def start(self) -> Self:
        """Start it and wait until it is ready."""
        if self._rules:
            (self.folder / "rules.yml").write_text(self._rules)
            self._config["rule_files"] = ["rules.yml"]
        return super().start()

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return the series of an expression now: labels and value.

        Raises
        ------
        MonitoringError
            The expression is wrong, or the server is down.
        """
        result = self._get("/api/v1/query", query=expression)["data"]
        if result["resultType"] == "scalar":
            return [({}, float(result["result"][1]))]
        return [(one["metric"], float(one["value"][1])) for one in result["result"]]

    def history(self, expression: str, *, seconds: float, step_s: float = 0.5) -> list[tuple[float, float]]:
        """Return time (Unix seconds) and value of the first series of an expression over the last ``seconds``."""
        import time

        end = time.time()
        times = {"start": str(end - seconds), "end": str(end), "step": str(step_s)}
        found = self._get("/api/v1/query_range", query=expression, **times)["data"]["result"]
        return [(float(at), float(number)) for at, number in found[0]["values"]] if found else []

    def alerts(self) -> tuple[Alert, ...]:
        """Return the alerts that are pending or firing now."""
        listed = self._get("/api/v1/alerts")["data"]["alerts"]
        return tuple(Alert(one["labels"]["alertname"], one["state"], float(one["value"])) for one in listed)

    def wait_for(self, expression: str, *, timeout: float = 15.0) -> None:
        """Wait until an expression returns something; a query right after the start finds nothing yet."""
        processes.wait_until(lambda: self.query(expression), timeout=timeout, what=f"a result of {expression}")


def _message(body: str) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError):
        return body[:200]
