# SPDX-License-Identifier: MIT
"""Limits of machines: how many live at the same time, and who waits for whom."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

from helpers import (
    REPOSITORY,
    all_done,
    batch,
    configure,
    failures,
    forget,
    job_message,
    launches,
    log,
    machines_of,
    metrics,
    queue_jobs,
    queued,
    sent,
    told,
    waits_at_github,
)

GET_JOB = "actions/get-job-for-workflow-run"
# The concurrency of `queued`, and the size of its batches, as the template has them.
PROCESSES, BATCH = 5, 10


def limit(cloud, all_machines=None, repository=None, **spec):
    """Store a configuration with limits; of functions yet to start."""
    config = {name: one for name, one in cloud.config.items() if not name.startswith("max_")}
    given = {"max_machines": all_machines, "max_machines_per_repository": repository}
    config |= {name: value for name, value in given.items() if value is not None}
    configure(cloud, config, **spec)


def living(cloud):
    """List the tags, and the id, of the machines that EC2 shows as pending or running."""
    states = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    found = cloud.client("ec2").describe_instances(Filters=states)["Reservations"]
    return [
        {"id": one["InstanceId"]} | {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        for reservation in found
        for one in reservation["Instances"]
    ]


def line(cloud):
    """List the jobs that were sent to wait, in order."""
    return [message["Body"]["id"] for message in sent(cloud, "LimitedQueue")]


def look(cloud, message, receives=1):
    """Let the first of a line look: whether it waits on."""
    event = batch(cloud, "LimitedQueue", message, receives=receives)
    return failures(cloud.invoke("admit", event)) == ["message-1"]


def test_five_processes_at_once_pass_a_limit_by_what_they_cannot_know(stage):
    limit(stage, all_machines=12)
    jobs = [job_message(number) for number in range(1, PROCESSES * BATCH + 1)]
    for job in jobs:
        waits_at_github(stage, job)
    events = [
        batch(stage, "QueuedQueue", *jobs[first : first + BATCH])
        for first in range(0, len(jobs), BATCH)
    ]
    with ThreadPoolExecutor(PROCESSES) as pool:
        answers = list(pool.map(lambda event: stage.invoke("queued", event), events))
    assert all(failures(answer) == [] for answer in answers)
    passed = len(living(stage))
    assert 12 <= passed <= 12 + (PROCESSES - 1) * BATCH
    assert passed + len(line(stage)) == len(jobs)
    # Whoever comes now knows of all of them.
    assert queued(stage, *(job_message(number) for number in range(101, 111))) == []
    assert len(living(stage)) == passed
    assert line(stage)[-10:] == list(range(101, 111))


def test_jobs_beyond_a_limit_wait_and_people_are_told_once(stage):
    limit(stage, max_machines=2)
    assert queued(stage, *(job_message(number) for number in range(1, 6))) == []
    assert queued(stage, job_message(6)) == []
    assert [call.parameters["MaxCount"] for call in launches(stage)] == ["2"]
    waiting = sent(stage, "LimitedQueue")
    assert [message["Body"]["id"] for message in waiting] == [3, 4, 5, 6]
    assert {message["MessageGroupId"] for message in waiting} == {f"linux-x64/{REPOSITORY}"}
    (notification,) = [one for one in told(stage) if "limit" in one["title"]][:1]
    assert notification["title"] == "Jobs of spec linux-x64 wait: limit reached"
    assert notification["severity"] == "info"
    assert notification["facts"]["Jobs of this batch"] == "3"
    assert stage.messages()["NotifyQueue"] == 1
    assert len(metrics(stage, "queued", "AtLimit")) == 4
    reasons = {one["reason"] for one in log(stage, "queued") if one["message"] == "waiting"}
    assert reasons == {"limit reached"}


def test_without_a_limit_nobody_counts(stage):
    assert queued(stage, job_message()) == []
    assert stage.calls.of("ec2", "DescribeInstances") == []
    assert stage.calls.of("sqs", "GetQueueAttributes") == []


def test_a_machine_is_of_the_repository_whose_job_it_runs(stage):
    """At launch it is tagged with that of its job; then another repository's job takes it."""
    limit(stage, repository=1, organization="octo-org")
    assert queued(stage, job_message(1), job_message(2, repository="octo-org/two")) == []
    tags = {one["scale-agent:repository"] for one in living(stage)}
    assert tags == {REPOSITORY, "octo-org/two"} and len(launches(stage)) == 2
    (first,) = (one["id"] for one in living(stage) if one["scale-agent:repository"] == REPOSITORY)
    taken = job_message(3, action="in_progress", repository="octo-org/two", runner_name=first)
    assert failures(stage.invoke("in_progress", batch(stage, "InProgressQueue", taken))) == []
    assert [one["scale-agent:repository"] for one in living(stage)] == ["octo-org/two"] * 2
    forget(stage, "queued")
    assert queued(stage, job_message(4), job_message(5, repository="octo-org/two")) == []
    assert len(living(stage)) == 3
    assert line(stage) == [5]


