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
# # 8 · Deploy to the cloud
#
# **Time:** 90 minutes · **Needs:** notebooks 3 and 4 read; nothing of them has to be run first.
#
# After this notebook you can
#
# - choose a deployment path for a need, and say which answer of the need decided;
# - move a model between Amazon S3, Azure Blob Storage and Google Cloud Storage **without changing a byte**;
# - write a policy that allows what a job needs and nothing else, and prove it **by evaluation**;
# - deploy a model to a SageMaker endpoint, call it, shift traffic between versions, and alarm on its errors;
# - write Kubernetes manifests that lose **no request** in a rolling update;
# - say from how many predictions a month a machine is cheaper than a function;
# - tear everything down, and prove that nothing is left.
#
# ```mermaid
# flowchart LR
#   A[Data collection] --> B[Data validation] --> C[Feature engineering] --> D[Model training]
#   D --> E[Experiment tracking] --> F[Model evaluation] --> G[Model registry] --> H[CI/CD]
#   H --> I[Deployment] --> J[Monitoring] --> K[Retraining] --> A
#   classDef lit fill:#E69F00,stroke:#000,color:#000,stroke-width:2px
#   class I lit
# ```
#
# **It costs nothing.** Every provider is used through its **own SDK**, against a server on this machine that speaks the
# provider's protocol. The cell below says which of them this machine has.

# %%
from course_lib import engines

engines.table("moto", "azurite", "gcs-emulator", "cfn-lint", "kubernetes-validate", "onnxruntime", "llama.cpp",
              "kfp")

# %% tags=["parameters"]
CALLS = 40  # calls of the endpoint per step of the canary

# %%
import copy
import dataclasses
import hashlib
import json
import os
import tempfile
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
import pandas as pd
import psutil
import yaml

from course_lib import checks, cloud, llm, packaging
from course_lib.cloud import Emulators, costs, deployment_matrix, policies, sandbox_resources, stack, storage, teardown
from course_lib.errors import CourseError
from course_lib.llm.gateway import open_gateway
from course_lib.retraining import pipeline
from course_lib.serving import EXAMPLE

pd.set_option("display.max_colwidth", None)

# %% [markdown]
# ## 8.1 Which path?
#
# "Put it on AWS" is not a plan: AWS alone has a dozen ways to answer a request with a model. The **deployment matrix**
# orders them by need. The names are those of November 2026. Some words that come up on this page:
#
# | word | means | word | means |
# |---|---|---|---|
# | **SDK** | a provider's client library | **EKS, AKS, GKE** | Kubernetes run by AWS, Azure, Google |
# | **IAM** | AWS's service of users, roles, policies | **ECS** | AWS's own way to run containers |
# | **ARN** | a resource's full name in AWS | **TGI, SGLang** | servers for language models, as vLLM is |
# | `sts:AssumeRole` | the call that takes a role on | **Greengrass** | AWS's software for devices |
# | **ECR** | AWS's registry of images | **egress** | data that leave a cloud, paid by the GB |

# %%
deployment_matrix.table()[["AWS", "Azure", "Google Cloud"]]

# %%
deployment_matrix.table().assign(key=list(deployment_matrix.MATRIX))[["key", "Open source", "Best fit"]]

# %% [markdown]
# Names move faster than books. Job advertisements still use the left column:

# %%
pd.Series(deployment_matrix.RENAMED, name="now").rename_axis("formerly").to_frame()

# %% [markdown]
# A choice is worth little without its reasons. `cloud.choose` gives both, and says when something else would be better:

# %%
choice = cloud.choose(cloud.Need(model="own", runs_servers=True))
print(choice.path)
reasons = [("because", why) for why in choice.why]
others = [("or", f"{other.path}, if {other.when}") for other in choice.alternatives]
pd.DataFrame([*reasons, *others], columns=["", "why, and what else"]).set_index("")

# %% [markdown]
# ### Exercise 8.1 · Choose the path (4 points)
#
# Write `choose_path(need)`. `need` is a dict with
#
# - `model`: `"foundation"` (a provider's closed model), `"open-weight"` (anybody may run its weights) or `"own"` (you
#   trained it);
# - `where`: `"cloud"`, `"device"` (it may be offline) or `"laptop"` (of a developer);
# - `frameworks`: how many frameworks the models come from; `runs_servers`: whether the team operates servers;
# - `data_may_leave`: whether requests may be sent to a provider of models.
#
# Return the **key** of a row of the matrix (the column `key` above). The first question that settles it decides: **1.** a
# device → `"edge"`; a laptop → `"local"`. **2.** A model of your own: more than one framework → `"multi-model"`, else
# `"custom-model"`. **3.** Requests may not leave → `"self-hosted-llm"`. **4.** A closed model → `"managed-llm"`. **5.**
# Open weights: `"self-hosted-llm"` if the team runs servers, else `"managed-llm"`: the managed platforms offer open weights
# too.
#
# Example: `choose_path({"model": "foundation", "where": "cloud", "frameworks": 1, "runs_servers": False,
# "data_may_leave": True})` → `"managed-llm"`.
#
# <details><summary>Hint 1</summary>
#
# One `if` with a `return` per question, in the order of the text. Later ones need not ask again what earlier ones settled.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Where the answer is needed comes before everything else; whether data may leave comes before the kind of LLM.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-8-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def choose_path(need: dict) -> str:
    """Return the key of the matrix row for a need, such as ``"managed-llm"``."""
    ### BEGIN SOLUTION
    if need["where"] != "cloud":
        return {"device": "edge", "laptop": "local"}[need["where"]]
    if need["model"] == "own":
        return "multi-model" if need["frameworks"] > 1 else "custom-model"
    if not need["data_may_leave"]:
        return "self-hosted-llm"
    if need["model"] == "foundation" or not need["runs_servers"]:
        return "managed-llm"
    return "self-hosted-llm"
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-8-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
fresh = checks.afresh(choose_path)
USUAL = {"model": "foundation", "where": "cloud", "frameworks": 1, "runs_servers": False,
         "data_may_leave": True}
SCENARIOS = [
    ("an MVP chatbot, nobody to run servers", {}, "managed-llm",
     "a closed model behind an API needs no GPU of yours"),
    ("the late-flight model", {"model": "own"}, "custom-model",
     "nobody offers a model of your own ready-made"),
    ("PyTorch, TensorRT and ONNX together", {"model": "own", "frameworks": 3}, "multi-model",
     "one server for all frameworks"),
    ("a phone in a tunnel", {"model": "own", "where": "device"}, "edge",
     "a device that may be offline cannot ask a cloud"),
    ("patients' letters", {"data_may_leave": False}, "self-hosted-llm",
     "requests may not leave: a managed API is out"),
    ("open weights, a team on call", {"model": "open-weight", "runs_servers": True}, "self-hosted-llm",
     "the weights are open and somebody runs servers"),
]
for name, change, wanted, why in SCENARIOS:
    found = fresh(USUAL | change)
    checks.require(found in list(deployment_matrix.MATRIX), f"{found!r} is no key of the matrix: return the key "
                   "(such as 'managed-llm'), not the label")
    checks.require(found == wanted, f"{name}: you chose {found!r}, not {wanted!r}: {why}")
checks.passed("8.1, visible part", 2)

# %% nbgrader={"grade": true, "grade_id": "hidden-8-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 8.1 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
WHY = {"edge": "where it must answer comes before what it is", "local": "on a laptop there is nothing to deploy",
       "multi-model": "several frameworks of your own need one server for all", "custom-model": "a model of your own is trained and deployed",
       "self-hosted-llm": "requests that may not leave, or open weights and a team that runs servers",
       "managed-llm": "open weights without anybody to run servers go to a managed platform"}
needs = [
    dict(model=model, where=where, frameworks=frameworks, runs_servers=servers, data_may_leave=leave)
    for model in ("foundation", "open-weight", "own") for where in ("cloud", "device", "laptop")
    for frameworks in (1, 2) for servers in (True, False) for leave in (True, False)
]
for need, found in zip(needs, checks.asked(choose_path, zip(needs))):
    wanted = cloud.choose(cloud.Need(**need)).row
    checks.require(found == wanted, f"{need}: {found!r}, not {wanted!r}: {WHY[wanted]}")
### END HIDDEN TESTS

# %% [markdown]
# ## 8.2 A cloud on your desk
#
# Three servers start now, on loopback: **moto** answers for AWS, **Azurite** (Microsoft's own emulator) for Azure Blob
# Storage, **gcp-storage-emulator** for Google Cloud Storage. Azurite needs Node.js; where it is missing, a small stand-in
# of the course answers the same SDK.

# %%
clouds = Emulators(seed=8)
clouds.start()  # side by side; the first use of each waits until it answers
pd.DataFrame({"SDK": ["boto3", "azure-storage-blob", "google-cloud-storage"],
              "answered by": ["moto", clouds.azure_engine, "gcp-storage-emulator"]},
             index=["AWS", "Azure", "Google Cloud"])

# %% [markdown]
# An emulator keeps books: it knows every bucket, role and endpoint, checks names and references, and gives the provider's
# own errors. It does not have the provider's hardware, prices or outages, and it forgives what the provider would not.
# Where that matters, this notebook says so.
#
# > **Could this spend your company's money?** No. Clients made by `cloud.aws`, `cloud.azure` and `cloud.gcp` get dummy keys
# > and an address of this machine. They read no environment variable, no `~/.aws`, no proxy. Any other address is refused:

