# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 7 · CI/CD for models with GitHub Actions
#
# **Time:** 60 minutes · **Needs:** notebooks 1 to 6 read; nothing of them has to be run first.
#
# After this notebook you can
#
# - write tests of a *model* that find planted bugs which its AUC does not show;
# - stop a worse model with a gate that speaks by its exit code and says why;
# - write a workflow that passes the linters, and **run it on this machine**: red on a bad commit, green on its fix;
# - give a job the least permissions it can work with;
# - run a notebook with parameters, as a build does;
# - retrain on a schedule that can neither overlap nor deliver a worse model;
# - say what an orchestrator adds, and run the loop on one.
#
# ```mermaid
# flowchart LR
#   A[Data collection] --> B[Data validation] --> C[Feature engineering] --> D[Model training]
#   D --> E[Experiment tracking] --> F[Model evaluation] --> G[Model registry] --> H[CI/CD]
#   H --> I[Deployment] --> J[Monitoring] --> K[Retraining] --> A
#   classDef lit fill:#E69F00,stroke:#000,color:#000,stroke-width:2px
#   class H lit
# ```
#
# The cell below says which engines this notebook uses, and which of them this machine has.

# %%
from course_lib import engines

engines.table("act", "zizmor", "actionlint", "papermill")

# %%
import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
import pandas as pd

from course_lib import checks, data, delivery, evaluation, packaging, training

pd.set_option("display.max_colwidth", None)  # show whole sentences
SCRATCH = tempfile.TemporaryDirectory(prefix="course-07-")  # removed when the kernel ends
WORK = Path(SCRATCH.name)

# %% [markdown]
# ## 7.1 Three kinds of tests
#
# A repository with a model needs three kinds of tests. **Code tests** ask whether a function does what it says. **Data
# tests** ask whether a batch can be true (notebook 1's rules). **Model tests** ask whether the trained model behaves. The
# last kind is the one that most projects lack: they look at one number, such as the AUC, and ship.
#
# Is one number enough? Here is the desk's model, and nine copies of it, each with one bug that has happened to somebody.
# All of them are measured on the same flights of April.

# %%
year = data.labelled(data.flights([1, 2, 3, 4]))
april = year[year["month"] == 4]
model = training.train(year[year["month"] <= 3])
scorer = packaging.Scorer(packaging.export_onnx(model))


def predict(flights):
    """Return the probability of arriving late for each flight of a data frame."""
    return np.asarray(scorer.score(flights), dtype=float)

# %%
sample = april.sample(4_000, random_state=7)
auc = {"no bug": evaluation.score(sample["late"], predict(sample)).auc}
for bug in delivery.BUGS:
    answers = np.nan_to_num(delivery.plant(predict, bug)(sample))
    auc[bug] = evaluation.score(sample["late"], np.clip(answers / answers.max(), 0, 1)).auc
pd.DataFrame({"AUC": auc, "how it got there": {name: bug.story for name, bug in delivery.BUGS.items()}}).round(3).fillna("")

# %%
delivery.bars({"AUC": auc}, xlabel="AUC on 4,000 flights of April (0.5 is a coin)", title="A model and nine bugs",
              line=auc["no bug"] - 0.01, low=0.3)

