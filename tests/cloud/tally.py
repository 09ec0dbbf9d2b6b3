# SPDX-License-Identifier: MIT
"""Counts the calls to AWS and GitHub by the stage of a job's life that makes them.

A stage is a function, or the agent. What a function reads when it starts, and again after minutes,
is counted apart: settings, circuit breakers, the key of tickets, GitHub's tokens. Lambda's own
calls to the queues, which bring messages to functions and delete them, are polls.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .aws.wire import Call
    from .cloud import Cloud

AGENT = "agent"
# In the order of a job's life.
ORDER = (
    "webhook", "queued", "register", AGENT, "in_progress", "admit", "watch", "completed",
    "instance", "recover", "dead_letter", "notify",
)  # fmt: skip


@dataclass
class Tally:
    """How many calls there were: of each stage by their names, when functions started, …"""

    stages: dict[str, Counter[str]] = field(default_factory=dict)
    starts: int = 0
    github: int = 0
    github_starts: int = 0
    polls: int = 0

    @property
    def aws(self) -> int:
        """How many calls to AWS the jobs themselves cost."""
        return sum(sum(names.values()) for names in self.stages.values())

    def __sub__(self, before: Tally) -> Tally:
        """Tell what was called since."""
        stages = {
            stage: names - before.stages.get(stage, Counter())
            for stage, names in self.stages.items()
        }
        return Tally(
            {stage: names for stage, names in stages.items() if names},
            self.starts - before.starts,
            self.github - before.github,
            self.github_starts - before.github_starts,
            self.polls - before.polls,
        )


def count(cloud: Cloud) -> Tally:
    """Count what a cloud's programs have called so far.

    An agent that asks for a hand-over which is not there yet is refused. How often it does that
    depends on how fast the machine boots, so that only the answers count.
    """
    names = {function.role: handler for handler, function in cloud.functions.items()}
    names["RunnerRole"] = AGENT
    tally = Tally({stage: Counter() for stage in ORDER})
    for call in cloud.calls:
        stage = names.get(call.role)
        if stage is None or (stage == AGENT and call.error):
            continue
        if _is_of_a_start(call) and stage != AGENT:
            tally.starts += 1
        else:
            tally.stages.setdefault(stage, Counter())[call.action] += 1
    tally.stages = {stage: names for stage, names in tally.stages.items() if names}
    if cloud.github is not None:
        tokens = [one for one in cloud.github.api.calls if one.path.endswith("/access_tokens")]
        tally.github_starts = len(tokens)
        tally.github = len(cloud.github.api.calls) - len(tokens)
    tally.polls = sum(2 * poller.batches for poller in cloud.pollers)
    return tally


def _is_of_a_start(call: Call) -> bool:
    return call.service == "ssm" and "/runners/" not in json.dumps(call.parameters)
