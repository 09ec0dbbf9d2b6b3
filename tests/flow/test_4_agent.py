# SPDX-License-Identifier: MIT
"""4. The agent: a job on one machine, from its boot to its shutdown, and what is seen of it."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

from floor import ENDS, HANGS, LISTENS, PATIENT, STARTS, TICKET, assert_ended_well
from helpers import LABELS, REPOSITORY

from cloud.limits import until

# -- a job ------------------------------------------------------------------------------------


def test_a_job_runs_and_the_machine_goes(floor):
    job = floor.cloud.github.queue_job(REPOSITORY, LABELS, name="build it")
    floor.put().run()
    assert job.state == "completed"
    assert job.runner_name == floor.id
    report = floor.report("ready", "job_started", "finished")
    assert report["result"] == "Succeeded"
    assert report["job_name"] == "build it"
    assert report["instance_id"] == floor.id
    assert report["instance_type"] == "m7i.large"
    assert report["runner_id"] == floor.runner.id
    assert report["job"]["url"].endswith("/job/7")
    assert report["exit_code"] == 0
    assert [one["ticket"] for one in floor.reports()] == [TICKET] * 3
    assert TICKET not in floor.text()
    assert floor.cloud.github.left() == []
    assert_ended_well(floor)


def test_a_hand_over_of_an_older_scaler_has_no_ticket(floor):
    floor.cloud.github.queue_job(REPOSITORY, LABELS)
    floor.put(ticket=None).run()
    assert "ticket" not in floor.report("ready", "job_started", "finished")
    assert_ended_well(floor)


def test_the_times_of_all_stages_are_reported_in_order(floor):
    floor.cloud.github.queue_job(REPOSITORY, LABELS)
    before = int(time.time() * 1000)
    floor.put().run()
    times = floor.reports()[-1]["times"]
    copied = [times[name] for name in ("queued", "webhook", "launched", "handed_over")]
    assert copied == [1, 2, 3, 4]
    own = ("agent", "identified", "received", "runner_started", "listening", "job_started")
    own += ("job_finished", "finished")
    found = [times[name] for name in own]
    assert found == sorted(found)
    assert before <= found[0]
    assert found[-1] <= time.time() * 1000
    assert times["kernel"] < found[0]


def test_a_job_that_fails_is_a_job_that_ran(floor):
    floor.cloud.github.queue_job(REPOSITORY, LABELS, result="failure")
    floor.put().run()
    assert floor.report("ready", "job_started", "finished")["result"] == "Failed"
    assert_ended_well(floor)


def test_systemd_is_told_each_stage(floor):
    floor.cloud.github.queue_job(REPOSITORY, LABELS)
    floor.put().run()
    stages = floor.stages()
    assert stages.index("ready") < stages.index("stopping") < stages.index("shutdown")
    texts = [moment.detail for moment in floor.machine.moments if moment.stage == "status"]
    assert "Running job build" in texts
    assert texts[-1] == "Shutting down"


def test_the_watchdog_is_fed_while_the_runner_is_silent(floor):
    floor.machines.setup.watchdog_seconds = 3.0
    floor.script(LISTENS, STARTS, "sleep 7", ENDS).put().run()
    assert floor.report("ready", "job_started", "finished")
    assert floor.machine.pings > 2


def test_the_runner_finds_a_clean_house(floor):
    floor.script(
        "env -u ACTIONS_RUNNER_INPUT_JITCONFIG; ls /proc/self/fd",
        "echo cwd $PWD; umask",
        STARTS,
        ENDS,
    )
    floor.put().run()
    lines = [line["message"] for line in floor.log() if line.get("identifier") == "runner"]
    names = {line.partition("=")[0] for line in lines if "=" in line}
    allowed = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "RUNNER_ALLOW_RUNASROOT", "PWD"}
    allowed |= {"ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE"}
    assert {"PATH", "HOME", "USER", "LANG"} <= names <= allowed | {"_", "SHLVL", "OLDPWD"}
    assert f"cwd {floor.machine.directory / 'runner'}" in lines
    assert "0022" in lines
    assert {line for line in lines if line.isdigit() and len(line) == 1} == {"0", "1", "2", "3"}


def test_the_runner_can_be_signalled(floor):
    floor.configure(runner={"command": ["/bin/grep", "Sig", "/proc/self/status"]}).put().run()
    lines = [line["message"] for line in floor.log() if line.get("identifier") == "runner"]
    masks = {
        name: int(mask, 16)
        for name, _, mask in (line.partition(":") for line in lines if "SigQ" not in line)
    }
    assert masks["SigBlk"] == 0
    # glibc keeps signals 32 and 33 to itself: nobody can set them free who inherits them ignored.
    assert masks["SigIgn"] & ~(1 << 31 | 1 << 32) == 0


# -- what the runner prints -------------------------------------------------------------------


def test_garbage_in_the_output_harms_nobody(floor):
    floor.cloud.github.queue_job(REPOSITORY, LABELS, behaviour="noise")
    floor.put().run()
    assert floor.report("ready", "job_started", "finished")["result"] == "Succeeded"
    assert max(len(line["message"]) for line in floor.log()) < 5000


def test_names_that_look_like_markers_are_names(floor):
    name = "Listening for Jobs completed with result: x"
    floor.script(f"echo 'Running job: {name}'", f"echo 'Job {name} completed with result: Failed'")
    floor.put().run()
    report = floor.report("job_started", "finished")
    assert (report["job_name"], report["result"]) == (name, "Failed")


# -- secrets ----------------------------------------------------------------------------------


def test_the_configuration_of_the_runner_is_seen_by_the_runner_only(floor):
    floor.script(
        PATIENT, LISTENS, "test ${#ACTIONS_RUNNER_INPUT_JITCONFIG} -gt 3000 && " + STARTS, HANGS
    )
    floor.put().switch_on()
    assert floor.says("Running job")
    processes = Path(f"/proc/{floor.machine.agent.pid}")
    secret = floor.jit_config.encode()
    assert len(secret) > 3000
    for process in [processes, *map(Path, map("/proc/{}".format, children(processes)))]:
        assert secret[:40] not in (process / "cmdline").read_bytes()
    assert secret[:40] not in (processes / "environ").read_bytes()
    if b"__asan_init" not in (floor.cloud.programs / "runner-agent").read_bytes():
        # a sanitizer keeps memory that libcurl gave back, which else its next answer overwrites
        assert until(lambda: secret not in memory(int(processes.name)))
    floor.machine.agent.send_signal(signal.SIGTERM)
    floor.ended()
    assert floor.jit_config[:40] not in floor.text()
    assert floor.jit_config[:40] not in json.dumps(floor.reports())


def children(process: Path) -> list[str]:
    """List the processes that a process started."""
    return (process / "task" / process.name / "children").read_text().split()


def memory(pid: int) -> bytes:
    """Give all that a process can write to."""
    found = b""
    with Path(f"/proc/{pid}/mem").open("rb") as content:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            if " rw-p " in line:
                begin, end = (int(word, 16) for word in line.split()[0].split("-"))
                content.seek(begin)
                found += content.read(end - begin)
    return found
