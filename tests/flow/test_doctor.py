# SPDX-License-Identifier: MIT
"""scaler doctor: a line per check, what is wrong and what to do; nothing is changed."""

from __future__ import annotations

import json
import re
import time

import pytest
from helpers import configure
from person import other_key, owner_environment

from cloud.faults import Body
from cloud.github.stand_in import INSTALLATION
from cloud.github.webhooks import Delivery

NAMES = [
    "aws-credentials", "configuration", "webhook-secret", "github-secret", "github-app",
    "github-permissions", "github-installations", "github-token", "webhook", "deliveries",
    "additional-apps", "enterprise", "launch-templates", "images", "runner-version", "encryption",
    "agent-profile", "fleets", "subnets",
    "instance-types", "spot-quota", "hand-over",
]  # fmt: skip


@pytest.fixture
def doctor(stage, run_scaler):
    """Run `scaler doctor --json` as the owner; gives the exit status and the checks by name."""
    owner = owner_environment(stage) | {"GITHUB_API_URL": stage.github.api_url}
    stage.github.webhooks.url = "https://example.lambda-url.eu-central-1.on.aws/"

    secrets = (stage.github.webhook_secret, owner["AWS_SECRET_ACCESS_KEY"], "PRIVATE KEY")

    def run(*options, **environment):
        done = run_scaler("doctor", "--json", *options, **(owner | environment))
        for secret in secrets:
            assert secret not in done.stdout + done.stderr
        answer = json.loads(done.stdout)
        assert [check["name"] for check in answer["checks"]] == NAMES
        assert (done.returncode == 1) == (answer["failed"] > 0)
        assert stage.github.violations == []
        return done.returncode, {check["name"]: check for check in answer["checks"]}

    run.owner = owner
    return run


def bad(checks):
    return {name: check["text"] for name, check in checks.items() if check["result"] == "failed"}


def deliver(stage, status, action="queued", guid="1", at=None):
    at = at or time.time()
    delivery = Delivery(guid, "workflow_job", action, 1, b"", {}, sent=at, status=status)
    stage.github.webhooks.deliveries.append(delivery)


def test_all_is_well(stage, doctor):
    deliver(stage, 202)
    before = stage.parameters()
    code, checks = doctor()
    assert (code, bad(checks)) == (0, {})
    skipped = {name for name, check in checks.items() if check["result"] == "skipped"}
    assert skipped == {"github-token", "additional-apps", "enterprise", "fleets"}
    assert "ssm:/scale-agent/config is valid: 1 spec" in checks["configuration"]["text"]
    assert f"octo-org ({INSTALLATION})" in checks["github-installations"]["text"]
    assert checks["deliveries"]["text"] == "the last 1 of 24 hours arrived"
    assert "m7i.large in 2 of 2 subnets" in checks["instance-types"]["text"]
    assert "640 vCPUs, 320 m7i.large at a time" in checks["spot-quota"]["text"]
    assert all(subnet in checks["subnets"]["text"] for subnet in stage.stack.subnets)
    assert stage.parameters() == before


def test_it_takes_few_calls(stage, doctor):
    doctor()
    assert len(stage.github.api.calls) == 6
    called = [call.action for call in stage.aws.calls]
    assert called == [
        "GetParameters", "GetParameters", "DescribeLaunchTemplateVersions", "DescribeImages",
        "DescribeSubnets", "DescribeInstanceTypeOfferings", "GetServiceQuota", "GetServiceSetting",
    ]  # fmt: skip


def test_people_get_a_line_per_check(stage, doctor, run_scaler):
    stage.github.doorman.permissions["administration"] = "read"
    done = run_scaler("doctor", **doctor.owner)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines[:-1] if line[0] != " "] == NAMES
    place = next(n for n, line in enumerate(lines) if "github-permissions" in line)
    assert lines[place].startswith("failed   github-permissions   the App lacks administration:")
    assert lines[place + 1].startswith("         -> GitHub, the App's settings")
    assert lines[-1] == "16 ok, 1 failed, 5 skipped"


# -- several Apps, and an enterprise ---------------------------------------------------------------


@pytest.fixture
def second(stage):
    """Add a second App that is all right."""
    app = stage.github.add_app(67890)
    stage.put_document("github/apps/67890/private-key", app.private_key)
    stage.config["github"]["additional_apps"] = [67890]
    configure(stage)
    return app


