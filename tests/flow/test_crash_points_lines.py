# SPDX-License-Identifier: MIT
"""Crashes at the two lines (see crashes.py): jobs go to their ends, and come to their turn."""

from __future__ import annotations

import pytest
from crashes import check_each_call, some_jobs
from helpers import (
    batch,
    configure,
    job_message,
    launched,
    now_ms,
    waits_at_github,
)
from lines import ROOM, fill_register


def to_queued(stage, jobs):
    """Make the batch of `queued`, in the other order when it comes again."""
    return lambda again: batch(
        stage, "QueuedQueue", *(reversed(jobs) if again else jobs), receives=1 + again
    )


def burst_event(stage, count):
    """Jobs for which there is no room: they go to the end of the line."""
    fill_register(stage, ROOM + 20)
    return to_queued(stage, some_jobs(stage, count))


def at_limit_event(stage, count):
    """Jobs beyond a limit, and one that has the machine."""
    configure(stage, stage.config | {"max_machines": 1})
    (other,) = some_jobs(stage, 1, first=99)
    assert launched(stage, other)[0] == []
    return to_queued(stage, some_jobs(stage, count))


@pytest.mark.parametrize(
    ("prepare", "count", "step"),
    [
        (burst_event, 10, 2),
        (at_limit_event, 1, 2),
        (at_limit_event, 3, 2),
        (at_limit_event, 10, 5),
    ],
)
def test_queued(make_stage, prepare, count, step):
    check_each_call(make_stage, "queued", prepare, count, step)


def long_line_event(stage, count):
    """The first jobs of a line, which have waited so long that GitHub is asked about them."""
    old = {"queued_ms": now_ms() - 600_000, "paced": 1, "action": "paced"}
    jobs = [job_message(number, **old) for number in range(1, count + 1)]
    for job in jobs:
        waits_at_github(stage, job)
    return lambda again: batch(
        stage, "PacedQueue", *(reversed(jobs) if again else jobs), receives=1 + again
    )


def long_line_for_hours_event(stage, count):
    """The first in line, which has stood still for hours: they leave it for places of their own."""
    fill_register(stage, ROOM + 20)
    jobs = [job | {"paced": 1, "action": "paced"} for job in some_jobs(stage, count)]
    return lambda again: batch(
        stage, "PacedQueue", *(reversed(jobs) if again else jobs), receives=900 + again
    )


def limited_jobs(stage, **limits):
    configure(stage, stage.config | limits)
    return [job | {"action": "limited", "limited": 1, "stale": 1} for job in some_jobs(stage, 1)]


def first_at_limit_event(stage, count):
    """The first of a line, for which there is room now."""
    jobs = limited_jobs(stage, max_machines=1)
    return lambda again: batch(stage, "LimitedQueue", *jobs, receives=1 + again)


def first_without_limit_event(stage, count):
    """The first of a line whose limit is no more."""
    jobs = limited_jobs(stage)
    return lambda again: batch(stage, "LimitedQueue", *jobs, receives=1 + again)


def first_for_hours_event(stage, count):
    """The first of a line that stood still for hours: it leaves it for a place of its own."""
    jobs = limited_jobs(stage, max_machines=1)
    assert launched(stage, *some_jobs(stage, 1, first=99))[0] == []
    return lambda again: batch(stage, "LimitedQueue", *jobs, receives=900 + again)


@pytest.mark.parametrize(
    ("prepare", "count", "step"),
    [
        (long_line_event, 1, 1),
        (long_line_event, 3, 2),
        (long_line_event, 10, 2),
        (long_line_for_hours_event, 1, 1),
        (first_at_limit_event, 1, 1),
        (first_without_limit_event, 1, 1),
        (first_for_hours_event, 1, 1),
    ],
)
def test_admit(make_stage, prepare, count, step):
    check_each_call(make_stage, "admit", prepare, count, step)
