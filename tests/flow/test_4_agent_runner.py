# SPDX-License-Identifier: MIT
"""4. The agent and its runner: one that cannot start, ends too early, or does not end."""

from __future__ import annotations

import signal

import pytest
from floor import (
    ENDS,
    HANGS,
    LISTENS,
    PATIENT,
    STARTS,
    STUBBORN,
    UPDATES,
    Floor,
    assert_ended_well,
    assert_failed,
)
from helpers import LABELS, REPOSITORY

# -- the runner -------------------------------------------------------------------------------


def test_a_runner_that_is_not_there(floor):
    floor.configure(runner={"command": ["/opt/nowhere/Runner.Listener", "run"]}).put().run()
    assert_failed(floor, "cannot start /opt/nowhere/Runner.Listener", "No such file")


def test_a_runner_that_must_not_be_started(floor):
    floor.configure(runner={"command": ["/etc"]}).put().run()
    assert_failed(floor, "cannot start /etc", "Permission denied")


def test_a_folder_that_is_not_there(floor):
    floor.configure(runner={"directory": "/opt/nowhere"}).put().run()
    assert_failed(floor, "/opt/nowhere", "No such file")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "without a job (exit code 0)"),
        (1, "without a job (exit code 1)"),
        (5, "already has a session"),
        (7, "build a new image with the current runner"),
        (42, "unknown exit code"),
    ],
)
def test_a_runner_that_ends_without_a_job(floor, code, words):
    floor.script("echo 'An error occurred: such is life'", f"exit {code}").put().run()
    assert_failed(floor, words, "such is life")
    assert floor.reports()[-1]["exit_code"] == code


def test_a_runner_whose_version_is_refused_is_not_started_again(floor):
    floor.cloud.github.broker.behave("deprecated")
    floor.put().run()
    assert_failed(floor, "build a new image", "is deprecated and cannot receive messages")
    assert floor.reports()[-1]["exit_code"] == 7
    assert "will be started again" not in floor.text()


def test_exit_code_2_has_another_chance(floor):
    floor.script("echo $ACTIONS_RUNNER_INPUT_JITCONFIG | wc -c; test -e again && exec sh again")
    floor.machines.setup.config["runner"]["command"][-1] += (
        f'; echo "{LISTENS}; {STARTS}; {ENDS}" >again; exit 2'
    )
    floor.put().run()
    floor.report("ready", "job_started", "finished")
    assert floor.text().count(str(len(floor.jit_config) + 1)) == 2
    assert_ended_well(floor)


def test_exit_code_2_again_and_again_is_the_end(floor):
    floor.script("echo x >>tries; exit 2").put().run()
    assert_failed(floor, "several times in a row")
    assert tries(floor) == 4


def tries(floor: Floor) -> int:
    """Give how often a runner with `echo x >>tries` was started."""
    return (floor.machine.directory / "runner" / "tries").read_text().count("x")


def test_a_runner_that_updates_itself_is_started_again(floor):
    again = f"test -e new && {{ {LISTENS}; {STARTS}; {ENDS}; exit 0; }}"
    floor.script(again, "(sleep 1; touch new update.finished) & exit 3")
    floor.put().run()
    floor.report("ready", "job_started", "finished")


def test_an_earlier_update_is_not_taken_for_this_one(floor):
    floor.script(
        "echo x >>tries",
        f"test -e new && {{ {LISTENS}; {STARTS}; {ENDS}; exit 0; }}",
        "touch -d '1 hour ago' update.finished",
        "(sleep 2; touch new update.finished) & exit 3",
    )
    floor.put().run()
    floor.report("ready", "job_started", "finished")
    assert tries(floor) == 2


def test_who_is_told_to_end_between_two_starts_of_the_runner_does_not_start_it(floor):
    floor.script("echo x >>tries; exit 3").put().switch_on()  # and waits for its update
    assert floor.says("will be started again")
    floor.machine.agent.send_signal(signal.SIGTERM)
    floor.ended()
    assert "SIGTERM" in floor.report("interrupted")["reason"]
    assert tries(floor) == 1
    assert_ended_well(floor)


def test_a_runner_that_was_told_to_end_is_not_started_again(floor):
    floor.script("echo x >>tries; trap 'exit 2' INT", LISTENS, HANGS)
    floor.put().switch_on()
    assert floor.says("Listening")
    floor.machine.agent.send_signal(signal.SIGTERM)
    floor.ended()
    assert "SIGTERM" in floor.report("ready", "interrupted")["reason"]
    assert tries(floor) == 1


