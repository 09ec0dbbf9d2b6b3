# SPDX-License-Identifier: MIT
"""Who may call GitHub's stand-in: the App by its JWT, an installation or a person by a token.

A refusal carries GitHub's status and words, so that what the programs log is what they would log
in production.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from .tls import make_app_key

JWT_LIFETIME = 600
CLOCK_SKEW = 60
TOKEN_LIFETIME = 3600
LEVELS = {"read": 1, "write": 2, "admin": 3}
PERMISSIONS = {
    "actions": "write",
    "administration": "write",
    "metadata": "read",
    "organization_self_hosted_runners": "write",
}
# GitHub takes a classic token with this scope for an enterprise's runners, and no App.
ENTERPRISE = "octo-corp"
ENTERPRISE_SCOPE = "manage_runners:enterprise"


class Refused(Exception):
    """An answer other than success: a status, GitHub's message, and headers."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}


@dataclass
class Installation:
    """One installation of the App: an account, and which of its repositories (all when empty)."""

    id: int
    account: str
    repositories: list[str] = field(default_factory=list)
    permissions: dict[str, str] = field(default_factory=lambda: dict(PERMISSIONS))
    suspended: bool = False

    def covers(self, scope: str) -> bool:
        """Whether `repos/O/R` or `orgs/O` belongs to this installation."""
        kind, _, name = scope.lower().partition("/")
        owner, _, repository = name.partition("/")
        if owner != self.account.lower():
            return False
        wanted = [r.lower() for r in self.repositories]
        return kind == "orgs" or not wanted or repository in wanted


class App:
    """One GitHub App: its keys, what it may do, and where it is installed."""

    def __init__(self, app_id: int, client_id: str, slug: str) -> None:
        self.id = app_id
        self.client_id = client_id
        self.slug = slug
        self.private_key, self.public_key = make_app_key()
        self.permissions = dict(PERMISSIONS)
        self.events = ["workflow_job"]
        self.installations: dict[int, Installation] = {}


@dataclass
class Token:
    """What a caller proved to be; `installation` is None for a person's token."""

    text: str
    expires: float
    permissions: dict[str, str]
    installation: Installation | None = None


