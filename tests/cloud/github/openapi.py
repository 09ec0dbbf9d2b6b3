# SPDX-License-Identifier: MIT
"""Checks both sides against GitHub's own description of its API and webhooks.

The npm package @octokit/openapi holds 13 MB of JSON. The few operations that the stand-in knows
are cut out of it once, with the schemas that they need, and the cut is kept in the build folder
under the package's version. Each finding is one sentence that names the operation.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

BUILD = Path(__file__).resolve().parents[3] / "build"
PACKAGE = "@octokit/openapi"
DESCRIPTION = "generated/api.github.com.json"
CUT_FORMAT = 11
PATHS = (
    "/app",
    "/app/hook/config",
    "/app/hook/deliveries",
    "/app/hook/deliveries/{delivery_id}/attempts",
    "/app/installations",
    "/app/installations/{installation_id}/access_tokens",
    "/orgs/{org}/installation",
    "/orgs/{org}/actions/runners",
    "/orgs/{org}/actions/runners/generate-jitconfig",
    "/orgs/{org}/actions/runners/{runner_id}",
    "/orgs/{org}/hooks",
    "/orgs/{org}/hooks/{hook_id}/deliveries",
    "/orgs/{org}/hooks/{hook_id}/deliveries/{delivery_id}/attempts",
    "/repos/{owner}/{repo}/installation",
    "/repos/{owner}/{repo}/actions/jobs/{job_id}",
    "/repos/{owner}/{repo}/actions/jobs/{job_id}/rerun",
    "/repos/{owner}/{repo}/actions/runners",
    "/repos/{owner}/{repo}/actions/runners/generate-jitconfig",
    "/repos/{owner}/{repo}/actions/runners/{runner_id}",
    "/repos/{owner}/{repo}/actions/runs/{run_id}",
    "/repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{attempt_number}/jobs",
    "/repos/{owner}/{repo}/actions/runs/{run_id}/rerun-failed-jobs",
    "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs",
    "/repos/{owner}/{repo}/hooks",
    "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries",
    "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}/attempts",
    "/repos/{owner}/{repo}/releases",
)
# GitHub Enterprise Cloud's description has the same for an enterprise, which this package lacks.
ENTERPRISE_PATHS = tuple(path for path in PATHS if path.startswith("/orgs/{org}/actions/runners"))
WEBHOOKS = tuple(
    f"workflow-job-{action}" for action in ("queued", "waiting", "in-progress", "completed")
)
# In place of what the description says there: that an account is a user and an enterprise at once.
CORRECTED = {
    ("/app/installations", "get", "200"): {
        "type": "array",
        "items": {"$ref": "#/components/schemas/installation"},
    }
}
METHODS = ("get", "post", "put", "patch", "delete")
PROSE = ("description", "example", "examples", "externalDocs", "x-github", "x-octokit", "summary")


def package_directory(package: str) -> Path:
    """Where npm put a package; says how to get it when it is not there."""
    directory = BUILD / "npm" / "node_modules" / package
    if not (directory / "package.json").is_file():
        raise FileNotFoundError(f"{directory} is missing: `tests/prepare test` installs it")
    return directory


@dataclass(frozen=True)
class Operation:
    """One operation of GitHub's API, as described."""

    id: str
    method: str
    template: str
    parameters: tuple[dict[str, Any], ...]
    body_schema: dict[str, Any] | None
    body_required: bool
    answers: dict[str, Any]


class Description:
    """Finds operations and checks requests, answers and webhook bodies against their schemas."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.components = document["components"]
        self.webhooks: dict[str, Any] = document["webhooks"]
        self.operations: dict[str, Operation] = {}
        self._routes: list[tuple[re.Pattern[str], dict[str, Operation]]] = []
        self._validators: dict[int, Draft202012Validator] = {}
        for template, methods in document["paths"].items():
            by_method = {m: _operation(m, template, o) for m, o in methods.items()}
            self.operations |= {o.id: o for o in by_method.values()}
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template))
            self._routes.append((re.compile(pattern), by_method))

    def match(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """The operation that a request means, with its path parameters; literal paths win."""
        found = [(p.fullmatch(path), by) for p, by in self._routes]
        hits = [(m, by) for m, by in found if m is not None and method.lower() in by]
        if not hits:
            return None
        hit, by_method = min(hits, key=lambda pair: len(pair[0].groupdict()))
        return by_method[method.lower()], hit.groupdict()

    def check_request(
        self,
        operation: Operation,
        path_parameters: dict[str, str],
        query: dict[str, list[str]],
        body: Any,
    ) -> list[str]:
        """What is wrong with a request; `body` is None where it had none."""
        findings = list(self._check_parameters(operation, path_parameters, query))
        if operation.body_schema is None:
            if body is not None:
                findings.append(f"{operation.id}: takes no body")
        elif body is not None:
            findings += self._check_body(operation, body)
        elif operation.body_required:
            findings.append(f"{operation.id}: needs a body")
        return findings

    def check_answer(self, operation: Operation, status: int, document: Any) -> list[str]:
        """What is wrong with an answer of our own; 401, 403, 404, 429 and 5xx are anyone's."""
        where = f"{operation.id}: answer {status}"
        if str(status) not in operation.answers:
            return [] if status in (401, 403, 404, 429) or status >= 500 else [f"{where}: unknown"]
        schema = operation.answers[str(status)]
        if schema is None:
            return [] if document is None else [f"{where}: has a body"]
        return self._problems(schema, document, where)

    def check_webhook(self, action: str, document: Any) -> list[str]:
        """What is wrong with a workflow_job body of our own making."""
        name = f"workflow-job-{action.replace('_', '-')}"
        return self._problems(self.webhooks[name], document, name)

    def _check_parameters(
        self, operation: Operation, path_parameters: dict[str, str], query: dict[str, list[str]]
    ) -> Iterator[str]:
        known = {p["name"]: p for p in operation.parameters}
        given = [(name, value, "path") for name, value in path_parameters.items()]
        given += [(name, value, "query") for name, values in query.items() for value in values]
        for name, text, place in given:
            parameter = known.get(name)
            if parameter is None or parameter["in"] != place:
                yield f"{operation.id}: unknown {place} parameter {name}"
                continue
            value = _typed(text, parameter["schema"])
            yield from self._problems(parameter["schema"], value, f"{operation.id}: {name}")
        missing = {n for n, p in known.items() if p.get("required")} - {n for n, _, _ in given}
        yield from (f"{operation.id}: parameter {name} is missing" for name in sorted(missing))

    def _check_body(self, operation: Operation, body: Any) -> list[str]:
        schema = operation.body_schema or {}
        findings = self._problems(schema, body, f"{operation.id}: body")
        allowed = schema.get("properties")
        if allowed is not None and isinstance(body, dict):
            unknown = sorted(set(body) - set(allowed))
            findings += [f"{operation.id}: body: unknown property {name}" for name in unknown]
        return findings

    def _problems(self, schema: dict[str, Any], value: Any, where: str) -> list[str]:
        validator = self._validators.get(id(schema))
        if validator is None:
            whole = {"allOf": [schema], "components": self.components}
            checker = Draft202012Validator.FORMAT_CHECKER
            validator = Draft202012Validator(whole, format_checker=checker)
            self._validators[id(schema)] = validator
        errors = validator.iter_errors(value)
        return [f"{where}{error.json_path[1:]}: {error.message[:200]}" for error in errors]


