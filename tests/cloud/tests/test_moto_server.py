# SPDX-License-Identifier: MIT
"""How moto's server differs here from the released one."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from moto.core.request import Request
from moto.core.responses import BaseResponse, EmptyResult
from moto.ec2.responses import EC2Response
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
def under_way(monkeypatch):
    """Say of each DescribeSubnets how many others were under way."""
    numbers, working = [], []

    def describe_subnets(_):
        numbers.append(len(working))
        working.append(1)
        time.sleep(0.001)  # lets the others go on
        working.pop()
        return EmptyResult()

    monkeypatch.setattr(BaseResponse, "call_action", BaseResponse.call_action)  # is put back
    monkeypatch.setattr(EC2Response, "describe_subnets", describe_subnets)
    lock_services()
    return numbers


def describe_subnets(_):
    url = "https://ec2.eu-central-1.amazonaws.com/"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    request = Request.from_primitives("POST", url, form, "Action=DescribeSubnets")
    return EC2Response.dispatch(request, url, {})[0]


def test_of_calls_that_come_at_the_same_time_one_is_under_way(under_way):
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(describe_subnets, range(40))) == [200] * 40
    assert under_way == [0] * 40
