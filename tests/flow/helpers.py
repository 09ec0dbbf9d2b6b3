# SPDX-License-Identifier: MIT
"""Helpers of flow tests: make messages and the events that carry them, and look at the results.

Most tests take one stage of a job's life (fixture `stage`): they make the message that the stage
before would have queued, invoke the function, and look at its calls, its answer and its output.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from cloud.aws.wire import Call
from cloud.cloud import Cloud
from cloud.faults import Body
from cloud.github.jobs import Job
from cloud.limits import until
from cloud.serve import Answer, Request, Server

# The handlers that a person may type, in the order of the help text.
HANDLERS = [
    "webhook",
    "queued",
    "register",
    "in_progress",
    "completed",
    "instance",
    "admit",
    "watch",
    "dead_letter",
    "notify",
]

REPOSITORY = "octo-org/one"
LABELS = ["self-hosted", "linux", "x64"]
RUN = ("ec2", "RunInstances")

Document = dict[str, Any]


def now_ms() -> int:
    """Give the time as messages have it."""
    return int(time.time() * 1000)


def job_message(number: int = 1, **changes: Any) -> Document:
    """Make the message about a job that `webhook` queues; None leaves a member out."""
    message = {
        "action": "queued",
        "id": number,
        "run_id": 1000 + number,
        "attempt": 1,
        "installation": 4711,
        "queued_ms": now_ms() - 3000,
        "webhook_ms": now_ms() - 1000,
        "repository": REPOSITORY,
        "name": f"build-{number}",
        "url": job_url(number),
        "spec": "linux-x64",
        "instance_type": "m7i.large",
        "labels": LABELS,
    }
    return {name: value for name, value in (message | changes).items() if value is not None}


def job_url(number: int = 1) -> str:
    """Give where people look at a job of `job_message`."""
    return f"https://github.com/{REPOSITORY}/actions/runs/{1000 + number}/job/{number}"


def batch(cloud: Cloud, queue: str, *bodies: Any, receives: int = 1, **record: Any) -> Document:
    """Make the event with which SQS hands messages to a function; texts are bodies as they are."""
    records = []
    for number, body in enumerate(bodies, 1):
        text = body if isinstance(body, str) else json.dumps(body)
        records.append(
            {
                "messageId": f"message-{number}",
                "body": text,
                "attributes": {"ApproximateReceiveCount": str(receives)},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": cloud.queue(queue).arn,
            }
            | record
        )
    return {"Records": records}


def failures(answer: Document) -> list[str]:
    """List the messages that a function wants to get again."""
    return [item["itemIdentifier"] for item in answer["batchItemFailures"]]


def waits_at_github(cloud: Cloud, message: Any) -> None:
    """Let GitHub have the job of a message that a test has made, as one that waits."""
    jobs = cloud.github.jobs
    if not isinstance(message, dict) or not {"id", "repository"} <= message.keys():
        return
    with jobs.changed:
        if all(job.id != message["id"] for job in jobs.all):
            job = Job(message["id"], message.get("run_id", 1), message["repository"], LABELS)
            jobs.all.append(job)


def launched(cloud: Cloud, *jobs: Any, **options: Any) -> tuple[list[str], list[Document]]:
    """Let `queued` work on jobs, which wait at GitHub: what failed, and what was sent on."""
    for job in jobs:
        waits_at_github(cloud, job)
    before = len(sent(cloud, "RegisterQueue"))
    failed = failures(cloud.invoke("queued", batch(cloud, "QueuedQueue", *jobs, **options)))
    return failed, [message["Body"] for message in sent(cloud, "RegisterQueue")[before:]]


def registered(cloud: Cloud, *messages: Any, **options: Any) -> list[str]:
    """Let `register` work on what `queued` has sent on, and give the messages that failed."""
    return failures(cloud.invoke("register", batch(cloud, "RegisterQueue", *messages, **options)))


def queued(cloud: Cloud, *jobs: Any, **options: Any) -> list[str]:
    """Let `queued` work on jobs, and `register` on those that have a machine: what failed."""
    failed, messages = launched(cloud, *jobs, **options)
    return failed + (registered(cloud, *messages) if messages else [])


def handed_over(cloud: Cloud) -> list[int]:
    """List the jobs whose runner configuration is stored, in order."""
    return sorted(parameter(cloud, name)["Document"]["job"]["id"] for name in cloud.parameters())


def ladder(run_scaler: Callable[..., Any], kind: str = "m7i.large") -> list[str]:
    """List the types of a ladder, as `scaler ladder` prints them."""
    return run_scaler("ladder", kind).stdout.split()


def launches(cloud: Cloud) -> list[Call]:
    """List the calls that asked for instances."""
    return cloud.calls.of("ec2", "RunInstances")


def offers(cloud: Cloud) -> list[tuple[str, str, str]]:
    """List where instances were asked for: type, subnet, market."""
    names = ("InstanceType", "SubnetId", "Market")
    return [tuple(call.parameters[name] for name in names) for call in launches(cloud)]


def configure(cloud: Cloud, config: Document | None = None, **changes: Any) -> None:
    """Store another configuration, or one with another first spec; for functions yet to start."""
    config = json.loads(json.dumps(config or cloud.config))
    config["specs"][0] |= changes
    cloud.config = config
    cloud.put_document("config", json.dumps(config))


def sent(cloud: Cloud, queue: str) -> list[Document]:
    """List the messages that functions put into a queue: call parameters, with Body decoded."""
    found = []
    for call in cloud.calls:
        if call.service != "sqs" or not call.action.startswith("SendMessage") or call.error:
            continue
        if not call.parameters["QueueUrl"].endswith(f"/{cloud.queue(queue).name}"):
            continue
        for message in call.parameters.get("Entries") or [call.parameters]:
            found.append(message | {"Body": _decoded(message["MessageBody"])})
    return found


def attributes(message: Document) -> dict[str, str]:
    """Give the attributes of a message that was sent, as texts."""
    given = message.get("MessageAttributes", {})
    return {name: value["StringValue"] for name, value in given.items()}


def told(cloud: Cloud) -> list[Document]:
    """List the notifications that were queued for people, with facts by name."""
    return [
        message["Body"] | {"facts": {f["name"]: f["value"] for f in message["Body"]["facts"]}}
        for message in sent(cloud, "NotifyQueue")
    ]


def log(cloud: Cloud, who: str) -> list[Document]:
    """List a function's log records: its lines of JSON that are not metrics."""
    lines = [_decoded(line) for name, line in cloud.logs if name == who]
    return [line for line in lines if isinstance(line, dict) and "_aws" not in line]


