# SPDX-License-Identifier: MIT
"""Everything is checked before anything is changed: each fault is named, and the tree stays."""

import os
import re
import subprocess

import pytest
from ami.root import PROJECT, debian_arch, make_archive, make_package

OTHER_ARCH = {"amd64": "arm64", "arm64": "amd64"}


@pytest.fixture(scope="module")
def untouched(stock, work):
    """A stock system that ami/install refuses to change."""
    with stock.lend(work / "untouched") as root:
        root.run("true")  # makes /ami and /in
        yield root


@pytest.fixture(scope="module")
def unchanged(stock, untouched):
    """Run ami/install with bad inputs, and check that it refuses and changes nothing."""
    inputs = stock.inputs
    make_package(inputs / "other.deb", name="other")
    make_package(inputs / "foreign.deb", arch=OTHER_ARCH[debian_arch()])
    make_package(inputs / "old.deb", units=2)
    (inputs / "broken.deb").write_bytes(b"!<arch>\nno package\n")
    (inputs / "agent.rpm").write_bytes(b"no package\n")
    root = untouched
    before = root.tree()

    def refused(*arguments, status=1, **settings):
        ended = root.install(*arguments, **settings)
        assert ended.status == status, ended.output
        after = root.tree()
        assert {name for name in before | after if before.get(name) != after.get(name)} == set()
        return ended.output

    return refused


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("AGENT_PACKAGE", "", "AGENT_PACKAGE is missing"),
        ("AGENT_PACKAGE", "/in/none.deb", "there is no such file"),
        ("AGENT_PACKAGE", "/in/agent.rpm", "this system installs .deb files"),
        ("AGENT_PACKAGE", "/in/other.deb", "is the package other, not runner-agent"),
        ("AGENT_PACKAGE", "/in/foreign.deb", f"this machine is {debian_arch()}"),
        ("AGENT_PACKAGE", "/in/old.deb", "has no runner.socket"),
        ("AGENT_PACKAGE", "/in/broken.deb", "cannot be read as a .deb"),
        ("RUNNER_VERSION", "", "RUNNER_VERSION is ''"),
        ("RUNNER_VERSION", "v2.330.0", "RUNNER_VERSION is 'v2.330.0'"),
        ("RUNNER_VERSION", "2.330", "RUNNER_VERSION is '2.330'"),
        ("RUNNER_SHA256", "", "RUNNER_SHA256 is ''"),
        ("RUNNER_SHA256", "a" * 63, "64 hexadecimal digits"),
        ("RUNNER_SHA256", "g" * 64, "64 hexadecimal digits"),
        ("RUNNER_SHA256", "a" * 64, "not RUNNER_SHA256 " + "a" * 64),
        ("RUNNER_ARCHIVE", "/in/none.tar.gz", "there is no such file"),
        ("RUNNER_ARCHIVE", "http://127.0.0.1:1/", "could not be fetched from http://127.0.0.1:1/"),
        ("RUNNER_SUDO", "true", "RUNNER_SUDO is 'true'; allowed: no yes"),
        ("DOCKER", "1", "DOCKER is '1'; allowed: no yes"),
        ("BUILD_TOOLS", "maybe", "BUILD_TOOLS is 'maybe'"),
        ("JOB_METADATA", "yes", "JOB_METADATA is 'yes'; allowed: deny allow"),
        ("LIFE_HOURS", "0", "LIFE_HOURS is '0'"),
        ("LIFE_HOURS", "169", "LIFE_HOURS is '169'"),
        ("LIFE_HOURS", "7h", "LIFE_HOURS is '7h'"),
        ("SSH", "on", "SSH is 'on'; allowed: no yes"),
        ("PROFILE", "ubuntu-latest", "PROFILE is 'ubuntu-latest'; allowed: hosted minimal"),
        ("TOOLS", "java rust", "TOOLS is 'rust'; allowed: java browser db"),
        ("EXTRA_PACKAGES", "jq no-such-package", "have no package no-such-package"),
        ("INSTANCE_STORE", "yes", "INSTANCE_STORE is 'yes'; allowed: auto no"),
        ("SWAP", "8G", "SWAP is '8G'; it must be whole GiB"),
        ("SWAP", "-1", "SWAP is '-1'"),
        ("PREFIX", "scale-agent", "PREFIX is 'scale-agent'"),
        ("PREFIX", '/a"b', "PREFIX is '/a\"b'"),
        ("EXTRA_PACKAGES", "jq; rm", "EXTRA_PACKAGES holds 'jq;'"),
        ("EXTRA_PACKAGES", "--reinstall", "EXTRA_PACKAGES holds '--reinstall'"),
    ],
)
def test_setting_is_refused(unchanged, setting, value, said):
    assert said in (output := unchanged(**{setting: value}))
    assert "nothing was changed" in output.lower()


def test_all_faults_are_told_at_once(unchanged):
    output = unchanged(AGENT_PACKAGE="", RUNNER_VERSION="x", DOCKER="x")
    for name in ("AGENT_PACKAGE", "RUNNER_VERSION", "DOCKER"):
        assert f"ami/install: {name}" in output


