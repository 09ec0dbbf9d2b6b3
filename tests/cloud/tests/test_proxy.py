# SPDX-License-Identifier: MIT
"""The proxy before moto: signatures, permissions, idempotency, and faults in AWS's own forms."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from cloud.faults import Body, Capacity, Cut, Error, Latency, Partial, Throttle, Timeout

SPOT = {"MarketType": "spot", "SpotOptions": {"SpotInstanceType": "one-time"}}
OURS = [{"Key": "scale-agent:prefix", "Value": "/scale-agent"}]
TAGS = [{"ResourceType": "instance", "Tags": OURS}]


def launch(ec2, aws, count=1, **changed):
    request = {
        "MinCount": 1,
        "MaxCount": count,
        "InstanceType": "m7i.large",
        "SubnetId": aws.stack.subnets[0],
        "LaunchTemplate": {"LaunchTemplateName": "scale-agent", "Version": "$Default"},
        "InstanceMarketOptions": SPOT,
        "TagSpecifications": TAGS,
        "ClientToken": "token-1",
        **changed,
    }
    return [one["InstanceId"] for one in ec2.run_instances(**request)["Instances"]]


def refused(call, *args, **kwargs):
    with pytest.raises(ClientError) as caught:
        call(*args, **kwargs)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_wrong_signature_is_refused(aws, client):
    aws.put_document("notify/teams-webhook-urls", "https://example.invalid/")
    ssm = client("ssm", "QueuedRole", secret="wrong")
    code, _ = refused(ssm.get_parameters, Names=["/scale-agent/config"])
    assert code == "InvalidSignatureException"
    code, _ = refused(launch, client("ec2", "QueuedRole", secret="wrong"), aws)
    assert code == "AuthFailure"
    assert aws.instances() == []


def test_an_unknown_key_is_refused(aws, client):
    ssm = client("ssm", "QueuedRole")
    aws.stack.sessions.clear()
    ssm.get_parameters(Names=["/scale-agent/config"])  # moto knows the key, whatever we know
    ssm._request_signer._credentials.access_key = "ASIAUNKNOWN"
    code, _ = refused(ssm.get_parameters, Names=["/scale-agent/config"])
    assert code == "UnrecognizedClientException"


def test_a_missing_permission_is_refused(aws, client):
    code, _ = refused(client("ec2", "NotifyRole").describe_instances)
    assert code == "UnauthorizedOperation"
    code, _ = refused(client("ssm", "WebhookRole").delete_parameter, Name="/scale-agent/config")
    assert code == "AccessDeniedException"


def test_a_permission_is_for_its_resource_only(aws, client):
    ssm = client("ssm", "WebhookRole")
    answer = ssm.get_parameters(Names=["/scale-agent/config"], WithDecryption=True)
    assert json.loads(answer["Parameters"][0]["Value"]) == aws.config
    code, _ = refused(ssm.get_parameters, Names=["/scale-agent/github/private-key"])
    assert code == "AccessDeniedException"
    sqs = client("sqs", "WebhookRole")
    sqs.send_message(QueueUrl=aws.queue("CompletedQueue").url, MessageBody="{}")
    code, _ = refused(
        sqs.send_message,
        QueueUrl=aws.queue("NotifyQueue").url,
        MessageBody="{}",
        MessageGroupId="notify",
        MessageDeduplicationId="1",
    )
    assert code == "AccessDeniedException"


def put(ssm, aws, instance_id, **changed):
    arn = f"arn:aws:ec2:{aws.region}:{aws.account}:instance/{instance_id}"
    given = {
        "Name": f"/scale-agent/runners/{instance_id}",
        "Value": "secret",
        "Type": "SecureString",
        "Tags": [{"Key": "scale-agent:instance", "Value": arn}],
    }
    ssm.put_parameter(**{**given, **changed})


def test_a_machine_reads_its_own_parameter_only(aws, client):
    ssm = client("ssm", "RegisterRole")
    for name in ("i-aaa", "i-bbb"):
        put(ssm, aws, name)
    own = client("ssm", "RunnerRole", "i-aaa")
    answer = own.get_parameter(Name="/scale-agent/runners/i-aaa", WithDecryption=True)
    assert answer["Parameter"]["Value"] == "secret"
    for work in (own.get_parameter, own.delete_parameter):
        assert refused(work, Name="/scale-agent/runners/i-bbb")[0] == "AccessDeniedException"
        assert refused(work, Name="/scale-agent/runners/i-new")[0] == "AccessDeniedException"
    own.delete_parameter(Name="/scale-agent/runners/i-aaa")
    assert aws.parameters() == ["/scale-agent/runners/i-bbb"]
    aws.client("ssm").delete_parameter(Name="/scale-agent/runners/i-bbb")
    assert aws.left() == []


def test_a_machine_reports_as_itself_only(aws, client):
    events = client("events", "RunnerRole", "i-aaa")
    entry = {"Source": "scale-agent.runner", "DetailType": "Runner Report", "Detail": "{}"}
    assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0
    code, _ = refused(events.put_events, Entries=[{**entry, "Source": "aws.ec2"}])
    assert code == "AccessDeniedException"


def test_only_instances_of_the_scaler_are_terminated(aws, client):
    ec2 = client("ec2", "QueuedRole")
    (own,) = launch(ec2, aws)
    (other,) = launch(aws.client("ec2"), aws, TagSpecifications=[], ClientToken="token-2")
    register = client("ec2", "RegisterRole")
    both = [own, other]
    assert refused(register.terminate_instances, InstanceIds=both)[0] == "UnauthorizedOperation"
    register.terminate_instances(InstanceIds=[own])
    assert [one["InstanceId"] for one in aws.instances()] == [other]


def test_a_client_token_makes_a_launch_idempotent(aws, client):
    ec2 = client("ec2", "QueuedRole")
    first = launch(ec2, aws, 3)
    assert len(first) == 3
    assert launch(ec2, aws, 3) == first
    assert len(aws.instances()) == 3
    assert refused(launch, ec2, aws, 2)[0] == "IdempotentParameterMismatch"
    client("ec2", "RegisterRole").terminate_instances(InstanceIds=first)
    assert aws.idle()
    assert refused(launch, ec2, aws, 3)[0] == "IdempotentInstanceTerminated"


def test_an_instance_type_has_to_exist(aws, client):
    code, status = refused(launch, client("ec2", "QueuedRole"), aws, InstanceType="m7i.bogus")
    assert (code, status) == ("InvalidParameterValue", 400)


def test_missing_capacity_comes_as_a_server_error(aws, client):
    ec2 = client("ec2", "QueuedRole")
    aws.faults.add("ec2", "RunInstances", {"InstanceType": "m7i.*"}, fault=Capacity())
    assert refused(launch, ec2, aws) == ("InsufficientInstanceCapacity", 500)
    assert len(launch(ec2, aws, InstanceType="m7a.large")) == 1


def test_capacity_may_be_there_for_some(aws, client):
    aws.faults.add("ec2", "RunInstances", fault=Partial(2))
    assert len(launch(client("ec2", "QueuedRole"), aws, 5)) == 2


def test_throttling_has_the_form_of_its_service(aws, client):
    aws.faults.add("*", "*", times=2, fault=Throttle())
    ec2, ssm = client("ec2", "QueuedRole"), client("ssm", "QueuedRole")
    assert refused(launch, ec2, aws) == ("RequestLimitExceeded", 503)
    assert refused(ssm.get_parameters, Names=["/scale-agent/config"]) == (
        "ThrottlingException",
        400,
    )
    assert ssm.get_parameters(Names=["/scale-agent/config"])


def test_connections_are_cut_before_and_after_the_effect(aws, client):
    ec2 = client("ec2", "QueuedRole")
    aws.faults.add("ec2", "RunInstances", times=1, fault=Cut(before=True))
    with pytest.raises(ConnectionClosedError):
        launch(ec2, aws)
    assert aws.instances() == []
    aws.faults.add("ec2", "RunInstances", times=1, fault=Cut(before=False))
    with pytest.raises(ConnectionClosedError):
        launch(ec2, aws)
    assert launch(ec2, aws) == [one["InstanceId"] for one in aws.instances()]


def test_answers_are_late_missing_or_garbage(aws, client):
    ssm = client("ssm", "QueuedRole")
    aws.faults.add("ssm", "GetParameters", times=1, fault=Latency(0.2))
    ssm.get_parameters(Names=["/scale-agent/config"])
    assert list(aws.calls)[-1].seconds >= 0.2
    aws.faults.add("ssm", "GetParameters", times=1, fault=Error("InternalServerError", 500))
    assert refused(ssm.get_parameters, Names=["/scale-agent/config"])[1] == 500
    aws.faults.add("ssm", "GetParameters", times=1, fault=Body(b'{"Parameters": ['))
    assert "Parameters" not in ssm.get_parameters(Names=["/scale-agent/config"])
    aws.faults.add("ssm", "GetParameters", times=1, fault=Timeout())
    with pytest.raises(ReadTimeoutError):
        client("ssm", "QueuedRole", timeout=0.2).get_parameters(Names=["/scale-agent/config"])


def test_parameters_are_bounded_by_their_tier(aws, client):
    ssm = client("ssm", "RegisterRole")
    put(ssm, aws, "i-1", Value="x" * 4096)
    assert refused(put, ssm, aws, "i-2", Value="x" * 4097)[0] == "ValidationException"
    put(ssm, aws, "i-2", Value="x" * 8192, Tier="Advanced")
    assert refused(put, ssm, aws, "i-3", Value="x" * 8193, Tier="Advanced")[1] == 400


def test_calls_are_recorded_with_their_caller(aws, client):
    client("ssm", "RunnerRole", "i-1").close()
    refused(client("ssm", "RunnerRole", "i-1").get_parameter, Name="/scale-agent/config")
    launch(client("ec2", "QueuedRole"), aws)
    (denied,), (call,) = aws.calls.of("ssm"), aws.calls.of("ec2", "RunInstances")
    assert (denied.role, denied.session, denied.error) == (
        "RunnerRole",
        "i-1",
        "AccessDeniedException",
    )
    assert (call.role, call.status) == ("QueuedRole", 200)
    assert call.parameters["Market"] == "spot"
