# SPDX-License-Identifier: MIT
"""instance: what machines and EC2 say about them becomes metrics, clean-up, and words to people."""

from __future__ import annotations

import pytest
from helpers import (
    attributes,
    batch,
    complaints,
    configure,
    failures,
    job_message,
    job_url,
    log,
    metrics,
    queued,
    sent,
    told,
)

from cloud.faults import Body, Error, Throttle
from cloud.hooks import ENDED
from cloud.limits import until
from cloud.machines.fleet import SPOT_WARNING

TIMES = {
    "queued": 1000, "webhook": 2000, "launched": 4000, "handed_over": 4500,
    "kernel": 8000, "agent": 12000, "identified": 12010, "received": 12100,
    "runner_started": 12200, "listening": 15000, "job_started": 17000, "job_finished": 77000,
    "finished": 78000,
}  # fmt: skip


def instance(cloud, *events, **options):
    return failures(cloud.invoke("instance", batch(cloud, "InstanceQueue", *events, **options)))


def event(source, detail_type, detail):
    return {"source": source, "detail-type": detail_type, "detail": detail, "id": "1"}


def report(stage="ready", **changes):
    detail = {
        "version": 1,
        "prefix": "/scale-agent",
        "instance_id": "i-0123456789abcdef0",
        "instance_type": "m7a.large",
        "zone": "eu-central-1b",
        "region": "eu-central-1",
        "stage": stage,
        "spec": "linux-x64",
        "scope": "repos/octo-org/one",
        "runner_id": 23,
        "job": {"id": 5, "run_id": 1005, "attempt": 1, "repository": "octo-org/one",
                "name": "build-5", "url": job_url(5)},
        "times": TIMES,
    }  # fmt: skip
    changed = {name: value for name, value in (detail | changes).items() if value is not None}
    return event("scale-agent.runner", "Runner Report", changed)


def ended(name, state="terminated"):
    return event("aws.ec2", ENDED, {"instance-id": name, "state": state})


def warned(name):
    return event("aws.ec2", SPOT_WARNING, {"instance-id": name, "instance-action": "terminate"})


def launched(cloud):
    assert queued(cloud, job_message()) == []
    return cloud.instances()[0]["InstanceId"]


# -- the agent's reports ----------------------------------------------------------------------


STAGES = {
    "idle": {"RunnerIdle": 1},
    "ready": {"RunnerReady": 1, "LaunchedToAgent": 8000, "KernelToAgent": 4000,
              "AgentToListening": 3000, "WebhookToListening": 13000},
    "job_started": {"JobStarted": 1, "ListeningToJob": 2000, "TimeToStart": 15000},
    "finished": {"RunnerFinished": 1, "JobTime": 60000, "MachineTime": 74000},
    "failed": {"RunnerFailed": 1, "MachineTime": 74000},
    "interrupted": {"RunnerInterrupted": 1},
}  # fmt: skip