# %% [markdown]
# *Figure: one bar per model; the dashed line stands 0.01 below the AUC of the model without a bug. Five of
# the nine buggy models reach it, and the fog is just short. Those that turn the ranking around, shuffle it or shift the
# clock fall far short.*
#
# An AUC test with a margin of 0.01 lets every bug pass whose bar reaches the dashed line. The AUC only looks at the
# *ranking*, averaged over everything: it cannot see a wrong scale, and hardly sees what matters in rare weather.
#
# Tests of behaviour can. There are three patterns (Ribeiro et al. 2020, *CheckList*): **invariance** (a change that must
# not matter does not), **direction** (a change that must matter moves the answer the right way) and **minimum
# functionality** (simple cases everybody agrees on).
#
# ### Exercise 7.1 · Model tests that kill the planted bugs (6 points)
#
# Write `model_tests(predict, flights)`. `predict` takes a data frame of flights and returns one number per row; `flights`
# is a frame of 200 flights, all with weather. Return the **list of names of the tests that failed**, an empty list for a
# good model. You choose the names. What the desk expects of a model:
#
# | pattern | expectation |
# |---|---|
# | minimum functionality | each answer is a share from 0 to 1 |
# | minimum functionality | a flight whose `temp` is missing (NaN) still gets an answer |
# | minimum functionality | on average, departures at 19:00 (`dep_minute` 1140) are riskier than at 07:00 (420) |
# | invariance | the order of the rows, which other flights are in the same request, and the number `flight` don't matter (to 10⁻⁶) |
# | direction | on average, heavy rain (`precip` 0.4) and fog (`visib` 0.25) raise the risk |
#
# Your tests are graded **by mutation**: they must report nothing for good models, and something for each planted bug.
#
# <details><summary>Hint 1</summary>
#
# `flights.assign(precip=0.4)` is a copy with that weather for all. Compare *means*: no good model moves the right way for
# every single flight.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Order: `predict(flights.iloc[::-1])[::-1]` must be close to `predict(flights)`. Other flights in the request:
# `predict(flights.head(1))` must be close to the first answer. A model that ignores rain does not *lower* the risk: ask that it rises.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-7-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def model_tests(predict, flights):
    """Return the names of the tests that the model `predict` fails on `flights`; an empty list if it passes."""
    ### BEGIN SOLUTION
    base = predict(flights)
    mean = {
        "rain": predict(flights.assign(precip=0.4)).mean(),
        "fog": predict(flights.assign(visib=0.25)).mean(),
        "morning": predict(flights.assign(dep_minute=420)).mean(),
        "evening": predict(flights.assign(dep_minute=1140)).mean(),
    }
    held = {
        "a share": np.isfinite(base).all() and base.min() >= 0 and base.max() <= 1,
        "no weather": np.isfinite(predict(flights.assign(temp=np.nan))).all(),
        "evenings": mean["evening"] > mean["morning"],
        "order": np.allclose(predict(flights.iloc[::-1])[::-1], base, atol=1e-6),
        "company": np.allclose(predict(flights.head(1)), base[:1], atol=1e-6),
        "number": np.allclose(predict(flights.assign(flight=flights["flight"] + 1)), base, atol=1e-6),
        "rain": mean["rain"] > base.mean(),
        "fog": mean["fog"] > base.mean(),
    }
    return [name for name, good in held.items() if not good]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-7-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
probe = april[april["temp"].notna()].sample(200, random_state=0)


def another(model, bug=""):
    scale = checks.random().uniform(0.8, 1)  # no two models answer alike
    good = lambda flights: scale * np.asarray(model(flights), dtype=float)
    chosen = delivery.plant(good, bug) if bug else good
    return lambda flights: chosen(flights)  # nor has another name


def grade_by_mutation(goods, bugs):
    models = [("", another(model)) for model in goods] + [(bug, another(predict, bug)) for bug in bugs]
    failures = {}
    for place in checks.shuffled(range(len(models))):
        failures[place] = list(model_tests(models[place][1], probe.loc[checks.shuffled(probe.index)]))
    for place, (name, _) in enumerate(models):
        if not name:
            checks.require(not failures[place], f"a good model fails your tests {failures[place]}: a test that cries "
                           "wolf gets switched off. Does it ask for something that is not in the table (the airline may "
                           "matter), compare flight by flight where the table says 'on average', or leave out the tolerance?")
        else:
            bug = delivery.BUGS[name]
            checks.require(failures[place], f"the bug '{bug.name}' survived ({bug.story}): test that {bug.missed}")


grade_by_mutation([predict] * 4, ["percent", "other class"] * 2)
checks.passed("7.1, visible part", 2)

# %% nbgrader={"grade": true, "grade_id": "hidden-7-1", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 7.1 (4 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
younger = packaging.Scorer(packaging.export_onnx(training.train(year[year["month"] == 1])))
grade_by_mutation([younger.score] * 3 + [predict] * 3, [bug for bug in delivery.BUGS if bug not in ("percent", "other class")])
### END HIDDEN TESTS

# %% [markdown]
# Which of your tests finds which bug? One row a model:

# %%
verdicts = delivery.mutation_score(model_tests, predict, probe)
pd.DataFrame({"failed tests": [", ".join(v.failures) or "none" for v in verdicts]}, index=[v.model for v in verdicts])

# %% [markdown]
# ## 7.2 The gate
#
# A build has to *decide*, with nobody looking. The desk measures the model in service and the candidate on the same
# flights and writes two small reports.

# %%
candidates = {"champion": training.train(year[year["month"] == 1]), "challenger": model,
              "careless": training.train(year[year["month"] == 1].head(1_500))}
reports = {name: delivery.measure(candidate, april) for name, candidate in candidates.items()}
reports["challenger"]

# %%
delivery.bars({name: report["slices"] | {"all": report["auc"]} for name, report in reports.items()},
              xlabel="AUC on the flights of April", title="Three models by airport", low=0.5)

