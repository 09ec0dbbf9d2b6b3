# SPDX-License-Identifier: MIT
"""Hand-overs in S3: the life of a job is the same, and each machine reaches its own object only."""

from __future__ import annotations

import json

import boto3
import helpers
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from helpers import (
    LABELS,
    REPOSITORY,
    all_served,
    batch,
    complaints,
    configure,
    failures,
    job_message,
    launches,
    queue_jobs,
    queued,
    sent,
    told,
    waits_at_github,
)

from cloud.aws.sandbox import FunctionError
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
    assert calls(in_s3, "RegisterRole").count("PutObject") == 3
    mine = [call for call in in_s3.calls.of("s3", role="RunnerRole") if not call.error]
    assert {call.parameters["Key"] for call in mine} == {
        arn(in_s3, job.runner_name) for job in jobs
    }
    assert {call.action for call in mine} == {"GetObject", "DeleteObject"}
    runners = [call for call in in_s3.calls.of("ssm") if "/runners/" in json.dumps(call.parameters)]
    assert runners == []
    assert [complaints(in_s3, who) for who in ("queued", "register", "completed")] == ["", "", ""]


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
    failed, messages = helpers.launched(stage_in_s3, job_message())
    assert failed == []
    helpers.registered(stage_in_s3, *messages)
    assert len(stage_in_s3.instances()) == 1
    stage_in_s3.faults.remove(rule)
    assert helpers.registered(stage_in_s3, *messages, receives=2) == []
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
    """After the change, its hand-over is found in the store that its tag names."""
    stage = with_bucket(make_stage)
    other = stage.config | {"hand_over": "ssm"}
    first, then = (other, stage.config) if who == "SSM" else (stage.config, other)
    configure(stage, first)
    assert queued(stage, job_message()) == []
    (instance,) = stage.instances()
    assert [len(stage.parameters()), len(stage.objects())] == ([1, 0] if who == "SSM" else [0, 1])
    configure(stage, then)
    assert ended(stage, instance["InstanceId"]) == []
    assert stage.parameters() == stage.objects() == []
    (given_back,) = sent(stage, "QueuedQueue")
    assert (given_back["Body"]["id"], given_back["Body"]["launch"]) == (1, 1)


@pytest.mark.parametrize("who", ["SSM", "S3"])
@pytest.mark.parametrize("receives", [1, 2])
def test_a_machine_gets_its_hand_over_where_it_looks(make_stage, who, receives):
    """The configuration changes between its launch and its registration."""
    stage = with_bucket(make_stage)
    other = stage.config | {"hand_over": "ssm"}
    first, then = (other, stage.config) if who == "SSM" else (stage.config, other)
    configure(stage, first)
    failed, messages = helpers.launched(stage, job_message())
    configure(stage, then)
    assert (failed, helpers.registered(stage, *messages, receives=receives)) == ([], [])
    assert [len(stage.parameters()), len(stage.objects())] == ([1, 0] if who == "SSM" else [0, 1])
    assert queued(stage, job_message(), receives=2) == []
    assert [len(stage.parameters()), len(stage.objects())] == ([1, 0] if who == "SSM" else [0, 1])
    assert len(launches(stage)) == len(stage.github.registry.runners) == 1


def test_a_message_that_does_not_know_has_ec2_asked(stage_in_s3):
    """A message of the release before names no bucket, so EC2 is asked for the machine's tag."""
    failed, (message,) = helpers.launched(stage_in_s3, job_message())
    del message["bucket"]
    assert (failed, helpers.registered(stage_in_s3, message)) == ([], [])
    assert [len(stage_in_s3.parameters()), len(stage_in_s3.objects())] == [0, 1]


def test_a_machine_whose_bucket_is_gone_is_followed_by_another(stage_in_s3):
    failed, messages = helpers.launched(stage_in_s3, job_message())
    bucket = "a-bucket-of-before"
    messages = [one | {"bucket": bucket} for one in messages]
    assert (failed, helpers.registered(stage_in_s3, *messages)) == ([], [])
    assert bucket in complaints(stage_in_s3, "register")
    assert stage_in_s3.github.registry.runners == {}
    (given_back,) = sent(stage_in_s3, "QueuedQueue")
    assert (given_back["Body"]["id"], given_back["Body"]["launch"]) == (1, 1)
    assert "bucket" not in given_back["Body"]


def ended(cloud, name):
    event = {
        "source": "aws.ec2",
        "detail-type": "EC2 Instance State-change Notification",
        "detail": {"instance-id": name, "state": "terminated"},
    }
    cloud.client("ec2").terminate_instances(InstanceIds=[name])
    return failures(cloud.invoke("instance", batch(cloud, "InstanceQueue", event)))


def listed(cloud, *names):
    """Let S3 show the objects of machines as old ones, once."""
    items = "".join(
        f"<Contents><Key>{arn(cloud, name)}</Key>"
        "<LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>"
        for name in names
    )
    answer = Body(f"<ListBucketResult>{items}</ListBucketResult>".encode())
    cloud.faults.add("s3", "ListObjectsV2", times=1, fault=answer)


def test_an_object_whose_machine_is_gone_is_swept(stage_in_s3):
    assert queued(stage_in_s3, job_message(1), job_message(2)) == []
    gone, living = [one["InstanceId"] for one in stage_in_s3.instances()]
    stage_in_s3.client("ec2").terminate_instances(InstanceIds=[gone])
    listed(stage_in_s3, gone, living)
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


