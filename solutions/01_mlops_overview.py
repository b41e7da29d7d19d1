# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1 · MLOps overview and the full lifecycle
#
# **30 minutes** to read and run, about an hour with the exercises. You join the late-flight desk in New York. The year is
# 2013. When a flight is due to leave, the desk says how likely it is to arrive 15 minutes late or more. You will build its model, put it into service, watch
# eight months of real flights go by, and find out what a test score is worth.
#
# **After this notebook you can**
#
# - name the eleven stages of the ML lifecycle, and say which one stops which failure;
# - write a data rule that catches a broken feed and lets odd but true weather pass;
# - tell which columns a model may use, from *when* they are known;
# - give a training run an id that changes when data, code, settings or environment change;
# - split by time, and say in numbers what a random split would have hidden;
# - write a retraining policy that gives its reason, and judge honestly what retraining bought.
#
# The lifecycle is a wheel. Every later notebook works on a part of it; this one turns it once, all eleven stages.
#
# ```mermaid
# %%{init: {"flowchart": {"rankSpacing": 24, "nodeSpacing": 24}}}%%
# flowchart LR
#   accTitle: The ML lifecycle
#   accDescr: A ring of eleven stages, A data collection to K retraining and back to A; all eleven are lit in this notebook.
#   A["A · data<br/>collection"]:::lit --> B["B · data<br/>validation"]:::lit --> C["C · feature<br/>engineering"]:::lit
#   C --> D["D · model<br/>training"]:::lit --> E["E · experiment<br/>tracking"]:::lit --> F["F · model<br/>evaluation"]:::lit
#   F --> G["G · model<br/>registry"]:::lit --> H["H · CI/CD"]:::lit --> I["I · deployment"]:::lit
#   I --> J["J · monitoring"]:::lit --> K["K · retraining"]:::lit --> A
#   classDef lit fill:#E69F00,stroke:#7a5300,color:#000
# ```
#
# > **How the exercises work.** Replace the line `raise NotImplementedError(…)` by your code, run the cell, then run the
# > check below it. A check that fails says in words which idea went wrong. Hidden tests ask the same of other data when
# > the notebook is graded. In a terminal, `python -m autograder check 01` runs the checks of the whole notebook.

# %% tags=["parameters"]
LAST_MONTH = 8  # the desk is played from February to this month: 3 (quick) to 12 (the whole year)

# %%
import tempfile

import pandas as pd
from IPython.display import Markdown

from course_lib import checks, data, engines, evaluation, features, plots
from course_lib import registry, retraining, tracking, training, validation
from course_lib.errors import CourseError, PromotionError
from course_lib.retraining import Decision, Evidence

pd.set_option("display.max_colwidth", None)
workshop = tempfile.TemporaryDirectory(prefix="late-flight-desk-")  # removed at the end
engines.table("sklearn", "pandera", "mlflow")

# %% [markdown]
# ## 1.1 Why models stay in notebooks
#
# You will often read that 80 % of ML projects never reach production. How that number was measured is rarely said.
# The *reasons* are well documented ([Sculley et al. 2015](https://papers.nips.cc/paper/5656-hidden-technical-debt-in-machine-learning-systems),
# [Paleyes et al. 2022](https://doi.org/10.1145/3533378)), and few of them are about the model itself:
#
# | What goes wrong | What an employer asks | You will meet it in |
# |---|---|---|
# | The score was never real: a column from the future, a random split | "Will it work on tomorrow's flights?" | 1.4, 1.6 |
# | Nobody can make the model again | "Can you reproduce an experiment from 3 months ago?" | 1.5 |
# | It runs only where it was written | "Can you deploy a model beyond a Jupyter notebook?" | 1.7 |
# | The world moves on, and nobody notices | "Do you know how to detect when a model starts degrading?" | 1.8 |
# | Every update is handwork | "Can you build a CI/CD pipeline for ML?" | 1.7, 1.9 |
#
# A model is a few lines. The desk around it is what makes the few lines useful, and it is what this course builds.

# %% [markdown]
# ## 1.2 Stage A · Collect: data that stays put
#
# The raw material is real: every flight out of Newark (EWR), Kennedy (JFK) and LaGuardia (LGA) in 2013, and the weather
# at the three airports, hour by hour. The desk keeps it as one file per month. A file is never changed after it was
# written, and its **checksum** proves it, a short fingerprint of all its bytes (here SHA-256): a file that was cut short or
# edited is refused when it is read.

# %%
pd.DataFrame(
    {"month": part.month, "flights": part.rows, "SHA-256 (start)": part.sha256[:16]}
    for part in data.partitions([1, 2, 3])
)

# %%
year = data.flights(range(1, LAST_MONTH + 1))
january = year[year["month"] == 1]
columns = ["sched_dep", "carrier", "flight", "origin", "dest", "temp", "late", "label_known_at"]
january[columns].head(4)

# %% [markdown]
# The desk keeps one clock: every **time stamp** is in UTC, five hours ahead of New York in winter and four in summer. So
# January's first flight, due at 05:15 in New York, is listed at 10:15. The columns `month`, `day`, `hour` and `dep_minute`
# follow New York's calendar and clock, because rush hours do. So January's file ends at 05:00 UTC on 1 February, five hours
# after midnight in UTC.
#
# The last two columns deserve a second look. `late` is what the model will learn to predict, its **label**. And a label
# has a birthday: `label_known_at` is the minute in which the flight reached its gate. Before that, nobody knows it.

# %%
wait = (january["label_known_at"] - january["sched_dep"]).dt.total_seconds() / 3600
cut = pd.Timestamp("2013-02-01", tz="UTC")  # in New York: 31 January, 19:00
airborne = ((january["sched_dep"] < cut) & (january["label_known_at"] > cut)).sum()
Markdown(f"""
- Half of January's labels are known **{wait.median():.1f} hours** after the scheduled departure.
  The slowest took {wait.max():.0f}.
- **{wait.isna().mean():.1%}** of the flights never get a label: they were cancelled or diverted.
- When February began (midnight UTC), **{airborne} flights** were under way: scheduled in January,
  label not yet known.
""")

# %% [markdown]
# Keep those flights in mind. They will come back in exercise 1.4, and they are one reason why offline scores are
# too good.

# %% [markdown]
# ## 1.3 Stage B · Validate: a batch is guilty until it is checked
#
# Sensors break. This row is in the real data; nobody planted it:

# %%
weather = pd.read_csv(data.raw_folder() / "weather.csv")
weather.loc[weather["wind_speed"] > 100, ["origin", "month", "day", "hour", "temp", "dewp", "wind_speed"]]

# %% [markdown]
# A wind of more than 1,000 mph, at Newark, at 3 in the morning. No flight was due in the next hour, so the reading
# touched nobody. That was luck. Give the same reading to the morning rush of 11 January and let the desk's rules
# look at it. Bad rows go into **quarantine** with the reason; good rows go on.