# %% [markdown]
# *Figure: AUC by airport and over all, one group of bars per airport, one bar per model. The challenger leads at
# every airport. The careless model, trained on 1,500 flights, is behind the champion over all and at two of three airports.*
#
# A program tells the build what it decided by its **exit code**: 0 lets the next step run, anything else stops the job. And
# "stopped" has two meanings that must not be mixed up: *the model is worse* (work as usual) and *I could not judge* (somebody
# must repair the measurement). So the gate has three codes.
#
# ### Exercise 7.2 · A gate with exit codes and a summary (5 points)
#
# Write `gate(champion, challenger)`. Both are reports as above: `auc`, `rows` and `slices` (AUC by airport). Return a
# pair `(code, summary)`:
#
# - code **2** if it cannot judge: any AUC is NaN or missing, the two have different `rows`, or fewer than 1,000 rows, or
#   different airports;
# - code **1** if it refuses: the AUC rises by less than **0.002**, or is lower than the champion's at **any** airport;
# - code **0** otherwise.
#
# `summary` is Markdown for the job's page. Its first line is a heading (it starts with `#`). If an airport is worse, its name stands
# in the text. The function never raises: a gate that crashes gives code 1, and that would read "the model is worse".
#
# <details><summary>Hint 1</summary>
#
# Collect the reasons for code 2 first, then those for code 1. A comparison with NaN is always false, so look for it with
# `math.isfinite` before you compare.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Read the numbers inside `try`, and `except (KeyError, TypeError, ValueError)` returns code 2.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-7-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
import math


def gate(champion, challenger):
    """Return `(code, summary)`: 0 promotes, 1 refuses, 2 cannot judge; `summary` is Markdown."""
    ### BEGIN SOLUTION
    try:
        old, new = ({"all": r["auc"], **r["slices"]} for r in (champion, challenger))
        finite = all(math.isfinite(number) for number in [*old.values(), *new.values()])
        same = champion["rows"] == challenger["rows"] >= 1_000 and old.keys() == new.keys()
    except (KeyError, TypeError, ValueError):
        finite = same = False
    if not (finite and same):
        return 2, "## Cannot judge\n\nA number is missing, or the two were not measured on the same flights.\n"
    worse = [name for name in old if name != "all" and new[name] < old[name]]
    reasons = [f"- {name}: {old[name]:.4f} → {new[name]:.4f}" for name in worse]
    if new["all"] - old["all"] < 0.002:
        reasons.append(f"- overall: {old['all']:.4f} → {new['all']:.4f}, a gain of 0.002 is needed")
    if reasons:
        return 1, "\n".join(["## Refused", "", *reasons, ""])
    return 0, f"## Promoted\n\nAUC {old['all']:.4f} → {new['all']:.4f}\n"
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-7-2", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
fresh = checks.afresh(gate)
def numbers(auc, ewr, jfk, rows=5_000):
    return {"auc": auc, "rows": rows, "slices": {"EWR": ewr, "JFK": jfk}}


served = numbers(0.700, 0.70, 0.71)
code, text = fresh(served, numbers(0.710, 0.71, 0.72))
checks.equal(code, 0, what="the code for a model that is better everywhere")
checks.require(str(text).startswith("#"), "the summary has no heading: it is Markdown for the page of the job")
code, text = fresh(served, numbers(0.720, 0.75, 0.69))
checks.equal(code, 1, what="the code for a model that is better overall and worse at JFK", misconceptions={
    0: "an average hides who pays for it: compare each airport too"})
checks.require("JFK" in text, "the summary does not name JFK: a refusal without a reason cannot be mended")
checks.equal(fresh(served, numbers(0.7005, 0.701, 0.711))[0], 1, what="the code for a gain of 0.0005",
             misconceptions={0: "0.0005 is less than the gain of 0.002 that is worth a deployment"})
checks.equal(fresh(served, numbers(float("nan"), 0.72, 0.73))[0], 2, what="the code for an AUC of NaN", misconceptions={
    0: "every comparison with NaN is false, so a broken measurement was promoted",
    1: "NaN is no worse model, it is a broken measurement: that is code 2"})
checks.passed("7.2, visible part", 3)

# %% nbgrader={"grade": true, "grade_id": "hidden-7-2", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 7.2 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
fresh = checks.afresh(gate)
cannot = [
    ("other rows", numbers(0.72, 0.72, 0.73, rows=4_000), "two models are compared on the same flights or not at all"),
    ("a missing AUC", {"rows": 5_000, "slices": {}}, "a missing number is code 2, not a crash"),
    ("None as AUC", numbers(None, 0.72, 0.73), "a missing number is code 2, not a crash"),
    ("a missing airport", {"auc": 0.72, "rows": 5_000, "slices": {"EWR": 0.73}}, "an airport vanished: nobody looked at it"),
    ("NaN at one airport", numbers(0.72, float("nan"), 0.73), "every comparison with NaN is false: look for it"),
]
for what, report, why in cannot:
    try:
        code = fresh(served, report)[0]
    except NotImplementedError:
        raise
    except Exception as error:
        checks.fail(f"for {what} your gate crashed with {type(error).__name__}; a missing number is code 2, not a crash")
    checks.require(code == 2, f"for {what} the code is {code}, not 2: {why}")
