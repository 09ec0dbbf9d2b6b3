# SPDX-License-Identifier: MIT
"""webhook: how it answers GitHub and those who pretend to be GitHub, and what it queues."""

from __future__ import annotations

import base64
import dataclasses
import json

import pytest
from helpers import LABELS, REPOSITORY, complaints, configure, log, sent

from cloud.faults import Cut, Error, Throttle, Timeout
from cloud.github.jobs import Job
from cloud.github.webhooks import FORM, post, sign

QUEUES = {"queued": "QueuedQueue", "in_progress": "InProgressQueue", "completed": "CompletedQueue"}


def body_of(cloud, step="queued", **changes):
    """GitHub's own document of a job, with members replaced by their path: "workflow_job.id"."""
    job = Job(41, 42, REPOSITORY, LABELS)
    if step != "queued":
        job.runner_id, job.runner_name, job.runner_group = 23, "i-0123456789abcdef0", 1
        job.started, job.completed, job.conclusion = job.created, job.created, "success"
    document = cloud.github.webhooks.body(job, step)
    for path, value in changes.items():
        *parents, name = path.split("__")
        parent = document
        for step in parents:
            parent = parent[step]
        if value is KeyError:
            del parent[name]
        else:
            parent[name] = value
    return document


def deliver(cloud, document, event="workflow_job", headers=None, body=None):
    """Post a signed delivery; headers that are None are left out."""
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    delivery = cloud.github.webhooks.make(event, "", raw)
    given = delivery.headers | (headers or {})
    given = {name: value for name, value in given.items() if value is not None}
    status, answer = post(cloud.webhook_url, given, delivery.body if body is None else body)
    return status, json.loads(answer)["message"]


def everything_sent(cloud):
    return [message for queue in QUEUES.values() for message in sent(cloud, queue)]


def test_a_queued_job_goes_to_its_queue_with_all_that_is_needed(stage):
    assert deliver(stage, body_of(stage)) == (202, "queued")
    (message,) = sent(stage, "QueuedQueue")
    assert message["MessageGroupId"] == "41"
    assert message["MessageDeduplicationId"] == "41-1-0-0"
    job = message["Body"]
    assert job["url"] == f"https://github.com/{REPOSITORY}/actions/runs/42/job/41"
    wanted = {"action": "queued", "id": 41, "run_id": 42, "attempt": 1, "installation": 4711}
    wanted |= {"repository": REPOSITORY, "spec": "linux-x64", "instance_type": "m7i.large"}
    assert wanted.items() <= job.items()
    assert abs(job["webhook_ms"] - job["queued_ms"]) < 60_000
    (line,) = [line for line in log(stage, "webhook") if line["message"] == "delivery"]
    assert line["job"] == "41"
    assert line["repository"] == REPOSITORY
    assert line["delivery"] == job["delivery"]


@pytest.mark.parametrize("action", QUEUES)
def test_each_action_has_its_queue(stage, action):
    assert deliver(stage, body_of(stage, action)) == (202, "queued")
    assert [m["Body"]["action"] for m in sent(stage, QUEUES[action])] == [action]
    assert len(everything_sent(stage)) == 1


def test_a_delivery_that_comes_twice_is_queued_once(stage):
    for _ in range(2):
        assert deliver(stage, body_of(stage)) == (202, "queued")
    assert stage.messages() == {"QueuedQueue": 1}
    again = body_of(stage, workflow_job__run_attempt=2)
    assert deliver(stage, again) == (202, "queued")
    assert stage.messages() == {"QueuedQueue": 2}


def test_a_repository_s_webhook_does_not_take_the_place_of_the_app_s(stage):
    status, text = deliver(stage, body_of(stage, installation=KeyError))
    assert status == 422
    assert "names no installation of the App" in text
    assert deliver(stage, body_of(stage)) == (202, "queued")
    (message,) = everything_sent(stage)
    assert message["Body"]["installation"] == 4711


def test_a_repository_s_webhook_will_do_for_the_app_s_only_installation(stage):
    github = stage.config["github"] | {"installations": [4711]}
    configure(stage, stage.config | {"github": github})
    for _ in range(2):  # the App delivers the same
        assert deliver(stage, body_of(stage, installation=KeyError)) == (202, "queued")
        assert deliver(stage, body_of(stage)) == (202, "queued")
    assert {m["Body"]["installation"] for m in everything_sent(stage)} == {4711}
    assert stage.messages() == {"QueuedQueue": 1}