# %%
unlucky = january.copy()
rush = (unlucky["origin"] == "EWR") & (unlucky["day"] == 11) & (unlucky["hour"] == 8)
unlucky.loc[rush, "wind_speed"] = weather["wind_speed"].max()
checked = validation.validate(unlucky)
checked.quarantined[["carrier", "flight", "origin", "sched_dep", "wind_speed", "reasons"]].head(3)

# %% [markdown]
# When the *source* is broken, quarantine is not enough: the whole batch is refused. Here the feed has dropped a column.
# The error is caught so that the notebook goes on; in production it would stop the pipeline, and it should.

# %%
try:
    validation.validate(january.drop(columns="pressure"))
except CourseError as error:
    print(error)

# %% [markdown]
# What happened, what was expected, what to do next: every error of the course's library has these three parts.
#
# Now the mean one. The weather service updates its software, and temperatures arrive in °C instead of °F:

# %%
celsius = january.assign(temp=(january["temp"] - 32) / 1.8)
caught = validation.validate(celsius).bad_share
Markdown(f"The rules quarantine **{caught:.1%}** of the rows.")

# %% [markdown]
# Nothing. 4 degrees is a fine temperature in either unit: each value is plausible by itself. But the dew point still
# comes in °F, and air cannot be colder than its dew point, for the water would condense. A range looks at one column. A
# rule that looks at **two columns together** sees what no range can.
#
# ### Exercise 1.1 · A rule that two columns keep (4 points)
#
# Write `impossible_weather(frame)`. `frame` has the columns `temp` and `dewp` (dew point), both in °F. Return one
# `bool` a row, in the order of the rows, as a list, array or Series: `True` where the temperature is **more than
# 0.1 °F below** the dew point (less is rounding).
#
# Two kinds of row must pass. In **fog** both values are equal. And where a value is **missing**, nothing is known
# to be wrong.
#
# Example: temperatures 39.0, 3.9, 55.0 with dew points 27.0, 27.0, 55.0 give `[False, True, False]`.
#
# <details><summary>Hint 1</summary>
#
# Comparing two columns gives one bool a row: `frame["temp"] < …`. A comparison with a missing value is `False`.
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Ask for what is *wrong*, not for `~(what is right)`. With a missing value both comparisons are `False`, and `~False`
# would call the row impossible.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-1-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def impossible_weather(frame):
    """Return one bool a row: True where temp is more than 0.1 °F below dewp (both in °F)."""
    ### BEGIN SOLUTION
    return list(frame["temp"] < frame["dewp"] - 0.1)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-1-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
readings = pd.DataFrame(
    {"temp": [39.0, 3.9, 55.0, None, 70.0, 5.0, 41.0], "dewp": [27.0, 27.0, 55.0, 30.0, 70.05, -4.0, 50.0]}
)
order = checks.shuffled(range(len(readings)))
answer = impossible_weather(readings.iloc[order])
checks.require(answer is not None, "impossible_weather returned None: return the result")
checks.require(
    not pd.api.types.is_scalar(answer),
    f"it returned {answer}: a single verdict for the whole batch throws away good rows, "
    "or lets bad ones in. Give one bool a row",
)
answer = [bool(value) for value in answer]
checks.equal(len(answer), len(readings), what="the number of bools (one a row)")
answer = [answer[order.index(row)] for row in range(len(readings))]
good_rows = [True, False, True]
checks.require(answer[:3] != good_rows, "this marks the good rows: True must mean impossible")
for holds, message in [
    (not answer[2], "fog was refused: at 100 % humidity both values are equal, and that is true weather"),
    (not answer[3], "a missing temperature was called impossible: unknown is not wrong. Mind ~(a >= b)"),
    (answer[1], "3.9 °C read as °F passed: no range on one column can see it, compare temp with dewp"),
    (not answer[4], "0.05 °F below the dew point is rounding: the limit is 0.1 °F"),
    (not answer[0], "39 °F with a dew point of 27 °F is ordinary weather, and it was refused"),
    (not answer[5], "5 °F with a dew point of -4 °F is a cold, true morning: compare temp with dewp, not with a limit"),
    (answer[6], "41 °F with a dew point of 50 °F passed: compare temp with the dew point of its own row, not with a limit"),
]:
    checks.require(holds, message)
checks.passed("1.1, visible check", 2)

# %% nbgrader={"grade": true, "grade_id": "hidden-1-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 1.1 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
real = data.flights([2], columns=["temp", "dewp"]).sample(3000, random_state=checks.random().getrandbits(32))
planted = real.copy()
cold = checks.shuffled([True] * 300 + [False] * 2700)  # every tenth reading in °C, wherever it stands
planted.loc[cold, "temp"] = (planted.loc[cold, "temp"] - 32) / 1.8
truth = [bool(temp < dewp - 0.1) for temp, dewp in zip(planted["temp"], planted["dewp"])]
marked = [bool(value) for value in impossible_weather(real)]
checks.require(not any(marked), f"{sum(marked)} of 3,000 real February readings were called impossible; all of them are true")
marked = [bool(value) for value in impossible_weather(planted)]
checks.equal(sum(marked), sum(truth), what="the number of rows marked in a feed with every tenth reading in °C")
checks.require(marked == truth, "the right number of rows was marked, but not the right ones: keep the order of the rows")
checks.equal(len(list(impossible_weather(real.head(0)))), 0, what="the number of bools for an empty batch")
### END HIDDEN TESTS

# %%
before, after = (sum(impossible_weather(frame)) for frame in (year, celsius))
Markdown(f"""
Your rule finds **{before}** impossible rows among {len(year):,} real ones, and **{after:,}** of
{len(celsius):,} in the °C feed. A desk that refuses a batch with more than a few bad rows would refuse this one.
""")

# %% [markdown]
# ## 1.4 Stage C · Features: known, and known in time
#
# A feature is a column that the model may look at. At the desk it must be known **when the prediction is made**, at
# the scheduled departure. A column that is filled later is **leakage**: the model learns from the future, shines in
# every test, and fails on its first day.
#
# So the question to ask of a column is not "does it help?" but "*when* is it written?". The next cell measures that on
# January's flights, in minutes after the scheduled departure (negative: before it).

# %%
def entry(column, minutes, *, rewritten=False):
    last = None if minutes.isna().any() else float(minutes.max())
    return {"column": column, "first_known": float(minutes.min()), "last_known": last, "rewritten": rewritten}

past_hour = january["dep_minute"] % 60  # the weather station reads at 51 minutes past each hour
catalogue = [
    entry("sched_dep_time", pd.Series([-129_600])),  # the timetable: planned about 90 days ahead
    entry("tailnum", pd.Series([-120]), rewritten=True),  # planned about 2 hours ahead
    entry("temp, last full hour", -9 - past_hour),
    entry("temp, same hour", 51 - past_hour),
    entry("dep_delay", january["dep_delay"]),  # known when the aircraft leaves the gate
    entry("arr_delay", wait * 60),
]
pd.DataFrame(catalogue, dtype=object).replace({None: "never, for some"})