# %%
try:
    cloud.aws.client("s3", "https://s3.us-east-1.amazonaws.com")
except CourseError as error:
    print(error)

# %% [markdown]
# The real cloud takes two deliberate acts: the variable `COURSE_REAL_CLOUD=aws` in the shell that starts JupyterLab, and
# `cloud.credentials.real("aws", account="…")` with the account spelled out. It is compared with the account that your
# credentials belong to before anything else is sent.
#
# ## 8.3 Three object stores, one model
#
# The desk's model is a **bundle**: a folder with the ONNX file, its schema, and a signed list of checksums (notebook 4). In
# every cloud such a thing lives in an object store: a key, some bytes, and no folders, whatever the console draws.

# %%
bundle = packaging.desk_bundle()
files = {f"models/late-flights/1/{path.name}": path.read_bytes() for path in sorted(bundle.iterdir())}

s3 = cloud.aws.client("s3", clouds.aws)
s3.create_bucket(Bucket="desk-models")
for key, body in files.items():
    s3.put_object(Bucket="desk-models", Key=key, Body=body)
{found["Key"]: found["Size"] for found in s3.list_objects_v2(Bucket="desk-models")["Contents"]}

# %% [markdown]
# The same in Azure, where a bucket is called a *container* and belongs to a *storage account*:

# %%
blobs = cloud.azure.client(clouds.azure)
container = blobs.create_container("desk-models")
for key, body in files.items():
    container.upload_blob(key, body)
{blob.name: blob.size for blob in container.list_blobs(name_starts_with="models/")}

# %% [markdown]
# And in Google Cloud, where a bucket belongs to a *project*:

# %%
google = cloud.gcp.client(clouds.gcp)
bucket = google.create_bucket("desk-models")
for key, body in files.items():
    bucket.blob(key).upload_from_string(body)
{blob.name: blob.size for blob in google.list_blobs("desk-models", prefix="models/")}

# %% [markdown]
# **A published model never changes.** If version 1 can be overwritten, "we served version 1" says nothing. So write with a
# condition: *only if there is nothing yet*. Each SDK has it, under another name and with another error.

# %%
attempts = {
    "S3: IfNoneMatch='*'": lambda: s3.put_object(Bucket="desk-models", Key=key, Body=b"n", IfNoneMatch="*"),
    "Azure: overwrite=False": lambda: container.upload_blob(key, b"new", overwrite=False),
}
for name, write in attempts.items():
    try:
        write()
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {str(error).splitlines()[0]}")

# %% [markdown]
# In Google Cloud it is `upload_from_string(body, if_generation_match=0)`. The real service answers 412; this emulator does
# not enforce it, so we don't show it.
#
# A store that is there already is reached by `cloud.azure.client(url).get_container_client(name)` and
# `cloud.gcp.client(url).bucket(name)`; boto3's calls take the bucket's name each time.
#
# Lists come in **pages**: S3 gives 1,000 keys at a time, and a program that reads the first page only works for months. Here
# a page of S3 has 20 keys, so that you notice today.
#
# ### Exercise 8.2 · Copy between any two clouds (5 points)
#
# Write `copy_all(urls, source, target, prefix)`. `urls` maps `"s3"`, `"az"` and `"gs"` to the URL of each store; clients are
# made as above: `cloud.aws.client("s3", urls["s3"])`, `cloud.azure.client(urls["az"])`, `cloud.gcp.client(urls["gs"])`.
# `source` and `target` are buckets that exist, such as `"s3://desk-models"` or `"az://desk-backup"`.
#
# - Copy every object whose key starts with `prefix`, under the same key. Bytes, not text.
# - If the target has an object under that key: with the same bytes it is left alone, with other bytes raise
#   `FileExistsError` and leave it as it is. Raise at the first such key; what was copied before it may stay.
# - Return a dict from key to the SHA-256 (hex) of the bytes **as read back from the target**.
#
# Example: `copy_all(clouds.urls, "s3://desk-models", "gs://desk-models", "models/")` → `{"models/late-flights/1/card.md":
# "9f2c…", …}`.
#
# <details><summary>Hint 1</summary>
#
# Write one function that returns three functions for an address: list, read and write. S3 needs
# `s3.get_paginator("list_objects_v2").paginate(Bucket=…, Prefix=…)`; the other two turn pages by themselves.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Read: `s3.get_object(…)["Body"].read()`, `container.download_blob(key).readall()`,
# `bucket.blob(key).download_as_bytes()`. Compare with what the target has before you write. `hashlib.sha256(body).hexdigest()`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-8-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def copy_all(urls: dict, source: str, target: str, prefix: str) -> dict:
    """Copy the objects under ``prefix``; return {key: SHA-256 (hex) of what ``target`` gives back}."""
    ### BEGIN SOLUTION
    def opened(address):
        scheme, name = address.split("://")
        if scheme == "s3":
            s3 = cloud.aws.client("s3", urls["s3"])
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=prefix)
            return ([found["Key"] for page in pages for found in page.get("Contents", [])],
                    lambda key: s3.get_object(Bucket=name, Key=key)["Body"].read(),
                    lambda key, body: s3.put_object(Bucket=name, Key=key, Body=body))
        if scheme == "az":
            box = cloud.azure.client(urls["az"]).get_container_client(name)
            return ([blob.name for blob in box.list_blobs(name_starts_with=prefix)],
                    lambda key: box.download_blob(key).readall(), box.upload_blob)
        bucket = cloud.gcp.client(urls["gs"]).bucket(name)
        return ([blob.name for blob in bucket.list_blobs(prefix=prefix)],
                lambda key: bucket.blob(key).download_as_bytes(),
                lambda key, body: bucket.blob(key).upload_from_string(body))

    (keys, read, _), (there, read_back, write) = opened(source), opened(target)
    for key in keys:
        body = read(key)
        if key not in there:
            write(key, body)
        elif read_back(key) != body:
            raise FileExistsError(f"{target} has another {key}")
    return {key: hashlib.sha256(read_back(key)).hexdigest() for key in keys}
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-8-2", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
OBJECTS = {f"models/{n}/model.onnx": bytes([n, 255, 0]) for n in range(23)} | {"logs/today": b"noise"}
with sandbox_resources.buckets(clouds.urls, ("s3", OBJECTS), ("gs", {})) as (start, end):
    mine = copy_all(clouds.urls, start, end, "models/")
    arrived = storage.digests(storage.open_store(end, clouds.urls))
    again = copy_all(clouds.urls, start, end, "models/")
wanted = {key: hashlib.sha256(body).hexdigest() for key, body in OBJECTS.items() if key[0] == "m"}
checks.require(isinstance(mine, dict), "return a dict from key to SHA-256")
checks.require("logs/today" not in mine, "an object outside the prefix was copied as well")
checks.require(len(mine) != 20, "20 of 23 objects were copied: that is the first page of S3's list; "
               "read all pages")
checks.equal(len(mine), 23, what="the number of objects copied from S3 to Google")
checks.require(arrived == wanted, "the target's bytes are not the source's: bytes are not text")
checks.require(mine == wanted, "the digests are not those of the bytes: SHA-256 of what was read back")
checks.require(again == wanted, "copying again must change nothing and return the same")
checks.passed("8.2, visible part", 2)

# %% nbgrader={"grade": true, "grade_id": "hidden-8-2", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 8.2 (3 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
few = {"models/1/a": b"\xff\x00", "models/10/a": b"ten", "models/1/b": b"", "x": b"x"}
wanted = {key: hashlib.sha256(few[key]).hexdigest() for key in ("models/1/a", "models/1/b")}
for one, other in (("gs", "az"), ("az", "s3"), ("s3", "az")):
    with sandbox_resources.buckets(clouds.urls, (one, few), (other, {"models/1/kept": b"kept"})) as (start, end):
        mine = copy_all(clouds.urls, start, end, "models/1/")
        keys = storage.open_store(end, clouds.urls).keys()
    checks.equal(mine, wanted, what=f"the digests of a copy from {one} to {other}")
    checks.equal(keys, ["models/1/a", "models/1/b", "models/1/kept"], what=f"the keys in {other} after the copy")
with sandbox_resources.buckets(clouds.urls, ("az", few), ("s3", {"models/1/a": b"published"})) as (start, end):
    checks.raises(FileExistsError, lambda: copy_all(clouds.urls, start, end, "models/"),
                  what="a copy onto other bytes (a published object must not be overwritten)")
    kept = storage.open_store(end, clouds.urls).read("models/1/a")
checks.require(kept == b"published", "a published object was overwritten")
### END HIDDEN TESTS

# %%
copied = {target: copy_all(clouds.urls, "s3://desk-models", f"{target}://desk-models", "models/")
          for target in ("az", "gs")}
pd.DataFrame(copied).map(lambda digest: digest[:12]).rename_axis("key")

# %% [markdown]
# The same bytes in three clouds, proven by reading them back. A copy between clouds is not free in real life: what leaves a
# provider costs money by the gigabyte (*egress*), what comes in does not.
#
# ## 8.4 Who may do what
#
# In a cloud everything is a call, and every call is decided by **policies**. An AWS policy is a list of statements; the rules
# are short:
#
# 1. everything is denied;
# 2. a statement with `"Effect": "Allow"` that matches action *and* resource makes an exception;
# 3. a matching `"Effect": "Deny"` beats every exception.
#
# `policies.evaluate` applies them. Look at what two careless stars do, one in the action and one in the resource:

