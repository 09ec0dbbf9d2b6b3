# SPDX-License-Identifier: MIT
"""What `make bench` needs to measure a burst: its services play all that the functions call."""

from __future__ import annotations

from cloud.limits import until
from cloud.settings import BUILD
from tests.bench.burst import Burst
from tests.bench.stand_in import StandIn

JOBS = 20
HURRY = 60.0  # the first look at a job comes after a second instead of minutes


def is_looked_at(world: StandIn) -> bool:
    """Whether `watch` has looked at each job, and none is to be looked at again."""
    looked = world.calls["DescribeInstances"] > 0
    return looked and set(world.queue("watch").counts().values()) == {"0"}


def test_a_burst_gives_each_job_one_machine_and_is_looked_at(tmp_path):
    burst = Burst(str(BUILD / "bin" / "scaler"), tmp_path, HURRY)
    world = burst.world
    try:
        burst.run(JOBS)
        until(lambda: world.unknown or is_looked_at(world))
    finally:
        burst.stop()
    assert not world.unknown
    assert is_looked_at(world)
    assert len(world.served) == len(world.machines.all) == JOBS
