# SPDX-License-Identifier: MIT
"""Crashes: a function is killed before or after each of its calls, and its event comes again.

Nothing that a user relies on may tell the difference: the same jobs have the same number of
machines, each with a hand-over of the runner that is registered for it, and no machine that works
is touched.
"""

from __future__ import annotations

import json
import os
import signal

import pytest
import tickets
from helpers import (
    LABELS,
    REPOSITORY,
    batch,
    forget,
    job_message,
    job_url,
    parameter,
    sent,
    waits_at_github,
)

from cloud.aws.function_url import event_of
from cloud.aws.sandbox import FunctionError
from cloud.faults import Kill
from cloud.github.jobs import Job
from cloud.hooks import ENDED
from cloud.limits import until
from cloud.serve import Request


def killer(stage, handler):
    """End the process of a function in the middle of its work."""

    def kill():
        for pid in stage.hosts[stage.functions[handler].name].pids:
            os.kill(pid, signal.SIGKILL)

    return kill


def hand_overs(stage):
    """List (job, machine) for each stored hand-over whose runner is registered."""
    runners = stage.github.registry.runners
    found = []
    for name, document in documents(stage).items():
        runner = runners.get(document["runner_id"])
        found.append((document["job"]["id"], runner is not None and runner.name in name))
    return sorted(found)


def documents(stage):
    """Read all hand-overs at once."""
    pages = stage.client("ssm").get_paginator("get_parameters_by_path")
    found = pages.paginate(Path=f"{stage.stack.prefix}/runners/", WithDecryption=True)
    return {one["Name"]: json.loads(one["Value"]) for page in found for one in page["Parameters"]}


def promises(stage):
    """Name the jobs that some message in a queue will come back to."""
    return {
        (queue, message["Body"]["id"], message["Body"].get("launch", 0))
        for queue in ("QueuedQueue", "ParkedQueue", "WatchQueue")
        for message in sent(stage, queue)
    }


def state(stage):
    """Describe all that lasts."""
    machines = stage.instances()
    return {
        "machines": len(machines),
        "hand-overs": hand_overs(stage),
        "runners": sorted(runner.busy for runner in stage.github.registry.runners.values()),
        "promises": promises(stage),
        "jobs on machines": sorted(
            tag["Value"]
            for machine in machines
            for tag in machine["Tags"]
            if tag["Key"] == "scale-agent:job-url"
        ),
        "dead letters": len(sent(stage, "DeadLetters")),
    }


def invoke(stage, handler, event):
    """Run one event; tells whether the function lived to its end."""
    try:
        return stage.invoke(handler, event)
    except FunctionError:
        return None


def crash(stage, handler, event, number, kill_before):
    """Run an event, kill its process at the call of this number, and give its second answer."""
    kill = Kill(killer(stage, handler), kill_before)
    stage.faults.add(times=1, skip=number, fault=kill)
    assert invoke(stage, handler, event(False)) is None
    # Calls that were under way take effect. In AWS a message that was not settled is hidden for
    # minutes, which is longer.
    assert until(lambda: stage.calls.under_way == 0)
    stage.faults.clear()
    return invoke(stage, handler, event(True))


def count_calls(stage):
    return len(list(stage.calls)) + len(stage.github.api.calls)


# -- what each function gets, and how the world looks before ---------------------------------------


def some_jobs(stage, count):
    jobs = [job_message(number) for number in range(1, count + 1)]
    for job in jobs:
        waits_at_github(stage, job)
    return jobs


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


def launched(stage, count):
    """Launch jobs, whose machines wait for nothing now; gives the machines in order of jobs."""
    jobs = some_jobs(stage, count)
    assert stage.invoke("queued", batch(stage, "QueuedQueue", *jobs)) == {"batchItemFailures": []}
    names = {document["job"]["id"]: name for name, document in documents(stage).items()}
    return jobs, [names[number].rpartition("/")[2] for number in sorted(names)]


