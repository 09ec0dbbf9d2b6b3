# SPDX-License-Identifier: MIT
"""The whole life of jobs while AWS, GitHub or machines fail: each is served, nothing is left."""

from __future__ import annotations

import pytest
from helpers import (
    LABELS,
    REPOSITORY,
    all_done,
    all_served,
    configure,
    machines_of,
    queue_jobs,
    sent,
    told,
)

from cloud.faults import Capacity, Cut, Error, Event
from cloud.limits import until


@pytest.mark.parametrize(
    "faults", ["capacity", "throttle", "duplicate", "errors", "cut", "conflict", "slow"]
)
def test_each_kind_of_bad_day(cloud, faults):
    cloud.hurry = 30
    cloud.faults.named(faults)
    jobs = queue_jobs(cloud, 5)
    all_served(cloud, jobs)
    assert machines_of(cloud) >= 5
    if faults in ("capacity", "duplicate", "slow"):
        assert machines_of(cloud) == 5


def test_the_worst_day(cloud):
    cloud.hurry = 30
    cloud.faults.named("capacity,throttle,duplicate,errors,cut,conflict,slow")
    all_served(cloud, queue_jobs(cloud, 12))


def test_a_spot_loss_loses_its_job_and_nothing_else(cloud):
    (lost,) = queue_jobs(cloud, 1, run_seconds=300)
    others = queue_jobs(cloud, 3, run_seconds=3)
    assert until(lambda: lost.state == "in_progress")
    cloud.machines.interrupt(lost.runner_name, in_seconds=4)
    all_done(cloud, [lost, *others])
    assert {job.conclusion for job in others} == {"success"}
    assert lost.conclusion in ("cancelled", "failure")


@pytest.mark.parametrize("service", ["ec2", "ssm", "sqs", "events", "github"])
def test_answers_that_are_lost_cost_nothing_but_time(cloud, service):
    """The first answers of each call of a service get lost after the call took effect."""
    cloud.hurry = 30
    names = {
        "ec2": ["RunInstances", "CreateTags", "DescribeInstances"],
        "ssm": ["GetParameter", "PutParameter", "DeleteParameter", "DeleteParameters"],
        "sqs": ["SendMessage"],
        "events": ["PutEvents"],
        "github": ["apps/*", "actions/generate-*", "actions/list-*", "actions/delete-*"],
    }[service]
    for name in names:
        cloud.faults.add(service, name, times=2, fault=Cut(before=False))
    jobs = queue_jobs(cloud, 3)
    all_served(cloud, jobs)
    if service == "ec2":
        assert machines_of(cloud) == 3


@pytest.mark.parametrize("behaviour", ["crash", "exit", "noise", "hang-at-end"])
def test_whatever_a_runner_does_nothing_is_left(cloud, behaviour):
    cloud.machines.setup.config["stop_grace_seconds"] = 2
    job = cloud.github.queue_job(REPOSITORY, LABELS, behaviour=behaviour)
    all_done(cloud, [job])


def failure_told(cloud):
    """Give what people are told of a runner that failed; that its machine ended may come first."""
    return next((one for one in told(cloud) if one["title"].endswith("failed")), None)


@pytest.mark.parametrize("behaviour", ["crash-at-start", "exit-at-start"])
def test_a_runner_that_cannot_start_is_told_and_its_job_runs_elsewhere(cloud, behaviour):
    cloud.github.broker.behave(behaviour)
    job = cloud.github.queue_job(REPOSITORY, LABELS)
    all_served(cloud, [job])
    assert machines_of(cloud) == 2
    notification = failure_told(cloud)
    assert notification["url"].endswith(f"/job/{job.id}")
    assert "given another machine" in notification["text"]


def test_an_image_whose_runner_is_refused_is_told_and_its_job_waits_for_another(cloud):
    cloud.hurry = 30
    cloud.github.broker.behave("deprecated", 2)
    job = cloud.github.queue_job(REPOSITORY, LABELS)
    notification = until(lambda: failure_told(cloud))
    assert "still waits on GitHub" in notification["text"]
    assert "build a new image" in str(notification)
    parked = until(lambda: sent(cloud, "ParkedQueue"))
    assert parked[0]["Body"]["relaunches"] == 2  # from now on ever more slowly
    assert job.state == "queued"
    all_done(cloud, [job])
    assert job.conclusion == "success"


def test_machines_that_die_at_any_moment_cost_no_job_that_had_not_begun(cloud):
    cloud.hurry = 30
    for seconds in (0.0, 0.3, 1.0, 2.0):
        cloud.faults.add("machine", "die", times=1, fault=Event(seconds))
    jobs = queue_jobs(cloud, 6, run_seconds=3)
    all_done(cloud, jobs)
    assert [job for job in jobs if job.conclusion != "success" and not job.runners] == []
    assert sum(job.conclusion == "success" for job in jobs) >= 2


def test_old_runners_that_do_not_end_themselves(cloud):
    configure(cloud, terminate_on_completed=True)
    cloud.machines.setup.config["stop_grace_seconds"] = 60
    jobs = queue_jobs(cloud, 3, behaviour="hang-at-end")
    all_done(cloud, jobs)
    assert "TerminateInstances" in {call.action for call in cloud.calls.of("ec2")}


def test_capacity_that_comes_and_goes(cloud):
    cloud.hurry = 30
    cloud.faults.add("ec2", "RunInstances", times=7, fault=Capacity())
    cloud.faults.add("ec2", "RunInstances", times=1, skip=2, fault=Error("InternalError", 500))
    all_served(cloud, queue_jobs(cloud, 6))
