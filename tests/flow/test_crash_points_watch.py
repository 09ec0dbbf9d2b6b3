# SPDX-License-Identifier: MIT
"""Crashes of what looks after jobs later: watch and recover (see crashes.py)."""

from __future__ import annotations

import json

import pytest
from crashes import check_each_call, launched, some_jobs
from helpers import (
    LABELS,
    REPOSITORY,
    aged_instance,
    batch,
    job_url,
)
from lines import fill
from losses import ended, lost

from cloud.faults import Body
from cloud.limits import until


def watch_event(stage, count):
    jobs, machines = launched(stage, count)
    stage.instance_ended(machines[0], "test")
    watches = [
        job | {"action": "watched", "instance": name}
        for job, name in zip(jobs, machines, strict=True)
    ]
    return lambda again: batch(stage, "WatchQueue", *watches, receives=1 + again)


def taken_event(stage, count):
    """Jobs whose machines equal jobs took, while a long line waits: they go to its end."""
    jobs, machines = launched(stage, count)
    fill(stage, "PacedQueue", 60)
    for number, machine in enumerate(machines, 100):
        tag = {"Key": "scale-agent:job-url", "Value": job_url(number)}
        stage.client("ec2").create_tags(Resources=[machine], Tags=[tag])
    watches = [
        job | {"action": "watched", "instance": name}
        for job, name in zip(jobs, machines, strict=True)
    ]
    return lambda again: batch(
        stage, "WatchQueue", *(reversed(watches) if again else watches), receives=1 + again
    )


def parked_event(stage, count):
    jobs = [job | {"stale": 1, "tries": 1} for job in some_jobs(stage, count)]
    return lambda again: batch(stage, "ParkedQueue", *jobs, receives=1 + again)


def work_goes_on(stage, number=9):
    """Let a machine work on a job, of which nothing is left to do for the scaler."""
    _, (machine,) = launched(stage, 1, first=number)
    runner = next(one for one in stage.github.registry.runners.values() if one.name == machine)
    runner.busy, runner.online = True, True
    job = next(one for one in stage.github.jobs.all if one.id == number)
    job.state, job.runner_name = "in_progress", machine
    tag = {"Key": "scale-agent:job-url", "Value": job_url(number)}
    stage.client("ec2").create_tags(Resources=[machine], Tags=[tag])
    stage.client("ssm").delete_parameter(Name=f"{stage.stack.prefix}/runners/{machine}")
    return machine


def lost_event(stage, count, is_over=True):
    """Messages of lost jobs, each of a run of its own, beside a machine that works."""
    stage.github.webhooks.url = ""  # the next attempts are not for this test
    work_goes_on(stage)
    jobs = [ended(stage, "failure", f"i-0000000000000aaa{i}", run_id=70 + i) for i in range(count)]
    messages = [lost(job) for job in jobs]
    for job in jobs if not is_over else []:
        stage.github.queue_job(REPOSITORY, LABELS, announce=False, run_id=job.run_id)
    return lambda again: batch(stage, "WatchQueue", *messages, receives=1 + again)


def lost_early_event(stage, count):
    """The same while their runs go on."""
    return lost_event(stage, count, is_over=False)


EVENTS = {
    "watch": watch_event,
    "taken": taken_event,
    "parked": parked_event,
    "lost": lost_event,
    "lost early": lost_early_event,
}


# (event, jobs, step): with many calls, only each STEP-th one crashes.
CASES = [(name, 1, 1) for name in EVENTS if name != "taken"]  # needs many
CASES += [("watch", 3, 1), ("watch", 10, 4), ("taken", 10, 1), ("parked", 3, 1), ("lost", 3, 5)]


@pytest.mark.parametrize(("name", "count", "step"), CASES)
def test_watch(make_stage, name, count, step):
    check_each_call(make_stage, "watch", EVENTS[name], count, step)


# -- recover --------------------------------------------------------------------------------------


def look_aged(stage, overdue):
    """Let EC2 and SSM show what there is as if it were there for long."""
    machines = ""
    for one in stage.instances():
        tags = {tag["Key"].removeprefix("scale-agent:"): tag["Value"] for tag in one["Tags"]}
        tags.pop("lifetime")
        if one["InstanceId"] == overdue:
            tags["lifetime"] = "60"
        machines += aged_instance(one["InstanceId"], **tags)
    document = f"""<DescribeInstancesResponse><reservationSet><item><instancesSet>{machines}
        </instancesSet></item></reservationSet></DescribeInstancesResponse>"""
    match = {"Filter.1.Name": "tag:scale-agent:prefix"}
    stage.faults.add("ec2", "DescribeInstances", match, 1, Body(document.encode()))
    stored = [{"Name": name, "LastModifiedDate": 1.7e9} for name in stage.parameters()]
    answer = Body(json.dumps({"Parameters": stored}).encode())
    stage.faults.add("ssm", "DescribeParameters", times=1, fault=answer)


def recover_event(stage, inbox):
    """A machine that is overdue, one that hangs, one that is gone, and one that works."""
    work_goes_on(stage)
    _, (overdue, _, gone) = launched(stage, 3)
    stage.client("ec2").terminate_instances(InstanceIds=[gone])
    stage.client("ssm").delete_parameter(Name=f"{stage.stack.prefix}/runners/{overdue}")
    webhooks = stage.github.webhooks
    webhooks.url = inbox.url
    lost_webhook = webhooks.announce(stage.github.jobs.all[0], "queued")
    assert until(lambda: lost_webhook.status is not None)
    lost_webhook.status = 503
    lost_webhook.sent -= 600

    def event(_):
        assert until(lambda: all(one.status is not None for one in webhooks.deliveries))
        look_aged(stage, overdue)
        return {"source": "aws.events", "detail-type": "Scheduled Event"}

    return event


def test_recover(make_stage, inboxes):
    inbox = inboxes()
    check_each_call(make_stage, "recover", lambda stage, _: recover_event(stage, inbox))
