"""An endpoint that answers with a real model, refuses as AWS refuses, and is gone when it is deleted."""

from __future__ import annotations

import io
import json
import tarfile

import pytest

from course_lib import packaging, processes
from course_lib.cloud import alarms, aws, sandbox_resources, teardown
from course_lib.cloud.errors import CloudError
from course_lib.serving.api.schemas import EXAMPLE


@pytest.fixture(scope="module")
def bundles():
    return {"blue": packaging.desk_bundle(), "green": packaging.desk_bundle((1, 2, 3), version=2)}


@pytest.fixture(scope="module")
def endpoint(clouds, bundles):
    """An endpoint with two variants; yields what describes it."""
    with sandbox_resources.released(clouds.aws, bundles, {"blue": 1.0, "green": 0.0}) as release:
        create(clouds.aws, release)
        yield release


def create(url, release, **changes):
    sagemaker, name = aws.client("sagemaker", url), release["name"]
    tags = sandbox_resources.tags(release["project"])
    rows = []
    for variant, given in release["variants"].items():
        container = {
            "Image": changes.get("image", release["image"]),
            "ModelDataUrl": changes.get("data", given["data"]),
        }
        role = changes.get("role", release["role"])
        model = f"{name}-{variant}"
        sagemaker.create_model(ModelName=model, PrimaryContainer=container, ExecutionRoleArn=role, Tags=tags)
        rows.append(
            {
                "VariantName": variant,
                "ModelName": model,
                "InitialInstanceCount": 1,
                "InstanceType": "ml.m5.large",
                "InitialVariantWeight": given["weight"],
            }
        )
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=rows, Tags=tags)
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name, Tags=tags)


def invoke(clouds, name, flights=(EXAMPLE,), **options):
    body = json.dumps({"flights": list(flights)})
    runtime = aws.client("sagemaker-runtime", clouds.runtime)
    given = {"EndpointName": name, "ContentType": "application/json", "Body": body} | options
    return runtime.invoke_endpoint(**given)


def refused(clouds, name, **options):
    with pytest.raises(aws.client("sagemaker-runtime", clouds.runtime).exceptions.ClientError) as error:
        invoke(clouds, name, **options)
    return error.value.response


def test_the_answer_is_the_models_own(clouds, endpoint, bundles):
    flights = [EXAMPLE | {"dep_minute": minute} for minute in (400, 1100)]
    for variant, folder in bundles.items():
        reply = invoke(clouds, endpoint["name"], flights, TargetVariant=variant)
        scorer = packaging.Scorer(packaging.open_bundle(folder).model)
        assert json.load(reply["Body"])["late_probabilities"] == pytest.approx(scorer.score_rows(flights).tolist())
        assert reply["InvokedProductionVariant"] == variant


def test_traffic_follows_the_weights(clouds, endpoint):
    sagemaker = aws.client("sagemaker", clouds.aws)
    for weights in ({"blue": 1.0, "green": 0.0}, {"blue": 0.0, "green": 1.0}):
        desired = [{"VariantName": variant, "DesiredWeight": weight} for variant, weight in weights.items()]
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=endpoint["name"], DesiredWeightsAndCapacities=desired
        )
        answered = {invoke(clouds, endpoint["name"])["InvokedProductionVariant"] for _ in range(5)}
        assert answered == {variant for variant, weight in weights.items() if weight}


@pytest.mark.parametrize(
    ("options", "code", "status"),
    [
        ({"TargetVariant": "red"}, "ValidationError", None),
        ({"Body": b"{"}, "ModelError", 400),
        ({"Body": b'{"flights": [{}]}'}, "ModelError", 422),
        ({"ContentType": "text/csv"}, "ModelError", 415),
    ],
)
def test_errors_have_awss_names_and_the_containers_status(clouds, endpoint, options, code, status):
    response = refused(clouds, endpoint["name"], **options)
    assert response["Error"]["Code"] == code
    assert response.get("OriginalStatusCode") == status


def test_an_endpoint_that_does_not_exist_is_refused(clouds):
    response = refused(clouds, "nobodys")
    assert response["Error"] == {
        "Code": "ValidationError",
        "Message": f"Endpoint nobodys of account {aws.ACCOUNT} not found.",
    }


def broken(clouds, bundles, **changes):
    """Return what an endpoint with one fault answers."""
    with sandbox_resources.released(clouds.aws, {"blue": bundles["blue"]}, {"blue": 1.0}) as release:
        create(clouds.aws, release, **changes)
        return refused(clouds, release["name"])["Error"]["Message"]


def test_what_aws_would_refuse_is_refused_with_its_reason(clouds, bundles):
    assert "cannot be pulled" in broken(
        clouds, bundles, image=f"{aws.ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/no/image:1"
    )
    assert "no address of a registry" in broken(clouds, bundles, image="desk/api:1")
    assert "does not exist" in broken(clouds, bundles, role=aws.arn("iam", "role/nobody"))
    assert "no statement allows s3:GetObject" in broken(clouds, bundles, data="s3://elsewhere/model.tar.gz")
    iam = aws.client("iam", clouds.aws)
    iam.create_role(
        RoleName="untrusting", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []})
    )
    assert "does not trust sagemaker" in broken(clouds, bundles, role=aws.arn("iam", "role/untrusting"))
    iam.delete_role(RoleName="untrusting")


