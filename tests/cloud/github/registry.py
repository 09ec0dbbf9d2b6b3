# SPDX-License-Identifier: MIT
"""The runners that GitHub knows, and their just-in-time configurations.

A runner is made by generate-jitconfig, offline. The configuration is base64 of JSON with three
files in base64, as GitHub makes it, and proves to the broker who the runner is: it is good for one
session. An ephemeral runner leaves the registry when its job is done, or when it is deleted.
"""

from __future__ import annotations

import base64
import itertools
import json
import secrets
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .tokens import Refused

RSA_PARAMETERS = {
    "d": 256, "dp": 128, "dq": 128, "exponent": 3, "inverseQ": 128, "modulus": 256, "p": 128,
    "q": 128,
}  # fmt: skip
READ_ONLY_LABELS = ("self-hosted", "linux", "x64", "arm64")


@dataclass
class Runner:
    """One registered runner and its history."""

    id: int
    name: str
    scope: str
    labels: list[str]
    group: int
    created: float = field(default_factory=time.time)
    client_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    proof: str = field(default_factory=lambda: secrets.token_hex(16))
    version: str | None = None
    online: bool = False
    busy: bool = False
    connected: float | None = None
    listening: float | None = None
    removed: float | None = None
    sessions: int = 0
    by: int | None = None  # the installation that registered it; None: a person

    def covers(self, repository: str, labels: list[str]) -> bool:
        """Whether a job of `repository` with these labels may run here."""
        own = {label.lower() for label in self.labels}
        if not {label.lower() for label in labels} <= own:
            return False
        name = repository.lower()
        if self.scope.startswith("enterprises/"):
            return True
        return self.scope.lower() in (f"repos/{name}", f"orgs/{name.split('/')[0]}")

    def document(self) -> dict[str, Any]:
        """The runner as the API shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "os": "linux" if self.version else "unknown",
            "status": "online" if self.online else "offline",
            "busy": self.busy,
            "labels": [_label(number, name) for number, name in enumerate(self.labels, 1)],
            "runner_group_id": self.group,
            "ephemeral": True,
            "version": self.version,
        }


class Registry:
    """All runners by id; the removed ones are kept apart for the tests to look at."""

    def __init__(self, server_url: str = "") -> None:
        self.server_url = server_url
        self.runners: dict[int, Runner] = {}
        self.removed: list[Runner] = []
        self.lock = threading.RLock()
        self._ids = itertools.count(23)

    def register(self, scope: str, body: dict[str, Any]) -> tuple[Runner, str]:
        """Register a runner; a taken name is refused as GitHub does."""
        name = body["name"]
        if not name or len(name) > 64:
            raise Refused(422, "Runner name must be between 1 and 64 characters")
        if scope.startswith("repos/") and body["runner_group_id"] != 1:
            raise Refused(422, "Runner group 1 is the only one that a repository has")
        with self.lock:
            if any(r.name == name and _same(r.scope, scope) for r in self.runners.values()):
                words = f"A runner with the name {name} already exists."
                raise Refused(409, f"Already exists - {words}")
            runner = Runner(
                next(self._ids), name, scope, list(body["labels"]), body["runner_group_id"]
            )
            self.runners[runner.id] = runner
        return runner, self._configuration(runner, body.get("work_folder", "_work"))

    def find(self, scope: str, name: str | None = None) -> list[Runner]:
        """The runners of a scope, by their exact name where one is given."""
        with self.lock:
            mine = [r for r in self.runners.values() if _same(r.scope, scope)]
        return [r for r in mine if name is None or r.name == name]

    def get(self, scope: str, runner_id: int) -> Runner:
        """One runner of a scope, or 404."""
        with self.lock:
            runner = self.runners.get(runner_id)
        if runner is None or not _same(runner.scope, scope):
            raise Refused(404, "Not Found")
        return runner

    def delete(self, scope: str, runner_id: int) -> Runner:
        """Take a runner out on request; one that runs a job stays."""
        with self.lock:
            runner = self.get(scope, runner_id)
            if runner.busy:
                raise Refused(
                    422,
                    f'Bad request - Runner "{runner.name}" is currently running a job and'
                    " cannot be deleted.",
                )
            self.remove(runner)
        return runner

    def remove(self, runner: Runner) -> None:
        """Take a runner out, as happens to an ephemeral one after its job."""
        with self.lock:
            if self.runners.pop(runner.id, None) is not None:
                runner.removed = time.time()
                self.removed.append(runner)

    def by_client(self, client_id: str) -> Runner | None:
        """The runner that a configuration belongs to."""
        with self.lock:
            return next((r for r in self.runners.values() if r.client_id == client_id), None)

    def everyone(self) -> Iterator[Runner]:
        """Every runner that ever was."""
        with self.lock:
            yield from [*self.removed, *self.runners.values()]

    def _configuration(self, runner: Runner, work_folder: str) -> str:
        name = runner.scope.partition("/")[2]
        server = f"{self.server_url}/{secrets.token_hex(25)}/"
        settings = {
            "AgentId": str(runner.id),
            "AgentName": runner.name,
            "DisableUpdate": "true",
            "Ephemeral": "true",
            "GitHubUrl": f"https://github.com/{name}",
            "PoolId": str(runner.group),
            "PoolName": "Default",
            "ServerUrl": server,
            "ServerUrlV2": server,
            "SkipSessionRecover": "true",
            "UseV2Flow": "true",
            "WorkFolder": work_folder,
        }
        credentials = {
            "Scheme": "OAuth",
            "Data": {
                "ClientId": runner.client_id,
                "AuthorizationUrl": f"{server}_apis/oauth2/token",
                "AuthorizationUrlV2": f"{server}_apis/oauth2/token",
                "RequireFipsCryptography": "True",
                "Proof": runner.proof,
            },
        }
        numbers = {n: _base64(secrets.token_bytes(size)) for n, size in RSA_PARAMETERS.items()}
        files = {
            ".runner": settings,
            ".credentials": credentials,
            ".credentials_rsaparams": numbers,
        }
        inner = {name: _base64(json.dumps(file).encode()) for name, file in files.items()}
        return _base64(json.dumps(inner).encode())


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def _label(number: int, name: str) -> dict[str, Any]:
    kind = "read-only" if name.lower() in READ_ONLY_LABELS else "custom"
    return {"id": number, "name": name, "type": kind}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