# %%
cancelled = january["dep_time"].isna()
missing = january["tailnum"].isna().groupby(cancelled).mean()
Markdown(f"""
Three traps in one small table:

- **`dep_delay`** is known early for some: {(january["dep_delay"] < 0).mean():.0%} of January's flights
  left *before* their time. For most of the others it comes too late, and for cancelled flights never.
- **The weather row stamped 17:00** was read at 17:51. A flight due at 17:05 must use the row before.
- **`tailnum`** is planned hours ahead. But the archive was *rewritten* afterwards: it is missing for
  {missing[True]:.0%} of the cancelled flights and for {missing[False]:.0%} of those that flew. Its gaps
  tell the outcome.
""")

# %% [markdown]
# ### Exercise 1.2 · Known in time (4 points)
#
# Write `known_in_time(catalogue)`. It gets a list of dicts like the table above and returns the list of the column
# names that a model may use, in the order of the catalogue. A column may be used if
#
# - it is known for **every** flight at the scheduled departure: `last_known` is 0 or less (minutes), and not `None`
#   (`None`: for some flights it is never known);
# - and it is not `rewritten` after the flight.
#
# For the table above the answer is `["sched_dep_time", "temp, last full hour"]`.
#
# <details><summary>Hint 1</summary>
#
# `first_known` tells about the luckiest flight. Which column tells about the unluckiest?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Test for `None` first: `row["last_known"] is not None and row["last_known"] <= 0`. The shorter
# `row["last_known"] or 0` turns "never" into "at departure".
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-1-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def known_in_time(catalogue):
    """Return the columns known for every flight at minute 0 and never rewritten, in order."""
    ### BEGIN SOLUTION
    return [
        row["column"]
        for row in catalogue
        if row["last_known"] is not None and row["last_known"] <= 0 and not row["rewritten"]
    ]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-1-2", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
mixed = checks.shuffled(catalogue)
answer = known_in_time(mixed)
checks.require(answer is not None, "known_in_time returned None: return the list")
answer = list(answer)
for kept, message in {
    "temp, same hour": "known for some flights is not known for all, look at last_known",
    "dep_delay": "last_known None means never for some flights, not 'at minute 0'",
    "arr_delay": "last_known None means never for some flights, not 'at minute 0'",
    "tailnum": "it is known early, but rewritten after the flight, so its gaps tell the outcome",
}.items():
    checks.require(kept not in answer, f"'{kept}' was kept: {message}")
usable = ["sched_dep_time", "temp, last full hour"]
checks.equal(sorted(answer), usable, what="the usable columns, sorted")
in_order = [row["column"] for row in mixed if row["column"] in usable]
checks.equal(answer, in_order, what="known_in_time(a catalogue in another order)")
checks.equal(list(known_in_time(mixed[:0])), [], what="the usable columns of an empty catalogue")
checks.passed("1.2, visible check", 2)

# %% nbgrader={"grade": true, "grade_id": "hidden-1-2", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 1.2 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
other = [
    ("gate", -180, 0, False),
    ("seats_sold", -10, 3.5, False),
    ("bags", None, None, False),
    ("crew", -600, -60, True),
    ("holiday", -525600, -525600, False),
    ("runway_in_use", -15.5, -0.5, False),
]
keys = ("column", "first_known", "last_known", "rewritten")
other = checks.shuffled(other)
answer = list(known_in_time([dict(zip(keys, row)) for row in other]))
checks.require("gate" in answer, "a column known exactly at the scheduled departure (last_known 0) is in time")
checks.require("seats_sold" not in answer, "a column that is known 3.5 minutes late for some flights was kept: look at last_known")
checks.require("crew" not in answer, "a column that is rewritten after the flight was kept")
checks.equal(answer, [name for name, *_ in other if name in ("gate", "holiday", "runway_in_use")], what="the usable columns of another airport's catalogue")
checks.equal(list(known_in_time([])), [], what="the usable columns of an empty catalogue")
### END HIDDEN TESTS

# %% [markdown]
# How good would the forbidden column have been? The library refuses to build features from it, so take its AUC alone.
# (**AUC** is the chance that a late flight gets a higher score than a punctual one: 0.5 is a coin, 1.0 is perfect.)

# %%
from sklearn.metrics import roc_auc_score

landed = data.labelled(january)
leak_auc = roc_auc_score(landed["late"], landed["dep_delay"])
try:
    features.select(january, ["distance", "dep_delay"])
except CourseError as error:
    print(error)
Markdown(f"`dep_delay` alone, without any model: **AUC {leak_auc:.2f}**. Compare the honest ones below.")

# %% [markdown]
# ## 1.5 Stages D and E · Train, and write down what you did
#
# Training is the shortest stage. Gradient-boosted trees learn from every January flight whose label was known when
# February began. The settings are one small object, the seed is one of them, and so training twice gives the same
# model to the last bit:

# %%
config = training.TrainingConfig()
known_rows = data.labelled(january, as_of=cut)
model = training.train(known_rows, config)
twin = training.train(known_rows, config)
print("first ", tracking.model_digest(model)[:32])
print("second", tracking.model_digest(twin)[:32])

# %% [markdown]
# In three months somebody will ask which rows and settings made this model. A **tracking store** answers. Ours is
# MLflow with a SQLite file; notebook 2 is about nothing else. Here one call logs the settings, the metrics, the model,
# and four digests (a digest, or hash, is a fingerprint of bytes: it changes when one bit changes).

# %%
store = tracking.open_store(workshop.name)
february = data.labelled(year[year["month"] == 2])
metrics = {"february": evaluation.evaluate(model, february)}
run_id = tracking.log_training(store, "late-flights", model, known_rows, config, metrics=metrics)
run = tracking.runs(store, "late-flights").iloc[0]
digests = ["tags.data_sha256", "tags.code_sha256", "tags.model_sha256", "tags.fingerprint"]
run[["params.months", "params.max_iter", "metrics.february.auc", *digests]].rename("logged").to_frame()

# %% [markdown]
# ### Exercise 1.3 · The fingerprint of a run (4 points)
#
# Write `fingerprint(rows, code, params, environment)`. It returns 64 hexadecimal digits (a SHA-256). The same four
# things give the same id, today and in three months, whatever the order of the keys in the two dicts. Any change in
# one of them gives another id.
#
# - `rows`: a pandas frame; every value in every row counts;
# - `code`: the source text of the training code;
# - `params`: a dict such as `{"max_iter": 60, "seed": 0}`;
# - `environment`: a dict such as `{"python": "3.11.9", "scikit-learn": "1.9.1"}`.
#
# Example: `fingerprint(rows, code, params, environment)` might begin `"3fa8c1…"`, and it does so every time.
#
# <details><summary>Hint 1</summary>
#
# `hashlib.sha256(text.encode()).hexdigest()` turns text into 64 digits, and `json.dumps(…, sort_keys=True)` turns dicts
# into text that doesn't depend on the order of keys.
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# `str(rows)` shows the first and last five rows only. `rows.to_csv()` writes them all. Put the four parts into one dict
# with four keys before you dump it, so that no part can overwrite or run into another.
#
# </details>

# %%
import hashlib
import json