def test_an_additional_app_is_all_right(stage, doctor, second):
    code, checks = doctor()
    assert (code, bad(checks)) == (0, {})
    assert checks["additional-apps"]["text"] == "App 67890, scale-agent-67890 of octo-org"
    second.events.clear()
    stage.github.webhooks_of(second).url = "https://example.com/"
    assert doctor()[0] == 0


@pytest.mark.parametrize("sign", ["it has delivered", "it has a URL"])
def test_the_webhook_of_an_additional_app_is_inactive(stage, doctor, second, sign):
    webhooks = stage.github.webhooks_of(second)
    if sign == "it has a URL":
        webhooks.url = "https://example.com/"
    else:
        webhooks.deliveries.append(
            Delivery("1", "workflow_job", "queued", 1, b"", {}, sent=time.time(), status=200)
        )
    code, checks = doctor()
    assert "the webhook of App 67890 is active" in bad(checks)["additional-apps"]
    assert "not active" in checks["additional-apps"]["advice"]


def test_what_keeps_an_additional_app_from_registering_is_named(stage, doctor, second):
    def found():
        checks = doctor()[1]
        assert list(bad(checks)) == ["additional-apps"]
        return bad(checks)["additional-apps"]

    (installation,) = second.installations.values()
    installation.suspended = True
    assert found() == "App 67890 is suspended for octo-org"
    second.installations.clear()
    assert found() == "App 67890 is not installed for octo-org"
    second.permissions["administration"] = "read"
    assert "App 67890 lacks administration: write" in found()
    stage.put_document("github/apps/67890/private-key", other_key())
    assert "the private key does not belong to this App" in found()
    stage.put_document("github/apps/67890/private-key", "swordfish")
    assert "is not PEM" in found()
    stage.client("ssm").delete_parameter(Name="/scale-agent/github/apps/67890/private-key")
    assert "/scale-agent/github/apps/67890/private-key does not exist" in found()


def test_the_first_app_under_its_other_id_is_named(stage, doctor):
    stage.config["github"] |= {"app_id": "Iv23liLocalCloud0001", "additional_apps": [12345]}
    configure(stage)
    stage.put_document("github/apps/12345/private-key", stage.github.private_key)
    assert "App 12345 is the first one" in bad(doctor()[1])["additional-apps"]


def test_the_token_of_an_enterprise_is_tried(stage, doctor):
    configure(stage, enterprise="octo-corp")
    stage.put_document("github/enterprise-token", stage.github.doorman.enterprise_token)
    code, checks = doctor()
    assert (code, bad(checks)) == (0, {})
    assert checks["enterprise"]["text"] == "enterprises/octo-corp"
    stage.put_document("github/enterprise-token", stage.github.personal_token)
    assert "a classic personal token of scope" in bad(doctor()[1])["enterprise"]
    configure(stage, enterprise="other-corp")
    stage.put_document("github/enterprise-token", stage.github.doorman.enterprise_token)
    assert "there is no such enterprise" in bad(doctor()[1])["enterprise"]


# -- GitHub ----------------------------------------------------------------------------------------


def test_an_app_of_another_key_is_named(stage, doctor):
    stage.put_document("github/private-key", other_key())
    code, checks = doctor()
    assert (code, list(bad(checks))) == (1, ["github-app"])
    assert "the private key does not belong to this App" in bad(checks)["github-app"]
    assert {checks[name]["result"] for name in ("webhook", "deliveries")} == {"skipped"}
    assert checks["images"]["result"] == "ok"


def test_a_key_that_is_none_is_named(stage, doctor):
    stage.put_document("github/private-key", "swordfish")
    code, checks = doctor()
    assert list(bad(checks)) == ["github-secret"]
    assert "is not PEM" in bad(checks)["github-secret"]
    assert "swordfish" not in json.dumps(checks)


def test_an_app_of_another_id_is_named(stage, doctor):
    stage.config["github"]["app_id"] = 99
    configure(stage)
    code, checks = doctor()
    assert "check the App id" in bad(checks)["github-app"]


@pytest.mark.parametrize(
    ("permission", "words"),
    [
        ("administration", "administration: write"),
        ("actions", "actions: write"),
    ],
)
def test_a_missing_permission_is_named(stage, doctor, permission, words):
    del stage.github.doorman.permissions[permission]
    code, checks = doctor()
    assert bad(checks) == {"github-permissions": f"the App lacks {words}"}
    assert "accept the change" in checks["github-permissions"]["advice"]


