# SPDX-License-Identifier: MIT
"""What `make bench-vm` reads from a machine's answer; no machine is booted."""

import pytest

from .bench_machine import BenchError, Boot
from .bench_series import RUNNER as TO_RUNNER
from .bench_series import Series, compare_with_neighbours
from .bench_times import our_times

STARTER, RUNNER = "/usr/lib/runner-agent/starter", "/opt/actions-runner/bin/Runner.Listener"
JOURNAL = '{{"__REALTIME_TIMESTAMP":"1000{0:06}","__MONOTONIC_TIMESTAMP":"{0}","MESSAGE":"{1}"}}\n'


def event(at, text, task="runner-agent-9"):
    return f"  {task} [000] .....     {at:.6f}: {text}\n"


def execs(at, file):
    return event(at, f"sched_process_exec: filename={file} pid=9 old_pid=9")


def route(at):
    return event(at, "route: (fib_table_insert+0x0/0x5f0)", "systemd-network-7")


def connects(at, descriptor, port):
    state = f"inet_sock_set_state: family=AF_INET dport={port} newstate=TCP_SYN_SENT"
    entered = f"sys_connect(fd: {descriptor:x}, uservaddr: 7ffe, addrlen: 10)"
    return event(at, entered) + event(at + 0.001, state)


def sends(at, descriptor):
    return event(at, f"sys_sendto(fd: {descriptor:x}, buff: 55, len: a6, flags: 4000)")


def receives(at, descriptor, size=200):
    entered = f"sys_recvfrom(fd: {descriptor:x}, ubuf: 55, size: 4000, flags: 0)"
    return event(at - 0.0001, entered) + event(at, f"sys_recvfrom -> 0x{size % (1 << 64):x}")


def answer(agent=5.0, starter=7.0, network=4.5):
    """A machine's answer: two calls to the metadata service, then one to SSM over TLS."""
    trace = route(0.1) + route(network) + execs(agent, "/usr/bin/runner-agent")
    trace += event(5.1, "task_newtask: pid=8 comm=runner-agent clone_flags=3d0f00")  # no connect
    trace += connects(5.2, 10, 80) + sends(5.3, 10)
    trace += receives(5.35, 10, -11)  # not yet
    trace += sends(5.36, 11)  # another socket's
    trace += receives(5.4, 10)
    trace += sends(5.6, 10) + receives(5.7, 10)  # after 0.2 s of the agent's own
    trace += event(5.75, "task_newtask: pid=10 comm=runner-agent clone_flags=3d0f00")
    trace += event(5.76, "sys_connect(fd: d, uservaddr: 7ffe, addrlen: 6e)", "runner-agent-10")
    trace += connects(5.8, 11, 443) + sends(5.9, 11) + receives(6.0, 11)
    trace += sends(6.3, 11) + receives(6.4, 11)  # after 0.3 s of computing for TLS
    trace += route(6.7)  # for IPv6; nobody waits for it
    trace += execs(starter, STARTER) + execs(7.1, RUNNER)
    trace += sends(8.0, 10) + receives(9.0, 10)  # after the hand-over: nothing waits for it
    journal = JOURNAL.format(6_500_000, "hand-over received")
    notes = "usage_usec 40000\nstat 9 (runner-agent) S\n"
    return Boot(f"{notes}== trace\n{trace}== journal\n{journal}")


def test_the_agents_share_is_without_the_calls_that_it_needs_and_without_the_system():
    times = {name.strip(): round(at, 6) for name, at in our_times(answer()).items()}
    assert times["agent → runner started"] == 2.1
    assert times["no network yet"] == 0
    assert times["calls under way"] == 0.95  # 5.2 to 5.4, 5.6 to 5.7, 5.75 to 6.4
    assert times["system not ready"] == 0.6
    assert times["own share"] == 0.55
    assert times["until the first call"] == 0.2
    assert times["from the hand-over on"] == 0.1
    assert times["own share, strict"] == 1.1  # waited: 4 times 0.1
    assert times["CPU time of the agent"] == 0.04


def test_an_agent_that_is_there_before_the_network_does_not_wait_for_itself():
    times = our_times(answer(agent=4.0))
    assert times["  no network yet"] == pytest.approx(0.5)
    assert times["    until the first call"] == pytest.approx(0.7)


def test_a_runner_service_that_was_there_first_costs_nothing():
    times = our_times(answer(starter=6.0))
    assert times["  system not ready"] == 0


def test_what_a_machine_has_not_told_is_named():
    boot = answer()
    boot.text = boot.text.replace("hand-over received", "something else")
    with pytest.raises(BenchError, match="hand-over received"):
        our_times(boot)


def series(*seconds):
    made = Series("", lambda: None, our_times)
    made.boots = [{TO_RUNNER: at} for at in seconds]
    return made


def test_a_measure_is_compared_with_the_boots_around_it_however_fast_the_host_is():
    kept = series(10, 10, 10, 20, 20)  # the host becomes slow
    slower, same = series(12, 18), series(10, 20)
    assert compare_with_neighbours(kept, [slower, same]) == pytest.approx([2, 0])
