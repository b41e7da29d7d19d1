# %% more replicas answer="wrong" expect="its readiness was not asked for"
def hardened(manifests):
    made = copy.deepcopy(manifests)
    made[0]["spec"]["replicas"] = 6
    return made


# %% a probe of liveness answer="wrong" expect="its readiness was not asked for"
def hardened(manifests):
    made = copy.deepcopy(manifests)
    spec = made[0]["spec"]
    spec["replicas"] = 3
    spec["strategy"]["rollingUpdate"] = {"maxSurge": 1, "maxUnavailable": 0}
    spec["template"]["spec"]["terminationGracePeriodSeconds"] = 30
    spec["template"]["spec"]["containers"][0]["livenessProbe"] = {"httpGet": {"path": "/health", "port": "http"}}
    spec["template"]["spec"]["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": 5}}}
    return made


# %% no preStop hook answer="wrong" expect="a pod that had stopped listening"
def hardened(manifests):
    made = copy.deepcopy(manifests)
    spec = made[0]["spec"]
    spec["replicas"] = max(2, spec["replicas"])
    spec["strategy"]["rollingUpdate"] = {"maxSurge": 1, "maxUnavailable": 0}
    spec["template"]["spec"]["terminationGracePeriodSeconds"] = 30
    spec["template"]["spec"]["containers"][0]["readinessProbe"] = {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 2}
    return made


# %% grace shorter than hook and request answer="wrong" expect="the grace period ends before the longest request does"
def hardened(manifests):
    made = copy.deepcopy(manifests)
    spec = made[0]["spec"]
    spec["replicas"] = max(2, spec["replicas"])
    spec["strategy"]["rollingUpdate"] = {"maxSurge": 1, "maxUnavailable": 0}
    spec["template"]["spec"]["terminationGracePeriodSeconds"] = 10
    container = spec["template"]["spec"]["containers"][0]
    container["readinessProbe"] = {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 2}
    container["lifecycle"] = {"preStop": {"sleep": {"seconds": 5}}}
    return made


# %% misspells the probe answer="wrong" expect="Kubernetes would refuse it"
def hardened(manifests):
    made = copy.deepcopy(manifests)
    made[0]["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {"httpGet": {"path": "/ready", "port": "http"}}
    return made


# %% no budget for disruptions answer="wrong" expect="maintenance may drain all its nodes at once"
def hardened(manifests):
    made = copy.deepcopy(manifests)
    spec = made[0]["spec"]
    spec["replicas"] = max(2, spec["replicas"])
    spec["strategy"]["rollingUpdate"] = {"maxSurge": 1, "maxUnavailable": 0}
    spec["template"]["spec"]["terminationGracePeriodSeconds"] = 30
    container = spec["template"]["spec"]["containers"][0]
    container["readinessProbe"] = {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 2}
    container["lifecycle"] = {"preStop": {"sleep": {"seconds": 5}}}
    return made


# %% a budget that lets no pod go answer="wrong" expect="a node can never be drained"
def hardened(manifests):
    made = copy.deepcopy(manifests)
    spec = made[0]["spec"]
    spec["replicas"] = max(2, spec["replicas"])
    spec["strategy"]["rollingUpdate"] = {"maxSurge": 1, "maxUnavailable": 0}
    spec["template"]["spec"]["terminationGracePeriodSeconds"] = 30
    container = spec["template"]["spec"]["containers"][0]
    container["readinessProbe"] = {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 2}
    container["lifecycle"] = {"preStop": {"sleep": {"seconds": 5}}}
    return [*made, {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": made[0]["metadata"]["name"]},
                    "spec": {"minAvailable": "100%", "selector": made[0]["spec"]["selector"]}}]


# %% takes one away first answer="wrong" expect="before its successor is ready"
def hardened(manifests):
    old = next(one for one in manifests if one["kind"] == "Deployment")
    name, labels = old["metadata"]["name"], old["spec"]["selector"]["matchLabels"]
    container = old["spec"]["template"]["spec"]["containers"][0]
    made = cloud.manifests.api(image=container["image"], name=name, port=container["ports"][0]["containerPort"],
                               replicas=max(2, old["spec"]["replicas"]))
    for one in made:
        if one["kind"] == "Deployment":
            one["spec"]["selector"]["matchLabels"] = one["spec"]["template"]["metadata"]["labels"] = dict(labels)
        if one["kind"] == "PodDisruptionBudget":
            one["spec"]["selector"]["matchLabels"] = dict(labels)
        if one["kind"] == "Service":
            one["spec"]["selector"] = dict(labels)
    made[0]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] = 1
    return made


# %% asks a path that the app does not have answer="wrong" expect="only /ready says that the model is loaded"
def hardened(manifests):
    old = next(one for one in manifests if one["kind"] == "Deployment")
    name, labels = old["metadata"]["name"], old["spec"]["selector"]["matchLabels"]
    container = old["spec"]["template"]["spec"]["containers"][0]
    made = cloud.manifests.api(image=container["image"], name=name, port=container["ports"][0]["containerPort"],
                               replicas=max(2, old["spec"]["replicas"]))
    for one in made:
        if one["kind"] == "Deployment":
            one["spec"]["selector"]["matchLabels"] = one["spec"]["template"]["metadata"]["labels"] = dict(labels)
        if one["kind"] == "PodDisruptionBudget":
            one["spec"]["selector"]["matchLabels"] = dict(labels)
        if one["kind"] == "Service":
            one["spec"]["selector"] = dict(labels)
    made[0]["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["httpGet"]["path"] = "/readyz"
    return made


# %% taken from the course's manifests answer="right"
def hardened(manifests):
    old = next(one for one in manifests if one["kind"] == "Deployment")
    name, labels = old["metadata"]["name"], old["spec"]["selector"]["matchLabels"]
    container = old["spec"]["template"]["spec"]["containers"][0]
    made = cloud.manifests.api(image=container["image"], name=name, port=container["ports"][0]["containerPort"],
                               replicas=max(2, old["spec"]["replicas"]))
    for one in made:
        if one["kind"] == "Deployment":
            one["spec"]["selector"]["matchLabels"] = one["spec"]["template"]["metadata"]["labels"] = dict(labels)
        if one["kind"] == "PodDisruptionBudget":
            one["spec"]["selector"]["matchLabels"] = dict(labels)
        if one["kind"] == "Service":
            one["spec"]["selector"] = dict(labels)
    return made


# %% surge in per cent, hook by command answer="right"
def hardened(manifests):
    text = json.loads(json.dumps(manifests))
    for one in text:
        spec = one["spec"]
        spec.update(replicas=spec["replicas"] + 1, minReadySeconds=2)
        spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "50%", "maxUnavailable": "0%"}}
        pod = spec["template"]["spec"]
        pod["terminationGracePeriodSeconds"] = 45
        pod["containers"][0] |= {
            "lifecycle": {"preStop": {"exec": {"command": ["sleep", "10"]}}},
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 8000}, "periodSeconds": 1, "failureThreshold": 2},
            "startupProbe": {"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 1, "failureThreshold": 60},
        }
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "keep-serving"},
              "spec": {"minAvailable": 1, "selector": {"matchLabels": text[0]["spec"]["template"]["metadata"]["labels"]}}}
    return [*text, budget]
