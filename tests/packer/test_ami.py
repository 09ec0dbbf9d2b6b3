# SPDX-License-Identifier: MIT
"""make ami, with stand-ins for packer, for aws, and for the make that builds the package.

They write down how they were called, and answer as their environment says.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloud.limits import PATIENCE, until

PROJECT = Path(__file__).resolve().parents[2]
REGION = "eu-central-1"
IMAGE = "ami-0123456789abcdef0"

PACKER = r"""#!/usr/bin/env bash
case $1 in version) echo "${PACKER_SAYS-Packer v1.14.2}"; exit ;; esac
printf 'packer' >>"$CALLS"; printf ' %s' "$@" >>"$CALLS"; printf '\n' >>"$CALLS"
echo "checkpoint $CHECKPOINT_DISABLE, plugins $PACKER_PLUGIN_PATH" >>"$CALLS.environment"
case $1 in
  init) [ -z "$INIT_FAILS" ] || { echo "$INIT_FAILS"; exit 1; } ;;
  validate) [ -z "$VALIDATE_FAILS" ] || { echo "$VALIDATE_FAILS"; exit 1; } ;;
  build)
    if [ -n "$BUILD_WAITS" ]; then
      trap 'echo "Cleanly cancelled builds after being interrupted."; exit 1' INT
      touch "$CALLS.waits"
      for i in {1..200}; do sleep 0.1; done
    fi
    [ -z "$BUILD_FAILS" ] || { printf '%b' "$BUILD_FAILS"; exit 1; }
    for word in "$@"; do case $word in architecture=*) arch=${word#*=} ;; esac; done
    manifest=build/ami-manifest-$arch.json
    printf '{\n  "builds": [\n    {\n      "artifact_id": "%s",\n' "$ARTIFACT" >"$manifest"
    ;;
esac
exit 0
"""

AWS = r"""#!/usr/bin/env bash
case " $* " in
  *" --version "*) echo aws-cli/2.30.1 ;;
  *" get-caller-identity "*)
    [ -z "$NO_CREDENTIALS" ] || { echo 'Unable to locate credentials' >&2; exit 255; }
    printf '123456789012\tarn:aws:iam::123456789012:user/owner\n' ;;
  *" describe-vpcs "*) echo "${DEFAULT_VPC-vpc-01234567}" ;;
  *" describe-tags "*)
    echo "aws $*" >>"$CALLS"
    [ -z "$TAGS_FAIL" ] || { echo "$TAGS_FAIL" >&2; exit 254; }
    printf '%b' "$TAGS" ;;
  *) echo "the stand-in does not know: $*" >&2; exit 1 ;;
