# SPDX-License-Identifier: MIT
"""The way into AWS and out of it: make upload, deploy, rollback and destroy."""

from __future__ import annotations

import base64
import subprocess

import jmespath
import pytest
from account import BUCKET, STAND_IN

from cloud.aws.stack import ACCOUNT, REGION

# -- all of it -------------------------------------------------------------------------------------


def test_from_nothing_to_an_updated_stack_and_back_to_nothing(account):
    first = account.build("first")
    text = account.does("upload", BUCKET=BUCKET)
    (key,) = account.objects()
    digest = base64.b64decode(first).hex()
    assert key.startswith("scaler/") and key.endswith(f"-{digest[:12]}-x86_64.zip")
    assert f"s3://{BUCKET}/{key}" in text and digest in text

    text = account.does("stack", AMI=account.image, YES="1")
    assert "Add  WebhookFunction  AWS::Lambda::Function" in text
    assert "scale-agent is CREATE_COMPLETE" in text
    assert set(account.code().values()) == {first} and len(account.code()) == 11
    roles = account.moto.client("iam").list_roles()["Roles"]
    assert any("spot" in role["RoleName"] for role in roles)  # moto has a name of its own for it

    second = account.build("second")
    account.does("upload", BUCKET=BUCKET)
    text = account.does("deploy")
    assert set(account.code().values()) == {second}
    assert text.count(f"old  {first}  s3://{BUCKET}/{key}") == 11
    assert text.count(f"new  {second}  s3://{BUCKET}/scaler/") == 11

    text = account.does("rollback")
    assert set(account.code().values()) == {first}
    assert text.count(f"new  {first}  s3://{BUCKET}/{key}") == 11
    assert "nothing to go back to" in account.fails("rollback")
    assert set(account.code().values()) == {first}

    ssm = account.moto.client("ssm")
    for name in ("config", *(f"runners/i-{number}" for number in range(12))):
        ssm.put_parameter(Name=f"/scale-agent/{name}", Value="x", Type="SecureString")
    tags = [{"Key": "scale-agent:prefix", "Value": "/scale-agent"}]
    (instance,) = account.ec2.run_instances(
        ImageId=account.image,
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )["Instances"]
    text = account.fails("destroy")
    assert account.status() == "CREATE_COMPLETE" and "nobody to ask" in text
    assert "/scale-agent/runners/i-11" in text and "AWS::SQS::Queue" in text
    text = account.does("destroy", YES="1")
    assert f"terminate-instances --region {REGION} --instance-ids {instance['InstanceId']}" in text
    assert account.status() == "NONE" and account.code() == {}
    left = ssm.describe_parameters()["Parameters"]
    assert [one["Name"] for one in left] == ["/scale-agent/config"]
    state = account.ec2.describe_instances()["Reservations"][0]["Instances"][0]["State"]["Name"]
    assert state == "running" and account.objects() != []
    assert "there is no stack scale-agent" in account.does("destroy")


# -- what stops every command ----------------------------------------------------------------------


@pytest.mark.parametrize("command", ["upload", "deploy", "rollback", "stack", "destroy"])
def test_without_credentials_nothing_is_done(account, command):
    text = account.fails(
        command, AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None, BUCKET=BUCKET, YES="1"
    )
    assert "signing in to AWS failed" in text and "credentials" in text
    assert "next: sign in" in text
    assert account.objects() == [] and account.status() == "NONE"


def test_without_a_region_the_setting_is_named(account):
    text = account.fails("upload", AWS_REGION=None, BUCKET=BUCKET)
    assert "no AWS region is set" in text and "AWS_REGION=" in text


