# SPDX-License-Identifier: MIT
"""register: each instance gets its runner's configuration, or is taken back."""

from __future__ import annotations

import json

import pytest
from helpers import (
    attributes,
    complaints,
    configure,
    forget,
    handed_over,
    job_message,
    job_url,
    launched,
    launches,
    metrics,
    now_ms,
    parameter,
    queued,
    registered,
    sent,
    told,
)

from cloud.fault_sets import CONFLICT
from cloud.faults import Body, Cut, Error, Latency, Throttle
from cloud.github.stand_in import GitHub
from cloud.limits import until

JITCONFIG = ("github", "actions/generate-runner-jitconfig-*")
TOKEN = ("github", "apps/create-installation-access-token")
PUT = ("ssm", "PutParameter")
OF_HAND_OVER = {"Name": "*/runners/*"}


def operations(cloud):
    return [call.operation.partition("/")[2] for call in cloud.github.api.calls]


def stored(cloud):
    return [call for call in cloud.calls.of(*PUT) if "/runners/" in call.parameters["Name"]]


def fail_once(cloud, where, fault):
    cloud.faults.add(*where, times=1, fault=fault, match=OF_HAND_OVER if where == PUT else {})


def nothing_is_left(cloud):
    return (cloud.instances(), cloud.parameters(), cloud.github.left()) == ([], [], [])


def test_the_parameter_is_for_one_instance_only(stage):
    before = now_ms()
    assert queued(stage, job_message(7)) == []
    (instance,) = stage.instances()
    name = f"/scale-agent/runners/{instance['InstanceId']}"
    assert stage.parameters() == [name]
    (call,) = stored(stage)
    assert (call.parameters["Type"], call.parameters["Tier"]) == ("SecureString", "Advanced")
    assert len(call.parameters["Value"]) > 4096
    arn = f"arn:aws:ec2:{stage.region}:{stage.account}:instance/{instance['InstanceId']}"
    assert call.parameters["Tags"] == [{"Key": "scale-agent:instance", "Value": arn}]
    document = parameter(stage, name)["Document"]
    (runner,) = stage.github.registry.runners.values()
    assert runner.name == instance["InstanceId"]
    assert runner.labels == ["self-hosted", "linux", "x64", "m7i.large"]
    assert document["runner_id"] == runner.id
    assert document["scope"] == "repos/octo-org/one"
    assert document["job"]["url"] == job_url(7)
    assert (document["idle_limit_seconds"], document["job_limit_seconds"]) == (300, 21600)
    times = document["times"]
    assert times["queued"] <= times["webhook"] <= times["launched"] <= times["handed_over"]
    assert times["handed_over"] <= now_ms() and times["launched"] >= before
    assert stage.github.violations == []


def test_a_small_parameter_is_a_cheap_one(stage):
    answer = {"runner": {"id": 5}, "encoded_jit_config": "c21hbGw="}
    stage.faults.add(*JITCONFIG, fault=Body(json.dumps(answer).encode(), 201))
    assert queued(stage, job_message()) == []
    assert stored(stage)[0].parameters["Tier"] == "Standard"


def test_one_token_of_each_function_serves_a_batch_and_the_next_one(stage):
    assert queued(stage, job_message(1), job_message(2)) == []
    assert queued(stage, job_message(3)) == []
    assert operations(stage).count("create-installation-access-token") == 2
    assert len(stage.github.registry.runners) == 3


def test_a_batch_is_handed_over_in_parallel(stage):
    stage.faults.add(*JITCONFIG, fault=Latency(1.0))
    stage.faults.add(*PUT, fault=Latency(1.0))
    began = now_ms()
    assert queued(stage, *(job_message(number) for number in range(1, 11))) == []
    assert len(stage.parameters()) == 10
    assert now_ms() - began < 10_000  # one after the other takes 20 s


def test_the_time_of_each_stage_is_measured(stage):
    assert queued(stage, job_message(3)) == []
    (document,) = metrics(stage, "register", "Launched")
    assert document["spec"] == "linux-x64"
    assert document["job"] == 3
    assert document["instance"] == stage.instances()[0]["InstanceId"]
    assert 1000 <= document["WebhookToLaunched"] < 60_000
    assert 0 <= document["LaunchedToHandedOver"] < 60_000
    assert document["Failovers"] == 0


@pytest.mark.parametrize("fault", [Throttle(), Error("x", 503, "unavailable"), Cut(before=True)])
def test_github_is_asked_again_when_it_has_a_bad_moment(stage, fault):
    stage.faults.add(*JITCONFIG, times=1, fault=fault)
    stage.faults.add(*TOKEN, times=1, fault=fault)
    assert queued(stage, job_message()) == []
    assert len(stage.parameters()) == 1


def test_a_name_that_is_taken_is_freed_and_asked_for_again(stage):
    stage.faults.add(*JITCONFIG, times=1, fault=Cut(before=False))  # registers, and nobody hears
    assert queued(stage, job_message()) == []
    asked = [name for name in operations(stage) if "jitconfig" in name]
    assert len(asked) == 3
    assert "list-self-hosted-runners-for-repo" in operations(stage)
    assert "delete-self-hosted-runner-from-repo" in operations(stage)
    (runner,) = stage.github.registry.runners.values()
    assert parameter(stage, stage.parameters()[0])["Document"]["runner_id"] == runner.id