few = fresh(numbers(0.70, 0.70, 0.71, rows=300), numbers(0.72, 0.72, 0.73, rows=300))[0]
checks.require(few == 2, f"for 300 rows the code is {few}, not 2: fewer than 1,000 rows prove nothing")
checks.equal(fresh(served, numbers(0.703, 0.70, 0.712))[0], 0, what="the code where one airport stays the same")
### END HIDDEN TESTS

# %%
for name in ("challenger", "careless"):
    code, text = gate(reports["champion"], reports[name])
    print(f"{name}: exit code {code}\n{text}")

# %% [markdown]
# ## 7.3 A workflow, and it runs here
#
# A *workflow* is a YAML file in `.github/workflows`. It has triggers (`on`), `permissions`, and `jobs`. A job gets a fresh
# machine and runs its `steps`: a step either `uses` an action or `run`s a command. Jobs run side by side unless one `needs`
# another.
#
# Nobody should have to push to find a typing error. Our reader refuses it with the line:

# %%
try:
    delivery.read_workflow("name: ci\non: push\n jobs:\n  test: {}\n")
except delivery.WorkflowError as error:
    print(error)

# %% [markdown]
# What can be read can still be dangerous. Two linters look at this workflow, which half the internet would accept:

# %%
popular = """
name: ci
on: [push, pull_request]
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v7
      - run: echo "${{ github.event.pull_request.title }}"
"""
pd.DataFrame(delivery.lint(popular))

# %% [markdown]
# Four habits mend all of it. **Pin** each action to a full commit: a tag such as `v7` can be moved to other code tomorrow.
# State **permissions**. Don't leave the **token**, the job's password for the repository (section 7.4), on disk
# (`persist-credentials: false`). And never paste a title or a message, which strangers write, into a shell command: hand it
# over as a variable (`env: {TITLE: ${{ github.event.pull_request.title }}}`, then `echo "$TITLE"`).
#
# An **action** is a published step; its inputs stand under `with:`. Checking out takes `persist-credentials: false`, setting
# Python up `python-version: "3.11"`, uploading `name: report` and `path: challenger.json`. What is uploaded is an
# **artifact**: a file that the run keeps for download after its machine is gone.
#
# ### Exercise 7.3 · A workflow that passes lint and really runs (6 points)
#
# Write `workflow()`, which returns the text of a workflow:
#
# - it starts on `push` and on `pull_request`, and may only read the repository's contents (`permissions` at the top);
# - job `test` checks the code out, sets Python up, and runs `python -m pytest -q tests`;
# - job `gate` runs **only if `test` was green**: it checks out, sets up, runs
#   `python -m course_lib.delivery.gate champion.json challenger.json`, and then uploads `challenger.json` as the artifact
#   `report`, **also when the gate refused**: that is when somebody wants to read it;
# - both jobs run on `ubuntu-latest` and have `timeout-minutes` of at most 15 (the default is six hours).
#
# The pinned actions, each with the version as a comment, are in `PINS`:

# %%
PINS = {
    "checkout": "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
    "python": "actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97 # v7.0.0",
    "upload": "actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f # v7.0.0",
}

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# `needs: test` under the job `gate`; `if: always()` under the step that uploads. Each job starts on an empty machine: the
# checkout of `test` is not there in `gate`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# In an f-string, `- uses: {PINS["checkout"]}` is followed by `with:` on a line of its own, as far in as `uses`, and
# `persist-credentials: false` two spaces further in.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-7-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def workflow():
    """Return the text of the desk's workflow."""
    ### BEGIN SOLUTION
    head = "name: ci\non: [push, pull_request]\npermissions:\n  contents: read\njobs:\n"
    begin = f"""    runs-on: ubuntu-latest
    timeout-minutes: 10
    steps:
      - uses: {PINS["checkout"]}
        with:
          persist-credentials: false
      - uses: {PINS["python"]}
        with:
          python-version: "3.11"
"""
    tests = "  test:\n" + begin + "      - run: python -m pytest -q tests\n"
    judge = "      - run: python -m course_lib.delivery.gate champion.json challenger.json\n"
    keep = f"""      - uses: {PINS["upload"]}
        if: always()
        with:
          name: report
          path: challenger.json
"""
    return head + tests + "  gate:\n    needs: test\n" + begin + judge + keep
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-7-3", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
plan = delivery.read_workflow(workflow())
checks.require({"push", "pull_request"} <= set(plan.triggers), "it does not start on both push and pull_request")
checks.require(plan.permissions == {"contents": "read"}, f"the permissions at the top are {plan.permissions}: without the "
               "line the token may do whatever the repository's default allows; say contents: read")
