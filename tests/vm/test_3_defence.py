# SPDX-License-Identifier: MIT
"""The last lines of defence: whatever breaks, the machine powers itself off."""

from __future__ import annotations

import json

from cloud.machines.machine import SHUT_DOWN

from .stand import Stand

AGENT_PID = "systemctl show -P MainPID runner-agent"


def signal_agent(stand: Stand, name: str) -> None:
    stand.machine.last_hand(f"kill -{name} $({AGENT_PID})")


def lost(stand: Stand) -> None:
    """Check that the job failed because its machine was lost, and that the machine is off."""
    stand.ends("failure")
    assert stand.machine.reason == SHUT_DOWN


def test_an_agent_that_is_killed_takes_the_machine_with_it(cloud):
    stand = Stand(cloud).with_hand().queue(script="sleep 1000").runs()
    signal_agent(stand, "KILL")
    lost(stand)


def test_an_agent_that_crashes_takes_the_machine_with_it(cloud):
    stand = Stand(cloud).with_hand().queue(script="sleep 1000").runs()
    signal_agent(stand, "SEGV")
    lost(stand)


def test_an_agent_that_hangs_is_ended_by_its_watchdog(cloud):
    stand = Stand(cloud).with_hand().queue(script="sleep 1000").runs()
    signal_agent(stand, "STOP")
    lost(stand)


def test_a_runner_that_hangs_is_ended_by_the_agent(cloud):
    config = json.loads(json.dumps(cloud.config))
    config["specs"][0]["job_limit_seconds"] = 60
    cloud.put_document("config", json.dumps(config))
    stand = Stand(cloud).queue(behaviour="ignore-signals")
    stand.ends("failure")
    assert stand.stages() == ["ready", "job_started", "failed"]
    assert "60 s" in stand.reports()[-1]["reason"]


def test_a_job_that_wants_all_memory_fails_and_the_agent_tells(cloud):
    stand = Stand(cloud).queue(
        script="python3 -c 'x = [bytearray(1 << 20) for _ in range(1 << 20)]'"
    )
    stand.ends("failure")
    assert stand.stages() == ["ready", "job_started", "finished"]


def test_a_job_that_starts_threads_without_end_fails_and_the_agent_tells(cloud):
    bomb = "import threading, time\nwhile True:\n"
    bomb += " threading.Thread(target=time.sleep, args=(600,), daemon=True).start()"
    stand = Stand(cloud).queue(script=f"python3 -c '{bomb}' 2>&1 | tail -n 1")
    stand.ends("failure")
    assert "can't start new thread" in stand.job.output
    assert stand.stages() == ["ready", "job_started", "finished"]


def test_the_deadline_ends_a_machine_whatever_it_does(cloud):
    stand = Stand(cloud).with_hand().queue(script="sleep 1000").runs()
    folder = "/run/systemd/system/runner-agent-deadline.timer.d"
    stand.machine.last_hand(
        f"mkdir -p {folder}"
        f" && printf '[Timer]\\nOnBootSec=\\nOnBootSec=1s\\n' >{folder}/deadline.conf"
        " && systemctl daemon-reload && systemctl restart runner-agent-deadline.timer"
    )
    stand.ends("cancelled")
    assert "interrupted" in stand.stages()


def test_a_shutdown_that_hangs_is_cut_short(cloud):
    job = "until [ -e /run/stubborn ]; do sleep 0.2; done"  # it ends when there is what hangs
    stand = Stand(cloud).with_hand().queue(script=job).runs()
    stubborn = "trap true TERM INT HUP; touch /run/stubborn; while :; do sleep 1; done"
    stand.machine.hand(
        "systemd-run --unit=stubborn -p TimeoutStopSec=infinity -p KillMode=process"
        f" -p SendSIGKILL=no sh -c '{stubborn}'"
    )
    stand.ends("success")
    assert stand.machine.reason == SHUT_DOWN
