# SPDX-License-Identifier: MIT
"""What the programs get: events, configuration, and the answers of the peer, as files."""

from __future__ import annotations

import base64
import json
import random
import ssl
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from tests.cloud.aws.function_url import event_of
from tests.cloud.github.jobs import Job
from tests.cloud.github.tls import make_app_key
from tests.cloud.github.webhooks import Webhooks, workflow_job_body
from tests.cloud.serve import Request

REGION = "eu-central-1"
ACCOUNT = "123456789012"
INSTALLATION = 4711
APP_ID = 12345
REPOSITORY = "octo-org/hello-world"
LABELS = ["self-hosted", "linux", "x64"]
SECRET = "6f0c54e2f1d94f7e9c1b0a7d38e2b5c4"
QUEUES = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/scale-agent-"
CA_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
JIT_BYTES = 2600  # GitHub's are about 3,500 characters in base64

CONFIG = {
    "github": {
        "app_id": APP_ID,
        "installations": [INSTALLATION],
        "repositories": ["octo-org/*"],
    },
    "specs": [
        {
            "name": "linux-x64",
            "labels": LABELS,
            "instance_type": "m7i.large",
            "launch_template": "scale-agent",
            "subnets": ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002"],
        }
    ],
}

ENVIRONMENT = {
    "AWS_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "ASIAEXAMPLEEXAMPLE00",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_SESSION_TOKEN": base64.b64encode(random.Random(1).randbytes(700)).decode(),
    "QUEUED_QUEUE_URL": QUEUES + "queued.fifo",
    "REGISTER_QUEUE_URL": QUEUES + "register.fifo",
    "WATCH_QUEUE_URL": QUEUES + "watch",
    "IN_PROGRESS_QUEUE_URL": QUEUES + "in-progress",
    "COMPLETED_QUEUE_URL": QUEUES + "completed",
    "LIMITED_QUEUE_URL": QUEUES + "limited.fifo",
    "PACED_QUEUE_URL": QUEUES + "paced.fifo",
    "PARKED_QUEUE_URL": QUEUES + "parked",
    "NOTIFY_QUEUE_URL": QUEUES + "notify.fifo",
    "DEAD_LETTER_QUEUE_URL": QUEUES + "dead-letters",
    "MAX_RECEIVE_COUNT": "4",
}
"""What the stack's template sets, with the credentials that Lambda adds."""


def environment(handler: str, **settings: str) -> dict[str, str]:
    """Return the environment of one function."""
    return {**ENVIRONMENT, "_HANDLER": handler, **settings}


def write(folder: Path, name: str, content: Any) -> None:
    """Write one answer: bytes, text, or a JSON document."""
    if not isinstance(content, (bytes, str)):
        content = json.dumps(content, separators=(",", ":"))
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def parameter(folder: Path, name: str, value: str) -> None:
    """Write what SSM answers about one parameter."""
    write(folder, f"GetParameter.{name.rpartition('/')[2]}", {"Parameter": {"Value": value}})


def settings(folder: Path, values: dict[str, str]) -> None:
    """Write what SSM answers about the configuration and secrets, alone and together."""
    for name, value in values.items():
        parameter(folder, name, value)
    found = [{"Name": name, "Value": value} for name, value in values.items()]
    write(folder, "GetParameters", {"Parameters": found})


def job(number: int) -> Job:
    """Make a queued job."""
    return Job(34_000_000_000 + number, 12_000_000_000 + number, REPOSITORY, LABELS)


def delivery(steps: int = 0) -> dict[str, Any]:
    """Make GitHub's delivery for a queued job, as the function URL passes it on."""
    webhooks = Webhooks(SECRET, INSTALLATION, APP_ID)
    content = workflow_job_body(job(1), "queued", INSTALLATION)
    content["workflow_job"]["steps"] = [step(number) for number in range(steps)]
    body = json.dumps(content, separators=(",", ":"))
    made = webhooks.make("workflow_job", "queued", body.encode())
    webhooks.stop()
    headers = {name.lower(): value for name, value in made.headers.items()}
    return event_of(Request("POST", "/", {}, headers, made.body))


