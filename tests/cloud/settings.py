# SPDX-License-Identifier: MIT
"""The inputs of a cloud: configuration, secrets, and the environment of its programs."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .aws.stack import Stack
from .aws.template import Function

if TYPE_CHECKING:
    from .cloud import Cloud
    from .faults import Faults
    from .github.stand_in import GitHub
    from .machines.fleet import Machines

BUILD = Path(__file__).resolve().parents[2] / os.environ.get("BUILD", "build")

# Settings for programs built with sanitizers; programs inherit nothing else.
INHERITED = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "LD_LIBRARY_PATH")


@dataclass
class Options:
    """What a cloud can be made with.

    config       the scaler's configuration document; default: `configuration`
    parameters   of the stack, besides those that every stack needs
    secrets      further SSM parameters by name below the prefix: "notify/teams-webhook-urls"
    make_github  makes GitHub's stand-in; without it, there is no GitHub
    make_machines  makes the machines' stand-in; without it, nothing boots
    environment  what all functions and machines get, besides what is their own
    programs     the folder of the programs under test
    time_limits  of functions, times those of the template: what a busy machine does late must not
                 look like an outage
    command      runs a function instead of `programs`/scaler: a wrapper, or another program
    """

    config: dict[str, Any] | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    make_github: Callable[[Path, Faults], GitHub] | None = None
    make_machines: Callable[[Cloud], Machines] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    programs: Path = BUILD / "bin"
    time_limits: float = 1.0
    command: list[str] | None = None


def configuration(stack: Stack, github: GitHub | None) -> dict[str, Any]:
    """Give the scaler's configuration for the local cloud: one spec, on both subnets."""
    others = github.additional_apps if github is not None else []
    return {
        "prefix": stack.prefix,
        "github": {
            "app_id": github.app_id if github is not None else 1,
            "repositories": ["octo-org/*"],
        }
        | ({"additional_apps": [app.id for app in others]} if others else {}),
        "specs": [
            {
                "name": "linux-x64",
                "labels": ["self-hosted", "linux", "x64"],
                "instance_type": "m7i.large",
                "launch_template": "scale-agent",
                "subnets": stack.subnets,
            }
        ],
    }


def documents(config: dict[str, Any], github: GitHub | None) -> dict[str, str]:
    """Give the SSM parameters below the prefix: the configuration and the secrets."""
    found = {"config": json.dumps(config)}
    if github is None:
        return {**found, "github/webhook-secret": secrets.token_hex(20)}
    found["github/webhook-secret"] = github.webhook_secret
    if "app_id" in config.get("github", {}):
        found["github/private-key"] = github.private_key
        for app in github.additional_apps:
            found[f"github/apps/{app.id}/private-key"] = app.private_key
    else:
        found["github/token"] = github.personal_token
    if any("enterprise" in spec for spec in config.get("specs", [])):
        found["github/enterprise-token"] = github.doorman.enterprise_token
    return found


def environment(github: GitHub | None, given: dict[str, str]) -> dict[str, str]:
    """Give the environment that every program of the cloud gets."""
    found = {name: os.environ[name] for name in INHERITED if name in os.environ}
    if github is not None:
        found["SSL_CERT_FILE"] = str(github.ca_file)
    return {**found, **given}


def function_environment(
    function: Function,
    credentials: dict[str, str],
    region: str,
    aws_url: str,
    common: dict[str, str],
) -> dict[str, str]:
    """Give the whole environment of a function's process."""
    return {
        "_HANDLER": function.handler,
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_REGION": region,
        "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
        "AWS_SESSION_TOKEN": credentials["Token"],
        "AWS_ENDPOINT_URL": aws_url,
        **function.environment,
        **common,
    }