# %% nbgrader={"grade": false, "grade_id": "ex-1-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fingerprint(rows, code, params, environment):
    """Return one id of 64 hexadecimal digits for data, code, parameters and environment together."""
    ### BEGIN SOLUTION
    parts = {"rows": rows.to_csv(), "code": code, "params": params, "environment": environment}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-1-3", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
fresh = checks.afresh(fingerprint)
some_rows = pd.DataFrame({"dep_minute": range(360, 660), "late": [False, True, True] * 100})
params, libraries = {"max_iter": 60, "seed": 0}, {"python": "3.11.9", "scikit-learn": "1.9.1"}
flipped, middle = (some_rows.assign(late=some_rows["late"] ^ (some_rows.index == row)) for row in (0, 150))
one, another = (fresh(rows, "model.fit(X, y)", params, libraries) for rows in (some_rows, flipped))
checks.require(
    isinstance(one, str) and len(one) == 64 and set(one) <= set("0123456789abcdef"),
    f"the id {str(one)[:20]!r} is not 64 hexadecimal digits. Python's hash() differs in every process, "
    "and readable text grows with the data: use hashlib.sha256(…).hexdigest()",
)
same = fingerprint(some_rows, "model.fit(X, y)", params, libraries)
checks.require(same == one, "two calls, two ids: a time or random number is not part of what was done")
same = fingerprint(
    some_rows, "model.fit(X, y)", dict(reversed(params.items())), dict(reversed(libraries.items()))
)
checks.require(same == one, "the order of the keys changed the id, but the settings are the same")
older = libraries | {"scikit-learn": "1.8.0"}
for what, other in {
    "one label in the data": another,
    "the code": fingerprint(some_rows, "model.fit(X, 1 - y)", params, libraries),
    "a parameter's value": fingerprint(some_rows, "model.fit(X, y)", params | {"max_iter": 61}, libraries),
    "the version of a library": fingerprint(some_rows, "model.fit(X, y)", params, older),
}.items():
    checks.require(other != one, f"{what} changed, and the id did not: two models would share it")
other = fingerprint(middle, "model.fit(X, y)", params, libraries)
checks.require(other != one, "row 150 of 300 changed, and the id did not: str(frame) shows only the first and last rows")
own = [fingerprint(some_rows, "model.fit(X, y)", {"seed": seed}, {"seed": "1"}) for seed in (0, 2)]
checks.require(own[0] != own[1], "params and environment both have a key 'seed', and one overwrote the other: no "
               "part may run into another")
checks.passed("1.3, visible check", 2)

# %% nbgrader={"grade": true, "grade_id": "hidden-1-3", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 1.3 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
fresh = checks.afresh(fingerprint)
many = pd.DataFrame({"dep_minute": [i % 1440 for i in range(5000)], "late": [i % 4 == 0 for i in range(5000)]})
touched = many.copy()
touched.loc[2500, "dep_minute"] = 7
rest = ("fit()", {"seed": 0}, {"python": "3.11.9"})
known, changed = fresh(many, *rest), fresh(touched, *rest)  # both before a call that leaves something behind
checks.require(fingerprint(many.copy(), *rest) == known, "a copy of the same rows got another id: hash the values, not the object")
checks.require(
    changed != known,
    "one value in the middle of 5,000 rows changed and the id did not: str(frame) shows only the first and last rows",
)
few = many.head(10)
clash = [fingerprint(few, "fit()", {"version": v}, {"version": "1.9.1"}) for v in (1, 2)]
checks.require(clash[0] != clash[1], "params and environment share a key, and one overwrote the other: keep the two dicts apart")
checks.require(
    fingerprint(few, "fit()", {"seed": 1}, {}) != fingerprint(few, "fit()", {}, {"seed": 1}),
    "a parameter and an environment entry of the same name gave the same id: keep the two dicts apart",
)
checks.equal(len(fingerprint(few, "", {}, {})), 64, what="the length of the id without parameters and environment")
### END HIDDEN TESTS

# %% [markdown]
# ## 1.6 Stage F · Evaluate: the split decides the score
#
# Before you run the next cell, guess. The desk has January and February. One colleague holds out a **random** part of
# the flights, as most tutorials do. Which AUC will he report? And what will February be like for a model that knows
# only January?

# %%
from sklearn.model_selection import train_test_split

winter = year[year["month"] <= 2]
flown = data.labelled(winter)
share = len(february) / len(flown)
random_train, random_test = train_test_split(flown, test_size=share, random_state=0)
random_auc = evaluation.evaluate(training.train(random_train, config), random_test).auc
honest_auc = evaluation.evaluate(model, february).auc
Markdown(f"""
A random split promises **AUC {random_auc:.3f}**. February delivers **AUC {honest_auc:.3f}**.
""")

# %% [markdown]
# Same two months, same settings, same seed, nearly the same number of training rows. What differs is how the rows were
# divided. Divide them the way the desk lives: what was known, and what came after.
#
# ### Exercise 1.4 · Split at a moment (4 points)
#
# Write `split_at(frame, moment)`. `frame` has the columns `flight_id`, `sched_dep`, `label_known_at` (UTC time stamps)
# and `late`; its rows are in no particular order. `moment` is a UTC time stamp. Return two frames `(train, test)`:
#
# - `train`: the flights whose label was known at `moment` or before: nothing that was still in the air;
# - `test`: the flights scheduled at `moment` or later that have a label: the model was in service for them.
#
# Cancelled flights have no label and belong to neither. Nor do the flights that were under way at `moment`.
#
# Example: for `moment` 1 February 00:00, a flight scheduled on 31 January at 22:00 that lands at 01:00 is in neither
# frame.
#
# <details><summary>Hint 1</summary>
#
# `train` and `test` look at two different columns. A missing time stamp compares as `False`.
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# `frame[frame["label_known_at"] <= moment]` is one half. For the other, combine two conditions with `&`, each in
# parentheses; `frame["late"].notna()` is one of them.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-1-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def split_at(frame, moment):
    """Return (train, test): labels known at moment, and labelled flights scheduled from moment on."""
    ### BEGIN SOLUTION
    train = frame[frame["label_known_at"] <= moment]
    test = frame[(frame["sched_dep"] >= moment) & frame["late"].notna()]
    return train, test
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-1-4", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
frame = pd.DataFrame(
    [  # scheduled, label known, late
        ("01-30 12:00", "01-30 15:00", False),
        ("02-02 12:00", "02-02 15:00", True),
        ("01-31 22:00", "02-01 01:00", True),
        ("02-01 00:00", "02-01 03:00", False),
        ("01-31 23:00", None, None),
        ("01-31 21:00", "02-01 00:00", False),
    ],
    columns=["sched_dep", "label_known_at", "late"],
    index=["landed", "next day", "in the air", "at the cut", "cancelled", "just landed"],
).astype({"late": "boolean"})
for column in ("sched_dep", "label_known_at"):
    frame[column] = pd.to_datetime("2013-" + frame[column], utc=True)
