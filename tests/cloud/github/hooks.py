# SPDX-License-Identifier: MIT
"""The deliveries of webhooks: the App's, and those of repositories and organizations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..serve import Request, iso
from .tokens import App, Refused
from .webhooks import Delivery, Webhooks

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


def _list_hooks(github: GitHub, names: dict[str, str], request: Request, body: Any) -> Result:
    scope = scope_of(names)
    return 200, [_hook_document(scope, one) for one in github.hooks.get(scope, [])]


def _hook_document(scope: str, hook: Webhooks) -> dict[str, Any]:
    url = f"https://api.github.com/{scope}/hooks/{hook.id}"
    unused = {"code": None, "status": "unused", "message": None}
    of_repository = {"test_url": f"{url}/tests", "last_response": unused}
    is_repository = scope.startswith("repos/")
    return {
        "type": "Repository" if is_repository else "Organization",
        "id": hook.id,
        "name": "web",
        "active": True,
        "events": ["workflow_job"],
        "config": {"url": hook.url, "content_type": "json", "insecure_ssl": "0"},
        "created_at": iso(0),
        "updated_at": iso(0),
        "url": url,
        "ping_url": f"{url}/pings",
        "deliveries_url": f"{url}/deliveries",
    } | (of_repository if is_repository else {})


def _webhooks(github: GitHub, names: dict[str, str], request: Request) -> Webhooks:
    """The webhook that a path or, without one in it, its caller names."""
    if isinstance(request.caller, App):
        return github.webhooks_of(request.caller)
    for hook in github.hooks.get(scope_of(names), []):
        if hook.id == int(names["hook_id"]):
            return hook
    raise Refused(404, "Not Found")


def _deliveries(github: GitHub, names: dict[str, str], request: Request, body: Any) -> Result:
    size = max(1, min(100, int(request.query.get("per_page", ["30"])[0])))
    deliveries = _webhooks(github, names, request).deliveries
    sent = [one for one in enumerate(deliveries) if one[1].status is not None]
    newest = sorted(sent, key=lambda one: one[1].sent, reverse=True)
    first = int(request.query.get("cursor", ["v1_0"])[0].removeprefix("v1_"))
    page = newest[first : first + size]
    links = []
    if first + size < len(newest):
        query = f"per_page={size}&cursor=v1_{first + size}"
        links.append(f'<https://api.github.com{request.path}?{query}>; rel="next"')
    if first > 0:
        query = f"per_page={size}&cursor=v1_0"
        links.append(f'<https://api.github.com{request.path}?{query}>; rel="prev"')
    documents = [_delivery_document(number, delivery) for number, delivery in page]
    return 200, documents, {"Link": ", ".join(links)} if links else {}


def _redeliver(github: GitHub, names: dict[str, str], request: Request, body: Any) -> Result:
    number = int(names["delivery_id"]) - FIRST_DELIVERY
    webhooks = _webhooks(github, names, request)
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


Serve = Callable[["GitHub", dict[str, str], Request, Any], Result]
HOOK_OPERATIONS: dict[str, Serve] = {
    "apps/list-webhook-deliveries": _deliveries,
    "apps/redeliver-webhook-delivery": _redeliver,
} | {
    f"{kind}/{operation}": serve
    for kind in ("repos", "orgs")
    for operation, serve in {
        "list-webhooks": _list_hooks,
        "list-webhook-deliveries": _deliveries,
        "redeliver-webhook-delivery": _redeliver,
    }.items()
}