def test_a_job_may_have_a_label_of_its_own(stage):
    document = body_of(stage, workflow_job__labels=["self-hosted", "x64", "run-42-0"])
    assert deliver(stage, document) == (202, "queued")
    assert sent(stage, "QueuedQueue")[0]["Body"]["spec"] == "linux-x64"
    for labels, words in [(["x64", "run-1", "run-2"], "more than one"), (["run-a b"], "letters")]:
        labels = ["self-hosted", *labels]
        status, text = deliver(stage, body_of(stage, workflow_job__labels=labels))
        assert (labels, status) == (labels, 422)
        assert words in text


NOT_FOR_US = [
    ("ping", {}, "pong"),
    ("push", {}, "ignored: only workflow_job matters"),
    ("workflow_job", {"action": "waiting"}, "ignored: only queued, in_progress and completed"),
    ("workflow_job", {"action": "invented"}, "ignored: only queued, in_progress and completed"),
    ("workflow_job", {"workflow_job__status": "waiting"}, "ignored: the job waits for its env"),
    ("workflow_job", {"workflow_job__status": "completed"}, "ignored: the job's status is \"comp"),
    ("workflow_job", {"workflow_job__labels": ["windows"]}, "ignored: no spec has all of"),
    ("workflow_job", {"workflow_job__labels": []}, "ignored: the job has no labels, and no spec"),
]


def test_what_is_not_for_us_is_ignored_with_the_reason(stage):
    for event, changes, answer in NOT_FOR_US:
        status, text = deliver(stage, body_of(stage, **changes), event)
        assert (event, changes, status) == (event, changes, 200)
        assert text.startswith(answer)
    assert everything_sent(stage) == []


def test_a_signature_that_is_missing_or_wrong_is_refused(stage):
    status, text = deliver(stage, body_of(stage), headers={"X-Hub-Signature-256": None})
    assert status == 401
    assert "set a webhook secret on GitHub" in text
    zeros = "0" * 64
    for signature in ["", "sha256=", f"sha256={zeros}", "sha1=" + zeros[:40], zeros, "sha256=é"]:
        headers = {"X-Hub-Signature-256": signature.encode()}
        status, text = deliver(stage, body_of(stage), headers=headers)
        assert (signature, status) == (signature, 401)
        assert "does not match" in text
    assert everything_sent(stage) == []


def test_a_signature_is_for_these_bytes_and_this_secret(stage):
    document = json.dumps(body_of(stage)).encode()
    own = "sha256=" + sign(stage.github.webhook_secret, document, "sha256")
    other = "sha256=" + sign("another", document, "sha256")
    for headers, body, status in [
        ({"X-Hub-Signature-256": own}, document, 202),
        ({"X-Hub-Signature-256": own[:-1]}, document, 401),
        ({"X-Hub-Signature-256": own + "0"}, document, 401),
        ({"X-Hub-Signature-256": own}, document + b" ", 401),
        ({"X-Hub-Signature-256": other}, document, 401),
    ]:
        assert deliver(stage, document, headers=headers, body=body)[0] == status
    assert len(everything_sent(stage)) == 1


def test_the_secret_before_the_current_one_is_still_good(stage):
    old = stage.github.webhook_secret
    stage.put_document("github/webhook-secret", f"the new one\n{old}\n")
    assert deliver(stage, body_of(stage)) == (202, "queued")
    stage.github.webhooks.secret = "the new one"
    assert deliver(stage, body_of(stage, "completed")) == (202, "queued")
    stage.github.webhooks.secret = "the one before"
    assert deliver(stage, body_of(stage))[0] == 401


@pytest.mark.parametrize("kind", [FORM, "application/octet-stream", "application/json"])
def test_forms_and_base64_are_read_as_json_is(stage, kind):
    stage.github.webhooks.content_type = kind  # the function URL passes what is no JSON in base64
    document = body_of(stage, workflow_job__name="späte Lieferung & mehr=100 %+")
    assert deliver(stage, document) == (202, "queued")
    assert sent(stage, "QueuedQueue")[0]["Body"]["name"] == "späte Lieferung & mehr=100 %+"


