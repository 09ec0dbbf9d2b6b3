# SPDX-License-Identifier: MIT
"""Moto, and the stack of scaler/template.yaml in it.

A `Stack` is set up once, as the owner of an account would: an image, two subnets, the stack, and a
session for each function. After that signatures and permissions are checked; the owner goes on with
an access key, everyone else with a role's session. Each account that moto serves begins there.
"""

from __future__ import annotations

import contextlib
import copy
import http.client
import importlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from ..limits import PATIENCE
from . import template
from .rehearsal import rehearse
from .wire import Session

ACCOUNT = "123456789012"
REGION = "eu-central-1"
STACK_NAME = "scale-agent"
FUNCTION_SECONDS = 12 * 3600  # a session of ours lasts no longer than its tests
OWNER, COUNTS = "owner", "/local-cloud/counts"  # as moto_server.py has them, which runs by itself
# The collector would look again and again at what moto loads, and nearly all of that stays.
SERVER = "import gc; gc.disable(); from cloud.aws.moto_server import main; main()"
ADMINISTRATOR = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


class Moto:
    """The process, and clients that reach it directly as the owner of the account."""

    def __init__(self, log: Path):
        self.log = log
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment |= {"MOTO_ACCOUNT_ID": ACCOUNT, "AWS_DEFAULT_REGION": REGION}
        environment |= {"MOTO_EC2_LOAD_DEFAULT_AMIS": "false", "MOTO_DISABLE_GLOBAL_CORS": "true"}
        environment |= {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-c", SERVER],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        importlib.import_module("moto.events.models")  # slow: runs while moto starts
        self._session = boto3.Session("setup", "setup", region_name=REGION)
        self._clients: dict[str, Any] = {}
        self._rehearsed = False
        self.port = int(self._said(str.isdigit))

    def rehearse(self) -> None:
        """Let moto do once what it does for each account, before it is emptied."""
        if not self._rehearsed:
            rehearse(self.client)
            self._rehearsed = True

    def set_up(self) -> None:
        """Apply the calls that follow to every account that is served later."""
        self._command("set up")

    def serve(self) -> None:
        """Replace the account that was served by a fresh one, which has only what was set up."""
        self._command("serve")

    def _command(self, text: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # `_said` tells why
            self._process.stdin.write(f"{text}\n")
            self._process.stdin.flush()
        self._said("done".__eq__)

    def _said(self, expected: Callable[[str], bool]) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not expected(line):
            raise RuntimeError(f"moto's server does not work: {self.last_error()}")
        return line

    def last_error(self) -> str:
        """Give the last line that moto wrote to its standard error, other than its access log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return next((line for line in reversed(lines) if " HTTP/1." not in line), "")

    @property
    def url(self) -> str:
        """Where moto listens."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str) -> Any:
        """Give a boto3 client of the owner, straight to moto."""
        if service not in self._clients:
            config = Config(
                proxies={}, retries={"max_attempts": 1}, parameter_validation=False,
                max_pool_connections=32,
            )  # fmt: skip
            self._clients[service] = self._session.client(
                service, endpoint_url=self.url, config=config
            )
        return self._clients[service]

    def act_as(self, access_key: str, secret_key: str) -> None:
        """Let the clients sign with another key of the owner's."""
        credentials = self._session.get_credentials()
        credentials.access_key, credentials.secret_key = access_key, secret_key

    def control(self, path: str, body: str = "") -> None:
        """Post to moto's own API."""
        headers = {"Content-Type": "text/plain"}
        url = f"{self.url}/moto-api/{path}"
        request = urllib.request.Request(url, body.encode(), headers, method="POST")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=PATIENCE) as answer:
            answer.read()

    def counts(self) -> dict[str, list[int]]:
        """Count the messages of each queue: visible, in flight and delayed, by its name."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", COUNTS)
            found: dict[str, list[int]] = json.loads(connection.getresponse().read())
        return found

    def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Stack:
    """One stack: the resolved template, sessions of its roles, credentials of its functions."""

    def __init__(
        self,
        moto: Moto,
        parameters: dict[str, str] | None = None,
        path: Path = template.DEFAULT_PATH,
    ):
        self.moto = moto
        self.document = template.load(path)
        self.parameters = parameters or {}
        self.sessions: dict[str, Session] = {}
        self._documents: dict[str, str] = {}
        moto.set_up()
        moto.control("reset-auth", "inf")
        moto.rehearse()
        moto.control("reset")
        self._become_owner()
        self.subnets = self._subnets()
        given = {**self._requisites(), **self.parameters}
        physical = self._create(given)
        self.template = template.Template(self.document, given, physical, REGION, ACCOUNT)
        self._give_policies()
        self.prefix = "/" + self.template.resolve({"Ref": "Prefix"})
        self.credentials = {
            one.name: self.assume(one.role, one.handler, FUNCTION_SECONDS)
            for one in self.template.functions()
        }
        self._warm_up()
        self.moto.control("reset-auth", "0")  # signatures and permissions are checked from now on

    def serve(self) -> Stack:
        """Serve a fresh account that has this stack, and give the stack of that account."""
        self.moto.serve()
        stack = copy.copy(self)
        stack.sessions = dict(self.sessions)
        return stack

    def store(self, documents: dict[str, str]) -> None:
        """Have these documents below the prefix and no others of `store`, with few calls."""
        for name in self._documents.keys() - documents.keys():
            self.moto.client("ssm").delete_parameter(Name=f"{self.prefix}/{name}")
        for name, value in documents.items():
            if self._documents.get(name) != value:
                self.put_document(name, value)
        self._documents = documents

    def put_document(self, name: str, value: str) -> None:
        """Store an SSM parameter below the prefix."""
        self.moto.client("ssm").put_parameter(
            Name=f"{self.prefix}/{name}", Value=value,
            Type="SecureString", Tier="Advanced", Overwrite=True,
        )  # fmt: skip

    def _warm_up(self) -> None:
        """Do once what each account would do again: load services, make the key of volumes."""
        client = self.moto.client
        client("ec2").modify_ebs_default_kms_key_id(KmsKeyId="")
        client("ssm").get_parameters_by_path(Path=f"{self.prefix}/")
        client("sqs").list_queues()
        client("events").list_rules()
        client("ec2").describe_instances()
        templates = client("ec2").describe_launch_templates()["LaunchTemplates"]
        self.launch_templates = {
            one["LaunchTemplateName"]: one["LaunchTemplateId"] for one in templates
        }
        for refused in (
            lambda: client("ssm").get_parameter(Name=f"{self.prefix}/missing"),
            lambda: client("sqs").get_queue_url(QueueName="missing"),
            lambda: client("ec2").describe_instances(InstanceIds=["i-00000000000000000"]),
        ):
            with contextlib.suppress(ClientError):
                refused()

    def _become_owner(self) -> None:
        iam = self.moto.client("iam")
        iam.create_user(UserName=OWNER)
        iam.put_user_policy(
            UserName=OWNER, PolicyName="all", PolicyDocument=json.dumps(ADMINISTRATOR)
        )
        key = iam.create_access_key(UserName=OWNER)["AccessKey"]
        self.moto.act_as(key["AccessKeyId"], key["SecretAccessKey"])

    def _subnets(self) -> list[str]:
        found = self.moto.client("ec2").describe_subnets()["Subnets"]
        found.sort(key=lambda subnet: subnet["AvailabilityZone"])
        self.zones = {one["SubnetId"]: one["AvailabilityZone"] for one in found}
        return [subnet["SubnetId"] for subnet in found[:2]]

    def _requisites(self) -> dict[str, str]:
        ec2, s3 = self.moto.client("ec2"), self.moto.client("s3")
        where = {"LocationConstraint": REGION}
        s3.create_bucket(Bucket="code", CreateBucketConfiguration=where)
        s3.put_object(Bucket="code", Key="scaler.zip", Body=b"not looked at")
        image = ec2.register_image(Name="runner", Architecture="x86_64")["ImageId"]
        vpc = ec2.describe_subnets(SubnetIds=self.subnets)["Subnets"][0]["VpcId"]
        return {
            "CodeBucket": "code",
            "CodeKey": "scaler.zip",
            "ImageId": image,
            "VpcId": vpc,
            "SubnetIds": ",".join(self.subnets),
        }

    def _create(self, parameters: dict[str, str]) -> dict[str, str]:
        formation = self.moto.client("cloudformation")
        formation.create_stack(
            StackName=STACK_NAME,
            TemplateBody=json.dumps(template.for_moto(self.document)),
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
            ],
        )
        status = formation.describe_stacks(StackName=STACK_NAME)["Stacks"][0]["StackStatus"]
        if status != "CREATE_COMPLETE":
            raise RuntimeError(f"moto could not create the stack of the template: {status}")
        resources = formation.describe_stack_resources(StackName=STACK_NAME)["StackResources"]
        return {
            one["LogicalResourceId"]: one["PhysicalResourceId"]
            for one in resources
            if "LogicalResourceId" in one
        }

    def _give_policies(self) -> None:
        for role, statements in self.template.statements().items():
            self.moto.client("iam").put_role_policy(
                RoleName=self.template.physical[role],
                PolicyName="all",
                PolicyDocument=json.dumps(template.open_policy(statements)),
            )

    def assume(self, role: str, session: str = "local", seconds: int = 3600) -> dict[str, str]:
        """Open a session of a role, known by its logical id in the template."""
        arn = self.template.resolve({"Fn::GetAtt": [role, "Arn"]})
        answer = self.moto.client("sts").assume_role(
            RoleArn=arn, RoleSessionName=session, DurationSeconds=seconds
        )["Credentials"]
        credentials = Credentials(
            answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"]
        )
        self.sessions[answer["AccessKeyId"]] = Session(role, session, credentials)
        return {
            "AccessKeyId": answer["AccessKeyId"],
            "SecretAccessKey": answer["SecretAccessKey"],
            "Token": answer["SessionToken"],
            "Expiration": answer["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