def test_a_name_that_stays_taken_parks_the_job_and_keeps_its_machine(stage):
    stage.faults.add(*JITCONFIG, fault=CONFLICT)
    assert queued(stage, job_message()) == []
    assert "exists again after it was deleted" in complaints(stage, "register")
    (parked,) = sent(stage, "ParkedQueue")
    stage.faults.clear()
    assert queued(stage, parked["Body"]) == []
    assert len(launches(stage)) == len(stage.parameters()) == 1


def test_a_lost_answer_of_the_store_is_not_a_lost_runner(stage):
    fail_once(stage, PUT, Cut(before=False))
    assert queued(stage, job_message()) == []
    assert len(stage.parameters()) == len(stage.instances()) == 1


FINAL = {
    "forbidden": (JITCONFIG, Error("", 403, "Resource not accessible by integration"), "403"),
    "gone": (JITCONFIG, Error("", 404, "Not Found"), "404"),
    "store refuses": (PUT, Error("AccessDeniedException", 400, "not you"), "not you"),
}
PASSING = {
    "no configuration": (JITCONFIG, Body(b'{"runner":{"id":23}}', 201), "encoded_jit_config"),
    "no runner": (JITCONFIG, Body(b'{"encoded_jit_config":"eA=="}', 201), "runner.id"),
    "garbage": (JITCONFIG, Body(b"<html>Unicorn!</html>", 201), "jitconfig"),
    "cut off": (JITCONFIG, Body(b'{"runner":{"id":23},"encoded_jit', 201), "jitconfig"),
    "limited": (JITCONFIG, Error("", 403, "API rate limit exceeded"), "too many were made"),
    "store is full": (PUT, Error("ParameterLimitExceeded", 400), "ParameterLimitExceeded"),
    "store says garbage": (PUT, Body(b"<html>?</html>"), "PutParameter"),
}


@pytest.mark.parametrize(("where", "fault", "words"), list(FINAL.values()), ids=list(FINAL))
def test_what_can_never_be_handed_over_is_taken_back_and_only_that(stage, where, fault, words):
    fail_once(stage, where, fault)
    assert queued(stage, *(job_message(number) for number in (1, 2, 3))) == []
    (letter,) = sent(stage, "DeadLetters")
    kept = {parameter(stage, name)["Document"]["job"]["id"] for name in stage.parameters()}
    assert kept == {1, 2, 3} - {letter["Body"]["id"]}
    running = {instance["InstanceId"] for instance in stage.instances()}
    assert {name.rpartition("/")[2] for name in stage.parameters()} == running
    assert {runner.name for runner in stage.github.registry.runners.values()} == running
    errors = complaints(stage, "register")
    assert words in errors
    assert f"job {letter['Body']['id']}" in errors


@pytest.mark.parametrize(("where", "fault", "words"), list(PASSING.values()), ids=list(PASSING))
def test_what_cannot_be_handed_over_now_waits_with_its_machine(stage, where, fault, words):
    fail_once(stage, where, fault)
    left, messages = launched(stage, *(job_message(number) for number in (1, 2, 3)))
    left += registered(stage, *messages)
    assert len(stage.instances()) == 3
    parked = [message["Body"] for message in sent(stage, "ParkedQueue")]
    assert len(left) + len(parked) == 1
    assert words in complaints(stage, "register")
    again = [message for message in messages if message["id"] not in handed_over(stage)]
    forget(stage, "register")  # which would not ask while the limit lasts
    assert (queued(stage, *parked) if parked else registered(stage, *again, receives=2)) == []
    assert handed_over(stage) == [1, 2, 3]
    assert len(stage.instances()) == 3
    names = {instance["InstanceId"] for instance in stage.instances()}
    assert {runner.name for runner in stage.github.registry.runners.values()} == names
    for name in stage.parameters():
        document = parameter(stage, name)["Document"]
        assert stage.github.registry.runners[document["runner_id"]].name in name


def test_a_job_whose_hand_over_failed_is_served_by_the_same_machine(cloud):
    cloud.hurry = 30
    cloud.faults.add(*JITCONFIG, times=1, fault=Body(b"{}", 201))
    job = cloud.github.queue_job("octo-org/one", ["self-hosted", "linux"])
    assert until(lambda: job.state == "completed")
    assert cloud.idle()
    assert len(launches(cloud)) == 1
    assert cloud.left() == []