def test_header_names_of_any_case_are_found(stage):
    delivery = stage.github.webhooks.make("ping", "", b"{}")
    event = {
        "headers": {name.upper(): value for name, value in delivery.headers.items()},
        "requestContext": {"http": {"method": "POST"}},
        "body": base64.b64encode(b"{}").decode(),
        "isBase64Encoded": True,
    }
    assert stage.invoke("webhook", event)["statusCode"] == 200
    answer = stage.invoke("webhook", event | {"body": "e30"})
    assert answer["statusCode"] == 400
    assert "not base64" in answer["body"]


UNREADABLE = [
    (b"", "the body"),
    (b"[1]", "action"),
    (b'{"action":', "the body"),
    (b'{"action":"queued"}{}', "the body"),
    (b'{"action":"queued\xff\xfe"}', "UTF-8"),
    (b"[" * 100_000, "the body"),
    (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "the body"),
    ({"action": KeyError}, "action"),
    ({"action": 5}, "action"),
    ({"repository": KeyError}, "repository.full_name"),
    ({"repository__full_name": None}, "repository.full_name"),
    ({"workflow_job": []}, "workflow_job.id"),
    ({"workflow_job__id": "41"}, "workflow_job.id"),
    ({"workflow_job__id": 1e300}, "workflow_job.id"),
    ({"workflow_job__id": 2**64}, "workflow_job.id"),
    ({"workflow_job__id": 1.5}, "workflow_job.id"),
    ({"workflow_job__run_id": None}, "workflow_job.run_id"),
    ({"workflow_job__labels": None}, "labels"),
    ({"workflow_job__labels": ["linux", 5]}, "labels[1]"),
    ({"workflow_job__labels": ["linux"] * 101}, "at most 100"),
    ({"workflow_job__created_at": "yesterday"}, "workflow_job.created_at"),
    ({"installation__id": {}}, "installation.id"),
]


def test_what_cannot_be_read_is_named(stage):
    for document, words in UNREADABLE:
        raw = document if isinstance(document, bytes) else body_of(stage, **document)
        status, text = deliver(stage, raw)
        assert (str(document)[:80], status) == (str(document)[:80], 400)
        assert words in text
    assert everything_sent(stage) == []
    assert deliver(stage, body_of(stage)) == (202, "queued")


def test_a_form_that_cannot_be_read_is_named(stage):
    for body in [b"", b"other=%7B%7D", b"payload=%7", b"payload=%zz", b"payload="]:
        signature = "sha256=" + sign(stage.github.webhook_secret, body, "sha256")
        headers = {"X-Hub-Signature-256": signature, "Content-Type": FORM}
        status, text = deliver(stage, b"", headers=headers, body=body)
        assert (body, status) == (body, 400)
        assert "payload" in text


def test_a_delivery_without_its_event_is_refused(stage):
    assert deliver(stage, b"{}", headers={"X-GitHub-Event": None}) == (
        400, "X-GitHub-Event is missing"
    )  # fmt: skip


def test_repositories_and_installations_have_to_be_configured(stage):
    github = stage.config["github"] | {"installations": [4711]}
    configure(stage, stage.config | {"github": github})
    assert deliver(stage, body_of(stage)) == (202, "queued")
    for changes, words in [
        ({"repository__full_name": "somebody/one"}, "github.repositories"),
        ({"repository__full_name": "octo-org-2/one"}, "github.repositories"),
        ({"installation__id": 4712}, "github.installations"),
    ]:
        status, text = deliver(stage, body_of(stage, **changes))
        assert status == 422
        assert words in text
    assert deliver(stage, body_of(stage, repository__full_name="Octo-Org/TWO"))[0] == 202


def test_only_post_is_accepted(stage):
    for method in ["GET", "PUT", "HEAD", None]:
        event = {"headers": {}, "requestContext": {"http": {"method": method}}}
        answer = stage.invoke("webhook", event)
        assert (method, answer["statusCode"]) == (method, 405)
        assert "only POST" in answer["body"]