checks.require({"test", "gate"} <= set(plan.jobs), f"the jobs are {list(plan.jobs)}; test and gate were expected")
checks.require("test" in plan.jobs["gate"].needs, "jobs run side by side: without `needs: test` the gate promotes a model "
               "whose tests are red")
for name, job in plan.jobs.items():
    checks.require(any(s.action == "actions/checkout" for s in job.steps), f"job {name} has no checkout: each job starts "
                   "on an empty machine")
    checks.require((job.timeout_minutes or 360) <= 15, f"job {name} may hang for hours: the default limit is six hours")
    checks.require(all(s.pinned for s in job.steps), f"job {name} uses an action by tag: a tag can be moved to other code")
checks.passed("7.3, visible part", 4)

# %% nbgrader={"grade": true, "grade_id": "hidden-7-3", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 7.3 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
written = delivery.read_workflow(workflow())
uploads = [s for s in written.jobs["gate"].steps if s.action == "actions/upload-artifact"]
checks.require(uploads and any(word in uploads[0].condition for word in ("always()", "!cancelled()")),
               "after a refusal the upload is skipped: the report is lost when it is needed; give that step `if: always()`")
checks.require(uploads[0].inputs.get("name") == "report" and "challenger.json" in str(uploads[0].inputs.get("path")),
               "the artifact `report` with challenger.json is not uploaded")
commands = {name: "\n".join(s.run for s in job.steps) for name, job in written.jobs.items()}
checks.require("pytest" in commands["test"], "job test does not run pytest")
checks.require("course_lib.delivery.gate champion.json challenger.json" in commands["gate"], "job gate does not run the gate")
checks.require("|| true" not in "".join(commands.values()), "`|| true` throws the exit code away: the job is always green")
for step in written.steps():
    if step.action == "actions/checkout":
        checks.require(step.inputs.get("persist-credentials") is False, "the checkout leaves the token on disk: "
                       "persist-credentials: false")
### END HIDDEN TESTS

# %%
pd.DataFrame(delivery.lint(workflow()), columns=["tool", "rule", "line", "message"])

# %% [markdown]
# An empty table: nothing to object to. Now it **runs**, on this machine, without a network. `act` plays the runner: each
# job is a folder of its own, each step a process. The actions are replaced by the course's offline stand-ins, which say so
# in the log. This is no sandbox: a step can do what you can. One thing is easier here than at GitHub: the steps use this
# machine's Python, with everything installed. There each job begins with an empty one, and a step such as
# `- run: python -m pip install -r requirements.lock` must follow the setting up of Python.
#
# The gate that runs is the course's copy of yours, as a program. It also writes its verdict to the file that
# `$GITHUB_STEP_SUMMARY` names, which GitHub shows on the page of the run.
#
# The scratch repository has one function with its tests. The first commit has a bug in it: `> 15`, and by definition a
# flight is late from 15 minutes *on*.

# %%
runs = {}


def desk(sign):
    return f"def is_late(minutes):\n    return minutes {sign} 15\n"


tests = "from desk import is_late\n\ndef test_fifteen_minutes_are_late():\n    assert is_late(15) and not is_late(14)\n"
files = {".github/workflows/ci.yml": workflow(), "desk.py": desk(">"), "tests/test_desk.py": tests,
         "champion.json": json.dumps(reports["champion"]), "challenger.json": json.dumps(reports["challenger"])}
commits = {"a bug in the code": files,
           "its fix, a worse model": {"desk.py": desk(">="), "challenger.json": json.dumps(reports["careless"])},
           "a better model": {"challenger.json": json.dumps(reports["challenger"])}}
with delivery.Repository() as repository:
    for message, changed in commits.items():
        repository.commit(changed, message)
        runs[message] = repository.run("ci.yml")

# %%
pd.DataFrame({name: {job.id: job.conclusion for job in run.jobs} | {"run": run.conclusion, "seconds": round(run.seconds, 1)}
              for name, run in runs.items()}).T

# %%
for message, run in runs.items():
    why = run.summary or "\n".join(run.log(failed_only=True).splitlines()[-6:])
    print(f"── {message}", why.strip(), f"kept: {list(run.artifacts)}", sep="\n")

