# SPDX-License-Identifier: MIT
"""queued and watch, the line of a burst: who comes when there is no room waits in order."""

from __future__ import annotations

import json

from helpers import (
    batch,
    failures,
    forget,
    handed_over,
    job_message,
    launched,
    launches,
    now_ms,
    queued,
    registered,
    sent,
    waits_at_github,
)
from lines import ROOM, fill_register


def admitted(cloud, bodies):
    """Let `admit` work on the first in line: who stays there, and who was sent on."""
    before = len(sent(cloud, "QueuedQueue"))
    failed = failures(cloud.invoke("admit", batch(cloud, "PacedQueue", *bodies)))
    return failed, [message["Body"] for message in sent(cloud, "QueuedQueue")[before:]]


def questions(cloud):
    """List how GitHub was asked for jobs."""
    return [call.operation for call in cloud.github.api.calls if "jobs" in call.operation]


def test_a_burst_waits_in_line_until_it_is_its_turn(stage):
    jobs = [job_message(number) for number in range(1, 11)]
    fill_register(stage, ROOM + 20)
    assert launched(stage, *jobs) == ([], [])
    assert launches(stage) == []
    line = sent(stage, "PacedQueue")
    assert [one["Body"]["id"] for one in line] == list(range(1, 11))
    assert {one["MessageGroupId"] for one in line} == {"4711"}
    bodies = [one["Body"] for one in line]

    failed, sent_on = admitted(stage, bodies)
    assert (len(failed), sent_on) == (10, [])

    stage.client("sqs").purge_queue(QueueUrl=stage.queue("RegisterQueue").url)
    failed, sent_on = admitted(stage, bodies)
    assert (failed, [one["id"] for one in sent_on]) == ([], list(range(1, 11)))
    assert launched(stage, *sent_on)[0] == []
    (call,) = launches(stage)
    assert call.parameters["MaxCount"] == "10"


def test_who_has_waited_for_long_is_asked_for_with_all_of_its_run(stage):
    old = {"queued_ms": now_ms() - 600_000, "run_id": 7, "paced": 1, "action": "paced"}
    bodies = [job_message(number, **old) for number in (1, 2, 3)]
    for body in bodies:
        waits_at_github(stage, body)
    stage.github.jobs.cancel(next(job for job in stage.github.jobs.all if job.id == 2))
    failed, sent_on = admitted(stage, bodies)
    assert failed == []
    assert [one["id"] for one in sent_on] == [1, 3]
    asked = questions(stage)
    assert asked == ["actions/list-jobs-for-workflow-run-attempt"]
    assert launched(stage, *sent_on)[0] == []
    # GitHub has just said that they wait: that does for launching them.
    assert questions(stage) == asked
    assert len(launches(stage)) == 1


def store_limit(cloud, **members):
    name = f"{cloud.stack.prefix}/breakers/_limit.4711"
    text = json.dumps(members)
    cloud.client("ssm").put_parameter(Name=name, Value=text, Type="String", Overwrite=True)


def test_a_limit_that_register_meets_keeps_what_comes_in_line(stage):
    """When jobs come one by one, only `register` calls GitHub, and tells `queued` of a limit."""
    limits = stage.github.api.limits
    limits.used = limits.per_hour
    _, messages = launched(stage, job_message(1))
    assert registered(stage, *messages) == ["message-1"]
    forget(stage, "queued")  # or, a minute later
    assert launched(stage, job_message(2)) == ([], [])
    assert len(launches(stage)) == 1
    (waits,) = sent(stage, "PacedQueue")
    assert waits["MessageGroupId"] == "4711"
    assert admitted(stage, [waits["Body"]]) == (["message-1"], [])
    # Told once, however often it is met.
    assert registered(stage, *messages, receives=2) == ["message-1"]
    stored = [call.parameters["Name"] for call in stage.calls.of("ssm", "PutParameter")]
    assert [name for name in stored if "_limit" in name] == ["/scale-agent/breakers/_limit.4711"]

    limits.used = 0
    store_limit(stage, until_ms=now_ms() + 50_000, near_until_ms=now_ms() + 900_000)
    for handler in ("queued", "register", "admit"):
        forget(stage, handler)
    failed, sent_on = admitted(stage, [waits["Body"]])
    assert (failed, [one["id"] for one in sent_on]) == ([], [2])
    assert queued(stage, *sent_on) == []
    assert handed_over(stage) == [2]
