# SPDX-License-Identifier: MIT
"""Hand-overs in S3: the life of a job is the same, and each machine reaches its own object only."""

from __future__ import annotations

import json

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from helpers import (
    LABELS,
    REPOSITORY,
    all_served,
    complaints,
    configure,
    job_message,
    launches,
    queue_jobs,
    queued,
    sent,
    told,
)

from cloud.faults import Body, Cut, Error, Throttle
from cloud.limits import until

PUT = ("s3", "PutObject")
GET = ("s3", "GetObject")


@pytest.fixture
def in_s3(make_cloud):
    return with_bucket(make_cloud)


@pytest.fixture
def stage_in_s3(make_stage):
    return with_bucket(make_stage)


def with_bucket(make):
    cloud = make(parameters={"HandOver": "s3"})
    configure(cloud, cloud.config | {"hand_over": "s3"})
    return cloud


def arn(cloud, name):
    return f"arn:aws:ec2:{cloud.region}:{cloud.account}:instance/{name}"


def calls(cloud, role=""):
    return [call.action for call in cloud.calls.of("s3", role=role) if not call.error]


def recover(cloud):
    return cloud.invoke("recover", {"source": "aws.events", "detail-type": "Scheduled Event"})


def test_a_job_from_webhook_to_shutdown(in_s3):
    jobs = queue_jobs(in_s3, 3)
    all_served(in_s3, jobs)
    assert len(launches(in_s3)) <= 3
    assert calls(in_s3, "QueuedRole").count("PutObject") == 3
    mine = [call for call in in_s3.calls.of("s3", role="RunnerRole") if not call.error]
    assert {call.parameters["Key"] for call in mine} == {
        arn(in_s3, job.runner_name) for job in jobs
    }
    assert {call.action for call in mine} == {"GetObject", "DeleteObject"}
    runners = [call for call in in_s3.calls.of("ssm") if "/runners/" in json.dumps(call.parameters)]
    assert runners == []
    assert [complaints(in_s3, who) for who in ("queued", "completed", "instance")] == ["", "", ""]


def test_the_key_is_the_arn_of_the_instance(stage_in_s3):
    assert queued(stage_in_s3, job_message(7)) == []
    (instance,) = stage_in_s3.instances()
    (key,) = stage_in_s3.objects()
    assert key == arn(stage_in_s3, instance["InstanceId"])
    found = stage_in_s3.client("s3").get_object(Bucket=stage_in_s3.bucket(), Key=key)
    assert json.loads(found["Body"].read())["job"]["id"] == 7
    tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
    assert tags["scale-agent:hand-overs"] == stage_in_s3.bucket()
    assert stage_in_s3.parameters() == []


@pytest.mark.parametrize(
    "fault",
    [
        Cut(before=False),
        Cut(before=True),
        Throttle(),
        Error("ConditionalRequestConflict", 409, "at the same time"),
    ],
)
def test_what_is_stored_twice_is_there_once(stage_in_s3, fault):
    stage_in_s3.faults.add(*PUT, times=1, fault=fault)
    assert queued(stage_in_s3, job_message()) == []
    assert len(stage_in_s3.objects()) == len(stage_in_s3.github.registry.runners) == 1
    assert sent(stage_in_s3, "ParkedQueue") == told(stage_in_s3) == []


def test_a_message_that_comes_twice_finds_the_object(stage_in_s3):
    assert queued(stage_in_s3, job_message()) == []
    assert queued(stage_in_s3, job_message(), receives=2) == []
    assert len(launches(stage_in_s3)) == len(stage_in_s3.objects()) == 1
    assert calls(stage_in_s3).count("PutObject") == 1


def test_an_outage_of_s3_keeps_the_machine(stage_in_s3):
    rule = stage_in_s3.faults.add(*PUT, times=None, fault=Error("InternalError", 500, "down"))
    assert queued(stage_in_s3, job_message()) == []
    (parked,) = sent(stage_in_s3, "ParkedQueue")
    stage_in_s3.faults.remove(rule)
    assert queued(stage_in_s3, parked["Body"]) == []
    assert len(launches(stage_in_s3)) == len(stage_in_s3.objects()) == 1


def test_a_machine_waits_for_what_is_not_there_yet(in_s3):
    rule = in_s3.faults.add(*PUT, times=None, fault=Throttle())
    job = in_s3.github.queue_job(REPOSITORY, LABELS)

    def refused():
        return [call for call in in_s3.calls.of(*GET, "RunnerRole") if call.error]

    assert until(lambda: len(refused()) >= 2)
    in_s3.faults.remove(rule)
    all_served(in_s3, [job])
    assert {call.error for call in refused()} == {"NoSuchKey"}
    assert machine_count(in_s3) == 1


