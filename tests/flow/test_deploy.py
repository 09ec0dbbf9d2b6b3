# SPDX-License-Identifier: MIT
"""The way into AWS: make upload, stack, deploy, rollback and destroy, in a moto of their own.

They run in a copy of the project that holds what they need, so that the build folder stays as it
is. Moto's CloudFormation never fails and has no function URLs: where a test is about failure, a
stand-in for the AWS CLI changes one answer and passes everything else on.
"""

from __future__ import annotations

import base64
import hashlib
import os
import pty
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from cloud.aws.stack import ACCOUNT, REGION, Moto
from cloud.limits import PATIENCE

PROJECT = Path(__file__).resolve().parents[2]
# The AWS CLI of the machine, unless tests/prepare had to install one.
PATH = f"{PROJECT / 'build' / 'aws' / 'bin'}:{os.environ['PATH']}"
BUCKET = "our-code"
SECONDS = 90

TWO_FUNCTIONS = """
Parameters:
  Prefix: {Type: String, Default: scale-agent}
  Architecture: {Type: String, Default: x86_64}
  CodeBucket: {Type: String}
  CodeKey: {Type: String}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: [{Effect: Allow, Principal: {AWS: "*"}, Action: sts:AssumeRole}]
  One:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: scale-agent-one
      Runtime: provided.al2023
      Handler: one
      Architectures: [!Ref Architecture]
      Code: {S3Bucket: !Ref CodeBucket, S3Key: !Ref CodeKey}
      Role: !GetAtt Role.Arn
  Two:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: scale-agent-two
      Runtime: provided.al2023
      Handler: two
      Architectures: [!Ref Architecture]
      Code: {S3Bucket: !Ref CodeBucket, S3Key: !Ref CodeKey}
      Role: !GetAtt Role.Arn
"""

# Answers for the AWS CLI: the lines of $ANSWERS are "WORDS OF THE CALL|text|exit status".
STAND_IN = """#!/usr/bin/env bash
printf '%s\\n' "$*" >>"$ANSWERS.calls"
while IFS='|' read -r words text status; do
  case " $* " in *" $words "*)
    if [ -n "${status#0}" ]; then printf '%b\\n' "$text" >&2; else printf '%b\\n' "$text"; fi
    exit "${status:-0}" ;;
  esac
done <"$ANSWERS"
exec "$REAL_AWS" "$@"
"""