def in_progress_event(stage, count):
    jobs, machines = launched(stage, count)
    taken = [
        job | {"action": "in_progress", "runner_name": name}
        for job, name in zip(jobs, machines, strict=True)
    ]
    return lambda again: batch(
        stage, "InProgressQueue", *(reversed(taken) if again else taken), receives=1 + again
    )


def ended_event(stage, count):
    _, machines = launched(stage, count)
    for machine in machines:
        stage.instance_ended(machine, "test")
    events = [
        {
            "source": "aws.ec2",
            "detail-type": ENDED,
            "detail": {"instance-id": machine, "state": "terminated"},
        }
        for machine in machines
    ]
    return lambda again: batch(stage, "InstanceQueue", *events, receives=1 + again)


def idle_event(stage, count):
    _, machines = launched(stage, count)
    path = f"{stage.stack.prefix}/runners/"
    given = [parameter(stage, path + machine)["Document"]["ticket"] for machine in machines]
    events = [tickets.report(stage, "idle", {}, ticket=ticket) for ticket in given]
    return lambda again: batch(stage, "InstanceQueue", *events, receives=1 + again)


def completed_event(stage, count):
    jobs, machines = launched(stage, count)
    runners = {one.name: one for one in stage.github.registry.runners.values()}
    done = [
        job | {"action": "completed", "runner_name": name, "runner_id": runners[name].id}
        for job, name in zip(jobs, machines, strict=True)
    ]
    for name in machines:
        stage.github.registry.remove(runners[name])
    return lambda again: batch(stage, "CompletedQueue", *done, receives=1 + again)


def watch_event(stage, count):
    jobs, machines = launched(stage, count)
    stage.instance_ended(machines[0], "test")
    watches = [
        job | {"action": "watched", "instance": name}
        for job, name in zip(jobs, machines, strict=True)
    ]
    return lambda again: batch(stage, "WatchQueue", *watches, receives=1 + again)


def parked_event(stage, count):
    jobs = [job | {"stale": 1, "tries": 1} for job in some_jobs(stage, count)]
    return lambda again: batch(stage, "ParkedQueue", *jobs, receives=1 + again)


EVENTS = {
    "webhook": ("webhook", webhook_event),
    "queued": ("queued", queued_event),
    "in_progress": ("in_progress", in_progress_event),
    "ended": ("instance", ended_event),
    "idle": ("instance", idle_event),
    "completed": ("completed", completed_event),
    "watch": ("watch", watch_event),
    "parked": ("watch", parked_event),
}


# Of a full batch, each fourth call: that is as many crashes as with three messages.
SIZES = {1: 1, 3: 1, 10: 4}
FULL = ("queued", "watch")
CASES = [
    (name, count)
    for name in EVENTS
    for count in SIZES
    if count == 1 or (name != "webhook" and (count == 3 or name in FULL))
]


@pytest.mark.parametrize(("name", "count"), CASES)
def test_a_crash_between_any_two_calls_changes_nothing(make_stage, name, count):
    handler, prepare = EVENTS[name]
    stage = make_stage()
    event = prepare(stage, count)
    before = count_calls(stage)
    good = invoke(stage, handler, event(False))
    assert good == {"batchItemFailures": []} or good["statusCode"] == 202
    calls, wanted = count_calls(stage) - before, state(stage)
    assert calls > 0
    for number in range(0, calls, SIZES[count]):
        for kill_before in (True, False):
            stage = make_stage()
            assert crash(stage, handler, prepare(stage, count), number, kill_before) == good
            where = f"killed {'before' if kill_before else 'after'} call {number + 1} of {calls}"
            assert (where, state(stage)) == (where, wanted)


def test_a_job_that_runs_is_left_alone_whatever_comes_again(stage):
    """Its message again, its webhook again, its watch again: nothing happens to the machine."""
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
        again = batch(stage, "QueuedQueue", job, receives=2)
        assert stage.invoke("queued", again) == {"batchItemFailures": []}
        assert list(stage.github.registry.runners.values()) == [runner]
    assert [one["InstanceId"] for one in stage.instances()] == [machine]
    assert REPOSITORY in runner.scope