@pytest.mark.parametrize("encoded", [False, True])
def test_a_body_over_25_megabytes_is_refused(run_scaler, stage, encoded):
    size = 25 * 1024 * 1024 + 3
    body = "A" * (size // 3 * 4 + 4 if encoded else size)
    event = {"requestContext": {"http": {"method": "POST"}}, "body": body, "headers": {}}
    done = run_scaler("webhook", event=event | {"isBase64Encoded": encoded})
    assert json.loads(done.stdout)["statusCode"] == 413
    assert "25 MB" in done.stdout


@pytest.mark.parametrize("fault", [Error("ServiceUnavailable", 503), Throttle(), Cut(before=True)])
def test_github_is_told_when_the_queue_does_not_take_the_job(stage, fault):
    rule = stage.faults.add("sqs", "SendMessage", fault=fault)
    status, text = deliver(stage, body_of(stage))
    assert status == 503
    assert "deliver this again" in text
    assert "queue refused the job" in complaints(stage, "webhook")
    stage.faults.remove(rule)
    assert deliver(stage, body_of(stage)) == (202, "queued")
    assert stage.messages() == {"QueuedQueue": 1}


def test_a_queue_that_never_answers_is_told_before_lambda_ends_the_function(stage):
    host = stage.hosts["scale-agent-webhook"]
    host.function = dataclasses.replace(host.function, timeout=4.0)
    stage.faults.add("sqs", "SendMessage", fault=Timeout())
    status, text = deliver(stage, body_of(stage))
    assert (status, text) == (503, "the job cannot be queued; deliver this again")


def test_settings_that_cannot_be_read_do_not_lose_a_delivery(stage):
    rule = stage.faults.add("ssm", "GetParameters", fault=Throttle())
    status, text = deliver(stage, body_of(stage))
    assert status == 503
    assert "secret cannot be read" in text
    stage.faults.remove(rule)
    assert deliver(stage, body_of(stage)) == (202, "queued")
    (call,) = [one for one in stage.calls.of("ssm") if not one.error]
    assert len(call.parameters["Names"]) == 2


def test_a_configuration_that_makes_no_sense_does_not_lose_a_delivery(stage):
    stage.put_document("config", "{")
    status, text = deliver(stage, body_of(stage))
    assert status == 503
    assert "configuration cannot be read" in text
    configure(stage)
    assert deliver(stage, body_of(stage)) == (202, "queued")


def two_specs(cloud):
    first = cloud.config["specs"][0]
    small = first | {"name": "small", "labels": ["self-hosted", "linux", "x64", "Small"]}
    large = first | {"name": "large", "labels": ["self-hosted", "Linux", "X64", "gpu"]}
    large |= {"instance_type": "m7i.2xlarge", "instance_types": ["m7i.8xlarge", "r7i.4xlarge"]}
    large |= {"shared_labels": True}
    return cloud.config | {"specs": [small, large]}


def test_a_job_without_labels_gets_the_spec_that_takes_such(stage):
    config = two_specs(stage)
    config["specs"][1]["unlabelled"] = True
    configure(stage, config)
    assert deliver(stage, body_of(stage, workflow_job__labels=[])) == (202, "queued")
    assert [m["Body"]["spec"] for m in sent(stage, "QueuedQueue")] == ["large"]


MATCHES = [
    (["self-hosted", "linux"], "small", "m7i.large"),
    (["SELF-HOSTED", "Linux", "small"], "small", "m7i.large"),
    (["gpu", "linux"], "large", "m7i.2xlarge"),
    (["self-hosted", "m7i.8xlarge"], "large", "m7i.8xlarge"),
    (["self-hosted", "linux", "R7i.4xlarge"], "large", "r7i.4xlarge"),
    (["self-hosted", "m7i.16xlarge"], None, None),
    (["self-hosted", "gpu", "small"], None, None),
    (["self-hosted", "linux", "x64", "arm64"], None, None),
]


def test_the_first_spec_with_all_labels_is_taken(stage):
    configure(stage, two_specs(stage))
    for number, (labels, name, kind) in enumerate(MATCHES, 100):
        document = body_of(stage, workflow_job__labels=labels, workflow_job__id=number)
        status, _ = deliver(stage, document)
        found = {m["Body"]["id"]: m["Body"] for m in sent(stage, "QueuedQueue")}.get(number, {})
        seen = (status, found.get("spec"), found.get("instance_type"))
        assert (labels, *seen) == (labels, 202 if name else 200, name, kind)