# %%
def table(policy, requests):
    """Return what a policy says to a list of (action, resource)."""
    return pd.DataFrame([
        {"action": action, "resource": resource,
         "allowed": policies.evaluate(policy, action, f"arn:aws:s3:::{resource}").allowed}
        for action, resource in requests])

careless = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::desk*"}]}
table(careless, [("s3:GetObject", "desk-models/models/late-flights/1/model.onnx"),
                 ("s3:DeleteObject", "desk-models/models/late-flights/1/model.onnx"),
                 ("s3:GetObject", "desk-salaries/2026.csv"), ("s3:DeleteBucket", "desk-models")])

# %% [markdown]
# Two traps before you write your own. **A bucket and its objects are two resources**: `s3:ListBucket` is asked of
# `arn:aws:s3:::desk-models`, `s3:GetObject` of `arn:aws:s3:::desk-models/…`. And a star matches everything,
# slashes and `-old` too: `models/late-flights*` opens `models/late-flights-old/…` as well. End a prefix with its `/`.
#
# ### Exercise 8.3 · Least privilege (4 points)
#
# Write `trainer_policy(bucket)`: it returns the policy (a dict) of the job that trains every night.
#
# - It may list the bucket, but only below `models/late-flights/` (the request's condition key `s3:prefix` starts with it).
# - It may read and write objects (`s3:GetObject`, `s3:PutObject`) below `models/late-flights/`.
# - Nobody with this policy may delete an object or a version of one (`s3:DeleteObject`, `s3:DeleteObjectVersion`) in this
#   bucket, **even if another policy allows `s3:*`**.
# - Nothing else: no other bucket, no other prefix, no other action.
#
# Example: `trainer_policy("desk-models")` → `{"Version": "2012-10-17", "Statement": […]}`.
#
# <details><summary>Hint 1</summary>
#
# Three statements: list (resource: the bucket, with a condition), read and write (resource: the objects), and one that
# denies. Silence is no prohibition: what is not mentioned, another policy may allow.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `"Condition": {"StringLike": {"s3:prefix": ["models/late-flights/*"]}}`. The Deny statement concerns
# `arn:aws:s3:::{bucket}/*`: the whole bucket.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-8-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def trainer_policy(bucket: str) -> dict:
    """Return an IAM policy: ``{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", …}]}``."""
    ### BEGIN SOLUTION
    arn = f"arn:aws:s3:::{bucket}"
    return {"Version": "2012-10-17", "Statement": [
        {"Sid": "List", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn,
         "Condition": {"StringLike": {"s3:prefix": "models/late-flights/*"}}},
        {"Sid": "ReadAndWrite", "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"],
         "Resource": f"{arn}/models/late-flights/*"},
        {"Sid": "NeverDelete", "Effect": "Deny", "Action": ["s3:DeleteObject", "s3:DeleteObjectVersion"],
         "Resource": f"{arn}/*"},
    ]}
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-8-3", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
EVERYTHING = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
NAME = f"desk-models-{checks.random().getrandbits(32):x}"
MODEL = f"arn:aws:s3:::{NAME}/models/late-flights/7/model.onnx"
BELOW = {"s3:prefix": "models/late-flights/"}
mine = checks.afresh(trainer_policy)(NAME)
may = lambda action, resource, context=None, also=(): policies.evaluate(
    [mine, *also], action, resource, context).allowed
checks.require(isinstance(mine, dict), "return the policy as a dict")
checks.require(may("s3:GetObject", MODEL) and may("s3:PutObject", MODEL), "the job may not read and write "
               "its own models: objects are the resource arn:aws:s3:::bucket/key, the bucket's ARN does not "
               "match them")
checks.require(may("s3:ListBucket", f"arn:aws:s3:::{NAME}", BELOW), "the job may not list below its "
               "prefix: s3:ListBucket is asked of the bucket's own ARN, without a slash")
checks.require(not may("s3:GetObject", "arn:aws:s3:::desk-salaries/2026.csv"),
               "it may read another bucket: name this one")
checks.require(not may("s3:GetObject", f"arn:aws:s3:::{NAME}/models/prices/1/model.onnx"),
               "it may read another team's prefix")
checks.require(not may("iam:PassRole", "arn:aws:iam::123456789012:role/admin"),
               "it may do what has nothing to do with storage")
for context in ({}, {"s3:prefix": ""}):
    checks.require(not may("s3:ListBucket", f"arn:aws:s3:::{NAME}", context), "it may list the whole "
                   "bucket: the list needs a condition on s3:prefix")
for action in ("s3:DeleteObject", "s3:DeleteObjectVersion"):
    checks.require(not may(action, MODEL, also=[EVERYTHING]), f"beside a policy that allows s3:*, {action} is "
                   "allowed: what is left out is not forbidden; only an explicit Deny beats an Allow")
checks.passed("8.3, visible part", 2)

# %% nbgrader={"grade": true, "grade_id": "hidden-8-3", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 8.3 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
given = checks.afresh(trainer_policy)("night-models")
ask = lambda action, key, context=None, also=(): policies.evaluate([given, *also], action, f"arn:aws:s3:::{key}", context).allowed
for action in ("s3:GetObject", "s3:PutObject"):
    checks.require(ask(action, "night-models/models/late-flights/a/b"), f"{action} below the prefix is denied: use the argument `bucket`")
    checks.require(not ask(action, "night-models/models/late-flights-old/a"), "models/late-flights-old/ is open too: a star matches "
                   "everything, so the prefix needs its final slash")
    checks.require(not ask(action, "night-models-backup/models/late-flights/a"), "the bucket night-models-backup is open too: end the "
                   "bucket's name with a slash before the star")
for action in ("s3:PutObjectAcl", "s3:GetObjectVersion", "s3:PutBucketPolicy", "s3:AbortMultipartUpload"):
    for key in ("night-models/models/late-flights/a", "night-models"):
        checks.require(not ask(action, key), f"{action} is allowed: a star in the action opens more than the two that were asked for")
checks.require(ask("s3:ListBucket", "night-models", {"s3:prefix": "models/late-flights/7/"}), "listing deeper is denied")
for context in ({"s3:prefix": "models/prices/"}, {"s3:prefix": ""}, {}):
    checks.require(not ask("s3:ListBucket", "night-models", context), "it may list the whole bucket: the list needs a condition on s3:prefix")
for action in ("s3:DeleteObject", "s3:DeleteObjectVersion"):
    for key in ("night-models/models/late-flights/a", "night-models/models/prices/a"):
        checks.require(not ask(action, key, also=[EVERYTHING]), f"{action} on {key} is allowed beside s3:*: deny it in the whole bucket")
checks.require(ask("s3:GetObject", "night-models/x", also=[EVERYTHING]) and ask("s3:DeleteObject", "other/x", also=[EVERYTHING]),
               "the Deny takes away more than was asked for")
### END HIDDEN TESTS

# %% [markdown]
# Now let a server decide. moto can check signatures and policies, too. A user gets your policy and a key of their own, and
# tries; the error is the one AWS gives. (The emulator knows no conditions, so we leave the list out.)

# %%
iam = cloud.aws.client("iam", clouds.aws)

def trial(policy):
    """Give a user this policy and a key, let the user try, and return what the server said."""
    iam.create_user(UserName="trainer")
    iam.put_user_policy(UserName="trainer", PolicyName="train", PolicyDocument=json.dumps(policy))
    made = iam.create_access_key(UserName="trainer")["AccessKey"]
    user = cloud.aws.client("s3", clouds.aws, keys=(made["AccessKeyId"], made["SecretAccessKey"]))
    card = {"Bucket": "desk-models", "Key": "models/late-flights/2/card.md"}
    other = {"Bucket": "desk-models", "Key": "models/prices/1"}
    said = {}
    with clouds.enforcing():
        for name, call in {"put": lambda: user.put_object(**card), "get": lambda: user.get_object(**card),
                           "delete": lambda: user.delete_object(**card),
                           "put elsewhere": lambda: user.put_object(**other)}.items():
            try:
                said[name] = f"HTTP {call()['ResponseMetadata']['HTTPStatusCode']}"
            except user.exceptions.ClientError as error:
                said[name] = error.response["Error"]["Code"]
    iam.delete_access_key(UserName="trainer", AccessKeyId=made["AccessKeyId"])
    iam.delete_user_policy(UserName="trainer", PolicyName="train")
    iam.delete_user(UserName="trainer")
    return said

pd.Series(trial(trainer_policy("desk-models")), name="AWS's emulator says").to_frame()

# %% [markdown]
# ## 8.5 An endpoint that answers
#
# A SageMaker endpoint is made of four things, and each refers to the one before:
#
# | thing | says |
# |---|---|
# | **role** | what the container may do, and that SageMaker may take it on |
# | **model** | which image, and which model data in S3 |
# | **endpoint configuration** | which variants, on which machines, with which weights; it never changes |
# | **endpoint** | the name that callers use |
#
# The emulator keeps these books and runs nothing. So behind them stands a **router** of the course: it reads the books,
# fetches the model data from S3 *if the role allows it*, starts the desk's service as a process with SageMaker's container
# contract (`GET /ping`, `POST /invocations`), and forwards your call. What answers below is a real server with a real
# model.

