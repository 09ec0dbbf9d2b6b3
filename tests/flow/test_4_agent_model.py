# SPDX-License-Identifier: MIT
"""4. The agent, and the simulation's model of it (tests/sim/machine.c): both call the same.

The agent lives four lives here, and the model the same in `sim --agent LIFE`. Their calls in order
and the members of their reports are compared.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable

import pytest
from floor import ENDS, HANGS, LISTENS, PATIENT, STARTS, Floor

from cloud.limits import until
from cloud.settings import BUILD

# What reports hold that the scaler only shows to people or measures.
NOT_MODELLED = {"zone", "exit_code", "job_name"}
TIMES_NOT_MODELLED = {"kernel", "identified", "received", "runner_started"}


def job(floor: Floor) -> None:
    """A job comes, and runs to its end."""
    works = "while ! test -e now; do sleep 0.05; done"
    floor.script(LISTENS, STARTS, works, ENDS).put().switch_on()
    assert until(lambda: floor.cloud.parameters() == [])
    (floor.machine.directory / "runner" / "now").touch()
    floor.ended()


def idle(floor: Floor) -> None:
    """No job comes, and the runner is deregistered."""
    floor.script(PATIENT, LISTENS, HANGS).put(idle_limit_seconds=1).switch_on().deregister().ended()


def spot(floor: Floor) -> None:
    """EC2 takes the machine back while a job runs."""
    floor.script(PATIENT, LISTENS, STARTS, HANGS).put().switch_on()
    assert until(lambda: floor.cloud.parameters() == [])
    floor.machine.metadata.notice(time.time() + 60)
    floor.ended()


def refused(floor: Floor) -> None:
    """GitHub does not accept the runner."""
    floor.script("exit 1").put().run()


def calls_of_the_agent(floor: Floor) -> list[tuple[str, set[str], set[str]]]:
    """List what was called: reports with the names of their members and of their times.

    The agent sends several with one call, the model each with its own.
    """
    found = []
    for call in floor.cloud.calls:
        if call.action not in ("GetParameter", "PutEvents", "DeleteParameter"):
            continue
        if call.error and call.action != "GetParameter":
            continue
        for entry in call.parameters.get("Entries", [{"Detail": "{}"}]):
            detail = json.loads(entry["Detail"])
            what = f"{call.action} {detail['stage']}" if detail else call.action
            found.append((what, set(detail), set(detail.get("times", ()))))
    return found


def calls_of_the_model(life: str) -> list[tuple[str, set[str], set[str]]]:
    """List the same of the model."""
    program = [str(BUILD / "bin" / "sim"), "--agent", life]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    found = []
    for line in done.stdout.splitlines():
        words = [word for word in line.split() if "=" not in word]
        names = [set(word.split("=")[1].split(",")) for word in line.split() if "=" in word]
        found.append((" ".join(words), *(names or [set(), set()])))
    return found


def once(calls: list[tuple[str, set[str], set[str]]]) -> list[str]:
    """Leave calls out that repeat the one before."""
    names = [what for what, _, _ in calls]
    return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]


@pytest.mark.parametrize("life", [job, idle, spot, refused])
def test_the_model_of_the_agent_calls_what_the_agent_calls(floor, life: Callable[[Floor], None]):
    life(floor)
    agent = calls_of_the_agent(floor)
    model = calls_of_the_model(life.__name__)
    assert once(model) == once(agent)
    reports = [[call for call in calls if call[1]] for calls in (agent, model)]
    for (what, members, times), (_, modelled, times_modelled) in zip(*reports, strict=True):
        assert modelled - members == set(), what
        assert members - modelled - NOT_MODELLED == set(), what
        assert times_modelled - times == set(), what
        assert times - times_modelled - TIMES_NOT_MODELLED == set(), what
