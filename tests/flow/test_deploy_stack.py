# SPDX-License-Identifier: MIT
"""make stack: what it asks for, how the template reaches CloudFormation, and what stops it."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from account import BUCKET, STAND_IN

from cloud.aws.stack import REGION

# -- what it asks for, and what stops it -----------------------------------------------------------


def test_a_new_stack_asks_for_what_it_needs(account):
    account.upload("first")
    vpc = account.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    answers = [account.image, "", "", "", "", "", "y"]
    text = account.does("stack", answers=answers, PREFIX="ours", STACK="ours")
    assert f"VPC [{vpc}]: " in text and "Subnets, with commas [subnet-" in text
    assert f"S3 bucket for the template [{BUCKET}]: " in text
    assert "Execute this? [y/N]: " in text
    assert account.status("ours") == "CREATE_COMPLETE"
    (template,) = account.ec2.describe_launch_templates()["LaunchTemplates"]
    version = account.ec2.describe_launch_template_versions(
        LaunchTemplateId=template["LaunchTemplateId"]
    )["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    assert version["BlockDeviceMappings"][0]["DeviceName"] == "/dev/sda1"
    (account.folder / "build" / "uploaded-x86_64").unlink()
    # Moto tells a change from none only where the call carries the template.
    same = "FAILED\\tThe submitted information didn't contain changes."
    same = account.answering(f"cloudformation describe-change-set|{same}")
    text = account.does("stack", STACK="ours", **same)
    assert f"already there: s3://{BUCKET}/{account.template()[0]}" in text
    assert "nothing to change" in text


def test_the_disk_of_runners_is_as_it_is_asked_for(account):
    account.upload("first")
    settings = {"AMI": account.image, "VOLUME_THROUGHPUT": "500", "YES": "1"}
    account.does("stack", VOLUME_INITIALIZATION_RATE="200", **settings)
    (version,) = account.ec2.describe_launch_template_versions(LaunchTemplateName="scale-agent")[
        "LaunchTemplateVersions"
    ]
    disk = version["LaunchTemplateData"]["BlockDeviceMappings"][0]["Ebs"]
    assert disk["VolumeInitializationRate"] == 200 and disk["Throughput"] == 500


@pytest.mark.parametrize(("asked_for", "reserved"), [("", None), ("20", 20)])
def test_concurrency_is_reserved_only_where_it_is_asked_for(account, asked_for, reserved):
    account.upload("first")
    account.does("stack", WEBHOOK_CONCURRENCY=asked_for, AMI=account.image, YES="1")
    found = account.functions.get_function_concurrency(FunctionName="scale-agent-webhook")
    assert found.get("ReservedConcurrentExecutions") == reserved


def buckets(account):
    return [one["Name"] for one in account.s3.list_buckets()["Buckets"] if one["Name"] != BUCKET]


def test_without_being_asked_for_there_is_no_bucket(account):
    account.upload("first")
    account.does("stack", AMI=account.image, YES="1")
    assert buckets(account) == []


def test_a_bucket_for_hand_overs_is_made_where_it_is_asked_for(account):
    account.upload("first")
    account.does("stack", AMI=account.image, HAND_OVER="s3", YES="1")
    assert len(buckets(account)) == 1


# -- SSM's throughput ------------------------------------------------------------------------------

OFF = "ssm get-service-setting|false"
ON = "ssm get-service-setting|true"
DONE = "ssm update-service-setting|"


@pytest.mark.parametrize(
    ("now", "wanted", "changed"), [(OFF, "1", "true"), (ON, "0", "false"), (ON, "1", "")]
)
def test_ssm_s_throughput_is_changed_for_the_account(account, now, wanted, changed):
    account.upload("first")
    settings = account.answering(now, DONE)
    text = account.does("stack", AMI=account.image, SSM_HIGH_THROUGHPUT=wanted, YES="1", **settings)
    calls = account.called("update-service-setting")
    assert [one.split()[-1] for one in calls] == ([changed] if changed else [])
    assert ("whole account 123456789012" in text) == bool(changed)
    assert ("0.05 USD per" in text) == bool(changed)
    assert account.status() == "CREATE_COMPLETE"


def test_ssm_s_throughput_needs_a_yes_of_its_own(account):
    settings = account.answering(OFF, DONE)
    text = account.fails("stack", answers=["n"], SSM_HIGH_THROUGHPUT="1", **settings)
    assert "Turn it on for the whole account? [y/N]" in text and "nothing was changed" in text
    assert account.called("update-service-setting") == []
    text = account.fails("stack", SSM_HIGH_THROUGHPUT="yes", **settings)
    assert "it may be 1 or 0" in text


KEY = "arn:aws:kms:eu-central-1:123456789012:key/0123"
OPTIONS = {
    "PERMISSIONS_BOUNDARY": ("PermissionsBoundary", "arn:aws:iam::123456789012:policy/boundary"),
    "STACK_KMS_KEY": ("KmsKeyArn", KEY),
    "FUNCTION_SUBNETS": ("FunctionSubnetIds", "subnet-3,subnet-4"),
    "FUNCTION_SECURITY_GROUPS": ("FunctionSecurityGroupIds", "sg-2"),
    "WAITING_LIMIT": ("WaitingLimit", "600"),
    "HAND_OVER": ("HandOver", "s3"),
    "MONTHLY_BUDGET": ("MonthlyBudget", "2000"),
}


def parameters(account):
    (stack,) = account.stacks.describe_stacks(StackName="scale-agent")["Stacks"]
    return {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}


def volume(account):
    versions = account.ec2.describe_launch_template_versions(
        LaunchTemplateName="scale-agent", Versions=["$Latest"]
    )["LaunchTemplateVersions"]
    return versions[0]["LaunchTemplateData"]["BlockDeviceMappings"][0]["Ebs"]


def test_what_an_operator_may_set_reaches_the_stack(account):
    account.upload("first")
    network = account.ec2.describe_subnets()["Subnets"][0]
    group = account.ec2.create_security_group(
        GroupName="ours", Description="ours", VpcId=network["VpcId"]
    )["GroupId"]
    given = {name: value for name, (_, value) in OPTIONS.items()}
    given |= {"FUNCTION_SUBNETS": network["SubnetId"], "FUNCTION_SECURITY_GROUPS": group}
    text = account.does("stack", AMI=account.image, YES="1", **given)
    assert f"next: PARAMETER_KMS_KEY={KEY} scaler setup" in text
    there = parameters(account)
    for name in ("PERMISSIONS_BOUNDARY", "STACK_KMS_KEY", "WAITING_LIMIT", "MONTHLY_BUDGET"):
        assert there[OPTIONS[name][0]] == given[name]
    roles = account.moto.client("iam").list_roles()["Roles"]
    made = [one for one in roles if one["RoleName"].startswith("scale-agent-")]
    iam = account.moto.client("iam")
    boundaries = {
        iam.get_role(RoleName=one["RoleName"])["Role"]["PermissionsBoundary"][
            "PermissionsBoundaryArn"
        ]
        for one in made
    }
    assert len(made) > 5 and boundaries == {given["PERMISSIONS_BOUNDARY"]}
    sqs = account.moto.client("sqs")
    keys = {
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"][
            "KmsMasterKeyId"
        ]
        for url in sqs.list_queues()["QueueUrls"]
    }
    assert keys == {KEY}
    for one in account.functions.list_functions()["Functions"]:
        assert one["VpcConfig"]["SubnetIds"] == [network["SubnetId"]]
        assert one["VpcConfig"]["SecurityGroupIds"] == [group]


def test_what_an_operator_does_not_set_is_as_before(account):
    account.upload("first")
    text = account.does("stack", AMI=account.image, YES="1")
    assert "next: scaler setup" in text
    there = parameters(account)
    empty = {name for name, (parameter, _) in OPTIONS.items() if there[parameter] == ""}
    assert empty == set(OPTIONS) - {"WAITING_LIMIT", "HAND_OVER"}
    assert (there["WaitingLimit"], there["HandOver"]) == ("3600", "ssm")
    assert "KmsKeyId" not in volume(account) and volume(account)["Encrypted"]


def wanted(account, *answers, **settings):
    """Give the parameters that a change set would get, and what is printed: nobody executes it."""
    stand_in = account.answering(*answers)
    script = account.folder / "tools" / "aws"
    keep = 'for word in "$@"; do case $word in file://*) cp "${word#file://}" "$ANSWERS.given" ;; '
    script.write_text(STAND_IN.replace("while IFS", keep + "esac; done\nwhile IFS"))
    text = account.fails("stack", **settings, **stand_in)
    assert "stopped; nothing was changed" in text
    given = json.loads((account.folder / "answers.given").read_text())
    return {one["ParameterKey"]: one.get("ParameterValue") for one in given}, text


def test_none_empties_what_was_set(account):
    account.upload("first")
    boundary = OPTIONS["PERMISSIONS_BOUNDARY"][1]
    account.does("stack", AMI=account.image, YES="1", PERMISSIONS_BOUNDARY=boundary)
    assert parameters(account)["PermissionsBoundary"] == boundary
    given, _ = wanted(account, WAITING_LIMIT="600")
    assert given["PermissionsBoundary"] is None  # the previous value
    given, _ = wanted(account, PERMISSIONS_BOUNDARY="none")
    assert given["PermissionsBoundary"] == ""


def test_a_key_is_named_by_its_arn_for_iam(account):
    account.upload("first")
    found = account.answering(f"kms describe-key --key-id alias/ours|{KEY}")
    settings = {"AMI": account.image, "YES": "1"}
    account.does("stack", STACK_KMS_KEY="alias/ours", **settings, **found)
    assert parameters(account)["KmsKeyArn"] == KEY
    why = "An error occurred (NotFoundException) when calling the DescribeKey operation: no such"
    missing = account.answering(f"kms describe-key|{why}|254")
    text = account.fails("stack", STACK_KMS_KEY="alias/typo", **settings, **missing)
    assert "there is no KMS key alias/typo: NotFoundException" in text


def test_functions_in_subnets_need_security_groups(account):
    account.upload("first")
    text = account.fails("stack", AMI=account.image, YES="1", FUNCTION_SUBNETS="subnet-3")
    assert "without security groups" in text
    assert "FUNCTION_SECURITY_GROUPS=sg-" in text.split("next:")[1]
    assert account.status() == "NONE"


@pytest.mark.parametrize(
    ("snapshot", "manager", "key", "says"),
    [
        ("False\\tNone", "", "", "is not encrypted: machines' volumes are"),
        (f"True\\t{KEY}", "AWS", "", ""),
        (f"True\\t{KEY}", "CUSTOMER", KEY, f"aws kms create-grant --key-id {KEY}"),
    ],
    ids=["not encrypted", "the account's key", "a key of ours"],
)
def test_volumes_have_the_key_of_the_snapshot(account, snapshot, manager, key, says):
    account.upload("first")
    given, text = wanted(
        account,
        "ec2 describe-images|/dev/xvda\\t8\\tsnap-0123\\tTrue",
        f"ec2 describe-snapshots --snapshot-ids snap-0123|{snapshot}",
        f"kms describe-key --key-id {KEY}|{manager}",
        AMI=account.image,
    )
    assert given["VolumeKmsKeyArn"] == key  # also where an earlier image had another one
    assert says in text and (says != "") == ("volumes" in text.split("changes to")[0])


def test_a_snapshot_of_another_account_may_not_be_seen(account):
    account.upload("first")
    no = "An error occurred (InvalidSnapshot.NotFound) when calling the DescribeSnapshots: no"
    for encrypted, says in (("True", "VOLUME_KMS_KEY=arn:"), ("False", "is not encrypted")):
        given, text = wanted(
            account,
            f"ec2 describe-images|/dev/xvda\\t8\\tsnap-0123\\t{encrypted}",
            f"ec2 describe-snapshots|{no}|254",
            AMI=account.image,
        )
        assert says in text
        assert given.get("VolumeKmsKeyArn") == (None if encrypted == "True" else "")


@pytest.mark.parametrize("answers", [["n"], None])
def test_a_change_set_that_is_not_wanted_leaves_nothing(account, answers):
    account.upload("first")
    settings = {"AMI": account.image, "VPC": "vpc-1", "SUBNETS": "subnet-1,subnet-2"}
    settings |= {"SECURITY_GROUPS": "sg-1", "ALARM_EMAIL": "octo@example.org", "BUCKET": BUCKET}
    text = account.fails("stack", answers=answers, **settings)
    assert "Add  QueuedFunction" in text and "nothing was changed" in text
    assert account.status() == "NONE" and account.code() == {}


def test_a_stack_needs_code_and_an_image(account):
    assert "nothing was uploaded for x86_64" in account.fails("stack", AMI=account.image)
    account.upload("first")
    assert "AMI is not set" in account.fails("stack")
    text = account.fails("stack", AMI="ami-00000000", YES="1")
    assert "the AMI ami-00000000 cannot be used: InvalidAMIID.NotFound" in text
    assert account.status() == "NONE"


def test_the_image_that_was_built_last_is_the_default(account):
    account.upload("first")
    built = account.folder / "build" / "ami-x86_64"
    built.write_text(f"{account.image} us-east-1\n")  # an image of another region cannot be used
    assert "AMI is not set" in account.fails("stack", YES="1")
    built.write_text(f"{account.image} {REGION}\n")
    text = account.does("stack", answers=["", "", "", "", "", "", "y"])
    assert f"AMI with the runner-agent [{account.image}]: " in text
    (version,) = account.ec2.describe_launch_template_versions(LaunchTemplateName="scale-agent")[
        "LaunchTemplateVersions"
    ]
    assert version["LaunchTemplateData"]["ImageId"] == account.image


def test_a_stack_is_not_made_of_code_for_another_architecture(account):
    account.upload("first")
    text = account.fails("stack", AMI=account.image, ARCH="arm64", YES="1")
    assert "nothing was uploaded for arm64" in text


def test_a_half_made_stack_is_deleted_after_a_question(account):
    """Moto has no ROLLBACK_COMPLETE: the stand-in says it until the stack is deleted."""
    account.two_functions()
    half = account.answering(
        "cloudformation describe-stacks --stack-name scale-agent "
        "--query Stacks[0].StackStatus|ROLLBACK_COMPLETE",
        "cloudformation describe-stack-events|QueuedRole\\tAWS::IAM::Role\\tRole limit reached",
    )
    text = account.fails("stack", AMI=account.image, **half)
    assert "half-made (ROLLBACK_COMPLETE)" in text and "Role limit reached" in text
    assert "make destroy, then make stack" in text
    assert account.status() == "CREATE_COMPLETE"
    text = account.fails("stack", answers=["y"], AMI=account.image, **half)
    assert account.status() == "NONE"
    assert "could not be deleted (ROLLBACK_COMPLETE)" in text  # as the stand-in goes on saying


def test_a_stack_that_fails_says_which_resources_and_why(account):
    account.upload("first")
    failing = account.answering(
        "cloudformation execute-change-set|",
        "cloudformation describe-stack-events|QueuedRole\\tAWS::IAM::Role\\tRole limit reached",
    )
    script = account.folder / "tools" / "aws"
    status = 'case " $* " in *" Stacks[0].StackStatus "*) [ -e "$ANSWERS.done" ] && '
    status += '{ echo ROLLBACK_COMPLETE; exit; } ;; *" execute-change-set "*) '
    status += 'touch "$ANSWERS.done" ;; esac\n'
    script.write_text(STAND_IN.replace("while IFS", status + "while IFS"))
    text = account.fails("stack", AMI=account.image, YES="1", **failing)
    assert "QueuedRole  AWS::IAM::Role  Role limit reached" in text
    assert (
        "was not created (ROLLBACK_COMPLETE)" in text and "make destroy" in text.split("next:")[1]
    )


def test_another_change_that_runs_is_waited_for_by_the_person(account):
    account.two_functions()
    busy = account.answering(
        "cloudformation describe-stacks --stack-name scale-agent "
        "--query Stacks[0].StackStatus|UPDATE_IN_PROGRESS"
    )
    assert "scale-agent is UPDATE_IN_PROGRESS" in account.fails("stack", YES="1", **busy)


# -- the template ----------------------------------------------------------------------------------
# The call itself carries no more than 51,200 bytes of a template.
SENT_AS_BODY = "--template-body|An error occurred (ValidationError): templateBody is too long|254"


def test_the_template_reaches_cloudformation_through_the_bucket(account):
    account.upload("first")
    with (account.folder / "scaler" / "template.yaml").open("a") as template:
        template.write("# and a comment\n" * 4_000)
    key, body = account.template()
    assert len(body) > 51_200
    refused = account.answering(SENT_AS_BODY)
    text = account.does("stack", AMI=account.image, YES="1", **refused)
    assert f"uploaded: s3://{BUCKET}/{key}" in text
    assert account.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body
    (call,) = account.called("cloudformation create-change-set")
    assert f"--template-url https://s3.{REGION}.amazonaws.com/{BUCKET}/{key} " in call
    assert account.status() == "CREATE_COMPLETE"


def test_an_existing_stack_takes_its_template_from_the_bucket_of_its_code(account):
    account.two_functions()
    (account.folder / "build" / "uploaded-x86_64").unlink()
    refused = account.answering(SENT_AS_BODY)
    settings = {"AMI": account.image, "VPC": "vpc-1", "SUBNETS": "subnet-1", "YES": "1"}
    text = account.does("stack", **settings, **refused)
    assert f"uploaded: s3://{BUCKET}/{account.template()[0]}" in text
    assert "Add  QueuedFunction" in text and account.status() == "UPDATE_COMPLETE"


def test_the_template_goes_where_bucket_says(account):
    account.upload("first")
    where = {"LocationConstraint": REGION}
    account.s3.create_bucket(Bucket="our.templates", CreateBucketConfiguration=where)
    text = account.does("stack", AMI=account.image, BUCKET="our.templates", YES="1")
    assert f"uploaded: s3://our.templates/{account.template()[0]}" in text
    assert account.template()[0] not in account.objects()


@pytest.mark.parametrize(
    ("partition", "region", "domain"),
    [
        ("aws-cn", "cn-north-1", "amazonaws.com.cn"),
        ("aws-eusc", "eusc-de-east-1", "amazonaws.eu"),
    ],
)
def test_the_url_of_the_template_is_of_the_region(account, partition, region, domain):
    """Moto has no buckets there, so the stand-in answers for it."""
    account.upload("first")
    _, body = account.template()
    stored = base64.b64encode(hashlib.sha256(body).digest()).decode()
    why = "An error occurred (ValidationError) when calling the CreateChangeSet operation: no"
    there = account.answering(
        f"sts get-caller-identity|123456789012\\tarn:{partition}:iam::123456789012:user/owner",
        "Stacks[0].StackStatus|NONE",
        "ec2 describe-images|/dev/xvda\\t8",
        f"s3api get-bucket-location|{region}",
        f"s3api head-object|{stored}",
        f"cloudformation create-change-set|{why}|254",
    )
    settings = {"AMI": account.image, "VPC": "vpc-1", "SUBNETS": "subnet-1", "YES": "1"}
    account.fails("stack", AWS_REGION=region, **settings, **there)
    (call,) = account.called("cloudformation create-change-set")
    assert f"--template-url https://s3.{region}.{domain}/{BUCKET}/scaler/template-" in call


def test_a_stack_needs_a_bucket_in_its_region(account):
    account.upload("first")
    settings = {"AMI": account.image, "YES": "1"}
    text = account.fails("stack", BUCKET="nobodys-bucket", **settings)
    assert "there is no bucket nobodys-bucket" in text
    assert f"aws s3 mb s3://nobodys-bucket --region {REGION}" in text.split("next:")[1]
    elsewhere = account.answering("s3api get-bucket-location|us-west-2")
    text = account.fails("stack", **settings, **elsewhere)
    assert f"the bucket {BUCKET} is in us-west-2" in text
    assert "make stack AWS_REGION=us-west-2" in text.split("next:")[1]
    closed = "An error occurred (AccessDenied) when calling the GetBucketLocation operation: no"
    text = account.fails(
        "stack", **settings, **account.answering(f"s3api get-bucket-location|{closed}|254")
    )
    assert f"the bucket {BUCKET} belongs to another account, or you may not read it" in text
    assert "make stack BUCKET=" in text.split("next:")[1]
    assert account.status() == "NONE"


def test_a_template_that_cannot_be_stored_or_read_names_the_permission(account):
    account.upload("first")
    settings = {"AMI": account.image, "YES": "1"}
    why = "An error occurred (AccessDenied) when calling the PutObject operation: not you"
    text = account.fails("stack", **settings, **account.answering(f"s3api put-object|{why}|254"))
    assert "scaler/template.yaml was not uploaded: AccessDenied: not you" in text
    assert "get this permission" in text.split("next:")[1]
    text = account.fails("stack", **settings, **account.answering("s3api head-object|AAAA"))
    assert "what arrived at" in text and "make stack again" in text.split("next:")[1]
    why = "An error occurred (ValidationError) when calling the CreateChangeSet operation: "
    why += "S3 error: Access Denied\\nFor more information check http://docs.aws.amazon.com/"
    text = account.fails(
        "stack", **settings, **account.answering(f"cloudformation create-change-set|{why}|254")
    )
    assert f"CloudFormation cannot read s3://{BUCKET}/{account.template()[0]}: " in text
    assert "S3 error: Access Denied" in text and "s3:GetObject" in text.split("next:")[1]
    assert account.status() == "NONE"