# %%
ours = sandbox_resources.tags("late-flights")  # what carries this tag belongs to the project
s3.put_bucket_tagging(Bucket="desk-models", Tagging={"TagSet": ours})
s3.put_bucket_versioning(Bucket="desk-models", VersioningConfiguration={"Status": "Enabled"})
bundles = {"blue": bundle, "green": packaging.desk_bundle((1, 2, 3), version=2)}  # of two and three months
data = {name: cloud.aws.upload_model(clouds.aws, path, bucket="desk-models",
                                     key=f"models/late-flights/{name}.tar.gz")
        for name, path in bundles.items()}
image = sandbox_resources.push_image(clouds.aws, "desk/api", "1", project="late-flights")
trust = json.dumps(sandbox_resources.TRUST)  # SageMaker may take the role on
role = iam.create_role(RoleName="desk-endpoint", AssumeRolePolicyDocument=trust, Tags=ours)["Role"]["Arn"]
print(image, role, *data.values(), sep="\n")

# %% [markdown]
# (`docker push` needs a real registry; the emulator takes the image's entry in the books. Notebook 5 built the image.)
#
# ### Exercise 8.4 · Deploy, and ask before you call it done (5 points)
#
# Write `deploy(url, runtime, release, flights)`. `url` and `runtime` are the addresses of AWS and of SageMaker Runtime;
# `release` is a dict such as `{"name": "late-flights", "project": "late-flights", "image": "…", "role": "arn:…", "variants":
# {"blue": {"data": "s3://…", "weight": 1.0}}}`.
#
# - Make one model per variant, called `{name}-{variant}`; a configuration called `name` with those variants (1 instance of
#   `ml.m5.large` each, and the weight); and the endpoint `name`. All of them carry the tag:
#   `Tags=[{"Key": "project", "Value": release["project"]}]`.
# - If the endpoint **exists already**, change nothing but the weights of its variants: callers must not notice.
# - Then ask it: send `{"flights": flights}` as JSON and return the list in `late_probabilities`.
#
# Example, with the release that is made below the check: `deploy(clouds.aws, clouds.runtime, release, [EXAMPLE])` →
# `[0.254…]`.
#
# <details><summary>Hint 1</summary>
#
# `cloud.aws.client("sagemaker", url)` has `create_model(ModelName=…, PrimaryContainer={"Image": …, "ModelDataUrl": …},
# ExecutionRoleArn=…, Tags=…)`, `create_endpoint_config`, `create_endpoint`, `list_endpoints` and
# `update_endpoint_weights_and_capacities`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A variant of the configuration: `{"VariantName": v, "ModelName": …, "InitialInstanceCount": 1, "InstanceType":
# "ml.m5.large", "InitialVariantWeight": w}`; a new weight: `{"VariantName": v, "DesiredWeight": w}`. `invoke_endpoint` of the
# client `"sagemaker-runtime"` wants `ContentType="application/json"` and returns a stream: `json.load(reply["Body"])`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-8-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def deploy(url: str, runtime: str, release: dict, flights: list) -> list:
    """Bring the endpoint into the state of ``release``; return its probabilities (0–1), in order."""
    ### BEGIN SOLUTION
    name, variants = release["name"], release["variants"]
    sagemaker, tags = cloud.aws.client("sagemaker", url), [{"Key": "project", "Value": release["project"]}]
    found = sagemaker.list_endpoints(NameContains=name)["Endpoints"]
    if name in [one["EndpointName"] for one in found]:
        weights = [{"VariantName": v, "DesiredWeight": given["weight"]} for v, given in variants.items()]
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=weights)
    else:
        for variant, given in variants.items():
            container = {"Image": release["image"], "ModelDataUrl": given["data"]}
            sagemaker.create_model(ModelName=f"{name}-{variant}", PrimaryContainer=container,
                                   ExecutionRoleArn=release["role"], Tags=tags)
        machines = {"InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        rows = [{"VariantName": v, "ModelName": f"{name}-{v}", **machines,
                 "InitialVariantWeight": given["weight"]} for v, given in variants.items()]
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=rows, Tags=tags)
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name, Tags=tags)
    client = cloud.aws.client("sagemaker-runtime", runtime)
    reply = client.invoke_endpoint(EndpointName=name, ContentType="application/json",
                                   Body=json.dumps({"flights": flights}))
    return json.load(reply["Body"])["late_probabilities"]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-8-4", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def answers_of(variant, flights):
    """Return what a variant's model says without any cloud."""
    return packaging.Scorer(packaging.open_bundle(bundles[variant]).model).score_rows(flights).tolist()

MORNING = [EXAMPLE | {"dep_minute": minute} for minute in (360, 1080, 1320)]
with sandbox_resources.released(clouds.aws, bundles, {"blue": 1.0}) as asked:
    mine = deploy(clouds.aws, clouds.runtime, asked, MORNING)
    left = [f"{one['kind']} {one['name']}" for one in teardown.inventory(clouds.aws, asked["project"])]
checks.require(isinstance(mine, list), f"deploy returned {type(mine).__name__}: read the stream in the "
               "reply, and return the list")
checks.equal(len(mine), 3, what="the number of probabilities for 3 flights")
for found, wanted in zip(mine, answers_of("blue", MORNING)):
    checks.close(found, wanted, what="a probability from the endpoint", tolerance=1e-6)
name = asked["name"]
for thing in (f"endpoint {name}", f"endpoint-config {name}", f"model {name}-blue"):
    checks.require(thing in left, f"no {thing} carries the tag project={asked['project']}: "
                   "what is not tagged, no tear-down finds and somebody pays for")
checks.passed("8.4, visible part", 2)

# %% nbgrader={"grade": true, "grade_id": "hidden-8-4", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 8.4 (3 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
def state(name):
    """Return when the endpoint was made, its weights, and its machines."""
    sagemaker = cloud.aws.client("sagemaker", clouds.aws)
    found, made = sagemaker.describe_endpoint(EndpointName=name), sagemaker.describe_endpoint_config(EndpointConfigName=name)
    return (found["CreationTime"], {one["VariantName"]: one.get("CurrentWeight", 0.0) for one in found["ProductionVariants"]},
            {(one["InstanceType"], one["InitialInstanceCount"], one["ModelName"]) for one in made["ProductionVariants"]})

with sandbox_resources.released(clouds.aws, bundles, {"blue": 0.75, "green": 0.25}) as asked:
    name, given = asked["name"], asked["variants"]
    deploy(clouds.aws, clouds.runtime, asked, MORNING)
    made, weights, machines = state(name)
    shifted = asked | {"variants": {"blue": given["blue"] | {"weight": 0.0}, "green": given["green"] | {"weight": 1.0}}}
    second = deploy(clouds.aws, clouds.runtime, shifted, MORNING)
    made_then, weights_then, _ = state(name)
checks.close(weights.get("green", 0) / sum(weights.values()), 0.25, what="the share of traffic of the variant green", tolerance=1e-6)
checks.equal(machines, {("ml.m5.large", 1, f"{name}-blue"), ("ml.m5.large", 1, f"{name}-green")}, what="type, number and model of the variants")
checks.require(made_then == made, "the second deploy deleted the endpoint and made it anew: callers got errors meanwhile; "
               "change the weights of the one that is there")
checks.equal({v: weight > 0 for v, weight in weights_then.items()}, {"blue": False, "green": True},
             what="which variants get traffic after the shift")
for found, wanted in zip(second, answers_of("green", MORNING)):
    checks.close(found, wanted, what="a probability after the shift to green", tolerance=1e-6)
### END HIDDEN TESTS

# %% [markdown]
# First a real failure. The role exists and may not read the model yet. AWS would show the endpoint as *Failed*, with this
# reason:

# %%
release = {"name": "late-flights", "project": "late-flights", "image": image, "role": role,
           "variants": {"blue": {"data": data["blue"], "weight": 1.0},
                        "green": {"data": data["green"], "weight": 0.0}}}
runtime = cloud.aws.client("sagemaker-runtime", clouds.runtime)
try:
    deploy(clouds.aws, clouds.runtime, release, [EXAMPLE])
except runtime.exceptions.ClientError as error:
    print(error.response["Error"]["Message"])

# %%
read = {"Effect": "Allow", "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::desk-models/models/late-flights/*"}
iam.put_role_policy(RoleName="desk-endpoint", PolicyName="read-model",
                    PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [read]}))
deploy(clouds.aws, clouds.runtime, release, [EXAMPLE])  # the endpoint is there already

# %% [markdown]
# The policy was the only thing that was missing. Here the emulator forgives twice. A real endpoint takes minutes: wait with
# `sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=…)` before you ask. And a *Failed* one does not recover
# when the role is mended: it must be deleted and made again.
#
# Now a **canary**: green gets 10 % of the traffic, then half, then all. The
# reply says which variant answered.

# %%
def call(flights=({**EXAMPLE},), **options):
    """Call the endpoint once and return its reply."""
    usual = {"EndpointName": "late-flights", "ContentType": "application/json",
             "Body": json.dumps({"flights": list(flights)})}
    return runtime.invoke_endpoint(**usual | options)