def test_each_stage_has_its_metrics(stage):
    for name, wanted in STAGES.items():
        assert instance(stage, report(name)) == []
        document = stage.metrics("instance")[-1]
        described = {m["Name"] for m in document["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
        assert {metric: document[metric] for metric in described} == wanted
        assert document["spec"] == "linux-x64"
        assert (document["instance"], document["type"]) == ("i-0123456789abcdef0", "m7a.large")
        assert (document["job"], document["repository"]) == (5, "octo-org/one")


def test_times_that_are_missing_or_backwards_make_no_nonsense(stage):
    assert instance(stage, report("ready", times={"agent": 5000, "launched": 7000})) == []
    document = stage.metrics("instance")[-1]
    assert document["LaunchedToAgent"] == 0  # clocks differ a little
    assert "WebhookToListening" not in document
    assert instance(stage, report("finished", times={}, job=None, spec=None)) == []


def test_people_are_told_of_a_failed_agent_with_the_job(stage):
    failed = report("failed", reason="the runner exited with 1 before it took a job")
    assert instance(stage, failed) == []
    (notification,) = told(stage)
    assert notification["severity"] == "error"
    assert notification["title"] == "Runner i-0123456789abcdef0 failed"
    assert notification["url"] == job_url(5)
    facts = notification["facts"]
    assert facts["Reason"] == "the runner exited with 1 before it took a job"
    assert (facts["Job"], facts["Repository"]) == ("build-5", "octo-org/one")
    assert instance(stage, failed) == []  # comes twice, is told once
    assert stage.messages() == {"NotifyQueue": 1}


def test_an_agent_that_got_no_job_is_told_without_one(stage):
    nothing = {"job": None, "spec": None, "scope": None, "runner_id": None}
    reason = "no hand-over within 600 s"
    assert instance(stage, report("failed", reason=reason, times={"agent": 5}, **nothing)) == []
    (notification,) = told(stage)
    assert notification["facts"]["Reason"] == reason
    assert "still waits on GitHub" in notification["text"]
    assert "url" not in notification


# -- machines to which no job comes ------------------------------------------------------------


def idles(name):
    # What it says beside its name is not true.
    return report("idle", instance_id=name, runner_id=99, scope="repos/octo-org/other")


def test_the_runner_of_an_idle_machine_goes_with_its_parameter_and_nothing_else(stage):
    name = launched(stage)
    assert instance(stage, idles(name)) == []
    assert (stage.parameters(), stage.github.left()) == ([], [])
    assert instance(stage, idles(name)) == []  # the report comes again
    assert [one["InstanceId"] for one in stage.instances()] == [name]
    assert stage.calls.of("ec2", "TerminateInstances") == []
    assert told(stage) == []
    assert "ParkedQueue" not in stage.messages()
    assert instance(stage, ended(name)) == []  # and then its end has nothing to give back
    assert told(stage) == []
    assert "relaunch" not in str(log(stage, "instance"))


def test_an_idle_machine_that_got_a_job_meanwhile_is_left_alone(stage):
    name = launched(stage)
    stage.github.registry.find("repos/octo-org/one", name)[0].busy = True
    assert instance(stage, idles(name)) == []
    assert len(stage.parameters()) == len(stage.github.left()) == 1
    stage.github.registry.find("repos/octo-org/one", name)[0].busy = False
    tag = {"Key": "scale-agent:job-url", "Value": job_url(9)}
    stage.client("ec2").create_tags(Resources=[name], Tags=[tag])
    assert instance(stage, idles(name)) == []
    assert len(stage.parameters()) == len(stage.github.left()) == 1


def test_an_idle_machine_that_github_cannot_deregister_now_comes_again(stage):
    name = launched(stage)
    stage.faults.add("github", "actions/delete-*", fault=Error("", 500, "Server Error"))
    assert instance(stage, idles(name)) == ["message-1"]
    assert len(stage.parameters()) == 1
    stage.faults.clear()
    assert instance(stage, idles(name), receives=2) == []
    assert (stage.parameters(), stage.github.left()) == ([], [])


# -- machines that end ------------------------------------------------------------------------


def test_what_an_ended_machine_left_behind_goes(stage):
    name = launched(stage)
    tag = {"Key": "scale-agent:job-url", "Value": job_url(9)}
    stage.client("ec2").create_tags(Resources=[name], Tags=[tag])  # its runner took a job
    stage.client("ec2").terminate_instances(InstanceIds=[name])
    assert instance(stage, ended(name)) == []
    assert (stage.parameters(), stage.github.left()) == ([], [])
    assert told(stage) == []
    assert "ParkedQueue" not in stage.messages()
    assert instance(stage, ended(name)) == []  # events come twice
    assert "deregistered the runner" in str(log(stage, "instance"))


def test_several_machines_are_looked_up_at_once(stage):
    assert queued(stage, *(job_message(number) for number in range(1, 9))) == []
    names = [one["InstanceId"] for one in stage.instances()]
    assert instance(stage, *(ended(name) for name in names)) == []
    assert (stage.parameters(), stage.github.left()) == ([], [])
    assert len(stage.calls.of("ec2", "DescribeInstances")) == 1
    assert len(stage.calls.of("ssm", "DeleteParameters")) == 1


def test_a_machine_that_ends_in_the_middle_of_a_job_is_told(stage):
    name = launched(stage)
    stage.github.registry.find("repos/octo-org/one", name)[0].busy = True
    tag = {"Key": "scale-agent:job-url", "Value": job_url(9)}
    stage.client("ec2").create_tags(Resources=[name], Tags=[tag])
    assert instance(stage, ended(name)) == []
    (notification,) = told(stage)
    assert notification["title"] == "Job lost: its machine ended"
    assert notification["url"] == job_url(9)
    assert notification["facts"]["Instance"] == name
    assert stage.parameters() == []


def test_other_people_s_machines_are_left_alone(stage):
    ec2 = stage.client("ec2")
    image = ec2.describe_images(Owners=["self"])["Images"][0]["ImageId"]
    other = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    tag = {"Key": "scale-agent:prefix", "Value": "/another-stack"}
    for _ in range(2):
        events = [ended(other), warned(other), ended("i-0000000000000dead")]
        assert instance(stage, *events) == []
        ec2.create_tags(Resources=[other], Tags=[tag])
    assert stage.github.api.calls == []
    assert stage.calls.of("ssm", "DeleteParameters") == []
    assert told(stage) == []


def test_a_machine_that_only_stops_is_left_alone(stage):
    name = launched(stage)
    for state in ("pending", "running", "shutting-down", "stopping", "stopped"):
        assert instance(stage, ended(name, state)) == []
    assert len(stage.parameters()) == len(stage.github.left()) == 1


def test_a_spot_warning_is_told_when_a_job_is_running(stage):
    name = launched(stage)
    assert instance(stage, warned(name)) == []
    assert told(stage) == []  # no job yet
    tag = {"Key": "scale-agent:job-url", "Value": job_url(3)}
    stage.client("ec2").create_tags(Resources=[name], Tags=[tag])
    assert instance(stage, warned(name)) == []
    (notification,) = told(stage)
    assert notification["title"] == "Job lost: EC2 takes its spot instance back"
    assert notification["url"] == job_url(3)
    assert notification["facts"]["Runners of"] == "repos/octo-org/one"
    assert len(metrics(stage, "instance", "SpotWarning")) == 2


def test_organizations_runners_are_deregistered_too(stage):
    configure(stage, organization="octo-org")
    name = launched(stage)
    assert [runner.scope for runner in stage.github.registry.runners.values()] == ["orgs/octo-org"]
    assert instance(stage, ended(name)) == []
    assert stage.github.left() == []


# -- bad input and bad moments ------------------------------------------------------------------


UNREADABLE = [
    ("", "the event"),
    ("[]", "unknown event"),
    ('{"source":"aws.ec2"', "the event"),
    (event("aws.s3", "Object Created", {}), 'source \\"aws.s3\\"'),
    (event("aws.ec2", ENDED, {}), "detail.instance-id"),
    (event("aws.ec2", ENDED, None), "detail.instance-id"),
    (ended("i-../../config"), "is not an instance id"),
    (event("scale-agent.runner", "Runner Report", "text"), "an object is needed"),
    (report("dancing"), "no such stage"),
    (report(version=2), "version: 1 is needed"),
    (report(instance_id=5), "instance_id"),
    (report("idle", instance_id="i-../../config"), "is not an instance id"),
]


def test_what_cannot_be_read_becomes_a_dead_letter_and_does_not_hold_up_the_others(stage):
    bodies = [body for body, _ in UNREADABLE]
    assert instance(stage, *bodies[:5], report("ready")) == []
    assert instance(stage, report("finished"), *bodies[5:]) == []
    causes = [attributes(letter)["cause"] for letter in sent(stage, "DeadLetters")]
    assert [words.replace("\\", "") in cause for (_, words), cause in zip(
        UNREADABLE, causes, strict=True)] == [True] * len(UNREADABLE)  # fmt: skip
    assert len(stage.metrics("instance")) == 3
    errors = complaints(stage, "instance")
    assert [words for _, words in UNREADABLE if words not in errors] == []


@pytest.mark.parametrize(
    ("service", "action", "fault", "words"),
    [
        ("ec2", "DescribeInstances", Body(b"<DescribeInstancesResponse><reser"), "DescribeInst"),
        ("ec2", "DescribeInstances", Error("UnauthorizedOperation", 403), "ec2:DescribeInstances"),
        ("ssm", "DeleteParameters", Throttle(), "DeleteParameters"),
        ("github", "actions/delete-*", Error("", 500, "Server Error"), "500"),
    ],
)
def test_what_fails_comes_again(stage, service, action, fault, words):
    name = launched(stage)
    stage.faults.add(service, action, fault=fault)
    assert instance(stage, ended(name), report("finished")) == ["message-1"]
    assert words in complaints(stage, "instance")
    stage.faults.clear()
    assert instance(stage, ended(name), receives=2) == []
    assert (stage.parameters(), stage.github.left()) == ([], [])


def test_a_token_that_was_taken_back_is_replaced(stage):
    assert queued(stage, job_message(1), job_message(2)) == []
    first, second = (one["InstanceId"] for one in stage.instances())
    assert instance(stage, ended(first)) == []
    stage.github.doorman.revoke_all()
    assert instance(stage, ended(second)) == ["message-1"]
    assert instance(stage, ended(second), receives=2) == []
    assert stage.github.left() == []


# -- with machines ------------------------------------------------------------------------------


def test_the_job_of_a_machine_that_dies_before_it_boots_gets_another(make_cloud, inboxes):
    inbox = inboxes()
    cloud = make_cloud(secrets={"notify/teams-webhook-urls": inbox.url})
    cloud.faults.add("machine", "boot", times=1, fault=Error("x"))
    job = cloud.github.queue_job("octo-org/one", ["self-hosted", "linux"])
    assert until(lambda: job.state == "completed")
    assert until(lambda: cloud.left() == [])
    assert len(cloud.hooks.ended) == 2
    assert "relaunch" in [line["message"] for line in log(cloud, "instance")]
    assert until(lambda: inbox.messages)
    card = inbox.messages[0]["attachments"][0]["content"]
    assert card["actions"][0]["url"].endswith(f"/job/{job.id}")


def test_a_spot_loss_reaches_people_with_the_job_s_url(make_cloud, inboxes):
    inbox = inboxes()
    cloud = make_cloud(secrets={"notify/teams-webhook-urls": inbox.url})
    job = cloud.github.queue_job("octo-org/one", ["self-hosted", "linux"], run_seconds=300)
    assert until(lambda: job.state == "in_progress")
    cloud.machines.interrupt(job.runner_name, in_seconds=5)
    assert until(lambda: job.state == "completed")
    assert cloud.idle()
    assert cloud.left() == []
    (message,) = inbox.messages
    card = message["attachments"][0]["content"]
    assert card["actions"][0]["url"].endswith(f"/job/{job.id}")
    assert card["body"][0]["text"].startswith("Job lost")
