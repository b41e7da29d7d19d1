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
# # 4 · Package and deploy a model end-to-end
#
# **Time:** 90 minutes · **Needs:** notebooks 1 to 3 read; nothing of them has to be run first.
#
# After this notebook you can
#
# - export a trained pipeline to ONNX and **prove** that it still gives the same answers;
# - build a signed bundle in which one changed byte is noticed, and serve it from a registry alias;
# - put a new version into service under load **without losing a request**, and show the number;
# - let a canary decide by a rule that stays honest however often you look;
# - go back to the old version without losing a request;
# - choose a runtime for a target, from measured sizes and times.
#
# ```mermaid
# flowchart LR
#   A[Data collection] --> B[Data validation] --> C[Feature engineering] --> D[Model training]
#   D --> E[Experiment tracking] --> F[Model evaluation] --> G[Model registry] --> H[CI/CD]
#   H --> I[Deployment] --> J[Monitoring] --> K[Retraining] --> A
#   classDef lit fill:#E69F00,stroke:#000,color:#000,stroke-width:2px
#   class F,G,I lit
# ```
#
# The cell below says which engines this notebook uses, and which of them this machine has.

# %%
from course_lib import engines

engines.table("mlflow", "haproxy", "litert")

# %% tags=["parameters"]
QUICK = False  # fewer requests in the load tests; the exercises are the same

# %%
import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # servers share these cores: threads that wait for threads help nobody
import numpy as np
import pandas as pd

from course_lib import checks, data, evaluation, packaging, processes, registry, rollout, tracking, training
from course_lib.errors import BundleError

SCRATCH = tempfile.TemporaryDirectory(prefix="course-04-")  # removed when the kernel ends
WORK = Path(SCRATCH.name)
REQUESTS = 50 if QUICK else 200

# %% [markdown]
# ## 4.1 What is to be shipped
#
# The desk has a model from January. Since then February has landed, and a model that saw both months is waiting. Both
# are trained and logged as in notebook 2; the registry's alias `champion` points to the first.

# %%
winter = data.labelled(data.flights([1, 2, 3]))
january, march = winter[winter["month"] == 1], winter[winter["month"] == 3]
models = {1: training.train(january), 2: training.train(winter[winter["month"] <= 2])}

store = tracking.open_store(WORK / "store")
runs = {
    number: tracking.log_training(store, "desk", model, winter[winter["month"] <= number], training.TrainingConfig())
    for number, model in models.items()
}

# %%
for number, alias in ((1, "champion"), (2, "challenger")):
    registry.register(store, runs[number], alias=alias)
pd.DataFrame({f"version {n}": evaluation.evaluate(m, march).as_dict() for n, m in models.items()}).round(4)

# %% [markdown]
# The table compares them on March, which neither has seen. This notebook takes the promotion for granted (notebook 2
# built the gate) and asks the next question: **how does version 2 get to where the flights are?**
#
# A pipeline object is no answer. To load it, the server needs the same scikit-learn, the same pandas, the same Python;
# and if it travels as a pickle, loading it runs whatever code the file contains.

# %% [markdown]
# ## 4.2 Export, and the proof
#
# ONNX is a file format for models: a graph of operators with their constants. Any ONNX Runtime can compute it: on a
# server, a phone, in a browser, from C++ or Java. It holds data, no code.

# %%
onnx = {number: packaging.export_onnx(model) for number, model in models.items()}
packaging.operators(onnx[1])

# %% [markdown]
# Sixty trees became one operator, `TreeEnsembleClassifier`. The three `LabelEncoder`s are the codes of carrier, origin
# and destination, so the graph takes the raw flight: preprocessing that stays behind in Python is the usual way to be
# wrong in production only.
#
# Is it the same model? scikit-learn computes in float64, ONNX in float32. So the answers cannot be equal to the last
# digit, and "looks fine" is no proof. We compare **every** flight of March, cancelled ones included.

# %%
everyone = data.flights([3])
proof = packaging.parity(models[1], onnx[1], everyone)
print(f"{proof.rows:,} flights, largest difference {proof.max_difference:.1e}, beyond {proof.tolerance:g}: {proof.beyond}")

# %% [markdown]
# That is as good as float32 gets. It is *not* what you get in general. Put a harmless-looking step in front of the same
# trees, a `StandardScaler`, and export again:

# %%
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from course_lib import features

trees = HistGradientBoostingClassifier(max_iter=60, early_stopping=False, random_state=0)
scaled = Pipeline([("features", features.build_transformer()), ("scale", StandardScaler()), ("trees", trees)])
scaled.fit(features.select(january), january["late"])
scaled_onnx = packaging.export_onnx(scaled)
packaging.parity(scaled, scaled_onnx, everyone)

# %%
def gaps(model, graph):
    columns = {name: everyone[name].to_numpy() for name in features.NAMES}
    return abs(packaging.Scorer(graph).score(columns) - training.predict(model, everyone))


packaging.differences_figure(as_exported=gaps(models[1], onnx[1]), with_a_scaler=gaps(scaled, scaled_onnx))

