# SPDX-License-Identifier: MIT
"""recover: what lost events left behind is found, and nothing that may be of use is touched."""

from __future__ import annotations

import json

import pytest
from helpers import (
    LABELS,
    REPOSITORY,
    configure,
    find_something_to_recover,
    job_message,
    launches,
    log,
    queued,
    sent,
)

from cloud.aws.sandbox import FunctionError
from cloud.faults import Error, Latency, Throttle
from cloud.limits import until

NOTHING = {
    "dry_run": False, "machines": 0, "parameters": 0, "deliveries": 0, "ended": 0, "marked": 0,
    "abandoned": 0, "redelivered": 0, "left": 0, "failed": 0, "actions": [], "unread": [],
}  # fmt: skip


def recover(cloud):
    return cloud.invoke("recover", {"source": "aws.events", "detail-type": "Scheduled Event"})


def living(cloud):
    return {one["InstanceId"] for one in cloud.instances() if one["State"]["Name"] == "running"}


def undelivered(stage, *statuses, hook=None):
    """A webhook that SQS refused, and the attempts to deliver it, each a minute after the other."""
    jobs = stage.github.jobs
    job = jobs.queue(REPOSITORY, LABELS, announce=False)
    webhooks = hook or stage.github.webhooks
    webhooks.announce(job, "queued")
    for _ in statuses[1:]:
        webhooks.redeliver(webhooks.deliveries[-1])
    assert until(lambda: all(one.status is not None for one in webhooks.deliveries))
    for number, (one, status) in enumerate(zip(webhooks.deliveries, statuses, strict=True)):
        one.status = status
        one.sent -= 600 - 60 * number
    return webhooks.deliveries


def test_nothing_to_do_costs_three_calls(stage):
    assert recover(stage) == NOTHING | {"calls": 3}
    assert queued(stage, job_message()) == []
    found = recover(stage)
    assert found == NOTHING | {"calls": 3, "machines": 1, "parameters": 1}
    assert log(stage, "recover")[-1]["machines"] == 1


def test_each_part_does_its_work(stage):
    jobs = [job_message(number) for number in (1, 2, 3)]
    overdue, hanging, gone = find_something_to_recover(stage, *jobs)
    found = recover(stage)
    acted = {(one["action"], one["subject"]) for one in found["actions"]}
    assert acted == {("terminate", overdue), ("deregister", hanging), ("clean up", gone)}
    assert [found[name] for name in ("ended", "marked", "abandoned", "failed")] == [1, 1, 1, 0]
    assert living(stage) == {hanging}
    (tagged,) = [one for one in stage.instances() if one["InstanceId"] == hanging]
    assert "scale-agent:hangs-since" in {tag["Key"] for tag in tagged["Tags"]}
    scope = f"repos/{REPOSITORY}"
    assert [one.name for one in stage.github.registry.find(scope)] == [overdue]
    assert {name.rpartition("/")[2] for name in stage.parameters()} == {overdue, hanging}
    (given_back,) = sent(stage, "QueuedQueue")
    assert (given_back["Body"]["id"], given_back["Body"]["launch"]) == (3, 1)
    assert recover(stage) == NOTHING | {"calls": 3, "machines": 1, "parameters": 2}


def test_an_event_that_got_no_answer_is_delivered_again(stage):
    undelivered(stage, 503)
    deliveries = stage.github.webhooks.deliveries
    found = recover(stage)
    assert (found["redelivered"], found["deliveries"]) == (1, 1)
    assert until(lambda: [one.status for one in deliveries] == [503, 202])
    assert recover(stage)["redelivered"] == 0
    assert stage.github.violations == []


@pytest.mark.parametrize("status", [200, 202, 400, 422])
def test_an_event_that_got_an_answer_is_not(stage, status):
    undelivered(stage, 0, status, 503)
    assert recover(stage)["redelivered"] == 0
    assert len(stage.github.webhooks.deliveries) == 3


def test_what_a_wrong_secret_refused_is_delivered_again_once_it_is_mended(stage):
    """One at first, which shows that the secret is right again; then the others."""
    hook = stage.github.webhooks
    for _ in range(3):
        hook.announce(stage.github.jobs.queue(REPOSITORY, LABELS, announce=False), "queued")
    assert until(lambda: all(one.status is not None for one in hook.deliveries))
    for number, one in enumerate(hook.deliveries):
        one.status, one.sent = 401, one.sent - 600 + number
    assert recover(stage)["redelivered"] == 1
    (told,) = sent(stage, "NotifyQueue")
    assert "their signature does not match" in told["Body"]["title"]
    assert until(lambda: hook.deliveries[-1].status == 202)
    assert hook.deliveries[-1].id == hook.deliveries[2].id
    assert recover(stage)["redelivered"] == 2
    assert until(lambda: [one.status for one in hook.deliveries[3:]] == [202] * 3)
    assert recover(stage)["redelivered"] == 0
    assert stage.github.violations == []