class Doorman:
    """Checks the Authorization header of every call and hands out installation tokens."""

    def __init__(self) -> None:
        self.first = App(12345, "Iv23liLocalCloud0001", "scale-agent")
        self.apps = [self.first]
        self.private_key = self.first.private_key
        self.permissions = self.first.permissions
        self.events = self.first.events
        self.installations = self.first.installations
        self.enterprise_token = "ghp_" + secrets.token_hex(18)
        self.personal_token = "github_pat_" + secrets.token_hex(36)
        self.tokens: dict[str, Token] = {}
        self._seen: dict[str, float] = {}
        self._lock = threading.Lock()
        self.add_personal(self.personal_token)
        self.add_personal(self.enterprise_token, {ENTERPRISE_SCOPE: "admin"})

    def add_personal(self, text: str, permissions: dict[str, str] | None = None) -> None:
        """Accept a person's token."""
        self.tokens[text] = Token(text, time.time() + 86400, permissions or dict(PERMISSIONS))

    def app(self, authorization: str) -> App:
        """Give the App that a caller proves to be by a JWT of RS256; refuse any other."""
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer" or text.count(".") != 2:
            raise Refused(401, "A JSON web token could not be decoded")
        app = self.issuer(text)
        header, claims = _decode(text, (app or self.first).public_key)
        if header.get("alg") != "RS256":
            raise Refused(401, "A JSON web token could not be decoded")
        self._check_times(claims)
        if app is None:
            raise Refused(404, "Integration not found")
        self._check_unique(str(claims.get("jti", text)))
        return app

    def issuer(self, text: str) -> App | None:
        """Tell which App a JWT says that it is of, without a proof."""
        try:
            issuer = str(json.loads(_base64url(text.split(".")[1])).get("iss"))
        except (ValueError, IndexError, AttributeError):
            return None
        return next((a for a in self.apps if issuer in (str(a.id), a.client_id)), None)

    def grant(self, app: App, installation_id: int, body: dict[str, Any]) -> Token:
        """Make a token of an installation, narrowed as the App asked."""
        installation = app.installations.get(installation_id)
        if installation is None:
            raise Refused(404, "Not Found")
        if installation.suspended:
            raise Refused(403, "This installation has been suspended")
        permissions = dict(body.get("permissions") or installation.permissions)
        for name, level in permissions.items():
            if LEVELS[level] > LEVELS.get(installation.permissions.get(name, ""), 0):
                raise Refused(422, "The permissions requested are not granted to this installation")
        wanted = list(body.get("repositories") or [])
        if any(not installation.covers(f"repos/{installation.account}/{r}") for r in wanted):
            raise Refused(
                422,
                "There is at least one repository that does not exist or is not"
                " accessible to the parent installation.",
            )
        narrowed = Installation(
            installation.id, installation.account, wanted or installation.repositories, permissions
        )
        text = "ghs_" + secrets.token_urlsafe(384)
        token = Token(text, time.time() + TOKEN_LIFETIME, permissions, narrowed)
        with self._lock:
            self.tokens[text] = token
        return token

    def token(self, authorization: str, scope: str, permission: str, level: str) -> Token:
        """Refuse a caller whose token does not reach `scope` with that permission."""
        token = self.anyone(authorization)
        if token.installation is not None:
            self._check_installation(token.installation.id)
        if scope.startswith("enterprises/"):
            _check_enterprise(token, scope)
            return token
        if token.installation is not None and not token.installation.covers(scope):
            raise Refused(404, "Not Found")
        if LEVELS.get(token.permissions.get(permission, ""), 0) < LEVELS[level]:
            person = token.installation is None
            words = "personal access token" if person else "integration"
            raise Refused(403, f"Resource not accessible by {words}")
        return token

    def anyone(self, authorization: str) -> Token:
        """Refuse a caller without a valid token."""
        scheme, _, text = authorization.partition(" ")
        with self._lock:
            token = self.tokens.get(text)
        if scheme.lower() not in ("bearer", "token") or token is None:
            raise Refused(401, "Bad credentials" if text else "Requires authentication")
        if token.expires < time.time():
            raise Refused(401, "Bad credentials")
        return token

    def _check_installation(self, number: int) -> None:
        """Refuse the token of an installation that was suspended or removed meanwhile."""
        live = next((a.installations[number] for a in self.apps if number in a.installations), None)
        if live is None:
            raise Refused(401, "Bad credentials")
        if live.suspended:
            raise Refused(403, "This installation has been suspended")

    def revoke_all(self) -> None:
        """Make every installation token expire now."""
        with self._lock:
            for token in self.tokens.values():
                if token.installation is not None:
                    token.expires = 0.0

    def _check_times(self, claims: dict[str, Any]) -> None:
        now = time.time()
        issued, expires = claims.get("iat"), claims.get("exp")
        if not isinstance(issued, int) or issued > now + CLOCK_SKEW:
            raise Refused(
                401,
                "'Issued at' claim ('iat') must be an Integer representing the time"
                " that the assertion was issued",
            )
        if not isinstance(expires, int) or expires < now:
            raise Refused(
                401,
                "'Expiration time' claim ('exp') must be a numeric value"
                " representing the future time at which the assertion expires",
            )
        if expires > now + JWT_LIFETIME or expires - issued > JWT_LIFETIME + CLOCK_SKEW:
            raise Refused(401, "'Expiration time' claim ('exp') is too far in the future")

    def _check_unique(self, identity: str) -> None:
        now = time.monotonic()
        with self._lock:
            last = self._seen.get(identity)
            self._seen[identity] = now
        if last is not None and now - last < 1.0:
            raise Refused(404, "Not Found")


def _check_enterprise(token: Token, scope: str) -> None:
    if token.installation is not None or not token.text.startswith("ghp_"):
        person = token.installation is None
        words = "personal access token" if person else "integration"
        raise Refused(403, f"Resource not accessible by {words}")
    if scope != f"enterprises/{ENTERPRISE}" or ENTERPRISE_SCOPE not in token.permissions:
        raise Refused(404, "Not Found")


def _decode(text: str, key: rsa.RSAPublicKey) -> tuple[dict[str, Any], dict[str, Any]]:
    signed, _, signature = text.rpartition(".")
    try:
        header, claims = (json.loads(_base64url(part)) for part in signed.split("."))
        key.verify(_base64url(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    except (ValueError, InvalidSignature) as error:
        raise Refused(401, "A JSON web token could not be decoded") from error
    return header, claims


def _base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
