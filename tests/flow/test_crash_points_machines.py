# SPDX-License-Identifier: MIT
"""Crashes of the functions that hear of machines and of the jobs on them (see crashes.py)."""

from __future__ import annotations

import pytest
import tickets
from crashes import check_each_call, launched
from helpers import batch, parameter

from cloud.hooks import ENDED


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


EVENTS = {
    "in_progress": ("in_progress", in_progress_event),
    "ended": ("instance", ended_event),
    "idle": ("instance", idle_event),
    "completed": ("completed", completed_event),
}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", EVENTS)
def test_a_crash_between_any_two_calls_changes_nothing(make_stage, name, count):
    handler, prepare = EVENTS[name]
    check_each_call(make_stage, handler, prepare, count)