def test_without_a_token_for_good_people_are_told_what_github_said(stage):
    stage.faults.add(*TOKEN, fault=Error("", 404, "Integration not found"))
    assert queued(stage, job_message()) == []
    (letter,) = sent(stage, "DeadLetters")
    assert "Integration not found" in attributes(letter)["cause"]
    assert nothing_is_left(stage)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Error("", 401, "A JSON web token could not be decoded"), "JSON web token"),
        (Error("", 503, "Unicorn"), "503"),
        (Body(b'{"token":""}', 201), "token"),
    ],
)
def test_without_a_token_for_now_nothing_more_is_launched(stage, fault, words):
    stage.faults.add(*TOKEN, fault=fault)
    _, waiting = launched(stage, job_message())
    assert registered(stage, *waiting) == ["message-1"]
    assert words in complaints(stage, "register")
    assert words in told(stage)[-1]["facts"]["Said last"]
    asked = len(launches(stage))
    assert queued(stage, job_message(2)) == []
    assert len(launches(stage)) == asked
    (parked,) = sent(stage, "ParkedQueue")
    stage.faults.clear()
    forget(stage, "queued")
    assert registered(stage, *waiting, receives=2) == []
    assert queued(stage, parked["Body"]) == []
    assert handed_over(stage) == [1, 2]
    assert len(stage.instances()) == 2


def test_a_token_that_was_taken_back_is_replaced(stage):
    assert queued(stage, job_message(1)) == []
    stage.github.doorman.revoke_all()
    _, waiting = launched(stage, job_message(2))
    assert registered(stage, *waiting) == ["message-1"]
    assert registered(stage, *waiting, receives=2) == []
    assert len(stage.parameters()) == len(stage.instances()) == 2


def config_of(value):
    return Body(json.dumps({"Parameters": [{"Name": CONFIG, "Value": value}]}).encode())


CONFIG = "/scale-agent/config"
SETTINGS = {
    "config is garbage": (Body(b"\x00\xff"), "GetParameters"),
    "config is empty": (config_of(""), "SCALE_AGENT_CONFIG"),
    "config is no text": (config_of(5), "SCALE_AGENT_CONFIG"),
    "config is missing": (Body(b'{"Parameters":[]}'), "SSM parameter /scale-agent/config"),
}


@pytest.mark.parametrize(("fault", "words"), list(SETTINGS.values()), ids=list(SETTINGS))
def test_while_settings_make_no_sense_jobs_wait_and_people_are_told(stage, fault, words):
    stage.faults.add("ssm", "GetParameters", match={"Names": f"*{CONFIG}*"}, fault=fault)
    assert queued(stage, job_message(1), job_message(2)) == []
    (notification,) = told(stage)
    assert words in notification["facts"]["Said last"]
    assert nothing_is_left(stage)
    stage.faults.clear()
    forget(stage, "queued")
    assert queued(stage, *(one["Body"] for one in sent(stage, "ParkedQueue"))) == []
    assert handed_over(stage) == [1, 2]


@pytest.mark.parametrize(
    ("key", "words"), [("?", "private key is not PEM"), (None, "GITHUB_PRIVATE_KEY")]
)
def test_a_key_that_cannot_sign_parks_the_jobs_until_it_is_replaced(stage, key, words):
    if key:
        stage.put_document("github/private-key", key)
    else:
        stage.client("ssm").delete_parameter(Name="/scale-agent/github/private-key")
    assert queued(stage, job_message()) == []
    assert words in told(stage)[-1]["facts"]["Said last"]
    assert nothing_is_left(stage)
    stage.put_document("github/private-key", stage.github.private_key)
    forget(stage, "queued")
    assert queued(stage, sent(stage, "ParkedQueue")[0]["Body"]) == []
    assert handed_over(stage) == [1]


def test_runners_of_an_organization(stage):
    configure(stage, organization="octo-org", runner_group_id=4)
    assert queued(stage, job_message(1), job_message(2, repository="octo-org/two")) == []
    assert [call.parameters["MaxCount"] for call in launches(stage)] == ["2"]
    assert "generate-runner-jitconfig-for-org" in operations(stage)
    runners = stage.github.registry.runners.values()
    assert {(runner.scope, runner.group) for runner in runners} == {("orgs/octo-org", 4)}
    assert parameter(stage, stage.parameters()[0])["Document"]["scope"] == "orgs/octo-org"


def test_a_personal_token_instead_of_an_app(stage):
    del stage.config["github"]["app_id"]
    configure(stage)
    stage.put_document("github/token", stage.github.personal_token + "\n")
    assert queued(stage, job_message(installation=None)) == []
    assert operations(stage) == ["generate-runner-jitconfig-for-repo"]
    assert len(stage.parameters()) == 1


def test_an_enterprise_server_below_a_path(make_cloud):
    cloud = make_cloud(make_github=lambda where, faults: GitHub(where, faults, "/api/v3"))
    assert cloud.github.api_url.endswith("/api/v3")
    job = cloud.github.queue_job("octo-org/one", ["self-hosted", "linux"])
    assert until(lambda: job.state == "completed")
    assert cloud.idle()
    assert cloud.left() == []
    assert {call.path.startswith("/api/v3/") for call in cloud.github.api.calls} == {True}
    assert cloud.github.violations == []


def test_another_runner_in_the_way_is_found_by_its_name(stage):
    """An instance's id is a name that only an earlier try can have taken."""
    stage.faults.add(*PUT, times=1, fault=Body(b'{"__type":"ParameterAlreadyExists"}', 400))
    assert queued(stage, job_message()) == []
    assert len(stage.parameters()) == 1
    assert sent(stage, "ParkedQueue") == []
