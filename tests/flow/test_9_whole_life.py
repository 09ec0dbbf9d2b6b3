# SPDX-License-Identifier: MIT
"""The whole life of jobs, in a cloud where things go wrong: each is served, and nothing is left."""

from __future__ import annotations

import pytest
from helpers import (
    LABELS,
    REPOSITORY,
    complaints,
    configure,
    launches,
    log,
    metrics,
    sent,
)

from cloud.faults import Capacity, Cut, Error, Event, Throttle
from cloud.limits import until


def queue_jobs(cloud, count, **options):
    return [cloud.github.queue_job(REPOSITORY, LABELS, **options) for _ in range(count)]


def all_done(cloud, jobs):
    done = until(lambda: all(job.state == "completed" for job in jobs))
    assert done, [(job.id, job.state) for job in jobs]
    assert cloud.idle(), cloud.busy()
    assert cloud.left() == []
    assert cloud.github.violations == []


def all_served(cloud, jobs):
    all_done(cloud, jobs)
    assert {job.conclusion for job in jobs} == {"success"}
    assert [job for job in jobs if len(job.runners) != 1] == []


def machines_of(cloud):
    return len(cloud.machines.all)


def test_a_job_from_webhook_to_shutdown(cloud):
    job = cloud.github.queue_job(REPOSITORY, LABELS, name="build it")
    all_served(cloud, [job])
    (machine,) = cloud.machines.all.values()
    assert job.runner_name == machine.id
    assert machine.reason.startswith("Client.InstanceInitiatedShutdown")
    assert len(launches(cloud)) == 1
    for who, name in [
        ("queued", "WebhookToLaunched"),
        ("in_progress", "QueueTime"),
        ("instance", "TimeToStart"),
        ("instance", "JobTime"),
        ("instance", "MachineTime"),
        ("completed", "RunTime"),
    ]:
        (document,) = metrics(cloud, who, name)
        assert 0 <= document[name] < 120_000
        assert document["instance"] == machine.id
    assert complaints(cloud, "webhook") == ""
    assert sent(cloud, "NotifyQueue") == []
    deleted = [c for c in cloud.calls.of("ssm") if c.action.startswith("Delete") and not c.error]
    assert {call.role for call in deleted} <= {"RunnerRole", "CompletedRole", "InstanceRole"}
    assert deleted[0].role == "RunnerRole"


def test_a_job_that_fails_is_served_as_well(cloud):
    job = cloud.github.queue_job(REPOSITORY, LABELS, result="failure")
    all_done(cloud, [job])
    assert job.conclusion == "failure"
    assert sent(cloud, "NotifyQueue") == []


def test_jobs_of_several_repositories_and_types(cloud):
    configure(cloud, instance_types=["c7i.4xlarge"])
    jobs = queue_jobs(cloud, 2)
    jobs += [cloud.github.queue_job("octo-org/two", ["linux", "c7i.4xlarge"]) for _ in range(2)]
    all_served(cloud, jobs)
    kinds = sorted(machine.facts.instance_type for machine in cloud.machines.all.values())
    assert kinds == ["c7i.4xlarge", "c7i.4xlarge", "m7i.large", "m7i.large"]


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
    cloud.machines.spot_seconds = 4
    cloud.faults.add("machine", "spot", times=1, fault=Event(3.0))
    jobs = queue_jobs(cloud, 4, run_seconds=8)
    all_done(cloud, jobs)
    conclusions = sorted(job.conclusion for job in jobs)
    assert conclusions[1:] == ["success"] * 3
    assert conclusions[0] in ("cancelled", "failure")


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


def test_webhooks_that_come_late_doubled_and_in_another_order(cloud):
    webhooks = cloud.github.webhooks
    webhooks.disturb("duplicate", "queued", times=2)
    webhooks.disturb("late", "in_progress", times=2, seconds=3)
    webhooks.disturb("duplicate", "in_progress", times=2)
    webhooks.disturb("reordered", "completed", times=1)
    webhooks.disturb("duplicate", "completed", times=1)
    jobs = queue_jobs(cloud, 5)
    all_done(cloud, jobs)
    assert webhooks.wait()
    all_served(cloud, jobs)
    assert machines_of(cloud) == 5


def test_completed_before_in_progress_before_queued(cloud):
    webhooks = cloud.github.webhooks
    job = cloud.github.queue_job(REPOSITORY, LABELS, announce=False)
    for action in ("completed", "in_progress"):
        job.conclusion = "success" if action == "completed" else None
        webhooks.announce(job, action)
        assert webhooks.wait()
    job.conclusion = None
    webhooks.announce(job, "queued")
    all_served(cloud, [job])