def complaints(cloud: Cloud, who: str) -> str:
    """Give all that a function logged as an error or a warning, as one text."""
    return "\n".join(
        json.dumps(line) for line in log(cloud, who) if line.get("level") in ("error", "warning")
    )


def metrics(cloud: Cloud, who: str, name: str) -> list[Document]:
    """List the metric documents of a function that have a metric of this name."""
    return [document for document in cloud.metrics(who) if name in document]


def parameter(cloud: Cloud, name: str) -> Document:
    """Read a hand-over."""
    found = cloud.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]
    return found | {"Document": json.loads(found["Value"])}


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def forget(cloud: Cloud, handler: str) -> None:
    """End the processes of a function once they are idle, as Lambda does after some minutes."""
    host = cloud.hosts[cloud.functions[handler].name]
    until(lambda: not host.busy)
    for pid in host.pids:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not host.pids)


def queue_jobs(cloud: Cloud, count: int, **options: Any) -> list[Job]:
    """Have jobs wait at GitHub, and their webhooks sent."""
    return [cloud.github.queue_job(REPOSITORY, LABELS, **options) for _ in range(count)]


def all_done(cloud: Cloud, jobs: list[Job]) -> None:
    """Wait for the end of jobs and of all that follows, and see that nothing is left."""
    done = until(lambda: all(job.state == "completed" for job in jobs))
    assert done, [(job.id, job.state) for job in jobs]
    assert cloud.idle(), cloud.busy()
    # A watch that becomes due at this very moment is worked on, and then it is gone.
    assert until(lambda: cloud.left() == []), cloud.left()
    assert cloud.github.violations == []


