# SPDX-License-Identifier: MIT
"""GitHub's stand-in, called as the scaler calls it, with the stand-in runner at its other end."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import uuid
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from cloud.faults import Body, Cut, Error, Faults, Throttle
from cloud.github import INSTALLATION, GitHub
from cloud.openapi import github_description
from cloud.serve import Answer, Server
from cloud.webhooks import FORM, examples, sign

RUNNER = str(Path(__file__).with_name("runner"))
LABELS = ["self-hosted", "linux", "x64"]
RUNNERS = "/repos/octo-org/one/actions/runners"
JIT = f"{RUNNERS}/generate-jitconfig"
BODY = {"name": "i-0123456789abcdef0", "runner_group_id": 1, "labels": LABELS}


class Client:
    """Calls the API over one connection that is kept alive."""

    def __init__(self, github: GitHub, token: str = ""):
        url = urlsplit(github.api_url)
        context = ssl.create_default_context(cafile=str(github.ca_file))
        self.base, self.token = url.path, token or github.personal_token
        self.connection = http.client.HTTPSConnection("localhost", url.port, context=context)

    def __call__(self, method: str, path: str, body=None, **headers: str):
        text = None if body is None else body if isinstance(body, bytes) else json.dumps(body)
        headers = {"User-Agent": "test", "Authorization": f"Bearer {self.token}"} | headers
        if text is not None:
            headers.setdefault("Content-Type", "application/json")
        self.connection.request(method, self.base + path, text, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        document = json.loads(content) if content else None
        return SimpleNamespace(status=answer.status, document=document, headers=answer.headers)


@pytest.fixture
def world(tmp_path):
    received = []

    def sink(request):
        received.append(request)
        return Answer(202)

    server = Server(sink)
    server.start()
    faults = Faults()
    github = GitHub(tmp_path, faults, "/api/v3").start()
    github.webhooks.url = f"http://127.0.0.1:{server.port}/"
    yield SimpleNamespace(github=github, call=Client(github), received=received, faults=faults)
    faults.stopped.set()
    github.stop()
    server.stop()


def jwt(github: GitHub, **changes):
    now = int(time.time())
    claims = {"iat": now - 60, "exp": now + 500, "iss": github.app_id, "jti": str(uuid.uuid4())}
    parts = [{"alg": "RS256", "typ": "JWT"}, claims | changes]
    text = ".".join(_base64url(json.dumps(part).encode()) for part in parts)
    key = serialization.load_pem_private_key(github.private_key.encode(), None)
    signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{text}.{_base64url(signature)}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def start_runner(configuration: str, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", RUNNER, *(arguments or ("run",))],
        env={"PATH": os.environ["PATH"], "ACTIONS_RUNNER_INPUT_JITCONFIG": configuration},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def register(world, **changes) -> str:
    answer = world.call("POST", JIT, BODY | changes)
    assert answer.status == 201
    return answer.document["encoded_jit_config"]


def ended(process: subprocess.Popen) -> tuple[int, str]:
    output, _ = process.communicate(timeout=10)
    return process.returncode, output.decode(errors="replace")


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
    register(world)
    taken = world.call("POST", JIT, BODY)
    assert taken.status == 409
    assert taken.document["message"].startswith("Already exists - A runner with the name i-0")
    found = world.call("GET", f"{RUNNERS}?name={BODY['name']}").document["runners"]
    assert world.call("GET", f"{RUNNERS}/{found[0]['id']}").document["name"] == BODY["name"]
    assert world.call("DELETE", f"{RUNNERS}/{found[0]['id']}").status == 204
    assert world.call("DELETE", f"{RUNNERS}/{found[0]['id']}").status == 404
    register(world)
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
    assert hooks_redelivered(world, delivery) == delivery.id


def hooks_redelivered(world, delivery):
    again = world.github.webhooks.redeliver(delivery)
    assert world.github.webhooks.wait()
    return again.id


# -- jobs and runners ------------------------------------------------------------------------------


def test_job_is_announced_run_and_forgotten(world):
    job = world.github.queue_job(
        "octo-org/one", ["Self-Hosted", "x64"], name="build", run_seconds=0
    )
    code, output = ended(start_runner(register(world)))
    assert code == 0
    lines = output.splitlines()
    assert lines[:4] == ["", "√ Connected to GitHub", "", "Current runner version: '2.336.0'"]
    assert [line[22:] for line in lines[4:]] == [
        "Listening for Jobs",
        "Running job: build",
        "Job build completed with result: Succeeded",
    ]
    assert world.github.webhooks.wait()
    bodies = [json.loads(r.body)["workflow_job"] for r in world.received]
    assert sorted(b["status"] for b in bodies) == ["completed", "in_progress", "queued"]
    done = next(b for b in bodies if b["status"] == "completed")
    assert (done["conclusion"], done["runner_name"]) == ("success", BODY["name"])
    assert job.runners == [BODY["name"]]
    assert world.github.left() == []
    assert world.github.violations == []


def test_busy_runner_cannot_be_deleted(world):
    job = world.github.queue_job("octo-org/one", LABELS, behaviour="hang")
    process = start_runner(register(world))
    assert world.github.wait(lambda: job.state == "in_progress", 10)
    refused = world.call("DELETE", f"{RUNNERS}/{job.runner_id}")
    assert refused.status == 422
    assert "currently running a job" in refused.document["message"]
    process.send_signal(signal.SIGINT)
    code, output = ended(process)
    assert code == 0
    assert "Exiting..." in output
    assert "completed with result: Canceled" in output
    assert job.conclusion == "cancelled"


def test_deleted_idle_runner_ends(world):
    process = start_runner(register(world))
    runner = next(iter(world.github.registry.runners.values()))
    assert world.github.wait(lambda: runner.listening, 10)
    assert world.call("DELETE", f"{RUNNERS}/{runner.id}").status == 204
    code, output = ended(process)
    assert code == 1
    assert "registration has been deleted" in output


def test_idle_runner_ends_on_a_signal_and_stays_registered(world):
    process = start_runner(register(world))
    runner = next(iter(world.github.registry.runners.values()))
    assert world.github.wait(lambda: runner.listening, 10)
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 0
    assert world.github.wait(lambda: not runner.online, 10)
    assert world.github.left() == [f"runner {BODY['name']} (repos/octo-org/one, offline)"]


def test_configuration_is_good_for_one_runner(world):
    configuration = register(world)
    first = start_runner(configuration)
    runner = next(iter(world.github.registry.runners.values()))
    assert world.github.wait(lambda: runner.listening, 10)
    code, output = ended(start_runner(configuration))
    assert code == 5
    assert "A session for this runner already exists." in output
    world.github.queue_job("octo-org/one", LABELS)
    assert ended(first)[0] == 0
    assert ended(start_runner(configuration))[0] == 1
    assert ended(start_runner("bm9uc2Vuc2U="))[0] == 1
    code, output = ended(start_runner(configuration, "run", "--jitconfig", configuration))
    assert code == 1
    assert "can be read by every user" in output


def test_oldest_job_that_fits_is_taken_first(world):
    other = world.github.queue_job("octo-org/one", [*LABELS, "gpu"])
    first = world.github.queue_job("octo-org/one", LABELS)
    second = world.github.queue_job("octo-org/one", LABELS)
    world.github.queue_job("octo-org/two", LABELS)
    assert ended(start_runner(register(world)))[0] == 0
    assert (other.state, first.state, second.state) == ("queued", "completed", "queued")


def test_cancelled_job_has_no_runner(world):
    job = world.github.queue_job("octo-org/one", LABELS)
    world.github.cancel_job(job)
    assert world.github.webhooks.wait()
    body = json.loads(world.received[-1].body)["workflow_job"]
    assert (job.conclusion, body["runner_id"], body["runner_name"]) == ("cancelled", 0, "")
    assert body["steps"] == []
    assert world.github.violations == []


def test_running_job_is_cancelled_through_its_runner(world):
    job = world.github.queue_job("octo-org/one", LABELS, run_seconds=30)
    process = start_runner(register(world))
    assert world.github.wait(lambda: job.state == "in_progress", 10)
    world.github.cancel_job(job)
    assert "result: Canceled" in ended(process)[1]
    assert job.conclusion == "cancelled"


def test_job_of_a_lost_runner_fails_after_a_while(world):
    world.github.jobs.lost_seconds = 0.3
    job = world.github.queue_job("octo-org/one", LABELS, behaviour="hang")
    process = start_runner(register(world))
    assert world.github.wait(lambda: job.state == "in_progress", 10)
    process.kill()
    process.communicate(timeout=10)
    assert world.github.wait(lambda: job.state == "completed", 10)
    assert job.conclusion == "failure"


@pytest.mark.parametrize(
    ("behaviour", "code", "words"),
    [
        ("deprecated", 7, "is deprecated and cannot receive messages"),
        ("exit-at-start", 1, "Connected to GitHub"),
        ("crash-at-start", -signal.SIGABRT, "Connected to GitHub"),
        ("noise", 0, "Job build completed with result: Succeeded"),
    ],
)
def test_runner_that_starts_badly(world, behaviour, code, words):
    world.github.broker.behave(behaviour)
    world.github.queue_job("octo-org/one", LABELS)
    returned, output = ended(start_runner(register(world)))
    assert returned == code
    assert words in output


@pytest.mark.parametrize("behaviour", ["crash", "exit"])
def test_runner_that_ends_in_the_middle_of_its_job(world, behaviour):
    world.github.jobs.lost_seconds = 0.1
    job = world.github.queue_job("octo-org/one", LABELS, behaviour=behaviour)
    assert ended(start_runner(register(world)))[0] != 0
    assert world.github.wait(lambda: job.state == "completed", 10)
    assert job.conclusion == "failure"


def test_runner_that_ignores_signals(world):
    job = world.github.queue_job("octo-org/one", LABELS, behaviour="ignore-signals")
    process = start_runner(register(world))
    assert world.github.wait(lambda: job.state == "in_progress", 10)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.kill()
    process.communicate(timeout=10)
