# SPDX-License-Identifier: MIT
"""What is other in moto's server than as it is released."""

from __future__ import annotations

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest
from moto.core.request import Request
from moto.core.responses import BaseResponse
from moto.ec2.responses import EC2Response
from moto.moto_api._internal.models import moto_api_backend
from moto.sqs.models import Message, Queue, SQSBackend

from cloud.aws.moto_server import lock_queues, lock_services


@pytest.fixture
def queue(monkeypatch):
    monkeypatch.setattr(Queue, "delete_message", Queue.delete_message)  # both are put back
    monkeypatch.setattr(SQSBackend, "receive_message", SQSBackend.receive_message)
    lock_queues()
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield Queue("many", "eu-central-1", "123456789012")
    sys.setswitchinterval(usual)


def test_messages_that_are_deleted_at_the_same_time_are_gone(queue):
    messages = [Message(str(at), "x") for at in range(300)]
    for message in messages:
        queue.add_message(message)
        message.mark_received(visibility_timeout=30)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(queue.delete_message, [message.receipt_handle for message in messages]))
    assert [message.id for message in queue._messages] == []


@pytest.fixture
def ec2(monkeypatch):
    monkeypatch.setattr(BaseResponse, "call_action", BaseResponse.call_action)  # is put back
    lock_services()
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield call_ec2
    sys.setswitchinterval(usual)
    moto_api_backend.reset()


def call_ec2(**parameters):
    """Make a call as moto's server does: its status and body, or what was raised."""
    url = "https://ec2.eu-central-1.amazonaws.com/"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    request = Request.from_primitives("POST", url, form, urlencode(parameters))
    try:
        return EC2Response.dispatch(request, url, {})[::2]
    except Exception as problem:
        return repr(problem), ""


def test_machines_that_are_launched_at_the_same_time_are_launched_once_each(ec2):
    subnet = re.findall("subnet-[0-9a-f]+", ec2(Action="DescribeSubnets")[1])[0]
    launch = {"Action": "RunInstances", "ImageId": "ami-1", "SubnetId": subnet}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ec2(**launch, MinCount="1", MaxCount="5"), range(100)))
    assert {status for status, _ in answers} == {200}
