# SPDX-License-Identifier: MIT
"""The whole life of jobs, however their webhooks come: each is served, and nothing is left."""

from __future__ import annotations

import json

from helpers import (
    LABELS,
    REPOSITORY,
    all_done,
    all_served,
    complaints,
    configure,
    launches,
    log,
    machines_of,
    metrics,
    queue_jobs,
    sent,
)

from cloud.faults import Throttle
from cloud.limits import until


def test_a_job_from_webhook_to_shutdown(cloud):
    job = cloud.github.queue_job(REPOSITORY, LABELS, name="build it")
    all_served(cloud, [job])
    (machine,) = cloud.machines.all.values()
    assert job.runner_name == machine.id
    assert machine.reason.startswith("Client.InstanceInitiatedShutdown")
    assert len(launches(cloud)) == 1
    for who, name in [
        ("register", "WebhookToLaunched"),
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
    configure(cloud, instance_types=["c7i.4xlarge"], shared_labels=True)
    jobs = queue_jobs(cloud, 2)
    jobs += [cloud.github.queue_job("octo-org/two", ["linux", "c7i.4xlarge"]) for _ in range(2)]
    all_served(cloud, jobs)
    kinds = sorted(machine.facts.instance_type for machine in cloud.machines.all.values())
    assert kinds == ["c7i.4xlarge", "c7i.4xlarge", "m7i.large", "m7i.large"]


def test_a_job_with_a_label_of_its_own_gets_the_machine_that_was_launched_for_it(cloud):
    labels = [[*LABELS, f"run-7-{index}"] for index in range(4)]
    jobs = [cloud.github.queue_job(REPOSITORY, own) for own in labels]
    all_served(cloud, jobs)
    launched_for = {}
    for call in cloud.calls.of("ssm"):
        if call.action == "PutParameter" and "/runners/" in call.parameters["Name"]:
            instance = call.parameters["Name"].rpartition("/")[2]
            launched_for[instance] = json.loads(call.parameters["Value"])["job"]["id"]
    assert {job.runner_name: job.id for job in jobs} == launched_for


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


def test_a_machine_to_which_no_job_comes_ends_at_its_idle_limit_and_is_not_replaced(cloud):
    configure(cloud, idle_limit_seconds=30)
    cloud.github.jobs.hold = True
    job = cloud.github.queue_job(REPOSITORY, LABELS)
    assert until(lambda: cloud.github.jobs.sessions())
    cloud.github.cancel_job(job)
    assert until(lambda: "idle" in str(log(cloud, "instance")), 90)
    assert until(lambda: cloud.idle(0.5))
    all_done(cloud, [job])
    assert machines_of(cloud) == 1
    assert cloud.calls.of("ec2", "TerminateInstances") == []


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


def test_twenty_jobs_at_once_take_few_calls(cloud):
    cloud.poller("QueuedQueue").paused = True
    jobs = queue_jobs(cloud, 20)
    assert until(lambda: cloud.messages().get("QueuedQueue") == 20)
    cloud.poller("QueuedQueue").paused = False
    assert until(lambda: machines_of(cloud) == 20)
    assert len(launches(cloud)) <= 8
    all_served(cloud, jobs)
    assert "EC2 refused the launch" not in str(log(cloud, "queued"))