def test_running_jobs_again_needs_a_permission_unless_no_spec_wants_it(stage, doctor):
    stage.github.doorman.permissions["actions"] = "read"
    code, checks = doctor()
    assert bad(checks) == {"github-permissions": "the App lacks actions: write"}
    assert '"rerun": "never"' in checks["github-permissions"]["advice"]
    for spec in stage.config["specs"]:
        spec["rerun"] = "never"
    configure(stage)
    assert doctor()[0] == 0


def test_a_missing_event_is_named(stage, doctor):
    stage.github.doorman.events.clear()
    assert bad(doctor()[1]) == {"github-permissions": "the App lacks event workflow_job"}


def test_an_organization_needs_its_own_permission(stage, doctor):
    configure(stage, organization="octo-org")
    assert doctor()[0] == 0
    del stage.github.doorman.permissions["organization_self_hosted_runners"]
    assert "organization_self_hosted_runners: write" in bad(doctor()[1])["github-permissions"]


def test_installations_are_compared_with_the_configuration(stage, doctor):
    installation = stage.github.doorman.installations[INSTALLATION]
    installation.permissions["administration"] = "read"
    assert "octo-org (4711) lacks administration: write" in bad(doctor()[1])["github-installations"]
    installation.permissions["administration"] = "write"
    installation.suspended = True
    assert "is suspended" in bad(doctor()[1])["github-installations"]
    installation.suspended = False
    stage.config["github"] |= {"installations": [INSTALLATION, 5], "repositories": ["other/*"]}
    configure(stage)
    text = bad(doctor()[1])["github-installations"]
    assert "there is no installation 5" in text
    assert "the App is not installed for other (other/*)" in text


def test_the_webhook_must_be_safe(stage, doctor):
    hooks = stage.github.webhooks
    hooks.secret = ""
    hooks.url, hooks.insecure_ssl = "http://example.com/", "1"
    text = bad(doctor()[1])["webhook"]
    assert "without TLS" in text and "it has no secret" in text
    assert "does not check the certificate" in text


def test_deliveries_that_failed_are_explained(stage, doctor):
    deliver(stage, 401, guid="old", at=time.time() - 2 * 86400)
    deliver(stage, 503, guid="repeated", at=time.time() - 60)
    deliver(stage, 202, guid="repeated", at=time.time() - 50)
    assert doctor()[0] == 0
    deliver(stage, 401, guid="new", at=time.time() - 40)
    code, checks = doctor()
    assert "1 of the last 2 failed" in bad(checks)["deliveries"]
    assert "workflow_job queued, Invalid HTTP Response: 401" in bad(checks)["deliveries"]
    assert "webhook secret is not the one" in checks["deliveries"]["advice"]


def test_a_personal_token_is_tried(stage, doctor):
    github = stage.github
    stage.config["github"] = {"repositories": ["octo-org/one"]}
    configure(stage)
    stage.put_document("github/token", github.personal_token)
    code, checks = doctor()
    assert (code, bad(checks)) == (0, {})
    assert checks["github-token"]["text"] == "repos/octo-org/one"
    stage.put_document("github/token", "ghp_unknown")
    code, checks = doctor()
    assert "the token is not" in bad(checks)["github-token"]
    assert "ghp_unknown" not in json.dumps(checks)


def test_github_that_does_not_answer_fails_its_checks_only(stage, doctor):
    code, checks = doctor(GITHUB_API_URL="https://127.0.0.1:1")
    assert list(bad(checks)) == ["github-app"]
    assert checks["spot-quota"]["result"] == "ok"


# -- AWS -------------------------------------------------------------------------------------------


def test_no_credentials_leave_what_needs_none(stage, doctor, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(stage.config))
    code, checks = doctor(
        "--config", str(path), AWS_ACCESS_KEY_ID="", GITHUB_WEBHOOK_SECRET="hush",
        GITHUB_PRIVATE_KEY=stage.github.private_key,
    )  # fmt: skip
    assert list(bad(checks)) == ["aws-credentials"]
    assert "aws configure" in checks["aws-credentials"]["advice"]
    assert checks["github-app"]["result"] == "ok"
    assert checks["subnets"]["text"] == "there are no AWS credentials"
    assert checks["webhook-secret"]["text"] == "GITHUB_WEBHOOK_SECRET holds 1 secret"


