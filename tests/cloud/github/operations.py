# SPDX-License-Identifier: MIT
"""What each operation of GitHub's API does, by its operation id.

A function here is called only with a request that fits GitHub's description, from a caller who
may do this. It returns the status and the document of the answer, or raises Refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..serve import Request, iso
from .hooks import HOOK_OPERATIONS, scope_of
from .runs import RUN_OPERATIONS
from .tokens import App, Installation, Refused

if TYPE_CHECKING:
    from .stand_in import GitHub

Result = tuple[int, Any] | tuple[int, Any, dict[str, str]]  # status, document, headers


def _app(github: GitHub, names: dict[str, str], request: Request, body: Any) -> Result:
    app = request.caller
    return 200, {
        "id": app.id,
        "slug": app.slug,
        "node_id": "A_kwDOLocalCloud",
        "client_id": app.client_id,
        "owner": _user(next(iter(github.doorman.installations.values())).account),
        "name": app.slug,
        "description": None,
        "external_url": "https://example.com",
        "html_url": f"https://github.com/apps/{app.slug}",
        "created_at": iso(time.time()),
        "updated_at": iso(time.time()),
        "permissions": app.permissions,
        "events": app.events,
    }


def _installation(github: GitHub, names: dict[str, str], request: Request, body: Any) -> Result:
    for found in request.caller.installations.values():
        if found.covers(scope_of(names)):
            break
    else:
        raise Refused(404, "Not Found")
    return 200, _installation_document(github, request.caller, found)


def _installations(github: GitHub, names: dict[str, str], request: Request, body: Any) -> Result:
    found = request.caller.installations.values()
    return 200, [_installation_document(github, request.caller, one) for one in found]


def _installation_document(github: GitHub, app: App, found: Installation) -> dict[str, Any]:
    api = github.api_url
    return {
        "id": found.id,
        "account": _user(found.account),
        "repository_selection": "selected" if found.repositories else "all",
        "access_tokens_url": f"{api}/app/installations/{found.id}/access_tokens",
        "repositories_url": f"{api}/installation/repositories",
        "html_url": f"https://github.com/organizations/{found.account}/settings/installations/1",
        "app_id": app.id,
        "app_slug": app.slug,
        "client_id": app.client_id,
        "target_id": 1,
        "target_type": "Organization",
        "permissions": found.permissions,
        "events": app.events,
        "created_at": iso(time.time()),
        "updated_at": iso(time.time()),
        "single_file_name": None,
        "suspended_by": _user(found.account) if found.suspended else None,
        "suspended_at": iso(time.time()) if found.suspended else None,
    }


def _hook(github: GitHub, names: dict[str, str], request: Request, body: Any) -> Result:
    webhooks = github.webhooks_of(request.caller)
    shown = {
        "content_type": webhooks.content_type.removeprefix("application/").removeprefix("x-www-"),
        "insecure_ssl": webhooks.insecure_ssl,
        "url": webhooks.url,
    }
    return 200, shown | ({"secret": "********"} if webhooks.secret else {})


def _set_hook(github: GitHub, names: dict[str, str], request: Request, body: Any) -> Result:
    webhooks = github.webhooks_of(request.caller)
    webhooks.url = body.get("url", webhooks.url)
    webhooks.secret = body.get("secret", webhooks.secret)
    return _hook(github, names, request, body)


def _access_token(github: GitHub, names: dict[str, str], request: Request, body: Any) -> Result:
    token = github.doorman.grant(request.caller, int(names["installation_id"]), body)
    narrowed = bool(token.installation and token.installation.repositories)
    return 201, {
        "token": token.text,
        "expires_at": iso(token.expires),
        "permissions": token.permissions,
        "repository_selection": "selected" if narrowed else "all",
    }


def _jit(github: GitHub, names: dict[str, str], request: Request, body: Any) -> Result:
    runner, configuration = github.registry.register(scope_of(names), body)
    runner.by = request.caller.installation.id if request.caller.installation else None
    return 201, {"runner": runner.document(), "encoded_jit_config": configuration}


def _list(github: GitHub, names: dict[str, str], request: Request, body: Any) -> Result:
    found = github.registry.find(scope_of(names), *request.query.get("name", []))
    size = max(1, min(100, int(request.query.get("per_page", ["30"])[0])))
    first = (int(request.query.get("page", ["1"])[0]) - 1) * size
    page = [runner.document() for runner in found[first : first + size]]
    return 200, {"total_count": len(found), "runners": page}


def _get(github: GitHub, names: dict[str, str], request: Request, body: Any) -> Result:
    return 200, github.registry.get(scope_of(names), int(names["runner_id"])).document()


def _delete(github: GitHub, names: dict[str, str], request: Request, body: Any) -> Result:
    runner = github.registry.delete(scope_of(names), int(names["runner_id"]))
    github.broker.expel(runner)
    return 204, None


def _releases(github: GitHub, names: dict[str, str], request: Request, body: Any) -> Result:
    if (names["owner"], names["repo"]) != ("actions", "runner") or not github.releases:
        raise Refused(404, "Not Found")
    found = sorted(github.releases.items(), key=lambda one: one[1], reverse=True)
    size = int(request.query.get("per_page", ["30"])[0])
    return 200, [_release(version, published) for version, published in found[:size]]


def _release(version: str, published: float) -> dict[str, Any]:
    url = "https://api.github.com/repos/actions/runner"
    return {
        "url": f"{url}/releases/1",
        "html_url": f"https://github.com/actions/runner/releases/tag/v{version}",
        "assets_url": f"{url}/releases/1/assets",
        "upload_url": f"{url}/releases/1/assets{{?name,label}}",
        "tarball_url": f"{url}/tarball/v{version}",
        "zipball_url": f"{url}/zipball/v{version}",
        "id": 1,
        "node_id": "RE_1",
        "tag_name": f"v{version}",
        "target_commitish": "main",
        "name": f"v{version}",
        "body": "What's changed",
        "draft": False,
        "prerelease": "-" in version,
        "created_at": iso(published),
        "published_at": iso(published),
        "author": _user("github-actions"),
        "assets": [],
    }


def _user(login: str) -> dict[str, Any]:
    url = f"https://api.github.com/users/{login}"
    lists = (
        "followers", "following", "gists", "starred", "subscriptions", "organizations", "repos",
        "events", "received_events",
    )  # fmt: skip
    return {
        "login": login,
        "id": 1,
        "node_id": "MDEyOk9yZ2FuaXphdGlvbjE=",
        "avatar_url": "https://avatars.githubusercontent.com/u/1",
        "gravatar_id": "",
        "url": url,
        "html_url": f"https://github.com/{login}",
        **{f"{name}_url": f"{url}/{name}" for name in lists},
        "type": "Organization",
        "site_admin": False,
    }


Serve = Callable[["GitHub", dict[str, str], Request, Any], Result]
OPERATIONS: dict[str, Serve] = (
    {
        "apps/get-authenticated": _app,
        "apps/list-installations": _installations,
        "apps/get-webhook-config-for-app": _hook,
        "apps/update-webhook-config-for-app": _set_hook,
        "apps/create-installation-access-token": _access_token,
        "apps/get-repo-installation": _installation,
        "apps/get-org-installation": _installation,
        "actions/generate-runner-jitconfig-for-repo": _jit,
        "actions/generate-runner-jitconfig-for-org": _jit,
        "actions/generate-runner-jitconfig-for-enterprise": _jit,
        "actions/list-self-hosted-runners-for-enterprise": _list,
        "actions/get-self-hosted-runner-for-enterprise": _get,
        "actions/delete-self-hosted-runner-from-enterprise": _delete,
        "actions/list-self-hosted-runners-for-repo": _list,
        "actions/list-self-hosted-runners-for-org": _list,
        "actions/get-self-hosted-runner-for-repo": _get,
        "actions/get-self-hosted-runner-for-org": _get,
        "actions/delete-self-hosted-runner-from-repo": _delete,
        "actions/delete-self-hosted-runner-from-org": _delete,
        "repos/list-releases": _releases,
    }
    | RUN_OPERATIONS
    | HOOK_OPERATIONS
)
