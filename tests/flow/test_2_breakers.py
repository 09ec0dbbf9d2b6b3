# SPDX-License-Identifier: MIT
"""Circuit breakers: a broken image stops its spec, and spot rests for a while after losses."""

from __future__ import annotations

import pytest
from helpers import (
    aged_instance,
    batch,
    breaker,
    configure,
    failures,
    forget,
    job_message,
    job_url,
    launches,
    metrics,
    now_ms,
    offers,
    queued,
    sent,
    store_breaker,
    told,
    waits_at_github,
)

from cloud.faults import Body
from cloud.limits import until
from cloud.machines.fleet import SPOT_WARNING

MINUTE = 60_000


def watch(cloud, number, instance):
    job = job_message(number, action="watched", instance=instance, launched_ms=now_ms() - 240_000)
    waits_at_github(cloud, job)
    return failures(cloud.invoke("watch", batch(cloud, "WatchQueue", job)))


def machines_that_ended(cloud, count, **tags):
    """What EC2 shows of the spec's newest machines."""
    given = {"spec": "linux-x64", "prefix": cloud.stack.prefix} | tags
    ended = [
        aged_instance(f"i-0000000000000000{number}", "terminated", **given)
        for number in range(count)
    ]
    document = f"""<DescribeInstancesResponse><reservationSet><item><instancesSet>{"".join(ended)}
        </instancesSet></item></reservationSet></DescribeInstancesResponse>"""
    match = {"Filter.1.Name": "tag:scale-agent:spec"}
    cloud.faults.add("ec2", "DescribeInstances", match, 1, Body(document.encode()))


def test_a_broken_image_stops_its_spec_until_a_machine_works(stage):
    machines_that_ended(stage, 5)
    assert watch(stage, 1, "i-0000000000000000a") == []
    assert breaker(stage)["stopped_until_ms"] > now_ms() + 10 * MINUTE
    assert [one["title"] for one in told(stage)] == ["Spec linux-x64: launches are stopped"]
    assert metrics(stage, "watch", "SpecStopped")

    # Its jobs wait, and none is lost.
    assert queued(stage, job_message(2)) == []
    assert launches(stage) == []
    (parked,) = sent(stage, "ParkedQueue")
    assert (parked["Body"]["id"], parked["DelaySeconds"]) == (2, pytest.approx(900, abs=60))

    # After a quarter of an hour one machine is tried, by whoever is first.
    store_breaker(stage, stopped_since_ms=1, stopped_until_ms=now_ms() - 1)
    forget(stage, "queued")
    assert queued(stage, *[job_message(number) for number in (3, 4, 5)]) == []
    assert len(stage.instances()) == 1
    assert queued(stage, job_message(6)) == []
    assert len(stage.instances()) == 1
    assert len(sent(stage, "ParkedQueue")) == 4

    # It runs a job: all goes on.
    (name,) = [one["InstanceId"] for one in stage.instances()]
    tag = {"Key": "scale-agent:job-url", "Value": job_url(3)}
    stage.client("ec2").create_tags(Resources=[name], Tags=[tag])
    forget(stage, "watch")
    assert watch(stage, 3, name) == []
    assert "stopped_since_ms" not in breaker(stage)
    assert told(stage)[-1]["title"] == "Spec linux-x64: launches go on"
    forget(stage, "queued")
    assert queued(stage, job_message(7)) == []
    assert len(stage.instances()) == 2


def test_machines_that_worked_stop_nothing(stage):
    machines_that_ended(stage, 5, idle="1")
    assert watch(stage, 1, "i-0000000000000000a") == []
    machines_that_ended(stage, 4)
    assert watch(stage, 2, "i-0000000000000000b") == []
    assert breaker(stage) == {}
    assert len(sent(stage, "QueuedQueue")) == 2  # their jobs get other machines


def test_spot_rests_after_losses(stage):
    configure(stage, on_demand_fallback=True)
    assert queued(stage, *[job_message(number) for number in range(1, 4)]) == []
    for one in stage.instances():
        event = {
            "source": "aws.ec2",
            "detail-type": SPOT_WARNING,
            "detail": {"instance-id": one["InstanceId"], "instance-action": "terminate"},
        }
        for _ in range(2):  # comes twice, counts once
            answer = stage.invoke("instance", batch(stage, "InstanceQueue", event))
            assert failures(answer) == []
    assert len(breaker(stage)["losses"]) == 3
    assert breaker(stage)["on_demand_until_ms"] > now_ms() + 20 * MINUTE
    assert [one["title"] for one in told(stage)] == ["Spec linux-x64: launches are on demand"]
    forget(stage, "queued")
    assert queued(stage, job_message(9)) == []
    assert [market for _, _, market in offers(stage)] == ["spot", "on-demand"]


def test_breakers_cost_one_call_a_minute(stage):
    for number in range(1, 6):
        assert queued(stage, job_message(number)) == []
    assert until(lambda: len(launches(stage)) == 5)
    assert len(stage.calls.of("ssm", "GetParametersByPath")) == 1