def machine_count(cloud):
    return len(cloud.machines.all)


def test_a_refusal_at_first_is_waited_out(in_s3):
    in_s3.faults.add(*GET, times=3, fault=Error("AccessDenied", 403, "not yet"))
    all_served(in_s3, queue_jobs(in_s3, 1))
    assert machine_count(in_s3) == 1


def s3_of(cloud, role, session):
    given = cloud.assume(role, session)
    return boto3.client(
        "s3",
        region_name=cloud.region,
        endpoint_url=cloud.aws_url,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["Token"],
        config=Config(
            proxies={},
            retries={"max_attempts": 1},
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
        ),
    )


def code(call, **given):
    try:
        call(**given)
    except ClientError as problem:
        return problem.response["Error"]["Code"]
    return "done"


def test_a_machine_reaches_its_own_object_only(stage_in_s3):
    assert queued(stage_in_s3, job_message(1), job_message(2)) == []
    mine, other = [one["InstanceId"] for one in stage_in_s3.instances()]
    bucket, s3 = stage_in_s3.bucket(), s3_of(stage_in_s3, "RunnerRole", mine)
    own, foreign = arn(stage_in_s3, mine), arn(stage_in_s3, other)
    for call in (s3.get_object, s3.delete_object):
        assert code(call, Bucket=bucket, Key=foreign) == "AccessDenied"
        assert code(call, Bucket=bucket, Key=f"{own}/x") == "AccessDenied"
    assert code(s3.put_object, Bucket=bucket, Key=own, Body=b"forged") == "AccessDenied"
    for prefix in ("", foreign, own[:-1]):
        assert code(s3.list_objects_v2, Bucket=bucket, Prefix=prefix) == "AccessDenied"
    assert code(s3.list_objects_v2, Bucket=bucket) == "AccessDenied"
    assert code(s3.get_object, Bucket=bucket, Key=own) == "done"
    assert code(s3.delete_object, Bucket=bucket, Key=own) == "done"
    assert code(s3.get_object, Bucket=bucket, Key=own) == "NoSuchKey"
    assert stage_in_s3.objects() == [foreign]


@pytest.mark.parametrize("who", ["SSM", "S3"])
def test_a_machine_keeps_its_store_when_the_configuration_changes(make_stage, who):
    """It ends after the change: its hand-over is found where its tag says, and its job goes on."""
    stage = with_bucket(make_stage)
    other = stage.config | {"hand_over": "ssm"}
    first, then = (other, stage.config) if who == "SSM" else (stage.config, other)
    configure(stage, first)
    assert queued(stage, job_message()) == []
    (instance,) = stage.instances()
    assert [len(stage.parameters()), len(stage.objects())] == ([1, 0] if who == "SSM" else [0, 1])
    configure(stage, then)
    ended(stage, instance["InstanceId"])
    assert stage.parameters() == stage.objects() == []
    (given_back,) = sent(stage, "QueuedQueue")
    assert (given_back["Body"]["id"], given_back["Body"]["launch"]) == (1, 1)


def ended(cloud, name):
    event = {
        "source": "aws.ec2",
        "detail-type": "EC2 Instance State-change Notification",
        "detail": {"instance-id": name, "state": "terminated"},
    }
    cloud.client("ec2").terminate_instances(InstanceIds=[name])
    record = {"messageId": "1", "body": json.dumps(event), "attributes": {}}
    assert cloud.invoke("instance", {"Records": [record]}) == {"batchItemFailures": []}


def test_an_object_whose_machine_is_gone_is_swept(stage_in_s3):
    assert queued(stage_in_s3, job_message(1), job_message(2)) == []
    gone, living = [one["InstanceId"] for one in stage_in_s3.instances()]
    stage_in_s3.client("ec2").terminate_instances(InstanceIds=[gone])
    items = "".join(
        f"<Contents><Key>{arn(stage_in_s3, name)}</Key>"
        "<LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>"
        for name in (gone, living)
    )
    answer = Body(f"<ListBucketResult>{items}</ListBucketResult>".encode())
    stage_in_s3.faults.add("s3", "ListObjectsV2", times=1, fault=answer)
    found = recover(stage_in_s3)
    assert (found["parameters"], found["abandoned"], found["failed"]) == (2, 1, 0)
    assert stage_in_s3.objects() == [arn(stage_in_s3, living)]
    assert recover(stage_in_s3)["parameters"] == 1


def test_without_a_bucket_jobs_wait_and_people_hear_why(stage):
    configure(stage, stage.config | {"hand_over": "s3"})
    assert queued(stage, job_message()) == []
    assert launches(stage) == []
    assert len(sent(stage, "ParkedQueue")) == 1
    assert "make stack HAND_OVER=s3" in complaints(stage, "queued")
