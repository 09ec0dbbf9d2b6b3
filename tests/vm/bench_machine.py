# SPDX-License-Identifier: MIT
"""Boots one machine for `make bench-vm`, and asks it for times of its own clock.

All that the machine needs is there before it starts: the instance in the local cloud, and its
hand-over in SSM. The kernel traces the start of programs. In our image it also traces new routes
and threads, and the system calls that connect, send and receive, which slows down all programs.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloud.aws.stack import REGION
from cloud.cloud import Cloud
from cloud.machines.fleet import Machines
from cloud.machines.machine import TERMINATED
from cloud.machines.metadata import Facts

from .gate import Gate, make_context
from .handover import put_handover
from .machine import VirtualMachine, VmSetup, root_of
from .machines import AWS_ADDRESS, AWS_NAMES, GITHUB_ADDRESS, VirtualMachines

HERE = Path(__file__).resolve().parent
RUNNER = "/opt/actions-runner/bin/Runner.Listener"
ROLES = [*AWS_NAMES, f"ec2.{REGION}.amazonaws.com"]
NOTE_STARTS = "trace_clock=mono trace_buf_size=8M trace_event=sched:sched_process_exec"
NOTE_CALLS = "".join(
    f",{event}"
    for event in (
        "task:task_newtask", "sock:inet_sock_set_state", "syscalls:sys_enter_connect",
        "syscalls:sys_enter_sendto", "syscalls:sys_enter_recvfrom", "syscalls:sys_exit_recvfrom",
    )
) + " kprobe_event=p:route,fib_table_insert"  # fmt: skip
BOOT_SECONDS = 600.0
CONFIG_PATH = "/stock"
JOB = {"id": 1, "run_id": 2, "attempt": 1, "repository": "octo-org/one", "name": "b"}
JIT_CONFIG = "eyJiZW5jaCI6InRoZSBqdXN0LWluLXRpbWUgY29uZmlndXJhdGlvbiBvZiBhIHJ1bm5lciJ9" * 48

# Asked once, when the runner has started; nothing is asked while the machine boots.
QUESTIONS = (
    "cat /tmp/runner-started; "
    "cat /run/bench 2>/dev/null; "
    "echo == trace; mount -t tracefs none /mnt && cat /mnt/trace; "
    "echo == journal; journalctl -b -q -o json --output-fields=MESSAGE,_SOURCE_REALTIME_TIMESTAMP "
    "_SYSTEMD_UNIT=runner-agent.service"
)


class BenchError(Exception):
    """A machine did not reach its runner, or its times cannot be read."""


@dataclass
class Change:
    """What differs from the image: files (content, mode), names to remove, arguments, initrd."""

    files: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)
    append: str = ""
    without: list[str] = field(default_factory=list)
    initrd: Path | None = None


@dataclass
class Boot:
    """What one machine answered, and the seconds of a processor that QEMU used until the runner."""

    text: str
    cpu_seconds: float = 0.0


class BenchMachines(VirtualMachines):
    """The machines of a cloud, with the bench's user data."""

    user_data = ""

    def __init__(self, cloud: Cloud) -> None:
        Machines.__init__(self, cloud)  # the bench opens the gates, which differ by image
        self.gates = {}

    def _facts(self, instance: dict[str, Any], request: dict[str, str], at: float) -> Facts:
        facts = super()._facts(instance, request, at)
        return dataclasses.replace(facts, user_data=self.user_data)