# %% [markdown]
# Red on the bug, and the gate never ran. Red on the worse model, with the reasons and the report kept. Green on the better one.
# Delivery is what follows a green gate: the registry's alias `champion` moves to the new version (notebook 2), and the
# servers fetch it (notebook 4). The way back is the same move: the alias `previous` says where to.
#
# ## 7.4 Least privilege
#
# Each job gets a token. What a stolen or misled step can do is what its token can do. So each job states the least that it
# needs, and what isn't stated is `none`. One more rule protects you from strangers: a job that the pull request of a **fork**
# (somebody else's copy of your repository) started runs code that anybody can write. It may read, never write.
#
# Other passwords are **secrets** of the repository (`${{ secrets.NAME }}`). GitHub masks a secret in the log only as it is
# written: printed in another form, in pieces or encoded, it is public. So don't print what you got from one. Jobs of forks get
# none.
#
# ### Exercise 7.4 · Least privilege (4 points)
#
# Write `permissions(operations, *, fork)`. `operations` is a list of these names; `fork` says whether a fork's pull request
# starts the job. Return the dict of permissions, with nothing in it that isn't needed:
#
# | operation | needs |
# |---|---|
# | `"check out"` | `contents: read` |
# | `"create release"` | `contents: write` |
# | `"comment"` | `pull-requests: write` |
# | `"upload scan"` | `security-events: write` |
# | `"cloud sign-in"` | `id-token: write` |
# | `"push image"` | `packages: write` |
#
# `write` includes `read`. Raise `PermissionError` if a job for a fork would need to write, and `ValueError` for an
# operation that isn't in the table. Example: `permissions(["check out", "comment"], fork=False)` →
# `{"contents": "read", "pull-requests": "write"}`.
#
# <details><summary>Hint 1</summary>
#
# Keep the table as a dict from operation to a pair of scope and level.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `"check out"` after `"create release"` must not take `write` back: the stronger level stays, in any order.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-7-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def permissions(operations, *, fork):
    """Return the least permissions, by scope, with which a job can do `operations`."""
    ### BEGIN SOLUTION
    table = {
        "check out": ("contents", "read"),
        "create release": ("contents", "write"),
        "comment": ("pull-requests", "write"),
        "upload scan": ("security-events", "write"),
        "cloud sign-in": ("id-token", "write"),
        "push image": ("packages", "write"),
    }
    needed = {}
    for operation in operations:
        if operation not in table:
            raise ValueError(f"no operation is called {operation!r}")
        scope, level = table[operation]
        if fork and level == "write":
            raise PermissionError(f"a fork's job may not {operation}")
        needed[scope] = "write" if "write" in (level, needed.get(scope)) else "read"
    return needed
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-7-4", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
fresh = checks.afresh(permissions)
checks.equal(fresh(["check out", "comment"], fork=False), {"contents": "read", "pull-requests": "write"},
             what="the permissions of a job that comments")
given = fresh(["create release", "check out"], fork=False)
checks.require(given == {"contents": "write"}, f"releasing and then checking out gets {given}: the last operation "
               "overwrote the stronger level; write includes read")
checks.equal(fresh([], fork=False), {}, what="the permissions of a job that needs nothing")
checks.equal(fresh(["check out"], fork=True), {"contents": "read"}, what="the permissions of a fork's test job")
checks.passed("7.4, visible part", 2)

# %% nbgrader={"grade": true, "grade_id": "hidden-7-4", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 7.4 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
fresh = checks.afresh(permissions)
for operation in ("comment", "create release", "cloud sign-in"):
    checks.raises(PermissionError, lambda op=operation: fresh(["check out", op], fork=True),
                  what=f"letting a stranger's code {operation}")
checks.raises(ValueError, lambda: fresh(["check out", "become admin"], fork=False), what="an unknown operation")
checks.equal(fresh(["check out", "create release"], fork=False), {"contents": "write"}, what="the permissions of a release")
checks.equal(fresh(["cloud sign-in", "push image", "upload scan"], fork=False),
             {"id-token": "write", "packages": "write", "security-events": "write"}, what="the permissions of a delivery")
### END HIDDEN TESTS

# %% [markdown]
# ## 7.5 Notebooks in a build
#
# A notebook can be part of a build if it takes **parameters**. papermill looks for the cell tagged `parameters` and inserts
# one behind it with the build's values. Here a report of a month, written as a notebook:

# %%
import nbformat

v4 = nbformat.v4
cells = [v4.new_code_cell("month = 1", metadata={"tags": ["parameters"]}),
         v4.new_code_cell("from course_lib import data\nflights = data.labelled(data.flights([month]))"),
         v4.new_code_cell("round(float(flights['late'].mean()), 3)")]
nbformat.write(v4.new_notebook(cells=cells), WORK / "report.ipynb")
april_report = delivery.run_notebook(WORK / "report.ipynb", WORK / "april.ipynb", {"month": 4})
print("late rate of April:", april_report["last"])

# %% [markdown]
# papermill only *warns* of a name that the notebook doesn't have. The build would be green, with the numbers of January under
# the heading of April. The course's function refuses:

# %%
try:
    delivery.run_notebook(WORK / "report.ipynb", WORK / "typo.ipynb", {"moth": 4})
except delivery.DeliveryError as error:
    print(error)