@pytest.mark.parametrize(("body", "reason"), [(b"no archive", "cannot be unpacked"), (None, "NoSuchKey")])
def test_model_data_that_cannot_be_used_is_refused(clouds, bundles, body, reason):
    with sandbox_resources.released(clouds.aws, {"blue": bundles["blue"]}, {"blue": 1.0}) as release:
        bucket, s3 = f"{release['project']}-models", aws.client("s3", clouds.aws)
        if body is None:
            s3.delete_object(Bucket=bucket, Key="blue.tar.gz")
        else:
            s3.put_object(Bucket=bucket, Key="blue.tar.gz", Body=body)
        create(clouds.aws, release)
        assert reason in refused(clouds, release["name"])["Error"]["Message"]


def test_a_model_with_a_changed_byte_never_gets_into_service(clouds, bundles):
    with sandbox_resources.released(clouds.aws, {"blue": bundles["blue"]}, {"blue": 1.0}) as release:
        s3, key = aws.client("s3", clouds.aws), {"Bucket": f"{release['project']}-models", "Key": "blue.tar.gz"}
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for path in bundles["blue"].iterdir():
                body = path.read_bytes()
                entry = tarfile.TarInfo(path.name)
                entry.size = len(body)
                archive.addfile(entry, io.BytesIO(body.replace(b"late", b"tale") if path.name == "card.md" else body))
        s3.put_object(**key, Body=packed.getvalue())
        create(clouds.aws, release)
        assert "did not pass the ping health check" in refused(clouds, release["name"])["Error"]["Message"]


def test_calls_are_noted_in_cloudwatch_and_an_alarm_goes_by_them(clouds, bundles):
    with sandbox_resources.released(clouds.aws, {"blue": bundles["blue"]}, {"blue": 1.0}) as release:
        create(clouds.aws, release)
        cloudwatch, name = aws.client("cloudwatch", clouds.aws), release["name"]
        where = [{"Name": "EndpointName", "Value": name}, {"Name": "VariantName", "Value": "blue"}]
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="AWS/SageMaker",
            MetricName="Invocation4XXErrors",
            Dimensions=where,
            Statistic="Sum",
            Period=3600,
            EvaluationPeriods=1,
            Threshold=2,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            Tags=sandbox_resources.tags(release["project"]),
        )
        assert alarms.evaluate(clouds.aws, name).name == "INSUFFICIENT_DATA"
        invoke(clouds, name)
        assert alarms.evaluate(clouds.aws, name).name == "OK"
        for _ in range(2):
            refused(clouds, name, Body=b"{}")
        assert alarms.evaluate(clouds.aws, name).name == "ALARM"
        assert cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"] == "ALARM"


def test_a_container_stops_when_its_endpoint_is_deleted(clouds, bundles):
    import psutil

    with sandbox_resources.released(clouds.aws, {"blue": bundles["blue"]}, {"blue": 1.0}) as release:
        create(clouds.aws, release)
        invoke(clouds, release["name"])
        router = psutil.Process(clouds._router.pid)
        running = len(router.children())
        aws.client("sagemaker", clouds.aws).delete_endpoint(EndpointName=release["name"])
        processes.wait_until(lambda: len(router.children()) < running, timeout=60, what="the end of the container")


@pytest.mark.parametrize(
    ("values", "needed", "missing", "state"),
    [
        ([0, 0, 6], 1, "missing", "ALARM"),
        ([6, 0, 6], 2, "missing", "ALARM"),
        ([6, 0, 0], 2, "missing", "OK"),
        ([5, 5, 5], 1, "missing", "OK"),
        ([None, None, None], 1, "missing", "INSUFFICIENT_DATA"),
        ([None, None, None], 3, "breaching", "ALARM"),
        ([None, None, None], 1, "notBreaching", "OK"),
        ([None, 6, None], 2, "breaching", "ALARM"),
    ],
)
def test_m_out_of_n(values, needed, missing, state):
    comparison = {"threshold": 5, "comparison": "GreaterThanThreshold"}
    assert alarms.state_of(values, needed=needed, missing=missing, **comparison).name == state


def test_an_alarm_that_cannot_be_evaluated_is_an_error(clouds):
    with pytest.raises(CloudError, match="There is no alarm"):
        alarms.evaluate(clouds.aws, "nobodys")
    with pytest.raises(CloudError, match="cannot be evaluated"):
        alarms.state_of([1], threshold=1, comparison="LessThanLowerThreshold", needed=1)


def test_nothing_of_these_tests_is_left(clouds):
    tagged = [one for one in aws.client("s3", clouds.aws).list_buckets()["Buckets"] if one["Name"].startswith("desk-")]
    assert len(tagged) <= 1  # the module's own endpoint
    assert teardown.inventory(clouds.aws, "nobodys") == []
