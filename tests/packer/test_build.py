# SPDX-License-Identifier: MIT
"""packer build, with the plugin for AWS asking moto: the machine that builds, and the image.

moto's machines cannot be entered, so a copy of packer/ is built that has moto's address, and has
neither a communicator nor provisioners.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import threading
from base64 import b64decode
from datetime import datetime, timezone
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import pytest
from moto.ec2.models.amis import AMIS
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

PROJECT = Path(__file__).resolve().parents[2]
DEBIAN = {
    "ami_id": "ami-0debdebdebdebdeb0",
    "name": "debian-12-amd64-20261019-2271",
    "owner_id": "136693071363",
    "architecture": "x86_64",
    "root_device_type": "ebs",
    "root_device_name": "/dev/xvda",
    "virtualization_type": "hvm",
    "state": "available",
    "public": True,
}
NOBODY = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_POLL_DELAY_SECONDS": "1",
}
TEMPORARY = ("KeyPair", "SecurityGroup")
SHARED = "100.64.0.0/10"


NOT_IN_MOTO = (
    b"<EnableImageDeprecationResponse><return>true</return></EnableImageDeprecationResponse>"
)


class Ec2:
    """moto at an address of this machine; keeps what it is asked for."""

    def __init__(self):
        self.requests = []
        self.application = DomainDispatcherApplication(create_backend_app)
        self.server = make_server("127.0.0.1", 0, self, threaded=True)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __call__(self, environ, start):
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        request = dict(parse_qsl(body.decode()))
        self.requests.append(request)
        if request["Action"] == "EnableImageDeprecation":
            start("200 OK", [("Content-Type", "text/xml")])
            return [NOT_IN_MOTO]
        if request["Action"] == "CreateImage":  # moto does not know the tags that begin a snapshot
            known = {name: one for name, one in request.items() if not name.startswith("TagSpec")}
            body = urlencode(known).encode()
        environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        return self.application(environ, start)

    def asked(self, action):
        return [one for one in self.requests if one["Action"] == action]


def tags(request, prefix):
    """Give the tags that a request lists below a prefix."""
    keys = [name for name in request if re.fullmatch(rf"{prefix}\.\d+\.Key", name)]
    return {request[key]: request[key.removesuffix("Key") + "Value"] for key in keys}


@pytest.fixture(scope="module")
def moto():
    AMIS.append(DEBIAN)
    running = Ec2()
    yield running
    running.server.shutdown()
    AMIS.remove(DEBIAN)


@pytest.fixture
def ec2(moto):
    moto.requests.clear()
    return moto


@pytest.fixture
def build(packer, tmp_path, ec2):
    """Build an image with settings; gives what the manifest says of it."""
    folder = tmp_path / "packer"
    shutil.copytree(PROJECT / "packer", folder)
    (tmp_path / "build").mkdir()
    source, steps = folder / "source.pkr.hcl", folder / "build.pkr.hcl"
    moto = f'"none"\n custom_endpoint_ec2 = "{ec2.address}"\n skip_credential_validation = true\n'
    text = source.read_text()
    assert text.count('"ssh"\n') == 1
    source.write_text(text.replace('"ssh"\n', moto))
    text = steps.read_text()
    steps.write_text(text[: text.index("  provisioner")] + text[text.index("  post-processor") :])
    package = tmp_path / "agent.deb"
    package.write_text("a package")
    packer.environment |= NOBODY

    def run(**settings):
        required = {
            "region": "eu-central-1",
            "agent_package": package,
            "distribution": "debian-12",
        }
        given = required | {"ssh_interface": "private_ip", "name": tmp_path.name} | settings
        result = packer.run("build", *[f"-var={one}={given[one]}" for one in given], folder)
        assert result.returncode == 0, result.stdout
        (manifest,) = (tmp_path / "build").glob("ami-manifest-*.json")
        return json.loads(manifest.read_text())["builds"][-1]

    return run


def test_the_machine_that_builds_and_the_image(build, ec2):
    manifest = build(name="ours", build_id="b-1", git_revision="fe56d0b", tags='{team = "ours"}')

    (machine,) = ec2.asked("RunInstances")
    expected = {
        "ImageId": DEBIAN["ami_id"],
        "InstanceType": "m7i.large",
        "MaxCount": "1",
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions.HttpTokens": "required",
        "MetadataOptions.HttpPutResponseHopLimit": "1",
        "BlockDeviceMapping.1.DeviceName": "/dev/xvda",
        "BlockDeviceMapping.1.Ebs.VolumeType": "gp3",
        "BlockDeviceMapping.1.Ebs.VolumeSize": "12",
        "BlockDeviceMapping.1.Ebs.DeleteOnTermination": "true",
        "BlockDeviceMapping.1.Ebs.Encrypted": "true",
    }
    assert expected.items() <= machine.items()
    assert "BlockDeviceMapping.1.Ebs.KmsKeyId" not in machine
    assert "--on-active=2h systemctl poweroff" in b64decode(machine["UserData"]).decode()
    made = [tags(machine, f"TagSpecification.{i}.Tag") for i in (1, 2, 3)]
    made += [tags(ec2.asked(f"Create{it}")[0], "TagSpecification.1.Tag") for it in TEMPORARY]
    assert all(one["scale-agent:image-build"] == "b-1" and one["team"] == "ours" for one in made)

    (image,) = ec2.asked("CreateImage")
    assert re.fullmatch(r"ours-debian-12-x86_64-\d{8}-\d{6}", image["Name"])
    (deprecation,) = ec2.asked("EnableImageDeprecation")
    after = datetime.fromisoformat(
        deprecation["DeprecateAt"].replace("Z", "+00:00")
    ) - datetime.now(timezone.utc)
    assert after.days in (89, 90)
    assert "v2.0" in [one.get("ImdsSupport.Value") for one in ec2.asked("ModifyImageAttribute")]
    both, snapshot = ec2.asked("CreateTags")
    assert both["ResourceId.1"].startswith("ami-") and both["ResourceId.2"].startswith("snap-")
    assert tags(both, "Tag") == tags(snapshot, "Tag")
    expected = {
        "scale-agent:git-revision": "fe56d0b",
        "scale-agent:source-ami": DEBIAN["ami_id"],
        "scale-agent:source-ami-name": DEBIAN["name"],
    }
    assert expected.items() <= tags(both, "Tag").items()

    assert manifest["artifact_id"] == f"eu-central-1:{both['ResourceId.1']}"
    assert manifest["custom_data"]["git_revision"] == "fe56d0b"


def test_it_begins_with_the_newest_image_that_the_distribution_publishes(build, ec2):
    build()
    (search,) = [one for one in ec2.asked("DescribeImages") if "IncludeDeprecated" in one]
    names = [name for name in search if re.fullmatch(r"Filter\.\d+\.Name", name)]
    assert search["Owner.1"] == DEBIAN["owner_id"]
    assert {search[name]: search[name.removesuffix("Name") + "Value.1"] for name in names} == {
        "name": "debian-12-amd64-*",
        "architecture": "x86_64",
        "root-device-type": "ebs",
        "virtualization-type": "hvm",
    }


def test_nothing_of_what_builds_is_left(build, ec2):
    build()
    for it in ("TerminateInstances", *(f"Delete{it}" for it in TEMPORARY)):
        assert len(ec2.asked(it)) == 1


def test_only_private_addresses_come_in(build, ec2):
    build()
    (rule,) = ec2.asked("AuthorizeSecurityGroupIngress")
    ranges = [rule[name] for name in rule if name.endswith("CidrIp")]
    assert len(ranges) == 4 and all(ip_network(one).is_private or one == SHARED for one in ranges)


def test_an_image_that_is_named_is_taken_and_settings_are_followed(build, ec2):
    build(
        source_ami=DEBIAN["ami_id"],
        instance_type="c7i.large",
        encrypted="true",
        kms_key_id="alias/ours",
        volume_size="20",
        share_accounts='["111111111111"]',
        deprecate_days="0",
    )
    assert {one.get("Owner.1", "self") for one in ec2.asked("DescribeImages")} == {"self"}
    (machine,) = ec2.asked("RunInstances")
    expected = {
        "ImageId": DEBIAN["ami_id"],
        "InstanceType": "c7i.large",
        "BlockDeviceMapping.1.Ebs.Encrypted": "true",
        "BlockDeviceMapping.1.Ebs.KmsKeyId": "alias/ours",
        "BlockDeviceMapping.1.Ebs.VolumeSize": "20",
    }
    assert expected.items() <= machine.items()
    assert ec2.asked("EnableImageDeprecation") == []
    changes = [list(one.values()) for one in ec2.asked("ModifyImageAttribute")]
    assert [one for one in changes if "111111111111" in one]
