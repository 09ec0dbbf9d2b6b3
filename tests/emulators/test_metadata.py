# SPDX-License-Identifier: MIT
"""The agent on a machine whose metadata service is EC2's own mock."""

from __future__ import annotations

import time

from floor import ENDS, LISTENS, STARTS, assert_ended_well

from cloud.serve import iso

DELAY_SECONDS = 20  # the job has begun by then, also on a busy machine


def test_a_machine_learns_who_it_is(floor):
    floor.script(LISTENS, STARTS, ENDS).put().run()
    report = floor.report("ready", "job_started", "finished")
    assert report["instance_id"] == floor.id
    assert report["instance_type"] == "m7i.large"
    assert report["zone"] == floor.machine.facts.zone
    assert_ended_well(floor)


def test_the_last_steps_of_a_job_have_the_time_that_a_spot_notice_leaves(floor):
    at = iso(time.time() + DELAY_SECONDS + 120)
    floor.machines.setup.mock = ["spot", "--mock-delay-sec", str(DELAY_SECONDS), "--time", at]
    last_steps = f"last() {{ sleep 2; {ENDS}; exit 0; }}"
    floor.configure(stop_grace_seconds=1)
    floor.script(LISTENS, last_steps, "trap last INT", STARTS, "while :; do sleep 0.05; done")
    floor.put().run()
    assert at[:19] in floor.report("ready", "job_started", "interrupted")["reason"]
    assert "result: Succeeded" in floor.text()
    assert "it is killed" not in floor.text()
    assert "Delaying the response" in floor.machine.mock.text()
    assert_ended_well(floor)
