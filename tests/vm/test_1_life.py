# SPDX-License-Identifier: MIT
"""The life of a machine: it boots, runs one job, and powers itself off; nothing is left."""

from __future__ import annotations

import json

from cloud.machines.machine import SHUT_DOWN, SPOT_TAKEN, TERMINATED

from .stand import Stand

AGENT_SETTINGS = "/etc/runner-agent/config.json"

# What a job can rely on, and what it must not have.
LOOK_AROUND = """
id -un
pwd
grep -o '[^/]*[.]slice/[^/]*' /proc/self/cgroup
echo "$HOME $LANG"
env | grep -c -e JITCONFIG -e AWS_ || true
sudo -n true 2>/dev/null && echo sudo || echo no sudo
cat /proc/$PPID/cmdline | tr '\\0' '\\n' | wc -c
cat /proc/self/oom_score_adj
[ -w /run/runner-agent/starter.socket ] && echo socket || echo no socket
"""


def test_a_job_runs_and_the_machine_powers_itself_off(cloud):
    stand = Stand(cloud).as_on_ec2().set_up(processors=2).queue(script=LOOK_AROUND)
    stand.ends("success")
    user, folder, unit, places, secrets, sudo, argv, oom, starter = stand.job.output.splitlines()
    assert (user, folder, unit) == ("runner", "/opt/actions-runner", "runner.slice/runner.service")
    assert places == "/home/runner C.UTF-8"
    assert secrets == "0"
    assert sudo == "no sudo"
    assert int(argv) < 200
    assert (oom, starter) == ("500", "no socket")
    assert stand.machine.reason == SHUT_DOWN
    assert stand.stages() == ["ready", "job_started", "finished"]


def test_a_job_that_fails_ends_its_machine_as_well(cloud):
    stand = Stand(cloud).queue(script="echo no; exit 3").ends("failure")
    assert stand.job.output == "no\n"
    assert stand.stages() == ["ready", "job_started", "finished"]


def test_a_machine_for_which_no_parameter_comes_powers_off(cloud):
    settings = {"parameter_limit_seconds": 5}
    stand = Stand(cloud).set_up(files={AGENT_SETTINGS: json.dumps(settings)}).launch_alone()
    stand.powers_off()
    (report,) = stand.reports()
    assert report["stage"] == "failed"
    assert f"/scale-agent/runners/{stand.machine.id}" in report["reason"]


def test_a_parameter_that_comes_late_is_waited_for(cloud):
    stand = Stand(cloud).launch_alone().says("identified")
    stand.asked_in_vain().hand_over(script="echo here").ends("success")
    assert stand.job.output == "here\n"
    assert stand.stages() == ["ready", "job_started", "finished"]


def test_a_spot_notice_stops_the_job_before_the_machine_is_taken(cloud):
    stand = Stand(cloud).queue(script="sleep 1000").runs()
    cloud.machines.interrupt(stand.machine.id, 110)
    stand.ends("cancelled")
    assert stand.stages()[:3] == ["ready", "job_started", "interrupted"]
    assert stand.machine.reason == SHUT_DOWN != SPOT_TAKEN


def test_a_machine_that_is_terminated_from_outside_stops_its_job_and_goes(cloud):
    stand = Stand(cloud).as_on_ec2().queue(script="sleep 1000").runs()
    stand.says("Watching system buttons")  # a job can begin before logind does
    cloud.client("ec2").terminate_instances(InstanceIds=[stand.machine.id])
    cloud.machines.terminated(stand.machine.id)
    stand.ends("cancelled")
    assert stand.machine.reason == TERMINATED
    assert "interrupted" in stand.stages()
