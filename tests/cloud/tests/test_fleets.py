# SPDX-License-Identifier: MIT
"""CreateFleet as the local cloud does it: pools, errors beside instances, idempotency."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from cloud.faults import Capacity, Partial

TAGS = [{"Key": "scale-agent:prefix", "Value": "/scale-agent"}]


def create(client, aws, *pools, count=1, market="spot", **changed):
    subnets = aws.stack.subnets
    options = {
        "spot": {"SpotOptions": {"AllocationStrategy": "capacity-optimized-prioritized"}},
        "on-demand": {"OnDemandOptions": {"AllocationStrategy": "prioritized"}},
    }
    request = {
        "Type": "instant",
        "ClientToken": "token-1",
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": {
                    "LaunchTemplateName": "scale-agent", "Version": "$Default",
                },
                "Overrides": [
                    {"InstanceType": kind, "SubnetId": subnets[subnet], "Priority": priority}
                    for kind, subnet, priority in pools
                ],
            }
        ],
        "TargetCapacitySpecification": {
            "TotalTargetCapacity": count, "DefaultTargetCapacityType": market,
        },
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": TAGS} for kind in ("fleet", "instance")
        ],
        **options[market],
        **changed,
    }  # fmt: skip
    return client("ec2", "QueuedRole").create_fleet(**request)


def ids(answer):
    return [one for group in answer["Instances"] for one in group["InstanceIds"]]


LARGE, OTHER = ("m7i.large", 0, 1), ("m7a.large", 0, 0)


def test_pools_are_tried_by_priority_and_counted_apart(aws, client):
    aws.faults.add("ec2", "FleetPool", match={"InstanceType": "m7a.*"}, fault=Partial(2))
    answer = create(client, aws, LARGE, OTHER, count=3)
    assert [group["InstanceType"] for group in answer["Instances"]] == ["m7a.large", "m7i.large"]
    found = aws.client("ec2").describe_instances(InstanceIds=ids(answer))["Reservations"]
    index = [one["AmiLaunchIndex"] for all_ in found for one in all_["Instances"]]
    assert sorted(index) == [0, 0, 1]


def test_errors_stand_beside_instances(aws, client):
    aws.faults.add("ec2", "FleetPool", match={"InstanceType": "m7a.*"}, fault=Capacity())
    answer = create(client, aws, LARGE, OTHER)
    assert len(ids(answer)) == 1
    (error,) = answer["Errors"]
    assert error["ErrorCode"] == "InsufficientInstanceCapacity"
    where = error["LaunchTemplateAndOverrides"]["Overrides"]
    assert (where["InstanceType"], where["SubnetId"]) == ("m7a.large", aws.stack.subnets[0])


def test_a_bound_of_pools_is_kept(aws, client):
    aws.aws.fleets.pools_tried = 1
    aws.faults.add("ec2", "FleetPool", match={"InstanceType": "m7a.*"}, fault=Capacity())
    assert ids(create(client, aws, LARGE, OTHER)) == []


def test_a_token_is_one_fleet(aws, client):
    first = create(client, aws, LARGE, count=2)
    assert ids(create(client, aws, LARGE, count=2)) == ids(first)
    assert len(aws.instances()) == 2
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        create(client, aws, LARGE, OTHER, count=2)


@pytest.mark.parametrize(
    "changed",
    [
        {"Type": "maintain"},
        {"SpotOptions": {"AllocationStrategy": "diversified"}},
        {"ClientToken": "x" * 65},
        {"ReplaceUnhealthyInstances": True},
    ],
)
def test_what_is_not_known_is_refused(aws, client, changed):
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        create(client, aws, LARGE, **changed)


def test_a_fleet_has_one_subnet_of_each_zone(aws, client):
    aws.aws.fleets.zone_of = lambda _: "eu-central-1a"
    with pytest.raises(ClientError, match="InvalidFleetConfig"):
        create(client, aws, LARGE, ("m7i.large", 1, 0))