frame = frame.loc[checks.shuffled(frame.index)].assign(flight_id=checks.shuffled(range(6)))
given = frame.reset_index(drop=True)
train, test = split_at(given, pd.Timestamp("2013-02-01", tz="UTC"))
names = dict(zip(frame["flight_id"], frame.index))
train, test = ({names[number] for number in part["flight_id"]} for part in (train, test))
for wrong, message in [
    (train & {"next day", "at the cut"}, "in train: a random or positional split learns from the future"),
    (train & {"in the air"}, "in train: its label was not known at the moment, look at label_known_at"),
    ((train | test) & {"cancelled"}, "in a frame: it has no label, so it can't teach or test"),
    (test & {"in the air"}, "in test: it left before the model was in service, look at sched_dep"),
    (test - {"next day", "at the cut"}, "in test, but it belongs to the past"),
    ({"landed", "just landed"} - train, "missing from train: known at the moment is known, use <="),
    ({"next day", "at the cut"} - test, "missing from test: the model serves from the moment on, use >="),
]:
    checks.require(not wrong, f"flight {', '.join(sorted(map(repr, wrong)))} is {message}")
checks.passed("1.4, visible check", 2)

# %% nbgrader={"grade": true, "grade_id": "hidden-1-4", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 1.4 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
mixed = data.flights([3], columns=["flight_id", "sched_dep", "label_known_at", "late"]).sample(frac=1, random_state=checks.random().getrandbits(32))
moment = pd.Timestamp("2013-03-14 18:00", tz="UTC")
train, test = split_at(mixed, moment)
landed_by_then = set(mixed.loc[mixed["label_known_at"] <= moment, "flight_id"].tolist())
later = set(mixed.loc[(mixed["sched_dep"] >= moment) & mixed["label_known_at"].notna(), "flight_id"].tolist())
extra = set(train["flight_id"].tolist()) - landed_by_then
checks.require(not extra, f"on shuffled March flights, {len(extra)} in train had no label at the moment")
checks.equal(len(train), len(landed_by_then), what="the number of March flights in train")
checks.require(set(train["flight_id"].tolist()) == landed_by_then, "train holds the wrong March flights")
checks.equal(len(test), len(later), what="the number of March flights in test")
checks.require(set(test["flight_id"].tolist()) == later, "test holds the wrong March flights")
for part in (train, test):
    given = mixed.set_index("flight_id").loc[part["flight_id"].tolist()].reset_index()
    checks.require(set(mixed.columns) <= set(part.columns), "the frames have lost columns: return whole rows")
    for column in mixed.columns:
        kept = part[column].reset_index(drop=True)
        same = given[column].equals(kept) or given[column].tolist() == kept.tolist()
        checks.require(same, f"the column {column} is not what it was: return the rows as they are")
### END HIDDEN TESTS

# %% [markdown]
# Your split, the colleague's split, and the reason for the difference. The last column counts **twins**: test flights
# for which the training rows hold another flight from the same airport in the same hour.

# %%
def twins(train, test):
    hours = pd.MultiIndex.from_frame(train[["origin", "time_hour"]]).unique()
    return pd.MultiIndex.from_frame(test[["origin", "time_hour"]]).isin(hours).mean()

train_rows, test_rows = (part.astype({"late": bool}) for part in split_at(winter, cut))
time_auc = evaluation.evaluate(training.train(train_rows, config), test_rows).auc
Markdown(f"""
| | AUC | test flights with a twin in train |
|---|---|---|
| random split | {random_auc:.3f} | {twins(random_train, random_test):.1%} |
| your split at 1 February | {time_auc:.3f} | {twins(train_rows, test_rows):.1%} |
""")

# %% [markdown]
# (Your February figure is not quite the one above: your cut is midnight in UTC, 19:00 in New York, so 130 flights of
# January's last evening are in this test too.)
#
# One storm delays a hundred flights at once. Shuffle them, and nearly every test flight has neighbours from its own
# hour among the training rows: the model has *seen the storm*. In service, tomorrow's storm has no neighbours yet. The
# random split answered a question that nobody will ever ask.

# %% [markdown]
# ## 1.7 Stages G, H and I · Register, deliver, deploy
#
# Which file is in service? A **registry** knows. It gives a model a name and version numbers, and an **alias** points
# at one of them: `challenger` for the candidate, `champion` for the one in service. To deliver a new model is to move
# the alias. Before it moves, CI/CD (continuous integration and delivery: the machine that says no) runs the tests:

# %%
version = registry.register(store, run_id)
pd.DataFrame(evaluation.behaviours(model, february))

# %% [markdown]
# These are tests of *behaviour*, not of a score: rain and fog must not make flights more punctual, the order of the rows
# must not matter, an evening must be riskier than a morning. A model can win on AUC and fail here. Then the **gate** compares
# with the champion, on flights the model was not trained on, and the alias moves. The first model has nobody to beat; later
# ones must have an AUC at least 0.002 better:

# %%
decision = registry.promote(store, february)
print(decision.reasons[0])
print("in service: version", registry.resolve(store, "champion").number)

# %% [markdown]
# Now the model serves. The desk asks for `champion` and never for a file or a version. That is why a new version, or
# the old one again, needs no change on the desk's side. Here it serves inside this process; notebook 3 puts it behind
# an HTTP API.

# %%
in_service = registry.load(store, "champion")
flight = february[february["origin"] == "LGA"].sample(1, random_state=4)
risk = training.predict(in_service, flight)[0]
row = flight.iloc[0]
Markdown(f"""
Flight {row["carrier"]} {row["flight"]}, {row["origin"]} → {row["dest"]}, due
{row["sched_dep"]:%d %B %H:%M} UTC: the champion says **{risk:.0%}** risk of being late.
(Hours later: {"late" if row["late"] else "on time"}.)
""")

# %% [markdown]
# ## 1.8 Stage J · Monitor: the model stands still, the world does not
#
# Freeze the January model and let the year run. `replay` plays week after week, as it would have happened: each flight is
# scored at its scheduled departure, and its label counts only once it has landed. First, what the model *says* against
# what *happens*:

# %%
frozen = retraining.replay(year, retraining.NEVER, start="2013-02-01")
plots.lines(
    {
        "predicted by the January model": frozen.weeks["mean_prediction"],
        "observed": frozen.weeks["late_rate"],
    },
    xlabel="week (2013)",
    ylabel="share of late flights (0–1)",
    title="What the frozen model says, and what happens",
)

# %% [markdown]
# > **Figure 1 in words.** Two lines over the weeks from February to August. The predicted share of late flights stays
# > between about 0.15 and 0.35. The observed share swings wider, from below 0.15 in late March to above 0.4 in late April
# > and late June. In those two weeks the prediction is far too low; in late August it is far too high.

# %%
scored = data.labelled(year.loc[frozen.predictions.dropna().index])
by_month = pd.DataFrame(
    {
        month: evaluation.score(flights["late"], frozen.predictions[flights.index].to_numpy()).as_dict()
        for month, flights in scored[scored["month"] > 1].groupby("month")
    }
).T.rename_axis("month")
by_month[["auc", "late_rate", "mean_prediction", "calibration_error"]].style.format("{:.3f}")

# %%
weeks = frozen.weeks
worst = (weeks["mean_prediction"] - weeks["late_rate"]).abs().idxmax()
Markdown(f"""
The worst week begins on {worst:%d %B}: the model says {weeks.mean_prediction[worst]:.0%} late, and
**{weeks.late_rate[worst]:.0%}** were.
""")