def test_a_lost_webhook_is_made_up_for_by_sending_it_again(cloud):
    webhooks = cloud.github.webhooks
    webhooks.disturb("lost", "queued")
    job = cloud.github.queue_job(REPOSITORY, LABELS)
    assert cloud.idle()
    assert job.state == "queued"
    webhooks.redeliver(webhooks.deliveries[0])
    all_served(cloud, [job])


def test_a_delivery_that_was_refused_can_be_sent_again(cloud):
    rule = cloud.faults.add("sqs", "SendMessage", fault=Throttle())
    job = cloud.github.queue_job(REPOSITORY, LABELS)
    delivery = cloud.github.webhooks.deliveries[0]
    assert until(lambda: delivery.status is not None)
    assert delivery.status == 503
    cloud.faults.remove(rule)
    cloud.github.webhooks.redeliver(delivery)
    all_served(cloud, [job])


def test_a_job_that_is_cancelled_while_it_waits_leaves_nothing(cloud):
    cloud.github.jobs.hold = True
    job = cloud.github.queue_job(REPOSITORY, LABELS)
    assert until(lambda: cloud.github.jobs.sessions())
    cloud.github.cancel_job(job)

    def quiet():
        for session in cloud.github.jobs.sessions():
            cloud.github.broker.expel(session.runner)  # as GitHub does after some idle minutes
        return cloud.idle(0.5)

    assert until(quiet)
    all_done(cloud, [job])
    assert job.conclusion == "cancelled"
    assert machines_of(cloud) <= 4  # nobody knows that it is cancelled, but there is an end


def test_a_job_that_is_cancelled_while_it_runs_ends_its_machine(cloud):
    job = cloud.github.queue_job(REPOSITORY, LABELS, run_seconds=300)
    assert until(lambda: job.state == "in_progress")
    cloud.github.cancel_job(job)
    all_done(cloud, [job])
    assert job.conclusion == "cancelled"


def test_a_job_that_is_run_again_gets_a_machine_of_its_own(cloud):
    first = cloud.github.queue_job(REPOSITORY, LABELS, result="failure")
    all_done(cloud, [first])
    second = cloud.github.jobs.rerun(first)
    all_done(cloud, [second])
    assert second.attempt == 2
    assert machines_of(cloud) == 2
    assert first.runner_name != second.runner_name


@pytest.mark.parametrize("behaviour", ["crash", "exit", "noise", "hang-at-end"])
def test_whatever_a_runner_does_nothing_is_left(cloud, behaviour):
    cloud.machines.setup.config["stop_grace_seconds"] = 2
    job = cloud.github.queue_job(REPOSITORY, LABELS, behaviour=behaviour)
    all_done(cloud, [job])


@pytest.mark.parametrize("behaviour", ["crash-at-start", "exit-at-start"])
def test_a_runner_that_cannot_start_is_told_and_its_job_runs_elsewhere(cloud, behaviour):
    cloud.github.broker.behave(behaviour)
    job = cloud.github.queue_job(REPOSITORY, LABELS)
    all_served(cloud, [job])
    assert machines_of(cloud) == 2
    notification = sent(cloud, "NotifyQueue")[0]["Body"]
    assert notification["title"].endswith("failed")
    assert notification["url"].endswith(f"/job/{job.id}")
    assert "given another machine" in notification["text"]


def test_an_image_whose_runner_is_refused_is_told_and_its_job_waits_for_another(cloud):
    cloud.hurry = 30
    cloud.github.broker.behave("deprecated", 2)
    job = cloud.github.queue_job(REPOSITORY, LABELS)
    assert until(lambda: sent(cloud, "NotifyQueue"))
    notification = sent(cloud, "NotifyQueue")[0]["Body"]
    assert notification["title"].endswith("failed")
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


def test_twenty_jobs_at_once_take_few_calls(cloud):
    cloud.poller("QueuedQueue").paused = True
    jobs = queue_jobs(cloud, 20)
    assert until(lambda: cloud.messages().get("QueuedQueue") == 20)
    cloud.poller("QueuedQueue").paused = False
    all_served(cloud, jobs)
    assert len(launches(cloud)) <= 8
    assert machines_of(cloud) == 20
    assert "EC2 refused the launch" not in str(log(cloud, "queued"))


def test_capacity_that_comes_and_goes(cloud):
    cloud.hurry = 30
    cloud.faults.add("ec2", "RunInstances", times=7, fault=Capacity())
    cloud.faults.add("ec2", "RunInstances", times=1, skip=2, fault=Error("InternalError", 500))
    all_served(cloud, queue_jobs(cloud, 6))
