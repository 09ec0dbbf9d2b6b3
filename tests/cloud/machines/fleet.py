# SPDX-License-Identifier: MIT
"""All machines of the local cloud: each instance that was launched boots and runs the agent.

The cloud says what was launched and what was terminated; a machine that ends by itself, dies, or is
taken back by EC2 tells the cloud. Faults are asked for with service "machine" and the actions
"boot" (a latency, or an error: it never comes up), "die" and "spot" (an event after some seconds).
"""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from pathlib import Path
from typing import Any

from ..faults import Event, Latency
from ..limits import PATIENCE
from ..serve import iso
from .machine import DIED, HERE, SPOT_TAKEN, TERMINATED, Machine, Moment, Setup
from .metadata import Facts, Metadata

SPOT_WARNING = "EC2 Spot Instance Interruption Warning"
SPOT_SECONDS = 120.0


class Machines:
    """Switches machines on and off; `all` has every machine that ever was, by instance id."""

    make: type[Machine] = Machine

    def __init__(self, cloud: Any) -> None:
        self.cloud = cloud
        self.all: dict[str, Machine] = {}
        self.moments: list[Moment] = []
        self.spot_seconds = SPOT_SECONDS
        self.directory: Path = cloud.directory / "machines"
        self.changed = threading.Condition()
        self.setup: Setup = Setup(
            [str(cloud.programs / "runner-agent")],
            default_config(),
            starter=cloud.programs / "starter",
        )
        self._known: set[str] = set()
        self._launching: list[str] = []
        self._terminated: set[str] = set()
        self._stopped = False

    def launched(self, instance_ids: list[str], request: dict[str, str]) -> None:
        """Boot the instances that RunInstances made, once each; `request` is the call's form."""
        with self.changed:
            fresh = [name for name in instance_ids if name not in self._known]
            self._known.update(fresh)
            self._launching += fresh
        if fresh:
            arguments = (fresh, dict(request), time.time())
            threading.Thread(target=self._launch, args=arguments, daemon=True).start()

    def terminated(self, instance_id: str) -> None:
        """Switch off the machine of a terminated instance, or do not switch it on."""
        with self.changed:
            self._terminated.add(instance_id)
            machine = self.all.get(instance_id)
        if machine is not None:
            machine.end(TERMINATED)

    def kill(self, instance_id: str) -> None:
        """Let a machine die without a word."""
        self.all[instance_id].end(DIED, gently=False)

    def interrupt(self, instance_id: str, in_seconds: float = SPOT_SECONDS) -> None:
        """Let EC2 take a spot machine back: the notice now, the end after `in_seconds`."""
        machine = self.all[instance_id]
        at = time.time() + in_seconds
        machine.metadata.notice(at)
        machine.note("spot notice", f"EC2 takes the machine back at {iso(at)}")
        detail = {"instance-id": instance_id, "instance-action": "terminate"}
        self.cloud.put_event("aws.ec2", SPOT_WARNING, detail)
        machine.at(in_seconds, lambda: machine.end(SPOT_TAKEN))

    def running(self) -> list[Machine]:
        """The machines that are on."""
        return [machine for machine in list(self.all.values()) if not machine.off.is_set()]

    def busy(self) -> list[str]:
        """List the machines that are about to be switched on, are on, or just went off."""
        with self.changed:
            alive = [name for name, machine in self.all.items() if not machine.over.is_set()]
            return [f"machine {name}" for name in self._launching + alive]

    def left(self) -> list[str]:
        """List the machines that are on and their states, for people."""
        return [f"machine {m.id} is still on ({m.state})" for m in self.running()]

    def wait(self, condition: Any, seconds: float = PATIENCE) -> bool:
        """Wait until something is true of the machines; False when the time is over."""
        with self.changed:
            return self.changed.wait_for(condition, seconds)

    def stop(self) -> None:
        """End every machine at once, without telling EC2."""
        with self.changed:
            self._stopped = True
            running = self.running()
        for machine in running:
            machine.end("the local cloud stops", gently=False)
        for machine in list(self.all.values()):
            machine.over.wait(PATIENCE)

    def _launch(self, instance_ids: list[str], request: dict[str, str], at: float) -> None:
        try:
            answer = self.cloud.client("ec2").describe_instances(InstanceIds=instance_ids)
            for reservation in answer["Reservations"]:
                for instance in reservation["Instances"]:
                    self._switch_on(self._facts(instance, request, at))
        except Exception as problem:  # nobody above us in this thread could tell
            self.cloud.log("machines", f"{', '.join(instance_ids)}: cannot boot: {problem!r}")
        finally:
            with self.changed:
                self._launching = [one for one in self._launching if one not in instance_ids]

    def _facts(self, instance: dict[str, Any], request: dict[str, str], at: float) -> Facts:
        market = request.get("InstanceMarketOptions.MarketType", "on-demand")
        shown = request.get("MetadataOptions.InstanceMetadataTags", "disabled")
        return Facts(
            instance_id=instance["InstanceId"],
            instance_type=instance["InstanceType"],
            zone=instance["Placement"]["AvailabilityZone"],
            region=self.cloud.region,
            account=self.cloud.account,
            image=instance["ImageId"],
            subnet=instance.get("SubnetId", ""),
            address=instance.get("PrivateIpAddress", ""),
            market=market,
            launched=at,
            tags={tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])},
            tags_shown=shown == "enabled",
        )

    def _switch_on(self, facts: Facts) -> None:
        def assume() -> dict[str, Any]:
            return self.cloud.assume("RunnerRole", session=facts.instance_id)

        metadata = Metadata(facts, assume, self.cloud.faults)
        setup = dataclasses.replace(self.setup)
        setup.environment = self._environment()
        never_boots = self._boot_faults(facts, setup)
        directory = self.directory / facts.instance_id
        with self.changed:
            if self._stopped or facts.instance_id in self._terminated:
                return
            machine = self.make(directory, metadata, setup, self._ended, self._tell)
            self.all[facts.instance_id] = machine
            if never_boots:
                machine.end(DIED, gently=False)  # comes before the boot, which is an alarm too
            machine.start()
        self._later_faults(machine)

    def _environment(self) -> dict[str, str]:
        own = {"AWS_ENDPOINT_URL": self.cloud.aws_url}
        return own | {k: str(v) for k, v in self.cloud.environment.items()} | self.setup.environment

    def _boot_faults(self, facts: Facts, setup: Setup) -> bool:
        faults = self.cloud.faults.take("machine", "boot", _parameters(facts))
        setup.boot_seconds += sum(f.seconds for f in faults if isinstance(f, Latency))
        return any(not isinstance(fault, Latency) for fault in faults)

    def _later_faults(self, machine: Machine) -> None:
        def taken() -> None:
            self.interrupt(machine.id, self.spot_seconds)

        def dies() -> None:
            self.kill(machine.id)

        for action, happen in (("spot", taken), ("die", dies)):
            for fault in self.cloud.faults.take("machine", action, _parameters(machine.facts)):
                if isinstance(fault, Event):
                    machine.at(machine.setup.boot_seconds + fault.seconds, happen)

    def _tell(self, moment: Moment) -> None:
        with self.changed:
            self.moments.append(moment)
            self.changed.notify_all()

    def _ended(self, machine: Machine) -> None:
        if not self._stopped and machine.reason != TERMINATED:
            self.cloud.instance_ended(machine.id, machine.reason)
        with self.changed:
            self.changed.notify_all()


def default_config() -> dict[str, object]:
    """The agent's configuration on these machines: the stand-in as runner, and short limits."""
    python = getattr(sys, "_base_executable", sys.executable)  # quicker than a venv's
    command = [python, "-I", "-S", str(HERE / "runner"), "run"]
    return {
        "runner": {"command": command},
        "parameter_limit_seconds": 30,
        "idle_limit_seconds": 60,
        "idle_poll_seconds": 1,
        "idle_grace_seconds": 1,
        "job_limit_seconds": 120,
        "stop_grace_seconds": 5,
        "spot_poll_seconds": 1,
    }


def _parameters(facts: Facts) -> dict[str, str]:
    return {
        "InstanceId": facts.instance_id,
        "InstanceType": facts.instance_type,
        "SubnetId": facts.subnet,
        "Market": facts.market,
    }
