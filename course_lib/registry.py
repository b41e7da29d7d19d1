"""Stage G, model registry: names, versions and aliases.

An artifact store keeps files; a registry says which file is in service. A version is never changed. Delivery moves an
alias: ``challenger`` for the candidate, ``champion`` for the model in service. (MLflow's older *stages* are deprecated
in favour of aliases.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from course_lib import tracking
from course_lib.errors import PromotionError, RegistryError, TrackingError
from course_lib.evaluation import GateDecision, gate
from course_lib.tracking_store import Store

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "MODEL_NAME",
    "Version",
    "appoint",
    "load",
    "model_card",
    "promote",
    "register",
    "resolve",
    "rollback",
    "versions",
]

MODEL_NAME = "late-flights"
CHAMPION = "champion"
CHALLENGER = "challenger"
_PREVIOUS = "previous"


@dataclass(frozen=True)
class Version:
    """One registered model version."""

    name: str
    number: int
    run_id: str
    aliases: tuple[str, ...]

    @property
    def uri(self) -> str:
        """Model URI of exactly this version."""
        return f"models:/{self.name}/{self.number}"


def register(store: Store, run_id: str, *, name: str = MODEL_NAME, alias: str | None = CHALLENGER) -> Version:
    """Register the model that ``run_id`` logged as a new version of ``name``, and give it ``alias``.

    Raises
    ------
    RegistryError
        The run logged no model.
    """
    client = store.client()
    with tracking.guard(store):
        run = client.get_run(run_id)
        outputs = run.outputs.model_outputs if run.outputs else []
        if not outputs:
            raise RegistryError(
                f"Run {run_id} logged no model.",
                expected="a run logged with `tracking.log_training`",
                next_step="train and log a model first",
            )
        if not client.search_registered_models(filter_string=f"name = '{name}'"):
            client.create_registered_model(name)
        # The place itself and not `models:/<id>`: MLflow looks that up in the store of the last `set_tracking_uri`.
        source = client.get_logged_model(outputs[0].model_id).artifact_location
        made = client.create_model_version(name, source, run_id=run_id, model_id=outputs[0].model_id)
        if alias:
            client.set_registered_model_alias(name, alias, made.version)
    return resolve(store, int(made.version), name=name)


def versions(store: Store, *, name: str = MODEL_NAME) -> tuple[Version, ...]:
    """Return every version of ``name``, newest first."""
    client = store.client()
    with tracking.guard(store):
        found = client.search_model_versions(f"name = '{name}'")
        listed = [client.get_model_version(name, v.version) for v in found]
    return tuple(sorted((_version(v) for v in listed), key=lambda v: v.number, reverse=True))


def resolve(store: Store, which: str | int, *, name: str = MODEL_NAME) -> Version:
    """Return the version that an alias or a number points to.

    Raises
    ------
    RegistryError
        There is no such model, alias or version; the message lists what there is.
    """
    client = store.client()
    from mlflow.exceptions import MlflowException

    try:
        if isinstance(which, int):
            return _version(client.get_model_version(name, str(which)))
        found = client.get_model_version_by_alias(name, which)
        return _version(client.get_model_version(name, found.version))
    except MlflowException as error:
        raise RegistryError(
            f"The model {name!r} has no {'version' if isinstance(which, int) else 'alias'} {which!r}.",
            expected=_what_there_is(store, name),
            next_step="register a version first, or correct the name",
        ) from error


def load(store: Store, which: str | int = CHAMPION, *, name: str = MODEL_NAME) -> Pipeline:
    """Load the model that an alias or version number points to."""
    return tracking.load_model(store, resolve(store, which, name=name).uri)


def promote(
    store: Store,
    frame: pd.DataFrame,
    *,
    name: str = MODEL_NAME,
    judge: Callable[[Any, Any, pd.DataFrame], GateDecision] = gate,
) -> GateDecision:
    """Put the challenger into service if the gate lets it: the alias ``champion`` moves, nothing else does.

    Parameters
    ----------
    store, name
        Where the model is registered.
    frame
        Labelled flights that neither model was trained on.
    judge
        The gate; by default :func:`course_lib.evaluation.gate`.

    Raises
    ------
    PromotionError
        The gate refused; the reasons are in the message and the champion stays.
    """
    challenger = resolve(store, CHALLENGER, name=name)
    champion = _champion(store, name)
    current = tracking.load_model(store, champion.uri) if champion else None
    decision = judge(current, tracking.load_model(store, challenger.uri), frame)
    if not decision.promote:
        raise PromotionError(
            f"Version {challenger.number} of {name!r} was not promoted: {'; '.join(decision.reasons)}.",
            expected="a challenger that is better overall and worse nowhere",
            next_step=f"version {champion.number if champion else '–'} stays in service; improve the challenger",
        )
    appoint(store, name=name)
    return decision


def appoint(store: Store, *, name: str = MODEL_NAME) -> Version:
    """Make the challenger the champion and return it: for a caller that has judged it already, see :func:`promote`."""
    challenger, champion = resolve(store, CHALLENGER, name=name), _champion(store, name)
    client = store.client()
    with tracking.guard(store):
        if champion:
            client.set_registered_model_alias(name, _PREVIOUS, str(champion.number))
        client.set_registered_model_alias(name, CHAMPION, str(challenger.number))
        client.delete_registered_model_alias(name, CHALLENGER)
    return resolve(store, CHAMPION, name=name)


def rollback(store: Store, *, name: str = MODEL_NAME) -> Version:
    """Put the previous champion back into service and return it."""
    previous = resolve(store, _PREVIOUS, name=name)
    with tracking.guard(store):
        store.client().set_registered_model_alias(name, CHAMPION, str(previous.number))
    return resolve(store, CHAMPION, name=name)


def model_card(store: Store, which: str | int = CHAMPION, *, name: str = MODEL_NAME) -> str:
    """Return a model card in Markdown, written from what the version's run logged (after Mitchell et al. 2019)."""
    version = resolve(store, which, name=name)
    with tracking.guard(store):
        run = store.client().get_run(version.run_id)
    metrics = {key: value for key, value in sorted(run.data.metrics.items()) if not key.endswith("curve_log_loss")}
    tags = {key: run.data.tags.get(key, "not logged")[:12] for key in ("data_sha256", "code_sha256", "model_sha256")}
    sections = [
        f"# {name}, version {version.number}",
        "**Use.** Probability, at the scheduled departure, that a flight out of New York arrives 15 minutes late or "
        "more. Not for decisions about safety or about single passengers.",
        f"**Data.** US domestic flights of 2013, months {run.data.params.get('months', 'not logged')}; "
        "cancelled and diverted flights have no label and were left out.",
        _table("Metric", {key: f"{value:.4f}" for key, value in metrics.items()}),
        _table("Parameter", dict(sorted(run.data.params.items()))),
        _table("Digest (first 12 of 64 digits)", tags),
        f"**Run.** `{version.run_id}`",
    ]
    return "\n\n".join(sections) + "\n"


def _table(heading: str, rows: dict[str, str]) -> str:
    lines = [f"| {heading} | Value |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows.items())]
    return "\n".join(lines)


def _champion(store: Store, name: str) -> Version | None:
    try:
        return resolve(store, CHAMPION, name=name)
    except RegistryError:
        return None


def _version(found: Any) -> Version:
    return Version(found.name, int(found.version), found.run_id, tuple(sorted(found.aliases)))


def _what_there_is(store: Store, name: str) -> str:
    from mlflow.exceptions import MlflowException

    try:
        listed = versions(store, name=name)
    except (RegistryError, TrackingError, MlflowException):
        listed = ()
    if not listed:
        return f"a registered model named {name!r}; there is none"
    return "one of " + ", ".join(f"version {v.number} ({', '.join(v.aliases) or 'no alias'})" for v in listed)
