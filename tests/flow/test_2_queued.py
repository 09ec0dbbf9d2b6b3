# SPDX-License-Identifier: MIT
"""queued, first of all: jobs become instances, from the first offer that has capacity."""

from __future__ import annotations

import itertools

import pytest
from helpers import (
    RUN,
    complaints,
    configure,
    handed_over,
    job_message,
    job_url,
    ladder,
    launches,
    metrics,
    offers,
    queued,
    sent,
    told,
)

from cloud.faults import Body, Capacity, Cut, Error, Partial, Throttle

NO_INSTANCES = b"<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>"


def test_a_batch_is_one_call_for_as_many_instances(stage):
    assert queued(stage, *(job_message(number) for number in range(1, 8))) == []
    (call,) = launches(stage)
    assert (call.parameters["MinCount"], call.parameters["MaxCount"]) == ("1", "7")
    assert len(stage.instances()) == 7
    assert handed_over(stage) == [1, 2, 3, 4, 5, 6, 7]
    assert len(stage.github.registry.runners) == 7
    assert stage.github.violations == []


def test_containers_reach_the_metadata_service_only_where_the_spec_says_so(stage):
    configure(stage, job_metadata=True)
    assert queued(stage, job_message(5)) == []
    (call,) = launches(stage)
    assert call.parameters["MetadataOptions.HttpPutResponseHopLimit"] == "2"


def test_an_instance_is_asked_for_as_a_spot_that_ends_itself(stage):
    configure(stage, tags={"team": "ci"}, launch_template_version=3)
    version = stage.client("ec2").create_launch_template_version
    for _ in range(2):
        version(LaunchTemplateName="scale-agent", SourceVersion="1", LaunchTemplateData={})
    assert queued(stage, job_message(5)) == []
    (call,) = launches(stage)
    wanted = {
        "LaunchTemplate.LaunchTemplateName": "scale-agent",
        "LaunchTemplate.Version": "3",
        "InstanceType": "m7i.large",
        "SubnetId": stage.stack.subnets[0],
        "InstanceInitiatedShutdownBehavior": "terminate",
        "InstanceMarketOptions.MarketType": "spot",
        "InstanceMarketOptions.SpotOptions.SpotInstanceType": "one-time",
        "InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior": "terminate",
        "MetadataOptions.HttpTokens": "required",
        "MetadataOptions.HttpPutResponseHopLimit": "1",
        "MetadataOptions.InstanceMetadataTags": "enabled",
    }
    assert wanted.items() <= call.parameters.items()
    assert 0 < len(call.parameters["ClientToken"]) <= 64
    (instance,) = stage.instances()
    tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
    wanted = {"scale-agent:spec": "linux-x64", "scale-agent:scope": "repos/octo-org/one"}
    wanted |= {"scale-agent:prefix": "/scale-agent", "team": "ci", "Name": "runner linux-x64"}
    assert wanted.items() <= tags.items()


def test_jobs_that_want_different_machines_are_launched_apart(stage):
    other = stage.config["specs"][0] | {
        "name": "large", "instance_type": "c7i.xlarge", "shared_labels": True,
    }  # fmt: skip
    configure(stage, stage.config | {"specs": [stage.config["specs"][0], other]})
    jobs = [
        job_message(1),
        job_message(2, spec="large", instance_type="c7i.xlarge"),
        job_message(3),
        job_message(4, repository="octo-org/two"),
    ]
    assert queued(stage, *jobs) == []
    found = [(c.parameters["InstanceType"], c.parameters["MaxCount"]) for c in launches(stage)]
    assert sorted(found) == [("c7i.xlarge", "1"), ("m7i.large", "1"), ("m7i.large", "2")]
    assert handed_over(stage) == [1, 2, 3, 4]
    scopes = sorted(runner.scope for runner in stage.github.registry.runners.values())
    assert scopes == ["repos/octo-org/one"] * 3 + ["repos/octo-org/two"]


