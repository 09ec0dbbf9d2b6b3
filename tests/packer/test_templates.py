# SPDX-License-Identifier: MIT
"""packer/ as Packer and its plugin for AWS read it: what settings come to, what is refused.

`packer validate` knows every attribute of the builder; `packer console` tells the locals, which are
what depends on the settings.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / "packer"
DISTRIBUTIONS = ["debian-12", "debian-13", "ubuntu-24.04", "ubuntu-26.04", "amazon-linux-2023"]
PROFILES = ["hosted", "minimal"]
ARCHITECTURES = ["x86_64", "arm64"]
ALL = list(itertools.product(DISTRIBUTIONS, ARCHITECTURES))
UPLOAD = "/var/tmp/scale-agent-image"


@pytest.fixture
def package(tmp_path):
    path = tmp_path / "runner-agent-x86_64.deb"
    path.write_text("a package")
    return path


@pytest.fixture
def run(packer, package):
    """Run a command on packer/ with settings, in addition to those that are required."""

    def given(command, told="", **settings):
        values = {"region": "eu-central-1", "agent_package": package} | settings
        words = [f"-var={name}={value}" for name, value in values.items() if value is not None]
        return packer.run(command, *words, "packer", told=told)

    return given


@pytest.fixture
def accepted(run):
    def validate(**settings):
        result = run("validate", **settings)
        assert result.returncode == 0, result.stdout
        return result.stdout

    return validate


@pytest.fixture
def local(run):
    """Give a local of the templates as it is with some settings."""

    def tell(name, **settings):
        result = run("console", told=f"jsonencode(local.{name})\n", **settings)
        assert result.returncode == 0, result.stdout
        return json.loads(result.stdout)

    return tell


@pytest.fixture
def installation(local):
    """Give the settings that ami/install is run with."""

    def tell(**settings):
        words = local("environment", **settings)
        return dict(re.fullmatch(r"(\w+)='([^']*)'", word).groups() for word in words)

    return tell


def test_the_files_are_formatted(packer):
    result = packer.run("fmt", "-check", "-diff", "-recursive", "packer")
    assert result.returncode == 0, result.stdout


def test_the_plugin_that_is_there_is_one_that_they_take(packer):
    result = packer.run("init", "packer")
    assert result.returncode == 0 and result.stdout == ""


# -- what an image is made of ----------------------------------------------------------------------


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("distribution", "architecture"), ALL)
def test_each_image_is_accepted(accepted, package, distribution, architecture, profile):
    if distribution == "amazon-linux-2023":
        package = package.rename(package.with_suffix(".rpm"))
    said = accepted(
        distribution=distribution, architecture=architecture, profile=profile, agent_package=package
    )
    assert said == "The configuration is valid.\n"


@pytest.mark.parametrize(
    "settings",
    [
        {"source_ami": "ami-0123456789abcdef0", "encrypted": "true", "kms_key_id": "alias/ours"},
        {
            "ssh_interface": "private_ip",
            "subnet_id": "subnet-01234567",
            "vpc_id": "vpc-01234567",
            "share_accounts": '["123456789012"]',
            "copy_regions": '["eu-west-1", "us-gov-east-1", "eusc-de-east-1"]',
        },
        {"ssh_interface": "session_manager", "instance_profile": "builder"},
        {"name": "ours/runner", "instance_type": "c7i.large", "tags": '{team = "ours"}'},
        {"volume_size": "8", "deprecate_days": "0", "extra_packages": '["jq", "g++-12"]'},
        {"runner_version": "2.400.0", "runner_sha256": f'{{x86_64 = "{"a" * 64}"}}'},
    ],
    ids=["encrypted", "inside", "session", "named", "small", "newer"],
)
def test_what_may_be_chosen_is_accepted(accepted, settings):
    accepted(**settings)


@pytest.mark.parametrize(("distribution", "architecture"), ALL)
def test_it_begins_with_an_image_of_the_distribution(local, distribution, architecture):
    debian = {"x86_64": "amd64", "arm64": "arm64"}[architecture]
    owner, example, user, root = {
        "debian-12": (
            "136693071363",
            f"debian-12-{debian}-20261019-2271",
            "admin",
            "/dev/xvda",
        ),
        "debian-13": (
            "136693071363",
            f"debian-13-{debian}-20261019-2271",
            "admin",
            "/dev/xvda",
        ),
        "ubuntu-26.04": (
            "099720109477",
            f"ubuntu/images/hvm-ssd-gp3/ubuntu-resolute-26.04-{debian}-server-20261109",
            "ubuntu",
            "/dev/sda1",
        ),
        "ubuntu-24.04": (
            "099720109477",
            f"ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{debian}-server-20241109",
            "ubuntu",
            "/dev/sda1",
        ),
        "amazon-linux-2023": (
            "amazon",
            f"al2023-ami-2023.6.20241212.0-kernel-6.1-{architecture}",
            "ec2-user",
            "/dev/xvda",
        ),
    }[distribution]
    base = local("base", distribution=distribution, architecture=architecture)
    assert base == {"owner": owner, "name": base["name"], "user": user, "root": root}
    assert re.fullmatch(base["name"].replace(".", r"\.").replace("*", ".*"), example)


@pytest.mark.parametrize(
    ("architecture", "kind"), [("x86_64", "m7i.large"), ("arm64", "m7g.large")]
)
def test_each_architecture_has_its_runner_and_its_machine(local, installation, architecture, kind):
    text = (FOLDER / "runner.pkr.hcl").read_text()
    expected = re.search(rf"{architecture}\s+= \"([0-9a-f]+)\"", text)[1]
    assert installation(architecture=architecture)["RUNNER_SHA256"] == expected
    assert local("instance_type", architecture=architecture) == kind


def test_ami_install_gets_every_setting(installation):
    plain = installation()
    assert re.fullmatch(r"2\.\d+\.\d+", plain.pop("RUNNER_VERSION"))
    assert re.fullmatch(r"[0-9a-f]{64}", plain.pop("RUNNER_SHA256"))
    assert plain == {
        "AGENT_PACKAGE": f"{UPLOAD}/runner-agent-x86_64.deb",
        "PROFILE": "hosted",
        "BUILD_TOOLS": "yes",
        "JOB_METADATA": "deny",
        "LIFE_HOURS": "7",
        "PREFIX": "/scale-agent",
        "SSH": "no",
        "INSTANCE_STORE": "auto",
        "SWAP": "0",
    }


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"runner_version": "2.400.0"}, {"RUNNER_VERSION": "2.400.0"}),
        ({"runner_sha256": f'{{x86_64 = "{"a" * 64}"}}'}, {"RUNNER_SHA256": "a" * 64}),
        ({"runner_archive": "https://h/r.tar.gz"}, {"RUNNER_ARCHIVE": "https://h/r.tar.gz"}),
        ({"runner_sudo": "true"}, {"RUNNER_SUDO": "yes"}),
        ({"runner_sudo": "false"}, {"RUNNER_SUDO": "no"}),
        ({"docker": "true"}, {"DOCKER": "yes"}),
        ({"docker": "false"}, {"DOCKER": "no"}),
        ({"tools_mirror": "https://h/m/"}, {"TOOLS_MIRROR": "https://h/m/"}),
        ({"docker_from": "https://h/d"}, {"DOCKER_FROM": "https://h/d"}),
        ({"docker_from": "distribution"}, {"DOCKER_FROM": "distribution"}),
        ({"profile": "minimal"}, {"PROFILE": "minimal"}),
        ({"tools": '["java", "browser"]'}, {"TOOLS": "java browser"}),
        ({"build_tools": "false"}, {"BUILD_TOOLS": "no"}),
        ({"extra_packages": '["jq", "g++-12"]'}, {"EXTRA_PACKAGES": "jq g++-12"}),
        ({"job_metadata": "allow"}, {"JOB_METADATA": "allow"}),
        ({"life_hours": "24"}, {"LIFE_HOURS": "24"}),
        ({"prefix": "/ours"}, {"PREFIX": "/ours"}),
        ({"ssh": "true"}, {"SSH": "yes"}),
        ({"instance_store": "no"}, {"INSTANCE_STORE": "no"}),
        ({"swap": "8"}, {"SWAP": "8"}),
        (
            {"proxy": "http://proxy:3128", "no_proxy": '["a.example", ".b.example"]'},
            {"PROXY": "http://proxy:3128", "NO_PROXY": "a.example,.b.example"},
        ),
    ],
    ids=lambda value: next(iter(value), "nothing"),
)
def test_a_setting_changes_what_it_is_for_and_nothing_else(installation, settings, expected):
    assert installation(**settings) == installation() | expected


def test_ami_install_knows_the_settings_that_it_gets(installation):
    text = (PROJECT / "ami" / "install").read_text()
    known = re.findall(r"^  ([A-Z][A-Z0-9_]+)  +", text, re.MULTILINE)
    given = {
        "runner_archive": "https://h/r.tar.gz",
        "extra_packages": '["jq"]',
        "tools": '["java"]',
        "tools_mirror": "https://h/tools/",
        "docker_from": "https://h/docker",
        "docker": "true",
        "runner_sudo": "true",
    }
    given |= {"proxy": "http://proxy:3128", "no_proxy": '["a.example"]'}
    files = company_files(FOLDER)
    assert set(installation(**given, **files)) == set(known)


def test_hosts_without_a_proxy_mean_nothing_where_there_is_none(installation):
    assert installation(no_proxy='["a.example"]') == installation()


def company_files(folder):
    """Give variables that name files, which need not exist to be looked at."""
    return {
        "ca_certificates": f'["{folder}/one.pem", "{folder}/two.pem"]',
        "hook_job_started": folder / "started.sh",
        "hook_job_completed": folder / "completed.sh",
        "environment": folder / "variables",
        "setup_script": folder / "setup",
        "actions_archive": folder / "actions",
    }


def test_what_companies_add_is_taken_along(accepted, installation, tmp_path):
    for name in ("one.pem", "two.pem", "started.sh", "completed.sh", "variables", "setup"):
        (tmp_path / name).write_text("theirs")
    (tmp_path / "actions").mkdir()
    settings = company_files(tmp_path)
    accepted(**settings)
    assert installation(**settings) == installation() | {
        "CA_CERTIFICATES": f"{UPLOAD}/one.pem,{UPLOAD}/two.pem",
        "HOOK_JOB_STARTED": f"{UPLOAD}/started.sh",
        "HOOK_JOB_COMPLETED": f"{UPLOAD}/completed.sh",
        "ENVIRONMENT": f"{UPLOAD}/variables",
        "SETUP_SCRIPT": f"{UPLOAD}/setup",
        "ACTIONS_ARCHIVE": f"{UPLOAD}/actions",
    }


def test_an_archive_that_is_a_file_is_taken_along(accepted, installation, tmp_path):
    archive = tmp_path / "runner.tar.gz"
    archive.write_text("a runner")
    accepted(runner_archive=archive)
    assert installation(runner_archive=archive)["RUNNER_ARCHIVE"] == f"{UPLOAD}/runner.tar.gz"


def test_the_tags_tell_what_is_in_it(local):
    settings = {
        "agent_version": "1.0",
        "git_revision": "fe56d0b",
        "build_id": "b-1",
        "runner_version": "2.400.0",
        "tags": '{team = "ours"}',
    }
    assert local("tags", **settings) == {
        "team": "ours",
        "Name": "scale-agent-ubuntu-24.04-x86_64",
        "scale-agent:distribution": "ubuntu-24.04",
        "scale-agent:profile": "hosted",
        "scale-agent:architecture": "x86_64",
        "scale-agent:agent-version": "1.0",
        "scale-agent:runner-version": "2.400.0",
        "scale-agent:job-metadata": "deny",
        "scale-agent:git-revision": "fe56d0b",
        "scale-agent:source-ami": "{{ .SourceAMI }}",
        "scale-agent:source-ami-name": "{{ .SourceAMIName }}",
    }
    assert local("run_tags", **settings) == {
        "team": "ours",
        "Name": "scale-agent-ubuntu-24.04-x86_64 (image build)",
        "scale-agent:image-build": "b-1",
    }


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"region": None}, 'Unset variable "region"'),
        ({"agent_package": None}, 'Unset variable "agent_package"'),
        ({"region": "Frankfurt"}, "The region must be an AWS region"),
        ({"architecture": "aarch64"}, "The architecture must be x86_64 or arm64."),
        ({"architecture": "riscv64"}, "The architecture must be x86_64 or arm64."),
        ({"distribution": "fedora"}, "The distribution must be ubuntu-24.04, ubuntu-26"),
        ({"profile": "ubuntu-latest"}, "The profile must be hosted or minimal."),
        ({"tools_mirror": "https://h/tools"}, "must be a URL that ends in a slash"),
        ({"docker_from": "docker"}, "The source of Docker must be distribution, or a URL without"),
        ({"tools": '["java", "rust"]'}, "The tools must be among java, browser and db."),
        ({"agent_package": "/nowhere/agent.deb"}, "There is no such package of the runner-agent"),
        ({"agent_package": "/etc/passwd"}, "must be a .deb or .rpm file"),
        ({"runner_version": "latest"}, "The version of GitHub's runner must be three numbers"),
        ({"runner_sha256": '{x86_64 = "abc"}'}, "must be 64 hexadecimal digits in lower case"),
        ({"runner_sha256": f'{{x86_64 = "{"A" * 64}"}}'}, "must be 64 hexadecimal digits in lower"),
        ({"runner_sha256": f'{{arm = "{"a" * 64}"}}'}, "must be given for x86_64 or arm64"),
        ({"runner_sha256": f'{{arm64 = "{"a" * 64}"}}'}, "var.runner_sha256 as map of string with"),
        ({"runner_archive": "x.tar.gz'; reboot #"}, "The runner's archive must be the URL"),
        ({"runner_archive": "http://h/x.zip"}, "The runner's archive must be the URL"),
        ({"runner_archive": "/nowhere/runner.tar.gz"}, "Bad source '/nowhere/runner.tar.gz'"),
        ({"extra_packages": '["jq", "jq; reboot"]'}, "must be names of packages"),
        ({"job_metadata": "yes"}, "must be deny or allow"),
        ({"life_hours": "0"}, "The hours of a machine's life must be"),
        ({"life_hours": "169"}, "The hours of a machine's life must be"),
        ({"life_hours": "7.5"}, "The hours of a machine's life must be"),
        ({"instance_store": "yes"}, "must be auto or no"),
        ({"swap": "1.5"}, "must be a whole number of GiB"),
        ({"proxy": "https://proxy:1"}, "The proxy must be http://HOST:PORT"),
        ({"no_proxy": '["a b"]'}, "The hosts without the proxy must be"),
        ({"ca_certificates": '["a b.pem"]'}, "The names of the certificates' files may"),
        ({"ca_certificates": '["/nowhere/ca.pem"]'}, "Bad source '/nowhere/ca.pem'"),
        ({"hook_job_started": "start.py"}, "The hook of a job's start must be"),
        ({"hook_job_completed": "end"}, "The hook of a job's end must be"),
        ({"environment": "a b"}, "The name of the file of variables may"),
        ({"setup_script": "$(id)"}, "The name of the script may"),
        ({"actions_archive": "actions/"}, "and no slash at its end"),
        ({"docker": '"maybe"'}, "a bool is required"),
        ({"prefix": "scale-agent"}, "The prefix must be a slash, then"),
        ({"source_ami": "ami-latest"}, "must be the id of an image, such as ami-"),
        ({"subnet_id": "subnet"}, "The subnet must be the id of one"),
        ({"vpc_id": "subnet-01234567"}, "The VPC must be the id of one"),
        ({"instance_type": "large"}, "The instance type must be one of"),
        (
            {"instance_profile": "arn:aws:iam::1:x/y"},
            "The instance profile must be the name of one",
        ),
        ({"ssh_interface": "telnet"}, "must be public_ip, private_ip or session_manager"),
        ({"ssh_interface": "session_manager"}, "no iam_instance_profile defined"),
        ({"name": "a b"}, "The name must be 3 to 64"),
        ({"volume_size": "7"}, "must be from 8 to 16384 GiB"),
        ({"volume_size": "16385"}, "must be from 8 to 16384 GiB"),
        ({"kms_key_id": "ours"}, "The KMS key must be an id"),
        ({"share_accounts": '["123456789012", "1234"]'}, "must be numbers of 12 digits"),
        ({"share_accounts": '["1234567890123"]'}, "must be numbers of 12 digits"),
        ({"copy_regions": '["eu-west-1", "EU"]'}, "The regions to copy to must be AWS"),
        ({"deprecate_days": "-1"}, "must be from 0 to 3650"),
        ({"deprecate_days": "3651"}, "must be from 0 to 3650"),
        ({"no_such": "1"}, 'A "no_such" variable was passed in the command line but was not'),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_wrong_is_refused_with_its_cause(run, settings, words):
    result = run("validate", **settings)
    assert result.returncode == 1
    assert words in " ".join(result.stdout.split())


def test_each_rule_has_been_broken():
    """Fails when a new rule has no line in the list above."""
    listed = test_what_is_wrong_is_refused_with_its_cause.pytestmark[0].args[1]
    wanted = {name for settings, _ in listed for name in settings}
    for file in FOLDER.glob("*.pkr.hcl"):
        for variable in re.split(r'^variable "', file.read_text(), flags=re.MULTILINE)[1:]:
            if "validation {" in variable:
                assert variable.split('"')[0] in wanted
