# SPDX-License-Identifier: MIT
"""What `make bench-vm` reads out of a machine's answer and its packets; no machine is booted."""

import struct

import pytest

from .bench_machine import BenchError, Boot
from .bench_times import our_times

EXEC = "  {1}-{2} [000] .....     {0}: sched_process_exec: filename={3} pid={2} old_pid={2}\n"
CONNECT = "  runner-agent-9 [001] .....     5.200000: inet_sock_set_state: newstate=TCP_SYN_SENT\n"
ROUTE = "  systemd-network-7 [000] .....     {0}: route: (fib_table_insert+0x0/0x5f0)\n"
LAUNCH, RUNNER = "/usr/lib/runner-agent/launch", "/opt/actions-runner/bin/Runner.Listener"
JOURNAL = '{{"__REALTIME_TIMESTAMP":"1000{0:06}","__MONOTONIC_TIMESTAMP":"{0}","MESSAGE":"{1}"}}\n'


def frame(at, out, flags, size, port=80):
    """Make a TCP packet with QEMU's header, at a time of the host's, which is 100 s ahead."""
    source, target = (4000 + port, port) if out else (port, 4000 + port)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + size, 0, 0, 64, 6, 0, b"", b"")
    tcp = struct.pack(">HHIIBBHHH", source, target, 0, 0, 5 << 4, flags, 0, 0, 0)
    data = b"\0" * 12 + b"\x08\x00" + ip + tcp
    micros = round((at + 100) * 1e6)
    return struct.pack("<IIII", micros // 10**6, micros % 10**6, len(data), len(data)) + data


def answer(tmp_path, agent="5.000000", launch="7.000000", route="4.500000"):
    """What a machine would tell: two questions to the metadata service, then one to SSM by TLS."""
    packets = [
        frame(5.2, True, 2, 0),
        frame(5.3, True, 24, 100),
        frame(5.4, False, 24, 200),
        frame(5.6, True, 24, 100),  # 0.2 s of the agent's own
        frame(5.7, False, 24, 200),
        frame(5.8, True, 2, 0, 443),
        frame(5.9, True, 24, 500, 443),
        frame(6.0, False, 24, 800, 443),
        frame(6.3, True, 24, 900, 443),  # 0.3 s of computing for TLS
        frame(6.4, False, 24, 900, 443),
        frame(8.0, True, 24, 100),  # after the hand-over: nothing waits for it
        frame(9.0, False, 24, 100),
    ]
    (tmp_path / "packets").write_bytes(b"\0" * 24 + b"".join(packets))
    journal = JOURNAL.format(6_500_000, "hand-over received")
    notes = "usage_usec 40000\nstat 9 (runner-agent) S\n"
    trace = ROUTE.format("0.100000") + ROUTE.format(route)
    trace += EXEC.format(agent, "runner-agent", 9, "/usr/bin/runner-agent") + CONNECT
    trace += ROUTE.format("6.700000")  # IPv6's, for which nobody waits
    trace += EXEC.format(launch, "launch", 11, LAUNCH)
    trace += EXEC.format("7.100000", "Runner.Listener", 12, RUNNER)
    return Boot(f"{notes}== trace\n{trace}== journal\n{journal}", tmp_path / "packets")


def test_the_agents_share_is_without_the_calls_that_it_needs_and_without_the_system(tmp_path):
    times = {name.strip(): round(at, 6) for name, at in our_times(answer(tmp_path)).items()}
    assert times["agent → runner started"] == 2.1
    assert times["no network yet"] == 0
    assert times["calls under way"] == 0.9  # 5.2 to 5.4, 5.6 to 5.7, 5.8 to 6.4
    assert times["system not ready"] == 0.5
    assert times["own share"] == 0.7
    assert times["until the first call"] == 0.2
    assert times["from the hand-over on"] == 0.1
    assert times["own share, strict"] == 1.2  # waited: 4 times 0.1
    assert times["CPU time of the agent"] == 0.04


def test_an_agent_that_is_there_before_the_network_does_not_wait_for_itself(tmp_path):
    times = our_times(answer(tmp_path, agent="4.000000"))
    assert times["  no network yet"] == pytest.approx(0.5)
    assert times["    until the first call"] == pytest.approx(0.7)


def test_a_runner_service_that_was_there_first_costs_nothing(tmp_path):
    times = our_times(answer(tmp_path, launch="6.000000"))
    assert times["  system not ready"] == 0


def test_what_a_machine_has_not_told_is_named(tmp_path):
    boot = answer(tmp_path)
    boot.text = boot.text.replace("hand-over received", "something else")
    with pytest.raises(BenchError, match="hand-over received"):
        our_times(boot)