steps = {}
for green in (0.1, 0.5, 1.0):
    release["variants"]["blue"]["weight"] = 1 - green
    release["variants"]["green"]["weight"] = green
    deploy(clouds.aws, clouds.runtime, release, [EXAMPLE])
    steps[f"green: {green:.0%}"] = ({"blue": 1 - green, "green": green},
                                    Counter(call()["InvokedProductionVariant"] for _ in range(CALLS)))
cloud.figures.traffic_figure(steps)

# %% [markdown]
# *Figure: share of calls that blue and green answered, in three steps, with the share that was given as a diamond. The bars
# lie near the diamonds: green answers roughly a tenth of the calls, then about half, then all. 40 calls scatter: a share may
# lie several points beside its diamond, most visibly in the first step.*
#
# What the provider's SDK raises tells whose turn it is, as the status codes of notebook 3 did:

# %%
errors = []
for what, options in {"an endpoint that does not exist": {"EndpointName": "late-fights"},
                      "no JSON": {"ContentType": "text/csv"},
                      "weekday 9": {"flights": [EXAMPLE | {"weekday": 9}]},
                      "no such variant": {"TargetVariant": "red"}}.items():
    try:
        call(**options)
    except runtime.exceptions.ClientError as error:
        errors.append({"sent": what, "error": error.response["Error"]["Code"],
                       "the container said": error.response.get("OriginalStatusCode", "(was not asked)")})
pd.DataFrame(errors).set_index("sent")

# %% [markdown]
# `ValidationError` comes from the platform, `ModelError` from your container. The router noted every call in CloudWatch, as
# SageMaker does. An **alarm** watches a metric; moto stores alarms and never evaluates them, so `cloud.alarms` applies
# CloudWatch's own rule, *M of the last N periods*, to what is stored, and writes the state back. (In AWS a new alarm starts as
# `INSUFFICIENT_DATA`; moto starts it as `OK`.)

# %%
cloudwatch = cloud.aws.client("cloudwatch", clouds.aws)
cloudwatch.put_metric_alarm(
    AlarmName="late-flights-refused", Namespace="AWS/SageMaker", MetricName="Invocation4XXErrors",
    Dimensions=[{"Name": "EndpointName", "Value": "late-flights"},
                {"Name": "VariantName", "Value": "green"}],
    Statistic="Sum", Period=300, EvaluationPeriods=1, Threshold=1,
    ComparisonOperator="GreaterThanOrEqualToThreshold", TreatMissingData="notBreaching", Tags=ours)
before = cloudwatch.describe_alarms(AlarmNames=["late-flights-refused"])["MetricAlarms"][0]["StateValue"]
state = cloud.alarms.evaluate(clouds.aws, "late-flights-refused")
print(before, "→", state.name, "·", state.reason)

# %% [markdown]
# The alarm is on: *the sum of 4XX answers within 300 s is at least 1*. Of the four bad calls two reached the container (the
# last column above), and green, which had all the traffic, refused them. `notBreaching` says that no calls are no alarm.

# %% [markdown]
# ## 8.6 The same as a file
#
# A hundred calls typed by hand cannot be reviewed, and nobody can say what is there. **Infrastructure as code** is a file that
# says what *should* be there: CloudFormation at AWS, Bicep at Azure, Terraform for all. It goes through the pull requests of
# notebook 7, and a linter reads it before anything is created. In it, `!Sub` puts values into a text, `${Models.Arn}` is the
# address of the resource called `Models`, and `AllowedPattern` is a rule for a parameter. This file has two faults:

# %%
TEMPLATE = """\
AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Project: {Type: String, AllowedPattern: "[a-z0-9-]{3,40}"}
Resources:
  Models:
    Type: AWS::S3::Bucket
    Properties:
      BucketName: !Sub "${Project}-models"
      VersioningConfiguration: {Status: On}
      PublicAccessBlockConfiguration: {BlockPublicAcls: true, BlockPublicPolicy: true,
                                       IgnorePublicAcls: true, RestrictPublicBuckets: true}
  Images:
    Type: AWS::ECR::Repository
    Properties: {RepositoryName: !Sub "${Project}/api", ImageTagMutability: IMMUTABLE}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: sagemaker.amazonaws.com}, Action: "sts:AssumeRole"}]
      Policies:
        - PolicyName: read-model
          PolicyDocument:
            Version: "2012-10-17"
            Statement: [{Effect: Allow, Action: "s3:GetObject", Resource: !Sub "${Modells.Arn}/*"}]
"""

# %%
linter = engines.found(["cfn-lint"])[0].version
if not linter:
    print("cfn-lint is not installed here: the template is deployed without")
pd.DataFrame([vars(finding) for finding in stack.lint(TEMPLATE)] if linter else [])

# %% [markdown]
# In YAML, `On` without quotes is the value *true*, and the service wants the word `Enabled`. And `Modells` is nobody's name.

# %%
mended = TEMPLATE.replace("Status: On", "Status: Enabled").replace("Modells", "Models")
print("findings:", len(stack.lint(mended)) if linter else "not looked for")
deployed = stack.deploy(clouds.aws, "night-desk", mended, {"Project": "night-desk"})
pd.Series(deployed, name="created").to_frame()

# %%
def everything(url):
    """Return the names of all resources of each kind, whatever their tags."""
    return {kind.name: [name for name, _ in kind.listed(cloud.aws.client(kind.service, url))]
            for kind in teardown.KINDS}

stack.remove(clouds.aws, "night-desk")
pd.Series({kind: ", ".join(found) for kind, found in everything(clouds.aws).items()}, name="there is").to_frame()

# %% [markdown]
# One call made bucket, repository and role, and one call removed them: what the lists still have belongs to the endpoint.
# That is the best tear-down there is, with one catch: a bucket that is not empty, or anything that was made beside the
# file, stays.
#
# ## 8.7 Kubernetes: an update that nobody notices
#
# Where the team runs servers, the same image goes to Kubernetes, in every cloud or in a cellar. You describe what should be
# there; controllers make it so. A **pod** is one running copy of your container, with an address of its own; a **node** is a
# machine that runs pods; a **controller** is a loop that compares what is with what should be, and acts. Four objects make a
# service:
#
# | object | says |
# |---|---|
# | **Deployment** | which pods, how many, how they are replaced |
# | **Service** | one address in front of all *ready* pods |
# | **HorizontalPodAutoscaler** | between which bounds the number moves |
# | **PodDisruptionBudget** | how many may go at once when nodes are maintained |
#
# No cluster fits on this page, so three checks stand in for one: Kubernetes' own **schemas** (`cloud.validate`), a **review**
# of what schemas cannot see, and a **simulation** of the Deployment controller under load, second by second.

# %%
good = cloud.manifests.api(image="registry.example/late-flights:1.0.0")
misspelt = json.loads(json.dumps(good))
misspelt[0]["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
print(len(cloud.validate(good)), "findings;", cloud.validate(misspelt)[0][:140])

# %% [markdown]
# Here is a Deployment as one finds it on the web. It is valid, and it works, until the first update.

# %%
FRAGILE = [{
    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "late-flights"},
    "spec": {
        "replicas": 2, "selector": {"matchLabels": {"app": "late-flights"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}},
        "template": {"metadata": {"labels": {"app": "late-flights"}}, "spec": {
            "terminationGracePeriodSeconds": 5,
            "containers": [{"name": "api", "image": "registry.example/late-flights:1.0.0",
                            "ports": [{"name": "http", "containerPort": 8000}]}]}}},
}]
LOAD = {"start_seconds": 8, "drain_seconds": 10}  # a server starts in 8 s; the longest request takes 10 s
hurt = cloud.simulate_rollout(FRAGILE, **LOAD)
print(f"{len(cloud.validate(FRAGILE))} findings · {hurt.outcome}: {hurt.dropped} of {hurt.requests} requests lost")
list(hurt.why)

# %% [markdown]
# Kubernetes has nothing against it and calls the update complete. But without a readiness probe the new pods count as ready at
# once, both old ones go, and every request is lost until the new servers are up: 8 s here, a minute for a model that loads in
# a minute. And the requests that the old ones were working on are cut off.
#
# ### Exercise 8.5 · Survive the update (4 points)
#
# Write `hardened(manifests)`. It gets manifests with one Deployment (a list of dicts, such as `FRAGILE`) and returns manifests
# of the same service that lose no request:
#
# - in an update under load, also with another number of replicas, and with a server that takes 20 s to start;
# - **when the new version is broken**: the update must get stuck, and *all* old pods go on serving;
# - on a node that is drained: no pod may be the only one (2 replicas at least), and there is a PodDisruptionBudget that still
#   lets one pod go.
#
# The longest request takes 10 s; nodes hear of a pod that goes within 2 s. Name, labels, image and port stay. The app answers
# `/ready` (the model is loaded) and `/health` (the process lives). No liveness probe is needed; one without patience would
# kill a server that starts slowly. `cloud.validate` must find nothing. Example: `hardened(FRAGILE)[0]["kind"]` →
# `"Deployment"`.
#
# <details><summary>Hint 1</summary>
#
# Four changes in the Deployment: take no pod away before its successor is ready; a `readinessProbe`; a `preStop` hook that
# waits until nodes have heard; a grace period longer than hook and longest request together, which is on the safe side: the
# last request may come until nodes have heard, and takes its 10 s from there.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}`, `"readinessProbe": {"httpGet": {"path": "/ready", "port": "http"},
# "periodSeconds": 2}`, `"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}`, `"terminationGracePeriodSeconds": 30`. The
# budget is a second object: `apiVersion` `"policy/v1"`, `kind` `"PodDisruptionBudget"`, a `metadata.name`, and in its `spec`
# `"maxUnavailable": 1` and the Deployment's `selector`. Work on a copy: `copy.deepcopy(manifests)`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-8-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def hardened(manifests: list) -> list:
    """Return manifests (a list of dicts) of the same service that lose no request in an update."""
    ### BEGIN SOLUTION
    made = copy.deepcopy(manifests)
    deployment = next(one for one in made if one["kind"] == "Deployment")
    spec, name = deployment["spec"], deployment["metadata"]["name"]
    spec["replicas"] = max(2, spec.get("replicas", 1))
    spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    pod = spec["template"]["spec"]
    pod["terminationGracePeriodSeconds"] = 30
    container = pod["containers"][0]
    port = container["ports"][0]["containerPort"]
    container["readinessProbe"] = {"httpGet": {"path": "/ready", "port": port}, "periodSeconds": 2}
    container["lifecycle"] = {"preStop": {"sleep": {"seconds": 5}}}
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name},
              "spec": {"maxUnavailable": 1, "selector": spec["selector"]}}
    return [*made, budget]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-8-5", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