# %% [markdown]
# *Figure: sorted differences between exported model and pipeline, one line per export, both axes logarithmic. The plain
# export stays below one part in a million for every flight. With the scaler, about one flight in ten is off, some by more
# than a tenth; the rest is as good as before.*
#
# This is no rounding of the *answer*. A scaled input such as 0.73145… is rounded to float32 and lands **on the other side
# of a split threshold**. That flight goes to another leaf, and its answer jumps. Without the scaler the timetable's whole
# numbers are exact in float32; the weather's are rounded as well, but on these flights no rounded value crossed a threshold, as
# the first proof above shows. So a parity proof needs two numbers: the
# largest difference, and the **share of rows** beyond a tolerance that you can justify.
#
# ### Exercise 4.1 · A parity check with a justified tolerance (4 points)
#
# Rounding to float32 moves a number by at most one part in 2²⁴. A boosted model adds up one leaf value per tree, so the
# rounding of the sum grows with the number of trees; the logistic function at the end shrinks it again. A bound that is
# safe for log-odds between −8 and 8 is **`trees × 2⁻²³`** (8 × ¼ × 2⁻²⁴ for each tree). What is farther off is no rounding.
#
# Write `check_parity(expected, got, *, trees)`. Both are sequences of probabilities. Return a dict with
#
# - `tolerance`: the bound above;
# - `max_difference`: the largest absolute difference, `inf` if any difference is NaN;
# - `beyond`: the share of rows (0 to 1) whose difference is *not* within the tolerance; a NaN is not;
# - `equal`: `True` only if no row is beyond.
#
# Raise `ValueError` if the lengths differ or there is nothing to compare. Example: `check_parity([0.5, 0.2], [0.5, 0.3],
# trees=60)` → `{"tolerance": 7.15e-06, "max_difference": 0.1, "beyond": 0.5, "equal": False}`.
#
# <details><summary>Hint 1</summary>
#
# `np.abs(np.asarray(expected, float) - np.asarray(got, float))` gives all differences; everything else is a summary of it.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A comparison with NaN is always false. `gap > tolerance` calls a NaN equal; `~(gap <= tolerance)` does not.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-4-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def check_parity(expected, got, *, trees):
    """Compare probabilities of a pipeline and of its export.

    `expected` and `got` are sequences of probabilities, `trees` the number of trees. Returns a dict with `tolerance`,
    `max_difference`, `beyond` (share of rows, 0 to 1) and `equal`.
    """
    ### BEGIN SOLUTION
    if len(expected) != len(got) or len(expected) == 0:
        raise ValueError(f"{len(expected)} and {len(got)} rows cannot be compared")
    tolerance = trees * 2.0**-23
    gap = np.abs(np.asarray(expected, dtype=float) - np.asarray(got, dtype=float))
    outside = ~(gap <= tolerance)
    largest = float("inf") if np.isnan(gap).any() else float(gap.max())
    return {
        "tolerance": tolerance,
        "max_difference": largest,
        "beyond": float(outside.mean()),
        "equal": not bool(outside.any()),
    }
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-4-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
fresh = checks.afresh(check_parity)
truth = [0.05 + k / 1250 for k in range(1000)]
rounded = [p + 1e-7 * (-1) ** k for k, p in enumerate(truth)]
one_off = rounded[:400] + [rounded[400] - 0.15] + rounded[401:]

fine, off = fresh(truth, rounded, trees=60), fresh(truth, one_off, trees=60)
checks.close(fine["tolerance"], 60 * 2**-23, what="the tolerance for 60 trees", tolerance=1e-12)
checks.close(off["max_difference"], 0.1500001, what="the largest difference", tolerance=1e-6, misconceptions={
    0.00015: "that is the mean; one flight that is far off drowns in 999 good ones, so look at the largest",
    1e-7: "that one is signed: an answer that is too low is as wrong as one that is too high, so take the absolute value",
    1.0: "you compared yes or no at a threshold; two very different probabilities can give the same yes"})
checks.close(off["beyond"], 0.001, what="the share of rows beyond the tolerance", tolerance=1e-9,
             misconceptions={1: "that is a count; a share is a number from 0 to 1", 0: "one of the 1,000 rows is beyond"})
checks.require(off["equal"] is False, "one flight of 1,000 is 0.15 off, and `equal` says they are the same model")
checks.require(fine["equal"] is True, "differences of 1e-7 are rounding, within 60 × 2⁻²³: the models are equal")
checks.passed("4.1, visible part", 2)

# %% nbgrader={"grade": true, "grade_id": "hidden-4-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 4.1 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
fresh = checks.afresh(check_parity)
broken = fresh([0.1, 0.2, 0.3, 0.4], [0.1, float("nan"), 0.3, 0.4], trees=10)
checks.require(broken["equal"] is False and broken["beyond"] == 0.25,
               "an answer that is NaN counted as equal: every comparison with NaN is false, so ask for `<=` and negate")
checks.require(broken["max_difference"] == float("inf"), "with a NaN the largest difference is inf")
checks.raises(ValueError, lambda: fresh([0.1, 0.2], [0.1], trees=3), what="comparing 2 rows with 1")
checks.raises(ValueError, lambda: fresh([], [], trees=3), what="comparing nothing")
edge = fresh([0.9, 0.001], [0.9 + 3e-6, 0.001], trees=20)
checks.require(edge["equal"] is False, "3e-6 is beyond 20 × 2⁻²³ = 2.4e-6: the tolerance is absolute, not relative to 0.9")
checks.require(fresh([0.9, 0.001], [0.9, 0.001 + 2e-6], trees=20)["equal"] is True, "2e-6 is within 2.4e-6")
both = fresh(np.array([0.2, 0.4]), np.array([0.2, 0.8], dtype=np.float32), trees=500)
checks.close(both["beyond"], 0.5, what="the share of rows beyond the tolerance")
### END HIDDEN TESTS

# %%
columns = {name: everyone[name].to_numpy() for name in features.NAMES}
for name, model, graph in (("as exported", models[1], onnx[1]), ("with a scaler", scaled, scaled_onnx)):
    print(name, check_parity(training.predict(model, everyone), packaging.Scorer(graph).score(columns), trees=60))

# %% [markdown]
# ## 4.3 One folder that can be checked
#
# A model file alone is an accident waiting: nobody knows its inputs, its version, or whether it is whole. The desk ships
# a **bundle**: model, input schema, environment, card, and a manifest that lists the SHA-256 of each file and is signed.

# %%
key = packaging.new_key()
bundles = {
    number: packaging.build_bundle(WORK / f"bundle-{number}", model, version=number, run_id=runs[number], key=key)
    for number, model in models.items()
}
manifest = json.loads((bundles[1] / "manifest.json").read_text())
pd.DataFrame(manifest["files"]).T

# %% [markdown]
# The signature is Ed25519: whoever holds the *public* key can check bundles and still cannot make one. The public key has
# to come by another way than the bundle; whoever can change the files could change a key that lies beside them. A checksum
# without a signature stops accidents, not people.
#
# Now flip **one bit of one byte** of the model, as a bad disk would, and open it:

# %%
import shutil

