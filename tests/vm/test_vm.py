# SPDX-License-Identifier: MIT
"""A job on a real machine: from power-on to power-off, with nothing left."""

LABELS = ["self-hosted", "linux", "x64"]


def test_a_job_runs_and_the_machine_powers_itself_off(cloud):
    script = "id -un; echo $((6 * 7)) >answer; cat answer"
    job = cloud.github.queue_job("octo-org/one", LABELS, script=script)
    assert cloud.github.wait(lambda: job.state == "completed", 120)
    assert (job.conclusion, job.output) == ("success", "runner\n42\n")
    machine = next(iter(cloud.machines.all.values()))
    assert machine.off.wait(60)
    cloud.idle(30)
    assert cloud.left() == []
