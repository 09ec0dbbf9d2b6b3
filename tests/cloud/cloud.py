# SPDX-License-Identifier: MIT
"""The local cloud, put together.

    with Cloud(make_github=GitHub, make_machines=Machines) as cloud:
        job = cloud.github.queue_job("octo-org/one", ["self-hosted", "linux", "x64"])
        cloud.idle(30)
        assert cloud.left() == []

What exists in it is read from scaler/template.yaml. `reset` gives a fresh cloud, with other
settings where a test wants them, in a fraction of the time that a start takes. Two things are
quicker than in AWS, and can be set: `retry_delay`, after which a failed message comes back, and
`hurry`, which divides the delay of parked messages.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import settings
from .aws import Aws, Calls
from .events import EventBus, Poller
from .fault_sets import SETS
from .faults import Faults
from .function_url import FunctionUrl
from .functions import Host, Sandbox
from .policy import Policies
from .serve import Answer
from .services import Launches, Messages, instance_ids
from .stack import ACCOUNT, REGION, Moto, Stack
from .template import Function, Queue
from .wire import Call

if TYPE_CHECKING:
    from .github import GitHub
    from .machines import Machines

ENDED = "EC2 Instance State-change Notification"


class Cloud:
    """One AWS account with the stack in it, a GitHub beside it, and the machines.

    config      the scaler's configuration document; default: one spec, `settings.configuration`
    secrets     further SSM parameters, by name below the prefix, e.g. "notify/teams-webhook-urls"
    make_github, make_machines   the stand-ins; without them there is no GitHub and nothing boots
    environment what all functions and machines get, besides what is their own
    programs    where scaler and runner-agent are; `command` replaces the scaler, e.g. in a wrapper
    """

    def __init__(
        self,
        config: dict[str, Any] | None = None,
        *,
        secrets: dict[str, str] | None = None,
        make_github: Callable[[Path, Faults], GitHub] | None = None,
        make_machines: Callable[[Cloud], Machines] | None = None,
        environment: dict[str, str] | None = None,
        programs: Path | None = None,
        command: list[str] | None = None,
        directory: Path | None = None,
    ):
        self._temporary = None if directory else tempfile.TemporaryDirectory(prefix="cloud-")
        self.directory = directory or Path(self._temporary.name)  # type: ignore[union-attr]
        self.programs = (programs or settings.BUILD / "bin").absolute()
        self.command = command or [str(self.programs / "scaler")]
        self._given_environment = environment or {}
        self._config, self._secrets = config, secrets or {}
        self._make_github, self._make_machines = make_github, make_machines
        self.region, self.account = REGION, ACCOUNT
        self.moto: Moto | None = None
        self._running = False

    def __enter__(self) -> Cloud:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> Cloud:
        """Start moto, create the stack, and begin to serve."""
        self.moto = self.moto or Moto()
        self._forget()
        self._set_up()
        self._serve()
        return self

    def stop(self) -> None:
        """End every process and thread of the cloud."""
        self._halt()
        if self.moto is not None:
            self.moto.stop()
            self.moto = None
        if self._temporary is not None:
            self._temporary.cleanup()

    def reset(
        self,
        config: dict[str, Any] | None = None,
        secrets: dict[str, str] | None = None,
        environment: dict[str, str] | None = None,
        command: list[str] | None = None,
    ) -> Cloud:
        """Begin anew, with these settings; what is not given is the default."""
        self._halt()
        self._config, self._secrets = config, secrets or {}
        self._given_environment = environment or {}
        self.command = command or [str(self.programs / "scaler")]
        return self.start()

    def _forget(self) -> None:
        self.faults = Faults(sets=SETS)
        self.logs: list[tuple[str, str]] = []
        self.calls = Calls()
        self.github: GitHub | None = None
        self.machines: Machines | None = None
        self._ended: set[str] = set()
        self._log_lock = threading.Lock()
        self._pending = 0
        self._background = ThreadPoolExecutor(4, "cloud")
        (self.directory / "logs").mkdir(parents=True, exist_ok=True)

    def _set_up(self) -> None:
        assert self.moto is not None
        if self._make_github is not None:
            self.github = self._make_github(self.directory / "github", self.faults)
            self.github.start()
        self.environment = settings.environment(self.github, self._given_environment)
        parameters = {"GitHubApiUrl": self.github.api_url} if self.github else {}
        self.stack = Stack(self.moto, parameters)
        self.config = self._config or settings.configuration(self.stack, self.github)
        documents = settings.documents(self.config, self.github) | self._secrets
        for name, value in documents.items():
            self.put_document(name, value)
        self.stack.close_setup()

    def _serve(self) -> None:
        assert self.moto is not None
        stack, sqs = self.stack, self.client("sqs")
        self.queues = {queue.arn: queue for queue in stack.template.queues()}
        self.aws = Aws(
            self.moto.port,
            self.faults,
            Launches(lambda instance_id: instance_id in self._ended),
            Messages(),
            Policies(stack.template, self._parameter_tags, self._instance_tags),
            stack.sessions,
            self._hooks(),
            self.calls,
            lambda line: self.log("aws", line),
        )
        functions = stack.template.functions()
        self.functions = {function.handler: function for function in functions}
        self._credentials = {
            function.logical_id: self.assume(function.role, function.handler)
            for function in functions
        }
        self.hosts = {function.name: Host(function, self._sandbox) for function in functions}
        self.bus = EventBus(
            stack.template.rules(), self.queues, sqs, self.region, self.account, self._sent
        )
        origins: dict[str, str] = {}
        self.pollers = [
            Poller(
                mapping,
                self.queues[mapping.queue_arn],
                sqs,
                self.region,
                self.hosts[mapping.function].invoke,
                origins,
                lambda line: self.log("poller", line),
            )
            for mapping in stack.template.mappings()
        ]
        self.front = FunctionUrl(self.hosts[self.functions["webhook"].name].invoke)
        self.webhook_url = self.front.url
        self.aws.start()
        self.front.start()
        for poller in self.pollers:
            poller.start()
        if self.github is not None:
            self.github.webhooks.url = self.webhook_url
        if self._make_machines is not None:
            self.machines = self._make_machines(self)
        self._running = True

    def _halt(self) -> None:
        if not self._running:
            return
        self._running = False
        self.faults.stopped.set()
        if self.machines is not None:
            self.machines.stop()
        if self.github is not None:
            self.github.stop()
        self.front.stop()
        for host in self.hosts.values():
            host.stop()
        for poller in self.pollers:
            poller.stop()
        self.aws.stop()
        self._background.shutdown(wait=True, cancel_futures=True)

    # -- what the other parts and tests use ----------------------------------------------------

    @property
    def aws_url(self) -> str:
        """The endpoint of AWS for programs."""
        return self.aws.url

    def client(self, service: str) -> Any:
        """Give a boto3 client of the account's owner, straight to moto: no faults, no record."""
        assert self.moto is not None
        return self.moto.client(service)

    def assume(self, role: str, session: str = "local") -> dict[str, str]:
        """Open a session of a role of the stack; a machine's session is named as its instance."""
        return self.stack.assume(role, session)

    def put_document(self, name: str, value: str) -> None:
        """Store an SSM parameter below the prefix."""
        self.client("ssm").put_parameter(
            Name=f"{self.stack.prefix}/{name}", Value=value, Type="SecureString", Tier="Advanced",
            Overwrite=True,
        )  # fmt: skip

    def queue(self, logical_id: str) -> Queue:
        """Find a queue by its name in the template."""
        return next(queue for queue in self.queues.values() if queue.logical_id == logical_id)

    def poller(self, logical_id: str) -> Poller:
        """Find the poller of a queue by the queue's name in the template."""
        return next(one for one in self.pollers if one.queue.logical_id == logical_id)

    def invoke(self, handler: str, event: Any) -> Any:
        """Invoke the function of a handler and give its answer; raises FunctionError."""
        name = self.functions[handler].name
        raw = event if isinstance(event, bytes) else json.dumps(event).encode()
        return json.loads(self.hosts[name].invoke(raw) or b"null")

    def put_event(self, source: str, detail_type: str, detail: dict[str, Any]) -> None:
        """Emit an event as AWS itself does."""
        self.bus.put(source, detail_type, detail)

    def instance_ended(self, instance_id: str, reason: str) -> None:
        """Take note of a machine that is off: EC2 terminates it and says so, once."""
        with self._log_lock:
            if instance_id in self._ended:
                return
            self._ended.add(instance_id)
        self.log("ec2", f"{instance_id} ended: {reason}")
        self.client("ec2").terminate_instances(InstanceIds=[instance_id])
        self.put_event("aws.ec2", ENDED, {"instance-id": instance_id, "state": "terminated"})

    @property
    def hurry(self) -> float:
        """How many times sooner delayed messages come."""
        return self.aws.messages.hurry

    @hurry.setter
    def hurry(self, factor: float) -> None:
        self.aws.messages.hurry = factor

    def set_retry_delay(self, seconds: int) -> None:
        """Let failed messages come back after this many seconds."""
        for poller in self.pollers:
            poller.retry_delay = seconds

    # -- what can be seen ---------------------------------------------------------------------

    def log(self, who: str, line: str) -> None:
        """Keep a line of someone's output."""
        with self._log_lock:
            self.logs.append((who, line))
            with (self.directory / "logs" / f"{who}.log").open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    def metrics(self, handler: str = "") -> list[dict[str, Any]]:
        """Give the metrics that functions wrote, as the documents of CloudWatch's format."""
        return settings.metrics(self.logs, handler)

    def instances(self) -> list[dict[str, Any]]:
        """List the instances that are not terminated."""
        pages = self.client("ec2").describe_instances()["Reservations"]
        every = [one for page in pages for one in page["Instances"]]
        return [one for one in every if one["State"]["Name"] not in ("terminated", "shutting-down")]

    def messages(self) -> dict[str, int]:
        """Count the messages of each queue that has any: visible, in flight and delayed."""
        kinds = ("", "NotVisible", "Delayed")
        wanted = [f"ApproximateNumberOfMessages{kind}" for kind in kinds]
        found = {}
        for queue in self.queues.values():
            given = self.client("sqs").get_queue_attributes(
                QueueUrl=queue.url, AttributeNames=wanted
            )
            count = sum(int(value) for value in given.get("Attributes", {}).values())
            if count:
                found[queue.logical_id] = count
        return found

    def left(self) -> list[str]:
        """Tell what is left behind: instances, parameters, messages, runners; [] when clean."""
        path = f"{self.stack.prefix}/runners/"
        parameters = self.client("ssm").get_parameters_by_path(Path=path, Recursive=True)
        return [
            *(f"instance {one['InstanceId']}" for one in self.instances()),
            *(f"parameter {one['Name']}" for one in parameters["Parameters"]),
            *(f"{count} messages in {name}" for name, count in self.messages().items()),
            *(self.github.left() if self.github is not None else []),
        ]

    def busy(self) -> list[str]:
        """Tell what is in flight: invocations, messages that a function will get, instances."""
        polled = {poller.queue.logical_id for poller in self.pollers if not poller.paused}
        return [
            *(f"function {name}" for name, host in self.hosts.items() if host.busy),
            *(f"poller {one.queue.logical_id}" for one in self.pollers if one.busy),
            *(f"queue {name}" for name in self.messages() if name in polled),
            *(f"instance {one['InstanceId']}" for one in self.instances()),
            *(["events"] if self._pending else []),
        ]

    def idle(self, timeout: float = 30.0) -> bool:
        """Wait until nothing is in flight; False when the time is over."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if not self.busy() and not self.busy():  # twice, for what moved while we looked
                return True
            time.sleep(0.05)
        return False

    # -- wiring -------------------------------------------------------------------------------

    def _hooks(self) -> dict[tuple[str, str], Callable[[Call, Answer], None]]:
        def later(work: Callable[[Call, Answer], None]) -> Callable[[Call, Answer], None]:
            return lambda call, answer: self._submit(work, call, answer)

        return {
            ("sqs", "SendMessage"): self._queued,
            ("sqs", "SendMessageBatch"): self._queued,
            ("events", "PutEvents"): later(self._events_put),
            ("ec2", "RunInstances"): later(self._launched),
            ("ec2", "TerminateInstances"): later(self._terminated),
        }

    def _submit(self, work: Callable[[Call, Answer], None], call: Call, answer: Answer) -> None:
        def run() -> None:
            try:
                work(call, answer)
            except Exception as problem:
                self.log("cloud", f"{call.service} {call.action}: {problem!r}")
            finally:
                with self._log_lock:
                    self._pending -= 1

        with self._log_lock:
            self._pending += 1
        self._background.submit(run)

    def _queued(self, call: Call, _: Answer) -> None:
        name = str(call.parameters.get("QueueUrl", "")).rsplit("/", 1)[-1]
        delays = [one.get("DelaySeconds") or 0 for one in call.parameters.get("Entries", [])]
        delays.append(call.parameters.get("DelaySeconds") or 0)
        for delay in {float(one) for one in delays}:
            self._sent(f"arn:aws:sqs:{self.region}:{self.account}:{name}", delay / self.hurry)

    def _sent(self, queue_arn: str, delay: float = 0.0) -> None:
        for poller in self.pollers:
            if poller.queue.arn == queue_arn:
                poller.kick(delay)

    def _events_put(self, call: Call, answer: Answer) -> None:
        results = json.loads(answer.body)["Entries"]
        for entry, result in zip(call.parameters["Entries"], results, strict=True):
            if result.get("EventId"):
                detail = json.loads(entry["Detail"])
                known = {"id": result["EventId"], "resources": entry.get("Resources")}
                self.bus.put(entry["Source"], entry["DetailType"], detail, **known)

    def _launched(self, call: Call, answer: Answer) -> None:
        if self.machines is not None:
            request = {name: str(value) for name, value in call.parameters.items()}
            self.machines.launched(instance_ids(answer), request)

    def _terminated(self, call: Call, _: Answer) -> None:
        for instance_id in call.names("InstanceId"):
            if self.machines is not None:
                self.machines.terminated(instance_id, "TerminateInstances")
            self.instance_ended(instance_id, "TerminateInstances")

    def _sandbox(self, function: Function) -> Sandbox:
        credentials = self._credentials[function.logical_id]
        environment = settings.function_environment(
            function, credentials, self.region, self.aws_url, self.environment
        )
        return Sandbox(
            function,
            self.command,
            environment,
            self.directory,
            lambda line: self.log(function.handler, line),
        )

    def _parameter_tags(self, name: str) -> dict[str, str]:
        found = self.client("ssm").list_tags_for_resource(ResourceType="Parameter", ResourceId=name)
        return {tag["Key"]: tag["Value"] for tag in found.get("TagList", [])}

    def _instance_tags(self, instance_id: str) -> dict[str, str]:
        filters = [{"Name": "resource-id", "Values": [instance_id]}]
        found = self.client("ec2").describe_tags(Filters=filters)["Tags"]
        return {tag["Key"]: tag["Value"] for tag in found}
