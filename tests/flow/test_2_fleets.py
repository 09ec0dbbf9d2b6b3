# SPDX-License-Identifier: MIT
"""queued, where EC2 chooses: one CreateFleet for a batch, and what follows from its answer."""

from __future__ import annotations

import json

import botocore.session
import pytest
from botocore.serialize import EC2Serializer
from crashes import killer
from helpers import (
    LABELS,
    RUN,
    complaints,
    configure,
    handed_over,
    job_message,
    ladder,
    launched,
    queued,
    registered,
    sent,
)

from cloud.aws.fleets import pools
from cloud.aws.sandbox import FunctionError
from cloud.faults import Capacity, Cut, Error, Kill, Partial, Throttle
from cloud.limits import until

FLEET = ("ec2", "CreateFleet")
POOL = ("ec2", "FleetPool")
PRICE = "price-capacity-optimized"
PRIORITIES = "capacity-optimized-prioritized"
MARKET = "TargetCapacitySpecification.DefaultTargetCapacityType"


@pytest.fixture
def cloud(stage):
    configure(stage, allocation=PRICE)
    return stage


def fleets(cloud):
    return cloud.calls.of(*FLEET)


def asked(call):
    """List the pools of a call, with their priorities, and its market."""
    found = [(pool["InstanceType"], pool["SubnetId"]) for pool in pools(call.parameters)]
    return call.parameters[MARKET], found


def jobs(count):
    return [job_message(number) for number in range(1, count + 1)]


def names(cloud):
    """Tell by the tag of each instance which jobs its fleet was for."""
    return {
        one["InstanceId"]: {tag["Key"]: tag["Value"] for tag in one["Tags"]}[
            "scale-agent:launches"
        ].partition("/")[2]
        for one in cloud.instances()
    }


def test_a_batch_is_one_fleet_over_the_ladder_and_the_subnets(cloud, run_scaler):
    assert queued(cloud, *jobs(7)) == []
    (call,) = fleets(cloud)
    subnets = ["--subnets", ",".join(cloud.stack.subnets)]
    printed = run_scaler("ladder", "m7i.large", "--allocation", PRICE, *subnets).stdout
    order = [tuple(line.split()) for line in printed.splitlines()]
    assert asked(call) == ("spot", order)
    assert call.parameters["SpotOptions.AllocationStrategy"] == PRICE
    assert cloud.calls.of("ec2", "RunInstances") == []
    assert len(cloud.instances()) == 7
    assert handed_over(cloud) == [1, 2, 3, 4, 5, 6, 7]
    assert cloud.github.violations == []


def read(shape, given, path):
    """Read the parameters below `path` as the shape of AWS's model that they stand for."""
    if shape.type_name == "list":
        names = [f"{path}.{number}" for number in range(1, len(given) + 1)]
        used = [name for name in names if any(f"{one}.".startswith(f"{name}.") for one in given)]
        return [read(shape.member, given, name) for name in used]
    if shape.type_name != "structure":
        return {"integer": int, "double": float}.get(shape.type_name, str)(given[path])
    found = {}
    for name, member in shape.members.items():
        serial = member.serialization.get("name", name)
        below = f"{path}.{serial[0].upper()}{serial[1:]}".lstrip(".")
        if any(f"{one}.".startswith(f"{below}.") for one in given):
            found[name] = read(member, given, below)
    return found