def test_the_ladder_is_climbed_as_it_is_printed(stage, run_scaler):
    configure(stage, on_demand_fallback=True)
    stage.faults.add(*RUN, fault=Capacity())
    assert queued(stage, job_message()) == []
    types = ladder(run_scaler)
    assert types[:4] == ["m7i.large", "m7a.large", "m7i.xlarge", "m7a.xlarge"]
    order = itertools.product(["spot", "on-demand"], types, stage.stack.subnets)
    assert offers(stage) == [(kind, subnet, market) for market, kind, subnet in order]
    assert stage.instances() == []


def test_without_fallback_only_spot_is_asked_for(stage, run_scaler):
    stage.faults.add(*RUN, fault=Capacity())
    assert queued(stage, job_message(instance_type="m7i.16xlarge")) == []
    types = ladder(run_scaler, "m7i.16xlarge")
    order = itertools.product(types, stage.stack.subnets)
    assert offers(stage) == [(kind, subnet, "spot") for kind, subnet in order]


def test_on_demand_comes_last(stage):
    configure(stage, on_demand_fallback=True, instance_type="t3.2xlarge")
    stage.faults.add(*RUN, match={"Market": "spot"}, fault=Capacity())
    assert queued(stage, job_message(instance_type="t3.2xlarge")) == []
    assert offers(stage)[-2:] == [
        ("t3a.2xlarge", stage.stack.subnets[1], "spot"),
        ("t3.2xlarge", stage.stack.subnets[0], "on-demand"),
    ]
    assert not any(name.startswith("InstanceMarket") for name in launches(stage)[-1].parameters)
    assert handed_over(stage) == [1]


def test_an_offer_that_was_empty_is_not_asked_again_for_some_minutes(stage):
    stage.faults.add(*RUN, match={"InstanceType": "m7i.large"}, fault=Capacity())
    assert queued(stage, job_message(1)) == []
    assert queued(stage, job_message(2)) == []
    first, second = stage.stack.subnets
    assert offers(stage) == [
        ("m7i.large", first, "spot"),
        ("m7i.large", second, "spot"),
        ("m7a.large", first, "spot"),
        ("m7a.large", first, "spot"),
    ]
    assert metrics(stage, "register", "Failovers")[-1]["Failovers"] == 2


@pytest.mark.parametrize("code", ["InsufficientInstanceCapacity", "Unsupported"])
@pytest.mark.parametrize("status", [400, 500])
def test_capacity_is_known_by_its_code_whatever_the_status(stage, code, status):
    stage.faults.add(*RUN, times=1, fault=Error(code, status))
    assert queued(stage, job_message()) == []
    first, second = stage.stack.subnets
    assert offers(stage) == [("m7i.large", first, "spot"), ("m7i.large", second, "spot")]


def test_a_full_subnet_is_left_for_the_next_one(stage):
    fault = Error("InsufficientFreeAddressesInSubnet", 400)
    stage.faults.add(*RUN, match={"SubnetId": stage.stack.subnets[0]}, fault=fault)
    assert queued(stage, job_message()) == []
    assert offers(stage)[-1] == ("m7i.large", stage.stack.subnets[1], "spot")


@pytest.mark.parametrize("code", ["MaxSpotInstanceCountExceeded", "VcpuLimitExceeded"])
def test_a_quota_does_not_climb_but_may_change_the_market(stage, code):
    configure(stage, on_demand_fallback=True)
    stage.faults.add(*RUN, match={"Market": "spot"}, fault=Error(code, 400))
    assert queued(stage, job_message()) == []
    first = stage.stack.subnets[0]
    assert offers(stage) == [("m7i.large", first, "spot"), ("m7i.large", first, "on-demand")]
    assert handed_over(stage) == [1]


def test_a_quota_without_another_market_is_told_and_the_job_waits(stage):
    stage.faults.add(*RUN, fault=Error("MaxSpotInstanceCountExceeded", 400, "The quota is 32."))
    assert queued(stage, job_message()) == []
    assert len(launches(stage)) == 1
    (message,) = sent(stage, "ParkedQueue")
    assert message["DelaySeconds"] == 30
    (notification,) = told(stage)
    assert "quota" in notification["title"]
    assert "Service Quotas" in notification["text"]
    assert "The quota is 32." in notification["facts"]["Said last"]


