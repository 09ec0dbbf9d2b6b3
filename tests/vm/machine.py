# SPDX-License-Identifier: MIT
"""One instance of the local cloud as a virtual machine: a disk made by ami/, booted by QEMU.

What the guest sees is what EC2 gives: an NVMe disk, one network card with DHCP, the metadata
service at 169.254.169.254, and nothing else of the world than AWS and GitHub. Its network is QEMU's
own (user mode), in which each of these addresses leads to a port of the loopback.

The console goes to DIRECTORY/console.log. A channel of its own, the hand, lets a test run commands
as root in the guest; the image has the other end of it only for that.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloud.limits import PATIENCE, until
from cloud.machines.machine import SHUT_DOWN, Machine, Setup

from .qmp import Qmp, QmpError

NETWORK = "169.254.169.0/24"
METADATA = "169.254.169.254:80"
HOST_ADDRESS = "169.254.169.1"
GUEST_ADDRESS = "169.254.169.10"
HAND = "org.scale-agent.hand"
POWER_BUTTON_SECONDS = 60.0
ROOT_BEGINS = 128 << 20  # where on the disk: tests/vm/image puts it there


@dataclass
class Firmware:
    """UEFI: its code, and the variables that it begins with."""

    code: Path
    variables: Path


@dataclass
class VmSetup(Setup):
    """How virtual machines are set up; tests change what they need before a launch.

    image          the folder that tests/vm/image made: disk, kernel, initrd (or none), cmdline
    ways           address and port in the guest, and the port of the loopback that it leads to
    files          replaced on the disk before the boot: path and content
    disks          further NVMe disks: serial number, and MiB; they stay in the machine's folder
    firmware       what starts the disk's own boot loader; without, QEMU starts the image's kernel
    is_kept        the image's disk keeps what the machine writes
    append         added to the kernel's command line
    clock          what the machine's clock says at power-on (RFC 3339); real time when empty
    cable_seconds  how long after power-on the network cable is plugged in
    is_whole       it boots as on EC2: without, the kernel guards against no speculation, and
                   the units of guest/spared are not started
    cpu            QEMU's model; the default has what Debian needs and little that emulates slowly
    processors     of several, those that wait for another one cost the host time as well
    nice           QEMU's; less than 0 is root's to say
    """

    image: Path = Path()
    ways: dict[str, int] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    disks: dict[str, int] = field(default_factory=dict)
    firmware: Firmware | None = None
    is_kept: bool = False
    append: str = ""
    clock: str = ""
    cable_seconds: float = 0.0
    memory: int = 1024
    is_whole: bool = False
    cpu: str = "qemu64,-svm,+rdrand"
    processors: int = 1
    nice: int = 0


class VirtualMachine(Machine):
    """A machine whose programs are those of a booted disk; nothing of it is played."""

    setup: VmSetup

    @property
    def console(self) -> str:
        """What the machine has written to its serial console."""
        log = self.directory / "console.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def hand(self, command: str, seconds: float = PATIENCE) -> str:
        """Run a command of the shell as root in the guest, and give what it prints."""
        path = self.directory / "hand"
        until(path.exists)  # QEMU makes it
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as stream:
            stream.settimeout(seconds)
            stream.connect(str(path))
            stream.sendall(command.replace("\n", " ").encode() + b"\n")
            text = b""
            while not text.endswith(b"\0"):
                data = stream.recv(65536)
                if not data:
                    raise OSError(f"{self.id} ended during: {command}")
                text += data
        return text[:-1].decode(errors="replace")

    def last_hand(self, command: str) -> None:
        """Run a command that ends the machine, which may be off before it can answer."""
        with contextlib.suppress(OSError):
            self.hand(command)

    def _boot(self) -> None:
        self.directory.mkdir(parents=True)
        disk = self._disk()
        pid = self._run(self._command(disk), "qemu.log", None)
        self.note("powered on", f"QEMU, pid {pid}")
        if self.setup.cable_seconds:
            self._qmp("set_link", name="nic", up=False)
            self.at(self.setup.cable_seconds, lambda: self._qmp("set_link", name="nic", up=True))
        self._qmp("cont")

    def _disk(self) -> Path:
        """Give the disk to boot from: the image's, or a copy with other files on it."""
        image = self.setup.image / "disk.raw"
        if not self.setup.files:
            return image
        copy = self.directory / "disk.raw"
        subprocess.run(["cp", "--sparse=always", str(image), str(copy)], check=True)
        commands = []
        for number, (path, content) in enumerate(self.setup.files.items()):
            source = self.directory / f"file-{number}"
            source.write_text(content)
            commands += [f"rm {path}", f"write {source} {path}"]
        subprocess.run(
            ["debugfs", "-w", "-f", "/dev/stdin", root_of(copy)],
            input="\n".join(commands).encode(),
            check=True,
            capture_output=True,
        )
        return copy

    def _command(self, disk: Path) -> list[str]:
        setup = self.setup
        ways = {METADATA: int(self.metadata.url.rpartition(":")[2])} | setup.ways
        network = (
            f"user,id=n0,net={NETWORK},host={HOST_ADDRESS},dhcpstart={GUEST_ADDRESS},restrict=on"
        )
        for address, port in ways.items():
            network += f",guestfwd=tcp:{address}-cmd:nc -N 127.0.0.1 {port}"
        uuid = f"ec2{self.id.removeprefix('i-').ljust(29, '0')}"[:32]
        uuid = f"{uuid[:8]}-{uuid[8:12]}-{uuid[12:16]}-{uuid[16:20]}-{uuid[20:]}"
        product = f"product={self.facts.instance_type},uuid={uuid},serial={uuid}"
        return [
            "nice", "-n", str(setup.nice),
            "qemu-system-x86_64", "-nodefaults", "-display", "none", "-no-reboot", "-S",
            "-machine", "q35,accel=tcg", "-cpu", setup.cpu,
            "-smp", str(setup.processors), "-m", str(setup.memory),
            "-smbios", "type=0,vendor=Amazon EC2",
            "-smbios", f"type=1,manufacturer=Amazon EC2,{product}",
            *(["-rtc", f"base={setup.clock}"] if setup.clock else []),
            *(_firmware(setup.firmware) if setup.firmware else _kernel(setup)),
            "-drive", f"file={disk},if=none,id=d0,format=raw,cache=unsafe,"
            f"snapshot={'off' if setup.is_kept else 'on'}",
            "-device", "nvme,serial=vol0,drive=d0",
            *self._disks(),
            "-netdev", network, "-device", "virtio-net-pci,netdev=n0,id=nic",
            "-device", "virtio-rng-pci", "-device", "virtio-serial-pci",
            "-chardev", "socket,id=hand,path=hand,server=on,wait=off",
            "-device", f"virtserialport,chardev=hand,name={HAND}",
            "-serial", "file:console.log", "-qmp", "unix:qmp,server=on,wait=off",
        ]  # fmt: skip

    def _disks(self) -> list[str]:
        options = []
        for serial, mebibytes in self.setup.disks.items():
            path = self.directory / f"{serial}.raw"
            with path.open("wb") as file:
                file.truncate(mebibytes << 20)
            options += [
                "-drive", f"file={path},if=none,id={serial},format=raw,cache=unsafe",
                "-device", f"nvme,serial={serial},drive={serial}",
            ]  # fmt: skip
        return options

    def _qmp(self, command: str, **arguments: Any) -> None:
        with contextlib.suppress(QmpError):
            monitor = Qmp(self.directory / "qmp")
            try:
                monitor.run(command, **arguments)
            finally:
                monitor.close()

    def _agent_ended(self) -> None:
        """QEMU has ended: the guest has powered itself off."""
        if self._reap() != 0:
            text = (self.directory / "qemu.log").read_text(errors="replace").strip()
            self.note("QEMU failed", text[-300:])
        self._stop(SHUT_DOWN)

    def _stop(self, reason: str, gently: bool = True) -> None:
        """End from outside: the power button as EC2 presses it, and after a while the plug."""
        if self.off.is_set():
            return
        self.reason = reason
        if self.agent is not None and self.agent.poll() is None:
            if gently:
                self._qmp("system_powerdown")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.agent.wait(POWER_BUTTON_SECONDS)
            if self.agent.poll() is None:
                self.note("pulled", "the guest was still on")
                self.agent.send_signal(signal.SIGKILL)
            self.exit_code = self.agent.wait()
        (self.directory / "disk.raw").unlink(missing_ok=True)
        self._turned_off(reason)


def _kernel(setup: VmSetup) -> list[str]:
    image = setup.image
    words = [(image / "cmdline").read_text().strip(), setup.append]
    words += [] if setup.is_whole else ["mitigations=off", "spared"]
    initrd = image / "initrd"
    options = ["-kernel", str(image / "vmlinuz"), "-append", " ".join(filter(None, words))]
    return [*options, "-initrd", str(initrd)] if initrd.exists() else options


def _firmware(firmware: Firmware) -> list[str]:
    flash = "if=pflash,format=raw"
    return [
        "-drive", f"{flash},unit=0,readonly=on,file={firmware.code}",
        "-drive", f"{flash},unit=1,snapshot=on,file={firmware.variables}",
    ]  # fmt: skip


def root_of(disk: Path) -> str:
    """Name the root file system on a disk, for debugfs."""
    return f"{disk}?offset={ROOT_BEGINS}"


def missing_tools() -> list[str]:
    """The programs that a virtual machine needs and this system lacks."""
    return [
        name for name in ("qemu-system-x86_64", "nc", "debugfs", "sfdisk") if not shutil.which(name)
    ]