def make_variant(image: Path, target: Path, change: Change) -> Path:
    """Copy an image and change the copy; return the folder to boot from."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    disk = target / "disk.raw"
    subprocess.run(["cp", "--sparse=always", image / "disk.raw", disk], check=True)
    for name in ("vmlinuz", "ca.pem", "ca.key"):
        (target / name).symlink_to((image / name).resolve())
    initrd = change.initrd or image / "initrd"
    if initrd.exists():
        (target / "initrd").symlink_to(initrd.resolve())
    words = (image / "cmdline").read_text().split()
    if missing := set(change.without) - set(words):
        raise BenchError(f"{image}/cmdline has no {' '.join(missing)} that could be left out")
    kept = [word for word in words if word not in change.without]
    (target / "cmdline").write_text(" ".join([*kept, change.append]) + "\n")
    for path in change.remove:
        if "Type: " not in _debugfs(disk, [f"stat {path}"]):
            raise BenchError(f"{path} cannot be removed: it is not on the disk of {image}")
    commands = [f"rm {path}" for path in [*change.remove, *change.files]]
    for number, (path, (content, mode)) in enumerate(change.files.items()):
        source = target / f"file-{number}"
        source.write_bytes(content)
        source.chmod(mode)
        folders = Path(path).parents
        commands += [f"mkdir {folder}" for folder in reversed(folders[:-1])]
        commands.append(f"write {source} {path}")
    _debugfs(disk, commands)
    for path in change.files:
        if "Type: regular" not in _debugfs(disk, [f"stat {path}"]):
            raise BenchError(f"debugfs did not write {path} to {disk}")
    return target


def _debugfs(disk: Path, commands: list[str]) -> str:
    """Run commands of debugfs; a name that exists already, or does not, is no failure."""
    done = subprocess.run(
        ["debugfs", "-w", "-f", "/dev/stdin", root_of(disk)],
        input="\n".join(commands),
        text=True,
        capture_output=True,
        check=True,
    )
    return done.stdout


def runner_on_disk(program: Path) -> dict[str, tuple[bytes, int]]:
    """Replace GitHub's runner by the bench's own."""
    return {RUNNER: (program.read_bytes(), 0o755)}


class Bench:
    """A local cloud that boots one machine at a time."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.machines = cloud.machines
        self._policies = cloud.aws.policies
        self._put_parameters()

    def boot(self, image: Path, user_data: str = "") -> Boot:
        """Boot an image until its runner has started, ask it for its times, and cut its power."""
        self.cloud.aws.policies = None if user_data else self._policies
        with self._ways(image, NOTE_STARTS + ("" if user_data else NOTE_CALLS)) as runner:
            machine = self._launch(image, user_data)
            try:
                _await_runner(runner, machine)
                cpu_seconds = _cpu_seconds(machine)
                text = machine.hand(QUESTIONS, 120)
            finally:
                machine.end(TERMINATED, gently=False)
                machine.off.wait(30)
        return Boot(text, cpu_seconds)

    @contextmanager
    def _ways(self, image: Path, note: str) -> Iterator[socket.socket]:
        """Open the gates for the image's names, and the socket that the runner will connect to."""
        gate = Gate(make_context(image, ROLES), int(self.cloud.aws_url.rpartition(":")[2]))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ways = {AWS_ADDRESS: gate.port, GITHUB_ADDRESS: listener.getsockname()[1]}
            self.machines.setup = VmSetup(
                [],
                {},
                image=image,
                ways=ways,
                boot_seconds=0.0,
                append=f"hand {note}",
                is_whole=True,
                cpu="max",
                processors=2,
                nice=-10,  # the cloud that answers it must not take its processors
            )
            try:
                yield listener
            finally:
                gate.stop()

    def _launch(self, image: Path, user_data: str) -> VirtualMachine:
        ec2, stack = self.cloud.client("ec2"), self.cloud.stack
        tags = {
            "ghr:environment": "bench",
            "ghr:ssm_config_path": CONFIG_PATH,
            "ghr:runner_name_prefix": "bench-",
            "ghr:trace_id": "none",
        }
        answer = ec2.run_instances(
            LaunchTemplate={"LaunchTemplateName": "scale-agent"}, MinCount=1, MaxCount=1,
            InstanceType="m7i.large", SubnetId=stack.subnets[0],
            TagSpecifications=[{"ResourceType": "instance", "Tags": _tags(tags)}],
        )  # fmt: skip
        name = answer["Instances"][0]["InstanceId"]
        put_handover(
            self.cloud, name, jit_config=JIT_CONFIG, job=JOB, idle_limit_seconds=300,
            job_limit_seconds=21600,
        )  # fmt: skip
        self.machines.user_data = user_data
        self.machines.launched([name], {"MetadataOptions.InstanceMetadataTags": "enabled"})
        if not self.machines.wait(lambda: name in self.machines.all, 30):
            raise BenchError(f"{name} was not switched on: {self._log()}")
        return self.machines.all[name]  # type: ignore[return-value]

    def _put_parameters(self) -> None:
        """Put the parameters that a stock machine reads, and let its role read them."""
        client, stack = self.cloud.client, self.cloud.stack
        for name, value in (("run_as", "runner"), ("token_path", f"{stack.prefix}/runners")):
            client("ssm").put_parameter(Name=f"{CONFIG_PATH}/{name}", Value=value, Type="String")
        arn = stack.template.resolve({"Fn::GetAtt": ["RunnerRole", "Arn"]})
        allowed = {"Effect": "Allow", "Action": ["ssm:*", "ec2:CreateTags"], "Resource": "*"}
        client("iam").put_role_policy(
            RoleName=arn.rpartition("/")[2],
            PolicyName="stock",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
        )

    def _log(self) -> str:
        lines = [line for who, line in self.cloud.logs() if who == "machines"]
        return lines[-1] if lines else "no reason was logged"


def _tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _await_runner(listener: socket.socket, machine: VirtualMachine) -> None:
    """Wait for the runner's connection; fail when the machine ends or stays silent."""
    listener.settimeout(1.0)
    for _ in range(int(BOOT_SECONDS)):
        try:
            listener.accept()[0].close()
            return
        except TimeoutError:
            if not machine.off.is_set():
                continue
        raise BenchError(
            f"the machine was off before its runner started ({machine.reason})"
            f"{_last_words(machine)}"
        )
    raise BenchError(f"no runner within {BOOT_SECONDS:.0f} s{_last_words(machine)}")


def _cpu_seconds(machine: VirtualMachine) -> float:
    assert machine.agent is not None
    text = Path(f"/proc/{machine.agent.pid}/stat").read_text()
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _last_words(machine: VirtualMachine) -> str:
    lines = machine.console.splitlines()[-25:]
    return "; the end of its console:\n  " + "\n  ".join(lines)
