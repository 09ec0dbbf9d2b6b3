# SPDX-License-Identifier: MIT
"""A boot from the firmware on: UEFI, GRUB, and the kernel as step boot of ami/install left it.

In the other tests QEMU starts the kernel. Here a disk gets the boot loader that Debian's image for
EC2 has, and the step runs on a running machine, as when Packer builds an image.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cloud.github.stand_in import GitHub

from .bench_machine import Change, make_variant
from .machine import Firmware
from .machines import IMAGE, VirtualMachines
from .stand import MACHINE_PATIENCE, Stand

PROJECT = Path(__file__).resolve().parents[2]
FIRMWARE = Firmware(
    Path("/usr/share/OVMF/OVMF_CODE_4M.fd"), Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
)
WANTED = "/etc/systemd/system/basic.target.wants/runner-agent.service"
ENTRY = "grep -E '^[[:space:]]*(linux|initrd)[[:space:]]' /boot/grub/grub.cfg"

INSTALL_GRUB = """
    mkfs.vfat /dev/nvme0n1p15 && mkdir -p /boot/efi && mount /dev/nvme0n1p15 /boot/efi
    && grub-install --target=x86_64-efi --efi-directory=/boot/efi --removable --no-nvram
    && update-grub && echo done
"""

LOOK_AROUND = """
[ -d /sys/firmware/efi ] && echo UEFI
ls /boot
tr ' ' '\\n' </proc/cmdline | grep -e ^BOOT_IMAGE -e ^root=
"""


def scripts() -> dict[str, tuple[bytes, int]]:
    """Return all files of ami/ for a machine's disk."""
    files = [path for path in (PROJECT / "ami").rglob("*") if path.is_file()]
    return {
        f"/root/{path.relative_to(PROJECT)}": (path.read_bytes(), path.stat().st_mode & 0o777)
        for path in files
    }


def set_up_boot(stand: Stand) -> None:
    """Install GRUB, let step boot remove the initramfs, and power the machine off."""
    machine = stand.launch_alone().machine
    assert machine.hand(INSTALL_GRUB, MACHINE_PATIENCE).endswith("done\n")
    assert "initrd" in machine.hand(ENTRY)
    assert machine.hand("/root/ami/install boot && echo good", MACHINE_PATIENCE).endswith("good\n")
    assert "initrd" not in machine.hand(ENTRY)
    ready = "systemctl enable runner-agent 2>/dev/null && umount /boot/efi && echo good"
    assert machine.hand(ready, MACHINE_PATIENCE) == "good\n"
    machine.last_hand("systemctl poweroff")
    stand.powers_off()


@pytest.fixture
def disk(local_cloud, tmp_path):
    """Make an image with GRUB, on which step boot has run; only firmware can start it."""
    change = Change(files=scripts(), remove=[WANTED])  # no agent powers this machine off
    image = make_variant(IMAGE, tmp_path / "image", change)
    local_cloud.reset(make_github=GitHub, make_machines=VirtualMachines)
    try:
        stand = Stand(local_cloud).as_on_ec2()  # GRUB names the root by what udev knows of it
        set_up_boot(stand.set_up(image=image, is_kept=True).with_hand())
    finally:
        local_cloud.machines.stop()
    (image / "vmlinuz").unlink()
    yield image
    shutil.rmtree(image)


def test_grub_starts_the_kernel_without_an_initramfs(disk, cloud):
    stand = Stand(cloud).set_up(image=disk, firmware=FIRMWARE).queue(script=LOOK_AROUND)
    stand.ends("success")
    firmware, *files, kernel, root = stand.job.output.splitlines()
    assert firmware == "UEFI"
    assert not [name for name in files if name.startswith("initrd")]
    assert kernel.startswith("BOOT_IMAGE=/boot/vmlinuz-")
    assert root == "root=PARTUUID=5ca1eab1-0000-4000-8000-000000000001"
