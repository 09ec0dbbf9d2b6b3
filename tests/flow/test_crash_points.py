# SPDX-License-Identifier: MIT
"""Crashes of webhook and queued (see crashes.py), and everything again where a job runs."""

from __future__ import annotations

import json

import helpers
import pytest
from crashes import check_each_call, launched, some_jobs
from helpers import LABELS, REPOSITORY, batch, configure, forget, job_url, queued

from cloud.aws.function_url import event_of
from cloud.faults import Partial
from cloud.github.jobs import Job
from cloud.github.stand_in import GitHub
from cloud.serve import Request


def webhook_event(stage, count):
    body = stage.github.webhooks.body(Job(41, 42, REPOSITORY, LABELS), "queued")
    delivery = stage.github.webhooks.make("workflow_job", "queued", json.dumps(body).encode())
    headers = {name.lower(): value for name, value in delivery.headers.items()}
    request = Request("POST", "/", {}, headers, delivery.body)
    return lambda again: event_of(request)


def queued_event(stage, count):
    jobs = some_jobs(stage, count)
    return lambda again: batch(
        stage, "QueuedQueue", *(reversed(jobs) if again else jobs), receives=1 + again
    )


# Of a full batch, each fourth call: that is as many crashes as with three messages.
SIZES = [(1, 1), (3, 1), (10, 4)]


@pytest.mark.parametrize(("count", "step"), SIZES)
def test_queued(make_stage, count, step):
    check_each_call(make_stage, "queued", queued_event, count, step)


def fleet_event(stage, count):
    """EC2 chooses, and has one machine in the first of the pools; the next one has the others."""
    configure(stage, allocation="price-capacity-optimized")
    stage.faults.add("ec2", "FleetPool", match={"InstanceType": "m7i.large"}, fault=Partial(1))
    return queued_event(stage, count)


@pytest.mark.parametrize(("count", "step"), SIZES)
def test_queued_with_a_fleet(make_stage, count, step):
    check_each_call(make_stage, "queued", fleet_event, count, step)


def register_event(stage, count):
    failed, messages = helpers.launched(stage, *some_jobs(stage, count))
    assert failed == []
    return lambda again: batch(
        stage, "RegisterQueue", *(reversed(messages) if again else messages), receives=1 + again
    )


@pytest.mark.parametrize(("count", "step"), SIZES)
def test_register(make_stage, count, step):
    check_each_call(make_stage, "register", register_event, count, step)


def two_apps(directory, faults):
    github = GitHub(directory, faults)
    github.add_app(67890)
    return github


def test_register_with_two_apps(make_stage):
    """A batch is spread over both; what one has begun before it died, either clears away."""
    check_each_call(
        lambda: make_stage(make_github=two_apps), "register", register_event, count=3, step=3
    )


def test_webhook(make_stage):
    check_each_call(make_stage, "webhook", webhook_event)


def test_a_job_that_runs_is_left_alone_whatever_comes_again(stage):
    """Neither message nor webhook nor watch of the job, when it comes again, harms its machine."""
    (job,), (machine,) = launched(stage, 1)
    (runner,) = stage.github.registry.runners.values()
    runner.busy, runner.online = True, True
    (waiting,) = stage.github.jobs.all
    waiting.state, waiting.runner_name = "in_progress", machine
    tag = {"Key": "scale-agent:job-url", "Value": job_url()}
    stage.client("ec2").create_tags(Resources=[machine], Tags=[tag])
    for again in (
        batch(stage, "QueuedQueue", job, receives=2),
        batch(stage, "QueuedQueue", job | {"queued_ms": 1, "webhook_ms": 1}),
        batch(stage, "QueuedQueue", job | {"launch": 1}),
    ):
        forget(stage, "queued")
        assert stage.invoke("queued", again) == {"batchItemFailures": []}
    watch = job | {"action": "watched", "instance": machine}
    assert stage.invoke("watch", batch(stage, "WatchQueue", watch)) == {"batchItemFailures": []}
    assert [one["InstanceId"] for one in stage.instances()] == [machine]
    assert stage.calls.of("ec2", "TerminateInstances") == []
    assert list(stage.github.registry.runners.values()) == [runner]
    assert len(stage.calls.of("ec2", "RunInstances")) == 1


def test_a_runner_that_listens_keeps_its_registration(stage):
    (job,), (machine,) = launched(stage, 1)
    (runner,) = stage.github.registry.runners.values()
    runner.online = True
    for parameters_there in (True, False):
        if not parameters_there:
            stage.client("ssm").delete_parameters(Names=stage.parameters())
        assert queued(stage, job, receives=2) == []
        assert list(stage.github.registry.runners.values()) == [runner]
    assert [one["InstanceId"] for one in stage.instances()] == [machine]
    assert REPOSITORY in runner.scope
