# SPDX-License-Identifier: MIT
"""An AWS account and a copy of the project, for the tests of make upload, stack, deploy, …

The account is a moto of its own. The commands run in a copy that holds what they need, so that the
build folder stays as it is. Moto's CloudFormation never fails and has no function URLs: where a
test is about failure, a stand-in for the AWS CLI changes one answer and passes everything else on.
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

from aws_cli import PATH, AwsCli

from cloud.aws.stack import REGION, Moto
from cloud.limits import PATIENCE

PROJECT = Path(__file__).resolve().parents[2]
BUCKET = "our-code"

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
while IFS='|' read -r words text status times; do
  case " $* " in *" $words "*)
    called=$(grep -cF -e "$words" "$ANSWERS.calls")
    if [ -n "$times" ] && [ "$called" -gt "$times" ]; then continue; fi
    if [ -n "${status#0}" ]; then printf '%b\\n' "$text" >&2; else printf '%b\\n' "$text"; fi
    exit "${status:-0}" ;;
  esac
done <"$ANSWERS"
exec "$REAL_AWS" "$@"
"""


def set_up(moto: Moto) -> None:
    """Have a bucket and an image in every account, and all services loaded that are called."""
    where = {"LocationConstraint": REGION}
    moto.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
    moto.client("ec2").register_image(
        Name="runner", Architecture="x86_64", RootDeviceName="/dev/sda1"
    )
    moto.client("lambda").list_functions()
    moto.client("cloudformation").describe_stacks()
    moto.client("iam").list_roles()
    moto.client("ssm").describe_parameters()
    moto.client("sqs").list_queues()
    moto.client("sts").get_caller_identity()


class Account:
    """An AWS account in moto, a copy of the project, and the commands."""

    def __init__(self, moto: Moto, cli: AwsCli, folder: Path):
        self.moto = moto
        self.cli = cli
        self.folder = folder
        (folder / "build").mkdir(parents=True)
        (folder / "scaler").mkdir()
        shutil.copytree(PROJECT / "scaler" / "deploy", folder / "scaler" / "deploy")
        shutil.copy(PROJECT / "scaler" / "template.yaml", folder / "scaler")
        shutil.copy(PROJECT / "Makefile", folder)
        moto.serve()
        self.s3, self.ec2 = moto.client("s3"), moto.client("ec2")
        self.functions, self.stacks = moto.client("lambda"), moto.client("cloudformation")
        self.image = self.ec2.describe_images(Owners=["self"])["Images"][0]["ImageId"]
        self.build("first")

    def build(self, content: str, arch: str = "x86_64") -> str:
        """Make a zip, as `make build` would, and give its checksum as Lambda does."""
        path = self.folder / "build" / f"scaler-{arch}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("bootstrap", content)
        return base64.b64encode(hashlib.sha256(path.read_bytes()).digest()).decode()

    def make(
        self, command: str, answers: list[str] | None = None, **settings: str | None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command; with answers there is a terminal, and somebody who gives them."""
        environment = {
            "PATH": f"{self.cli.program.parent}:{PATH}",
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

    def does(self, command: str, answers: list[str] | None = None, **settings: str | None) -> str:
        """Run a command that succeeds, and give what it printed."""
        result = self.make(command, answers, **settings)
        assert result.returncode == 0, result.stdout
        return result.stdout

    def fails(self, command: str, answers: list[str] | None = None, **settings: str | None) -> str:
        """Run a command that fails, and give what it printed."""
        result = self.make(command, answers, **settings)
        assert result.returncode != 0, result.stdout
        return result.stdout

    def answering(self, *lines: str) -> dict[str, str]:
        """Make a stand-in for the AWS CLI that gives these answers, and settings that find it.

        A line is WORDS|ANSWER, then |STATUS of a failure, then |TIMES that it is given.
        """
        tools = self.folder / "tools"
        tools.mkdir(exist_ok=True)
        (tools / "aws").write_text(STAND_IN)
        (tools / "aws").chmod(0o755)
        (self.folder / "answers").write_text("".join(f"{line}\n" for line in lines))
        return {
            "PATH": f"{tools}:{PATH}",
            "REAL_AWS": str(self.cli.program),
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
