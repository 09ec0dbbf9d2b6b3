# SPDX-License-Identifier: MIT
"""AWS's own emulators as processes, told what they need to know of the local cloud."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloud import settings
from cloud.cloud import Cloud
from cloud.limits import PATIENCE, until
from cloud.machines.fleet import Machines
from cloud.machines.machine import Machine, Setup
from cloud.serve import iso

TOOLS = Path(__file__).resolve().parents[2] / "build/tools/emulators"
INVOKE = "/2015-03-31/functions/function/invocations"


def free_port() -> int:
    """Find a port for a program that cannot choose one itself."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Emulator:
    """A process that listens on a port; `log` has what it and its children write."""

    def __init__(self, command: list[str], port: int, log: Path, **options: Any):
        self.port, self.log = port, log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                **options,
            )
        assert until(lambda: self._answers() or self.process.poll() is not None)
        assert self.process.poll() is None, self.text()

    def _answers(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def text(self) -> str:
        """Give all that was written so far."""
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        """End the process and its children."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class LambdaEmulator(Emulator):
    """One function: ./bootstrap with the handler as its argument, or in _HANDLER alone."""

    def __init__(self, cloud: Cloud, handler: str, directory: Path, as_argument: bool):
        function = cloud.functions[handler]
        environment = settings.function_environment(
            function,
            cloud.stack.credentials[function.name],
            cloud.region,
            cloud.aws_url,
            cloud.environment,
        )
        if as_argument:
            del environment["_HANDLER"]
        environment["AWS_LAMBDA_FUNCTION_TIMEOUT"] = str(int(function.timeout))
        bootstrap = directory / "bootstrap"
        if not bootstrap.exists():
            bootstrap.symlink_to(cloud.programs / "scaler")
        port = free_port()
        command = [str(TOOLS / "aws-lambda-rie")]
        command += ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
        command += ["--runtime-api-address", f"127.0.0.1:{free_port()}"]
        command += ["./bootstrap", *([handler] if as_argument else [])]
        log = directory / f"{handler}.log"
        super().__init__(command, port, log, cwd=directory, env=environment)

    def invoke(self, event: Any) -> Any:
        """Hand over one event and give the function's answer."""
        url = f"http://127.0.0.1:{self.port}{INVOKE}"
        request = urllib.request.Request(url, json.dumps(event).encode())
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.loads(answer.read())


@dataclass
class MockedSetup(Setup):
    """Settings of machines, with the arguments of their mock: none has a spot notice."""

    mock: list[str] = field(default_factory=lambda: ["spot", "--mock-delay-sec", "100000"])


class MockedMachine(Machine):
    """A machine that asks EC2's mock for its metadata."""

    setup: MockedSetup
    mock: Emulator

    def _environment(self) -> dict[str, str]:
        url = f"http://127.0.0.1:{self.mock.port}"
        return super()._environment() | {"AWS_EC2_METADATA_SERVICE_ENDPOINT": url}

    def start(self) -> None:
        """Start the mock with what the local cloud knows of this machine, then switch it on."""
        self.directory.mkdir(parents=True, exist_ok=True)
        port = free_port()
        config = self.directory / "mock.json"
        config.write_text(json.dumps({"metadata": self._values(), "dynamic": self._identity()}))
        command = [str(TOOLS / "ec2-metadata-mock"), *self.setup.mock, "--imdsv2"]
        command += ["--hostname", "127.0.0.1", "--port", str(port), "--config-file", str(config)]
        environment = {"HOME": str(self.directory)}
        self.mock = Emulator(command, port, self.directory / "mock.log", env=environment)
        super().start()

    def _values(self) -> dict[str, Any]:
        given = self.metadata._current_credentials()
        return {
            "values": {
                "instance-id": self.id,
                "instance-type": self.facts.instance_type,
                "placement-region": self.facts.region,
                "placement-availability-zone": self.facts.zone,
                "instance-life-cycle": "spot",
                "iam-security-credentials": given,
            }
        }

    def _identity(self) -> dict[str, Any]:
        document = {
            "accountId": self.facts.account,
            "availabilityZone": self.facts.zone,
            "imageId": self.facts.image,
            "instanceId": self.id,
            "instanceType": self.facts.instance_type,
            "pendingTime": iso(self.facts.launched),
            "region": self.facts.region,
            "version": "2017-09-30",
        }
        return {"values": {"instance-identity-document": document}}


class MockedMachines(Machines):
    """Machines whose metadata service is EC2's mock."""

    make = MockedMachine

    def __init__(self, cloud: Any) -> None:
        super().__init__(cloud)
        self.setup: MockedSetup = MockedSetup(**vars(self.setup))

    def end_mocks(self) -> None:
        """End the metadata services."""
        for machine in self.all.values():
            machine.mock.stop()
