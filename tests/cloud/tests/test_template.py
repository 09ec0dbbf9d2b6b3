# SPDX-License-Identifier: MIT
"""The stack's template as the local cloud reads it, and the grants that it needs."""

from __future__ import annotations

import copy

import pytest

from cloud.aws import grants, template
from cloud.aws.policy import Policies
from cloud.aws.template import Template


def resolved(document):
    physical = {name: name.lower() for name in document["Resources"]}
    given = {"CodeBucket": "b", "CodeKey": "k", "ImageId": "ami-1"}
    given |= {"VpcId": "vpc-1", "SubnetIds": "subnet-1,subnet-2"}
    return Template(document, given, physical, "eu-central-1", "123456789012")


def missing(document):
    stack = resolved(document)
    return grants.missing(stack, Policies(stack, lambda name: {}, lambda name: {}))


@pytest.fixture
def document():
    return copy.deepcopy(template.load())


def test_references_are_resolved(document):
    stack = resolved(document)
    functions = {one.handler: one for one in stack.functions()}
    assert functions["queued"].environment["SCALE_AGENT_CONFIG"] == "ssm:/scale-agent/config"
    assert functions["queued"].environment["PARKED_QUEUE_URL"] == "parkedqueue"
    assert functions["queued"].role == "QueuedRole"
    assert functions["queued"].concurrency == 5
    (mapping,) = (one for one in stack.mappings() if one.logical_id == "ParkedSource")
    assert mapping.queue_arn == "arn:aws:sqs:eu-central-1:123456789012:parkedqueue"
    assert mapping.reports_failures


def test_an_unknown_reference_is_told(document):
    document["Resources"]["QueuedFunction"]["Properties"]["Handler"] = {"Ref": "Nowhere"}
    with pytest.raises(ValueError, match="Nowhere"):
        resolved(document).functions()


def test_conditions_are_resolved(document):
    document["Parameters"]["Word"] = {"Type": "String", "Default": ""}
    document["Conditions"]["Said"] = {"Fn::Not": [{"Fn::Equals": [{"Ref": "Word"}, ""]}]}
    nothing = {"Ref": "AWS::NoValue"}
    value = {
        "one": {"Fn::If": ["Said", {"Ref": "Word"}, nothing]},
        "list": ["first", {"Fn::If": ["Said", "second", nothing]}],
        "other": {"Fn::If": ["Said", "yes", "no"]},
    }
    stack = resolved(document)
    assert stack.resolve(value) == {"list": ["first"], "other": "no"}
    document["Parameters"]["Word"]["Default"] = "hello"
    stack = resolved(document)
    assert stack.resolve(value) == {"one": "hello", "list": ["first", "second"], "other": "yes"}
    document["Conditions"]["Said"] = {"Fn::Or": []}
    with pytest.raises(ValueError, match="Fn::Or"):
        stack.resolve(value)


def test_what_is_denied_is_not_allowed(document):
    policy = document["Resources"]["NotifyRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    policy["Statement"].append({"Effect": "Deny", "Action": "sqs:ReceiveMessage", "Resource": "*"})
    assert "NotifyRole may not sqs:ReceiveMessage" in "\n".join(missing(document))


def test_the_stack_grants_what_it_needs(document):
    assert missing(document) == []


def test_missing_grants_are_named(document):
    resources = document["Resources"]
    policy = resources["NotifyRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    policy["Statement"] = policy["Statement"][:1]
    del resources["InstanceQueuePolicy"]
    del resources["WebhookUrlPermission"]
    text = "\n".join(missing(document))
    assert "NotifyRole may not sqs:ReceiveMessage" in text
    assert "no queue policy lets the rule scale-agent-spot-warnings send" in text
    assert "no permission of lambda:InvokeFunctionUrl" in text


def test_the_copy_for_moto_leaves_the_template_alone(document):
    made = template.for_moto(document)
    assert document == template.load()
    kinds = {one["Type"] for one in made["Resources"].values()}
    assert not kinds & set(template.OWN_TYPES)
