# SPDX-License-Identifier: MIT
"""Single measures of ami/, each undone on a built disk: what `make bench-vm WITHOUT=…` boots.

What is undone is put back to what Debian does without ami/; all else stays.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from .bench_machine import Change

UNITS = "/etc/systemd/system"
CLOUD_INIT = ("cloud-init-local", "cloud-init", "cloud-config", "cloud-final")
NETPLAN = b"""network:
    version: 2
    ethernets:
        all-en:
            match:
                name: en*
            dhcp4: true
            dhcp6: true
"""
LATE = b"""[Unit]
DefaultDependencies=yes
Wants=network-online.target
After=network-online.target multi-user.target
"""
PLAIN_NETWORK = b"""[Match]
Name=en* eth*
[Network]
DHCP=yes
"""
BUNDLE = b"""[Service]
UnsetEnvironment=SSL_CERT_DIR
Environment=SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
"""
PERSISTENT = b"""[Journal]
Storage=persistent
"""
NO_CONSOLE = b"""[Journal]
Storage=volatile
"""


@dataclass
class Measure:
    """A measure: what undoing it means, for people, and for a disk."""

    text: str
    change: Callable[[argparse.Namespace], Change]


def masked(options: argparse.Namespace) -> list[str]:
    """The units that are turned off on our disk (links to /dev/null), but for cloud-init's."""
    listed = _debugfs(options, f"ls -p {UNITS}").splitlines()
    names = [line.split("/")[5] for line in listed if line.count("/") >= 6]
    links = "\n".join(_debugfs(options, f"stat {UNITS}/{name}") for name in names)
    # one answer after the other, in the order of the questions
    found = links.split("Inode:")[1:]
    return [
        name
        for name, part in zip(names, found, strict=True)
        if 'Fast link dest: "/dev/null"' in part and not name.startswith("cloud-")
    ]


def _debugfs(options: argparse.Namespace, command: str) -> str:
    disk = options.image / "disk.raw"
    done = subprocess.run(
        ["debugfs", "-R", command, str(disk)], capture_output=True, text=True, check=True
    )
    return done.stdout


def _without_cloud_init(_options: argparse.Namespace) -> Change:
    names = [f"{UNITS}/{name}.service" for name in CLOUD_INIT]
    generator = "/etc/systemd/system-generators/cloud-init-generator"
    return Change(
        remove=[
            *names,
            generator,
            "/etc/cloud/cloud.cfg.d/cloud-init.disabled",
            "/etc/cloud/cloud-init.disabled",
        ]
    )


def _files(path: str, content: bytes) -> Callable[[argparse.Namespace], Change]:
    return lambda _options: Change(files={path: (content, 0o644)})


MEASURES = {
    "cloud-init": Measure("cloud-init runs, without user data", _without_cloud_init),
    "quiet": Measure(
        "the kernel and systemd tell on the console what they do",
        lambda _: Change(
            without=["quiet", "loglevel=3", "systemd.show_status=no"],
            remove=["/etc/systemd/system.conf.d/90-runner.conf"],
        ),
    ),
    "initramfs": Measure(
        "the initramfs has every driver (MODULES=most)",
        lambda options: Change(initrd=options.stock / "initrd"),
    ),
    "early-agent": Measure(
        "the agent starts after network-online.target and multi-user.target",
        lambda _: Change(
            files={f"{UNITS}/runner-agent.service.d/bench.conf": (LATE, 0o644)},
            remove=[f"{UNITS}/systemd-networkd-wait-online.service"],
        ),
    ),
    "units": Measure(
        "what is masked, but cloud-init, is as Debian has it",
        lambda options: Change(remove=[f"{UNITS}/{name}" for name in masked(options)]),
    ),
    "netplan": Measure(
        "the network is told by netplan, and its generator runs",
        lambda _: Change(
            files={"/etc/netplan/90-default.yaml": (NETPLAN, 0o600)},
            remove=[
                "/etc/systemd/network/05-primary.network",
                "/etc/systemd/system-generators/netplan",
            ],
        ),
    ),
    "network-file": Measure(
        "the network's file has nothing but DHCP=yes",
        _files("/etc/systemd/network/05-primary.network", PLAIN_NETWORK),
    ),
    "updated": Measure(
        "/etc and /var are out of date to systemd, which looks after them at the boot",
        lambda _: Change(remove=["/etc/.updated", "/var/.updated"]),
    ),
    "first-boot": Measure(
        'the machine\'s id is "uninitialized": a first boot, with presets',
        _files("/etc/machine-id", b"uninitialized\n"),
    ),
    "journal": Measure(
        "the journal is kept on the disk, and not told on the console",
        _files("/etc/systemd/journald.conf.d/90-runner.conf", PERSISTENT),
    ),
    "console": Measure(
        "the journal stays in memory, and is not told on the console",
        _files("/etc/systemd/journald.conf.d/90-runner.conf", NO_CONSOLE),
    ),
    "authorities": Measure(
        "the agent reads the bundle of all authorities, instead of the one it needs",
        _files(f"{UNITS}/runner-agent.service.d/bench.conf", BUNDLE),
    ),
    "chrony": Measure(
        "chrony starts without waiting for the agent",
        lambda _: Change(remove=[f"{UNITS}/chrony.service.d/after-agent.conf"]),
    ),
}