def test_a_runner_that_had_a_job_is_not_started_again(floor):
    floor.script("echo x >>tries", LISTENS, STARTS, "exit 2").put().run()
    stages = ("ready", "job_started", "failed")
    assert_failed(floor, "in the middle of its job (exit code 2)", stages=stages)
    assert tries(floor) == 1


def test_spot_notices_are_asked_for_once_however_often_the_runner_starts(floor):
    floor.configure(spot_poll_seconds=60)
    floor.script("echo x >>tries", f"test -e again && {{ {LISTENS}; {STARTS}; {ENDS}; exit 0; }}")
    floor.machines.setup.config["runner"]["command"][-1] += "\ntouch again; exit 2"
    floor.put().run()
    floor.report("ready", "job_started", "finished")
    assert tries(floor) == 2
    asked = [path for _, path, _ in floor.machine.metadata.calls if "spot/" in path]
    assert len(asked) == 1


def test_the_idle_limit_does_not_run_while_a_runner_updates_itself(floor):
    again = f"test -e new && {{ {LISTENS}; sleep 1; {STARTS}; {ENDS}; exit 0; }}"
    floor.script(again, LISTENS, UPDATES, "sleep 3; touch new update.finished; exit 3")
    floor.put(idle_limit_seconds=2).run()
    floor.report("ready", "job_started", "finished")


def test_the_idle_limit_begins_anew_after_an_update(floor):
    again = f"test -e new && {{ {LISTENS}; {HANGS}; }}"
    floor.script(PATIENT, again, LISTENS, UPDATES, "touch new update.finished; exit 3")
    floor.put(idle_limit_seconds=2).switch_on().deregister().ended()
    assert_failed(floor, "no job within 2 s", stages=("ready", "idle", "failed"))


def test_the_idle_limit_begins_anew_when_the_runner_listens(floor):
    floor.script(PATIENT, "sleep 1", LISTENS, HANGS).put(idle_limit_seconds=3)
    floor.switch_on().deregister().ended()
    assert_failed(floor, "no job within 3 s", stages=("ready", "idle", "failed"))
    times = floor.reports()[-1]["times"]
    assert times["finished"] - times["listening"] >= 3000


def test_a_runner_that_crashes_in_its_job(floor):
    floor.script(LISTENS, STARTS, "kill -SEGV $$").put().run()
    stages = ("ready", "job_started", "failed")
    assert_failed(floor, "in the middle of its job", "SIGSEGV", stages=stages)


# -- limits -----------------------------------------------------------------------------------


def test_a_runner_that_gets_no_job(floor):
    floor.put(idle_limit_seconds=1).switch_on().deregister().ended()
    assert_failed(floor, "no job within 1 s", stages=("ready", "idle", "failed"))


def test_a_runner_that_never_listens(floor):
    floor.script(PATIENT, HANGS).put(idle_limit_seconds=1).run()
    assert_failed(floor, "did not listen within 1 s")


def test_a_silent_job_is_not_hung(floor):
    floor.script(LISTENS, STARTS, "sleep 2", ENDS).put(idle_limit_seconds=1).run()
    floor.report("ready", "job_started", "finished")


def test_a_job_that_takes_too_long(floor):
    job = floor.cloud.github.queue_job(REPOSITORY, LABELS, behaviour="hang")
    floor.put(job_limit_seconds=1).run()
    stages = ("ready", "job_started", "failed")
    assert_failed(floor, "longer than its limit of 1 s", stages=stages)
    assert floor.reports()[-1]["result"] == "Canceled"
    assert job.conclusion == "cancelled"


def test_what_a_runner_says_in_its_job_does_not_change_the_limit(floor):
    floor.script(PATIENT, STARTS, UPDATES, LISTENS, HANGS).put(job_limit_seconds=1).run()
    assert_failed(floor, "longer than its limit of 1 s", stages=("job_started", "failed"))


def test_a_job_that_ignores_everything(floor):
    floor.configure(stop_grace_seconds=1)
    floor.script(STUBBORN, LISTENS, STARTS, HANGS).put(job_limit_seconds=1).run()
    assert_failed(floor, "longer than its limit", stages=("ready", "job_started", "failed"))
    assert "it is killed" in floor.text()


def test_a_runner_that_does_not_end_after_its_job(floor):
    floor.configure(stop_grace_seconds=1)
    floor.script(STUBBORN, LISTENS, STARTS, ENDS, HANGS).put().run()
    assert floor.report("ready", "job_started", "finished")["result"] == "Succeeded"
    assert_ended_well(floor)
