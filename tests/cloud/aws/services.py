# SPDX-License-Identifier: MIT
"""What AWS does and moto leaves out, for the calls of this project.

RunInstances: instance types are checked, a ClientToken makes a call idempotent, and MaxCount is
honoured. SSM: values are bounded by tier. SQS: a deduplication id works for five minutes, also
after its message was received, and delays can be shortened (`hurry`).
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.loaders import Loader

from ..serve import Answer
from .wire import Call, refuse

DEDUPLICATION_SECONDS = 300
TIER_LIMITS = {"Standard": 4096, "Advanced": 8192, "Intelligent-Tiering": 8192}
TOKEN_LIMIT = 64

Forward = Callable[[dict[str, Any]], Answer | None]


@functools.cache
def instance_types() -> frozenset[str]:
    """List every instance type that EC2's own model names."""
    model = Loader().load_service_model("ec2", "service-2")
    return frozenset(model["shapes"]["InstanceType"]["enum"])


def instance_ids(answer: Answer) -> list[str]:
    """Read the ids of the instances in EC2's answer."""
    found = re.findall(rb"<instanceId>(i-[0-9a-f]+)</instanceId>", answer.body)
    return list(dict.fromkeys(one.decode() for one in found))


def check_parameter(call: Call) -> Answer | None:
    """Refuse a value that is too large for its tier."""
    value, tier = str(call.parameters.get("Value", "")), call.parameters.get("Tier", "Standard")
    limit = TIER_LIMITS.get(str(tier))
    if limit is None or len(value.encode()) <= limit:
        return None
    advice = (
        " To create a larger parameter value, upgrade the parameter to use the advanced-parameter"
        " tier."
        if limit == TIER_LIMITS["Standard"]
        else ""
    )
    message = f"{tier} tier parameters support a maximum parameter value of {limit} characters."
    return refuse(call, "ValidationException", 400, message + advice)


def check_names(call: Call) -> Answer | None:
    """Refuse more names than DeleteParameters and GetParameters take."""
    if len(call.names("Names")) <= 10:
        return None
    message = "Value at 'names' failed to satisfy constraint: length less than or equal to 10"
    return refuse(call, "ValidationException", 400, f"1 validation error detected: {message}")


# Moto knows the quotas of VPC only. vCPUs of spot instances by code; an account has more of them.
QUOTAS = {"L-34B43A08": 640.0, "L-3819A6DF": 0.0, "L-E3A00192": 128.0}


def quota(call: Call, quotas: dict[str, float]) -> Answer | None:
    """Answer GetServiceQuota for EC2's spot quotas; None for those that only moto may know."""
    code = str(call.parameters.get("QuotaCode", ""))
    if call.parameters.get("ServiceCode") != "ec2" or code not in quotas:
        return None
    document = {"Quota": {"ServiceCode": "ec2", "QuotaCode": code, "Value": quotas[code]}}
    headers = {"Content-Type": "application/x-amz-json-1.1"}
    return Answer(200, json.dumps(document).encode(), headers)


# SSM's settings of an account, which moto does not know.
SETTINGS = {"/ssm/parameter-store/high-throughput-enabled": "false"}


def setting(call: Call, settings: dict[str, str]) -> Answer:
    """Answer GetServiceSetting."""
    name = str(call.parameters.get("SettingId", ""))
    if name not in settings:
        return refuse(call, "ServiceSettingNotFound", 400, f"There is no setting {name}")
    document = {"ServiceSetting": {"SettingId": name, "SettingValue": settings[name]}}
    headers = {"Content-Type": "application/x-amz-json-1.1"}
    return Answer(200, json.dumps(document).encode(), headers)


@dataclass
class _Launch:
    """What a ClientToken stands for."""

    fingerprint: str
    answer: Answer
    instances: list[str]