def test_archive_that_is_no_runner_is_refused(unchanged, stock):
    path = stock.inputs / "no-runner.tar.gz"
    subprocess.run(["tar", "-czf", path, "-C", PROJECT / "ami", "install"], check=True)
    checksum = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True)
    output = unchanged(
        RUNNER_ARCHIVE="/in/no-runner.tar.gz", RUNNER_SHA256=checksum.stdout.split()[0]
    )
    assert "holds no bin/Runner.Listener" in output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fast"], "no option --fast"),
        (["packages", "bott"], "no step named bott; there are: authorities packages"),
    ],
)
def test_wrong_option_or_step_is_refused(unchanged, arguments, said):
    assert said in unchanged(*arguments, status=2)


def test_check_changes_nothing(unchanged):
    assert "all is in order; nothing was changed" in unchanged("--check", status=0)


def test_a_hosted_image_of_amazon_linux_is_refused(unchanged, untouched):
    path = untouched / "usr/lib/os-release"
    was, time = path.read_text(), path.stat()
    path.write_text('ID="amzn"\nPRETTY_NAME="Amazon Linux 2023"\nVERSION_ID="2023"\n')
    try:
        ended = untouched.install(PROFILE="hosted", TOOLS="java")
        assert ended.status == 1
        assert "PROFILE is 'hosted', which is for Debian and Ubuntu" in ended.output
        assert "TOOLS is 'java'; there are no such groups for Amazon Linux" in ended.output
    finally:
        path.write_text(was)
        os.utime(path, ns=(time.st_atime_ns, time.st_mtime_ns))
    unchanged("--check", status=0)


def test_help_tells_every_setting(unchanged):
    output = unchanged("--help", status=0)
    common = (PROJECT / "ami/common.sh").read_text()
    settings = re.findall(r"^([A-Z0-9_]{3,})=", common, re.MULTILINE)
    assert len(settings) > 10
    for name in settings:
        assert f"  {name} " in output


@pytest.mark.parametrize(
    ("release", "said"),
    [
        ('ID=fedora\nPRETTY_NAME="Fedora Linux 40"\nVERSION_ID=40\n', "Fedora Linux 40"),
        ('ID=debian\nPRETTY_NAME="Debian 11"\nVERSION_ID="11"\n', "Debian 11"),
        ('ID=ubuntu\nPRETTY_NAME="Ubuntu 22.04"\nVERSION_ID="22.04"\n', "Ubuntu 22.04"),
        ('ID="amzn"\nPRETTY_NAME="Amazon Linux 2"\nVERSION_ID="2"\n', "Amazon Linux 2"),
    ],
)
def test_other_system_is_refused(unchanged, untouched, release, said):
    path = untouched / "usr/lib/os-release"
    was, time = path.read_text(), path.stat()
    path.write_text(release)
    try:
        ended = untouched.install()
        assert ended.status == 1
        assert f"this system is {said}, for which there are no steps" in ended.output
        systems = "Debian 12 or 13, Ubuntu 24.04 or 26.04, or Amazon Linux 2023"
        assert f"use {systems}" in ended.output
    finally:
        path.write_text(was)
        os.utime(path, ns=(time.st_atime_ns, time.st_mtime_ns))
    unchanged("--check", status=0)


def test_not_root_is_refused(untouched):
    root = untouched
    ended = root.run("setpriv", "--reuid=65534", "--clear-groups", "/ami/install", **root.settings)
    assert ended.status == 1
    assert "you are not root" in ended.output


@pytest.mark.parametrize("folder", ["/tmp", "/opt", "/boot", "/var/tmp"])
def test_full_disk_is_found_before_it_is_full(untouched, folder):
    mount = f"mount -t tmpfs -o size=4k tmpfs {folder} && exec /ami/install"
    if folder == "/var/tmp":
        # only a downloaded archive needs space there
        mount = f"RUNNER_ARCHIVE=http://127.0.0.1:1/ && export RUNNER_ARCHIVE && {mount}"
    before = untouched.tree()
    ended = untouched.run("sh", "-c", mount, **untouched.settings)
    assert ended.status == 1
    assert f"the file system of {folder}" in ended.output
    assert "MiB free, and" in ended.output
    assert "nothing was changed" in ended.output
    assert untouched.tree() == before


def test_runner_that_does_not_start_is_not_installed(changed):
    root = changed
    listener = "#!/bin/sh\necho libicu is missing; exit 134\n"
    checksum = make_archive(root.inputs / "bad.tar.gz", listener)
    was = root.text("opt/actions-runner/bin/Runner.Listener")
    ended = root.install("runner", RUNNER_ARCHIVE="/in/bad.tar.gz", RUNNER_SHA256=checksum)
    assert ended.status == 1
    assert "libicu is missing" in ended.output
    assert "does not start here" in ended.output
    assert root.text("opt/actions-runner/bin/Runner.Listener") == was
    assert os.listdir(root / "opt") == ["actions-runner"]  # noqa: PTH208


def test_failure_in_a_step_names_it_and_it_can_be_run_again(changed):
    root = changed
    (root / "usr/sbin/useradd").rename(root / "usr/sbin/useradd.away")
    (root / "usr/sbin/useradd").write_text("#!/bin/sh\necho no room for users >&2\nexit 1\n")
    (root / "usr/sbin/useradd").chmod(0o755)
    root.run("userdel", "runner")
    ended = root.install("user", "docker")
    assert ended.status == 1
    assert "no room for users" in ended.output
    assert "this failed with status 1: useradd" in ended.output
    assert "step user failed" in ended.output
    assert "ami/install: docker" not in ended.output
    (root / "usr/sbin/useradd.away").replace(root / "usr/sbin/useradd")
    assert root.install("user", "docker").status == 0