# %% [markdown]
# The second question about a notebook is whether its stored outputs still hold. nbval runs it again and compares. Here the
# stored rate of April is not the one that the data gives:

# %%
stored = nbformat.read(WORK / "april.ipynb", as_version=4)
stored.cells[-1].outputs[0]["data"]["text/plain"] = "0.5"  # as if the data had changed since it was stored
nbformat.write(stored, WORK / "stale.ipynb")
delivery.compare_outputs(WORK / "stale.ipynb")

# %% [markdown]
# The name of the cell that differs, and its number. This course checks itself with both: papermill runs each notebook, and nbval
# runs those again that print no times, and compares the cells that should print the same.
#
# ## 7.6 Retraining on a schedule
#
# A workflow can start by the clock. `schedule` takes a cron expression with five fields (minute, hour, day of month, month,
# day of week), **in UTC**, all year:

# %%
import datetime as dt

for start in (dt.datetime(2013, 1, 5), dt.datetime(2013, 7, 5)):
    moment = delivery.next_runs("0 9 * * 1", start, count=1)[0]
    print(moment, "=", pd.Timestamp(moment).tz_convert("America/New_York"))

# %% [markdown]
# The same line fires at 04:00 in winter and 05:00 in summer, New York time. And everybody else's `0 9` fires at that minute too:
# GitHub delays or drops scheduled runs at the full hour, so pick another minute.
#
# ### Exercise 7.5 · Retrain on a schedule (4 points)
#
# Write `retrain_workflow()`, which returns the text of a workflow:
#
# - it starts once a week, on **Monday between 05:00 and 08:00 in New York**, in winter and in summer, not at minute 0; and by
#   hand (`workflow_dispatch`);
# - two runs never overlap, and a running one is **not cancelled** half-way (`concurrency`);
# - it may only read contents;
# - one job `retrain`, at most 60 minutes: checkout and Python (from `PINS`), then `python retrain.py`, then
#   `python -m course_lib.delivery.gate champion.json challenger.json`, then `python promote.py`, in steps of their own.
#
# <details><summary>Hint 1</summary>
#
# New York is UTC−5 in winter and UTC−4 in summer. So the window is 10:00 to 13:00 UTC in winter and 09:00 to 12:00 in
# summer: choose a minute that lies in both.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `concurrency:` with `group: retrain` and `cancel-in-progress: false`. Steps of a job run one after the other, and the
# first red one ends it: `promote.py` needs no condition.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-7-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def retrain_workflow():
    """Return the text of the workflow that retrains every week."""
    ### BEGIN SOLUTION
    return f"""name: retrain
on:
  schedule:
    - cron: "23 10 * * 1"
  workflow_dispatch:
permissions:
  contents: read
concurrency:
  group: retrain
  cancel-in-progress: false
jobs:
  retrain:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    steps:
      - uses: {PINS["checkout"]}
        with:
          persist-credentials: false
      - uses: {PINS["python"]}
      - run: python retrain.py
      - run: python -m course_lib.delivery.gate champion.json challenger.json
      - run: python promote.py
"""
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-7-5", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
weekly = delivery.read_workflow(retrain_workflow())
checks.equal(len(weekly.crons), 1, what="the number of schedules")
for season, start in (("winter", dt.datetime(2013, 1, 5)), ("summer", dt.datetime(2013, 7, 5))):
    first, second = (pd.Timestamp(m).tz_convert("America/New_York") for m in delivery.next_runs(weekly.crons[0], start, count=2))
    checks.require((second - first).days in (6, 7) and first.isoweekday() == 1, "it does not run once a week, on Monday")
    checks.require(5 * 60 <= first.hour * 60 + first.minute <= 8 * 60, f"in {season} it runs at {first:%H:%M} New York "
                   "time: cron is in UTC, which is 5 hours ahead of New York in winter and 4 in summer")
checks.require(not weekly.crons[0].startswith("0 "), "at minute 0 everybody's schedules start: GitHub delays or drops them")
checks.passed("7.5, visible part", 2)

# %% nbgrader={"grade": true, "grade_id": "hidden-7-5", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 7.5 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
planned = delivery.read_workflow(retrain_workflow())
checks.require("workflow_dispatch" in planned.triggers, "nobody can start it by hand: add workflow_dispatch")
checks.require(planned.concurrency.get("group"), "two runs can overlap and promote over each other: add `concurrency`")
checks.require(not planned.concurrency.get("cancel-in-progress"), "a run can be cancelled half-way, between gate and "
               "promotion: cancel-in-progress is for tests, not for deliveries")
checks.require(planned.permissions == {"contents": "read"}, "it may do more than read contents")
(task,) = planned.jobs.values()
checks.require((task.timeout_minutes or 360) <= 60, "a training that hangs would hold the group for six hours")
order = [next((n for n, s in enumerate(task.steps) if word in s.run), None)
         for word in ("retrain.py", "delivery.gate", "promote.py")]