# %% [markdown]
# Look at the column `auc`. It *rises* from April to May. Has the model become better? No: it is frozen. The **task** became
# easier, probably because a stormy evening is easy to tell from a calm morning. A single metric over time mixes up the
# model and the weather. Two ways out, and you need both:
#
# - look at **calibration** too: does "20 %" mean that 20 of 100 such flights are late? The column `calibration_error` sorts
#   the flights into groups of similar prediction, takes |predicted − observed| in each, and averages. It can be large
#   although the two overall shares agree;
# - compare with a **reference** on the same flights, such as a freshly trained model. That is the next section.
#
# Both need labels. They come some three hours after the departure, and for 3 % of the year's flights so far never (January:
# 2 %). What needs no label:
# the data rules of section 1.3, the distribution of the inputs, and the mean prediction in figure 1.

# %% [markdown]
# ## 1.9 Stage K · Retrain: a decision with a reason
#
# Each Monday somebody, or something, decides whether to train again. A policy sees the **evidence** that is known on
# that Monday: the age of the model in days, the number of recent flights (14 days) that it scored and whose labels
# have come in, its AUC on them, and its gap (mean prediction minus late rate). Nothing from the future.
#
# ### Exercise 1.5 · A policy that says why (6 points)
#
# Write `weekly_decision(evidence)`. It gets an `Evidence(age_days, labels, auc, gap)` and returns
# `Decision(retrain, reason)`: a `bool` and a sentence. The first rule that applies decides:
#
# 1. younger than **14** days: no (cool-down: one bad week must not cause a storm of trainings);
# 2. **60** days old or more: yes, even if no label came in (a dead label feed must not protect an old model);
# 3. fewer than **2,000** labels: no (too little evidence to judge);
# 4. `auc` below **0.62**: yes; `auc` may be `None` (not computable), and then this rule does not apply;
# 5. `gap` farther than **0.06** from zero, on either side: yes; it may be `None` too;
# 6. otherwise: no.
#
# The reason of rules 1 to 5 names **the number that decided**, as evidence gave it: the age, the count, the AUC or the
# gap, with at least two digits after the point for the last two. In three months this sentence is all that is left.
#
# Example: `weekly_decision(Evidence(age_days=20, labels=5000, auc=0.587, gap=0.01))` may return
# `Decision(True, "AUC 0.587 on 5,000 flights is below 0.62")`.
#
# <details><summary>Hint 1</summary>
#
# Six `if … return Decision(…)` in the order of the list. f-strings put the number into the reason:
# `f"AUC {evidence.auc:.3f} is below 0.62"`.
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# `None < 0.62` is an error, so test `evidence.auc is not None and evidence.auc < 0.62`. A gap of −0.10 is as bad as
# +0.10: `abs(evidence.gap)`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-1-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def weekly_decision(evidence):
    """Return Decision(retrain, reason) for an Evidence; the reason names the number that decided."""
    ### BEGIN SOLUTION
    if evidence.age_days < 14:
        return Decision(False, f"cooling down: the model is {evidence.age_days:.0f} days old")
    if evidence.age_days >= 60:
        return Decision(True, f"age: the model is {evidence.age_days:.0f} days old")
    if evidence.labels < 2000:
        return Decision(False, f"too little evidence: {evidence.labels:,} labels")
    if evidence.auc is not None and evidence.auc < 0.62:
        return Decision(True, f"AUC {evidence.auc:.3f} on {evidence.labels:,} flights is below 0.62")
    if evidence.gap is not None and abs(evidence.gap) > 0.06:
        return Decision(True, f"calibration: predictions are {evidence.gap:+.3f} off the late rate")
    return Decision(False, "healthy")
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-1-5", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
cases = [  # age, labels, AUC, gap, retrain?, the number that decides, what went wrong otherwise
    (3, 9000, 0.55, -0.02, False, 3, "at 3 days: without a cool-down one bad week is a storm of trainings"),
    (75, 0, None, None, True, 75, "at 75 days without labels: a dead feed must not protect an old model"),
    (20, 150, 0.50, 0.20, False, 150, "on 150 labels: so few are noise, not evidence"),
    (20, 9000, 0.59, 0.01, True, 0.59, "on an AUC of 0.59, and 0.62 is the limit"),
    (20, 9000, 0.70, 0.09, True, 0.09, "on a gap of 0.09: a good AUC does not excuse it"),
    (20, 9000, 0.70, -0.105, True, 0.105, "on a gap of -0.105: too low is as bad as too high"),
    (20, 9000, None, 0.01, False, None, "on an AUC of None: not computable is not zero"),
    (20, 9000, 0.70, 0.02, False, None, "on a healthy model"),
]
known = [(Evidence(age_days=age, labels=labels, auc=auc, gap=gap),) for age, labels, auc, gap, *_ in cases]
for (*_, retrain, number, message), decided in zip(cases, checks.asked(weekly_decision, known)):
    checks.require(
        isinstance(decided, Decision),
        f"weekly_decision returned {decided!r}, but a bare yes or no can't be audited: "
        "return Decision(retrain, reason)",
    )
    checks.require(bool(decided.retrain) == retrain, f"{'no' if retrain else 'a'} training {message}")
    if number is not None:
        checks.mentions(decided.reason, number, what="the reason")
checks.passed("1.5, visible check", 3)

# %% nbgrader={"grade": true, "grade_id": "hidden-1-5", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 1.5 (3 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
import itertools

edges = [(14, 2000, 0.62, 0.06, False), (60, 9000, 0.8, 0.0, True), (14, 2000, 0.619, 0.0, True), (30, 1999, 0.5, 0.3, False), (13.99, 9000, 0.5, 0.3, False), (30, 9000, None, -0.07, True), (30, 9000, 0.5, None, True)]
evidence = [Evidence(age_days=age, labels=labels, auc=auc, gap=gap) for age, labels, auc, gap, _ in edges]
for case, (*_, retrain), decided in zip(evidence, edges, checks.asked(weekly_decision, zip(evidence))):
    checks.require(bool(decided.retrain) == retrain, f"a limit is on the wrong side: {case} must{'' if retrain else ' not'} be retrained")
grid = list(itertools.product((0, 7, 21, 59, 61, 200), (0, 1200, 2400, 30000), (None, 0.51, 0.6133, 0.71), (None, -0.2, -0.0613, 0.03, 0.0777)))
evidence = [Evidence(age_days=age, labels=labels, auc=auc, gap=gap) for age, labels, auc, gap in grid]
for (age, labels, auc, gap), case, decided in zip(grid, evidence, checks.asked(weekly_decision, zip(evidence))):
    wanted = retraining.decide(retraining.Policy(), case)
    checks.require(bool(decided.retrain) == wanted.retrain, f"{case} must{'' if wanted.retrain else ' not'} be retrained ({wanted.reason})")
    number = next((n for word, n in (("age", age), ("cool", age), ("too", labels), ("AUC", auc), ("cal", gap)) if wanted.reason.startswith(word)), None)
    if number is not None:
        checks.mentions(decided.reason, number, what="the reason")
