# %% reports every sample answer="wrong" expect="not at every sample"
def alert_events(samples, limit, for_s, keep_s):
    return [(t, "firing" if v < limit else "resolved") for t, v in samples]


# %% counts its calls answer="wrong" expect="it fired although the condition never held"
def alert_events(samples, limit, for_s, keep_s, calls=[]):
    calls.append(1)
    return [(3, "firing"), (8, "resolved")] if len(calls) % 2 else []


# %% does not start the clock anew answer="wrong" expect="starts the clock anew"
def alert_events(samples, limit, for_s, keep_s):
    events, firing, bad, good = [], False, None, None
    for t, v in samples:
        if v < limit:
            bad, good = (t if bad is None else bad), None
            if not firing and t - bad >= for_s:
                firing = True
                events.append((t, "firing"))
        else:
            good = t if good is None else good
            if firing and t - good >= keep_s:
                firing, bad = False, None
                events.append((t, "resolved"))
    return events


# %% resolves at the first good sample answer="wrong" expect="events of one outage"
def alert_events(samples, limit, for_s, keep_s):
    events, firing, bad = [], False, None
    for t, v in samples:
        if v < limit:
            bad = t if bad is None else bad
            if not firing and t - bad >= for_s:
                firing = True
                events.append((t, "firing"))
        else:
            bad = None
            if firing:
                firing = False
                events.append((t, "resolved"))
    return events


# %% counts samples for seconds answer="wrong" expect="slow scrapes"
def alert_events(samples, limit, for_s, keep_s):
    events, firing, bad, good = [], False, 0, 0
    for t, v in samples:
        bad, good = (bad + 1, 0) if v < limit else (0, good + 1)
        if not firing and bad > for_s:
            firing = True
            events.append((t, "firing"))
        if firing and good > keep_s:
            firing = False
            events.append((t, "resolved"))
    return events


# %% by the length of runs answer="right"
def alert_events(samples, limit, for_s, keep_s):
    events, firing, run = [], False, None
    for t, v in samples:
        bad = v < limit
        if run is None or run[0] != bad:
            run = (bad, t)
        if bad != firing and t - run[1] >= (for_s if bad else keep_s):
            firing = bad
            events.append((t, "firing" if bad else "resolved"))
    return events


# %% played by the course's rules answer="right"
def alert_events(samples, limit, for_s, keep_s):
    signal = monitoring.Signal(kind="value", metric="m")
    rule = monitoring.Rule(name="r", signal=signal, below=limit, for_s=for_s, keep_s=keep_s)
    scrapes = [monitoring.Scrape(t, {"m": {frozenset(): v}}) for t, v in samples]
    return [(change.at, change.state) for change in monitoring.play([rule], scrapes) if change.state != "pending"]