def use_token(stage, *repositories):
    """A personal token, and no App."""
    stage.config["github"] = {"repositories": list(repositories)}
    configure(stage)
    stage.put_document("github/token", stage.github.personal_token)
    stage.environment["WEBHOOK_URL"] = stage.webhook_url


HOOKS = [(f"repos/{REPOSITORY}", REPOSITORY), ("orgs/octo-org", "octo-org/*")]


@pytest.mark.parametrize(("scope", "repositories"), HOOKS, ids=["repository", "organization"])
def test_with_a_token_webhooks_of_repositories_are_read(stage, scope, repositories):
    use_token(stage, repositories)
    permissions = stage.github.doorman.tokens[stage.github.personal_token].permissions
    permissions |= {"repository_hooks": "write", "organization_hooks": "write"}
    foreign = stage.github.add_hook(scope, "http://127.0.0.1:1/")
    undelivered(stage, 503, hook=foreign)
    hook = stage.github.add_hook(scope, stage.webhook_url)
    undelivered(stage, 503, hook=hook)
    found = recover(stage)
    assert (found["redelivered"], found["deliveries"], found["calls"]) == (1, 1, 5)
    assert until(lambda: [one.status for one in hook.deliveries] == [503, 202])
    assert len(foreign.deliveries) == 1
    assert recover(stage)["redelivered"] == 0
    assert stage.github.violations == []


def test_what_a_token_may_not_read_is_said_once(stage):
    use_token(stage, REPOSITORY)
    undelivered(stage, 503, hook=stage.github.add_hook(f"repos/{REPOSITORY}", stage.webhook_url))
    assert [recover(stage)["redelivered"] for _ in range(2)] == [0, 0]
    said = [line for line in log(stage, "recover") if "not read" in line["message"]]
    assert [line["scope"] for line in said] == [f"repos/{REPOSITORY}"]
    assert "Webhooks: read and write" in said[0]["reason"]


def test_a_list_that_takes_github_long_is_waited_for(stage):
    """GitHub itself gives up after ten seconds; other calls do after five."""
    undelivered(stage, 503)
    stage.faults.add("github", "apps/list-webhook-deliveries", fault=Latency(6))
    assert recover(stage)["redelivered"] == 1


def test_a_person_is_told_which_webhooks_are_not_read(stage, run_scaler):
    use_token(stage, REPOSITORY)
    done = run_scaler("recover", "--dry-run", role="recover")
    said = f"deliveries are not read of repos/{REPOSITORY}: "
    assert (done.returncode, done.stdout.count(said)) == (0, 1)
    stage.environment["WEBHOOK_URL"] = ""
    done = run_scaler("recover", "--dry-run", role="recover")
    assert "not read of all repositories: WEBHOOK_URL is not set" in done.stdout


def test_two_sweeps_at_once_do_no_harm(cloud):
    """A job whose webhook was lost runs once, however often its event is delivered again."""
    rule = cloud.faults.add("sqs", "SendMessage", times=None, fault=Error("Down", 500))
    job = cloud.github.queue_job(REPOSITORY, LABELS)
    deliveries = cloud.github.webhooks.deliveries
    assert until(lambda: deliveries and deliveries[0].status == 503)
    deliveries[0].sent -= 120
    cloud.faults.remove(rule)
    recover(cloud)
    recover(cloud)
    assert cloud.idle()
    assert job.conclusion == "success"
    assert len(launches(cloud)) == 1


def test_what_cannot_be_done_fails_the_function_and_is_named(stage):
    stage.faults.add("ssm", "DescribeParameters", times=None, fault=Throttle())
    with pytest.raises(FunctionError, match="DescribeParameters"):
        recover(stage)


def test_a_person_sees_what_would_be_done(stage, run_scaler):
    ids = find_something_to_recover(stage, *[job_message(number) for number in (1, 2, 3)])
    undelivered(stage, 503)
    done = run_scaler("recover", "--dry-run", role="recover")
    assert (done.returncode, done.stdout.count("would ")) == (0, 4)
    assert all(name in done.stdout for name in ids)
    assert living(stage) == set(ids[:2])
    assert len(stage.github.webhooks.deliveries) == 1
    find_something_to_recover(stage, *[job_message(number) for number in (4, 5, 6)])
    done = run_scaler("recover", "--dry-run", "--json", role="recover")
    found = json.loads(done.stdout)
    assert (found["dry_run"], found["redelivered"], len(found["actions"])) == (True, 1, 4)