damaged = Path(shutil.copytree(bundles[1], WORK / "damaged"))
body = bytearray((damaged / "model.onnx").read_bytes())
body[len(body) // 2] ^= 1
(damaged / "model.onnx").write_bytes(body)
try:
    packaging.open_bundle(damaged, public_key=key.public)
except BundleError as error:
    print(error)

# %% [markdown]
# Without the check this model would have loaded, and answered. Nobody would have noticed one wrong leaf.
#
# ### Exercise 4.2 · A manifest that notices a changed byte (4 points)
#
# Write two functions over the contents of a folder, given as a dict from file name to `bytes`:
#
# - `make_manifest(contents)` returns a dict from file name to the SHA-256 of its bytes, 64 hexadecimal digits. The file
#   `manifest.json` is left out: it cannot contain its own digest.
# - `compare(contents, manifest)` returns a sorted list of what is wrong: `"added NAME"`, `"changed NAME"`,
#   `"missing NAME"`; an empty list if all is well. `manifest.json` itself is no finding.
#
# Example: `compare({"a": b"1", "b": b"2"}, make_manifest({"a": b"1", "c": b"3"}))` → `["added b", "missing c"]`.
#
# <details><summary>Hint 1</summary>
#
# `hashlib.sha256(body).hexdigest()` takes the bytes as they are. Don't decode them: a model is not text.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The names in the manifest and the names in the folder are two sets. Look at both differences and at what they share.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-4-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
import hashlib


def make_manifest(contents):
    """Return the SHA-256 (64 hexadecimal digits) of each file in `contents`, a dict from name to bytes."""
    ### BEGIN SOLUTION
    return {name: hashlib.sha256(body).hexdigest() for name, body in contents.items() if name != "manifest.json"}
    ### END SOLUTION


def compare(contents, manifest):
    """Return the sorted list of files that were added, changed, or are missing."""
    ### BEGIN SOLUTION
    now = make_manifest(contents)
    found = [f"added {name}" for name in now.keys() - manifest.keys()]
    found += [f"missing {name}" for name in manifest.keys() - now.keys()]
    found += [f"changed {name}" for name in now.keys() & manifest.keys() if now[name] != manifest[name]]
    return sorted(found)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-4-2", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
fresh = checks.afresh(compare)
good = {"card.md": b"# Desk\n", "model.onnx": bytes(range(256)) * 20, "manifest.json": b"{}"}
signed = make_manifest(good)
checks.require("manifest.json" not in signed, "the manifest lists itself: writing the digest into it would change it")
checks.equal(fresh(good, signed), [], what="the finding for an unchanged folder")
flipped = {**good, "model.onnx": good["model.onnx"][:3000] + b"\x00" + good["model.onnx"][3001:]}
checks.require(fresh(flipped, signed) == ["changed model.onnx"],
               f"byte 3,000 of model.onnx was changed and its length was not, and you found {fresh(flipped, signed)}: "
               "digest every byte; size, date or the first block don't notice")
added = fresh({**good, "helper.py": b"import os"}, signed)
checks.require(added == ["added helper.py"], f"helper.py was added and you found {added}: a bundle is exactly what was "
               "signed; a file that nobody signed is how foreign code gets in")
gone = fresh({"card.md": good["card.md"]}, signed)
checks.require(gone == ["missing model.onnx"], f"model.onnx is gone and you found {gone}: go through the manifest too")
checks.passed("4.2, visible part", 2)

# %% nbgrader={"grade": true, "grade_id": "hidden-4-2", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 4.2 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
fresh = checks.afresh(compare)
import hashlib as _hashlib

text = {"schema.json": b'{"a": 1}\r\n', "model.onnx": b"\xff\xfe\x00\x01" * 9}
expected = {name: _hashlib.sha256(body).hexdigest() for name, body in text.items()}
checks.require(make_manifest(text) == expected, "the manifest does not hold the SHA-256 of each file's bytes, 64 "
               "hexadecimal digits: digest the bytes, not the text")
unix = {**text, "schema.json": b'{"a": 1}\n'}
checks.require(fresh(unix, make_manifest(text)) == ["changed schema.json"],
               "a changed line end is a changed byte: digest the bytes, not the text")
high = {**text, "model.onnx": b"\xff\xfe\x00\x01" * 8 + b"\xff\xfd\x00\x01"}
checks.require(fresh(high, make_manifest(text)) == ["changed model.onnx"],
               "a changed byte that is no valid text was lost: digest the bytes, not the text")
swapped = {"schema.json": text["model.onnx"], "model.onnx": text["schema.json"]}
checks.equal(fresh(swapped, make_manifest(text)), ["changed model.onnx", "changed schema.json"],
             what="the finding for two files that were swapped")
checks.equal(fresh({"z": b"", "a": b""}, make_manifest({"m": b""})), ["added a", "added z", "missing m"],
             what="the finding for three files")
### END HIDDEN TESTS

# %% [markdown]
# ## 4.4 Served from an alias, after a smoke test
#
# The bundle is stored with the run that made its model. Whoever deploys asks the registry who the champion is and fetches
# that version's bundle; it is checked on arrival. No path, no file name and no version number is typed by hand.

# %%
for bundle in bundles.values():
    packaging.publish(store, bundle, public_key=key.public)
(WORK / "server").mkdir()
fetched = packaging.fetch(store, "champion", WORK / "server", public_key=key.public)
packaging.open_bundle(fetched, public_key=key.public)

# %% [markdown]
# Ready is not right: a server can be healthy and answer nonsense. Before it gets traffic, a **smoke test** asks it about a
# few flights whose answers are known. They come from the trained *pipeline*: answers of the export itself would only prove
# that the file equals itself.

# %%
os.environ[packaging.PUBLIC_KEY_VARIABLE] = key.public  # the servers below check bundles with it
sample = everyone.sample(60, random_state=4)
flights = rollout.flight_bodies(sample)
smoke = {number: rollout.known_answers(model, sample.head(8)) for number, model in models.items()}


def ask_known(number):
    """Return a smoke test with the known answers of one version."""
    return lambda url: rollout.smoke_test(url, smoke[number])

# %%
server = rollout.launch(fetched, processes.free_port()).start().wait_ready()
print(rollout.ask(server.url, flights[0]))
ask_known(1)(server.url)

# %% [markdown]
# The service is the one of notebook 3, in a process of its own. Its whole model is the bundle: neither scikit-learn nor
# pandas is loaded there.
#
# ## 4.5 A new version, and nobody notices
#
# First the **control**: what happens without a plan? Stop the server, start the new version on the same port. Meanwhile
# four clients ask again as soon as they are answered, and count what they don't get.

# %%
with rollout.Traffic(server.url + "/predict", flights) as traffic:
    traffic.wait_for(REQUESTS)
    server.stop()
    server = rollout.launch(bundles[2], server.port).start().wait_ready()
    traffic.wait_for(REQUESTS)
server.stop()
restart = traffic.report()
print(f"{restart.failed:,} of {restart.sent:,} requests failed:", restart.reasons)

# %% [markdown]
# The service stops politely (it drains, and finishes what it accepted), and still the desk was closed for as long as a start
# takes: no
# process can answer on a port that it has left. **Blue/green** needs a second place to stand and somebody at the door. The
# door is a proxy, HAProxy where it is installed, with two slots, *blue* and *green*. It is told what to do while it runs:
# `set server desk/green state ready` opens a slot, `state drain` lets it finish what it has and sends nothing new.
#
# ### Exercise 4.3 · A health-gated switch (5 points)
#
# Write the head of the switch: `next_action(view)` looks at what is seen now and returns one action. It is called again
# after each action. The `view` is a dict:
#
# | key | meaning |
# |---|---|
# | `alive` | whether the new process runs |
# | `ready` | its answers on `/ready` so far, oldest first, such as `[False, False, True]` |
# | `waited` | seconds since it was started |
# | `smoke` | `"not run"`, `"passed"` or `"failed"` |
# | `traffic` | who gets new requests: `"old"`, `"both"` or `"new"` |
# | `old_in_flight` | requests that the old version is still answering |
#
# Return `"wait"`, `"smoke test"`, `"send traffic"` (the new version gets requests too: `traffic` becomes `"both"`),
# `"drain old"` (nothing new for the old one: `"new"`), `"done"` (the old server may be stopped) or `"give up"` (the new
# server is taken out and stopped).
#
# The rules: the new version is ready after **three good answers in a row**. Then it must pass the smoke test, once. Only
# then does it get traffic, then the old one drains, and it is done when the old one has answered everything. Give up if the
# process died (at any time), if the smoke test failed, or if it is not ready and `waited` has reached **30 seconds**. Until it
# gets traffic, the last three answers count.
#
# <details><summary>Hint 1</summary>
#
# Work backwards from the end: what is to be done if `traffic` is `"new"`? If it is `"both"`? The rest is about `"old"`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `view["ready"][-3:] == [True, True, True]` is false while there are fewer than three answers, which is right.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-4-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def next_action(view):
    """Return the next action of a switch: "wait", "smoke test", "send traffic", "drain old", "done" or "give up"."""
    ### BEGIN SOLUTION
    if not view["alive"]:
        return "give up"
    if view["traffic"] == "new":
        return "wait" if view["old_in_flight"] else "done"
    if view["traffic"] == "both":
        return "drain old"
    if view["smoke"] == "failed":
        return "give up"
    if view["ready"][-3:] != [True, True, True]:
        return "give up" if view["waited"] > 30 else "wait"
    return "smoke test" if view["smoke"] == "not run" else "send traffic"
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-4-3", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
WHY = {
    "sent to a server that was not ready": "a process that runs, or one good answer, is not a server that is ready",
    "answered wrong by a version that fails its smoke test": "ready is not right: run the smoke test before any traffic",
    "still in flight when the old server was stopped": "draining takes time: wait until old_in_flight is 0",
    "sent to the old server after it was stopped": "the old server was stopped while it still had the traffic",
}


def rehearse(**world):
    played = rollout.rehearse_switch(next_action, rollout.World(**world))
    for cause, lost in played.lost.items():
        checks.fail(f"in rehearsal you lost {lost} requests, {cause}: {WHY[cause]}")
    return played


some = checks.random().randint(3, 20)  # nobody knows how many answers come before the first good one
slow_start = rehearse(ready=(False,) * some + (True,), finishing=(9, 5, 2, 0))
checks.equal(slow_start.outcome, "done", what="the outcome of a good release")
flapping = rehearse(ready=(False, True) * some + (False, True, True, True))
checks.equal(flapping.outcome, "done", what="the outcome for a server that flaps and then settles")
wrong = rehearse(smoke="failed")
checks.equal(wrong.outcome, "give up", what="the outcome for a version that answers wrong")
dead = rehearse(ready=(False,), dies_at=some)
checks.equal(dead.outcome, "give up", what="the outcome for a process that dies at once")
checks.require(len(dead.actions) <= some + 2, "the process had died and you went on waiting for it: look at `alive`")
checks.passed("4.3, visible part", 3)

# %% nbgrader={"grade": true, "grade_id": "hidden-4-3", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 4.3 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
never = rollout.rehearse_switch(next_action, rollout.World(ready=(False,)))
checks.equal(never.outcome, "give up", what="the outcome for a server that never gets ready", misconceptions={
    "never ended": "it waited for ever; a rollout that cannot fail cannot end: give up after 30 seconds"})
checks.require(not never.lost, "a server that was never ready got requests")
checks.require(595 <= len(never.actions) <= 605, f"it gave up after {len(never.actions) * 0.05:.1f} s instead of 30")
patient = rollout.rehearse_switch(next_action, rollout.World(ready=(False,) * checks.random().randint(400, 550) + (True,), finishing=(50,) * checks.random().randint(20, 60) + (0,)))
checks.require(patient.outcome == "done" and not patient.lost, "a start of more than 20 s and a drain of more than 1 s are slow, not wrong")
checks.equal(patient.actions.count("smoke test"), 1, what="the number of smoke tests")
late = rollout.rehearse_switch(next_action, rollout.World(ready=(True,), dies_at=6, finishing=(8,) * 30 + (0,)))
checks.equal(late.outcome, "give up", what="the outcome for a process that dies after it got traffic")
idle = rollout.rehearse_switch(next_action, rollout.World(ready=(True,), finishing=(0,)))
checks.require(idle.outcome == "done" and not idle.lost, "without requests in flight the switch ends at once")
### END HIDDEN TESTS

# %% [markdown]
# A rehearsal is cheap, so it comes first. Now **your function drives the real thing**: real processes, a real proxy, the
# same clients. Version 1 goes live, then version 2 is deployed under load.

# %%
proxy = rollout.Proxy().start()  # this and the servers behind it stop with the kernel, whatever happens
desk = rollout.BlueGreen(proxy, policy=next_action)
desk.deploy(bundles[1], smoke=ask_known(1))
with rollout.Traffic(proxy.url + "/predict", flights) as traffic:
    traffic.wait_for(REQUESTS)
    switch = desk.deploy(bundles[2], smoke=ask_known(2))
    traffic.wait_for(REQUESTS)
green = traffic.report()
print(f"{proxy.engine}: {green.failed} of {green.sent:,} requests failed; answers by version {green.versions}")
display(pd.DataFrame([{"after (s)": round(step.at, 2), "what": step.what} for step in switch.steps]))
rollout.timeline_figure({"restart in place": restart, "blue/green": green})

# %% [markdown]
# *Figure: requests per second over time, answered ones by model version, failed ones hatched. Above, restart in place: a
# gap, as long as a start takes, in which every request fails. Below, blue/green: version 2 takes over from version 1 at one moment, and no
# request fails.*
#
# A version that is not good must not get that far. This one is healthy, ready and fast, and takes the distance for
# kilometres. The smoke test asks it eight questions:

# %%
refused = desk.deploy(bundles[2], start=rollout.faulty("kilometres"), smoke=ask_known(2))
print(f"switched: {refused.switched}. {refused.reason}")
print("still answering: version", rollout.ask(proxy.url, flights[0])["model_version"])

# %% [markdown]
# ## 4.6 The canary, and why you may not peek
#
# A smoke test knows eight flights. Real traffic knows all of them. A **canary** release gives the new version a small share
# of real requests and compares failure rates. The decision is a statistical one, and there is a trap in it: somebody is
# watching the dashboard.
#
# A test at the 5 % level is wrong once in twenty **if you look once**. (The z test, which compares two rates in standard errors,
# is too eager already then, because failures are rare and the bell curve fits them badly.) We simulate 200 releases of a version that is
# exactly as good as the old one, look forty times at each, and stop at the first "significantly worse":

# %%
good_releases = rollout.simulate(0.01, 0.01, releases=200, windows=40, seed=1)
alarms = {
    "z test at every look": [rollout.peeking_alarm(windows) for windows in good_releases],
    "evidence (e-values)": [rollout.first_alarm(windows) for windows in good_releases],
}
rollout.alarm_figure(alarms, looks=40)

# %%
{rule: sum(look is not None for look in found) / 200 for rule, found in alarms.items()}

# %% [markdown]
# *Figure: share of 200 good releases that were stopped, against the number of looks. The z test climbs far above the
# promised 5 % (dotted); the rule built on evidence, which the field calls an *e-value*, stays below it.*
#
# The second rule is a **bet**. Between two looks, the champion answered `a` requests and `x` of them failed; the canary
# answered `b` and `y` failed. Bet that their failure rates are `p` and `q = p + harm`, against one common rate
# `m = (a·p + b·q) / (a + b)`, and multiply your evidence by
#
# $$\left(\frac{p}{m}\right)^{x}\left(\frac{1-p}{1-m}\right)^{a-x}\left(\frac{q}{m}\right)^{y}\left(\frac{1-q}{1-m}\right)^{b-y}$$
#
# If the canary is as good as the champion, this factor is at most 1 on average, whatever the true rate is: a fair game at
# best. To reach 20 by luck, starting from 1, has a probability of 1/20 at most, **no matter how often you look** (Ville 1939;
# Turner, Ly & Grünwald 2024). So alarm at `1/alpha`.
#
# ### Exercise 4.4 · A canary decision that survives peeking (5 points)
#
# Write `canary_alarm(windows, *, alpha=0.05)`. `windows` is a list of `[a, x, b, y]` as above, one per look. Return the
# index of the **first** window after which the canary must be rolled back, or `None`.
#
# Any rule is right that keeps its promise: of 200 good releases with forty looks each, it stops at most 5 %; it stops nearly
# every bad one, and a disaster at once. A window may be empty; it says nothing. (`harm` is by how much more often the canary
# fails. `p` may be estimated from the windows *before* the current one, but must not become 0: the logarithm of 0 makes the
# evidence NaN, which never reaches 20. Start with 0.01.
# Several values of `harm` may be played side by side: the mean of several fair games is a fair game.)
#
# <details><summary>Hint 1</summary>
#
# Keep the logarithm of the evidence for each harm in a list, such as `[0.02, 0.05, 0.2, 0.5]`. After each window, add
# `x·log(p/m) + (a−x)·log((1−p)/(1−m)) + y·log(q/m) + (b−y)·log((1−q)/(1−m))`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The evidence is `np.mean(np.exp(logs))`. Estimate `p` as `(failures so far + 0.5) / (champion requests so far + 1)`, so
# that it is never 0, and keep `q` below 1 with `min(p + harm, 0.99)`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-4-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def canary_alarm(windows, *, alpha=0.05):
    """Return the index of the first window after which the canary must go, or None.

    A window is [champion requests, champion failures, canary requests, canary failures].
    """
    ### BEGIN SOLUTION
    harms = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
    logs, seen, failed = np.zeros(len(harms)), 0, 0
    for index, (a, x, b, y) in enumerate(windows):
        p = (failed + 0.5) / (seen + 1) if seen else 0.01
        for k, harm in enumerate(harms):
            q = min(p + harm, 0.99)
            m = (a * p + b * q) / (a + b) if a + b else p
            logs[k] += x * np.log(p / m) + (a - x) * np.log((1 - p) / (1 - m))
            logs[k] += y * np.log(q / m) + (b - y) * np.log((1 - q) / (1 - m))
        if np.mean(np.exp(np.minimum(logs, 500))) >= 1 / alpha:
            return index
        seen, failed = seen + a, failed + x
    return None
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-4-4", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def stopped(*worlds, looks=40, requests=100):
    """Simulate 200 releases of each world (p, q, seed, share), and return their alarms; all come in one random order."""
    made = [one for p, q, seed, share in worlds for one in rollout.simulate(
        p, q, releases=200, windows=looks, requests=requests, share=share, seed=seed)]
    windows = [[[w.champion, w.champion_failed, w.canary, w.canary_failed] for w in one] for one in made]
    alarms = checks.asked(canary_alarm, zip(windows))
    return [alarms[start : start + 200] for start in range(0, len(alarms), 200)]


good, disaster, bad = stopped((0.02, 0.02, 11, 0.25), (0.02, 0.6, 12, 0.25), (0.02, 0.12, 13, 0.25))
false_alarms = sum(look is not None for look in good)
checks.require(false_alarms <= 10, f"{false_alarms} of 200 good releases were stopped, 10 is the most that 5 % allows: you "
               "peek. A fixed test is good for one look; at forty, some look says yes by luck")
checks.require(all(look is not None and look <= 2 for look in disaster),
               "a canary that fails 60 % of its requests must go within three looks, and yours stayed: look after every "
               "window, not only at the end")
caught = sum(look is not None for look in bad)
checks.require(caught >= 190, f"only {caught} of 200 releases that fail 12 % instead of 2 % were stopped: the rule is so "
               "careful that it does not protect anybody")
checks.passed("4.4, visible part", 3)

# %% nbgrader={"grade": true, "grade_id": "hidden-4-4", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 4.4 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
*good, better, late = stopped((0.005, 0.005, 21, 0.25), (0.1, 0.1, 22, 0.1), (0.05, 0.05, 23, 0.5), (0.15, 0.02, 24, 0.25), (0.05, 0.2, 25, 0.25))
for p, looks in zip((0.005, 0.1, 0.05), good):
    wolf = sum(look is not None for look in looks)
    checks.require(wolf <= 10, f"{wolf} of 200 good releases were stopped at a failure rate of {p}: you peek")
better = sum(look is not None for look in better)
checks.require(better <= 10, f"{better} of 200 canaries that fail *less* than the champion were stopped: ask whether it is "
               "worse, not whether it is different")
late = sum(look is not None for look in late)
checks.require(late >= 190, f"only {late} of 200 releases that fail 20 % instead of 5 % were stopped")
checks.require(canary_alarm([]) is None, "without a single window there is no reason to stop")
first = canary_alarm([[75, 0, 25, 0]] * 4 + [[75, 1, 25, 25]] * 3)
checks.equal(first, 4, what="the first window after which a canary that breaks at window 4 must go")
### END HIDDEN TESTS

# %% [markdown]
# Now a real one. This version crashes on flights whose pressure is not known, about one in ten; we take those out of the smoke
# test, so that it cannot notice. The canary gets 4 % of the requests, and 50 % if all is well; the proxy counts, and the rule
# looks twenty times a second:

# %%
smoke[2] = [case for case in smoke[2] if case.flight["pressure"] is not None]
with rollout.Traffic(proxy.url + "/predict", flights) as traffic:
    crashing = rollout.faulty("missing-weather")
    canary = rollout.release(desk, bundles[2], weights=(4, 50), every=0.05, start=crashing, smoke=ask_known(2))
    traffic.wait_for(REQUESTS)
print(f"{canary.outcome}: {canary.reason}\n{traffic.report().failed} of {traffic.report().sent:,} requests failed")
rollout.evidence_figure(canary)

# %% [markdown]
# *Figure: evidence against the canary over time, logarithmic. Each failure lifts it, each good answer lowers it a little. Where
# it crosses 20 to 1 (dotted), the canary was taken out by itself.*
#
# Its failures reached real clients: a canary is not free, it makes a bad release *small*.
#
# ## 4.7 The way back
#
# A rollback is a deployment that must not fail, made by people in a hurry.
#
# ### Exercise 4.5 · A rollback that loses no request (4 points)
#
# Write `rollback_plan(good, bad, *, good_is_running)`. `good` and `bad` are the colours of the slots; `bad` has all the
# traffic. Return the list of steps, in order, each a verb and a colour such as `"drain green"`:
#
# | verb | what it does |
# |---|---|
# | `start` | starts the server process (which must not be running) |
# | `await ready` | waits until it is ready |
# | `ready` | opens the slot: it gets new requests |
# | `drain` | closes the slot for new requests; those it has go on |
# | `await empty` | waits until the slot has answered everything (it must be drained) |
# | `stop` | stops the server process |
#
# At the end all requests go to `good`, and `bad` is stopped. `good_is_running` says whether its process is still up.
# Requests arrive all the time, and not one may be lost.
#
# <details><summary>Hint 1</summary>
#
# At each moment at least one slot must be open, and each open slot must have a server that is ready.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Open the good slot *before* closing the bad one. For a moment both get requests: that is harmless, a gap is not.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-4-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rollback_plan(good, bad, *, good_is_running):
    """Return the steps of a rollback from slot `bad` to slot `good`, such as ["ready blue", "drain green"]."""
    ### BEGIN SOLUTION
    begin = [] if good_is_running else [f"start {good}", f"await ready {good}"]
    return [*begin, f"ready {good}", f"drain {bad}", f"await empty {bad}", f"stop {bad}"]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-4-5", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
fresh = checks.afresh(rollback_plan)
CAUSES = {
    "no slot was open": "you closed the bad version before the good one was open; overlap, don't leave a gap",
    "stopped with requests in flight": "drained is not empty: wait until the bad version has answered what it has",
    "sent to a server that was not ready": "a process that was just started cannot answer yet: await it",
    "sent to a stopped server": "the slot was open while its process was not running",
    "started again although it was running": "the good version is still warm; starting it again throws that away",
    "waited for a slot to empty that still got requests": "a slot that gets new requests never empties: drain it first",
    "waited for a server that was never started": "start the process before you wait for it",
}


def play(good, bad, running):
    plan = fresh(good, bad, good_is_running=running)
    played = rollout.rehearse_rollback(plan, good=good, bad=bad, good_is_running=running)
    for cause, lost in played.lost.items():
        checks.fail(f"the plan {plan} loses {lost} requests, {cause}: {CAUSES[cause]}")
    checks.require(played.outcome == "done", f"after {plan}: {played.outcome}")
    checks.require(f"stop {bad}" in plan, f"the bad version in {bad} was never stopped")


for slots in checks.shuffled([("blue", "green"), ("green", "blue")]):
    play(*slots, running=True)
checks.passed("4.5, visible part", 2)

# %% nbgrader={"grade": true, "grade_id": "hidden-4-5", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 4.5 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
for good, bad, running in checks.shuffled([("green", "blue", True), ("blue", "green", False), ("green", "blue", False)]):
    play(good, bad, running=running)
### END HIDDEN TESTS

# %% [markdown]
# And for real, with your plan, command by command, while the clients go on asking. Version 2 is live, version 1 was taken
# out of its slot by the canary, so it has to be started:

# %%
good_colour, bad_colour = desk.idle, desk.live
with rollout.Traffic(proxy.url + "/predict", flights) as traffic:
    traffic.wait_for(REQUESTS)
    for step in rollback_plan(good_colour, bad_colour, good_is_running=False):
        desk.step(step, bundle=bundles[1])
    traffic.wait_for(REQUESTS)
back = traffic.report()
print(f"{back.failed} of {back.sent:,} requests failed; answers by version {back.versions}")

# %%
desk.close()
proxy.stop()

# %% [markdown]
# ## 4.8 To the edge: size and time
#
# The same bundle can run on a tablet at the gate. What does it weigh, and can it be made lighter? Everybody says
# "quantise it": store weights as 8-bit integers. We do, with ONNX Runtime's own quantiser; beside the trees we put a small
# neural network, and trees that are half as large.

# %%
import warnings

from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

steps = [("features", features.build_transformer()), ("fill", SimpleImputer()), ("scale", StandardScaler())]
network = Pipeline([*steps, ("net", MLPClassifier((256, 128), max_iter=3, random_state=0))])
with warnings.catch_warnings(), threadpool_limits(1):
    warnings.simplefilter("ignore")  # three epochs are not enough to converge, and enough to weigh it
    network.fit(features.select(january.head(15_000)), january["late"].head(15_000))
network_onnx = packaging.export_onnx(network)
smaller = packaging.export_onnx(training.train(january, training.TrainingConfig(max_leaf_nodes=7)))

# %%
forms = {
    "trees": onnx[1],
    "trees, quantised": packaging.quantised(onnx[1]),
    "trees with 7 leaves": smaller,
    "network": network_onnx,
    "network, quantised": packaging.quantised(network_onnx),
}
score = {form: evaluation.score(march["late"], packaging.Scorer(graph).score(march)).auc for form, graph in forms.items()}
pd.DataFrame([{"form": s.form, "kB": s.size / 1e3, "zipped kB": s.compressed / 1e3, "AUC": score[s.form]}
              for s in packaging.sizes(**forms)]).set_index("form").round(3)

# %% [markdown]
# The network shrinks to about a third, with the same AUC. The trees **do not shrink at all**: dynamic quantisation rewrites
# matrix products, and a tree ensemble has none. (float16 and ONNX Runtime's own `.ort` format don't help either; the latter
# is larger.) What makes trees lighter is fewer leaves, and compression on the way.
#
# On phones and small boards you will meet **LiteRT** (until 2024: TensorFlow Lite) as often as ONNX Runtime. It has no
# operator for trees, so it gets the network. Its converter needs TensorFlow (1.5 GB); a `.tflite` file of dense layers is
# simple enough for the course to write it itself. The proof is the same as for ONNX: the same rows, both answers, the largest
# difference.

# %%
if engines.found(["litert"])[0].version:
    seen = packaging.encode(network, features.select(march))  # LiteRT reads numbers only: the app looks the codes up
    lite = {"LiteRT": packaging.export_litert(network), "LiteRT, 8 bits": packaging.export_litert(network, quantise=True)}
    answers = {name: packaging.LiteScorer(body).score(seen) for name, body in lite.items()}
    expected = network.predict_proba(features.select(march))[:, 1]
    table = {name: {"kB": len(lite[name]) / 1e3, "largest difference": abs(found - expected).max(),
                    "AUC": evaluation.score(march["late"], found).auc} for name, found in answers.items()}
    display(pd.DataFrame(table).T.round({"kB": 1, "largest difference": 7, "AUC": 3}))
else:
    print("LiteRT has no package for this system: ONNX Runtime above runs everywhere")

# %% [markdown]
# The file holds the whole pipeline after the code tables: filling gaps, scaling, three layers. In float32 it agrees with
# scikit-learn to a few millionths. In 8 bits it is a quarter of the size; single answers move by a percent or two, the
# ranking hardly at all. The bound of exercise 4.1 is for trees; a network needs one of its own, and a percent is far beyond any
# rounding to float32. With 8 bits it is another model, to be evaluated anew.
#
# Now the time. ONNX Runtime and scikit-learn, one thread each, on the same rows:

# %%
timing = packaging.latencies(models[1], onnx[1], everyone, repeats=5 if QUICK else 9)
timing.round(3)

# %%
packaging.latency_figure(timing)

# %%
one, many = timing["ratio"].iloc[0], timing["ratio"].iloc[-1]
print(f"one row: ONNX Runtime is {one:.0f} times as fast · {timing.index[-1]:,} rows: {many:.1f} times")
assert one >= 10, "one row should be at least ten times as fast"

# %% [markdown]
# *Figure: time of one call against the number of rows, both axes logarithmic. For one row scikit-learn takes milliseconds
# and ONNX Runtime hundredths of one. The lines come together as the rows grow; the factor stands between them.*
#
# Both statements you read about ONNX are true, each for its own case. scikit-learn spends milliseconds on *calling* itself:
# checking types, building data frames, going from step to step. For one row that is everything. For ten thousand it is
# little, and what remains is the same work on the same trees. **An API gains very much, a night's batch a factor of about two.**
#
# ### Exercise 4.6 · Pick the runtime for five targets (4 points)
#
# Write `pick_runtime(target)`. A target is a dict:
#
# | key | values |
# |---|---|
# | `model` | `"own"` (trained by you), `"open llm"` (its weights can be downloaded), `"hosted llm"` (only its API) |
# | `place` | `"service"` (answers callers), `"batch"` (a job in Python, scikit-learn installed), `"device"` (no Python there) |
# | `rows` | rows in one call |
# | `gpus` | GPUs at that place |
# | `frameworks` | how many kinds of model the same server must run (ONNX, PyTorch, TensorRT …) |
#
# Return `"scikit-learn"`, `"onnx runtime"`, `"triton"`, `"vllm"`, `"llama.cpp"` or `"managed api"`, by these rules of the
# course: a hosted model has an API, whatever else you have. An open language model runs on vLLM where there are GPUs, on
# llama.cpp elsewhere. Your own models of several frameworks in one service with GPUs: Triton. Your own model in a batch of
# **at least 10,000 rows** a call: leave it in scikit-learn, the gain is small (but where an API gives the same answers, take the
# API's runtime for both, as notebook 3 does). Any other model of your own: ONNX Runtime.
#
# (Triton is NVIDIA's server for models of many frameworks on GPUs, vLLM serves language models on GPUs, llama.cpp runs them on
# CPUs and laptops.)
#
# <details><summary>Hint 1</summary>
#
# Decide by `model` first: two of its three values leave little to choose.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A batch with few rows a call pays the overhead of each call, like an API does. And a device has no Python, however many
# rows it scores.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-4-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pick_runtime(target):
    """Return the runtime for a target with the keys model, place, rows, gpus and frameworks."""
    ### BEGIN SOLUTION
    if target["model"] == "hosted llm":
        return "managed api"
    if target["model"] == "open llm":
        return "vllm" if target["gpus"] > 0 else "llama.cpp"
    if target["place"] == "service" and target["gpus"] > 0 and target["frameworks"] > 1:
        return "triton"
    if target["place"] == "batch" and target["rows"] >= 10_000:
        return "scikit-learn"
    return "onnx runtime"
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-4-6", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
fresh = checks.afresh(pick_runtime)
def target(model, place, rows=1, gpus=0, frameworks=1):
    return {"model": model, "place": place, "rows": rows, "gpus": gpus, "frameworks": frameworks}


checks.equal(fresh(target("own", "service")), "onnx runtime", what="the runtime of the desk's API",
             misconceptions={"scikit-learn": "one row a call pays scikit-learn's overhead every time"})
checks.equal(fresh(target("own", "batch", rows=300_000)), "scikit-learn", what="the runtime of the month's batch",
             misconceptions={"onnx runtime": "its advantage is the overhead of a call, and one call for 300,000 rows has "
                             "hardly any: an export buys you little here"})
checks.equal(fresh(target("own", "device", rows=20)), "onnx runtime", what="the runtime of the tablet at the gate",
             misconceptions={"scikit-learn": "there is no Python on the device", "llama.cpp": "that is for language models"})
checks.equal(fresh(target("own", "service", rows=32, gpus=2, frameworks=3)), "triton",
             what="the runtime of a mixed fleet", misconceptions={"vllm": "vLLM serves language models, no others"})
checks.equal(fresh(target("open llm", "service", gpus=1)), "vllm", what="the runtime of an open language model",
             misconceptions={"triton": "one language model at high throughput is what vLLM is made for",
                             "managed api": "its weights are open and you have the GPU: nobody needs to host it for you"})
checks.passed("4.6, visible part", 2)

# %% nbgrader={"grade": true, "grade_id": "hidden-4-6", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 4.6 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
fresh = checks.afresh(pick_runtime)
others = [
    (target("open llm", "device"), "llama.cpp", "vLLM wants a GPU; without one, an open language model runs on llama.cpp"),
    (target("hosted llm", "service", gpus=8), "managed api", "GPUs don't help without the weights"),
    (target("own", "device", rows=50_000), "onnx runtime", "there is no Python on the device, however many rows it scores"),
    (target("own", "batch", rows=5), "onnx runtime", "a batch of five rows a call pays the overhead of each call"),
    (target("own", "batch", rows=10_000), "scikit-learn", "'at least 10,000 rows' includes 10,000"),
    (target("own", "service", frameworks=3), "onnx runtime", "Triton is for a mixed fleet *with GPUs*"),
    (target("own", "service", gpus=4), "onnx runtime", "a GPU does not make one small model a mixed fleet"),
]
for case, right, why in others:
    picked = fresh(case)
    checks.require(picked == right, f"for {case} you picked {picked!r}, not {right!r}: {why}")
### END HIDDEN TESTS

# %% [markdown]
# ## Interview question
#
# > *Walk me through how you'd deploy a new model version with zero downtime.*
#
# Answer in your own words, about 200 words, as you would say it. Exercises 4.3 and 4.5 are your evidence in code, the
# counted requests of section 4.5 your number.
#
# A person grades it:
#
# | Points | For |
# |---|---|
# | 1 | *Before traffic:* an immutable, checked artifact, a parity or acceptance test, and a smoke test against known answers |
# | 1 | *The switch:* the new version runs beside the old one, readiness (not liveness) gates it, the proxy opens the new before it drains the old, and what is in flight is finished |
# | 1 | *The decision:* a canary on real traffic, a metric and a stop rule chosen beforehand, and why looking repeatedly needs a rule made for it |
# | 1 | *The way back:* the old version stays warm, rollback is automatic and rehearsed; and one honest limit (schema changes, state, cost of double capacity, or that a canary's failures reach real clients) |
#
# *More questions on this topic, to practise in a terminal:* `python -m course_lib.interview --topic 4`

# %% [markdown] nbgrader={"grade": true, "grade_id": "interview-1", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# A new version reaches me as a signed bundle that the registry's alias points to: model, schema, environment, card. The build
# has proved that the export gives the same answers as the trained pipeline, with a tolerance that rounding can explain. I check
# the signature, so a changed byte stops here. I start the new version beside the old one. It gets no traffic until `/ready` has
# answered well several times in a row (alive is not ready), and until a smoke test got right answers for flights whose answers
# are known. Then the proxy opens the new slot *before* it drains the old one, so there is no gap, and the old server finishes
# what it has in flight before anything is stopped. In our load test a restart in place lost every request for seconds; this
# lost none. I rather start with 5 % as a canary and compare failure rates. As I will look all the time, I use a stop rule
# that allows that (e-values, or alpha spending), fixed before the release: a z test at every look stopped more than a quarter
# of the good releases. If it alarms, the canary is taken out by itself. The old version stays warm until the next deployment, so going back
# is two commands, and we rehearse it. The limits: both versions must accept the same requests, it needs double capacity for a
# while, and the failures of a canary reach real clients.

# %% [markdown]
# ## State of the desk
#
# > **Automated now:** export with its proof · a signed bundle, found by alias · a switch that is gated by health and by known
# > answers · a canary that stops itself · a rollback that loses nothing.
# >
# > **Still by hand:** somebody starts all this, on one machine that happens to have the right Python and the right libraries.
# > Nobody watches what the live model is asked, or whether its answers stay right.
# >
# > **What breaks next:** "it works on my machine". The bundle names its environment, but nothing builds it. Notebook 5 puts
# > the service and its bundle into a container image that runs the same everywhere.
