# %% a random split answer="wrong" expect="learns from the future"
def split_at(frame, moment):
    known = frame[frame["late"].notna()]
    train = known.sample(frac=0.8, random_state=0)
    return train, known.drop(train.index)

# %% overwrites the label and the schedule answer="wrong" expect="is not what it was"
def split_at(frame, moment):
    known = frame[frame["late"].notna()]
    train, test = known[known["label_known_at"] <= moment], known[known["sched_dep"] >= moment]
    return train.assign(late=False), test.assign(sched_dep=moment)

# %% the newer half teaches answer="wrong" expect="learns from the future"
def split_at(frame, moment):
    known = frame[frame["late"].notna()].sort_values("sched_dep", ascending=False)
    half = len(known) // 2
    return known.iloc[:half], known.iloc[half:]

# %% splits on the schedule alone answer="wrong" expect="its label was not known at the moment"
def split_at(frame, moment):
    known = frame[frame["late"].notna()]
    before = known["sched_dep"] < moment
    return known[before], known[~before]

# %% cancelled flights count as punctual answer="wrong" expect="it has no label, so it can't teach or test"
def split_at(frame, moment):
    filled = frame.assign(late=frame["late"].fillna(False))
    gone = filled["sched_dep"] >= moment
    return filled[~gone & ~(filled["label_known_at"] > moment)], filled[gone]

# %% everything that is not train is test answer="wrong" expect="it left before the model was in service"
def split_at(frame, moment):
    known = frame[frame["late"].notna()]
    return known[known["label_known_at"] <= moment], known[known["label_known_at"] > moment]

# %% excludes the moment itself answer="wrong" expect="the model serves from the moment on, use >="
def split_at(frame, moment):
    known = frame[frame["late"].notna()]
    return known[known["label_known_at"] <= moment], known[known["sched_dep"] > moment]

# %% the library's as-of query answer="right"
def split_at(frame, moment):
    labels = data.labelled(frame)
    return data.labelled(frame, as_of=moment), labels[labels["sched_dep"] >= moment]

# %% query strings answer="right"
def split_at(frame, moment):
    return frame.query("label_known_at <= @moment"), frame.query("sched_dep >= @moment and late.notna()")

# %% drop first, then sort answer="right"
def split_at(frame, moment):
    landed = frame.dropna(subset=["label_known_at"]).sort_values("sched_dep")
    return landed[landed["label_known_at"].le(moment)], landed[landed["sched_dep"].ge(moment)]
