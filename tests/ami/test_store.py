# SPDX-License-Identifier: MIT
"""The instance store: which disks are taken, and what is put on them, in a /sys of our own.

The programs that would write to disks only record their arguments. That a machine boots so, and
that a job finds its folders on the store, is shown in tests/vm.
"""

from __future__ import annotations

import subprocess

import pytest
from ami.root import Root

STORE = "Amazon EC2 NVMe Instance Storage        \n"  # as the kernel prints it
EBS = "Amazon Elastic Block Store              \n"
PROGRAM = "/usr/lib/scale-agent/instance-store"
RECORD = '#!/bin/sh\necho "${0##*/} $*" >>/srv/calls\n'
PROGRAMS = {
    "mkfs.ext4": RECORD,
    "mount": RECORD,
    "modprobe": RECORD,
    "mountpoint": "#!/bin/sh\nexit 1\n",
    "dmsetup": RECORD + '[ "$1" = create ] || echo 3\n',
    # a controller that is late becomes ready while it is waited for
    "sleep": RECORD + "echo live >/sys/bus/pci/devices/1/nvme/nvme1/state\n",
}


class Sys:
    """A /sys with NVMe controllers, each with one disk."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self.count = 0

    def put(self, name: str, text: str) -> None:
        path = self.root / f"srv/sys/{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def disk(self, model: str, size: int = 230000000, state: str = "live") -> None:
        number = self.count
        self.count += 1
        controller = f"bus/pci/devices/{number}/nvme/nvme{number}"
        self.put(f"bus/pci/devices/{number}/class", "0x010802\n")
        self.put(f"{controller}/state", f"{state}\n")
        self.put(f"{controller}/model", model)
        self.put(f"{controller}/nvme{number}n1/size", f"{size}\n")
        self.put(f"class/block/nvme{number}n1/device/model", model)
        self.put(f"class/block/nvme{number}n1/size", f"{size}\n")
        self.put(f"class/block/nvme{number}n1/hidden", "0\n")

    def run(self) -> tuple[list[str], str]:
        """Run the program, and give what it called and said."""
        calls = self.root / "srv/calls"
        calls.write_text("")
        script = f"mount --bind /srv/sys /sys && PATH=/srv/programs:$PATH exec {PROGRAM}"
        ended = self.root.run("sh", "-c", script)
        assert ended.status == 0, ended.output
        return calls.read_text().splitlines(), ended.output


@pytest.fixture
def sys(changed):
    """A machine without disks."""
    root = changed
    for name, text in PROGRAMS.items():
        path = root / f"srv/programs/{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    (root / "srv/sys/class/block").mkdir(parents=True)
    (root / "srv/sys/bus/pci/devices").mkdir(parents=True)
    yield Sys(root)
    left = ["srv", "var/lib/instance-store", "opt/hostedtoolcache", "home/runner/work"]
    left += ["opt/actions-runner/_work", "var/lib/docker", "var/lib/containerd"]
    subprocess.run(["rm", "-rf", *(root / name for name in left)], check=True)
    (root / "srv").mkdir()


def test_a_machine_without_instance_volumes_stays_as_it_is(sys):
    sys.disk(EBS)
    sys.disk(EBS)
    sys.put("class/block/nvme0n1p1/partition", "1\n")
    assert sys.run() == ([], "")
    assert not sys.root.exists("var/lib/instance-store")
    assert not sys.root.exists("home/runner/work")


def test_the_instance_volume_is_formatted_and_no_volume_of_ebs(sys):
    sys.disk(EBS)
    sys.disk(STORE)
    sys.disk(EBS)
    (sys.root / "opt/hostedtoolcache").mkdir()
    sys.root.run("chown", "runner:runner", "/opt/hostedtoolcache")
    calls, said = sys.run()
    (formatted,) = [call for call in calls if call.startswith("mkfs")]
    assert formatted.endswith(" /dev/nvme1n1")
    assert "on nvme1n1\n" in said
    assert "nvme0" not in "".join(calls)
    assert "nvme2" not in "".join(calls)
    assert not [call for call in calls if call.startswith("dmsetup")]
    on_store = {call.split()[-1] for call in calls if " --bind " in call}
    assert on_store == {"/opt/actions-runner/_work", "/home/runner/work", "/var/lib/docker",
                        "/var/lib/containerd", "/tmp"}  # fmt: skip
    overlay = [call for call in calls if "overlay" in call]
    assert overlay[0].endswith(" overlay /opt/hostedtoolcache")
    place = sys.root / "var/lib/instance-store"
    assert (place / "tmp").stat().st_mode & 0o7777 == 0o1777
    runner = (sys.root / "home/runner").stat().st_uid
    assert (place / "_work").stat().st_uid == runner
    assert (place / "work").stat().st_uid == runner
    assert (place / "tools/added").stat().st_uid == runner
    assert (place / "docker").stat().st_mode & 0o7777 == 0o711


def test_several_instance_volumes_are_striped(sys):
    sys.disk(EBS)
    for size in (230000123, 230000123, 230000000):
        sys.disk(STORE, size=size)
    calls, _ = sys.run()
    each = 230000000 // 1024 * 1024
    table = f"0 {3 * each} striped 3 1024 /dev/nvme1n1 0 /dev/nvme2n1 0 /dev/nvme3n1 0"
    assert f"dmsetup create --noudevsync instance-store --table {table}" in calls
    (formatted,) = [call for call in calls if call.startswith("mkfs")]
    assert formatted.endswith(" /dev/dm-3")


def test_a_controller_that_is_late_is_waited_for(sys):
    sys.disk(EBS)
    sys.disk(STORE, state="connecting")
    calls, _ = sys.run()
    assert [call for call in calls if call.startswith("sleep")]
    assert [call for call in calls if call.startswith("mkfs")]


def test_a_controller_that_has_failed_holds_nothing_up(sys):
    sys.disk(EBS)
    sys.disk(EBS, state="dead")
    assert sys.run() == ([], "")


def test_what_the_image_has_filled_stays_visible(sys):
    sys.disk(STORE)
    (sys.root / "var/lib/docker/overlay2").mkdir(parents=True)
    calls, said = sys.run()
    assert "/var/lib/docker is not empty and stays on the root" in said
    assert not [call for call in calls if call.endswith(" /var/lib/docker")]
    assert [call for call in calls if call.endswith(" /tmp")]


def test_the_store_is_there_before_the_job_and_can_be_left_out(changed):
    root = changed
    assert root.enabled("instance-store.service")
    unit = root.text("etc/systemd/system/instance-store.service")
    before = next(line for line in unit.splitlines() if line.startswith("Before="))
    assert {"runner.service", "docker.service", "systemd-tmpfiles-setup.service"} <= set(
        before.removeprefix("Before=").split()
    )
    assert root.install("store", INSTANCE_STORE="no").status == 0
    assert not root.exists("etc/systemd/system/instance-store.service")
    assert not root.enabled("instance-store.service")
    assert not root.exists(PROGRAM)
    assert root.install("store").status == 0
    assert root.enabled("instance-store.service")
    said = root.run("systemd-analyze", "verify", "--man=no", "instance-store.service")
    assert (said.status, said.output) == (0, "")


def test_swap_is_made_at_boot_where_it_is_wanted(changed):
    root = changed
    assert not root.exists("etc/systemd/system/swap-file.service")
    assert root.install("store", SWAP="8").status == 0
    assert root.enabled("swap-file.service")
    assert "/usr/lib/scale-agent/swap-file 8\n" in root.text("etc/systemd/system/swap-file.service")
    said = root.run("systemd-analyze", "verify", "--man=no", "swap-file.service")
    assert (said.status, said.output) == (0, "")
    assert root.install("store").status == 0
    assert not root.enabled("swap-file.service")
    assert not root.exists("usr/lib/scale-agent/swap-file")