for replicas in (2, 1):
    given = copy.deepcopy(FRAGILE)
    given[0]["spec"]["replicas"] = replicas
    image = given[0]["spec"]["template"]["spec"]["containers"][0]["image"] = f"desk:{checks.random().getrandbits(32):x}"
    mine = checks.afresh(hardened)(given)
    checks.require(isinstance(mine, list) and all(isinstance(one, dict) for one in mine),
                   "return a list of dicts")
    refused = "; ".join(cloud.validate(mine))
    checks.require(not refused, f"Kubernetes would refuse it: {refused[:300]}")
    ran = cloud.simulate_rollout(mine, start_seconds=8, drain_seconds=10)
    checks.require(ran.dropped == 0, f"{replicas} replicas given, {ran.dropped} of {ran.requests} requests "
                   f"lost: {'; '.join(ran.why)}")
    checks.equal(ran.outcome, "complete", what="the outcome of the update")
    broken = cloud.simulate_rollout(mine, start_seconds=8, drain_seconds=10, bad_version=True)
    checks.require(broken.dropped == 0 and broken.outcome == "stuck", f"a broken version: {broken.outcome}, "
                   f"{broken.dropped} requests lost; the old pods must stay until a new one is ready")
    before, after = broken.timeline[0].old_ready, broken.timeline[-1].old_ready
    checks.require(before == after, f"a broken version leaves {after} of {before} old pods: maxUnavailable "
                   "above 0 takes one away before its successor is ready")
    (pods,) = [one["spec"]["template"]["spec"] for one in mine if one["kind"] == "Deployment"]
    checks.equal(pods["containers"][0]["image"], image, what="the image")
    path = pods["containers"][0].get("readinessProbe", {}).get("httpGet", {}).get("path")
    checks.require(path == "/ready", f"the readiness probe asks for {path!r}: only /ready says that the model "
                   "is loaded; a path the app does not know never becomes ready")
    rules = {finding.rule: finding.message for finding in cloud.review(mine)}
    for rule in ("K8S07", "K8S08"):
        checks.require(rule not in rules, f"{replicas} replicas given: {rules.get(rule)}")
checks.passed("8.5, visible part", 2)

# %% nbgrader={"grade": true, "grade_id": "hidden-8-5", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 8.5 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
for replicas in (1, 3, 6):
    given = copy.deepcopy(FRAGILE)
    given[0]["spec"]["replicas"] = replicas
    given[0]["metadata"]["name"] = given[0]["spec"]["selector"]["matchLabels"]["app"] = "night-desk"
    given[0]["spec"]["template"]["metadata"]["labels"]["app"] = "night-desk"
    untouched = copy.deepcopy(given)
    made = checks.afresh(hardened)(given)
    checks.require(not cloud.validate(made), f"{replicas} replicas: Kubernetes would refuse it: {'; '.join(cloud.validate(made))[:300]}")
    for start in (0, 20):
        ran = cloud.simulate_rollout(made, start_seconds=start, drain_seconds=10)
        checks.require(ran.dropped == 0 and ran.outcome == "complete", f"{replicas} replicas, {start} s to start: {ran.outcome}, "
                       f"{ran.dropped} requests lost: {'; '.join(ran.why)}")
    broken = cloud.simulate_rollout(made, start_seconds=5, drain_seconds=10, bad_version=True)
    checks.require(broken.dropped == 0 and broken.outcome == "stuck", f"{replicas} replicas, a broken version: {broken.dropped} requests lost")
    (mine,) = [one for one in made if one["kind"] == "Deployment"]
    checks.equal(mine["metadata"]["name"], "night-desk", what="the name of the Deployment")
    pods, was = mine["spec"]["template"], untouched[0]["spec"]["template"]
    checks.require(pods["metadata"]["labels"] == was["metadata"]["labels"] and pods["spec"]["containers"][0]["image"] ==
                   was["spec"]["containers"][0]["image"], "labels or image are not those that were given")
    rules = {finding.rule: finding.message for finding in cloud.review(made)}
    for rule in ("K8S03", "K8S05", "K8S06", "K8S07", "K8S08"):
        checks.require(rule not in rules, f"{replicas} replicas: {rules.get(rule)}")
### END HIDDEN TESTS

# %%
saved = cloud.simulate_rollout(hardened(FRAGILE), **LOAD)
cloud.figures.timeline_figure({"as found on the web": hurt, "hardened": saved})

# %% [markdown]
# *Figure: two panels over the seconds of the update, each with the ready pods of the old and the new version. Above, the
# fragile Deployment: the new pods count as ready at second 0, the old ones go and cut off what began in the seconds before, and
# every request is lost until the new servers are up at second 8. Below, the hardened one: an old pod goes only when a new one is ready, and nothing is lost. The update
# takes longer, so more requests arrive meanwhile, and nobody notices.*
#
# A readiness probe that asks the right question, and five seconds of waiting: that is most of what "zero downtime" is.
#
# ## 8.8 What does it cost?
#
# A **function** (serverless) is paid by use, a **machine** by the hour, used or not. The prices below are examples of the
# region us-east-1 with their date and page; read the page again before you decide anything.

# %%
pd.DataFrame([{"what": one.what, "USD": f"{one.amount:.10f}".rstrip("0"), "per": one.unit,
               "seen": one.seen, "page": one.source.removeprefix("https://")}
              for one in costs.EXAMPLES.values()]).set_index("what")

# %% [markdown]
# Three ways to serve the same model. What is not a price is **assumed** here; measure yours (notebook 3). A call takes 0.1
# s and 0.5 GB; a machine answers 200 predictions a second, one with a GPU 2,000. `peak` is the busiest hour's rate over the
# month's average: at 4 there must be machines for four times the average. Two machines always run, so that one may fail;
# the GPU way has one to begin with, and takes that risk.

# %%
ways = {
    "function (0.1 s, 0.5 GB)": costs.Function(seconds=0.1, gigabytes=0.5),
    "machines, two at least": costs.Machine(per_second=200, least=2, peak=4),
    "GPU machines, one at least": costs.Machine(per_second=2000, hourly=costs.price("gpu-hour"), peak=4),
}
cloud.figures.cost_figure(ways, [10 ** (3 + 6.5 * k / 240) for k in range(241)])  # 1,000 to 3 billion

# %% [markdown]
# *Figure: price of a million predictions against predictions a month, both axes logarithmic. The function is a flat line at
# about one dollar. The machines and the GPU begin far above it and fall steadily; the machines cross it near 115 million
# predictions a month, the GPU near 710 million. Then come saw teeth: each further machine is a step up. The machines stay below
# the function; the GPU line is above it once more when the second one starts, from 1.3 to 1.4 billion.*

# %%
counts = (0, 100_000, 10_000_000, 1_000_000_000)
months = {f"{count:,}": {name: f"{way.monthly(count):,.2f}" for name, way in ways.items()} for count in counts}
pd.DataFrame(months).rename_axis("USD a month").rename_axis("predictions a month", axis="columns")

