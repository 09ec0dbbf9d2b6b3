# SPDX-License-Identifier: MIT
"""Single measures of ami/, each undone on a built disk: `make bench-vm WITHOUT="NAME..."`.

To undo a measure is to restore what Debian does; everything else stays. ami/README.md lists them.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .bench_machine import Change
from .machine import root_of

UNITS = "/etc/systemd/system"
GENERATORS = "/etc/systemd/system-generators"
NETWORK = "/etc/systemd/network/05-primary.network"
AGENT_DROP_IN = f"{UNITS}/runner-agent.service.d/bench.conf"
JOURNAL = "/etc/systemd/journald.conf.d/90-runner.conf"
AMI_FILES = Path(__file__).resolve().parents[2] / "ami/files"
COLDPLUG = "systemd-udev-trigger.service"
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
FSTAB = b"/dev/nvme0n1p1 / ext4 rw,discard,errors=remount-ro 0 1\n"
MOUNTED_AGAIN = b"""[Unit]
After=systemd-remount-fs.service
"""
BUNDLE = b"""[Service]
UnsetEnvironment=SSL_CERT_DIR
Environment=SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
"""


@dataclass
class Measure:
    """What undoing a measure means, in words and for a disk."""

    text: str
    change: Callable[[argparse.Namespace], Change]


def _entries(options: argparse.Namespace, folder: str) -> list[list[str]]:
    """List a folder of our disk: inode, mode, user, group, name and size of each entry."""
    done = subprocess.run(
        ["debugfs", "-R", f"ls -p {folder}", root_of(options.image / "disk.raw")],
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.split("/")[1:] for line in done.stdout.splitlines() if line.startswith("/")]


def _later(options: argparse.Namespace) -> Change:
    folders = [words[4] for words in _entries(options, UNITS) if words[4].endswith(".d")]
    found = []
    for folder in folders:
        if folder == f"{COLDPLUG}.d":  # the measure "devices"
            continue
        if "after-agent.conf" in [words[4] for words in _entries(options, f"{UNITS}/{folder}")]:
            found.append(f"{UNITS}/{folder}/after-agent.conf")
    return Change(remove=found)


def _devices(_options: argparse.Namespace) -> Change:
    wanted = f"{UNITS}/sysinit.target.wants/first-devices.service"
    return Change(remove=[wanted, f"{UNITS}/{COLDPLUG}.d/after-agent.conf"])


def _generators(options: argparse.Namespace) -> Change:
    names = [words[4] for words in _entries(options, GENERATORS) if words[1] == "120777"]
    kept = ("cloud-init-generator", "netplan")
    return Change(remove=[f"{GENERATORS}/{name}" for name in names if name not in kept])


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


def _units(options: argparse.Namespace) -> Change:
    masked = [
        words[4]
        for words in _entries(options, UNITS)
        if words[1] == "120777" and words[5] == LINK_TO_NULL
    ]
    return Change(remove=[f"{UNITS}/{name}" for name in masked if not name.startswith("cloud-")])


def _hostname(_options: argparse.Namespace) -> Change:
    network = (AMI_FILES / NETWORK.lstrip("/")).read_text()
    network = network.replace("UseHostname=no", "UseHostname=yes")
    return Change(remove=["/etc/hostname"], files={NETWORK: (network.encode(), 0o644)})


def _checked(_options: argparse.Namespace) -> Change:
    return Change(
        without=["rw", "fsck.mode=skip"],
        files={"/etc/fstab": (FSTAB, 0o644), AGENT_DROP_IN: (MOUNTED_AGAIN, 0o644)},
    )


def _journal(_options: argparse.Namespace) -> Change:
    kept = b"[Journal]\nStorage=persistent\nForwardToConsole=yes\n"
    return Change(files={JOURNAL: (kept, 0o644)}, remove=[f"{UNITS}/systemd-journal-flush.service"])


# In the order of the tables in ami/README.md.
MEASURES = {
    "cloud-init": Measure("cloud-init runs, without user data", _cloud_init),
    "devices": Measure("all devices come at once, beside the network", _devices),
    "generators": Measure("all of systemd's generators are started", _generators),
    "sysusers": Measure(
        "udev waits for systemd-sysusers, and with it for the root to be mounted again",
        lambda _: Change(remove=[f"{UNITS}/systemd-sysusers.service"]),
    ),
    "first-boot": Measure(
        'the machine id is "uninitialized": a first boot, with presets',
        _file("/etc/machine-id", b"uninitialized\n"),
    ),
    "initramfs": Measure(
        "there is an initramfs, with few drivers (MODULES=list)",
        lambda options: Change(initrd=options.image / "initrd.unused"),
    ),
    "grow-root": Measure(
        "the root grows before the agent starts",
        _file(f"{UNITS}/grow-root.service.d/bench.conf", GROWN),
    ),
    "later": Measure("mounts that can wait for the agent do not wait", _later),
    "online": Measure(
        "the agent starts after network-online.target, which waits",
        lambda _: Change(
            files={AGENT_DROP_IN: (ONLINE, 0o644)},
            remove=[f"{UNITS}/systemd-networkd-wait-online.service"],
        ),
    ),
    "netplan": Measure(
        "netplan's generator configures the network",
        lambda _: Change(
            files={"/etc/netplan/90-default.yaml": (NETPLAN, 0o600)},
            remove=[NETWORK, f"{GENERATORS}/netplan"],
        ),
    ),
    "hostname": Measure("the machine has no name, and takes the one from DHCP", _hostname),
    "quiet": Measure(
        "kernel and systemd print on the console what they do",
        lambda _: Change(
            without=["quiet", "loglevel=3", "systemd.show_status=no"],
            remove=["/etc/systemd/system.conf.d/90-runner.conf"],
        ),
    ),
    "console": Measure(
        "the journal does not go to the console",
        _file(JOURNAL, b"[Journal]\nStorage=volatile\n"),
    ),
    "initramfs-most": Measure(
        "there is an initramfs, with every driver (MODULES=most)",
        lambda options: Change(initrd=options.stock / "initrd"),
    ),
    "fsck": Measure(
        "the root is read-only, checked, and mounted again, before the agent starts", _checked
    ),
    "journal": Measure("the journal is kept on the disk as well", _journal),
    "authorities": Measure(
        "the agent reads all authorities instead of the one it needs",
        _file(AGENT_DROP_IN, BUNDLE),
    ),
    "units": Measure("masked units, except cloud-init, are as in Debian", _units),
}
