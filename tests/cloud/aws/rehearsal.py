# SPDX-License-Identifier: MIT
"""Calls that tests make again and again, made once in a moto that is emptied afterwards.

At the first call of its kind moto reads models, compiles expressions and works out names. What it
knows then is known to each account that is forked later.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

NAME = "/rehearsal/one"
TAGS = [{"Key": "rehearsal", "Value": "one"}]


def rehearse(client: Callable[[str], Any]) -> None:
    """Let a machine, a parameter, an object and messages come and go."""
    _machine(client("ec2"))
    _parameter(client("ssm"))
    for fifo in (False, True):
        _messages(client("sqs"), fifo)


def _machine(ec2: Any) -> None:
    image = ec2.register_image(Name="rehearsal", Architecture="x86_64")["ImageId"]
    data = {"ImageId": image, "MetadataOptions": {"HttpTokens": "required"}}
    ec2.create_launch_template(LaunchTemplateName="rehearsal", LaunchTemplateData=data)
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    made = ec2.run_instances(
        LaunchTemplate={"LaunchTemplateName": "rehearsal", "Version": "$Default"},
        InstanceType="m7i.large", SubnetId=subnet, MinCount=1, MaxCount=1, ClientToken="rehearsal",
        InstanceMarketOptions={"MarketType": "spot"},
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": TAGS}, {"ResourceType": "volume", "Tags": TAGS}
        ],
    )  # fmt: skip
    machine = [made["Instances"][0]["InstanceId"]]
    ec2.create_tags(Resources=machine, Tags=TAGS)
    filters = [{"Name": "resource-id", "Values": machine}]
    ec2.describe_tags(Filters=filters)
    ec2.describe_launch_templates(
        Filters=[{"Name": "launch-template-name", "Values": ["rehearsal"]}]
    )
    ec2.describe_launch_template_versions(LaunchTemplateName="rehearsal")
    ec2.describe_subnets(Filters=[{"Name": "subnet-id", "Values": [subnet]}])
    ec2.describe_instances(InstanceIds=machine)
    ec2.describe_instances(Filters=[{"Name": "tag:rehearsal", "Values": ["one"]}])
    ec2.terminate_instances(InstanceIds=machine)
    ec2.describe_instances()


def _parameter(ssm: Any) -> None:
    for kind, tier in (("SecureString", "Advanced"), ("String", "Standard")):
        ssm.put_parameter(Name=NAME + kind, Value="1", Type=kind, Tier=tier, Tags=TAGS)
        ssm.put_parameter(Name=NAME + kind, Value="2", Type=kind, Tier=tier, Overwrite=True)
    ssm.get_parameter(Name=f"{NAME}String", WithDecryption=True)
    ssm.get_parameters(Names=[f"{NAME}String", f"{NAME}Missing"], WithDecryption=True)
    ssm.get_parameters_by_path(Path="/rehearsal/", WithDecryption=True)
    ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Values": [NAME]}])
    ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=f"{NAME}String")
    ssm.delete_parameters(Names=[f"{NAME}String", f"{NAME}Missing"])
    ssm.delete_parameter(Name=f"{NAME}SecureString")


def _messages(sqs: Any, fifo: bool) -> None:
    attributes = {"FifoQueue": "true"} if fifo else {}
    name = "rehearsal.fifo" if fifo else "rehearsal"
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    order = {"MessageGroupId": "one", "MessageDeduplicationId": "one"} if fifo else {}
    message = {"MessageBody": json.dumps({}), **order}
    value = {"DataType": "String", "StringValue": "one"}
    given = {"MessageAttributes": {"one": value}}
    sqs.send_message(QueueUrl=url, **message, **given)
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": "1", **message, **given}])
    sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    for _ in range(2):
        found = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=1, AttributeNames=["All"],
            MessageAttributeNames=["All"], WaitTimeSeconds=0,
        )  # fmt: skip
        for one in found.get("Messages", []):
            handle = one["ReceiptHandle"]
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=9)
            sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": "1", "ReceiptHandle": handle}])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
