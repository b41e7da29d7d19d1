# %% no cool-down answer="wrong" expect="storm of trainings"
def weekly_decision(evidence):
    if evidence.auc is not None and evidence.auc < 0.62:
        return Decision(True, f"AUC {evidence.auc:.3f}")
    if evidence.gap is not None and abs(evidence.gap) > 0.06:
        return Decision(True, f"gap {evidence.gap:+.3f}")
    return Decision(evidence.age_days >= 60, f"age {evidence.age_days:.0f}")

# %% one decision that names every number, whatever is asked answer="wrong" expect="no training at 75 days without labels"
def weekly_decision(evidence):
    return Decision(False, "3 days, 75 days, 150 labels, AUC 0.59, gap 0.09 or 0.105")

# %% no labels, no age rule answer="wrong" expect="a dead feed must not protect an old model"
def weekly_decision(evidence):
    if evidence.age_days < 14:
        return Decision(False, f"cooling down, {evidence.age_days:.0f} days old")
    if evidence.labels < 2000:
        return Decision(False, f"only {evidence.labels} labels")
    if evidence.age_days >= 60:
        return Decision(True, f"{evidence.age_days:.0f} days old")
    return retraining.decide(retraining.Policy(), evidence)

# %% judges on a handful of labels answer="wrong" expect="so few are noise"
def weekly_decision(evidence):
    return retraining.decide(retraining.Policy(min_labels=0), evidence)

# %% only too high is wrong answer="wrong" expect="too low is as bad as too high"
def weekly_decision(evidence):
    if evidence.gap is not None and evidence.gap < 0:
        evidence = Evidence(age_days=evidence.age_days, labels=evidence.labels, auc=evidence.auc, gap=None)
    return retraining.decide(retraining.Policy(), evidence)

# %% not computable is zero answer="wrong" expect="not computable is not zero"
def weekly_decision(evidence):
    auc = evidence.auc or 0.0
    return retraining.decide(
        retraining.Policy(), Evidence(age_days=evidence.age_days, labels=evidence.labels, auc=auc, gap=evidence.gap)
    )

# %% yes or no, without a reason answer="wrong" expect="can't be audited"
def weekly_decision(evidence):
    return retraining.decide(retraining.Policy(), evidence).retrain

# %% a reason without the number answer="wrong" expect="does not name the number that decided"
def weekly_decision(evidence):
    decision = retraining.decide(retraining.Policy(), evidence)
    return Decision(decision.retrain, "the model has become bad" if decision.retrain else "the model is still good")

# %% the limits themselves are excluded answer="wrong" expect="a limit is on the wrong side"
def weekly_decision(evidence):
    if evidence.age_days <= 14:
        return Decision(False, f"cooling down at {evidence.age_days:.0f} days")
    if evidence.age_days > 60:
        return Decision(True, f"{evidence.age_days:.0f} days old")
    return retraining.decide(retraining.Policy(max_age_days=None), evidence)

# %% the library's policy, configured answer="right"
def weekly_decision(evidence):
    policy = retraining.Policy(cool_down_days=14, max_age_days=60, min_auc=0.62, max_gap=0.06, min_labels=2000)
    return retraining.decide(policy, evidence)

# %% a table of rules answer="right"
def weekly_decision(evidence):
    auc = 1.0 if evidence.auc is None else evidence.auc
    gap = 0.0 if evidence.gap is None else evidence.gap
    rules = [
        (evidence.age_days < 14, False, f"too young: {evidence.age_days:.1f} days"),
        (evidence.age_days >= 60, True, f"too old: {evidence.age_days:.1f} days"),
        (evidence.labels < 2000, False, f"{evidence.labels} labels prove nothing"),
        (auc < 0.62, True, f"ranking: AUC is {auc:.4f}"),
        (abs(gap) > 0.06, True, f"calibration is {gap:+.1%} off"),
    ]
    for applies, retrain, reason in rules:
        if applies:
            return Decision(retrain, reason)
    return Decision(False, "nothing to complain about")
