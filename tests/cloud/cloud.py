# SPDX-License-Identifier: MIT
"""The local cloud, put together.

    with Cloud(make_github=GitHub, make_machines=Machines) as cloud:
        job = cloud.github.queue_job("octo-org/one", ["self-hosted", "linux", "x64"])
        assert cloud.idle()
        assert cloud.left() == []

What exists in it is read from scaler/template.yaml. `reset` gives a fresh cloud, with other options
if a test needs them, much faster than a start. Two settings make it faster than AWS: `retry_delay`
is when a failed message comes back, and `hurry` divides the delay of parked messages.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import settings
from .aws import grants
from .aws.events import EventBus, Poller
from .aws.fleets import Fleets
from .aws.function_url import FunctionUrl
from .aws.lambda_host import Host
from .aws.policy import Policies
from .aws.proxy import Aws, Calls
from .aws.sandbox import FunctionError, Sandbox
from .aws.services import Launches, Messages
from .aws.stack import ACCOUNT, REGION, Moto, Stack
from .aws.template import Function, Queue, Template
from .fault_sets import SETS
from .faults import Faults
from .headers import read_fast
from .hooks import Hooks
from .settings import Options
from .view import Log, View


class Cloud(View):
    """One AWS account with the stack in it, a GitHub beside it, and the machines."""

    def __init__(self, directory: Path | None = None, **options: Any):
        self.options = Options(**options)
        self._temporary = None if directory else tempfile.TemporaryDirectory(prefix="cloud-")
        self.directory = directory or Path(self._temporary.name)  # type: ignore[union-attr]
        self.region, self.account = REGION, ACCOUNT
        self.programs = self.options.programs.absolute()
        self.log_lines = Log(self.directory / "logs")
        self.moto: Moto | None = None
        self._prepared: Stack | None = None
        self._granted: Template | None = None
        self._github_port = 0  # kept, so that the stack that knows it can be used again
        self._running = False

    def __enter__(self) -> Cloud:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Cloud:
        """Start moto, create the stack, and begin to serve."""
        try:
            self._start()
        except BaseException:
            self._give_up()
            raise
        return self

    def _start(self) -> None:
        read_fast()
        self.log_lines = Log(self.directory / "logs")
        self.moto = self.moto or Moto(self.log_lines.directory / "moto.log")
        self.programs = self.options.programs.absolute()
        self.faults = Faults(sets=SETS)
        self.calls = Calls()
        self.failures: list[tuple[str, FunctionError]] = []
        self.hooks = Hooks(self)
        self.github = self.machines = None
        self._set_up(self.moto)
        self._make_aws(self.moto)
        self._make_functions()
        self._serve()

    def stop(self) -> None:
        """End every process and thread of the cloud."""
        self._halt()
        self._give_up()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _give_up(self) -> None:
        if self.moto is not None:
            self.moto.stop()
            self.moto = self._prepared = None

    def reset(self, **options: Any) -> Cloud:
        """Replace everything by a fresh cloud with these options; those left out get defaults."""
        self._halt()
        self.options = Options(**options)
        return self.start()

    def _set_up(self, moto: Moto) -> None:
        if self.options.make_github is not None:
            self.github = self.options.make_github(self.directory / "github", self.faults)
            self.github.start(self._github_port)
            self._github_port = self.github.port
        self.environment = settings.environment(self.github, self.options.environment)
        own = {"GitHubApiUrl": self.github.api_url} if self.github else {}
        parameters = own | self.options.parameters
        if self._prepared is None or self._prepared.parameters != parameters:
            self._prepared = Stack(moto, parameters)
            config = settings.configuration(self._prepared, self.github)
            self._prepared.store(settings.documents(config, self.github))
        self.stack = self._prepared.serve()
        self.config = self.options.config or settings.configuration(self.stack, self.github)
        documents = settings.documents(self.config, self.github) | self.options.secrets
        self.stack.store(documents)

    def _make_aws(self, moto: Moto) -> None:
        template = self.stack.template
        self.queues = {queue.arn: queue for queue in template.queues()}
        policies = Policies(
            template, self._parameter_tags, self._instance_tags, self._launch_template_id
        )
        self._check_grants(policies)
        self.aws = Aws(
            moto.port,
            self.faults,
            Launches(lambda instance_id: instance_id in self.hooks.ended),
            Messages(),
            policies,
            self.stack.sessions,
            self.hooks.table(),
            self.calls,
            lambda line: self.log("aws", line),
            fleets=Fleets(self.faults, self._zone, self._template_metadata),
        )
        queues, sqs = self.queues, self.client("sqs")
        self.bus = EventBus(
            template.rules(), queues, sqs, self.region, self.account, self.hooks.sent
        )

    def _check_grants(self, policies: Policies) -> None:
        """Look once at the template of each stack that is prepared."""
        if self._granted is self.stack.template:
            return
        missing = grants.missing(self.stack.template, policies)
        if missing:
            raise RuntimeError("the stack would not work in AWS: " + "; ".join(missing))
        self._granted = self.stack.template

    def _make_functions(self) -> None:
        template = self.stack.template
        functions = [
            replace(function, timeout=function.timeout * self.options.time_limits)
            for function in template.functions()
        ]
        self.functions = {function.handler: function for function in functions}
        self.hosts = {
            function.name: Host(function, self._sandbox, self._failed) for function in functions
        }
        origins: dict[str, str] = {}
        self.pollers = [
            Poller(
                mapping,
                self.queues[mapping.queue_arn],
                self.client("sqs"),
                self.region,
                self.hosts[mapping.function].invoke,
                origins,
                lambda line: self.log("poller", line),
                self.hooks.sent,
            )
            for mapping in template.mappings()
        ]

    def _failed(self, handler: str, error: FunctionError) -> None:
        self.failures.append((handler, error))
        self.log("lambda", f"{handler} failed: {error}")

    def _sandbox(self, function: Function) -> Sandbox:
        credentials = self.stack.credentials[function.name]
        environment = settings.function_environment(
            function, credentials, self.region, self.aws_url, self.environment
        )
        command = self.options.command or [str(self.programs / "scaler")]

        def log(line: str) -> None:
            self.log(function.handler, line)

        return Sandbox(function, command, environment, self.directory, log)

    def _serve(self) -> None:
        self.front = FunctionUrl(self.hosts[self.stack.template.url_function()].invoke)
        self.webhook_url = self.front.url
        self.aws.start()
        self.front.start()
        for poller in self.pollers:
            poller.start()
        if self.github is not None:
            self.github.webhooks.url = self.webhook_url
        if self.options.make_machines is not None:
            self.machines = self.options.make_machines(self)
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
            host.release()
        for host in self.hosts.values():
            host.stop()
        for poller in self.pollers:
            poller.stop()
        self.aws.stop()
        self.hooks.stop()

    # -- what the other parts and the tests use ---------------------------------------------------

    @property
    def aws_url(self) -> str:
        """The endpoint of AWS for programs."""
        return self.aws.url

    def client(self, service: str) -> Any:
        """Make a boto3 client for the account's owner, which bypasses the proxy and its faults."""
        assert self.moto is not None
        return self.moto.client(service)

    def assume(self, role: str, session: str = "local") -> dict[str, str]:
        """Open a session of a role of the stack; a machine's session is named as its instance."""
        return self.stack.assume(role, session)

    def put_document(self, name: str, value: str) -> None:
        """Store an SSM parameter below the prefix."""
        self.stack.put_document(name, value)

    def queue(self, logical_id: str) -> Queue:
        """Find a queue by its name in the template."""
        return next(queue for queue in self.queues.values() if queue.logical_id == logical_id)

    def poller(self, logical_id: str) -> Poller:
        """Find the poller of a queue by the queue's name in the template."""
        return next(one for one in self.pollers if one.queue.logical_id == logical_id)

    def invoke(self, handler: str, event: Any) -> Any:
        """Invoke the function of a handler and give its answer; raises FunctionError."""
        raw = event if isinstance(event, bytes) else json.dumps(event).encode()
        return json.loads(self.hosts[self.functions[handler].name].invoke(raw) or b"null")

    def put_event(self, source: str, detail_type: str, detail: dict[str, Any]) -> None:
        """Emit an event as AWS itself does."""
        self.bus.put(source, detail_type, detail)

    def instance_ended(self, instance_id: str, reason: str) -> None:
        """Terminate the instance of a machine that is off, and emit EC2's event."""
        self.hooks.instance_ended(instance_id, reason)

    def pending(self) -> int:
        """Count the consequences of calls that are still under way."""
        return self.hooks.pending

    @property
    def hurry(self) -> float:
        """The factor by which delayed messages come sooner."""
        return self.aws.messages.hurry

    @hurry.setter
    def hurry(self, factor: float) -> None:
        self.aws.messages.hurry = factor

    @property
    def retry_delay(self) -> int:
        """After how many seconds a failed message comes back."""
        return self.pollers[0].retry_delay

    @retry_delay.setter
    def retry_delay(self, seconds: int) -> None:
        for poller in self.pollers:
            poller.retry_delay = seconds

    def _parameter_tags(self, name: str) -> dict[str, str]:
        ssm = self.client("ssm")
        try:
            found = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)
        except ssm.exceptions.InvalidResourceId:
            return {}
        return {tag["Key"]: tag["Value"] for tag in found.get("TagList", [])}

    def _launch_template_id(self, name: str) -> str:
        if name in self.stack.launch_templates:
            return self.stack.launch_templates[name]
        filters = [{"Name": "launch-template-name", "Values": [name]}]
        found = self.client("ec2").describe_launch_templates(Filters=filters)["LaunchTemplates"]
        return found[0]["LaunchTemplateId"] if found else ""

    def _zone(self, subnet: str) -> str:
        if subnet in self.stack.zones:
            return self.stack.zones[subnet]
        filters = [{"Name": "subnet-id", "Values": [subnet]}]
        found = self.client("ec2").describe_subnets(Filters=filters)["Subnets"]
        return found[0]["AvailabilityZone"] if found else ""

    def _template_metadata(self, name: str) -> dict[str, str]:
        """What a launch template says about the metadata of a fleet's machines."""
        which = "LaunchTemplateId" if name.startswith("lt-") else "LaunchTemplateName"
        found = self.client("ec2").describe_launch_template_versions(**{which: name})
        data = found["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        options = data.get("MetadataOptions", {})
        return {f"MetadataOptions.{key}": str(value) for key, value in options.items()}

    def _instance_tags(self, instance_id: str) -> dict[str, str]:
        filters = [{"Name": "resource-id", "Values": [instance_id]}]
        found = self.client("ec2").describe_tags(Filters=filters)["Tags"]
        return {tag["Key"]: tag["Value"] for tag in found}
