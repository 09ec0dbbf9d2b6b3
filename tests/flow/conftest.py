# SPDX-License-Identifier: MIT
"""Fixtures of the flow tests: the real programs, in a cloud with GitHub and machines.

    def test_something(cloud):
        job = cloud.github.queue_job("octo-org/one", ["self-hosted", "linux", "x64"])

`cloud` is empty for each test, and everything in it moves by itself. In a `stage` nothing does:
there are no machines and no queue is polled, and a test invokes the function that it is about. A
test that needs another configuration, other secrets or another environment takes `make_cloud` or
`make_stage` and calls it with the options of `cloud.settings.Options`.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from account import Account, set_up
from aws_cli import AwsCli
from floor import Floor
from helpers import Inbox

from cloud.aws.stack import Moto
from cloud.cloud import Cloud
from cloud.github.stand_in import GitHub
from cloud.limits import PATIENCE
from cloud.machines.fleet import Machines
from cloud.settings import INHERITED, function_environment

MakeCloud = Callable[..., Cloud]

pytest.register_assert_rewrite("crashes")  # so that its assertions say what differs


@pytest.fixture
def make_cloud(local_cloud: Cloud) -> MakeCloud:
    """Empty the cloud and give it these options."""

    def make(**options: Any) -> Cloud:
        parts = {"make_github": GitHub, "make_machines": Machines, "time_limits": 10.0}
        return local_cloud.reset(**(parts | options))

    return make


@pytest.fixture
def cloud(make_cloud: MakeCloud) -> Cloud:
    """An empty cloud with the default configuration."""
    return make_cloud()


@pytest.fixture
def make_stage(make_cloud: MakeCloud) -> MakeCloud:
    """Empty the cloud, give it these options, and let nothing in it move by itself."""

    def make(**options: Any) -> Cloud:
        stage = make_cloud(**({"make_machines": None} | options))
        for poller in stage.pollers:
            poller.paused = True
        return stage

    return make


@pytest.fixture
def stage(make_stage: MakeCloud) -> Cloud:
    """A cloud with the default configuration in which only the test moves anything."""
    return make_stage()


@pytest.fixture
def floor(make_stage: MakeCloud) -> Iterator[Floor]:
    """One machine with the agent, and nothing around it that moves."""
    with Floor(make_stage(make_machines=Machines)) as floor:
        yield floor


@pytest.fixture
def inboxes() -> Iterator[Callable[..., Inbox]]:
    """Make stand-ins for Teams and Slack."""
    made: list[Inbox] = []

    def make(**options: Any) -> Inbox:
        made.append(Inbox(**options))
        return made[-1]

    yield make
    for inbox in made:
        inbox.stop()


@pytest.fixture
def run_scaler(local_cloud: Cloud) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the scaler on the shell: arguments, an event (or text) for its standard input, settings.

    Without a role it has the environment that is given, and nothing else.
    """

    def run(
        *arguments: str, event: Any = "", role: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        own = shell_environment(local_cloud, role) if role else {}
        return subprocess.run(
            [str(local_cloud.programs / "scaler"), *arguments],
            input=event if isinstance(event, str | bytes) else json.dumps(event),
            env=inherited() | own | environment,
            capture_output=True,
            text=not isinstance(event, bytes),
            timeout=PATIENCE,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    """Moto without the local cloud around it."""
    process = Moto(tmp_path_factory.mktemp("moto") / "moto.log")
    set_up(process)
    yield process
    process.stop()


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsCli]:
    """The AWS CLI that the commands are to find."""
    cli = AwsCli(tmp_path_factory.mktemp("cli"))
    yield cli
    cli.stop()


@pytest.fixture
def account(moto: Moto, cli: AwsCli, tmp_path: Path) -> Account:
    """An empty account, and a copy of the project to deploy from."""
    return Account(moto, cli, tmp_path / "project")


def inherited() -> dict[str, str]:
    """Give the variables that a program built with sanitizers needs."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ}


def shell_environment(cloud: Cloud, handler: str) -> dict[str, str]:
    """Give the environment of a function, as a person would set it in a shell."""
    function = cloud.functions[handler]
    credentials = cloud.assume(function.role, "shell")
    common = function_environment(
        function, credentials, cloud.region, cloud.aws_url, cloud.environment
    )
    return {name: value for name, value in common.items() if name != "_HANDLER"}