class Account:
    """An AWS account in moto, a copy of the project, and the commands."""

    def __init__(self, moto: Moto, folder: Path):
        self.moto = moto
        self.folder = folder
        (folder / "build").mkdir(parents=True)
        (folder / "scaler").mkdir()
        shutil.copytree(PROJECT / "scaler" / "deploy", folder / "scaler" / "deploy")
        shutil.copy(PROJECT / "scaler" / "template.yaml", folder / "scaler")
        shutil.copy(PROJECT / "Makefile", folder)
        moto.serve()
        where = {"LocationConstraint": REGION}
        self.s3, self.ec2 = moto.client("s3"), moto.client("ec2")
        self.functions, self.stacks = moto.client("lambda"), moto.client("cloudformation")
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
        self.image = self.ec2.register_image(
            Name="runner", Architecture="x86_64", RootDeviceName="/dev/sda1"
        )["ImageId"]
        self.build("first")

    def build(self, content: str, arch: str = "x86_64") -> str:
        """Make a zip, as `make build` would, and give its checksum as Lambda does."""
        path = self.folder / "build" / f"scaler-{arch}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("bootstrap", content)
        return base64.b64encode(hashlib.sha256(path.read_bytes()).digest()).decode()

    def make(self, command, answers=None, **settings):
        """Run a command; with answers there is a terminal, and somebody who gives them."""
        environment = {
            "PATH": PATH,
            "HOME": str(self.folder),
            "AWS_ENDPOINT_URL": self.moto.url,
            "AWS_ACCESS_KEY_ID": "owner",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "ARCH": "x86_64",
            "PYENV_ROOT": os.environ.get("PYENV_ROOT", ""),
        }
        environment |= {name: value for name, value in settings.items() if value is not None}
        for name, value in settings.items():
            if value is None:
                del environment[name]
        ours, theirs = pty.openpty()
        try:
            if answers is not None:
                os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
            return subprocess.run(
                ["make", "--no-print-directory", command],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL if answers is None else theirs,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
        finally:
            os.close(ours)
            os.close(theirs)

    def does(self, command, answers=None, **settings):
        """Run a command that succeeds, and give what it printed."""
        result = self.make(command, answers, **settings)
        assert result.returncode == 0, result.stdout
        return result.stdout

    def fails(self, command, answers=None, **settings):
        """Run a command that fails, and give what it printed."""
        result = self.make(command, answers, **settings)
        assert result.returncode != 0, result.stdout
        return result.stdout

    def answering(self, *lines: str) -> dict[str, str]:
        """Make a stand-in for the AWS CLI that gives these answers, and settings that find it."""
        real = subprocess.run(
            [str(PROJECT / "scaler" / "deploy" / "find-aws")],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        tools = self.folder / "tools"
        tools.mkdir(exist_ok=True)
        (tools / "aws").write_text(STAND_IN)
        (tools / "aws").chmod(0o755)
        (self.folder / "answers").write_text("".join(f"{line}\n" for line in lines))
        return {
            "PATH": f"{tools}:{PATH}",
            "REAL_AWS": real,
            "ANSWERS": str(self.folder / "answers"),
        }

    def called(self, words: str) -> list[str]:
        """Give the calls of the stand-in that have these words in them."""
        calls = (self.folder / "answers.calls").read_text().splitlines()
        return [one for one in calls if words in one]

    def upload(self, content: str) -> tuple[str, str]:
        """Upload a zip as `make upload` does, in a fraction of its time; gives key and checksum."""
        checksum = self.build(content)
        key = f"scaler/{content}-x86_64.zip"
        body = (self.folder / "build" / "scaler-x86_64.zip").read_bytes()
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        line = f"{BUCKET} {key} {checksum}\n"
        (self.folder / "build" / "uploaded-x86_64").write_text(line)
        return key, checksum

    def two_functions(self) -> str:
        """Make a stack of two functions; gives their code's checksum."""
        key, checksum = self.upload("first")
        given = {"CodeBucket": BUCKET, "CodeKey": key}
        self.stacks.create_stack(
            StackName="scale-agent",
            TemplateBody=TWO_FUNCTIONS,
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in given.items()],
        )
        return checksum

    def code(self) -> dict[str, str]:
        """Give the checksum of each function's code."""
        found = self.functions.list_functions()["Functions"]
        return {
            one["FunctionName"].removeprefix("scale-agent-"): one["CodeSha256"] for one in found
        }

    def template(self) -> tuple[str, bytes]:
        """Give the key under which make stack stores the template, and the template."""
        body = (self.folder / "scaler" / "template.yaml").read_bytes()
        return f"scaler/template-{hashlib.sha256(body).hexdigest()[:12]}.yaml", body

    def objects(self) -> list[str]:
        """List the bucket."""
        return [one["Key"] for one in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def status(self, name: str = "scale-agent") -> str:
        """Give the stack's status."""
        found = self.stacks.describe_stacks()["Stacks"]
        return next((one["StackStatus"] for one in found if one["StackName"] == name), "NONE")


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    """Moto without the local cloud around it, which has no way for this."""
    process = Moto(tmp_path_factory.mktemp("moto") / "moto.log")
    yield process
    process.stop()


@pytest.fixture
def account(moto, tmp_path):
    return Account(moto, tmp_path / "project")


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
    assert set(account.code().values()) == {first} and len(account.code()) == 7
    roles = account.moto.client("iam").list_roles()["Roles"]
    assert any("spot" in role["RoleName"] for role in roles)  # moto has a name of its own for it

    second = account.build("second")
    account.does("upload", BUCKET=BUCKET)
    text = account.does("deploy")
    assert set(account.code().values()) == {second}
    assert text.count(f"old  {first}  s3://{BUCKET}/{key}") == 7
    assert text.count(f"new  {second}  s3://{BUCKET}/scaler/") == 7

    text = account.does("rollback")
    assert set(account.code().values()) == {first}
    assert text.count(f"new  {first}  s3://{BUCKET}/{key}") == 7
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


# -- stack -----------------------------------------------------------------------------------------


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
    assert "was not created (ROLLBACK_COMPLETE)" in text and "make destroy" in text.split("next:")[1]


def test_another_change_that_runs_is_waited_for_by_the_person(account):
    account.two_functions()
    busy = account.answering(
        "cloudformation describe-stacks --stack-name scale-agent "
        "--query Stacks[0].StackStatus|UPDATE_IN_PROGRESS"
    )
    assert "scale-agent is UPDATE_IN_PROGRESS" in account.fails("stack", YES="1", **busy)


# -- stack: the template ---------------------------------------------------------------------------
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


def test_the_url_of_the_template_is_of_the_region(account):
    """Moto has no buckets in China, so the stand-in answers for it."""
    account.upload("first")
    _, body = account.template()
    stored = base64.b64encode(hashlib.sha256(body).digest()).decode()
    why = "An error occurred (ValidationError) when calling the CreateChangeSet operation: no"
    china = account.answering(
        "sts get-caller-identity|123456789012\\tarn:aws-cn:iam::123456789012:user/owner",
        "Stacks[0].StackStatus|NONE",
        "ec2 describe-images|/dev/xvda\\t8",
        "s3api get-bucket-location|cn-north-1",
        f"s3api head-object|{stored}",
        f"cloudformation create-change-set|{why}|254",
    )
    settings = {"AMI": account.image, "VPC": "vpc-1", "SUBNETS": "subnet-1", "YES": "1"}
    account.fails("stack", AWS_REGION="cn-north-1", **settings, **china)
    (call,) = account.called("cloudformation create-change-set")
    assert (
        f"--template-url https://s3.cn-north-1.amazonaws.com.cn/{BUCKET}/scaler/template-" in call
    )


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


# -- destroy ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("answers", [["n"], [""], None])
def test_destroy_needs_a_yes(account, answers):
    account.two_functions()
    text = account.fails("destroy", answers=answers)
    assert "AWS::Lambda::Function" in text and "nothing was changed" in text
    assert account.status() == "CREATE_COMPLETE"


def test_hand_overs_of_a_stack_that_is_gone_are_deleted(account):
    ssm = account.moto.client("ssm")
    for name in ("/ours/runners/i-1", "/scale-agent/runners/i-1"):
        ssm.put_parameter(Name=name, Value="x", Type="String")
    account.does("destroy", PREFIX="ours", YES="1")
    (left,) = ssm.describe_parameters()["Parameters"]
    assert left["Name"] == "/scale-agent/runners/i-1"


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