# %% [markdown]
# ### Exercise 8.6 · Break-even (4 points)
#
# Write `break_even(function, machine)`: what is the smallest number of predictions a month at which machines cost no more than
# the function? (Just after a further machine starts they may be dearer again, as in the figure; that does not count.)
#
# - `function`: `seconds` and `gigabytes` of one call, `per_request` and `per_gb_second` in dollars.
# - `machine`: `hourly` in dollars, `per_second` (predictions a second that one machine can answer), `least` (machines that
#   always run), `peak` (as above). A month has **730 hours**.
#
# Return the number (a float), or `None` if machines are never cheaper, because even a machine that is full costs more per
# prediction. Example: `seconds` 0.1, `gigabytes` 0.5, `per_request` 2e-7, `per_gb_second` 1.66667e-5, `hourly` 0.0816,
# `per_second` 50, `least` 1, `peak` 1 → about 57.6 million.
#
# <details><summary>Hint 1</summary>
#
# One prediction by function costs `per_request + seconds × gigabytes × per_gb_second`. The machines that always run cost the
# same every month: where does that bill equal so many predictions by function?
#
# </details>
# <details><summary>Hint 2</summary>
#
# One machine carries `per_second × 730 × 3600 / peak` predictions a month. If its bill divided by that is more than one
# prediction by function costs, even full machines are dearer: `None`. Otherwise the machines that always run get there before
# they are full, so further ones play no part.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-8-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def break_even(function: dict, machine: dict) -> float | None:
    """Return the smallest number of predictions a month at which machines cost no more; None: never."""
    ### BEGIN SOLUTION
    each = function["per_request"] + function["seconds"] * function["gigabytes"] * function["per_gb_second"]
    bill = machine["hourly"] * 730
    full = machine["per_second"] * 730 * 3600 / machine["peak"]
    return machine["least"] * bill / each if bill / full <= each else None
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-8-6", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
fresh = checks.afresh(break_even)
F = {"seconds": 0.1, "gigabytes": 0.5, "per_request": 2e-7, "per_gb_second": 1.66667e-5}
M = {"hourly": 0.0816, "per_second": 50, "least": 1, "peak": 1}
EACH, BILL = 2e-7 + 0.1 * 0.5 * 1.66667e-5, 0.0816 * 730
one_machine = fresh(F, M)
checks.close(one_machine, BILL / EACH, what="the break-even of one machine", tolerance=1000, misconceptions={
    0.0816 * 720 / EACH: "a month has 730 hours on average, not 720",
    0.0816 / EACH: "that is the bill of an hour; the machine runs all month",
    BILL / (0.1 * 0.5 * 1.66667e-5): "the price per request was left out",
    BILL / (2e-7 + 0.1 * 1.66667e-5): "a GB-second is seconds times gigabytes",
    BILL / 2e-7: "the function's memory and time were left out: they are most of its price"})
checks.close(
    fresh(F, M | {"least": 2}), 2 * BILL / EACH, what="the break-even of two machines", tolerance=1000,
    misconceptions={BILL / EACH: "two machines always run, so that one may fail: both are paid for"})
checks.passed("8.6, visible part", 2)

# %% nbgrader={"grade": true, "grade_id": "hidden-8-6", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 8.6 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
fresh = checks.afresh(break_even)
priced = lambda name, amount: dataclasses.replace(costs.EXAMPLES[name], amount=amount)
for seconds, gigabytes, hourly, rate, least, peak in ((0.02, 0.25, 0.2, 500, 1, 1), (0.5, 2, 1.006, 100, 2, 5), (0.1, 1, 0.0816, 60, 3, 2)):
    function = {"seconds": seconds, "gigabytes": gigabytes, "per_request": 3e-7, "per_gb_second": 1.5e-5}
    machine = {"hourly": hourly, "per_second": rate, "least": least, "peak": peak}
    one = costs.Function(seconds=seconds, gigabytes=gigabytes, per_request=priced("function-request", 3e-7),
                         per_gb_second=priced("function-gb-second", 1.5e-5))
    two = costs.Machine(per_second=rate, hourly=priced("instance-hour", hourly), least=least, peak=peak)
    wanted = costs.break_even(one, two)
    checks.close(fresh(function, machine), wanted, what=f"the break-even of {machine}", tolerance=wanted * 1e-6)
never = {"hourly": 3.0, "per_second": 5, "least": 1, "peak": 1}
tiny = {"seconds": 0.01, "gigabytes": 0.125, "per_request": 2e-7, "per_gb_second": 1.66667e-5}
checks.require(fresh(tiny, never) is None, "a machine that is full costs more per prediction than the function: its break-even lies "
               "beyond what it can answer, so the answer is None")
checks.require(fresh(tiny, never | {"per_second": 5000}) is not None, "a fast machine does pay")
checks.require(fresh(tiny, never | {"per_second": 5000, "peak": 1000}) is None, "at a peak of 1,000 times the average most "
               "machines stand idle: what one carries in a month shrinks with the peak")
### END HIDDEN TESTS

# %% [markdown]
# ## 8.9 A model that somebody else hosts
#
# The first row of the matrix: a foundation model behind an API. **Amazon Bedrock** offers models of many makers through one
# call, `Converse`, and streams the answer with `ConverseStream`. No emulator of AWS has it. So a **gateway** of the course
# speaks Bedrock's protocol here, event frames included, and a real language model answers behind it: SmolLM2 with 135 million
# parameters, served by llama.cpp. It is fluent and often wrong; notebook 9 takes it apart.

# %%
QUESTION = [{"role": "user", "content": [{"text": "Why are flights late? Answer in one sentence."}]}]


def converse(bedrock, model):
    """Stream one answer, show it as it comes, and return what Bedrock tells at its end."""
    limits = {"maxTokens": 40, "temperature": 0.0}
    told, pieces = {}, 0
    for event in bedrock.converse_stream(modelId=model, messages=QUESTION, inferenceConfig=limits)["stream"]:
        if "contentBlockDelta" in event:
            pieces += 1
            print(event["contentBlockDelta"]["delta"]["text"], end="", flush=True)
        told |= event.get("messageStop", {}) | event.get("metadata", {}).get("usage", {})
    return {"pieces": pieces} | told


# %%
if llm.servers.available(["llama.cpp"]):
    with llm.open_server(["llama.cpp"], max_num_seqs=2) as server, open_gateway(server) as front:
        server.wait_ready()
        bedrock = cloud.aws.client("bedrock-runtime", front.wait_ready().url)
        told = converse(bedrock, server.model)
        try:
            bedrock.converse(modelId="nobody.model-1", messages=QUESTION)
        except bedrock.exceptions.ClientError as error:
            print(f"\nan unknown model: {error.response['Error']['Code']}")
else:
    told = {"llama.cpp": "not installed here: nobody to ask"}
pd.DataFrame({"Bedrock's protocol says": told})

# %% [markdown]
# *Pieces* are the events with text. *Tokens* are what you pay for, read and written; the one that ends an answer has no text.
#
# The program above runs unchanged against the real Bedrock, with other credentials and another model's name. You pay there by
# the token: what you don't pay for is a GPU that waits.
#
# ## 8.10 Leave nothing
#
# An endpoint costs the same whether anybody calls it or not; forgotten ones are the classic surprise on a bill. What tells your
# resources from your neighbour's is the **tag**. Bills can be split by a tag
# too, once it is made a *cost allocation tag* in the billing console. A **budget** mails when a month's bill, or its forecast,
# passes a sum; by itself it only warns. The course can list everything that carries the tag:

# %%
pd.DataFrame(teardown.inventory(clouds.aws, "late-flights"))

# %% [markdown]
# Some things cannot simply be deleted. S3 refuses to delete a bucket that is not empty, and in a bucket that keeps versions,
# deleting an object only puts a **delete marker** on top: every version below is still there, and billed. IAM refuses to delete
# a role that has a policy, ECR a repository that has images. See for yourself:

# %%
ecr = cloud.aws.client("ecr", clouds.aws)
for what, delete in {"bucket": lambda: s3.delete_bucket(Bucket="desk-models"),
                     "role": lambda: iam.delete_role(RoleName="desk-endpoint"),
                     "repository": lambda: ecr.delete_repository(repositoryName="desk/api")}.items():
    try:
        delete()
    except Exception as error:
        print(f"{what}: {error.response['Error']['Code']}")

# %% [markdown]
# The other four kinds go with one call each:

# %%
def delete_plain(url, kind, name):
    """Delete an endpoint, an endpoint-config, a model or an alarm."""
    sagemaker, cloudwatch = cloud.aws.client("sagemaker", url), cloud.aws.client("cloudwatch", url)
    {"endpoint": lambda: sagemaker.delete_endpoint(EndpointName=name),
     "endpoint-config": lambda: sagemaker.delete_endpoint_config(EndpointConfigName=name),
     "model": lambda: sagemaker.delete_model(ModelName=name),
     "alarm": lambda: cloudwatch.delete_alarms(AlarmNames=[name])}[kind]()

