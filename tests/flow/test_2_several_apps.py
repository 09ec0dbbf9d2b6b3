# SPDX-License-Identifier: MIT
"""register: several Apps share the registrations, and an enterprise has a token of its own."""

from __future__ import annotations

import json

import pytest
from helpers import (
    LABELS,
    REPOSITORY,
    all_done,
    batch,
    complaints,
    configure,
    failures,
    forget,
    handed_over,
    job_message,
    launched,
    parameter,
    queue_jobs,
    queued,
    registered,
    sent,
    waits_at_github,
)

from cloud.faults import Cut, Error, Throttle
from cloud.github.stand_in import INSTALLATION, SECOND_INSTALLATION, GitHub
from cloud.github.tokens import ENTERPRISE
from cloud.hooks import ENDED
from cloud.limits import until

FIRST, SECOND = INSTALLATION, SECOND_INSTALLATION
SECOND_ID = 67890
LOOK_UP = "apps/get-repo-installation"
TOKEN = "apps/create-installation-access-token"
JIT = "actions/generate-runner-jitconfig-for-repo"


def two_apps(directory, faults):
    github = GitHub(directory, faults)
    github.add_app(SECOND_ID)
    return github


@pytest.fixture
def stage(make_stage):
    return make_stage(make_github=two_apps)


def registrars(cloud):
    """Which installation registered each runner, in their order."""
    return [runner.by for runner in sorted(cloud.github.registry.everyone(), key=lambda r: r.id)]


def count(cloud, operation):
    return [call.operation for call in cloud.github.api.calls].count(operation)


def second(cloud):
    return cloud.github.additional_apps[0]


def exhaust(limits, left=0):
    limits.used = limits.per_hour - left


def of_second(cloud):
    return cloud.github.api.limits_of(SECOND)


# -- spreading ---------------------------------------------------------------------------------


def test_the_one_with_most_calls_left_registers(stage):
    exhaust(stage.github.api.limits, 1000)
    exhaust(of_second(stage), 1002)
    for number in range(1, 9):
        assert queued(stage, job_message(number)) == []
    assert handed_over(stage) == list(range(1, 9))
    by = registrars(stage)
    # the first App also asks for tokens, and each learns what it has left from its own answers
    assert {FIRST, SECOND} == set(by)
    assert 2 <= by.count(SECOND) <= 7
    assert count(stage, LOOK_UP) == 1
    assert stage.github.violations == []


def test_jobs_run_whoever_registered_their_runners(make_cloud):
    cloud = make_cloud(make_github=two_apps)
    all_done(cloud, queue_jobs(cloud, 4))
    assert set(registrars(cloud)) == {FIRST, SECOND}


def test_a_runner_of_the_second_app_is_deregistered_by_the_first(stage):
    configure(stage, terminate_on_completed=True)
    exhaust(stage.github.api.limits, 100)
    assert queued(stage, job_message(1)) == []
    assert queued(stage, job_message(2)) == []
    runner = next(r for r in stage.github.registry.runners.values() if r.by == SECOND)
    job = job_message(action="completed", runner_name=runner.name, runner_id=runner.id)
    assert failures(stage.invoke("completed", batch(stage, "CompletedQueue", job))) == []
    assert runner.removed
    deleted = [c for c in stage.github.api.calls if c.operation.startswith("actions/delete")]
    assert [call.status for call in deleted] == [204]
    tokens = [call.path for call in stage.github.api.calls if call.operation == TOKEN]
    assert f"/{FIRST}/" in tokens[-1]


# -- passing over ------------------------------------------------------------------------------


def test_one_without_calls_is_passed_over_and_nothing_waits(stage):
    exhaust(stage.github.api.limits)
    assert queued(stage, job_message(1), job_message(2)) == []
    assert handed_over(stage) == [1, 2]
    assert set(registrars(stage)) == {SECOND}
    assert "passed over" in complaints(stage, "register")
    # its limit is known: it is not asked again
    before = len(stage.github.api.calls)
    assert queued(stage, job_message(3)) == []
    asked = [call for call in stage.github.api.calls[before:] if call.path.endswith("-jitconfig")]
    assert [call.status for call in asked] == [201]
    assert handed_over(stage) == [1, 2, 3]
    # nor is anybody told: launches go on
    assert not [
        call
        for call in stage.calls.of("ssm", "PutParameter")
        if "_limit" in call.parameters["Name"]
    ]


