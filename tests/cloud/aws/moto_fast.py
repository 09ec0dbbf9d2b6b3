# SPDX-License-Identifier: MIT
"""Spares moto what it works out anew at each call: nearly all CPU time of the tests is moto's.

The answers are the same. Each account begins as a copy of a process in which much of this is known
already: rehearsal.py.
"""

from __future__ import annotations

import functools
import json
import os
import string
import time
import types
from typing import Any

import moto.backends
import moto.core.errors
import moto.core.responses
import moto.sqs.models
import xmltodict
import yaml
from botocore.loaders import JSONFileLoader
from botocore.model import Shape
from moto.cloudformation.utils import yaml_tag_constructor
from moto.core.serialize import AttributePickerContext, ResponseSerializer, XFormedAttributePicker
from moto.core.utils import MISSING, camelcase_to_underscores, method_names_from_class
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS
from moto.iam import access_control
from moto.moto_api._internal.moto_random import MotoRandom
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.sqs.models import Message, Queue


def keep_models() -> None:
    """Parse each description of AWS once: moto looks into EC2's, of some megabytes, many times."""
    parse = functools.cache(JSONFileLoader().load_file)
    JSONFileLoader.load_file = lambda _, path: parse(str(path))  # type: ignore[method-assign]


def keep_names() -> None:
    """Work out once what moto would at each call: names of methods, of services and of errors."""
    moto.core.responses.method_names_from_class = functools.cache(method_names_from_class)
    for module in (moto.core.responses, moto.sqs.models):
        module.camelcase_to_underscores = functools.cache(camelcase_to_underscores)
    modules = frozenset(moto.backends.list_of_moto_modules())
    moto.backends.list_of_moto_modules = lambda: modules
    find_service = moto.core.utils.service_name_from_moto_package_name
    moto.core.utils.service_name_from_moto_package_name = functools.cache(find_service)
    find_backend = DomainDispatcherApplication.get_backend_for_host
    DomainDispatcherApplication.get_backend_for_host = functools.cache(find_backend)
    errors = moto.core.errors.ErrorLookupFactory()
    moto.core.errors.ErrorLookupFactory = lambda: errors


def read_yaml_fast() -> None:
    """Read templates with libyaml: without it, each look at ours takes 0.2 s of CPU."""
    fast = getattr(yaml, "CLoader", None)
    if fast is not None:
        yaml.add_multi_constructor("", yaml_tag_constructor, Loader=fast)
        yaml.Loader = fast  # type: ignore[misc]


def pick_fast() -> None:
    """Find once under which names a kind of object may keep a member of an answer.

    The names depend on the object's class and on the member's shape. moto tries them one after the
    other for each member of each object of each answer, and works them out each time.
    """
    known: dict[tuple[type, Shape, str, int], tuple[str, ...] | None] = {}
    get_value = ResponseSerializer.get_value

    def get_value_fast(serializer: ResponseSerializer, value: Any, key: str, shape: Any) -> Any:
        picker = serializer._value_picker
        kind = type(value), shape, key, id(picker.response_transformers)
        if kind not in known:
            known[kind] = names_of(picker, value, key, shape)
        names = known[kind]
        if names is None:
            return get_value(serializer, value, key, shape)
        return first_of(value, names)

    ResponseSerializer.get_value = get_value_fast  # type: ignore[method-assign]


def names_of(
    picker: XFormedAttributePicker, value: Any, key: str, shape: Shape
) -> tuple[str, ...] | None:
    """List the names that a member may have in an object; None if moto changes some such value."""
    if any(key.endswith(path.rpartition(".")[2]) for path in picker.response_transformers):
        return None
    names = picker.get_possible_keys(AttributePickerContext(value, key, shape))
    return tuple(dict.fromkeys(names))


def first_of(value: Any, names: tuple[str, ...]) -> Any:
    """Read the first of these that an object has, as moto does; None without any."""
    if not hasattr(value, "__getitem__"):
        for name in names:
            found = getattr(value, name, MISSING)
            if found is not MISSING:
                return found
        return None
    for name in names:
        try:
            found = value[name]
        except (KeyError, IndexError, TypeError, AttributeError):
            continue
        if found is not MISSING:
            return found
    return None


def write_xml_fast() -> None:
    """Look once at each name whether XML allows it."""
    xmltodict._validate_name = functools.cache(xmltodict._validate_name)


def read_policies_fast() -> None:
    """Read the text of each policy once, and compare each action with each of its patterns once."""
    access_control.json = types.SimpleNamespace(loads=functools.cache(json.loads))
    statement = access_control.IAMPolicyStatement
    statement._match = staticmethod(functools.cache(statement._match))


def count_fast() -> None:
    """Count a queue's messages with one look at the clock.

    Six times for each message that is sent to a FIFO queue, moto asks for one setting of the queue,
    and counts all that it holds with it: it made two `datetime`s for each.
    """

    def now() -> float:
        return time.time() * 1000.0

    def due(queue: Queue) -> list[Message]:
        at = now()
        return [one for one in queue._messages if one.visible_at < at >= one.delayed_until]

    def in_flight(queue: Queue) -> int:
        at = now()
        return sum(at <= one.visible_at for one in queue._messages)

    def delayed(queue: Queue) -> int:
        at = now()
        return sum(at < one.delayed_until for one in queue._messages)

    moto.sqs.models.unix_time_millis = now
    Queue.messages = property(due)  # type: ignore[assignment]
    Queue.approximate_number_of_messages_not_visible = property(in_flight)  # type: ignore
    Queue.approximate_number_of_messages_delayed = property(delayed)  # type: ignore


def forget_regions() -> None:
    """Drop what other regions offer, 60 MB: each fork would map it, and each end unmap it."""
    for offered in INSTANCE_TYPE_OFFERINGS.values():
        for region in offered.keys() - {os.environ["AWS_DEFAULT_REGION"]}:
            del offered[region]


def draw_fast() -> None:
    """Draw the letters of an id at once: each answer has one of 52."""

    def draw(
        random: MotoRandom, length: int = 20, include_digits: bool = True, lower_case: bool = False
    ) -> str:
        pool = string.ascii_letters + (string.digits if include_digits else "")
        drawn = "".join(random.choices(pool, k=length))
        return drawn.lower() if lower_case else drawn

    MotoRandom.get_random_string = draw  # type: ignore[method-assign]


def apply() -> None:
    """Do all of it."""
    forget_regions()
    count_fast()
    draw_fast()
    read_policies_fast()
    keep_models()
    keep_names()
    read_yaml_fast()
    pick_fast()
    write_xml_fast()
