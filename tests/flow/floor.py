# SPDX-License-Identifier: MIT
"""One machine with the agent, and nothing around it that moves.

A test of the agent makes the instance, its runner and its hand-over, as the scaler would have,
switches the machine on, and looks at what the agent did:

    with Floor(make_stage(make_machines=Machines)) as floor:
        floor.script(LISTENS, STARTS, ENDS).put().run()
        floor.report("ready", "job_started", "finished")
"""

from __future__ import annotations

import json
from typing import Any

from helpers import LABELS, REPOSITORY

from cloud.cloud import Cloud
from cloud.limits import PATIENCE, until
from cloud.machines.machine import SHUT_DOWN, Machine

SCOPE = f"repos/{REPOSITORY}"
LISTENS = "echo '2026-11-23 18:00:00Z: Listening for Jobs'"
STARTS = "echo '2026-11-23 18:00:01Z: Running job: build'"
ENDS = "echo '2026-11-23 18:00:02Z: Job build completed with result: Succeeded'"
UPDATES = "echo 'Runner update in progress, do not shutdown runner.'"
# How a script takes signals is its first line: once it has said something, it may be sent one.
PATIENT = "trap 'echo Exiting...; exit 0' INT"
STUBBORN = "trap '' INT TERM"
HANGS = "while :; do sleep 0.05; done"


# Opaque to the agent: any text.
TICKET = '1.0a1b2c3d.{"name":"über \\u0041 \\"so\\" 👍","job":7} .abc'


class Floor:
    """Where one machine stands."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        assert cloud.machines is not None
        self.machines = cloud.machines
        self.machines.setup.boot_seconds = 0.0
        self.machine: Machine
        self._order()

    def __enter__(self) -> Floor:
        return self

    def __exit__(self, *_: object) -> None:
        self.machines.stop()

    def _order(self) -> None:
        ec2 = self.cloud.client("ec2")
        image = ec2.describe_images(Owners=["self"])["Images"][0]["ImageId"]
        answer = ec2.run_instances(
            ImageId=image,
            MinCount=1,
            MaxCount=1,
            InstanceType="m7i.large",
            SubnetId=self.cloud.stack.subnets[0],
        )
        self.id = answer["Instances"][0]["InstanceId"]
        body = {"name": self.id, "labels": LABELS, "runner_group_id": 1}
        self.runner, self.jit_config = self.cloud.github.registry.register(SCOPE, body)
        self.name = f"{self.cloud.stack.prefix}/runners/{self.id}"

    def handover(self, **changes: Any) -> dict[str, Any]:
        """Make the hand-over of this machine; None leaves a member out."""
        document = {
            "version": 1,
            "jit_config": self.jit_config,
            "runner_id": self.runner.id,
            "prefix": self.cloud.stack.prefix,
            "spec": "linux-x64",
            "scope": SCOPE,
            "ticket": TICKET,
            "job": {
                "id": 7,
                "run_id": 70,
                "attempt": 1,
                "repository": REPOSITORY,
                "name": "build",
                "url": "https://github.com/octo-org/one/actions/runs/70/job/7",
            },
            "idle_limit_seconds": 60,
            "job_limit_seconds": 60,
            "times": {"queued": 1, "webhook": 2, "launched": 3, "handed_over": 4},
        }
        return {name: value for name, value in (document | changes).items() if value is not None}

    def put(self, value: str = "", **changes: Any) -> Floor:
        """Store the parameter, as the scaler does."""
        arn = f"arn:aws:ec2:{self.cloud.region}:{self.cloud.account}:instance/{self.id}"
        self.cloud.client("ssm").put_parameter(
            Name=self.name,
            Value=value or json.dumps(self.handover(**changes)),
            Type="SecureString",
            Tier="Advanced",
            Tags=[{"Key": "scale-agent:instance", "Value": arn}],
        )
        return self

    def configure(self, runner: dict[str, Any] | None = None, **changes: Any) -> Floor:
        """Change the agent's configuration."""
        config = self.machines.setup.config
        config |= changes
        config["runner"] = config["runner"] | (runner or {})
        return self

    def script(self, *lines: str) -> Floor:
        """Have a shell script in the place of the runner."""
        return self.configure(runner={"command": ["/bin/sh", "-c", "\n".join(lines)]})

    def switch_on(self, *arguments: str) -> Floor:
        """Boot the machine."""
        self.machines.setup.agent += arguments
        self.machines.launched([self.id], {"InstanceMarketOptions.MarketType": "spot"})
        assert self.machines.wait(lambda: self.id in self.machines.all)
        self.machine = self.machines.all[self.id]
        return self

    def run(self) -> Floor:
        """Have the machine live its life to its end."""
        return self.switch_on().ended()

    def ended(self) -> Floor:
        """Wait for the machine's end."""
        assert self.machine.off.wait(PATIENCE), self.text()
        return self

    def idles(self) -> Floor:
        """Wait until the machine has reported that no job came."""
        assert until(lambda: "idle" in [report["stage"] for report in self.reports()]), self.text()
        return self

    def deregister(self) -> Floor:
        """Delete the parameter, as the scaler does once GitHub has deregistered an idle runner."""
        self.idles().cloud.client("ssm").delete_parameter(Name=self.name)
        return self

    def stages(self) -> list[str]:
        """List the stages of the machine's life so far."""
        return [moment.stage for moment in self.machine.moments]

    def reports(self) -> list[dict[str, Any]]:
        """List the reports that EventBridge took."""
        calls = self.cloud.calls.of("events", "PutEvents")
        entries = [
            entry for call in calls if not call.error for entry in call.parameters["Entries"]
        ]
        assert {entry["Source"] for entry in entries} <= {"scale-agent.runner"}
        return [json.loads(entry["Detail"]) for entry in entries]

    def report(self, *stages: str) -> dict[str, Any]:
        """Give the last report; the reports were of these stages, in this order."""
        found = self.reports()
        assert [report["stage"] for report in found] == list(stages), self.text()
        return found[-1]

    def text(self) -> str:
        """Give all that the agent wrote."""
        path = self.machine.directory / "agent.log"
        return path.read_text() if path.exists() else ""

    def log(self) -> list[dict[str, Any]]:
        """List the agent's messages."""
        return [json.loads(line) for line in self.text().split("\n") if line]

    def says(self, words: str) -> bool:
        """Wait until the agent writes something."""
        until(lambda: words in self.text() or self.machine.off.is_set())
        return words in self.text()


def assert_ended_well(floor: Floor) -> None:
    """Assert that the machine turned itself off, and left its parameter only without a job.

    The parameter of a machine on which no job has started is the evidence by which the scaler gives
    its job back.
    """
    assert floor.machine.reason == SHUT_DOWN
    assert "shutdown" in floor.stages()
    calls = floor.cloud.calls.of("ssm", "DeleteParameter")
    if ": Running job: " in floor.text():
        assert floor.cloud.parameters() == []
    else:
        assert calls == []


def assert_failed(floor: Floor, *words: str, stages: tuple[str, ...] = ("failed",)) -> None:
    """Look whether the failure was reported with these words, and the machine went."""
    report = floor.report(*stages)
    for word in words:
        assert word in report["reason"]
    assert_ended_well(floor)