def step(number: int) -> dict[str, Any]:
    """Make one step of a job, as deliveries list them."""
    return {
        "name": f"Run a step with a name of about the usual length, and number {number}",
        "status": "queued",
        "conclusion": None,
        "number": number,
        "started_at": "2026-01-01T00:00:00Z",
        "completed_at": None,
    }


def record(number: int, queue: str = "queued.fifo", **more: Any) -> dict[str, Any]:
    """Make one message about a job in a queue, as Lambda passes it on."""
    now = int(datetime.now(timezone.utc).timestamp() * 1000)
    made = job(number)
    message = {
        "action": "queued",
        "id": made.id,
        "run_id": made.run_id,
        "attempt": 1,
        "installation": INSTALLATION,
        "queued_ms": now,
        "webhook_ms": now,
        "repository": REPOSITORY,
        "name": made.name,
        "url": f"https://github.com/{REPOSITORY}/actions/runs/{made.run_id}/job/{made.id}",
        "spec": "linux-x64",
        "instance_type": "m7i.large",
        "labels": LABELS,
    } | more
    return {
        "messageId": f"059f36b4-87a3-44ab-83d2-{number:012}",
        "receiptHandle": base64.b64encode(random.Random(number).randbytes(120)).decode(),
        "body": json.dumps(message),
        "attributes": {"ApproximateReceiveCount": "1"},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:scale-agent-{queue}",
        "awsRegion": REGION,
    }


def launched(number: int) -> dict[str, Any]:
    """Make one message of register.fifo."""
    machine = {"instance": f"i-{number:017x}", "machine_type": "m7i.large", "account": ACCOUNT}
    now = int(datetime.now(timezone.utc).timestamp() * 1000)
    return record(number, "register.fifo", action="launched", launched_ms=now, **machine)


def instances_xml(count: int) -> str:
    """Make EC2's answer to a launch of COUNT instances."""
    items = "".join(
        f"<item><instanceId>i-{number:017x}</instanceId><imageId>ami-0abc</imageId>"
        f"<amiLaunchIndex>{number}</amiLaunchIndex>"
        "<instanceState><code>0</code><name>pending</name></instanceState>"
        "<instanceType>m7i.large</instanceType><placement><availabilityZone>eu-central-1a"
        "</availabilityZone></placement><instanceLifecycle>spot</instanceLifecycle></item>"
        for number in range(count)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><RunInstancesResponse '
        'xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>b3b0ea43</requestId>'
        f"<reservationId>r-1</reservationId><ownerId>{ACCOUNT}</ownerId><groupSet/>"
        f"<instancesSet>{items}</instancesSet></RunInstancesResponse>"
    )


def write_scaler(folder: Path, event: Any, batch: int = 0) -> None:
    """Write all answers that `webhook`, `queued` and `register` need."""
    hour = datetime.now(timezone.utc) + timedelta(hours=1)
    write(folder, "next", event)
    write(folder, "response", {"status": "OK"})
    write(folder, "SendMessage", {"MessageId": "5fea7756-0ea4-451a-a703-a558b933e274"})
    write(folder, "SendMessageBatch", {"Successful": [], "Failed": []})
    write(folder, "RunInstances", instances_xml(batch))
    write(folder, "PutParameter", {"Tier": "Standard", "Version": 1})
    write(folder, "GetParametersByPath", {"Parameters": []})
    write(
        folder,
        "access_tokens",
        {"token": "ghs_" + "x" * 36, "expires_at": hour.strftime("%Y-%m-%dT%H:%M:%SZ")},
    )
    write(folder, "generate-jitconfig", {"runner": {"id": 23}, "encoded_jit_config": jit()})
    values = {
        "config": json.dumps(CONFIG),
        "github/webhook-secret": SECRET,
        "github/private-key": make_app_key()[0],
    }
    settings(folder, {f"/scale-agent/{name}": value for name, value in values.items()})
    parameter(folder, "/scale-agent/ticket-key", "0123456789abcdef" * 4)


