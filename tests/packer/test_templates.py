# SPDX-License-Identifier: MIT
"""packer/ as build/tools/hcl reads it: what each setting comes to, and what is refused, and how.

What only Packer itself can tell is in test_packer.py.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
HCL = PROJECT / "build" / "tools" / "hcl"
FOLDER = PROJECT / "packer"
DISTRIBUTIONS = ["debian-12", "ubuntu-24.04", "amazon-linux-2023"]
ARCHITECTURES = ["x86_64", "arm64"]
ALL = list(itertools.product(DISTRIBUTIONS, ARCHITECTURES))

# What the amazon-ebs builder takes, of which type: the plugin's documentation, from 1.3 to 1.8. An
# attribute that is added to the template is looked up there first.
ATTRIBUTES = {
    "ami_description": str,
    "ami_name": str,
    "ami_regions": list,
    "ami_users": list,
    "ami_virtualization_type": str,
    "associate_public_ip_address": bool,
    "communicator": str,
    "deprecate_at": str,
    "ena_support": bool,
    "iam_instance_profile": str,
    "imds_support": str,
    "instance_type": str,
    "region": str,
    "run_tags": dict,
    "run_volume_tags": dict,
    "shutdown_behavior": str,
    "snapshot_tags": dict,
    "source_ami": str,
    "ssh_interface": str,
    "ssh_timeout": str,
    "ssh_username": str,
    "subnet_id": str,
    "tags": dict,
    "temporary_key_pair_type": str,
    "temporary_security_group_source_cidrs": list,
    "temporary_security_group_source_public_ip": bool,
    "user_data": str,
    "vpc_id": str,
}
BLOCKS = {
    "source_ami_filter": {"filters": dict, "owners": list, "most_recent": bool},
    "metadata_options": {
        "http_endpoint": str,
        "http_tokens": str,
        "http_put_response_hop_limit": int,
    },
    "launch_block_device_mappings": {
        "device_name": str,
        "volume_type": str,
        "volume_size": int,
        "iops": int,
        "throughput": int,
        "encrypted": bool,
        "kms_key_id": str,
        "delete_on_termination": bool,
    },
}


class Image:
    """What the templates come to with some settings."""

    def __init__(self, document):
        self.source = document["source"]
        self.build = document["build"]
        self.packer = document["packer"]

    def block(self, kind):
        (found,) = [one["body"] for one in self.source["blocks"] if one["type"] == kind]
        return found

    def provisioners(self):
        return [one["body"] for one in self.build["blocks"] if one["type"] == "provisioner"]

    def commands(self):
        return list(itertools.chain(*(one.get("inline", []) for one in self.provisioners())))

    def installation(self):
        """Give the settings that ami/install is run with."""
        (line,) = [one for one in self.commands() if "/ami/install" in one]
        found = re.fullmatch(r"sudo env (.*) /var/tmp/scale-agent-image/ami/install", line)
        return dict(re.findall(r"(\w+)='([^']*)'", found[1]))


@pytest.fixture
def package(tmp_path):
    path = tmp_path / "runner-agent-x86_64.deb"
    path.write_text("a package")
    return path


@pytest.fixture
def run(package):
    """Read packer/ with settings, in addition to those that are required."""

    def read(**settings):
        given = {"region": "eu-central-1", "agent_package": str(package)} | settings
        words = [f"{name}={value}" for name, value in given.items() if value is not None]
        return subprocess.run(
            [HCL, "show", FOLDER, *words], capture_output=True, text=True, check=False
        )

    return read


@pytest.fixture
def image(run):
    def read(**settings):
        result = run(**settings)
        assert result.returncode == 0, result.stderr
        return Image(json.loads(result.stdout))

    return read


def test_the_files_are_formatted_as_packer_does():
    files = sorted(FOLDER.rglob("*.hcl"))
    assert len(files) >= 4
    assert subprocess.run([HCL, "fmt", *files], capture_output=True, check=False).stdout == b""


def test_the_tools_own_source_is_formatted():
    gofmt = shutil.which("gofmt") or pytest.skip("no gofmt on PATH")
    found = subprocess.run(
        [gofmt, "-l", "."], cwd=PROJECT / "tests/packer/hcl", capture_output=True
    )
    assert found.stdout == b"" and found.returncode == 0


# -- what an image is made of ----------------------------------------------------------------------


@pytest.mark.parametrize(("distribution", "architecture"), ALL)
def test_it_begins_with_the_newest_image_of_the_distribution(image, distribution, architecture):
    of = image(distribution=distribution, architecture=architecture)
    base = of.block("source_ami_filter")
    debian = {"x86_64": "amd64", "arm64": "arm64"}[architecture]
    owner, name, example, user, root = {
        "debian-12": (
            "136693071363",
            f"debian-12-{debian}-*",
            f"debian-12-{debian}-20261019-2271",
            "admin",
            "/dev/xvda",
        ),
        "ubuntu-24.04": (
            "099720109477",
            f"ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{debian}-server-*",
            f"ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{debian}-server-20241109",
            "ubuntu",
            "/dev/sda1",
        ),
        "amazon-linux-2023": (
            "amazon",
            f"al2023-ami-2023.*-kernel-6.1-{architecture}",
            f"al2023-ami-2023.6.20241212.0-kernel-6.1-{architecture}",
            "ec2-user",
            "/dev/xvda",
        ),
    }[distribution]
    assert base["owners"] == [owner] and base["most_recent"] is True
    assert base["filters"]["name"] == name and base["filters"]["architecture"] == architecture
    assert re.fullmatch(name.replace(".", r"\.").replace("*", ".*"), example)
    assert of.source["ssh_username"] == user
    assert of.block("launch_block_device_mappings")["device_name"] == root
    kind = {"x86_64": "m7i.large", "arm64": "m7g.large"}[architecture]
    assert of.source["instance_type"] == kind


def test_an_image_that_is_named_is_taken(image):
    of = image(source_ami="ami-0123456789abcdef0")
    assert of.source["source_ami"] == "ami-0123456789abcdef0"
    assert "source_ami_filter" not in {one["type"] for one in of.source["blocks"]}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_runner_of_its_architecture_is_installed(image, architecture):
    settings = image(architecture=architecture).installation()
    sums = re.search(
        rf"{architecture}\s+= \"([0-9a-f]+)\"", (FOLDER / "runner.pkr.hcl").read_text()
    )
    assert settings["RUNNER_SHA256"] == sums[1]
    assert image(runner_version="2.400.0").installation()["RUNNER_VERSION"] == "2.400.0"


def test_ami_install_gets_every_setting(image):
    plain = image().installation()
    assert plain | {"RUNNER_SHA256": "", "RUNNER_VERSION": ""} == {
        "AGENT_PACKAGE": "/var/tmp/scale-agent-image/runner-agent-x86_64.deb",
        "RUNNER_VERSION": "",
        "RUNNER_SHA256": "",
        "RUNNER_SUDO": "no",
        "DOCKER": "no",
        "BUILD_TOOLS": "yes",
        "JOB_METADATA": "deny",
        "PREFIX": "/scale-agent",
        "SSH": "no",
    }
    other = image(
        runner_sudo="true",
        docker="true",
        build_tools="false",
        extra_packages='["jq", "g++-12"]',
        job_metadata="allow",
        prefix="/ours",
        ssh="true",
        runner_archive="https://mirror.example.org/runner.tar.gz",
    ).installation()
    assert other | {"AGENT_PACKAGE": "", "RUNNER_SHA256": "", "RUNNER_VERSION": ""} == {
        "AGENT_PACKAGE": "",
        "RUNNER_VERSION": "",
        "RUNNER_SHA256": "",
        "RUNNER_ARCHIVE": "https://mirror.example.org/runner.tar.gz",
        "RUNNER_SUDO": "yes",
        "DOCKER": "yes",
        "BUILD_TOOLS": "no",
        "EXTRA_PACKAGES": "jq g++-12",
        "JOB_METADATA": "allow",
        "PREFIX": "/ours",
        "SSH": "yes",
    }


def test_ami_install_knows_the_settings_that_it_gets(image):
    text = (PROJECT / "ami" / "install").read_text()
    known = set(re.findall(r"^  ([A-Z][A-Z0-9_]+)  +", text, re.MULTILINE))
    archive = "https://mirror.example.org/runner.tar.gz"
    assert set(image(runner_archive=archive, extra_packages='["jq"]').installation()) == known


def test_what_is_uploaded_is_removed_last(image, package, tmp_path):
    archive = tmp_path / "runner.tar.gz"
    of = image(runner_archive=archive)
    folder = "/var/tmp/scale-agent-image"
    ami, files = [one for one in of.provisioners() if "destination" in one]
    assert ami["source"].endswith("packer/../ami") and ami["destination"] == folder
    assert files == {"sources": [str(package), str(archive)], "destination": f"{folder}/"}
    assert of.installation()["RUNNER_ARCHIVE"] == f"{folder}/runner.tar.gz"
    assert f"mkdir {folder}" in of.commands() and of.commands()[-1] == f"sudo rm -rf {folder}"
    assert of.provisioners()[-1]["inline"][-1] == of.commands()[-1]


# -- the machine that builds, and the image --------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"source_ami": "ami-0123456789abcdef0", "encrypted": "true", "kms_key_id": "alias/ours"},
        {
            "ssh_interface": "private_ip",
            "subnet_id": "subnet-01234567",
            "vpc_id": "vpc-01234567",
            "instance_profile": "builder",
            "share_accounts": '["123456789012"]',
            "copy_regions": '["eu-west-1"]',
        },
    ],
    ids=["plain", "encrypted", "inside"],
)
def test_the_builder_knows_every_attribute(image, settings):
    of = image(**settings)
    for name, value in of.source.items():
        if name != "blocks":
            assert isinstance(value, ATTRIBUTES[name]), name
    for block in of.source["blocks"]:
        for name, value in block["body"].items():
            assert isinstance(value, BLOCKS[block["type"]][name]), name


def test_the_metadata_service_wants_tokens(image):
    of = image()
    assert of.block("metadata_options") == {
        "http_endpoint": "enabled",
        "http_tokens": "required",
        "http_put_response_hop_limit": 1,
    }
    assert of.source["imds_support"] == "v2.0"


def test_the_tags_tell_what_is_in_it(image):
    of = image(
        agent_version="1.0", git_revision="fe56d0b", build_id="b-1", tags='{team = "ours"}'
    ).source
    version = re.search(r"default\s+= \"([0-9.]+)\"", (FOLDER / "runner.pkr.hcl").read_text())[1]
    assert of["tags"] == of["snapshot_tags"]
    assert of["tags"] == {
        "team": "ours",
        "Name": "scale-agent-debian-12-x86_64",
        "scale-agent:distribution": "debian-12",
        "scale-agent:architecture": "x86_64",
        "scale-agent:agent-version": "1.0",
        "scale-agent:runner-version": version,
        "scale-agent:git-revision": "fe56d0b",
        "scale-agent:source-ami": "{{ .SourceAMI }}",
        "scale-agent:source-ami-name": "{{ .SourceAMIName }}",
    }
    assert of["run_tags"] == of["run_volume_tags"]
    assert of["run_tags"]["scale-agent:image-build"] == "b-1" and of["run_tags"]["team"] == "ours"
    assert of["ami_name"] == "scale-agent-debian-12-x86_64-20260102-030405"


def test_nothing_but_the_builders_address_comes_in(image):
    of = image().source
    assert of["temporary_security_group_source_public_ip"] is True
    assert of["associate_public_ip_address"] is True
    of = image(ssh_interface="private_ip").source
    assert "associate_public_ip_address" not in of
    assert "0.0.0.0/0" not in of["temporary_security_group_source_cidrs"]
    of = image(ssh_interface="session_manager", instance_profile="builder").source
    assert of["iam_instance_profile"] == "builder"
    assert not {one for one in of if one.startswith("temporary_security_group")}


def test_a_machine_that_is_left_alone_ends_itself(image):
    of = image()
    assert of.source["shutdown_behavior"] == "terminate"
    assert re.search(r"--on-active=2h systemctl poweroff", of.source["user_data"])
    assert of.block("launch_block_device_mappings")["delete_on_termination"] is True


def test_encryption_is_asked_for(image):
    disk = image().block("launch_block_device_mappings")
    assert "encrypted" not in disk and "kms_key_id" not in disk
    disk = image(encrypted="true", kms_key_id="alias/ours").block("launch_block_device_mappings")
    assert disk["encrypted"] is True and disk["kms_key_id"] == "alias/ours"
    assert disk["throughput"] <= disk["iops"] / 4


def test_it_is_deprecated_after_some_time(image):
    assert image(deprecate_days="10").source["deprecate_at"] == "2026-01-12T03:04:05Z"
    assert "deprecate_at" not in image(deprecate_days="0").source


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"region": None}, "region has no default and was not given"),
        ({"agent_package": None}, "agent_package has no default and was not given"),
        ({"region": "Frankfurt"}, "The region is not one of AWS"),
        ({"architecture": "aarch64"}, "The architecture is neither x86_64 nor arm64."),
        ({"architecture": "riscv64"}, "The architecture is neither x86_64 nor arm64."),
        ({"distribution": "fedora"}, "The distribution is none of debian-12, ubuntu-24.04"),
        ({"agent_package": "/nowhere/agent.deb"}, "There is no such package of the runner-agent"),
        ({"agent_package": "/etc/passwd"}, "neither a .deb nor an .rpm file"),
        ({"runner_version": "latest"}, "The version of GitHub's runner is not one"),
        ({"runner_sha256": '{x86_64 = "abc"}'}, "is not 64 hexadecimal digits in lower case"),
        ({"runner_sha256": "{arm = " + f'"{"a" * 64}"' + "}"}, "given for an architecture that is"),
        ({"runner_archive": "x.tar.gz'; reboot #"}, "The runner's archive is not the URL"),
        ({"runner_archive": "http://h/x.zip"}, "The runner's archive is not the URL"),
        ({"extra_packages": '["jq; reboot"]'}, "does not have the name of a package"),
        ({"job_metadata": "yes"}, "neither deny nor allow"),
        ({"docker": "maybe"}, "Variables not allowed"),
        ({"prefix": "scale-agent"}, "The prefix is not a slash and"),
        ({"source_ami": "ami-latest"}, "not the id of one, such as ami-"),
        ({"subnet_id": "subnet"}, "The subnet is not the id of one"),
        ({"vpc_id": "subnet-01234567"}, "The VPC is not the id of one"),
        ({"instance_type": "large"}, "The instance type is not one"),
        ({"instance_profile": "arn:aws:iam::1:x/y"}, "The instance profile is not the name of one"),
        ({"ssh_interface": "telnet"}, "none of public_ip, private_ip and session_manager"),
        ({"name": "a b"}, "The name is not 3 to 64"),
        ({"volume_size": "4"}, "not from 8 to 16384 GiB"),
        ({"kms_key_id": "ours"}, "The KMS key is not an id"),
        ({"share_accounts": '["1234"]'}, "not a number of 12 digits"),
        ({"copy_regions": '["EU"]'}, "One of the regions to copy to is not one of AWS"),
        ({"deprecate_days": "-1"}, "not from 0 to 3650"),
        ({"no_such": "1"}, "There is no variable no_such"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_wrong_is_refused_with_its_cause(run, settings, words):
    result = run(**settings)
    assert result.returncode == 1
    assert words in result.stderr