@pytest.mark.parametrize("strategy", [PRICE, PRIORITIES])
def test_the_call_is_what_awss_own_client_sends(cloud, strategy):
    """Nothing is sent that AWS's model of CreateFleet lacks, and each value under its name."""
    configure(cloud, allocation=strategy, on_demand_fallback=True, tags={"team": "a b&c"})
    cloud.faults.add(*POOL, match={"Market": "spot"}, fault=Capacity())
    assert queued(cloud, *jobs(2)) == []
    operation = botocore.session.get_session().get_service_model("ec2").operation_model(FLEET[1])
    for call in fleets(cloud):
        given = {name: str(value) for name, value in call.parameters.items()}
        meant = read(operation.input_shape, given, "")
        sent = EC2Serializer().serialize_to_request(meant, operation)["body"]
        priorities = {name for name in given if name.endswith(".Priority")}
        assert {name: str(value) for name, value in sent.items() if name not in priorities} == {
            name: value for name, value in given.items() if name not in priorities
        }
        assert {float(given[name]) for name in priorities} == set(range(len(priorities) // 2))


def test_each_kind_of_runner_has_a_fleet_of_its_own(cloud):
    """One is on the ladder, and another has EC2 choose in its own way."""
    other = json.loads(json.dumps(cloud.config))
    spec = other["specs"][0]
    labels = {"linux-x64": LABELS, "a": ["self-hosted", "a"], "b": ["self-hosted", "b"]}
    other["specs"] += [
        spec | {"name": "a", "labels": labels["a"], "allocation": "ladder"},
        spec | {"name": "b", "labels": labels["b"], "allocation": PRIORITIES},
    ]
    configure(cloud, other)
    messages = [
        job_message(number, spec=kind, labels=labels[kind])
        for number, kind in enumerate([*labels, *labels], 1)
    ]
    assert queued(cloud, *messages) == []
    assert handed_over(cloud) == [1, 2, 3, 4, 5, 6]
    found = [call.parameters["SpotOptions.AllocationStrategy"] for call in fleets(cloud)]
    assert sorted(found) == [PRIORITIES, PRICE]
    assert len({call.parameters["ClientToken"] for call in fleets(cloud)}) == 2
    assert len(cloud.calls.of(*RUN)) == 1
    assert len(cloud.instances()) == 6


def test_no_more_are_asked_for_than_a_limit_has_room_for(cloud):
    configure(cloud, allocation=PRICE, max_machines=3)
    assert queued(cloud, *jobs(5)) == []
    (call,) = fleets(cloud)
    assert call.parameters["TargetCapacitySpecification.TotalTargetCapacity"] == "3"
    assert handed_over(cloud) == [1, 2, 3]
    assert len(sent(cloud, "LimitedQueue")) == 2


def test_errors_of_pools_stand_beside_instances(cloud):
    cloud.faults.add(*POOL, match={"InstanceType": "m7i.large"}, fault=Capacity())
    cloud.faults.add(*POOL, match={"InstanceType": "m7a.large"}, fault=Partial(1))
    cloud.faults.add(*POOL, match={"InstanceType": "m7i.*"}, fault=Error("UnfulfillableCapacity"))
    assert queued(cloud, *jobs(3)) == []
    assert handed_over(cloud) == [1, 2, 3]
    assert len(cloud.instances()) == 3


@pytest.mark.parametrize("strategy", [PRICE, PRIORITIES])
def test_a_drought_on_spot_is_asked_for_on_demand(cloud, strategy):
    configure(cloud, allocation=strategy, on_demand_fallback=True)
    cloud.faults.add(*POOL, match={"Market": "spot"}, fault=Capacity())
    assert queued(cloud, *jobs(2)) == []
    spot, on_demand = fleets(cloud)
    assert (spot.parameters[MARKET], on_demand.parameters[MARKET]) == ("spot", "on-demand")
    assert spot.parameters["ClientToken"] != on_demand.parameters["ClientToken"]
    assert asked(spot)[1] == asked(on_demand)[1]
    wanted = "lowest-price" if strategy == PRICE else "prioritized"
    assert on_demand.parameters["OnDemandOptions.AllocationStrategy"] == wanted
    assert handed_over(cloud) == [1, 2]


def test_in_a_drought_jobs_wait(cloud):
    cloud.faults.add(*POOL, fault=Capacity())
    assert queued(cloud, *jobs(2)) == []
    assert len(fleets(cloud)) == 1
    assert cloud.instances() == []
    assert len(sent(cloud, "ParkedQueue")) == 2


def test_a_fleet_that_tries_few_pools_is_asked_again_without_them(cloud, run_scaler):
    last = ladder(run_scaler)[-1]
    cloud.aws.fleets.pools_tried = 3
    for kind in ladder(run_scaler)[:-1]:
        cloud.faults.add(*POOL, match={"InstanceType": kind}, fault=Capacity())
    assert queued(cloud, job_message()) == []
    (instance,) = cloud.instances()
    assert instance["InstanceType"] == last
    tokens = [call.parameters["ClientToken"] for call in fleets(cloud)]
    assert len(tokens) == len(set(tokens)) > 1


def test_a_doubled_message_gets_the_same_machines(cloud):
    assert queued(cloud, *jobs(3)) == []
    before = names(cloud)
    assert queued(cloud, *jobs(3)) == []
    assert names(cloud) == before
    first, second = fleets(cloud)
    assert first.parameters == second.parameters
    assert handed_over(cloud) == [1, 2, 3]
    assert len(cloud.github.registry.runners) == 3


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_lost_answer_launches_nothing_twice(cloud, before):
    cloud.faults.add(*FLEET, times=1, fault=Cut(before=before))
    assert queued(cloud, *jobs(2)) == []
    assert len(cloud.instances()) == 2
    assert handed_over(cloud) == [1, 2]


def test_after_a_crash_each_job_finds_its_own_machine(cloud):
    cloud.faults.add(*POOL, match={"InstanceType": "m7i.large"}, fault=Partial(1))
    cloud.faults.add(*FLEET, times=1, fault=Kill(killer(cloud, "queued"), before=False))
    with pytest.raises(FunctionError):
        queued(cloud, *jobs(4))
    assert until(lambda: cloud.calls.under_way == 0)
    found = sorted(names(cloud))
    assert len(found) == 4
    for number in (4, 2, 1, 3):
        failed, messages = launched(cloud, job_message(number), receives=2)
        assert failed == []
        assert registered(cloud, *messages) == []
    assert sorted(names(cloud)) == found
    assert handed_over(cloud) == [1, 2, 3, 4]
    assert len(fleets(cloud)) == 1


def test_other_parameters_for_a_token_find_its_machines(cloud):
    assert launched(cloud, *jobs(2))[0] == []
    before = names(cloud)
    cloud.faults.add(*FLEET, times=1, fault=Error("IdempotentParameterMismatch", 400))
    assert queued(cloud, *jobs(2)) == []
    assert [call.error for call in fleets(cloud)] == ["", "IdempotentParameterMismatch"]
    assert names(cloud) == before
    assert handed_over(cloud) == [1, 2]


def test_what_launched_nothing_is_asked_for_anew(cloud):
    """EC2 repeats its first answer to a token; a permission is there now, and is used."""
    refused = Error("UnauthorizedOperation", 403)
    cloud.faults.add(*POOL, fault=refused)
    assert queued(cloud, *jobs(2)) == ["message-1", "message-2"]
    cloud.faults.clear()
    assert queued(cloud, *jobs(2), receives=2) == []
    assert handed_over(cloud) == [1, 2]
    assert len(cloud.instances()) == 2


def test_throttled_jobs_wait_and_ask_for_the_same(cloud):
    cloud.faults.add(*FLEET, fault=Throttle())
    assert queued(cloud, job_message()) == []
    assert len(sent(cloud, "ParkedQueue")) == 1
    first, *others = fleets(cloud)
    assert others and all(call.parameters == first.parameters for call in others)
    # On a busy machine the last try may end for want of time.
    said = complaints(cloud, "queued")
    assert "RequestLimitExceeded" in said or "no answer" in said