@pytest.mark.parametrize("fault", [Throttle(), Error("InternalError", 500), Cut(before=True)])
def test_what_passes_by_itself_is_asked_again(stage, fault):
    stage.faults.add(*RUN, times=2, fault=fault)
    assert queued(stage, job_message()) == []
    assert set(offers(stage)) == {("m7i.large", stage.stack.subnets[0], "spot")}
    assert len({call.parameters["ClientToken"] for call in launches(stage)}) == 1
    assert handed_over(stage) == [1]
    assert told(stage) == []


def test_a_fatal_refusal_fails_the_message_and_tells_people_what_to_mend(stage):
    fault = Error("InvalidLaunchTemplateName.NotFoundException", 400, "no such template")
    stage.faults.add(*RUN, fault=fault)
    assert queued(stage, job_message(1), job_message(2)) == ["message-1", "message-2"]
    assert len(launches(stage)) == 1
    assert sent(stage, "ParkedQueue") == []
    notification = told(stage)[0]
    assert notification["severity"] == "error"
    assert notification["url"] == job_url(1)
    assert "no such template" in notification["facts"]["Said last"]
    assert "no such template" in complaints(stage, "queued")


def test_an_answer_that_was_lost_launches_once(stage):
    stage.faults.add(*RUN, times=1, fault=Cut(before=False))
    assert queued(stage, job_message(1), job_message(2)) == []
    assert len(launches(stage)) == 2
    assert len(stage.instances()) == 2
    assert handed_over(stage) == [1, 2]


def test_an_answer_that_is_cut_off_launches_once(stage):
    start = b'<?xml version="1.0"?><RunInstancesResponse><instancesSet><item><instanceId>i-0'
    stage.faults.add(*RUN, times=1, fault=Body(start))
    assert queued(stage, job_message()) == []
    (parked,) = sent(stage, "ParkedQueue")
    assert "RunInstances" in complaints(stage, "queued")
    assert parked["DelaySeconds"] == 300  # by then EC2 shows what it launched
    assert queued(stage, parked["Body"]) == []
    assert len(stage.instances()) == 1
    assert handed_over(stage) == [1]


def test_a_token_of_an_instance_that_is_gone_is_replaced(stage):
    """The instance is gone before EC2 shows it to anybody, so its name is not found."""
    stage.faults.add(*RUN, times=1, fault=Cut(before=False))
    stage.faults.add("ec2", "DescribeInstances", fault=Body(NO_INSTANCES))
    stage.faults.add(*RUN, fault=Cut(before=True))
    assert queued(stage, job_message()) == []
    (instance,) = stage.instances()
    stage.instance_ended(instance["InstanceId"], "test")
    stage.faults.clear()
    stage.faults.add("ec2", "DescribeInstances", fault=Body(NO_INSTANCES))
    assert queued(stage, sent(stage, "ParkedQueue")[0]["Body"]) == []
    errors = [call.error for call in launches(stage)]
    assert errors[-2:] == ["IdempotentInstanceTerminated", ""]
    assert len({call.parameters["ClientToken"] for call in launches(stage)}) == 2
    assert len(stage.instances()) == 1


def test_what_an_offer_has_is_taken_and_the_rest_comes_from_the_next(stage):
    stage.faults.add(*RUN, match={"SubnetId": stage.stack.subnets[0]}, fault=Partial(2))
    assert queued(stage, *(job_message(number) for number in range(1, 6))) == []
    first, second = stage.stack.subnets
    assert [(c.parameters["SubnetId"], c.parameters["MaxCount"]) for c in launches(stage)] == [
        (first, "5"), (second, "3")
    ]  # fmt: skip
    assert handed_over(stage) == [1, 2, 3, 4, 5]