def all_served(cloud: Cloud, jobs: list[Job]) -> None:
    """Wait as `all_done`, and see that each job succeeded on one runner."""
    all_done(cloud, jobs)
    assert {job.conclusion for job in jobs} == {"success"}
    assert [job for job in jobs if len(job.runners) != 1] == []


def machines_of(cloud: Cloud) -> int:
    """Count the machines that there ever were."""
    return len(cloud.machines.all)


class Inbox:
    """A web server that stands in for Teams or Slack: it keeps what is posted to it."""

    def __init__(self, status: int = 202, body: bytes = b""):
        self.status, self.body = status, body
        self.messages: list[Document] = []
        self.requests: list[Request] = []
        self._server = Server(self._take, name="inbox").start()
        self.url = f"http://127.0.0.1:{self._server.port}/workflows/very-secret-token?sig=sesame"

    def stop(self) -> None:
        """Be down: refuse connections."""
        self._server.stop()

    def _take(self, request: Request) -> Answer:
        self.requests.append(request)
        self.messages.append(_decoded(request.body.decode()))
        return Answer(self.status, self.body)


AGED = "2026-01-02T03:04:05.000Z"  # long before any test


def find_something_to_recover(cloud: Cloud, *jobs: Document) -> list[str]:
    """Launch for three jobs; EC2 and SSM show what became of them to the next sweep of `recover`.

    The first machine is past its lifetime, the second hangs, the third is gone, of which nobody was
    told. Their ids are returned.
    """
    assert queued(cloud, *jobs) == []
    by_job = {parameter(cloud, one)["Document"]["job"]["id"]: one for one in cloud.parameters()}
    names = [by_job[job["id"]] for job in jobs]
    overdue, hanging, gone = ids = [name.rpartition("/")[2] for name in names]
    cloud.client("ec2").terminate_instances(InstanceIds=[gone])
    stored = [{"Name": name, "LastModifiedDate": 1.7e9} for name in names[1:]]
    stored_answer = Body(json.dumps({"Parameters": stored}).encode())
    cloud.faults.add("ssm", "DescribeParameters", times=1, fault=stored_answer)
    machines = aged_instance(overdue, lifetime="60") + aged_instance(hanging)
    document = f"""<DescribeInstancesResponse><reservationSet><item><instancesSet>{machines}
        </instancesSet></item></reservationSet></DescribeInstancesResponse>"""
    match = {"Filter.1.Name": "tag:scale-agent:prefix"}
    cloud.faults.add("ec2", "DescribeInstances", match, 1, Body(document.encode()))
    return ids


def aged_instance(name: str, state: str = "running", **tags: str) -> str:
    """Describe an instance that was launched long ago, as EC2 does."""
    given = {"scope": f"repos/{REPOSITORY}", "installation": "4711"} | tags
    items = "".join(
        f"<item><key>scale-agent:{key}</key><value>{value}</value></item>"
        for key, value in given.items()
    )
    return f"""<item><instanceId>{name}</instanceId><launchTime>{AGED}</launchTime>
        <instanceState><name>{state}</name></instanceState>
        <stateReason><code>Client.InstanceInitiatedShutdown</code></stateReason>
        <tagSet>{items}</tagSet></item>"""


def store_breaker(cloud: Cloud, spec: str = "linux-x64", **members: int) -> None:
    """Put the circuit breakers of a spec into a state, for functions yet to start."""
    name = f"{cloud.stack.prefix}/breakers/{spec}"
    value = json.dumps({"version": 1, **members})
    cloud.client("ssm").put_parameter(Name=name, Value=value, Type="String", Overwrite=True)


def breaker(cloud: Cloud, spec: str = "linux-x64") -> Document:
    """Read the circuit breakers of a spec; {} where there are none."""
    found = cloud.client("ssm").get_parameters_by_path(Path=f"{cloud.stack.prefix}/breakers")
    values = {one["Name"].rpartition("/")[2]: one["Value"] for one in found["Parameters"]}
    return json.loads(values[spec]) if spec in values else {}
