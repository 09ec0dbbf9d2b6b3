# SPDX-License-Identifier: MIT
"""GitHub's stand-in, called as the scaler calls it, and its webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import time
from urllib.parse import parse_qs

import pytest

from cloud.faults import Body, Cut, Error, Throttle
from cloud.github.openapi import github_description
from cloud.github.stand_in import INSTALLATION
from cloud.github.webhooks import FORM, examples, sign
from cloud.tests.github_client import (
    BODY,
    JIT,
    LABELS,
    RUNNERS,
    Client,
    World,
    ended,
    jwt,
    start_runner,
)


@pytest.fixture
def world(tmp_path):
    with World(tmp_path).running() as running:
        yield running


# -- the API ---------------------------------------------------------------------------------------


def test_app_gets_a_token_and_registers_a_runner(world):
    path = f"/app/installations/{INSTALLATION}/access_tokens"
    granted = Client(world.github, jwt(world.github))("POST", path)
    assert granted.status == 201
    assert len(granted.document["token"]) > 500
    answer = Client(world.github, granted.document["token"])("POST", JIT, BODY)
    assert answer.status == 201
    assert answer.document["runner"]["name"] == BODY["name"]
    configuration = answer.document["encoded_jit_config"]
    assert 4096 < len(configuration) < 5000
    files = json.loads(base64.b64decode(configuration))
    assert set(files) == {".runner", ".credentials", ".credentials_rsaparams"}
    assert world.github.left() == [f"runner {BODY['name']} (repos/octo-org/one, offline)"]
    assert world.github.violations == []


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 200),
        ({"iss": "Iv23liLocalCloud0001"}, 200),
        ({"iss": 99}, 404),
        ({"exp": int(time.time()) - 5}, 401),
        ({"exp": int(time.time()) + 3600}, 401),
        ({"iat": int(time.time()) + 3600}, 401),
        ({"iat": None}, 401),
    ],
)
def test_claims_of_the_app_are_checked(world, changes, status):
    assert Client(world.github, jwt(world.github, **changes))("GET", "/app").status == status


def test_forged_and_repeated_jwts_are_refused(world):
    good = jwt(world.github)
    assert Client(world.github, good[:-8] + "AAAAAAAA")("GET", "/app").status == 401
    assert Client(world.github, good)("GET", "/app").status == 200
    assert Client(world.github, good)("GET", "/app").status == 404
    assert Client(world.github, "no.jwt")("GET", "/app").status == 401


def test_tokens_reach_what_they_may(world):
    def token(**body):
        path = f"/app/installations/{INSTALLATION}/access_tokens"
        return Client(world.github, jwt(world.github))("POST", path, body)

    reads = Client(world.github, token(permissions={"administration": "read"}).document["token"])
    assert reads("GET", RUNNERS).status == 200
    assert reads("POST", JIT, BODY).status == 403
    other = Client(world.github, token(repositories=["two"]).document["token"])
    assert other("POST", JIT, BODY).status == 404
    assert Client(world.github, "ghs_unknown")("POST", JIT, BODY).status == 401
    assert token(permissions={"contents": "write"}).status == 422
    world.github.doorman.revoke_all()
    assert reads("GET", RUNNERS).status == 401


def test_name_of_a_runner_is_taken_until_it_is_deleted(world):
    world.register()
    taken = world.call("POST", JIT, BODY)
    assert taken.status == 409
    assert taken.document["message"].startswith("Already exists - A runner with the name i-0")
    found = world.call("GET", f"{RUNNERS}?name={BODY['name']}").document["runners"]
    assert world.call("GET", f"{RUNNERS}/{found[0]['id']}").document["name"] == BODY["name"]
    assert world.call("DELETE", f"{RUNNERS}/{found[0]['id']}").status == 204
    assert world.call("DELETE", f"{RUNNERS}/{found[0]['id']}").status == 404
    world.register()
    assert world.github.violations == []


def test_organization_has_runners_of_its_own(world):
    path = "/orgs/octo-org/actions/runners"
    made = world.call("POST", f"{path}/generate-jitconfig", BODY | {"runner_group_id": 3})
    assert made.status == 201
    assert world.call("GET", path).document["total_count"] == 1
    assert world.call("GET", RUNNERS).document["total_count"] == 0
    job = world.github.queue_job("octo-org/two", LABELS)
    assert ended(start_runner(made.document["encoded_jit_config"]))[0] == 0
    assert job.conclusion == "success"


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("POST", JIT, {"name": "x"}, "'runner_group_id' is a required property"),
        ("POST", JIT, BODY | {"labels": []}, "should be non-empty"),
        ("POST", JIT, BODY | {"runner_group_id": "1"}, "not of type 'integer'"),
        ("POST", JIT, BODY | {"label": "x"}, "unknown property label"),
        ("POST", JIT, None, "needs a body"),
        ("GET", f"{RUNNERS}?nmae=x", None, "unknown query parameter nmae"),
        ("GET", f"{RUNNERS}/abc", None, "not of type 'integer'"),
        ("DELETE", f"{RUNNERS}/1", {}, "takes no body"),
        ("GET", "/repos/octo-org/one/actions/nothing", None, "unknown operation"),
        ("POST", JIT, b"{", "not JSON"),
    ],
)
def test_requests_that_break_the_description_are_recorded(world, method, path, body, words):
    assert world.call(method, path, body).status in (400, 404, 422)
    assert words in world.github.violations[0]


def test_headers_are_judged_too(world):
    assert world.call("POST", JIT, BODY, **{"Content-Type": "text/plain"}).status == 422
    assert world.call("GET", RUNNERS, Accept="text/html").status == 422
    assert world.call("GET", RUNNERS, **{"User-Agent": ""}).status == 403
    assert len(world.github.violations) == 2


def test_limits_are_told_and_kept(world):
    assert world.call("GET", RUNNERS).headers["X-RateLimit-Remaining"] == "4999"
    world.github.api.limits.points_per_minute = 5
    refused = world.call("POST", JIT, BODY)
    assert refused.status == 403
    assert 0 < int(refused.headers["Retry-After"]) <= 61
    world.github.api.limits.per_hour = 0
    refused = world.call("GET", RUNNERS)
    assert (refused.status, refused.headers["X-RateLimit-Remaining"]) == (403, "0")


def test_faults_strike_before_and_after_the_effect(world):
    action = "actions/generate-runner-jitconfig-*"
    world.faults.add("github", action, times=1, fault=Error("x", 503, "Unavailable"))
    world.faults.add("github", action, times=1, fault=Throttle())
    world.faults.add("github", action, times=1, fault=Body(b"{}", 201))
    assert world.call("POST", JIT, BODY).status == 503
    assert world.call("POST", JIT, BODY).headers["Retry-After"] == "1"
    assert world.github.left() == []
    assert world.call("POST", JIT, BODY).document == {}
    assert len(world.github.left()) == 1
    world.faults.add("github", action, times=1, fault=Cut(before=False))
    with pytest.raises(http.client.RemoteDisconnected):
        world.call("POST", JIT, BODY | {"name": "second"})
    assert len(world.github.left()) == 2


# -- webhooks --------------------------------------------------------------------------------------


def test_signature_is_the_one_that_github_documents():
    vector = sign("It's a Secret to Everybody", b"Hello, World!", "sha256")
    assert vector == "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def test_recorded_bodies_fit_the_description_that_judges_ours():
    recent = [e for e in examples("workflow_job") if "run_attempt" in e["workflow_job"]]
    assert len(recent) == 7
    for body in recent:
        assert github_description().check_webhook(body["action"], body) == []


@pytest.mark.parametrize("kind", ["application/json", FORM])
def test_delivery_is_signed_over_its_raw_bytes(world, kind):
    world.github.webhooks.content_type = kind
    job = world.github.queue_job("octo-org/one", LABELS)
    assert world.github.webhooks.wait()
    request = world.received[0]
    secret = world.github.webhook_secret.encode()
    expected = "sha256=" + hmac.new(secret, request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-hub-signature-256"] == expected
    assert request.headers["x-github-event"] == "workflow_job"
    assert request.headers["user-agent"].startswith("GitHub-Hookshot/")
    text = parse_qs(request.body.decode())["payload"][0] if kind == FORM else request.body
    body = json.loads(text)
    assert body["workflow_job"]["id"] == job.id
    assert body["workflow_job"]["runner_id"] is None
    assert body["repository"]["full_name"] == "octo-org/one"
    assert body["repository"]["owner"]["login"] == "octo-org"
    assert body["installation"]["id"] == INSTALLATION
    assert "Codertocat" not in str(body)
    assert world.github.webhooks.deliveries[0].status == 202


def actions_received(world):
    assert world.github.webhooks.wait()
    return [json.loads(r.body)["workflow_job"]["name"] for r in world.received]


def test_duplicate_keeps_its_delivery_id(world):
    world.github.webhooks.disturb("duplicate")
    world.github.queue_job("octo-org/one", LABELS, name="a")
    assert actions_received(world) == ["a", "a"]
    assert len({r.headers["x-github-delivery"] for r in world.received}) == 1


def test_lost_late_and_overtaken_deliveries(world):
    hooks = world.github.webhooks
    hooks.disturb("lost", "queued")
    hooks.disturb("late", "queued", seconds=0.5)
    hooks.disturb("reordered", "queued")
    for name in "abcd":
        world.github.queue_job("octo-org/one", LABELS, name=name)
    assert actions_received(world) == ["d", "c", "b"]


def test_receiver_that_is_not_there_does_not_block(world):
    world.github.webhooks.url = "http://127.0.0.1:1/"
    world.github.queue_job("octo-org/one", LABELS)
    assert world.github.webhooks.wait()
    delivery = world.github.webhooks.deliveries[0]
    assert (delivery.status, delivery.error[:22]) == (0, "ConnectionRefusedError")
    again = world.github.webhooks.redeliver(delivery)
    assert world.github.webhooks.wait()
    assert (again.id, again.kind) == (delivery.id, "redelivery")
