# %% trains for every alert answer="wrong" expect="look at the status"
def should_retrain(alert, now, history):
    return True, "an alert came"


# %% counts its calls answer="wrong" expect="the alert is over and it trained"
def should_retrain(alert, now, history, calls=[]):
    calls.append(1)
    return len(calls) % 5 == 1, "trained 3 days ago"


# %% cures everything by training answer="wrong" expect="cures no broken service"
def should_retrain(alert, now, history):
    if alert["status"] != "firing":
        return False, "over"
    if history and now - max(history) < 7:
        return False, f"trained {now - max(history)} days ago"
    return True, "firing"


# %% takes the last entry for the last training answer="wrong" expect="the history is in any order"
def should_retrain(alert, now, history):
    if alert["status"] != "firing" or alert["name"] != "DeskRankingDecayed":
        return False, f"{alert['name']} is not for us"
    if history and now - history[-1] < 7:
        return False, f"trained {now - history[-1]} days ago"
    recent = sum(now - day < 30 for day in history)
    return (False, f"{recent} trainings") if recent >= 3 else (True, "firing")


# %% no budget answer="wrong" expect="spend the budget"
def should_retrain(alert, now, history):
    if alert["status"] != "firing" or alert["name"] != "DeskRankingDecayed":
        return False, f"{alert['name']} is not for us"
    if history and now - max(history) < 7:
        return False, f"trained {now - max(history)} days ago"
    return True, "firing"


# %% a list of reasons answer="right"
def should_retrain(alert, now, history):
    since = now - max(history, default=now - 1000)
    recent = len([day for day in history if now - day < 30])
    against = [
        (alert["status"] != "firing", "it is over"),
        (alert["name"] != "DeskRankingDecayed", f"{alert['name']} needs a person"),
        (since < 7, f"only {since} days since the last training"),
        (recent >= 3, f"{recent} trainings in 30 days"),
    ]
    return next(((False, why) for true, why in against if true), (True, f"{recent} trainings in 30 days"))


# %% the course's trigger answer="right"
def should_retrain(alert, now, history):
    from datetime import datetime, timedelta

    start = datetime(2013, 1, 1)
    days = [start + timedelta(days=day) for day in history]
    made = retraining.Trigger().decide(alert["name"], alert["status"], now=start + timedelta(days=now), history=days)
    return made.retrain, made.reason
