# SPDX-License-Identifier: MIT
"""Which devices come before all others, in a /sys of our own; tests/vm shows that it is enough."""

from __future__ import annotations

import pytest
from ami.root import Root

PROGRAM = "/usr/lib/scale-agent/first-devices"
ETHERNET, DISK = "0x020000\n", "0x010802\n"


class Sys:
    """A /sys with devices whose `uevent` only keeps what was written."""

    def __init__(self, root: Root) -> None:
        self.root = root

    def device(self, name: str, **files: str) -> None:
        folder = self.root / f"srv/sys/{name}"
        folder.mkdir(parents=True)
        for file, text in {"uevent": "", **files}.items():
            (folder / file).write_text(text)

    def run(self) -> list[str]:
        """Run the program; return the devices that are to come."""
        ended = self.root.run("sh", "-c", f"mount --bind /srv/sys /sys && exec {PROGRAM}")
        assert (ended.status, ended.output) == (0, "")
        sys = self.root / "srv/sys"
        found = [path for path in sys.rglob("uevent") if path.read_text() == "add\n"]
        return sorted(str(path.parent.relative_to(sys)) for path in found)


@pytest.fixture
def sys(changed: Root):
    yield Sys(changed)
    changed.run("rm", "-rf", "/srv/sys")


def test_the_cards_of_a_nitro_instance_and_nothing_else(sys):
    sys.device("bus/pci/devices/0000:00:04.0", **{"class": DISK})
    sys.device("bus/pci/devices/0000:00:05.0", **{"class": ETHERNET})
    sys.device("bus/pci/devices/0000:00:06.0", **{"class": ETHERNET})
    sys.device("class/net/lo")
    sys.device("class/block/nvme0n1p1")
    cards = ["bus/pci/devices/0000:00:05.0", "bus/pci/devices/0000:00:06.0"]
    assert sys.run() == [*cards, "class/net/lo"]


def test_disks_as_well_where_one_is_mounted_beside_the_root(sys):
    sys.device("bus/pci/devices/0000:00:04.0", **{"class": DISK})
    sys.device("class/block/nvme0n1p16")
    fstab = sys.root / "etc/fstab"
    before = fstab.read_text()
    fstab.write_text(f"{before}LABEL=BOOT /boot ext4 defaults 0 2\n")
    try:
        assert sys.run() == ["class/block/nvme0n1p16"]
    finally:
        fstab.write_text(before)


def test_a_card_of_virtio_and_no_other_device_of_it(sys):
    sys.device("bus/pci/devices/0000:00:02.0", **{"class": ETHERNET})
    sys.device("bus/virtio/devices/virtio0", device="0x0001\n")
    sys.device("bus/virtio/devices/virtio1", device="0x0004\n")
    assert sys.run() == ["bus/pci/devices/0000:00:02.0", "bus/virtio/devices/virtio0"]


def test_a_card_of_xen_and_an_interface_that_is_there_already(sys):
    sys.device("bus/pci/devices/0000:00:01.0", **{"class": DISK})
    sys.device("bus/xen/devices/vif-0")
    sys.device("bus/xen/devices/vbd-768")
    sys.device("class/net/eth0")
    assert sys.run() == ["bus/xen/devices/vif-0", "class/net/eth0"]