def make_certificates(folder: Path) -> Path:
    """Write an authority, and the peer's certificate with its key: RSA, as those of AWS are."""
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-keyout"]
    authority, own = folder / "ca.pem", folder / "server.crt"
    for command in (
        [*new, folder / "ca.key", "-out", authority, "-subj", "/CN=Bench CA"],
        [*new, folder / "server.key", "-out", own, "-subj", "/CN=localhost",
         "-CA", authority, "-CAkey", folder / "ca.key",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-addext", "basicConstraints=critical,CA:FALSE"],
    ):  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
    chain = (folder / "server.key").read_text() + own.read_text()
    (folder / "server.pem").write_text(chain)
    return authority


def write_trust(folder: Path) -> tuple[Path, Path, int]:
    """Write the peer's certificate, and a bundle of it and the system's authorities to trust."""
    own = make_certificates(folder)
    system = Path(ssl.get_default_verify_paths().openssl_cafile)
    for path in (system, *map(Path, CA_FILES)):
        if path.is_file():
            trusted = path.read_text() + "\n" + own.read_text()
            break
    else:
        trusted = own.read_text()
    bundle = folder / "trusted.pem"
    bundle.write_text(trusted)
    return folder / "server.pem", bundle, trusted.count("BEGIN CERTIFICATE")


def write_trust_forms(folder: Path) -> tuple[Path, dict[str, Path]]:
    """Write the peer's certificate, and the authorities to trust in each form that there is.

    As a bundle, as a folder like the zip's with a file for each, and the peer's own alone.
    """
    server, bundle, _ = write_trust(folder)
    authorities = folder / "authorities"
    authorities.mkdir(exist_ok=True)
    for number, text in enumerate(bundle.read_text().split("-----BEGIN CERTIFICATE-----")[1:]):
        path = authorities / f"{number}.pem"
        path.write_text("-----BEGIN CERTIFICATE-----" + text)
    subprocess.run(["openssl", "rehash", authorities], check=True, capture_output=True)
    return server, {"bundle": bundle, "folder": authorities, "authority": folder / "ca.pem"}


def jit() -> str:
    """Make something as long as a JIT configuration."""
    return base64.b64encode(random.Random(2).randbytes(JIT_BYTES)).decode()


def write_agent(folder: Path) -> None:
    """Write all answers that the agent needs."""
    instance = "i-0123456789abcdef0"
    handover = {
        "version": 1,
        "jit_config": jit(),
        "runner_id": 23,
        "prefix": "/scale-agent",
        "spec": "linux-x64",
        "scope": f"repos/{REPOSITORY}",
        "job": {"id": 1, "run_id": 2, "attempt": 1, "repository": REPOSITORY, "name": "build"},
        "idle_limit_seconds": 300,
        "job_limit_seconds": 21600,
        "times": {},
    }
    identity = {
        "instanceId": instance,
        "instanceType": "m7i.large",
        "availabilityZone": REGION + "a",
        "region": REGION,
        "accountId": ACCOUNT,
    }
    credentials = {
        "Code": "Success",
        "AccessKeyId": ENVIRONMENT["AWS_ACCESS_KEY_ID"],
        "SecretAccessKey": ENVIRONMENT["AWS_SECRET_ACCESS_KEY"],
        "Token": ENVIRONMENT["AWS_SESSION_TOKEN"],
        "Expiration": (datetime.now(timezone.utc) + timedelta(hours=6)).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        ),
    }
    write(folder, "token", "AQAEA" + "x" * 51)
    write(folder, "identity", identity)
    write(folder, "role", "scale-agent-runner")
    write(folder, "credentials", credentials)
    write(folder, "DeleteParameter", {})
    write(folder, "PutEvents", {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]})
    parameter(folder, f"/scale-agent/runners/{instance}", json.dumps(handover))