@dataclass
class Launches:
    """RunInstances as EC2 does it."""

    is_ended: Callable[[str], bool]
    _known: dict[str, _Launch] = field(default_factory=dict)
    _locks: dict[str, threading.Lock] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, call: Call, limit: int | None, forward: Forward) -> Answer | None:
        """Answer RunInstances: from memory when its token was seen, else through `forward`."""
        refused = self._check(call)
        if refused is not None:
            return refused
        token = str(call.parameters.get("ClientToken", ""))
        with self._lock:
            lock = self._locks.setdefault(token, threading.Lock()) if token else threading.Lock()
        with lock:
            if token in self._known:
                return self._again(call, self._known[token])
            answer = forward(self._granted(call, limit))
            if token and answer is not None and answer.status == 200:
                launch = _Launch(fingerprint(call), answer, instance_ids(answer))
                self._known[token] = launch
        return answer

    @staticmethod
    def _check(call: Call) -> Answer | None:
        kind = call.parameters.get("InstanceType")
        if kind is not None and kind not in instance_types():
            message = f"Invalid value '{kind}' for InstanceType."
            return refuse(call, "InvalidParameterValue", 400, message)
        if len(str(call.parameters.get("ClientToken", ""))) > TOKEN_LIMIT:
            return refuse(call, "InvalidParameterValue", 400, "The client token is too long.")
        for name in ("MinCount", "MaxCount"):
            if not str(call.parameters.get(name, "")).isdigit():
                message = f"The request must contain the parameter {name}"
                return refuse(call, "MissingParameter", 400, message)
        if int(call.parameters["MinCount"]) > int(call.parameters["MaxCount"]):
            return refuse(call, "InvalidParameterCombination", 400, "MinCount is above MaxCount.")
        return None

    @staticmethod
    def _granted(call: Call, limit: int | None) -> dict[str, Any]:
        """Moto makes MinCount instances; EC2 makes MaxCount, or as many as there are."""
        least, most = int(call.parameters["MinCount"]), int(call.parameters["MaxCount"])
        count = most if limit is None else max(least, min(most, limit))
        return {**call.parameters, "MinCount": str(count), "MaxCount": str(count)}

    def _again(self, call: Call, known: _Launch) -> Answer:
        if known.fingerprint != fingerprint(call):
            message = "The client token was used before, with other parameters."
            return refuse(call, "IdempotentParameterMismatch", 400, message)
        if known.instances and all(self.is_ended(one) for one in known.instances):
            message = "The client token's instances have been terminated."
            return refuse(call, "IdempotentInstanceTerminated", 400, message)
        return known.answer


def fingerprint(call: Call) -> str:
    """Tell calls with other parameters apart."""
    return hashlib.sha256(repr(sorted(call.parameters.items())).encode()).hexdigest()


@dataclass
class Messages:
    """SendMessage as SQS does it."""

    hurry: float = 1.0
    clock: Callable[[], float] = time.monotonic
    _sent: dict[tuple[str, ...], tuple[float, Answer]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, call: Call, forward: Forward) -> Answer | None:
        """Answer SendMessage; a duplicate gets the first one's answer and is not queued."""
        parameters = self._sooner(call.parameters)
        key = self._key(call)
        if key is None:
            return forward(parameters)
        with self._lock:
            now = self.clock()
            known = self._sent.get(key)
            if known is not None and now - known[0] < DEDUPLICATION_SECONDS:
                return known[1]
            answer = forward(parameters)
            if answer is not None and answer.status == 200:
                self._sent[key] = (now, answer)
        return answer

    def send_batch(self, call: Call, forward: Forward) -> Answer | None:
        """Answer SendMessageBatch; moto knows duplicates only while the first one waits."""
        entries = [self._sooner(entry) for entry in call.parameters.get("Entries", [])]
        return forward({**call.parameters, "Entries": entries})

    def _sooner(self, parameters: dict[str, Any]) -> dict[str, Any]:
        delay = parameters.get("DelaySeconds")
        if self.hurry == 1.0 or not isinstance(delay, int):
            return parameters
        return {**parameters, "DelaySeconds": math.ceil(delay / self.hurry)}

    @staticmethod
    def _key(call: Call) -> tuple[str, ...] | None:
        identity = call.parameters.get("MessageDeduplicationId")
        if not identity:
            return None
        queue, group = call.parameters.get("QueueUrl"), call.parameters.get("MessageGroupId")
        return (str(queue), str(group), str(identity))