# %% [markdown]
# ### Exercise 8.7 · A tear-down that leaves nothing (4 points)
#
# Write `tear_down(url, project)`: delete everything in AWS (at `url`) that carries the tag `project`, and **nothing else**.
# `teardown.inventory(url, project)` lists it as dicts with `kind` (`endpoint`, `endpoint-config`, `model`, `alarm`,
# `repository`, `bucket`, `role`) and `name`, in an order in which they can be deleted; `delete_plain` above deletes the four
# plain kinds. A role here has inline policies only; attached ones, which would have to be detached first, do not occur.
# Return the sorted list of what was deleted, as texts `"kind name"`. A second run finds nothing and returns `[]`.
#
# Example: `tear_down(clouds.aws, "late-flights")` → `["alarm late-flights-refused", "bucket desk-models", …]`.
#
# <details><summary>Hint 1</summary>
#
# Bucket: the paginator `"list_object_versions"` yields pages with `Versions` and `DeleteMarkers`; delete each with
# `s3.delete_object(Bucket=…, Key=…, VersionId=…)`, then the bucket. Collect all pages before you delete.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Role: `iam.list_role_policies(RoleName=…)["PolicyNames"]`, `iam.delete_role_policy(RoleName=…, PolicyName=…)`, then the role.
# Repository: `ecr.delete_repository(repositoryName=…, force=True)` takes the images along.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ex-8-7", "locked": false, "schema_version": 3, "solution": true, "task": false}
def tear_down(url: str, project: str) -> list:
    """Delete what carries the tag ``project``; return ``["bucket desk-models", …]``, sorted."""
    ### BEGIN SOLUTION
    s3, iam = cloud.aws.client("s3", url), cloud.aws.client("iam", url)
    found = teardown.inventory(url, project)
    for kind, name in ((one["kind"], one["name"]) for one in found):
        if kind == "bucket":
            pages = list(s3.get_paginator("list_object_versions").paginate(Bucket=name))
            for one in [*(v for page in pages for v in page.get("Versions", [])),
                        *(m for page in pages for m in page.get("DeleteMarkers", []))]:
                s3.delete_object(Bucket=name, Key=one["Key"], VersionId=one["VersionId"])
            s3.delete_bucket(Bucket=name)
        elif kind == "role":
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
                iam.delete_role_policy(RoleName=name, PolicyName=policy)
            iam.delete_role(RoleName=name)
        elif kind == "repository":
            cloud.aws.client("ecr", url).delete_repository(repositoryName=name, force=True)
        else:
            delete_plain(url, kind, name)
    return sorted(f"{one['kind']} {one['name']}" for one in found)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-8-7", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def names(project):
    """Return what carries a project's tag, as sorted texts."""
    return sorted(f"{one['kind']} {one['name']}" for one in teardown.inventory(clouds.aws, project))

def torn_down(project):
    """Run the tear-down; an error of AWS's is a finding, not a crash."""
    try:
        return tear_down(clouds.aws, project)
    except cloud.aws.client("s3", clouds.aws).exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        checks.fail(f"AWS refused with {code}, and what came after it is left, and billed: " + {
            "BucketNotEmpty": "a bucket must lose every version and every delete marker first, on all pages",
            "DeleteConflict": "a role must lose its policies first",
            "RepositoryNotEmptyException": "a repository has images: force=True takes them along",
        }.get(code, str(error)))

with sandbox_resources.neighbours(clouds.aws) as (mine, neighbour):
    listed, theirs = names(mine), names(neighbour)
    removed = torn_down(mine)
    left, untouched = names(mine), names(neighbour) == theirs
checks.require(not left, f"this is left, and billed: {', '.join(left)}")
checks.require(untouched, "the neighbour's project is damaged: its names begin like yours, its tag differs")
checks.equal(removed, listed, what="the list of what was deleted")
checks.passed("8.7, visible part", 2)

# %% nbgrader={"grade": true, "grade_id": "hidden-8-7", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden tests for exercise 8.7 (2 points) run when the notebook is graded.
### BEGIN HIDDEN TESTS
with sandbox_resources.neighbours(clouds.aws, versions=23) as (mine, neighbour):
    theirs = names(neighbour)
    removed = torn_down(mine)
    left, again, untouched = names(mine), torn_down(mine), names(neighbour) == theirs
checks.require(not left and len(removed) == 7, f"with more versions than a page holds, this is left: {', '.join(left) or removed}")
checks.equal(again, [], what="what the second run deleted")
checks.require(untouched, "the neighbour's project is damaged: go by the tag")
### END HIDDEN TESTS

# %%
tear_down(clouds.aws, "late-flights")

# %% [markdown]
# Azure and Google Cloud keep their books elsewhere. Azure's container goes with its content; Google's bucket must be emptied
# first, as in S3, and `remove` does that. Then the proof: a second run finds nothing by its tag, and the list of each kind,
# read without asking for a tag, is empty.

# %%
for scheme in ("az", "gs"):
    storage.open_store(f"{scheme}://desk-models", clouds.urls).remove()

# %%
left = {
    "found by a second run": tear_down(clouds.aws, "late-flights"),
    **everything(clouds.aws),
    "stacks": cloud.aws.client("cloudformation", clouds.aws).describe_stacks()["Stacks"],
    "users": iam.list_users()["Users"],
    "containers in Azure": list(blobs.list_containers()),
    "buckets in Google Cloud": list(google.list_buckets()),
}
assert not any(left.values()), left
pd.Series({what: len(found) for what, found in left.items()}, name="left").to_frame()

# %% [markdown]
# The emulators stop here; what section 8.11 starts ends by itself:

# %%
clouds.close()
print(len(psutil.Process().children(recursive=True)), "processes left")

# %% [markdown]
# ## 8.11 Who turns the wheel?
#
# *A look ahead, without an exercise.* The endpoint serves what somebody trained. In production nobody starts a training by hand: an **orchestrator** does. It knows
# which step waits for which, runs each in a container of its own, keeps what each one made, and can begin again at the step
# that failed. **Kubeflow Pipelines** does it on Kubernetes (Vertex AI takes the same file); Airflow is its older cousin,
# and the same steps are written for it in `course_lib/retraining/airflow_dag.py`. This is the loop of notebook 6, cut into
# six steps that share nothing but files, compiled to what a Kubeflow server takes. Nobody wrote the order down: it follows
# from whose output a step takes.

# %%
WORK = tempfile.TemporaryDirectory(prefix="course-08-")  # removed when the kernel ends
orchestrator = engines.found(["kfp"])[0].version
if orchestrator:
    compiled = pipeline.compile_pipeline(Path(WORK.name) / "late-flights.yaml")
    tasks = yaml.safe_load(compiled.read_text())["root"]["dag"]["tasks"]
    waits = {name: sorted(task.get("dependentTasks", [])) for name, task in tasks.items()}
    order = list(TopologicalSorter(waits).static_order())
    display(pd.DataFrame({"waits for": {name: ", ".join(waits[name]) for name in order}}).rename_axis("step"))
else:
    print("Kubeflow's SDK is not installed here: nothing is compiled; notebook 6 runs this loop as one function")

# %% [markdown]
# The very same steps run here with kfp's own local runner, each in a process of its own. It is 15 February: the steps see no
# flight and no label that is later than that.

# %%
if orchestrator:
    work = Path(WORK.name)
    run = pipeline.run_pipeline(work / "store", work / "runs", moment="2013-02-15", trees=20)
    print("the gate says:", run.verdict, "· version in service:", run.champion)
    display(pd.DataFrame({"returned": {step: str(value)[:12] for step, value in run.outputs.items()}}).rename_axis("step"))

# %% [markdown]
# `collect` returned how many flights it wrote, `validate` how many it refused, `train` the id of its run, `evaluate` the AUC on
# the last week, `gate` a verdict. It promotes at an AUC that low because there is no champion yet to beat; 20 trees are few, to
# keep this short. A step that fails is named, and can be run again without those before it.
#
# ## Interview question
#
# > *Walk me through how you would deploy your model to a cloud. What do you choose, who may do what, and how do you know
# > tomorrow that it costs what you expected?*
#
# Answer in your own words, about 200 words. Exercises 8.1, 8.3, 8.4, 8.5 and 8.6 are your evidence in code, the tables of
# section 8.8 your numbers.
#
# A person grades it:
#
# | Points | For |
# |---|---|
# | 1 | *Path:* a need, a choice, and when another would be better |
# | 1 | *Permissions:* a role per job, least privilege by action *and* resource, an explicit Deny where it must hold |
# | 1 | *Change:* a canary or a rolling update, with the probe and the numbers that stop it; infrastructure as a file |
# | 1 | *Money:* by use against by the hour, a break-even with a number, tags, and a tear-down that was checked |
#
# *More questions on this topic, to practise in a terminal:* `python -m course_lib.interview --topic 8`

# %% [markdown] nbgrader={"grade": true, "grade_id": "interview-1", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# I start with the need. The late-flight model is our own and small, so a managed LLM platform is out. Nobody in the team is on
# call, so I take a managed endpoint in the cloud that holds our data; with a team that runs servers I would take FastAPI on
# Kubernetes, because the same image runs everywhere. The artefact is a signed bundle in an object store, written once.
#
# Each job has a role of its own. The trainer may list, read and write below one prefix, and an explicit Deny keeps it from
# deleting versions even if somebody gives it more later. I check policies by evaluating requests, not by reading them.
#
# What exists is described in a file that is linted and reviewed. A new version gets a tenth of the traffic, then half, then
# all; an alarm on errors stops it. On Kubernetes a readiness probe, maxUnavailable 0, a preStop hook and a grace period
# longer than the longest request lose no request; a broken version gets stuck while the old one serves.
#
# Money: a function costs nothing when nobody asks. With 0.1 s and 0.5 GB a call, one small machine is cheaper from about 58
# million predictions a month, two from twice that. Everything carries a tag; the tear-down goes by the tag, includes
# versions and policies, and its second run must find nothing. One limit: an emulator has no bill, so I set a budget alarm
# in the real account.

# %% [markdown]
# ## State of the desk
#
# > **Automated now:** the choice of a path with its reasons · the model in three clouds, byte for byte · policies judged by their
# > effect · an endpoint with a canary and an alarm · an update that loses no request · a tear-down that is proven.
# >
# > **Still by hand:** the budget alarm and the account itself.
# >
# > **What breaks next:** somebody asks the desk a question in words. Notebook 9 serves a language model, and explains where its
# > throughput comes from.