def test_a_limit_that_is_lowered_ends_nothing(stage):
    assert queued(stage, *(job_message(number) for number in range(1, 4))) == []
    limit(stage, max_machines=1)
    forget(stage, "queued")
    assert queued(stage, job_message(4)) == []
    assert line(stage) == [4]
    assert look(stage, sent(stage, "LimitedQueue")[0]["Body"])
    assert len(living(stage)) == 3
    assert stage.calls.of("ec2", "TerminateInstances") == []


def test_the_first_of_a_line_is_launched_once_a_machine_has_ended(stage):
    limit(stage, max_machines=1)
    assert queued(stage, job_message(1), job_message(2), job_message(3)) == []
    second, third = (message["Body"] for message in sent(stage, "LimitedQueue"))
    asked = len(stage.github.api.calls)
    assert look(stage, second)
    assert len(stage.github.api.calls) == asked  # it is not asked as long as there is no room
    stage.client("ec2").terminate_instances(InstanceIds=[living(stage)[0]["id"]])
    forget(stage, "queued")  # a warm process counts what it launched within the last minute
    forget(stage, "admit")
    assert not look(stage, second, receives=2)
    (message,) = sent(stage, "QueuedQueue")
    assert message["Body"]["id"] == 2
    assert look(stage, third)  # the room is the second's, though EC2 does not show its machine yet
    assert queued(stage, message["Body"]) == []
    assert len(living(stage)) == 1
    assert "Jobs of spec linux-x64 go on" in [one["title"] for one in told(stage)]


def test_a_job_whose_machine_died_at_the_limit_gets_another(stage):
    limit(stage, max_machines=1)
    assert queued(stage, job_message(1), job_message(2)) == []
    stage.client("ec2").terminate_instances(InstanceIds=[living(stage)[0]["id"]])
    assert queued(stage, job_message(1, launch=1, relaunches=1, stale=1)) == []
    assert len(living(stage)) == 1
    assert line(stage) == [2]


def test_jobs_beyond_a_limit_are_served_in_turn(cloud):
    limit(cloud, all_machines=1)
    cloud.hurry = 30
    jobs = queue_jobs(cloud, 3)
    all_done(cloud, jobs)
    assert {job.conclusion for job in jobs} == {"success"}
    assert machines_of(cloud) >= 3
    asked = [call for call in cloud.github.api.calls if call.operation == GET_JOB]
    assert len(asked) < 10 * len(jobs)


def test_a_limit_is_no_number_below_one(run_scaler, tmp_path, stage):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(stage.config | {"max_machines": 0}))
    answer = run_scaler("check", path)
    assert answer.returncode != 0
    assert "max_machines: a whole number from 1 to 10000 (none: leave it out)" in (
        answer.stdout + answer.stderr
    )
