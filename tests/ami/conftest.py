# SPDX-License-Identifier: MIT
"""Stock Debians, made once and kept below build/, and the images that ami/install makes from them.

All of this needs root, and a kernel that lets root make namespaces. Without them, the tests are
skipped and say why.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ami.root import PROJECT, Root, debian_arch, make_inputs, make_programs

# What Debian's cloud image has beyond the smallest Debian, as far as it concerns ami/install.
STOCK = ["systemd-sysv", "udev", "dbus", "cron", "ifupdown", "openssh-server", "curl"]
ROOTS = PROJECT / "build/roots"


def missing() -> str:
    """Return why these tests cannot run here; empty when they can."""
    if os.geteuid() != 0:
        return "only root can make and enter a root folder of Debian; run these as root"
    if not shutil.which("debootstrap"):
        return "debootstrap is not installed; tests/prepare test-vm installs it"
    tried = subprocess.run(
        ["unshare", "--mount", "--net", "mount", "-t", "tmpfs", "x", "/mnt"],
        capture_output=True,
        check=False,
    )
    if tried.returncode != 0:
        return f"namespaces and mounts are not allowed here: {tried.stderr.decode().strip()}"
    return ""


@pytest.fixture(scope="session", autouse=True)
def _possible() -> None:
    reason = missing()
    if reason:
        pytest.skip(reason)


def make_base(path: Path, suite: str) -> None:
    """Make the stock system; the path exists only once it is complete."""
    making = path.with_suffix(".new")
    shutil.rmtree(making, ignore_errors=True)
    making.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "SUITE": suite}
    subprocess.run([PROJECT / "tests/vm/root", making], env=environment, check=True)
    packages = [*STOCK, f"linux-image-cloud-{debian_arch()}"]
    script = f"""
        printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -q && apt-get install -qy --no-install-recommends {" ".join(packages)}
        status=$?; rm /usr/sbin/policy-rc.d; apt-get clean; exit $status
    """
    ended = subprocess.run(
        [PROJECT / "tests/vm/enter", making, "sh", "-c", script], capture_output=True, check=False
    )
    if ended.returncode != 0:
        pytest.fail(f"the stock system could not be made:\n{ended.stdout.decode()[-3000:]}")
    making.rename(path)


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for roots, which are large; removed at the end."""
    folder = tmp_path_factory.mktemp("ami")
    yield folder
    subprocess.run(["rm", "-rf", folder], check=True)


def find_base(name: str, suite: str) -> Path:
    """Return a stock system, made when there is none."""
    sources = [PROJECT / "tests/vm/root", Path("/etc/apt/sources.list.d/debian.sources")]
    key = hashlib.sha256(" ".join(STOCK).encode())
    for source in sources:
        key.update(source.read_bytes() if source.exists() else b"")
    base = ROOTS / f"{name}-{key.hexdigest()[:12]}"
    if not base.exists():
        make_base(base, suite)
    return base


@pytest.fixture(scope="session")
def stock(work: Path) -> Root:
    """A stock Debian 12 that no test changes."""
    settings = make_inputs(work / "in")
    return Root(find_base("debian-12", "bookworm"), work / "in", settings)


@pytest.fixture(scope="session")
def hosted(stock: Root, work: Path) -> tuple[Root, str]:
    """A Debian 13 with PROFILE=hosted, and the output; no test changes it.

    Programs from outside the archives are stand-ins, as are their checksums; Docker is Debian's.
    """
    base = Root(find_base("debian-13", "trixie"), stock.inputs, dict(stock.settings))
    root = base.copy(work / "hosted")
    root.ami = work / "ami"
    shutil.copytree(PROJECT / "ami", root.ami)
    make_programs(root.inputs / "tools", root.ami / "packages/tools.pins")
    root.settings |= {
        "PROFILE": "hosted",
        "BUILD_TOOLS": "yes",
        "TOOLS_MIRROR": "/in/tools",
        "DOCKER_FROM": "distribution",
    }
    ended = root.install()
    assert ended.status == 0, ended.output
    return root, ended.output


@pytest.fixture(scope="session")
def first(stock: Root, work: Path) -> tuple[Root, str]:
    """The image that ami/install makes with its defaults, and its output; no test changes it."""
    root = stock.copy(work / "image")
    before = {
        "root/.ssh/authorized_keys": "ssh-ed25519 AAAA builder\n",
        "root/.bash_history": "export TOKEN=1\n",
        "etc/ssh/ssh_host_ed25519_key": "the build instance's\n",
        "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
        "var/lib/systemd/random-seed": "seed\n",
        "var/lib/dhcp/dhclient.leases": "lease\n",
        "var/log/journal/0123/system.journal": "log\n",
        "var/log/auth.log": "log\n",
        "var/lib/cloud/instance/user-data.txt": "data\n",
        "etc/netplan/50-cloud-init.yaml": "network: {}\n",
        "etc/fstab": "UUID=1 / ext4 errors=remount-ro 0 1\n/dev/sdb none swap sw 0 0\n"
        "UUID=2 /boot/efi vfat umask=0077 0 1\n",
        "tmp/left": "behind\n",
        "var/tmp/.left": "behind\n",
    }
    for name, text in before.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).unlink(missing_ok=True)
        (root / name).write_text(text)
    ended = root.install()
    assert ended.status == 0, ended.output
    return root, ended.output


@pytest.fixture(scope="session")
def image(first: tuple[Root, str]) -> Root:
    """The image without the output."""
    return first[0]


@pytest.fixture(scope="module")
def changed(image: Root, work: Path, request: pytest.FixtureRequest) -> Iterator[Root]:
    """A copy of the image for the tests of one file; each leaves it usable for the next."""
    with image.lend(work / request.module.__name__) as root:
        yield root