def test_another_region_has_none_of_it(stage, doctor):
    code, checks = doctor(AWS_REGION="eu-west-1")
    assert set(bad(checks)) == {"configuration", "webhook-secret"}
    assert "SSM parameter /scale-agent/config does not exist" in bad(checks)["configuration"]


def test_what_is_stored_nowhere_is_named(stage, doctor):
    code, checks = doctor("--prefix", "/elsewhere")
    assert "/elsewhere/config does not exist" in bad(checks)["configuration"]
    assert "/elsewhere/github/webhook-secret does not exist" in bad(checks)["webhook-secret"]
    assert "scaler setup" in checks["webhook-secret"]["advice"]


def test_a_configuration_with_a_fault_is_named(stage, doctor, tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"github":{}}')
    code, checks = doctor("--config", str(path))
    assert "github.repositories" in bad(checks)["configuration"]
    assert "scaler check" in checks["configuration"]["advice"]


def test_launch_templates_that_are_not_there(stage, doctor):
    configure(stage, launch_template="nobody")
    code, checks = doctor()
    assert "there is no launch template nobody, version $Default" in bad(checks)["launch-templates"]
    assert checks["images"]["text"] == "no launch template was found"
    configure(stage, launch_template="scale-agent", launch_template_version="77")
    assert "version 77" in bad(doctor()[1])["launch-templates"]


def make_template(stage, **data):
    ec2 = stage.client("ec2")
    made = ec2.create_launch_template(LaunchTemplateName="own", LaunchTemplateData=data)
    configure(stage, launch_template=made["LaunchTemplate"]["LaunchTemplateId"])


def test_a_template_without_profile_or_imdsv2(stage, doctor):
    image = stage.client("ec2").register_image(Name="own")["ImageId"]
    make_template(stage, ImageId=image)
    code, checks = doctor()
    assert "has no instance profile" in bad(checks)["agent-profile"]
    assert bad(checks)["agent-profile"].endswith("does not require IMDSv2")


def test_a_fleet_needs_a_template_that_says_everything(stage, doctor):
    configure(stage, allocation="price-capacity-optimized")
    code, checks = doctor()
    assert (code, checks["fleets"]["text"]) == (0, "linux-x64: price-capacity-optimized")
    image = stage.client("ec2").register_image(Name="own")["ImageId"]
    make_template(stage, ImageId=image)
    configure(stage, stage.config, allocation="capacity-optimized-prioritized")
    text = bad(doctor()[1])["fleets"]
    for part in (
        "InstanceInitiatedShutdownBehavior: terminate", "HttpTokens: required",
        "InstanceMetadataTags: enabled", "HttpPutResponseHopLimit: 1",
    ):  # fmt: skip
        assert part in text


def test_an_image_of_another_architecture(stage, doctor):
    image = stage.client("ec2").register_image(Name="own")["ImageId"]
    make_template(stage, ImageId=image)
    answer = (
        "<DescribeImagesResponse><imagesSet><item><imageId>%s</imageId><imageState>available"
        "</imageState><architecture>arm64</architecture></item></imagesSet></DescribeImagesResponse>"
    )
    stage.faults.add("ec2", "DescribeImages", fault=Body((answer % image).encode()))
    assert f"image {image} is for arm64, and m7i.large is not" in bad(doctor()[1])["images"]


def test_an_image_that_is_gone(stage, doctor):
    make_template(stage, ImageId="ami-00000000000000000")
    text = bad(doctor()[1])["images"]
    assert "image ami-00000000000000000 does not exist" in text


def image_says(stage, image, encrypted, key=None):
    """Let EC2 describe an image and its snapshot; without a key the snapshot cannot be seen."""
    answer = (
        f"<DescribeImagesResponse><imagesSet><item><imageId>{image}</imageId><imageState>available"
        "</imageState><architecture>x86_64</architecture><blockDeviceMapping><item><ebs>"
        f"<snapshotId>snap-1</snapshotId><encrypted>{encrypted}</encrypted></ebs></item>"
        "</blockDeviceMapping></item></imagesSet></DescribeImagesResponse>"
    )
    stage.faults.add("ec2", "DescribeImages", fault=Body(answer.encode()))
    snapshot = f"<item><snapshotId>snap-1</snapshotId><kmsKeyId>{key}</kmsKeyId></item>"
    answer = f"<snapshotSet>{snapshot if key else ''}</snapshotSet>"
    answer = f"<DescribeSnapshotsResponse>{answer}</DescribeSnapshotsResponse>"
    stage.faults.add("ec2", "DescribeSnapshots", fault=Body(answer.encode()))