### END HIDDEN TESTS

# %% [markdown]
# Your function now runs the desk. Each Monday from February on it decides; where it says yes, a new model is
# trained on all labels known that day and serves from then on. (This replay asks no gate; the registry still has January's
# model.)

# %%
from functools import cache

@cache  # play the year once, then remember
def retrained():
    return retraining.replay(year, weekly_decision, start="2013-02-01")

# %%
pd.DataFrame(
    {"Monday": f"{made.moment:%d %B}", "reason": made.reason, "flights to learn from": f"{made.rows:,}"}
    for made in retrained().retrainings
)

# %%
plots.lines(
    {"frozen in January": frozen.weeks["auc"], "retrained by your policy": retrained().weeks["auc"]},
    xlabel="week (2013); dotted lines: your trainings",
    ylabel="AUC on the week's flights (0.5–1)",
    title="Ranking: what retraining bought",
    events=[made.moment.tz_localize(None) for made in retrained().retrainings],
)

# %% [markdown]
# > **Figure 2 in words.** AUC by week for the frozen and the retrained model. Both rise and fall together with the
# > weather, between about 0.6 and 0.8. From the first training on, the retrained model lies above the frozen one in
# > most weeks, by a few hundredths; in a few weeks it lies below. Dotted vertical lines mark the trainings.

# %%
gaps = {
    name: replayed.weeks["mean_prediction"] - replayed.weeks["late_rate"]
    for name, replayed in {"frozen in January": frozen, "retrained by your policy": retrained()}.items()
}
plots.lines(
    gaps,
    xlabel="week (2013)",
    ylabel="predicted − observed share (0 is right)",
    title="Calibration: what retraining did not buy",
)

# %% [markdown]
# > **Figure 3 in words.** The gap between predicted and observed share of late flights by week, for both models. The two
# > lines swing together between about −0.24 and +0.18. In late April and late June both predict far too few late flights;
# > at the end of August both predict too many. The retrained line is not closer to zero.

# %%
old, new = (
    evaluation.score(scored["late"], replayed.predictions[scored.index].to_numpy())
    for replayed in (frozen, retrained())
)
weeks, weeks_new = frozen.weeks, retrained().weeks
gain = weeks_new["auc"] - weeks["auc"]
nearer = weeks["calibration_error"] - weeks_new["calibration_error"]
off = weeks["calibration_error"].mean(), weeks_new["calibration_error"].mean()
Markdown(f"""
**What retraining bought** (models trained: {len(retrained().retrainings)}, flights scored: {len(scored):,})

| | frozen | retrained |
|---|---|---|
| AUC, all flights | {old.auc:.3f} | {new.auc:.3f} |
| weeks with the better AUC | {(gain < 0).sum()} | {(gain > 0).sum()} |
| mean weekly calibration error | {off[0]:.3f} | {off[1]:.3f} |
| weeks with the better calibration | {(nearer < 0).sum()} | {(nearer > 0).sum()} |
| calibration error, all flights together | {old.calibration_error:.3f} | {new.calibration_error:.3f} |
""")

# %% [markdown]
# An honest result, and not the one most courses show. Retraining bought **ranking**: more months to learn from, a better
# AUC in most weeks. It did **not** buy calibration week by week. The share of late flights swings with each week's
# storms, and last month's flights do not say which storms come next. A fresh model can even learn the wrong lesson from a
# bad fortnight. Over the whole period both models are better calibrated than in most single weeks.
#
# Now look again at your table of trainings. Those whose reason is the gap cost as much as the others. Before you
# retrain, ask which problem retraining can solve. Notebook 6 is about which signal asks for which remedy.
#
# (In the first three weeks nothing had been trained yet, and both are the same model: these weeks are better for neither. The
# words here and under the figures describe February to August; with `LAST_MONTH = 12`, look again at what more months
# bought.)
#
# The wheel closes. The replay swapped models without asking anybody. Do the newest swap properly: it becomes the challenger,
# and the gate judges it on flights that neither model has learnt from:

# %%
last = retrained().retrainings[-1].moment
challenger_rows = data.labelled(year, as_of=last)
challenger_run = tracking.log_training(store, "late-flights", retrained().model, challenger_rows, config)
registry.register(store, challenger_run)
unseen = split_at(year, last)[1].astype({"late": bool})
try:
    print("\n".join(registry.promote(store, unseen).reasons))
except PromotionError as error:
    print(error)
print("in service: version", registry.resolve(store, "champion").number)

# %% [markdown]
# ## 1.10 The whole wheel
#
# Eleven things that went wrong at desks like this one. Each has one stage whose *own* check would have stopped it
# first.
#
# | Name | What happened |
# |---|---|
# | `april` | Two flights in five were late, the model said one in six. The desk read it in the paper. |
# | `friday` | A change to the feature code was merged untested. Every request has failed since. |
# | `half-file` | Half of February is missing: a download was cut off, its checksum never compared. |
# | `lost-recipe` | The model in service is good. Nobody can say which rows and settings made it. |
# | `model_final_2` | Three files are called model_final. Nobody can say which one answers the dispatchers. |
# | `model-storm` | After one bad day a new model was trained every night for two weeks. None was better. |
# | `moody` | Two trainings on the same rows with the same settings gave different models. |
# | `promise` | The report promised an AUC of 0.73. The first month in service gave 0.62. |
# | `sensor` | A wind of 1,048 mph reached the model. |
# | `slow-answer` | The model is right, but an answer takes 40 seconds: every request loads it anew. |
# | `too-good` | In tests one column gave an AUC of 0.89. In service it is empty until the plane has left. |
#
# ### Exercise 1.6 · Which stage would have stopped it? (4 points)
#
# Write `triage(incidents)`. It gets a list of names from the table, in any order, and returns a list of pairs
# `(stage, name)`, one for each name it was given, **in the order of the lifecycle**. The stage is a letter: A data
# collection, B data validation, C feature engineering, D model training, E experiment tracking, F model evaluation,
# G model registry, H CI/CD, I deployment, J monitoring, K retraining. Every stage has exactly one of the eleven.
#
# Example of the form (not of the content): `triage(["sensor", "april"])` → `[("X", "sensor"), ("Y", "april")]`.
#
# <details><summary>Hint 1</summary>
#
# A dict from name to letter, and `sorted`. Start with those you are sure of; the last two or three follow.
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Three pairs are easily swapped. The *run* knows how a model was made, the *registry* which one is in service. *Validation*
# asks whether a value can be true, *collection* whether it arrived whole. *Monitoring* sees, *retraining* acts.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-1-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def triage(incidents):
    """Return (stage letter, incident name) for each of ``incidents``, in the order of the lifecycle."""
    ### BEGIN SOLUTION
    order = ["half-file", "sensor", "too-good", "moody", "lost-recipe", "promise"]  # A to F
    order += ["model_final_2", "friday", "slow-answer", "april", "model-storm"]  # G to K
    stage = dict(zip(order, "ABCDEFGHIJK"))
    return sorted((stage[name], name) for name in incidents)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-1-6", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