@pytest.mark.parametrize("command", ["deploy", "rollback"])
def test_a_stack_that_is_elsewhere(account, command):
    account.two_functions()
    text = account.fails(command, AWS_REGION="us-east-1")
    assert f"there is no stack scale-agent in us-east-1 (account {ACCOUNT})" in text
    assert "AWS_REGION" in text.split("next:")[1]


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("aws-cli/1.28.9 Python/3.11", False),
        ("aws-cli/1.29.0 Python/3.11", True),
        ("aws-cli/2.9.19 Python/3.11", False),
        ("aws-cli/2.13.0 Python/3.11", True),
        ("aws-cli/2.30.1 Python/3.13", True),
        ("something else", False),
    ],
)
def test_the_cli_has_to_honour_the_endpoint_setting(account, version, fits):
    program = account.folder / "aws"
    program.write_text(f"#!/bin/sh\necho '{version}'\n")
    program.chmod(0o755)
    result = subprocess.run(
        [str(account.folder / "scaler" / "deploy" / "find-aws")],
        env={"PATH": f"{account.folder}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.stdout.strip() == str(program)) is fits


# -- upload ----------------------------------------------------------------------------------------


def test_what_is_there_is_not_uploaded_again(account):
    account.does("upload", BUCKET=BUCKET)
    before = account.s3.list_objects_v2(Bucket=BUCKET)["Contents"][0]["LastModified"]
    assert "already there" in account.does("upload", BUCKET=BUCKET)
    assert account.s3.list_objects_v2(Bucket=BUCKET)["Contents"][0]["LastModified"] == before


def test_the_bucket_is_asked_for_with_a_default(account):
    name = f"scale-agent-{ACCOUNT}-{REGION}"
    where = {"LocationConstraint": REGION}
    account.s3.create_bucket(Bucket=name, CreateBucketConfiguration=where)
    text = account.does("upload", answers=[""])
    assert f"S3 bucket for the code [{name}]: " in text and f"uploaded: s3://{name}/" in text
    text = account.does("upload", answers=[BUCKET])
    assert f"uploaded: s3://{BUCKET}/" in text


def test_nobody_is_asked_without_a_terminal(account):
    text = account.fails("upload")
    assert f"there is no bucket scale-agent-{ACCOUNT}-{REGION}" in text
    assert f"aws s3 mb s3://scale-agent-{ACCOUNT}-{REGION} --region {REGION}" in text
    assert "[" not in text.split("\n")[1]


def test_a_bucket_in_another_region_is_refused(account):
    text = account.fails("upload", BUCKET=BUCKET, AWS_REGION="us-east-1")
    assert f"the bucket {BUCKET} is in {REGION}" in text
    assert f"AWS_REGION={REGION}" in text
    assert account.objects() == []


def test_what_arrives_broken_is_told(account):
    broken = account.answering("s3api head-object|AAAA")
    text = account.fails("upload", BUCKET=BUCKET, **broken)
    assert "what arrived at" in text and "make upload again" in text
    assert not (account.folder / "build" / "uploaded-x86_64").exists()


def test_a_refused_upload_names_the_permission(account):
    why = "An error occurred (AccessDenied) when calling the PutObject operation: not you"
    text = account.fails(
        "upload", BUCKET=BUCKET, **account.answering(f"s3api put-object|{why}|254")
    )
    assert "was not uploaded: AccessDenied: not you" in text and "get this permission" in text


HIDDEN = "An error occurred (403) when calling the HeadObject operation: Forbidden"


def test_without_permission_to_list_it_uploads_what_it_cannot_see(account):
    """S3 says 403, not 404, for what is not there."""
    text = account.does(
        "upload", BUCKET=BUCKET, **account.answering(f"s3api head-object|{HIDDEN}|254|1")
    )
    assert "cannot be seen without s3:ListBucket" in text and "uploaded: s3://" in text
    assert len(account.objects()) == 1


def test_without_permission_to_read_the_upload_is_not_taken_for_good(account):
    text = account.fails(
        "upload", BUCKET=BUCKET, **account.answering(f"s3api head-object|{HIDDEN}|254")
    )
    assert "was uploaded, but cannot be read: 403: Forbidden" in text
    assert "get the permission s3:GetObject" in text
    assert not (account.folder / "build" / "uploaded-x86_64").exists()


def test_there_has_to_be_a_zip(account):
    text = account.fails("upload", BUCKET=BUCKET, ARCH="arm64")
    assert "there is no build/scaler-arm64.zip" in text and "make build ARCH=arm64" in text


# -- deploy and rollback ---------------------------------------------------------------------------


def test_the_prompt_has_the_named_function_as_its_default(account):
    first = account.two_functions()
    _, second = account.upload("second")
    text = account.does("deploy", answers=[""], LAMBDA_FUNC_NAME="scale-agent-two")
    assert "Function to update" in text and "[scale-agent-two]: " in text
    assert account.code() == {"one": first, "two": second}
    text = account.does("deploy", answers=["scale-agent-one"], LAMBDA_FUNC_NAME="scale-agent-two")
    assert account.code() == {"one": second, "two": second}
    text = account.does("rollback", answers=[""])
    assert "[all]: " in text
    assert account.code() == {"one": first, "two": second}  # the last deployment was of one


def test_without_a_name_all_functions_are_the_default(account):
    account.two_functions()
    _, second = account.upload("second")
    text = account.does("deploy", answers=[""])
    assert "(all: scale-agent-one scale-agent-two ) [all]: " in text
    assert account.code() == {"one": second, "two": second}
    assert "has it already" in account.does("deploy")


@pytest.mark.parametrize("settings", [{"YES": "1"}, {}])
def test_nothing_is_asked_with_yes_or_without_a_terminal(account, settings):
    first = account.two_functions()
    _, second = account.upload("second")
    answers = ["scale-agent-one"] if settings else None
    text = account.does("deploy", answers=answers, LAMBDA_FUNC_NAME="scale-agent-two", **settings)
    assert "]: " not in text
    assert account.code() == {"one": first, "two": second}


def test_a_wrong_name_changes_nothing(account):
    first = account.two_functions()
    account.upload("second")
    text = account.fails("deploy", LAMBDA_FUNC_NAME="scale-agent-one scale-agent-three")
    assert "there is no function scale-agent-three" in text
    assert "scale-agent-one scale-agent-two" in text.split("next:")[1]
    assert account.code() == {"one": first, "two": first}


def test_something_has_to_be_uploaded(account):
    account.two_functions()
    (account.folder / "build" / "uploaded-x86_64").unlink()
    text = account.fails("deploy")
    assert "nothing was uploaded for x86_64" in text and "make build upload ARCH=x86_64" in text


def test_a_deployment_that_stops_half_way_is_finished_or_taken_back(account):
    first = account.two_functions()
    _, second = account.upload("second")
    why = "An error occurred (TooManyRequestsException) when calling the X operation: Rate exceeded"
    refused = account.answering(
        f"lambda update-function-code --function-name scale-agent-two|{why}|254"
    )
    text = account.fails("deploy", **refused)
    assert "new: scale-agent-one\nold: scale-agent-two\n" in text
    assert "stopped half-way at scale-agent-two: TooManyRequestsException: Rate exceeded" in text
    assert "make deploy finishes it; make rollback goes back" in text
    assert account.code() == {"one": second, "two": first}
    account.does("rollback")
    assert account.code() == {"one": first, "two": first}
    account.fails("deploy", **refused)
    account.does("deploy")
    assert account.code() == {"one": second, "two": second}


def test_an_update_that_lambda_gives_up_is_told(account):
    account.two_functions()
    account.upload("second")
    failed = account.answering("lambda get-function-configuration|Failed\\tInvalidZipFileException")
    text = account.fails("deploy", **failed)
    assert "scale-agent-one was not updated" in text and "InvalidZipFileException" in text


# -- destroy ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("answers", [["n"], [""], None])
def test_destroy_needs_a_yes(account, answers):
    account.two_functions()
    text = account.fails("destroy", answers=answers)
    assert "AWS::Lambda::Function" in text and "nothing was changed" in text
    assert account.status() == "CREATE_COMPLETE"


@pytest.mark.parametrize("folder", ["runners", "breakers"])
def test_parameters_of_a_stack_that_is_gone_are_deleted(account, folder):
    ssm = account.moto.client("ssm")
    for name in (f"/ours/{folder}/i-1", f"/scale-agent/{folder}/i-1"):
        ssm.put_parameter(Name=name, Value="x", Type="String")
    assert f"  /ours/{folder}/i-1\n" in account.fails("destroy", PREFIX="ours")
    account.does("destroy", PREFIX="ours", YES="1")
    (left,) = ssm.describe_parameters()["Parameters"]
    assert left["Name"] == f"/scale-agent/{folder}/i-1"


def test_hand_overs_in_the_stack_s_bucket_are_deleted(account):
    """CloudFormation does not delete a bucket with something in it."""
    account.upload("first")
    account.does("stack", AMI=account.image, HAND_OVER="s3", YES="1")
    (bucket,) = [
        one["Name"] for one in account.s3.list_buckets()["Buckets"] if one["Name"] != BUCKET
    ]
    key = "arn:aws:ec2:eu-central-1:123456789012:instance/i-1"
    account.s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert f"  {key}\n" in account.fails("destroy")
    account.does("destroy", YES="1")
    assert account.status() == "NONE"
    assert [one["Name"] for one in account.s3.list_buckets()["Buckets"]] == [BUCKET]


def with_bucket(account):
    account.upload("first")
    account.does("stack", AMI=account.image, HAND_OVER="s3", YES="1")
    (bucket,) = [
        one["Name"] for one in account.s3.list_buckets()["Buckets"] if one["Name"] != BUCKET
    ]
    return bucket


def test_a_bucket_to_which_somebody_gave_versions_is_emptied(account):
    """As some organizations do with all of their buckets; an old version is a hand-over as well."""
    bucket = with_bucket(account)
    account.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for name in ("i-1", "i-2 and 3"):
        account.s3.put_object(Bucket=bucket, Key=f"arn:{name}", Body=b"secret")
        account.s3.put_object(Bucket=bucket, Key=f"arn:{name}", Body=b"other")
    account.s3.delete_object(Bucket=bucket, Key="arn:i-1")
    assert "  arn:i-1\n" in account.fails("destroy")
    account.does("destroy", YES="1")
    assert account.status() == "NONE"
    assert [one["Name"] for one in account.s3.list_buckets()["Buckets"]] == [BUCKET]


def test_what_the_bucket_does_not_let_go_is_said(account):
    with_bucket(account)
    listed = '{"Objects": [{"Key": "arn:i-1", "VersionId": "null"}], "Quiet": true}'
    text = account.fails(
        "destroy",
        YES="1",
        **account.answering(
            f"--max-items 1000|{listed}",
            "s3api delete-objects|AccessDenied\\tyou may not",
        ),
    )
    assert "was not emptied: AccessDenied: you may not" in text


def test_a_bucket_that_went_with_the_last_try_is_in_nobody_s_way(account):
    """Of a stack that was deleted in part, CloudFormation still lists what is gone."""
    account.two_functions()
    account.fails("destroy", **account.answering("s3api no-such-call|"))
    (call,) = account.called("HandOverBucket")
    query = jmespath.compile(call.split("--query ")[1])
    listed = [
        {"LogicalResourceId": name, "PhysicalResourceId": f"{name}-1", "ResourceStatus": status}
        for name, status in [
            ("HandOverBucket", "DELETE_COMPLETE"),
            ("Runners", "DELETE_FAILED"),
            ("HandOverBucket", "CREATE_COMPLETE"),
        ]
    ]
    assert query.search({"StackResourceSummaries": listed[:2]}) == []
    assert query.search({"StackResourceSummaries": listed[1:]}) == [["HandOverBucket-1"]]


def test_a_stack_that_cannot_be_deleted_says_why(account):
    account.two_functions()
    stuck = account.answering(
        "cloudformation delete-stack|",
        "cloudformation describe-stack-events|Runners\\tAWS::EC2::SecurityGroup\\tin use",
    )
    script = account.folder / "tools" / "aws"
    status = 'case " $* " in *" delete-stack "*) touch "$ANSWERS.done" ;; '
    status += '*" Stacks[0].StackStatus "*) [ -e "$ANSWERS.done" ] && '
    status += "{ echo DELETE_FAILED; exit; } ;; esac\n"
    script.write_text(STAND_IN.replace("while IFS", status + "while IFS"))
    text = account.fails("destroy", YES="1", **stuck)
    assert "was not deleted (DELETE_FAILED)" in text and "in use" in text