checks.require(None not in order and order == sorted(set(order)), "retrain, gate, promote must be three steps, in this order")
checks.require("always()" not in task.steps[order[2]].condition, "promote.py runs even if the gate refused")
### END HIDDEN TESTS

# %% [markdown]
# It runs here too, twice. The first time `retrain.py` learns from January to March, the second time from 1,500 flights. Both
# write a report, as section 7.2 did; what `promote.py` would do to the alias, it writes into the log.

# %%
retrain = """import json
from course_lib import data, delivery, training
flights = data.labelled(data.flights([1, 2, 3, 4]))
known, april = flights[flights["month"] <= 3], flights[flights["month"] == 4]
model = training.train(known.head({rows}))
json.dump(delivery.measure(model, april), open("challenger.json", "w"))
"""
promote = "print('champion -> the new version')\n"
weeks = {}
with delivery.Repository() as repository:
    for name, rows in (("a good week", 10**6), ("a careless week", 1_500)):
        repository.commit({".github/workflows/retrain.yml": retrain_workflow(), "retrain.py": retrain.format(rows=rows),
                           "promote.py": promote, "champion.json": json.dumps(reports["champion"])}, name)
        weeks[name] = repository.run("retrain.yml", event="schedule")

# %%
pd.DataFrame([{"week": week, **row, "step": row["step"].partition("@")[0]} for week, run in weeks.items() for row in run.table()])

# %% [markdown]
# In the careless week the job ends at the gate; `promote.py` was never started, and the champion stays.
#
# ## 7.7 When a workflow is not enough: orchestrators
#
# A workflow runner is fine while retraining is one job of minutes. When its steps need different machines (a GPU for one, much
# memory for another), or take hours, a job that fails at the end must not begin at the start. **Orchestrators** such as
# Kubeflow Pipelines and Airflow know which step needs whose output, run each in a container of its own, keep what it made, and
# go on at the step that failed. The price is in the clock: every step starts a process and loads its libraries. With steps of
# an hour that does not matter; with steps of a second it is all that matters. Notebook 8 cuts this loop into six such steps,
# compiles them for Kubeflow, and runs them (8.11).
#
# ## Interview question
#
# > *How would you design a CI/CD pipeline for machine-learning models? What is different from ordinary software?*
#
# Answer in your own words, about 200 words, as you would say it. Exercises 7.1 and 7.2 are your evidence in code; the AUC
# table of section 7.1 is your number.
#
# A person grades it:
#
# | Points | For |
# |---|---|
# | 1 | *Three kinds of tests:* code, data and model behaviour, and why one metric misses bugs |
# | 1 | *The gate:* same rows, slices, a smallest gain, and "cannot judge" kept apart from "worse" |
# | 1 | *The pipeline's own safety:* pinned actions, least privilege, strangers' code, no secrets in logs |
# | 1 | *Delivery and retraining:* what is delivered (an alias), on what trigger, how overlap is prevented, and the way back |
#
# *More questions on this topic, to practise in a terminal:* `python -m course_lib.interview --topic 7`

# %% [markdown] nbgrader={"grade": true, "grade_id": "interview-1", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# Ordinary software changes when the code changes. A model also changes when the data change, and nothing fails by itself. So
# my pipeline has three kinds of tests. Code tests for functions, data tests that refuse a batch that cannot be true, and model
# tests: invariance, direction, minimum functionality. In our notebook five of nine planted bugs kept the AUC within 0.01 of the good
# model; the behavioural tests found all nine, and passed the good models. Then a gate compares champion and
# challenger on the same flights, over all and by airport, with a smallest gain that is worth a deployment. It has three exit
# codes, because "worse" and "could not be measured" call different people. The pipeline itself is production: actions pinned
# to commits, a token that can only read, no writing for forks, timeouts, linters on the workflow, and I run it on my machine
# before I push. Delivery means moving an alias after a green gate; the old version stays, so going back is moving it again.
# Retraining starts on a schedule or on an alert, one run at a time, never cancelled half-way, and it passes the same gate as
# a commit. The limit: the gate only sees the flights I give it, so monitoring goes on after delivery.

# %% [markdown]
# ## State of the desk
#
# > **Automated now:** tests of code and model on every commit · a gate that refuses a worse model and says why · a linted
# > workflow that was run before it was pushed · a retraining every Monday that passes the same gate.
# >
# > **Still by hand:** the machine that serves. Somebody bought it, and it stands in one place.
# >
# > **What breaks next:** the night when traffic is ten times as high, and the bill for the nights when it is not. Notebook 8
# > takes the desk to the cloud, for nothing.