def test_a_limit_of_the_second_leaves_all_to_the_first(stage):
    exhaust(stage.github.api.limits, 100)
    exhaust(of_second(stage))
    for number in (1, 2, 3):
        assert queued(stage, job_message(number)) == []
    assert handed_over(stage) == [1, 2, 3]
    assert set(registrars(stage)) == {FIRST}


def test_where_all_are_limited_machines_wait(stage):
    for limits in (stage.github.api.limits, of_second(stage)):
        exhaust(limits)
    _, messages = launched(stage, job_message())
    assert registered(stage, *messages) == ["message-1"]
    assert len(stage.instances()) == 1
    assert stage.parameters() == []
    # Those who launch are told.
    forget(stage, "queued")
    assert launched(stage, job_message(2)) == ([], [])
    assert len(stage.instances()) == 1
    of_second(stage).used = 0
    forget(stage, "register")
    assert registered(stage, *messages, receives=2) == []
    assert registrars(stage) == [SECOND]


def suspend(stage, app):
    for installation in app.installations.values():
        installation.suspended = True


@pytest.mark.parametrize("how", ["suspended", "removed", "of no key"])
def test_without_the_second_the_first_registers(stage, how):
    if how == "suspended":
        suspend(stage, second(stage))
    elif how == "removed":
        second(stage).installations.clear()
    else:
        stage.put_document(f"github/apps/{SECOND_ID}/private-key", "swordfish")
    for number in (1, 2):
        assert queued(stage, job_message(number)) == []
    assert handed_over(stage) == [1, 2]
    assert set(registrars(stage)) == {FIRST}
    assert "additional App" in complaints(stage, "register")
    assert "swordfish" not in complaints(stage, "register")


def test_a_second_one_that_is_removed_in_the_middle_is_noticed(stage):
    exhaust(stage.github.api.limits, 100)
    for number in (1, 2):
        assert queued(stage, job_message(number)) == []
    assert registrars(stage) == [FIRST, SECOND]
    second(stage).installations.clear()
    for number in (3, 4):
        assert queued(stage, job_message(number)) == []
    assert handed_over(stage) == [1, 2, 3, 4]
    assert registrars(stage)[2:] == [FIRST, FIRST]
    assert count(stage, LOOK_UP) == 2


def test_a_second_one_that_is_suspended_in_the_middle_is_passed_over(stage):
    exhaust(stage.github.api.limits, 100)
    for number in (1, 2):
        assert queued(stage, job_message(number)) == []
    suspend(stage, second(stage))
    for number in (3, 4):
        assert queued(stage, job_message(number)) == []
    assert registrars(stage) == [FIRST, SECOND, FIRST, FIRST]


def test_a_job_of_a_first_one_that_was_suspended_meanwhile_runs(stage):
    """GitHub tells nothing of new ones; those that it told of are not given up."""
    suspend(stage, stage.github.doorman.apps[0])
    assert queued(stage, job_message()) == []
    assert registrars(stage) == [SECOND]
    assert sent(stage, "DeadLetters") == []


def test_a_role_without_the_keys_leaves_all_to_the_first(stage):
    denied = Error("AccessDeniedException", 400)
    stage.faults.add("ssm", "GetParameters", match={"Names": "*/github/apps/*"}, fault=denied)
    assert queued(stage, job_message()) == []
    assert registrars(stage) == [FIRST]
    assert f"/github/apps/{SECOND_ID}/private-key" in complaints(stage, "register")


def test_what_one_left_behind_the_other_clears_away(stage):
    """The first one's answer is lost, and it is limited before it has found what it made."""
    stage.faults.add("github", JIT, times=1, fault=Cut(before=False))
    stage.faults.add("github", "actions/list-*", times=3, fault=Throttle())
    assert queued(stage, job_message()) == []
    assert registrars(stage) == [FIRST, SECOND]
    assert [runner.by for runner in stage.github.registry.runners.values()] == [SECOND]
    assert handed_over(stage) == [1]


def test_a_process_that_dies_between_token_and_registration(stage):
    exhaust(stage.github.api.limits)
    _, messages = launched(stage, job_message())
    stage.faults.add("github", JIT, times=2, fault=Cut())
    registered(stage, *messages)
    forget(stage, "register")
    assert registered(stage, *messages, receives=2) == []
    assert registrars(stage) == [SECOND]
    assert len(stage.github.registry.runners) == 1


