# SPDX-License-Identifier: MIT
"""Crashes: a function is killed before or after each of its calls, and its event comes again.

Nothing that a user relies on may tell the difference: the same jobs have the same number of
machines, each with a hand-over of the runner that is registered for it, and no machine that works
is touched.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable

from helpers import Document, job_message, queued, sent, told, waits_at_github

from cloud.aws.sandbox import FunctionError
from cloud.cloud import Cloud
from cloud.faults import Kill
from cloud.limits import until

MakeEvent = Callable[[bool], Document]  # given whether the event comes again
Prepare = Callable[[Cloud, int], MakeEvent]
LINES = ("PacedQueue", "LimitedQueue")
NONE_FAILED = {"batchItemFailures": []}
# All actions but FleetPool: the pools of a fleet have faults of their own, and are no calls.
CALLS = "[!F]*"


def killer(stage: Cloud, handler: str) -> Callable[[], None]:
    """End the process of a function in the middle of its work."""

    def kill() -> None:
        for pid in stage.hosts[stage.functions[handler].name].pids:
            os.kill(pid, signal.SIGKILL)

    return kill


def hand_overs(stage: Cloud) -> list[tuple[int, bool]]:
    """List (job, machine) for each stored hand-over whose runner is registered."""
    runners = stage.github.registry.runners
    found = []
    for name, document in documents(stage).items():
        runner = runners.get(document["runner_id"])
        found.append((document["job"]["id"], runner is not None and runner.name in name))
    return sorted(found)


def documents(stage: Cloud) -> dict[str, Document]:
    """Read all hand-overs at once."""
    pages = stage.client("ssm").get_paginator("get_parameters_by_path")
    found = pages.paginate(Path=f"{stage.stack.prefix}/runners/", WithDecryption=True)
    return {one["Name"]: json.loads(one["Value"]) for page in found for one in page["Parameters"]}


def promises(stage: Cloud) -> set[tuple[str, int, int]]:
    """Name the runs whose job some message in a queue will come back to."""
    return {
        (queue, message["Body"]["run_id"], message["Body"].get("launch", 0))
        for queue in ("QueuedQueue", "RegisterQueue", "ParkedQueue", "WatchQueue", *LINES)
        for message in sent(stage, queue)
    }


def places(stage: Cloud) -> set[tuple[str, str]]:
    """Name the messages that SQS keeps of those sent to lines: what it has seen, it drops."""
    return {
        (queue, message["MessageDeduplicationId"])
        for queue in ("QueuedQueue", *LINES)
        for message in sent(stage, queue)
    }


def state(stage: Cloud) -> Document:
    """Describe all that lasts."""
    assert until(lambda: not stage.github.webhooks.busy)
    machines = stage.instances()
    return {
        "machines": len(machines),
        "marks": sum(
            tag["Key"] == "scale-agent:hangs-since"
            for machine in machines
            for tag in machine["Tags"]
        ),
        "hand-overs": hand_overs(stage),
        "runners": sorted(runner.busy for runner in stage.github.registry.runners.values()),
        "promises": promises(stage),
        "places": places(stage),
        "attempts": sorted((job.run_id, job.attempt, job.state) for job in stage.github.jobs.all),
        "deliveries": [one.status for one in stage.github.webhooks.deliveries],
        "jobs on machines": sorted(
            tag["Value"]
            for machine in machines
            for tag in machine["Tags"]
            if tag["Key"] == "scale-agent:job-url"
        ),
        "dead letters": len(sent(stage, "DeadLetters")),
    }


def invoke(stage: Cloud, handler: str, event: Document) -> Document | None:
    """Run one event; tells whether the function lived to its end."""
    try:
        return stage.invoke(handler, event)
    except FunctionError:
        return None


def crash(
    stage: Cloud, handler: str, event: MakeEvent, number: int, kill_before: bool
) -> Document | None:
    """Run an event, kill its process at the call of this number, and give its second answer."""
    kill = Kill(killer(stage, handler), kill_before)
    stage.faults.add(action=CALLS, times=1, skip=number, fault=kill)
    assert invoke(stage, handler, event(False)) is None
    # Calls that were under way take effect. In AWS a message that was not settled is hidden for
    # minutes, which is longer.
    assert until(lambda: stage.aws.is_drained() and stage.github.is_drained())
    assert until(lambda: stage.calls.under_way == 0)
    stage.faults.clear()
    return invoke(stage, handler, event(True))


def count_calls(stage: Cloud) -> int:
    """Count the calls to AWS and GitHub."""
    return len(list(stage.calls)) + len(stage.github.api.calls)


def is_good(answer: Document | None) -> bool:
    """Tell whether a function has done all of its work."""
    return answer is not None and (
        answer == NONE_FAILED or answer.get("statusCode") == 202 or answer.get("failed") == 0
    )


def notes(stage: Cloud) -> set[str]:
    """Name what people were told, of whatever machine."""
    return {re.sub("i-[0-9a-f]+", "i-", note["key"]) for note in told(stage)}


def check_each_call(
    make_stage: Callable[[], Cloud], handler: str, prepare: Prepare, count: int = 1, step: int = 1
) -> None:
    """Crash before and after each call, or of many calls each one in `step`.

    `prepare` makes the world, with so many jobs, and gives what makes the event.
    """
    stage = make_stage()
    event = prepare(stage, count)
    before = count_calls(stage)
    good = invoke(stage, handler, event(False))
    assert is_good(good)
    calls, wanted, known = count_calls(stage) - before, state(stage), notes(stage)
    assert calls > 0
    for number in range(0, calls, step):
        for kill_before in (True, False):
            stage = make_stage()
            answer = crash(stage, handler, prepare(stage, count), number, kill_before)
            where = f"killed {'before' if kill_before else 'after'} call {number + 1} of {calls}"
            assert (where, is_good(answer), state(stage)) == (where, True, wanted)
            assert (where, notes(stage) - known) == (where, set())


# -- how the world looks before -------------------------------------------------------------------


def some_jobs(stage: Cloud, count: int, first: int = 1) -> list[Document]:
    """Let jobs wait at GitHub, and give their messages."""
    jobs = [job_message(number) for number in range(first, first + count)]
    for job in jobs:
        waits_at_github(stage, job)
    return jobs


def launched(stage: Cloud, count: int, first: int = 1) -> tuple[list[Document], list[str]]:
    """Launch jobs, whose machines wait for nothing now; gives the machines in order of jobs."""
    jobs = some_jobs(stage, count, first)
    assert queued(stage, *jobs) == []
    names = {document["job"]["id"]: name for name, document in documents(stage).items()}
    return jobs, [names[number].rpartition("/")[2] for number in sorted(names)]