@cache
def github_description() -> Description:
    """The cut of the installed package, made on first use and kept in the build folder."""
    directory = package_directory(PACKAGE)
    version = json.loads((directory / "package.json").read_text())["version"]
    kept = BUILD / "cache" / f"github-openapi-{version}-{CUT_FORMAT}.json"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(cut(json.loads((directory / DESCRIPTION).read_text()))))
        part.replace(kept)
    return Description(json.loads(kept.read_text()))


def cut(document: dict[str, Any]) -> dict[str, Any]:
    """Reduce GitHub's description to the operations of PATHS, the WEBHOOKS and their schemas."""
    result: dict[str, Any] = {"paths": {}, "webhooks": {}}
    for template in PATHS:
        methods = document["paths"][template]
        result["paths"][template] = {
            m: _plain(_cut_operation(document, methods[m])) for m in METHODS if m in methods
        }
    for template in ENTERPRISE_PATHS:
        text = json.dumps(result["paths"][template])
        for old, new in (("-for-org", "-for-enterprise"), ("-from-org", "-from-enterprise"),
                         ('"name": "org"', '"name": "enterprise"')):  # fmt: skip
            text = text.replace(old, new)
        path = template.replace("/orgs/{org}", "/enterprises/{enterprise}")
        result["paths"][path] = json.loads(text)
    for (template, method, status), schema in CORRECTED.items():
        result["paths"][template][method]["answers"][status] = schema
    for name in WEBHOOKS:
        body = document["x-webhooks"][name]["post"]["requestBody"]
        result["webhooks"][name] = _plain(_json_schema(body))
    schemas: dict[str, Any] = {}
    waiting = _references(result)
    while waiting:
        name = waiting.pop()
        if name not in schemas:
            schemas[name] = _plain(document["components"]["schemas"][name])
            waiting |= _references(schemas[name])
    return result | {"components": {"schemas": schemas}}


def _cut_operation(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody")
    answers = {s: _resolve(document, r) for s, r in operation["responses"].items()}
    return {
        "id": operation["operationId"],
        "parameters": [_resolve(document, p) for p in operation.get("parameters", [])],
        "body": _json_schema(body) if body else None,
        "body_required": bool(body and body.get("required")),
        "answers": {s: _json_schema(r) if "content" in r else None for s, r in answers.items()},
    }


def _operation(method: str, template: str, cut_out: dict[str, Any]) -> Operation:
    return Operation(
        cut_out["id"],
        method,
        template,
        tuple(cut_out["parameters"]),
        cut_out["body"],
        cut_out["body_required"],
        cut_out["answers"],
    )


def _resolve(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    for step in node["$ref"].removeprefix("#/").split("/"):
        document = document[step]
    return document


def _json_schema(node: dict[str, Any]) -> dict[str, Any]:
    return node["content"]["application/json"]["schema"]


def _references(node: Any) -> set[str]:
    return set(re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', json.dumps(node)))


def _plain(node: Any, names: bool = False) -> Any:
    """Drop prose, and turn OpenAPI 3.0's `nullable` into JSON Schema's null type."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    # below `properties` the keys are names of GitHub's, which may be spelled as our keywords
    kept = {
        key: _plain(value, not names and key == "properties")
        for key, value in node.items()
        if names or key not in PROSE
    }
    if names or kept.get("nullable") is not True:
        return kept
    del kept["nullable"]
    return {"anyOf": [kept, {"type": "null"}]}


def _typed(text: str, schema: dict[str, Any]) -> Any:
    if schema.get("type") == "integer" and re.fullmatch(r"-?\d+", text):
        return int(text)
    if schema.get("type") == "boolean" and text in ("true", "false"):
        return text == "true"
    return text
