# SPDX-License-Identifier: MIT
"""What ami/install makes of a stock Debian 12: a machine that runs one job and starts fast."""

import json
import os
import stat
import subprocess

import pytest
from ami.root import WRITTEN_AGAIN


def test_every_step_is_done_in_order(first):
    _, said = first
    told = [line.split()[-1] for line in said.splitlines() if line.startswith("ami/install: ")]
    steps = ["authorities", "packages", "user", "agent", "runner", "tools", "docker", "metadata"]
    steps += ["network", "services", "system", "settings", "hosted", "store", "proxy", "hooks"]
    steps += ["actions", "environment", "setup", "order", "boot", "clean"]
    assert told == [*steps, "done"]


def test_agent_is_installed_configured_and_starts_with_the_boot(image):
    config = json.loads(image.text("etc/runner-agent/config.json"))
    assert config == {"prefix": "/scale-agent"}
    assert image.enabled("runner-agent.service")
    assert image.enabled("runner-agent-deadline.timer")


def test_runner_is_unpacked_for_its_user_and_says_its_version(image):
    uid, gid = (
        int(number) for number in image.run("sh", "-c", "id -u runner; id -g runner").output.split()
    )
    home = image / "opt/actions-runner"
    for path in [home, *home.rglob("*")]:
        assert (path.stat().st_uid, path.stat().st_gid) == (uid, gid) or path.name == ".version"
    assert image.text("opt/actions-runner/.version").split()[0] == "2.330.0"
    assert not (home / "_diag").exists(), "left by the build's own run"
    assert not list((image / "opt").glob("actions-runner.*"))


def test_runner_is_read_ahead(image):
    assert image.enabled("read-runner.service")
    listener = image / "opt/actions-runner/bin/Runner.Listener"
    with listener.open() as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    assert in_memory(listener) == 0
    ended = image.run("/usr/lib/scale-agent/read-runner")
    assert (ended.status, ended.output) == (0, "")
    assert in_memory(listener) > 0


def in_memory(file):
    """Return how many bytes of a file are in the page cache."""
    command = ["fincore", "--bytes", "--noheadings", "--output", "RES", file]
    return int(subprocess.run(command, capture_output=True, check=True).stdout)


def test_jobs_have_no_way_to_root(image):
    groups = image.run("id", "-nG", "runner").output.split()
    assert groups == ["runner"]
    assert not image.exists("etc/sudoers.d/runner")
    assert image.run("runuser", "-u", "runner", "--", "sudo", "-n", "true").status != 0
    password = image.text("etc/shadow").split("runner:")[1].split(":")[0]
    assert password.startswith("!")


def test_net_is_networkd_alone(image):
    assert image.enabled("systemd-networkd.service")
    assert image.enabled("systemd-resolved.service")
    for unit in ("networking.service", "systemd-networkd-wait-online.service"):
        assert image.masked(unit)
    assert not image.exists("etc/netplan/50-cloud-init.yaml")
    link = str((image / "etc/resolv.conf").readlink())
    assert link == "../run/systemd/resolve/stub-resolv.conf"
    assert image.text("etc/hostname") == "runner\n"
    assert "127.0.1.1 runner" in image.text("etc/hosts")


@pytest.mark.parametrize(
    "unit",
    ["apt-daily.timer", "fstrim.timer", "getty.target", "ssh.service", "systemd-firstboot.service",
     "cron.service", "systemd-machine-id-commit.service", "systemd-tmpfiles-clean.timer"],
)  # fmt: skip
def test_what_a_runner_does_not_need_is_off(image, unit):
    assert image.masked(unit)


def test_power_button_is_heard(image):
    assert not image.masked("systemd-logind.service")
    assert image.exists("usr/lib/systemd/system/systemd-logind.service")


