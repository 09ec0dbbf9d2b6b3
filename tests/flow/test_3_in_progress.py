# SPDX-License-Identifier: MIT
"""in_progress: how long a job was queued, and which machine runs it."""

from __future__ import annotations

import pytest
from helpers import (
    attributes,
    batch,
    complaints,
    failures,
    job_message,
    job_url,
    log,
    metrics,
    now_ms,
    queued,
    sent,
)

from cloud.faults import Cut, Error, Throttle

TAGS = ("ec2", "CreateTags")


def in_progress(cloud, *jobs, **options):
    return failures(cloud.invoke("in_progress", batch(cloud, "InProgressQueue", *jobs, **options)))


def started(number=1, runner="i-0123456789abcdef0", after_ms=4500, **changes):
    queued_ms = now_ms() - 60_000
    times = {"queued_ms": queued_ms, "started_ms": queued_ms + after_ms}
    return job_message(number, action="in_progress", runner_name=runner, runner_id=23, **times) | (
        changes
    )


def launch(cloud):
    assert queued(cloud, job_message()) == []
    return cloud.instances()[0]["InstanceId"]


def tags_of(cloud, instance):
    (found,) = [one for one in cloud.instances() if one["InstanceId"] == instance]
    return {tag["Key"]: tag["Value"] for tag in found["Tags"]}


def test_queue_time_is_measured_and_the_instance_says_which_job_it_runs(stage):
    instance = launch(stage)
    assert in_progress(stage, started(8, instance)) == []
    (document,) = metrics(stage, "in_progress", "QueueTime")
    assert document["QueueTime"] == 4500
    assert (document["spec"], document["job"]) == ("linux-x64", 8)
    assert (document["repository"], document["instance"]) == ("octo-org/one", instance)
    assert tags_of(stage, instance)["scale-agent:job-url"] == job_url(8)
    assert "job started" in [line["message"] for line in log(stage, "in_progress")]


def test_a_runner_of_another_kind_is_measured_and_left_alone(stage):
    for runner in ("my-server-3", "i-am-no-instance", "", None):
        assert in_progress(stage, started(runner=runner)) == []
    assert len(metrics(stage, "in_progress", "QueueTime")) == 4
    assert stage.calls.of(*TAGS) == []


@pytest.mark.parametrize("times", [{"queued_ms": 0}, {"started_ms": 0}, {"started_ms": 5}])
def test_times_that_make_no_sense_make_no_metric(stage, times):
    assert in_progress(stage, started(runner="", **times)) == []
    assert metrics(stage, "in_progress", "QueueTime") == []


def test_a_machine_that_is_gone_needs_no_tag(stage):
    fault = Error("InvalidInstanceID.NotFound", 400, "The instance ID does not exist")
    instance = launch(stage)
    stage.faults.add(*TAGS, times=1, fault=fault)
    assert in_progress(stage, started(runner=instance)) == []
    # Without its tags, the role may not touch it: EC2 says that first.
    assert in_progress(stage, started(runner="i-0123456789abcdef0")) == []
    assert [call.error for call in stage.calls.of(*TAGS)][-1] == "UnauthorizedOperation"
    assert complaints(stage, "in_progress") == ""


def test_only_our_own_instances_are_tagged(stage):
    ec2 = stage.client("ec2")
    image = ec2.describe_images(Owners=["self"])["Images"][0]["ImageId"]
    other = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    assert in_progress(stage, started(runner=other)) == []
    found = ec2.describe_instances(InstanceIds=[other])["Reservations"][0]["Instances"][0]
    assert "Tags" not in found
    assert "is not ours" in str(log(stage, "in_progress"))


@pytest.mark.parametrize("fault", [Throttle(), Cut(before=False), Error("InternalError", 500)])
def test_a_bad_moment_passes(stage, fault):
    instance = launch(stage)
    stage.faults.add(*TAGS, times=1, fault=fault)
    assert in_progress(stage, started(3, instance)) == []
    assert tags_of(stage, instance)["scale-agent:job-url"] == job_url(3)


def test_the_right_message_comes_again(stage):
    instance = launch(stage)
    stage.faults.add(*TAGS, match={"Tag.1.Value": job_url(2)}, fault=Error("AuthFailure", 401))
    jobs = [started(1, instance), started(2, instance), "no JSON", started(4, instance)]
    assert in_progress(stage, *jobs) == ["message-2", "message-3"]
    errors = complaints(stage, "in_progress")
    assert f"instance {instance}, job 2" in errors
    assert "the job's message" in errors


def test_what_fails_for_the_last_time_becomes_a_dead_letter(stage):
    stage.faults.add(*TAGS, fault=Error("AuthFailure", 401))
    assert in_progress(stage, started(2, launch(stage)), receives=29) == ["message-1"]
    assert in_progress(stage, started(2, launch(stage)), receives=30) == []
    (letter,) = sent(stage, "DeadLetters")
    assert letter["Body"]["id"] == 2
    assert attributes(letter)["source"] == stage.queue("InProgressQueue").arn
    assert "AuthFailure" in attributes(letter)["cause"]