names = "april friday half-file lost-recipe model_final_2 model-storm moody promise sensor slow-answer too-good"
order = checks.shuffled(names.split())
parts = [[tuple(pair) for pair in triage(some)] for some in (order[:6], order[6:])]
pairs = parts[0] + parts[1]
checks.require(all(len(pair) == 2 for pair in pairs), "return pairs (stage, name)")
checks.require(not any(pair[0] in names.split() for pair in pairs), "in each pair the stage comes first: (stage, name)")
said = {name: stage for stage, name in pairs}
for (name, stage), message in {
    ("sensor", "A"): "collection delivers what the source sent; whether it can be true comes next",
    ("half-file", "B"): "every row in it is true. That half is missing shows in the file's checksum",
    ("too-good", "F"): "evaluation scored what it was given. The column should never have been a feature",
    ("lost-recipe", "G"): "the registry says which version serves; how it was made is in the tracked run",
    ("model_final_2", "E"): "a tracker keeps every run; which one is in service is the registry's word",
    ("promise", "D"): "training did what it was told. The split behind the promised score was wrong",
    ("promise", "J"): "monitoring saw it a month later. A split by time would have told before",
    ("friday", "I"): "deployment shipped what was merged. The tests of CI/CD stop it before",
    ("april", "K"): "nobody knew. Monitoring has to see it before retraining can act",
    ("model-storm", "J"): "the bad day was seen. What was missing is a cool-down in the policy",
}.items():
    checks.require(said.get(name) != stage, f"'{name}' is not for {stage}: {message}")
found = [sorted(name for _, name in part) for part in parts]
checks.require(found == [sorted(order[:6]), sorted(order[6:])], "answer only for the incidents that were given")
text = " ".join(f"{stage} {name}" for stage, name in sorted(pairs))
digest = hashlib.pbkdf2_hmac("sha256", text.encode(), b"exercise 1.6", 100_000).hex()  # slow: nobody tries all orders
checks.require(digest[:16] == "8e7f51f878bd657f", "not every name has its stage yet. Each stage has exactly one: whose "
               "own check would have stopped it first?")
in_order = all(part == sorted(part) for part in parts)
checks.require(in_order, "every stage is right, but they are not in lifecycle order: sort the pairs")
checks.passed("1.6, visible check", 3)

# %% nbgrader={"grade": true, "grade_id": "hidden-1-6", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 1.6 (1 point) run when the notebook is graded.
### BEGIN HIDDEN TESTS
stages = dict(zip("half-file sensor too-good moody lost-recipe promise model_final_2 friday slow-answer april model-storm".split(), "ABCDEFGHIJK"))
for count in checks.shuffled((1, 3, 4, 7)):
    given = checks.shuffled(stages)[:count]
    some = [tuple(pair) for pair in triage(given)]
    checks.require(len(some) == count, f"{count} incidents were given and {len(some)} pairs came back: answer only for the incidents that were given")
    right = sorted((stages[name], name) for name in given)
    checks.require(some == right, f"{some} is not right for {given}: a stage is wrong, or the order")
checks.equal(list(triage([])), [], what="triage of no incident")
### END HIDDEN TESTS

# %% [markdown]
# ### How far are you? Maturity levels
#
# A common yardstick has three levels ([Google Cloud, *MLOps: continuous delivery and automation pipelines in
# machine learning*](https://cloud.google.com/architecture/mlops-continuous-delivery-and-automation-pipelines-in-machine-learning)):
#
# | Level | What it is | How you recognise it | At the desk |
# |---|---|---|---|
# | 0 · manual | A person carries a model from a notebook to a server, a few times a year | Nobody knows what is running; no monitoring | before today |
# | 1 · the pipeline is automated | Training is a pipeline that data or a policy can start; the model is monitored | The same code runs in experiment and production; retraining needs no meeting | **this notebook**, as long as somebody runs it |
# | 2 · CI/CD of the pipeline | A change to the *code* is tested, built and delivered by machine as well | A commit on Friday is safe | notebooks 5 and 7 |
#
# Level 2 is not a virtue in itself. A model that is retrained once a year and read by three people is well served by
# level 0 and a good run log.

# %% [markdown]
# Clean-up: everything this notebook wrote is in one folder, and the folder goes. (Where a cell fails before this one, the
# folder goes when the kernel ends.)

# %%
workshop.cleanup()

# %% [markdown]
# ## Interview question
#
# > **"Do you know how to detect when a model starts degrading?"** And the follow-up: *"Our AUC rose from 0.61
# > in April to 0.73 in May. Are we getting better?"*
#
# Write what you would answer, in five to ten sentences, with at least one number from this notebook. Figures 1 and 2
# prove the point; exercise 1.5 shows it in code. A person grades it:
#
# | Points | For |
# |---|---|
# | 1 | signals that need no labels (checks of the input, the distribution of inputs and predictions), and why: labels come late, and some never |
# | 1 | ranking and calibration told apart, each with its metric |
# | 1 | a reference on the same flights, so that an easier season is not taken for a better model |
# | 1 | what happens next: a decision with a reason and a cool-down, a gate before the switch, a way back |
#
# *More questions on this topic, to practise in a terminal:* `python -m course_lib.interview --topic 1`

# %% [markdown] nbgrader={"grade": true, "grade_id": "interview-1", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# In three layers, because labels come late. At once I can see whether inputs are still valid and still look like the
# training data, and whether the predictions shift; no label is needed for that. Hours later the labels of landed
# flights come in, and I compute metrics only on labels known by then; cancelled flights never get one, so I watch their
# share as well. I track ranking (AUC) and calibration (mean prediction against the late rate) apart: at our desk the
# worst week of a frozen model had 16 % predicted and 40 % late, and AUC alone does not show how far off that is.
#
# An AUC that goes from 0.62 to 0.72 says nothing by itself. Our frozen January model did just that: summer storms are
# easier to rank. I would score a fresh model, or last quarter's, on the same flights and compare: the retrained one was
# better by about 0.02. That difference is about models; the rest was weather.
#
# When a limit is crossed, a policy decides and writes down why. It has a cool-down and asks for enough labels. The
# new model is a challenger: it must beat the champion on flights neither has seen, and on every airport, before
# the alias moves, and moving it back is the way out. And I would look for the cause first: retraining would not have
# mended a feed that had switched to °C.

# %% [markdown]
# ## State of the desk
#
# | Now automated | Still by hand | What breaks next |
# |---|---|---|
# | checksummed data; quarantine with reasons; leak-proof features; bit-identical training; a run that says what made it; a gate; a weekly decision with its reason | somebody runs this notebook; the champion answers only inside it; nobody is woken up when it is wrong | ten runs, two people, and the question *"which of these was the good one, and can you make it again?"* |
#
# **Next: notebook 2**, experiment tracking: find the best run under a constraint, promote it on every airport, and
# reproduce an old run bit for bit.
#
# *At home:* set `LAST_MONTH = 12` in the first code cell and run again. September is the calmest month of the year and December
# is not. What does your policy do, and does it help?
