# SPDX-License-Identifier: MIT
"""Secrets stay where they belong: after good days and bad ones, nothing that is kept shows any."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from helpers import LABELS, REPOSITORY, batch, job_message, queued, sent

from cloud.faults import Body, Capacity, Cut, Error, Event, Throttle
from cloud.limits import until
from cloud.machines.processes import Descendants

TEAMS = "notify/teams-webhook-urls"
SLACK = "notify/slack-webhook-urls"
WINDOW = 16  # so many characters of a secret in a row are a leak
LEAK = base64.b64encode(b"what an answer that was cut off would have given away " * 3).decode()
KEY = {"Name": "/scale-agent/github/private-key", "Value": LEAK}
PARAMETER = json.dumps({"Parameters": [KEY]}).encode()
DEBUG = {"LOG_LEVEL": "debug"}


@contextmanager
def command_lines():
    """Collect the command line of every process that this one has meanwhile, however indirectly."""
    seen: set[str] = set()
    ended = threading.Event()
    ours = Descendants()

    def look() -> None:
        while not ended.is_set():
            for pid in ours.pids():
                with suppress(OSError):
                    line = Path(f"/proc/{pid}/cmdline").read_bytes()
                    seen.add(line.replace(b"\0", b" ").decode(errors="replace"))
            time.sleep(0.05)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def stored(cloud, name):
    """The values of parameters that were stored, by a part of their names."""
    calls = cloud.calls.of("ssm", "PutParameter")
    return [call.parameters["Value"] for call in calls if name in call.parameters["Name"]]


def configurations(cloud):
    """The runner configurations that were handed over, and what is inside of them."""
    for value in stored(cloud, "/runners/"):
        encoded = json.loads(value)["jit_config"]
        yield encoded
        files = json.loads(base64.b64decode(encoded))
        yield json.loads(base64.b64decode(files[".credentials"]))["Data"]["Proof"]


def secrets(cloud):
    """Everything that nobody may see, by what it is."""
    github = cloud.github
    pem = github.private_key.strip().splitlines()[1:-1]
    found = {
        "webhook secret": [github.webhook_secret],
        "private key": pem,
        "GitHub token": list(github.doorman.tokens),
        "key of tickets": stored(cloud, "/ticket-key"),
        "runner configuration": list(configurations(cloud)),
        "Teams or Slack URL": ["/workflows/very-secret-token?sig=sesame"],
        "answer": [LEAK],
    }
    sessions = [session.credentials for session in cloud.stack.sessions.values()]
    found["AWS session token"] = [one.token for one in sessions]
    found["AWS secret key"] = [one.secret_key for one in sessions]
    return found


def everything_kept(cloud, lines=()):
    """All that the programs wrote, answered, sent and showed."""
    parts = [f"{who}: {line}" for who, line in cloud.logs if who != "ec2"]
    for machine in cloud.machines.all.values() if cloud.machines else []:
        path = machine.directory / "agent.log"
        parts.append(path.read_text(errors="replace") if path.exists() else "")
    parts += [delivery.answer.decode() for delivery in cloud.github.webhooks.deliveries]
    for call in cloud.calls:
        if (call.service, call.action) != ("ssm", "PutParameter"):
            parts.append(json.dumps(call.parameters, ensure_ascii=False))
    parts += [json.dumps(call.body) for call in cloud.github.api.calls]
    parts += [moment.detail for moment in (cloud.machines.moments if cloud.machines else [])]
    return "\n".join([*parts, *lines])


def leaks(cloud, text):
    """Name each kind of secret of which a part is in a text."""
    found = {
        kind
        for kind, values in secrets(cloud).items()
        for value in values
        if value and any(value[at : at + WINDOW] in text for at in _windows(value))
    }
    if re.search(r"\beyJ[\w-]{20,}\.[\w-]+\.[\w-]+", text):
        found.add("JSON web token")
    return found


def _windows(value):
    return range(0, max(1, len(value) - WINDOW + 1), WINDOW // 2)


def assert_nothing_leaked(cloud, lines=()):
    text = everything_kept(cloud, lines)
    assert len(text) > 1000
    assert leaks(cloud, text) == set()


def test_the_search_finds_what_it_is_for(cloud):
    cloud.github.queue_job(REPOSITORY, LABELS)
    assert until(lambda: stored(cloud, "/runners/"))
    for kind, values in secrets(cloud).items():
        assert values, kind
        assert all(value for value in values), kind
        part = values[0][3 : 3 + 2 * WINDOW]
        assert leaks(cloud, f"error: {part} was refused") == {kind}


def test_command_lines_are_those_of_our_own_processes():
    stranger = subprocess.run(
        ["sh", "-c", "sleep 1000.1 >/dev/null & echo $!"],
        stdout=subprocess.PIPE, start_new_session=True, check=True,
    )  # fmt: skip
    try:
        with command_lines() as lines:
            own = subprocess.Popen(["sh", "-c", "sleep 1000.2; true"], start_new_session=True)
            assert until(lambda: "sleep 1000.2 " in lines)
            own.kill()  # its child stays, in a session that is ours
            own.wait()
            lines.clear()
            assert until(lambda: "sleep 1000.2 " in lines)
            os.killpg(own.pid, signal.SIGKILL)
    finally:
        os.kill(int(stranger.stdout), signal.SIGKILL)
    assert "sleep 1000.1 " not in lines


def test_a_good_day(make_cloud, inboxes):
    cloud = make_cloud(secrets={TEAMS: inboxes().url}, environment=DEBUG)
    with command_lines() as lines:
        jobs = [cloud.github.queue_job(REPOSITORY, LABELS, run_seconds=1.0) for _ in range(3)]
        assert until(lambda: all(job.state == "completed" for job in jobs))
        assert cloud.idle()
    assert any("Runner.Listener" in line or "/runner run" in line for line in lines)
    assert_nothing_leaked(cloud, lines)


def test_a_personal_token(make_cloud):
    cloud = make_cloud(environment=DEBUG)
    del cloud.config["github"]["app_id"]
    cloud.put_document("config", json.dumps(cloud.config))
    cloud.put_document("github/token", cloud.github.personal_token)
    with command_lines() as lines:
        job = cloud.github.queue_job(REPOSITORY, LABELS)
        assert until(lambda: job.state == "completed")
        assert cloud.idle()
    assert_nothing_leaked(cloud, lines)


@pytest.mark.parametrize(
    "faults", ["throttle,errors,cut,conflict,duplicate", "capacity,spot", "dead"]
)
def test_a_bad_day(make_cloud, inboxes, faults):
    teams, slack = inboxes(), inboxes(status=404, body=b"no_service")
    cloud = make_cloud(secrets={TEAMS: teams.url, SLACK: slack.url}, environment=DEBUG)
    cloud.hurry = 30
    cloud.machines.spot_seconds = 2
    if faults == "dead":
        denied = Error("AccessDeniedException", 400)
        cloud.faults.add("ssm", "PutParameter", {"Name": "*/runners/*"}, fault=denied)
        cloud.faults.add("machine", "die", times=3, fault=Event(0.5))
    else:
        cloud.faults.named(faults)
    with command_lines() as lines:
        jobs = [cloud.github.queue_job(REPOSITORY, LABELS, run_seconds=2) for _ in range(3)]
        if faults == "dead":
            assert until(lambda: cloud.messages() == {"KeptLetters": 3})
        else:
            assert until(lambda: all(job.state == "completed" for job in jobs))
        assert until(lambda: not cloud.instances())
    letters = cloud.client("sqs").receive_message(
        QueueUrl=cloud.queue("KeptLetters").url,
        MaxNumberOfMessages=10,
        MessageAttributeNames=["All"],
    )
    told = [json.dumps(message) for box in (teams, slack) for message in box.messages]
    assert_nothing_leaked(cloud, [*lines, *told, json.dumps(letters, default=str)])


# Answers that break off, or turn to nonsense, within a secret: (service, action, what is given).
BROKEN = {
    "token": ("github", "apps/*", Body(f'{{"token":"{LEAK}'.encode(), 201)),
    "token of another type": ("github", "apps/*", Body(f'{{"token":["{LEAK}"]}}'.encode(), 201)),
    "token refused": ("github", "apps/*", Body(LEAK.encode(), 401)),
    "configuration": (
        "github", "actions/generate-*",
        Body(f'{{"runner":{{"id":5}},"encoded_jit_config":"{LEAK}'.encode(), 201),
    ),
    "configuration of another type": (
        "github", "actions/generate-*",
        Body(f'{{"runner":{{"id":5}},"encoded_jit_config":["{LEAK}"]}}'.encode(), 201),
    ),
    "configuration with an error": (
        "github", "actions/generate-*",
        Body(f'{{"runner":{{"id":5}},"encoded_jit_config":"{LEAK}"}}'.encode(), 500),
    ),
    "huge configuration": (
        "github", "actions/generate-*",
        Body(f'{{"runner":{{"id":5}},"encoded_jit_config":"{LEAK * 200}"}}'.encode(), 201),
    ),
    "key": ("ssm", "GetParameters", Body(PARAMETER[:-3])),
    "key that is none": ("ssm", "GetParameters", Body(PARAMETER)),
    "key with an error": ("ssm", "GetParameters", Body(PARAMETER, 500)),
    "store that quotes": (
        "ssm", "PutParameter",
        Error("ValidationException", 400, f"Value '{LEAK}' at 'value' failed to satisfy"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("service", "action", "fault"), list(BROKEN.values()), ids=list(BROKEN))
def test_answers_that_make_no_sense_are_not_quoted(make_stage, service, action, fault):
    stage = make_stage(environment=DEBUG)
    matches = {
        "GetParameters": {"Names": "['*private-key']"},  # after it could not be read with others
        "PutParameter": {"Name": "*/runners/*"},
    }
    match = matches.get(action, {})
    if action == "GetParameters":
        denied = Error("AccessDeniedException")
        stage.faults.add("ssm", action, match={"Names": "*, *"}, fault=denied)
    stage.faults.add(service, action, match=match, fault=fault)
    queued(stage, job_message())
    queued(stage, job_message(), receives=4)
    assert any(sent(stage, queue) for queue in ("RegisterQueue", "ParkedQueue", "DeadLetters"))
    assert_nothing_leaked(stage)


def test_a_webhook_secret_that_cannot_be_read_is_not_quoted(make_stage):
    start = '{"Parameters":[{"Name":"/scale-agent/github/webhook-secret","Value":'
    for content in (f'{start}"{LEAK}', f'{start}["{LEAK}"]}}]}}'):
        stage = make_stage(environment=DEBUG)
        stage.faults.add("ssm", "GetParameters", fault=Body(content.encode()))
        delivery = stage.github.webhooks.deliver("ping", "", {})
        assert until(lambda: delivery.status)  # noqa: B023
        assert delivery.status == 503
        stage.calls.add(stage.calls.of("ssm")[0])
        assert leaks(stage, everything_kept(stage)) == set()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"No workflow at /workflows/very-secret-token?sig=sesame"),
        (302, b"/workflows/very-secret-token?sig=sesame"),
        (401, b'{"error":{"code":"/workflows/very-secret-token?sig=sesame"}}'),
    ],
)
def test_the_url_of_a_channel_is_not_quoted(make_stage, inboxes, status, body):
    inbox = inboxes(status=status, body=body)
    stage = make_stage(secrets={TEAMS: inbox.url, SLACK: inbox.url}, environment=DEBUG)
    assert stage.invoke("notify", batch(stage, "NotifyQueue", {"title": "t" * 1000}, receives=4))
    inbox.stop()
    assert stage.invoke("notify", batch(stage, "NotifyQueue", {"title": "u" * 1000}, receives=4))
    assert_nothing_leaked(stage)


def test_an_agent_that_gets_nonsense_does_not_quote_it(make_cloud):
    cloud = make_cloud(environment=DEBUG)
    cloud.hurry = 30
    cloud.machines.setup.config["parameter_limit_seconds"] = 5
    broken = f'{{"Parameter":{{"Value":"{{\\"version\\":1,\\"jit_config\\":\\"{LEAK}'
    for content in (broken, broken + '\\"}"}}'):
        name = "/scale-agent/runners/*"
        cloud.faults.add(
            "ssm", "GetParameter", match={"Name": name}, times=30, fault=Body(content.encode())
        )
        cloud.github.queue_job(REPOSITORY, LABELS)
    cloud.faults.add("events", "PutEvents", times=2, fault=Throttle())
    cloud.faults.add("ssm", "DeleteParameter", times=2, fault=Cut())
    assert until(lambda: len(cloud.hooks.ended) >= 2)
    cloud.faults.clear()
    assert cloud.idle()
    assert_nothing_leaked(cloud)


def test_a_ladder_without_end_shows_nothing(make_stage):
    stage = make_stage(environment=DEBUG)
    stage.faults.add("ec2", "RunInstances", fault=Capacity())
    assert queued(stage, job_message()) == []
    assert_nothing_leaked(stage)
