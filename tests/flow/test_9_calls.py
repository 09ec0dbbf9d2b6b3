# SPDX-License-Identifier: MIT
"""9. What a job costs in calls to AWS and GitHub, stage by stage, once the functions are warm.

The jobs of a batch go through every stage together, each on the machine that was launched for it,
and still run at their watch. Each function is one process, and gets a stage's messages once all of
them are there.
"""

from __future__ import annotations

import dataclasses
import json
from contextlib import contextmanager

import pytest
from helpers import LABELS, REPOSITORY, all_served

from cloud.limits import until
from cloud.tally import count

# What each job costs,
JOB = {
    "webhook": {"SendMessage": 3},
    "register": {"PutParameter": 1},
    "agent": {"GetParameter": 1, "PutEvents": 2, "DeleteParameter": 1},
    "in_progress": {"CreateTags": 1},
}
# and what a batch does, of whatever size; `completed` and `instance` cost nothing.
BATCH = {
    "queued": {"RunInstances": 1, "SendMessageBatch": 1},
    "register": {"SendMessageBatch": 1},
    "watch": {"DescribeInstances": 1},
}
FULL = {"queued": {"GetQueueAttributes": 2}}  # how many wait to be registered, and in line
GOALS = {1: 13.3, 10: 9.7}
GITHUB_GOAL = 1.1
HURRY = 60.0
APART_MS = 900  # the agent waits for a second, and a busy machine may take as long


def expected(jobs):
    parts = [(JOB, jobs), (BATCH, 1), (FULL, jobs >= 10)]
    found = {}
    for part, times in parts:
        for stage, names in part.items():
            for name, number in names.items():
                of_stage = found.setdefault(stage, {})
                of_stage[name] = of_stage.get(name, 0) + number * times
    return {stage: {n: c for n, c in names.items() if c} for stage, names in found.items()}


def waiting(cloud, queue, delayed=False):
    """Count the messages that are in a queue."""
    names = ["ApproximateNumberOfMessages"]
    names += ["ApproximateNumberOfMessagesDelayed"] if delayed else []
    url = cloud.queue(queue).url
    given = cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
    return sum(int(value) for value in given["Attributes"].values())


def pass_on(cloud, queue, messages):
    """Let a function have the messages of its queue, once there are so many."""
    assert until(lambda: waiting(cloud, queue) == messages), (queue, waiting(cloud, queue))
    poller = cloud.poller(queue)
    poller.paused = False
    poller.kick()
    assert until(lambda: waiting(cloud, queue) == 0 and not poller.busy)
    poller.paused = True


@contextmanager
def by_hand(cloud):
    """Let messages wait for `pass_on`; afterwards they move by themselves again."""
    for poller in cloud.pollers:
        poller.paused = True
    yield
    for poller in cloud.pollers:
        poller.paused = False
        poller.kick()


def one_process_each(cloud):
    for poller in cloud.pollers:
        poller.mapping = dataclasses.replace(poller.mapping, concurrency=1)
    for host in cloud.hosts.values():
        host.function = dataclasses.replace(host.function, concurrency=1)


def reports(cloud):
    """List the reports of each call that the agents made."""
    calls = [call for call in cloud.calls.of("events", "PutEvents") if not call.error]
    return [[json.loads(one["Detail"]) for one in call.parameters["Entries"]] for call in calls]


def slow_starts(cloud):
    """Count the jobs that started so late that their report may have gone by itself."""
    started = [one for call in reports(cloud) for one in call if one["stage"] == "job_started"]
    times = [one["times"] for one in started]
    return sum(one["job_started"] - one["listening"] > APART_MS for one in times)


def live(cloud, number, end):
    """Let so many jobs live together; they last until a file is there, ten minutes at most."""
    script = f"while ! test -e {end} && test $SECONDS -lt 600; do sleep 0.05; done"
    jobs = [
        cloud.github.queue_job(REPOSITORY, [*LABELS, f"run-{one}"], script=script)
        for one in range(number)
    ]
    pass_on(cloud, "QueuedQueue", number)
    pass_on(cloud, "RegisterQueue", number)
    assert until(lambda: all(job.state == "in_progress" for job in jobs))
    pass_on(cloud, "InProgressQueue", number)
    assert until(lambda: cloud.parameters() == [])
    pass_on(cloud, "InstanceQueue", 2 * number)
    pass_on(cloud, "WatchQueue", number)
    end.touch()
    assert until(lambda: all(job.state == "completed" for job in jobs))
    pass_on(cloud, "CompletedQueue", number)
    pass_on(cloud, "InstanceQueue", 2 * number)  # that they have finished, and have ended
    assert waiting(cloud, "WatchQueue", delayed=True) == 0
    return jobs


@pytest.fixture
def warm(cloud, tmp_path):
    """Let a first job start the functions."""
    cloud.hurry = HURRY
    one_process_each(cloud)
    with by_hand(cloud):
        first = live(cloud, 1, tmp_path / "first")
    all_served(cloud, first)
    return cloud


@pytest.mark.parametrize("number", sorted(GOALS))
def test_what_a_job_costs(warm, number, tmp_path):
    warm.calls.clear()
    before = count(warm)
    with by_hand(warm):
        jobs = live(warm, number, tmp_path / "end")
    all_served(warm, jobs)
    tally = count(warm) - before
    found = {stage: dict(names) for stage, names in tally.stages.items()}
    if slow_starts(warm):
        found["agent"]["PutEvents"] = min(found["agent"]["PutEvents"], 2 * number)
    assert found == expected(number)
    assert sum(sum(names.values()) for names in found.values()) / number <= GOALS[number]
    assert (tally.github, tally.github_starts) == (number, 0)
    assert tally.github / number <= GITHUB_GOAL


def test_a_function_that_starts_reads_its_settings_with_one_call(warm):
    calls = warm.calls.of("ssm", "GetParameters")
    readers = sorted(call.role for call in calls if "/runners/" not in str(call.parameters))
    functions = ("Completed", "Instance", "Queued", "Register", "Watch", "Webhook")
    assert readers == [f"{name}Role" for name in functions]
    assert count(warm).github_starts == 2  # `queued`, and `register`