def disk(**ebs):
    return {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 30} | ebs}]}


DAY = 24 * 3600


def tag_image(stage, version):
    """Say which runner the stack's image has, as a build does."""
    ec2 = stage.client("ec2")
    (image,) = ec2.describe_images(Owners=["self"])["Images"]
    tags = {"scale-agent:agent-version": "9.9.9", "scale-agent:runner-version": version, "a": "1.1"}
    ec2.create_tags(
        Resources=[image["ImageId"]], Tags=[{"Key": k, "Value": v} for k, v in tags.items()]
    )
    return image["ImageId"]


@pytest.mark.parametrize(("said", "result"), [("allow", "failed"), ("deny", "ok")])
def test_image_and_spec_agree_about_metadata(stage, doctor, said, result):
    ec2 = stage.client("ec2")
    (image,) = ec2.describe_images(Owners=["self"])["Images"]
    tag = {"Key": "scale-agent:job-metadata", "Value": said}
    ec2.create_tags(Resources=[image["ImageId"]], Tags=[tag])
    found = doctor()[1]["images"]
    assert (found["result"], f"JOB_METADATA={said}" in found["text"]) == (result, said == "allow")


def publish(stage, **days):
    """Publish runners so many days ago: v2_338_0=3."""
    now = time.time()
    stage.github.releases = {
        name[1:].replace("_", "."): now - days * DAY - 60 for name, days in days.items()
    }


def test_an_image_with_the_newest_runner(stage, doctor):
    image = tag_image(stage, "2.338.0")
    publish(stage, v2_99_0=900, v2_337_0=60, v2_338_0=50)
    found = doctor()[1]["runner-version"]
    assert found["result"] == "ok"
    assert found["text"].startswith(f"image {image} has 2.338.0, the newest; ")


@pytest.mark.parametrize(
    ("days", "result", "words"),
    [
        (19, "ok", "has 2.336.0, the newest is 2.338.0; it gets jobs for 11 more days"),
        (20, "failed", "has 2.336.0, the newest is 2.338.0; GitHub gives it jobs for less than 10"),
        (30, "failed", "has 2.336.0, the newest is 2.338.0; GitHub gives it no jobs"),
    ],
)
def test_an_image_whose_runner_is_overtaken(stage, doctor, days, result, words):
    """The days count from the first newer one, not from the newest."""
    image = tag_image(stage, "2.336.0")
    publish(stage, v2_336_0=99, v2_337_0=days, v2_338_0=1)
    found = doctor()[1]["runner-version"]
    assert found["result"] == result
    assert found["text"].startswith(f"image {image} {words}")
    assert ("make ami RUNNER_VERSION" in found.get("advice", "")) == (result == "failed")


def test_a_registered_runner_that_is_overtaken(stage, doctor):
    tag_image(stage, "2.338.0")
    publish(stage, v2_336_0=99, v2_337_0=40, v2_338_0=1)
    stage.config["github"]["repositories"] = ["octo-org/one"]
    configure(stage)
    for name, version in [
        ("i-1", "2.336.0"),
        ("i-2", "2.338.0"),
        ("i-3", None),
        ("mac", "2.336.0"),
    ]:
        body = {"name": name, "labels": ["linux"], "runner_group_id": 1}
        stage.github.registry.register("repos/octo-org/one", body)[0].version = version
    assert bad(doctor()[1]) == {
        "runner-version": "runner i-1 of repos/octo-org/one has 2.336.0, "
        "the newest is 2.338.0; GitHub gives it no jobs"
    }


def test_an_image_without_a_tag_and_a_github_without_releases(stage, doctor):
    text = doctor()[1]["runner-version"]["text"]
    assert re.match("image ami-[0-9a-f]+ has no tag of its runner's version; ", text)
    stage.github.releases.clear()
    found = doctor()[1]["runner-version"]
    assert (found["result"], found["text"]) == (
        "skipped",
        "this GitHub shows no release of the runner",
    )


