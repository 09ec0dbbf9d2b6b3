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
from .runs import RUN_OPERATIONS
from .tokens import App, Installation, Refused
from .webhooks import Delivery

if TYPE_CHECKING:
    from .stand_in import GitHub

FIRST_DELIVERY = 12_345_678
Result = tuple[int, Any] | tuple[int, Any, dict[str, str]]  # status, document, headers


def scope_of(names: dict[str, str]) -> str:
    """`orgs/O`, `enterprises/E` or `repos/O/R`, from the parameters of a path."""
    if "enterprise" in names:
        return f"enterprises/{names['enterprise']}"
    if "org" in names:
        return f"orgs/{names['org']}"
    return f"repos/{names['owner']}/{names['repo']}"


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


def _deliveries(github: GitHub, names: dict[str, str], request: Request, body: Any) -> Result:
    size = max(1, min(100, int(request.query.get("per_page", ["30"])[0])))
    deliveries = github.webhooks_of(request.caller).deliveries
    sent = [one for one in enumerate(deliveries) if one[1].status is not None]
    newest = sorted(sent, key=lambda one: one[1].sent, reverse=True)
    first = int(request.query.get("cursor", ["v1_0"])[0].removeprefix("v1_"))
    page = newest[first : first + size]
    links = []
    if first + size < len(newest):
        query = f"per_page={size}&cursor=v1_{first + size}"
        links.append(f'<https://api.github.com/app/hook/deliveries?{query}>; rel="next"')
    if first > 0:
        query = f"per_page={size}&cursor=v1_0"
        links.append(f'<https://api.github.com/app/hook/deliveries?{query}>; rel="prev"')
    documents = [_delivery_document(number, delivery) for number, delivery in page]
    return 200, documents, {"Link": ", ".join(links)} if links else {}


def _redeliver(github: GitHub, names: dict[str, str], request: Request, body: Any) -> Result:
    number = int(names["delivery_id"]) - FIRST_DELIVERY
    webhooks = github.webhooks_of(request.caller)
    if not 0 <= number < len(webhooks.deliveries):
        raise Refused(404, "Not Found")
    webhooks.redeliver(webhooks.deliveries[number])
    return 202, {}


def _delivery_document(number: int, delivery: Delivery) -> dict[str, Any]:
    code = delivery.status or 0
    words = "OK" if 200 <= code < 300 else f"Invalid HTTP Response: {code}"
    return {
        "id": FIRST_DELIVERY + number,
        "guid": delivery.id,
        "delivered_at": iso(delivery.sent),
        "redelivery": delivery.kind == "redelivery",
        "duration": round((delivery.answered or delivery.sent) - delivery.sent, 2),
        "status": words if code else "failed to connect to host",
        "status_code": code,
        "event": delivery.event,
        "action": delivery.action,
        "installation_id": None,
        "repository_id": None,
        "throttled_at": None,
    }


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
OPERATIONS: dict[str, Serve] = {
    "apps/get-authenticated": _app,
    "apps/list-installations": _installations,
    "apps/get-webhook-config-for-app": _hook,
    "apps/update-webhook-config-for-app": _set_hook,
    "apps/list-webhook-deliveries": _deliveries,
    "apps/redeliver-webhook-delivery": _redeliver,
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
} | RUN_OPERATIONS
