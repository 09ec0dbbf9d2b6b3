# SPDX-License-Identifier: MIT
"""A kernel starts without an initramfs only where it finds the root itself and GRUB agrees."""

import subprocess

import pytest

PARTITION = "5ca1eab1-0000-4000-8000-000000000001"
# Like GRUB: an entry has an initrd where there is one, else the root's partition.
GRUB = {
    "update-grub": """#!/bin/sh
        . /etc/default/grub.d/90-runner.cfg
        for kernel in /boot/vmlinuz-*; do
            version=${kernel#/boot/vmlinuz-} initrd= root=PARTUUID=$(blkid)
            [ "$GRUB_DISABLE_LINUX_PARTUUID" = false ] || root=/dev/nvme0n1p1
            [ ! -e /boot/initrd.img-$version ] || initrd="initrd /boot/initrd.img-$version"
            [ -z "$initrd" ] || root=UUID=1
            printf '\tlinux %s root=%s ro %s\n\t%s\n' $kernel $root \
                "$GRUB_CMDLINE_LINUX_DEFAULT" "$initrd"
        done >/boot/grub/grub.cfg
        """,
    "findmnt": "#!/bin/sh\ncase $* in *FSTYPE*) echo ext4 ;; *) cat /root/source ;; esac\n",
    "blkid": f"#!/bin/sh\necho {PARTITION}\n",
}


@pytest.fixture
def with_grub(changed):
    """A root with a boot loader, on a partition as on EC2."""
    root = changed
    for name, text in GRUB.items():
        (root / f"usr/local/sbin/{name}").write_text(text)
        (root / f"usr/local/sbin/{name}").chmod(0o755)
    (root / "root/source").write_text("/dev/nvme0n1p1\n")
    (root / "boot/grub").mkdir(exist_ok=True)
    (root / "boot/grub/grub.cfg").write_text("# before\n")
    yield root
    for name in GRUB:
        (root / f"usr/local/sbin/{name}").unlink(missing_ok=True)
    subprocess.run(["rm", "-r", root / "boot/grub", root / "root/source"], check=True)
    assert root.install("boot").status == 0
    assert list((root / "boot").glob("initrd.img-*"))


def boots(root):
    """Run step boot; return GRUB's configuration, and whether there is an initramfs."""
    ended = root.install("boot")
    assert ended.status == 0, ended.output
    return root.text("boot/grub/grub.cfg"), bool(list((root / "boot").glob("initrd.img-*")))


def test_kernel_that_can_find_the_root_itself_starts_without_an_initramfs(with_grub):
    for _ in range(2):
        grub, initramfs = boots(with_grub)
        assert not initramfs
        assert f"root=PARTUUID={PARTITION} ro " in grub
        assert "rootwait" in grub
    # nor does a package that updates the initramfs bring one back
    assert with_grub.run("update-initramfs", "-u").status == 0
    assert not list((with_grub / "boot").glob("initrd.img-*"))


@pytest.mark.parametrize("source", ["/dev/mapper/root", "/dev/nvme0n1", "/dev/xvda1"])
def test_root_elsewhere_keeps_the_initramfs(with_grub, source):
    assert not boots(with_grub)[1]
    (with_grub / "root/source").write_text(f"{source}\n")
    grub, initramfs = boots(with_grub)
    assert initramfs
    assert "initrd /boot/initrd.img-" in grub


def test_kernel_without_the_drivers_keeps_the_initramfs(with_grub):
    (modules,) = (with_grub / "lib/modules").glob("*/modules.builtin")
    text = modules.read_text()
    modules.write_text("".join(line for line in text.splitlines(True) if "ext4" not in line))
    try:
        # the initramfs of this kernel has no such module, either
        ended = with_grub.install("boot")
        assert list((with_grub / "boot").glob("initrd.img-*"))
        assert ended.status != 0
        assert "lacks the driver ext4" in ended.output
    finally:
        modules.write_text(text)


def test_grub_that_does_otherwise_keeps_the_initramfs(with_grub):
    program = with_grub / "usr/local/sbin/update-grub"
    program.write_text(program.read_text().replace("root=PARTUUID", "root=LABEL"))
    ended = with_grub.install("boot")
    assert ended.status == 0, ended.output
    assert "it stays" in ended.output
    assert list((with_grub / "boot").glob("initrd.img-*"))
    assert "initrd /boot/initrd.img-" in with_grub.text("boot/grub/grub.cfg")
