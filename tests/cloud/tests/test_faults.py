# SPDX-License-Identifier: MIT
"""Rules for faults: what they match, how often, and the named sets."""

from __future__ import annotations

import pytest

from cloud.fault_sets import SETS
from cloud.faults import Capacity, Cut, Faults, Latency, Throttle


def test_a_rule_matches_by_pattern_and_counts():
    faults = Faults()
    rule = faults.add("ec2", "Run*", {"InstanceType": "m7i.*"}, times=2, fault=Capacity())
    assert faults.take("ec2", "RunInstances", {"InstanceType": "m7a.large"}) == []
    assert faults.take("ssm", "RunInstances", {"InstanceType": "m7i.large"}) == []
    for _ in range(2):
        taken = faults.take("ec2", "RunInstances", {"InstanceType": "m7i.large"})
        assert taken == [Capacity()]
    assert faults.take("ec2", "RunInstances", {"InstanceType": "m7i.large"}) == []
    assert rule.hits == 2


def test_latency_combines_with_one_other_fault():
    faults = Faults()
    for fault in (Latency(1), Throttle(), Latency(2), Cut()):
        faults.add(fault=fault, times=1)
    assert faults.take("any", "thing") == [Latency(1), Throttle(), Latency(2)]
    assert faults.take("any", "thing") == [Cut()]


def test_skip_lets_the_first_calls_pass():
    faults = Faults()
    faults.add("ssm", fault=Cut(), times=1, skip=2)
    assert [faults.take("ssm", "GetParameter") for _ in range(4)] == [[], [], [Cut()], []]


def test_a_rule_can_be_removed():
    faults = Faults()
    faults.remove(faults.add(fault=Cut()))
    assert faults.take("a", "b") == []
    with pytest.raises(ValueError, match="needs a fault"):
        faults.add("ec2")


def test_named_sets_are_checked_by_name():
    faults = Faults(sets=SETS)
    faults.named("capacity, throttle,duplicate")
    assert faults.duplicate
    assert faults.take("ec2", "RunInstances", {"InstanceType": "m7i.large", "Market": "spot"})
    with pytest.raises(
        ValueError, match="no faults named 'bogus'; allowed are: capacity, conflict"
    ):
        faults.named("slow,bogus")
    assert "slow" not in faults.names


@pytest.mark.parametrize("name", SETS)
def test_every_named_set_can_be_switched_on(name):
    faults = Faults(sets=SETS)
    faults.named([name])
    assert faults.rules or name == "duplicate"
    faults.clear()
    assert not faults.rules
    assert not faults.names
