# SPDX-License-Identifier: MIT
"""Single measures of ami/, each undone on a built disk: `make bench-vm WITHOUT="NAME..."`.

What is undone is put back to what Debian does without ami/ (ami/README.md lists the measures); all
else stays.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from .bench_machine import Change
from .machine import root_of

UNITS = "/etc/systemd/system"
GENERATORS = "/etc/systemd/system-generators"
NETWORK = "/etc/systemd/network/05-primary.network"
AGENT_DROP_IN = f"{UNITS}/runner-agent.service.d/bench.conf"
JOURNAL = "/etc/systemd/journald.conf.d/90-runner.conf"
LINK_TO_NULL = str(len("/dev/null"))
NETPLAN = b"""network:
    version: 2
    ethernets:
        all-en:
            match:
                name: en*
            dhcp4: true
            dhcp6: true
"""
ONLINE = b"""[Unit]
Wants=network-online.target
After=network-online.target
"""
GROWN = b"""[Unit]
DefaultDependencies=no
Before=runner-agent.service
"""
DHCP = b"""[Match]
Name=en* eth*
[Network]
DHCP=yes
"""
BUNDLE = b"""[Service]
UnsetEnvironment=SSL_CERT_DIR
Environment=SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
"""


@dataclass
class Measure:
    """A measure: what it means to undo it, for people, and for a disk."""

    text: str
    change: Callable[[argparse.Namespace], Change]


def masked(options: argparse.Namespace) -> list[str]:
    """What is turned off on our disk, by links to /dev/null, but for cloud-init."""
    done = subprocess.run(
        ["debugfs", "-R", f"ls -p {UNITS}", root_of(options.image / "disk.raw")],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.split("/") for line in done.stdout.splitlines() if line.startswith("/")]
    links = [words[5] for words in lines if words[2] == "120777" and words[6] == LINK_TO_NULL]
    return [f"{UNITS}/{name}" for name in links if not name.startswith("cloud-")]


def _cloud_init(_options: argparse.Namespace) -> Change:
    names = ("cloud-init-local", "cloud-init", "cloud-config", "cloud-final")
    units = [f"{UNITS}/{name}.service" for name in names]
    return Change(
        remove=[*units, f"{GENERATORS}/cloud-init-generator", "/etc/cloud/cloud-init.disabled"],
        files={
            "/etc/cloud/cloud.cfg.d/90_dpkg.cfg": (b"datasource_list: [ Ec2 ]\n", 0o644),
            "/etc/default/locale": (b"LANG=C.UTF-8\n", 0o644),
        },
    )


def _file(path: str, content: bytes) -> Callable[[argparse.Namespace], Change]:
    return lambda _: Change(files={path: (content, 0o644)})


MEASURES = {
    "cloud-init": Measure("cloud-init runs, without user data", _cloud_init),
    "online": Measure(
        "the agent starts after network-online.target, which waits",
        lambda _: Change(
            files={AGENT_DROP_IN: (ONLINE, 0o644)},
            remove=[f"{UNITS}/systemd-networkd-wait-online.service"],
        ),
    ),
    "netplan": Measure(
        "the network is netplan's, its generator runs",
        lambda _: Change(
            files={"/etc/netplan/90-default.yaml": (NETPLAN, 0o600)},
            remove=[NETWORK, f"{GENERATORS}/netplan"],
        ),
    ),
    "network-file": Measure("networkd is told nothing but DHCP=yes", _file(NETWORK, DHCP)),
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
    "grow-root": Measure(
        "the root grows before the agent starts",
        _file(f"{UNITS}/grow-root.service.d/bench.conf", GROWN),
    ),
    "journal": Measure(
        "the journal is kept on the disk, and told on the console as well",
        lambda _: Change(
            files={JOURNAL: (b"[Journal]\nStorage=persistent\nForwardToConsole=yes\n", 0o644)}
        ),
    ),
    "console": Measure(
        "the journal is not told on the console",
        _file(JOURNAL, b"[Journal]\nStorage=volatile\n"),
    ),
    "first-boot": Measure(
        'the machine\'s id is "uninitialized": a first boot, with presets',
        _file("/etc/machine-id", b"uninitialized\n"),
    ),
    "authorities": Measure(
        "the agent reads all authorities, instead of the one it needs",
        _file(AGENT_DROP_IN, BUNDLE),
    ),
    "chrony": Measure(
        "chrony does not wait for the agent",
        lambda _: Change(remove=[f"{UNITS}/chrony.service.d/after-agent.conf"]),
    ),
    "units": Measure(
        "what is masked, but cloud-init, is as Debian has it",
        lambda options: Change(remove=masked(options)),
    ),
}
