# %% deletes objects, leaves versions answer="wrong" expect="every version and every delete marker"
def tear_down(url, project):
    s3, iam = cloud.aws.client("s3", url), cloud.aws.client("iam", url)
    found = teardown.inventory(url, project)
    for kind, name in ((one["kind"], one["name"]) for one in found):
        if kind == "bucket":
            for one in s3.list_objects_v2(Bucket=name).get("Contents", []):
                s3.delete_object(Bucket=name, Key=one["Key"])
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


# %% gives up on what refuses answer="wrong" expect="this is left, and billed"
def tear_down(url, project):
    done = []
    calls = {"bucket": ("s3", "delete_bucket", "Bucket"), "role": ("iam", "delete_role", "RoleName"),
             "repository": ("ecr", "delete_repository", "repositoryName")}
    for one in teardown.inventory(url, project):
        try:
            if one["kind"] in calls:
                service, method, argument = calls[one["kind"]]
                getattr(cloud.aws.client(service, url), method)(**{argument: one["name"]})
            else:
                delete_plain(url, one["kind"], one["name"])
            done.append(f"{one['kind']} {one['name']}")
        except Exception:
            pass
    return sorted(done)


# %% goes by the name, not by the tag answer="wrong" expect="the neighbour's project is damaged"
def tear_down(url, project):
    found = teardown.inventory(url, project)
    done = teardown.sweep(url, project)
    sagemaker = cloud.aws.client("sagemaker", url)
    for one in sagemaker.list_endpoints(NameContains=project)["Endpoints"]:
        sagemaker.delete_endpoint(EndpointName=one["EndpointName"])
    return sorted(f"{one['kind']} {one['name']}" for one in found)


# %% keeps the role's policies answer="wrong" expect="a role must lose its policies first"
def tear_down(url, project):
    found = teardown.inventory(url, project)
    for one in found:
        if one["kind"] == "bucket":
            teardown.delete_bucket(cloud.aws.client("s3", url), one["name"])
        elif one["kind"] == "role":
            cloud.aws.client("iam", url).delete_role(RoleName=one["name"])
        elif one["kind"] == "repository":
            cloud.aws.client("ecr", url).delete_repository(repositoryName=one["name"], force=True)
        else:
            delete_plain(url, one["kind"], one["name"])
    return sorted(f"{one['kind']} {one['name']}" for one in found)


# %% reads one page of versions answer="wrong" expect="every version and every delete marker"
def tear_down(url, project):
    s3, iam = cloud.aws.client("s3", url), cloud.aws.client("iam", url)
    found = teardown.inventory(url, project)
    for kind, name in ((one["kind"], one["name"]) for one in found):
        if kind == "bucket":
            page = s3.list_object_versions(Bucket=name)
            for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
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


# %% a function a kind answer="right"
def tear_down(url, project):
    s3, iam, ecr = (cloud.aws.client(service, url) for service in ("s3", "iam", "ecr"))

    def bucket(name):
        while True:
            page = s3.list_object_versions(Bucket=name)
            rows = page.get("Versions", []) + page.get("DeleteMarkers", [])
            if not rows:
                break
            for row in rows:
                s3.delete_object(Bucket=name, Key=row["Key"], VersionId=row["VersionId"])
        s3.delete_bucket(Bucket=name)

    def role(name):
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        iam.delete_role(RoleName=name)

    special = {"bucket": bucket, "role": role, "repository": lambda name: ecr.delete_repository(repositoryName=name, force=True)}
    gone = []
    for one in teardown.inventory(url, project):
        special.get(one["kind"], lambda name, kind=one["kind"]: delete_plain(url, kind, name))(one["name"])
        gone.append(f"{one['kind']} {one['name']}")
    return sorted(gone)


# %% the course's sweep answer="right"
def tear_down(url, project):
    return sorted(f"{one['kind']} {one['name']}" for one in teardown.sweep(url, project))