def test_without_a_bucket_what_is_there_is_cleaned_up(stage):
    """The configuration was changed before the stack, or the stack went back."""
    assert queued(stage, job_message(1), job_message(2)) == []
    first, second = [one["InstanceId"] for one in stage.instances()]
    configure(stage, stage.config | {"hand_over": "s3"})
    assert ended(stage, first) == []
    assert len(stage.parameters()) == 1
    job = job_message(2, action="completed", runner_name=second)
    assert failures(stage.invoke("completed", batch(stage, "CompletedQueue", job))) == []
    job = job_message(2, action="watched", instance=second)
    assert failures(stage.invoke("watch", batch(stage, "WatchQueue", job))) == []
    assert ended(stage, second) == []
    assert stage.parameters() == []
    assert recover(stage)["failed"] == 0


# -- permissions ----------------------------------------------------------------------------------


def launched(stage):
    assert queued(stage, job_message()) == []
    return stage.instances()[0]["InstanceId"]


def lose_object(stage, name):
    stage.client("s3").delete_object(Bucket=stage.bucket(), Key=arn(stage, name))


def hand_over(stage):
    return queued(stage, job_message()) == [] and len(stage.objects()) == 1


def adopt(stage):
    launched(stage)
    return queued(stage, job_message(), receives=2) == [] and complaints(stage, "register") == ""


def adopt_without_object(stage):
    """The runner of an earlier try is registered, but its hand-over was not stored."""
    lose_object(stage, launched(stage))
    queued(stage, job_message(), receives=2)
    return len(stage.objects()) == 1


def end(stage):
    return ended(stage, launched(stage)) == []


def end_without_object(stage):
    name = launched(stage)
    lose_object(stage, name)
    return ended(stage, name) == []


def watch(stage):
    where = {"instance": "i-0123456789abcdef0", "bucket": stage.bucket()}
    job = job_message(action="watched", **where)
    waits_at_github(stage, job)
    return failures(stage.invoke("watch", batch(stage, "WatchQueue", job))) == []


def sweep(stage):
    gone = launched(stage)
    stage.client("ec2").terminate_instances(InstanceIds=[gone])
    listed(stage, gone)
    return swept(stage)


def swept(stage):
    try:
        return recover(stage)["failed"] == 0
    except FunctionError:
        return False


# All that the functions may do with objects.
NEEDS = [
    ("register", "s3:PutObject", hand_over),
    ("register", "s3:GetObject", adopt),
    ("register", "s3:ListBucket", adopt_without_object),
    ("instance", "s3:GetObject", end),
    ("instance", "s3:DeleteObject", end),
    ("instance", "s3:ListBucket", end_without_object),
    ("watch", "s3:DeleteObject", watch),
    ("recover", "s3:GetObject", sweep),
    ("recover", "s3:DeleteObject", sweep),
    ("recover", "s3:ListBucket", swept),
]
CASES = [pytest.param(*need, id=f"{need[0]}-{need[1]}") for need in NEEDS]


def actions_of(statement):
    actions = statement["Action"]
    return [actions] if isinstance(actions, str) else actions


@pytest.mark.parametrize(("handler", "action", "run"), CASES)
def test_a_permission_that_is_missing_is_named(stage_in_s3, handler, action, run):
    policies = stage_in_s3.aws.policies
    role = stage_in_s3.functions[handler].role
    policies.statements[role] = [
        one | {"Action": [name for name in actions_of(one) if name != action]}
        for one in policies.statements[role]
    ]
    assert not run(stage_in_s3)
    # Without s3:ListBucket, S3 refuses GetObject for an object that is absent.
    said = complaints(stage_in_s3, handler)
    assert action in said or (action == "s3:ListBucket" and "s3:GetObject" in said)


@pytest.mark.parametrize("run", dict.fromkeys(need[2] for need in NEEDS))
def test_with_their_roles_the_functions_work(stage_in_s3, run):
    assert run(stage_in_s3)


def test_the_functions_may_do_nothing_else_with_objects(stage_in_s3):
    given = {
        (handler, action)
        for handler, function in stage_in_s3.functions.items()
        for statement in stage_in_s3.aws.policies.statements[function.role]
        for action in actions_of(statement)
        if action.startswith("s3:")
    }
    assert given == {need[:2] for need in NEEDS}


@pytest.mark.parametrize("sid", ["OwnObjectOnly", "WhetherItIsThere"])
def test_a_machine_needs_both_statements(stage_in_s3, sid):
    name = launched(stage_in_s3)
    s3, bucket = s3_of(stage_in_s3, "RunnerRole", name), stage_in_s3.bucket()
    statements = stage_in_s3.aws.policies.statements
    kept = [one for one in statements["RunnerRole"] if one.get("Sid") != sid]
    assert len(kept) == len(statements["RunnerRole"]) - 1
    statements["RunnerRole"] = kept
    read = code(s3.get_object, Bucket=bucket, Key=arn(stage_in_s3, name))
    assert read == ("AccessDenied" if sid == "OwnObjectOnly" else "done")
    lose_object(stage_in_s3, name)
    assert code(s3.get_object, Bucket=bucket, Key=arn(stage_in_s3, name)) == "AccessDenied"
