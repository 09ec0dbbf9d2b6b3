# SPDX-License-Identifier: MIT
"""The local cloud's machines as virtual ones: RunInstances boots a disk.

    with Cloud(make_github=GitHub, make_machines=VirtualMachines) as cloud: ...

The guest knows AWS and GitHub by their real names; the image's /etc/hosts and certificates lead
them to the gates opened here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cloud.aws.stack import REGION
from cloud.machines.fleet import Machines

from .gate import Gate, make_context
from .machine import VirtualMachine, VmSetup

IMAGE = Path(os.environ.get("VM_IMAGE", "build/vm/image")).absolute()
HOSTED = Path("build/vm/hosted").absolute()
BROKER = "broker.actions.githubusercontent.com"
AWS_NAMES = [f"{service}.{REGION}.amazonaws.com" for service in ("ssm", "events")]
AWS_ADDRESS, GITHUB_ADDRESS = "169.254.169.20:443", "169.254.169.21:443"


class VirtualMachines(Machines):
    """Boots the instances that RunInstances made."""

    make = VirtualMachine
    image = IMAGE

    def __init__(self, cloud: Any) -> None:
        super().__init__(cloud)
        context = make_context(self.image, [*AWS_NAMES, BROKER])
        broker = cloud.github.broker
        self.gates = {
            AWS_ADDRESS: Gate(context, int(cloud.aws_url.rpartition(":")[2])),
            GITHUB_ADDRESS: Gate(context, int(broker.url.rpartition(":")[2])),
        }
        broker.registry.server_url = f"https://{BROKER}"
        ways = {address: gate.port for address, gate in self.gates.items()}
        self.setup: VmSetup = VmSetup([], {}, image=self.image, ways=ways, boot_seconds=0.0)

    def stop(self) -> None:
        """End every machine at once, and close the gates."""
        super().stop()
        for gate in self.gates.values():
            gate.stop()


class HostedMachines(VirtualMachines):
    """The same, of PROFILE=hosted."""

    image = HOSTED
