# %% deletes and makes anew answer="wrong" expect="callers got errors meanwhile"
def deploy(url, runtime, release, flights):
    name, tags = release["name"], [{"Key": "project", "Value": release["project"]}]
    sagemaker = cloud.aws.client("sagemaker", url)
    if sagemaker.list_endpoints(NameContains=name)["Endpoints"]:
        sagemaker.delete_endpoint(EndpointName=name)
        sagemaker.delete_endpoint_config(EndpointConfigName=name)
        for variant in release["variants"]:
            sagemaker.delete_model(ModelName=f"{name}-{variant}")
    rows = []
    for variant, given in release["variants"].items():
        container = {"Image": release["image"], "ModelDataUrl": given["data"]}
        sagemaker.create_model(ModelName=f"{name}-{variant}", PrimaryContainer=container, ExecutionRoleArn=release["role"], Tags=tags)
        rows.append({"VariantName": variant, "ModelName": f"{name}-{variant}", "InitialInstanceCount": 1,
                     "InstanceType": "ml.m5.large", "InitialVariantWeight": given["weight"]})
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=rows, Tags=tags)
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name, Tags=tags)
    reply = cloud.aws.client("sagemaker-runtime", runtime).invoke_endpoint(
        EndpointName=name, ContentType="application/json", Body=json.dumps({"flights": flights}))
    return json.load(reply["Body"])["late_probabilities"]


# %% tags nothing answer="wrong" expect="what is not tagged, no tear-down finds"
def deploy(url, runtime, release, flights):
    name = release["name"]
    sagemaker = cloud.aws.client("sagemaker", url)
    rows = []
    for variant, given in release["variants"].items():
        container = {"Image": release["image"], "ModelDataUrl": given["data"]}
        sagemaker.create_model(ModelName=f"{name}-{variant}", PrimaryContainer=container, ExecutionRoleArn=release["role"])
        rows.append({"VariantName": variant, "ModelName": f"{name}-{variant}", "InitialInstanceCount": 1,
                     "InstanceType": "ml.m5.large", "InitialVariantWeight": given["weight"]})
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=rows)
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    reply = cloud.aws.client("sagemaker-runtime", runtime).invoke_endpoint(
        EndpointName=name, ContentType="application/json", Body=json.dumps({"flights": flights}))
    return json.load(reply["Body"])["late_probabilities"]


# %% returns the body as text answer="wrong" expect="read the stream in the reply"
def deploy(url, runtime, release, flights):
    name, tags = release["name"], [{"Key": "project", "Value": release["project"]}]
    sagemaker = cloud.aws.client("sagemaker", url)
    rows = []
    for variant, given in release["variants"].items():
        container = {"Image": release["image"], "ModelDataUrl": given["data"]}
        sagemaker.create_model(ModelName=f"{name}-{variant}", PrimaryContainer=container, ExecutionRoleArn=release["role"], Tags=tags)
        rows.append({"VariantName": variant, "ModelName": f"{name}-{variant}", "InitialInstanceCount": 1,
                     "InstanceType": "ml.m5.large", "InitialVariantWeight": given["weight"]})
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=rows, Tags=tags)
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name, Tags=tags)
    reply = cloud.aws.client("sagemaker-runtime", runtime).invoke_endpoint(
        EndpointName=name, ContentType="application/json", Body=json.dumps({"flights": flights}))
    return reply["Body"].read().decode()


# %% all variants weigh the same answer="wrong" expect="the share of traffic of the variant green"
def deploy(url, runtime, release, flights):
    name, tags = release["name"], [{"Key": "project", "Value": release["project"]}]
    sagemaker = cloud.aws.client("sagemaker", url)
    if not sagemaker.list_endpoints(NameContains=name)["Endpoints"]:
        rows = []
        for variant, given in release["variants"].items():
            container = {"Image": release["image"], "ModelDataUrl": given["data"]}
            sagemaker.create_model(ModelName=f"{name}-{variant}", PrimaryContainer=container, ExecutionRoleArn=release["role"], Tags=tags)
            rows.append({"VariantName": variant, "ModelName": f"{name}-{variant}", "InitialInstanceCount": 1,
                         "InstanceType": "ml.m5.large", "InitialVariantWeight": 1})
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=rows, Tags=tags)
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name, Tags=tags)
    reply = cloud.aws.client("sagemaker-runtime", runtime).invoke_endpoint(
        EndpointName=name, ContentType="application/json", Body=json.dumps({"flights": flights}))
    return json.load(reply["Body"])["late_probabilities"]


