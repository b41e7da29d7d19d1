"""The retraining policy: when a model is trained again, and why, from what is known about the model in service."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["NEVER", "Decision", "Evidence", "Policy", "decide"]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """When a model is trained again.

    Attributes
    ----------
    cool_down_days
        Fewest days between two trainings: one bad week must not cause a storm of them.
    max_age_days
        A model older than this is replaced even if it looks healthy; ``None`` switches the rule off.
    min_auc
        Below this AUC on recent flights the model is replaced; ``None`` switches the rule off.
    max_gap
        Largest tolerated distance between mean prediction and late rate on recent flights; ``None`` switches it off.
    min_labels
        Fewest recent labelled flights on which a decision may rest.
    window_days
        How far back "recent" reaches.
    """

    cool_down_days: int = 14
    max_age_days: int | None = 60
    min_auc: float | None = 0.62
    max_gap: float | None = 0.06
    min_labels: int = 2_000
    window_days: int = 14


NEVER = Policy(max_age_days=None, min_auc=None, max_gap=None)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known about the model in service at one moment.

    Attributes
    ----------
    age_days
        Days since it was trained.
    labels
        Recent flights that it scored and whose labels are known.
    auc
        Its AUC on them; ``None`` if it cannot be computed.
    gap
        Mean prediction minus late rate on them; ``None`` if there are none.
    """

    age_days: float
    labels: int
    auc: float | None
    gap: float | None


@dataclass(frozen=True)
class Decision:
    """Whether to train again, and why (or why not)."""

    retrain: bool
    reason: str


def decide(policy: Policy, evidence: Evidence) -> Decision:
    """Apply ``policy`` to ``evidence``.

    Examples
    --------
    >>> decide(Policy(), Evidence(age_days=3, labels=5000, auc=0.55, gap=0.0)).reason
    'cooling down: trained 3 days ago, 14 are needed'
    >>> decide(Policy(), Evidence(age_days=20, labels=5000, auc=0.55, gap=0.0)).reason
    'AUC 0.550 on 5,000 recent flights is below 0.62'
    """
    if evidence.age_days < policy.cool_down_days:
        return Decision(
            False, f"cooling down: trained {evidence.age_days:.0f} days ago, {policy.cool_down_days} are needed"
        )
    if policy.max_age_days is not None and evidence.age_days >= policy.max_age_days:
        return Decision(True, f"age: trained {evidence.age_days:.0f} days ago, the limit is {policy.max_age_days}")
    if evidence.labels < policy.min_labels:
        return Decision(False, f"too little evidence: {evidence.labels:,} labels, {policy.min_labels:,} are needed")
    if policy.min_auc is not None and evidence.auc is not None and evidence.auc < policy.min_auc:
        text = f"AUC {evidence.auc:.3f} on {evidence.labels:,} recent flights is below {policy.min_auc}"
        return Decision(True, text)
    if policy.max_gap is not None and evidence.gap is not None and abs(evidence.gap) > policy.max_gap:
        text = f"calibration: mean prediction is {evidence.gap:+.3f} off the late rate, {policy.max_gap} is tolerated"
        return Decision(True, text)
    return Decision(False, "healthy")
