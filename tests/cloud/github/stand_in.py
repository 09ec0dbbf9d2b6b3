# SPDX-License-Identifier: MIT
"""GitHub, as far as a scaler and its runners can tell.

It is the REST API over TLS, the webhooks, the queue of jobs, and the broker that runners listen to.

    github = GitHub(directory)
    github.start()
    github.webhooks.url = "http://127.0.0.1:9000/"
    job = github.queue_job("octo-org/one", ["self-hosted", "linux", "x64"])
    assert github.wait(lambda: job.state == "completed")

All state is there to be looked at: `jobs`, `registry`, `doorman`, `api.calls`,
`webhooks.deliveries`; `violations` lists what GitHub's own description of its API says against
either side.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from ..faults import Faults
from ..limits import PATIENCE
from ..serve import Server
from .api import Api
from .broker import Broker
from .jobs import Job, Jobs
from .openapi import github_description
from .registry import Registry
from .tls import make_certificates
from .tokens import App, Doorman, Installation
from .webhooks import Webhooks, examples

INSTALLATION = 4711
SECOND_INSTALLATION = 4712
ACCOUNT = "octo-org"


@cache
def _webhook_secret() -> str:
    """Make the secret of the App's webhook, once: a stack that has it can be used again."""
    return secrets.token_hex(20)


class GitHub:
    """Start it, point the programs to `api_url` and `ca_file`, and queue jobs."""

    def __init__(self, directory: Path, faults: Faults | None = None, base_path: str = "") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.faults = faults or Faults()
        self.violations: list[str] = []
        # of the runner: when each was published; without any it is a GitHub that has none
        self.releases: dict[str, float] = {"2.338.0": time.time()}
        self.description = github_description()
        examples("workflow_job")  # read before the first delivery needs them
        self.doorman = Doorman()
        self.doorman.installations[INSTALLATION] = Installation(INSTALLATION, ACCOUNT)
        self.registry = Registry()
        self.webhooks = Webhooks(_webhook_secret(), INSTALLATION, self.doorman.first.id)
        self._webhooks = {self.doorman.first: self.webhooks}
        self.hooks: dict[str, list[Webhooks]] = {}  # of repositories and organizations
        self.jobs = Jobs(self.registry, self._announce)
        self.broker = Broker(self.registry, self.jobs)
        self.api = Api(self, base_path.rstrip("/"), self.faults)
        self.ca_file, self._tls = make_certificates(directory)
        self._server: Server | None = None

    @property
    def app_id(self) -> int:
        """The id of the App that the webhooks belong to."""
        return self.doorman.first.id

    @property
    def additional_apps(self) -> list[App]:
        """Every App but the first."""
        return self.doorman.apps[1:]

    def add_app(self, app_id: int = 67890, installation: int = SECOND_INSTALLATION) -> App:
        """Make another App, installed for the same account, whose webhook is inactive."""
        app = App(app_id, f"Iv23liLocalCloud{app_id}", f"scale-agent-{app_id}")
        app.installations[installation] = Installation(installation, ACCOUNT)
        self.doorman.apps.append(app)
        self._webhooks[app] = Webhooks("", installation, app_id)
        return app

    def add_hook(self, scope: str, url: str) -> Webhooks:
        """Give a repository or organization a webhook of its own, for what it announces."""
        hook = Webhooks(self.webhook_secret, 0, 0)
        hook.url = url
        self.hooks.setdefault(scope, []).append(hook)
        return hook

    def webhooks_of(self, app: App) -> Webhooks:
        """The webhook of an App; one without a URL is inactive."""
        return self._webhooks[app]

    @property
    def private_key(self) -> str:
        """The App's private key as PEM."""
        return self.doorman.private_key

    @property
    def personal_token(self) -> str:
        """A person's token that may do all that the App may."""
        return self.doorman.personal_token

    @property
    def webhook_secret(self) -> str:
        """What deliveries are signed with."""
        return self.webhooks.secret

    @property
    def port(self) -> int:
        """Where the API is served."""
        assert self._server is not None, "start first"
        return self._server.port

    @property
    def api_url(self) -> str:
        """The address of the API."""
        return f"https://localhost:{self.port}{self.api.base_path}"

    def start(self, port: int = 0) -> GitHub:
        """Serve the API and the runners; the API at this port, if it is free."""
        self._server = Server(self.api.answer, self._tls, "github", port).start()
        self.broker.start()
        return self

    def is_drained(self) -> bool:
        """Tell whether all was handled that clients had sent before they went away."""
        return self._server is None or self._server.is_drained()

    def stop(self) -> None:
        """End every connection."""
        for webhooks in [*self._webhooks.values(), *sum(self.hooks.values(), [])]:
            webhooks.stop()
        if self._server is not None:
            self._server.stop()
        self.broker.stop()

    def queue_job(self, repository: str, labels: list[str], **options: Any) -> Job:
        """A workflow wants a job to run; see `Jobs.queue` for the options."""
        return self.jobs.queue(repository, labels, **options)

    def cancel_job(self, job: Job) -> None:
        """A person cancels a job."""
        self.jobs.cancel(job)

    def wait(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
        """Wait until something is true of the jobs and runners; False when the time is over."""
        with self.jobs.changed:
            return self.jobs.changed.wait_for(condition, seconds)

    def busy(self) -> list[str]:
        """List what will happen by itself: deliveries, and jobs whose runner is gone."""
        lost = [f"lost job {number}" for number in self.jobs.losing()]
        return [*(["deliveries"] if self.webhooks.busy else []), *lost]

    def left(self) -> list[str]:
        """Runners that are still registered."""
        with self.registry.lock:
            runners = list(self.registry.runners.values())
        states = [(r, "busy" if r.busy else "online" if r.online else "offline") for r in runners]
        return [f"runner {r.name} ({r.scope}, {state})" for r, state in states]

    def _announce(self, job: Job, action: str) -> None:
        body = self.webhooks.body(job, action)
        self.violations += self.description.check_webhook(action, body)
        delivery = self.webhooks.deliver("workflow_job", action, body, job.id)
        if self.faults.duplicate:
            self.webhooks.redeliver(delivery, "duplicate")
        for webhooks in [self.webhooks_of(app) for app in self.additional_apps]:
            if webhooks.url:
                webhooks.announce(job, action)