def test_a_trial_release_is_not_the_newest(stage, doctor):
    tag_image(stage, "2.338.0")
    publish(stage, v2_338_0=1)
    stage.github.releases["2.339.0-rc1"] = time.time() - 40 * DAY
    assert doctor()[1]["runner-version"]["text"].endswith("GitHub's newest is 2.338.0")


KEYS = [f"arn:aws:kms:eu-central-1:123456789012:key/{name}" for name in ("one", "two")]


@pytest.mark.parametrize(
    ("ebs", "encrypted", "key", "result", "words", "advice"),
    [
        ({}, "false", None, "failed", "volumes are not encrypted, and neither is", "set Encrypted"),
        ({"Encrypted": True}, "false", None, "ok", "about 10 s at each start", "`make ami`"),
        ({}, "true", None, "ok", " is encrypted", None),
        ({"Encrypted": True}, "true", KEYS[0], "ok", " is encrypted", None),
        ({"Encrypted": True, "KmsKeyId": KEYS[0]}, "true", KEYS[0], "ok", " is encrypted", None),
        ({"Encrypted": True, "KmsKeyId": KEYS[0]}, "true", KEYS[1], "ok", KEYS[1], "`make stack"),
        ({"Encrypted": True, "KmsKeyId": KEYS[0]}, "true", None, "ok", " is encrypted", None),
    ],
    ids=["open", "anew", "image", "both", "same key", "another key", "unseen key"],
)
def test_image_snapshot_and_template_are_compared(
    stage, doctor, ebs, encrypted, key, result, words, advice
):
    image = stage.client("ec2").register_image(Name="own")["ImageId"]
    make_template(stage, ImageId=image, **disk(**ebs))
    image_says(stage, image, encrypted, key)
    found = doctor()[1]["encryption"]
    assert found["result"] == result and words in found["text"]
    assert found.get("advice", "").startswith(advice or "") and bool(advice) == ("advice" in found)


def test_subnets_that_are_gone_or_full(stage, doctor):
    configure(stage, subnets=["subnet-0123456789abcdef0"])
    code, checks = doctor()
    assert "does not exist in this region" in bad(checks)["subnets"]
    assert checks["instance-types"]["text"] == "no subnet was found"


def test_types_that_no_zone_offers(stage, doctor):
    configure(stage, instance_type="u7inh-32tb.480xlarge")
    assert "no zone of its subnets offers" in bad(doctor()[1])["instance-types"]


def test_a_quota_that_is_too_small(stage, doctor):
    configure(stage, instance_type="g5.xlarge")
    code, checks = doctor()
    assert "All G and VT Spot Instance Requests (L-3819A6DF): 0 vCPUs" in bad(checks)["spot-quota"]
    assert "request-service-quota-increase" in checks["spot-quota"]["advice"]


def test_a_limit_of_machines_that_the_quota_keeps_from_being_reached(stage, doctor):
    for most, said in ((320, False), (321, True)):
        configure(stage, max_machines=most)
        check = doctor()[1]["spot-quota"]
        text = f"max_machines of spec linux-x64 is {most}, and the quota allows 320"
        assert check["result"] == "ok" and (text in check["text"]) == said


def test_a_store_that_is_too_slow_for_bursts(stage, doctor):
    setting = "/ssm/parameter-store/high-throughput-enabled"
    text = doctor()[1]["hand-over"]["text"]
    assert "about 3 new ones a second" in text and "machines of larger bursts wait" in text
    stage.aws.settings[setting] = "true"
    text = doctor()[1]["hand-over"]["text"]
    assert "about 10 new ones a second" in text and "bursts wait" not in text
    configure(stage, stage.config | {"hand_over": "s3"})
    assert doctor()[1]["hand-over"]["text"].startswith("in S3")


def test_a_missing_permission_of_the_person_is_named(stage, doctor):
    session = stage.assume("QueuedRole", "person")
    code, checks = doctor(
        AWS_ACCESS_KEY_ID=session["AccessKeyId"], AWS_SESSION_TOKEN=session["Token"],
        AWS_SECRET_ACCESS_KEY=session["SecretAccessKey"],
    )  # fmt: skip
    assert "ec2:DescribeLaunchTemplateVersions" in bad(checks)["launch-templates"]
    assert "servicequotas:GetServiceQuota" in bad(checks)["spot-quota"]
    assert "ssm:GetServiceSetting" in bad(checks)["hand-over"]