# %% leaves the weights of an endpoint that exists answer="wrong" expect="which variants get traffic after the shift"
def deploy(url, runtime, release, flights):
    name, tags = release["name"], [{"Key": "project", "Value": release["project"]}]
    sagemaker = cloud.aws.client("sagemaker", url)
    if not sagemaker.list_endpoints(NameContains=name)["Endpoints"]:
        rows = []
        for variant, given in release["variants"].items():
            container = {"Image": release["image"], "ModelDataUrl": given["data"]}
            sagemaker.create_model(ModelName=f"{name}-{variant}", PrimaryContainer=container, ExecutionRoleArn=release["role"], Tags=tags)
            rows.append({"VariantName": variant, "ModelName": f"{name}-{variant}", "InitialInstanceCount": 1,
                         "InstanceType": "ml.m5.large", "InitialVariantWeight": given["weight"]})
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=rows, Tags=tags)
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name, Tags=tags)
    reply = cloud.aws.client("sagemaker-runtime", runtime).invoke_endpoint(
        EndpointName=name, ContentType="application/json", Body=json.dumps({"flights": flights}))
    return json.load(reply["Body"])["late_probabilities"]


# %% asks whether the endpoint exists by its error answer="right"
def deploy(url, runtime, release, flights):
    sagemaker = cloud.aws.client("sagemaker", url)
    name, tags = release["name"], [{"Key": "project", "Value": release["project"]}]
    try:
        sagemaker.describe_endpoint(EndpointName=name)
    except sagemaker.exceptions.ClientError:
        variants = []
        for variant, given in release["variants"].items():
            model = sagemaker.create_model(
                ModelName=f"{name}-{variant}", ExecutionRoleArn=release["role"], Tags=tags,
                Containers=[], PrimaryContainer={"Image": release["image"], "ModelDataUrl": given["data"]})
            assert model["ModelArn"]
            variants.append(dict(VariantName=variant, ModelName=f"{name}-{variant}", InitialInstanceCount=1,
                                 InstanceType="ml.m5.large", InitialVariantWeight=given["weight"]))
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants, Tags=tags)
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name, Tags=tags)
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name)
    sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=[
        {"VariantName": variant, "DesiredWeight": given["weight"]} for variant, given in release["variants"].items()])
    reply = cloud.aws.client("sagemaker-runtime", runtime).invoke_endpoint(
        EndpointName=name, ContentType="application/json", Accept="application/json", Body=json.dumps({"flights": flights}).encode())
    return json.loads(reply["Body"].read())["late_probabilities"]


# %% boto3 itself, with its own keys answer="right"
def deploy(url, runtime, release, flights):
    import boto3

    dummy = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
    sagemaker = boto3.client("sagemaker", endpoint_url=url, **dummy)
    name, tags = release["name"], [{"Key": "project", "Value": release["project"]}]
    names = {one["EndpointName"] for page in sagemaker.get_paginator("list_endpoints").paginate() for one in page["Endpoints"]}
    if name in names:
        sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=[
            {"VariantName": v, "DesiredWeight": g["weight"], "DesiredInstanceCount": 1} for v, g in release["variants"].items()])
    else:
        for v, g in release["variants"].items():
            sagemaker.create_model(ModelName=name + "-" + v, ExecutionRoleArn=release["role"], Tags=tags,
                                   PrimaryContainer={"Image": release["image"], "ModelDataUrl": g["data"]})
        sagemaker.create_endpoint_config(EndpointConfigName=name, Tags=tags, ProductionVariants=[
            {"VariantName": v, "ModelName": name + "-" + v, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large",
             "InitialVariantWeight": g["weight"]} for v, g in release["variants"].items()])
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name, Tags=tags)
    reply = boto3.client("sagemaker-runtime", endpoint_url=runtime, **dummy).invoke_endpoint(
        EndpointName=name, ContentType="application/json", Body=json.dumps({"flights": flights}))
    return json.load(reply["Body"])["late_probabilities"]