def test_one_time_service_asks_ec2(image):
    assert image.enabled("chrony.service")
    assert not image.exists("usr/lib/systemd/system/systemd-timesyncd.service")
    assert "169.254.169.123" in image.text("etc/chrony/sources.d/ec2.sources")
    assert "\npool" not in image.text("etc/chrony/chrony.conf")


def generators(root):
    """Name the generators that systemd does not start."""
    found = (root / "etc/systemd/system-generators").iterdir()
    return {path.name for path in found if str(path.readlink()) == "/dev/null"}


def test_cloud_init_is_not_on_the_way(image):
    assert image.exists("etc/cloud/cloud-init.disabled")
    assert "cloud-init-generator" in generators(image)


def test_programs_that_would_make_no_unit_are_not_started(image, stock):
    off = generators(image)
    assert {"systemd-gpt-auto-generator", "systemd-cryptsetup-generator"} <= off
    there = {path.name for path in (stock / "usr/lib/systemd/system-generators").iterdir()}
    assert there - off == {"systemd-fstab-generator", "systemd-sysv-generator"}


def test_encrypted_disks_and_rc_local_of_the_image_keep_their_programs(changed):
    files = {"etc/crypttab": "data /dev/nvme1n1 none\n", "etc/rc.local": "#!/bin/sh\n"}
    for name, text in files.items():
        (changed / name).write_text(text)
        (changed / name).chmod(0o755)
    kept = {"systemd-cryptsetup-generator", "systemd-rc-local-generator"}
    for name in kept:
        (changed / "etc/systemd/system-generators" / name).unlink()
    assert changed.install("services").status == 0
    assert not kept & generators(changed)
    for name in files:
        (changed / name).unlink()
    assert changed.install("services").status == 0
    assert kept <= generators(changed)


def test_what_the_network_does_not_need_comes_beside_or_behind_it(image):
    assert image.masked("systemd-sysusers.service"), (
        "else udev waits until the root is mounted again"
    )
    drop_in = image.text("etc/systemd/system/systemd-binfmt.service.d/after-agent.conf")
    assert "\nAfter=runner-agent.service\n" in drop_in


def test_what_a_job_has_besides_comes_behind_the_agent_and_is_not_lost(image):
    late = ["dev-mqueue.mount", "sys-fs-fuse-connections.mount", "modprobe@.service"]
    for unit in late:
        assert not image.masked(unit)
        assert image.exists(f"usr/lib/systemd/system/{unit}")
        drop_in = image.text(f"etc/systemd/system/{unit}.d/after-agent.conf")
        assert "\nAfter=runner-agent.service\n" in drop_in


def test_a_hundred_profiles_are_not_on_the_way_to_the_job(image):
    drop_in = image.text("etc/systemd/system/apparmor.service.d/after-agent.conf")
    assert "\nAfter=runner-agent.service\n" in drop_in


def test_first_devices_come_before_other_devices(image):
    assert image.enabled("first-devices.service")
    drop_in = image.text("etc/systemd/system/systemd-udev-trigger.service.d/after-agent.conf")
    assert "\nAfter=runner-agent.service\n" in drop_in


def test_log_is_in_memory_and_on_the_console(image):
    shown = image.run("systemd-analyze", "cat-config", "systemd/journald.conf").output
    assert "\nStorage=volatile" in shown
    assert "\nForwardToConsole=yes" in shown
    assert "\nMaxLevelConsole=info" in shown
    assert not image.exists("var/log/journal")


def test_nothing_of_a_crashed_process_is_kept(image):
    assert "kernel.core_pattern = |/bin/false" in image.text("etc/sysctl.d/90-runner.conf")
    assert "DefaultLimitCORE=0" in image.text("etc/systemd/system.conf.d/90-runner.conf")


def test_file_systems_are_neither_checked_nor_swapped_to(image):
    lines = [line.split() for line in image.text("etc/fstab").splitlines()]
    assert [line[1] for line in lines] == ["/", "/boot/efi"]
    assert all(line[5] == "0" for line in lines)
    assert "noauto" in lines[1][3]