# -- deliveries --------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["its own", "that of the first"])
def test_what_the_second_delivers_is_dropped(stage, secret):
    webhooks = stage.github.webhooks_of(second(stage))
    webhooks.secret = stage.github.webhooks.secret if secret == "that of the first" else "other"
    webhooks.url = stage.webhook_url
    job = stage.github.queue_job(REPOSITORY, LABELS)
    delivery = until(lambda: next((d for d in webhooks.deliveries if d.status), None))
    assert (delivery.status, b"make its webhook inactive" in delivery.answer) == (200, True)
    own = until(lambda: next((d for d in stage.github.webhooks.deliveries if d.status), None))
    assert own.status == 202
    (message,) = sent(stage, "QueuedQueue")
    assert message["Body"]["id"] == job.id
    assert message["Body"]["installation"] == FIRST


# -- secrets -----------------------------------------------------------------------------------


def test_secrets_of_no_app_are_printed(make_cloud):
    cloud = make_cloud(make_github=two_apps)
    exhaust(cloud.github.api.limits, 60)
    exhaust(of_second(cloud), 70)
    all_done(cloud, queue_jobs(cloud, 3))
    logs = "\n".join(path.read_text() for path in cloud.log_lines.directory.iterdir())
    found = [text for text in cloud.github.doorman.tokens if text in logs]
    assert found == []
    lines = [app.private_key.splitlines()[1] for app in cloud.github.doorman.apps]
    assert [line for line in lines if line in logs] == []


# -- an enterprise -----------------------------------------------------------------------------


def enterprise_config(cloud):
    config = json.loads(json.dumps(cloud.config))
    config["specs"][0] |= {"enterprise": ENTERPRISE, "runner_group_id": 3}
    return config


def test_runners_of_an_enterprise(make_cloud):
    cloud = make_cloud()
    cloud = make_cloud(config=enterprise_config(cloud))
    jobs = [cloud.github.queue_job(f"octo-org/{name}", LABELS) for name in ("one", "two")]
    all_done(cloud, jobs)
    runners = list(cloud.github.registry.everyone())
    assert {(r.scope, r.group, r.by) for r in runners} == {(f"enterprises/{ENTERPRISE}", 3, None)}


def test_a_runner_of_an_enterprise_is_deregistered(make_stage):
    config = enterprise_config(make_stage())
    config["specs"][0]["terminate_on_completed"] = True
    stage = make_stage(config=config)
    assert queued(stage, job_message()) == []
    (name,) = stage.parameters()
    assert parameter(stage, name)["Document"]["scope"] == f"enterprises/{ENTERPRISE}"
    (runner,) = stage.github.registry.runners.values()
    job = job_message(action="completed", runner_name=runner.name, runner_id=runner.id)
    assert failures(stage.invoke("completed", batch(stage, "CompletedQueue", job))) == []
    assert runner.removed
    assert stage.instances() == []
    # Nor when its machine ends: no token of the App is needed for any of that.
    assert queued(stage, job_message(2)) == []
    name = stage.instances()[0]["InstanceId"]
    detail = {"instance-id": name, "state": "terminated"}
    event = {"source": "aws.ec2", "detail-type": ENDED, "detail": detail}
    waits_at_github(stage, job_message(2))
    assert failures(stage.invoke("instance", batch(stage, "InstanceQueue", event))) == []
    assert all(one.removed for one in stage.github.registry.everyone())
    assert count(stage, TOKEN) == 0


@pytest.mark.parametrize("kind", ["none", "of an App", "fine-grained"])
def test_what_github_does_not_take_for_an_enterprise_is_said(make_stage, kind):
    stage = make_stage(config=enterprise_config(make_stage()))
    tokens = {"none": "", "of an App": "ghs_x", "fine-grained": stage.github.personal_token}
    stage.put_document("github/enterprise-token", tokens[kind] or "-")
    _, messages = launched(stage, job_message())
    assert registered(stage, *messages) in ([], ["message-1"])
    assert "classic personal token" in complaints(stage, "register")
    assert stage.parameters() == []


def test_jobs_of_an_enterprise_are_one_group(make_stage):
    stage = make_stage(config=enterprise_config(make_stage()))
    assert failures(stage.invoke("queued", batch(stage, "QueuedQueue", job_message()))) == []
    calls = [c for c in stage.calls.of("sqs", "SendMessageBatch") if "MessageGroupId" in str(c)]
    assert "'enterprise'" in str(calls[-1])
