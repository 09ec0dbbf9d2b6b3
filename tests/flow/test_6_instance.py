# SPDX-License-Identifier: MIT
"""instance: what machines and EC2 say about them becomes metrics, clean-up, and words to people."""

from __future__ import annotations

import json

import pytest
import tickets
from helpers import (
    attributes,
    batch,
    complaints,
    configure,
    failures,
    forget,
    job_message,
    job_url,
    log,
    metrics,
    now_ms,
    parameter,
    queued,
    sent,
    told,
)

from cloud.faults import Body, Error, Latency, Throttle
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


@pytest.fixture
def stage(stage):
    """Let the scaler have the key with which this file signs."""
    stage.put_document("ticket-key", tickets.KEY)
    return stage


def report(cloud, stage="ready", times=TIMES, **changes):
    return tickets.report(cloud, stage, times, **changes)


def event(source, detail_type, detail):
    return {"source": source, "detail-type": detail_type, "detail": detail, "id": "1"}


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
        assert instance(stage, report(stage, name)) == []
        document = stage.metrics("instance")[-1]
        described = {m["Name"] for m in document["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
        assert {metric: document[metric] for metric in described} == wanted
        assert document["spec"] == "linux-x64"
        assert (document["instance"], document["type"]) == (tickets.INSTANCE, "m7a.large")
        assert (document["job"], document["repository"]) == (5, "octo-org/one")


def test_times_that_are_missing_or_backwards_make_no_nonsense(stage):
    assert instance(stage, report(stage, "ready", times={"agent": 5000, "launched": 7000})) == []
    document = stage.metrics("instance")[-1]
    assert document["LaunchedToAgent"] == 0  # clocks differ a little
    assert "WebhookToListening" not in document
    assert instance(stage, report(stage, "finished", times={})) == []


def test_people_are_told_of_a_failed_agent_with_the_job(stage):
    failed = report(stage, "failed", reason="the runner exited with 1 before it took a job")
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


# -- reports of others --------------------------------------------------------------------------


LIES = {
    "spec": "nested", "scope": "orgs/evil", "runner_id": 666, "instance_type": "p5.48xlarge",
    "instance_id": "i-0000000000000dead",
    "job": {"id": 6, "run_id": 6, "attempt": 1, "relaunches": -1, "repository": "octo-org/two",
            "name": "evil", "url": "https://evil.test/", "instance_type": "m7i.large"},
}  # fmt: skip
EARLY = {name: ms for name, ms in TIMES.items() if not name.startswith("job_")} | {
    "finished": 20000
}


def refusals(cloud):
    return [document["why"] for document in metrics(cloud, "instance", "ReportRefused")]


def test_a_report_that_nobody_signed_does_nothing_but_count(stage):
    signed = tickets.content(stage, TIMES)
    forged = {
        "without a ticket": None,
        "malformed ticket": "1.00000000.{}",
        "ticket of an unknown key": tickets.sign(signed, "f" * 64),
        "forged ticket": tickets.sign(signed)[:-1] + "x",
        "expired ticket": tickets.sign(signed | {"expires": 1}),
        "foreign ticket": tickets.sign(signed | {"prefix": "/another"}),
    }
    reports = [report(stage, "failed", EARLY, ticket=one, **LIES) for one in forged.values()]
    assert instance(stage, *reports) == []
    assert refusals(stage) == list(forged)
    assert stage.messages() == {}  # no launch, no word to people, no letter
    assert stage.github.api.calls == stage.calls.of("ec2", "DescribeInstances") == []
    logged = [line for line in log(stage, "instance") if "refused" in line["message"]]
    assert [line["why"] for line in logged] == list(forged)


def test_a_machine_that_lies_gets_what_its_ticket_says(stage):
    assert instance(stage, report(stage, "failed", EARLY, reason="forged", **LIES)) == []
    (launch,) = sent(stage, "QueuedQueue")
    said = {"id", "repository", "spec", "instance_type", "launch", "relaunches", "installation"}
    assert {name: launch["Body"][name] for name in said} == {
        "id": 5, "repository": "octo-org/one", "spec": "linux-x64", "instance_type": "m7i.large",
        "launch": 1, "relaunches": 1, "installation": 4711,
    }  # fmt: skip
    (notification,) = told(stage)
    assert notification["url"] == job_url(5)
    assert "evil" not in str(sent(stage, "NotifyQueue"))


def test_a_stolen_report_costs_one_launch_and_one_word(stage):
    stolen = report(stage, "failed", EARLY, reason="no disk")
    for _ in range(3):
        assert instance(stage, stolen, stolen) == []
    forget(stage, "instance")
    assert instance(stage, stolen) == []
    names = {(one["Body"]["id"], one["Body"]["launch"]) for one in sent(stage, "QueuedQueue")}
    assert names == {(5, 1)}
    assert stage.messages() == {"QueuedQueue": 1, "NotifyQueue": 1}


def test_what_root_on_a_machine_says_fills_no_queue(stage):
    nonsense = [{"stage": "dancing"}, {"version": 2}, {"instance_id": 5}, {"times": 5, "job": []}]
    reports = [report(stage, "failed", TIMES) for _ in nonsense]
    for one, change in zip(reports, nonsense, strict=True):
        one["detail"] |= change
    assert instance(stage, *reports, tickets.event(stage, "scale-agent.runner", "Runner Report", "")
    ) == []  # fmt: skip
    assert refusals(stage) == ["unreadable"] * len(nonsense) + ["without a ticket"]
    assert stage.messages() == {}


def test_after_a_new_key_both_are_believed_for_a_while(stage):
    stage.put_document("ticket-key", f"{'e' * 64}\n{tickets.KEY} {now_ms() // 1000 + 691200}\n")
    new = tickets.sign(tickets.content(stage, TIMES), "e" * 64)
    reports = [report(stage, "ready"), report(stage, "ready", ticket=new)]
    assert instance(stage, *reports) == []
    assert (refusals(stage), len(metrics(stage, "instance", "RunnerReady"))) == ([], 2)
    stage.put_document("ticket-key", f"{'e' * 64}\n{tickets.KEY} {now_ms() // 1000 - 1}\n")
    forget(stage, "instance")
    assert instance(stage, *reports) == []
    assert refusals(stage) == ["ticket of an unknown key"]


def test_the_key_is_made_once_and_signs_what_was_launched(stage):
    stage.client("ssm").delete_parameter(Name="/scale-agent/ticket-key")
    assert queued(stage, job_message(8)) == []
    forget(stage, "queued")
    assert queued(stage, job_message(9)) == []
    made = [call.parameters for call in stage.calls.of("ssm", "PutParameter")
            if call.parameters["Name"] == "/scale-agent/ticket-key"]  # fmt: skip
    (key,) = [one["Value"] for one in made]
    assert (len(key), made[0]["Type"], made[0]["Overwrite"]) == (64, "SecureString", False)
    for one in (parameter(stage, name)["Document"] for name in stage.parameters()):
        signed, _, signature = one["ticket"].rpartition(".")
        said = json.loads(signed.split(".", 2)[2])
        assert tickets.sign(signed.split(".", 2)[2], key) == one["ticket"]
        assert len(signature) == 64
        (machine,) = [m for m in stage.instances() if m["InstanceId"] == said["instance"]]
        assert said == tickets.content(stage, one["times"]) | {
            "instance": machine["InstanceId"], "type": machine["InstanceType"],
            "runner": one["runner_id"], "expires": said["expires"],
            "job": one["job"]["id"], "run": one["job"]["run_id"],
            "name": one["job"]["name"], "url": one["job"]["url"], "offer": one["job"]["offer"],
        }  # fmt: skip
        life = said["expires"] - one["times"]["handed_over"]
        assert life == (one["job_limit_seconds"] + 86400) * 1000


# -- machines to which no job comes ------------------------------------------------------------


def idles(cloud, name):
    # What it says beside its ticket is not true, and the ticket's runner is not the stored one.
    ticket = tickets.sign(tickets.content(cloud, TIMES, instance=name, runner=99))
    return report(cloud, "idle", ticket=ticket, instance_id="i-0000000000000dead")


def test_the_runner_of_an_idle_machine_goes_with_its_parameter_and_nothing_else(stage):
    name = launched(stage)
    assert instance(stage, idles(stage, name)) == []
    assert (stage.parameters(), stage.github.left()) == ([], [])
    assert instance(stage, idles(stage, name)) == []  # the report comes again
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
    assert instance(stage, idles(stage, name)) == []
    assert len(stage.parameters()) == len(stage.github.left()) == 1
    stage.github.registry.find("repos/octo-org/one", name)[0].busy = False
    tag = {"Key": "scale-agent:job-url", "Value": job_url(9)}
    stage.client("ec2").create_tags(Resources=[name], Tags=[tag])
    assert instance(stage, idles(stage, name)) == []
    assert len(stage.parameters()) == len(stage.github.left()) == 1


def test_an_idle_machine_that_github_cannot_deregister_now_comes_again(stage):
    name = launched(stage)
    stage.faults.add("github", "actions/delete-*", fault=Error("", 500, "Server Error"))
    assert instance(stage, idles(stage, name)) == ["message-1"]
    assert len(stage.parameters()) == 1
    stage.faults.clear()
    assert instance(stage, idles(stage, name), receives=2) == []
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
]


def test_what_cannot_be_read_becomes_a_dead_letter_and_does_not_hold_up_the_others(stage):
    bodies = [body for body, _ in UNREADABLE]
    assert instance(stage, *bodies[:5], report(stage, "ready")) == []
    assert instance(stage, report(stage, "finished"), *bodies[5:]) == []
    causes = [attributes(letter)["cause"] for letter in sent(stage, "DeadLetters")]
    assert [words.replace("\\", "") in cause for (_, words), cause in zip(
        UNREADABLE, causes, strict=True)] == [True] * len(UNREADABLE)  # fmt: skip
    assert len(stage.metrics("instance")) == 2
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
    assert instance(stage, ended(name), report(stage, "finished")) == ["message-1"]
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
    cloud.faults.add("machine", "boot", times=1, fault=Latency(600))
    job = cloud.github.queue_job("octo-org/one", ["self-hosted", "linux"])
    assert until(cloud.parameters)  # without a hand-over, the watch would look after its job
    cloud.machines.kill(cloud.instances()[0]["InstanceId"])
    assert until(lambda: job.state == "completed")
    assert until(lambda: cloud.left() == [])
    assert len(cloud.hooks.ended) == 2
    assert "relaunch" in [line["message"] for line in log(cloud, "instance")]
    assert until(lambda: inbox.messages)
    card = inbox.messages[0]["attachments"][0]["content"]
    assert card["actions"][0]["url"].endswith(f"/job/{job.id}")


def is_known(cloud, job):
    """Tell whether the machine of a job says which one it runs: GitHub's webhook tells us later."""
    return any(
        tag["Value"].endswith(f"/job/{job.id}")
        for one in cloud.instances()
        for tag in one.get("Tags", [])
    )


def test_a_spot_loss_reaches_people_with_the_job_s_url(make_cloud, inboxes):
    inbox = inboxes()
    cloud = make_cloud(secrets={"notify/teams-webhook-urls": inbox.url})
    job = cloud.github.queue_job("octo-org/one", ["self-hosted", "linux"], run_seconds=300)
    assert until(lambda: is_known(cloud, job))
    cloud.machines.interrupt(job.runner_name, in_seconds=5)
    assert until(lambda: job.state == "completed")
    assert cloud.idle()
    assert cloud.left() == []
    (message,) = inbox.messages
    card = message["attachments"][0]["content"]
    assert card["actions"][0]["url"].endswith(f"/job/{job.id}")
    assert card["body"][0]["text"].startswith("Job lost")


# -- machines that say that they leave nothing -----------------------------------------------------


def clean_report(stage, name):
    ticket = tickets.sign(tickets.content(stage, TIMES, instance=name))
    told = {"result": "Succeeded", "hand_over_deleted": True, "ticket": ticket}
    return report(stage, "finished", **told)


def test_a_machine_that_left_nothing_is_not_looked_for(stage):
    name = launched(stage)
    assert instance(stage, clean_report(stage, name)) == []
    before = len(stage.calls)
    stage.client("ec2").terminate_instances(InstanceIds=[name])
    assert instance(stage, ended(name)) == []
    assert len(stage.calls) == before


def test_a_hand_over_that_was_stored_again_meanwhile_is_found_by_recover(stage):
    """A PutParameter without an answer is repeated, when the agent may have deleted what it put."""
    name = launched(stage)
    stage.client("ec2").terminate_instances(InstanceIds=[name])
    assert instance(stage, clean_report(stage, name), ended(name)) == []
    (left,) = stage.parameters()
    stored = {"Parameters": [{"Name": left, "LastModifiedDate": 1.7e9}]}
    stage.faults.add("ssm", "DescribeParameters", times=1, fault=Body(json.dumps(stored).encode()))
    assert stage.invoke("recover", {"source": "aws.events"})["abandoned"] == 1
    assert stage.parameters() == []