def test_boot_loader_does_not_wait_and_kernel_is_quiet(image):
    script = ". /etc/default/grub.d/90-runner.cfg; echo $GRUB_TIMEOUT:$GRUB_CMDLINE_LINUX_DEFAULT"
    timeout, _, line = image.run("sh", "-c", script).output.strip().partition(":")
    assert timeout == "0"
    assert {"quiet", "fsck.mode=skip", "panic=-1"} <= set(line.split())
    assert "rw" in line.split(), "else the agent's sandbox waits until the root is mounted again"
    assert line.split("console=")[-1].startswith("ttyS0")


def test_initramfs_has_what_nitro_boots_from_and_little_else(image, stock):
    (made,) = (image / "boot").glob("initrd.img-*")
    (was,) = (stock / "boot").glob("initrd.img-*")
    assert made.stat().st_size < was.stat().st_size / 2
    modules = image.text(f"lib/modules/{made.name.removeprefix('initrd.img-')}/modules.builtin")
    listed = image.run("lsinitramfs", f"/boot/{made.name}").output
    for driver in ("nvme", "ext4"):
        assert f"/{driver}.ko" in listed + modules


@pytest.mark.parametrize(
    "name",
    ["root/.ssh/authorized_keys", "root/.bash_history", "etc/ssh/ssh_host_ed25519_key",
     "var/lib/systemd/random-seed", "var/lib/dhcp/dhclient.leases", "var/log/journal",
     "var/lib/cloud/instance", "tmp/left", "var/tmp/.left", "usr/sbin/policy-rc.d"],
)  # fmt: skip
def test_nothing_of_the_build_is_left(image, name):
    assert not image.exists(name)


def test_logs_and_caches_are_empty(image):
    found = (image / "var/log").rglob("*")
    logs = [path for path in found if path.is_file() and not path.is_symlink()]
    assert logs
    assert [path for path in logs if path.stat().st_size > 0] == []
    assert not list((image / "var/lib/apt/lists").iterdir())
    assert not list((image / "var/cache/apt").rglob("*.deb"))


def test_each_machine_gets_an_id_and_the_presets_are_not_applied(image):
    # to systemd, an empty id is no first boot; a missing or "uninitialized" one is, with presets
    assert (image / "etc/machine-id").stat().st_size == 0
    assert str((image / "var/lib/dbus/machine-id").readlink()) == "/etc/machine-id"


def test_units_are_such_as_systemd_takes(image):
    units = ["runner-metadata-guard.service", "grow-root.service", "first-devices.service"]
    units += ["read-runner.service", "runner.service"]
    said = image.run("systemd-analyze", "verify", "--man=no", *units)
    assert (said.status, said.output) == (0, "")


def test_programs_of_the_image_can_be_run(image):
    mode = (image / "usr/lib/scale-agent/grow-root").stat().st_mode
    assert stat.S_IMODE(mode) == 0o755


def test_second_run_changes_nothing(image, changed):
    again = changed
    ended = again.install()
    assert ended.status == 0, ended.output
    before, after = image.contents(), again.contents()
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert sorted(name for name in changed if not name.startswith(WRITTEN_AGAIN)) == []


def test_built_package_is_taken(changed):
    root = changed
    if not (root.inputs / "built.deb").exists():
        pytest.skip("no package is built; make package makes build/runner-agent-ARCH.deb")
    ended = root.install("agent", AGENT_PACKAGE="/in/built.deb")
    assert ended.status == 0, ended.output
    assert root.exists("usr/bin/runner-agent")
    assert root.enabled("runner-agent.service")
    units = ["runner-agent.service", "runner.service", "runner-metadata-guard.service"]
    said = root.run("systemd-analyze", "verify", "--man=no", *units)
    assert (said.status, said.output) == (0, "")
    # and an older one again
    assert root.install("agent").status == 0
    assert not root.exists("usr/bin/runner-agent")