esac
"""

MAKE = r"""#!/usr/bin/env bash
echo "make $*" >>"$CALLS"
[ -z "$PACKAGE_FAILS" ] || { echo 'no such library'; exit 2; }
for word in "$@"; do case $word in ARCH=*) arch=${word#*=} ;; esac; done
mkdir -p build
for kind in deb rpm; do echo package >"build/runner-agent-$arch.$kind"; done
"""


class Builder:
    """A copy of the project, and the machine of somebody who builds an image."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.calls = folder / "calls"
        (folder / "build").mkdir(parents=True)
        for name in ("scaler/deploy", "packer", "runner-agent/package"):
            shutil.copytree(PROJECT / name, folder / name)
        shutil.copy(PROJECT / "Makefile", folder)
        tools = folder / "tools"
        tools.mkdir()
        for name, text in {"packer": PACKER, "aws": AWS, "make": MAKE}.items():
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        git = ["git", "-c", "user.name=us", "-c", "user.email=us@example.org"]
        for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
            subprocess.run([*git, *words], cwd=folder, check=True)
        self.environment = {
            "PATH": f"{tools}:/usr/bin:/bin",
            "HOME": str(folder),
            "CALLS": str(self.calls),
            "ARTIFACT": f"{REGION}:{IMAGE}",
            "AWS_REGION": REGION,
            "ARCH": "x86_64",
        }

    def start(self, answers=None, **settings):
        """Start make ami; with answers there is a terminal, and somebody who gives them."""
        environment = self.environment | settings
        environment = {name: value for name, value in environment.items() if value is not None}
        ours, theirs = pty.openpty()
        os.write(ours, "".join(f"{answer}\n" for answer in answers or []).encode())
        process = subprocess.Popen(
            ["/usr/bin/make", "--no-print-directory", "ami"],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL if answers is None else theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        return process, ours, theirs

    def make(self, answers=None, **settings):
        """Run make ami and give its status and what it printed."""
        process, ours, theirs = self.start(answers, **settings)
        try:
            text, _ = process.communicate(timeout=PATIENCE)
        finally:
            os.close(ours)
            os.close(theirs)
        return process.returncode, text

    def does(self, answers=None, **settings):
        status, text = self.make(answers, **settings)
        assert status == 0, text
        return text

    def fails(self, answers=None, **settings):
        status, text = self.make(answers, **settings)
        assert status != 0, text
        return text

    def called(self):
        """List how the stand-ins were called, one a line."""
        return self.calls.read_text().splitlines() if self.calls.exists() else []

    def variables(self, command="build"):
        """Give the variables that packer's command was given."""
        (line,) = [one for one in self.called() if one.startswith(f"packer {command} ")]
        line = line.removesuffix(" packer")
        return dict(word.split("=", 1) for word in line.split(" -var ")[1:])

    def kept(self, arch="x86_64"):
        path = self.folder / "build" / f"ami-{arch}"
        return path.read_text() if path.exists() else None


@pytest.fixture
def builder(tmp_path):
    return Builder(tmp_path / "project")


# -- all of it -------------------------------------------------------------------------------------


def test_package_init_validate_build_in_this_order(builder):
    text = builder.does(YES="1")
    assert [" ".join(one.split()[:2]) for one in builder.called()] == [
        "make --no-print-directory",
        "packer init",
        "packer validate",
        "packer build",
    ]
    assert builder.called()[0].endswith("package ARCH=x86_64")
    assert all(one.endswith(" packer") for one in builder.called()[1:])
    assert builder.variables("validate").items() <= builder.variables("build").items()
    assert builder.kept() == f"{IMAGE} {REGION}\n"
    assert f"image: {IMAGE}  (ubuntu-24.04, hosted, x86_64, {REGION})" in text
    assert f"make stack AMI={IMAGE}" in text


def test_packer_asks_nobody_for_news(builder):
    builder.does(YES="1")
    lines = (builder.folder / "calls.environment").read_text().splitlines()
    assert set(lines) == {"checkpoint 1, plugins "}


@pytest.mark.parametrize(
    ("arch", "distribution", "kind"),
    [
        ("x86_64", "ubuntu-26.04", "deb"),
        ("arm64", "debian-13", "deb"),
        ("arm64", "amazon-linux-2023", "rpm"),
    ],
)
def test_each_distribution_gets_its_kind_of_package(builder, arch, distribution, kind):
    builder.does(YES="1", ARCH=arch, DISTRIBUTION=distribution)
    given = builder.variables()
    assert given["agent_package"] == str(builder.folder / "build" / f"runner-agent-{arch}.{kind}")
    assert given["architecture"] == arch and given["distribution"] == distribution
    assert given["profile"] == ("minimal" if kind == "rpm" else "hosted")
    assert builder.kept(arch) == f"{IMAGE} {REGION}\n"


def test_a_plain_image_leaves_the_rest_to_the_template(builder):
    builder.does(YES="1")
    given = builder.variables()
    assert set(given) == {
        "region",
        "build_id",
        "git_revision",
        "agent_version",
        "distribution",
        "architecture",
        "agent_package",
        "profile",
    }
    assert given["profile"] == "hosted" and given["region"] == REGION
    assert given["agent_version"].startswith("0~git2") and given["git_revision"]


def test_settings_reach_packer(builder):
    sha = "a" * 64
    variables = builder.folder / "ours.pkrvars.hcl"
    builder.does(
        YES="1",
        RUNNER_VERSION="2.400.0",
        RUNNER_SHA256=sha,
        RUNNER_ARCHIVE="https://mirror.example.org/runner.tar.gz",
        PROFILE="minimal",
        TOOLS="java,browser",
        TOOLS_MIRROR="https://mirror.example.org/tools/",
        DOCKER_FROM="https://mirror.example.org/docker",
        RUNNER_SUDO="yes",
        DOCKER="yes",
        BUILD_TOOLS="no",
        EXTRA_PACKAGES="jq unzip",
        JOB_METADATA="allow",
        LIFE_HOURS="24",
        SSH="yes",
        PREFIX="ours",
        SUBNET="subnet-01234567",
        VPC="vpc-01234567",
        SSH_INTERFACE="private_ip",
        INSTANCE_TYPE="c7i.large",
        IMAGE_NAME="our-runner",
        IMAGE_SIZE="20",
        ENCRYPTED="yes",
        KMS_KEY="alias/ours",
        SHARE_WITH="111111111111,222222222222",
        DEPRECATE_DAYS="30",
        PACKER_VAR_FILE=str(variables),
        ARTIFACT=f"eu-west-1:ami-11111111,{REGION}:{IMAGE}",
    )
    assert builder.called()[-1].endswith(f" -var-file {variables} packer")
    given = builder.variables()
    given["deprecate_days"] = given["deprecate_days"].split()[0]
    expected = {
        "runner_version": "2.400.0",
        "runner_sha256": f'{{x86_64="{sha}"}}',
        "runner_archive": "https://mirror.example.org/runner.tar.gz",
        "profile": "minimal",
        "tools": '["java","browser"]',
        "tools_mirror": "https://mirror.example.org/tools/",
        "docker_from": "https://mirror.example.org/docker",
        "runner_sudo": "true",
        "docker": "true",
        "build_tools": "false",
        "extra_packages": '["jq","unzip"]',
        "job_metadata": "allow",
        "life_hours": "24",
        "ssh": "true",
        "prefix": "/ours",
        "subnet_id": "subnet-01234567",
        "vpc_id": "vpc-01234567",
        "ssh_interface": "private_ip",
        "instance_type": "c7i.large",
        "name": "our-runner",
        "volume_size": "20",
        "encrypted": "true",
        "kms_key_id": "alias/ours",
        "share_accounts": '["111111111111","222222222222"]',
        "deprecate_days": "30",
    }
    assert expected.items() <= given.items()


def test_packer_takes_what_it_is_handed(builder, packer):
    """Variables as in the test above, given to Packer itself."""
    builder.does(
        YES="1",
        RUNNER_VERSION="2.400.0",
        RUNNER_SHA256="a" * 64,
        EXTRA_PACKAGES="jq unzip",
        TOOLS="java db",
        DOCKER="no",
        SHARE_WITH="111111111111,222222222222",
        ENCRYPTED="no",
        COPY_TO="eu-west-1",
        DEPRECATE_DAYS="30",
        IMAGE_SIZE="20",
        SSH="no",
        SUBNET="subnet-01234567",
        PREFIX="ours",
    )
    given = [f"-var={name}={value}" for name, value in builder.variables("validate").items()]
    result = packer.run("validate", *given, "packer")
    assert result.returncode == 0, result.stdout


def test_the_copy_of_an_image_is_told_and_the_regions_own_is_kept(builder):
    text = builder.does(YES="1", ARTIFACT=f"eu-west-1:ami-11111111,{REGION}:{IMAGE}")
    assert builder.kept() == f"{IMAGE} {REGION}\n"
    assert "copy:  ami-11111111  (eu-west-1)" in text


def test_it_asks_as_make_stack_does(builder):
    text = builder.does(answers=["debian-13", "subnet-01234567", "minimal"])
    assert "amazon-linux-2023) [ubuntu-24.04]: " in text and "]: " in text
    given = builder.variables()
    assert given["distribution"] == "debian-13" and given["subnet_id"] == "subnet-01234567"
    assert given["profile"] == "minimal"
    builder.calls.unlink()
    builder.does(answers=["", "", ""])
    assert builder.variables()["distribution"] == "ubuntu-24.04"
    assert builder.variables()["profile"] == "hosted"


def test_a_package_that_is_there_is_taken_as_it_is(builder):
    package = builder.folder / "ours.deb"
    package.write_text("package")
    builder.does(YES="1", AGENT_PACKAGE=str(package))
    assert not [one for one in builder.called() if one.startswith("make ")]
    assert builder.variables()["agent_package"] == str(package)
    assert builder.variables()["agent_version"] == "unknown"


# -- the runner's age ------------------------------------------------------------------------------


def age_runner(builder, days):
    """Pin a runner that was released so many days ago."""
    released = (datetime.now(UTC) - timedelta(days=days)).date().isoformat()
    path = builder.folder / "packer" / "runner.pkr.hcl"
    text, count = re.subn('(runner_released = ")[^"]*', rf"\g<1>{released}", path.read_text())
    assert count == 1
    path.write_text(text)
    return released


def pinned_version():
    text = (PROJECT / "packer" / "runner.pkr.hcl").read_text()
    return re.search(r'default += "(2\.\d+\.\d+)"', text)[1]


def test_it_says_how_old_the_pinned_runner_is(builder):
    released = age_runner(builder, 19)
    text = builder.does(YES="1")
    assert f"GitHub's runner {pinned_version()}, released on {released}, 19 days ago\n" in text
    assert "warning" not in text


def test_it_warns_of_an_old_runner_before_and_after_the_build(builder):
    age_runner(builder, 20)
    text = builder.does(YES="1")
    before, after = text.split(f"image: {IMAGE}")
    for part in (before, after):
        assert "warning: GitHub gives jobs to this runner until 30 days after" in part
        assert "make ami RUNNER_VERSION=… RUNNER_SHA256=…" in part


@pytest.mark.parametrize(
    "named",
    [
        {"RUNNER_VERSION": "2.400.0", "RUNNER_SHA256": "a" * 64},
        {"PKR_VAR_runner_version": "2.400.0"},
    ],
)
def test_it_does_not_know_the_age_of_another_runner(builder, named):
    age_runner(builder, 90)
    text = builder.does(YES="1", **named)
    assert "GitHub's runner 2.400.0, as you name it\n" in text
    assert "warning" not in text


# -- what stops it before anything is built --------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "cause", "step"),
    [
        ({"ARCH": "riscv64"}, "ARCH is riscv64; images are made for x86_64 and arm64", "ARCH="),
        ({"DISTRIBUTION": "fedora"}, "there are no images of fedora", "DISTRIBUTION="),
        (
            {"DISTRIBUTION": "amazon-linux-2023", "PROFILE": "hosted"},
            "are for Debian and Ubuntu, not for amazon-linux-2023",
            "PROFILE=minimal",
        ),
        (
            {"DISTRIBUTION": "amazon-linux-2023", "TOOLS": "java"},
            "are for Debian and Ubuntu, not for amazon-linux-2023",
            "EXTRA_PACKAGES",
        ),
        ({"PACKER": "/nowhere/packer"}, "is not HashiCorp's Packer", "PACKER="),
        ({"PACKER_SAYS": "Packer v1.9.5"}, "is version 1.9.5; packer/ needs 1.10", "newer"),
        ({"PACKER_SAYS": "cracklib"}, "is not HashiCorp's Packer", "PACKER="),
        ({"NO_CREDENTIALS": "1"}, "signing in to AWS failed", "sign in"),
        ({"AWS_REGION": None, "HOME": "/nowhere"}, "no AWS region is set", "AWS_REGION="),
        ({"DEFAULT_VPC": "None"}, f"there is no default VPC in {REGION}", "SUBNET="),
        ({"RUNNER_VERSION": "2.400.0"}, "the SHA-256 of that version's archive", "RUNNER_SHA256="),
        (
            {"KMS_KEY": "alias/ours", "ENCRYPTED": "no"},
            "the image is not to be encrypted",
            "leave out ENCRYPTED=no",
        ),
        ({"SHARE_WITH": "111111111111"}, "encrypts cannot be shared", "KMS_KEY="),
        (
            {"SHARE_WITH": "111111111111", "KMS_KEY": "alias/ours", "COPY_TO": "eu-west-1"},
            "copies in other regions, which cannot be shared",
            "AWS_REGION=",
        ),
        ({"SSH_INTERFACE": "session_manager"}, "an instance profile", "INSTANCE_PROFILE="),
        (
            {
                "SSH_INTERFACE": "session_manager",
                "INSTANCE_PROFILE": "builder",
                "DISTRIBUTION": "debian-13",
            },
            "Debian's image has no agent of Systems Manager",
            "SSH_INTERFACE=public_ip",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_it_stops_before_the_package_is_built(builder, settings, cause, step):
    text = builder.fails(YES="1", **settings)
    assert cause in text and step in text.split("next:")[1]
    assert builder.called() == [] and builder.kept() is None


def test_without_packer_it_says_what_to_install(builder):
    (builder.folder / "tools" / "packer").unlink()
    text = builder.fails(YES="1")
    assert "there is no packer on PATH" in text and "1.10 or newer" in text.split("next:")[1]
    assert "make packer" in text and builder.called() == []


def test_without_packer_the_tests_one_is_taken_with_its_plugin(builder):
    ours = builder.folder / "build" / "tools" / "packer"
    ours.mkdir(parents=True)
    (builder.folder / "tools" / "packer").rename(ours / "packer")
    text = builder.does(YES="1")
    assert "there is no packer on PATH: using build/tools/packer/packer" in text
    lines = (builder.folder / "calls.environment").read_text().splitlines()
    assert set(lines) == {"checkpoint 1, plugins build/tools/packer/plugins"}


def test_a_package_that_is_not_there_is_named(builder):
    text = builder.fails(YES="1", AGENT_PACKAGE="/nowhere/agent.deb")
    assert "there is no package /nowhere/agent.deb" in text
    assert "make package ARCH=x86_64" in text.split("next:")[1]
    text = builder.fails(YES="1", PACKAGE_FAILS="1")
    assert "no such library" in text and "package was not built; the reason is above" in text
    assert not [one for one in builder.called() if one.startswith("packer ")]


def test_a_switch_is_yes_or_no(builder):
    text = builder.fails(YES="1", DOCKER="true")
    assert "DOCKER is true; it is yes or no" in text
    text = builder.fails(YES="1", IMAGE_NAME='a"b')
    assert "IMAGE_NAME contains a quotation mark" in text
    assert not [one for one in builder.called() if one.startswith("packer ")]


# -- what Packer refuses ---------------------------------------------------------------------------


def test_a_plugin_that_cannot_be_had(builder):
    text = builder.fails(YES="1", INIT_FAILS="Failed getting the plugin: no route to host")
    assert "no route to host" in text and "could not download its plugin for AWS" in text
    assert (
        "packer plugins install --path FILE github.com/hashicorp/amazon" in text.split("next:")[1]
    )
    assert builder.called()[-1] == "packer init packer"


def test_settings_that_packer_does_not_take(builder):
    text = builder.fails(YES="1", VALIDATE_FAILS="Error: The name must be 3 to 64 letters")
    assert "The name must be 3 to 64" in text and "nothing was built" in text
    assert builder.called()[-1].startswith("packer validate")


OUTPUT = (
    "2026-11-23T22:00:00Z: ==> amazon-ebs.runner: Prevalidating any provided VPC information\\n"
    "2026-11-23T22:00:09Z: ==> amazon-ebs.runner: Launching a source AWS instance...\\n"
    "2026-11-23T22:01:00Z: ==> amazon-ebs.runner: Provisioning with shell script: /tmp/shell1\\n"
    "2026-11-23T22:01:30Z:     amazon-ebs.runner: ami/install: step runner: no such archive\\n"
    "2026-11-23T22:01:31Z: ==> amazon-ebs.runner: Script exited with non-zero exit status: 1.\\n"
    "2026-11-23T22:01:32Z: ==> amazon-ebs.runner: Terminating the source AWS instance...\\n"
    "2026-11-23T22:02:00Z: Build 'amazon-ebs.runner' errored after 2 minutes: Script exited\\n"
)


def test_a_build_that_fails_says_at_what(builder):
    (builder.folder / "build" / "ami-x86_64").write_text("ami-00000000 eu-central-1\n")
    text = builder.fails(YES="1", BUILD_FAILS=OUTPUT)
    assert 'Packer failed at "Provisioning with shell script: /tmp/shell1"' in text
    assert "no such archive" in text and "nothing of it is left in eu-central-1" in text
    log = (builder.folder / "build" / "ami-x86_64.log").read_text()
    assert "no such archive" in log and "build/ami-x86_64.log" in text
    assert builder.kept() == "ami-00000000 eu-central-1\n"  # the one before is still good


def test_what_a_build_left_is_named(builder):
    text = builder.fails(
        YES="1", BUILD_FAILS=OUTPUT, TAGS="instance\\ti-0123\\nsecurity-group\\tsg-0123\\n"
    )
    build = builder.variables()["build_id"]
    assert "  instance  i-0123\n  security-group  sg-0123\n" in text
    assert f"scale-agent:image-build={build}" in text
    assert f"Name=value,Values={build}" in builder.called()[-1]
    text = builder.fails(YES="1", BUILD_FAILS=OUTPUT, TAGS_FAIL="Could not connect to the endpoint")
    assert "AWS does not say whether something of this build is left: Could not connect" in text


def test_a_build_without_an_image_keeps_none(builder):
    text = builder.fails(YES="1", ARTIFACT="")
    assert "names no image in eu-central-1" in text and builder.kept() is None


def test_an_old_manifest_is_no_image_of_this_build(builder):
    manifest = builder.folder / "build" / "ami-manifest-x86_64.json"
    manifest.write_text(f'"artifact_id": "{REGION}:ami-00000000",\n')
    (builder.folder / "tools" / "packer").write_text(
        PACKER.replace("  build)\n", "  build) exit 0 ;;\n  never)\n")
    )
    assert "names no image" in builder.fails(YES="1") and builder.kept() is None


def test_ctrl_c_waits_for_packer_to_clean_up(builder):
    process, ours, theirs = builder.start(YES="1", BUILD_WAITS="1")
    try:
        waits = builder.folder / "calls.waits"
        assert until(lambda: waits.exists() or process.poll() is not None)
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        text, _ = process.communicate(timeout=PATIENCE)
    finally:
        os.close(ours)
        os.close(theirs)
    assert process.returncode != 0
    assert "Cleanly cancelled" in text and "stopped; there is no image" in text


# -- what companies add ----------------------------------------------------------------------------


def test_a_companys_files_reach_packer(builder):
    names = ["one.pem", "two.pem", "started.sh", "completed.sh", "variables", "setup"]
    for name in names:
        (builder.folder / name).write_text("theirs")
    (builder.folder / "actions").mkdir()
    builder.does(
        YES="1",
        PROXY="http://proxy:3128",
        NO_PROXY="a.example, .b.example",
        CA_CERTIFICATES="one.pem two.pem",
        HOOK_JOB_STARTED="started.sh",
        HOOK_JOB_COMPLETED="completed.sh",
        ENVIRONMENT="variables",
        SETUP_SCRIPT="setup",
        ACTIONS_ARCHIVE="actions",
        INSTANCE_STORE="no",
        SWAP="4",
    )
    expected = {
        "proxy": "http://proxy:3128",
        "no_proxy": '["a.example",".b.example"]',
        "ca_certificates": '["one.pem","two.pem"]',
        "hook_job_started": "started.sh",
        "hook_job_completed": "completed.sh",
        "environment": "variables",
        "setup_script": "setup",
        "actions_archive": "actions",
        "instance_store": "no",
        "swap": "4",
    }
    assert builder.variables().items() >= expected.items()


def test_the_shells_own_no_proxy_is_nothing_of_the_image(builder):
    builder.does(YES="1", NO_PROXY="*.local")
    assert "no_proxy" not in builder.variables()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"SETUP_SCRIPT": "nowhere"}, "there is no file nowhere"),
        ({"CA_CERTIFICATES": "Makefile,nowhere.pem"}, "there is no file nowhere.pem"),
        (
            {"SETUP_SCRIPT": "packer/ami", "ENVIRONMENT": "Makefile"},
            "packer/ami has the name of another file",
        ),
        (
            {"HOOK_JOB_STARTED": "Makefile", "HOOK_JOB_COMPLETED": "./Makefile"},
            "./Makefile has the name of another file",
        ),
    ],
)
def test_files_that_cannot_be_uploaded_are_refused_before_anything_is_built(
    builder, settings, said
):
    assert said in builder.fails(YES="1", **settings)
    assert builder.called() == []
