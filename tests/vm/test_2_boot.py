# SPDX-License-Identifier: MIT
"""What a machine may meet at its boot, and what its jobs must not reach."""

from __future__ import annotations

from .stand import Stand

# The shell's own sockets, so that no tool's proxy or retries are in between.
REACH_METADATA = """
reach() { (exec 3<>"/dev/tcp/$1/80") 2>/dev/null && echo "$1 reached" || echo "$1 refused"; }
for second in 1 2 3 4 5 6 7 8; do reach 169.254.169.254; sleep 1; done
python3 - <<'END'
import socket
s = socket.socket(socket.AF_INET6)
try:
    s.connect(("fd00:ec2::254", 80))
    print("fd00:ec2::254 reached")
except OSError as error:
    print("fd00:ec2::254 refused")
END
"""


def test_a_job_cannot_reach_the_metadata_service_while_the_agent_can(cloud):
    stand = Stand(cloud).queue(script=REACH_METADATA).ends("success")
    lines = stand.job.output.splitlines()
    assert lines == ["169.254.169.254 refused"] * 8 + ["fd00:ec2::254 refused"]
    started, ended = stand.job.started, stand.job.completed
    asked = [call for call in stand.machine.metadata.calls if call[1].endswith("instance-action")]
    assert started and ended and asked, "the agent looked for a spot notice meanwhile"
    assert {status for _, _, status in asked} == {404}


def test_a_network_that_comes_late_is_waited_for(cloud):
    stand = Stand(cloud).set_up(cable_seconds=30.0).queue(script="true").ends("success")
    assert stand.stages() == ["ready", "job_started", "finished"]


def test_a_driver_that_does_not_come_first_comes_with_the_rest(cloud):
    files = {"/usr/lib/scale-agent/first-devices": "exit 1\n"}
    stand = Stand(cloud).as_on_ec2().set_up(files=files)
    stand.queue(script="true").ends("success")


def test_a_job_finds_all_devices(cloud):
    link = "/dev/disk/by-partuuid/5ca1eab1-0000-4000-8000-000000000001"
    Stand(cloud).as_on_ec2().queue(script=f"until [ -e {link} ]; do sleep 1; done").ends("success")


def test_a_clock_that_is_wrong_at_boot_is_set_right(cloud):
    stand = Stand(cloud).set_up(clock="2020-02-02T02:02:02").queue(script="date +%s")
    stand.ends("success")
    assert abs(int(stand.job.output) - stand.job.completed) < 60
    (ready, *_) = stand.reports()
    times = ready["times"]
    assert times["kernel"] < times["agent"] < times["identified"] < times["listening"]
    assert abs(times["kernel"] / 1000 - stand.machine.facts.launched) < 60
    assert abs(times["listening"] / 1000 - stand.job.started) < 60
