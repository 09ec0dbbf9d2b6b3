# SPDX-License-Identifier: MIT
"""What is other in moto's server than as it is released."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from moto.sqs.models import Message, Queue, SQSBackend

from cloud.aws.moto_server import lock_queues


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
