# SPDX-License-Identifier: MIT
"""One job on one virtual machine, and what a test asks about them.

    stand = Stand(cloud).queue(script="id -un")
    stand.ends("success")

Emulation is slow, and its speed depends on the host's load: no test here is about time, and every
wait is long enough for a busy host.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from cloud.cloud import Cloud
from cloud.github.jobs import Job
from cloud.github.stand_in import INSTALLATION
from cloud.limits import PATIENCE, until

from .handover import put_handover
from .machine import VirtualMachine

REPOSITORY = "octo-org/one"
LABELS = ["self-hosted", "linux", "x64"]
MACHINE_PATIENCE = 2 * PATIENCE  # an emulated machine boots and works slowly
LONG_JOB_PATIENCE = 4 * MACHINE_PATIENCE  # a job of many steps


class Stand:
    """A test of one machine."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.job: Job
        self.machine: VirtualMachine

    def set_up(self, **changes: Any) -> Stand:
        """Change fields of the machine's VmSetup."""
        setup = dataclasses.replace(self.cloud.machines.setup, **changes)
        self.cloud.machines.setup = setup
        return self

    def with_hand(self) -> Stand:
        """Start the guest's end of the hand, for machine.hand()."""
        return self.set_up(append=f"{self.cloud.machines.setup.append} hand".strip())

    def as_on_ec2(self) -> Stand:
        """Let the machine boot with all that the image has."""
        return self.set_up(is_whole=True)

    def queue(self, **options: Any) -> Stand:
        """Let GitHub queue a job, and wait until its machine is on."""
        self.job = self.cloud.github.queue_job(REPOSITORY, LABELS, **options)
        self.machine = self._machine()
        return self

    def launch_alone(self) -> Stand:
        """Launch a machine that gets no hand-over."""
        ec2 = self.cloud.client("ec2")
        answer = ec2.run_instances(
            ImageId=ec2.describe_images(Owners=["self"])["Images"][0]["ImageId"],
            MinCount=1,
            MaxCount=1,
            InstanceType="m7i.large",
            SubnetId=self.cloud.stack.subnets[0],
            TagSpecifications=[
                {
                    "ResourceType": "instance",
                    "Tags": [
                        {"Key": "scale-agent:prefix", "Value": self.cloud.stack.prefix},
                        {"Key": "scale-agent:spec", "Value": "linux-x64"},
                        {"Key": "scale-agent:installation", "Value": str(INSTALLATION)},
                        {"Key": "scale-agent:scope", "Value": f"repos/{REPOSITORY}"},
                    ],
                }
            ],
        )
        instance_id = answer["Instances"][0]["InstanceId"]
        self.cloud.machines.launched([instance_id], {"InstanceMarketOptions.MarketType": "spot"})
        self.machine = self._machine()
        return self

    def asked_in_vain(self) -> Stand:
        """Wait until the agent has asked for its parameter and got none."""

        def has_asked() -> bool:
            calls = self.cloud.calls.of("ssm", "GetParameter")
            return any(call.error and call.session == self.machine.id for call in calls)

        assert until(has_asked, MACHINE_PATIENCE)
        return self

    def hand_over(self, **options: Any) -> Stand:
        """Give a machine that was launched alone what it waits for: job, runner and parameter."""
        self.job = self.cloud.github.queue_job(REPOSITORY, LABELS, announce=False, **options)
        scope, name = f"repos/{REPOSITORY}", self.machine.id
        body = {"name": name, "labels": LABELS, "runner_group_id": 1}
        runner, jit_config = self.cloud.github.registry.register(scope, body)
        put_handover(
            self.cloud,
            name,
            jit_config=jit_config,
            runner_id=runner.id,
            scope=scope,
            job={
                "id": self.job.id,
                "run_id": self.job.run_id,
                "attempt": 1,
                "repository": REPOSITORY,
                "name": self.job.name,
                "url": f"https://github.com/{REPOSITORY}/actions/runs/{self.job.run_id}",
            },
            idle_limit_seconds=600,
            job_limit_seconds=600,
            times={"queued": 1, "webhook": 2, "launched": 3, "handed_over": 4},
        )
        return self

    def _machine(self) -> VirtualMachine:
        assert self.cloud.machines.wait(lambda: self.cloud.machines.all), "nothing was launched"
        return next(iter(self.cloud.machines.all.values()))

    def runs(self) -> Stand:
        """Wait until the job runs."""
        started = self.cloud.github.wait(lambda: self.job.state != "queued", MACHINE_PATIENCE)
        assert started and self.job.state == "in_progress", self.job
        return self

    def says(self, words: str, seconds: float = MACHINE_PATIENCE) -> Stand:
        """Wait until the machine's console has these words."""
        machine = self.machine
        until(lambda: words in machine.console or machine.off.is_set(), seconds)
        assert words in machine.console
        return self

    def powers_off(self) -> Stand:
        """Wait until the machine has powered itself off, and see that nothing is left."""
        assert self.machine.off.wait(MACHINE_PATIENCE), "the machine is still on"
        assert "pulled" not in [moment.stage for moment in self.machine.moments]
        assert self.cloud.idle(), self.cloud.busy()
        assert self.cloud.left() == []
        assert list(self.cloud.machines.all) == [self.machine.id], "one machine was enough"
        return self

    def ends(self, conclusion: str, seconds: float = MACHINE_PATIENCE) -> Stand:
        """Wait for the end of the job and of its machine."""
        ended = self.cloud.github.wait(lambda: self.job.state == "completed", seconds)
        assert ended, self.job
        assert self.job.conclusion == conclusion, self.job.output
        return self.powers_off()

    def reports(self) -> list[dict[str, Any]]:
        """List what the agent reported."""
        calls = self.cloud.calls.of("events", "PutEvents")
        entries = [
            entry for call in calls if not call.error for entry in call.parameters["Entries"]
        ]
        return [json.loads(entry["Detail"]) for entry in entries]

    def stages(self) -> list[str]:
        """Name the stages that the agent reported."""
        return [report["stage"] for report in self.reports()]
